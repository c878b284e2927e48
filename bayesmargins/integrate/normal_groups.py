"""Group effects of a normal response: what the rows say of them, by group, and their exact conditional draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bayesmargins.errors import IntegrationError
from bayesmargins.family.outcome import Outcome
from bayesmargins.integrate.effect_pattern import EffectPattern, Envelope, Levels, effect_pattern
from bayesmargins.limits import in_threads

if TYPE_CHECKING:
    from bayesmargins.integrate.entry import Entry

__all__ = ["Effects", "NormalGroups", "draw_normal_effects", "normal_groups", "normal_rows"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

VALUE, GRADIENT = 0, 1  # what the compiled likelihood is asked for
_FEW = 20_000  # groups of all draws: fewer take less time than threads take to begin
_DEPENDENT = 1e-10  # of a column's length in a group: what is left of it is rounding, and no direction of its own


@dataclass(frozen=True)
class Effects:
    """The effects of one grouping factor: W (row, term), codes (row,) of 0 to levels - 1."""

    W: Array
    codes: npt.NDArray[np.integer]
    levels: int

    @property
    def shape(self) -> tuple[int, int]:
        """Levels and terms."""
        return self.levels, self.W.shape[1]

    @property
    def size(self) -> int:
        """How many effects."""
        return self.levels * self.W.shape[1]

    @property
    def as_levels(self) -> Levels:
        """What the pattern of its effects is made of."""
        return Levels(self.codes, *self.shape)


@dataclass(frozen=True)
class NormalGroups:
    """Sufficient statistics of y = F phi + W b_group + Z s + noise, with variance sigma^2 / weight.

    b_group ~ N(0, L L') are the effects of the largest factor, s those of all others, N(0, Lambda Lambda'). In each
    group the rows of W are Q R with orthonormal Q. What lies in the span of Q says everything of b; what does not says
    nothing of it. With d = phi - centre, u = a - B d - E s and P = I + R L L' R' / sigma^2, the likelihood with b
    integrated out is a product of two factors that have no b:

        log p(y | s) = - count / 2 log(2 pi sigma^2) - (rss - 2 r's + d' G d + 2 d' J s + s' K s) / (2 sigma^2)
                       - 1/2 sum over groups of (log det P + u' P^-1 u / sigma^2)

    Its quadratic form is a sum of squares, so nothing cancels, however large b is beside sigma. In s it is quadratic
    too, and s is integrated out by the matrix A = I + Lambda' (K + E' P^-1 E) Lambda / sigma^2, whose rows reach as far
    as effects meet in a group of the largest factor: `pattern` says where.
    """

    centre: Array  # (coordinate,), least-squares coefficients within groups
    count: float  # sum of the weights
    rss: float  # sum of squares within groups at the centre
    # products, within groups, of the columns of F (coordinate, coordinate), of F with Z (coordinate, small effect), of
    # Z (entry of the pattern,) and of Z with y - F centre (small effect,), small effects in the order of the pattern
    G: Array
    J: Array
    K: Array
    r: Array
    R: Array  # (group, term, term), upper triangles; a row of zeros where a group's rows leave a direction open
    a: Array  # (group, term), Q' (y - F centre)
    B: Array  # (group, term, coordinate), Q' F
    E: Array  # (effect, term, group of a patch; patch by patch), Q' Z of the effects that a patch has
    pattern: EffectPattern
    shapes: tuple[tuple[int, int], ...]  # levels and terms of the small factors
    rest: Array  # (row,), y - F centre without what lies in the span of Q
    within: Array  # (row, coordinate), F without it
    codes: npt.NDArray[np.integer]  # (row,), its group
    weights: Array | None  # (row,)
    sd: str = "sigma"  # which parameter of the family sigma is; empty where it is 1
    constant: float = 0.0  # added to log p

    @cached_property
    def flat(self) -> tuple[Array, Integers]:
        """`flat_data`, made once."""
        from bayesmargins.integrate.normal_model import flat_data  # numba takes a second to import

        return flat_data(self, GRADIENT)

    def log_likelihood(self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]) -> Array:
        """log p(y) of every draw without b: (draw,); the largest factor's root (draw, term, term) comes first."""
        sigma = self._sigma(phi, aux)
        value = self._marginals(phi, roots, sigma, VALUE)[:, 0]
        return self.constant - 0.5 * (self.count * np.log(2.0 * np.pi * sigma**2) + value)

    def _sigma(self, phi: Array, aux: Mapping[str, Array]) -> Array:
        return aux[self.sd] if self.sd else np.ones(len(phi))

    def derivatives(
        self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]
    ) -> tuple[Array, Array, list[Array], dict[str, Array]]:
        """`log_likelihood`, and its derivatives in phi (draw, coordinate), the roots' lower triangles and sigma."""
        sigma = self._sigma(phi, aux)
        t = 1.0 / sigma
        found = self._marginals(phi, roots, sigma, GRADIENT)
        n, q, p = len(phi), roots[0].shape[-1], phi.shape[1]
        value, dc, dL, dt, d_small = np.split(found, np.cumsum([1, p, q * q, 1]), axis=1)
        widest = self.pattern.envelope.widest
        value, dt, d_small = value[:, 0], dt[:, 0], d_small.reshape(n, len(roots) - 1, widest, widest)
        others = (d_small[:, f, : root.shape[-1], : root.shape[-1]] for f, root in enumerate(roots[1:]))
        d_roots = [dL.reshape(n, q, q), *others]
        dt = dt + (dc * (phi - self.centre)).sum(axis=1)
        dt += sum((d * np.tril(root)).sum(axis=(1, 2)) for d, root in zip(d_roots, roots, strict=True))
        d_sigma = 0.5 * t**2 * dt - self.count * t
        scaled = [-0.5 * t[:, None, None] * np.tril(d) for d in d_roots]
        value = self.constant - 0.5 * (self.count * np.log(2.0 * np.pi * sigma**2) + value)
        return value, -0.5 * t[:, None] * dc, scaled, {self.sd: d_sigma} if self.sd else {}

    def by_group(self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]) -> Array:
        """log p of the rows of each group without b: (draw, group)."""
        from bayesmargins.integrate.normal_draw_kernels import each_group  # numba takes a second to import

        if len(roots) > 1:
            raise IntegrationError(
                f"The rows of a group have a likelihood of their own where there is one grouping factor; here are "
                f"{len(roots)}, and groups of one share effects of others."
            )
        x, out = self._points(phi, roots, self._sigma(phi, aux)), np.empty((len(phi), len(self.a)))
        in_threads(each_group, len(phi), x, *self.flat, *self._sums_by_group, out)
        return out

    @cached_property
    def _sums_by_group(self) -> tuple[Array, Array]:
        """Sum of weights (group,), and products of the columns of `rest` and `within` (column, column, group)."""
        groups = self.a.shape[0]

        def sums(values: Array) -> Array:
            return np.bincount(self.codes, weights=values, minlength=groups).astype(np.float64, copy=False)

        columns = [self.rest, *self.within.T]
        products = np.array([[sums(x * y) for y in columns] for x in columns])
        return sums(np.ones(len(self.rest)) if self.weights is None else self.weights), products

    def draw_effects(
        self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array], rng: np.random.Generator
    ) -> list[Array]:
        """Draws of the effects of every factor given the parameters: (draw, group, term) each."""
        large, *small = roots
        back = np.eye(large.shape[-1])
        b, s = draw_normal_effects(self, phi, large, self._padded(small, len(phi)), self._sigma(phi, aux), back, rng)
        ends = np.cumsum([levels * terms for levels, terms in self.shapes])
        pieces = np.split(s, ends[:-1], axis=1) if len(ends) else []
        return [b, *(piece.reshape(len(s), *of) for piece, of in zip(pieces, self.shapes, strict=True))]

    def _marginals(self, phi: Array, roots: Sequence[Array], sigma: Array, task: int) -> Array:
        """-2 log likelihood less its normaliser, and derivatives in what the entry reads: (draw, value)."""
        from bayesmargins.integrate.normal_entry import normal_entry  # numba takes a second to import

        x = self._points(phi, roots, sigma)
        out = np.empty((len(x), x.shape[1] + 1))
        self._run(normal_entry(len(self.shapes) > 0), x, out, task, at_once=len(x) * len(self.a) < _FEW)
        return out

    def _points(self, phi: Array, roots: Sequence[Array], sigma: Array) -> Array:
        """c, L, t and the roots of the small factors, one after the other: (draw, variable)."""
        large, *small = roots
        rest = (large, np.ones(len(phi)), self._padded(small, len(phi)))
        columns = [phi - self.centre, *(of.reshape(len(phi), -1) for of in rest)]
        return np.ascontiguousarray(np.concatenate(columns, axis=1) / sigma[:, None])

    def _run(self, function: Entry, x: Array, out: Array, task: int = GRADIENT, at_once: bool = False) -> None:
        """At points x (draw, variable), into `out`."""
        from bayesmargins.integrate.normal_model import POINTS, TASK

        data, sizes = self.flat

        def some(begin: int, end: int) -> None:
            asked = sizes.copy()
            asked[TASK], asked[POINTS] = task, end - begin
            function.into(x[begin:end], data, asked, out[begin:end])

        if at_once:
            some(0, len(x))
        else:
            in_threads(some, len(x))

    def _padded(self, roots: Sequence[Array], n: int) -> Array:
        """Roots of the small factors, (draw, factor, term, term), with zeros for terms that a factor does not have."""
        widest = self.pattern.envelope.widest
        out = np.zeros((n, len(roots), widest, widest))
        for f, root in enumerate(roots):
            out[:, f, : root.shape[-1], : root.shape[-1]] = root
        return out


def normal_rows(
    y: Array, F: Array, large: Effects, small: Sequence[Effects], outcome: Outcome, sd: str
) -> NormalGroups:
    """`normal_groups` with what else is known of the rows: their weights, or standard errors in place of sigma.

    Divided by their standard errors, rows have a standard deviation of 1.
    """
    weights, se = outcome.weights, outcome.se
    if se is None:
        return normal_groups(y, F, large, small, weights, sd)
    large, *others = (replace(of, W=of.W / se[:, None]) for of in (large, *small))
    found = normal_groups(y / se, F / se[:, None], large, others, weights, "")
    return replace(found, constant=-float((np.log(se) * (1.0 if weights is None else weights)).sum()))


def normal_groups(
    y: Array,
    F: Array,
    large: Effects,
    small: Sequence[Effects] = (),
    weights: Array | None = None,
    sd: str = "sigma",
) -> NormalGroups:
    """Statistics of y (row,) less the offset, F (row, coordinate), the effects, and weights (row,)."""
    root = np.ones(len(y)) if weights is None else np.sqrt(weights)
    Q, R = _orthonormal_by_group(large, root)
    F, y = F * root[:, None], y * root
    start = np.linalg.lstsq(F, y, rcond=None)[0]
    B, within = _split(F, Q, large)
    _, left = _split((y - F @ start)[:, None], Q, large)
    centre = start + _least_squares(within, left[:, 0], np.sqrt((F**2).sum(axis=0)).max(initial=0.0))
    a, rest = _split((y - F @ centre)[:, None], Q, large)
    pattern = effect_pattern(large.as_levels, [f.as_levels for f in small])
    small_ones = _small_effects(small, root, Q, large, pattern, rest[:, 0], within)
    count, rss = float(len(y) if weights is None else weights.sum()), float(rest[:, 0] @ rest[:, 0])
    J, K, r, E = small_ones
    statistics = (centre, count, rss, within.T @ within, J, K, r, R, a[..., 0], B, E)
    shapes = tuple(f.shape for f in small)
    return NormalGroups(*statistics, pattern, shapes, rest[:, 0], within, large.codes, weights, sd)


def _small_effects(
    small: Sequence[Effects],
    root: Array,
    Q: Array,
    large: Effects,
    pattern: EffectPattern,
    rest: Array,
    within: Array,
) -> tuple[Array, Array, Array, Array]:
    """J, K, r and E of `NormalGroups`."""
    Z, n = _columns(small, root, pattern), large.levels
    q = Q.shape[1]
    position = np.argsort(pattern.order)[large.codes]
    E = (_sparse(Q, position[:, None] * q + np.arange(q), n * q).T @ Z).tocsr()
    K, shared = np.zeros(pattern.entries), (Z.T @ Z - E.T @ E).tocoo()
    p = pattern.envelope
    kept = (shared.col >= p.low[shared.row]) & (shared.col < _level_ends(p)[shared.row])
    K[p.row[shared.row[kept]] + shared.col[kept]] = shared.data[kept]
    return within.T @ Z, K, Z.T @ rest, _by_patch(E.tocoo(), q, pattern)


def _sparse(values: Array, columns: Integers, width: int) -> Any:
    """Values (row, entry) in these columns, as a sparse matrix."""
    from scipy.sparse import csr_array

    starts = np.arange(len(values) + 1) * values.shape[1]
    return csr_array((values.ravel(), columns.ravel(), starts), shape=(len(values), width))


def _columns(small: Sequence[Effects], root: Array, pattern: EffectPattern) -> Any:
    """Z, its columns in the order of the pattern, times `root`, as a sparse matrix."""
    values, places, first = [np.zeros((len(root), 0))], [np.zeros((len(root), 0), dtype=np.int64)], 0
    for f in small:
        values.append(f.W * root[:, None])
        places.append(pattern.place[first + f.codes[:, None] * f.shape[1] + np.arange(f.shape[1])])
        first += f.size
    return _sparse(np.hstack(values), np.hstack(places), first)


def _level_ends(p: Envelope) -> Integers:
    """Of each effect, where its level ends."""
    return np.repeat(p.first[1:], np.diff(p.first))


def _by_patch(E: Any, q: int, pattern: EffectPattern) -> Array:
    """Entries of E (group and term, effect), patch by patch: (effect, term, group) each."""
    p = pattern.envelope
    groups, counts = np.diff(p.lanes), np.diff(p.begins)
    begins = np.append(0, np.cumsum(q * groups * counts))
    group, term, effects = E.row // q, E.row % q, len(pattern.place)
    patch = np.searchsorted(p.lanes, group, side="right") - 1
    keys = np.repeat(np.arange(len(groups)), counts) * effects + p.used  # they rise
    j = np.searchsorted(keys, patch * effects + E.col) - p.begins[patch]
    out = np.zeros(begins[-1])
    out[begins[patch] + (j * q + term) * groups[patch] + group - p.lanes[patch]] = E.data
    return out


def _sums(values: Array, by: Effects) -> Array:
    sums: Array = np.bincount(by.codes, weights=values, minlength=by.levels).astype(np.float64, copy=False)
    return sums


def _least_squares(columns: Array, y: Array, size: float) -> Array:
    """Of least length; directions in which columns of this size leave rounding alone stay at 0."""
    U, s, V = np.linalg.svd(columns, full_matrices=False)
    known = s > _DEPENDENT * size
    solution: Array = V[known].T @ ((U[:, known].T @ y) / s[known])
    return solution


def _orthonormal_by_group(effects: Effects, root: Array) -> tuple[Array, Array]:
    """Q (row, term), R (group, term, term) by Gram and Schmidt, twice: a second pass removes what rounding left."""
    q = effects.W.shape[1]
    Q, R = np.zeros_like(effects.W), np.zeros((effects.levels, q, q))
    for k in range(q):
        column = effects.W[:, k] * root
        before = np.sqrt(_sums(column**2, effects))
        for i in [*range(k)] * 2:
            share = _sums(Q[:, i] * column, effects)
            R[:, i, k] += share
            column -= share[effects.codes] * Q[:, i]
        length = np.sqrt(_sums(column**2, effects))
        R[:, k, k] = np.where(length > _DEPENDENT * before, length, 0.0)
        units = np.divide(1.0, R[:, k, k], out=np.zeros(effects.levels), where=R[:, k, k] > 0)
        Q[:, k] = column * units[effects.codes]
    return Q, R


def _split(columns: Array, Q: Array, effects: Effects) -> tuple[Array, Array]:
    """Shares (group, term, column) of the columns in the span of Q, and the columns without them, (row, column)."""
    shares, rest = np.zeros((effects.levels, Q.shape[1], columns.shape[1])), columns.copy()
    for c in range(columns.shape[1]):
        for i in [*range(Q.shape[1])] * 2:
            share = _sums(Q[:, i] * rest[:, c], effects)
            shares[:, i, c] += share
            rest[:, c] -= share[effects.codes] * Q[:, i]
    return shares, rest


def draw_normal_effects(
    groups: NormalGroups, phi: Array, L: Array, roots: Array, sigma: Array, back: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Draws of back b, (draw, group, term), and of s, (draw, small effect), from their exact joint distribution.

    phi (draw, coordinate), L (draw, term, term), roots of the small factors (draw, factor, term, term), sigma (draw,);
    back (term, term). First s without b, then b given s.
    """
    from bayesmargins.integrate.normal_entry import draws_entry, small_draws_entry  # numba takes a second to import

    n, place = len(phi), groups.pattern.place
    x = groups._points(phi, [L, *np.moveaxis(roots, 1, 0)], sigma)
    s = np.ascontiguousarray(rng.standard_normal((n, len(place)))[:, np.argsort(place)])
    if len(place):
        groups._run(small_draws_entry(), x, s)
    b = rng.standard_normal((n, *groups.a.shape))
    read = x[:, : phi.shape[1] + back.size + 1], (back @ np.tril(L)).reshape(n, -1), s
    groups._run(draws_entry(len(place) > 0), np.hstack(read), b)
    return b, s[:, place] * sigma[:, None]
