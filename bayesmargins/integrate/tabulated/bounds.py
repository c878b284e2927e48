"""How fast can an average bend? Bounds on the derivatives of E[h(eta + s Z)], and what tables may err by for them.

F(eta, s) = E[h(eta + s Z)] obeys dF/dv = d2F/deta2 with v = s^2 / 2, so the Taylor polynomial of F in (eta, v) needs
its eta-derivatives at one point only: F(eta0 + u, v0 + tau) = sum over n of F^(n)(eta0, v0) / n! P_n(u, tau), with the
heat polynomials P_0 = 1, P_1 = u, P_{n+1} = u P_n + 2 n tau P_{n-1}.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from bayesmargins.family.link import Link

__all__ = [
    "CURVE_POINTS",
    "chebyshev_points",
    "derivative_bound",
    "heat_polynomials",
    "interpolation_bounds",
    "monomials_from_points",
    "taylor_bounds",
]

Array = npt.NDArray[np.float64]

_ORDERS = 128
CURVE_POINTS = 8  # Chebyshev points a cell of a curve: degree 7, and 8 coefficients are one cache line
LEBESGUE = 2.4  # of interpolation at 8 Chebyshev points of the first kind: 2/pi log(8) + 0.963 < 2.29


@lru_cache(maxsize=1024)
def _steepest(link: Link, n: int) -> float:
    """An upper bound of abs(h^(n)) over the real line."""
    return link.supremum(n)


@lru_cache(maxsize=4096)
def _all_bounds(link: Link, s: float) -> Array:
    """The bounds of `derivative_bound` for every order at once."""
    n = np.arange(_ORDERS)
    log_steepest = np.log([_steepest(link, int(k)) for k in n])
    gap = n[:, None] - n
    with np.errstate(divide="ignore"):
        logs = log_steepest + _half_log_factorial()[np.maximum(gap, 0)] - gap * np.log(s)
    return np.exp(np.min(np.where(gap >= 0, logs, np.inf), axis=1))


@lru_cache(maxsize=1)
def _half_log_factorial() -> Array:
    return np.array([0.5 * math.lgamma(k + 1.0) for k in range(_ORDERS)])


def derivative_bound(link: Link, n: int, s: float) -> float:
    """An upper bound, over all eta and every larger s, of the n-th derivative of E[h(eta + s Z)] in eta; n below 128.

    F^(n) = E[h^(k)(eta + s Z) He_{n-k}(Z)] / s^{n-k} for each k, and E[He_m(Z)^2] = m!: the best k is taken.

    >>> from bayesmargins.family import get_link
    >>> derivative_bound(get_link("logit"), 8, 0.0)
    2.391
    >>> derivative_bound(get_link("logit"), 8, 4.0) < 0.01
    True
    """
    if s <= 0.0:
        return _steepest(link, n)
    return float(_all_bounds(link, s)[n])


def heat_polynomials(u: npt.ArrayLike, tau: npt.ArrayLike, degree: int) -> Array:
    """P_0, ..., P_degree, (..., degree + 1): the polynomial solutions of the heat equation.

    u and tau, broadcast against each other, are the distances from the centre in eta and in s^2 / 2.

    >>> heat_polynomials(2.0, 1.0, 3)
    array([ 1.,  2.,  6., 20.])
    """
    u, tau = np.broadcast_arrays(np.asarray(u, dtype=np.float64), np.asarray(tau, dtype=np.float64))
    values = [np.ones_like(u), u]
    for n in range(1, degree):
        values.append(u * values[n] + 2.0 * n * tau * values[n - 1])
    return np.stack(values[: degree + 1], axis=-1)


def taylor_bounds(link: Link, s: float, u: float, tau: float, terms: int) -> tuple[float, float, float]:
    """Bounds on what the first terms of the heat expansion leave out, of the value and two derivatives in eta.

    s is the smallest standard deviation of the cell; u and tau are the farthest that a point can lie from its centre,
    in eta and in s^2 / 2; `terms`, even, are kept.

    Taylor in tau to order K = terms / 2, then in u: each remainder has the derivative of order `terms`, and together
    they are that derivative's bound times P_terms(u, tau) / terms!.

    >>> from bayesmargins.family import get_link
    >>> taylor_bounds(get_link("logit"), 1.0, 0.125, 0.0, 12)[0] < 1e-16
    True
    """
    largest = derivative_bound(link, terms, s)
    heat = heat_polynomials(u, tau, terms)
    value, d1, d2 = (largest * float(heat[terms - k]) / math.factorial(terms - k) for k in range(3))
    return value, d1, d2


def interpolation_bounds(link: Link, s: float, width: float, noise: float) -> tuple[float, float, float]:
    """Bounds on the error of a polynomial through 8 Chebyshev points of a cell, of the value and two derivatives.

    `width` is that of the cell in eta, `noise` a bound on the error of the values at the points.

    Interpolation: sup of abs(F^(8)) / 8! times the k-th derivative of T_8(2u / width) (width / 2)^8 / 2^7 (Shadrin
    1995). Noise: the Lebesgue constant, and Markov's inequality for polynomials of degree 7.

    >>> from bayesmargins.family import get_link
    >>> interpolation_bounds(get_link("logit"), 0.0, 0.25, 0.0)[0] < 1e-13
    True
    """
    half, n = 0.5 * width, CURVE_POINTS
    error = derivative_bound(link, n, s) / math.factorial(n) * half**n / 2.0 ** (n - 1)
    steep = (1.0, n**2, n**2 * (n**2 - 1) / 3.0)  # sup of T_8 and its derivatives
    markov = (1.0, (n - 1) ** 2, (n - 1) ** 2 * ((n - 1) ** 2 - 1) / 3.0)
    value, d1, d2 = ((error * steep[k] + LEBESGUE * noise * markov[k]) / half**k for k in range(3))
    return value, d1, d2


def chebyshev_points(count: int) -> Array:
    """The Chebyshev points of the first kind in [-1, 1], increasing: (count,).

    >>> chebyshev_points(2).round(3)
    array([-0.707,  0.707])
    """
    return -np.cos(np.pi * (np.arange(count) + 0.5) / count)


@lru_cache(maxsize=8)
def monomials_from_points(count: int = CURVE_POINTS) -> Array:
    """The matrix (count, count) from values at Chebyshev points to coefficients of 1, x, x^2, ...

    >>> (monomials_from_points(3) @ chebyshev_points(3) ** 2).round(12) + 0.0
    array([0., 0., 1.])
    """
    x = chebyshev_points(count)
    columns = np.empty((count, count))
    for i in range(count):
        others = np.delete(x, i)
        columns[:, i] = np.poly(others)[::-1] / np.prod(x[i] - others)
    return columns
