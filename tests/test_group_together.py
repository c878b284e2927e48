"""One group effect integrated out at eight points at once: against dense sums by SciPy, and against one at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from group_rows import PHI, Case, case
from scipy import stats

import bayesmargins as bm
from bayesmargins.integrate import group_entry, group_quadrature
from bayesmargins.integrate.group_quadrature import GroupQuadrature

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "trials of one": ("bernoulli", {}),
    "several trials": ("binomial", {}),
    "large groups": ("bernoulli", {"sizes": (700, 2, 0, 90)}),
}


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Few trials are taken together too; what was asked for them is listed."""
    asked: list[Any] = []
    known = group_entry.together_entry

    def noted(tag: Any) -> Any:
        asked.append(tag)
        return known(tag)

    monkeypatch.setattr(group_quadrature, "_MANY", 1)
    monkeypatch.setattr(group_entry, "together_entry", noted)
    return asked


def _placed(rows: Case) -> GroupQuadrature:
    return rows.likelihood.at_rest(*rows.arguments(PHI, 1.0))


def _points(points: list[tuple[np.ndarray, float]]) -> tuple[np.ndarray, list[np.ndarray], dict[str, np.ndarray]]:
    return np.array([phi for phi, _ in points]), [np.array([s for _, s in points]).reshape(-1, 1, 1)], {}


@pytest.mark.parametrize("kind", KINDS)
def test_likelihoods_of_many_points_are_dense_sums(kind: str, few_are_many: list[Any]) -> None:
    """Near the point that placed the nodes, far from it, where no node does, and where there are no numbers."""
    family, options = KINDS[kind]
    rows = case(family, "logit", **options)
    placed = _placed(rows)
    shifts = ([0.0, 0.0], [0.1, -0.1], [0.3, -0.2], [4.0, -3.0], [-20.0, 0.0], [20.0, 0.0], [300.0, 0.0])
    points = [(PHI + np.array(shift), s) for shift in shifts for s in (1e-8, 0.2, 1.0, 1.3, 10.0, -1.0)]
    hopeless = [(np.array([np.nan, 0.0]), 1.0), (PHI, np.inf), (np.array([np.inf, 0.0]), 1.0)]
    at = _points(points[:20] + hopeless + points[20:])
    found, told = placed.by_group(*at), placed.error(*at)
    assert len(few_are_many) == 2
    assert np.isnan(found[20:23]).all()
    found, told = np.delete(found, range(20, 23), axis=0), np.delete(told, range(20, 23))
    for k, (phi, s) in enumerate(points):
        exact = rows.dense(phi, s)
        assert (np.abs(found[k] - exact) < 1e-4 + 1e-13 * np.abs(exact)).all(), (s, phi)
        assert abs((found[k] - exact).sum()) < 10.0 * told[k] + 1e-4 + 1e-13 * np.abs(exact).sum(), (s, phi)
        near = np.abs(phi - PHI).max() < 0.2 and 1.0 <= abs(s) <= 1.3
        assert not near or (found[k] - exact).sum() == pytest.approx(0.0, abs=1e-6)
        assert placed.by_group(*_points([(phi, s)]))[0] == pytest.approx(found[k], abs=2e-4, rel=1e-12)
    assert len(few_are_many) == 2  # a single point is none of many


@pytest.mark.parametrize("kind", KINDS)
def test_effects_at_many_points_are_drawn_from_their_distribution(kind: str, few_are_many: list[Any]) -> None:
    """At a point in the reach of the nodes, and at one out of it: each group's own, and the prior's without rows."""
    family, options = KINDS[kind]
    rows, draws = case(family, "logit", **options), 3000
    placed = _placed(rows)
    for phi, s in ((PHI + 0.1, 1.2), (PHI - 3.0, 4.0)):
        (b,) = placed.draw_effects(*_points([(phi, s)] * draws), np.random.default_rng(1))
        for g in range(rows.effects.levels):
            z, v = rows.nodes(g, phi, s)
            mass = np.exp(v - v.max())
            cdf = np.cumsum(mass) - 0.5 * mass
            x = b[:, g, 0] / s
            assert stats.kstest(np.interp(x, z, cdf / mass.sum()), "uniform").pvalue > 1e-5, (g, s)
            assert len(np.unique(x)) == draws
    assert len(few_are_many) == 2


def test_a_point_has_the_same_numbers_whatever_the_threads_and_its_neighbours() -> None:
    rows, rng = case("bernoulli", "logit"), np.random.default_rng(3)
    placed = _placed(rows)
    scales = rng.uniform(0.5, 6.0, 40)  # some lanes are searched for by themselves
    at = _points([(PHI + 0.5 * rng.normal(size=2), s) for s in scales])
    both = []
    for threads in (1, 2):
        with bm.options(threads=threads):
            both.append((placed.by_group(*at), placed.draw_effects(*at, np.random.default_rng(1))[0]))
    for one, two in zip(*both, strict=True):
        np.testing.assert_array_equal(one, two)
    some = rng.permutation(40)[:19]
    mixed = at[0][some], [at[1][0][some]], {}
    np.testing.assert_array_equal(placed.by_group(*mixed), both[0][0][some])


def test_rows_that_are_no_few_trials_are_taken_one_by_one(few_are_many: list[Any]) -> None:
    for options in ({"weights": True}, {"slope": True}):
        rows = case("bernoulli", "logit", **options)
        at = _points([(PHI, 1.0)] * 9)
        assert _placed(rows).by_group(*at)[0] == pytest.approx(rows.dense(PHI, 1.0), abs=1e-6)
    rows = case("binomial", "logit", sizes=(4, 3, 5))
    rows.outcome.trials[:] *= 100.0
    assert _placed(rows).by_group(*_points([(PHI, 1.0)] * 9))[0] == pytest.approx(rows.dense(PHI, 1.0), abs=1e-6)
    assert few_are_many == []
