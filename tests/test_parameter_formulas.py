"""Parameters with formulas: densities written out, priors by name, what is refused, and what a fit of them knows."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from interpreted import interpreted
from scipy import special, stats

import bayesmargins as bm
from bayesmargins.family import FAMILIES, Outcome, values_at

RNG = np.random.default_rng(20)
N = 30
DATA = pd.DataFrame({
    "x": RNG.normal(1.0, 2.0, N),
    "f": np.resize(["a", "b", "c"], N),
    "g": np.resize([*"vwxyz"], N),
    "n": np.full(N, 8),
})  # fmt: skip
DATA["y"] = RNG.normal(0.4 * DATA["x"], 0.7)
BOTH = {"y": "y ~ x + (1 | p | g)", "sigma": "~ x + (1 | p | g)"}


def point_of(pymc: Any, seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {k: v + 0.3 * rng.normal(size=np.shape(v)) for k, v in pymc.initial_point().items()}


def function_of(pymc: Any, names: list[str], *more: Any) -> Any:
    """A point -> these variables, the log density, and what more is asked for."""
    found = pymc.replace_rvs_by_values([pymc[name] for name in names])
    return pymc.compile_fn([*found, pymc.logp(jacobian=False), *more], mode=interpreted())


def test_density_of_correlated_effects_is_the_one_written_out() -> None:
    model = bm.GLMM(BOTH, DATA)
    pymc = model.pymc
    names = ["Intercept_centred", "directions", "sigma_Intercept_centred", "sigma_directions", "z_g", "partial_g"]
    names += ["sd_g", "sigma_sd_g", "across_cor_g", "b_g", "sigma_b_g"]
    *found, value = function_of(pymc, names)(point_of(pymc))
    of = dict(zip(names, found, strict=True))
    r, sd = of["across_cor_g"][0], np.array([of["sd_g"][0], of["sigma_sd_g"][0]])
    assert r == pytest.approx(2.0 * of["partial_g"][0] - 1.0)
    Sigma = np.diag(sd) @ np.array([[1.0, r], [r, 1.0]]) @ np.diag(sd)
    b = np.column_stack([of["b_g"], of["sigma_b_g"]])
    # b = L z, and z has the density of b times the determinant of L.
    of_b = stats.multivariate_normal(np.zeros(2), Sigma).logpdf(b).sum() + 5 * np.log(np.linalg.det(Sigma)) / 2.0
    assert of_b == pytest.approx(stats.norm.logpdf(of["z_g"]).sum(), rel=1e-12)
    x, codes = stats.zscore(DATA["x"].to_numpy()), np.resize(np.arange(5), N)
    eta, log_sigma = (
        of[f"{s}Intercept_centred"] + of[f"{s}directions"][0] * x * sign + of[f"{s}b_g"][codes, 0]
        for s, sign in (("", _sign(model, "mu", x)), ("sigma_", _sign(model, "sigma", x)))
    )
    y, unit = DATA["y"].to_numpy(), float(DATA["y"].std(ddof=0))
    low, middle, high = np.log(stats.expon(scale=unit).ppf(stats.norm.cdf([-1.0, 0.0, 1.0])))
    expected = (
        stats.norm.logpdf(y, eta, np.exp(log_sigma)).sum()
        + of_b
        + stats.norm.logpdf(of["Intercept_centred"], y.mean(), 2.5 * unit)
        + stats.norm.logpdf(of["directions"], 0.0, 2.5 * unit).sum()
        + stats.norm.logpdf(of["sigma_Intercept_centred"], middle, (high - low) / 2.0)
        + stats.norm.logpdf(of["sigma_directions"], 0.0, 2.5).sum()
        + stats.halfnorm.logpdf(sd, scale=[2.5 * unit, 2.5]).sum()
        + stats.beta.logpdf(of["partial_g"], 2.0, 2.0).sum()  # LKJ(2) of two
    )
    # PyMC keeps the number 2.5 in single precision, and takes the logarithm in it.
    assert float(value) == pytest.approx(float(expected), abs=1e-7)


def _sign(model: bm.GLMM, name: str, x: np.ndarray) -> float:
    """A direction may point either way."""
    return float(np.sign(model.predictors[name].fixed.basis.M[:, 0] @ x))


def response(family: bm.Family) -> np.ndarray:
    rng, y = np.random.default_rng(3), np.random.default_rng(4).gamma(2.0, 1.0, N)
    assert family.support is not None
    if family.support.counts_trials:
        return rng.integers(0, 8, N)
    if family.support.discrete:
        return np.where(rng.random(N) < 0.3, 0, rng.integers(0, 6, N))
    y = rng.beta(2.0, 2.0, N) if "beta" in family.name else y
    y[:4] = 0.0 if family.support.atoms else y[:4]
    y[4:6] = 1.0 if 1.0 in family.support.atoms else y[4:6]
    return y


_QUICK = ("negbinomial", "student_t", "zero_inflated_poisson")
_HAVE = [f.name for f in FAMILIES.values() if any(not p.along for p in f.parameters[1:])]


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in _QUICK else pytest.mark.evidence) for n in _HAVE])
def test_every_parameter_may_have_a_formula(name: str) -> None:
    family = FAMILIES[name]
    assert family.support is not None
    own = [p.name for p in family.parameters[1:] if not p.along]
    left = "y | trials(n)" if family.support.counts_trials else "y"
    formulas = {"y": f"{left} ~ x + (1 | p | g)"} | dict.fromkeys(own, "~ x + (1 | p | g)")
    model = bm.GLMM(formulas, DATA.assign(y=response(family)), family=name)
    pymc, point = model.pymc, point_of(model.pymc)
    names = [f"{p}{what}" for p in ("", *(f"{o}_" for o in own)) for what in ("beta", "b_g")]
    of_rows = pymc.logp(vars=[pymc.observed_RVs[0]], sum=False)[0]
    *found, _, log_p = function_of(pymc, names, of_rows)(point)
    of = dict(zip(names, found, strict=True))
    X, codes = np.column_stack([np.ones(N), DATA["x"]]), np.resize(np.arange(5), N)
    eta = {p: X @ of[f"{p}beta"] + of[f"{p}b_g"][codes, 0] for p in ("", *(f"{o}_" for o in own))}
    aux = {o: model.predictors[o].link.inverse(eta[f"{o}_"]) for o in own}
    outcome = Outcome.of(model.design.response)
    expected = family.log_likelihood(values_at(model.link, eta[""], aux), outcome)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(log_p, expected, rtol=1e-9, atol=1e-9)


def test_standardised_effects_have_the_same_posterior() -> None:
    """Both see b as a linear function of z, so that densities differ by the determinants of these."""
    formulas = {"y": "y ~ x + (1 + x | p | g) + (1 | f)", "sigma": "~ x + (1 | p | g)"}
    model = bm.GLMM(formulas, DATA)
    standardised, other = (model.pymc_for("sampled", how) for how in ("standardised", "non-centred"))
    assert "log_p_g" in standardised.named_vars
    assert "log_p_g" not in other.named_vars
    names = ["b_f", "b_g", "sigma_b_g"]
    ours, theirs = (function_of(pymc, names) for pymc in (standardised, other))
    differences = []
    for seed in range(2):
        point = point_of(standardised, seed)
        (b_f, b_g), value = _effects(ours, point)
        (M_f, M_g), _ = _linear(ours, point)
        (N_f, N_g), (zero_f, zero_g) = _linear(theirs, point)
        z_f = np.linalg.solve(N_f, (b_f - zero_f).ravel())[:, None]
        z_g = np.linalg.solve(N_g, (b_g - zero_g).ravel()).reshape(5, 3)
        same, expected = _effects(theirs, point | {"z_f": z_f, "z_g": z_g})
        np.testing.assert_allclose(same[1], b_g, atol=1e-10)
        logs = [sum(np.linalg.slogdet(m)[1] for m in both) for both in ((M_f, M_g), (N_f, N_g))]
        differences.append(value - logs[0] - (expected - logs[1]))
    np.testing.assert_allclose(differences, 0.0, atol=1e-8)


def _effects(of: Any, point: dict[str, np.ndarray]) -> tuple[list[np.ndarray], float]:
    b_f, b_g, c_g, value = of(point)
    return [b_f, np.concatenate([b_g, c_g], axis=1)], float(value)


def _linear(of: Any, point: dict[str, np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Effects are M z + shift, of each factor given those of the other: M and shift of both."""
    (shift_f, _), _ = _effects(of, point | {"z_f": np.zeros((3, 1))})
    of_f = [_effects(of, point | {"z_f": z[:, None]})[0][0] - shift_f for z in np.eye(3)]
    (_, shift_g), _ = _effects(of, point | {"z_g": np.zeros((5, 3))})
    of_g = [_effects(of, point | {"z_g": z.reshape(5, 3)})[0][1] - shift_g for z in np.eye(15)]
    M = [np.stack([column.ravel() for column in columns], axis=1) for columns in (of_f, of_g)]
    return M, [shift_f, shift_g]


def test_one_formula_in_a_dict_is_that_formula() -> None:
    alone, listed = (bm.GLMM(f, DATA) for f in (BOTH["y"].replace("p | ", ""), {"y": "y ~ x + (1 | g)"}))
    assert str(alone) == str(listed)
    assert [v.name for v in alone.pymc.free_RVs] == [v.name for v in listed.pymc.free_RVs]
    assert bm.GLMM({"mu": "y ~ x"}, DATA).design.formula == "y ~ x"


def test_priors_go_by_the_names_of_the_posterior() -> None:
    import pymc as pm

    own = {"sigma_Intercept": pm.Normal.dist(0.0, 1.0), "sigma_x": pm.Normal.dist(0.0, 0.5), "sigma_sd": 0}
    own |= {"sigma_sd": pm.HalfNormal.dist(0.3), "across_cor": 4.0, "sd_g": pm.HalfNormal.dist(2.0)}
    model = bm.GLMM(BOTH, DATA, priors=own)
    lines = [line.strip() for line in str(model).splitlines()]
    for line in (
        "sd_g ~ HalfNormal(sigma=2)",
        "sigma_Intercept ~ Normal(mu=0, sigma=1), the mean of the linear predictor of sigma over the rows",
        "sigma_x ~ Normal(mu=0, sigma=0.5)",
        "sigma_sd_g ~ HalfNormal(sigma=0.3)",
        "across_cor_g ~ LKJ(eta=4), of Intercept, sigma_Intercept",
    ):
        assert line in lines
    assert "sigma" not in model.priors


def test_a_prior_of_one_of_them_is_of_columns_as_written() -> None:
    formulas = {"y": "y ~ x + (1 + x | p | g)", "sigma": "~ (1 + x | p | g)"}
    assert all(m.recoded for m in bm.GLMM(formulas, DATA).groups["g"].members)
    part = bm.GLMM(formulas, DATA, priors={"across_cor_g": 2.0}).groups["g"]
    assert not any(m.recoded for m in part.members)
    apart = bm.GLMM({k: v.replace("p | ", "") for k, v in formulas.items()}, DATA, priors={"cor_g": 3.0})
    assert [m.recoded for m in apart.groups["g"].members] == [False, True]
    assert apart.priors["sigma_cor_g"] == 2.0


def test_joint_correlations_have_the_prior_of_all(uncompiled: None) -> None:
    """LKJ(2) of three: each correlation is 2 Beta(2.5, 2.5) - 1."""
    formulas = {"y": "y ~ (1 + x | p | g)", "sigma": "~ (1 | p | g)"}
    priors = {"across_cor": 2.0}
    prior = bm.GLMM(formulas, DATA, priors=priors).prior(draws=800, random_seed=2)
    found = np.concatenate([prior.parameters[name].to_numpy()[0].T for name in ("cor_g", "across_cor_g")])
    assert len(found) == 3
    for r in found:
        assert stats.kstest((r + 1.0) / 2.0, stats.beta(2.5, 2.5).cdf).pvalue > 1e-3
    Sigma = prior.across["g"].to_numpy()[0]
    b = np.concatenate([prior.draws.b["g"], prior.parts["sigma"].draws.b["g"]], axis=2)
    white = np.linalg.solve(np.linalg.cholesky(Sigma)[:, None], b[..., None])[..., 0].reshape(-1, 3)
    assert np.abs(np.cov(white.T) - np.eye(3)).max() < 5.0 / np.sqrt(len(white) / 2.0)


def test_without_a_mark_predictors_are_independent(uncompiled: None) -> None:
    prior = bm.GLMM({"y": "y ~ (1 | g)", "sigma": "~ (1 | g)"}, DATA).prior(draws=50, random_seed=2)
    assert prior.across == {}
    assert "across_cor_g" not in prior.parameters
    assert bm.GLMM({"y": "y ~ x", "sigma": "~ (1 | g)"}, DATA).prior(draws=20).parts["sigma"].b["g"].shape[1] == 20


def test_draws_of_such_a_model_are_a_posterior_like_any(uncompiled: None, tmp_path: Path) -> None:
    model = bm.GLMM(BOTH, DATA, link={"mu": "identity", "sigma": "softplus"})
    prior = model.prior(draws=60, random_seed=5)
    assert prior.parts["sigma"].link.name == "softplus"
    assert set(prior.idata["prior"].data_vars) >= {"beta", "sigma_beta", "sd_g", "sigma_sd_g", "across_cor_g"}
    assert bm.avg_predictions(prior, target="sigma").estimate.shape == (1, 60)
    assert "integrated over new groups" in bm.describe(bm.avg_comparisons(prior, "x"))
    assert bm.posterior_predictive(prior, random_seed=1) is not None
    prior.save(tmp_path / "prior.nc")
    again = bm.load(tmp_path / "prior.nc")
    assert again.fingerprint == prior.fingerprint
    np.testing.assert_array_equal(again.log_likelihood()["y"], prior.log_likelihood()["y"])


def test_rows_missing_in_any_formula_are_dropped() -> None:
    holes = DATA.assign(x=DATA["x"].where(DATA.index != 3), w=DATA["y"].pow(2).where(DATA.index != 7))
    with pytest.warns(bm.BayesmarginsWarning, match=r"2 of 30 rows .* column: {'w': 1, 'x': 1}"):
        model = bm.GLMM({"y": "y ~ x", "sigma": "~ w + x"}, holes, missing="drop")
    assert [len(p.design.data) for p in model.predictors.values()] == [28, 28]
    with pytest.raises(bm.DataError, match="1 of 30 rows"):
        bm.GLMM({"y": "y ~ f", "sigma": "~ w"}, holes)


def test_effects_are_sampled_and_the_reason_is_said() -> None:
    said = "'sigma' has a linear predictor of its own"
    model = bm.GLMM(BOTH, DATA)
    assert f"group effects are sampled: {said}" in str(model)
    with pytest.raises(bm.FitError, match=f"group_effects='integrated' is not possible.*{said}"):
        model.fit(group_effects="integrated")
    assert "no grouping factor" in str(bm.GLMM({"y": "y ~ x", "sigma": "~ x"}, DATA))
    counts = DATA.assign(y=np.arange(N) % 4)
    both = {"y": "y ~ x + (1 | g)", "zi": "~ x", "shape": "~ x"}
    said = str(bm.GLMM(both, counts, family="zero_inflated_negbinomial"))
    assert "'zi', 'shape' have linear predictors of their own" in said


REFUSED: list[tuple[Any, str, type[Exception], str]] = [
    ({"y": "y ~ x", "z": "z ~ x"}, "gaussian", bm.FormulaError, "models of several outcomes, which are not there"),
    ({"sigma": "~ x"}, "gaussian", bm.FormulaError, "none has a response left of its '~'"),
    ({}, "gaussian", bm.FormulaError, "none has a response"),
    ({"y": "y ~ x", "sigma": "sigma ~ x"}, "gaussian", bm.FormulaError, "nothing left of its '~': write"),
    ({"y": "y ~ x", "sigma": 1.0}, "gaussian", bm.FormulaError, "it is a dict of texts"),
    ({"y": "y ~ x", 1: "~ x"}, "gaussian", bm.FormulaError, "it is a dict of texts"),
    ({"y": "y ~ x", "nu": "~ x"}, "gaussian", bm.FormulaError, r"formula of 'nu'; parameters .* 'sigma'"),
    ({"y": "y ~ x", "sigma": "~ x"}, "poisson", bm.FormulaError, "that may have one: none"),
    ({"y": "y ~ x", "mu": "~ x"}, "gaussian", bm.FormulaError, "The formula under 'mu' is the outcome's"),
    ({"z": "y ~ x"}, "gaussian", bm.FormulaError, "its key is the response, 'y', or 'mu'"),
    ({"sigma": "y ~ x"}, "gaussian", bm.FormulaError, "begins with a ~"),
    ({"y": "y ~ x", "thresholds": "~ x"}, "cumulative", bm.FormulaError, "several numbers a draw"),
    ({"y": "y ~ x", "sigma": "~ y"}, "gaussian", bm.FormulaError, "it would explain itself"),
    ({"y": "y ~ x", "sigma": "~ q"}, "gaussian", bm.DataError, "'q'"),
    ({"y": "y ~ x", "sigma": "| weights(n) ~ x"}, "gaussian", bm.FormulaError, "several outcomes"),
    ({"y": "y | se(n) ~ x", "sigma": "~ x"}, "gaussian", bm.ModelError, r"se\(\) in .* takes its place"),
    ({**BOTH, "sigma": "~ (1 | q | g)"}, "gaussian", bm.FormulaError, "'p' .* stands in 'y ~ .* alone"),
    ({**BOTH, "sigma": "~ (1 | p | f)"}, "gaussian", bm.FormulaError, "alone"),
    ({**BOTH, "sigma": "~ (x || p | g)"}, "gaussian", bm.FormulaError, "Write one bar, or leave the mark out"),
    ({**BOTH, "sigma": "~ (1 | a b | g)"}, "gaussian", bm.FormulaError, "a mark is one word"),
    ({**BOTH, "sigma": "~ (1 | p | g) + (0 + x | p | g)"}, "gaussian", bm.FormulaError, "they are one block"),
    ("y ~ x + (1 | p | g)", "gaussian", bm.FormulaError, "alone"),
    ("bf(y ~ x, sigma ~ x)", "gaussian", bm.FormulaError, r"brms's bf\(\).*a dict here, .*'sigma': '~ x'\}"),
    ("y ~ x, sigma ~ x", "gaussian", bm.FormulaError, r"has 2 '~'.*a dict here, .*'sigma': '~ x'\}"),
]


@pytest.mark.parametrize(("formula", "family", "error", "said"), REFUSED)
def test_what_is_no_model_is_refused(formula: Any, family: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        bm.GLMM(formula, DATA, family=family)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"priors": {"sigma": 1.0}}, r"priors has 'sigma', which has a formula, .* 'sigma_Intercept', 'sigma_beta'"),
        ({"priors": {"cor_g": 2.0}}, "'across_cor_g'"),
        ({"priors": {"sigma_z": 2.0}}, "priors has 'sigma_z', which is no parameter"),
        ({"priors": {"sigma_sd_g": -1.0}}, "it must be a PyMC distribution"),
        ({"priors": {"across_cor_g": "a"}}, "the number eta of LKJ"),
        ({"link": {"sigma": "logit"}}, "The parameter 'sigma' does not take the link 'logit'; allowed are 'log'"),
        ({"link": {"nu": "log"}}, "the linear predictors of this model are those of 'mu', 'sigma'"),
        ({"link": {"mu": "logit"}}, "does not take link='logit'"),
    ],
)
def test_arguments_that_do_not_go_with_the_formulas_are_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(bm.ModelError, match=said):
        bm.GLMM(BOTH, DATA, **more)


def test_two_parameters_of_one_name_are_refused() -> None:
    with pytest.raises(bm.ModelError, match="two parameters that are called 'sigma_x'"):
        bm.GLMM({"y": "y ~ sigma_x", "sigma": "~ x"}, DATA.assign(sigma_x=DATA["x"]))


ORDERED = DATA.assign(y=np.resize([1, 2, 2, 3, 1, 3, 4], N), x=DATA["x"] - 1.0)
DISC = {"y": "y ~ x + (1 | p | g)", "disc": "~ 0 + x + (1 | p | g)"}


@pytest.mark.parametrize("link", ["logit", pytest.param("probit", marks=pytest.mark.evidence)])
def test_discrimination_multiplies_eta_and_thresholds(link: str) -> None:
    model = bm.GLMM(DISC, ORDERED, family="cumulative", link=link)
    pymc, names = model.pymc, ["beta", "b_g", "disc_beta", "disc_b_g", "thresholds"]
    of_rows = pymc.logp(vars=[pymc.observed_RVs[0]], sum=False)[0]
    beta, b, gamma, c, thresholds, _, log_p = function_of(pymc, names, of_rows)(point_of(pymc))
    x, codes, y = ORDERED["x"].to_numpy(), np.resize(np.arange(5), N), ORDERED["y"].to_numpy()
    disc = np.exp(gamma[0] * x + c[codes, 0])
    h = {"logit": stats.logistic, "probit": stats.norm}[link].cdf
    reached = h(disc[:, None] * (thresholds - (beta[0] * x + b[codes, 0])[:, None]))
    P = np.diff(np.column_stack([np.zeros(N), reached, np.ones(N)]), axis=1)
    np.testing.assert_allclose(log_p, np.log(P[np.arange(N), y - 1]), rtol=1e-9)


def scaled(draws: int = 3) -> bm.Posterior:
    rng = np.random.default_rng(8)
    sample = (1, draws)
    root = 0.6 * rng.normal(size=(*sample, 2, 2))
    return bm.from_draws(
        "y ~ x + (1 | g)",
        ORDERED,
        family="cumulative",
        beta=rng.normal(size=(*sample, 1)),
        b={"g": rng.normal(size=(*sample, 5, 1))},
        Sigma={"g": root @ np.swapaxes(root, -1, -2) + 0.1 * np.eye(2)},
        aux={"thresholds": np.broadcast_to([-1.0, 0.3, 1.5], (*sample, 3))},
        parts={
            "disc": {
                "formula": "~ 0 + x + (1 | g)",
                "beta": 0.4 * rng.normal(size=(*sample, 1)),
                "b": {"g": 0.3 * rng.normal(size=(*sample, 5, 1))},
            }
        },
    )


def test_probabilities_of_categories_are_averaged_over_both_predictors() -> None:
    post, row = scaled(), ORDERED.iloc[[4]]
    z = np.linspace(-9.0, 9.0, 361)
    u, v = np.meshgrid(z, z, indexing="ij")
    weight = np.exp(-0.5 * (u**2 + v**2))
    x, P = float(row["x"].iloc[0]), []
    for s in range(3):
        L = np.linalg.cholesky(post.across["g"].to_numpy()[0, s])
        eta = post.draws.beta[s, 0] * x + L[0, 0] * u
        disc = np.exp(post.parts["disc"].draws.beta[s, 0] * x + L[1, 0] * u + L[1, 1] * v)
        below = [stats.logistic.cdf(disc * (t - eta)) for t in post.draws.aux["thresholds"][s]]
        cuts = [(h * weight).sum() / weight.sum() for h in below]
        P.append(np.diff([0.0, *cuts, 1.0]))
    found = bm.predictions(post, row).estimate.to_numpy()[0].reshape(3, 4)
    np.testing.assert_allclose(found, P, rtol=1e-8)
    numbers = np.arange(1.0, 5.0)
    for target, values in (
        (bm.category(2), np.array(P)[:, 1]),
        (bm.top(2), np.array(P)[:, 2:].sum(axis=1)),
        (bm.exceeds(1), np.array(P)[:, 1:].sum(axis=1)),
        (bm.score(), P @ numbers),
        (bm.sd(), np.sqrt(P @ numbers**2 - (P @ numbers) ** 2)),
    ):
        one = bm.predictions(post, row, target=target).estimate.to_numpy().ravel()
        np.testing.assert_allclose(one, values, rtol=1e-8)
    assert bm.predictions(post, row, target=bm.quantile(0.5)).estimate.isin([1, 2, 3, 4]).all()


def test_own_groups_have_their_own_discrimination(tmp_path: Path) -> None:
    post = scaled()
    own = bm.predictions(post, groups="own").estimate.to_numpy()[0]
    x, codes = ORDERED["x"].to_numpy(), post.design.factors["g"].codes
    eta, disc = post.linear_predictor(), np.exp(post.parts["disc"].linear_predictor())
    assert eta.shape == (3, N)
    np.testing.assert_allclose(np.log(disc[0]), post.parts["disc"].draws.beta[0, 0] * x
                               + post.parts["disc"].draws.b["g"][0, codes, 0], rtol=1e-12)  # fmt: skip
    reached = stats.logistic.cdf(disc[..., None] * (np.array([-1.0, 0.3, 1.5]) - eta[..., None]))
    P = np.diff(np.concatenate([np.zeros((3, N, 1)), reached, np.ones((3, N, 1))], axis=2), axis=2)
    # Differences of numbers near 1 have no more digits than that.
    assert own.shape == (3, 4, N)
    np.testing.assert_allclose(np.moveaxis(own, 1, 2), P, rtol=1e-10, atol=1e-15)
    log_p = post.log_likelihood()["y"].to_numpy()[0]
    np.testing.assert_allclose(np.exp(log_p), P[:, np.arange(N), ORDERED["y"] - 1], rtol=1e-10, atol=1e-15)
    post.save(tmp_path / "disc.nc")
    assert bm.load(tmp_path / "disc.nc").fingerprint == post.fingerprint


def test_discrimination_has_no_constant() -> None:
    for right in ("~ x", "~ 0 + f", "~ 1"):
        with pytest.raises(bm.FormulaError, match=r"have a constant, or add up to one.*'~ 0 . x'"):
            bm.GLMM({"y": "y ~ x", "disc": right}, ORDERED, family="cumulative")
    with pytest.raises(bm.FormulaError, match="parameters of family='sequential' that may have one: none"):
        bm.GLMM(DISC, ORDERED, family="sequential")
    assert "disc" not in str(bm.GLMM("y ~ x", ORDERED, family="cumulative"))


@pytest.fixture(scope="module")
def fitted() -> bm.Posterior:
    rng = np.random.default_rng(11)
    g = np.repeat(np.arange(12), 12)
    b = rng.multivariate_normal([0.0, 0.0], [[0.64, 0.24], [0.24, 0.16]], 12)
    data = pd.DataFrame({"x": rng.normal(size=len(g)), "g": g})
    data["y"] = rng.normal(1.0 + 0.5 * data["x"] + b[g, 0], np.exp(-0.3 + 0.4 * data["x"] + b[g, 1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bm.GLMM(BOTH, data).fit(draws=400, chains=2, random_seed=4, progressbar=False, ess=None)


@pytest.mark.evidence
@pytest.mark.sampling
def test_a_fit_recovers_what_made_the_data_and_knows_its_model(fitted: bm.Posterior, tmp_path: Path) -> None:
    truth = {"beta": [1.0, 0.5], "sigma_beta": [-0.3, 0.4], "sd_g": [0.8], "sigma_sd_g": [0.4], "across_cor_g": [0.75]}
    for name, values in truth.items():
        draws = fitted.parameters[name].to_numpy().reshape(800, -1)
        assert (np.abs(draws.mean(axis=0) - values) < 4.0 * draws.std(axis=0)).all()
    assert fitted.info["group_effects"] == "sampled"
    assert fitted.info["parametrisation"] == "non-centred"
    assert set(fitted.log_prior().data_vars) == {
        *("Intercept", "beta", "sd_g", "sigma_Intercept", "sigma_beta", "sigma_sd_g", "across_cor_g")
    }
    y = fitted.design.response.y
    at = fitted.linear_predictor(), np.exp(fitted.parts["sigma"].linear_predictor())
    expected = stats.norm.logpdf(y, *at)
    np.testing.assert_allclose(fitted.log_likelihood()["y"].to_numpy().reshape(800, -1), expected, rtol=1e-10)
    path = bm.report(fitted, bm.avg_comparisons(fitted, "x"), tmp_path / "page.md")
    page = path.read_text(encoding="utf-8")
    for line in ("'sigma': '~ x + (1 | p | g)',", "link={'mu': 'identity', 'sigma': 'log'},", "sigma_beta ~ Normal"):
        assert line in page


@pytest.mark.evidence
@pytest.mark.sampling
def test_a_fit_recovers_a_precision_that_differs_between_groups() -> None:
    rng, groups, rows = np.random.default_rng(13), 40, 12
    g, x = np.repeat(np.arange(groups), rows), rng.normal(size=groups * rows)
    b, c = 0.6 * rng.normal(size=groups), 0.5 * rng.normal(size=groups)
    mu, phi = special.expit(-0.4 + 0.7 * x + b[g]), np.exp(2.0 + 0.4 * x + c[g])
    data = pd.DataFrame({"y": rng.beta(mu * phi, (1.0 - mu) * phi), "x": x, "g": g})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = bm.GLMM({"y": "y ~ x + (1 | g)", "phi": "~ x + (1 | g)"}, data, family="beta")
        post = model.fit(chains=2, random_seed=1, progressbar=False, ess=None)
    truth = {"beta": [-0.4, 0.7], "sd_g": [0.6], "phi_beta": [2.0, 0.4], "phi_sd_g": [0.5]}
    for name, values in truth.items():
        draws = post.parameters[name].to_numpy().reshape(-1, len(values))
        assert (np.abs(draws.mean(axis=0) - values) < 4.0 * draws.std(axis=0)).all()
    scatter = bm.avg_predictions(post, target=bm.sd(), groups="own")["estimate"].mean()
    wanted = np.sqrt(mu * (1.0 - mu) / (1.0 + phi)).mean()
    assert float(scatter) == pytest.approx(wanted, rel=0.05)


def test_brms_id_is_a_mark() -> None:
    """``gr(g, id = p)`` says what ``(1 | p | g)`` says."""
    data = pd.DataFrame({"y": np.arange(8.0), "g": list("aabbccdd")})
    model = bm.GLMM({"y": "y ~ 1 + (1 | gr(g, id = p))", "sigma": "~ 1 + (1 | gr(g, id = p))"}, data)
    assert "across_cor_g ~ LKJ(eta=2), of Intercept, sigma_Intercept" in str(model)
    with pytest.raises(bm.FormulaError, match="The mark 'p' of the effects of 'g' stands in"):
        bm.GLMM("y ~ 1 + (1 | gr(g, id = p))", data)
