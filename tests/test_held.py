"""Parameters of families that are held at a number: the same model with one dimension less."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from interpreted import interpreted

import bayesmargins as bm


def _rows() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(8), 6)
    eta = 0.3 + 0.5 * rng.normal(size=8)[g]
    return pd.DataFrame({"y": rng.exponential(np.exp(eta)), "x": rng.normal(size=48), "g": [f"u{k}" for k in g]})


@pytest.mark.parametrize(
    ("family", "effects"),
    [
        ("weibull", "sampled"),
        ("gamma", "integrated"),
        pytest.param("weibull", "integrated", marks=pytest.mark.evidence),
    ],
)
def test_a_response_of_shape_1_is_an_exponential_one(family: str, effects: str) -> None:
    held = bm.GLMM("y ~ x + (1 | g)", _rows(), family, priors={"shape": 1.0}).pymc_for(effects)
    plain = bm.GLMM("y ~ x + (1 | g)", _rows(), "exponential").pymc_for(effects)
    assert [v.name for v in held.free_RVs] == [v.name for v in plain.free_RVs]
    point = plain.initial_point(random_seed=3)
    moved = {name: value + 0.1 for name, value in point.items()}
    for at in (point, moved):
        one, other = (model.compile_logp(mode=interpreted())(at) for model in (held, plain))
        assert float(one) == pytest.approx(float(other), rel=1e-8)


def test_what_is_held_is_the_same_in_all_draws_and_said() -> None:
    model = bm.GLMM("y ~ x + (1 | g)", _rows(), "weibull", priors={"shape": 2})
    assert "shape = 2, held" in str(model)
    np.testing.assert_array_equal(model.prior(draws=4, random_seed=1).aux["shape"], np.full((1, 4), 2.0))
    prior = bm.GLMM("y ~ x", _rows(), "asymmetric_laplace").prior(draws=4, random_seed=1)
    np.testing.assert_array_equal(prior.aux["quantile"], np.full((1, 4), 0.5))


def test_a_quantile_may_be_estimated() -> None:
    model = bm.GLMM("y ~ x", _rows(), "asymmetric_laplace", priors={"quantile": pm.Beta.dist(1.0, 1.0)})
    assert len(np.unique(model.prior(draws=9, random_seed=1).aux["quantile"])) == 9


def test_a_parameter_is_held_at_what_it_can_be() -> None:
    with pytest.raises(bm.ModelError, match=r"priors=\{'quantile': 90\} holds quantile .* has to be between 0 and 1"):
        bm.GLMM("y ~ x", _rows(), "asymmetric_laplace", priors={"quantile": 90})
    with pytest.raises(bm.ModelError, match=r"priors=\{'shape': -1\.0\} holds shape .* has to be above 0"):
        bm.GLMM("y ~ x", _rows(), "weibull", priors={"shape": -1.0})
    bm.GLMM("y ~ x", _rows(), "skew_normal", priors={"alpha": -3.0})


@pytest.mark.sampling
def test_a_fit_by_independent_draws_holds_it() -> None:
    model = bm.GLMM("y ~ x + (1 | g)", _rows(), "gamma", priors={"shape": 1.0})
    post = model.fit(draws=200, sampler="independent", random_seed=1, progressbar=False)
    np.testing.assert_array_equal(post.aux["shape"], np.ones(post.aux["shape"].shape))
