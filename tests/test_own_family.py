"""A family of the user's own: a `Family` that stands in no list fits, predicts and travels like any other."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmargins as bm
from bayesmargins.family import FAMILIES
from bayesmargins.reserved import PARAMETERS

RNG = np.random.default_rng(1)
ROWS = pd.DataFrame({"y": RNG.normal(size=40), "x": RNG.normal(size=40), "g": [*"abcdefgh"] * 5})


def gumbel(name: str = "own_gumbel") -> bm.Family:
    """By its mean and scale; no quantile, no residual, no rows."""

    def place(p: Any) -> dict[str, Any]:
        return {"loc": p.mu - np.euler_gamma * p.scale, "scale": p.scale}

    return bm.Family(
        name,
        (
            bm.Parameter("mu", ("identity", "log"), noun="expected value"),
            bm.Parameter("scale", prior=lambda o: ("Exponential", {"scale": float(o.y.std())})),
        ),
        bm.Support("finite numbers", lambda o: np.isfinite(o.y)),
        log_density=lambda p, o: stats.gumbel_r.logpdf(o.y, **place(p)),
        simulate=lambda rng, p, o: rng.gumbel(p.mu - np.euler_gamma * p.scale, p.scale),
        above=lambda c, p, o: stats.gumbel_r.sf(c, **place(p)),
        below=lambda c, p, o: stats.gumbel_r.cdf(c, **place(p)),
        variance=lambda p, o: (np.pi**2 / 6 * p.scale**2, 0.0, 0.0),
        pymc=lambda pm, name, p, o: pm.Gumbel(name, p.mu - np.euler_gamma * p.scale, p.scale, observed=o.y, dims="obs"),
    )


@pytest.fixture(autouse=True)
def _as_before() -> Any:
    names, parameters = set(FAMILIES), set(PARAMETERS)
    yield
    for name in set(FAMILIES) - names:
        del FAMILIES[name]
    PARAMETERS.intersection_update(parameters)


def _posterior(family: bm.Family, s: float = 0.5) -> bm.Posterior:
    return bm.from_draws(
        "y ~ x + (1 | g)", ROWS, family=family, beta=np.array([[[0.3, 0.5], [0.1, 0.2]]]),
        Sigma={"g": np.full((1, 2, 1, 1), s**2)}, aux={"scale": np.full((1, 2), 0.8)},
    )  # fmt: skip


def test_margins_over_new_groups_are_those_of_a_simulation() -> None:
    post, row = _posterior(gumbel()), pd.DataFrame({"x": [1.0]})
    rng = np.random.default_rng(4)
    y = rng.gumbel(0.8 + 0.5 * rng.standard_normal(1_000_000) - np.euler_gamma * 0.8, 0.8)

    def first(target: Any) -> float:
        return float(bm.predictions(post, row, target=target)["estimate"][0, 0, 0])

    assert first("mean") == pytest.approx(0.8, rel=1e-12)
    assert first(bm.sd()) == pytest.approx(np.sqrt(0.5**2 + np.pi**2 / 6 * 0.8**2), rel=1e-12)
    assert first(bm.exceeds(2.0)) == pytest.approx(np.mean(y > 2.0), rel=0.01)
    assert np.mean(y <= first(bm.quantile(0.9))) == pytest.approx(0.9, abs=0.002)
    assert "own_gumbel" in str(post)


@pytest.mark.usefixtures("uncompiled")
def test_its_pymc_model_has_its_density_and_its_prior_margins() -> None:
    model = bm.GLMM("y ~ x + (1 | g)", ROWS, family=gumbel())
    assert "scale ~ Exponential" in str(model)
    prior = model.prior(draws=30, random_seed=1)
    assert np.isfinite(bm.avg_comparisons(prior, "x")["estimate"]).all()
    with pytest.raises(bm.FitError, match="may have several peaks"):
        model.pymc_for("integrated")


def test_models_and_posteriors_travel() -> None:
    family = gumbel()
    model, post = bm.GLMM("y ~ x + (1 | g)", ROWS, family=family), _posterior(family)
    for thing in (model, post):
        assert pickle.loads(cloudpickle.dumps(thing)).family is family
    sent = cloudpickle.dumps(model)
    del FAMILIES[family.name]  # as in another process
    assert pickle.loads(sent).family.name == "own_gumbel"
    assert "own_gumbel" in FAMILIES


def test_a_saved_posterior_is_read_where_the_family_is_known(tmp_path: Any) -> None:
    post = _posterior(gumbel())
    post.save(tmp_path / "fit.nc")
    assert bm.load(tmp_path / "fit.nc").family is post.family
    del FAMILIES["own_gumbel"]
    with pytest.raises(bm.PosteriorError, match="family='own_gumbel' is not known"):
        bm.load(tmp_path / "fit.nc")


def test_a_family_that_is_written_again_takes_the_place_of_the_first() -> None:
    bm.GLMM("y ~ x", ROWS, family=gumbel())
    again = gumbel()
    assert bm.GLMM("y ~ x", ROWS, family=again).family is again
    assert FAMILIES["own_gumbel"] is again


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "gamma"}, "has the name of a family of the package"),
        ({"name": "own gumbel"}, "names 'own gumbel'; its first parameter"),
        ({"parameters": ()}, "its first parameter is called 'mu'"),
        ({"parameters": (bm.Parameter("centre"),)}, "its first parameter is called 'mu'"),
        ({"parameters": (bm.Parameter("mu"), bm.Parameter("beta"))}, "names 'beta'"),
        ({"parameters": (bm.Parameter("mu", ("sqroot",)),)}, "links 'sqroot'; allowed are"),
        ({"parameters": ["mu"]}, "a tuple of bm.Parameter"),
        ({"support": None}, "and a bm.Support"),
    ],
)
def test_what_is_no_family_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(bm.ModelError, match=said):
        bm.GLMM("y ~ x", ROWS, family=replace(gumbel(), **change))
