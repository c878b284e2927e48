"""Categories without an order: against SciPy, quadrature at 30 digits, simulated groups, brms; and laws."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
import reference
import xarray as xr
from interpreted import interpreted
from scipy import special, stats

import bayesmargins as bm
from bayesmargins.family import FAMILIES, LINKS, Outcome, Values
from bayesmargins.integrate.softmax import softmax_averages

N, DRAWS = 14, 3
ONE_EFFECT = np.ones((1, DRAWS, 1, 1))
LABELS = ("red", "amber", "green", "blue", "white")


def frame(categories: int, n: int = N) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    y = pd.Categorical(np.resize(LABELS[:categories], n), LABELS[:categories])
    return pd.DataFrame({"y": y, "x": rng.normal(size=n), "g": np.resize([*"cab"], n)})


def given(categories: int, terms: int = 1, seed: int = 3) -> dict[str, Any]:
    """Draws whose effects on all linear predictors are correlated."""
    rng, K = np.random.default_rng(seed), categories - 1
    root = 0.7 * rng.normal(size=(1, DRAWS, K * terms, K * terms))
    return {
        "beta": 0.8 * rng.normal(size=(1, DRAWS, K, 2)),
        "b": {"g": 0.6 * rng.normal(size=(1, DRAWS, K, 3, terms))},
        "Sigma": {"g": root @ np.swapaxes(root, -1, -2) + 0.1 * np.eye(K * terms)},
    }


def posterior(categories: int = 3, terms: int = 1, data: pd.DataFrame | None = None, **more: Any) -> bm.Posterior:
    formula = "y ~ x + (1 | g)" if terms == 1 else "y ~ x + (1 + x | g)"
    data = frame(categories) if data is None else data
    return bm.from_draws(formula, data, family="categorical", **(given(categories, terms) | more))


def values(ds: xr.Dataset) -> np.ndarray:
    """(draw, category, ...)."""
    found = ds["estimate"].transpose("chain", "draw", "category", ...).to_numpy()
    return np.asarray(found.reshape(-1, *found.shape[2:]))


def fixed_part(data: pd.DataFrame, beta: np.ndarray) -> np.ndarray:
    """(draw, predictor, row)."""
    return np.asarray(np.einsum("dkp,np->dkn", beta[0], np.column_stack([np.ones(len(data)), data["x"]])))


def softmax(etas: np.ndarray, axis: int = 1) -> np.ndarray:
    """SciPy's, with 0 in the first place."""
    zero = np.zeros_like(np.take(etas, [0], axis=axis))
    return np.asarray(special.softmax(np.concatenate([zero, etas], axis=axis), axis=axis))


def test_log_density_and_draws_are_those_of_the_categorical_distribution() -> None:
    family, rng = FAMILIES["categorical"], np.random.default_rng(1)
    etas = rng.normal(scale=4.0, size=(3, 50))
    y = np.resize([1.0, 2.0, 3.0, 4.0], 50)
    p = Values(eta=etas[0], link=LINKS["logit"], **{"mu[b]": etas[1], "mu[c]": etas[2]})
    shares = softmax(etas, axis=0)
    wanted = [stats.multinomial.logpmf(np.eye(4)[int(k) - 1], 1, share) for k, share in zip(y, shares.T, strict=True)]
    np.testing.assert_allclose(family.log_density(p, Outcome(y)), wanted, rtol=1e-10)
    one = Values(eta=np.full(40_000, 0.5), link=LINKS["logit"], **{"mu[b]": np.full(40_000, -0.8)})
    drawn = family.simulate(np.random.default_rng(2), one, Outcome())
    expected = 40_000 * softmax(np.array([[0.5], [-0.8]]), axis=0)[:, 0]
    assert stats.chisquare(np.bincount(drawn.astype(int))[1:], expected).pvalue > 1e-4


@pytest.fixture(scope="module")
def verbal() -> bm.Posterior:
    data = pd.read_csv(reference.HERE / "u_categorical" / "data.csv")
    formula = "resp ~ Anger10 + btype + (1 | id)"
    return bm.from_brms(reference.draws("u_categorical"), formula, data, family="categorical")


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("avg_own", lambda p: bm.avg_predictions(p, groups="own")),
        ("avg_zero", lambda p: bm.avg_predictions(p, groups="zero")),
        ("avg_new", bm.avg_predictions),
        ("cf_new", lambda p: bm.avg_comparisons(p, "Anger10")),
        ("cf_zero", lambda p: bm.avg_comparisons(p, "Anger10", groups="zero")),
        ("rows_own", lambda p: bm.predictions(p, groups="own")),
    ],
)
def test_brms_with_a_linear_predictor_a_category(verbal: bm.Posterior, name: str, ask: Any) -> None:
    """On 25 of its draws; new groups in the reference by a tensor trapezoid."""
    of = reference.expected("u_categorical")[name]
    ds = ask(verbal)
    found, categories = values(ds)[of["draw"]], ds["category"].to_numpy().tolist()
    if name == "rows_own":
        found = np.stack([found[:, categories.index(k), row] for row, k in of["names"]])
    else:
        found = np.stack([found[:, categories.index(k)].reshape(len(found)) for k in of["names"]])
    np.testing.assert_allclose(found, of["value"], rtol=1e-11)


def test_brms_log_likelihood_of_categories(verbal: bm.Posterior) -> None:
    of = reference.expected("u_categorical")["log_lik"]
    found = verbal.log_likelihood()["resp"].to_numpy().reshape(25, -1)[of["draw"]][:, of["names"]]
    np.testing.assert_allclose(found.T, of["value"], rtol=1e-12, atol=1e-13)


def _exact(m: np.ndarray, L: np.ndarray) -> list[Any]:
    """E[softmax(m + L z)] of three categories by a trapezoid sum at 30 digits, with a step 1e-25 is reached by."""
    with mp.workdps(30):
        h, reach = mp.mpf("0.16"), 11
        grid = [h * k for k in range(-int(reach / h), int(reach / h) + 1)]
        weights = [mp.exp(-z * z / 2) for z in grid]
        first = [mp.exp(mp.mpf(m[0]) + mp.mpf(L[0, 0]) * z) for z in grid]
        slow = [mp.exp(mp.mpf(m[1]) + mp.mpf(L[1, 0]) * z) for z in grid]
        fast = [mp.exp(mp.mpf(L[1, 1]) * z) for z in grid]
        sums = [mp.mpf(0)] * 3
        for a, s, u in zip(first, slow, weights, strict=True):
            for f, v in zip(fast, weights, strict=True):
                c, w = s * f, u * v
                w /= 1 + a + c
                sums = [sums[0] + w, sums[1] + w * a, sums[2] + w * c]
        return [total * h * h / (2 * mp.pi) for total in sums]


@pytest.mark.parametrize(
    ("m", "V"),
    [
        ((0.4, -1.1), ((0.9, 0.5), (0.5, 1.3))),
        ((-6.0, 3.0), ((1.5, -0.9), (-0.9, 0.8))),
        ((2.0, 2.5), ((0.25, 0.0), (0.0, 2.0))),
    ],
)
def test_joint_probabilities_of_three_categories_equal_quadrature_at_30_digits(m: Any, V: Any) -> None:
    L = np.linalg.cholesky(np.array(V))
    found = softmax_averages(np.array(m)[:, None, None], L[None, None])
    wanted = np.array([float(v) for v in _exact(np.array(m), L)])
    assert found.bounded
    assert found.error < 1e-11
    np.testing.assert_allclose(found.value[:, 0, 0], wanted, rtol=1e-11)  # relative: small ones too


@pytest.mark.parametrize("terms", [1, 2], ids=["intercept", "slope"])
def test_probabilities_over_new_groups_are_those_of_a_grid(terms: int) -> None:
    post, data = posterior(3, terms), frame(3)
    made = given(3, terms)
    z = np.column_stack([np.ones(N), data["x"]])[:, :terms]
    V = np.einsum("np,dkplq,nq->dnkl", z, made["Sigma"]["g"][0].reshape(DRAWS, 2, terms, 2, terms), z)
    z = np.arange(-9.0, 9.01, 0.1)
    u, v = (a.ravel() for a in np.meshgrid(z, z))
    weights = np.exp(-0.5 * (u**2 + v**2))
    moves = np.einsum("dnkj,jg->dkng", np.linalg.cholesky(V), np.stack([u, v]))
    shares = softmax(fixed_part(data, made["beta"])[..., None] + moves)
    wanted = shares @ (weights / weights.sum())
    found = bm.predictions(post)
    np.testing.assert_allclose(values(found), wanted, rtol=1e-11)
    assert found.attrs["integration_method"] == "trapezoid in 2 dimensions"
    assert found.attrs["error_bound"] < 1e-10  # rounding of 50,000 terms
    np.testing.assert_allclose(values(found).sum(axis=1), 1.0, rtol=1e-14)


@pytest.mark.parametrize("categories", [4, 5])
def test_more_categories_are_those_of_a_million_simulated_groups(categories: int) -> None:
    post, data, made = posterior(categories), frame(categories).head(2), given(categories)
    found = bm.predictions(post, data)
    rng = np.random.default_rng(6)
    for draw in range(DRAWS):
        b = rng.multivariate_normal(np.zeros(categories - 1), made["Sigma"]["g"][0, draw], size=1_000_000)
        for row in range(2):
            shares = softmax(fixed_part(data, made["beta"])[draw, :, row] + b)
            error = shares.std(axis=0) / 1000.0
            assert (np.abs(shares.mean(axis=0) - values(found)[draw, :, row]) < 4.5 * error).all()


def test_errors_of_points_are_no_larger_than_they_are_said_to_be() -> None:
    """In random cases of three numbers, whose grid has a bound; and of four, of which three are one."""
    rng = np.random.default_rng(14)
    for _ in range(12):
        etas, moves = rng.normal(scale=1.5, size=(3, 1, 2)), rng.normal(size=(1, 1, 3, 3)) * rng.uniform(0.3, 1.2)
        exact, sobol = softmax_averages(etas, moves), softmax_averages(etas, moves, points=True)
        assert exact.bounded
        assert exact.error < 1e-9
        assert not sobol.bounded
        assert sobol.method.startswith("Sobol points in 3 dimensions")
        assert np.abs(sobol.value - exact.value).max() <= sobol.error + exact.error < 1e-3


def independent(categories: int, sd: float, seed: int = 9) -> np.ndarray:
    """Sigma (chain, draw, category, term, term)."""
    sds = sd * np.random.default_rng(seed).uniform(0.6, 1.4, size=(1, DRAWS, categories - 1, 1, 1))
    return np.asarray(sds**2)


@pytest.mark.parametrize("rows", [4, 60], ids=["directly", "tables"])
@pytest.mark.parametrize("sd", [0.2, 1.0, 2.5])
def test_independent_effects_leave_one_dimension(sd: float, rows: int) -> None:
    """Held against the grid in three: the same question with a correlation too small to matter."""
    data = frame(4, rows)
    apart = independent(4, sd)
    post = posterior(4, data=data, Sigma={"g": apart})
    joint = np.zeros((1, DRAWS, 3, 3))
    joint[..., range(3), range(3)] = apart[..., 0, 0]
    joint[..., 0, 1] = joint[..., 1, 0] = 1e-13 * sd**2
    other = posterior(4, data=data, Sigma={"g": joint})
    for ask in (bm.predictions, lambda p: bm.slopes(p, "x")):
        one, grid = ask(post), ask(other)
        assert one.attrs["integration_method"] == "trapezoid in 1 dimension of 3"
        assert grid.attrs["integration_method"] == "trapezoid in 3 dimensions"
        apart_by = np.abs(values(one) - values(grid)).max()
        assert apart_by <= one.attrs["error_bound"] + grid.attrs["error_bound"] < 2e-8


def test_five_independent_linear_predictors_are_those_of_a_million_simulated_groups() -> None:
    labels = ("a", "b", "c", "d", "e", "f")
    data = frame(2).assign(y=pd.Categorical(np.resize(labels, N), labels)).head(6)
    rng = np.random.default_rng(21)
    beta, sds = rng.normal(size=(1, 2, 5, 2)), rng.uniform(0.4, 1.8, size=(2, 5))
    Sigma = {"g": (sds**2)[None, ..., None, None]}
    post = bm.from_draws("y ~ x + (1 | g)", data, family="categorical", beta=beta, Sigma=Sigma)
    found = bm.predictions(post, data.head(2))
    assert found.attrs["integration_method"] == "trapezoid in 1 dimension of 5"
    for draw in range(2):
        b = rng.normal(size=(1_000_000, 5)) * sds[draw]
        for row in range(2):
            shares = softmax(fixed_part(data, beta)[draw, :, row] + b)
            error = shares.std(axis=0) / 1000.0
            assert (np.abs(shares.mean(axis=0) - values(found)[draw, :, row]) < 4.5 * error).all()
    np.testing.assert_allclose(values(found).sum(axis=1), 1.0, rtol=1e-11)


def test_contrasts_share_their_points() -> None:
    """So that a difference of averages is far more precise than each: that of equal rows is 0."""
    post, data = posterior(5), frame(5)
    assert "Sobol" in bm.avg_predictions(post).attrs["integration_method"]
    nothing = bm.avg_comparisons(post, {"x": [0.7, 0.7 + 1e-9]}, newdata=data)
    np.testing.assert_allclose(values(nothing), 0.0, atol=1e-9)


def test_a_slope_is_the_limit_of_a_difference_where_random_slopes_move_the_covariance() -> None:
    post, data, h = posterior(3, 2), frame(3), 1e-5
    for groups in ("new", "own", "existing"):
        up, low = (values(bm.predictions(post, data.assign(x=data["x"] + s), groups=groups)) for s in (h, -h))
        found = values(bm.slopes(post, "x", newdata=data, groups=groups))
        np.testing.assert_allclose(found.reshape(up.shape), (up - low) / (2 * h), atol=2e-9)


def test_a_slope_for_a_relative_change_of_x_is_x_times_the_slope() -> None:
    post, data = posterior(3, 2), frame(3)
    slope, relative = (values(bm.slopes(post, "x", newdata=data, slope=word)) for word in ("dydx", "dyex"))
    np.testing.assert_allclose(relative, slope * data["x"].to_numpy(), rtol=1e-12)


def test_second_derivatives_are_slopes_of_slopes() -> None:
    post, data, h = posterior(3), frame(3), 1e-5
    up, low = (values(bm.slopes(post, "x", newdata=data.assign(x=data["x"] + s))) for s in (h, -h))
    found = values(bm.slopes(post, "x", newdata=data, second="x"))
    np.testing.assert_allclose(found, (up - low) / (2 * h), atol=2e-9)
    with pytest.raises(bm.EstimandError, match="random slope over new groups"):
        bm.slopes(posterior(3, 2), "x", second="x")


def test_own_existing_named_and_zero_are_softmax_written_out() -> None:
    post, data, made = posterior(4), frame(4), given(4)
    b = made["b"]["g"][0, ..., 0]  # (draw, predictor, group)
    eta, codes = fixed_part(data, made["beta"]), post.design.factors["g"].codes
    each = softmax(eta[..., None] + b[:, :, None, :])  # (draw, category, row, group)
    own = np.take_along_axis(each, codes[None, None, :, None], axis=3)[..., 0]
    np.testing.assert_allclose(values(bm.predictions(post, groups="own")), own, rtol=1e-13)
    np.testing.assert_allclose(values(bm.predictions(post, groups="existing")), each.mean(axis=3), rtol=1e-13)
    np.testing.assert_allclose(values(bm.predictions(post, groups="zero")), softmax(eta), rtol=1e-13)
    named = bm.predictions(post, groups={"g": ["b", "a"]})["estimate"].transpose(
        "chain", "draw", "category", "row", "g"
    )
    np.testing.assert_allclose(named.to_numpy()[0], each[..., [1, 0]], rtol=1e-13)


def test_without_variance_new_groups_are_zero() -> None:
    post = posterior(4, Sigma={"g": np.zeros((1, DRAWS, 3, 1, 1))})
    np.testing.assert_allclose(values(bm.predictions(post)), values(bm.predictions(post, groups="zero")), rtol=1e-14)


@pytest.mark.parametrize("groups", ["new", "own", "existing", "zero"])
def test_another_reference_category_changes_no_probability(groups: str) -> None:
    """The same model with its predictors against the second category: differences of those against the first."""
    data, made = frame(3), given(3)
    turn = np.array([[-1.0, 0.0], [-1.0, 1.0]])  # to log odds of the first and the third against the second
    other = data.assign(y=data["y"].cat.reorder_categories(["amber", "red", "green"]))
    turned = {
        "beta": np.einsum("kl,cdlp->cdkp", turn, made["beta"]),
        "b": {"g": np.einsum("kl,cdlgp->cdkgp", turn, made["b"]["g"])},
        "Sigma": {"g": turn @ made["Sigma"]["g"] @ turn.T},
    }
    here = bm.predictions(posterior(3), groups=groups)["estimate"]
    there = bm.predictions(posterior(3, data=other, **turned), groups=groups)["estimate"]
    xr.testing.assert_allclose(here, there.sel(category=here["category"]), rtol=1e-11)


def test_effects_that_are_independent_are_those_of_a_joint_covariance_with_zeros() -> None:
    apart = np.random.default_rng(2).uniform(0.2, 1.0, size=(1, DRAWS, 2, 1, 1))
    joint = np.zeros((1, DRAWS, 2, 2))
    joint[..., 0, 0], joint[..., 1, 1] = apart[:, :, 0, 0, 0], apart[:, :, 1, 0, 0]
    one, other = posterior(3, Sigma={"g": apart}), posterior(3, Sigma={"g": joint})
    np.testing.assert_allclose(values(bm.predictions(one)), values(bm.predictions(other)), rtol=1e-14)


def test_two_categories_are_the_bernoulli_family() -> None:
    data, made = frame(2), given(2)
    post = posterior(2)
    same = {"beta": made["beta"][:, :, 0], "b": {"g": made["b"]["g"][:, :, 0]}, "Sigma": {"g": made["Sigma"]["g"]}}
    binary = bm.from_draws(
        "y ~ x + (1 | g)", data.assign(y=(data["y"] == "amber").astype(int)), family="bernoulli", **same
    )
    for groups in ("new", "existing", "own"):
        here = values(bm.predictions(post, groups=groups))[:, 1]
        np.testing.assert_allclose(here, bm.predictions(binary, groups=groups)["estimate"].to_numpy()[0], rtol=1e-12)
    np.testing.assert_allclose(
        post.log_likelihood()["y"].to_numpy(), binary.log_likelihood()["y"].to_numpy(), rtol=1e-12
    )


def test_one_category_and_the_log_odds_by_name() -> None:
    post, made = posterior(3), given(3)
    every = bm.avg_predictions(post)["estimate"]
    for label in LABELS[:3]:
        one = bm.avg_predictions(post, target=bm.category(label))
        np.testing.assert_array_equal(one["estimate"], every.sel(category=label))
    for k, label in enumerate(LABELS[1:3]):
        eta = bm.predictions(post, target=f"mu[{label}]", groups="zero")["estimate"].to_numpy()[0]
        np.testing.assert_allclose(eta, fixed_part(frame(3), made["beta"])[:, k], rtol=1e-13)
    assert list(post.predictors) == ["mu[amber]", "mu[green]"]


def test_odds_keep_their_digits_where_a_category_is_rare() -> None:
    beta = given(3)["beta"].copy()
    beta[:, :, 1, 0] = -40.0
    post = posterior(3, beta=beta)
    found = values(bm.predictions(post))
    assert (found[:, 2] < 1e-14).all()
    assert (found[:, 2] > 0.0).all()
    odds = values(bm.comparisons(post, {"x": [0.0, 1.0]}, comparison="or", groups="zero"))[:, 2]
    slope = beta[0, :, 1, 1][:, None]
    eta = beta[0, :, 0, 0][:, None] + np.array([0.0, 1.0]) * beta[0, :, 0, 1][:, None]
    rest = np.log1p(np.exp(eta))  # the odds of a rare category are exp(eta) over the sum of the others
    wanted = np.exp(slope - (rest[:, 1:] - rest[:, :1]))
    np.testing.assert_allclose(odds, np.broadcast_to(wanted[..., None], odds.shape), rtol=1e-9)


def test_files_and_arviz_keep_every_linear_predictor(tmp_path: Path) -> None:
    post = posterior(3)
    post.save(tmp_path / "fit.nc")
    again = bm.load(tmp_path / "fit.nc")
    assert again.fingerprint == post.fingerprint
    assert list(again.predictors) == list(post.predictors)
    np.testing.assert_array_equal(values(bm.predictions(again)), values(bm.predictions(post)))
    names = set(post.idata["posterior"].data_vars)
    assert names >= {f"mu[{k}]_{what}" for k, what in product(LABELS[1:3], ("beta", "sd_g", "b_g"))} | {"across_cor_g"}
    assert "exp(mu[amber]_beta)" in str(bm.summary(post, exponentiate=True))


def test_levels_in_place_of_data() -> None:
    made = given(3)
    del made["b"]
    post = bm.from_draws("y ~ x + (1 | g)", levels={"y": list(LABELS[:3])}, family="categorical", **made)
    np.testing.assert_allclose(
        values(bm.predictions(post, frame(3))), values(bm.predictions(posterior(3), frame(3))), rtol=1e-14
    )


def test_new_observations_have_the_categories_shares() -> None:
    data = frame(3, 3)
    post = posterior(3, data=data, beta=np.tile(given(3)["beta"][:, :1], (1, 4000, 1, 1)),
                     b={"g": np.tile(given(3)["b"]["g"][:, :1], (1, 4000, 1, 1, 1))},
                     Sigma={"g": np.tile(given(3)["Sigma"]["g"][:, :1], (1, 4000, 1, 1))})  # fmt: skip
    drawn = bm.posterior_predictive(post, random_seed=4)["estimate"].to_numpy()[0]
    shares = values(bm.predictions(post, groups="own"))[0]
    for row in range(3):
        assert stats.chisquare(np.bincount(drawn[:, row], minlength=4)[1:], 4000 * shares[:, row]).pvalue > 1e-4


@pytest.mark.parametrize(
    ("kind", "match", "act"),
    [
        (bm.EstimandError, r"name it, target='mu\[amber\]', 'mu\[green\]'", lambda p: bm.predictions(p, target="link")),
        (bm.EstimandError, "has a linear predictor of its own", lambda p: bm.predictions(p, target="mean")),
        (bm.EstimandError, "Use target='category'", lambda p: bm.predictions(p, target=bm.score())),
        (bm.EstimandError, "responses of family='categorical' have none", bm.marginal_coefficients),
        (bm.EstimandError, "no variance to take shares of", bm.variance_partition),
        (
            bm.EstimandError,
            r"depends on 2 linear predictors, those of 'mu\[amber\]', 'm",
            lambda p: bm.heterogeneity(p, "x"),
        ),
        (bm.EstimandError, "target=category is a sum", lambda p: bm.slopes(p, "x", slope="eyex")),
        (bm.PosteriorError, "categories without an order have none of these", bm.check),
        (bm.EstimandError, "no category 'pink'", lambda p: bm.predictions(p, target=bm.category("pink"))),
    ],
)
def test_what_categories_without_an_order_have_not_is_refused_with_the_reason(kind: Any, match: str, act: Any) -> None:
    with pytest.raises(kind, match=match):
        act(posterior(3))


@pytest.mark.parametrize(
    ("match", "more"),
    [
        (r"beta has the shape \(1, 3, 2\); 4 dimensions are needed, \(chain, draw, category, coef\)", {"beta": 0}),
        (r"labelled 'red', 'amber' along 'category'", {"beta": 1}),
        ("parts is given", {"parts": {"mu[green]": {}}}),
        (r"Sigma\['g'\] has the shape .* or four, .* of the effects on all of them", {"Sigma": {"g": ONE_EFFECT}}),
        (r"no covariance in 3 draws", {"Sigma": {"g": np.tile([[1.0, 2.0], [2.0, 1.0]], (1, DRAWS, 1, 1))}}),
    ],
)
def test_draws_of_another_shape_are_refused(match: str, more: dict[str, Any]) -> None:
    beta = given(3)["beta"]
    odd = {0: beta[:, :, 0], 1: xr.DataArray(beta, dims=("chain", "draw", "category", "coef"),
                                             coords={"category": ["red", "amber"]})}  # fmt: skip
    more = more | ({"beta": odd[more["beta"]]} if "beta" in more else {})
    with pytest.raises(bm.PosteriorError, match=match):
        posterior(3, **more)


def test_labelled_draws_are_put_in_the_order_of_the_categories() -> None:
    beta = xr.DataArray(given(3)["beta"], dims=("chain", "draw", "category", "coef"))
    turned = beta.assign_coords(category=["amber", "green"]).isel(category=[1, 0])
    assert posterior(3, beta=turned).fingerprint == posterior(3).fingerprint


def test_brms_with_another_reference_says_which(verbal: bm.Posterior) -> None:
    data = verbal.design.data.assign(resp=pd.Categorical(verbal.design.data["resp"], ["yes", "no", "perhaps"]))
    with pytest.raises(bm.PosteriorError, match=r"no coefficients of 'no'.*Put it first"):
        bm.from_brms(reference.draws("u_categorical"), "resp ~ Anger10 + btype + (1 | id)", data, family="categorical")


def test_likelihood_of_pymc_is_the_log_density() -> None:
    import pymc as pm
    import pytensor.tensor as pt

    family, rng = FAMILIES["categorical"], np.random.default_rng(4)
    for predictors in (1, 3):
        etas = rng.normal(scale=3.0, size=(predictors, 40))
        o = Outcome(np.resize(np.arange(1.0, predictors + 2.0), 40))
        given = {f"mu[{k}]": eta for k, eta in enumerate(etas[1:])}
        with pm.Model(coords={"obs": np.arange(40)}) as model:
            tensors = {name: pt.as_tensor(eta) for name, eta in given.items()}
            family.pymc(pm, "y", Values(eta=pt.as_tensor(etas[0]), link=LINKS["logit"], **tensors), o)
        found = model.logp(sum=False)[0].eval(mode=interpreted())
        wanted = family.log_density(Values(eta=etas[0], link=LINKS["logit"], **given), o)
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_a_model_has_a_linear_predictor_a_category() -> None:
    model = bm.GLMM("y ~ x + (1 | g)", frame(4), family="categorical")
    assert list(model.predictors) == [f"mu[{k}]" for k in LABELS[1:4]]
    free = {v.name for v in model.pymc.free_RVs}
    assert free >= {f"mu[{k}]_{what}" for k, what in product(LABELS[1:4], ("directions", "Intercept_centred", "sd_g"))}
    joint = bm.GLMM("y ~ x + (1 | p | g)", frame(4), family="categorical")
    assert "across_cor_g ~ LKJ(eta=2)" in str(joint)
    assert "across_cor_g" not in str(model)


@pytest.mark.sampling
@pytest.mark.evidence
def test_a_fit_recovers_what_made_the_choices() -> None:
    rng, groups, rows = np.random.default_rng(3), 60, 15
    g, x = np.repeat(np.arange(groups), rows), rng.normal(size=groups * rows)
    beta, sd = np.array([[0.5, 1.0], [-0.4, -0.7]]), np.array([1.0, 0.6])
    eta = beta[:, :1] + beta[:, 1:] * x + (rng.normal(size=(2, groups)) * sd[:, None])[:, g]
    shares = softmax(eta, axis=0)
    y = np.array(["car", "bus", "rail"])[(rng.uniform(size=len(x)) > shares.cumsum(axis=0)[:-1]).sum(axis=0)]
    data = pd.DataFrame({"y": pd.Categorical(y, ["car", "bus", "rail"]), "x": x, "g": g})
    post = bm.GLMM("y ~ x + (1 | g)", data, family="categorical").fit(random_seed=1, chains=2, progressbar=False)
    for k, name in enumerate(post.predictors):
        of = post.predictors[name]
        draws = np.column_stack([of.draws.beta, np.sqrt(of.draws.Sigma["g"][:, 0, 0])])
        truth = np.array([*beta[k], sd[k]])
        assert (np.abs(draws.mean(axis=0) - truth) < 3.5 * draws.std(axis=0)).all()
    found = bm.avg_predictions(post, groups="own")["estimate"].mean(("chain", "draw")).to_numpy()
    np.testing.assert_allclose(found, np.bincount(data["y"].cat.codes) / len(data), atol=0.03)


def test_pictures_of_categories_and_a_report_take_choices(tmp_path: Path) -> None:
    import matplotlib.pyplot as plt

    post = posterior(3)
    for drawn in (bm.plot_categories(post, "x"), bm.plot_categories(bm.avg_predictions(post, at={"x": [-1.0, 1.0]}))):
        assert drawn is not None
    plt.close("all")
    path = bm.report(post, effects=["x"], path=tmp_path / "page.md")
    text = Path(path).read_text(encoding="utf-8")
    assert "3 categories without an order, each but red with its log odds against that one" in text


def test_equations_have_a_line_for_every_category(tmp_path: Path) -> None:
    """Letters do not run out: seven categories have six linear predictors."""
    from bayesmargins.reporting.mathematics import equations

    rng = np.random.default_rng(1)
    data = pd.DataFrame({"y": rng.choice(list("abcdefg"), 140), "x": rng.normal(size=140), "g": np.arange(140) % 9})
    for block in ("(1 | g)", "(1 | p | g)"):
        prior = bm.GLMM(f"y ~ x + {block}", data, family="categorical").prior(draws=5, random_seed=1)
        begin = [line[0].latex for line in equations(prior).lines[1:]]
        assert all(sum(name in text for text in begin) == 1 for name in prior.predictors), begin
