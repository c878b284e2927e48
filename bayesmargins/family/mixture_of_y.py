"""The distribution of y over b, at pairs of a draw and a row: tails, standard deviation and quantiles of a mixture.

b makes y a mixture: of the fitted groups' own values of eta where these are averaged, and of N(eta, s^2) where new
groups are integrated out. Tails are averages over it, and everything else follows from tails and moments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from bayesmargins.errors import PosteriorError
from bayesmargins.family.curve import Bundle, Curve
from bayesmargins.family.family import Coefficients, Family, values_at
from bayesmargins.family.link import Link, exponential
from bayesmargins.family.outcome import Outcome, Values
from bayesmargins.family.quantiles import (
    RESOLUTION,
    Number,
    quantile_of_ordered,
    sd_of_ordered,
    searched_quantile,
    whole_quantile,
)
from bayesmargins.integrate import BundleAverages, cubed, expectation
from bayesmargins.integrate.any_function import Smooth, smooth_expectation
from bayesmargins.integrate.search import crossing

__all__ = ["Mixture", "Number", "mixture"]

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]

_REACH = 9.0  # a Gaussian tail of 2e-19
_EDGE = 1e-9  # of a mean between 0 and 1
_NEVER = 1e-14
_WIDEST = 1.5  # of a tail as a function of eta, in standard deviations of the link's latent error


@dataclass(frozen=True)
class Mixture:
    """How is y distributed over b?"""

    family: Family  # y given its parameters
    link: Link  # between the mean and eta
    # (component, n) float, link scale: linear predictor with the b that is known: one component, or one a fitted
    # group
    etas: Array
    weights: Array  # (component,) float: what each counts for
    s: Array  # (n,) float, link scale: standard deviation of the b that is integrated out
    aux: dict[str, Array]  # (n,) float: parameters of the family
    trials: Array  # (n,) float: 1 where the family has none
    outcome: Outcome = field(default_factory=Outcome)  # bounds (n,) between which y is observed, where there are some

    @property
    def bounds(self) -> tuple[Array, Array]:
        """What an observed y lies above, and what it does not exceed: (n,), infinite where that says nothing."""
        assert self.family.support is not None
        return replace(self.outcome, y=self.s).bounds(self.family.support)

    @property
    def method(self) -> str:
        """How averages over b are taken."""
        if np.any(self.s > 0.0):
            return "trapezoid, halved"
        return "closed form" if self.link.linear and self.family.convolved is not None else "plug-in"

    def take(self, which: Any) -> Mixture:
        """The same for some of the pairs."""
        aux, o = {k: v[which] for k, v in self.aux.items()}, self.outcome.take(which)
        return replace(self, etas=self.etas[:, which], s=self.s[which], aux=aux, trials=self.trials[which], outcome=o)

    def tail(self, side: str, c: Array, which: Index | None = None, against: float | None = None) -> Smooth:
        """P(y > c) ("above") or P(y <= c) ("below"), averaged over b; c (n,) belongs to the entries of `which`.

        `against` is the number that they are held against: no more digits are computed than that takes.
        """
        found = self.smooth(side, c, 1.0, which, against)
        return Smooth(np.clip(found.value, 0.0, 1.0), found.error, found.nodes)

    def density(self, c: Array, scale: float) -> Smooth:
        """The density of y at c (n,), in units of 1 / `scale`, averaged over b."""
        log_density = self.family.need("log_density", "a density of y")
        return self._averaged(
            lambda c, p, o: scale * np.exp(log_density(p, replace(o, y=c))), c, np.arange(len(self.s)), None
        )

    def distance(self, which: Index, origin: Array | None) -> Smooth:
        """How far E[y | low < y <= high] lies below `origin` (n,), or above E[y] where that is None; averaged over b.

        Given a b under which nothing between the bounds has a probability that a float holds, it is the nearer bound.
        """
        between, curve = self.family.need("mean_between", "the mean of a truncated y"), self.family.curve(self.link)
        low, high = (end[which] for end in self.bounds)
        place = np.where(np.isfinite(low), low, high)

        def given(_: Array, p: Values, o: Outcome, ends: tuple[Array, Array, Array | None]) -> Array:
            low, high, origin = ends
            with np.errstate(divide="ignore", invalid="ignore"):
                mean, of_all = between(low, high, p, o), curve.scaled(curve.link.inverse(curve.of(p.eta, p)), p)
            mean = np.where(np.isfinite(mean), mean, np.clip(of_all, low, high))
            return mean - of_all if origin is None else origin - mean

        of = (low, high, None if origin is None else origin[which])
        return self._averaged(given, place, which, None, of)

    def smooth(
        self, what: str, c: Array, scale: float, which: Index | None = None, against: float | None = None
    ) -> Smooth:
        """A function of the family at c, in units of 1 / `scale`, averaged over b."""
        some = np.arange(len(self.s)) if which is None else which
        function = self.family.need(what, "a number of the distribution of y")
        return self._averaged(lambda c, p, o: scale * function(c, p, o), c, some, against)

    def _averaged(
        self, function: Callable[..., Array], c: Array, some: Index, against: float | None, more: Any = None
    ) -> Smooth:
        aux, trials, s = {k: v[some] for k, v in self.aux.items()}, self.trials[some], self.s[some]
        centre, width = self._turn(c, aux, trials)

        def given(x: Array, part: Index) -> Array:
            p = values_at(self.link, x, {k: v[part] for k, v in aux.items()})
            rest = () if more is None else (tuple(None if v is None else v[part] for v in more),)
            return np.asarray(function(c[part], p, Outcome(trials=trials[part]), *rest))

        value, error, nodes = np.zeros(len(some)), np.zeros(len(some)), 0
        refined = against if len(self.weights) == 1 else None
        for weight, eta in zip(self.weights, self.etas, strict=True):
            term = smooth_expectation(given, eta[some], s, centre, width, refined)
            value, error, nodes = value + weight * term.value, error + weight * term.error, max(nodes, term.nodes)
        return Smooth(value, error, nodes)

    def sd(self) -> Number:
        """sqrt(E_b[Var(y | b)] + Var_b(E[y | b])).

        With m the inverse link in E[y | b], M = E_b[m], B = Var_b(m) and Var(y | b) = v0 + v1 m + v2 m^2 the sum is
        v0 + v1 M + v2 M^2 + (trials^2 factor^2 + v2) B, without a difference of large numbers; v3 m^3 adds
        v3 E_b[m^3]. What E[y | b] and E[y^2 | b] have besides (`Family.rest`) adds R2 - 2 E[m] R1 - R1^2.
        """
        v0, v1, v2, *v3 = self._variance(self.aux, self.trials)
        curve = self.family.curve(self.link)
        scale, link = (self.trials * curve.times(Values(**self.aux))) ** 2 + v2, curve.link
        mean, complement, between, error, nodes = self._moments(bool(np.any(scale != 0.0)))
        with np.errstate(over="ignore", invalid="ignore"):
            if link.bounded:
                within = v0 + v1 * mean * complement + (v1 + v2) * mean**2
            else:
                within = v0 + v1 * mean + np.where(np.asarray(v2) == 0.0, 0.0, v2 * mean**2)
            within = within + (v3[0] * self._cubed() if v3 else 0.0)
            rest = self._rest_of_variance(curve.scaled(mean, Values(**self.aux)))
            value, nodes = np.sqrt(within + scale * between + rest.value), max(nodes, rest.nodes)
            wrong = np.where(value > 0.0, (scale * error + rest.error) / (2.0 * value), 0.0)
        method = "closed form" if link.separable else self.method
        return Number(value, wrong, method, nodes)

    def between(self) -> Number:
        """Var_b(E[y | b]) of a single trial, where E[y | b] is its curve alone."""
        curve, p = self.family.curve(self.link), Values(**self.aux)
        _, _, value, error, nodes = self._moments(True)
        square = np.broadcast_to(np.asarray(curve.times(p)) ** 2, value.shape)
        return Number(square * value, square * error, self.method, nodes)

    def _cubed(self) -> Array:
        """E_b of the cube of the inverse link in E[y | b]."""
        curve, s2 = self.family.curve(self.link), self.s[None] ** 2
        terms = (weight * cubed(curve.link, moved[None], s2)[0] for weight, moved in self._moved(curve))
        return np.asarray(sum(terms, np.zeros(len(self.s))))

    def average(self, curve: Curve, part: str = "mean") -> Number:
        """E_b of a curve, or 1 - that ("complement")."""
        sign = 1.0 if part == "mean" else -1.0
        value, bound, nodes, methods = np.zeros(len(self.s)), 0.0, 0, set()
        for weight, moved in self._moved(curve):
            found = expectation(curve.link, moved[None], self.s[None] ** 2, part)
            value, bound, nodes = value + weight * found.value[0], max(bound, found.error_bound), found.nodes
            methods.add(found.method)
        p = Values(**self.aux)
        value = curve.scaled(value, p, part) + sign * curve.beside(p)
        return Number(value, np.full(len(value), bound), ", ".join(sorted(methods)), nodes)

    def mean(self, part: str) -> Number:
        """E_b[E[y | b]], or 1 - that ("complement")."""
        found = self.average(self.family.curve(self.link), part)
        if self.family.rest is None:
            return found
        rest = self._rest(1)
        value = found.value + (1.0 if part == "mean" else -1.0) * rest.value
        return Number(value, found.error + rest.error, f"{found.method}, {self.method}", rest.nodes)

    def _rest_of_variance(self, mean: Array) -> Smooth:
        if self.family.rest is None:
            return Smooth(np.zeros(1), np.zeros(1), 0)
        first, second = self._rest(1), self._rest(2)
        error = second.error + 2.0 * (mean + first.value) * first.error
        return Smooth(second.value - (2.0 * mean + first.value) * first.value, error, second.nodes)

    def _rest(self, k: int) -> Smooth:
        """E_b of what E[y^k | b] has besides: r = f (1 + exp(k eta)), with f bounded; f itself under a bounded link.

        E[exp(k eta) f(eta)] is exp(k m + k^2 s^2 / 2) E[f(eta + k s^2)].
        """
        rest, alone = self.family.need("rest", "a rest"), self.link.bounded
        zero, one = np.zeros(len(self.s)), np.ones(len(self.s))

        def bounded(x: Array, which: Index) -> Array:
            p = values_at(self.link, x, {name: v[which] for name, v in self.aux.items()})
            return np.asarray(rest(p)[k - 1] if alone else rest(p)[k - 1] / (1.0 + exponential(k * x)))

        value, error, nodes = zero, zero, 0
        for weight, eta in zip(self.weights, self.etas, strict=True):
            times = exponential(k * eta + 0.5 * (k * self.s) ** 2)
            for size, moved in ((one, eta), (times, eta + k * self.s**2))[: 1 if alone else 2]:
                term = smooth_expectation(bounded, moved, self.s, zero, one)
                counts = term.value > 0.0  # where it underflows, its size may be infinite
                value = value + weight * np.where(counts, size * term.value, 0.0)
                error = error + weight * np.where(counts, size * term.error, 0.0)
                nodes = max(nodes, term.nodes)
        return Smooth(value, error, nodes)

    def _moved(self, curve: Curve) -> Iterator[tuple[float, Array]]:
        """Weight, and what the inverse link is taken of, by component."""
        p = Values(**self.aux)
        for weight, eta in zip(self.weights, self.etas, strict=True):
            yield float(weight), curve.of(eta, p)

    def cumulated(self, part: str, read: Iterable[int] | None = None) -> list[Number]:
        """P(y <= k) ("mean") or P(y > k) ("complement") of an ordered y, for all k but the last, or for some from 0."""
        below_last = self.aux["thresholds"].shape[-1]
        read = range(below_last) if read is None else read
        if self.family.probabilities is not None:
            every = self._summed(self.family.probabilities(self.link, below_last + 1), part)
            return [every[k] for k in read]
        assert self.family.at_most is not None
        return [self.average(self.family.at_most(self.link, int(k) + 1), part) for k in read]

    def _summed(self, bundle: Bundle, part: str) -> list[Number]:
        """The same where the family has the probability of each category."""
        value, bound, nodes, method = np.zeros((bundle.outputs, len(self.s))), 0.0, 0, ""
        averages, s2 = BundleAverages(bundle, {name: self.aux[name] for name in bundle.reads}), self.s[:, None] ** 2
        for weight, eta in zip(self.weights, self.etas, strict=True):
            found = averages.average(eta[:, None], s2, "mean")
            value, bound, nodes = value + weight * found.value[..., 0], max(bound, found.error_bound), found.nodes
            method = found.method
        sums = np.cumsum(value, axis=0)[:-1] if part == "mean" else np.cumsum(value[::-1], axis=0)[:-1][::-1]
        return [Number(one, np.full(len(one), len(value) * bound), method, nodes) for one in sums]

    def ordered_sd(self, numbers: Sequence[float]) -> Number:
        """That of an ordered y whose categories count as these numbers."""
        return sd_of_ordered(self.cumulated("mean"), self.cumulated("complement"), numbers)

    def ordered_quantile(self, q: float, numbers: Sequence[float]) -> Number:
        """The number, of these, of the first category k with P(y > k) <= 1 - q."""
        return quantile_of_ordered(self.cumulated("complement"), q, numbers)

    def quantile(self, q: float) -> Number:
        """The q-quantile; whole for a discrete y, with the error 1 where P(y <= value) cannot be told from q."""
        return whole_quantile(self, q, *self._guess(q)) if self.family.discrete else self._continuous_quantile(q)

    def _variance(self, aux: dict[str, Array], trials: Array) -> Coefficients:
        """v0, v1, v2 and, where there is one, v3 of the variance of y given mu."""
        found: Coefficients = self.family.need("variance", "the scatter of y")(Values(**aux), Outcome(trials=trials))
        return found

    def _turn(self, c: Array, aux: dict[str, Array], trials: Array) -> tuple[Array, Array]:
        """Where, and over which distance of eta, the tails of y at c go from 0 to 1."""
        trials = np.maximum(trials, 1.0)  # without trials y is 0, whatever eta is
        coefficients = self._variance(aux, trials)
        if self.link.bounded:
            mu = np.clip(np.floor(c) + 0.7, 0.3, trials + 0.1) / (trials + 0.4)
            mu = mu if self.family.discrete else np.clip(c, _EDGE, 1.0 - _EDGE)
        elif self.link.linear:
            mu = np.where(c > self.family.mean_above, c, self.family.mean_above + 1.0)
        else:
            mu = (
                np.maximum(np.floor(c), 0.0) + 0.7
                if self.family.discrete
                else np.maximum(np.abs(c), np.sqrt(coefficients[0]))
            )
            mu = np.where(mu > 0.0, mu, 1.0)
        centre = self.link.link(mu)
        width = np.sqrt(_polynomial(coefficients, mu)) / trials / np.abs(self.link.derivative(centre))
        return centre, width if self.link.linear else np.minimum(width, _WIDEST * self.link.latent_sd)

    def _moments(self, scattering: bool) -> tuple[Array, Array, Array, Array, int]:
        """E_b[m], 1 - that, Var_b(m) and its error, over all components (Chan et al. 1983 for the variance).

        Where Var_b(m) drops out of the variance of y, as for 0 and 1 it does, it is not computed but 0.
        """
        n = len(self.s)
        mean, complement, between, error, nodes, so_far = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), 0, 0.0
        for weight, moved in self._moved(self.family.curve(self.link)):
            one, its_complement, spread = self._component(moved, scattering)
            nodes, share = max(nodes, spread.nodes), weight / (so_far + weight)
            with np.errstate(invalid="ignore", over="ignore"):
                step = one - mean
                between = between * (1.0 - share) + spread.value * share + step**2 * share * (1.0 - share)
                mean = one if not so_far else mean + step * share
            complement, error = complement + weight * its_complement, error + weight * spread.error
            so_far += weight
        return mean, complement, between, error, nodes

    def _component(self, eta: Array, scattering: bool) -> tuple[Array, Array, Smooth]:
        """E[m], 1 - that, and Var(m) where m is the inverse link of eta + s Z."""
        s2, none, link = self.s**2, np.zeros(len(eta)), self.family.curve(self.link).link
        mean = expectation(link, eta[None], s2[None]).value[0]
        if link.closed_between is not None and not link.bounded:
            with np.errstate(over="ignore", invalid="ignore"):
                spread = link.closed_between(eta, s2, none).value
            return mean, none, Smooth(np.where(s2 == 0.0, 0.0, spread), none, 0)
        complement = expectation(link, eta[None], s2[None], "complement").value[0] if link.bounded else none
        if not scattering:
            return mean, complement, Smooth(none, none, 0)
        centre = np.full(len(eta), float(link.link(0.5)))
        width = np.full(len(eta), link.latent_sd)
        return (
            mean,
            complement,
            smooth_expectation(lambda x, which: (link.inverse(x) - mean[which]) ** 2, eta, self.s, centre, width),
        )

    def _guess(self, q: float) -> tuple[Array, Array]:
        """About where the quantile is, and a fraction of the scatter of y."""
        z = float(scipy.special.ndtri(q))
        middle = self.weights @ self.etas
        spread = np.sqrt(self.weights @ (self.etas - middle) ** 2 + self.s**2)
        coefficients = self._variance(self.aux, self.trials)
        with np.errstate(over="ignore", invalid="ignore"):
            centre, moved = (self.link.inverse(x) for x in (middle, middle + z * spread))
            scatter = np.hypot(self.trials * (moved - centre), z * np.sqrt(_polynomial(coefficients, centre)))
            return self.trials * centre + np.sign(z) * scatter, 0.1 * scatter

    def _continuous_quantile(self, q: float) -> Number:
        """The root of P(y <= x) = q in u, x being the quantile given eta = u: of all u, one gives the mixture's."""
        side, level = ("above", 1.0 - q) if q >= 0.5 else ("below", q)
        quantile = self.family.quantile
        if quantile is None:
            return searched_quantile(self, q, self.mean("mean").value, self.sd().value)
        nodes = [0]

        def at(u: Array, which: Index) -> Array:
            return np.asarray(quantile(q, values_at(self.link, u, {k: v[which] for k, v in self.aux.items()})))

        def excess(u: Array, which: Index) -> Array:
            found = self.tail(side, at(u, which), which)
            nodes[0] = max(nodes[0], found.nodes)
            return level - found.value if side == "above" else found.value - level

        low, high = self.etas.min(axis=0) - _REACH * self.s, self.etas.max(axis=0) + _REACH * self.s
        everything = np.arange(len(self.s))
        if not np.any(low < high):
            return Number(at(low, everything), np.zeros(len(self.s)), self.method)
        u, other = crossing(excess, low, high, RESOLUTION * np.maximum(np.abs(low), np.abs(high)))
        value, end = at(u, everything), at(other, everything)
        error, support = np.abs(end - value), self.family.support
        for atom in () if support is None else support.atoms:  # which the quantile given eta nears steeply
            value = np.where((np.minimum(value, end) <= atom) & (atom <= np.maximum(value, end)), atom, value)
        return Number(value, error, f"{self.method}, root", nodes[0])


def _polynomial(coefficients: Coefficients, m: Array) -> Array:
    """Var(y) at the mean m."""
    return np.asarray(sum(v * m**k for k, v in enumerate(coefficients)))


def mixture(
    family: Family,
    link: Link,
    etas: Array,
    weights: Array,
    s: Array,
    aux: dict[str, Array],
    trials: Array,
    outcome: Outcome | None = None,
    given_b: bool = False,
) -> Mixture:
    """How is y distributed over b, with what is normal and can be added up added up? Arguments as of `Mixture`.

    Nothing is added up where a number of y `given_b` is averaged, and not one of y over b.
    """
    if family.scales_latent(aux):
        etas, s, aux = _unscaled(family, etas, s, aux)
    link.check_average(s)
    if link.linear or link.no_average:
        _refuse_means(family, link, etas, s)
    if link.linear and family.convolved is not None and not given_b:
        aux, s = family.convolved(Values(**aux), s), np.zeros(len(s))
    return Mixture(family, link, etas, weights, s, aux, trials, Outcome() if outcome is None else outcome)


def _unscaled(family: Family, etas: Array, s: Array, aux: dict[str, Array]) -> tuple[Array, Array, dict[str, Array]]:
    """eta and thresholds as they count against a latent error of the usual size."""
    assert family.discrimination is not None
    disc = aux[family.discrimination.name]
    rest = {name: values for name, values in aux.items() if name != family.discrimination.name}
    return etas * disc, s * disc, rest | {"thresholds": aux["thresholds"] * disc[:, None]}


def _refuse_means(family: Family, link: Link, etas: Array, s: Array) -> None:
    """Where b leads to means that y cannot have, no distribution of y is left to speak of."""
    if family.mean_above == -np.inf:
        return
    least = family.mean_above if link.linear else 0.0  # a reciprocal is above 0 where eta is
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(s > 0.0, scipy.special.ndtr((least - etas) / s), etas <= least)
    bad = share > _NEVER
    if bad.any():
        raise PosteriorError(
            f"Under the {link.name} link the mean of a {family.name} response is not above {family.mean_above:g} for a "
            f"share of up to {share.max():.3g} of the groups asked about (in {int(bad.any(axis=0).sum())} of "
            f"{bad.shape[1]} pairs of a draw and a row): y has no distribution there. target='mean' can be asked for; "
            "under the log link no mean is that low."
        )
