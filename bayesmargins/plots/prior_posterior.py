"""One estimand under the posterior and under the prior: densities back to back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from bayesmargins.errors import ResultError, listed
from bayesmargins.explained import PICTURE, explained
from bayesmargins.habits import taught
from bayesmargins.plots.listing import Listing, furnish
from bayesmargins.plots.marks import axis_of_ratios, bars, null_line
from bayesmargins.plots.panels import Panels
from bayesmargins.plots.picture_cells import Cells
from bayesmargins.plots.shapes import density, finite_draws
from bayesmargins.plots.side_by_side import common_scale, together
from bayesmargins.plots.styles import COLOURS, GREY, Style
from bayesmargins.provenance import provenance_of
from bayesmargins.schema import check_result
from bayesmargins.tables import check_null

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_prior_posterior"]

_STYLES = {"posterior": Style(COLOURS[0]), "prior": Style(GREY, marker="s")}
_SIDES = {"posterior": -1, "prior": 1}
_TALL = 0.42  # rows, of every density


@taught
@explained(PICTURE)
def plot_prior_posterior(
    prior: xr.Dataset,
    posterior: xr.Dataset,
    point: str = "median",
    ci_prob: float | Sequence[float] | None = None,
    ci_kind: str | None = None,
    null: float | None = None,
    ax: Axes | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    figsize: tuple[float, float] | None = None,
) -> Axes:
    """How much did the data say? One estimand, under the posterior and under the prior.

    Parameters
    ----------
    prior : Dataset
        The answer to a question asked of ``model.prior()``.
    posterior : Dataset
        The answer to the same question, asked of ``model.fit()``.

    Returns
    -------
    matplotlib Axes
        For each entry the density of the posterior stands above a line and that of the prior below it, each with point
        and interval. All are equally high: heights compare nothing. The axis reaches beyond the posteriors by at most
        four times their width (of their logarithms if it is logarithmic). If the prior reaches farther, the line
        beneath says how much of it lies outside.

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
    results = {"posterior": check_result(posterior), "prior": check_result(prior)}
    common_scale(results)
    _check_kinds(results)
    each = {name: Cells.of(ds, point, ci_prob, ci_kind, labels) for name, ds in results.items()}
    listing = _one_listing(each)
    both = together(list(each), list(each.values()))
    panels = Panels.of(both, ax=ax, figsize=figsize, usual=listing.size(0.8))
    axes = panels.axes[0][0]
    axis_of_ratios(axes, both, "x")
    logarithmic = axes.get_xscale() == "log"
    draws = {name: finite_draws(cells.draws) for name, cells in each.items()}
    low, high = _window(draws, logarithmic)
    for name, cells in each.items():
        for base, values in zip(listing.at, draws[name], strict=True):
            inside = values[(values >= low) & (values <= high)]
            _half_density(axes, inside, base, _SIDES[name], _STYLES[name].colour, logarithmic)
        bars(axes, listing.at + 0.07 * _SIDES[name], cells, _STYLES[name], name, flat=True)
    null_line(axes, both.null if null is None else null, "x")
    axes.set_xlim(low, high)
    furnish(panels, listing, both, [_outside(draws["prior"], low, high)], "")
    return axes


def _outside(draws: list[np.ndarray], low: float, high: float) -> str:
    share = float(np.mean(np.concatenate([(v < low) | (v > high) for v in draws])))
    return f"{100 * share:.0f} % of the prior lies outside" if share >= 0.01 else ""


def _check_kinds(results: dict[str, xr.Dataset]) -> None:
    for name, ds in results.items():
        of = provenance_of(ds).draws or name
        if of != name:
            raise ResultError(
                f"The {name}'s place holds a result of {of} draws; plot_prior_posterior(prior, posterior) takes "
                "that of model.prior() first."
            )
    said = [provenance_of(ds).to_attrs() for ds in results.values()]
    asked = [[of.get(k) for k in ("kind", "groups", "target", "by", "at", "formula")] for of in said]
    if asked[0] != asked[1]:
        raise ResultError(
            f"The two results answer different questions: {asked[0]} of the posterior and {asked[1]} of the prior "
            "(kind, groups, target, by, at, formula). Ask both the same."
        )


def _one_listing(each: Mapping[str, Cells]) -> Listing:
    """The entries of the posterior, which must be those of the prior."""
    posterior, prior = (Listing.of(each[name]) for name in ("posterior", "prior"))
    labels, others = ([line.text for line in of.lines] for of in (posterior, prior))
    if labels != others:
        raise ResultError(
            f"The posterior's result has the entries {listed(labels)}, the prior's {listed(others)}; both must be "
            "answers to one question."
        )
    return posterior


def _window(draws: Mapping[str, list[np.ndarray]], logarithmic: bool) -> tuple[float, float]:
    """The posterior, and of the prior what is not too far away to see the posterior beside it."""
    ranges = {}
    for name, share in (("posterior", 0.001), ("prior", 0.01)):
        limits = [np.quantile(v, (share, 1.0 - share)) for v in draws[name] if len(v)]
        if not limits:
            raise ResultError(f"The {name}'s result has no finite draws; there is nothing to draw.")
        ends = float(np.min(limits)), float(np.max(limits))
        ranges[name] = (float(np.log(ends[0])), float(np.log(ends[1]))) if logarithmic else ends
    low, high = ranges["posterior"]
    width = (high - low) or abs(low) or 1.0
    low, high = (
        low - min(max(low - ranges["prior"][0], 0.0), 4 * width),
        high + min(max(ranges["prior"][1] - high, 0.0), 4 * width),
    )
    margin = 0.02 * ((high - low) or 1.0)
    low, high = low - margin, high + margin
    return (float(np.exp(low)), float(np.exp(high))) if logarithmic else (low, high)


def _half_density(ax: Axes, values: np.ndarray, row: float, side: int, colour: str, logarithmic: bool) -> None:
    found = density(values, logarithmic)
    if found is not None:
        grid, height = found
        ax.fill_between(grid, row, row + side * _TALL * height / height.max(), color=colour, alpha=0.3, linewidth=0)
