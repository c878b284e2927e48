"""Draws as users hand them over: paired by their labels, and numbers or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesmargins as bm
from bayesmargins.errors import PosteriorError

# So few draws have not mixed, and say so.
pytestmark = pytest.mark.filterwarnings("ignore::bayesmargins.errors.BayesmarginsWarning")

DATA = pd.DataFrame({"y": [0.1, 1.0, 0.4, 2.0], "x": [0.0, 1.0, 2.0, 0.5], "g": list("aabb")})
CHAINS, DRAWS = ["first", "second"], [10, 20, 30, 40, 50]


def labelled() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    coords = {"chain": CHAINS, "draw": DRAWS}

    def array(*rest: int) -> xr.DataArray:
        dims = ("chain", "draw", *(f"d{k}" for k in range(len(rest))))
        return xr.DataArray(rng.lognormal(size=(2, 5, *rest)), coords, dims)

    arrays = {"beta": array(2), "b": {"g": array(2, 1)}, "Sigma": {"g": array(1, 1)}}
    return arrays | {"parts": {"sigma": {"formula": "~ 1 + (1 | g)", "beta": array(1), "Sigma": {"g": array(1, 1)}}}}


def asked(arrays: dict[str, Any]) -> np.ndarray:
    """All that the posterior holds, (chain, draw, value)."""
    post = bm.from_draws("y ~ x + (1 | g)", DATA, family="gaussian", **arrays)
    part = post.parts["sigma"]
    held = [post.beta, post.b["g"], post.Sigma["g"], part.beta, part.Sigma["g"]]
    return np.concatenate([values.to_numpy().reshape(2, 5, -1) for values in held], axis=2)


def everywhere(arrays: Any, change: Any, at: str = "") -> dict[str, Any]:
    """The same arrays, each with one of them changed, by the path of the changed one."""
    out = {}
    for key, value in arrays.items():
        if isinstance(value, dict):
            inner = everywhere(value, change, f"{at}/{key}")
            out |= {path: arrays | {key: changed} for path, changed in inner.items()}
        elif isinstance(value, xr.DataArray):
            out[f"{at}/{key}"] = arrays | {key: change(value)}
    return out


def test_draws_are_paired_by_their_labels_whatever_their_order() -> None:
    arrays = labelled()
    expected = asked(arrays)
    turned = lambda array: array.isel(draw=[3, 0, 4, 1, 2], chain=[1, 0])  # noqa: E731
    for path, changed in everywhere(arrays, turned).items():
        found = asked(changed)
        order = found if path != "/beta" else found[np.ix_([1, 0], [1, 3, 4, 0, 2])]  # the first array gives the order
        np.testing.assert_array_equal(order, expected, err_msg=path)


@pytest.mark.parametrize(
    "change",
    [
        lambda array: array.assign_coords(draw=[10, 20, 30, 40, 60]),
        lambda array: array.assign_coords(draw=[10, 20, 30, 40, 40]),
        lambda array: array.assign_coords(chain=["first", "third"]),
        lambda array: array.isel(draw=slice(4)),
    ],
)
def test_draws_that_belong_to_nothing_are_refused(change: Any) -> None:
    for changed in everywhere(labelled(), change).values():
        with pytest.raises(PosteriorError, match=r"which\s+belong together cannot be told|shape"):
            bm.from_draws("y ~ x + (1 | g)", DATA, family="gaussian", **changed)


def test_draws_of_pymc_are_paired_by_label() -> None:
    coords = {"chain": [0], "draw": [0, 1, 2]}
    draws = xr.Dataset(
        {"beta": (("chain", "draw", "k"), np.zeros((1, 3, 2))), "sd": (("chain", "draw"), [[1.0, 2.0, 3.0]])}, coords
    )
    names = {"beta": "beta", "sd(1|g)": "sd", "1|g": None, "sigma": draws["sd"].isel(draw=[2, 1, 0])}
    post = bm.from_pymc(draws, "y ~ x + (1 | g)", DATA, family="gaussian", names=names)
    assert post.aux["sigma"].values.tolist() == [[1.0, 2.0, 3.0]]


MASKED = np.ma.masked_array(np.zeros((1, 4, 2)), mask=np.eye(4, 2, dtype=bool)[None])
NO_NUMBERS = [
    np.zeros((1, 4, 2), dtype=complex),
    np.full((1, 4, 2), 1 + 2j),
    MASKED,
    [MASKED[0]],
    np.zeros((1, 4, 2), dtype="datetime64[s]"),
    np.zeros((1, 4, 2), dtype="timedelta64[s]"),
    np.full((1, 4, 2), "1.5"),
    np.full((1, 4, 2), "1.5", dtype=object),
    np.full((1, 4, 2), b"1"),
    np.zeros((1, 4, 2), dtype=bool),
    np.full((1, 4, 2), None),
    np.full((1, 4, 2), 10**400),
]


@pytest.mark.parametrize("beta", NO_NUMBERS, ids=lambda v: str(getattr(v, "dtype", "list")))
def test_what_is_no_real_number_is_no_draw(beta: Any) -> None:
    data = DATA.assign(y=[0, 1, 0, 1])
    with pytest.raises(PosteriorError, match=r"masked|real numbers|larger than any float"):
        bm.from_draws("y ~ x", data, family="bernoulli", beta=beta)
    if not isinstance(beta, list) and beta.dtype.kind not in "OS":
        with pytest.raises(PosteriorError, match=r"masked|numbers"):
            bm.from_pymc({"beta": beta}, "y ~ x", data, family="bernoulli", names={"beta": "beta"})
    if not isinstance(beta, list) and not np.ma.isMaskedArray(beta):
        kind = object if beta.dtype == object else None  # pandas 2.2 makes floats of objects, or fails to
        frame = pd.DataFrame({"b_Intercept": pd.Series(beta[0, :, 0], dtype=kind), ".chain": 1})
        frame["b_x"] = pd.Series(beta[0, :, 1], dtype=kind)
        with pytest.raises(PosteriorError, match=r"real numbers"):
            bm.from_brms(frame, "y ~ x", data, family="bernoulli")


def test_whole_numbers_and_fractions_are_draws() -> None:
    data = DATA.assign(y=[0, 1, 0, 1])
    for dtype in (np.int8, np.uint64, np.float16, np.longdouble, object):
        post = bm.from_draws("y ~ x", data, family="bernoulli", beta=np.ones((1, 4, 2), dtype=dtype))
        assert post.beta.dtype == np.float64
