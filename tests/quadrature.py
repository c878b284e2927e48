"""E[f(eta + s Z)] to 20 digits and more by mpmath, independent of the package: what the engine is measured against."""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp

DIGITS = 30


def _logit(x):
    return 1 / (1 + mp.exp(-x)), 1 / (1 + mp.exp(x))


def _cloglog(x):
    u = mp.exp(x)
    return -mp.expm1(-u), mp.exp(-u)


def _cauchit(x):
    """For complex x as well: atan of the reciprocal keeps the digits of the small one, for real x."""
    if isinstance(x, mp.mpc) or x == 0:
        return mp.mpf(1) / 2 + mp.atan(x) / mp.pi, mp.mpf(1) / 2 - mp.atan(x) / mp.pi
    small = mp.atan(1 / abs(x)) / mp.pi
    return (small, 1 - small) if x < 0 else (1 - small, small)


def _cauchy(part: str, x):
    """Derivatives of atan(x) / pi."""
    q = 1 + x**2
    return {"d1": 1 / q, "d2": -2 * x / q**2, "d3": (6 * x**2 - 2) / q**3, "d4": 24 * x * (1 - x**2) / q**4}[
        part
    ] / mp.pi


_MIRROR = {"mean": ("complement", 1), "complement": ("mean", 1), "d1": ("d1", 1), "d2": ("d2", -1), "d3": ("d3", 1)}
_MIRROR |= {"d4": ("d4", -1)}
_LOWER = {"d1": "mean", "d2": "d1", "d3": "d2", "d4": "d3"}


def response(link: str, part: str, x):
    """h, 1 - h or a derivative of h at x, with mpmath."""
    if link == "loglog":
        other, sign = _MIRROR[part]
        return sign * response("cloglog", other, -x)
    if link == "softplus":
        return mp.log1p(mp.exp(x)) if part == "mean" else response("logit", _LOWER[part], x)
    if link == "cauchit" and part not in ("mean", "complement"):
        return _cauchy(part, x)
    mean, complement = {"logit": _logit, "cloglog": _cloglog, "cauchit": _cauchit}[link](x)
    if part in ("mean", "complement"):
        return mean if part == "mean" else complement
    if link == "logit":
        d1, bend = mean * complement, complement - mean
        return d1 * {"d1": 1, "d2": bend, "d3": bend**2 - 2 * d1, "d4": bend * (bend**2 - 8 * d1)}[part]
    u = mp.exp(x)
    return u * complement * {"d1": 1, "d2": 1 - u, "d3": 1 - 3 * u + u**2, "d4": 1 - 7 * u + 6 * u**2 - u**3}[part]


def _peak(log_f: Callable[[float], float]) -> float:
    """Where the integrand is largest, roughly: a breakpoint there keeps tanh-sinh from missing it."""
    grid = [-40 + 0.05 * k for k in range(1601)]
    return max(grid, key=log_f)


def expected(link: str, eta: float, s: float, part: str, method: str = "gauss-legendre") -> mp.mpf:
    """E[f(eta + s Z)] by composite quadrature between breakpoints around the peak and around the crossing."""
    with mp.workdps(DIGITS):
        eta, s = mp.mpf(eta), mp.mpf(s)
        if s == 0:
            return response(link, part, eta)

        def integrand(z):
            return response(link, part, eta + s * z) * mp.npdf(z)

        def log_size(z):
            x = float(eta + s * z)
            tails = {
                "logit": {"mean": min(x, 0), "complement": min(-x, 0)},
                "cloglog": {"mean": min(x, 0), "complement": -float(mp.exp(min(x, 300)))},
                "loglog": {"mean": -float(mp.exp(min(-x, 300))), "complement": min(-x, 0)},
                "softplus": {"mean": min(x, 0), "complement": min(-x, 0)},
                "cauchit": {"mean": 0.0, "complement": 0.0},
            }[link]
            size = {"mean": tails["mean"], "complement": tails["complement"]}.get(part, sum(tails.values()))
            return size - 0.5 * z * z

        peak, crossing = _peak(log_size), -eta / s
        # the integrand varies on the scale 1 of the Gaussian and 1/s of the link
        marks = {mp.mpf(peak) + k for k in range(-15, 16)}
        marks |= {crossing + k / s for k in (-80, -40, -20, -10, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 10, 20, 40, 80)}
        low, high = min(mp.mpf(-15), peak - 15), max(mp.mpf(15), peak + 15)
        points = sorted({low, high} | {m for m in marks if low < m < high})
        return mp.quad(integrand, points, method=method, maxdegree=5)
