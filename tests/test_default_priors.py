"""Recoding changes no default prior: shift and unit of a covariate, contrasts, intercept or none, order of terms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmargins as bm


def _data() -> pd.DataFrame:
    """Calendar years, a temperature near 300 K, three arms, and a response far from zero."""
    rng = np.random.default_rng(3)
    n, G = 240, 24
    d = pd.DataFrame(
        {
            "year": np.tile(np.arange(2005, 2015), n // 10),
            "trt": np.repeat(["c", "t"], n // 2),
            "f": rng.choice(["a", "b", "c"], n),
            "g": np.repeat([f"u{i}" for i in range(G)], n // G),
            "T": rng.normal(293.2, 4, n).round(2),
            "z": rng.normal(7.4, 0.1, n),
        }
    )
    d["y"] = 1000 + 0.3 * (d.year - 2010) * (d.trt == "t") + rng.normal(size=n)
    d["k"] = rng.poisson(3, n)
    return d.assign(
        yc=d.year - 2010.0, days=365.25 * d.year, cel=d["T"] - 273.15, zs=(d.z - 7) * 10, n01=(d.y > d.y.median()) * 1
    )


DATA = _data()

RECODINGS = {
    "shift, in an interaction": ("y ~ year * trt + (1 | g)", "y ~ yc * trt + (1 | g)"),
    "shift, under a random slope": ("y ~ year + (1 + year | g)", "y ~ yc + (1 + yc | g)"),
    "unit": ("y ~ days + (1 + days | g)", "y ~ yc + (1 + yc | g)"),
    "powers": ("y ~ year + I(year**2) + (1 | g)", "y ~ yc + I(yc**2) + (1 | g)"),
    "raw and orthogonal polynomial": ("y ~ cel + I(cel**2) + I(cel**3) + (1 | g)", "y ~ poly(T, 3) + (1 | g)"),
    "no intercept": ("y ~ 0 + f + (0 + f | g)", "y ~ f + (f | g)"),
    "slopes within arms": ("y ~ 0 + trt + trt:year + (1 | g)", "y ~ trt * yc + (1 | g)"),
    "contrasts": ("y ~ C(f, contr.sum) * T + (C(f, contr.sum) | g)", "y ~ f * cel + (f | g)"),
    "contrasts of Helmert": ("y ~ C(f, contr.helmert) + (1 | g)", "y ~ f + (1 | g)"),
    "nested and crossed": ("y ~ trt + trt:f + (1 | g)", "y ~ trt * f + (1 | g)"),
    "order of terms": ("y ~ z:year + year + z + (z + f + year | g)", "y ~ zs * yc + (yc + zs + f | g)"),
    "logit": ("n01 ~ year * trt + (1 + year | g)", "n01 ~ yc * trt + (1 + yc | g)"),
    "log": ("k ~ 0 + trt + trt:T + (1 + T + f | g)", "k ~ trt * cel + (1 + cel + f | g)"),
}
FAMILY = {"y": "gaussian", "n01": "bernoulli", "k": "poisson"}


def _model(formula: str, **priors: Any) -> bm.GLMM:
    return bm.GLMM(formula, DATA, FAMILY[formula.split()[0]], priors=priors or None)


def _second_moments(model: bm.GLMM) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and covariance of X beta and E[Z Sigma Z'] at the rows, read off the PyMC model itself.

    beta is linear in its free variables, b in z, and the root mean square of the scales is what `sd` prints.
    """
    pymc = model.pymc
    free = {v.name: v for v in pymc.free_RVs}
    base = {name: np.zeros(tuple(v.shape.eval())) for name, v in free.items()}
    prior = model.priors
    for name, value in base.items():
        kind = name.split("_")[0]
        if kind == "sd":
            value += prior["sd_g"].parameters["sigma"]
        elif kind == "partial":
            value += 0.5  # no correlation
        elif kind == "squares":
            value += len(value)  # a Gaussian root of the identity
    outputs = [pymc["beta"], pymc["b_g"]]
    function = pymc.compile_fn(
        outputs, inputs=list(free.values()), point_fn=False, on_unused_input="ignore", mode="FAST_COMPILE"
    )

    def at(**changed: np.ndarray) -> list[np.ndarray]:
        return function(*({**base, **changed}[name] for name in free))

    rows = model.design.rows(DATA)
    mean, columns = np.zeros(len(DATA)), []
    if "Intercept" in prior:
        located, sized = (
            at(Intercept_centred=np.asarray(prior["Intercept"].parameters[p]))[0] for p in ("mu", "sigma")
        )
        mean, columns = rows.X @ located, [sized]
    size = prior["beta"].parameters["sigma"]
    columns += [at(directions=size * e)[0] for e in np.eye(len(base["directions"]))]
    B = at(z_g=np.eye(*base["z_g"].shape))[1][: base["z_g"].shape[1]]  # row k: B e_k
    beta, eta = np.array(columns).T, rows.Z["g"] @ B.T
    return mean, rows.X @ beta @ beta.T @ rows.X.T, eta @ eta.T


@pytest.mark.parametrize("name", RECODINGS)
def test_recoding_changes_no_default_prior_of_the_linear_predictor(name: str) -> None:
    one, other = (_second_moments(_model(f)) for f in RECODINGS[name])
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9 * np.abs(b).max(), rtol=0)


def test_covariance_of_the_fixed_part_is_that_of_the_projection_on_its_columns() -> None:
    """2.5² unit² for the mean, and 2.5² unit² n P: P projects on the centred columns (Zellner 1986), here by pinv."""
    _, cov, _ = _second_moments(_model("y ~ year * trt + (1 | g)"))
    columns = np.column_stack([DATA.yc, DATA.trt == "t", DATA.yc * (DATA.trt == "t")]).astype(float)
    columns -= columns.mean(axis=0)
    P = columns @ np.linalg.pinv(columns)
    np.testing.assert_allclose(cov, (2.5 * DATA.y.std(ddof=0)) ** 2 * (1 + len(DATA) * P), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("formula", ["y ~ f + (f | g)", "y ~ f + (C(f, contr.sum) | g)", "y ~ f + (0 + f | g)"])
def test_spread_of_a_covariance_does_not_know_a_rotation(formula: str) -> None:
    """E[(z' Sigma z)²] of each level: with a root T of q x q normals it is E[|D w|⁴] (1 + 2 / q), D half-normal, and a
    level's w in orthonormal coordinates has one length beside the constant, (1 - p) / p for a level of share p."""
    model = _model(formula)
    prior = model.prior(draws=5_000, random_seed=4)
    Sigma = prior.Sigma["g"].to_numpy()[0]
    rows = model.design.rows(DATA)
    size = (2.5 * DATA.y.std(ddof=0)) ** 2
    for level in "abc":
        z = rows.Z["g"][(DATA.f == level).to_numpy()][0]
        square = (np.einsum("i,kij,j->k", z, Sigma, z) / size) ** 2
        p = (DATA.f == level).mean()
        w = (1 - p) / p
        expected = (3 + 2 * w + 3 * w**2) * (1 + 2 / 3)
        assert square.mean() == pytest.approx(expected, abs=4 * square.std() / np.sqrt(len(square)))


def test_standard_deviations_may_be_near_zero() -> None:
    """A product of a half-normal and a chi variable has a density above 0 at 0: nothing repels from no variance."""
    prior = _model("y ~ f + (f | g)").prior(draws=5_000, random_seed=5)
    sd = np.sqrt(prior.Sigma["g"].to_numpy()[0, :, 1, 1]) / (2.5 * DATA.y.std(ddof=0))
    near = np.array([(sd < c).mean() / c for c in (0.05, 0.1, 0.2)])
    assert near.min() > 0.5 * near.max() > 0.1


@pytest.mark.usefixtures("uncompiled")
def test_gaussian_root_has_the_wishart_distribution() -> None:
    """With D divided out, the diagonal of q Sigma is chi-squared with q degrees of freedom, and its correlations are
    those of Wishart(q): (1 + r) / 2 is Beta((q - 1) / 2, (q - 1) / 2)."""
    import pymc as pm

    model = _model("y ~ f + (0 + z + year + T | g)")
    scale, cor, sd = pm.draw([model.pymc[n] for n in ("sd_centred_g", "cor_g", "sd_g")], draws=4000, random_seed=1)
    part = model.groups["g"]
    R = np.ones((4000, 3, 3))
    for k, (i, j) in enumerate([(0, 1), (0, 2), (1, 2)]):
        R[:, i, j] = R[:, j, i] = cor[:, k]
    inverse = np.linalg.inv(part.B)
    root = inverse @ (sd[:, :, None] * R * sd[:, None, :]) @ inverse.T / scale[:, :, None] ** 2
    for i in range(3):
        assert stats.kstest(3 * root[:, i, i], stats.chi2(3).cdf).pvalue > 1e-3
    r = root[:, 0, 1] / np.sqrt(root[:, 0, 0] * root[:, 1, 1])
    assert stats.kstest((r + 1) / 2, stats.beta(1, 1).cdf).pvalue > 1e-3


@pytest.mark.usefixtures("uncompiled")
def test_two_dependent_columns_have_a_proper_prior_and_leave_the_others_alone() -> None:
    with pytest.warns(bm.BayesmarginsWarning, match="have rank 3"):
        dependent = _model("y ~ trt + T + cel + (1 | g)")
    with pytest.warns(bm.BayesmarginsWarning, match="have rank 3"):
        prior = bm.GLMM("y ~ trt + T + cel + (1 | g)", DATA).prior(draws=2000, random_seed=1)
    a, b = _second_moments(dependent), _second_moments(_model("y ~ trt + cel + (1 | g)"))
    np.testing.assert_allclose(a[1], b[1], atol=1e-9 * b[1].max(), rtol=0)
    assert (prior.beta.std(["chain", "draw"]) > 0).all()


def test_uncentred_powers_are_not_called_dependent() -> None:
    _model("y ~ year + I(year**2) + I(year**3) + (1 | g)")


@pytest.mark.parametrize(
    ("formula", "response"),
    [
        ("y ~ 0 + T + (1 | g)", "y"),
        ("y ~ year * trt + I(year**2) + (1 | g)", "y"),
        ("y ~ 0 + f + f:z + (1 | g)", "y"),
        ("y ~ bs(T, df=6) * f + (1 | g)", "y"),
    ],
)
def test_least_squares_lie_within_three_prior_standard_deviations(formula: str, response: str) -> None:
    """In every direction: (estimate - mean)' cov⁻¹ (estimate - mean) is that of the worst one."""
    model = _model(formula)
    mean, cov, _ = _second_moments(model)
    X = model.design.rows(DATA).X
    fitted = X @ np.linalg.lstsq(X, DATA[response].to_numpy(), rcond=None)[0]
    assert np.sqrt((fitted - mean) @ np.linalg.pinv(cov, rcond=1e-10, hermitian=True) @ (fitted - mean)) < 3


EXAMPLES = {
    "bacteria": ("yb ~ trt * week", "bernoulli"),
    "epil": ("y ~ lbase * trt + lage + period", "poisson"),
    "sleepstudy": ("Reaction ~ Days + I(Days**2)", "gaussian"),
    "toenail": ("bad ~ treatment * time", "bernoulli"),
    "cbpp": ("incidence | trials(size) ~ period", "binomial"),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_maximum_likelihood_of_the_data_sets_lies_within_three_prior_standard_deviations(name: str) -> None:
    import statsmodels.api as sm

    data = bm.load_dataset(name)
    formula, family = EXAMPLES[name]
    model = bm.GLMM(formula, data, family)
    rows, response = model.design.rows(data), model.design.response
    families = {"bernoulli": sm.families.Binomial, "binomial": sm.families.Binomial, "poisson": sm.families.Poisson}
    y = response.y if response.n is None else np.column_stack([response.y, response.n - response.y])
    estimate = sm.GLM(y, rows.X, families.get(family, sm.families.Gaussian)()).fit().params
    centre = model.priors["Intercept"].parameters
    means, cov = model.predictors["mu"].fixed.implied(
        (centre["mu"], centre["sigma"]), model.priors["beta"].parameters["sigma"]
    )
    apart = estimate - means
    assert np.sqrt(apart @ np.linalg.solve(cov, apart)) < 3


@pytest.mark.usefixtures("uncompiled")
def test_a_prior_of_the_users_own_is_of_the_column_as_written() -> None:
    """It leaves before the rest is made orthonormal: the prior of the rest is that of a model without the column."""
    import pymc as pm

    own = _model("y ~ year + trt + z + (1 + year | g)", year=pm.Normal.dist(0.5, 0.1))
    prior = own.prior(draws=4000, random_seed=1)
    assert stats.kstest(prior.beta.sel(coef="year").to_numpy()[0], stats.norm(0.5, 0.1).cdf).pvalue > 1e-3
    rest = _model("y ~ trt + z + (1 | g)")
    wanted = rest.predictors["mu"].fixed.implied((0.0, 0.0), 1.0)[1][1:, 1:]
    np.testing.assert_allclose(own.predictors["mu"].fixed.implied((0.0, 0.0), 1.0)[1][1:, 1:], wanted, rtol=1e-10)
    centred = prior.beta.to_numpy()[0] @ own.design.rows(DATA).X.mean(axis=0)
    stated = own.priors["Intercept"].parameters
    assert stats.kstest(centred, stats.norm(stated["mu"], stated["sigma"]).cdf).pvalue > 1e-3


@pytest.mark.usefixtures("uncompiled")
def test_default_of_the_rest_does_not_know_where_the_users_column_is_zero() -> None:
    """A prior for the interaction alone: the prior of the linear predictor is the same in calendar years."""
    import pymc as pm

    found = []
    for name in ("year", "yc"):
        model = _model(f"y ~ {name} * trt + (1 | g)", **{f"{name}:trt[t]": pm.Normal.dist(0, 0.5)})
        prior = model.prior(draws=200, random_seed=1)
        found.append(bm.predictions(prior, DATA.iloc[::16], groups="zero", target="link")["estimate"].to_numpy())
    np.testing.assert_allclose(*found, rtol=1e-9)


@pytest.mark.parametrize(
    ("given", "about"), [("beta", "Coefficients"), ("cor", "Group effects of 'g'"), ("sd_g", "Group effects of 'g'")]
)
def test_priors_about_effects_far_from_the_data_are_warned_of(given: str, about: str) -> None:
    import pymc as pm

    own = {"beta": pm.Normal.dist(0, 1), "cor": 4.0, "sd_g": pm.Exponential.dist(1)}[given]
    with pytest.warns(bm.BayesmarginsWarning, match=f"{about}.*nearly combinations of others.*Centre the covariate"):
        _model("y ~ year * trt + (1 + year | g)", **{given: own})
    _model("y ~ yc * trt + (1 + yc | g)", **{given: own})


def test_a_prior_of_a_standard_deviation_allows_no_negative_values() -> None:
    import pymc as pm

    for name in ("sd", "sd_g", "sigma"):
        with pytest.raises(bm.ModelError, match=r"is StudentT, which allows negative values.*HalfStudentT"):
            _model("y ~ yc + (1 | g)", **{name: pm.StudentT.dist(nu=3, sigma=1)})


@pytest.mark.parametrize("given", ["sd", "sd_g", "cor", "cor_g"])
def test_a_prior_of_the_users_own_for_group_effects_restores_the_users_coordinates(given: str) -> None:
    import pymc as pm

    own = pm.HalfNormal.dist(2) if given.startswith("sd") else 2.0
    model = _model("y ~ yc + (1 + yc | g)", **{given: own})
    sd, cor = pm.draw([model.pymc["sd_g"], model.pymc["cor_g"]], draws=4000, random_seed=1)
    assert stats.kstest((cor[:, 0] + 1) / 2, stats.beta(2, 2).cdf).pvalue > 1e-3
    unit = 2.5 * DATA.y.std(ddof=0)
    sizes = (
        [2, 2]
        if given.startswith("sd")
        else [unit * np.hypot(1, 0.5 / DATA.yc.std(ddof=0)), unit / DATA.yc.std(ddof=0)]
    )
    for j in range(2):
        assert stats.kstest(sd[:, j], stats.halfnorm(scale=sizes[j]).cdf).pvalue > 1e-3


def test_a_constant_that_the_columns_span_may_have_a_prior() -> None:
    import pymc as pm

    for formula in ("y ~ f + (1 | g)", "y ~ 0 + f + (1 | g)"):
        assert "Intercept" in _model(formula, Intercept=pm.Normal.dist(5, 1)).priors
    with pytest.raises(bm.ModelError, match="do not add up to a constant"):
        _model("y ~ 0 + T + (1 | g)", Intercept=pm.Normal.dist(5, 1))


@pytest.mark.usefixtures("uncompiled")
def test_print_shows_what_is_implied_for_each_coefficient() -> None:
    model = _model("y ~ 0 + trt + trt:year + (1 + year | g)")
    text = str(model)
    prior = model.prior(draws=4000, random_seed=1)
    for name in model.design.coef:
        line = next(line for line in text.splitlines() if line.strip().startswith(f"{name} ~"))
        mu, sigma = (float(part.split("=")[1].rstrip(")")) for part in line.split("Normal(")[1].split(", "))
        draws = prior.beta.sel(coef=name).to_numpy()[0]
        assert stats.kstest(draws, stats.norm(mu, sigma).cdf).pvalue > 1e-4
    for term in ("Intercept", "year"):
        line = next(line for line in text.splitlines() if f"sd of {term}:" in line)
        size = np.sqrt((prior.Sigma["g"].sel(g_term=term, g_term2=term)).mean())
        assert float(line.split()[-1]) == pytest.approx(float(size), rel=0.05)


@pytest.mark.parametrize("unit", [1e-300, 1e-150, 1e150, 1e200])
@pytest.mark.parametrize("formula", ["y ~ x + (1 + x | g)", "y ~ x + (0 + x | g)", "y ~ 0 + x + (x || g)"])
def test_default_prior_of_the_slopes_is_proper_in_any_unit(formula: str, unit: float) -> None:
    one, other = (bm.GLMM(formula, DATA.assign(x=DATA.z * u)).priors["sd_g"] for u in (1.0, unit))
    per_unit = np.array(other.parameters["sigma"], ndmin=1)
    per_unit[-1] *= unit if "1 + x" not in formula else 1.0  # recoded terms have no unit
    np.testing.assert_allclose(per_unit, np.array(one.parameters["sigma"], ndmin=1), rtol=1e-9)
