"""`s(x)` and `t2(x, z)`: against SciPy's smoothing spline, and what the model says of their bend."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from interpreted import interpreted
from scipy import stats
from scipy.interpolate import make_smoothing_spline

import bayesmargins as bm
from bayesmargins.design import build_design
from bayesmargins.family import Outcome
from bayesmargins.model.bends import with_known_bends


def rows(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"x": rng.uniform(2, 9, n), "z": rng.normal(size=n), "f": rng.choice(["a", "b"], n)})
    return data.assign(g=np.arange(n) % 6, y=np.sin(data["x"]) + 0.3 * rng.normal(size=n))


def estimates(result: Any) -> np.ndarray:
    return np.asarray(result["estimate"].to_numpy())


def drawn(formula: str, family: str = "gaussian") -> bm.Posterior:
    data = rows() if family == "gaussian" else rows().assign(y=lambda d: (d["y"] > 0).astype(int))
    beta = np.random.default_rng(3).normal(size=(1, 12, len(build_design(formula, data).coef)))
    return bm.from_draws(formula, data, family=family, beta=beta, Sigma={"g": np.ones((1, 12, 1, 1))})


def bend(design: Any) -> np.ndarray:
    """The integral of the squared second derivative, (column, column), by the columns' values at many points."""
    x = design.data["x"]
    at = np.linspace(x.min(), x.max(), 200_001)
    curve = design.rows(pd.DataFrame({"x": at}), (), what="data").X
    second = np.diff(curve, 2, axis=0) / (at[1] - at[0]) ** 2
    return second.T @ second * (at[1] - at[0])


@pytest.mark.parametrize("penalty", [0.01, 1.0, 50.0])
def test_the_penalised_fit_is_scipys_smoothing_spline(penalty: float) -> None:
    """With a knot at every value: the same function, its derivative, and the same straight lines beyond the data."""
    data = rows().sort_values("x", ignore_index=True)
    design = build_design("y ~ s(x, k=60)", data)
    X, unit = design.rows(data).X, bend(build_design("y ~ s(x, k=6)", data))
    # columns have the penalty of their squares, whatever the knots: six show it, and its factor follows from one
    np.testing.assert_allclose(unit[2:, 2:], unit[2, 2] * np.eye(4), atol=2e-4 * unit[2, 2])
    line = design.fixed.spec.transform_state["s(x, k=60)"]["line"]
    h = np.diff(line.knots) * line.length
    B = np.diag((h[:-1] + h[1:]) / 3) + np.diag(h[1:-1] / 6, 1) + np.diag(h[1:-1] / 6, -1)
    P = line.turn.T @ B @ line.turn / line.length**4
    found = np.linalg.solve(X.T @ X + penalty * np.pad(P, ((2, 0), (2, 0))), X.T @ data["y"])
    reference = make_smoothing_spline(data["x"], data["y"], lam=penalty)
    at = pd.DataFrame({"x": np.linspace(2.2, 8.8, 40)})
    np.testing.assert_allclose(design.rows(at).X @ found, reference(at["x"]), rtol=0, atol=1e-8)
    post = bm.from_draws("y ~ s(x, k=60)", data, family="gaussian", beta=np.tile(found, (1, 2, 1)))
    slopes = estimates(bm.slopes(post, "x", newdata=at))[0, 0, 0]
    # next to one of 60 knots, where the third derivative jumps, steps agree to that
    np.testing.assert_allclose(slopes, reference(at["x"], nu=1), rtol=0, atol=1e-6)
    far = pd.DataFrame({"x": [-5.0, 0.0, 1.0, 10.0, 20.0, 40.0]})
    ends = reference.t[[0, -1]]
    end = ends[(far["x"] > 5.0).astype(int)]
    straight = reference(end) + reference(end, nu=1) * (far["x"] - end)
    np.testing.assert_allclose(design.rows(far).X @ found, straight, rtol=1e-6)


def test_fewer_knots_have_the_penalty_of_their_squares() -> None:
    """By second differences of the columns: every column bends as much, and no two bend together."""
    of = bend(build_design("y ~ s(x)", rows()))
    np.testing.assert_allclose(of[2:, 2:] / of[2, 2], np.eye(8), atol=2e-3)
    np.testing.assert_allclose(of[:2], 0.0, atol=1e-6 * of[2, 2])


@pytest.mark.parametrize("formula", ["y ~ s(x)", "y ~ s(x, by=f) + f", "y ~ s(x, by=z)", "y ~ t2(x, z)"])
def test_units_and_the_order_of_rows_change_no_column(formula: str) -> None:
    data = rows()
    X = build_design(formula, data).rows(data).X
    moved = data.assign(x=lambda d: 1000 * d["x"] - 7)
    np.testing.assert_allclose(build_design(formula, moved).rows(moved).X, X, atol=1e-10)
    order = np.random.default_rng(2).permutation(len(data))
    shuffled = data.iloc[order].reset_index(drop=True)
    np.testing.assert_allclose(build_design(formula, shuffled).rows(shuffled).X, X[order], atol=1e-10)
    np.testing.assert_array_equal(build_design(formula, data).rows(data.iloc[[5, 9]]).X, X[[5, 9]])


def test_bent_columns_of_a_row_have_squares_that_add_up_to_one_on_average() -> None:
    """So their standard deviation is how far the function strays from a straight line, in units of eta."""
    X = build_design("y ~ s(x)", rows()).rows(rows()).X
    assert (X[:, 2:] ** 2).sum(axis=1).mean() == pytest.approx(1.0)
    np.testing.assert_allclose(X[:, :2].T @ X[:, 2:], 0.0, atol=1e-10)
    T = build_design("y ~ t2(x, z)", rows())
    X = T.rows(rows()).X
    for term in T.fixed.penalised:
        block = X[:, [T.coef.index(c) for c in term.columns]]
        assert (block**2).sum(axis=1).mean() == pytest.approx(1.0)
        np.testing.assert_allclose(X[:, :4].T @ block, 0.0, atol=1e-9)


def test_a_surface_has_every_product_of_the_two_splines() -> None:
    data = rows()
    surface = build_design("y ~ t2(x, z)", data).rows(data).X
    one, other = (build_design(f"y ~ s({v}, k=5)", data).rows(data).X for v in "xz")
    products = (one[:, :, None] * other[:, None, :]).reshape(len(data), -1)
    assert surface.shape[1] == products.shape[1] == 25
    away = np.linalg.lstsq(surface, products, rcond=None)[0]
    np.testing.assert_allclose(surface @ away, products, atol=1e-8)
    names = [t.name for t in build_design("y ~ t2(x, z)", data).fixed.penalised]
    assert names == ["t2(x, z)[1]", "t2(x, z)[2]", "t2(x, z)[3]"]


def test_each_level_has_a_smooth_of_its_own_and_a_number_multiplies_one() -> None:
    data = rows()
    design = build_design("y ~ f + s(x, by=f, k=5)", data)
    assert [t.name for t in design.fixed.penalised] == ["s(x, by=f, k=5)[a]", "s(x, by=f, k=5)[b]"]
    alone, X = build_design("y ~ s(x, k=5)", data).rows(data).X[:, 1:], design.rows(data).X
    np.testing.assert_allclose(X[:, 2:6], alone * (data["f"] == "a").to_numpy()[:, None], atol=1e-12)
    times = build_design("y ~ s(x, by=z, k=5)", data).rows(data).X[:, 1:]
    np.testing.assert_allclose(times, np.column_stack([np.ones(60), alone]) * data[["z"]].to_numpy(), atol=1e-12)


@pytest.mark.parametrize("formula", ["y ~ s(x) + (1 | g)", "y ~ t2(x, z) + (1 | g)", "y ~ s(x, by=z) + (1 | g)"])
def test_slopes_are_those_of_finite_differences(formula: str) -> None:
    post, at = drawn(formula, "bernoulli"), rows().iloc[:8]
    step = 1e-4
    low, high = (estimates(bm.predictions(post, newdata=at.assign(x=at["x"] + d))) for d in (-step, step))
    slopes = estimates(bm.slopes(post, "x", newdata=at))[:, :, 0]
    np.testing.assert_allclose(slopes, (high - low) / (2 * step), rtol=0, atol=1e-6)


def test_a_smooth_is_at_its_fitted_value_whatever_is_done_with_groups() -> None:
    post = drawn("y ~ s(x) + (1 | g)")
    eta = post.draws.beta @ post.design.rows(post.design.data).X.T
    for groups in ("new", "zero"):  # the mean of a linear link
        np.testing.assert_allclose(estimates(bm.predictions(post, groups=groups))[0], eta, rtol=1e-10, atol=1e-12)


def test_the_density_of_each_model_is_that_of_the_formula_written_out() -> None:
    """In distances from where the rows expect the bend, and as standard normal ones: the same posterior."""
    data = rows()
    model = bm.GLMM("y ~ s(x, k=6)", data, priors={"sigma": 0.4})
    fits = model.pymc_for("sampled")
    columns = [k for k, c in enumerate(model.design.coef) if c in model.design.structured]
    outcome = Outcome.of(model.design.response)
    of = (model.predictors["mu"], model.family, outcome, model.priors)
    known = with_known_bends(*of).bends["s(x, k=6)"]
    for pymc in (model.pymc, fits):
        rng = np.random.default_rng(4)
        values = {n: np.asarray(v) + 0.3 * rng.normal(size=np.shape(v)) for n, v in pymc.initial_point().items()}
        named = pymc.replace_rvs_by_values([pymc["beta"], pymc["sd_s(x, k=6)"]])
        asked = [pymc.logp(jacobian=False), *named]
        density, beta, sd = pymc.compile_fn(asked, inputs=pymc.value_vars, mode=interpreted())(values)
        eta = model.design.rows(data).X @ beta
        centre, of_sd = model.priors["Intercept"].parameters, model.priors["sd_s(x, k=6)"].parameters
        gamma, scale = values["directions"], model.priors["beta"].parameters["sigma"]
        expected = stats.norm.logpdf(data["y"], eta, 0.4).sum() + stats.halfnorm.logpdf(sd, scale=of_sd["sigma"])
        expected += stats.norm.logpdf(eta.mean(), centre["mu"], centre["sigma"])
        expected += stats.norm.logpdf(gamma, 0.0, scale).sum()
        expected += stats.norm.logpdf(beta[columns], 0.0, sd).sum()
        # the volume of the coordinates: z sd, or z in standard deviations given sd
        if pymc is model.pymc:
            expected += len(columns) * np.log(sd)
        else:
            expected -= 0.5 * np.log(known.precision + sd**-2.0).sum()
        assert float(density) == pytest.approx(float(expected), rel=1e-10)


@pytest.mark.usefixtures("uncompiled")
def test_draws_of_the_prior_and_their_file(tmp_path: Path) -> None:
    model = bm.GLMM("y ~ s(x, k=5) + (1 | g)", rows())
    assert "sd_s(x, k=5) ~ HalfNormal" in str(model)
    prior = model.prior(draws=300, random_seed=1)
    sd = prior.parameters["sd_s(x, k=5)"].to_numpy()[0]
    z = prior.beta.sel(coef=[f"s(x, k=5)[{k}]" for k in (1, 2, 3)]).to_numpy()[0] / sd[:, None]
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4
    assert stats.kstest(sd / model.priors["sd_s(x, k=5)"].parameters["sigma"], "halfnorm").pvalue > 1e-4
    prior.save(tmp_path / "prior.nc")
    again = bm.load(tmp_path / "prior.nc")
    np.testing.assert_array_equal(again.smooth_sd["s(x, k=5)"], prior.smooth_sd["s(x, k=5)"])
    at = pd.DataFrame({"x": [3.0, 8.0]})
    np.testing.assert_array_equal(
        estimates(bm.slopes(again, "x", newdata=at)), estimates(bm.slopes(prior, "x", newdata=at))
    )


def test_a_prior_of_the_users_own_is_of_the_standard_deviation() -> None:
    import pymc as pm

    half = pm.Exponential.dist(2.0)
    model = bm.GLMM("y ~ s(x)", rows(), priors={"sd_s(x)": half, "beta": pm.Normal.dist(0.0, 3.0)})
    assert model.priors["sd_s(x)"] is half
    with pytest.raises(bm.ModelError, match=r"'s\(x\)\[1\]', which is no parameter"):
        bm.GLMM("y ~ s(x)", rows(), priors={"s(x)[1]": half})


def test_bends_that_the_rows_cannot_tell_apart_are_no_dependent_columns() -> None:
    few = rows(8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        design = build_design("y ~ s(x) + s(z)", few)
    assert len(design.coef) > len(few)


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("y ~ s(x):z", r"Write the other inside it: s\(x, by=z\)"),
        ("y ~ s(x, z)", r"several variables is not there.*t2\(x, z\)"),
        ("y ~ s(x, bs='tp')", "bs='tp' is not there"),
        ("y ~ s(x, m=2)", "m= is not there"),
        ("y ~ te(x, z)", r"t2\(x, z\) a smooth surface"),
        ("y ~ t2(x, z, g)", "more than two variables"),
        ("y ~ t2(x)", r"t2\(\) with one variable is not there"),
        ("y ~ s(f)", r"s\(x, by=f\)"),
        ("y ~ s(x, k=3)", "a whole number from 4 to 60"),
        ("y ~ s(x, k=61)", "a whole number from 4 to 60"),
        ("y ~ s(two)", "needs 4 of them; this one has 2"),
        ("y ~ z + (s(x) | g)", "lets a smooth vary by group"),
    ],
)
def test_smooths_that_are_not_there_are_refused(formula: str, said: str) -> None:
    with pytest.raises((bm.FormulaError, bm.DataError), match=said):
        build_design(formula, rows().assign(two=lambda d: (d["z"] > 0) + 0.5))


def test_levels_alone_have_no_knots() -> None:
    with pytest.raises(bm.FormulaError, match=r"'s\(x, k=4\)' in .* takes its numbers from the rows of the fit"):
        bm.from_draws("y ~ s(x, k=4)", levels={}, family="gaussian", beta=np.ones((1, 3, 4)))


def test_smooths_of_brms_are_refused_with_the_way_out() -> None:
    with pytest.raises(bm.FormulaError, match=r"standata\(fit\)"):
        bm.from_brms(pd.DataFrame({"b_Intercept": [0.0]}), "y ~ s(x)", rows(), family="gaussian")


def test_a_function_of_the_users_own_keeps_its_name() -> None:
    design = build_design("y ~ s(x)", rows(), namespace={"s": np.sqrt})
    assert design.coef == ("Intercept", "s(x)")
    assert not design.fixed.penalised


@pytest.mark.sampling
@pytest.mark.evidence
@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_a_fit_recovers_a_curve(family: str) -> None:
    rng, data = np.random.default_rng(8), rows(400)
    eta = np.sin(data["x"]) + 0.5 * rng.normal(size=6)[data["g"]]
    data["y"] = eta + 0.3 * rng.normal(size=400) if family == "gaussian" else rng.poisson(np.exp(eta + 1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)  # a draw that diverged
        post = bm.GLMM("y ~ s(x) + (1 | g)", data, family).fit(random_seed=1, progressbar=False)
    at = pd.DataFrame({"x": np.linspace(2.5, 8.5, 25)})
    curve = bm.predictions(post, newdata=at, target="link", groups="zero")["estimate"]
    around = curve - curve.mean("row")  # where the mean lies is a matter of the six groups
    error = around.mean(["chain", "draw"]) - (np.sin(at["x"]) - np.sin(at["x"]).mean()).to_numpy()
    assert (np.abs(error / around.std(["chain", "draw"])) < 4.0).all()
    assert post.info["group_effects"] == "integrated"
    assert post.info["divergences"] < 10


@pytest.mark.sampling
@pytest.mark.evidence
def test_a_fit_recovers_a_surface() -> None:
    rng, data = np.random.default_rng(9), rows(500).assign(z=lambda d: np.random.default_rng(10).uniform(-1, 1, len(d)))

    def surface(x: Any, z: Any) -> Any:
        return np.sin(x) * z

    data["y"] = surface(data["x"], data["z"]) + 0.5 * rng.normal(size=6)[data["g"]] + 0.3 * rng.normal(size=500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)  # a draw that diverged
        post = bm.GLMM("y ~ t2(x, z) + (1 | g)", data).fit(random_seed=1, progressbar=False)
    x, z = (of.ravel() for of in np.meshgrid(np.linspace(3.0, 8.0, 6), np.linspace(-0.7, 0.7, 5)))
    found = bm.predictions(post, newdata=pd.DataFrame({"x": x, "z": z}), groups="zero")["estimate"]
    around = found - found.mean("row")
    error = around.mean(["chain", "draw"]) - (surface(x, z) - surface(x, z).mean())
    assert (np.abs(error / around.std(["chain", "draw"])) < 4.0).all()
    assert float(np.abs(error).max()) < 0.35  # the surface goes from -0.7 to 0.7
    assert post.info["divergences"] < 10
