"""Numbers that tie, columns that are rounding errors, and ratios of what changes its sign."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

import bayesmargins as bm
from bayesmargins.errors import BayesmarginsWarning, EstimandError, FormulaError
from bayesmargins.integrate.spread import engine_on_grid

N = 40
RNG = np.random.default_rng(0)
DATA = pd.DataFrame({
    "y": RNG.lognormal(size=N), "k": RNG.integers(0, 4, N), "x": RNG.normal(size=N), "three": np.arange(N) % 3.0,
    "same": 1.7, "nearly": np.where(np.arange(N) % 2, 0.1 + 0.2, 0.3), "year": 1e8 + np.arange(N) % 3,
    "g": np.repeat(list("abcd"), 10),
})  # fmt: skip


# ties ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("function", [np.exp, np.negative, lambda z: z**3 + z, lambda z: np.exp(-z), np.tanh])
@pytest.mark.parametrize("ulps", [-3, -1, 0, 1, 3])
def test_a_share_does_not_hang_on_the_last_digit_of_a_tie(function: Any, ulps: int, bounded: bool) -> None:
    engine = engine_on_grid(1.0, bounded=bounded)
    z = engine.points[:, 0]
    g = function(z)
    for k in np.flatnonzero(np.abs(z) < 2.0)[::17]:
        moved = g.copy()
        moved[k] += ulps * np.spacing(g[k])
        share = engine.spread(moved[None], [0.5], float(g[k])).values[0, -1]
        at = ndtr(-z[k] if g[-1] > g[0] else z[k])
        assert share == pytest.approx(at, abs=1e-9)


def test_half_of_the_groups_lie_above_a_ratio_of_one() -> None:
    post = bm.from_draws("k ~ x + (0 + x | g)", DATA, family="poisson", beta=np.zeros((1, 1, 2)),
                         Sigma={"g": np.ones((1, 1, 1, 1))})  # fmt: skip
    for rows in (DATA, DATA.head(1), DATA.iloc[[3, 8]]):
        ds = bm.heterogeneity(post, "x", comparison="ratio", null=1, newdata=rows)
        assert ds["estimate"].sel(statistic="share > 1").item() == pytest.approx(0.5, abs=1e-9)


def test_an_effect_that_is_the_same_in_all_groups_has_no_share_above_itself() -> None:
    engine = engine_on_grid(1.0, bounded=True)
    noise = 1.0 + 1e-16 * np.random.default_rng(1).integers(-2, 3, len(engine.points))
    values = engine.spread(np.stack([noise, 2.0 * noise]), [0.1], 1.0).values
    np.testing.assert_allclose(values[:, 2:], [[1.0, 0.0], [2.0, 1.0]], atol=1e-12)


@pytest.mark.parametrize("q", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("ulps", [-4, -1, 0, 1, 4])
def test_a_quantile_that_ties_is_the_smaller_number_whatever_the_last_digit(q: float, ulps: int) -> None:
    """P(y <= 0) = q, to rounding: the smallest value with P(y <= value) >= q is 0."""
    eta = -np.log(q / (1.0 - q))
    eta += ulps * np.spacing(max(abs(eta), 0.1))
    data = DATA.assign(y=np.arange(N) % 2)
    post = bm.from_draws("y ~ 1", data, family="bernoulli", beta=np.array([[[eta]]]))
    ds = bm.predictions(post, data.head(1), target=bm.quantile(q))
    assert ds["estimate"].item() == 0.0
    assert ds.attrs["error_estimate"] == 1.0


# columns that are rounding errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "term", ["poly(three, 3)", "poly(three, 5)", "poly(year, 3)", "poly(same, 1)", "poly(nearly, 1)",
             "poly(exp(three), 3)", "scale(same)", "scale(nearly)"]
)  # fmt: skip
@pytest.mark.parametrize("formula", ["y ~ {} + (1 | g)", "y ~ 1 + (0 + {} | g)", "y ~ x * {} + (1 | g)"])
def test_rounding_errors_are_no_columns(formula: str, term: str) -> None:
    with pytest.raises(FormulaError, match="rounding error"):
        bm.GLMM(formula.format(term), DATA, family="gaussian")


@pytest.mark.parametrize("term", ["poly(three, 2)", "poly(year, 2)", "poly(x, 12)", "scale(year)", "scale(1e-9 * x)"])
def test_polynomials_that_the_values_carry_stay(term: str) -> None:
    design = bm.GLMM(f"y ~ {term} + (1 | g)", DATA, family="gaussian").design
    X = design.rows(DATA, what="data").X
    assert np.linalg.matrix_rank(X) == X.shape[1]


# ratios of what changes its sign -----------------------------------------------------------------------------------


def gaussian(left: str, intercept: float) -> bm.Posterior:
    rng = np.random.default_rng(2)
    beta = rng.normal(size=(2, 50, 2)) * 0.5 + [intercept, 0.0]
    more = {"b": {"g": rng.normal(size=(2, 50, 4, 1))}, "Sigma": {"g": np.ones((2, 50, 1, 1))}}
    return bm.from_draws(
        f"{left} ~ x + (1 | g)", DATA, family="gaussian", beta=beta, aux={"sigma": np.ones((2, 50))}, **more
    )


@pytest.mark.parametrize("comparison", ["ratio", "lift", "lnratio"])
@pytest.mark.parametrize("left", ["log(y)", "np.sqrt(y)", "scale(y)", "I(y - 1)", "I(y + x * 0)"])
def test_ratios_of_a_transformed_response_are_refused(left: str, comparison: str) -> None:
    post = gaussian(left, 20.0)
    for ask in (bm.avg_comparisons, bm.comparisons):
        for more in ({}, {"target": "link"}, {"target": bm.quantile(0.5)}):
            with pytest.raises(EstimandError, match="a transformed response"):
                ask(post, "x", comparison=comparison, **more)
    with pytest.raises(EstimandError, match="a transformed response"):
        bm.avg_slopes(post, "x", slope="eyex")
    assert np.isfinite(bm.avg_comparisons(post, "x", comparison=comparison, target=bm.sd())["estimate"]).all()


@pytest.mark.parametrize("comparison", ["ratio", "lift", "lnratio"])
def test_ratios_of_what_changes_its_sign_are_warned_of(comparison: str) -> None:
    with pytest.warns(BayesmarginsWarning, match="positive in some draws and negative in others"):
        bm.avg_comparisons(gaussian("y", 0.0), "x", comparison=comparison)


@pytest.mark.parametrize("left", ["y", "I(y / 1000)", "I(2 * y)"])
def test_ratios_of_positive_averages_are_given_without_a_word(left: str) -> None:
    post = gaussian(left, 20.0)
    for comparison in ("ratio", "lift", "lnratio"):
        bm.avg_comparisons(post, "x", comparison=comparison)
    bm.avg_slopes(post, "x", slope="eyex")
