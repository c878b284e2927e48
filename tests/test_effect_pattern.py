"""The order in which group effects are eliminated, and what the compiled loops read of their matrix."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import cholesky

from bayesmargins.integrate.effect_pattern import BLOCK, EffectPattern, Levels, effect_pattern, multiplications

RNG = np.random.default_rng(1)
GROUPS = RNG.integers(0, 400, 2000)  # of the largest factor; the last has no rows
CODES = {
    "nested": (GROUPS % 60, GROUPS % 60 % 12, GROUPS % 60 % 12 % 3),
    "crossed": (RNG.integers(0, 30, 2000),),
    "both": (GROUPS % 60 % 12, RNG.integers(0, 8, 2000), GROUPS % 60),
    "neighbours": ((GROUPS // 4) + RNG.integers(0, 2, 2000),),
}


def _pattern(name: str, terms: int = 1) -> tuple[EffectPattern, Levels, list[Levels]]:
    large = Levels(GROUPS, 401, 1)
    small = [Levels(codes, int(codes.max()) + 2, terms + k) for k, codes in enumerate(CODES[name])]
    return effect_pattern(large, small), large, small


def _meeting(pattern: EffectPattern, small: list[Levels]) -> np.ndarray:
    """Which effects the rows of each group have, by places in the pattern: (group, effect)."""
    found, first = np.zeros((401, len(pattern.place)), dtype=bool), 0
    for f in small:
        for t in range(f.terms):
            found[GROUPS, pattern.place[first + f.codes * f.terms + t]] = True
        first += f.count * f.terms
    return found


@pytest.mark.parametrize("terms", [1, 2])
@pytest.mark.parametrize("name", CODES)
def test_every_pair_that_meets_has_an_entry_of_its_own(name: str, terms: int) -> None:
    pattern, _, small = _pattern(name, terms)
    p, meeting = pattern.envelope, _meeting(pattern, small)
    assert sorted(pattern.place) == list(range(len(p.low)))
    row, col = np.nonzero(np.tril(meeting.T.astype(int) @ meeting))
    assert (p.low[row] <= col).all()
    every = [p.row[a] + k for a in range(len(p.low)) for k in range(p.low[a], p.first[p.first > a].min())]
    assert every == list(range(pattern.entries))


@pytest.mark.parametrize("name", CODES)
def test_patches_have_the_effects_of_their_groups(name: str) -> None:
    pattern, _, small = _pattern(name)
    p, meeting = pattern.envelope, _meeting(pattern, small)[pattern.order]
    assert sorted(pattern.order) == list(range(401))
    assert p.lanes[0] == 0
    assert p.lanes[-1] == 401
    for begin, end, one, other in zip(p.lanes[:-1], p.lanes[1:], p.begins[:-1], p.begins[1:], strict=True):
        assert begin < end <= (begin // BLOCK + 1) * BLOCK
        assert (np.diff(p.used[one:other]) > 0).all()
        assert set(np.flatnonzero(meeting[begin:end].any(axis=0))) <= set(p.used[one:other])


def test_nested_effects_leave_no_zero_in_the_factor() -> None:
    """A level's row holds those within it and itself: the dense Cholesky factor has that many entries."""
    pattern, _, small = _pattern("nested")
    meeting, first = _meeting(pattern, small).astype(float), pattern.envelope.first
    level = np.repeat(np.arange(len(first) - 1), np.diff(first))
    matrix = np.eye(len(level)) + (level[:, None] == level) + meeting.T @ meeting
    assert np.count_nonzero(cholesky(matrix, lower=True)) == (np.arange(len(level)) - pattern.envelope.low + 1).sum()


@pytest.mark.parametrize("name", CODES)
def test_multiplications_are_those_of_the_steps(name: str) -> None:
    """Counted one by one: those of the factor three times, its entries once, and pairs of effects in each group."""
    pattern, large, small = _pattern(name)
    p, count = pattern.envelope, 0
    for a in range(len(p.low)):
        for k in range(p.low[a], a):
            count += 3 * (k - max(p.low[a], p.low[k])) + 1
    used = np.diff(p.begins)
    count += int((np.diff(p.lanes) * used**2).sum())
    assert multiplications(large, small) == count
    assert multiplications(large, small, count - 1.0) > count - 1.0


def test_too_many_are_known_before_they_are_counted() -> None:
    n = 100_000
    large = Levels(np.arange(n) % 20_000, 20_000, 1)
    assert multiplications(large, [Levels(RNG.integers(0, 10_000, n), 10_000, 1)], 1e7) > 1e7
    assert multiplications(large, ()) == 0.0


def test_ten_times_as_many_schools_cost_ten_times_as_much() -> None:
    def cost(schools: int) -> float:
        room = np.repeat(np.arange(schools * 5), 3)
        above = [Levels(room // 5, schools, 2), Levels(room // 50, schools // 10, 1)]
        return multiplications(Levels(room, schools * 5, 1), above)

    # Which schools are taken together depends on where the whole is halved.
    assert 5 * cost(60) < cost(600) < 20 * cost(60)
