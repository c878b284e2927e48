"""How long a fit goes on, and what is compiled for it."""

from __future__ import annotations

import ctypes
import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from interpreted import interpreted

import bayesmargins as bm
from bayesmargins.model.compiling import compiled
from bayesmargins.model.enough import goal

SMALL = 1000  # bytes a draw of all chains


def _found(ess: float, rhat: float = 1.0) -> dict[str, Any]:
    return {"min_ess": ess, "max_rhat": rhat, "least": "sigma", "worst": "sigma"}


@pytest.mark.parametrize(
    ("ess", "rhat", "draws", "then"),
    [
        (400.0, 1.01, 1000, 1000),
        (4000.0, 1.0, 1000, 1000),
        (399.0, 1.0, 1000, 2000),
        (130.0, 1.0, 1000, 4000),
        (57.0, 1.0, 1000, 5000),
        (2000.0, 1.011, 1000, 2000),
        (300.0, 1.0, 4000, 5000),
        (300.0, 1.3, 5000, 5000),
    ],
)
def test_chains_go_on_to_a_multiple_of_draws_that_the_sample_size_asks_for(
    ess: float, rhat: float, draws: int, then: int
) -> None:
    assert goal(400, 1000, None).next(_found(ess, rhat), draws, SMALL) == then


def test_no_fit_goes_on_that_is_not_judged_or_may_not() -> None:
    assert goal(None, 1000, None).next(_found(3.0), 1000, SMALL) == 1000
    assert goal(400, 1000, None).next({"divergences": 0}, 1000, SMALL) == 1000
    assert goal(400, 1000, 1000).next(_found(3.0), 1000, SMALL) == 1000
    assert goal(400, 1000, 30_000).next(_found(3.0), 1000, SMALL) == 30_000
    with bm.options(memory="3GB"):
        assert goal(400, 1000, None).next(_found(3.0), 1000, 1_000_000) == 3000
        assert goal(400, 1000, None).next(_found(3.0), 1000, 10_000_000) == 1000


def test_impossible_goals_are_refused_before_anything_is_compiled() -> None:
    model = bm.GLMM("y ~ x + (1 | g)", _data())
    for options, said in [
        ({"ess": 0}, "ess=0; it must be a whole number from 1, or None for exactly `draws`"),
        ({"ess": "many"}, "ess='many'"),
        ({"max_draws": 999}, "max_draws=999 is below draws=1000"),
        ({"max_draws": 2.5}, "max_draws=2.5"),
    ]:
        with pytest.raises(bm.FitError, match=said):
            model.fit(**options)
    assert "pymc" not in vars(model)


def _data() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    g = rng.integers(0, 12, 150)
    x, b = rng.normal(size=150), rng.normal(size=12)
    return pd.DataFrame({"y": 1 + x + b[g] + rng.normal(size=150), "x": x, "g": [f"g{k}" for k in g]})


@pytest.mark.sampling
def test_a_longer_fit_is_the_shorter_one_continued(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it prints on the way: how far it goes, and after a long wait which call is a faster one."""
    monkeypatch.setattr("bayesmargins.model.fitting._LONG", 0.0)
    model = bm.GLMM("y ~ x + (1 | g)", _data())

    def fit(draws: int, **more: Any) -> bm.Posterior:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bm.BayesmarginsWarning)
            return model.fit(draws, 500, **{"random_seed": 1, "progressbar": False, **more})

    short, on, enough, exactly = fit(40, ess=None), fit(40, progressbar=True), fit(1000), fit(1000, ess=None)
    err = capfd.readouterr().err
    said = re.search(r"Effective sample size \d+ of 400 \(.*\): going on to (\d+) draws a chain\.", err)
    assert said is not None
    assert err.count("sampler='independent' draws from the same posterior") == 1
    assert int(said[1]) <= on.beta.sizes["draw"]
    assert short.beta.sizes["draw"] == 40
    assert on.beta.sizes["draw"] in (80, 120, 160, 200)
    np.testing.assert_array_equal(on.beta[:, :40], short.beta)
    assert on.info["min_ess"] > short.info["min_ess"]
    assert enough.info["min_ess"] >= 400
    for name, draws in exactly.parameters.data_vars.items():
        np.testing.assert_array_equal(enough.parameters[name], draws)
    assert (short.info.get("ess"), on.info["ess"]) == (None, 400)


def test_what_nutpie_calls_is_the_density_of_the_model_with_its_gradient() -> None:
    from nutpie import compile_pymc

    model = bm.GLMM("y ~ x + (1 | g)", _data()).pymc
    ours = compiled(model)
    assert compiled(model) is ours
    assert compile_pymc._make_c_logp_func.__module__ == "nutpie.compile_pymc"
    assert compile_pymc._make_c_expand_func.__module__ == "nutpie.compile_pymc"
    point = {name: np.linspace(-0.5, 0.5, v.size).reshape(v.shape) for name, v in model.initial_point().items()}
    x = np.concatenate([point[v.name].ravel() for v in model.value_vars])
    n = len(x)
    assert n == ours.n_dim
    numbers = ctypes.POINTER(ctypes.c_double)

    def call(function: Any, x: np.ndarray, *sizes: int, out: int) -> tuple[int, np.ndarray, np.ndarray]:
        gradient, value = np.zeros(out), np.zeros(1)
        arrays = [a.ctypes.data_as(numbers) for a in ((x, gradient, value) if len(sizes) == 1 else (x, gradient))]
        return function.ctypes(*sizes, *arrays, None), gradient, value

    code, gradient, value = call(ours.compiled_logp_func, x, n, out=n)
    assert code == 0
    assert value[0] == pytest.approx(float(model.compile_logp(mode=interpreted())(point)), rel=1e-10)
    np.testing.assert_allclose(gradient, model.compile_dlogp(mode=interpreted())(point), rtol=1e-8)
    assert call(ours.compiled_logp_func, x, n + 1, out=n)[0] == -1
    assert call(ours.compiled_logp_func, x * np.nan, n, out=n)[0] > 0

    code, kept, _ = call(ours.compiled_expand_func, x, n, ours.n_expanded, out=ours.n_expanded)
    assert code == 0
    names, places, _ = ours.shape_info
    for name in ("beta", "b_g", "sigma"):
        value_of = model.replace_rvs_by_values([model[name]])
        expected = model.compile_fn(value_of, inputs=model.value_vars, on_unused_input="ignore", mode=interpreted())(
            point
        )
        np.testing.assert_allclose(kept[places[names.index(name)]], np.ravel(expected), rtol=1e-10)


def test_a_model_that_has_changed_is_compiled_again() -> None:
    import pymc as pm

    with pm.Model() as model:
        pm.Normal("one", 0.0, 1.0)
    before = compiled(model)
    with model:
        pm.Normal("more", 0.0, 1.0)
    assert compiled(model).n_dim == before.n_dim + 1
