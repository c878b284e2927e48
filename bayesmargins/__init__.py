"""Effects from Bayesian mixed models: predictions, comparisons and slopes with the groups integrated out."""

from bayesmargins.adapters import from_draws
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
    avg_comparisons,
    avg_predictions,
    avg_slopes,
    comparisons,
    predictions,
    slopes,
)
from bayesmargins.model import GLMM
from bayesmargins.posterior import Posterior

__version__ = "0.1.0"

__all__ = [
    "GLMM",
    "BayesmarginsError",
    "BayesmarginsWarning",
    "DataError",
    "EstimandError",
    "FitError",
    "FormulaError",
    "GroupsError",
    "IntegrationError",
    "ModelError",
    "Posterior",
    "PosteriorError",
    "ResultError",
    "avg_comparisons",
    "avg_predictions",
    "avg_slopes",
    "comparisons",
    "from_draws",
    "list_datasets",
    "load_dataset",
    "predictions",
    "slopes",
]
