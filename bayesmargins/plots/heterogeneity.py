"""How an effect is distributed over groups."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import ResultError, listed
from bayesmargins.estimands import avg_comparisons, avg_slopes, heterogeneity
from bayesmargins.explained import HETEROGENEITY, PICTURE, QUESTION, SIDES, explained
from bayesmargins.habits import taught
from bayesmargins.imputations import Imputed
from bayesmargins.plots.axes_asked import Rows, first_of, is_posterior
from bayesmargins.plots.fitting_text import small_letters, wrapped
from bayesmargins.plots.group_picture import others_of, the_factor
from bayesmargins.plots.marks import INTERVAL, POINT, axis_of_ratios, null_line
from bayesmargins.plots.over import of_what
from bayesmargins.plots.panels import Panels
from bayesmargins.plots.picture_cells import Cells
from bayesmargins.plots.quoted import quoted, share_of, text_of
from bayesmargins.plots.styles import COLOURS
from bayesmargins.posterior import Posterior
from bayesmargins.schema import check_result
from bayesmargins.values import switch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_heterogeneity"]

_DIM = "statistic"
_QUANTILE = re.compile(r"q(\d+\.?\d*)")
_PROBS = (0.01, *(round(0.05 * k, 2) for k in range(1, 20)), 0.99)
_MOST = 100  # fitted groups that are drawn


@taught
@explained(PICTURE, QUESTION, SIDES, HETEROGENEITY)
def plot_heterogeneity(
    ds: Posterior | Imputed | xr.Dataset,
    variables: Any = None,
    *,
    over: str | None = None,
    estimand: str = "comparisons",
    fitted: bool = True,
    quantiles: Sequence[float] = _PROBS,
    null: float | None = None,
    by: str | Sequence[str] | Mapping[str, Any] | None = None,
    comparison: str = "difference",
    cross: bool = False,
    slope: str = "dydx",
    newdata: Any = None,
    at: Mapping[str, Any] | None = None,
    groups: Any = None,
    group_weights: str | None = None,
    target: Any = None,
    wts: Any = None,
    random_seed: int | None = None,
    point: str = "median",
    ci_prob: float | Sequence[float] | None = None,
    ci_kind: str | None = None,
    labels: Mapping[str, str] | None = None,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Axes | Figure:
    """How does an effect vary from group to group?

    Parameters
    ----------
    ds : Posterior, Imputed or Dataset
        A posterior, of which ``heterogeneity(post, variables, ...)`` is asked; or what that returned.
    fitted : bool
        Of a posterior: draws the fitted groups' own effects too (of up to 100 groups), each over the same rows.
    quantiles : sequence of float
        Of the effect over groups, between 0 and 1, through which the curve is drawn: by default 21 from 0.01 to 0.99.

    Returns
    -------
    matplotlib Axes, or Figure where there are several panels
        The curve rises from 0 to 1. At each effect it shows the share of new groups whose own effect is smaller; it
        runs through the quantiles, with their intervals along x. Above it stand the mean and the standard deviation
        over groups, and the share of groups with an effect above the null.

    Raises
    ------
    ResultError
        No result of `heterogeneity`, or one with fewer than two quantiles or more than two columns beside.
    EstimandError, DataError, GroupsError
        Of a posterior: as `heterogeneity`.

    Examples
    --------
    >>> plot_heterogeneity(post, {"trt": ("placebo", "drug")}).get_xlabel()
    'difference in probability within a group of ID (drug - placebo)'
    """
    how: dict[str, Any] = {"point": point, "ci_prob": ci_prob, "ci_kind": ci_kind}
    rows = Rows(newdata, at, groups, group_weights, target, wts, random_seed)
    each, said, fitted = None, "", switch("fitted", fitted, ResultError)
    if is_posterior(ds):
        post: Any = ds
        kinds: dict[str, Any] = {"estimand": estimand, "comparison": comparison, "cross": cross, "slope": slope}
        factor = the_factor(first_of(post), over, "over")
        ds = heterogeneity(post, variables, over=factor, by=by, quantiles=quantiles, null=null, **kinds, **rows.given())
        if fitted and factor in first_of(post).b:
            each, said = _fitted(post, variables, factor, by, kinds, rows, how)
    else:
        rows.refuse("plot_heterogeneity", {"variables": variables, "over": over, "by": by, "null": null})
        ds = check_result(ds)
    cells = Cells.of(ds, **how, labels=labels)
    return _draw(cells, _quantiles(cells), quoted(ds, how), each, said, ax, figsize)


def _fitted(
    post: Any,
    variables: Any,
    factor: str,
    by: Any,
    kinds: Mapping[str, Any],
    rows: Rows,
    how: Mapping[str, Any],
) -> tuple[Cells, str]:
    """The effect within each fitted group, over the same rows for all."""
    one = first_of(post)
    levels = list(one.design.factors[factor].levels)
    chosen = [levels[i] for i in np.unique(np.linspace(0, len(levels) - 1, min(len(levels), _MOST)).astype(int))]
    asked = {k: v for k, v in rows.given().items() if k != "groups"}
    asked |= {"by": by, "groups": {factor: chosen, **others_of(one, factor, rows.groups)}}
    if kinds["estimand"] == "slopes":
        found = avg_slopes(post, variables, slope=kinds["slope"], **asked)
    else:
        found = avg_comparisons(post, variables, comparison=kinds["comparison"], cross=kinds["cross"], **asked)
    some = f"{len(chosen)} of the {len(levels)}" if len(chosen) < len(levels) else f"the {len(levels)}"
    return Cells.of(found, **how), f"circles: {some} fitted groups' own effects, in order"


def _quantiles(cells: Cells) -> np.ndarray:
    """The probability of each entry that is a quantile, NaN of the others: (entry,)."""
    if cells.about.kind != "heterogeneity" or _DIM not in cells.columns:
        raise ResultError(
            f"plot_heterogeneity draws what heterogeneity(post, ...) returned, got a result of "
            f"{cells.about.kind}; it takes the posterior too: plot_heterogeneity(post, 'trt')."
        )
    found = [_QUANTILE.fullmatch(str(s)) for s in cells.columns[_DIM]]
    probs = np.array([np.nan if m is None else float(m[1]) / 100 for m in found])
    if len(np.unique(probs[np.isfinite(probs)])) < 2:
        raise ResultError(
            "The result has fewer than two quantiles: ask heterogeneity(..., quantiles=(0.05, 0.5, 0.95))"
        )
    return probs


def _draw(
    cells: Cells, probs: np.ndarray, told: pd.DataFrame, each: Cells | None, said: str, ax: Any, figsize: Any
) -> Axes | Figure:
    others = [c for c in cells.varies if c != _DIM]
    if len(others) > 2:
        raise ResultError(
            f"The result varies over {listed(others)}, and this picture has panels for two of them: select a value of "
            "the others, such as with ds.sel, or leave them out of the question."
        )
    across, down = (*others, None, None)[:2]
    n = len(cells.levels(across)) if across else 1
    usual = (5.2, 4.0) if n == 1 else None
    panels = Panels.of(cells, across, down, ax, figsize, usual)
    for axes, values in panels.axes:
        here = np.ones(len(cells), dtype=bool)
        for column, value in values.items():
            here &= (cells.columns[column] == value).to_numpy()
        some = np.flatnonzero(here & np.isfinite(probs))
        _curve(axes, cells.take(some), probs[some])
        _circles(axes, each, values)
        null_line(axes, cells.about.null, "x")
        axis_of_ratios(axes, cells.take(some), "x")
        axes.set_ylim(-0.03, 1.03)
    over = cells.about.over or ""
    scale = of_what(cells, [*others, _DIM])
    head, _, shared = scale.partition(" (")
    name = f"{head} within a group of {cells.name(over)}{f' ({shared}' if shared else ''}"
    panels.label(name, "share of new groups with a smaller effect")
    _titles(panels, told)
    panels.caption("; ".join(s for s in (cells.said, said) if s))
    return panels.finished()


def _curve(axes: Axes, cells: Cells, probs: np.ndarray) -> None:
    """Through the quantiles, with a band an interval along x."""
    order = np.argsort(probs)
    cells, probs = cells.take(order), probs[order]
    for lower, upper in cells.limits:
        axes.fill_betweenx(probs, lower, upper, color=COLOURS[0], alpha=0.18, linewidth=0, gid=INTERVAL)
    marker = "o" if len(probs) <= 12 else None
    axes.plot(cells.point, probs, color=COLOURS[0], linewidth=1.6, marker=marker, markersize=4, gid=POINT)


def _circles(axes: Axes, each: Cells | None, values: Mapping[str, Any]) -> None:
    """The fitted groups in the order of their effects, each at its share."""
    if each is None:
        return
    for column, value in values.items():
        each = each.where(column, value) if column in each.columns else each
    points = np.sort(each.point[np.isfinite(each.point)])
    at = (np.arange(len(points)) + 0.5) / max(len(points), 1)
    axes.scatter(points, at, s=14, facecolors="none", edgecolors="0.3", linewidths=0.8, zorder=3)


def _titles(panels: Panels, told: pd.DataFrame) -> None:
    """Above each panel mean and sd over groups, and the share above the null."""
    room = 0.85 * (panels.figure.get_size_inches()[0] / panels.columns - 0.5)
    for axes, values in panels.axes:
        here = told
        for column, value in values.items():
            here = here[(here[column] == value).to_numpy()]
        lines = [axes.get_title(loc="left"), *_in_words(here, alone=len(panels.axes) == 1)]
        text = "\n".join(wrapped(line, room, small_letters(panels.figure)) for line in lines if line)
        if len(panels.axes) > 1:
            axes.set_title(text, fontsize=small_letters(panels.figure), loc="left")
        else:
            panels.above(text)


def _in_words(told: pd.DataFrame, alone: bool) -> list[str]:
    """``mean 0.20 [0.11, 0.29], sd ...``; ``0.83 [0.71, 0.93] of new groups have an effect above 0``."""
    moments, shares = [], []
    for name, *numbers in told[[_DIM, "point", "lower", "upper"]].itertuples(index=False):
        if name in ("mean", "sd"):
            moments.append(f"{name}\u00a0{text_of(*numbers)}")
        elif "share" in name:
            null, said = name.partition("> ")[2], share_of(*numbers)
            shares.append(f"{said} of new groups have an effect above {null}" if alone else f"above {null}: {said}")
    return [*([", ".join(moments)] if alone else moments), *shares]
