"""Rows of every family whose group effects are integrated out, and their likelihood by a dense sum, with SciPy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy import special

from bayesmargins.family import FAMILIES, LINKS, Outcome, values_at
from bayesmargins.integrate.group_quadrature import GroupQuadrature, group_quadrature
from bayesmargins.integrate.normal_groups import Effects

AUX: dict[str, dict[str, Any]] = {
    "bernoulli": {},
    "binomial": {},
    "poisson": {},
    "negbinomial": {"shape": 1.7},
    "gamma": {"shape": 2.3},
    "exponential": {},
    "weibull": {"shape": 0.8},
    "geometric": {},
    "cumulative": {"thresholds": np.array([-1.0, 0.2, 1.5])},
}
# One of each way through the compiled loops: a product under one logarithm, no shortcut with trials, sums of rows
# whose power rises and falls with eta, a parameter, two thresholds. The other pairs run the same loops with densities
# of their own, which `test_family_rows` holds one by one.
WAYS = [
    ("bernoulli", "logit"),
    ("binomial", "cloglog"),
    ("poisson", "log"),
    ("gamma", "log"),
    ("negbinomial", "log"),
    ("cumulative", "probit"),
]
PAIRS = [
    pytest.param(family, link, marks=[] if (family, link) in WAYS else pytest.mark.evidence)
    for family in AUX
    for link in FAMILIES[family].rows
]
SIZES = (1, 0, 5, 12, 30, 6, 6, 3)  # groups 5 and 6 have the lowest and the highest y only
_LOGS = {
    "logit": (special.log_expit, lambda x: special.log_expit(-x)),
    "probit": (special.log_ndtr, lambda x: special.log_ndtr(-x)),
    "cloglog": (lambda x: np.where(x < -36.0, x, np.log(-np.expm1(-np.exp(x)))), lambda x: -np.exp(x)),
    "loglog": (lambda x: -np.exp(-x), lambda x: np.where(x > 36.0, -x, np.log(-np.expm1(-np.exp(-x))))),
}


@dataclass(frozen=True)
class Case:
    """A model with a constant and a slope."""

    family: str
    link: str
    outcome: Outcome
    F: np.ndarray
    effects: Effects
    offset: np.ndarray
    aux: dict[str, Any]

    @property
    def likelihood(self) -> GroupQuadrature:
        whole = FAMILIES[self.family]
        thresholds = len(self.aux.get("thresholds", ()))
        tag = whole.rows[self.link]
        return group_quadrature(tag, whole.aux, self.outcome, self.F, self.effects, self.offset, thresholds)

    def log_density(self, rows: np.ndarray, eta: np.ndarray, aux: dict[str, Any]) -> np.ndarray:
        """eta (row, node) -> the same shape."""
        o = self.outcome
        y, n = o.y[rows, None], 1.0 if o.trials is None else o.trials[rows, None]
        if self.family in ("bernoulli", "binomial"):
            below, above = (of(eta) for of in _LOGS[self.link])
            ways = special.gammaln(n + 1) - special.gammaln(y + 1) - special.gammaln(n - y + 1)
            return ways + np.where(y > 0, y * below, 0) + np.where(y < n, (n - y) * above, 0)
        if self.family == "cumulative":
            padded = np.concatenate([[-np.inf], aux["thresholds"], [np.inf]])
            a, b = (padded[y.astype(int) - k] - eta for k in (1, 0))
            logs = [[of(x) for of in _LOGS[self.link]] for x in (a, b)]
            left = logs[1][0] + np.log(-np.expm1(logs[0][0] - logs[1][0]))
            right = logs[0][1] + np.log(-np.expm1(logs[1][1] - logs[0][1]))
            return np.where(logs[0][0] < np.log(0.5), left, right)
        if self.family == "poisson":
            return y * eta - np.exp(eta) - special.gammaln(y + 1)
        if self.family == "exponential":
            return -eta - y * np.exp(-eta)
        u = aux.get("shape", 1.0)
        if self.family == "weibull":
            log_scale = eta - special.gammaln(1 + 1 / u)
            return np.log(u / y) + u * (np.log(y) - log_scale) - np.exp(u * (np.log(y) - log_scale))
        if self.family == "gamma":
            return u * (np.log(u) - eta - y * np.exp(-eta)) + (u - 1) * np.log(y) - special.gammaln(u)
        ways = special.gammaln(y + u) - special.gammaln(u) - special.gammaln(y + 1)
        return ways + y * (eta - np.logaddexp(np.log(u), eta)) - u * np.logaddexp(0.0, eta - np.log(u))

    def dense(self, phi: np.ndarray, s: float, aux: dict[str, Any] | None = None, nodes: int = 1501) -> np.ndarray:
        """log of each group's integral: (group,)."""
        return np.array([_log_total(*self.nodes(g, phi, s, aux, nodes)) for g in range(self.effects.levels)])

    def nodes(self, g: int, phi: np.ndarray, s: float, aux: Any = None, nodes: int = 1501) -> Any:
        """z, and the log of the integrand there, as far as it is within e^-60 of the largest."""
        rows = np.flatnonzero(self.effects.codes == g)
        fixed = self.F[rows] @ phi + self.offset[rows]
        weights = np.ones(len(rows)) if self.outcome.weights is None else self.outcome.weights[rows]

        def log_f(z: np.ndarray) -> np.ndarray:
            eta = fixed[:, None] + self.effects.W[rows] * s * z
            with np.errstate(all="ignore"):
                value = weights @ self.log_density(rows, eta, self.aux if aux is None else aux)
            return np.nan_to_num(value, nan=-1e300, neginf=-1e300) - 0.5 * z**2 - 0.5 * np.log(2 * np.pi)

        low, high = -3000.0, 3000.0
        for _ in range(60):
            z = np.linspace(low, high, 401)
            v = log_f(z)
            keep = np.flatnonzero(v >= v.max() - 60.0)
            ends = z[max(keep[0] - 1, 0)], z[min(keep[-1] + 1, 400)]
            if ends[1] - ends[0] > 0.9 * (high - low):
                break
            low, high = ends
        z = np.linspace(low, high, nodes)
        return z, log_f(z)

    def arguments(self, phi: Any, s: float, aux: dict[str, Any] | None = None) -> Any:
        """One point as `GroupQuadrature` takes it."""
        given = {name: np.asarray([value], dtype=float) for name, value in (self.aux if aux is None else aux).items()}
        return np.array([phi], dtype=float), [np.array([[[s]]])], given


def _log_total(z: np.ndarray, v: np.ndarray) -> float:
    return float(special.logsumexp(v) + np.log(z[1] - z[0]))


PHI = np.array([0.2, 0.5])


def case(family: str, link: str, *, slope: bool = False, weights: bool = False, sizes: Any = SIZES) -> Case:
    """Simulated at `PHI` and s = 1."""
    rng = np.random.default_rng([len(family), len(link), slope, weights])
    whole, codes = FAMILIES[family], np.repeat(np.arange(len(sizes)), sizes)
    n = len(codes)
    x = rng.normal(size=n)
    F, W = np.column_stack([np.ones(n), x]), (x if slope else np.ones(n))[:, None]
    offset = 0.1 * rng.normal(size=n)
    eta = F @ PHI + offset + W[:, 0] * rng.normal(size=len(sizes))[codes]
    trials = rng.integers(1, 9, n).astype(float) if whole.support.counts_trials else None
    o = Outcome(trials=trials, weights=rng.uniform(0.3, 2.0, n) if weights else None)
    y = np.asarray(whole.simulate(rng, values_at(LINKS[link], eta, AUX[family]), o), dtype=float)
    low, high = {
        **dict.fromkeys(("gamma", "exponential"), (1e-4, 1e4)),
        "weibull": (1e-3, 1e3),
        "cumulative": (1.0, 4.0),
    }.get(family, (0.0, 1e5))
    y[codes == 5] = low
    y[codes == 6] = np.minimum(high, whole.support.highest(o) * np.ones(n))[codes == 6]
    order = rng.permutation(n)  # rows of a group need not be neighbours

    def of(v: Any) -> Any:
        return None if v is None else v[order]

    outcome = replace(o, y=y[order], trials=of(trials), weights=of(o.weights))
    return Case(
        family, link, outcome, F[order], Effects(W[order], codes[order], len(sizes)), offset[order], AUX[family]
    )
