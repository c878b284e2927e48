"""Densities and tails of families against mpmath, written down anew: 200 points, edges, and far out in the tails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from bayesmargins.family import FAMILIES, LINKS, Outcome, values_at

DIGITS = 60
LEAST = mp.mpf("1e-290")  # below it a float has no digits to spare


@dataclass(frozen=True)
class Exact:
    """Parameters by how they are drawn, y from a standard normal number and mu, and what mpmath says of them."""

    link: str
    aux: dict[str, Callable[[np.random.Generator], float]]
    y: Callable[[np.ndarray, np.ndarray, dict[str, np.ndarray]], np.ndarray]
    density: Callable[..., Any]  # y, mu, **aux
    above: Callable[..., Any]
    below: Callable[..., Any]
    edges: tuple[tuple[float, float, dict[str, float]], ...] = field(default=())  # y, eta, aux
    every: int = 1  # of the points, where an exact tail is an integral that takes long


def log_uniform(low: float, high: float) -> Callable[[np.random.Generator], float]:
    return lambda rng: float(np.exp(rng.uniform(np.log(low), np.log(high))))


def scale(mu: Any, shape: Any) -> Any:
    return mu / mp.gamma(1 + 1 / shape)


def wald_deviates(c: Any, mu: Any, shape: Any) -> tuple[Any, Any]:
    root = mp.sqrt(shape / c)
    return root * (c / mu - 1), root * (c / mu + 1)


def wald_below(c: Any, mu: Any, shape: Any) -> Any:
    a, b = wald_deviates(c, mu, shape)
    return mp.ncdf(a) + mp.exp(2 * shape / mu) * mp.ncdf(-b)


def wald_above(c: Any, mu: Any, shape: Any) -> Any:
    a, b = wald_deviates(c, mu, shape)
    return mp.ncdf(-a) - mp.exp(2 * shape / mu) * mp.ncdf(-b)


def emg_tilted(c: Any, mu: Any, sigma: Any, tau: Any) -> tuple[Any, Any]:
    x, d = (c - mu + tau) / sigma, sigma / tau
    return x, mp.exp(d * d / 2 - d * x) * mp.ncdf(x - d)


def skew_parts(y: Any, mu: Any, sigma: Any, alpha: Any) -> tuple[Any, Any]:
    delta = alpha / mp.sqrt(1 + alpha**2) * mp.sqrt(2 / mp.pi)
    omega = sigma / mp.sqrt(1 - delta**2)
    return (y - mu + omega * delta) / omega, omega


def skew_density(y: Any, mu: Any, sigma: Any, alpha: Any) -> Any:
    z, omega = skew_parts(y, mu, sigma, alpha)
    return 2 / omega * mp.npdf(z) * mp.ncdf(alpha * z)


def skew_beyond(z: Any, alpha: Any) -> Any:
    """The integral of the density from z on, beginning where it still counts; in units of what it is there."""
    with mp.workdps(20):
        steep = 1 + (alpha**2 if alpha < 0 else 0)
        low = max(z, mp.mpf(-15))
        ends = [low + k / (mp.sqrt(steep) + max(low, 0) * steep) for k in (0, 1, 3, 8, 20, 40, 80)]
        if low < 0:
            ends = sorted({*(e for e in ends if e < 0), mp.mpf(0), *(k / mp.sqrt(steep) for k in (1, 2, 4, 8, 16))})
        size = mp.npdf(low) * mp.ncdf(alpha * low)
        return 2 * size * mp.quad(lambda t: mp.npdf(t) * mp.ncdf(alpha * t) / size, ends)


def skew_above(c: Any, mu: Any, sigma: Any, alpha: Any) -> Any:
    return skew_beyond(skew_parts(c, mu, sigma, alpha)[0], alpha)


def skew_below(c: Any, mu: Any, sigma: Any, alpha: Any) -> Any:
    return skew_beyond(-skew_parts(c, mu, sigma, alpha)[0], -alpha)


EXACT = {
    "exponential": Exact(
        "log",
        {},
        lambda z, mu, p: mu * np.exp(z),
        lambda y, mu: mp.exp(-y / mu) / mu,
        lambda c, mu: mp.exp(-c / mu),
        lambda c, mu: -mp.expm1(-c / mu),
        ((1e-300, 0.3, {}), (600.0, 0.0, {}), (1e-12, 30.0, {}), (1.0, 300.0, {})),
    ),
    "weibull": Exact(
        "log",
        {"shape": log_uniform(0.2, 30.0)},
        lambda z, mu, p: mu * np.exp(z / p["shape"]),
        lambda y, mu, shape: shape / y * (y / scale(mu, shape)) ** shape * mp.exp(-((y / scale(mu, shape)) ** shape)),
        lambda c, mu, shape: mp.exp(-((c / scale(mu, shape)) ** shape)),
        lambda c, mu, shape: -mp.expm1(-((c / scale(mu, shape)) ** shape)),
        (
            (1e-200, 0.3, {"shape": 0.3}),
            (1e-20, 0.3, {"shape": 0.5}),
            (1e4, 0.0, {"shape": 0.6}),
            (3.0, 0.0, {"shape": 5.0}),
        ),
    ),
    "geometric": Exact(
        "log",
        {},
        lambda z, mu, p: np.floor(mu * np.exp(z)),
        lambda y, mu: (mu / (1 + mu)) ** y / (1 + mu),
        lambda c, mu: (mu / (1 + mu)) ** (mp.floor(c) + 1),
        lambda c, mu: 1 - (mu / (1 + mu)) ** (mp.floor(c) + 1),
        ((0.0, -40.0, {}), (0.0, 40.0, {}), (7.0, -40.0, {}), (1e6, 9.0, {}), (0.0, 700.0, {})),
    ),
    "inverse_gaussian": Exact(
        "log",
        {"shape": log_uniform(0.01, 100.0)},
        lambda z, mu, p: (
            mu * np.exp(np.where(z < 0, np.maximum(z, -4), z) * np.sqrt(mu / p["shape"]) / (1 + mu / p["shape"]))
        ),
        lambda y, mu, shape: mp.sqrt(shape / (2 * mp.pi * y**3)) * mp.exp(-shape * (y - mu) ** 2 / (2 * mu**2 * y)),
        wald_above,
        wald_below,
        (
            *((y, 0.3, {"shape": 1.3}) for y in (0.003, 0.02, 40.0, 400.0)),
            *((1e5, 0.0, {"shape": shape}) for shape in (1e-4, 1e-3)),
            *((1e-3, 0.0, {"shape": shape}) for shape in (1e-4, 1e-3)),
            *((0.9, 0.0, {"shape": shape}) for shape in (1e-8, 1e4)),
            *((1.2, 0.0, {"shape": shape}) for shape in (1e-8, 1e3)),
            (50.0, 30.0, {"shape": 1.0}),
        ),
    ),
    "shifted_lognormal": Exact(
        "identity",
        {"sigma": log_uniform(0.05, 3.0), "ndt": log_uniform(0.01, 3.0)},
        lambda z, mu, p: p["ndt"] + np.exp(mu + p["sigma"] * z),
        lambda y, mu, sigma, ndt: mp.npdf((mp.log(y - ndt) - mu) / sigma) / sigma / (y - ndt),
        lambda c, mu, sigma, ndt: mp.ncdf(-(mp.log(c - ndt) - mu) / sigma),
        lambda c, mu, sigma, ndt: mp.ncdf((mp.log(c - ndt) - mu) / sigma),
        ((1.0001, 0.3, {"sigma": 0.7, "ndt": 1.0}), (1e9, 0.0, {"sigma": 2.0, "ndt": 0.3})),
    ),
    "exgaussian": Exact(
        "identity",
        {"sigma": log_uniform(0.01, 3.0), "tau": log_uniform(0.01, 3.0)},
        lambda z, mu, p: mu - p["tau"] + p["sigma"] * z + p["tau"] * np.maximum(z, 0.0),
        lambda y, mu, sigma, tau: emg_tilted(y, mu, sigma, tau)[1] / tau,
        lambda c, mu, sigma, tau: mp.ncdf(-emg_tilted(c, mu, sigma, tau)[0]) + emg_tilted(c, mu, sigma, tau)[1],
        lambda c, mu, sigma, tau: mp.ncdf(emg_tilted(c, mu, sigma, tau)[0]) - emg_tilted(c, mu, sigma, tau)[1],
        (
            *((y, 0.0, {"sigma": 1.0, "tau": 1e6}) for y in (-1e6 - 20.0, -1e6 - 1.0, -1e6 + 1.0, 0.0, 1e7)),
            *((y, 0.0, {"sigma": 1.0, "tau": 1e-5}) for y in (-20.0, -1.0, 0.0, 30.0)),
            *((y, 0.0, {"sigma": 1e-5, "tau": 1.0}) for y in (-1.0001, -1.0, -0.9999, 300.0)),
        ),
    ),
    "skew_normal": Exact(
        "identity",
        {"sigma": log_uniform(0.1, 3.0), "alpha": lambda rng: float(rng.normal() * 5.0)},
        lambda z, mu, p: mu + p["sigma"] * z,
        skew_density,
        skew_above,
        skew_below,
        (
            *((y, 0.0, {"sigma": 1.0, "alpha": 0.0}) for y in (-20.0, 0.0, 20.0)),
            *((y, 0.0, {"sigma": 1.0, "alpha": 1000.0}) for y in (-1.325, -1.3236, -1.323, 0.0, 20.0)),
            *((y, 0.0, {"sigma": 1.0, "alpha": -60.0}) for y in (-9.0, 1.3, 1.32, 1.4)),
        ),
        every=5,
    ),
    "asymmetric_laplace": Exact(
        "identity",
        {"sigma": log_uniform(0.1, 3.0), "quantile": lambda rng: float(rng.uniform(0.001, 0.999))},
        lambda z, mu, p: mu + p["sigma"] * z * np.exp(np.abs(z)),
        lambda y, mu, sigma, quantile: (
            quantile * (1 - quantile) / sigma * mp.exp(-(y - mu) / sigma * (quantile - (1 if y < mu else 0)))
        ),
        lambda c, mu, sigma, quantile: (
            (1 - quantile) * mp.exp(-quantile * (c - mu) / sigma)
            if c > mu
            else 1 - quantile * mp.exp((1 - quantile) * (c - mu) / sigma)
        ),
        lambda c, mu, sigma, quantile: (
            1 - (1 - quantile) * mp.exp(-quantile * (c - mu) / sigma)
            if c > mu
            else quantile * mp.exp((1 - quantile) * (c - mu) / sigma)
        ),
        ((0.0, 0.0, {"sigma": 1.0, "quantile": 0.25}), (500.0, 0.0, {"sigma": 1.0, "quantile": 1e-6})),
    ),
}


def points(name: str) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """y, eta and parameters: 200 at random, the edges, and far tails."""
    exact, rng = EXACT[name], np.random.default_rng(len(name))
    eta = rng.normal(size=230) * 1.5
    aux = {k: np.array([draw(rng) for _ in eta]) for k, draw in exact.aux.items()}
    z = np.concatenate([rng.normal(size=200) * 1.5, rng.uniform(3.0, 9.0, size=30) * rng.choice([-1, 1], size=30)])
    y = exact.y(z, LINKS[exact.link].inverse(eta), aux)
    more = exact.edges
    aux = {k: np.append(v, [e[2][k] for e in more]) for k, v in aux.items()}
    return np.append(y, [e[0] for e in more]), np.append(eta, [e[1] for e in more]), aux


def exactly(name: str, what: str, y: np.ndarray, eta: np.ndarray, aux: dict[str, np.ndarray]) -> list[Any]:
    """By mpmath, at the numbers that doubles are."""
    function, link = getattr(EXACT[name], what), EXACT[name].link
    mu = LINKS[link].inverse(eta)
    return [function(mp.mpf(y[i]), mp.mpf(mu[i]), **{k: mp.mpf(v[i]) for k, v in aux.items()}) for i in range(len(y))]


@pytest.mark.parametrize("name", EXACT)
def test_log_densities_are_those_of_mpmath(name: str) -> None:
    y, eta, aux = points(name)
    found = FAMILIES[name].log_density(values_at(LINKS[EXACT[name].link], eta, aux), Outcome(y))
    with mp.workdps(DIGITS):
        wanted = [float(mp.log(f)) for f in exactly(name, "density", y, eta, aux)]
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("side", ["above", "below"])
@pytest.mark.parametrize("name", EXACT)
def test_tails_have_their_digits_however_small_they_are(name: str, side: str) -> None:
    y, eta, aux = points(name)
    few = slice(None, None, -EXACT[name].every)
    y, eta, aux = y[few], eta[few], {k: v[few] for k, v in aux.items()}
    found = getattr(FAMILIES[name], side)(y, values_at(LINKS[EXACT[name].link], eta, aux), Outcome())
    with mp.workdps(DIGITS):
        wanted = exactly(name, side, y, eta, aux)
    assert any(mp.mpf("1e-30") < w < mp.mpf("1e-5") for w in wanted)
    for i, (value, true) in enumerate(zip(found, wanted, strict=True)):
        # A tail that falls like exp(-t) moves by t times the rounding of what t is made of.
        steep = 1.0 + abs(float(mp.log(max(true, LEAST))))
        at = y[i], eta[i], {k: v[i] for k, v in aux.items()}
        assert value == pytest.approx(float(true), rel=2e-13 * steep, abs=1e-290), at


# Those whose densities are SciPy's: (parameters, y at random, density of y, mu, 1 - mu and the parameters).
def of_trials(y: Any, mu: Any, rest: Any, n: int = 9) -> Any:
    return mp.binomial(n, y) * mu**y * rest ** (n - y)


def of_beta_binomial(y: Any, mu: Any, rest: Any, phi: Any, n: int = 9) -> Any:
    return mp.binomial(n, y) * mp.beta(y + mu * phi, n - y + rest * phi) / mp.beta(mu * phi, rest * phi)


def of_gamma(y: Any, mu: Any, _: Any, shape: Any) -> Any:
    return (shape / mu) ** shape * y ** (shape - 1) * mp.exp(-shape * y / mu) / mp.gamma(shape)


def of_negbinomial(y: Any, mu: Any, _: Any, shape: Any) -> Any:
    odds = mu / (mu + shape)
    return mp.gamma(y + shape) / mp.gamma(shape) / mp.factorial(y) * odds**y * (shape / (mu + shape)) ** shape


def of_t(y: Any, mu: Any, _: Any, sigma: Any, nu: Any) -> Any:
    kernel = (1 + ((y - mu) / sigma) ** 2 / nu) ** (-(nu + 1) / 2)
    return kernel * mp.gamma((nu + 1) / 2) / mp.gamma(nu / 2) / mp.sqrt(mp.pi * nu) / sigma


POSITIVE, WHOLE = log_uniform(1e-3, 30.0), lambda rng: float(rng.integers(0, 40))
NARROW, SHAPE = log_uniform(0.1, 5.0), log_uniform(0.2, 20.0)
BY_SCIPY: dict[str, tuple[dict[str, Any], Any, Callable[..., Any]]] = {
    "gaussian": ({"sigma": NARROW}, lambda rng: rng.normal(0.0, 6.0), lambda y, m, _, sigma: mp.npdf(y, m, sigma)),
    "student_t": ({"sigma": NARROW, "nu": log_uniform(1.1, 60.0)}, lambda rng: rng.normal(0.0, 9.0), of_t),
    "lognormal": ({"sigma": NARROW}, POSITIVE, lambda y, m, _, sigma: mp.npdf(mp.log(y), m, sigma) / y),
    "gamma": ({"shape": SHAPE}, POSITIVE, of_gamma),
    "beta": (
        {"phi": SHAPE},
        lambda rng: rng.beta(0.5, 0.5),
        lambda y, m, rest, phi: y ** (m * phi - 1) * (1 - y) ** (rest * phi - 1) / mp.beta(m * phi, rest * phi),
    ),
    "bernoulli": ({}, lambda rng: float(rng.integers(0, 2)), lambda y, m, rest: m if y == 1 else rest),
    "binomial": ({}, lambda rng: float(rng.integers(0, 10)), of_trials),
    "beta_binomial": ({"phi": SHAPE}, lambda rng: float(rng.integers(0, 10)), of_beta_binomial),
    "poisson": ({}, WHOLE, lambda y, m, _: m**y * mp.exp(-m) / mp.factorial(y)),
    "negbinomial": ({"shape": SHAPE}, WHOLE, of_negbinomial),
}


def share_of(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.02, 0.98))


def or_zero(draw: Callable[[np.random.Generator], float]) -> Callable[[np.random.Generator], float]:
    return lambda rng: float(draw(rng)) if rng.uniform() < 0.6 else 0.0


def with_zeros(name: str, share: str, *, truncated: bool = False) -> tuple[Any, Any, Any]:
    """0 with a probability of its own, else as another family, whose zeros may be left out."""
    own, draw, density = BY_SCIPY[name]
    counts = bool(FAMILIES[name].discrete)

    def mixed(y: Any, m: Any, rest: Any, *values: Any) -> Any:
        *others, zero = values
        if truncated or not counts:
            kept = (1 - density(mp.mpf(0), m, rest, *others)) if truncated else 1
            return zero if y == 0 else (1 - zero) * density(y, m, rest, *others) / kept
        return (zero if y == 0 else 0) + (1 - zero) * density(y, m, rest, *others)

    return own | {share: share_of}, or_zero(draw), mixed


def of_both_ends(y: Any, m: Any, rest: Any, phi: Any, zoi: Any, coi: Any) -> Any:
    ends = {0: zoi * (1 - coi), 1: zoi * coi}
    return ends[int(y)] if y in (0, 1) else (1 - zoi) * BY_SCIPY["beta"][2](y, m, rest, phi)


BY_SCIPY |= {f"zero_inflated_{name}": with_zeros(name, "zi") for name in ("poisson", "negbinomial", "binomial", "beta")}
BY_SCIPY |= {f"hurdle_{name}": with_zeros(name, "hu", truncated=True) for name in ("poisson", "negbinomial")}
BY_SCIPY |= {f"hurdle_{name}": with_zeros(name, "hu") for name in ("gamma", "lognormal")}
BY_SCIPY["zero_one_inflated_beta"] = (
    {"phi": SHAPE, "zoi": share_of, "coi": share_of},
    lambda rng: float(rng.choice([0.0, 1.0, rng.beta(0.5, 0.5)])),
    of_both_ends,
)


def of_cut_points(y: Any, m: Any, rest: Any, phi: Any, low: Any, width: Any) -> Any:
    eta, high = mp.log(m / rest), low + mp.exp(width)
    zero, one = 1 / (1 + mp.exp(eta - low)), 1 / (1 + mp.exp(high - eta))
    return {0: zero, 1: one}[int(y)] if y in (0, 1) else (1 - zero - one) * BY_SCIPY["beta"][2](y, m, rest, phi)


BY_SCIPY["ordered_beta"] = (
    {"phi": SHAPE, "cutzero": lambda rng: rng.normal(-1.0, 1.0), "cutone": lambda rng: rng.normal(0.5, 0.5)},
    BY_SCIPY["zero_one_inflated_beta"][1],
    of_cut_points,
)


def test_every_family_is_held_against_mpmath() -> None:
    """Those of one linear predictor whose categories have no order, which have tests of their own."""
    plain = {name for name, family in FAMILIES.items() if not family.ordinal and family.shares is None}
    assert set(EXACT) | set(BY_SCIPY) == plain


@pytest.mark.parametrize("name", BY_SCIPY)
def test_log_densities_by_scipy_are_those_of_mpmath(name: str) -> None:
    """At 200 points, under the family's first link, mu as a double has it."""
    parameters, draw, density = BY_SCIPY[name]
    rng, family = np.random.default_rng(12), FAMILIES[name]
    link, eta = LINKS[family.links[0]], rng.normal(0.0, 1.5, 200)
    y, aux = np.array([draw(rng) for _ in eta]), {k: np.array([one(rng) for _ in eta]) for k, one in parameters.items()}
    p = values_at(link, eta, aux)
    trials = np.full(200, 9.0) if family.support.counts_trials else None
    found = family.log_density(p, Outcome(y, trials))
    with mp.workdps(DIGITS):
        at = (map(mp.mpf, of) for of in zip(y, p.mu, p.complement, *aux.values(), strict=True))
        wanted = [float(mp.log(density(*values))) for values in at]
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10)
