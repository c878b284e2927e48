"""Averages block by block: what two blocks of rows say together (combine).

A block's averages and total weights depend on its rows and the posterior alone, so that it does not matter where, or
after which others, it is evaluated; blocks are put together in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayesmargins.evaluate.asked import Asked
from bayesmargins.evaluate.blocks import Impossible
from bayesmargins.evaluate.chunks import Passed
from bayesmargins.grid import Averaging

__all__ = ["Part", "combined"]


@dataclass(frozen=True)
class Part:
    """What a block of rows gives, or several together."""

    averaging: Averaging  # its cells, with their total weights
    passed: list[Passed]  # one a pass: averages of each cell
    impossible: Impossible | None  # what was seen of values that a parameter should not have


def combined(asked: Asked, one: Part, other: Part) -> Part:
    """Two parts as one: averages of averages, by their total weights."""
    averaging, *places = asked.scheme.together(one.averaging, other.averaging)
    groups, n = asked.policy.combinations, averaging.cells.n
    weight = np.where(averaging.totals > 0.0, averaging.totals, 1.0)
    each = []
    for part, place in zip((one, other), places, strict=True):
        shares = np.zeros(n)
        shares[place] = part.averaging.totals / weight[place]
        where = (np.arange(groups)[:, None] * n + place).ravel()
        each.append((np.tile(shares, groups), where))
    passed = [_together(a, b, *each) for a, b in zip(one.passed, other.passed, strict=True)]
    impossible = one.impossible and other.impossible and one.impossible + other.impossible
    return Part(averaging, passed, impossible)


Share = tuple[np.ndarray, np.ndarray]  # of each cell of both, and where the cells of one are among them


def _together(one: Passed, other: Passed, own: Share, others: Share) -> Passed:
    estimated = one.error_estimate is not None or other.error_estimate is not None
    out = Passed(
        {name: _spread(one.values[name], *own) + _spread(other.values[name], *others) for name in one.values},
        error_bound=max(one.error_bound, other.error_bound),
        methods=one.methods | other.methods,
        nodes=max(one.nodes, other.nodes),
        error_estimate=max(one.wrong, other.wrong) if estimated else None,
        relative_bound=max(one.relative_bound, other.relative_bound),
        multiplied=max(one.multiplied, other.multiplied),
        log_bound=max(one.log_bound, other.log_bound),
    )
    for name in one.logs | other.logs:
        _add_logs(out, name, ((one, *own), (other, *others)))
    return out


def _spread(values: np.ndarray, shares: np.ndarray, where: np.ndarray) -> np.ndarray:
    """What values (..., cell) of some cells count for among all: 0 where there are none."""
    out = np.zeros((*values.shape[:-1], len(shares)))
    out[..., where] = values * shares[where]
    return out


def _add_logs(out: Passed, name: str, each: Sequence[tuple[Passed, np.ndarray, np.ndarray]]) -> None:
    """Logarithms where one of the two is too small to be divided by; the other one may be known less well."""
    total = np.full(out.values[name].shape, -np.inf)
    rare = np.zeros(total.shape, dtype=bool)
    for passed, shares, where in each:
        with np.errstate(divide="ignore"):
            total[..., where] = np.logaddexp(total[..., where], passed.log_of(name) + np.log(shares[where]))
        rare[..., where] |= ~np.isnan(passed.logs.get(name, np.nan))
    for passed, _, where in each:
        error = passed.relative(name)[rare[..., where]]
        out.log_bound = max(out.log_bound, float(np.max(error, where=np.isfinite(error), initial=0.0)))
    out.logs[name] = np.where(rare, total, np.nan)
