"""Columns, groups and coefficients may be called anything: numbers do not change, or a sentence says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesmargins as bm
from bayesmargins.errors import BayesmarginsError, DataError, FormulaError, GroupsError
from bayesmargins.schema import RESERVED

pytestmark = pytest.mark.filterwarnings("ignore::bayesmargins.errors.BayesmarginsWarning")

PRIVATE = [
    *sorted(RESERVED), "(cell)", "(new)", "_new", "obs", "coef", "beta", "sigma", "shape", "slopes", "b", "Sigma",
    "rowid", "trials", "offset", "weights", "wts", "index", "level_0", "level_1", "0", "position", "eta", "mu",
    "mean", "sd", "median", "value", "values", "ess_bulk", "x_term", "lp__", "Intercept_centred", "fingerprint", "self",
    "name", "keys", "dim", "data", "post", "by_", "coords", "dtype",
]  # fmt: skip
N = 24


def frame(number: str, group: str) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    y, x, f, g = rng.integers(0, 2, N), rng.random(N).round(1), rng.choice(["p", "q"], N), rng.choice(list("abcd"), N)
    return pd.DataFrame({"y": y, number: x, "f": f, group: g})


def posterior(number: str = "num", group: str = "grp") -> bm.Posterior:
    rng = np.random.default_rng(7)
    root = rng.normal(size=(2, 3, 2, 2))
    return bm.from_draws(
        f"y ~ `{number}` + f + (1 + `{number}` | `{group}`)",
        frame(number, group),
        family="bernoulli",
        beta=rng.normal(size=(2, 3, 3)),
        b={group: rng.normal(size=(2, 3, 4, 2))},
        Sigma={group: root @ np.swapaxes(root, -1, -2)},
    )


def answers(post: bm.Posterior, x: str, g: str, path: Path) -> dict[str, np.ndarray]:
    """What every kind of question gives, without its labels."""
    data = post.design.data
    at = bm.avg_predictions(post, at={x: [0.0, 1.0]})
    by = bm.predictions(post, by=[x, "f", g], groups="own")
    results = {
        "rows": bm.predictions(post),
        "own": bm.predictions(post, data, groups="own"),
        "existing": bm.avg_predictions(post, groups="existing"),
        "named": bm.predictions(post, groups={g: ["a", "b"]}),
        "by": by,
        "by number": bm.predictions(post, by=x),
        "weighted": bm.avg_predictions(post, wts=x),
        "at": at,
        "contrast": bm.avg_comparisons(post, {x: 1, "f": "pairwise"}, by=g),
        "slope": bm.avg_slopes(post, x, slope="dyex"),
        "attenuation": bm.attenuation(post, {x: 1}),
        "heterogeneity": bm.heterogeneity(post, {x: 1}, random_seed=1, points=64),
        "coefficients": bm.marginal_coefficients(post),
        "hypotheses": bm.hypotheses(at, "pairwise"),
        "grid": bm.predictions(post, bm.datagrid(post, {x: [0.0, 1.0]})),
    }
    out = {name: ds["estimate"].to_numpy() for name, ds in results.items()}
    out |= {
        f"summary of {name}": bm.summary(ds).to_numpy(dtype=float, na_value=np.nan)
        for name, ds in results.items()
        if name in ("by", "named", "contrast")
    }
    by.to_netcdf(path)
    out["file"] = xr.load_dataset(path)["estimate"].to_numpy()
    out["observations"] = bm.posterior_predictive(post, random_seed=1)["y"].to_numpy()
    out["log-likelihood"] = post.log_likelihood()["y"].to_numpy()
    out["table"] = bm.predictions(post).margins.to_frame()["estimate"].to_numpy()
    out["idata"] = np.sort(np.concatenate([v.to_numpy().ravel() for v in post.parameters.data_vars.values()]))
    post.idata  # noqa: B018
    return out


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return answers(posterior(), "num", "grp", tmp_path_factory.mktemp("names") / "plain.nc")


# Each is a number or a group here, and what it is not here in the evidence.
AS_BOTH = [
    pytest.param(x, g, marks=pytest.mark.evidence if k % 2 else [])
    for k, (x, g) in enumerate(zip(PRIVATE, [*PRIVATE[1:], PRIVATE[0]], strict=True))
]


@pytest.mark.parametrize(("x", "g"), AS_BOTH)
def test_a_column_may_have_a_private_name(x: str, g: str, expected: dict[str, Any], tmp_path: Path) -> None:
    for question, found in answers(posterior(x, g), x, g, tmp_path / "x.nc").items():
        np.testing.assert_array_equal(found, expected[question], err_msg=question)


def test_a_frame_may_have_all_private_names_at_once(expected: dict[str, Any], tmp_path: Path) -> None:
    data = frame("num", "grp").assign(**{n: np.arange(N) for n in PRIVATE if n != "self"}, data_draw=1.0, data_obs=2.0)
    rng = np.random.default_rng(0)
    post = bm.from_draws("y ~ num", data, family="bernoulli", beta=rng.normal(size=(1, 3, 2)))
    few = bm.from_draws("y ~ num", data[["y", "num"]], family="bernoulli", beta=post.beta)
    for ask in (bm.predictions, bm.avg_predictions, lambda p: bm.avg_comparisons(p, "num")):
        np.testing.assert_array_equal(ask(post)["estimate"], ask(few)["estimate"])
    ds = bm.predictions(post)
    assert len(ds.coords) == 2 + 1 + len(data.columns)
    np.testing.assert_array_equal(ds["data_data_draw"], np.ones(N))
    observed = bm.posterior_predictive(post, random_seed=1)
    np.testing.assert_array_equal(observed["y"], bm.posterior_predictive(few, random_seed=1)["y"])
    assert post.idata is not None


def test_columns_that_would_get_one_name_are_refused() -> None:
    data = frame("num", "grp").assign(**{"a/b": 1.0, "a_b": 2.0})
    post = bm.from_draws("y ~ num", data, family="bernoulli", beta=np.zeros((1, 3, 2)))
    for ask in (lambda: bm.predictions(post), lambda: bm.predictions(post, by=["a/b", "a_b"])):
        with pytest.raises(BayesmarginsError, match="'a/b' and 'a_b' would both be called 'a_b'"):
            ask()


@pytest.mark.parametrize(
    "formula", ["y ~ Intercept", "y ~ 0 + Intercept", "y ~ `1`", "y ~ x + (`1` | g)", "y ~ x + (0 + Intercept | g)",
                "y ~ f + `f[q]`", "y ~ x * z + `x:z`"]
)  # fmt: skip
def test_columns_that_are_called_as_terms_are_refused(formula: str) -> None:
    rng = np.random.default_rng(1)
    numbers = {n: rng.normal(size=N) for n in ("x", "z", "Intercept", "1", "f[q]", "x:z")}
    data = frame("num", "g").assign(**numbers)
    with pytest.raises(FormulaError, match=r"Rename|called as another"):
        bm.GLMM(formula, data, family="bernoulli")


@pytest.mark.parametrize("labels", [[1, "1"], [True, "True"], [1.5, "1.5"], [2, "2", 3.5]])
def test_groups_that_cannot_be_told_apart_are_refused(labels: list[Any]) -> None:
    values = [labels[k % len(labels)] for k in range(N)]
    for column in (pd.Series(values, dtype=object), pd.Series(pd.Categorical(values, categories=labels))):
        for formula in ("y ~ num + (1 | k)", "y ~ num + (1 | g / k)"):
            with pytest.raises(DataError, match=r"read the same|share the label"):
                bm.GLMM(formula, frame("num", "g").assign(k=column), family="bernoulli")


@pytest.mark.parametrize("labels", [[True, 1], [0, False]])
def test_truth_values_and_numbers_are_not_one_group(labels: list[Any]) -> None:
    column = pd.Series([labels[k % 2] for k in range(N)], dtype=object)
    with pytest.raises(DataError, match="of different types and equal"):
        bm.GLMM("y ~ num + (1 | k)", frame("num", "g").assign(k=column), family="bernoulli")


@pytest.mark.parametrize(("levels", "other"), [([False, True], 1), ([0, 1], True), ([False, True], 0.0)])
def test_true_is_no_name_of_group_one(levels: list[Any], other: Any) -> None:
    data = frame("num", "g").assign(k=[levels[k % 2] for k in range(N)])
    post = bm.from_draws(
        "y ~ 1 + (1 | k)", data, family="bernoulli", beta=np.zeros((1, 3, 1)),
        b={"k": np.array([[[[-1.0], [2.0]]] * 3])}, Sigma={"k": np.ones((1, 3, 1, 1))},
    )  # fmt: skip
    found = bm.avg_predictions(post, groups={"k": [levels[1]]})["estimate"].to_numpy()
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-2.0)), rtol=1e-15)
    with pytest.raises(GroupsError, match="has not seen"):
        bm.avg_predictions(post, groups={"k": [other]})
