"""Models whose group effects are sampled: fewer rows, other coordinates, the posterior of the model as written."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from interpreted import interpreted
from scipy import stats
from test_families import CASES

import bayesmargins as bm
from bayesmargins.family import FAMILIES, Outcome, Values, values_at
from bayesmargins.model.build import tensor_means
from bayesmargins.model.merging import MOST, merged
from bayesmargins.model.sampled import parametrised, sampled_model
from bayesmargins.model.sampling import run_sampler

THRESHOLDS = np.array([-1.0, 0.3, 1.2])
AUX: dict[str, dict[str, Any]] = {name: case.aux for name, case in CASES.items()} | {
    name: {"thresholds": THRESHOLDS} for name, family in FAMILIES.items() if family.ordinal
}
TRIALS = {name: case.trials for name, case in CASES.items()}
# Families of one linear predictor; those of several have tests of their own.
ALONE = sorted(name for name, family in FAMILIES.items() if family.shares is None)


@cache
def _rows(name: str, rows: int = 720) -> pd.DataFrame:
    """Few values of everything, so that rows are alike; y of the family, its continuous values rounded."""
    family, rng = FAMILIES[name], np.random.default_rng(3)
    link = bm.family.LINKS[family.links[0]]
    data = pd.DataFrame(
        {"x": rng.integers(0, 3, rows), "f": rng.choice(list("ab"), rows), "g": rng.integers(0, 6, rows)}
    )
    data["h"], data["w"] = rng.integers(0, 3, rows), np.log(rng.integers(1, 3, rows))
    data["n"] = 1 + rng.integers(0, 4, rows)
    o = Outcome(trials=data.n.to_numpy(dtype=float) if TRIALS.get(name) else None)
    p = values_at(link, 0.3 * data.x.to_numpy() - 0.2, AUX[name])
    y = np.asarray(family.simulate(rng, p, o), dtype=float)
    data["y"] = (
        y if family.discrete else np.round(y, 1).clip(0.1, 0.9) if name == "beta" else np.round(2 * y) / 2 + 0.25
    )
    return data


def _model(name: str, formula: str) -> bm.GLMM:
    left = "y | trials(n)" if TRIALS.get(name) else "y"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)
        return bm.GLMM(f"{left} ~ {formula}", _rows(name), name)


def _point(pymc: Any, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    start = pymc.initial_point()
    return {name: value + 0.3 * rng.normal(size=np.shape(value)) for name, value in start.items()}


# Successes, counts and waiting times that add up, rows that count several times, thresholds. All merged outcomes, and
# all weights in PyMC, have tests of their own below.
IN_ONE_PASS = {name for name, family in FAMILIES.items() if family.rows}
ADDED = ["bernoulli", "binomial", "poisson", "exponential", "gaussian", "negbinomial", "cumulative"]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in ADDED else pytest.mark.evidence) for n in sorted(FAMILIES)]
)
def test_rows_alike_as_one_row_have_the_same_density_and_slopes(name: str) -> None:
    """The constant included, so that log p stays that of the data: as a graph of PyTensor, and in one compiled pass."""
    model = _model(name, "x + offset(w) + (1 + x | h)")
    how = parametrised("non-centred", model.design.formula, model.groups)
    known = list(model.predictors.values()), model.family, model.priors, model.groups, model.outcome, how
    ways = [sampled_model(*known, compiled) for compiled in (False, True)[: 1 + (name in IN_ONE_PASS)]]
    assert {way.rows <= MOST * len(model.design.data) for way in ways} == {True}
    whole, fewer = model.pymc, [way.pymc for way in ways]
    assert {tuple(v.name for v in pymc.free_RVs) for pymc in fewer} == {tuple(v.name for v in whole.free_RVs)}
    of_whole, *of_fewer = (
        pymc.compile_fn([pymc.logp(), pymc.dlogp()], inputs=pymc.value_vars, mode=interpreted())
        for pymc in (whole, *fewer)
    )
    for seed in range(3):
        wanted = of_whole(_point(whole, seed))
        for density in of_fewer:
            found = density(_point(whole, seed))
            assert found[0] == pytest.approx(wanted[0], rel=1e-10)
            np.testing.assert_allclose(found[1], wanted[1], rtol=1e-7, atol=1e-7)


def test_waiting_times_known_to_be_exceeded_are_in_the_one_pass() -> None:
    """Against PyMC's own density; a linear predictor that is no number has no density."""
    data = _rows("weibull").assign(c=lambda d: d.x % 2, u=np.random.default_rng(2).normal(size=720))
    model = bm.GLMM("y | cens(c) ~ u + (1 | g)", data, "weibull")
    one, graph = model.pymc_for("sampled", "non-centred"), model.pymc
    assert not one.observed_RVs
    found, wanted = (
        pymc.compile_fn([pymc.logp(), pymc.dlogp()], inputs=pymc.value_vars, mode=interpreted())
        for pymc in (one, graph)
    )
    point = _point(graph, 1)
    for ours, theirs in zip(found(point), wanted(point), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    assert not np.isfinite(found(point | {"z_g": np.full_like(point["z_g"], np.inf)})[0])


@pytest.mark.parametrize("name", ALONE)
def test_weights_multiply_the_log_density(name: str) -> None:
    import pymc as pm
    import pytensor.tensor as pt

    family, data = FAMILIES[name], _rows(name)
    link, eta = bm.family.LINKS[family.links[0]], 0.3 * data.x.to_numpy() - 0.2
    o = Outcome(data.y.to_numpy(), data.n.to_numpy(dtype=float) if TRIALS.get(name) else None)
    weights = np.random.default_rng(1).uniform(0.5, 3.0, len(data))
    aux = {k: pt.as_tensor(np.asarray(v, dtype=float)) for k, v in AUX[name].items()}
    with pm.Model(coords={"obs": np.arange(len(data))}) as model:
        tensor = pt.as_tensor(eta)
        p = Values(**tensor_means(link, tensor), eta=tensor, link=link, **aux)
        family.pymc(pm, "y", p, replace(o, weights=weights))
    wanted = weights * family.log_density(values_at(link, eta, AUX[name]), o)
    np.testing.assert_allclose(model.logp(sum=False)[0].eval(mode=interpreted()), wanted, rtol=1e-9, atol=1e-10)
    if name != "beta_binomial":  # numba has no draws of it
        drawn = pm.draw(model["y"], random_seed=1) + family.ordinal
        assert family.support is not None
        assert family.support.holds(replace(o, y=drawn.astype(float))).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ALONE)
def test_merged_outcome_has_the_log_density_of_the_rows(name: str, weighted: bool) -> None:
    """By SciPy's densities: at parameters that are the same in the rows of a cell, its sum and the constant."""
    family, data = FAMILIES[name], _rows(name)
    link = bm.family.LINKS[family.links[0]]
    weights = np.random.default_rng(1).integers(1, 4, len(data)).astype(float) if weighted else None
    o = Outcome(data.y.to_numpy(), data.n.to_numpy(dtype=float) if TRIALS.get(name) else None, weights)
    x, codes = data.x.to_numpy(dtype=float), data.g.to_numpy()
    found = merged([x], [codes], o, family)
    assert found is not None
    np.testing.assert_array_equal(x[found.kept][found.cell], x)
    np.testing.assert_array_equal(codes[found.kept][found.cell], codes)
    for size in (0.3, -0.7):
        eta = size * x + 0.1 * codes
        each = family.log_density(values_at(link, eta, AUX[name]), o)
        wanted = (each if weights is None else weights * each).sum()
        rate = 0.0 if found.rate is None else np.log(found.rate)
        one = found.family.log_density(values_at(link, eta[found.kept] + rate, AUX[name]), found.outcome)
        counted = one if found.outcome.weights is None else found.outcome.weights * one
        assert counted.sum() + found.constant == pytest.approx(wanted, rel=1e-12)


def test_merging_stops_where_most_rows_differ() -> None:
    y = np.zeros(100)
    one = np.minimum(np.arange(100), 79).astype(float)
    assert merged([one], [np.zeros(100, dtype=int)], Outcome(y), FAMILIES["poisson"]) is not None
    assert (
        merged([np.minimum(np.arange(100.0), 80.0)], [np.zeros(100, dtype=int)], Outcome(y), FAMILIES["poisson"])
        is None
    )
    assert merged([one], [np.arange(100) % 2], Outcome(y), FAMILIES["gaussian"]) is None


FORMULAS = [
    ("bernoulli", "x + (1 | g)"),
    ("gaussian", "x + (1 + x | g)"),
    ("negbinomial", "x + offset(w) + (1 + x + w | g)"),
    ("poisson", "x + (x || g)"),
    ("cumulative", "x + f + (1 + f | g)"),
    ("binomial", "x + (1 + x | g) + (1 | h)"),
    ("gamma", "x + (1 | h/g)"),
    ("bernoulli", "x + (1 + x | h) + (1 | g) + (1 | f)"),
]


def _effects(pymc: Any) -> Any:
    """A function of a point: all group effects, one after the other."""
    names = sorted(name for name in pymc.named_vars if name.startswith("b_"))
    values = pymc.replace_rvs_by_values([pymc[name] for name in names])
    function = pymc.compile_fn(values, inputs=pymc.value_vars, on_unused_input="ignore", mode=interpreted())
    return lambda point: np.concatenate([np.ravel(b) for b in function(point)])


def _affine(effects: Any, point: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """b = a + A z at fixed values of all else."""
    names = [name for name in point if name.startswith("z_")]
    sizes = [point[name].size for name in names]

    def at(z: np.ndarray) -> np.ndarray:
        pieces = np.split(z, np.cumsum(sizes)[:-1])
        return effects(point | {n: piece.reshape(point[n].shape) for n, piece in zip(names, pieces, strict=True)})

    zero = at(np.zeros(sum(sizes)))
    return zero, np.stack([at(unit) - zero for unit in np.eye(sum(sizes))], axis=1)


@pytest.mark.parametrize(("name", "formula"), FORMULAS)
def test_standardised_effects_differ_by_a_change_of_variables(name: str, formula: str) -> None:
    """Same point of the parameters and of b: the densities differ by the Jacobian, differenced here."""
    model = _model(name, formula)
    ours, plain = model.pymc_for("sampled", "standardised"), model.pymc_for("sampled", "non-centred")
    assert {v.name for v in ours.free_RVs} == {v.name for v in plain.free_RVs}
    effects = _effects(ours), _effects(plain)
    densities = tuple(pymc.compile_logp(mode=interpreted()) for pymc in (ours, plain))
    for seed in range(2):
        point = _point(ours, seed)
        (_, A), (zero, B) = (_affine(function, point) for function in effects)
        z = np.linalg.solve(B, effects[0](point) - zero)
        ends = np.cumsum([point[n].size for n in point if n.startswith("z_")])
        pieces = iter(np.split(z, ends[:-1]))
        same = {n: next(pieces).reshape(v.shape) if n.startswith("z_") else v for n, v in point.items()}
        jacobian = np.linalg.slogdet(A)[1] - np.linalg.slogdet(B)[1]
        assert densities[0](point) == pytest.approx(densities[1](same) + jacobian, rel=1e-9)


@pytest.mark.parametrize("formula", ["x + (1 | g)", "x * f + offset(w) + (1 + x | g)", "x + (1 + x + w | g)"])
def test_standardised_effects_of_normal_responses_are_standard_normal(formula: str) -> None:
    """Where sigma is the pilot's, whatever beta and Sigma are: the slope of log p in z is -z."""
    model = _model("gaussian", formula)
    pymc = model.pymc_for("sampled", "standardised")
    slope = pymc.compile_dlogp([pymc["z_g"]], mode=interpreted())
    point = _point(pymc, 1)
    sigma = _sigma_of_pilot(model)
    for scale in (0.1, 1.0, 3.0):
        other = _point(pymc, int(10 * scale)) | {"sigma_log__": np.log(sigma), "z_g": scale * point["z_g"]}
        np.testing.assert_allclose(slope(other), -other["z_g"].ravel(), rtol=1e-4, atol=1e-4)


def _sigma_of_pilot(model: bm.GLMM) -> float:
    """Known from what the model is made of."""
    from bayesmargins.model.pilot import pilot

    rows = model.design.rows(model.design.data, ("g",))
    found = merged(
        [*rows.X.T, *rows.Z["g"].T, rows.offset], [model.design.factors["g"].codes], model.outcome, model.family
    )
    kept = slice(None) if found is None else found.kept
    part = model.groups["g"]
    part = replace(part, W=part.W[kept], factor=replace(part.factor, codes=part.factor.codes[kept]))
    outcome = model.outcome if found is None else found.outcome
    F = model.predictors["mu"].fixed.columns[kept]
    return float(
        pilot(model.family, model.link, outcome, rows.offset[kept], F, [part], model.predictors["mu"].scales).aux[
            "sigma"
        ]
    )


def test_crossed_effects_of_normal_responses_are_nearly_standard_normal() -> None:
    """At the parameters of the data the directions of the posterior are of one length, the intercept's included.

    log p is quadratic there, so that differences of its slopes are its second derivatives."""
    rng = np.random.default_rng(7)
    data = pd.DataFrame({"g": rng.integers(0, 20, 600), "h": rng.integers(0, 7, 600)})
    data["y"] = rng.normal(size=20)[data.g] + 0.7 * rng.normal(size=7)[data.h] + rng.normal(size=600)
    model, found = bm.GLMM("y ~ 1 + (1 | g) + (1 | h)", data), {}
    sizes = {"z_g": (20, 1), "z_h": (7, 1), "Intercept_centred": ()}
    for how in ("standardised", "non-centred"):
        pymc = model.pymc_for("sampled", how)
        slope, start = pymc.compile_dlogp([pymc[n] for n in sizes], mode=interpreted()), pymc.initial_point()
        start |= {"sigma_log__": 0.0, "sd_g_log__": np.zeros(1), "sd_h_log__": np.log([0.7])}
        H = []
        for unit in [*np.eye(28), np.zeros(28)]:
            pieces = np.split(unit, [20, 27])
            H.append(slope(start | {n: v.reshape(sizes[n]) for n, v in zip(sizes, pieces, strict=True)}))
        H = np.array(H[:-1]) - H[-1]
        scale = np.sqrt(-np.diag(H))
        found[how] = np.linalg.cond(H / np.outer(scale, scale))
    assert found["standardised"] < 2.0 < 20.0 < found["non-centred"]


def test_what_is_sampled_is_said() -> None:
    model = _model("poisson", "x + (1 | g) + (1 | h)")
    assert "the sampler sees them standardised: by what a pilot fit expects" in str(model)
    many = bm.GLMM("k ~ x + (1 + x + w + f + x:w | g)", _rows("poisson").rename(columns={"y": "k"}), "poisson")
    assert "non-centred: 'g' has more than 4 terms" in str(many)
    with pytest.raises(bm.FitError, match=r"parametrisation='standardised' is not possible.*more than 4 terms"):
        many.pymc_for("sampled", "standardised")
    with pytest.raises(bm.FitError, match=r"parametrisation='centred' is not known.*Did you mean 'non-centred'"):
        model.pymc_for("sampled", "centred")
    with pytest.raises(bm.FitError, match=r"is about group effects that are sampled.*group_effects='sampled'"):
        _model("gaussian", "x + (1 | g)").pymc_for(parametrisation="non-centred")


def test_a_response_of_one_value_has_a_model_with_a_finite_density() -> None:
    """Its mode is at infinity, and the pilot fit goes towards it."""
    data = pd.DataFrame({"y": np.zeros(12), "g": np.arange(12) % 3})
    pymc = bm.GLMM("y ~ 1 + (1 | g)", data, "poisson").pymc_for("sampled")
    assert np.isfinite(pymc.compile_logp(mode=interpreted())(pymc.initial_point()))


@pytest.mark.sampling
def test_a_fit_says_how_it_sampled_and_has_the_log_likelihood_of_all_rows() -> None:
    model = _model("poisson", "x + (1 | g) + (1 | h)")
    short = {"draws": 10, "tune": 10, "chains": 2, "progressbar": False, "ess": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)
        post = model.fit(parametrisation="non-centred", random_seed=4, **short)
    assert post.info["parametrisation"] == "non-centred"
    assert post.info["rows_sampled"] < len(model.design.data)
    assert post.log_likelihood()["y"].shape == (2, 10, 720)


@pytest.mark.evidence  # the densities are held against each other above
@pytest.mark.sampling
def test_both_parametrisations_have_one_posterior() -> None:
    from arviz_stats.base import array_stats

    model = _model("poisson", "x + (1 | g) + (1 | h)")
    fits = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)
        for how in ("standardised", "non-centred"):
            fits[how] = model.fit(parametrisation=how, random_seed=4, progressbar=False, ess=None)
    means, errors = [], []
    for how, post in fits.items():
        assert post.info["parametrisation"] == how
        draws = np.concatenate([v.to_numpy().reshape(4, 1000, -1) for v in post.parameters.data_vars.values()], axis=-1)
        ess = array_stats.ess(draws, chain_axis=0, draw_axis=1, method="mean")
        means.append(draws.mean(axis=(0, 1)))
        errors.append(draws.std(axis=(0, 1)) / np.sqrt(ess))
    apart = np.abs(means[0] - means[1]) / np.hypot(*errors)
    assert np.nanmax(apart) < stats.norm.isf(1e-4 / 2 / len(apart))


@pytest.mark.sampling
def test_names_with_a_comma_are_sampled() -> None:
    """Columns and levels are the user's: "yes, often", s(x, by=z). nutpie would read two dimensions."""
    import pymc as pm

    with pm.Model(coords={"a, b": ["one", "two"]}) as model:
        pm.Normal("without, dims", shape=3)
        pm.Normal("with dims", dims=("a, b",))
        pm.Normal("plain")
    posterior, _ = run_sampler(model, "nutpie", 10, 20, 1, 1, False)
    shapes = {name: posterior[name].shape for name in ("without, dims", "with dims", "plain")}
    assert shapes == {"without, dims": (1, 10, 3), "with dims": (1, 10, 2), "plain": (1, 10)}
