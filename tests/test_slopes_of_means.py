"""Slopes of means that read several linear predictors, and of quotients: differences of predictions, quadrature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmargins as bm
from bayesmargins.family import FAMILIES

N, DRAWS = 20, 2
AUX = {"shape": 0.7, "phi": 3.0, "zi": 0.3, "hu": 0.3, "sigma": 0.5, "zoi": 0.2, "coi": 0.6}


def posterior(family: str, parts: list[str], groups: str) -> bm.Posterior:
    """Every linear predictor has x and the groups."""
    rng, q, k = np.random.default_rng(3), 2 if "x" in groups else 1, 1 + len(parts)
    y = np.resize([0.0, 1, 2, 0, 3] if "beta" not in family else [0.0, 0.2, 0.5, 0.7], N)
    data = pd.DataFrame({"x": rng.normal(size=N), "w": rng.normal(size=N), "y": y, "n": 7})
    data["g"] = np.resize([*"abcde"], N)
    root = rng.normal(size=(1, DRAWS, k * q, k * q)) * 0.3

    def predictor(columns: int) -> dict[str, Any]:
        b = 0.4 * rng.normal(size=(1, DRAWS, 5, q))
        return {"beta": 0.4 * rng.normal(size=(1, DRAWS, columns)), "b": {"g": b}}

    trials = " | trials(n)" if FAMILIES[family].support.counts_trials else ""
    return bm.from_draws(
        f"y{trials} ~ x + w + {groups}",
        data,
        family=family,
        **predictor(3),
        Sigma={"g": root @ np.swapaxes(root, -1, -2) + 0.05 * np.eye(k * q)},
        aux={a: np.full((1, DRAWS), AUX[a]) for a in FAMILIES[family].aux if a not in parts},
        parts={name: {"formula": f"~ x + {groups}", **predictor(2)} for name in parts},
    )


def values(ds: Any) -> np.ndarray:
    return np.asarray(ds["estimate"].to_numpy()[0])


@pytest.mark.parametrize("policy", ["new", "own", "existing"])
@pytest.mark.parametrize(
    ("family", "parts", "groups"),
    [
        ("hurdle_poisson", [], "(1 + x | g)"),
        ("hurdle_negbinomial", [], "(1 | g)"),
        ("hurdle_poisson", ["hu"], "(1 | g)"),
        ("zero_inflated_poisson", ["zi"], "(1 + x | g)"),
        ("zero_inflated_binomial", ["zi"], "(1 + x | g)"),
        ("zero_one_inflated_beta", ["zoi", "coi"], "(1 + x | g)"),
    ],
)
def test_slopes_are_what_predictions_do_over_small_steps(
    family: str, parts: list[str], groups: str, policy: str
) -> None:
    post, h = posterior(family, parts, groups), 1e-3
    rows = post.design.data.head(2)

    def mean(step: float) -> np.ndarray:
        return values(bm.predictions(post, rows.assign(x=rows["x"] + step), groups=policy))

    found = bm.slopes(post, "x", newdata=rows, groups=policy)
    by_steps = (8.0 * (mean(h) - mean(-h)) - (mean(2.0 * h) - mean(-2.0 * h))) / (12.0 * h)
    np.testing.assert_allclose(values(found)[:, 0], by_steps, rtol=1e-9, atol=2e-11)


@pytest.mark.parametrize("family", ["hurdle_poisson", "zero_inflated_beta"])
@pytest.mark.parametrize(
    ("of_mean", "of_share", "Sigma", "x"),
    [
        ("0 + x", "1", [[0.25, 0.21], [0.21, 0.49]], 0.0),
        ("1", "0 + x", [[0.25, 0.21], [0.21, 0.49]], 0.0),
        ("1 + x", "1", np.outer([0.8, 0.5, -0.7], [0.8, 0.5, -0.7]).tolist(), 0.7),
    ],
)
def test_slopes_where_effects_are_one_number_or_none(
    family: str, of_mean: str, of_share: str, Sigma: list[list[float]], x: float
) -> None:
    """Rows whose z is 0, and correlations of 1: there the root of the covariance has no derivative."""
    share = "hu" if family.startswith("hurdle") else "zi"
    y = [1.0, 2, 0, 3] if share == "hu" else [0.2, 0.4, 0.0, 0.6]
    data = pd.DataFrame({"y": y, "x": [0.0, 1, 2, 3], "g": list("aabb")})
    aux = {} if share == "hu" else {"aux": {"phi": [[4.0]]}}
    part = {"formula": f"~ x + ({of_share} | g)", "beta": [[[-0.6, 0.5]]]}
    post = bm.from_draws(
        f"y ~ x + ({of_mean} | g)",
        data,
        family=family,
        beta=[[[0.3, 0.4]]],
        Sigma={"g": [[Sigma]]},
        parts={share: part},
        **aux,
    )
    row, step = pd.DataFrame({"x": [x]}), 1e-3
    found = float(bm.slopes(post, "x", newdata=row)["estimate"].squeeze())
    at = {
        k: float(bm.predictions(post, pd.DataFrame({"x": [x + k * step]}))["estimate"].squeeze())
        for k in (-2, -1, 1, 2)
    }
    wanted = (8.0 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12.0 * step)
    assert found == pytest.approx(wanted, rel=1e-8, abs=0.0)
