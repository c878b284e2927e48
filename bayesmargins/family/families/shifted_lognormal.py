"""Times of which the first part is the same in all rows, and the logarithm of the rest is normal."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from bayesmargins.family.censoring import Tails
from bayesmargins.family.curve import Curve
from bayesmargins.family.family import Family, Parameter, Residual
from bayesmargins.family.link import Array
from bayesmargins.family.links.log import log
from bayesmargins.family.links.probit import normal_tails
from bayesmargins.family.observing import observe_by
from bayesmargins.family.outcome import POSITIVE, Outcome, Values

__all__ = ["shifted_lognormal"]

_ROOT = np.sqrt(2.0 * np.pi)


def _score(c: Array, p: Values) -> Array:
    """How many standard deviations log(c - ndt) lies above mu; below everything where c is not above ndt."""
    with np.errstate(divide="ignore"):
        return (np.log(np.maximum(c - p.ndt, 0.0)) - p.mu) / p.sigma


def _log_density(p: Values, o: Outcome) -> Array:
    rest = np.asarray(o.y - p.ndt)
    known = np.where(rest > 0.0, rest, 1.0)
    z = (np.log(known) - p.mu) / p.sigma
    return np.where(rest > 0.0, -0.5 * z * z - np.log(_ROOT * p.sigma * known), -np.inf)


def _tails(pm: Any, y: Any, mu: Any, sigma: Any, ndt: Any) -> tuple[Any, Any]:
    """Below ndt there is nothing."""
    pt = pm.math.pt
    known = pt.gt(y, ndt)
    below, above = normal_tails(pm, pt.log(pt.switch(known, y - ndt, 1.0)), mu, sigma)
    return pt.switch(known, below, -np.inf), pt.switch(known, above, 0.0)


def _earliest(o: Outcome) -> float:
    """The smallest value that some y is known not to exceed."""
    upper = o.y if o.y2 is None else np.where(o.cens == 2.0, o.y2, o.y)
    known = upper if o.cens is None else upper[(o.cens != 1.0) & np.isfinite(upper)]
    return float(known.min()) if len(known) else float(o.y.max())


_TAILS = Tails(_tails, POSITIVE)


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    def density(y: Any, mu: Any, sigma: Any, ndt: Any) -> Any:
        return pm.logp(pm.LogNormal.dist(mu=mu, sigma=sigma), y - ndt)

    def drawn(mu: Any, sigma: Any, ndt: Any, size: Any) -> Any:
        return ndt + pm.LogNormal.dist(mu=mu, sigma=sigma, size=size)

    parameters = {"mu": p.mu, "sigma": p.sigma, "ndt": p.ndt}
    observe_by(pm, name, o, o.y, density, drawn, _TAILS, "ShiftedLogNormal", **parameters)


shifted_lognormal = Family(
    "shifted_lognormal",
    (
        Parameter("mu", ("identity",), noun="expected value"),
        Parameter(
            "sigma",
            meaning="the standard deviation of log(y - ndt) within a group",
            prior=lambda o: ("Exponential", {"scale": float(np.log(o.y).std()) or 1.0}),
        ),
        Parameter(
            "ndt",
            meaning="the part of y that is the same in all rows; a reaction's time without the decision",
            prior=lambda o: ("Uniform", {"lower": 0.0, "upper": _earliest(o)}),  # as in brms
        ),
    ),
    POSITIVE,
    _log_density,
    simulate=lambda rng, p, o: p.ndt + rng.lognormal(p.mu, p.sigma),
    above=lambda c, p, o: scipy.special.ndtr(-_score(c, p)),
    below=lambda c, p, o: scipy.special.ndtr(_score(c, p)),
    quantile=lambda q, p: p.ndt + np.exp(p.mu + p.sigma * scipy.special.ndtri(q)),
    mean=lambda link: Curve(
        log, lambda p: 0.5 * p.sigma**2, added=lambda p: p.ndt, reads=("sigma", "ndt"), endless=("sigma",)
    ),
    measured=np.log,
    variance=lambda p, o: (0.0, 0.0, np.expm1(p.sigma**2)),
    convolved=lambda p, s: {"sigma": np.hypot(p.sigma, s), "ndt": p.ndt},
    residual=Residual(
        lambda link, mean, p: p.sigma**2, lambda link: "the residual variance sigma^2 of the logarithm of y - ndt"
    ),
    pymc=_pymc,
    tails=_TAILS,
    aliases=("shifted_log_normal", "shifted_lnorm"),
)
