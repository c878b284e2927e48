"""Formulas: every transform on both sides, R's spellings, what is refused, and what a file may call."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_margins import random_posterior, simulated, values

import bayesmargins as bm
from bayesmargins.design import build_design

TERMS = {
    "I(x^2)": lambda d: d.x**2,
    "I(x**2)": lambda d: d.x**2,
    "I(treated + x^2 / 2)": lambda d: d.treated + d.x**2 / 2,
    "log(e)": lambda d: np.log(d.e),
    "sqrt(e)": lambda d: np.sqrt(d.e),
    "abs(x)": lambda d: np.abs(d.x),
    "np.sin(x)": lambda d: np.sin(d.x),
    "center(x)": lambda d: d.x - d.x.mean(),
    "scale(x)": lambda d: (d.x - d.x.mean()) / d.x.std(),
    "x:treated": lambda d: d.x * d.treated,
    "where(x > 0, x, 0)": lambda d: d.x.clip(lower=0),
    "I(x.clip(0))": lambda d: d.x.clip(lower=0),
}


@pytest.mark.parametrize("term", TERMS)
def test_transform_of_numbers_is_what_pandas_computes_on_both_sides(term: str) -> None:
    data = simulated()
    design = build_design(f"y ~ 0 + {term} + (0 + {term} | g)", data)
    rows = design.rows(data)
    np.testing.assert_allclose(rows.X[:, 0], TERMS[term](data), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(rows.Z["g"], rows.X)


SPACES = [
    ("x * f", "x + f + x:f"),
    ("x * f * treated", "(x + f + treated)^3"),
    ("(x + f + treated)^2", "x * f + x * treated + f * treated"),
    ("f / x", "f + f:x"),
    ("f + x %in% f", "f / x"),
    ("x * f - x:f", "x + f"),
    ("1 + x", "x"),
    ("f", "0 + f"),
    ("f", "C(f, contr.sum)"),
    ("f", "C(f, contr.helmert)"),
    ("f", "C(f, contr.treatment('b'))"),
    ("C(n)", "C(n, contr.poly)"),
    ("x + I(x^2) + I(x^3)", "poly(x, 3)"),
    ("x + I(x^2)", "poly(x, 2, raw=True)"),
    ("poly(x, 3)", "bs(x, df=3)"),
]


@pytest.mark.parametrize(("one", "other"), SPACES)
def test_two_ways_to_write_a_model_span_the_same_space(one: str, other: str) -> None:
    """On the fixed side and inside a block: every column of either is a combination of the other's."""
    data = simulated()
    designs = [build_design(f"y ~ {right} + ({right} | g)", data) for right in (one, other)]
    rows = [design.rows(data) for design in designs]
    for A, B in [(rows[0].X, rows[1].X), (rows[0].Z["g"], rows[1].Z["g"])]:
        ranks = [np.linalg.matrix_rank(M, tol=1e-8) for M in (A, B, np.hstack([A, B]))]
        assert ranks[0] == ranks[1] == ranks[2] == A.shape[1] == B.shape[1]


@pytest.mark.parametrize(
    "spline", ["bs(x, df=5)", "cs(x, df=4, constraints='center')", "cc(x, df=4, constraints='center')"]
)
def test_splines_have_full_rank_beside_the_intercept(spline: str) -> None:
    data = simulated()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        design = build_design(f"y ~ {spline} + ({spline} | g)", data)
    np.testing.assert_allclose(design.rows(data.iloc[3:5]).X, design.rows(data).X[3:5], rtol=1e-13)


def test_spline_that_adds_up_to_the_intercept_is_told_the_constraint() -> None:
    with pytest.warns(bm.BayesmarginsWarning, match=r"write cs\(x, df=4, constraints='center'\)"):
        build_design("y ~ cs(x, df=4)", simulated())


def test_square_of_an_integer_is_no_exclusive_or() -> None:
    data = simulated()
    design = build_design("k ~ 0 + I(n^2)", data)
    np.testing.assert_array_equal(design.rows(data).X[:, 0], data.n.to_numpy() ** 2)


def test_categorical_slopes_give_every_level_an_effect_of_its_own() -> None:
    data = simulated()
    post = random_posterior("y ~ f + (0 + f | g) + (0 + x | g) + (1 | h)", data, "bernoulli")
    assert post.design.factors["g"].terms == ("f[a]", "f[b]", "f[c]", "x")
    assert post.design.factors["g"].blocks == ((0, 1, 2), (3,))
    rows = post.design.rows(data)
    b = post.draws.b["g"][:, post.design.factors["g"].codes, :]
    own = b[..., :3][:, np.arange(80), data.f.map({"a": 0, "b": 1, "c": 2})] + b[..., 3] * data.x.to_numpy()
    eta = post.draws.beta @ rows.X.T + own
    found = values(bm.predictions(post, groups={"g": "own", "h": "zero"}, target="link"))
    np.testing.assert_allclose(found.reshape(eta.shape), eta, rtol=1e-12, atol=1e-12)


REFUSED = [
    ("y ~ x^2", r"x\^2 in .* is no power of numbers.*Write I\(x\^2\), or poly\(x, 2\)"),
    ("y ~ x + (x^2 | g)", r"Write I\(x\^2\)"),
    ("y ~ . + (1 | g)", r"would take every other column.*Name the columns"),
    ("y ~ I(x - x.mean())", r"'x.mean'.*not of the fit: use center\(\)"),
    ("y ~ I(x - np.mean(x))", "gives other values for the same rows when fewer rows are evaluated"),
    ("y ~ x + (0 + I(x / np.max(x)) | g)", "it is not frozen at the fit"),
    ("y ~ ns(x, 3)", r"Write cs\(x, df=4, constraints='center'\)"),
    ("y ~ squared(x)", r"calls 'squared', which is no function.*Pass your own: namespace="),
    ("y ~ I([v for v in x])", "holds Python that a formula cannot: ListComp"),
    ("y ~ I((lambda v: v)(x))", "holds Python that a formula cannot: Lambda"),
    ("y ~ I(x.__class__)", "'x.__class__'"),
    ("y ~ a(x", "left open"),
    ("y ~", "Nothing stands right of '~'"),
    ("y ~ x +", "A term is missing"),
    ("y ~ x + f + offset()", r"write offset\(x\)"),
    ("y ~ C(f, Treatment('zz'))", "'zz'.*not among the provided levels"),
    ("y ~ x + y", "'y' is also in the right-hand side"),
    ("y ~ x + (1 | y)", "'y' is also in a grouping factor"),
]


@pytest.mark.parametrize(("formula", "said"), REFUSED, ids=[f for f, _ in REFUSED])
def test_formula_that_would_mean_something_else_is_refused_with_the_right_spelling(formula: str, said: str) -> None:
    with pytest.raises(bm.FormulaError, match=said):
        build_design(formula, simulated())


def test_own_functions_reach_both_sides_and_the_response() -> None:
    data = simulated()
    own = {"double": lambda v: 2 * v}
    design = build_design("double(y) ~ double(x) + (0 + double(x) | g) + offset(double(e))", data, namespace=own)
    rows = design.rows(data)
    np.testing.assert_array_equal(design.response.y, 2 * data.y)
    np.testing.assert_array_equal(rows.X[:, 1], 2 * data.x)
    np.testing.assert_array_equal(rows.Z["g"][:, 0], 2 * data.x)
    np.testing.assert_array_equal(rows.offset, 2 * data.e)


def test_file_that_calls_an_own_function_needs_the_namespace(tmp_path: Path) -> None:
    def double(v: pd.Series) -> pd.Series:
        return 2 * v

    data, path = simulated(), tmp_path / "own.nc"
    design = bm.GLMM("k ~ double(x) + (1 | g)", data, "poisson", namespace={"double": double}).design
    post = bm.from_draws(
        "k ~ double(x) + (1 | g)", data, family="poisson", beta=np.ones((1, 3, len(design.coef))),
        Sigma={"g": np.ones((1, 3, 1, 1))}, namespace={"double": double},
    )  # fmt: skip
    post.save(path)
    with pytest.raises(bm.FormulaError, match=r"calls 'double'.*namespace=\{'double': double\}"):
        bm.load(path)
    found = bm.load(path, namespace={"double": double})
    np.testing.assert_array_equal(values(bm.predictions(found)), values(bm.predictions(post)))


@pytest.mark.usefixtures("uncompiled")
def test_file_that_is_given_another_function_than_the_fit_is_refused(tmp_path: Path) -> None:
    model = bm.GLMM("y ~ bent(x) + (1 | g)", simulated(), "bernoulli", namespace={"bent": lambda v: np.maximum(v, 0)})
    model.prior(draws=3, random_seed=1).save(path := tmp_path / "bent.nc")
    bm.load(path, namespace={"bent": lambda v: np.clip(v, 0, None)})
    with pytest.raises(bm.PosteriorError, match=r"not the one of the fit \(X differs\)"):
        bm.load(path, namespace={"bent": np.abs})


def test_values_beyond_a_spline_are_told_its_range() -> None:
    post = random_posterior("y ~ bs(x, df=4) + (1 | g)", simulated(), "bernoulli")
    with pytest.raises(bm.DataError, match=r"values beyond those of the fit.*extrapolation='extend'"):
        bm.avg_predictions(post, at={"x": 9.0})
    wide = random_posterior("y ~ bs(x, df=4, extrapolation='extend') + (1 | g)", simulated(), "bernoulli")
    assert np.isfinite(values(bm.avg_comparisons(wide, "x"))).all()
