"""One estimand under the posterior and under the prior: densities back to back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import ResultError, listed
from bayesmargins.habits import taught
from bayesmargins.plots.drawing import (
    COLOURS,
    all_on_one_scale,
    caption,
    common_scale,
    new_axes,
    null_of,
    points_and_limits,
    row_labels,
)
from bayesmargins.tables import check_null, draws_of, in_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_prior_posterior"]


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
    results, others = all_on_one_scale({"posterior": posterior, "prior": prior})
    scale = common_scale(results)
    _check_kinds(results)
    tables = {name: points_and_limits(d, point, ci_prob, ci_kind) for name, d in results.items()}
    labels = _same_entries(results, tables)
    draws = {name: _finite_draws(d) for name, d in results.items()}
    low, high = _window(draws)
    ax = new_axes(ax, (7.2, 1.2 + 0.9 * len(labels)))
    for name, colour, side in (("posterior", COLOURS[0], -1), ("prior", "0.45", 1)):
        for row, values in enumerate(draws[name]):
            _half_density(ax, values[(values >= low) & (values <= high)], row, side, colour)
        y = np.arange(len(labels)) + 0.07 * side
        reach = np.abs(tables[name][["lower", "upper"]].to_numpy().T - tables[name]["point"].to_numpy())
        ax.errorbar(tables[name]["point"], y, xerr=reach, fmt="o", markersize=4, color=colour, label=name)
    line = null_of(results) if null is None else null
    if line is not None:
        ax.axvline(line, color="0.6", linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(labels)), labels)
    ax.set(xlabel=scale, xlim=(low, high), ylim=(len(labels) - 0.5, -0.5))
    outside = float(np.mean(np.concatenate([(v < low) | (v > high) for v in draws["prior"]])))
    if outside >= 0.01:
        note = f"{100 * outside:.0f} % of the prior lies outside"
        ax.text(1.0, 1.02, note, transform=ax.transAxes, ha="right", va="bottom", color="0.45")
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.1)
    caption(ax, in_words(point, ci_prob, ci_kind), others)
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
    labels, others = (row_labels(results[name], tables[name]) for name in ("posterior", "prior"))
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
