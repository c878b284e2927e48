"""Group effects of a normal response: what the rows say of them, by group, and their exact conditional draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bayesmargins.errors import IntegrationError
from bayesmargins.family.outcome import Outcome
from bayesmargins.integrate.threads import in_threads

__all__ = ["Effects", "NormalGroups", "draw_normal_effects", "normal_groups", "normal_rows"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer]

_FEW = 20_000  # groups of all draws: fewer take less time than threads take to begin
_DEPENDENT = 1e-10  # of a column's length in a group: what is left of it is rounding, and no direction of its own


@dataclass(frozen=True)
class Effects:
    """The effects of one grouping factor: W (row, term), codes (row,) of 0 to levels - 1."""

    W: Array
    codes: Integers
    levels: int

    @property
    def size(self) -> int:
        """How many effects."""
        return self.levels * self.W.shape[1]


@dataclass(frozen=True)
class NormalGroups:
    """Sufficient statistics of y = F phi + W b_group + Z s + noise, with variance sigma^2 / weight.

    b_group ~ N(0, L L') are the effects of the largest factor, s those of all others, N(0, Lambda Lambda'). In each
    group the rows of W are Q R with orthonormal Q. What lies in the span of Q says everything of b; what does not says
    nothing of it. With e = (phi - centre, s), u = a - B e and P = I + R L L' R' / sigma^2, the likelihood with b
    integrated out is a product of two factors that have no b:

        log p(y | s) = - count / 2 log(2 pi sigma^2) - (rss - 2 r's + e' G e) / (2 sigma^2)
                       - 1/2 sum over groups of (log det P + u' P^-1 u / sigma^2)

    Its quadratic form is a sum of squares, so nothing cancels, however large b is beside sigma. In s it is quadratic
    too, and s is integrated out by one dense matrix A = I + Lambda' K Lambda / sigma^2.

    Attributes
    ----------
    centre : (coordinate,) float
        Least-squares coefficients within groups.
    count, rss : float
        Sum of the weights; sum of squares within groups at the centre.
    G : (coordinate and small effect, the same) float
        Products of the columns of F and Z within groups.
    r : (small effect,) float
        Products of Z with y - F centre, within groups.
    R : (group, term, term) float
        Upper triangles; a row of zeros where the rows of a group leave a direction open.
    a : (group, term) float
        Q' (y - F centre).
    B : (group, term, coordinate and small effect) float
        Q' F and Q' Z.
    layout : (factor, 2) int
        Levels and terms of the small factors: their effects lie factor by factor, level by level, term by term.
    rest, within : (row,), (row, coordinate) float
        y - F centre and F without what lies in the span of Q.
    codes, weights : (row,) int, (row,) float or None
        Group of each row, and its weight.
    sd : str
        Which parameter of the family sigma is; empty where it is 1.
    constant : float
        Added to log p.
    """

    centre: Array
    count: float
    rss: float
    G: Array
    r: Array
    R: Array
    a: Array
    B: Array
    layout: Integers
    rest: Array
    within: Array
    codes: Integers
    weights: Array | None
    sd: str = "sigma"
    constant: float = 0.0

    @cached_property
    def compiled(self) -> tuple[Array, Array, Array, Array, Array]:
        """R, a and B with the group last, then G and r: as the compiled loops take them."""
        last = (np.moveaxis(self.R, 0, -1), self.a.T, np.moveaxis(self.B, 0, -1))
        R, a, B = map(np.ascontiguousarray, last)
        return R, a, B, self.G, self.r

    def log_likelihood(self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]) -> Array:
        """log p(y) of every draw without b: (draw,); the largest factor's root (draw, term, term) comes first."""
        sigma = self._sigma(phi, aux)
        value, *_ = self._marginals(phi, roots, sigma, False)
        return self.constant - 0.5 * (self.count * np.log(2.0 * np.pi * sigma**2) + value)

    def _sigma(self, phi: Array, aux: Mapping[str, Array]) -> Array:
        return aux[self.sd] if self.sd else np.ones(len(phi))

    def derivatives(
        self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]
    ) -> tuple[Array, Array, list[Array], dict[str, Array]]:
        """`log_likelihood`, and its derivatives in phi (draw, coordinate), the roots' lower triangles and sigma."""
        sigma = self._sigma(phi, aux)
        t = 1.0 / sigma
        value, dc, dL, dt, d_small = self._marginals(phi, roots, sigma, True)
        d_roots = [dL, *(d_small[:, f, : root.shape[-1], : root.shape[-1]] for f, root in enumerate(roots[1:]))]
        dt = dt + (dc * (phi - self.centre)).sum(axis=1)
        dt += sum((d * np.tril(root)).sum(axis=(1, 2)) for d, root in zip(d_roots, roots, strict=True))
        d_sigma = 0.5 * t**2 * dt - self.count * t
        scaled = [-0.5 * t[:, None, None] * np.tril(d) for d in d_roots]
        value = self.constant - 0.5 * (self.count * np.log(2.0 * np.pi * sigma**2) + value)
        return value, -0.5 * t[:, None] * dc, scaled, {self.sd: d_sigma} if self.sd else {}

    def by_group(self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]) -> Array:
        """log p of the rows of each group without b: (draw, group)."""
        from bayesmargins.integrate.normal_group_kernels import each_group  # numba takes a second to import

        if len(roots) > 1:
            raise IntegrationError(
                f"The rows of a group have a likelihood of their own where there is one grouping factor; here are "
                f"{len(roots)}, and groups of one share effects of others."
            )
        t = 1.0 / self._sigma(phi, aux)
        c, L = (phi - self.centre) * t[:, None], np.ascontiguousarray(roots[0] * t[:, None, None])
        R, a, B, *_ = self.compiled
        out = np.empty((len(phi), a.shape[1]))
        in_threads(each_group, len(phi), c, L, t, R, a, B, *self._sums_by_group, out)
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
        ends = np.cumsum(self.layout.prod(axis=1))
        pieces = np.split(s, ends[:-1], axis=1) if len(ends) else []
        return [b, *(piece.reshape(len(s), *of) for piece, of in zip(pieces, self.layout, strict=True))]

    def _marginals(self, phi: Array, roots: Sequence[Array], sigma: Array, slopes: bool) -> tuple[Array, ...]:
        """-2 log likelihood less its normaliser, and derivatives, in units of sigma."""
        from bayesmargins.integrate.normal_group_kernels import group_marginals  # numba takes a second to import

        n, t = len(phi), 1.0 / sigma
        c, L = (phi - self.centre) * t[:, None], np.ascontiguousarray(roots[0] * t[:, None, None])
        small = self._padded(roots[1:], n) * t[:, None, None, None]
        out = (np.empty(n), *(np.zeros(x.shape if slopes else (0,) * x.ndim) for x in (c, L, t, small)))
        statistics = (*self.compiled, self.rss, self.layout)
        if n * len(self.a) < _FEW:
            group_marginals(0, n, c, L, t, small, *statistics, slopes, *out)
        else:
            in_threads(group_marginals, n, c, L, t, small, *statistics, slopes, *out)
        return out

    def _padded(self, roots: Sequence[Array], n: int) -> Array:
        """Roots of the small factors, (draw, factor, term, term), with zeros for terms that a factor does not have."""
        q = int(self.layout[:, 1].max(initial=1))
        out = np.zeros((n, len(roots), q, q))
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
    columns = [(f, f.W[:, k] * root) for f in small for k in range(f.W.shape[1])]
    places = _places(small)
    E = np.zeros((large.levels, Q.shape[1], sum(f.size for f in small)))
    for (f, column), place in zip(columns, places, strict=True):
        for i in range(Q.shape[1]):
            E[:, i, place] = _table(Q[:, i] * column, large, f)
    ZZ, FZ, r = np.zeros((E.shape[2],) * 2), np.zeros((F.shape[1], E.shape[2])), np.zeros(E.shape[2])
    for (f, column), place in zip(columns, places, strict=True):
        r[place] = _sums(rest[:, 0] * column, f)
        for k in range(F.shape[1]):
            FZ[k, place] = _sums(within[:, k] * column, f)
        for (other, its), there in zip(columns, places, strict=True):
            ZZ[np.ix_(place, there)] = _table(column * its, f, other)
    ZZ -= np.tensordot(E, E, ((0, 1), (0, 1)))
    G = np.block([[within.T @ within, FZ], [FZ.T, ZZ]])
    count, rss = float(len(y) if weights is None else weights.sum()), float(rest[:, 0] @ rest[:, 0])
    layout = np.array([(f.levels, f.W.shape[1]) for f in small], dtype=np.int64).reshape(-1, 2)
    statistics = (centre, count, rss, G, r, R, a[..., 0], np.concatenate([B, E], axis=2), layout)
    return NormalGroups(*statistics, rest[:, 0], within, large.codes, weights, sd)


def _places(small: Sequence[Effects]) -> list[Integers]:
    """Where the effects of each term of each factor lie, level by level."""
    places, first = [], 0
    for f in small:
        q = f.W.shape[1]
        places += [first + k + q * np.arange(f.levels) for k in range(q)]
        first += f.size
    return places


def _sums(values: Array, by: Effects) -> Array:
    sums: Array = np.bincount(by.codes, weights=values, minlength=by.levels).astype(np.float64, copy=False)
    return sums


def _table(values: Array, by: Effects, across: Effects) -> Array:
    """Sums by the levels of two factors."""
    cells = Effects(by.W, by.codes.astype(np.int64) * across.levels + across.codes, by.levels * across.levels)
    return _sums(values, cells).reshape(by.levels, across.levels)


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
    from bayesmargins.integrate.normal_group_kernels import draw_groups, draw_small  # numba takes a second to import

    n, scale = len(phi), sigma[:, None]
    c, L, roots = (phi - groups.centre) / scale, L / scale[..., None], roots / scale[..., None, None]
    R, a, B, G, r = groups.compiled
    s = rng.standard_normal((n, len(r)))
    if len(r):
        in_threads(draw_small, n, c, L, sigma, roots, R, a, B, G, r, groups.layout, s)
    b = rng.standard_normal((n, *groups.a.shape))
    in_threads(draw_groups, n, np.concatenate([c, s], axis=1), L, sigma, R, a, B, back, b)
    return b, s * scale
