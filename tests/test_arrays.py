"""Models of matrices: the same model as the formula over the same columns, and clear words where shapes do not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_margins import simulated, values

import bayesmargins as bm

pytestmark = pytest.mark.usefixtures("uncompiled")

DATA = simulated()
X = np.column_stack([np.ones(80), DATA.x, DATA.treated])
CODES = DATA.g.to_numpy()


def _frame() -> pd.DataFrame:
    return pd.DataFrame({"y": DATA.y, "x1": DATA.x, "x2": DATA.treated, "id": DATA.g, "h": DATA.h})


def test_arrays_are_the_model_of_the_formula() -> None:
    arrays = bm.GLMM.from_arrays(DATA.y, X, {"id": CODES, "h": DATA.h}, {"id": X[:, :2]}, "bernoulli")
    formula = bm.GLMM("y ~ x1 + x2 + (1 + x1 | id) + (1 | h)", _frame(), "bernoulli")
    assert arrays.design.formula == "y ~ 1 + x1 + x2 + (1 + x1 | id) + (1 | h)"
    assert str(arrays).splitlines()[1:] == str(formula).splitlines()[1:]
    a, b = (model.prior(draws=20, random_seed=3) for model in (arrays, formula))
    for question in (
        lambda p: bm.avg_predictions(p, by="x2"),
        lambda p: bm.avg_comparisons(p, "x2", groups="existing"),
        lambda p: bm.avg_slopes(p, "x1"),
    ):
        np.testing.assert_array_equal(values(question(a)), values(question(b)))


def test_column_of_z_that_is_one_of_x_moves_with_it() -> None:
    """The variance z' Sigma z follows x, so the slope of the population average has its second term."""
    post = bm.GLMM.from_arrays(DATA.y, X, {"id": CODES}, {"id": X[:, [1, 0]]}, "bernoulli").prior(20, 1)
    frame = post.design.data
    up, down = (values(bm.predictions(post, frame.assign(x1=frame.x1 + d))) for d in (1e-4, -1e-4))
    np.testing.assert_allclose(values(bm.slopes(post, "x1"))[:, :, 0], (up - down) / 2e-4, rtol=1e-6, atol=1e-8)


def test_column_of_z_that_is_none_of_x_is_a_variable_of_its_own() -> None:
    model = bm.GLMM.from_arrays(DATA.y, X, {"id": CODES}, {"id": DATA[["e"]].to_numpy()}, "bernoulli")
    assert model.design.formula == "y ~ 1 + x1 + x2 + (0 + id_z1 | id)"
    np.testing.assert_array_equal(model.design.data["id_z1"], DATA.e)


def test_names_come_from_the_frame_the_series_or_the_argument() -> None:
    frame = pd.DataFrame(X, columns=["const", "my age", "sex"])
    model = bm.GLMM.from_arrays(DATA.e.rename("score"), frame, {"id": CODES}, {"id": ["Intercept", "my age"]})
    assert model.design.formula == "score ~ 1 + `my age` + sex + (1 + `my age` | id)"
    assert model.design.coef == ("Intercept", "my age", "sex")
    named = bm.GLMM.from_arrays(DATA.e, X, names=["one", "dose", "sex"])
    assert named.design.coef == ("Intercept", "dose", "sex")


def test_no_column_of_ones_no_intercept() -> None:
    model = bm.GLMM.from_arrays(DATA.y, X[:, 1:], {"id": CODES}, {"id": X[:, 1]}, "bernoulli")
    assert model.design.formula == "y ~ 0 + x1 + x2 + (0 + x1 | id)"


def test_trials_and_offset_are_the_models() -> None:
    model = bm.GLMM.from_arrays(DATA.k, X, family="binomial", trials=DATA.n)
    assert model.design.formula == "k | trials(trials) ~ 1 + x1 + x2"
    np.testing.assert_array_equal(model.design.response.n, DATA.n)
    counts = bm.GLMM.from_arrays(DATA.k, X, family="poisson", offset=np.log(DATA.e))
    np.testing.assert_allclose(counts.design.rows(counts.design.data).offset, np.log(DATA.e), rtol=1e-14)


def test_model_of_arrays_reaches_a_file_and_new_rows(tmp_path: Path) -> None:
    post = bm.GLMM.from_arrays(DATA.y, X, {"id": CODES}, family="bernoulli").prior(10, 1)
    post.save(tmp_path / "arrays.nc")
    new = pd.DataFrame({"x1": [0.0, 1.0], "x2": [1, 1]})
    np.testing.assert_array_equal(
        values(bm.predictions(bm.load(tmp_path / "arrays.nc"), new)), values(bm.predictions(post, new))
    )


REFUSED: list[tuple[str, Callable[[], object]]] = [
    (r"groups\['id'\] has the shape \(5,\); \(80,\)", lambda: bm.GLMM.from_arrays(DATA.y, X, {"id": CODES[:5]})),
    (r"X has the shape \(5, 3\)", lambda: bm.GLMM.from_arrays(DATA.y, X[:5])),
    (r"X has the shape \(80, 1\) of <U1", lambda: bm.GLMM.from_arrays(DATA.y, np.full((80, 1), "a"))),
    (r"y has the shape \(80, 1\); one value a row", lambda: bm.GLMM.from_arrays(X[:, :1], X)),
    (r"groups is <ndarray of the shape \(80,\)>; it must be a dict", lambda: bm.GLMM.from_arrays(DATA.y, X, CODES)),
    (r"'a:b'.*write the formula", lambda: bm.GLMM.from_arrays(DATA.y, X, {"a:b": CODES})),
    ("Z names 'idd'; groups has 'id'", lambda: bm.GLMM.from_arrays(DATA.y, X, {"id": CODES}, {"idd": X})),
    (r"Z\['id'\] names 'x3'", lambda: bm.GLMM.from_arrays(DATA.y, X, {"id": CODES}, {"id": ["x3"]})),
    ("'x1', a name that is taken", lambda: bm.GLMM.from_arrays(DATA.y, X, {"x1": CODES})),
    ("one different name each", lambda: bm.GLMM.from_arrays(DATA.y, X, names=["a", "a", "b"])),
    ("2 columns of ones", lambda: bm.GLMM.from_arrays(DATA.y, np.ones((80, 2)))),
    (
        r"shape \(80, 6\), a column for each group: that is an indicator matrix",
        lambda: bm.GLMM.from_arrays(DATA.y, X, {"id": CODES}, {"id": pd.get_dummies(DATA.g).astype(float)}),
    ),
    (r"trials has the shape \(\)", lambda: bm.GLMM.from_arrays(DATA.k, X, trials=3)),
]


@pytest.mark.parametrize(("said", "ask"), REFUSED, ids=[said for said, _ in REFUSED])
def test_arrays_that_do_not_fit_are_named_with_their_shape(said: str, ask: Callable[[], object]) -> None:
    with pytest.raises(bm.ModelError, match=said):
        ask()


def test_missing_values_in_arrays_are_counted_or_dropped() -> None:
    y = DATA.y.astype(float).to_numpy(copy=True)
    y[:3] = np.nan
    with pytest.raises(bm.DataError, match="3 of 80 rows have missing values"):
        bm.GLMM.from_arrays(y, X, family="bernoulli")
    with pytest.warns(bm.BayesmarginsWarning, match="3 of 80 rows"):
        assert len(bm.GLMM.from_arrays(y, X, family="bernoulli", missing="drop").design.data) == 77
