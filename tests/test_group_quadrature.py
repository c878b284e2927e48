"""Responses that are not normal with one group effect integrated out: against dense sums of densities by SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from group_rows import AUX, PAIRS, PHI, SIZES, Case, case
from interpreted import interpreted
from scipy import stats

import bayesmargins as bm
from bayesmargins.family import FAMILIES

KINDS: dict[str, dict[str, Any]] = {
    "one": {},
    "weighted": {"weights": True},
    "slope": {"slope": True, "weights": True},
    "large": {"sizes": (500, 2)},
}
FAR = list(PHI + np.array([[0.0, 0.0], [0.3, -0.2], [4.0, -3.0], [-20.0, 0.0], [20.0, 0.0]]))


def test_every_family_whose_effects_are_integrated_has_a_case() -> None:
    assert set(AUX) == {name for name, family in FAMILIES.items() if family.rows}
    for name, aux in AUX.items():
        assert tuple(aux) == FAMILIES[name].aux


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("family", "link"), PAIRS)
def test_likelihood_is_that_of_a_dense_sum(family: str, link: str, kind: str) -> None:
    """Near and far from the point that placed the nodes; what is told of the error is its order of magnitude."""
    rows = case(family, link, **KINDS[kind])
    searched = rows.likelihood
    placed = searched.at_rest(*rows.arguments(PHI, 1.0))
    assert (placed.rest[:, 4] > 0).any()
    for s, phi in [(s, FAR[k % 2]) for k, s in enumerate((1e-8, 0.01, 0.1, 1.0, 3.0, 10.0))] + [(1.5, p) for p in FAR]:
        exact, at = rows.dense(phi, s), rows.arguments(phi, s)
        for likelihood in (searched, placed):
            found, told = likelihood.by_group(*at), likelihood.error(*at)[0]
            assert (np.abs(found[0] - exact) < 1e-4 + 1e-13 * np.abs(exact)).all(), (s, phi)
            # Of nodes placed far away, chance may hide the error: where the peak lies halfway between two.
            most = 10.0 * told + (1e-7 if likelihood is searched else 1e-4)
            assert abs((found[0] - exact).sum()) < most + 1e-13 * np.abs(exact).sum(), (s, phi)
            assert likelihood.log_likelihood(*at) == pytest.approx(found.sum(axis=1), rel=1e-14)
            assert likelihood.derivatives(*at)[0] == pytest.approx(found.sum(axis=1), rel=1e-12)


def _nudged(rows: Case, phi: np.ndarray, s: float, k: int, h: float) -> float:
    """The dense log likelihood with coordinate k moved by h: phi, then s, then the family's parameters."""
    x = np.concatenate([phi, [s], *(np.atleast_1d(v) for v in rows.aux.values())])
    x[k] += h
    aux = {name: x[3:] if np.ndim(v) else x[3] for name, v in rows.aux.items()}
    return float(rows.dense(x[:2], x[2], aux).sum())


@pytest.mark.parametrize("kind", ["one", "slope"])
@pytest.mark.parametrize(("family", "link"), PAIRS)
def test_derivatives_are_those_of_a_dense_sum(family: str, link: str, kind: str) -> None:
    rows = case(family, link, **KINDS[kind])
    placed = rows.likelihood.at_rest(*rows.arguments(PHI, 1.0))
    for s, phi in ((1.1, PHI + 0.1), (0.2, PHI - 0.8)):
        _, d_phi, (d_root,), d_aux = placed.derivatives(*rows.arguments(phi, s))
        found = np.concatenate([d_phi[0], [d_root[0, 0, 0]], *(np.atleast_1d(v[0]) for v in d_aux.values())])
        h = 1e-4
        for k, slope in enumerate(found):
            ends = [_nudged(rows, phi, s, k, step * h) for step in (-2, -1, 1, 2)]
            exact = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * h)
            size = 1e-15 * np.abs(ends[0]) / h + 1e-6 * np.abs(found).max()
            assert slope == pytest.approx(exact, abs=1e-4 + size), (s, k)


@pytest.mark.parametrize(("family", "link"), PAIRS)
def test_effects_are_drawn_from_their_distribution(family: str, link: str) -> None:
    """Each group's own, those without rows from the prior, and one group's apart from another's."""
    rows, draws, s = case(family, link), 4000, 1.3
    placed = rows.likelihood.at_rest(*rows.arguments(PHI, 1.0))
    phi, roots, aux = rows.arguments(PHI, s)
    many = [np.repeat(v, draws, axis=0) for v in (phi, *roots, *aux.values())]
    at = many[0], many[1:2], dict(zip(aux, many[2:], strict=True))
    (b,) = placed.draw_effects(*at, np.random.default_rng(1))
    assert b.shape == (draws, len(SIZES), 1)
    with bm.options(threads=2):
        (again,) = placed.draw_effects(*at, np.random.default_rng(1))
    np.testing.assert_array_equal(b, again)
    for g in range(len(SIZES)):
        z, v = rows.nodes(g, PHI, s)
        mass = np.exp(v - v.max())
        cdf = np.cumsum(mass) - 0.5 * mass
        x = b[:, g, 0] / s
        assert stats.kstest(np.interp(x, z, cdf / mass.sum()), "uniform").pvalue > 1e-5, g
        assert len(np.unique(x)) == draws
    correlations = np.corrcoef(b[:, :, 0].T)[np.triu_indices(len(SIZES), 1)]
    assert np.abs(correlations).max() < 5.0 / np.sqrt(draws)


def test_placing_nodes_again_is_placing_them_afresh() -> None:
    rows = case("bernoulli", "logit")
    once = rows.likelihood.at_rest(*rows.arguments(PHI, 1.0))
    np.testing.assert_array_equal(once.at_rest(*rows.arguments(PHI, 1.0)).rest, once.rest)


@pytest.mark.parametrize(("family", "link"), PAIRS)
def test_hopeless_points_end_and_say_so(family: str, link: str) -> None:
    """Without a number where a parameter is none; with the right one at means and a variance that are absurd."""
    rows = case(family, link)
    placed = rows.likelihood.at_rest(*rows.arguments(PHI, 1.0))
    for phi, s in (([np.nan, 0.0], 1.0), ([np.inf, 0.0], 1.0), ([0.0, 0.0], np.nan), ([0.0, 0.0], np.inf)):
        assert not np.isfinite(placed.log_likelihood(*rows.arguments(phi, s))[0]), (phi, s)
        placed.derivatives(*rows.arguments(phi, s))
        placed.draw_effects(*rows.arguments(phi, s), np.random.default_rng(1))
    for mean, s in ((300.0, 1.0), (-300.0, 1.0), (0.0, 1e3)):
        at = rows.arguments(PHI + np.array([mean, 0.0]), s)
        exact, found = rows.dense(at[0][0], s, nodes=40_001), placed.by_group(*at)[0]
        most = 3.0 * placed.error(*at)[0] if s < 1e3 else 0.05
        assert abs((found - exact).sum()) < most + 1e-7 + 1e-12 * np.abs(exact).sum(), (mean, s)


def _data() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    g = np.concatenate([["a"], rng.choice(list("bcdefgh"), 59)])
    x = rng.normal(2, 1, 60)
    eta = 0.5 * (x - 2) + pd.Series(g).map(dict(zip("abcdefgh", rng.normal(size=8), strict=True))).to_numpy()
    y = (rng.logistic(size=60) + eta > 0).astype(int)
    rating = np.digitize(rng.normal(size=60) + eta, [-1.0, 0.2, 1.5]) + 1
    count = rng.negative_binomial(1.7, 1.7 / (1.7 + np.exp(eta)))
    return pd.DataFrame({"y": y, "k": count, "r": rating, "x": x, "w": rng.normal(size=60), "g": g})


MODELS = [
    ("y ~ x + offset(w) + (1 | g)", "bernoulli", "cloglog"),
    ("k ~ x + (0 + x | g)", "negbinomial", "log"),
    ("r ~ x + (1 | g)", "cumulative", "probit"),
]


@pytest.mark.parametrize(("formula", "family", "link"), MODELS)
def test_model_is_the_sampled_one_with_b_integrated_out(formula: str, family: str, link: str) -> None:
    """Its log density and gradient are those of a dense sum of `GLMM.pymc` over z."""
    data = _data()
    model = bm.GLMM(formula, data, family, link)
    ours, sampled = model.pymc_for("integrated"), model.pymc
    assert {v.name for v in ours.free_RVs} | {"z_g"} == {v.name for v in sampled.free_RVs}
    rng = np.random.default_rng(5)
    density, gradient = ours.compile_logp(mode=interpreted()), ours.compile_dlogp(mode=interpreted())
    response = model.design.response.name
    prior = sampled.compile_logp([v for v in sampled.free_RVs if v.name != "z_g"], mode=interpreted())
    rows = sampled.compile_logp([sampled[response]], sum=False, mode=interpreted())
    shape, codes = sampled["z_g"].shape.eval(), model.design.factors["g"].codes
    z = np.linspace(-9.0, 9.0, 181)
    for _ in range(2):
        point = {v.name: rng.normal(size=v.type.shape) * 0.3 for v in ours.value_vars}

        def dense(at: dict[str, np.ndarray]) -> float:
            each = np.array([rows(at | {"z_g": np.full(shape, v)})[0] for v in z])
            by_group = np.array([np.bincount(codes, row, minlength=8) for row in each])
            total = np.log(np.exp(by_group).T @ stats.norm.pdf(z) * (z[1] - z[0])).sum()
            return float(total + prior(at | {"z_g": np.zeros(shape)}))

        assert density(point) == pytest.approx(dense(point), abs=1e-5)
        slopes, first, h = gradient(point), 0, 1e-4
        for v in ours.value_vars:
            for k in range(point[v.name].size):
                unit = np.zeros(point[v.name].size)
                unit[k] = h
                unit = unit.reshape(point[v.name].shape)
                ends = [dense(point | {v.name: point[v.name] + sign * unit}) for sign in (-1, 1)]
                assert slopes[first] == pytest.approx((ends[1] - ends[0]) / (2 * h), abs=1e-4, rel=1e-5)
                first += 1


CUMULATIVE = [pytest.param(p.values[1], marks=p.marks) for p in PAIRS if p.values[0] == "cumulative"]


@pytest.mark.parametrize("link", CUMULATIVE)
def test_a_category_between_two_equal_thresholds_is_all_but_impossible(link: str) -> None:
    """Steps that are too small for a threshold to rise: a sampler may come there, and must see no high density."""
    rows = case("cumulative", link)
    between = np.bincount(rows.effects.codes, rows.outcome.y == 2, rows.effects.levels) > 0
    assert between.any()
    for low in (-17.4, -1.0, 0.3, 5.0):
        for step in (0.0, 4e-16 * abs(low)):
            aux = {"thresholds": np.array([low, low + step, 6.0])}
            found = rows.likelihood.by_group(*rows.arguments(PHI, 1e-3, aux))[0]
            assert not (found[between] > -30.0).any(), (low, step)
