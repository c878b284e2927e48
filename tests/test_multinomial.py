"""Counts of categories in each row: against SciPy, the categorical family, brms's spelling, and what is refused."""

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
from bayesmargins.family import FAMILIES, LINKS, Outcome, Values

N, DRAWS = 9, 4
FORMULA = "cbind(red, amber, green) ~ x + (1 | g)"


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    counts = pd.DataFrame(rng.multinomial(7, [0.2, 0.3, 0.5], size=N), columns=["red", "amber", "green"])
    return counts.assign(x=rng.normal(size=N), g=np.resize([*"cab"], N))


def given() -> dict[str, Any]:
    rng = np.random.default_rng(6)
    root = 0.6 * rng.normal(size=(1, DRAWS, 2, 2))
    return {
        "beta": rng.normal(size=(1, DRAWS, 2, 2)),
        "b": {"g": 0.5 * rng.normal(size=(1, DRAWS, 2, 3, 1))},
        "Sigma": {"g": root @ np.swapaxes(root, -1, -2) + 0.1 * np.eye(2)},
    }


@pytest.fixture(scope="module")
def post() -> bm.Posterior:
    return bm.from_draws(FORMULA, frame(), family="multinomial", **given())


def shares(post: bm.Posterior, **more: Any) -> np.ndarray:
    """(draw, row, category)."""
    found = bm.predictions(post, **more)["estimate"].transpose("chain", "draw", "row", "category").to_numpy()
    return np.asarray(found[0])


def test_log_likelihood_is_scipys(post: bm.Posterior) -> None:
    counts = frame()[["red", "amber", "green"]].to_numpy()
    wanted = stats.multinomial.logpmf(counts[None], 7, shares(post, groups="own"))
    found = post.log_likelihood()["cbind_red_amber_green"].to_numpy()[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("groups", ["new", "own", "existing", "zero"])
def test_probabilities_are_those_of_one_category_a_row(post: bm.Posterior, groups: str) -> None:
    one = frame().assign(y=pd.Categorical(np.resize(["red", "amber", "green"], N), ["red", "amber", "green"]))
    categorical = bm.from_draws("y ~ x + (1 | g)", one, family="categorical", **given())
    np.testing.assert_array_equal(shares(post, groups=groups), shares(categorical, groups=groups))


def test_counts_are_probabilities_times_what_was_counted(post: bm.Posterior) -> None:
    data = frame().assign(green=lambda d: d["green"] + np.arange(N))
    total = data[["red", "amber", "green"]].sum(axis=1).to_numpy()
    counts = shares(post, newdata=data, target="count")
    np.testing.assert_allclose(counts, shares(post, newdata=data) * total[:, None], rtol=1e-14)
    np.testing.assert_allclose(counts.sum(axis=2), np.broadcast_to(total, (DRAWS, N)), rtol=1e-13)
    change = bm.comparisons(post, "x", newdata=data, target="count")["estimate"].sum("category")
    np.testing.assert_allclose(change, 0.0, atol=1e-12)
    without = data.drop(columns=["red", "amber", "green"])
    np.testing.assert_array_equal(shares(post, newdata=without), shares(post, newdata=data))


def test_new_observations_add_up_and_have_the_shares() -> None:
    many = {k: np.tile(v[:, :1], (1, 3000, *[1] * (v.ndim - 2))) for k, v in (("beta", given()["beta"]),)}
    many |= {
        k: {"g": np.tile(given()[k]["g"][:, :1], (1, 3000, *[1] * (given()[k]["g"].ndim - 2)))} for k in ("b", "Sigma")
    }
    post = bm.from_draws(FORMULA, frame().head(3), family="multinomial", **many)
    drawn = bm.posterior_predictive(post, random_seed=2)["estimate"]
    assert drawn.dims == ("chain", "draw", "category", "row")
    assert (drawn.sum("category") == 7).all()
    wanted = shares(post, groups="own")[0]
    for row in range(3):
        total = drawn.sel(row=row).sum("draw").to_numpy()[0]
        assert stats.chisquare(total, 3000 * 7 * wanted[row]).pvalue > 1e-4
    assert post.idata["observed_data"]["cbind_red_amber_green"].shape == (3, 3)


def test_files_keep_the_counts(post: bm.Posterior, tmp_path: Path) -> None:
    post.save(tmp_path / "fit.nc")
    again = bm.load(tmp_path / "fit.nc")
    np.testing.assert_array_equal(shares(again), shares(post))
    np.testing.assert_array_equal(
        again.log_likelihood()["cbind_red_amber_green"], post.log_likelihood()["cbind_red_amber_green"]
    )


def test_brms_names_categories_by_their_columns(post: bm.Posterior) -> None:
    made, table = given(), {".chain": np.ones(DRAWS, dtype=int)}
    for k, name in enumerate(("muamber", "mugreen")):
        table |= {f"b_{name}_Intercept": made["beta"][0, :, k, 0], f"b_{name}_x": made["beta"][0, :, k, 1]}
        table[f"sd_g__{name}_Intercept"] = np.sqrt(made["Sigma"]["g"][0, :, k, k])
        table |= {f"r_g__{name}[{g},Intercept]": made["b"]["g"][0, :, k, j, 0] for j, g in enumerate("abc")}
    Sigma = made["Sigma"]["g"][0]
    table["cor_g__muamber_Intercept__mugreen_Intercept"] = Sigma[:, 0, 1] / np.sqrt(Sigma[:, 0, 0] * Sigma[:, 1, 1])
    formula = "cbind(red, amber, green) | trials(red + amber + green) ~ x + (1 | p | g)"
    read = bm.from_brms(pd.DataFrame(table), formula, frame(), family="multinomial")
    np.testing.assert_allclose(shares(read), shares(post), rtol=1e-12)
    np.testing.assert_allclose(shares(read, groups="own"), shares(post, groups="own"), rtol=1e-12)


def test_correlations_that_brms_did_not_write_are_asked_for() -> None:
    made, table = given(), {".chain": np.ones(DRAWS, dtype=int)}
    for k, name in enumerate(("muamber", "mugreen")):
        table |= {f"b_{name}_Intercept": made["beta"][0, :, k, 0], f"b_{name}_x": made["beta"][0, :, k, 1]}
        table[f"sd_g__{name}_Intercept"] = np.sqrt(made["Sigma"]["g"][0, :, k, k])
    formula = "cbind(red, amber, green) ~ x + (1 | p | g)"
    read = bm.from_brms(pd.DataFrame(table), formula, frame(), family="multinomial")
    with pytest.raises(bm.GroupsError, match="these correlations were not given"):
        bm.avg_predictions(read)


def test_likelihood_of_pymc_is_the_log_density_times_weights() -> None:
    import pymc as pm
    import pytensor.tensor as pt

    family, rng = FAMILIES["multinomial"], np.random.default_rng(4)
    etas, counts = rng.normal(size=(2, 12)), rng.multinomial(5, [0.2, 0.3, 0.5], size=12).astype(float)
    o = Outcome(counts.sum(axis=1), counts.sum(axis=1), weights=rng.uniform(1.0, 3.0, 12), counts=counts)
    with pm.Model() as model:
        p = Values(eta=pt.as_tensor(etas[0]), link=LINKS["logit"], **{"mu[c]": pt.as_tensor(etas[1])})
        family.pymc(pm, "y", p, o)
    found = model.logp(sum=False)[0].eval(mode=interpreted())
    wanted = family.log_density(Values(eta=etas[0], link=LINKS["logit"], **{"mu[c]": etas[1]}), o)
    np.testing.assert_allclose(found, o.weights * wanted, rtol=1e-11)


@pytest.mark.parametrize(
    ("kind", "match", "formula", "family"),
    [
        (bm.FormulaError, "written as the columns that hold them", "red ~ x", "multinomial"),
        (bm.FormulaError, "written as the columns that hold them", "cbind(red) ~ x", "multinomial"),
        (bm.DataError, r"trials\(x\) is not the sum", "cbind(red, amber) | trials(x) ~ 1", "multinomial"),
        (bm.ModelError, "whole numbers from 0", "cbind(red, x) ~ 1", "multinomial"),
        (bm.FormulaError, "has 'weights' on its left", "cbind(red, amber) | weights(x) ~ 1", "multinomial"),
        (bm.FormulaError, "family='multinomial'", FORMULA, "poisson"),
        (bm.FormulaError, "is a column of the data", FORMULA, "categorical"),
    ],
)
def test_left_sides_that_are_no_counts_are_refused(kind: Any, match: str, formula: str, family: str) -> None:
    with pytest.raises(kind, match=match):
        bm.GLMM(formula, frame(), family=family)


def test_a_count_that_cannot_be_is_shown_with_those_of_its_row() -> None:
    counts = frame().assign(red=[2] * 8 + [-1], amber=3, green=4)
    with pytest.raises(bm.ModelError, match=r"has 1 values .* such as -1, 3, 4 in row 8"):
        bm.GLMM(FORMULA, counts, family="multinomial")


def test_a_model_says_its_formula_and_link_once() -> None:
    said = str(bm.GLMM(FORMULA, frame(), family="multinomial")).splitlines()
    assert said[0] == f"GLMM {FORMULA}"
    assert said[1] == "family multinomial, link logit; 9 rows"
    assert said[2] == "categories 'red', 'amber', 'green', a linear predictor for each but the first"


@pytest.mark.evidence
@pytest.mark.sampling
def test_a_fit_recovers_what_made_the_counts() -> None:
    rng, groups, rows = np.random.default_rng(12), 40, 5
    g, x = np.repeat(np.arange(groups), rows), rng.normal(size=groups * rows)
    beta, sd = np.array([[0.5, 0.8], [-0.6, -0.5]]), np.array([0.9, 0.6])
    eta = beta[:, :1] + beta[:, 1:] * x + (rng.normal(size=(2, groups)) * sd[:, None])[:, g]
    shares = special.softmax(np.vstack([np.zeros(len(x)), eta]), axis=0)
    counts = rng.multinomial(rng.integers(4, 12, len(x)), shares.T)
    data = pd.DataFrame(counts, columns=["red", "amber", "green"]).assign(x=x, g=g)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        post = bm.GLMM(FORMULA, data, family="multinomial").fit(chains=2, random_seed=1, progressbar=False, ess=None)
    for k, of in enumerate(post.predictors.values()):
        draws = np.column_stack([of.draws.beta, np.sqrt(of.draws.Sigma["g"][:, 0, 0])])
        assert (np.abs(draws.mean(axis=0) - [*beta[k], sd[k]]) < 4.0 * draws.std(axis=0)).all()
    found = bm.avg_predictions(post, groups="own", target="count")["estimate"].mean(("chain", "draw"))
    np.testing.assert_allclose(found, counts.mean(axis=0), atol=0.1)
