"""The questions: predictions, comparisons, slopes, the same averaged over rows, coefficients and shares of variance.

Downward: one file a question, on `question` (arguments, doubted and put together; names and provenance of the result).
That stands on `given` and `targets`, arguments that a usual question leaves out, and on `sentence`, the estimand in
words.
"""

from bayesmargins.estimands.attenuating import attenuation
from bayesmargins.estimands.coefficients import marginal_coefficients
from bayesmargins.estimands.comparing import avg_comparisons, comparisons
from bayesmargins.estimands.partition import variance_partition
from bayesmargins.estimands.predicting import avg_predictions, predictions
from bayesmargins.estimands.simulating import posterior_predictive
from bayesmargins.estimands.sloping import avg_slopes, slopes
from bayesmargins.estimands.varying import heterogeneity

__all__ = [
    "attenuation",
    "avg_comparisons",
    "avg_predictions",
    "avg_slopes",
    "comparisons",
    "heterogeneity",
    "marginal_coefficients",
    "posterior_predictive",
    "predictions",
    "slopes",
    "variance_partition",
]
