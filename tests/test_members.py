"""Rows that belong to several groups of one factor, mm(g1, g2): against plain sums, and by laws."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmargins as bm

DRAWS, LEVELS = 5, [f"s{k}" for k in range(10)]
WEIGHTED = "mm(g1, g2, weights = cbind(w1, w2))"
RULE = np.linspace(-10.0, 10.0, 2001), np.exp(-0.5 * np.linspace(-10.0, 10.0, 2001) ** 2) / np.sqrt(2 * np.pi) * 0.01


def _frame(seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = 60
    g1, g2 = (np.r_[np.arange(10), rng.integers(0, 10, n - 10)] for _ in range(2))
    frame = pd.DataFrame({"g1": np.array(LEVELS)[g1], "g2": np.array(LEVELS)[g2[::-1]], "x": rng.normal(size=n)})
    return frame.assign(w1=rng.uniform(0.2, 2.0, n), w2=rng.uniform(0.2, 2.0, n), y=rng.integers(0, 2, n))


def _given(terms: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(2)
    A = rng.normal(size=(DRAWS, terms, terms))
    b = rng.normal(size=(1, DRAWS, 10, terms))
    Sigma = {"mmg1g2": (A @ A.transpose(0, 2, 1))[None]}
    return {"beta": rng.normal(size=(1, DRAWS, 2)), "b": {"mmg1g2": b}, "Sigma": Sigma}


def _posterior(group: str = WEIGHTED, frame: Any = None, given: Any = None, z: str = "1") -> bm.Posterior:
    frame, given = _frame() if frame is None else frame, _given() if given is None else given
    return bm.from_draws(f"y ~ x + ({z} | {group})", frame, family="bernoulli", **given)


def _shares(frame: pd.DataFrame, weighted: bool = True) -> np.ndarray:
    W = frame[["w1", "w2"]].to_numpy() if weighted else np.ones((len(frame), 2))
    return np.asarray(W / W.sum(axis=1, keepdims=True))


def _expit(eta: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-eta))


def _values(ds: Any) -> np.ndarray:
    return np.asarray(ds.estimate.to_numpy()[0])


@pytest.mark.parametrize("weighted", [True, False])
def test_own_groups_count_by_their_weights(weighted: bool) -> None:
    frame, given = _frame(), _given(2)
    post = _posterior(WEIGHTED if weighted else "mm(g1, g2)", given=given, z="1 + x")
    b, W, eta = given["b"]["mmg1g2"][0], _shares(frame, weighted), given["beta"][0] @ np.stack([np.ones(60), frame.x])
    for k, column in enumerate(("g1", "g2")):
        own = b[:, [LEVELS.index(v) for v in frame[column]]]
        eta = eta + W[:, k] * (own[..., 0] + own[..., 1] * frame.x.to_numpy())
    np.testing.assert_allclose(_values(bm.predictions(post, groups="own")), _expit(eta), atol=1e-13)
    np.testing.assert_allclose(post.linear_predictor(), eta, atol=1e-12)


def test_new_groups_are_one_where_two_names_are_the_same() -> None:
    frame, given = _frame(), _given(2)
    post = _posterior(given=given, z="1 + x")
    W, eta = _shares(frame), given["beta"][0] @ np.stack([np.ones(60), frame.x])
    c2 = np.where(frame.g1 == frame.g2, 1.0, (W**2).sum(axis=1))
    z = np.column_stack([np.ones(60), frame.x])
    s = np.sqrt(c2 * np.einsum("rp,spq,rq->sr", z, given["Sigma"]["mmg1g2"][0], z))
    wanted = _expit(eta[..., None] + s[..., None] * RULE[0]) @ RULE[1]
    assert (frame.g1 == frame.g2).any()
    np.testing.assert_allclose(_values(bm.predictions(post)), wanted, atol=1e-12)
    np.testing.assert_allclose(_values(bm.avg_predictions(post)), wanted.mean(axis=1), atol=1e-12)
    slopes = _values(bm.slopes(post, "x"))[:, 0]
    up, down = (_values(bm.predictions(post, newdata=frame.assign(x=frame.x + h))) for h in (1e-5, -1e-5))
    np.testing.assert_allclose(slopes, (up - down) / 2e-5, atol=1e-8)


def test_weights_are_taken_as_they_are_where_that_is_asked_for() -> None:
    raw = _posterior("mm(g1, g2, weights = cbind(w1, w2), scale = FALSE)")
    W = _shares(_frame())
    divided = _posterior(frame=_frame().assign(w1=W[:, 0], w2=W[:, 1]))
    again = _posterior("mm(g1, g2, weights = cbind(w1, w2), scale = FALSE)", _frame().assign(w1=W[:, 0], w2=W[:, 1]))
    for groups in ("new", "own"):
        a, b, c = (_values(bm.avg_predictions(p, groups=groups)) for p in (raw, divided, again))
        np.testing.assert_allclose(b, c, rtol=1e-13)
        assert np.abs(a - b).max() > 1e-3


def test_a_row_that_names_one_group_twice_is_a_row_of_that_group() -> None:
    frame, given = _frame().assign(g2=_frame().g1), _given()
    several = _posterior(frame=frame, given=given)
    plain = {"beta": given["beta"], "b": {"g1": given["b"]["mmg1g2"]}, "Sigma": {"g1": given["Sigma"]["mmg1g2"]}}
    one = bm.from_draws("y ~ x + (1 | g1)", frame, family="bernoulli", **plain)
    for groups in ("new", "own", "zero"):
        a, b = (_values(bm.avg_comparisons(p, "x", groups=groups)) for p in (several, one))
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_order_of_members_rows_and_names_says_nothing() -> None:
    first = {g: _values(bm.avg_comparisons(_posterior(), "x", groups=g)) for g in ("new", "own")}
    shuffled = _posterior(frame=_frame().sample(frac=1.0, random_state=1))
    turned = _given()
    turned["b"] = {"mmg2g1": turned["b"]["mmg1g2"]}
    turned["Sigma"] = {"mmg2g1": turned["Sigma"]["mmg1g2"]}
    swapped = _posterior("mm(g2, g1, weights = cbind(w2, w1))", given=turned)
    names = {name: f"n{9 - k}" for k, name in enumerate(LEVELS)}
    back = _given()
    back["b"] = {"mmg1g2": back["b"]["mmg1g2"][:, :, ::-1]}
    renamed = _posterior(frame=_frame().replace({"g1": names, "g2": names}), given=back)
    for groups, wanted in first.items():
        for post in (shuffled, swapped, renamed):
            np.testing.assert_allclose(_values(bm.avg_comparisons(post, "x", groups=groups)), wanted, rtol=1e-12)


def test_without_variance_new_groups_are_those_at_b_0() -> None:
    given = _given() | {"b": None}
    given["Sigma"] = {"mmg1g2": 0.0 * given["Sigma"]["mmg1g2"]}
    new, zero = (_values(bm.avg_predictions(_posterior(given=given), groups=g)) for g in ("new", "zero"))
    np.testing.assert_allclose(new, zero, rtol=1e-13)


def test_drawn_groups_are_shared_by_whoever_names_them() -> None:
    rows = pd.DataFrame({"x": 0.0, "g1": ["a", "b", "a"], "g2": ["b", "a", "a"], "w1": 1.0, "w2": 1.0})
    post = _posterior()
    drawn = _values(bm.predictions(post, newdata=rows, groups="sample", target="link", random_seed=1))
    np.testing.assert_allclose(drawn[:, 0], drawn[:, 1], rtol=1e-13)
    many = pd.DataFrame({"x": 0.0, "g1": [f"a{k}" for k in range(20_000)], "g2": [f"b{k}" for k in range(20_000)]})
    many = many.assign(w1=3.0, w2=1.0)
    drawn = _values(bm.predictions(post, newdata=many, groups="sample", target="link", random_seed=1))
    variance = _given()["Sigma"]["mmg1g2"][0, :, 0, 0] * (0.75**2 + 0.25**2)
    np.testing.assert_allclose(drawn.var(axis=1), variance, rtol=4.0 * np.sqrt(2.0 / 20_000))


def test_a_file_and_brms_give_the_same(tmp_path: Path) -> None:
    post, given, frame = _posterior(), _given(), _frame()
    post.save(tmp_path / "fit.nc")
    table = {".chain": 1, "b_Intercept": given["beta"][0, :, 0], "b_x": given["beta"][0, :, 1]}
    table["sd_mmg1g2__Intercept"] = np.sqrt(given["Sigma"]["mmg1g2"][0, :, 0, 0])
    table |= {f"r_mmg1g2[{label},Intercept]": given["b"]["mmg1g2"][0, :, k, 0] for k, label in enumerate(LEVELS)}
    read = bm.from_brms(pd.DataFrame(table), f"y ~ x + (1 | {WEIGHTED})", frame, family="bernoulli")
    for groups in ("new", "own"):
        wanted = _values(bm.avg_comparisons(post, "x", groups=groups))
        for other in (bm.load(tmp_path / "fit.nc"), read):
            np.testing.assert_allclose(_values(bm.avg_comparisons(other, "x", groups=groups)), wanted, rtol=1e-12)


@pytest.mark.parametrize("groups", ["new", "own"])
def test_weights_are_variables_like_any_other(groups: str) -> None:
    """Grids have them, other values of them can be asked for, and the slope in one is that of small steps."""
    post, frame, h = _posterior(given=_given(2), z="1 + x"), _frame(), 1e-5
    grid = bm.datagrid(post, {"x": [0.0, 1.0]})
    assert set(grid) == {"x", "w1", "w2"}
    assert np.isfinite(_values(bm.predictions(post, newdata=grid))).all()
    at = [_values(bm.predictions(post, newdata=frame.assign(w1=w), groups=groups)) for w in (0.5, 2.0)]
    change = bm.comparisons(post, {"w1": (0.5, 2.0)}, groups=groups)
    np.testing.assert_allclose(_values(change)[:, 0], at[1] - at[0], atol=1e-14)
    low, high = (_values(bm.predictions(post, newdata=frame.assign(w1=frame.w1 + d), groups=groups)) for d in (-h, h))
    slopes = _values(bm.slopes(post, "w1", groups=groups))[:, 0]
    np.testing.assert_allclose(slopes, (high - low) / (2.0 * h), atol=1e-9)
    assert np.abs(slopes).max() > 1e-3


@pytest.mark.filterwarnings("ignore::bayesmargins.errors.BayesmarginsWarning")
def test_what_needs_one_group_a_row_is_refused_or_left_out() -> None:
    post = _posterior()
    for groups in ("existing", {"mmg1g2": ["s1"]}):
        with pytest.raises(bm.errors.GroupsError, match="several groups of 'mmg1g2' at a time"):
            bm.avg_predictions(post, groups=groups)
    for ask in (bm.logo, lambda p: p.log_likelihood_groups, lambda p: bm.heterogeneity(p, "x")):
        with pytest.raises(bm.BayesmarginsError, match="several"):
            ask(post)
    with pytest.raises(bm.errors.DataError, match="needs the column 'w1'"):
        bm.avg_predictions(post, newdata=_frame().drop(columns="w1"))
    with pytest.raises(bm.errors.DataError, match="negative, or add up to 0"):
        bm.avg_predictions(post, newdata=_frame().assign(w1=-1.0))
    with pytest.raises(bm.errors.GroupsError, match="has not seen: 'zz'"):
        bm.avg_predictions(post, newdata=_frame().assign(g2="zz"), groups="own")
    assert "existing" not in bm.attenuation(post, "x")["groups"].values
    for bad in ("mm(g1)", "mm(g1, g2, weights = cbind(w1))", "mm(g1, g2, by = x)", "mm(g1, log(g2))"):
        with pytest.raises(bm.errors.FormulaError, match="is not read"):
            bm.GLMM(f"y ~ x + (1 | {bad})", _frame(), family="bernoulli")


def test_the_model_has_one_effect_a_group_and_adds_them_by_weight(uncompiled: None) -> None:
    model = bm.GLMM(f"y ~ x + (1 | {WEIGHTED})", _frame(), family="bernoulli")
    assert "each row belongs to 2" in str(model)
    prior = model.prior(draws=20, random_seed=1)
    assert prior.draws.b["mmg1g2"].shape == (20, 10, 1)
    ratio = prior.draws.b["mmg1g2"][:, :, 0] / np.sqrt(prior.draws.Sigma["mmg1g2"][:, 0])
    assert abs(ratio.std() - 1.0) < 4.0 / np.sqrt(2.0 * ratio.size)


@pytest.mark.sampling
@pytest.mark.evidence
def test_a_fit_recovers_the_effects_of_groups_that_share_rows() -> None:
    rng = np.random.default_rng(3)
    n, groups = 600, 60
    b = 1.2 * rng.normal(size=groups)
    g = rng.integers(0, groups, (n, 2))
    w = rng.uniform(0.2, 1.0, (n, 2))
    share = w / w.sum(axis=1, keepdims=True)
    names = np.array([f"s{k:02}" for k in range(groups)])
    data = pd.DataFrame(
        {"x": rng.normal(size=n), "g1": names[g[:, 0]], "g2": names[g[:, 1]], "w1": w[:, 0], "w2": w[:, 1]}
    )
    data["y"] = 1.0 + 0.5 * data.x + (share * b[g]).sum(axis=1) + 0.5 * rng.normal(size=n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)
        post = bm.GLMM(f"y ~ x + (1 | {WEIGHTED})", data).fit(draws=500, random_seed=1, progressbar=False)
    assert post.info["max_rhat"] < 1.05
    sd = post.parameters["sd_mmg1g2"].to_numpy().ravel()
    assert abs(sd.mean() - 1.2) < 3.5 * sd.std()
    found = post.b["mmg1g2"].mean(("chain", "draw")).to_numpy().ravel()
    assert np.corrcoef(found, b)[0, 1] > 0.9


def test_weights_are_finite_and_the_same_in_every_formula() -> None:
    data = pd.DataFrame({"y": [0.1, 2.0, 3.0, 4.0], "g": list("abcd"), "h": list("bcda"), "w": 0.7, "v": 0.3})
    with pytest.raises(bm.DataError, match="'w' is infinite"):
        bm.GLMM("y ~ 1 + (1 | mm(g, h, weights = cbind(w, v)))", data.assign(w=np.inf))
    both = {"y": "y ~ 1 + (1 | mm(g, h, weights = cbind(w, v)))", "sigma": "~ 1 + (1 | mm(g, h))"}
    with pytest.raises(bm.FormulaError, match="are not of one kind"):
        bm.GLMM(both, data)
