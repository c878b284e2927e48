"""Which picture fits a result: chosen from its kind and from what varies in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

from bayesmargins.plots.attenuation import plot_attenuation
from bayesmargins.plots.category_picture import plot_categories
from bayesmargins.plots.effect_pictures import plot_comparisons, plot_slopes
from bayesmargins.plots.forest import plot_forest
from bayesmargins.plots.heterogeneity import plot_heterogeneity
from bayesmargins.plots.picture_cells import all_columns, numbers_among, varying
from bayesmargins.plots.predictions import plot_predictions
from bayesmargins.plots.surface import plot_surface
from bayesmargins.plots.survival_picture import plot_survival
from bayesmargins.provenance import provenance_of
from bayesmargins.schema import check_result

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["picture_of"]

_LINE = 3  # values of a number that make a curve
_PLACES = 4
_GRID = 12  # values of each of two numbers that make a surface
_UPRIGHT = 12  # levels that still stand beside each other


def picture_of(ds: xr.Dataset) -> Callable[..., Any]:
    """The function that draws this result."""
    ds = check_result(ds)
    kind = provenance_of(ds).kind or ""
    if kind in _BY_KIND:
        along, whole, picture = _BY_KIND[kind]
        return picture if ds.sizes.get(along, 0) >= whole else plot_forest
    columns, varies = all_columns(ds), varying(ds)
    if "row" in varies or not 1 <= len(varies) <= _PLACES:
        return plot_forest
    if kind == "predictions" and "category" in varies:
        return plot_categories
    if kind == "predictions" and "time" in varies and str(provenance_of(ds).target).startswith("survival("):
        return plot_survival
    counts = {v: columns[v].nunique() for v in varies}
    numbers = [v for v in varies if v in numbers_among(ds, columns)]
    curved = any(counts[v] >= _LINE for v in numbers)
    if len(varies) == len(numbers) == 2 and min(counts.values()) >= _GRID:
        return plot_surface
    if kind == "predictions":
        return plot_predictions if curved or max(counts.values()) <= _UPRIGHT else plot_forest
    effects = plot_slopes if kind == "slopes" else plot_comparisons
    return effects if curved else plot_forest


_BY_KIND: dict[str, tuple[str, int, Callable[..., Any]]] = {
    "attenuation": ("groups", 4, plot_attenuation),
    "heterogeneity": ("statistic", 5, plot_heterogeneity),
}
"""The dimension that makes the picture, and how many entries a result has along it from which nothing was selected."""
