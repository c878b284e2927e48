"""Counts behind a hurdle: 0, or a negative binomial count that is not 0."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import log1p  # numpy's own loses digits of complex numbers

from bayesmargins.family.families.negbinomial import negbinomial
from bayesmargins.family.families.poisson import draw_counts
from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.hurdles import first_arrival, observe_behind_hurdle, with_hurdle
from bayesmargins.family.link import Array
from bayesmargins.family.outcome import COUNTS, Outcome, Values
from bayesmargins.family.zeros import OF_BAMBI, OF_NONZERO, share_of_zeros

__all__ = ["hurdle_negbinomial"]


def _log_zero(p: Values) -> Array:
    return np.asarray(-p.shape * log1p(p.mu / p.shape))


def _nonzero(rng: np.random.Generator, p: Values) -> Array:
    """Clusters come as a Poisson process, their sizes are logarithmic: the first cluster, and all after it.

    A size is geometric with a random chance (Kemp 1981, Applied Statistics 30:249-253).
    """
    total = -_log_zero(p)
    left = np.maximum(p.shape * (1.0 - first_arrival(rng, total) / total), 0.0)
    further = draw_counts(rng, rng.gamma(left) * p.mu / p.shape)
    u, v = rng.random(np.shape(total)), rng.random(np.shape(total))
    with np.errstate(divide="ignore"):
        size = 1.0 + np.floor(np.log1p(-v) / np.log(-np.expm1(-u * np.log1p(p.mu / p.shape))))
    return size + further


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    pt = pm.math.pt

    def density(y: Any, mu: Any, shape: Any) -> Any:
        return pm.logp(pm.NegativeBinomial.dist(mu=mu, alpha=shape), y)

    def log_zero(mu: Any, shape: Any) -> Any:
        return -shape * pt.log1p(mu / shape)

    def nonzero(u: Any, mu: Any, shape: Any) -> Any:
        """As `_nonzero`: every uniform number beside u is one a row too."""
        everywhere, total = pt.zeros_like(u), -log_zero(mu, shape)
        one, other = (pm.Uniform.dist(everywhere, 1.0) for _ in range(2))
        left = pt.maximum(shape * (1.0 + pt.log1p(u * pt.expm1(-total)) / total), 1e-12)
        further = pm.NegativeBinomial.dist(mu=left * mu / shape, alpha=left)
        size = pt.floor(pt.log1p(-one) / pt.log(-pt.expm1(-other * pt.log1p(mu / shape))))
        return 1 + pt.cast(size, "int64") + further

    parameters = {"mu": p.mu, "shape": p.shape}
    observe_behind_hurdle(pm, name, o, density, log_zero, nonzero, p.hu, "HurdleNegativeBinomial", **parameters)


hurdle_negbinomial = Family(
    "hurdle_negbinomial",
    (
        Parameter("mu", ("log",), noun="expected count", meaning="the expected count before zeros are left out"),
        negbinomial.parameter("shape"),
        share_of_zeros("hu", "the probability of 0", OF_BAMBI),
    ),
    COUNTS,
    **with_hurdle(negbinomial, _log_zero, _nonzero),
    pymc=_pymc,
    names={"bambi": "hurdle_negativebinomial"},
    elsewhere=OF_NONZERO["hu"],
    aliases=("hurdlenegativebinomial", "hurdle_negative_binomial"),
)
