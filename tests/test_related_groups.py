"""Groups that are related as a known matrix says, gr(g, cov = A): pedigrees and phylogenies."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmargins as bm

FORMULA = "y ~ x + (1 | gr(g, cov = A))"
LABELS = [f"g{k}" for k in range(8)]
A = pd.DataFrame(0.8 ** np.abs(np.subtract.outer(np.arange(8), np.arange(8))), LABELS, LABELS)


def _frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    g = np.repeat(LABELS, 4)
    return pd.DataFrame({"g": g, "x": rng.normal(size=len(g)), "y": rng.normal(size=len(g))})


def _given() -> dict[str, Any]:
    rng = np.random.default_rng(2)
    Sigma = np.linspace(0.3, 2.0, 5).reshape(1, 5, 1, 1)
    b = rng.normal(size=(1, 5, 8, 1))
    return {"beta": rng.normal(size=(1, 5, 2)), "b": {"g": b}, "Sigma": {"g": Sigma}, "aux": {"sigma": np.ones((1, 5))}}


def test_effects_of_the_model_are_related_as_the_matrix_says(uncompiled: None) -> None:
    shuffled = A.sample(frac=1.0, random_state=1).sample(frac=1.0, axis=1, random_state=2)
    larger = pd.DataFrame(np.eye(10), [*LABELS, "older", "oldest"], [*LABELS, "older", "oldest"])
    larger.loc[LABELS, LABELS] = A
    for given in (A, shuffled, larger):
        model = bm.GLMM(FORMULA, _frame(), namespace={"A": given})
        prior = model.prior(draws=2000, random_seed=1)
        u = prior.draws.b["g"][:, :, 0] / np.sqrt(prior.draws.Sigma["g"][:, 0, 0])[:, None]
        cov = u.T @ u / len(u)
        error = np.sqrt((A.to_numpy() ** 2 + 1.0) / len(u))  # of a mean of products of normals
        assert (np.abs(cov - A.to_numpy()) < 4.5 * error).all()


def test_unrelated_groups_are_independent_ones(uncompiled: None) -> None:
    identity = pd.DataFrame(np.eye(8), LABELS, LABELS)
    related = bm.GLMM(FORMULA, _frame(), namespace={"A": identity}).prior(draws=50, random_seed=1)
    plain = bm.GLMM("y ~ x + (1 | g)", _frame()).prior(draws=50, random_seed=1)
    np.testing.assert_allclose(related.draws.b["g"], plain.draws.b["g"], rtol=1e-12)


def test_new_groups_are_unrelated_and_others_are_looked_up(tmp_path: Path) -> None:
    frame = _frame().assign(y=(_frame().y > 0).astype(int))
    given = {k: v for k, v in _given().items() if k != "aux"}
    related, plain = (
        bm.from_draws(f"y ~ x + (1 | {g})", frame, family="bernoulli", **given) for g in ("gr(g, cov = A)", "g")
    )
    related.save(tmp_path / "fit.nc")
    for post in (related, bm.load(tmp_path / "fit.nc")):
        for groups in ("new", "existing", "own", "zero", "sample", {"g": ["g2"]}):
            a, b = (bm.avg_comparisons(p, "x", groups=groups, random_seed=1).estimate for p in (post, plain))
            np.testing.assert_array_equal(a, b)
        assert "unrelated to the fitted ones" in bm.describe(bm.avg_predictions(post))


def test_brms_writes_the_same_columns() -> None:
    given = _given()
    table = {".chain": 1, "b_Intercept": given["beta"][0, :, 0], "b_x": given["beta"][0, :, 1], "sigma": 1.0}
    table["sd_g__Intercept"] = np.sqrt(given["Sigma"]["g"][0, :, 0, 0])
    table |= {f"r_g[{label},Intercept]": given["b"]["g"][0, :, k, 0] for k, label in enumerate(LABELS)}
    read = bm.from_brms(pd.DataFrame(table), FORMULA, _frame(), family="gaussian")
    wanted = bm.from_draws(FORMULA, _frame(), family="gaussian", **given)
    a, b = (bm.avg_predictions(p, groups="own").estimate.to_numpy() for p in (read, wanted))
    np.testing.assert_allclose(a, b, rtol=1e-13)


REFUSED = {
    "no matrix": ({}, "namespace={'A': frame}"),
    "no labels": ({"A": A.to_numpy()}, "a pandas.DataFrame is needed"),
    "groups that lack": ({"A": A.iloc[:5, :5]}, "lacks the groups 'g5', 'g6', 'g7'"),
    "other labels": ({"A": A.rename(index={"g0": "h"})}, "other labels along rows"),
    "one twice": ({"A": pd.concat([A, A.iloc[:1]]).assign(g9=1.0)}, "other labels|twice"),
    "not symmetric": ({"A": A + np.triu(np.ones((8, 8)), 1)}, "not symmetric"),
    "not definite": ({"A": A * 0.0 + 1.0}, "not positive definite"),
    "not finite": ({"A": A.mask(A < 0.3)}, "NaN or infinite"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_matrix_that_is_none_is_refused(what: str) -> None:
    namespace, said = REFUSED[what]
    with pytest.raises(bm.BayesmarginsError, match=said):
        bm.GLMM(FORMULA, _frame(), namespace=namespace)


def test_a_diagonal_that_is_not_1_is_said() -> None:
    with pytest.warns(bm.BayesmarginsWarning, match="The diagonal of 'A' is 3 on average"):
        bm.GLMM(FORMULA, _frame(), namespace={"A": 3.0 * A})


def test_leaving_out_related_groups_is_refused() -> None:
    post = bm.from_draws(FORMULA, _frame(), family="gaussian", **_given())
    for ask in (bm.logo, lambda p: p.log_likelihood_groups):
        with pytest.raises(bm.errors.PosteriorError, match="related"):
            ask(post)


def test_a_structure_of_two_kinds_is_refused() -> None:
    for more in ("by = x", "dist = 'student'"):
        with pytest.raises(bm.errors.FormulaError, match="stands without by and dist"):
            bm.GLMM(f"y ~ x + (1 | gr(g, cov = A, {more}))", _frame(), namespace={"A": A})


@pytest.mark.sampling
@pytest.mark.evidence
def test_a_fit_recovers_the_spread_of_related_groups() -> None:
    rng = np.random.default_rng(3)
    labels = [f"s{k:02}" for k in range(60)]
    tree = 0.9 ** np.abs(np.subtract.outer(np.arange(60), np.arange(60)))
    b = 1.5 * np.linalg.cholesky(tree) @ rng.normal(size=60)
    g = np.repeat(np.arange(60), 4)
    data = pd.DataFrame({"g": np.array(labels)[g], "x": rng.normal(size=len(g))})
    data["y"] = 1.0 + 0.5 * data.x + b[g] + 0.5 * rng.normal(size=len(g))
    matrix = pd.DataFrame(tree, labels, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)
        post = bm.GLMM(FORMULA, data, namespace={"A": matrix}).fit(draws=500, random_seed=1, progressbar=False)
    assert post.info["max_rhat"] < 1.05
    sd = post.parameters["sd_g"].to_numpy().ravel()
    assert abs(sd.mean() - 1.5) < 3.5 * sd.std()
    own = post.b["g"].mean(("chain", "draw")).to_numpy().ravel()
    assert np.corrcoef(own, b)[0, 1] > 0.95


def test_a_matrix_of_text_is_refused() -> None:
    labels = list("abcd")
    data = pd.DataFrame({"y": 0.0, "g": labels})
    matrix = pd.DataFrame([["?"] * 4] * 4, labels, labels)
    with pytest.raises(bm.DataError, match="holds values that are no real numbers"):
        bm.GLMM("y ~ 1 + (1 | gr(g, cov = A))", data, namespace={"A": matrix})
