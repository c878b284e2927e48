"""The response given its mean: tail probabilities and variance of every family, for targets beyond the mean.

A row of the table is data: what `marginal` needs to know of y given b. A family without a row has the targets "mean",
"link" and its own parameters, and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

__all__ = ["RESPONSES", "Response"]

Array = npt.NDArray[np.float64]
Aux = Mapping[str, Array]
Tail = Callable[[Array, Array, Array, Aux, Array], Array]
Coefficients = tuple[Array | float, Array | float, Array | float]


@dataclass(frozen=True)
class Response:
    """How is y distributed around its mean?

    Attributes
    ----------
    discrete : bool
        Whether y is a whole number from 0.
    above : callable
        ``(c, mu, 1 - mu, aux, trials) -> P(y > c)`` with full relative accuracy, however small; elementwise.
    below : callable
        The same for P(y <= c).
    variance : callable
        ``(aux, trials) -> v0, v1, v2``: Var(y) = v0 + v1 mu + v2 mu^2 given mu, in units of y.
    counts_trials : bool
        Whether y counts successes: E[y] is trials times mu.
    quantile : callable or None
        ``(q, mu, aux)``: the q-quantile given mu, where y is continuous.
    convolved : callable or None
        ``(aux, s) -> aux``: the parameters of y where mu itself is normal with standard deviation s, if that is the
        same family again.

    Notes
    -----
    1 - mu is only read where mu is a probability. The variance of most families is quadratic in the mean (Morris 1982,
    Annals of Statistics 10:65-80), which makes the average of it over groups one of the mean and its square.
    """

    discrete: bool
    above: Tail
    below: Tail
    variance: Callable[[Aux, Array], Coefficients]
    counts_trials: bool = False
    quantile: Callable[[float, Array, Aux], Array] | None = None
    convolved: Callable[[Aux, Array], dict[str, Array]] | None = None


def _gaussian_above(c: Array, mu: Array, nu: Array, aux: Aux, n: Array) -> Array:
    return scipy.special.ndtr((mu - c) / aux["sigma"])


def _gaussian_below(c: Array, mu: Array, nu: Array, aux: Aux, n: Array) -> Array:
    return scipy.special.ndtr((c - mu) / aux["sigma"])


def _binomial_above(c: Array, mu: Array, nu: Array, aux: Aux, n: Array) -> Array:
    """P(y > c) = I_mu(c + 1, n - c)."""
    c, inside = _inside(c, n)
    value = scipy.special.betainc(np.where(inside, c + 1.0, 1.0), np.where(inside, n - c, 1.0), mu)
    return np.where(inside, value, np.where(c < 0.0, 1.0, 0.0)) + 0.0 * n


def _binomial_below(c: Array, mu: Array, nu: Array, aux: Aux, n: Array) -> Array:
    """P(y <= c) = I_(1 - mu)(n - c, c + 1)."""
    c, inside = _inside(c, n)
    value = scipy.special.betainc(np.where(inside, n - c, 1.0), np.where(inside, c + 1.0, 1.0), nu)
    return np.where(inside, value, np.where(c < 0.0, 0.0, 1.0)) + 0.0 * n


def _inside(c: Array, n: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    c = np.floor(c)
    return c, (c >= 0.0) & (c < n)


def _poisson_above(c: Array, mu: Array, nu: Array, aux: Aux, n: Array) -> Array:
    """P(y > c) = P(c + 1, mu), the regularised incomplete gamma function."""
    c = np.floor(c)
    return np.where(c < 0.0, 1.0, scipy.special.gammainc(np.maximum(c, 0.0) + 1.0, mu))


def _poisson_below(c: Array, mu: Array, nu: Array, aux: Aux, n: Array) -> Array:
    c = np.floor(c)
    return np.where(c < 0.0, 0.0, scipy.special.gammaincc(np.maximum(c, 0.0) + 1.0, mu))


def _negbinomial_above(c: Array, mu: Array, nu: Array, aux: Aux, n: Array) -> Array:
    """P(y > c) = I_p(c + 1, shape), p = mu / (mu + shape)."""
    c = np.floor(c)
    return np.where(c < 0.0, 1.0, _beta(np.maximum(c, 0.0) + 1.0, aux["shape"], *_odds(mu, aux["shape"])))


def _negbinomial_below(c: Array, mu: Array, nu: Array, aux: Aux, n: Array) -> Array:
    c = np.floor(c)
    p, q = _odds(mu, aux["shape"])
    return np.where(c < 0.0, 0.0, _beta(aux["shape"], np.maximum(c, 0.0) + 1.0, q, p))


def _odds(mu: Array, shape: Array) -> tuple[Array, Array]:
    """mu / (mu + shape) and its complement, also at 0 and infinity."""
    with np.errstate(divide="ignore"):
        return 1.0 / (1.0 + shape / mu), 1.0 / (1.0 + mu / shape)


def _beta(a: Array, b: Array, x: Array, y: Array) -> Array:
    """I_x(a, b) from the smaller of x and y = 1 - x: with a or b below 1 the digits of the other do not suffice."""
    a, b, x, y = np.broadcast_arrays(a, b, x, y)
    small = ~(x > 0.5)
    out = np.empty(x.shape)
    out[small] = scipy.special.betainc(a[small], b[small], x[small])
    out[~small] = scipy.special.betaincc(b[~small], a[~small], y[~small])
    return out


RESPONSES: dict[str, Response] = {
    "gaussian": Response(
        False,
        _gaussian_above,
        _gaussian_below,
        lambda aux, n: (aux["sigma"] ** 2, 0.0, 0.0),
        quantile=lambda q, mu, aux: mu + aux["sigma"] * scipy.special.ndtri(q),
        convolved=lambda aux, s: {"sigma": np.hypot(aux["sigma"], s)},
    ),
    "bernoulli": Response(True, _binomial_above, _binomial_below, lambda aux, n: (0.0, 1.0, -1.0)),
    "binomial": Response(True, _binomial_above, _binomial_below, lambda aux, n: (0.0, n, -n), counts_trials=True),
    "poisson": Response(True, _poisson_above, _poisson_below, lambda aux, n: (0.0, 1.0, 0.0)),
    "negbinomial": Response(
        True, _negbinomial_above, _negbinomial_below, lambda aux, n: (0.0, 1.0, 1.0 / aux["shape"])
    ),
}
"""Families whose response has the targets of `targets`, by name."""
