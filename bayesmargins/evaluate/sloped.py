"""How means that read several linear predictors change with a variable: derivatives along with what is averaged over.

At each node of `joint` the linear predictors are known but for what is left of mu's, and the mean there is
f h(sign eta + q) + a, with f, q and a functions of the parameters. Its derivative is f' E[h] + f (E[h'] eta' + E[h''] /
2 ds2/dx) + a', by the engine for one dimension. Nodes move with the variable where its z has random slopes: the root of
the covariance has a derivative too. f, q and a are short formulas of real numbers: their derivatives along the
parameters' are imaginary parts, exact to rounding (Squire & Trapp 1998, SIAM Review 40:110-112).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np

from bayesmargins.design import Rows
from bayesmargins.draws import Draws
from bayesmargins.evaluate import exact
from bayesmargins.evaluate.chunks import Chunk
from bayesmargins.evaluate.joint import Jointly, jointly, known, matrix_of, parameter_at, shared
from bayesmargins.family import Family, Link, Values
from bayesmargins.family.curve import Curve
from bayesmargins.family.mixture_of_y import Number
from bayesmargins.group_likelihood import roots
from bayesmargins.groups import GroupPlan
from bayesmargins.integrate import expectation
from bayesmargins.integrate.any_function import smooth_expectation

__all__ = ["Sloped", "sloped"]

_TINY = 1e-30  # a step into the complex plane
_TOGETHER = 2**15
_SINGULAR, _APART = 1e-9, 1e-10  # of correlations, and of variances
_LIFT = 4.0  # added to what may have either sign, for an engine whose accuracy is relative
Side = tuple[Draws, Rows, Rows, GroupPlan]


@dataclass(frozen=True)
class Sloped(Jointly):
    """A mean, and how everything that it is an average of moves with a variable: `found` gives its slope."""

    d_etas: tuple[np.ndarray, ...] = ()  # of the known part of each linear predictor, that of mu first
    d_moves: tuple[np.ndarray, ...] = ()  # of what a unit of each standard normal number adds
    # (n,): of the variance of what is left of mu's linear predictor
    d_s2: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def take(self, which: slice | np.ndarray) -> Sloped:
        """The same for some of the pairs."""
        own = Jointly.take(self, which)
        assert isinstance(own, Sloped)
        d_etas, d_moves = (tuple(of[:, which] for of in each) for each in (self.d_etas, self.d_moves))
        return replace(own, d_etas=d_etas, d_moves=d_moves, d_s2=self.d_s2[which])

    def over(self, points: np.ndarray, weights: np.ndarray) -> Any:
        """What has the slope of the mean over these points and all combinations, in place of a distribution."""
        return _Average(self, points, weights)


@dataclass(frozen=True)
class _Average:
    of: Sloped
    points: np.ndarray
    weights: np.ndarray

    def mean(self, part: str) -> Number:
        """The slope, whatever the part."""
        y = self.of
        levels = max(len(eta) for eta in (y.etas, *(o.eta for o in y.others)))
        counts = np.outer(self.weights, y.weights if levels > 1 else np.ones(1)).ravel()
        value, error, nodes = np.zeros(len(y.s)), np.zeros(len(y.s)), 0
        step = max(1, _TOGETHER // len(y.s))
        for first in range(0, len(counts), step):
            some = np.arange(first, min(first + step, len(counts)))
            each = _slopes(y, self.points[some // levels], some % levels)
            value, error = value + counts[some] @ each.value, error + counts[some] @ each.error
            nodes = max(nodes, each.nodes)
        return Number(value, error, each.method, nodes)


def _slopes(y: Sloped, z: np.ndarray, level: np.ndarray) -> Number:
    """Slopes (component, n) of the mean given the nodes z (component, dimension) and levels."""

    def at(eta: np.ndarray, moves: np.ndarray) -> np.ndarray:
        return np.asarray((eta if len(eta) == 1 else eta[level]) + z @ moves)

    eta, d_eta = at(y.etas, y.moves), at(y.d_etas[0], y.d_moves[0])
    p, change = dict[str, Any](y.aux), dict[str, Any]()
    for other, d, d_moves in zip(y.others, y.d_etas[1:], y.d_moves[1:], strict=True):
        own = at(other.eta, other.moves)
        p[other.parameter.name] = parameter_at(other, own)
        rises = expectation(other.link, own, np.zeros((len(own), 1)), "d1").value
        change[other.parameter.name] = rises * at(d, d_moves)
    rows = y.family.of_rows(p, y.outcome)
    along = Values(**{k: v + 1j * _TINY * change[k] if k in change else v for k, v in rows.items()})
    value, error, nodes, method = _of_curve(y, y.family.curve(y.link), Values(**rows), along, eta, d_eta)
    if y.family.rest is not None:
        more = _of_rest(y, rows, change, eta, d_eta)
        value, error, nodes = value + more.value, error + more.error, max(nodes, more.nodes)
    return Number(np.broadcast_to(value, eta.shape), np.broadcast_to(error, eta.shape), method, nodes)


def _of_curve(
    y: Sloped, curve: Curve, p: Values, along: Values, eta: np.ndarray, d_eta: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int, str]:
    """f' E[h] + f (E[h'] (sign eta' + q') + E[h''] / 2 ds2/dx) + a', with an error and nodes."""
    moved, s2, f = curve.of(eta, p).T, y.s[:, None] ** 2, np.asarray(curve.times(p))
    shift = 0.0 if curve.shift is None else _imaginary(curve.shift(along))
    factors = {"mean": _imaginary(curve.times(along)), "d1": f * (curve.sign * d_eta + shift)}
    factors |= {"d2": 0.5 * f * y.d_s2} if y.d_s2.any() else {}
    methods: set[str] = set()
    total, error, nodes = _imaginary(curve.beside(along)), np.zeros(1), 0
    for part, factor in factors.items():
        if np.any(factor):
            found = expectation(curve.link, moved, s2, part)
            total, error = total + factor * found.value.T, error + np.abs(factor) * found.error_bound
            nodes, methods = max(nodes, found.nodes), methods | {found.method}
    return np.asarray(total), np.asarray(error), nodes, ", ".join(sorted(methods)) or "plug-in"


def _imaginary(value: Any) -> np.ndarray:
    return np.asarray(np.imag(value) / _TINY)


def _of_rest(y: Sloped, rows: dict[str, Any], change: dict[str, Any], eta: np.ndarray, d_eta: np.ndarray) -> Number:
    """E over what is left of eta of the slope of `Family.rest`, as `Mixture` averages it.

    With eta = m + s Z the derivative is r_eta (m' + s' Z) + r_p p', and s' Z = ds2/dx (eta - m) / (2 s^2).
    """
    rest, shape = y.family.need("rest", "a rest"), eta.shape
    m, d_m, s, d_s2 = (np.broadcast_to(v, shape).ravel() for v in (eta, d_eta, y.s, y.d_s2))
    of = {k: np.broadcast_to(v, shape).ravel() for k, v in rows.items()}
    moving = {k: np.broadcast_to(v, shape).ravel() for k, v in change.items()}
    with np.errstate(divide="ignore", invalid="ignore"):
        rise = np.where(s > 0.0, d_s2 / (2.0 * s**2), 0.0)
    size = np.abs(d_m) + np.abs(rise) * s + sum((np.abs(v) for v in moving.values()), np.full(len(m), 1e-300))

    def at(x: np.ndarray, which: np.ndarray) -> np.ndarray:
        p = {k: v[which] + 1j * _TINY * moving[k][which] if k in moving else v[which] for k, v in of.items()}
        mu = y.link.inverse(x)
        along = mu * (1.0 + 1j * _TINY * (d_m[which] + rise[which] * (x - m[which])))
        return _LIFT + _imaginary(rest(Values(mu=along, **p))[0]) / (1.0 + np.exp(x)) / size[which]

    value, error, nodes, zero, one = np.zeros(len(m)), np.zeros(len(m)), 0, np.zeros(len(m)), np.ones(len(m))
    for times, moved in ((size, m), (size * np.exp(m + 0.5 * s**2), m + s**2)):
        term = smooth_expectation(at, moved, s, zero, one)
        value, error, nodes = value + times * (term.value - _LIFT), error + times * term.error, max(nodes, term.nodes)
    return Number(value.reshape(shape), error.reshape(shape), "trapezoid, halved", nodes)


def sloped(draws: Draws, link: Link, family: Family, chunk: Chunk, block: slice) -> Sloped:
    """The pairs of a draw and a row of a block, and how they move with the variable of the chunk's derivatives."""
    assert chunk.d_rows is not None
    y = jointly(draws, link, family, chunk, block, False)
    over = [k for k, part in enumerate(chunk.parts) if part.plan.integrated]
    each: list[Side] = [(draws, chunk.rows, chunk.d_rows, chunk.plan)]
    for part in chunk.parts:
        assert part.d_rows is not None
        each.append((part.draws, part.rows, part.d_rows, part.plan))
    etas = tuple(known(d, d_rows, plan, block) for d, _, d_rows, plan in each)
    changes = _changes(y, each, chunk, block)
    if changes is None:
        moves, d_s2 = tuple(np.zeros((len(over), len(y.s))) for _ in each), np.zeros(len(y.s))
    else:
        y = _apart(y, over)
        moves, d_s2 = _d_moves(y, over, changes)
    fields = {name: getattr(y, name) for name in Jointly.__dataclass_fields__}
    return Sloped(**fields, d_etas=etas, d_moves=moves, d_s2=d_s2)


def _changes(y: Jointly, each: list[Side], chunk: Chunk, block: slice) -> np.ndarray | None:
    """Derivative of the covariance of the linear predictors that are integrated, mu's last: (n, predictor, predictor).

    None where no z changes.
    """
    over = [k for k, (_, _, _, plan) in enumerate(each) if k and plan.integrated]
    order, n, draws = [*over, 0], len(y.s), len(each[0][0].beta)
    changes = {
        (k, j): np.broadcast_to(_d_covariance(each, chunk, k, j, block), (draws, n // draws)).ravel()
        for k, j in product(order, order)
    }
    if not any(change.any() for change in changes.values()):
        return None
    dV = matrix_of(changes, order)
    return np.asarray(dV + np.swapaxes(dV, -1, -2))


def _root(y: Jointly, over: list[int]) -> np.ndarray:
    """L (n, predictor, predictor), of which `moves` and `s` are the rows."""
    L = np.zeros((len(y.s), len(over) + 1, len(over) + 1))
    for row, moves in enumerate((*(y.others[k].moves for k in over), y.moves)):
        L[:, row, : len(over)] = moves.T
    L[:, -1, -1] = y.s
    return L


def _apart(y: Jointly, over: list[int]) -> Jointly:
    """The same with pairs whose covariance is singular moved by next to nothing: its root has a derivative then."""
    L = _root(y, over)
    V = L @ np.swapaxes(L, 1, 2)
    size = np.diagonal(V, axis1=1, axis2=2)
    unit = np.sqrt(np.where(size > 0.0, size, 1.0))
    least = np.linalg.eigvalsh(V / unit[:, :, None] / unit[:, None, :])[:, 0]
    singular = least < _SINGULAR
    if not singular.any() or not over:
        return y
    V = V[singular]
    k = np.arange(len(over) + 1)
    V[:, k, k] += _APART * np.where(size > 0.0, size, 1.0)[singular]
    L[singular] = roots(V)
    moved = [np.ascontiguousarray(L[:, row, : len(over)].T) for row in k]
    others = list(y.others)
    for row, j in enumerate(over):
        others[j] = replace(others[j], moves=moved[row])
    return replace(y, moves=moved[-1], s=np.ascontiguousarray(L[:, -1, -1]), others=tuple(others))


def _d_moves(y: Jointly, over: list[int], dV: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Derivatives of what normal numbers add to each linear predictor, and of the variance that is left of the first.

    With L L' = V the derivative of L is L Phi(L^-1 dV L^-T), Phi the lower triangle and half the diagonal (Murray 2016,
    arXiv:1602.07527).
    """
    moves = [np.zeros((len(over), len(y.s))) for _ in (None, *y.others)]
    if not over:  # L may be 0, and its square has a derivative all the same
        return tuple(moves), dV[:, 0, 0]
    L = _root(y, over)
    inverse = np.linalg.inv(L)
    lower = np.tril(inverse @ dV @ np.swapaxes(inverse, 1, 2))
    k = np.arange(len(over) + 1)
    lower[:, k, k] *= 0.5
    dL = L @ lower
    for row, j in enumerate((*(j + 1 for j in over), 0)):
        moves[j] = dL[:, row, : len(over)].T
    return tuple(moves), 2.0 * L[:, -1, -1] * dL[:, -1, -1]


def _d_covariance(each: list[Side], chunk: Chunk, k: int, j: int, block: slice) -> np.ndarray:
    """dz' Sigma w of two linear predictors, the derivative in the first z alone: (draw, row), or (1, 1)."""
    total = np.zeros((1, 1))
    plans, sizes = [plan for _, _, _, plan in each], [rows for _, rows, _, _ in each]
    for factor in each[k][3].integrated:
        Sigma = shared(chunk, plans, sizes, factor, k, j)
        if k == j:
            Sigma = each[k][0].Sigma[factor]
        if Sigma is not None:
            z, w = each[k][2].Z[factor][block], each[j][1].Z[factor][block]
            total = total + exact.bilinear(Sigma, z, w)
    return total
