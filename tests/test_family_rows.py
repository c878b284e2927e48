"""What compiled loops know of a row of y: each family's own density and its derivatives, to the tails."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import inf
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy import special

from bayesmargins.family import FAMILIES, LINKS, Outcome, values_at
from bayesmargins.family.special import digamma

# y, n and the family's parameters: shapes, or thresholds below and above.
SUCCESSES = [(0.0, 1.0), (1.0, 1.0), (0.0, 9.0), (4.0, 9.0), (9.0, 9.0), (1e5, 3e5)]
CASES: dict[str, list[tuple[float, float, float, float]]] = {
    "bernoulli": [(y, n, 0.0, 0.0) for y, n in SUCCESSES[:2]],
    "binomial": [(y, n, 0.0, 0.0) for y, n in SUCCESSES],
    "poisson": [(y, 1.0, 0.0, 0.0) for y in (0.0, 1.0, 7.0, 1e5)],
    "negbinomial": [(y, 1.0, u, 0.0) for y in (0.0, 3.0, 1e5) for u in (1e-3, 1.7, 1e4)],
    "gamma": [(y, 1.0, u, 0.0) for y in (1e-8, 2.3, 1e5) for u in (1e-2, 1.7, 400.0)],
    "exponential": [(y, 1.0, 0.0, 0.0) for y in (1e-8, 2.3, 1e5)],
    "weibull": [(y, 1.0, u, 0.0) for y in (1e-8, 2.3, 1e5) for u in (0.05, 1.7, 12.0)],
    "geometric": [(y, 1.0, 0.0, 0.0) for y in (0.0, 3.0, 1e5)],
    "cumulative": [(2.0, 1.0, u, v) for u, v in ((-inf, -1.0), (-1.0, 0.5), (0.1, 0.1001), (0.5, 9.0), (1.5, inf))],
}
PAIRS = [(family, link) for family in CASES for link in FAMILIES[family].rows]
ETAS = [-30.0, -7.0, -1.1, 0.0, 0.3, 2.0, 5.0, 30.0]
NEAR = np.array([2e-12, 1e-10, 1e-8, 1e-9, 1e-9, 2e-12, 1e-9, 1e-9])  # what `node` gives, and `base`


def test_every_family_with_rows_has_a_case() -> None:
    assert set(CASES) == {name for name, family in FAMILIES.items() if family.rows}


def _tails(link: str, x: Any) -> tuple[Any, Any]:
    """h and 1 - h, each without the other."""
    if link == "logit":
        return 1 / (1 + mp.exp(-x)), 1 / (1 + mp.exp(x))
    if link == "probit":
        return mp.erfc(-x / mp.sqrt(2)) / 2, mp.erfc(x / mp.sqrt(2)) / 2
    if link == "loglog":
        return mp.exp(-mp.exp(-x)), -mp.expm1(-mp.exp(-x))
    return -mp.expm1(-mp.exp(x)), mp.exp(-mp.exp(x))


def _log_density(family: str, link: str, y: float, n: float) -> Callable[[Any, Any, Any], Any]:
    """Written anew from the textbook: eta, u, v -> log p(y)."""
    y, n = mp.mpf(y), mp.mpf(n)

    def successes(eta: Any, u: Any, v: Any) -> Any:
        h, rest = _tails(link, eta)
        return mp.log(mp.binomial(n, y)) + y * mp.log(h) + ((n - y) * mp.log(rest) if y < n else 0)

    def between(eta: Any, u: Any, v: Any) -> Any:
        (low, from_low), (high, from_high) = _tails(link, u - eta), _tails(link, v - eta)
        return mp.log(high - low if low < 0.5 else from_low - from_high)

    def counts(eta: Any, u: Any, v: Any) -> Any:
        return y * eta - mp.exp(eta) - mp.loggamma(y + 1)

    def mixed(eta: Any, u: Any, v: Any) -> Any:
        ways = mp.loggamma(y + u) - mp.loggamma(u) - mp.loggamma(y + 1)
        return ways - u * mp.log1p(mp.exp(eta) / u) + y * (eta - mp.log(u + mp.exp(eta)))

    def amounts(eta: Any, u: Any, v: Any) -> Any:
        return u * (mp.log(u) - eta) + (u - 1) * mp.log(y) - u * y * mp.exp(-eta) - mp.loggamma(u)

    def times(eta: Any, u: Any, v: Any) -> Any:
        return -eta - y * mp.exp(-eta)

    def powers(eta: Any, u: Any, v: Any) -> Any:
        over = y * mp.gamma(1 + 1 / u) / mp.exp(eta)
        return mp.log(u / y) + u * mp.log(over) - over**u

    def failures(eta: Any, u: Any, v: Any) -> Any:
        return y * eta - (y + 1) * mp.log1p(mp.exp(eta))

    known = {"poisson": counts, "negbinomial": mixed, "gamma": amounts, "cumulative": between}
    known |= {"exponential": times, "weibull": powers, "geometric": failures}
    return known.get(family, successes)


@pytest.mark.parametrize(("family", "link"), PAIRS)
def test_rows_are_the_density_and_its_derivatives(family: str, link: str) -> None:
    tag = FAMILIES[family].rows[link]
    for y, n, u, v in CASES[family]:
        density = _log_density(family, link, y, n)
        far = [x if np.isfinite(x) else np.sign(x) * 1e9 for x in (u, v)]  # what rows read for none
        _, of_u, of_v = tag.base(y, n, *far)
        for eta in ETAS:
            value, slope, bend, d_u, d_v = tag.node(y, n, eta, *far)
            with mp.workdps(mp.mp.dps + 400 if link in ("cloglog", "loglog") else 80):
                point = tuple(map(mp.mpf, (eta, u, v)))
                exact = density(*point)
                if not mp.isfinite(exact) or exact < -1e200:
                    continue
                first, second = (mp.diff(density, point, (k, 0, 0), h=mp.mpf("1e-20")) for k in (1, 2))
                size = max(1.0, abs(float(exact)), y * abs(eta), n, abs(u) if np.isfinite(u) else 0.0)
                assert abs(value + tag.base(y, n, *far)[0] - float(exact)) < 2e-12 * size, (y, eta, u, v)
                assert abs(slope - float(first)) < 1e-10 * max(1.0, abs(float(first)), y), (y, eta, u, v)
                assert abs(bend - float(second)) < 1e-8 * max(1.0, abs(float(second))), (y, eta, u, v)
                for k, (found, own) in enumerate(((d_u + of_u, u), (d_v + of_v, v))):
                    if k < tag.reads and np.isfinite(own):
                        own = mp.diff(density, point, tuple(int(j == k + 1) for j in range(3)), h=mp.mpf("1e-20"))
                        assert abs(found - float(own)) < 1e-9 * max(1.0, abs(float(own)), y), (y, eta, u, v)


@pytest.mark.parametrize(("family", "link"), PAIRS)
def test_rows_are_the_log_density_of_the_family(family: str, link: str) -> None:
    whole, tag, rng = FAMILIES[family], FAMILIES[family].rows[link], np.random.default_rng(3)
    for eta in rng.normal(size=40) * 1.5:
        theta = np.sort(rng.normal(size=3))
        aux = {name: theta if whole.ordinal else np.exp(rng.normal()) for name in whole.aux}
        n = 6.0 if whole.support.counts_trials else 1.0
        p = values_at(LINKS[link], np.array([eta]), aux)
        trials = np.array([n]) if whole.support.counts_trials else None
        y = np.asarray(whole.simulate(rng, p, Outcome(trials=trials)))
        padded = np.array([-1e9, *theta, 1e9])
        u, v = padded[int(y[0]) - 1 : int(y[0]) + 1] if whole.ordinal else (*aux.values(), 0.0, 0.0)[:2]
        found = tag.node(float(y[0]), n, float(eta), float(u), float(v))[0] + tag.base(float(y[0]), n, u, v)[0]
        assert found == pytest.approx(whole.log_density(p, Outcome(y=y, trials=trials))[0], rel=1e-10, abs=1e-10)


@pytest.mark.parametrize(("family", "link"), PAIRS)
def test_compiled_rows_are_the_plain_ones(family: str, link: str) -> None:
    """Whose exp, log, erfcx and digamma are others; each number as near as plain ones are to mpmath's above."""
    tag = FAMILIES[family].rows[link]
    node, base = _compiled(type(tag))
    for y, n, u, v in CASES[family]:
        low, high = (float(x) if np.isfinite(x) else np.sign(x) * 1e9 for x in (u, v))
        for eta in ETAS:
            wanted = np.array([*tag.node(y, n, eta, low, high), *tag.base(y, n, low, high)])
            found = np.array([*node(tag, y, n, eta, low, high), *base(tag, y, n, low, high)])
            size = max(1.0, y, n, y * abs(eta), abs(u) if np.isfinite(u) else 0.0)
            assert (np.abs(found - wanted) < NEAR * np.maximum(size, np.abs(wanted))).all(), (y, eta, u, v)


@cache
def _compiled(kind: type) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`node` and `base` of a tag as `integrate` compiles them; families may share one."""
    from numba import njit

    from bayesmargins.integrate.compiled import OPTIONS
    from bayesmargins.integrate.vector_math import vectorised

    return njit(**OPTIONS)(vectorised(kind.node)), njit(**OPTIONS)(vectorised(kind.base))


@pytest.mark.parametrize(("family", "link"), PAIRS)
def test_rows_that_are_summed_or_multiplied_say_the_same(family: str, link: str) -> None:
    tag = FAMILIES[family].rows[link]
    for y, n, u, v in CASES[family] if hasattr(tag, "parts") else ():
        a, c, d_a, d_c = tag.parts(y, n, u, v)
        for eta in ETAS:
            power = np.exp(tag.sign * eta)
            value, slope, _, of_u, _ = tag.node(y, n, eta, u, v)
            assert a * eta - c * power == pytest.approx(value, rel=1e-14)
            assert a - tag.sign * c * power == pytest.approx(slope, rel=1e-12, abs=1e-10)
            assert d_a * eta - d_c * power == pytest.approx(of_u, rel=1e-14)
    if hasattr(tag, "multiplies"):
        for y, eta in ((0.0, -3.0), (1.0, 2.0)):
            assert y * eta - np.log(1.0 + np.exp(eta)) == pytest.approx(tag.node(y, 1.0, eta, 0.0, 0.0)[0], rel=1e-14)


def test_densities_of_rows_bend_down_everywhere() -> None:
    """One peak, whatever b: no second derivative in eta is above 0 by more than its rounding."""
    for family, link in PAIRS:
        tag = FAMILIES[family].rows[link]
        for y, n, u, v in CASES[family]:
            low, high = (x if np.isfinite(x) else np.sign(x) * 1e9 for x in (u, v))
            for eta in np.linspace(-200.0, 200.0, 401):
                found = tag.node(y, n, float(eta), low, high)
                assert np.isfinite(found).all(), (family, link, y, eta)
                assert found[2] <= 1e-9, (family, link, y, eta, low, high)


def _over(function: Callable[[float], float], x: np.ndarray) -> np.ndarray:
    from numba import njit

    @njit
    def loop(x: np.ndarray) -> np.ndarray:
        out = np.empty_like(x)
        for i in range(len(x)):
            out[i] = function(x[i])
        return out

    return np.asarray(loop(x))


def test_compiled_exp_log_and_erfcx_are_those_of_scipy() -> None:
    from bayesmargins.integrate.vector_math import vector_erfcx, vector_exp, vector_log

    rng = np.random.default_rng(1)
    x = np.concatenate([[0.0, -0.0, 1e-300, -708.0, 709.0], rng.uniform(-708, 709, 20_000), rng.normal(size=20_000)])
    np.testing.assert_allclose(_over(vector_exp, x), np.exp(x), rtol=5e-16)
    beyond, ends = _over(vector_exp, np.array([-1e6, -inf, 1e6, inf])), np.exp([-708.0, -708.0, 709.0, 709.0])
    np.testing.assert_allclose(beyond, ends, rtol=5e-16)
    of_R = np.array([0x7FF80000000007A2], dtype=np.uint64).view(np.float64)[0]  # its NA, whose last bits are 1954
    assert np.isnan(_over(vector_exp, np.array([np.nan, -np.nan, of_R]))).all()
    tiny, huge = np.finfo(float).tiny, np.finfo(float).max
    y = np.concatenate([[1.0, tiny, huge], np.exp(x[:20_000]), 1.0 + 1e-3 * x[-20_000:], 1.0 + 1e-12 * x[-9:]])
    np.testing.assert_allclose(_over(vector_log, y), np.log(y), rtol=3e-16)
    z = np.concatenate([[0.0, 1e-300, 1e8, 1e150], np.exp(rng.uniform(-20, 20, 20_000)), rng.uniform(0, 40, 20_000)])
    np.testing.assert_allclose(_over(vector_erfcx, z), special.erfcx(z), rtol=5e-15)


def test_digamma_is_that_of_scipy() -> None:
    x = np.exp(np.linspace(-18, 25, 2000))
    np.testing.assert_allclose([digamma(v) for v in x], special.digamma(x), rtol=1e-13, atol=1e-14)
