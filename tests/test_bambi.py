"""Posteriors of Bambi: what its terms mean, its draws by name, its own predictions; and what does not fit is refused.

Bambi makes every draw here. Most are draws of the prior or of a few steps of NUTS without compilation: which draws they
are does not matter to where they belong, and a compiled fit takes a minute.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import integrate, special, stats

import bayesmargins as bm
from bayesmargins.stacks import group_of, make_idata

bmb = pytest.importorskip("bambi")

# Bambi, PyMC and formulae warn of their own dependencies and of short chains.
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.filterwarnings("error::bayesmargins.BayesmarginsWarning"),
]


@cache
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 80
    data = pd.DataFrame(
        {
            "x": rng.normal(1.0, 1.5, n),
            "z": rng.uniform(0.5, 2.0, n),
            "f": rng.choice(["lo", "mid", "hi"], n),
            "h": rng.choice(["u", "v"], n),
            "num": rng.choice([1, 2, 3], n),
            "flag": rng.choice([True, False], n),
            "g": rng.choice([f"s{i}" for i in range(1, 11)], n),
            "a": rng.choice(["A", "B", "C"], n),
            "b": rng.choice([1, 2, 3], n),
            "n": rng.integers(3, 9, n),
            "e": rng.uniform(1.0, 5.0, n),
            "my col": rng.normal(size=n),
            "o": pd.Categorical(rng.choice(["small", "big", "huge"], n), ["small", "big", "huge"], ordered=True),
            "u": pd.Categorical(rng.choice(["small", "big", "huge"], n), ["small", "big", "huge"]),
        }
    )
    effect = dict(zip(sorted(data["g"].unique()), rng.normal(0.0, 0.8, 10), strict=True))
    eta = -0.3 + 0.5 * data["x"] + 0.7 * (data["f"] == "hi") + data["g"].map(effect)
    data["y"] = eta + rng.normal(0.0, 0.5, n)
    data["ok"] = np.where(rng.uniform(size=n) < special.expit(eta), "yes", "no")
    data["k"] = rng.binomial(data["n"], special.expit(eta))
    data["c"] = rng.poisson(np.exp(0.3 * eta) * data["e"])
    return data


def twice(values: Any) -> Any:
    return 2 * values


@pytest.fixture(autouse=True)
def _uncompiled() -> Any:
    """PyTensor as plain Python: seconds for a few draws, where a compiler takes a minute."""
    import pytensor

    logging.disable(logging.INFO)
    with pytensor.config.change_flags(mode="FAST_COMPILE", cxx=""):
        yield
    logging.disable(logging.NOTSET)


def _model(formula: str, family: str = "gaussian", **options: Any) -> Any:
    model = bmb.Model(formula, rows(), family=family, **options)
    model.build()
    return model


def _as_fit(prior: xr.Dataset, model: Any) -> Any:
    """The same numbers as Bambi's fit would mark them: its intercept is that of the predictors as they are."""
    parent = model.family.likelihood.parent
    posterior = prior.drop_vars(parent).assign_attrs(modeling_interface="bambi")
    return make_idata({"posterior": posterior})


def _prior(model: Any, draws: int = 4) -> Any:
    return model.prior_predictive(draws=draws, random_seed=1)


def _of(idata: Any, group: str = "posterior") -> xr.Dataset:
    found = group_of(idata, group)
    assert found is not None
    return found


def _own(post: bm.Posterior, newdata: Any = None) -> np.ndarray:
    groups = "own" if post.design.factors else "new"
    return bm.predictions(post, newdata, groups=groups)["estimate"].to_numpy()


NEWDATA = rows().sample(25, random_state=4).assign(x=lambda d: d["x"].to_numpy()[::-1])

TERMS = [
    ("y ~ scale(x)*f + center(z) + standardize(e) + (scale(x) + f|g)", "scale(x, ddof=0):f"),
    ("y ~ bs(x, df=5) + poly(z, 2) + (poly(x, 2)|a)", "extrapolation='extend'"),
    ("y ~ {(x+1)*2} + I(x**2) + I(x > 0) + I(x*2 - (z - 1)) + offset(np.log(e))", "I((x + 1) * 2)"),
    ("y ~ np.log(z) + log(e) + abs(x) + twice(x) + np.exp(scale(x)) + offset(3)", "twice(x)"),
    ("y ~ `my col` + C(num)*x + flag + C(flag):z + (`my col`|C(num))", "(1 + `my col` || num)"),
    ("y ~ T(f, 'mid')*x + S(h) + binary(u, 'big') + (0 + f|g)", "C(f, contr.treatment('mid'))"),
    ("y ~ o*x + u + C(u):z + (o|g) + (1|a/b)", "(1 | a) + (1 | a:b)"),
    ("y ~ 0 + f + x + (0 + f + h|g) + (1|a:b)", "(0 + f || g) + (0 + h || g)"),
    ("y ~ bs(x, 4, intercept=True) - 1 + (0 + x|g)", "bs(x, 4, include_intercept=True"),
    ("y ~ 0 + (1|a:b) + (x|a)", "y ~ 0 + (1 | a:b) + (1 + x || a)"),
    ("log(z) ~ (x + f + h)**2 + x:f:h", "log(z) ~ 1 + x + f + h"),
]


@pytest.mark.parametrize(("formula", "written"), TERMS, ids=[f for f, _ in TERMS])
def test_terms_mean_what_they_mean_in_bambi(formula: str, written: str) -> None:
    model = _model(formula)
    prior = _prior(model)
    post = bm.from_bambi(model, prior)
    assert written in post.formula
    assert post.kind == "prior"
    # Bambi's PyMC model computes the mean itself, from the centred intercept.
    np.testing.assert_allclose(_own(post), _of(prior, "prior")["mu"].to_numpy(), rtol=1e-10, atol=1e-10)
    fit = _as_fit(_of(prior, "prior"), model)
    predicted = model.predict(fit, data=NEWDATA, kind="response_params", inplace=False)
    np.testing.assert_allclose(
        _own(bm.from_bambi(model, fit), NEWDATA), _of(predicted)["mu"].to_numpy(), rtol=1e-10, atol=1e-10
    )


FITS = {
    "gaussian": ("y ~ scale(x) * f + (1 + x|g)", {}),
    "bernoulli": ('ok["yes"] ~ x + o + (1|a/b)', {"link": "probit"}),
    "binomial": ("p(k, n) ~ x + (f|g)", {"link": "cloglog"}),
    "poisson": ("c ~ x + offset(np.log(e)) + (1|g) + (1|a)", {}),
    "negativebinomial": ("c ~ x + f + (x|g)", {"noncentered": False, "center_predictors": False}),
}


@cache
def _short_fit(family: str) -> tuple[Any, Any]:
    formula, options = FITS[family]
    model = _model(formula, family, **options)
    idata = model.fit(
        draws=5, tune=5, chains=2, cores=1, random_seed=1, progressbar=False, compute_convergence_checks=False
    )
    return model, idata


@pytest.mark.sampling
@pytest.mark.parametrize("family", FITS)
def test_own_predictions_of_a_fit_are_bambis_draw_by_draw(family: str) -> None:
    model, idata = _short_fit(family)
    post = bm.from_bambi(model, idata)
    name = model.family.likelihood.parent
    for newdata in (None, NEWDATA):
        theirs = model.predict(idata, data=newdata, kind="response_params", inplace=False)
        np.testing.assert_allclose(_own(post, newdata), _of(theirs)[name].to_numpy(), rtol=1e-10, atol=1e-10)
    aux = {"gaussian": ("sigma", "sigma"), "negativebinomial": ("shape", "alpha")}.get(family)
    if aux is not None:
        np.testing.assert_array_equal(post.aux[aux[0]], _of(idata)[aux[1]])
    assert post.info["source"] == "Bambi"
    assert post.info["divergences"] == int(_of(idata, "sample_stats")["diverging"].sum())
    assert post.info.get("success") == {"bernoulli": "yes"}.get(family)
    assert [post.beta.sizes[d] for d in ("chain", "draw")] == [2, 5]


@pytest.mark.sampling
@pytest.mark.parametrize("family", ["bernoulli", "binomial", "negativebinomial"])
def test_averages_over_new_groups_are_quadrature_of_bambis_parameters(family: str) -> None:
    model, idata = _short_fit(family)
    variables = _of(idata).isel(chain=1, draw=4)
    row = rows().iloc[[7]]
    fixed = _of(model.predict(idata, data=row, include_group_specific=False, kind="response_params", inplace=False))
    mean = fixed[model.family.likelihood.parent].isel(chain=1, draw=4).item()
    x, level = row["x"].item(), row["f"].item()
    inverse, eta, variance = {
        "bernoulli": (stats.norm.cdf, stats.norm.ppf(mean), ["1|a", "1|a:b"]),
        "binomial": (lambda v: -np.expm1(-np.exp(v)), np.log(-np.log1p(-mean)), ["1|g"]),
        "negativebinomial": (np.exp, np.log(mean), ["1|g"]),
    }[family]
    total = sum(variables[f"{name}_sigma"].item() ** 2 for name in variance)
    if family == "negativebinomial":
        total += x**2 * variables["x|g_sigma"].item() ** 2
    if family == "binomial" and level != "hi":
        total += variables["f|g_sigma"].sel(f__expr_dim=level).item() ** 2
    s = np.sqrt(total)
    expected = integrate.quad(lambda u: inverse(eta + s * u) * stats.norm.pdf(u), -9, 9, epsabs=1e-13, limit=200)[0]
    if family == "negativebinomial":  # the integrand of exp moves away from 0
        expected = np.exp(eta + s**2 / 2)
    ours = bm.predictions(bm.from_bambi(model, idata), row)["estimate"].isel(chain=1, draw=4).item()
    assert ours == pytest.approx(expected, rel=1e-8)


@cache
def _nutpie() -> tuple[Any, Any]:
    model = bmb.Model('ok["yes"] ~ x * f + (1|g)', rows(), family="bernoulli")
    idata = model.fit(inference_method="nutpie", draws=150, tune=200, chains=2, random_seed=1, progressbar=False)
    return model, idata


@pytest.mark.sampling
def test_a_fit_by_nutpie_and_the_interval_that_bambi_averages() -> None:
    model, idata = _nutpie()
    post = bm.from_bambi(model, idata)
    theirs = _of(model.predict(idata, kind="response_params", inplace=False))["p"]
    np.testing.assert_allclose(_own(post), theirs.to_numpy(), rtol=1e-10, atol=1e-10)
    assert post.sample_stats is not None
    assert {"max_rhat", "min_ess", "divergences"} <= set(post.info)
