"""Pictures of results: the same numbers as `summary`, drawn with matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import ResultError, close_matches, listed, shown
from bayesmargins.habits import taught
from bayesmargins.schema import ESTIMATE, SAMPLE_DIMS, check_result
from bayesmargins.tables import (
    check_null,
    draws_of,
    in_words,
    interval,
    labels_along,
    on_one_scale,
    point_estimate,
    scale_of,
)
from bayesmargins.values import is_word

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["has_curves", "plot_forest", "plot_predictions", "plot_prior_posterior"]

# Okabe & Ito (2008): told apart with any colour vision, and in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")


_CAPTION = "bayesmargins-caption"


@taught
def plot_predictions(
    ds: xr.Dataset,
    x: str | None = None,
    colour: str | None = None,
    point: str = "median",
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """How does the expected response run over a variable?

    Parameters
    ----------
    ds : Dataset
        Averaged predictions with one or two dimensions beside chain and draw (`at` or `by`), or predictions of rows
        with the columns of newdata as coordinates.
    x : str, optional
        Dimension or coordinate along the axis; the numeric dimension with the most values by default.
    colour : str, optional
        Dimension or coordinate that tells curves apart; the other dimension by default.
    point, ci_prob, ci_kind
        As for `summary`.
    ax : matplotlib Axes, optional
        Drawn on, in place of a new one.

    Returns
    -------
    matplotlib Axes
        Curves with interval bands over a number, points with intervals over a factor. A line beneath says which point
        estimate and interval they are, and what is not drawn because it is on another scale.

    Raises
    ------
    ResultError
        No result of this package, more dimensions than a picture has, or names that it does not have.

    Examples
    --------
    >>> plot_predictions(avg_predictions(post, at={"week": [0, 6], "trt": ["placebo", "drug"]})).get_xlabel()
    'week'
    """
    ds, others = on_one_scale(check_result(ds))
    table = _table(ds, point, ci_prob, ci_kind)
    x, colour = _axes_of(ds, table, x, colour)
    ax = _new_axes(ax, (6.4, 4.2))
    numeric = _is_number(table[x])
    curves = [(None, table)] if colour is None else list(table.groupby(colour, sort=False))
    order = list(dict.fromkeys(table[x]))
    for k, (label, curve) in enumerate(curves):
        style = {"color": COLOURS[k % len(COLOURS)], "label": None if label is None else str(label)}
        if numeric:
            _curve(ax, curve.sort_values(x), x, style)
        else:
            _points(ax, curve, np.array([order.index(v) for v in curve[x]]) + _dodge(k, len(curves)), style)
    if not numeric:
        ax.set_xticks(range(len(order)), [str(v) for v in order])
    ax.set(xlabel=x, ylabel=scale_of(ds))
    if colour is not None:
        ax.legend(title=colour, frameon=False)
    _caption(ax, in_words(point, ci_prob, ci_kind), others)
    return ax


@taught
def plot_forest(
    ds: xr.Dataset | dict[str, xr.Dataset],
    point: str = "median",
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    null: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Which effects are there, with which intervals, one below the other?

    Parameters
    ----------
    ds : Dataset, or dict of str to Dataset
        A result; a dict puts several results with the same entries side by side, in one colour each.
    point, ci_prob, ci_kind
        As for `summary`.
    null : float, optional
        Where the reference line stands; 0 for differences, slopes and logarithms, 1 for ratios by default.
    ax : matplotlib Axes, optional
        Drawn on, in place of a new one.

    Returns
    -------
    matplotlib Axes
        A line beneath says which point estimate and interval are drawn, and which entries are not, because they are on
        another scale (the ratio of an attenuation).

    Raises
    ------
    ResultError
        No result of this package, none at all, or results on different scales.

    Examples
    --------
    >>> plot_forest(avg_comparisons(post, "trt")).get_xlabel()
    'difference in probability'
    """
    check_null(null)
    results, others = _on_one_scale(ds if isinstance(ds, dict) else {"": ds})
    scale = _common_scale(results)
    tables = {name: _table(d, point, ci_prob, ci_kind) for name, d in results.items()}
    labels = {name: _row_labels(results[name], t) for name, t in tables.items()}
    if len(results) > 1 and all(len(t) == 1 for t in tables.values()):
        # One entry each: the results themselves are the rows.
        tables, labels = {"": pd.concat(tables.values())}, {"": list(results)}
    order = list(dict.fromkeys(label for of_result in labels.values() for label in of_result))
    ax = _new_axes(ax, (7.2, 1.1 + 0.36 * len(order) * max(1.0, 0.6 * len(tables))))
    for k, (name, table) in enumerate(tables.items()):
        y = np.array([order.index(label) for label in labels[name]]) + _dodge(k, len(tables))
        reach = np.abs(table[["lower", "upper"]].to_numpy().T - table["point"].to_numpy())
        ax.errorbar(table["point"], y, xerr=reach, fmt="o", color=COLOURS[k % len(COLOURS)], capsize=3, label=name)
    line = _null(results) if null is None else null
    if line is not None:
        ax.axvline(line, color="0.6", linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(order)), order)
    ax.set(xlabel=scale, ylim=(len(order) - 0.5, -0.5))
    if len(tables) > 1:
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    _caption(ax, in_words(point, ci_prob, ci_kind), others)
    return ax


@taught
def plot_prior_posterior(
    prior: xr.Dataset,
    posterior: xr.Dataset,
    point: str = "median",
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    null: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """How much did the data say? One estimand, under the posterior and under the prior.

    Parameters
    ----------
    prior, posterior : Dataset
        Answers to the same question, asked of ``model.prior()`` and of ``model.fit()``.
    point, ci_prob, ci_kind
        As for `summary`.
    null : float, optional
        As for `plot_forest`.
    ax : matplotlib Axes, optional
        Drawn on, in place of a new one.

    Returns
    -------
    matplotlib Axes
        For each entry the density of the posterior above a line and that of the prior below it, each with point and
        interval, each as high as any other: heights compare nothing. The axis reaches at most four times the width of
        the posteriors beyond them; where the prior reaches farther, a note says how much of it lies outside.

    Raises
    ------
    ResultError
        No results of this package, results of different questions, or the two in the wrong order.

    Examples
    --------
    >>> prior = bm.GLMM(post.formula, post.design.data, family="bernoulli").prior(draws=200, random_seed=1)
    >>> plot_prior_posterior(avg_comparisons(prior, "trt"), avg_comparisons(post, "trt")).get_xlabel()
    'difference in probability'
    """
    check_null(null)
    results, others = _on_one_scale({"posterior": posterior, "prior": prior})
    scale = _common_scale(results)
    _check_kinds(results)
    tables = {name: _table(d, point, ci_prob, ci_kind) for name, d in results.items()}
    labels = _same_entries(results, tables)
    draws = {name: _finite_draws(d) for name, d in results.items()}
    low, high = _window(draws)
    ax = _new_axes(ax, (7.2, 1.2 + 0.9 * len(labels)))
    for name, colour, side in (("posterior", COLOURS[0], -1), ("prior", "0.45", 1)):
        for row, values in enumerate(draws[name]):
            _half_density(ax, values[(values >= low) & (values <= high)], row, side, colour)
        y = np.arange(len(labels)) + 0.07 * side
        reach = np.abs(tables[name][["lower", "upper"]].to_numpy().T - tables[name]["point"].to_numpy())
        ax.errorbar(tables[name]["point"], y, xerr=reach, fmt="o", markersize=4, color=colour, label=name)
    line = _null(results) if null is None else null
    if line is not None:
        ax.axvline(line, color="0.6", linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(labels)), labels)
    ax.set(xlabel=scale, xlim=(low, high), ylim=(len(labels) - 0.5, -0.5))
    outside = float(np.mean(np.concatenate([(v < low) | (v > high) for v in draws["prior"]])))
    if outside >= 0.01:
        note = f"{100 * outside:.0f} % of the prior lies outside"
        ax.text(1.0, 1.02, note, transform=ax.transAxes, ha="right", va="bottom", color="0.45")
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.1)
    _caption(ax, in_words(point, ci_prob, ci_kind), others)
    return ax


def _check_kinds(results: dict[str, xr.Dataset]) -> None:
    for name, ds in results.items():
        of = ds.attrs.get("draws", name)
        if of != name:
            raise ResultError(
                f"The {name}'s place holds a result of {of} draws; plot_prior_posterior(prior, posterior) takes "
                "that of model.prior() first."
            )
    asked = [[d.attrs.get(k) for k in ("kind", "groups", "target", "by", "at", "formula")] for d in results.values()]
    if asked[0] != asked[1]:
        raise ResultError(
            f"The two results answer different questions: {asked[0]} of the posterior and {asked[1]} of the prior "
            "(kind, groups, target, by, at, formula). Ask both the same."
        )


def _same_entries(results: dict[str, xr.Dataset], tables: dict[str, pd.DataFrame]) -> list[str]:
    labels, others = (_row_labels(results[name], tables[name]) for name in ("posterior", "prior"))
    if labels != others:
        raise ResultError(
            f"The posterior's result has the entries {listed(labels)}, the prior's {listed(others)}; both must be "
            "answers to one question."
        )
    return labels


def _finite_draws(ds: xr.Dataset) -> list[np.ndarray]:
    """Draws by entry, those left out that are not finite."""
    draws, _ = draws_of(ds)
    return [of[np.isfinite(of)] for of in draws.reshape(-1, draws.shape[-1]).T]


def _window(draws: dict[str, list[np.ndarray]]) -> tuple[float, float]:
    """The posterior, and of the prior what is not too far away to see the posterior beside it."""
    ranges = {}
    for name, share in (("posterior", 0.001), ("prior", 0.01)):
        limits = [np.quantile(v, (share, 1.0 - share)) for v in draws[name] if len(v)]
        if not limits:
            raise ResultError(f"The {name}'s result has no finite draws; there is nothing to draw.")
        ranges[name] = float(np.min(limits)), float(np.max(limits))
    low, high = ranges["posterior"]
    width = (high - low) or abs(low) or 1.0
    low, high = (
        low - min(max(low - ranges["prior"][0], 0.0), 4 * width),
        high + min(max(ranges["prior"][1] - high, 0.0), 4 * width),
    )
    margin = 0.02 * ((high - low) or 1.0)
    return low - margin, high + margin


def _half_density(ax: Axes, values: np.ndarray, row: int, side: int, colour: str) -> None:
    from arviz_stats.base import array_stats

    if len(values) < 2 or np.ptp(values) == 0.0:
        return
    grid, density, _ = array_stats.kde(values)
    height = 0.42 * density / density.max()
    ax.fill_between(grid, row, row + side * height, color=colour, alpha=0.3, linewidth=0)


def _new_axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    if ax is not None:
        if not hasattr(ax, "errorbar"):
            raise ResultError(
                f"ax={shown(ax)}; it must be one matplotlib Axes, such as plt.subplots()[1] or one entry of axes."
            )
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def _on_one_scale(results: dict[str, xr.Dataset]) -> tuple[dict[str, xr.Dataset], list[str]]:
    found = {name: on_one_scale(check_result(ds)) for name, ds in results.items()}
    return {name: ds for name, (ds, _) in found.items()}, list(
        dict.fromkeys(o for _, out in found.values() for o in out)
    )


def _caption(ax: Axes, said: str, others: list[str]) -> None:
    """Beneath the label of the axis, wherever that goes and whatever it says later."""
    lines = [said, *([f"not drawn, on another scale: {', '.join(others)}"] if others else [])]
    before = next((t for t in ax.texts if t.get_gid() == _CAPTION), None)
    if before is not None:  # of an earlier picture on these axes
        drawn = before.get_text().split("\n")
        before.set_text("\n".join([*drawn, *(line for line in lines if line not in drawn)]))
        return
    ax.annotate(
        "\n".join(lines),
        xy=(1.0, 0.0),
        xycoords=("axes fraction", ax.xaxis.label),  # type: ignore[arg-type]
        xytext=(0, -3),
        textcoords="offset points",
        ha="right",
        va="top",
        color="0.4",
        fontsize="small",
        gid=_CAPTION,
    )


def _table(ds: xr.Dataset, point: str, prob: float | None, kind: str | None) -> pd.DataFrame:
    """Point and limits of every entry, with all coordinates as columns."""
    draws, _ = draws_of(ds)
    centre = point_estimate(ds, point)
    flat = draws.reshape(-1, draws.shape[-1])
    lower, upper = interval(np.where(np.isfinite(flat), flat, np.nan), prob, kind)
    if not centre.dims:
        return pd.DataFrame({"point": [float(centre)], "lower": lower, "upper": upper})
    frame: pd.DataFrame = centre.to_dataframe("point").reset_index()
    return frame.assign(lower=lower, upper=upper)


def _axes_of(ds: xr.Dataset, table: pd.DataFrame, x: str | None, colour: str | None) -> tuple[str, str | None]:
    """x and colour as given; of what varies, the number with the most values is x and another variable the colour."""
    names = [c for c in table.columns if c not in ("point", "lower", "upper")]
    for name in (x, colour):
        if name is not None and not is_word(name, names):
            raise ResultError(f"The result has no {shown(name)}; it has {listed(names)}.{close_matches(name, names)}")
    varies = _variables(ds)
    if not has_curves(ds) and not (x and (colour or varies == ["row"])):
        raise ResultError(
            f"The result varies over {listed(varies) or 'nothing'}; a picture shows one or two dimensions. Give at= "
            "or by=, average or select the others, or name x and colour. plot_forest takes any result."
        )
    free = [v for v in varies if v not in (x, colour) and v != "row"]
    if x is None:
        x = max(free, key=lambda d: (_is_number(table[d]), table[d].nunique()))
        free.remove(x)
    return x, free[0] if colour is None and free else colour


def has_curves(ds: xr.Dataset) -> bool:
    """Whether `plot_predictions` can draw this result without being told the axes.

    Raises
    ------
    Nothing.
    """
    varies = _variables(ds)
    return 1 <= len(varies) <= 2 and "row" not in varies


def _variables(ds: xr.Dataset) -> list[str]:
    """Dimensions of the estimate; combinations of several columns by those columns."""
    dims = [str(d) for d in ds[ESTIMATE].dims if d not in SAMPLE_DIMS]
    columns = [str(n) for n, c in ds.coords.items() if c.dims == ("by",) and n != "by"]
    return [v for d in dims for v in (columns if d == "by" and columns else [d])]


def _is_number(series: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_bool_dtype(series.dtype)


def _curve(ax: Axes, table: pd.DataFrame, x: str, style: dict[str, Any]) -> None:
    ax.fill_between(table[x], table["lower"], table["upper"], color=style["color"], alpha=0.18, linewidth=0)
    ax.plot(table[x], table["point"], **style)


def _points(ax: Axes, table: pd.DataFrame, at: np.ndarray, style: dict[str, Any]) -> None:
    reach = np.abs(table[["lower", "upper"]].to_numpy().T - table["point"].to_numpy())
    ax.errorbar(at, table["point"], yerr=reach, fmt="o", capsize=3, **style)


def _dodge(k: int, n: int) -> float:
    return 0.0 if n == 1 else (k - (n - 1) / 2) * min(0.18, 0.7 / n)


def _common_scale(results: dict[str, xr.Dataset]) -> str:
    if not results:
        raise ResultError("The dict of results is empty; give at least one, such as {'new': ds}.")
    scales = list(dict.fromkeys(scale_of(check_result(d)) for d in results.values()))
    if len(scales) > 1:
        raise ResultError(f"The results are on the scales {listed(scales)}; one axis shows one scale. Plot them apart.")
    return scales[0]


def _null(results: dict[str, xr.Dataset]) -> float | None:
    """No effect: 1 for ratios, 0 for differences, slopes and logarithms; predictions have none."""
    attrs = next(iter(results.values())).attrs
    named = attrs.get("kind") == "hypotheses" and "comparison" in attrs
    if not (named or attrs.get("kind") in ("comparisons", "slopes", "coefficients")):
        return None
    return 1.0 if attrs.get("comparison") in ("ratio", "or") else 0.0


def _row_labels(ds: xr.Dataset, table: pd.DataFrame) -> list[str]:
    """``drug - placebo, week 6``: contrasts speak for themselves, other entries say what they are of."""
    names = [n for v in _variables(ds) for n in (labels_along(ds, v) if v == "row" else [v])]
    if not names:
        return [ESTIMATE]
    if "contrast" in names and "term" in table and table["term"].nunique() > 1:
        said = [x if t in x else f"{t}: {x}" for t, x in zip(table["term"], table["contrast"], strict=True)]
        table = table.assign(contrast=said)
    rows = table[names].itertuples(index=False)
    return [
        ", ".join(str(v) if n in _SPEAKING else f"{n} {_short(v)}" for n, v in zip(names, row, strict=True))
        for row in rows
    ]


_SPEAKING = ("contrast", "coef", "quantity")  # labels that say what they are


def _short(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)
