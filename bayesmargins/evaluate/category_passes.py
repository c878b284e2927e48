"""One pass over the rows of a question for categories without an order: values (category, draw, cell).

Every category but the first has a linear predictor. They have the same rows of the design, and in every draw those of a
row are jointly normal over new groups; fitted groups are looked up in all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bayesmargins.design import Rows
from bayesmargins.draws import Draws
from bayesmargins.errors import EstimandError
from bayesmargins.evaluate import exact
from bayesmargins.evaluate.asked import Passed
from bayesmargins.evaluate.chunks import Chunk
from bayesmargins.evaluate.passes import complete
from bayesmargins.family.curve import Shares
from bayesmargins.group_likelihood import roots
from bayesmargins.groups import GroupPlan
from bayesmargins.integrate.softmax import Averages, softmax_averages

__all__ = ["SharesPredictor"]

_BLOCK_VALUES = 2**20  # of one category

Changes = tuple[np.ndarray | None, np.ndarray | None]


@dataclass(frozen=True)
class _Predictor:
    """A linear predictor: its draws, and what is done with its b in the rows of a chunk."""

    draws: Draws
    plan: GroupPlan


class SharesPredictor:
    """What are the probabilities of the categories in these draws, with b treated as planned and rows averaged?"""

    def __init__(self, draws: Draws, shares: Shares, tick: Callable[[int], None]) -> None:
        self.draws, self.shares, self.tick = draws, shares, tick

    def values(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """As of `Predictor`, with ``values["mean"]`` (category, draw, cell)."""
        return self._pass(chunks, cells, "mean")

    def slopes(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """As of `Predictor`, with ``values["slope"]`` (category, draw, cell)."""
        return self._pass(chunks, cells, "slope")

    def second_derivatives(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """As of `Predictor`, with ``values["second"]`` (category, draw, cell)."""
        return self._pass(chunks, cells, "second")

    def _pass(self, chunks: Iterable[Chunk], cells: int, part: str) -> Passed:
        out = np.zeros((self.shares.outputs, len(self.draws.beta), cells))
        passed = Passed({part: out})
        for whole in chunks:
            chunk = whole if whole.complete is None else complete(whole, passed)
            each = [_Predictor(self.draws, chunk.plan), *(_Predictor(p.draws, p.plan) for p in chunk.parts)]
            size = max(1, _BLOCK_VALUES // len(self.draws.beta))
            if chunk.multiplier is not None:
                passed.multiplied = max(passed.multiplied, float(np.nanmax(np.abs(chunk.multiplier), initial=0.0)))
            for start in range(0, len(chunk.cells.index), size):
                block = slice(start, min(start + size, len(chunk.cells.index)))
                found = self._block(each, chunk, block, part, passed)
                if chunk.multiplier is not None:
                    found = found * chunk.multiplier[block]
                for total, values in zip(out, found, strict=True):
                    chunk.cells.add(total, values, block)
                self.tick(out.shape[1] * (block.stop - block.start))
        passed.error_bound *= passed.multiplied
        if passed.error_estimate is not None:
            passed.error_estimate *= passed.multiplied
        return passed

    def _block(self, each: Sequence[_Predictor], chunk: Chunk, block: slice, part: str, passed: Passed) -> np.ndarray:
        """(category, draw, row), averaged over new groups, and over fitted ones too where there are some."""
        moves = _moves(each, chunk, block)
        total: np.ndarray | float = 0.0
        for weights, etas, changes in _known(each, chunk, block, part):
            groups = len(weights)
            repeated = moves if moves.shape[1] == 1 else np.tile(moves, (1, groups, 1, 1))
            found = softmax_averages(etas, repeated, *changes)
            _note(passed, found)
            values = found.value.reshape(*found.value.shape[:2], groups, -1)
            total = total + np.einsum("g,cdgr->cdr", weights, values)
        return np.asarray(total)


def _note(passed: Passed, found: Averages) -> None:
    passed.note(found.method, found.error if found.bounded else 0.0, found.nodes)
    if not found.bounded or passed.error_estimate is not None:
        passed.error_estimate = max(passed.error_estimate or 0.0, passed.error_bound, found.error)


def _known(
    each: Sequence[_Predictor], chunk: Chunk, block: slice, part: str
) -> Iterator[tuple[np.ndarray, np.ndarray, Changes]]:
    """Weights (group,), linear predictors (predictor, draw, group x row) and how they change, for some fitted groups.

    One group of weight 1 where none are averaged over.
    """
    of_rows = [chunk.rows]
    if part != "mean":
        assert chunk.d_rows is not None
        of_rows.append(chunk.d_rows)
    if part == "second":
        assert chunk.second is not None
        of_rows += [chunk.second.d_rows, chunk.second.dd_rows]
    bare = [np.stack([exact.linear(p.draws, rows, p.plan, block) for p in each]) for rows in of_rows]
    bend = _covariance_change(each, chunk, block, part)
    if each[0].plan.mixture is None:
        yield np.ones(1), bare[0], _changes(bare[1:], bend)
        return
    for weights, shifts in _shifts(each, of_rows, block):
        moved = [
            np.stack([exact.moved(e, s) for e, s in zip(*of, strict=True)]) for of in zip(bare, shifts, strict=True)
        ]
        tiled = bend if bend is None or bend.shape[1] == 1 else np.tile(bend, (1, len(weights), 1, 1))
        yield weights, moved[0], _changes(moved[1:], tiled)


def _shifts(
    each: Sequence[_Predictor], of_rows: Sequence[Rows], block: slice
) -> Iterator[tuple[np.ndarray, list[list[np.ndarray]]]]:
    """Weights of some fitted groups, and what they add to each linear predictor, by rows and by predictor."""
    mixtures = [p.plan.mixture for p in each]
    found = [
        exact.shifts(p.draws, rows.Z, m, block)
        for rows in of_rows
        for p, m in zip(each, mixtures, strict=True)
        if m is not None
    ]
    n = len(each)
    for some in zip(*found, strict=True):
        shifts = [shift for _, shift in some]
        yield some[0][0], [shifts[k * n : (k + 1) * n] for k in range(len(of_rows))]


def _changes(derivatives: Sequence[np.ndarray], bend: np.ndarray | None) -> Changes:
    """What averages change with: first derivatives of the linear predictors, and a symmetric matrix for the second.

    sum_kl E[p_kl] V_kl / 2 is the movement of the covariance; that of a slope has x_k z_l + z_k x_l in its place.
    """
    if not derivatives:
        return None, None
    if len(derivatives) == 1:
        d_etas = derivatives[0]
        none = np.zeros((d_etas.shape[1], 1, len(d_etas), len(d_etas)))
        return d_etas, none if bend is None else bend
    x, z, both = derivatives
    outer = np.einsum("kdr,ldr->drkl", x, z)
    return both, outer + np.swapaxes(outer, 2, 3)


def _moves(each: Sequence[_Predictor], chunk: Chunk, block: slice) -> np.ndarray:
    """What standard normal numbers add to the linear predictors: (draw, 1 or row, predictor, number)."""
    V = _bilinear(each, chunk, block, chunk.rows, chunk.rows)
    if V is None:
        return np.zeros((len(each[0].draws.beta), 1, len(each), 0))
    return roots(V.reshape(-1, *V.shape[2:])).reshape(V.shape)


def _covariance_change(each: Sequence[_Predictor], chunk: Chunk, block: slice, part: str) -> np.ndarray | None:
    """The derivative of that covariance, (draw, 1 or row, predictor, predictor); None where z does not move."""
    integrated, d_rows = chunk.plan.integrated, chunk.d_rows
    if part == "second" and chunk.second is not None:
        if any(exact.moves(rows, integrated) for rows in (d_rows, chunk.second.d_rows, chunk.second.dd_rows) if rows):
            raise EstimandError(
                "The derivative of a slope is asked for, and a variable of it has a random slope over new groups: of "
                "categories without an order that is not computed. Compare slopes at two values of the other variable "
                "(at=, then bm.hypotheses), or ask for 'own', 'existing' or 'zero'."
            )
        return None
    if d_rows is None or part == "mean" or not exact.moves(d_rows, integrated):
        return None
    half = _bilinear(each, chunk, block, chunk.rows, d_rows)
    assert half is not None
    return half + np.swapaxes(half, 2, 3)


def _bilinear(each: Sequence[_Predictor], chunk: Chunk, block: slice, left: Rows, right: Rows) -> np.ndarray | None:
    """z' Sigma_kl w summed over integrated factors: (draw, 1 or row, predictor, predictor); None where there are none.

    Effects on different linear predictors are independent where no covariance over them is given.
    """
    total: np.ndarray | None = None
    K = len(each)
    for factor in chunk.plan.integrated:
        z, w = exact.alike(*(exact.constant_row(rows.Z[factor][block]) for rows in (left, right)))
        joint, q = chunk.across.get(factor), z.shape[1]
        found = np.zeros((len(each[0].draws.beta), len(z), K, K))
        for k in range(K):
            for j in range(K) if joint is not None else (k,):
                Sigma = each[k].draws.Sigma[factor]
                Sigma = Sigma if joint is None else joint[:, k * q : (k + 1) * q, j * q : (j + 1) * q]
                found[:, :, k, j] = exact.bilinear(np.ascontiguousarray(Sigma), z, w)
        total = found if total is None else total + found
    return total
