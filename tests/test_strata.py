"""Groups in strata, gr(g, by = h): a covariance for each stratum, held against brms, plain loops and laws."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference

import bayesmargins as bm

FORMULA = "count ~ zAge + zBase * Trt + (1 | gr(patient, by = Trt))"
RULE = np.linspace(-10.0, 10.0, 2001), np.exp(-0.5 * np.linspace(-10.0, 10.0, 2001) ** 2) / np.sqrt(2 * np.pi) * 0.01


@pytest.fixture(scope="module")
def epilepsy() -> bm.Posterior:
    frame = pd.read_csv(reference.HERE / "zb_grby" / "data.csv", dtype={"Trt": str, "patient": str})
    return bm.from_brms(reference.draws("zb_grby"), FORMULA, frame, family="poisson")


def _expected(name: str) -> np.ndarray:
    of = reference.expected("zb_grby")[name]
    return np.asarray(of["value"]).T


@pytest.mark.parametrize("policy", ["own", "zero", "new"])
def test_averages_are_those_of_brms(epilepsy: bm.Posterior, policy: str) -> None:
    ds = bm.avg_predictions(epilepsy, groups=policy)
    np.testing.assert_allclose(ds.estimate.to_numpy().reshape(-1, 1), _expected(f"avg_{policy}"), rtol=1e-10)


@pytest.mark.parametrize("policy", ["zero", "new"])
def test_a_counterfactual_arm_has_the_covariance_of_that_arm(epilepsy: bm.Posterior, policy: str) -> None:
    ds = bm.avg_comparisons(epilepsy, "Trt", groups=policy)
    np.testing.assert_allclose(ds.estimate.to_numpy().reshape(-1, 1), _expected(f"cf_{policy}"), rtol=1e-9)


def test_rows_and_log_densities_are_those_of_brms(epilepsy: bm.Posterior) -> None:
    rows = [name[0] for name in reference.expected("zb_grby")["rows_own"]["names"]]
    own = bm.predictions(epilepsy, groups="own").estimate.to_numpy().reshape(200, -1)
    np.testing.assert_allclose(own[:, rows], _expected("rows_own"), rtol=1e-10)
    rows = [int(name) for name in reference.expected("zb_grby")["log_lik"]["names"]]
    density = epilepsy.log_likelihood()["count"].to_numpy().reshape(200, -1)
    np.testing.assert_allclose(density[:, rows], _expected("log_lik"), rtol=1e-9)


def test_a_file_gives_back_the_strata(epilepsy: bm.Posterior, tmp_path: Path) -> None:
    epilepsy.save(tmp_path / "fit.nc")
    again = bm.load(tmp_path / "fit.nc")
    for policy in ("new", "existing", "own"):
        before, after = (bm.avg_comparisons(p, "Trt", groups=policy).estimate for p in (epilepsy, again))
        np.testing.assert_array_equal(before, after)


def _made(by: Any = "ab", order: Any = None, seed: int = 1) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Forty groups in two strata, and draws of a model with a random slope: everything by the names of groups."""
    rng = np.random.default_rng(seed)
    groups, draws = 40, 6
    g = np.repeat(np.arange(groups), 3)
    frame = pd.DataFrame({"g": [f"g{k:02}" for k in g], "h": np.asarray(list(by))[g % 2], "x": rng.normal(size=len(g))})
    frame["y"] = rng.integers(0, 2, len(g))
    A = rng.normal(size=(2, draws, 2, 2))
    Sigma = np.zeros((1, draws, 4, 4))
    for k in range(2):
        Sigma[0, :, 2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = A[k] @ A[k].transpose(0, 2, 1)
    b = np.einsum("gsij,sgj->sgi", A[np.arange(groups) % 2], rng.normal(size=(draws, groups, 2)))[None]
    given = {"beta": rng.normal(size=(1, draws, 3)), "b": {"g": b}, "Sigma": {"g": Sigma}}
    return frame if order is None else frame.iloc[order], given


def _posterior(frame: pd.DataFrame, given: dict[str, Any]) -> bm.Posterior:
    return bm.from_draws("y ~ x + h + (1 + x | gr(g, by = h))", frame, family="bernoulli", **given)


def _eta(frame: pd.DataFrame, beta: np.ndarray, h: Any) -> np.ndarray:
    """(draw, row) with everybody in stratum 1 of `h`, or not."""
    return beta[:, [0]] + np.outer(beta[:, 1], frame.x) + beta[:, [2]] * np.broadcast_to(h, len(frame))


def _expit(eta: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-eta))


def test_new_groups_have_the_covariance_of_the_row_s_stratum_slopes_included() -> None:
    frame, given = _made()
    post, beta, Sigma = _posterior(frame, given), given["beta"][0], given["Sigma"]["g"][0]
    sides = []
    for k in range(2):
        z = np.column_stack([np.ones(len(frame)), frame.x])
        s = np.sqrt(np.einsum("rp,spq,rq->sr", z, Sigma[:, 2 * k : 2 * k + 2, 2 * k : 2 * k + 2], z))
        sides.append((_expit(_eta(frame, beta, k)[..., None] + s[..., None] * RULE[0]) @ RULE[1]).mean(axis=1))
    ds = bm.avg_comparisons(post, "h")
    np.testing.assert_allclose(ds.estimate.to_numpy().ravel(), sides[1] - sides[0], atol=1e-12)


def test_fitted_groups_are_those_of_the_row_s_stratum() -> None:
    frame, given = _made()
    post, beta, b = _posterior(frame, given), given["beta"][0], given["b"]["g"][0]
    sides = []
    for k in range(2):
        moved = b[:, k::2, 0, None] + b[:, k::2, 1, None] * frame.x.to_numpy()
        sides.append(_expit(_eta(frame, beta, k)[:, None] + moved).mean(axis=(1, 2)))
    ds = bm.avg_comparisons(post, "h", groups="existing")
    np.testing.assert_allclose(ds.estimate.to_numpy().ravel(), sides[1] - sides[0], atol=1e-12)
    assert "each row over those of its own h" in bm.describe(ds)
    unit = bm.predictions(post, groups="existing", newdata=frame.iloc[:4]).estimate.to_numpy()[0]
    k = frame.h.iloc[:4].eq("b").to_numpy().astype(int)
    eta = _eta(frame.iloc[:4], beta, k)
    for row in range(4):
        own = b[:, k[row] :: 2]
        value = _expit(eta[:, [row]] + own[..., 0] + own[..., 1] * frame.x.iloc[row]).mean(axis=1)
        np.testing.assert_allclose(unit[:, row], value, atol=1e-12)


def test_a_group_keeps_its_b_in_another_stratum() -> None:
    frame, given = _made()
    post, beta, b = _posterior(frame, given), given["beta"][0], given["b"]["g"][0]
    codes = np.repeat(np.arange(40), 3)
    moved = b[:, codes, 0] + b[:, codes, 1] * frame.x.to_numpy()
    value = [_expit(_eta(frame, beta, k) + moved).mean(axis=1) for k in range(2)]
    ds = bm.avg_comparisons(post, "h", groups="own")
    np.testing.assert_allclose(ds.estimate.to_numpy().ravel(), value[1] - value[0], atol=1e-13)
    named = bm.avg_comparisons(post, "h", groups={"g": ["g03"]}).estimate.to_numpy().ravel()
    at = [_expit(_eta(frame, beta, k) + b[:, 3, :1] + np.outer(b[:, 3, 1], frame.x)).mean(axis=1) for k in range(2)]
    np.testing.assert_allclose(named, at[1] - at[0], atol=1e-13)


def test_the_numbers_of_stan_are_refused() -> None:
    frame, _ = _made()
    table = pd.DataFrame({".chain": [1], "b[1]": [0.1], "Intercept": [0.2], "sd_1[1,1]": [1.0], "sd_1[1,2]": [1.0]})
    with pytest.raises(bm.errors.PosteriorError, match="structured groups of 'g'"):
        bm.from_brms(table, "y ~ x + (1 | gr(g, by = h))", frame, family="bernoulli")


POLICIES = ["new", "existing", "own", "zero"]


@pytest.mark.parametrize("policy", POLICIES)
def test_order_of_rows_and_names_of_groups_and_strata_say_nothing(policy: str) -> None:
    frame, given = _made()
    first = bm.avg_comparisons(_posterior(frame, given), "x", groups=policy).estimate.to_numpy()
    rng = np.random.default_rng(3)
    shuffled = frame.iloc[rng.permutation(len(frame))]
    moved = bm.avg_comparisons(_posterior(shuffled, given), "x", groups=policy).estimate.to_numpy()
    np.testing.assert_allclose(moved, first, rtol=1e-12, atol=1e-15)
    back = {name: f"n{99 - k}" for k, name in enumerate(sorted(set(frame.g)))}  # the reverse alphabetical order
    renamed = frame.assign(g=frame.g.map(back))
    turned = {**given, "b": {"g": given["b"]["g"][:, :, ::-1]}}
    other = bm.avg_comparisons(_posterior(renamed, turned), "x", groups=policy).estimate.to_numpy()
    np.testing.assert_allclose(other, first, rtol=1e-12, atol=1e-15)
    numbers = frame.assign(h=frame.h.map({"a": 0, "b": 1}))
    coded = bm.avg_comparisons(_posterior(numbers, given), "x", groups=policy).estimate.to_numpy()
    np.testing.assert_allclose(coded, first, rtol=1e-12, atol=1e-15)


def test_without_variance_new_groups_are_those_at_b_0() -> None:
    frame, given = _made()
    post = _posterior(frame, given | {"Sigma": {"g": 0.0 * given["Sigma"]["g"]}, "b": None})
    new, zero = (bm.avg_comparisons(post, "h", groups=g).estimate.to_numpy() for g in ("new", "zero"))
    np.testing.assert_allclose(new, zero, rtol=1e-12)


def test_one_stratum_is_no_stratum() -> None:
    frame, given = _made()
    one = given | {"Sigma": {"g": given["Sigma"]["g"][:, :, :2, :2]}, "beta": given["beta"][..., :2]}
    strata, plain = (
        bm.from_draws(f"y ~ x + (1 + x | {g})", frame.assign(h="a"), family="bernoulli", **one)
        for g in ("gr(g, by = h)", "g")
    )
    for policy in POLICIES:
        a, b = (bm.avg_slopes(p, "x", groups=policy).estimate.to_numpy() for p in (strata, plain))
        np.testing.assert_allclose(a, b, rtol=1e-13)


def test_what_varies_within_a_group_is_of_one_stratum() -> None:
    frame, given = _made()
    post, plain = _posterior(frame, given), given["Sigma"]["g"]
    alone = bm.from_draws(
        "y ~ x + h + (1 + x | g)", frame, family="bernoulli", beta=given["beta"], Sigma={"g": plain[:, :, 2:, 2:]}
    )
    rows = frame[frame.h == "b"]
    a, b = (bm.heterogeneity(p, "x", newdata=rows, random_seed=1).estimate.to_numpy() for p in (post, alone))
    np.testing.assert_allclose(a, b, rtol=0.02, atol=0.01)  # other Sobol points of as many dimensions
    with pytest.raises(bm.errors.GroupsError, match="each group has one"):
        bm.heterogeneity(post, "x")
    with pytest.raises(bm.errors.GroupsError, match="each group has one"):
        bm.heterogeneity(post, "h", newdata=rows)


def test_rows_of_a_group_are_as_likely_as_in_a_model_of_its_stratum_alone() -> None:
    frame, given = _made()
    data = frame.assign(y=frame.x + np.random.default_rng(1).normal(size=len(frame)))
    sigma = {"sigma": np.ones((1, 6))}
    formula = "y ~ x + h + (1 + x | gr(g, by = h))"
    post = bm.from_draws(formula, data, family="gaussian", aux=sigma, beta=given["beta"], Sigma=given["Sigma"])
    for k, h in enumerate("ab"):
        of = slice(2 * k, 2 * k + 2)
        draws = given["beta"].copy()
        draws[..., 0] += k * draws[..., 2]
        own = {"beta": draws[..., :2], "Sigma": {"g": given["Sigma"]["g"][:, :, of, of]}}
        alone = bm.from_draws("y ~ x + (1 + x | g)", data[data.h == h], family="gaussian", aux=sigma, **own)
        wanted = alone.log_likelihood_groups
        found = post.log_likelihood_groups.sel(g=wanted.g)
        np.testing.assert_allclose(found, wanted, rtol=1e-10)


@pytest.mark.filterwarnings("ignore::bayesmargins.errors.BayesmarginsWarning")  # draws that saw no data
def test_leaving_out_a_group_integrates_its_own_effects_alone() -> None:
    frame, given = _made()
    said = " ".join(str(bm.logo(_posterior(frame, given), random_seed=1)).split())  # lines break by the screen's width
    assert "by Sobol points in 2 dimensions" in said


def test_what_is_not_there_is_refused_with_a_way_out() -> None:
    frame, given = _made()
    post = _posterior(frame, given)
    with pytest.raises(bm.errors.DataError, match="has the levels 'c'"):
        bm.avg_predictions(post, newdata=frame.assign(h="c"))
    with pytest.raises(bm.errors.DataError, match=r"each group of 'g' has one 'h'.*\(0 \+ h \|\| g\)"):
        bm.GLMM("y ~ x + (1 | gr(g, by = h))", frame.assign(h=["a", "b"] * 60), family="bernoulli")
    with pytest.raises(bm.errors.FormulaError, match="groups of one factor have one structure"):
        bm.GLMM("y ~ x + (1 | gr(g, by = h)) + (0 + x | g)", frame, family="bernoulli")
    for group in ("gr(g, by = g)", "gr(h/g, by = h)"):
        with pytest.raises(bm.errors.FormulaError, match=r"themselves as strata: a variance for each group.*\(1 \| "):
            bm.GLMM(f"y ~ x + (1 | {group})", frame, family="bernoulli")
    levels = {"h": ["a", "b"], "g": sorted(set(frame.g))}
    with pytest.raises(bm.errors.PosteriorError, match="give data= in place of levels="):
        bm.from_draws("y ~ x + h + (1 + x | gr(g, by = h))", levels=levels, family="bernoulli", **given)


def test_priors_of_a_stratum_are_those_of_its_rows() -> None:
    frame, _ = _made()
    data = frame.assign(y=frame.x + np.random.default_rng(1).normal(size=len(frame)))
    both = bm.GLMM("y ~ x + (1 | gr(g, by = h))", data)
    plain = bm.GLMM("y ~ x + (1 | g)", data)
    text = "sd_g ~ HalfNormal(sigma="
    scale = str(plain).partition(text)[2].partition(")")[0]
    assert f"{text}[{scale}, {scale}])" in str(both)


@pytest.mark.sampling
@pytest.mark.evidence
def test_a_fit_recovers_the_spread_of_each_stratum() -> None:
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(160), 6)
    sd = np.array([0.5, 1.5])[g % 2]
    data = pd.DataFrame({"g": [f"g{k}" for k in g], "h": np.array(["a", "b"])[g % 2], "x": rng.normal(size=len(g))})
    data["y"] = 1.0 + 0.5 * data.x + rng.normal(size=160)[g] * sd + 0.5 * rng.normal(size=len(g))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)
        post = bm.GLMM("y ~ x + h + (1 | gr(g, by = h))", data).fit(draws=500, random_seed=1, progressbar=False)
    assert post.info["max_rhat"] < 1.05
    assert post.info["group_effects"] == "integrated"
    found = post.parameters["sd_g"].stack(sample=("chain", "draw"))
    away = (found.mean("sample") - [0.5, 1.5]) / found.std("sample")
    assert (np.abs(away) < 3.5).all()
    own = post.b["g"].to_numpy()
    np.testing.assert_array_equal(own[..., 0], own[..., 1])


def test_strata_have_levels_where_there_are_no_rows() -> None:
    given = {"beta": np.zeros((1, 2, 2)), "Sigma": {"g": np.ones((1, 2, 1, 1))}, "aux": {"sigma": np.ones((1, 2))}}
    with pytest.raises(bm.DataError, match="a covariance for each level of 'h', and levels does not have it"):
        bm.from_draws("y ~ x + (1 | gr(g, by = h))", levels={"g": ["a", "b"]}, family="gaussian", **given)
