"""Pictures of results: the same numbers as `summary`, drawn with matplotlib.

A picture is made in four steps, a file each: `axes_asked` (the question, where a posterior is given), `picture_cells`
(the entries with their points and intervals), `placement` (which column goes where), `panels` (the figure). `over`
joins them for curves and points; pictures of another kind have a file each.
"""

from bayesmargins.plots.attenuation import plot_attenuation
from bayesmargins.plots.category_picture import plot_categories
from bayesmargins.plots.check_picture import plot_check
from bayesmargins.plots.density_picture import plot_densities
from bayesmargins.plots.effect_pictures import plot_comparisons, plot_slopes
from bayesmargins.plots.forest import plot_forest
from bayesmargins.plots.group_picture import plot_groups
from bayesmargins.plots.heterogeneity import plot_heterogeneity
from bayesmargins.plots.inline import inline
from bayesmargins.plots.picture import picture_of
from bayesmargins.plots.predictions import plot_predictions
from bayesmargins.plots.prior_posterior import plot_prior_posterior
from bayesmargins.plots.sensitivity_pictures import plot_sensitivity
from bayesmargins.plots.surface import plot_surface
from bayesmargins.plots.survival_picture import plot_survival

__all__ = [
    "inline",
    "picture_of",
    "plot_attenuation",
    "plot_categories",
    "plot_check",
    "plot_comparisons",
    "plot_densities",
    "plot_forest",
    "plot_groups",
    "plot_heterogeneity",
    "plot_predictions",
    "plot_prior_posterior",
    "plot_sensitivity",
    "plot_slopes",
    "plot_surface",
    "plot_survival",
]
