"""Effects from Bayesian mixed models: predictions, comparisons and slopes with the groups integrated out."""

from bayesmargins.accessor import Margins as _Margins  # registers ds.margins  # noqa: F401
from bayesmargins.adapters import from_bambi, from_brms, from_draws, from_pymc, from_statsmodels
from bayesmargins.datasets import list_datasets, load_dataset
from bayesmargins.errors import (
    BayesmarginsError,
    BayesmarginsWarning,
    DataError,
    EstimandError,
    FitError,
    FormulaError,
    GroupsError,
    IntegrationError,
    ModelError,
    PosteriorError,
    ResultError,
)
from bayesmargins.estimands import (
    attenuation,
    avg_comparisons,
    avg_predictions,
    avg_slopes,
    comparisons,
    heterogeneity,
    marginal_coefficients,
    posterior_predictive,
    predictions,
    slopes,
    variance_partition,
)
from bayesmargins.family.equal import equals
from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.ordered import category, score, top
from bayesmargins.family.outcome import Support
from bayesmargins.family.quantity import exceeds, quantile, sd
from bayesmargins.family.survival import hazard, rmst, survival
from bayesmargins.hypothesis import hypotheses
from bayesmargins.imputations import Imputed, from_imputations
from bayesmargins.labelling import label
from bayesmargins.limits import options
from bayesmargins.loading import load
from bayesmargins.model import GLMM, fit_imputations, fit_many
from bayesmargins.plots import (
    plot_attenuation,
    plot_categories,
    plot_check,
    plot_comparisons,
    plot_densities,
    plot_forest,
    plot_groups,
    plot_heterogeneity,
    plot_predictions,
    plot_prior_posterior,
    plot_sensitivity,
    plot_slopes,
    plot_surface,
    plot_survival,
)
from bayesmargins.posterior import Posterior
from bayesmargins.reference_grids import datagrid
from bayesmargins.reporting import report
from bayesmargins.tables import describe, summary, table
from bayesmargins.validation import check, logo, sensitivity
from bayesmargins.version import __version__

__all__ = [
    "GLMM",
    "BayesmarginsError",
    "BayesmarginsWarning",
    "DataError",
    "EstimandError",
    "Family",
    "FitError",
    "FormulaError",
    "GroupsError",
    "Imputed",
    "IntegrationError",
    "ModelError",
    "Parameter",
    "Posterior",
    "PosteriorError",
    "ResultError",
    "Support",
    "__version__",
    "attenuation",
    "avg_comparisons",
    "avg_predictions",
    "avg_slopes",
    "category",
    "check",
    "comparisons",
    "datagrid",
    "describe",
    "equals",
    "exceeds",
    "fit_imputations",
    "fit_many",
    "from_bambi",
    "from_brms",
    "from_draws",
    "from_imputations",
    "from_pymc",
    "from_statsmodels",
    "hazard",
    "heterogeneity",
    "hypotheses",
    "label",
    "list_datasets",
    "load",
    "load_dataset",
    "logo",
    "marginal_coefficients",
    "options",
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
    "posterior_predictive",
    "predictions",
    "quantile",
    "report",
    "rmst",
    "score",
    "sd",
    "sensitivity",
    "slopes",
    "summary",
    "survival",
    "table",
    "top",
    "variance_partition",
]
