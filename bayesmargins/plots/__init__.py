"""Pictures of results: the same numbers as `summary`, drawn with matplotlib.

A file each: `curves`, `forest`, `prior_posterior`, on `drawing`, which they share.
"""

from bayesmargins.plots.curves import has_curves, plot_predictions
from bayesmargins.plots.forest import plot_forest
from bayesmargins.plots.prior_posterior import plot_prior_posterior

__all__ = ["has_curves", "plot_forest", "plot_predictions", "plot_prior_posterior"]
