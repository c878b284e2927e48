"""Fits by independent proposals: the same function as the PyMC model, the same posterior as NUTS, or NUTS itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base import array_stats
from interpreted import interpreted

import bayesmargins as bm
from bayesmargins.limits import Options
from bayesmargins.model import fitting, independent_fit
from bayesmargins.model.independent_fit import log_posterior_of
from bayesmargins.model.log_posterior import LogPosterior, log_posterior
from bayesmargins.model.sampling import SAMPLERS

ROOT = Path(__file__).resolve().parents[1]
SLEEP = "Reaction ~ Days + (1 + Days | Subject)"


def _data(seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g = np.concatenate([["a"], rng.choice(list("bcdefgh"), 79)])
    x, b = rng.normal(2, 1, 80), dict(zip("abcdefgh", rng.normal(size=8), strict=True))
    y = 1 + 0.5 * x + pd.Series(g).map(b).to_numpy() * (1 + 0.5 * x) + rng.normal(size=80)
    count, f = rng.poisson(2.0, 80), rng.choice(["u", "v", "w"], 80)
    return pd.DataFrame({"y": y, "x": x, "w": rng.normal(size=80), "g": g, "f": f, "z": np.exp(y), "n": count})


def _own(*names: str) -> Callable[[], dict[str, Any]]:
    """Priors of the user's, made when a test runs."""

    def priors() -> dict[str, Any]:
        import pymc as pm

        every = {
            "beta": lambda: pm.StudentT.dist(4, mu=0, sigma=3),
            "x": lambda: pm.Laplace.dist(0, 1),
            "Intercept": lambda: pm.Cauchy.dist(0, 5),
            "sd": lambda: pm.HalfCauchy.dist(2),
            "sd_g": lambda: pm.Uniform.dist(0, 9),
            "cor": lambda: 4.0,
            "cor_g": lambda: pm.LKJCorr.dist(n=2, eta=3),
            "sigma": lambda: pm.TruncatedNormal.dist(1, 1, lower=0),
        }
        return {name: every[name]() for name in names}

    return priors


def _together() -> dict[str, Any]:
    import pymc as pm

    return {"beta": pm.MvNormal.dist(mu=np.array([0.5, -0.5]), cov=np.array([[1.0, 0.6], [0.6, 2.0]]))}


NONE = _own()
CASES: dict[str, tuple[str, str, Callable[[], Mapping[str, Any]]]] = {
    "an intercept": ("y ~ x + f + (1 | g)", "gaussian", NONE),
    "two terms, offset": ("y ~ x + offset(w) + (1 + x | g)", "gaussian", NONE),
    "three terms": ("y ~ x + (1 + x + w | g)", "gaussian", NONE),
    "no constant": ("y ~ 0 + x + (x || g)", "gaussian", NONE),
    "terms of a factor": ("y ~ x * f + (0 + f | g)", "gaussian", NONE),
    "two terms of counts": ("n ~ x + offset(w) + (1 + x | g)", "poisson", NONE),
    "crossed": ("y ~ x + (1 | f) + (1 + x | g)", "gaussian", NONE),
    "known errors": ("y | se(z) + weights(z) ~ x + (1 + x | g)", "gaussian", NONE),
    "lognormal": ("z ~ x + (1 + x | g)", "lognormal", NONE),
    "all own": ("y ~ w + x + f + (1 + x | g)", "gaussian", _own("beta", "x", "Intercept", "sd", "cor", "sigma")),
    "own of one factor": ("y ~ x + (1 | f) + (1 + x | g)", "gaussian", _own("sd_g", "cor_g")),
    "own, three terms": ("y ~ x + (1 + x + w | g)", "gaussian", _own("sd", "cor")),
    "own column of two": ("y ~ w + x + (1 | g)", "gaussian", _own("x", "sigma")),
    "one prior of two columns": ("y ~ w + x + (1 | g)", "gaussian", _together),
}


def _points(model: Any, u: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Each row of u as values of the model's variables, in their order."""
    shapes = {v.name: np.shape(model.initial_point()[v.name]) for v in model.value_vars}
    ends = np.cumsum([int(np.prod(s)) for s in shapes.values()])[:-1]
    return [{k: p.reshape(s) for (k, s), p in zip(shapes.items(), np.split(row, ends), strict=True)} for row in u]


@pytest.mark.parametrize("case", CASES)
def test_log_posterior_is_that_of_the_pymc_model(case: str) -> None:
    formula, family, priors = CASES[case]
    model = bm.GLMM(formula, _data(), family, priors=priors() or None)
    ours, theirs = log_posterior_of(model), model.pymc_for("integrated")
    assert [v.name for v in ours.variables] == [v.name for v in theirs.free_RVs]
    u = ours.start + np.random.default_rng(5).normal(size=(100, len(ours.start)))
    function = theirs.compile_fn([theirs.logp(), theirs.dlogp()], inputs=theirs.value_vars, mode=interpreted())
    expected, slopes = zip(*(function(point) for point in _points(theirs, u)), strict=True)
    np.testing.assert_allclose(ours.log_density(u), expected, rtol=1e-8)
    value, gradient = ours.value_and_gradient(u)
    np.testing.assert_allclose(value, expected, rtol=1e-8)
    for found, wanted in zip(gradient[:10], slopes[:10], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-9 * np.abs(found).max())


@pytest.mark.parametrize("case", CASES)
def test_parameters_of_a_point_are_those_of_the_pymc_model(case: str) -> None:
    formula, family, priors = CASES[case]
    model = bm.GLMM(formula, _data(), family, priors=priors() or None)
    ours, theirs = log_posterior_of(model), model.pymc_for("integrated")
    u = ours.start + np.random.default_rng(6).normal(size=(3, len(ours.start)))
    named = ours.named(ours.values(u))
    at = theirs.compile_fn(
        theirs.replace_rvs_by_values([theirs[name] for name in named]),
        inputs=theirs.value_vars,
        on_unused_input="ignore",
        mode=interpreted(),
    )
    for k, point in enumerate(_points(theirs, u)):
        for (name, found), expected in zip(named.items(), at(point), strict=True):
            np.testing.assert_allclose(found[k], expected, rtol=1e-9, atol=1e-12, err_msg=name)


class Nothing:
    """The likelihood of no rows."""

    def log_likelihood(self, phi: np.ndarray, roots: Any, aux: Any) -> np.ndarray:
        return np.zeros(len(phi))

    def derivatives(self, phi: np.ndarray, roots: Any, aux: Any) -> tuple[Any, ...]:
        zero = {name: np.zeros_like(value) for name, value in aux.items()}
        return np.zeros(len(phi)), np.zeros_like(phi), [np.zeros_like(root) for root in roots], zero


def _priors_alone(model: bm.GLMM) -> LogPosterior:
    order = list(model.design.factors)
    return log_posterior(
        model.design, model.family, model.priors, model.predictors["mu"].fixed, model.groups, order, Nothing()
    )  # fmt: skip


@pytest.mark.parametrize("family", ["student_t", "negbinomial", "cumulative", "gamma", "beta_binomial"])
@pytest.mark.parametrize("own", [False, True])
def test_priors_of_other_families_are_those_of_the_pymc_model(family: str, own: bool) -> None:
    """Those of the parameters; with ordered thresholds, whose constant the coefficients have."""
    import pymc as pm

    formula, data = "y ~ x + (1 + x | g)", _data()
    data["y"] = data["y"] if family == "student_t" else data["z"] if family == "gamma" else data["n"]
    if family == "cumulative":
        data["y"] = np.minimum(data["n"], 4) + 1
    if family == "beta_binomial":
        formula, data["t"] = "y | trials(t) ~ x + (1 + x | g)", 20
    priors = {"sd": pm.Gamma.dist(2, 1), "thresholds": pm.Normal.dist(0, 2)} if own else None
    if own and family != "cumulative":
        priors = {"sd": pm.Gamma.dist(2, 1)}
    model = bm.GLMM(formula, data, family, priors=priors)
    ours, theirs = _priors_alone(model), model.pymc
    variables = [v for v in theirs.free_RVs if v.name != "z_g"]
    last = [v for v in variables if v.name in (*model.family.aux, "thresholds_centred")]  # before the effects there
    variables = [v for v in variables if v not in last] + last
    assert [v.name for v in ours.variables] == [v.name for v in variables]
    u = ours.start + np.random.default_rng(5).normal(size=(20, len(ours.start)))
    values = [theirs.rvs_to_values[v] for v in variables]
    graphs = [theirs.logp(variables), *theirs.replace_rvs_by_values([theirs["beta"], theirs["sd_g"]])]
    at = theirs.compile_fn(graphs, inputs=values, on_unused_input="ignore", mode=interpreted())
    start = theirs.initial_point()
    shapes = [np.shape(start[v.name]) for v in values]
    ends = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]
    named, density = ours.named(ours.values(u)), ours.log_density(u)
    expected = np.zeros(len(u))
    for k, row in enumerate(u):
        point = {v.name: p.reshape(s) for v, p, s in zip(values, np.split(row, ends), shapes, strict=True)}
        expected[k], beta, sd = at(point)
        np.testing.assert_allclose(named["beta"][k], beta, rtol=1e-9)
        np.testing.assert_allclose(named["sd_g"][k], sd, rtol=1e-9)
    # PyTensor keeps a scale of 2.5 in single precision, which holds it, and takes its logarithm and square so.
    np.testing.assert_allclose(density, expected, rtol=1e-7, atol=5e-7)
    _, gradient = ours.value_and_gradient(u)
    h = 1e-5 * np.eye(u.shape[1])
    differences = [(ours.log_density(u + e) - ours.log_density(u - e)) / 2e-5 for e in h]
    np.testing.assert_allclose(gradient, np.stack(differences, axis=1), rtol=1e-5, atol=1e-6)


def test_impossible_points_have_density_zero() -> None:
    target = log_posterior_of(bm.GLMM(SLEEP, bm.load_dataset("sleepstudy")))
    far = target.start + 1e3 * np.array([[1.0], [-1.0]]) * np.eye(len(target.start))[-1]
    assert (target.log_density(far) < -1e10).all()
    assert (target.log_density(np.full((1, len(target.start)), 800.0)) == -np.inf).all()


def _fit(**options: Any) -> bm.Posterior:
    return bm.GLMM(SLEEP, bm.load_dataset("sleepstudy")).fit(random_seed=1, sampler="independent", **options)


def test_posterior_is_like_that_of_any_other_fit() -> None:
    post = _fit()
    idata = post.idata
    assert set(idata.posterior.data_vars) == {"beta", "sd_Subject", "cor_Subject", "sigma", "b_Subject"}
    assert dict(idata.posterior["b_Subject"].sizes) == {"chain": 4, "draw": 1000, "Subject": 18, "Subject_term": 2}
    assert set(idata.sample_stats.data_vars) == {"acceptance_rate", "accepted", "lp"}
    assert post.info["sampler"] == "independent"
    assert post.info["group_effects"] == "integrated"
    assert post.info["khat"] < 0.7
    assert 0.1 < post.info["acceptance"] == pytest.approx(float(idata.sample_stats["acceptance_rate"].mean()), abs=1e-4)
    assert post.info["max_rhat"] < 1.01
    assert post.info["min_ess"] > 400
    table = bm.summary(bm.avg_slopes(post, "Days"))
    assert table["median"].item() == pytest.approx(10.47, abs=0.5)  # lme4's estimate is 10.467


def test_same_seed_same_draws_whatever_the_threads() -> None:
    one, again = _fit(), _fit()
    with bm.options(threads=1):
        single = _fit()
    with bm.options(threads=2):
        double = _fit()
    for name in one.parameters.data_vars:
        for same in (again, single, double):
            np.testing.assert_array_equal(one.parameters[name], same.parameters[name])


def test_pymc_is_not_imported_for_the_package_s_own_priors() -> None:
    code = (
        "import sys, bayesmargins as bm\n"
        f"post = bm.GLMM({SLEEP!r}, bm.load_dataset('sleepstudy')).fit(random_seed=1, sampler='independent')\n"
        "bm.summary(bm.avg_slopes(post, 'Days'))\n"
        "print(*[m for m in ('pymc', 'pytensor', 'nutpie', 'arviz', 'arviz_plots') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


class Ran(Exception):
    """In place of NUTS: what it was called with."""


@pytest.fixture
def nuts(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(model: Any, sampler: str, *arguments: Any, **options: Any) -> None:
        raise Ran(model, sampler, arguments, options)

    monkeypatch.setattr(fitting, "run_sampler", run)


@pytest.mark.usefixtures("nuts")
def test_nuts_runs_from_what_was_learnt_where_checks_fail(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Ran) as caught:
        _fit(draws=300, ess=5000, max_draws=400, progressbar=False)
    model, sampler, arguments, options = caught.value.args
    assert sampler == "nutpie"
    assert arguments == (300, 1000, 4, 1, False)
    start = dict(zip([v.name for v in model.free_RVs], options["init_mean"], strict=False))
    assert 5 < np.abs(options["init_mean"][0]) < 60  # 10.47 times the standard deviation of the days
    assert start["Intercept_centred"] == pytest.approx(298.5, abs=20)  # the mean reaction time
    said = capsys.readouterr().err
    assert said.startswith("sampler='independent' is not used, NUTS is: the effective sample size is ")
    assert said.count("\n") == 1


@pytest.mark.usefixtures("nuts")
def test_nuts_runs_where_b_is_sampled_and_the_reason_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    model = bm.GLMM("n ~ x + (1 + x + w | g)", _data(), "poisson")
    with pytest.raises(Ran) as caught:
        model.fit(sampler="independent")
    assert caught.value.args[1] == "nutpie"
    assert "init_mean" not in caught.value.args[3]
    assert (
        "group effects are sampled, 3 effects of each group take an integral in as many dimensions"
        in capsys.readouterr().err
    )
    for asked in ("integrated", "sampled"):
        with pytest.raises(bm.FitError, match=r"without group effects|not possible"):
            model.fit(sampler="independent", group_effects=asked)


@pytest.mark.usefixtures("nuts")
def test_nuts_runs_where_there_are_no_group_effects(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Ran):
        bm.GLMM("n ~ x", _data(), "poisson").fit(sampler="independent")
    assert capsys.readouterr().err == (
        "sampler='independent' is not used, NUTS is: the model has no group effects, and independent proposals are for "
        "models that have some.\n"
    )


@pytest.mark.usefixtures("nuts")
def test_session_may_name_the_sampler() -> None:
    model = bm.GLMM(SLEEP, bm.load_dataset("sleepstudy"))
    with pytest.raises(Ran) as caught:
        model.fit()
    assert caught.value.args[1] == "nutpie"
    with bm.options(sampler="independent"):
        assert model.fit(draws=250, random_seed=1).info["sampler"] == "independent"
        with pytest.raises(Ran) as caught:
            model.fit(sampler="pymc")
        assert caught.value.args[1] == "pymc"
    with pytest.raises(bm.EstimandError, match="Did you mean 'independent'"):
        bm.options(sampler="independant")
    names = {"independent", *SAMPLERS}
    for name in names:
        with bm.options(sampler=name) as inside:
            assert isinstance(inside, Options)


@pytest.mark.usefixtures("nuts")
@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"group_effects": "sampled"}, "or use sampler='nutpie'."),
        ({"target_accept": 0.95}, "leave them out."),
        ({"parametrisation": "non-centred"}, "or add group_effects='sampled', sampler='nutpie'."),
    ],
)
def test_a_sampler_that_the_session_names_is_told_in_refusals(options: dict[str, Any], advice: str) -> None:
    model = bm.GLMM(SLEEP, bm.load_dataset("sleepstudy"))
    whose = "(sampler='independent' comes from bayesmargins.options.sampler; sampler='nutpie' here overrides it.)"
    with bm.options(sampler="independent"), pytest.raises(bm.FitError) as refused:
        model.fit(**options)
    assert str(refused.value).endswith(f"{advice} {whose}")
    with pytest.raises(bm.FitError) as refused:
        model.fit(sampler="independent", **options)
    assert str(refused.value).endswith(advice)
    with pytest.raises(Ran):  # as advised
        model.fit(sampler="nutpie", **{"group_effects": "sampled"} | options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_accept": 0.9}, "no options of its own, got {'target_accept': 0.9}"),
        ({"parametrisation": "non-centred"}, "is about group effects that are sampled"),
        ({"ess": 0}, "ess=0; it must be a whole number from 1"),
        ({"max_draws": "many"}, "max_draws='many'"),
        ({"draws": 0}, "draws=0"),
        ({"chains": 1.5}, "chains=1.5"),
    ],
)
def test_what_it_does_not_take_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(bm.FitError, match=message):
        _fit(**options)


def test_a_seed_that_nobody_gave_is_told() -> None:
    model = bm.GLMM(SLEEP, bm.load_dataset("sleepstudy"))
    first = model.fit(sampler="independent", progressbar=False)
    again = model.fit(sampler="independent", progressbar=False, random_seed=first.info["random_seed"])
    np.testing.assert_array_equal(first.beta, again.beta)
    assert first.info["ess"] == 400


def test_stopped_fit_keeps_whole_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    def tick(progress: Any, points: int) -> None:
        progress.done += points
        if progress.done > 6000:
            raise KeyboardInterrupt

    monkeypatch.setattr(independent_fit.Progress, "tick", tick)
    with pytest.warns(bm.BayesmarginsWarning, match=r"Stopped: [\d,]+ of 2,000 draws a chain are kept"):
        post = _fit(draws=2000)
    assert 250 <= post.parameters.sizes["draw"] < 2000
    assert post.idata.posterior["b_Subject"].notnull().all()


@pytest.mark.sampling
@pytest.mark.evidence
def test_posterior_is_that_of_nuts() -> None:
    """Means, standard deviations and limits of parameters and group effects, within Monte Carlo error."""
    model = bm.GLMM(SLEEP, bm.load_dataset("sleepstudy"))
    fits = [
        model.fit(2000, random_seed=1, sampler="independent"),
        model.fit(2000, 1000, random_seed=1, progressbar=False, target_accept=0.95),
    ]
    assert [fit.info["sampler"] for fit in fits] == ["independent", "nutpie"]
    apart = np.array([_apart(*(fit.parameters[name] for fit in fits)) for name in fits[0].parameters.data_vars]).max()
    assert apart < 4.0


def _apart(one: Any, other: Any) -> float:
    """The largest distance in Monte Carlo errors."""

    def entries(values: Any) -> np.ndarray:
        return np.moveaxis(values.to_numpy().reshape(*values.shape[:2], -1), -1, 0)

    worst = 0.0
    for ours, theirs in zip(entries(one), entries(other), strict=True):
        for kind in ("mean", "sd", 0.05, 0.95):
            found, expected = (_estimate(draws, kind) for draws in (ours, theirs))
            worst = max(worst, abs(found[0] - expected[0]) / np.hypot(found[1], expected[1]))
    return worst


def _estimate(draws: np.ndarray, kind: Any) -> tuple[float, float]:
    """With its Monte Carlo error."""
    if kind == "mean":
        return float(draws.mean()), float(array_stats.mcse(draws, method="mean"))
    if kind == "sd":
        return float(draws.std()), float(array_stats.mcse(draws, method="sd"))
    return float(np.quantile(draws, kind)), float(array_stats.mcse(draws, method="quantile", prob=kind))
