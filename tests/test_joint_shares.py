"""Shares of variance where groups move several linear predictors: closed forms, quadrature over both, simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmargins as bm

DRAWS, N = 3, 10
RNG = np.random.default_rng(8)
DATA = pd.DataFrame({"x": RNG.normal(size=N), "y": np.resize([0.0, 1, 3], N), "g": np.resize([*"abcd"], N)})
SIGMA = np.array([[0.5, -0.3], [-0.3, 0.8]])


def posterior(family: str, name: str, **more: Any) -> bm.Posterior:
    part = {"formula": "~ x + (1 | g)", "beta": np.random.default_rng(2).normal(-0.3, 0.3, (1, DRAWS, 2))}
    given: dict[str, Any] = {
        "beta": np.random.default_rng(3).normal(0.2, 0.3, (1, DRAWS, 2)),
        "Sigma": {"g": np.broadcast_to(SIGMA, (1, DRAWS, 2, 2))},
        "parts": {name: part},
    }
    return bm.from_draws("y ~ x + (1 | g)", DATA, family=family, **given | more)


def shares(post: bm.Posterior) -> pd.DataFrame:
    found = bm.variance_partition(post)
    return pd.DataFrame(found["estimate"].to_numpy()[0], columns=found["quantity"].to_numpy())


def predictors(post: bm.Posterior) -> tuple[np.ndarray, np.ndarray]:
    X = np.column_stack([np.ones(N), DATA["x"]])
    (part,) = post.parts.values()
    return post.draws.beta @ X.T, part.draws.beta @ X.T


def test_shares_of_a_normal_response_have_closed_forms() -> None:
    post = posterior("gaussian", "sigma")
    eta, log = predictors(post)
    within, fixed = np.exp(2.0 * log + 2.0 * SIGMA[1, 1]).mean(axis=1), eta.var(axis=1)
    found, total = shares(post), fixed + SIGMA[0, 0] + within
    np.testing.assert_allclose(found["VPC of g, response scale"], SIGMA[0, 0] / (SIGMA[0, 0] + within), rtol=1e-8)
    np.testing.assert_allclose(found["marginal R2, response scale"], fixed / total, rtol=1e-8)
    np.testing.assert_allclose(found["conditional R2, response scale"], (fixed + SIGMA[0, 0]) / total, rtol=1e-8)


def test_shares_of_counts_with_more_zeros_are_quadrature_over_both() -> None:
    post = posterior("zero_inflated_poisson", "zi")
    z = np.arange(-11.0, 11.01, 0.1)
    u, v = np.meshgrid(z, z)
    weights = np.exp(-0.5 * (u**2 + v**2)) * 0.1**2 / (2.0 * np.pi)
    L, found = np.linalg.cholesky(SIGMA), shares(post)
    for k, rows in enumerate(np.stack(predictors(post), axis=-1)):
        means, between, variance = [], [], []
        for eta, zeta in rows:
            mu, kept = np.exp(eta + L[0, 0] * u), 1.0 / (1.0 + np.exp(zeta + L[1, 0] * u + L[1, 1] * v))
            mean, second = (weights * mu * kept).sum(), (weights * (mu * kept) ** 2).sum()
            means, between = [*means, mean], [*between, second - mean**2]
            variance.append((weights * kept * (mu + mu**2)).sum() - mean**2)
        wanted = np.mean(between) / np.mean(variance)
        assert found["VPC of g, response scale"][k] == pytest.approx(wanted, rel=1e-7)
        explained = np.var(means) / (np.var(means) + np.mean(variance))
        assert found["marginal R2, response scale"][k] == pytest.approx(explained, rel=1e-7)


def test_without_variance_of_the_parameter_shares_are_those_of_groups_on_the_mean() -> None:
    alone = {"formula": "~ x", "beta": np.random.default_rng(2).normal(-0.3, 0.3, (1, DRAWS, 2))}
    one = posterior("negbinomial", "shape", Sigma={"g": np.full((1, DRAWS, 1, 1), 0.5)}, parts={"shape": alone})
    both = posterior("negbinomial", "shape", Sigma={"g": np.broadcast_to(np.diag([0.5, 0.0]), (1, DRAWS, 2, 2))})
    pd.testing.assert_frame_equal(shares(both), shares(one), rtol=1e-9)


def test_several_factors_are_refused_with_the_reason() -> None:
    part = {"formula": "~ 1 + (1 | h)", "beta": np.zeros((1, DRAWS, 1)), "Sigma": {"h": np.ones((1, DRAWS, 1, 1))}}
    given = {"beta": np.zeros((1, DRAWS, 2)), "Sigma": {"g": np.ones((1, DRAWS, 1, 1))}, "parts": {"sigma": part}}
    post = bm.from_draws("y ~ x + (1 | g)", DATA.assign(h=np.resize([*"uvw"], N)), family="gaussian", **given)
    with pytest.raises(bm.EstimandError, match="averages are joint ones for every value of the factor"):
        bm.variance_partition(post)


@pytest.mark.parametrize("case", [0, *(pytest.param(k, marks=pytest.mark.evidence) for k in range(1, 8))])
def test_four_predictors_are_a_simulation_and_their_error_is_honest(case: int) -> None:
    """Groups on mu, phi, zoi and coi: P(y > 0.6) and the mean, against 10^6 groups, within four errors of both."""
    names, rng = ("phi", "zoi", "coi"), np.random.default_rng(case)
    root = rng.normal(size=(4, 4)) * 0.4
    beta = [np.full((1, 1, 1), v) for v in rng.normal((0.2, 1.0, -0.5, 0.3), 0.3)]
    post = bm.from_draws(
        "y ~ 1 + (1 | g)",
        DATA.assign(y=np.resize([0.0, 0.4, 1.0], N)),
        family="zero_one_inflated_beta",
        beta=beta[0],
        Sigma={"g": (root @ root.T)[None, None]},
        parts={n: {"formula": "~ 1 + (1 | g)", "beta": b} for n, b in zip(names, beta[1:], strict=True)},
    )
    b = rng.normal(size=(1_000_000, 4)) @ root.T + np.array([v.item() for v in beta])
    links = [post.link, *(post.parts[n].link for n in names)]
    mu, phi, zoi, coi = (link.inverse(v) for link, v in zip(links, b.T, strict=True))
    tail = zoi * coi + (1.0 - zoi) * stats.beta.sf(0.6, mu * phi, (1.0 - mu) * phi)
    found = bm.predictions(post, DATA.head(1), target=bm.exceeds(0.6))
    assert "Sobol points in 3 dimensions" in found.attrs["integration_method"]
    assert 0.0 < found.attrs["error_estimate"] < 1e-3
    error = np.hypot(found.attrs["error_estimate"], tail.std() / 1e3)
    assert abs(found["estimate"].item() - tail.mean()) < 4.0 * error
    mean, each = bm.predictions(post, DATA.head(1)), zoi * coi + (1.0 - zoi) * mu
    assert "trapezoid over zoi and coi" in mean.attrs["integration_method"]
    assert abs(mean["estimate"].item() - each.mean()) < 4.0 * each.std() / 1e3


def test_both_sides_of_a_contrast_have_the_same_points() -> None:
    """A variable that moves nothing changes nothing, to the last digit."""
    part = {"formula": "~ 1 + (1 | g)", "beta": np.zeros((1, DRAWS, 1))}
    post = bm.from_draws(
        "y ~ x + (1 | g)",
        DATA.assign(y=np.resize([0.0, 0.4, 1.0], N)),
        family="zero_one_inflated_beta",
        beta=np.zeros((1, DRAWS, 2)),
        Sigma={"g": np.broadcast_to(0.3 * np.eye(4), (1, DRAWS, 4, 4))},
        parts=dict.fromkeys(("phi", "zoi", "coi"), part),
    )
    found = bm.comparisons(post, "x", newdata=DATA.head(2), target=bm.exceeds(0.6))
    assert "Sobol points" in found.attrs["integration_method"]
    np.testing.assert_array_equal(found["estimate"], 0.0)
