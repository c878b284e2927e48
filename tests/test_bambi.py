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
from interpreted import uncompiled
from scipy import integrate, special, stats

import bayesmargins as bm
from bayesmargins.stacks import group_of, make_idata

bmb = pytest.importorskip("bambi")

# Bambi, PyMC and formulae warn of their own dependencies and of short chains.
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.filterwarnings("error::bayesmargins.BayesmarginsWarning"),
    pytest.mark.filterwarnings("ignore:Imported draws:bayesmargins.BayesmarginsWarning"),
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
    data["e0"] = np.where(data["flag"], data["e"], 0.0)
    return data


def twice(values: Any) -> Any:
    return 2 * values


@pytest.fixture(autouse=True)
def _uncompiled() -> Any:
    """PyTensor as plain Python: seconds for a few draws, where a compiler takes a minute."""
    logging.disable(logging.INFO)
    with uncompiled():
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


def test_draws_in_chunks_of_dask_leave_b_unloaded() -> None:
    pytest.importorskip("dask")
    model = _model("y ~ x + f + (x + f|g)")
    drawn = _of(_prior(model), "prior")
    in_chunks, loaded = (bm.from_bambi(model, _as_fit(d, model)) for d in (drawn.chunk(draw=3), drawn))
    assert in_chunks.b["g"].chunks is not None
    np.testing.assert_array_equal(_own(in_chunks), _own(loaded))


def test_a_number_that_bambi_makes_a_factor_has_its_contrasts() -> None:
    model = _model("y ~ C(num)*x + (1|g)")
    post = bm.from_bambi(model, _prior(model))
    assert bm.avg_comparisons(post, {"num": "pairwise"})["contrast"].values.tolist() == ["2 - 1", "3 - 1", "3 - 2"]


@pytest.mark.parametrize(
    ("formula", "family", "written"),
    [
        ("f ~ scale(x) + z + (x|g)", "categorical", "f ~ 1 + scale(x, ddof=0) + z + (1 + x || g)"),
        ("c(k1, k2, k3) ~ x + (1|g)", "multinomial", "cbind(k1, k2, k3) ~ 1 + x + (1 | g)"),
    ],
    ids=["categorical", "multinomial"],
)
def test_categories_have_bambis_probabilities_draw_by_draw(formula: str, family: str, written: str) -> None:
    counts = np.random.default_rng(2).multinomial(5, [0.2, 0.3, 0.5], size=len(rows()))
    data = rows().assign(**{f"k{k + 1}": counts[:, k] for k in range(3)})
    model = bmb.Model(formula, data, family=family)
    model.build()
    prior = _prior(model)
    post = bm.from_bambi(model, prior)
    assert post.formula == written
    theirs = _of(prior, "prior")["p"]
    of_category = bm.predictions(post, groups="own")["estimate"].transpose("chain", "draw", "row", "category")
    np.testing.assert_allclose(of_category, theirs.to_numpy(), rtol=1e-10, atol=1e-12)
    assert of_category["category"].to_numpy().tolist() == list(map(str, theirs[theirs.dims[-1]].to_numpy()))


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
    # Short trees: without compilation every step counts, and a step size is not found in five draws.
    options = {"nuts": {"max_treedepth": 3}, "progressbar": False, "compute_convergence_checks": False}
    idata = model.fit(draws=5, tune=5, chains=2, cores=1, random_seed=1, **options)
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


BESIDE = {
    "gamma": ("e ~ x + f + (1|g)", {"link": "log"}, {"shape": "alpha"}),
    "beta": ("w ~ x + f + (1|g)", {"link": "cloglog"}, {"phi": "kappa"}),
    "t": ("y ~ x + f + (1|g)", {}, {"sigma": "sigma", "nu": "nu"}),
    "beta_binomial": ("p(k, n) ~ x + f + (1|g)", {}, {"phi": "kappa"}),
    "weibull": ("e ~ x + f + (1|g)", {}, {"shape": "alpha"}),
    "wald": ("e ~ x + f + (1|g)", {"link": "log"}, {"shape": "lam"}),
}


@pytest.mark.parametrize("family", BESIDE)
def test_families_with_parameters_of_their_own_are_read(family: str) -> None:
    """As one number a draw, and with a formula: the means and the parameters are Bambi's."""
    formula, options, names = BESIDE[family]
    data = rows().assign(w=0.02 + 0.96 * special.expit(rows()["y"]))
    for of_parameter in (None, next(iter(reversed(names.values())))):
        both = formula if of_parameter is None else bmb.Formula(formula, f"{of_parameter} ~ z")
        model = bmb.Model(both, data, family=family, **options)
        model.build()
        idata = _prior(model)
        post = bm.from_bambi(model, idata)
        theirs = _of(idata, "prior")
        np.testing.assert_allclose(_own(post), theirs["mu"].to_numpy(), rtol=1e-10, atol=1e-10)
        for here, there in names.items():
            ours = bm.predictions(post, target=here, groups="own")["estimate"].to_numpy()
            values = theirs[there].transpose("chain", "draw", ...).to_numpy()
            np.testing.assert_allclose(ours, values if values.ndim == 3 else values[..., None] + 0 * ours, rtol=1e-10)


OTHERWISE = {
    "exponential": ("e", "Exponential", lambda p: {"scale": p["mu"]}),
    "weibull": ("e", "Weibull", lambda p: {"alpha": p["alpha"], "beta": p["mu"] / special.gamma(1 + 1 / p["alpha"])}),
    "wald": ("e", "Wald", dict),
    "asymmetriclaplace": ("y", "AsymmetricLaplace", dict),
    "exgaussian": ("y", "ExGaussian", dict),
    "zero_inflated_poisson": ("c", "ZeroInflatedPoisson", dict),
    "zero_inflated_negativebinomial": ("c", "ZeroInflatedNegativeBinomial", dict),
    "hurdle_gamma": ("e0", "HurdleGamma", lambda p: p | {"beta": p["alpha"] / p.pop("mu")}),
    "hurdle_lognormal": ("e0", "HurdleLogNormal", dict),
}


@pytest.mark.parametrize("family", OTHERWISE)
def test_densities_are_those_of_bambis_own_parameters(family: str) -> None:
    """Where they mean something else here (a rate, the mean of a part of y) too."""
    import pymc as pm

    y, name, given = OTHERWISE[family]
    options = {"link": "log"} if family == "wald" else {}
    try:
        model = _model(f"{y} ~ x + f + (1|g)", family, **options)
    except (ValueError, KeyError):
        pytest.skip("this version of Bambi does not have it")
    idata = _prior(model)
    theirs = _of(idata, "prior")
    aux = [n for n in ("alpha", "lam", "b", "kappa", "sigma", "nu", "psi") if n in theirs]
    p = given({n: theirs[n].to_numpy()[0][:, None] for n in aux} | {"mu": theirs["mu"].to_numpy()[0]})
    wanted = pm.logp(getattr(pm, name).dist(**p), rows()[y].to_numpy()).eval()
    post = bm.from_bambi(model, idata)
    # PyMC's own densities take the root of 2 in single precision, and those with zeros mix densities that underflow.
    known = wanted > -600.0
    assert known.mean() > 0.5
    np.testing.assert_allclose(post.log_likelihood()[y].to_numpy()[0][known], wanted[known], rtol=1e-6)
    zero = bm.avg_predictions(post, groups="new")["estimate"].to_numpy()
    assert np.isfinite(zero).all()


def test_a_formula_of_what_is_another_parameter_here_is_refused() -> None:
    model = bmb.Model(bmb.Formula("y ~ x", "kappa ~ z"), rows(), family="asymmetriclaplace")
    model.build()
    with pytest.raises(bm.ModelError, match="are other ones than those here, and 'quantile' has a formula"):
        bm.from_bambi(model, _prior(model))


@cache
def _distributional() -> tuple[Any, Any]:
    formula = bmb.Formula("y ~ x + f + (1|g)", "sigma ~ z + (1|g) + (0 + x|a)")
    model = _model(formula)
    return model, _prior(model)


def test_a_formula_of_sigma_is_a_part_of_the_posterior() -> None:
    model, prior = _distributional()
    drawn = _of(prior, "prior")
    post = bm.from_bambi(model, prior)
    assert list(post.parts) == ["sigma"]
    np.testing.assert_allclose(_own(post), drawn["mu"].to_numpy(), rtol=1e-10, atol=1e-10)
    sigma = post.parts["sigma"]
    np.testing.assert_allclose(
        np.exp(sigma.linear_predictor()), drawn["sigma"].to_numpy()[0], rtol=1e-10, err_msg=sigma.formula
    )
    np.testing.assert_array_equal(sigma.Sigma["a"][..., 0, 0], drawn["sigma_x|a_sigma"] ** 2)
    fit = make_idata({"posterior": drawn.drop_vars(["mu", "sigma"]).assign_attrs(modeling_interface="bambi")})
    predicted = _of(model.predict(fit, data=NEWDATA, kind="response_params", inplace=False))
    again = bm.from_bambi(model, fit)
    np.testing.assert_allclose(_own(again, NEWDATA), predicted["mu"].to_numpy(), rtol=1e-10, atol=1e-10)
    ours = bm.predictions(again, NEWDATA, groups="own", target="sigma")["estimate"]
    np.testing.assert_allclose(ours, predicted["sigma"].to_numpy(), rtol=1e-10)


@pytest.fixture
def small() -> dict[str, Any]:
    return dict(zip(("model", "prior"), _small(), strict=True))


@cache
def _small() -> tuple[Any, xr.Dataset]:
    model = _model("y ~ x + f + (x|g)")
    return model, _of(_prior(model), "prior")


def _read(model: Any, variables: xr.Dataset, group: str = "prior", **others: xr.Dataset) -> bm.Posterior:
    return bm.from_bambi(model, make_idata({group: variables, **others}))


def test_draws_of_the_pymc_model_itself_have_a_centred_intercept(small: dict[str, Any]) -> None:
    model, prior = small["model"], small["prior"]
    expected = _read(model, prior)
    assert not np.allclose(expected.beta.sel(coef="Intercept"), prior["Intercept"])
    bare = prior.assign_attrs(modeling_interface="none")
    np.testing.assert_array_equal(_read(model, bare, "posterior").beta, expected.beta)
    np.testing.assert_array_equal(_read(model, prior.drop_vars("mu")).beta, expected.beta)
    real = bare.assign(Intercept=expected.beta.sel(coef="Intercept").drop_vars("coef"))
    np.testing.assert_allclose(_read(model, real, "posterior").beta, expected.beta, rtol=1e-14)
    with pytest.raises(bm.PosteriorError, match="does not say whether its intercept is that of centred predictors"):
        _read(model, bare.drop_vars("mu"), "posterior")


def test_without_group_effects_new_and_zero_work(small: dict[str, Any]) -> None:
    bare = small["prior"].drop_vars(["1|g", "x|g", "mu"])
    post = _read(small["model"], bare)
    full = _read(small["model"], small["prior"])
    for groups in ("new", "zero"):
        np.testing.assert_array_equal(*(bm.avg_predictions(p, groups=groups)["estimate"] for p in (post, full)))
    with pytest.raises(bm.PosteriorError, match="no draws of b for 'g'"):
        bm.avg_predictions(post, groups="own")
    with pytest.raises(bm.PosteriorError, match=r"no group effects of 'x\|g', but those of '1\|g'"):
        _read(small["model"], small["prior"].drop_vars(["x|g", "mu"]))


def test_numbers_of_draws_stay_and_aliases_are_followed(small: dict[str, Any]) -> None:
    thinned = small["prior"].isel(draw=slice(0, None, 2))
    assert _read(small["model"], thinned).beta["draw"].to_numpy().tolist() == [0, 2]
    model = bmb.Model("y ~ x + (1|g)", rows())
    model.set_alias({"x": "slope", "1|g": "intercepts", "sigma": "noise"})
    model.build()
    named = _prior(model)
    np.testing.assert_allclose(_own(bm.from_bambi(model, named)), _of(named, "prior")["mu"], rtol=1e-10)


def _renamed(old: str, new: str) -> Any:
    return lambda d: d.rename({old: new})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            _renamed("1|g_sigma", "1|h_sigma"),
            r"no variable '1\|g_sigma' in its group 'prior'\. Did you mean .*'1\|h_sigma'",
        ),
        (lambda d: d.drop_vars("f"), r"no variable 'f' .* It has "),
        (lambda d: d.drop_vars("sigma"), r"no variable 'sigma'"),
        (
            lambda d: d.assign(w=d["x"]),
            r"holds the variables 'w', which the model 'y ~ x \+ f \+ \(x\|g\)' does not have",
        ),
        (
            lambda d: d.assign_coords(f_dim=["low", "mid"]),
            r"'f' of idata has 'low', 'mid' along 'f_dim'; the model has",
        ),
        (lambda d: d.assign(x=d["f"]), r"'x' of idata has the dims 'chain', 'draw', 'f_dim'"),
        (lambda d: d.isel(g__factor_dim=slice(1, None)).drop_vars("mu"), r"of idata has 's10', .*; the model has 's1'"),
        (lambda d: d.isel(chain=0, drop=True), "'chain' and 'draw' must be among them"),
    ],
)
def test_idata_of_another_model_is_refused_in_words(small: dict[str, Any], change: Any, said: str) -> None:
    with pytest.raises(bm.PosteriorError, match=said):
        _read(small["model"], change(small["prior"]))


def test_idata_of_other_data_is_refused(small: dict[str, Any]) -> None:
    y = rows()["y"].to_numpy()
    for values in (y[::-1], y[:5]):
        observed = xr.Dataset({"y": ("__obs__", values)})
        with pytest.raises(bm.PosteriorError, match="fitted to other values of 'y'"):
            _read(small["model"], small["prior"], observed_data=observed)
    with pytest.raises(bm.PosteriorError, match="fitted to the response 'w', and the model's is 'y'"):
        _read(small["model"], small["prior"], observed_data=xr.Dataset({"w": ("__obs__", y)}))


def test_what_is_no_model_or_no_idata_is_refused(small: dict[str, Any]) -> None:
    with pytest.raises(bm.PosteriorError, match=r"a bambi.Model is needed: from_bambi\(model, idata\)"):
        bm.from_bambi(make_idata({"prior": small["prior"]}), small["model"])
    with pytest.raises(bm.PosteriorError, match="without the groups 'posterior' and 'prior'"):
        bm.from_bambi(small["model"], make_idata({"observed_data": xr.Dataset()}))


RESPONSES = {
    "censored(z, dead)": ("weibull", "z | cens(dead)"),
    "weighted(z, e)": ("gaussian", "z | weights(e)"),
    "truncated(z, 0.1, 9)": ("gaussian", "z | trunc(lb=0.1, ub=9)"),
}


@pytest.mark.parametrize("response", RESPONSES)
def test_responses_that_say_more_than_y_are_read(response: str) -> None:
    """Log likelihoods against SciPy's: Bambi's own function of that name takes none of the three."""
    family, written = RESPONSES[response]
    data = rows().assign(dead=np.resize(["right", "none"], len(rows())))
    model = bmb.Model(f"{response} ~ x", data, family=family, link="log" if family == "weibull" else "identity")
    model.build()
    draws = {"Intercept": [0.1, 0.3], "x": [0.2, -0.1], {"weibull": "alpha"}.get(family, "sigma"): [1.5, 2.0]}
    drawn = xr.Dataset({name: (("chain", "draw"), np.array([v])) for name, v in draws.items()})
    post = bm.from_bambi(model, make_idata({"posterior": drawn.assign_attrs(modeling_interface="bambi")}))
    assert post.formula == f"{written} ~ 1 + x"
    eta = np.array(draws["Intercept"])[:, None] + np.outer(draws["x"], data.x)
    shape = np.array([[1.5], [2.0]])
    if family == "weibull":
        dist = stats.weibull_min(shape, scale=np.exp(eta) / special.gamma(1.0 + 1.0 / shape))
        wanted = np.where(data.dead == "right", dist.logsf(data.z), dist.logpdf(data.z))
    else:
        dist = stats.norm(eta, shape)
        inside = 0.0 if "weights" in written else np.log(dist.cdf(9.0) - dist.cdf(0.1))
        wanted = (data.e.to_numpy() if "weights" in written else 1.0) * (dist.logpdf(data.z) - inside)
    np.testing.assert_allclose(post.log_likelihood()[post.response_name][0], wanted, rtol=1e-9)


def _skewed() -> dict[str, Any]:
    hyper = bmb.Prior("HalfNormal", sigma=1)
    return {"priors": {"1|g": bmb.Prior("StudentT", nu=3, mu=0, sigma=hyper)}, "noncentered": False}


NOTHING = xr.Dataset({"Intercept": (("chain", "draw"), np.zeros((1, 3)))})

REFUSED = [
    ("ok ~ x", "bernoulli", {"link": "identity"}, bm.ModelError, "does not take link='identity'"),
    ("y ~ hsgp(x, m=5, c=2)", "gaussian", {}, bm.FormulaError, "a Gaussian process, whose weights"),
    ("constrained(z, lb=0.1) ~ x", "gaussian", {}, bm.FormulaError, "is constrained; a response here"),
    ("y ~ binary(f)", "gaussian", {}, bm.FormulaError, "leaves its success level to the order"),
    ("y ~ 0 + S(f)", "gaussian", {}, bm.PosteriorError, r"column 'S\(f\)\[mean\]' of the fixed effects cannot be made"),
    ("y ~ (x:f|g)", "gaussian", {}, bm.PosteriorError, "codes an interaction without its main effects"),
    ("y ~ x + (1|g)", "gaussian", _skewed, bm.ModelError, r"have the prior StudentT.*needs Normal\(mu=0"),
]


@pytest.mark.parametrize(("formula", "family", "options", "error", "said"), REFUSED, ids=[c[0] + c[1] for c in REFUSED])
def test_models_that_have_no_word_here_are_refused(
    formula: str, family: str, options: Any, error: type[Exception], said: str
) -> None:
    model = bmb.Model(formula, rows(), family=family, **(options() if callable(options) else options))
    idata = make_idata({"prior": NOTHING})
    if error is bm.PosteriorError or callable(options):
        model.build()
        idata = _prior(model)
    with pytest.raises(error, match=said):
        bm.from_bambi(model, idata)


def test_a_level_without_rows_is_refused() -> None:
    data = rows().assign(o=lambda d: d["o"].cat.add_categories("giant"))
    model = bmb.Model("y ~ o", data)
    with pytest.raises(bm.DataError, match="'o' of the Bambi model has the levels 'giant', without rows"):
        bm.from_bambi(model, make_idata({"prior": NOTHING}))


def test_a_column_that_differs_is_named() -> None:
    """The same name for another function than Bambi called: no wrong column passes."""
    model = _model("y ~ twice(x)")
    with pytest.raises(
        bm.PosteriorError, match=r"column 'twice\(x\)' of the fixed effects cannot be made here: .*differs"
    ):
        bm.from_bambi(model, _prior(model), namespace={"twice": lambda v: 3 * v})


def test_rows_that_bambi_dropped_are_left_out() -> None:
    data = rows().assign(x=lambda d: d["x"].where(d.index != 7))
    model = bmb.Model("y ~ x + f", data, dropna=True)
    model.build()
    prior = _prior(model)
    post = bm.from_bambi(model, prior)
    assert len(post.design.data) == 79
    np.testing.assert_allclose(_own(post), _of(prior, "prior")["mu"].to_numpy(), rtol=1e-10)


def test_a_saved_posterior_is_the_same(small: dict[str, Any], tmp_path: Any) -> None:
    post = _read(small["model"], small["prior"])
    post.save(tmp_path / "post.nc")
    np.testing.assert_array_equal(_own(bm.load(tmp_path / "post.nc")), _own(post))


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
    everything = "all" if hasattr(bmb.Model, "response_term") else True  # Bambi 0.21 and 0.17
    result = bmb.interpret.comparisons(
        model, idata, contrast={"x": [0.0, 2.0]}, average_by=everything, prob=0.89, use_hdi=False
    )
    averaged = getattr(result, "summary", result)
    low, high = (averaged[c].item() for c in sorted(c for c in averaged if c.startswith(("lower", "upper"))))
    ours = bm.avg_comparisons(post, {"x": (0.0, 2.0)}, groups="own")
    right = bm.summary(ours, point="mean", ci_prob=0.89, ci_kind="eti")
    assert right["mean"].item() == pytest.approx(averaged["estimate"].item(), abs=1e-9)
    # Bambi averages the limits of the rows' own intervals (bambi issue 1004).
    each = bm.comparisons(post, {"x": (0.0, 2.0)}, groups="own")["estimate"]
    limits = each.quantile([0.055, 0.945], ["chain", "draw"]).mean([d for d in each.dims if d not in ("chain", "draw")])
    np.testing.assert_allclose([low, high], limits, atol=1e-6)
    assert (high - low) > 1.2 * (right["eti89_ub"] - right["eti89_lb"]).item()


@pytest.mark.parametrize(
    ("family", "link"),
    [(family, link) for family in ("cumulative", "sratio") for link in ("logit", "probit", "cloglog")],
)
def test_thresholds_of_an_ordered_response_give_bambis_own_probabilities(family: str, link: str) -> None:
    model = _model("o ~ x*f + z + (1 + z|g)", family, link=link)
    prior = _of(_prior(model), "prior").drop_dims("o_dim")
    # Draws of the prior through PyMC are in no order; those of a fit are.
    threshold = prior["threshold"].copy(data=np.sort(prior["threshold"].values, axis=-1))
    posterior = prior.assign(threshold=threshold).assign_attrs(modeling_interface="bambi")
    idata = make_idata({"posterior": posterior})
    post = bm.from_bambi(model, idata)
    assert post.categories == ("small", "big", "huge")
    assert post.design.coef == ("x", "f[lo]", "f[mid]", "z", "x:f[lo]", "x:f[mid]")
    for newdata in (None, NEWDATA):
        theirs = _of(model.predict(idata, data=newdata, inplace=False))["p"]
        ours = bm.predictions(post, newdata, groups="own")["estimate"].transpose("chain", "draw", "row", "category")
        np.testing.assert_allclose(ours.values, theirs.transpose("chain", "draw", "__obs__", ...).values, atol=1e-10)
