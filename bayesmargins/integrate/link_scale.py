"""g(E[h(eta + s Z)]): the population mean on the scale of the linear predictor, with a bound on its error there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesmargins.errors import IntegrationError
from bayesmargins.family.link import Link
from bayesmargins.integrate.engine import Integral, checked, expectation, largest_finite
from bayesmargins.integrate.rules import EPS, WIDE, bucket_of, rule_table

__all__ = ["linked_mean"]

Array = npt.NDArray[np.float64]


def linked_mean(link: Link, eta: npt.ArrayLike, s2: npt.ArrayLike) -> Integral:
    """g(E[h(eta + s Z)]): the linear predictor without group effects that has the mean response of the population.

    eta is (draw, row), and s2, the variance of z'b over new groups, as of `expectation`; the bound is on the link
    scale.

    Identity, log and probit: eta, eta + s2 / 2, eta / sqrt(1 + s2). Logit: log E[h] - log E[1 - h], each integrated in
    its own right, so that neither rare nor nearly certain events lose digits. Cloglog: log(-log(1 - E[h])), from
    whichever of E[h] and E[1 - h] is the smaller; NaN where E[1 - h] is below about 1e-18, which the engine knows in
    absolute terms only; loglog is its mirror image. Cauchit: the cotangent of the smaller of the
    two. Softplus: log(exp(E[h]) - 1). Sqrt: the root of eta^2 + s2.

    >>> from bayesmargins.family import get_link
    >>> linked_mean(get_link("logit"), [[-20.0, 2.0]], 4.0).value.round(4)
    array([[-18.    ,   1.2379]])
    """
    eta, s2 = checked(link, eta, s2, "mean")
    if link.closed_linked is not None:  # no detour through the response scale, where it could overflow or round to 1
        return Integral(link.closed_linked(eta, s2), 0.0, "closed form", 0)
    if link.linked is None:
        raise IntegrationError(f"The {link.name} link does not say how a mean is brought to its scale without loss.")
    if not np.any(s2 > 0.0):
        return Integral(eta + 0.0 * s2, 0.0, "plug-in", 0)
    mean = expectation(link, eta, s2)
    complement = mean if link.complement is None else expectation(link, eta, s2, "complement")
    with np.errstate(divide="ignore", invalid="ignore"):
        value, bound = link.linked(_Averages(link, np.sqrt(s2), mean, complement, _farthest(eta, s2)))
    value = np.where(s2 == 0.0, eta, value)
    return Integral(value, bound, mean.method, max(mean.nodes, complement.nodes))


@dataclass(frozen=True)
class _Averages:
    """E[h] and E[1 - h], and how wrong they can be in units of themselves."""

    link: Link
    s: Array
    mean: Integral
    complement: Integral
    farthest: float

    def relative(self, part: str) -> float:
        """Error of an average in units of that average, rounding of its sum of positive terms included."""
        share, absolute, nodes = self.rules(part)
        of = self._of(part).value
        positive = of[of > 0.0]
        smallest = float(positive.min()) if positive.size else 1.0
        top = float(np.max(self.s[self.s <= WIDE], initial=0.0))
        return share + EPS * (16.0 + nodes + 24.0 * top) + (absolute / smallest if absolute else 0.0)

    def rules(self, part: str) -> tuple[float, float, int]:
        """Relative bound, absolute bound and nodes over the rules that were used."""
        s = self.s
        numerical = s[(s > 0.0) & (s <= WIDE)]
        wide = self._of(part).error_bound if np.any(s > WIDE) else 0.0
        if not numerical.size:
            return 0.0, wide, 0
        table = rule_table(self.link, part, bucket_of(float(numerical.min())), bucket_of(float(numerical.max())))
        rules = table.rules
        share = max(rule.relative_bound for rule in rules)
        return share / (1.0 - share), max(wide, *(r.absolute_bound for r in rules)), table.nodes

    def _of(self, part: str) -> Integral:
        return self.complement if part == "complement" else self.mean


def _farthest(eta: Array, s2: Array) -> float:
    return largest_finite(eta) + 12.0 * float(np.sqrt(np.max(s2, initial=0.0)))
