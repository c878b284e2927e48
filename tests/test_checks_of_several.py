"""Checks where groups act on several linear predictors: new groups are drawn, and left out, with all their effects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmargins as bm
from bayesmargins.validation.densities import densities
from bayesmargins.validation.replicates import Replicates

DRAWS, GROUPS, N = 400, 6, 24
SIGMA = np.array([[0.5, 0.35], [0.35, 0.4]])
RNG = np.random.default_rng(4)
DATA = pd.DataFrame({"y": RNG.normal(size=N), "g": np.resize([*"abcdef"], N)})


def posterior(given: bool = True, **more: Any) -> bm.Posterior:
    """mu and log sigma of each group, correlated."""
    draws = more.get("draws", DRAWS)
    b = np.random.default_rng(5).multivariate_normal(np.zeros(2), SIGMA, (1, draws, GROUPS)) * 0.5
    part = {"formula": "~ 1 + (1 | g)", "beta": np.full((1, draws, 1), -0.2), "b": {"g": b[..., 1:]}}
    Sigma = {"g": np.broadcast_to(SIGMA if given else SIGMA[:1, :1], (1, draws, 2 if given else 1, 2 if given else 1))}
    if not given:
        part["Sigma"] = {"g": np.full((1, draws, 1, 1), SIGMA[1, 1])}
    mean = {"beta": np.full((1, draws, 1), 0.3), "b": {"g": b[..., :1]}}
    return bm.from_draws("y ~ 1 + (1 | g)", DATA, family="gaussian", **mean, Sigma=Sigma, parts={"sigma": part})


def test_new_groups_have_their_covariance_over_both_predictors() -> None:
    replicates = Replicates.of(posterior(), 4000, 1)
    blocks = [replicates.parameters(block, "new") for block in replicates.blocks]
    mu, log = (np.concatenate([of(p) for p in blocks])[:, :GROUPS].ravel() for of in (lambda p: p.mu, _log))
    assert np.abs(np.cov(mu, log) - SIGMA).max() < 5 * np.sqrt(2.0 * 0.5**2 / len(mu)) + 1e-3
    same = np.concatenate([p.mu[:, ::GROUPS] for p in blocks])
    np.testing.assert_array_equal(same, np.broadcast_to(same[:, :1], same.shape))


def _log(p: Any) -> np.ndarray:
    return np.asarray(np.log(np.broadcast_to(p.sigma, p.mu.shape)))


def test_a_group_left_out_has_its_effects_on_both_integrated() -> None:
    """Against quadrature over log sigma, in which the rows of a group are jointly normal."""
    post = posterior(draws=40)
    found = densities(post, post.design.factors["g"])
    assert "2 dimensions" in found.method
    z = np.arange(-9.0, 9.01, 0.05)
    weights = np.exp(-0.5 * z**2) * 0.05 / np.sqrt(2.0 * np.pi)
    left = SIGMA[0, 0] - SIGMA[0, 1] ** 2 / SIGMA[1, 1]
    for k, level in enumerate("abcdef"):
        y = DATA["y"][DATA["g"] == level].to_numpy()
        each = [
            stats.multivariate_normal.pdf(
                y, np.full(len(y), 0.3 + SIGMA[0, 1] / np.sqrt(SIGMA[1, 1]) * u),
                left + np.exp(2.0 * (-0.2 + np.sqrt(SIGMA[1, 1]) * u)) * np.eye(len(y)),
            )
            for u in z
        ]  # fmt: skip
        expected = np.log(weights @ each)
        assert abs(found.values.values[0, 0, k] - expected) < 5.0 * found.error[k] + 1e-6
        assert found.error[k] < 0.05


def test_check_speaks_of_new_groups_where_all_is_known() -> None:
    found = bm.check(posterior(), draws=40, random_seed=1)
    assert "new" in set(found.table["groups"])


def test_leaving_out_groups_is_answered() -> None:
    with pytest.warns(bm.BayesmarginsWarning, match="by Sobol points in 2 dimensions, have errors that add up to"):
        found = bm.logo(posterior(), "g", calibration=False)
    assert np.isfinite(found.elpd)


def test_uncorrelated_effects_are_drawn_apart() -> None:
    replicates = Replicates.of(posterior(given=False), 4000, 1)
    blocks = [replicates.parameters(block, "new") for block in replicates.blocks]
    mu, log = (np.concatenate([of(p) for p in blocks])[:, :GROUPS].ravel() for of in (lambda p: p.mu, _log))
    assert abs(np.corrcoef(mu, log)[0, 1]) < 5.0 / np.sqrt(len(mu))
