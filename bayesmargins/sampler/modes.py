"""Modes of a density from several starts, by exact gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

__all__ = ["Mode", "modes"]

Array = npt.NDArray[np.float64]
Slopes = Callable[[Array], tuple[Array, Array]]

_AWAY = (1.0, 2.0)  # units
_COARSE, _FINE = 1e-4, 1e-2  # steps of differences: of a variable's unit, of its standard deviation at the mode
_STATIONARY = 1e-4  # what is left to climb, in log density
_SAME = 0.1  # squared distance in standard deviations up to which two ends are one mode
_NEGLIGIBLE = 12.0  # in log mass


@dataclass(frozen=True)
class Mode:
    """A point, the covariance that the curvature there says, and the log mass of the normal distribution with both."""

    point: Array
    covariance: Array
    log_mass: float


def modes(slopes: Slopes, start: Array, unit: Array, rng: np.random.Generator) -> list[Mode]:
    """All modes of mass that were found, the largest first, from `start` and from both sides of it.

    `slopes` gives log density (draw,) and gradient (draw, entry); `unit` (entry,) is how far from `start` one may be.
    """
    found: list[Mode] = []
    away = [size * rng.standard_normal(len(start)) for size in _AWAY]
    for z in (np.zeros(len(start)), *(sign * z for z in away for sign in (1.0, -1.0))):
        mode = _climbed(slopes, start + unit * z, unit)
        if mode is not None and not any(_same(mode, other) for other in found):
            found.append(mode)
    if not found:
        return []
    found.sort(key=lambda mode: -mode.log_mass)
    return [mode for mode in found if mode.log_mass > found[0].log_mass - _NEGLIGIBLE]


def _same(one: Mode, other: Mode) -> bool:
    apart = one.point - other.point
    return bool(apart @ np.linalg.solve(other.covariance, apart) < _SAME)


def _climbed(slopes: Slopes, begin: Array, unit: Array) -> Mode | None:
    """By trust regions with curvatures from differences of gradients; None where no mode was reached."""

    def at(z: Array) -> Array:
        return begin + unit * z

    def down(z: Array) -> tuple[float, Array]:
        value, gradient = slopes(at(z)[None])
        return -float(value[0]), -np.nan_to_num(gradient[0] * unit)

    def bend(z: Array) -> Array:
        return -curvature(slopes, at(z), unit * _COARSE) * np.outer(unit, unit)

    with np.errstate(all="ignore"):
        try:
            end = minimize(down, 0.0 * begin, method="trust-exact", jac=True, hess=bend, options={"maxiter": 200})
        except ValueError:  # SciPy's, of a matrix that overflows: a start where the density has no slope in doubles
            return None
    return _mode_at(slopes, at(end.x), bend(end.x), unit)


def _mode_at(slopes: Slopes, point: Array, bent: Array, unit: Array) -> Mode | None:
    """The mode near a point where the negative curvature in units is `bent`: one Newton step away."""
    sd = _deviations(bent, unit)
    if sd is None:
        return None
    value, gradient = slopes(point[None])
    H = -curvature(slopes, point, sd * _FINE) * np.outer(sd, sd)
    if _deviations(H, sd) is None or not np.isfinite(value[0]):
        return None
    covariance = np.linalg.inv(H) * np.outer(sd, sd)
    step = covariance @ gradient[0]
    if not gradient[0] @ step < _STATIONARY:
        return None
    log_mass = float(value[0] + 0.5 * np.linalg.slogdet(covariance)[1])
    return Mode(point + step, covariance, log_mass)


def _deviations(bent: Array, unit: Array) -> Array | None:
    """Standard deviations; None where a direction does not bend down."""
    if not np.isfinite(bent).all() or np.linalg.eigvalsh(bent)[0] <= 0.0:
        return None
    deviations: Array = unit * np.sqrt(np.diagonal(np.linalg.inv(bent)))
    return deviations


def curvature(slopes: Slopes, point: Array, steps: Array) -> Array:
    """Second derivatives (entry, entry) from differences of gradients, all points at once."""
    d = len(point)
    apart = np.diag(steps)
    _, gradient = slopes(np.concatenate([point + apart, point - apart]))
    rows = (gradient[:d] - gradient[d:]) / (2.0 * steps[:, None])
    return np.nan_to_num((rows + rows.T) / 2.0)
