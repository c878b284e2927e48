"""Modes of a density from several starts, by exact gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

__all__ = ["Mode", "modes"]

Array = npt.NDArray[np.float64]
Slopes = Callable[[Array], tuple[Array, Array]]

_AWAY = (1.0, 2.0)  # units
_COARSE, _FINE = 1e-4, 1e-2  # steps of differences: of a variable's unit, of its standard deviation at the mode
_STEPS, _LITTLE = 200, 1e-6  # at most, and a gain in log density that is worth none
_WIDEST, _LARGEST = 1e3, 1e150  # of trust regions in units, and of a curvature
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
    z = np.array([np.zeros(len(start)), *(sign * z for z in away for sign in (1.0, -1.0))])
    with np.errstate(all="ignore"):
        for end in _climbed(slopes, start + unit * z, unit):
            mode = None if _near(end, found) else _mode_at(slopes, end, unit)
            if mode is not None and not _near(mode.point, found):
                found.append(mode)
    found.sort(key=lambda mode: -mode.log_mass)
    return [mode for mode in found if mode.log_mass > found[0].log_mass - _NEGLIGIBLE]


def _near(point: Array, modes: Sequence[Mode]) -> bool:
    """Is it one of these modes?"""
    apart = [point - mode.point for mode in modes]
    return any(z @ np.linalg.solve(mode.covariance, z) < _SAME for z, mode in zip(apart, modes, strict=True))


def _climbed(slopes: Slopes, starts: Array, unit: Array) -> Array:
    """Where trust regions lead from points (start, entry).

    All starts step together, so that each step is one call of `slopes`: a call costs more than its points.
    """
    x, radius = starts.copy(), np.ones(len(starts))
    value, slope, bent = _bent(slopes, x, unit)
    for _ in range(_STEPS):
        at = np.flatnonzero(np.isfinite(value) & (np.abs(bent).max(axis=(1, 2)) < _LARGEST))
        steps = np.array([_step(slope[k], bent[k], radius[k]) for k in at]).reshape(-1, len(unit))
        promised = (slope[at] * steps).sum(axis=1) - 0.5 * np.einsum("ni,nij,nj->n", steps, bent[at], steps)
        more = promised > _LITTLE
        if not more.any():
            break
        at, steps, promised = at[more], steps[more], promised[more]
        new = _bent(slopes, x[at] + unit * steps, unit)
        share = np.nan_to_num((new[0] - value[at]) / promised, nan=-1.0)
        long = np.linalg.norm(steps, axis=1) > 0.9 * radius[at]
        radius[at] *= np.where(share < 0.25, 0.25, np.where((share > 0.75) & long & (radius[at] < _WIDEST), 2.0, 1.0))
        taken = share > 0.15
        x[at[taken]] += unit * steps[taken]
        for known, found in zip((value, slope, bent), new, strict=True):
            known[at[taken]] = found[taken]
    return x


def _bent(slopes: Slopes, x: Array, unit: Array) -> tuple[Array, Array, Array]:
    """Log density (point,), slopes and negative curvature in units, by differences on one side: enough to climb."""
    n, d = x.shape
    apart = np.concatenate([np.zeros((1, d)), np.diag(unit * _COARSE)])
    value, gradient = slopes((x[:, None, :] + apart).reshape(-1, d))
    gradient = np.nan_to_num(gradient.reshape(n, 1 + d, d) * unit)
    rows = np.nan_to_num((gradient[:, :1] - gradient[:, 1:]) / _COARSE)
    return value.reshape(n, 1 + d)[:, 0].copy(), gradient[:, 0].copy(), (rows + rows.transpose(0, 2, 1)) / 2.0


def _step(slope: Array, bent: Array, radius: float) -> Array:
    """To the largest value of slope s - s bent s / 2 within the radius (Moré & Sorensen 1983)."""
    curved, axes = np.linalg.eigh(bent)
    along = slope @ axes
    least = max(0.0, -curved[0]) + 1e-12 * np.abs(curved).max()

    def inside(more: float) -> float:
        return float(1.0 / np.linalg.norm(along / (curved + more)) - 1.0 / radius)

    if inside(least) < 0.0:
        least = brentq(inside, least, least + 1.01 * np.linalg.norm(slope) / radius, rtol=1e-4)
    step: Array = axes @ (along / (curved + least))
    return step


def _mode_at(slopes: Slopes, point: Array, unit: Array) -> Mode | None:
    """The mode near a point: one Newton step away."""
    sd = _deviations(-curvature(slopes, point, unit * _COARSE) * np.outer(unit, unit), unit)
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
