"""`mo(x)`: steps between neighbouring levels, in the model one coefficient times the shares of a simplex."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from interpreted import interpreted
from scipy import stats
from scipy.special import softmax

import bayesmargins as bm
from bayesmargins.design import build_design

LEVELS = ["low", "middle", "high"]


def rows(n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"x": np.resize([1, 2, 3, 4], n), "z": rng.normal(size=n), "f": rng.choice(["a", "b"], n)})
    data["w"] = pd.Categorical(rng.choice(LEVELS, n), LEVELS, ordered=True)
    return data.assign(g=np.arange(n) % 5, y=rng.integers(0, 2, n))


def drawn(formula: str, **given: Any) -> bm.Posterior:
    data = rows()
    k = len(build_design(formula, data).coef)
    beta = np.random.default_rng(3).normal(size=(1, 20, k))
    return bm.from_draws(formula, data, family="bernoulli", beta=beta, **given)


def estimates(result: Any) -> np.ndarray:
    return np.asarray(result["estimate"].to_numpy())


def test_columns_are_steps_that_a_row_has_taken() -> None:
    design = build_design("y ~ mo(x) + mo(w)", rows())
    assert design.coef == ("Intercept", "mo(x)[1]", "mo(x)[2]", "mo(x)[3]", "mo(w)[1]", "mo(w)[2]")
    X, data = design.rows(rows()).X, rows()
    np.testing.assert_array_equal(X[:, 1:4], data["x"].to_numpy()[:, None] >= [2, 3, 4])
    np.testing.assert_array_equal(X[:, 4:], data["w"].cat.codes.to_numpy()[:, None] >= [1, 2])


def test_coefficients_are_the_differences_between_neighbouring_levels() -> None:
    post = drawn("y ~ mo(x) + z")
    found = bm.avg_comparisons(post, {"x": "sequential"}, target="link")
    assert found["contrast"].to_numpy().tolist() == ["2 - 1", "3 - 2", "4 - 3"]
    steps = post.beta.sel(coef=["mo(x)[1]", "mo(x)[2]", "mo(x)[3]"]).to_numpy()
    np.testing.assert_allclose(estimates(found), steps, rtol=1e-12, atol=1e-14)
    assert bm.datagrid(post)["x"].tolist() == [1]
    assert bm.datagrid(post, {"x": "all"})["x"].tolist() == [1, 2, 3, 4]


def test_a_factor_with_the_same_means_gives_the_same_numbers() -> None:
    steps = drawn("y ~ mo(x) * z")
    D = build_design("y ~ mo(x) * z", rows()).rows(rows()).X
    T = build_design("y ~ C(x) * z", rows()).rows(rows()).X
    turn = np.linalg.lstsq(T, D, rcond=None)[0]
    levels = bm.from_draws("y ~ C(x) * z", rows(), family="bernoulli", beta=steps.beta.to_numpy() @ turn.T)
    for ask, what in ((bm.avg_comparisons, {"x": "pairwise"}), (bm.avg_slopes, "z")):
        np.testing.assert_allclose(estimates(ask(steps, what)), estimates(ask(levels, what)), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    ("formula", "terms"),
    [
        ("y ~ mo(x) * z", {"mo(x)": (3,), "mo(x):z": (3,)}),
        ("y ~ mo(x) * f", {"mo(x)": (3,), "mo(x):f[b]": (3,)}),
        ("y ~ mo(w):mo(x)", {"mo(w):mo(x)": (2, 3)}),
        ("y ~ 0 + z:mo(x)", {"z:mo(x)": (3,)}),
    ],
)
def test_each_term_has_one_coefficient_and_shares_of_its_own(formula: str, terms: dict[str, tuple[int, ...]]) -> None:
    design = build_design(formula, rows())
    assert {t.name: t.sizes for t in design.fixed.monotonic} == terms
    rng = np.random.default_rng(2)
    for term in design.fixed.monotonic:
        b, shares = rng.normal(size=(2, 7)), [rng.dirichlet(np.ones(n), size=(2, 7)) for n in term.sizes]
        made = term.joined(b, shares)
        X = design.rows(rows()).X[:, [design.coef.index(c) for c in term.columns]]
        # brms's own words: b D sum of the first shares, for each mo(), times the other columns
        taken = [rows()["w"].cat.codes.to_numpy(), rows()["x"].to_numpy() - 1][-len(term.sizes) :]
        of_mo = [
            len(s[0, 0]) * np.insert(s.cumsum(-1), 0, 0.0, -1)[..., at] for s, at in zip(shares, taken, strict=True)
        ]
        other = rows()["z"] if "z" in term.name else rows()["f"] == "b" if "f" in term.name else 1.0
        np.testing.assert_allclose(made @ X.T, b[..., None] * np.prod(of_mo, axis=0) * np.asarray(other), rtol=1e-10)
        again, parts = term.split(made)
        np.testing.assert_allclose(again, b, rtol=1e-12)
        for share, part in zip(shares, parts, strict=True):
            np.testing.assert_allclose(part, share, rtol=1e-10)


def test_a_posterior_shows_the_coefficient_and_the_shares() -> None:
    post = drawn("y ~ mo(x) * z")
    shown = post.parameters
    steps = post.beta.sel(coef=["mo(x)[1]:z", "mo(x)[2]:z", "mo(x)[3]:z"]).to_numpy()
    np.testing.assert_allclose(shown["slope_mo(x):z"], steps.mean(-1), rtol=1e-12)
    np.testing.assert_allclose(shown["simplex_mo(x):z"], steps / steps.sum(-1, keepdims=True), rtol=1e-12)
    zero = drawn("y ~ mo(x)").design.fixed.monotonic[0].split(np.zeros((2, 3)))
    np.testing.assert_array_equal(zero[1][0], np.full((2, 3), 1 / 3))


@pytest.mark.parametrize("words", ["integrated", "sampled"])
def test_the_models_density_is_that_of_the_formula_written_out(words: str) -> None:
    data = rows().assign(y=np.random.default_rng(5).normal(size=120))
    model = bm.GLMM("y ~ mo(x) + (1 | g)", data, priors={"sigma": 1.0})
    pymc = model.pymc_for(words, *(["non-centred"] if words == "sampled" else []))
    values = {name: np.asarray(v) + 0.1 for name, v in pymc.initial_point().items()}
    density = pymc.compile_fn(pymc.logp(jacobian=False), inputs=pymc.value_vars, mode=interpreted())(values)
    raw = values["simplex_mo(x)_simplex__"]
    share = softmax(np.append(raw, -raw.sum()))
    b, centre, sd = (values[n].item() for n in ("slope_mo(x)", "Intercept_centred", "sd_g_log__"))
    sd = np.exp(sd)
    score = np.insert(3 * share.cumsum(), 0, 0.0)[data["x"] - 1]
    eta = centre + b * (score - score.mean())
    of = {name: model.priors[name].parameters for name in ("mo(x)", "Intercept", "sd_g")}
    prior = stats.norm.logpdf(b, 0.0, of["mo(x)"]["sigma"]) + stats.dirichlet.logpdf(share, np.ones(3))
    prior += stats.norm.logpdf(centre, of["Intercept"]["mu"], of["Intercept"]["sigma"])
    prior += stats.halfnorm.logpdf(sd, scale=of["sd_g"]["sigma"][0])
    if words == "integrated":
        same = data["g"].to_numpy()[:, None] == data["g"].to_numpy()
        rest = stats.multivariate_normal.logpdf(data["y"] - eta, cov=np.eye(120) + sd**2 * same)
    else:
        z = values["z_g"][:, 0]
        rest = stats.norm.logpdf(data["y"], eta + sd * z[data["g"]]).sum() + stats.norm.logpdf(z).sum()
    assert float(density) == pytest.approx(prior + rest, rel=1e-10)


def test_the_default_prior_is_that_of_a_coefficient_of_the_steps_taken() -> None:
    model = bm.GLMM("y ~ mo(x) * z", rows(), "bernoulli")
    linear = bm.GLMM("y ~ x", rows(), "bernoulli")
    sd = model.priors["mo(x)"].parameters["sigma"]
    assert sd == pytest.approx(linear.priors["beta"].parameters["sigma"] / rows()["x"].std(ddof=0))
    scaled = bm.GLMM("y ~ mo(x) * z", rows().assign(z=lambda d: 10 * d["z"]), "bernoulli")
    ratio = model.priors["mo(x):z"].parameters["sigma"] / scaled.priors["mo(x):z"].parameters["sigma"]
    assert ratio == pytest.approx(10)
    assert "simplex_mo(x) ~ Dirichlet(a=[1, 1, 1])" in str(model)


def test_priors_of_the_users_own() -> None:
    import pymc as pm

    half = pm.HalfNormal.dist(1.0)
    model = bm.GLMM("y ~ mo(x) + z", rows(), "bernoulli", priors={"mo(x)": half, "beta": pm.Normal.dist(0.0, 3.0)})
    assert model.priors["mo(x)"] is half
    shared = bm.GLMM("y ~ mo(x) + z", rows(), "bernoulli", priors={"beta": pm.Normal.dist(0.0, 3.0)})
    assert shared.priors["mo(x)"] is shared.priors["beta"]
    with pytest.raises(bm.ModelError, match=r"of 3 shares that add up to 1"):
        bm.GLMM("y ~ mo(x)", rows(), "bernoulli", priors={"simplex_mo(x)": pm.Dirichlet.dist(a=[1.0, 1.0])})
    with pytest.raises(bm.ModelError, match=r"'mo\(x\)\[1\]', which is no parameter"):
        bm.GLMM("y ~ mo(x)", rows(), "bernoulli", priors={"mo(x)[1]": pm.Normal.dist(0.0, 1.0)})


@pytest.mark.usefixtures("uncompiled")
def test_draws_of_the_prior_have_one_sign_and_uniform_shares(tmp_path: Path) -> None:
    model = bm.GLMM("y ~ mo(w) + (1 | g)", rows(), "bernoulli")
    prior = model.prior(draws=400, random_seed=1)
    steps = prior.beta.sel(coef=["mo(w)[1]", "mo(w)[2]"]).to_numpy()[0]
    assert (np.sign(steps[:, 0]) == np.sign(steps[:, 1])).all()
    share = steps[:, 0] / steps.sum(axis=1)
    assert stats.kstest(share, "uniform").pvalue > 1e-4
    assert stats.kstest(steps.mean(axis=1) / model.priors["mo(w)"].parameters["sigma"], "norm").pvalue > 1e-4
    prior.save(tmp_path / "prior.nc")
    again = bm.load(tmp_path / "prior.nc")
    np.testing.assert_array_equal(estimates(bm.predictions(again)), estimates(bm.predictions(prior)))
    assert "simplex_mo(w)" in again.parameters


def of_brms(data: pd.DataFrame) -> pd.DataFrame:
    rng, n = np.random.default_rng(4), 30
    names = ["b_Intercept", "b_z", "b_fb", *(f"bsp_{t}" for t in ("mox", "mox:z", "mox:fb", "mow", "mox:mow"))]
    draws = {".chain": np.ones(n), **{name: rng.normal(size=n) for name in names}, "sd_g__Intercept": rng.random(n)}
    for name, size in {"mox1": 3, "mox:z1": 3, "mox:fb1": 3, "mow1": 2, "mox:mow1": 3, "mox:mow2": 2}.items():
        draws |= {f"simo_{name}[{k + 1}]": v for k, v in enumerate(rng.dirichlet(np.ones(size), n).T)}
    # brms centres the columns of its own b alone
    means = {"b_z": data["z"].mean(), "b_fb": (data["f"] == "b").mean()}
    return pd.DataFrame(draws | {"Intercept": draws["b_Intercept"] + sum(m * draws[k] for k, m in means.items())})


FORMULA = "y ~ mo(x) * z + mo(x) * f + mo(w) * mo(x) + (1 | g)"


def test_draws_of_brms_give_the_linear_predictor_that_brms_writes() -> None:
    """Its program: bsp[i] * mo(simo_j, x), mo() the steps taken times the shares added up, a simplex for each term."""
    data = rows()
    draws = of_brms(data)
    post = bm.from_brms(draws, FORMULA, data, family="bernoulli")

    def mo(name: str, taken: np.ndarray) -> np.ndarray:
        share = draws[[c for c in draws if c.startswith(f"simo_{name}[")]].to_numpy()
        return share.shape[1] * np.insert(share.cumsum(1), 0, 0.0, 1)[:, taken]

    d = {name: draws[name].to_numpy()[:, None] for name in draws}
    x, w, z, f = data["x"].to_numpy() - 1, data["w"].cat.codes.to_numpy(), data["z"].to_numpy(), data["f"] == "b"
    eta = d["b_Intercept"] + d["b_z"] * z + d["b_fb"] * f.to_numpy() + d["bsp_mox"] * mo("mox1", x)
    eta = eta + d["bsp_mox:z"] * mo("mox:z1", x) * z + d["bsp_mox:fb"] * mo("mox:fb1", x) * f.to_numpy()
    eta = eta + d["bsp_mow"] * mo("mow1", w) + d["bsp_mox:mow"] * mo("mox:mow1", x) * mo("mox:mow2", w)
    found = bm.predictions(post, target="link", groups="zero")
    np.testing.assert_allclose(estimates(found)[0], eta, rtol=1e-10, atol=1e-12)
    assert post.parameters["slope_mo(x)"].to_numpy().ravel() == pytest.approx(draws["bsp_mox"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.drop(columns="bsp_mox"), "no column 'bsp_mox'"),
        (lambda d: d.drop(columns="simo_mox1[3]"), "the data give 3 steps"),
        (lambda d: d.assign(**{"simo_mox1[4]": 0.1}), "the data give 3 steps"),
        (lambda d: d.assign(**{"simo_mox1[1]": 0.9}), "add up to 1. These do not"),
        (lambda d: d.assign(**{"bsp_moq": 0.9}), "parameters 'bsp_moq'"),
    ],
)
def test_draws_of_brms_that_do_not_fit_are_refused(change: Any, said: str) -> None:
    with pytest.raises(bm.PosteriorError, match=said):
        bm.from_brms(change(of_brms(rows())), FORMULA, rows(), family="bernoulli")


def test_levels_alone_say_the_order() -> None:
    post = bm.from_draws("y ~ mo(w)", levels={"w": LEVELS}, family="gaussian", beta=np.ones((1, 3, 3)))
    found = bm.predictions(post, newdata=pd.DataFrame({"w": ["high", "low"]}))
    assert estimates(found)[0, 0].tolist() == [3.0, 1.0]
    with pytest.raises(bm.FormulaError, match=r"'mo\(x\)' in .* takes its numbers from the rows of the fit"):
        bm.from_draws("y ~ mo(x)", levels={}, family="gaussian", beta=np.ones((1, 3, 3)))


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("y ~ mo(z)", "which is no whole number"),
        ("y ~ mo(f)", r"'f' holds str.*ordered=True"),
        ("y ~ mo(gaps)", "no row with 1, 3, 5"),
        ("y ~ mo(spare)", r"no row with 'top'.*remove_unused_categories"),
        ("y ~ mo(plain)", "have none.*as_ordered"),
        ("y ~ mo(one)", "the one value 1"),
        ("y ~ mo(x + 1)", r"is read as mo\(x\)"),
        ("y ~ mo(x, id='i')", "brms's id= is not there"),
        ("y ~ I(mo(x) * 2)", "stands by itself"),
        ("y ~ z + (1 + mo(x) | g)", "lets .* vary by group"),
    ],
)
def test_what_has_no_steps_is_refused(formula: str, said: str) -> None:
    data = rows().assign(gaps=lambda d: 2 * (d["x"] - 1), one=1, plain=lambda d: d["w"].cat.as_unordered())
    data["spare"] = data["w"].cat.add_categories("top")
    with pytest.raises((bm.FormulaError, bm.DataError), match=said):
        build_design(formula, data)


def test_values_between_and_beyond_the_levels_are_refused() -> None:
    post = drawn("y ~ mo(x)")
    for value in (0, 5, 1.5):
        with pytest.raises(bm.DataError, match=r"by mo\(x\)"):
            bm.predictions(post, newdata=pd.DataFrame({"x": [value]}))
    with pytest.raises(bm.EstimandError, match=r"by mo\(x\).* has no slope"):
        bm.slopes(post, "x")


def test_a_function_of_the_users_own_is_theirs() -> None:
    design = build_design("y ~ mo(z)", rows(), namespace={"mo": np.exp})
    assert design.coef == ("Intercept", "mo(z)")
    assert design.fixed.monotonic == ()


@pytest.mark.sampling
@pytest.mark.evidence
def test_a_fit_recovers_steps_of_unequal_size() -> None:
    rng = np.random.default_rng(8)
    data = rows(600)
    truth = np.array([0.2, 1.4, 0.4])
    eta = np.insert(truth.cumsum(), 0, 0.0)[data["x"] - 1] + rng.normal(size=5)[data["g"]]
    data["y"] = eta + 0.5 * rng.normal(size=600)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)  # a draw that diverged
        post = bm.GLMM("y ~ mo(x) + (1 | g)", data).fit(random_seed=1, progressbar=False)
    steps = post.beta.sel(coef=["mo(x)[1]", "mo(x)[2]", "mo(x)[3]"])
    z = (steps.mean(["chain", "draw"]) - truth) / steps.std(["chain", "draw"])
    assert (np.abs(z) < 3.5).all()
    assert post.info["group_effects"] == "integrated"
    assert post.log_prior()["simplex_mo(x)"].to_numpy() == pytest.approx(np.log(2.0))  # the density of Dirichlet(1)
