"""Inverse links with what averaging over groups needs: derivatives, complements, closed forms, growth in the plane.

A link is data: the functions of eta, the closed form of E[h(eta + s Z)] where one exists, and otherwise the strip in
which h is analytic and how fast it grows there, from which `integrate` computes its step and its error bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy

from bayesmargins.errors import ModelError, close_matches, listed

__all__ = ["LINKS", "PARTS", "Link", "Strip", "get_link"]

Array = npt.NDArray[np.float64]
Function = Callable[[npt.ArrayLike], Array]

PARTS = ("mean", "complement", "d1", "d2", "d3", "d4")
"""What can be averaged: h, 1 - h, and the first to fourth derivative of h."""

_FLAT = 40.0  # phi(40) underflows to 0: clipping there turns inf * 0 into the limit, 0
_EXP_SAFE = 700.0  # exp(700) is finite, and exp(-exp(700)) is exactly 0


@dataclass(frozen=True, eq=False)  # the table holds the only instance: identity compares and hashes
class Strip:
    """How does h grow off the real line, where its average has no closed form?

    Attributes
    ----------
    half_width : float
        h is analytic for abs(Im w) < half_width.
    log_growth : callable
        ``log_growth(part, y)``: log of the K for which abs(f(x + iy)) <= K F(x) at every real x, with f the part asked
        for and F what `scale` says. Increasing in y.
    scale : dict of str to (float or None)
        By part, an upper bound of E[F]. None: F is f itself, so that the error bound is relative to the value.
    tolerance : dict of str to float
        By part, the discretisation error that a rule is built for, in units of E[F].
    moments : tuple of four float
        Raw moments 1 to 4 of the distribution whose cdf is h; used when s is far larger than they are.
    """

    half_width: float
    log_growth: Callable[[str, Array], Array]
    scale: dict[str, float | None]
    tolerance: dict[str, float]
    moments: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)  # the table holds the only instance: identity compares and hashes
class Link:
    """What does a linear predictor eta mean on the response scale?

    Attributes
    ----------
    name : str
        Its name in `LINKS`.
    link : callable
        mu -> eta.
    inverse, derivative, second : callable
        eta -> h(eta), h'(eta), h''(eta).
    complement : callable or None
        eta -> 1 - h(eta) to full relative accuracy; None where h is not a probability.
    bounded : bool
        Whether h lies in [0, 1].
    latent_sd : float
        Standard deviation of the latent error whose cdf is h (1 where there is none); a scale for priors.
    closed_form : callable or None
        ``closed_form(eta, s2, part)``; None where the average is computed numerically.
    code : int or None
        The number of the numerical rule in the compiled kernels; None with a closed form.
    strip : Strip or None
        Growth off the real line; None with a closed form.
    higher : tuple of two callable
        eta -> h'''(eta) and h''''(eta), for derivatives of slopes; empty where a link has none.

    Examples
    --------
    >>> float(LINKS["logit"].inverse(0.0))
    0.5
    """

    name: str
    link: Function
    inverse: Function
    derivative: Function
    second: Function
    complement: Function | None
    bounded: bool
    latent_sd: float
    closed_form: Callable[[Array, Array, str], Array] | None = None
    code: int | None = None
    strip: Strip | None = field(default=None, repr=False)
    higher: tuple[Function, ...] = field(default=(), repr=False)

    def part(self, name: str) -> Function:
        """Which function of eta is this part?

        Parameters
        ----------
        name : {"mean", "complement", "d1", "d2", "d3", "d4"}
            The part.

        Returns
        -------
        callable
            h, 1 - h, or a derivative of h.

        Raises
        ------
        ModelError
            An unknown part, or the complement of an unbounded link.

        Examples
        --------
        >>> float(LINKS["logit"].part("d1")(0.0))
        0.25
        """
        parts = {"mean": self.inverse, "complement": self.complement, "d1": self.derivative, "d2": self.second}
        parts |= zip(("d3", "d4"), self.higher, strict=False)
        found = parts.get(name)
        if found is None:
            allowed = [part for part, function in parts.items() if function is not None]
            raise ModelError(
                f"part={name!r} of the {self.name} link: allowed are {listed(allowed)}.{close_matches(name, allowed)}"
            )
        return found


def get_link(name: str) -> Link:
    """Which link has this name?

    Parameters
    ----------
    name : str
        One of the names in `LINKS`.

    Returns
    -------
    Link
        The link.

    Raises
    ------
    ModelError
        No link has this name.

    Examples
    --------
    >>> get_link("probit").latent_sd
    1.0
    """
    found = LINKS.get(name) if isinstance(name, str) else None
    if found is None:
        raise ModelError(f"link={name!r} is not known: allowed are {listed(LINKS)}.{close_matches(name, LINKS)}")
    return found


def _float(x: npt.ArrayLike) -> Array:
    return np.asarray(x, dtype=np.float64)


def _exp(eta: npt.ArrayLike) -> Array:
    with np.errstate(over="ignore"):
        return np.exp(_float(eta))


def _log(mu: npt.ArrayLike) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(_float(mu))


# identity ---------------------------------------------------------------------------------------------------------


def _zero(eta: npt.ArrayLike) -> Array:
    return np.zeros_like(_float(eta))


def _identity_closed(eta: Array, s2: Array, part: str) -> Array:
    eta, s2 = np.broadcast_arrays(eta, s2)
    value = eta if part == "mean" else np.full(eta.shape, 1.0 if part == "d1" else 0.0)
    return np.where(np.isnan(eta) | np.isnan(s2), np.nan, value)


# log --------------------------------------------------------------------------------------------------------------


def _log_closed(eta: Array, s2: Array, part: str) -> Array:
    return _exp(eta + 0.5 * s2)


# logit ------------------------------------------------------------------------------------------------------------


# scipy.special is a fifth of the package's import time, so SciPy loads it at the first call.
def _logit(mu: npt.ArrayLike) -> Array:
    return scipy.special.logit(_float(mu))


def _expit(eta: npt.ArrayLike) -> Array:
    return scipy.special.expit(_float(eta))


def _ndtri(mu: npt.ArrayLike) -> Array:
    return scipy.special.ndtri(_float(mu))


def _ndtr(eta: npt.ArrayLike) -> Array:
    return scipy.special.ndtr(_float(eta))


def _logit_complement(eta: npt.ArrayLike) -> Array:
    return scipy.special.expit(-_float(eta))


def _logit_derivative(eta: npt.ArrayLike) -> Array:
    return scipy.special.expit(_float(eta)) * scipy.special.expit(-_float(eta))


def _logit_second(eta: npt.ArrayLike) -> Array:
    return -_logit_derivative(eta) * np.tanh(0.5 * _float(eta))


def _logit_third(eta: npt.ArrayLike) -> Array:
    v = _logit_derivative(eta)
    return v * (1.0 - 6.0 * v)


def _logit_fourth(eta: npt.ArrayLike) -> Array:
    v = _logit_derivative(eta)
    return -v * np.tanh(0.5 * _float(eta)) * (1.0 - 12.0 * v)


_LOGIT_POWER = {"mean": 1, "complement": 1, "d1": 2, "d2": 3, "d3": 4, "d4": 5}
_LOGIT_FACTOR = {"d3": 1.5, "d4": 3.0}


def _logit_growth(part: str, y: Array) -> Array:
    # |1 + q e^{-iy}|^2 - (1 + q)^2 cos^2(y/2) = (1 - q)^2 sin^2(y/2) >= 0: a factor 1/cos(y/2) per power of h or 1 - h;
    # h''' = pq (p^2 - 4pq + q^2) and h'''' = pq (q - p) (p^2 - 10pq + q^2), the absolute terms at most 1.5 and 3
    return np.log(_LOGIT_FACTOR.get(part, 1.0)) - _LOGIT_POWER[part] * np.log(np.cos(0.5 * y))


# probit -----------------------------------------------------------------------------------------------------------


def _normal_density(x: Array) -> Array:
    return np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi)


def _probit_complement(eta: npt.ArrayLike) -> Array:
    return scipy.special.ndtr(-_float(eta))


def _probit_derivative(eta: npt.ArrayLike) -> Array:
    return _normal_density(np.clip(_float(eta), -_FLAT, _FLAT))


def _probit_second(eta: npt.ArrayLike) -> Array:
    x = np.clip(_float(eta), -_FLAT, _FLAT)
    return -x * _normal_density(x)


def _probit_third(eta: npt.ArrayLike) -> Array:
    x = np.clip(_float(eta), -_FLAT, _FLAT)
    return (x * x - 1.0) * _normal_density(x)


def _probit_fourth(eta: npt.ArrayLike) -> Array:
    x = np.clip(_float(eta), -_FLAT, _FLAT)
    return x * (3.0 - x * x) * _normal_density(x)


def _probit_closed(eta: Array, s2: Array, part: str) -> Array:
    tau = np.sqrt(1.0 + s2)
    functions = {"mean": _ndtr, "complement": _probit_complement, "d1": _probit_derivative, "d2": _probit_second}
    functions |= {"d3": _probit_third, "d4": _probit_fourth}
    power = {"d1": 1, "d2": 2, "d3": 3, "d4": 4}.get(part, 0)
    return functions[part](eta / tau) / tau**power


# cloglog ----------------------------------------------------------------------------------------------------------


def _cloglog_link(mu: npt.ArrayLike) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(-np.log1p(-_float(mu)))


def _cloglog_inverse(eta: npt.ArrayLike) -> Array:
    return -np.expm1(-_exp(eta))


def _cloglog_complement(eta: npt.ArrayLike) -> Array:
    return np.exp(-_exp(eta))


def _cloglog_derivative(eta: npt.ArrayLike) -> Array:
    x = np.minimum(_float(eta), _EXP_SAFE)
    return np.exp(x - np.exp(x))


def _cloglog_second(eta: npt.ArrayLike) -> Array:
    u = np.exp(np.minimum(_float(eta), _EXP_SAFE))
    return u * np.exp(-u) * (1.0 - u)


_GONE = 7.0  # exp(-exp(7)) is exactly 0, and powers of exp(7) are finite


def _cloglog_third(eta: npt.ArrayLike) -> Array:
    u = np.exp(np.minimum(_float(eta), _GONE))
    return u * np.exp(-u) * (1.0 - u * (3.0 - u))


def _cloglog_fourth(eta: npt.ArrayLike) -> Array:
    u = np.exp(np.minimum(_float(eta), _GONE))
    return u * np.exp(-u) * (1.0 - u * (7.0 - u * (6.0 - u)))


_CLOGLOG_FACTOR = {"d3": 1.25, "d4": 1.88}


def _cloglog_growth(part: str, y: Array) -> Array:
    # with rho = e^x: |h| <= min(rho, 2) <= 2/(1-e^-2) h(x); |1 - h| <= 1; |h'| <= rho e^{-rho cos y} and
    # |h''| <= rho (1 + rho) e^{-rho cos y}, each over h(x) >= rho/(1 + rho), at the rho that is worst; for h''' and
    # h'''' 1 + 3 rho + rho^2 <= 1.25 (1 + rho)^2 and 1 + 7 rho + 6 rho^2 + rho^3 <= 1.88 (1 + rho)^3
    if part == "mean":
        return np.full_like(y, np.log(2.0 / -np.expm1(-2.0)))
    if part == "complement":
        return np.zeros_like(y)
    power = {"d1": 1, "d2": 2, "d3": 3, "d4": 4}[part]
    cos = np.cos(y)
    return np.log(_CLOGLOG_FACTOR.get(part, 1.0)) + power * np.log(power / cos) + cos - power


_EULER, _ZETA3 = 0.5772156649015329, 1.2020569031595943
_LOGIT_STRIP = Strip(
    half_width=np.pi,
    log_growth=_logit_growth,
    scale={"mean": None, "complement": None, "d1": None, "d2": 0.25, "d3": 0.25, "d4": 0.25},
    tolerance=dict.fromkeys(PARTS, 1e-14),
    moments=(0.0, np.pi**2 / 3, 0.0, 7 * np.pi**4 / 15),
)
_CLOGLOG_STRIP = Strip(
    half_width=np.pi / 2,
    log_growth=_cloglog_growth,
    scale={"mean": None, "complement": 1.0, "d1": 1.0, "d2": 1.0, "d3": 1.0, "d4": 1.25},  # h'''' exceeds h by 1.2
    # the complement is bounded in absolute terms only: 1e-22 leaves ten digits of a complement of 1e-12
    tolerance=dict.fromkeys(PARTS, 1e-14) | {"complement": 1e-22},
    moments=(
        -_EULER,
        _EULER**2 + np.pi**2 / 6,
        -(_EULER**3 + _EULER * np.pi**2 / 2 + 2 * _ZETA3),
        _EULER**4 + _EULER**2 * np.pi**2 + 8 * _EULER * _ZETA3 + 3 * np.pi**4 / 20,
    ),
)

LINKS: dict[str, Link] = {
    link.name: link
    for link in (
        Link("identity", _float, _float, lambda eta: np.ones_like(_float(eta)), _zero,
             None, False, 1.0, _identity_closed, higher=(_zero, _zero)),
        Link("logit", _logit, _expit, _logit_derivative, _logit_second,
             _logit_complement, True, float(np.pi / np.sqrt(3)), code=0, strip=_LOGIT_STRIP,
             higher=(_logit_third, _logit_fourth)),
        Link("probit", _ndtri, _ndtr, _probit_derivative, _probit_second,
             _probit_complement, True, 1.0, _probit_closed, higher=(_probit_third, _probit_fourth)),
        Link("cloglog", _cloglog_link, _cloglog_inverse, _cloglog_derivative, _cloglog_second,
             _cloglog_complement, True, float(np.pi / np.sqrt(6)), code=1, strip=_CLOGLOG_STRIP,
             higher=(_cloglog_third, _cloglog_fourth)),
        Link("log", _log, _exp, _exp, _exp, None, False, 1.0, _log_closed, higher=(_exp, _exp)),
    )
}  # fmt: skip
"""Every link, by name."""
