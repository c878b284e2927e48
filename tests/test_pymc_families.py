"""`from_pymc` takes every family under the user's own names: the same posterior as `from_draws` with these arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesmargins as bm
from bayesmargins.family import FAMILIES
from bayesmargins.family.outcome import COUNTS
from bayesmargins.stacks import make_idata

ROWS, DRAWS = 30, 40
WHOLE = ("bernoulli", *(name for name, family in FAMILIES.items() if family.support is COUNTS))
SHARES = ("beta", "ordered_beta", "zero_inflated_beta", "zero_one_inflated_beta")


def data(name: str) -> pd.DataFrame:
    """Rows whose response the family may have."""
    rng = np.random.default_rng(3)
    y: Any = rng.gamma(2.0, 1.0, ROWS) + 0.2
    if name in WHOLE:
        y = rng.integers(0, 2, ROWS)
    if name in SHARES:
        y = rng.beta(2.0, 3.0, ROWS)
    x, g = rng.normal(size=ROWS), np.repeat(list("abc"), ROWS // 3)
    return pd.DataFrame({"y": y, "k": rng.integers(0, 6, ROWS), "x": x, "g": g, "n": 6})


@pytest.mark.parametrize("name", [n for n, family in FAMILIES.items() if not family.ordinal and family.shares is None])
def test_every_family_comes_in_from_a_model_written_by_hand(name: str) -> None:
    rng, family, frame = np.random.default_rng(1), FAMILIES[name], data(name)
    formula = "k | trials(n) ~ x + (1 | g)" if family.support.counts_trials else "y ~ x + (1 | g)"
    beta, sd = 0.1 + 0.1 * rng.uniform(size=(2, DRAWS, 2)), rng.uniform(0.1, 0.2, (2, DRAWS))
    b = 0.1 * rng.normal(size=(2, DRAWS, 3, 1))
    aux = {parameter: rng.uniform(0.3, 0.6, (2, DRAWS)) for parameter in family.numbers}
    aux |= {k: v / 10.0 for k, v in aux.items() if k == "ndt"} | {k: 3.0 + v for k, v in aux.items() if k == "nu"}
    mine = {
        "a": (("chain", "draw"), beta[..., 0]),
        "slope": (("chain", "draw"), beta[..., 1]),
        "spread": (("chain", "draw"), sd),
        "u": (("chain", "draw", "grp"), b[..., 0]),
        **{f"own_{k}": (("chain", "draw"), v) for k, v in aux.items()},
    }
    idata = make_idata({"posterior": xr.Dataset(mine, {"grp": list("abc")})})
    names = {"Intercept": "a", "x": "slope", "sd(g)": "spread", "b(g)": "u", **{k: f"own_{k}" for k in aux}}
    found = bm.from_pymc(idata, formula, frame, family=name, names=names)
    Sigma = {"g": sd[..., None, None] ** 2}
    wanted = bm.from_draws(formula, frame, family=name, beta=beta, b={"g": b}, Sigma=Sigma, aux=aux)
    for groups in ("new", "own"):
        pair = (bm.avg_comparisons(post, "x", groups=groups)["estimate"] for post in (found, wanted))
        np.testing.assert_allclose(*pair, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(*(post.log_likelihood()[post.response_name] for post in (found, wanted)), rtol=1e-10)
