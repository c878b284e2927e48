"""Predictions over up to four variables, with the data and the groups behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import xarray as xr

from bayesmargins.errors import EstimandError, ResultError, listed, shown
from bayesmargins.estimands import avg_predictions
from bayesmargins.explained import PICTURE, QUESTION, explained
from bayesmargins.habits import taught
from bayesmargins.imputations import Imputed
from bayesmargins.plots.axes_asked import (
    Rows,
    asked_on_rows,
    axis_values,
    first_of,
    is_posterior,
    name_of,
    places_asked,
    refuse_rows,
)
from bayesmargins.plots.behind import Backdrop
from bayesmargins.plots.over import draw
from bayesmargins.plots.picture_cells import Cells
from bayesmargins.plots.placement import place
from bayesmargins.posterior import Posterior
from bayesmargins.schema import public_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_predictions"]


@taught
@explained(QUESTION, PICTURE)
def plot_predictions(
    ds: Posterior | Imputed | xr.Dataset,
    x: str | Mapping[str, Any] | None = None,
    colour: str | None = None,
    point: str = "median",
    ci_prob: float | Sequence[float] | None = None,
    ci_kind: str | None = None,
    ax: Axes | None = None,
    *,
    by: str | Mapping[str, Any] | None = None,
    facet: str | Sequence[str] | None = None,
    data: bool = False,
    means: str | None = None,
    curves: str | None = None,
    highlight: Any = None,
    newdata: Any = None,
    at: Mapping[str, Any] | None = None,
    groups: Any = None,
    group_weights: str | None = None,
    target: Any = None,
    wts: Any = None,
    random_seed: int | None = None,
    labels: Mapping[str, str] | None = None,
    figsize: tuple[float, float] | None = None,
) -> Axes | Figure:
    """How does the expected response change over a variable?

    Parameters
    ----------
    ds : Posterior, Imputed or Dataset
        A posterior: the variables of the picture are set on all rows, which are then averaged within each draw, as
        ``avg_predictions(post, at=...)`` does. Or a result: averaged predictions of up to four dimensions (`at`, `by`),
        or predictions of rows with the columns of newdata as coordinates.
    colour : str, optional
        Of a result: what tells curves apart, as `by` does.
    by : str or dict, optional
        ...
        A grouping factor draws the fitted groups' own curves beneath the one that `groups` asks for.
    data : bool
        Of a posterior: draws the rows of the fit too. Numbers are points, trials are circles of their size, 0 and 1 are
        shares in ten bins (circles, by the number of rows) with the rows along both borders.
    means : str, optional
        A grouping factor: the mean response of each group, at its mean x.
    curves : str, optional
        A grouping factor: the fitted groups' own curves as thin lines (medians; of up to 100 groups), each averaged
        over its own rows.

    Returns
    -------
    matplotlib Axes, or Figure where there are several panels
        Lines with bands over a number, points with bars over levels. No line joins entries that differ in another
        column than x. A line beneath says which point estimate and interval are drawn, and what is left out because it
        is on another scale.

    Raises
    ------
    ResultError
        No result of this package, more columns than a picture has places, or names that it does not have.
    EstimandError, DataError, GroupsError
        Of a posterior: as `avg_predictions`.

    Notes
    -----
    Of the columns of a result x is the number with the most values (or else the column with the most levels), the next
    one is colour, then come panels beside and below each other.

    Examples
    --------
    >>> plot_predictions(post, "week", by="trt", data=True).get_xlabel()
    'week'
    >>> plot_predictions(avg_predictions(post, at={"week": [0, 6], "trt": ["placebo", "drug"]})).get_xlabel()
    'week'
    """
    rows = Rows(newdata, at, groups, group_weights, target, wts, random_seed)
    how: dict[str, Any] = {"point": point, "ci_prob": ci_prob, "ci_kind": ci_kind, "labels": labels}
    there = {"ax": ax, "figsize": figsize, "highlight": highlight}
    if not is_posterior(ds):
        rows.refuse("plot_predictions", {"data": data, "means": means, "curves": curves})
        cells = Cells.of(ds, **how)
        return draw(cells, place(cells, x, _one_of(by, colour), facet), **there)
    return _of_posterior(ds, x, _one_of(by, colour), facet, rows, (data, means, curves), how, there)


def _one_of(by: Any, colour: Any) -> Any:
    """by= and colour= are one thing."""
    if by is not None and colour is not None:
        raise ResultError(f"by={shown(by)} and colour={shown(colour)} are the same place: give one of the two.")
    return colour if by is None else by


def _of_posterior(
    post: Posterior | Imputed,
    x: Any,
    by: Any,
    facet: Any,
    rows: Rows,
    wanted: tuple[bool, str | None, str | None],
    how: Mapping[str, Any],
    there: Mapping[str, Any],
) -> Axes | Figure:
    (data, means, curves), one = wanted, first_of(post)
    if isinstance(by, str) and by in one.design.factors and by not in one.design.columns:
        curves, by = by, None
    refuse_rows("plot_predictions", post, {"data": data, "means": means, "curves": curves})
    if x is None:
        raise EstimandError(
            f"plot_predictions(post, x) needs the variable along the axis, one of {listed(one.design.columns)}."
        )
    others = places_asked(by, facet)
    axes = axis_values(one, x, others, rows)
    cells = Cells.of(asked_on_rows(avg_predictions, post, axes, rows), **how)
    named = (name_of(asked, argument) for argument, asked in [("x", x), *others])
    shown_at = [None if name is None else public_name(name) for name in named]
    across: Any = shown_at[2] if len(shown_at) < 4 or shown_at[3] is None else shown_at[2:4]
    placement = place(cells, shown_at[0], shown_at[1], across)
    behind = Backdrop.of(one, cells, axes, rows, data, means, curves)
    return draw(cells, placement, **there, behind=behind.draw if behind else None, said=behind.said if behind else "")
