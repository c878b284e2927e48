"""The density of the prior by block is PyMC's, and power-scaling tells prior from data."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from arviz_stats import psense_summary
from pytensor.compile.mode import Mode
from scipy import stats

import bayesmargins as bm
from bayesmargins.model.origin import Origin, origin_of

pytestmark = pytest.mark.filterwarnings("ignore::bayesmargins.BayesmarginsWarning")


def _data() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(12), 6)
    x, w = rng.normal(2, 1, 72), rng.normal(size=72)
    y = 1 + 0.5 * x + rng.normal(size=12)[g] + rng.normal(size=72)
    k = pd.qcut(y, 3, labels=False) + 1
    return pd.DataFrame({"y": y, "x": x, "w": w, "g": g, "k": k, "n": rng.poisson(np.exp(0.3 * y))})


MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "defaults": ("y ~ x + w + (1 + x | g)", "gaussian", {}),
    "rotating": ("y ~ x + w + (1 + x + w | g)", "gaussian", {}),
    "ordered": ("k ~ x + (1 | g)", "cumulative", {}),
    "count": ("n ~ x + (1 | g)", "negbinomial", {}),
    "own": (
        "y ~ x + w + (1 | g)",
        "gaussian",
        {"x": pm.StudentT.dist(nu=3, mu=0.2, sigma=1.5), "sd": pm.Exponential.dist(2.0), "sigma": 0.9},
    ),
    "shared": ("y ~ x + w + (1 + x | g)", "gaussian", {"beta": pm.Normal.dist([0.0, 1.0], 2.0), "cor": 4.0}),
}
BLOCKS = {
    "defaults": ["beta", "Intercept", "cor_g", "sd_g", "sigma"],
    "rotating": ["beta", "Intercept", "cor_g", "sd_g", "sigma"],
    "ordered": ["beta", "sd_g", "thresholds"],
    "count": ["beta", "Intercept", "sd_g", "shape"],
    "own": ["x", "beta", "Intercept", "sd_g"],
    "shared": ["beta", "Intercept", "cor_g", "sd_g", "sigma"],
}


@pytest.mark.parametrize("case", MODELS)
def test_the_log_prior_of_every_block_is_that_of_the_model_in_pymc(case: str) -> None:
    formula, family, priors = MODELS[case]
    model = bm.GLMM(formula, _data(), family=family, priors=priors)
    there = model.pymc
    free = {v.name: v for v in there.free_RVs if not v.name.startswith("z_")}
    rng, point = np.random.default_rng(2), there.initial_point()
    points = [{k: v + 0.3 * rng.normal(size=np.shape(v)) for k, v in point.items()} for _ in range(3)]
    values = there.replace_rvs_by_values(list(free.values()))
    density = there.logp(vars=list(free.values()), jacobian=False, sum=False)
    outputs = [*values, *(d.sum() for d in density)]
    of = there.compile_fn(outputs, inputs=there.value_vars, mode=Mode("py", "fast_compile"), on_unused_input="ignore")
    found = [of(p) for p in points]
    n = len(free)
    trace = {
        name: (
            ("chain", "draw", *(f"{name}_{k}" for k in range(np.ndim(found[0][j])))),
            np.stack([f[j] for f in found])[None],
        )
        for j, name in enumerate(free)
    }
    origin = origin_of(model, xr.Dataset(trace))
    assert isinstance(origin, Origin)
    ours = origin.log_prior()
    assert sorted(ours) == sorted(BLOCKS[case])
    for block, stated in origin.blocks.items():
        own = [list(free).index(name) for name, _, _ in stated]
        assert ours[block] == pytest.approx([sum(float(f[n + j]) for j in own) for f in found], rel=1e-9)
    names = {name for stated in origin.blocks.values() for name, _, _ in stated}
    assert names == set(free)
    for group_effects in ["sampled", *(["integrated"] if not origin.not_refitted() else [])]:
        sampled = {v.name for v in model.pymc_for(group_effects).free_RVs}
        assert names == {name for name in sampled if not name.startswith("z_")}


@cache
def _fit(**priors: Any) -> bm.Posterior:
    """With the prior of x as a normal distribution, its mean and standard deviation in `priors`."""
    given = {"x": pm.Normal.dist(*priors["x"])} if priors else None
    model = bm.GLMM("y ~ x + w + (1 | g)", _data(), priors=given)
    return model.fit(draws=500, chains=2, random_seed=1, sampler="independent", progressbar=False)


def test_a_fit_has_the_densities_of_its_priors() -> None:
    post = _fit()
    found, priors = post.log_prior(), post.origin.model.priors
    assert list(found.dims) == ["chain", "draw"]
    scale = priors["sd_g"].parameters["sigma"].item()
    expected = stats.halfnorm.logpdf(np.sqrt(post.Sigma["g"].to_numpy()[..., 0, 0]), scale=scale)
    assert found["sd_g"].to_numpy() == pytest.approx(expected, rel=1e-9)
    expected = stats.expon.logpdf(post.aux["sigma"].to_numpy(), scale=1 / _rate(priors["sigma"]))
    assert found["sigma"].to_numpy() == pytest.approx(expected, rel=1e-9)
    # The mean of the linear predictor over the rows.
    mean = (post.draws.beta @ post.design.rows(_data()).X.T).mean(axis=1)
    expected = stats.norm.logpdf(mean, *priors["Intercept"].parameters.values())
    assert found["Intercept"].to_numpy().ravel() == pytest.approx(expected, rel=1e-9)
    assert "log_prior" in (post.idata.children if isinstance(post.idata, xr.DataTree) else post.idata.groups())


def _rate(prior: Any) -> float:
    return 1.0 / prior.parameters["scale"] if "scale" in prior.parameters else prior.parameters["lam"]


def test_the_table_is_arvizs() -> None:
    post = _fit()
    ds = bm.avg_predictions(post, at={"x": [1.0, 2.0, 3.0]})
    found = bm.sensitivity(ds, post)
    groups = post.log_likelihood_groups
    tree = {"posterior": ds[["estimate"]], "log_prior": post.log_prior(), "log_likelihood": groups.to_dataset(name="y")}
    theirs = psense_summary(xr.DataTree.from_dict(tree))
    assert found["prior"].to_numpy() == pytest.approx(theirs["prior"].to_numpy(), abs=6e-4)
    assert found["likelihood"].to_numpy() == pytest.approx(theirs["likelihood"].to_numpy(), abs=6e-4)
    assert found.index.name == "x"
    assert found.index.tolist() == [1.0, 2.0, 3.0]
    assert set(found["diagnosis"]) == {"-"}
    assert "none of the 3 entries" in found.sentence
    assert found.sentence.split()[0] in repr(found)


def test_a_prior_that_disagrees_is_a_conflict_and_one_that_decides_leaves_the_likelihood_weak() -> None:
    against = _fit(x=(-2.0, 0.3))
    table = bm.sensitivity(bm.avg_slopes(against, "x"), against)
    assert table["diagnosis"].tolist() == ["prior-data conflict"]
    assert "pull in different directions" in table.sentence
    decided = _fit(x=(0.5, 0.005))
    table = bm.sensitivity(bm.avg_slopes(decided, ["x", "w"]), decided)
    assert table.loc[("x", "dY/dx"), "diagnosis"] == "weak likelihood"
    assert table.loc[("w", "dY/dw"), "diagnosis"] == "-"
    alone = bm.sensitivity(bm.avg_slopes(decided, "x"), decided, prior="sigma")
    assert alone["prior"].iloc[0] < 0.05
    assert "the prior of 'sigma'" in alone.sentence


def test_refusals_say_what_is_missing(tmp_path: Any) -> None:
    post = _fit()
    ds = bm.avg_slopes(post, "x")
    with pytest.raises(bm.ResultError, match="The result has 100 labels of 'draw'"):
        bm.sensitivity(ds.isel(draw=slice(0, 100)), post)
    with pytest.raises(bm.PosteriorError, match="prior='nope'; allowed are"):
        bm.sensitivity(ds, post, prior="nope")
    post.save(tmp_path / "fit.nc")
    with pytest.raises(bm.PosteriorError, match="from a file come without their priors"):
        bm.load(tmp_path / "fit.nc").log_prior()
    with pytest.raises(bm.ResultError, match="not finite"):
        bm.sensitivity(ds * np.inf, post)
    constant = bm.sensitivity(ds * 0, post)
    assert constant["diagnosis"].tolist() == ["does not vary"]
