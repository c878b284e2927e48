"""Attenuation: one effect under every policy, against quadrature, closed forms and the averages themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
import xarray as xr
from scipy.integrate import quad
from scipy.special import expit, ndtri
from scipy.stats import norm
from test_margins import random_posterior, simulated

import bayesmargins as bm

LABELS = ["zero", "own", "existing", "new", "new - zero", "existing - zero", "new - existing", "new / zero"]
POST = reference.posterior("b_bacteria")


def one_draw(link: str, beta: tuple[float, float], s: float, family: str = "bernoulli") -> bm.Posterior:
    """`y ~ x + (1 | g)` with a single draw; b of the two groups are -s and s."""
    data = pd.DataFrame({"y": [0, 1, 0, 1], "x": [-0.5, 0.5, 0.0, 1.0], "g": ["a", "a", "b", "b"]})
    return bm.from_draws(
        "y ~ x + (1 | g)", data, family=family, link=link, beta=np.array([[beta]]),
        b={"g": np.array([[[[-s], [s]]]])}, Sigma={"g": np.full((1, 1, 1, 1), s * s)},
    )  # fmt: skip


def profile(x: float) -> pd.DataFrame:
    return pd.DataFrame({"x": [x], "g": ["a"]})


def entry(ds: xr.Dataset, label: str) -> np.ndarray:
    return ds["estimate"].sel(groups=label).to_numpy()


def integrated(h: Callable[[float], float], eta: float, s: float) -> float:
    return quad(lambda z: h(eta + s * z) * norm.pdf(z), -12, 12, epsabs=1e-14, epsrel=1e-13, limit=400)[0]


QUESTIONS: dict[str, tuple[dict[str, Any], Callable[..., xr.Dataset]]] = {
    "comparisons": ({"variables": "trt", "at": {"week": [0.0, 6.0]}}, bm.avg_comparisons),
    "odds ratios": ({"variables": "trt", "comparison": "or", "by": "week"}, bm.avg_comparisons),
    "slopes": ({"variables": "week", "by": "trt"}, bm.avg_slopes),
    "predictions": ({"at": {"trt": ["drug", "placebo"]}, "wts": "week"}, bm.avg_predictions),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_entries_are_the_averages_under_each_policy(question: str) -> None:
    asked, average = QUESTIONS[question]
    estimand = {} if average is bm.avg_comparisons else {"estimand": question}
    ds = bm.attenuation(POST, **asked, **estimand)
    assert ds["groups"].values.tolist() == LABELS
    for policy in LABELS[:4]:
        same = average(POST, **asked, groups=policy)
        np.testing.assert_array_equal(entry(ds, policy), same["estimate"].to_numpy())
        assert ds["estimate"].dims == (*same["estimate"].dims, "groups")
    np.testing.assert_array_equal(entry(ds, "new - existing"), entry(ds, "new") - entry(ds, "existing"))
    np.testing.assert_array_equal(entry(ds, "existing - zero"), entry(ds, "existing") - entry(ds, "zero"))
    np.testing.assert_array_equal(entry(ds, "new - zero"), entry(ds, "new") - entry(ds, "zero"))
    np.testing.assert_array_equal(entry(ds, "new / zero"), entry(ds, "new") / entry(ds, "zero"))


def test_textbook_example_of_attenuation_has_its_exact_numbers() -> None:
    # eta = -1 +- 0.25 and s = 1.5: simulation with 10,000 groups prints 0.812.
    post = one_draw("logit", (-1.0, 0.5), 1.5)
    rise = bm.attenuation(post, {"x": (-0.5, 0.5)}, newdata=profile(0.0))
    slope = bm.attenuation(post, "x", estimand="slopes", newdata=profile(0.0))
    by_hand = integrated(expit, -0.75, 1.5) - integrated(expit, -1.25, 1.5)
    np.testing.assert_allclose(entry(rise, "new"), by_hand, rtol=1e-12)
    np.testing.assert_allclose(entry(rise, "new / zero"), by_hand / (expit(-0.75) - expit(-1.25)), rtol=1e-12)
    assert round(entry(rise, "new / zero").item(), 5) == 0.80967
    assert round(entry(slope, "new / zero").item(), 5) == 0.80951


@pytest.mark.parametrize("s", [0.3, 1.0, 2.5, 6.0])
def test_probit_coefficient_shrinks_by_one_over_the_root_of_one_plus_s2(s: float) -> None:
    post = one_draw("probit", (-0.4, 0.7), s)
    ds = bm.attenuation(post, estimand="predictions", newdata=profile(0.0), at={"x": [0.0, 1.0]})
    coefficient = {p: np.diff(ndtri(entry(ds, p)), axis=-1).item() for p in ("zero", "new")}
    np.testing.assert_allclose(coefficient["zero"], 0.7, rtol=1e-12)
    np.testing.assert_allclose(coefficient["new"] / coefficient["zero"], 1 / np.sqrt(1 + s * s), rtol=1e-11)


@pytest.mark.parametrize("s", [0.5, 1.0, 2.0, 3.0])
def test_logit_coefficient_shrinks_by_about_the_rule_of_zeger_liang_and_albert(s: float) -> None:
    post = one_draw("logit", (-0.2, 0.4), s)
    ds = bm.attenuation(post, "x", comparison="lnor", newdata=profile(0.0))
    assert entry(ds, "zero").item() == pytest.approx(0.4, rel=1e-12)
    high, low = (integrated(expit, eta, s) for eta in (0.2, -0.2))
    exact = np.log(high / (1 - high)) - np.log(low / (1 - low))
    np.testing.assert_allclose(entry(ds, "new").item(), exact, rtol=1e-11)
    # The rule fits the whole curve; in the middle, here, it is 7 % off at s = 3.
    assert exact / 0.4 == pytest.approx(1 / np.sqrt(1 + 0.346 * s * s), rel=0.075)


def test_far_in_the_tail_the_averaged_slope_is_the_larger_one() -> None:
    post = one_draw("logit", (0.0, 1.0), 2.0)
    for eta, ratio in ((-6.0, 4.9218), (-4.0, 2.6708), (-2.0, 1.0705), (0.0, 0.6057)):
        ds = bm.attenuation(post, "x", estimand="slopes", newdata=profile(eta))
        exact = integrated(lambda x: expit(x) * expit(-x), eta, 2.0) / (expit(eta) * expit(-eta))
        np.testing.assert_allclose(entry(ds, "new / zero"), exact, rtol=1e-11)
        assert round(exact, 4) == ratio


def test_under_a_log_link_effects_grow_by_exp_half_s2_and_ratios_stay() -> None:
    post = one_draw("log", (0.2, 0.5), 0.8, "poisson")
    growth = np.exp(0.8**2 / 2)
    for asked in ({"variables": "x"}, {"variables": "x", "estimand": "slopes"}, {"estimand": "predictions"}):
        np.testing.assert_allclose(entry(bm.attenuation(post, **asked), "new / zero"), growth, rtol=1e-12)
    same = bm.attenuation(post, "x", comparison="ratio", newdata=profile(0.3))
    np.testing.assert_allclose(same["estimate"].sel(groups=["zero", "own", "existing", "new"]), np.exp(0.5), rtol=1e-12)
    np.testing.assert_allclose(entry(same, "new / zero"), 1.0, rtol=1e-12)
    # of the two groups, with b = -0.8 and 0.8
    np.testing.assert_allclose(
        entry(bm.attenuation(post, "x"), "existing - zero") / entry(bm.attenuation(post, "x"), "zero"),
        np.cosh(0.8) - 1, rtol=1e-12,
    )  # fmt: skip


def test_under_the_identity_link_new_is_zero() -> None:
    ds = bm.attenuation(reference.posterior("d_sleep"), "Days")
    np.testing.assert_allclose(entry(ds, "new / zero"), 1.0, rtol=1e-12)
    np.testing.assert_allclose(entry(ds, "new - zero"), 0.0, atol=1e-10)
    assert np.abs(entry(ds, "existing - zero")).max() > 0.1


def test_all_factors_get_the_policy() -> None:
    post = reference.posterior("f_grouse")
    ds = bm.attenuation(post, "cH10")
    s2 = sum(post.Sigma[f].to_numpy()[..., 0, 0] for f in ("BROOD", "LOCATION"))
    np.testing.assert_allclose(entry(ds, "new / zero")[..., 0], np.exp(s2 / 2), rtol=1e-11)
    assert "group effects of BROOD and LOCATION" in bm.describe(ds)
    assert "Under a log link" in ds.attrs["no_mean"]


def test_turning_successes_round_turns_effects_but_not_their_ratio() -> None:
    data = POST.design.data
    turned = bm.from_draws(
        POST.formula, data.assign(yb=1 - data.yb), family="bernoulli", beta=-POST.beta,
        b={"ID": -POST.b["ID"]}, Sigma=POST.Sigma,
    )  # fmt: skip
    one, two = (bm.attenuation(p, "week", estimand="slopes") for p in (POST, turned))
    np.testing.assert_allclose(entry(two, "new / zero"), entry(one, "new / zero"), rtol=1e-11)
    np.testing.assert_allclose(entry(two, "new - existing"), -entry(one, "new - existing"), atol=1e-14)


def test_vanishing_variance_leaves_no_difference() -> None:
    still = bm.from_draws(
        POST.formula, POST.design.data, family="bernoulli", beta=POST.beta,
        b={"ID": POST.b["ID"] * 0}, Sigma={"ID": POST.Sigma["ID"] * 0},
    )  # fmt: skip
    ds = bm.attenuation(still, "trt")
    for label in ("new - zero", "existing - zero", "new - existing"):
        np.testing.assert_allclose(entry(ds, label), 0.0, atol=1e-14)


def test_without_draws_of_b_what_needs_them_is_left_out_in_words() -> None:
    bare = bm.from_draws(POST.formula, POST.design.data, family="bernoulli", beta=POST.beta, Sigma=POST.Sigma)
    with pytest.warns(bm.BayesmarginsWarning) as caught:
        ds = bm.attenuation(bare, "trt")
    said = [str(w.message) for w in caught]
    assert [s.split(" ")[0] for s in said] == ["'own'", "'existing'"]
    assert all("left out of this attenuation. The posterior has no draws of b for 'ID'" in s for s in said)
    assert ds["groups"].values.tolist() == ["zero", "new", "new - zero", "new / zero"]
    full = bm.attenuation(POST, "trt")
    np.testing.assert_array_equal(ds["estimate"], full["estimate"].sel(groups=ds["groups"]))
    assert "own (" not in bm.describe(ds)


def test_rows_without_groups_of_the_fit_have_no_own() -> None:
    nobody = POST.design.data.head(5).assign(ID="nobody")
    for rows, said in ((nobody, "the fit has not seen"), (nobody.drop(columns="ID"), "needs the column 'ID'")):
        with pytest.warns(bm.BayesmarginsWarning, match=f"'own' is left out.*{said}"):
            ds = bm.attenuation(POST, "trt", newdata=rows)
        assert ds["groups"].values.tolist() == [label for label in LABELS if label != "own"]


def test_result_says_what_it_is_and_comes_back_the_same(tmp_path: Path) -> None:
    ds = bm.attenuation(POST, "trt", by="week", group_weights="rows")
    ds.to_netcdf(tmp_path / "ds.nc", engine="h5netcdf")
    again = xr.load_dataset(tmp_path / "ds.nc", engine="h5netcdf")
    xr.testing.assert_identical(again, ds)
    said = bm.describe(again)
    assert said.startswith("Difference in the average probability of yb (trt: drug - placebo")
    assert "existing (averaged over the fitted groups, each counted by its rows)" in said
    assert "to be reported by its median (it has no mean where its denominator crosses 0)" in said
    assert "the ratio new / zero has no mean over draws".casefold() in ds.attrs["no_mean"].casefold()
    assert "Under a log link" not in ds.attrs["no_mean"]
    assert ds.margins.plot() is not None
    table = bm.summary(again)
    assert table.index.names == ["term", "contrast", "week", "scale", "groups"]
    assert len(table) == 2 * 5 * len(LABELS)


def test_a_column_called_groups_keeps_out_of_the_way() -> None:
    data = POST.design.data.assign(groups=np.where(POST.design.data.week > 2, "late", "early"))
    ds = bm.attenuation(POST, "trt", newdata=data, by="groups")
    assert ds["estimate"].dims[2:] == ("contrast", "data_groups", "groups")


def test_prior_is_said_to_be_one() -> None:
    prior = dataclasses.replace(POST, info={**POST.info, "draws": "prior"})
    assert "under the prior, before any data" in bm.describe(bm.attenuation(prior, "trt"))


ALONE = random_posterior("y ~ x", simulated(), "bernoulli")
REFUSED: list[tuple[type[bm.BayesmarginsError], str, Callable[[], Any]]] = [
    (bm.PosteriorError, "a Posterior is needed", lambda: bm.attenuation({}, "trt")),
    (bm.EstimandError, "no grouping factor", lambda: bm.attenuation(ALONE, "x")),
    (bm.EstimandError, "allowed are comparisons, slopes, predictions.*Did you mean 'slopes'", lambda: bm.attenuation(
        POST, "week", estimand="slope")),
    (bm.EstimandError, "needs variables", lambda: bm.attenuation(POST)),
    (bm.EstimandError, "takes no variables, got 'trt'", lambda: bm.attenuation(POST, "trt", estimand="predictions")),
    (bm.EstimandError, "comparison='ratio' belongs to estimand='comparisons'", lambda: bm.attenuation(
        POST, "week", estimand="slopes", comparison="ratio")),
    (bm.EstimandError, "slope='eyex' belongs to estimand='slopes'", lambda: bm.attenuation(POST, "week", slope="eyex")),
    (bm.EstimandError, "Did you mean 'week'", lambda: bm.attenuation(POST, "weeks")),
    (bm.GroupsError, "allowed are 'equal' and 'rows'", lambda: bm.attenuation(POST, "trt", group_weights="n")),
    (bm.EstimandError, "attenuation does not take groups='new'", lambda: bm.attenuation(POST, "trt", groups="new")),
]  # fmt: skip


@pytest.mark.parametrize(("error", "said", "ask"), REFUSED, ids=[said for _, said, _ in REFUSED])
def test_question_is_refused_with_what_to_do(error: type[Exception], said: str, ask: Callable[[], Any]) -> None:
    with pytest.raises(error, match=said):
        ask()
