"""Comparisons and slopes over other variables: an effect along a moderator, or along a dose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import xarray as xr

from bayesmargins.errors import EstimandError, shown
from bayesmargins.estimands import avg_comparisons, avg_predictions, avg_slopes
from bayesmargins.explained import PICTURE, QUESTION, SIDES, SLOPE, explained
from bayesmargins.habits import taught
from bayesmargins.hypothesis.hypotheses import hypotheses
from bayesmargins.imputations import Imputed
from bayesmargins.plots.axes_asked import (
    Rows,
    asked_on_rows,
    axis_values,
    first_of,
    is_posterior,
    name_of,
    places_asked,
)
from bayesmargins.plots.over import draw
from bayesmargins.plots.picture_cells import Cells
from bayesmargins.plots.placement import place
from bayesmargins.posterior import Posterior
from bayesmargins.schema import public_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_comparisons", "plot_slopes"]


@taught
@explained(QUESTION, SIDES, PICTURE)
def plot_comparisons(
    ds: Posterior | Imputed | xr.Dataset,
    variables: Any = None,
    *,
    over: str | Mapping[str, Any] | None = None,
    by: str | Mapping[str, Any] | None = None,
    facet: str | Sequence[str] | None = None,
    comparison: Any = None,
    cross: bool = False,
    highlight: Any = None,
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
    """How does an effect change over a moderator?

    Parameters
    ----------
    ds : Posterior, Imputed or Dataset
        A posterior: what `over`, `by` and `facet` name is set on all rows, and the effect is averaged over them within
        each draw, as ``avg_comparisons(post, variables, at=...)`` does. Or a result of comparisons or hypotheses.
    over : str or dict, optional
        Along the axis. Of a posterior a variable, or ``{"age": [20, 40, 60]}``; where it is the variable that changes
        itself, every value is compared with the lowest one (with the first one of a dict): a dose and its response. Of
        a result a dimension or coordinate.
    variables : str, list or dict, optional
        ...
    comparison : str or callable, optional
        ...
        Ratios stand on a logarithmic axis.

    Returns
    -------
    matplotlib Axes, or Figure where there are several panels
        With a dashed line where there is no effect.

    Raises
    ------
    ResultError
        No result of this package, more columns than a picture has places, or names that it does not have.
    EstimandError, DataError, GroupsError
        Of a posterior: as `avg_comparisons`.

    Examples
    --------
    >>> plot_comparisons(post, "trt", over="week").get_ylabel()
    'difference in probability'
    """
    rows = Rows(newdata, at, groups, group_weights, target, wts, random_seed)
    how: dict[str, Any] = {"point": point, "ci_prob": ci_prob, "ci_kind": ci_kind, "labels": labels}
    there = {"ax": ax, "figsize": figsize, "highlight": highlight}
    if not is_posterior(ds):
        rows.refuse("plot_comparisons", {"variables": variables, "comparison": comparison, "cross": cross})
        return _of_result(ds, (over, by, facet), how, there)
    _need(variables, "plot_comparisons", "avg_comparisons")
    asked: dict[str, Any] = {"comparison": "difference" if comparison is None else comparison}
    if over is not None and _same(variables, over):
        result = _dose(ds, over, places_asked(by, facet), rows, **asked)
        return _of_result(result, (name_of(over, "over"), name_of(by, "by"), _names(facet)), how, there)
    axes = axis_values(first_of(ds), over, places_asked(by, facet), rows, "over")
    result = asked_on_rows(avg_comparisons, ds, axes, rows, variables, **asked, cross=cross)
    return _of_result(result, (name_of(over, "over"), name_of(by, "by"), _names(facet)), how, there)


@taught
@explained(QUESTION, SLOPE, PICTURE)
def plot_slopes(
    ds: Posterior | Imputed | xr.Dataset,
    variables: Any = None,
    *,
    over: str | Mapping[str, Any] | None = None,
    by: str | Mapping[str, Any] | None = None,
    facet: str | Sequence[str] | None = None,
    slope: str | None = None,
    highlight: Any = None,
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
    """How does a slope change over a variable, its own or another?

    Parameters
    ----------
    ds : Posterior, Imputed or Dataset
        A posterior: what `over`, `by` and `facet` name is set on all rows, and the slope is averaged over them within
        each draw, as ``avg_slopes(post, variables, at=...)`` does. Or a result of slopes.
    variables : str or list of str, optional
        Of a posterior: numbers whose slopes are drawn.
    over : str or dict, optional
        Along the axis. Of a posterior a variable, or ``{"age": [20, 40, 60]}``; the variable itself shows where its
        curve is steep. Of a result a dimension or coordinate.

    Returns
    -------
    matplotlib Axes, or Figure where there are several panels
        With a dashed line where there is no slope.

    Raises
    ------
    ResultError
        No result of this package, more columns than a picture has places, or names that it does not have.
    EstimandError, DataError, GroupsError
        Of a posterior: as `avg_slopes`.

    Examples
    --------
    >>> plot_slopes(post, "week", over="trt").get_ylabel()
    'slope of probability (dY/dweek)'
    """
    rows = Rows(newdata, at, groups, group_weights, target, wts, random_seed)
    how: dict[str, Any] = {"point": point, "ci_prob": ci_prob, "ci_kind": ci_kind, "labels": labels}
    there = {"ax": ax, "figsize": figsize, "highlight": highlight}
    if not is_posterior(ds):
        rows.refuse("plot_slopes", {"variables": variables, "slope": slope})
        return _of_result(ds, (over, by, facet), how, there)
    _need(variables, "plot_slopes", "avg_slopes")
    axes = axis_values(first_of(ds), over, places_asked(by, facet), rows, "over")
    kind = "dydx" if slope is None else slope
    result = asked_on_rows(avg_slopes, ds, axes, rows, variables, slope=kind)
    return _of_result(result, (name_of(over, "over"), name_of(by, "by"), _names(facet)), how, there)


def _of_result(
    ds: xr.Dataset, places: tuple[Any, Any, Any], how: Mapping[str, Any], there: Mapping[str, Any]
) -> Axes | Figure:
    cells = Cells.of(ds, **how)
    over, by, facet = (_public(p) for p in places)
    return draw(cells, place(cells, over, by, facet), **there)


def _public(name: Any) -> Any:
    """Names of variables as the result has them."""
    if isinstance(name, str):
        return public_name(name)
    return [public_name(n) for n in name] if isinstance(name, list) else name


def _names(facet: Any) -> Any:
    names = [name_of(one, "facet") for one in (facet if isinstance(facet, list | tuple) else [facet])]
    return names[0] if len(names) == 1 else names


def _need(variables: Any, function: str, question: str) -> None:
    if variables is None:
        raise EstimandError(
            f"{function}(post, variables) needs what changes, such as {function}(post, 'trt', over='age'). "
            f"plot_forest({question}(post)) has every variable below each other."
        )


def _same(variables: Any, over: Any) -> bool:
    """Whether the effect runs over the very variable that changes."""
    return isinstance(variables, str) and variables == name_of(over, "over")


def _dose(post: Any, over: Any, others: Sequence[tuple[str, Any]], rows: Rows, comparison: Any) -> xr.Dataset:
    """Every value held against the first one, along the values themselves."""
    if not isinstance(comparison, str):
        raise EstimandError(f"comparison={shown(comparison)}; over the variable itself it is 'difference' or 'ratio'.")
    axes = axis_values(first_of(post), over, others, rows, "over")
    name = public_name(next(iter(axes)))
    curves = avg_predictions(post, **rows.question(axes))
    held = hypotheses(curves, "reference", along=name, comparison=comparison)
    values = next(iter(axes.values()))[1:]
    return held.assign_coords({name: ("contrast", values)}).swap_dims(contrast=name).drop_vars(["contrast", "term"])
