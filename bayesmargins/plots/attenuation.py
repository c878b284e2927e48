"""One effect under each of the four things that can be done with the groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayesmargins.errors import ResultError, listed
from bayesmargins.estimands import attenuation
from bayesmargins.explained import ATTENUATION, PICTURE, QUESTION, SIDES, explained
from bayesmargins.habits import taught
from bayesmargins.imputations import Imputed
from bayesmargins.plots.axes_asked import Rows, is_posterior
from bayesmargins.plots.fitting_text import short
from bayesmargins.plots.over import draw
from bayesmargins.plots.picture_cells import Cells
from bayesmargins.plots.placement import place
from bayesmargins.plots.quoted import quoted, text_of
from bayesmargins.posterior import Posterior

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_attenuation"]

_DIM = "groups"
_POLICIES = ("zero", "own", "existing", "new")
_SAID = ("new / zero", "new - zero")
_FEW = 4  # entries that are compared in words


@taught
@explained(PICTURE, QUESTION, SIDES, ATTENUATION)
def plot_attenuation(
    ds: Posterior | Imputed | xr.Dataset,
    variables: Any = None,
    *,
    estimand: str | None = None,
    by: str | Sequence[str] | Mapping[str, Any] | None = None,
    facet: str | Sequence[str] | None = None,
    comparison: Any = None,
    cross: bool = False,
    slope: str | None = None,
    newdata: Any = None,
    at: Mapping[str, Any] | None = None,
    group_weights: str | None = None,
    target: Any = None,
    wts: Any = None,
    point: str = "median",
    ci_prob: float | Sequence[float] | None = None,
    ci_kind: str | None = None,
    labels: Mapping[str, str] | None = None,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Axes | Figure:
    """How far is the effect at b = 0 from the effect in a population of groups?

    Parameters
    ----------
    ds : Posterior, Imputed or Dataset
        A posterior, of which ``attenuation(post, variables, ...)`` is asked; or what that returned.
    by : str, list of str, or dict, optional
        Of a posterior: the rows are averaged within each value of these columns; a dict gives values new labels, which
        may join them. Of a result: the column that has colours.
    facet : str or pair of str, optional
        Columns that have panels.

    Returns
    -------
    matplotlib Axes, or Figure where there are several panels
        The effect under ``zero``, ``own``, ``existing`` and ``new`` side by side. The line beneath says the ratio and
        the difference of ``new`` and ``zero``, of up to four effects.

    Raises
    ------
    ResultError
        No result of `attenuation`, more columns than a picture has places, or names that it does not have.
    EstimandError, DataError, GroupsError, PosteriorError
        Of a posterior: as `attenuation`.

    Examples
    --------
    >>> plot_attenuation(post, {"trt": ("placebo", "drug")}).get_ylabel()
    'difference in probability (drug - placebo)'
    """
    how: dict[str, Any] = {"point": point, "ci_prob": ci_prob, "ci_kind": ci_kind}
    rows = Rows(newdata, at, None, group_weights, target, wts)
    if is_posterior(ds):
        asked = {"estimand": estimand, "comparison": comparison, "slope": slope, "by": by, **rows.given()}
        post: Any = ds
        ds = attenuation(post, variables, cross=cross, **{k: v for k, v in asked.items() if v is not None})
        by = None
    else:
        more = {"variables": variables, "estimand": estimand, "comparison": comparison, "cross": cross, "slope": slope}
        rows.refuse("plot_attenuation", more)
    cells = _policies(Cells.of(ds, **how, labels=labels))
    placement = place(cells, _DIM, _one(by), facet)
    return draw(cells, placement, ax, figsize, said=_in_words(ds, cells, how))


def _one(by: Any) -> Any:
    return by[0] if isinstance(by, list | tuple) and len(by) == 1 else by


def _policies(cells: Cells) -> Cells:
    """The effects themselves, without their differences and their ratio."""
    if cells.about.kind != "attenuation" or _DIM not in cells.columns:
        raise ResultError(
            f"plot_attenuation draws what attenuation(post, ...) returned, got a result of {cells.about.kind}; "
            "it takes the posterior too: plot_attenuation(post, 'trt')."
        )
    kept = np.flatnonzero(cells.columns[_DIM].isin(_POLICIES).to_numpy())
    if not len(kept):
        raise ResultError(f"None of the entries {listed(_POLICIES)} is left in this result of attenuation.")
    return replace(cells.take(kept), left_out=())


def _in_words(ds: xr.Dataset, cells: Cells, how: Mapping[str, Any]) -> str:
    """``new / zero 0.88 [0.80, 0.95], new - zero -0.03 [-0.05, -0.01]``, of each of a few effects."""
    columns = [c for c in cells.varies if c != _DIM]
    frame = quoted(ds, how)
    frame = frame[frame[_DIM].isin(_SAID)]
    blocks = list(frame.groupby(columns, sort=False)) if columns else [((), frame)]
    if len(blocks) > _FEW:
        return ""
    lines = []
    for values, block in blocks:
        of = {r[_DIM]: text_of(r["point"], r["lower"], r["upper"]) for _, r in block.iterrows()}
        head = f"{', '.join(short(v) for v in values)}: " if columns else ""
        lines.append(head + ", ".join(f"{name} {of[name]}".replace(" ", "\u00a0") for name in _SAID if name in of))
    return "; ".join(lines)
