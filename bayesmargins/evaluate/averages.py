"""Averages block by block: what two blocks of rows say together (combine), and blocks of draws side by side.

A block's averages and total weights depend on its rows and the posterior alone, so that it does not matter where, or
after which others, it is evaluated; blocks are put together in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayesmargins.evaluate.asked import Asked, Passed
from bayesmargins.evaluate.blocks import Impossible
from bayesmargins.grid import Averaging

__all__ = ["Part", "beside", "combined"]


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
    values = {name: _spread(one.values[name], *own) + _spread(other.values[name], *others) for name in one.values}
    out = _of_all(values, (one, other))
    for name in one.logs | other.logs:
        _add_logs(out, name, ((one, *own), (other, *others)))
    return out


def _of_all(values: dict[str, np.ndarray], each: Sequence[Passed]) -> Passed:
    """Values with what is on record of all that they were made of."""
    estimated = any(one.error_estimate is not None for one in each)
    return Passed(
        values,
        error_bound=max(one.error_bound for one in each),
        methods=set().union(*[one.methods for one in each]),
        nodes=max(one.nodes for one in each),
        error_estimate=max(one.wrong for one in each) if estimated else None,
        relative_bound=max(one.relative_bound for one in each),
        multiplied=max(one.multiplied for one in each),
        log_bound=max(one.log_bound for one in each),
    )


def beside(whole: Part | None, some: slice, part: Part, chains: int, draws: int) -> Part:
    """The same rows in all draws, of what is known so far, and a part that has some draws of every chain."""
    if whole is None:
        whole = Part(part.averaging, [_room(passed, chains * draws) for passed in part.passed], None)
    passed = [_put(one, into, some, chains) for one, into in zip(part.passed, whole.passed, strict=True)]
    seen = whole.impossible + part.impossible if whole.impossible and part.impossible else part.impossible
    return Part(part.averaging, passed, seen)


def _room(one: Passed, samples: int) -> Passed:
    """For the values of all draws."""
    return Passed({name: np.empty((samples, *values.shape[1:])) for name, values in one.values.items()})


def _put(one: Passed, into: Passed, some: slice, chains: int) -> Passed:
    """What is known so far of all draws, with these."""
    out = _of_all(into.values, (into, one))
    out.logs = into.logs
    for name, logs in one.logs.items():
        of_all = out.logs.setdefault(name, np.full(out.values[name].shape, np.nan))
        _by_chain(of_all, chains)[:, some] = _by_chain(logs, chains)
    for name, values in one.values.items():
        _by_chain(out.values[name], chains)[:, some] = _by_chain(values, chains)
    return out


def _by_chain(values: np.ndarray, chains: int) -> np.ndarray:
    return values.reshape(chains, len(values) // chains, *values.shape[1:])


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
