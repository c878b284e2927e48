"""How much the mean response varies from group to group: Var(E[h(eta + s Z + r U) given Z]), Z and U standard normal.

Closed forms for identity, log and sqrt, a finite integral for probit; logit, cloglog and loglog from averages of the
engine where all groups are looked at together, and by the trapezoid rule in z where one factor is looked at beside
others, as cauchit and softplus are everywhere.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bayesmargins.errors import IntegrationError
from bayesmargins.family.link import Link
from bayesmargins.integrate.engine import Integral, checked, expectation, largest_finite
from bayesmargins.integrate.rules import EPS, WIDE, rule_for
from bayesmargins.integrate.tabulated.curves import covers, curves
from bayesmargins.integrate.tabulated.surfaces import surface

__all__ = ["between"]

Array = npt.NDArray[np.float64]

_REACH = 12.0  # what lies beyond has probability 4e-33
_WIDER = 1.2  # times the step that leaves 1e-14: the rule that is kept has half of it, and this one tells its error
_LOWEST = -5  # s below 2^-5: the Gaussian alone limits the step
_TOGETHER = 2**16  # values whose sums stay in the processor's cache
_MANY = 2**18  # values x nodes from which on a table costs less than it saves


def between(link: Link, eta: npt.ArrayLike, s2: npt.ArrayLike, rest: npt.ArrayLike = 0.0) -> Integral:
    """Var over Z of E[h(eta + s Z + r U) given Z]: of the mean response over groups of a factor, others averaged over.

    eta is (draw, row); s2, the variance of z'b over the groups of the factor, and `rest`, that over all other
    factors, are numbers, (draw, 1), (1, row) or (draw, row). `error_bound` is a bound where `rest` is 0 and for
    closed forms, else the difference to a rule with twice the step, which is the larger error. s above 4096 beside
    another factor is refused.

    Notes
    -----
    It is the covariance of two responses at this eta that share the group of the factor and nothing else. Log:
    exp(2 eta + rest + s2) (exp(s2) - 1). Probit: with a = eta / sqrt(1 + s2 + rest) and the correlation
    rho = s2 / (1 + s2 + rest) it is the integral of exp(-a^2 / (1 + sin t)) / (2 pi) over t from 0 to arcsin(rho)
    (Plackett 1954), which subtracts nothing. Logit and cloglog: identities of their own.

    Examples
    --------
    >>> from bayesmargins.family import get_link
    >>> between(get_link("probit"), [[0.0]], 1.0).value.round(6)  # P(both) - P(one)^2 = arcsin(1/2) / (2 pi)
    array([[0.083333]])
    """
    eta, s2 = checked(link, eta, s2, "mean")
    _, rest = checked(link, eta, rest, "mean")
    if link.closed_between is not None:
        with np.errstate(over="ignore", invalid="ignore"):
            return Integral(*link.closed_between(eta, s2, rest))
    if link.between is not None and not np.any(rest > 0.0):
        return _together(link, eta, s2)
    return _beside(link, eta, s2, rest)


def _together(link: Link, eta: Array, s2: Array) -> Integral:
    """From averages of the engine alone."""
    assert link.between is not None

    def average(part: str, shift: float = 0.0) -> Integral:
        return expectation(link, eta + shift if shift else eta, s2, part)

    mean, complement = average("mean"), average("complement")
    value, others = link.between(average, mean, complement)
    value = np.where(s2 == 0.0, 0.0, np.maximum(value, 0.0))
    bound = 2.0 * (mean.error_bound + complement.error_bound) + others
    return Integral(value, bound + 4.0 * EPS, mean.method, mean.nodes)


def _beside(link: Link, eta: Array, s2: Array, rest: Array) -> Integral:
    """Draws with like s together: they share a step."""
    s = np.sqrt(s2)
    if np.any(s > WIDE):
        raise IntegrationError(
            f"A grouping factor beside others has s = {np.nanmax(s):.3g} in some draws (the standard deviation of its "
            f"part of the linear predictor); its share of the variance is computed up to {WIDE:g}. Look at these "
            "draws, or at a prior that makes them."
        )
    octave = np.clip(np.ceil(np.log2(np.maximum(s.max(axis=1), 2.0**_LOWEST))), _LOWEST, None)
    tabled = np.asarray(covers(np.sqrt(rest)).all(axis=1))
    value, error, nodes = np.zeros(eta.shape), 0.0, 0
    for k, by_table in sorted(set(zip(octave.tolist(), tabled.tolist(), strict=True))):
        for which in _some(np.flatnonzero((octave == k) & (tabled == by_table)), eta.shape[1]):
            value[which], estimate, count = _trapezoid(link, eta[which], s[which], rest[which], 2.0**k)
            error, nodes = max(error, estimate), max(nodes, count)
    return Integral(value, error, "trapezoid", nodes)


def _some(which: npt.NDArray[np.int64], rows: int) -> list[npt.NDArray[np.int64]]:
    return np.array_split(which, -(-len(which) * rows // _TOGETHER))


def _trapezoid(link: Link, eta: Array, s: Array, rest: Array, top: float) -> tuple[Array, float, int]:
    """The variance of E[h given z] around its value at z = 0, which keeps the digits of small variances."""
    step = _WIDER * max(min(rule_for(link, top, part).step for part in ("mean", "d1")), _smooth_step(s, rest)) / 2.0
    half = int(np.ceil(_REACH / step))
    smoothed, bound = _smoothed(link, rest, many=eta.size * half > _MANY)
    centre = smoothed(eta)
    sums = np.zeros((2, 2, *eta.shape))  # by rule (fine, coarse) and power
    for k in range(-half, half + 1):
        z = k * step
        moved = smoothed(eta + s * z) - centre
        weight = step / np.sqrt(2.0 * np.pi) * np.exp(-0.5 * z * z)
        for rule in (0, 1) if k % 2 == 0 else (0,):
            sums[rule, 0] += (1 + rule) * weight * moved
            sums[rule, 1] += (1 + rule) * weight * moved * moved
    fine, coarse = (np.maximum(of[1] - of[0] ** 2, 0.0) for of in sums)
    return fine, largest_finite(fine - coarse) + 4.0 * bound, 2 * half + 1


def _smooth_step(s: Array, rest: Array) -> float:
    """The step that leaves 1e-14 because the other factors smooth the integrand.

    m(x) = E[h(x + r U)] is entire with abs(m(x + iy)) <= m(x) exp(y^2 / (2 r^2)), so that m^2 phi grows by
    exp(a^2 (1 + 2 s^2 / r^2) / 2) at a distance a from the real line.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = float(np.max(np.where(s > 0.0, s * s / rest, 0.0)))
    return 2.0 * np.pi / np.sqrt(64.0 * (1.0 + 2.0 * ratio))


def _smoothed(link: Link, rest: Array, many: bool) -> tuple[Callable[[Array], Array], float]:
    """E[h(x + r U)] as a function of x, and how wrong it can be: looked up where a table holds it, and pays."""
    r = np.sqrt(rest)
    if not (many and covers(r).all() and np.any(r > 0.0)):
        return lambda x: expectation(link, x, rest).value, 1e-13
    if r.shape[1] == 1:
        curve = curves(link, r[:, 0])
        return curve, curve.error_bound
    both = surface(link, float(r.min()), float(r.max()))
    return lambda x: both(x, r), both.error_bound
