"""Multiple imputation: pooled numbers are the mixture of the single results, and chains are judged within each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from arviz_stats.base import array_stats
from pyarrow import Table

import bayesmargins as bm
from bayesmargins.diagnostics import diagnostics, diagnostics_of_mixture

FORMULA = "y ~ x + z * arm + (1 | g)"
COEF = 5


def _frame(shift: float) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(size=40), "z": rng.normal(size=40), "arm": ["a", "b"] * 20})
    frame["g"], frame["y"] = [f"g{k % 5}" for k in range(40)], rng.integers(0, 2, 40)
    imputed = np.arange(40) < 10
    return frame.assign(z=frame.z + shift * imputed)


def _post(k: int, frame: pd.DataFrame | None = None, draws: int = 25, chains: int = 2, apart: float = 0.0) -> Any:
    rng = np.random.default_rng(k)
    b = rng.normal(size=(chains, draws, 5, 1))
    beta, Sigma = rng.normal(size=(chains, draws, COEF)) + apart * k, np.ones((chains, draws, 1, 1))
    frame = _frame(0.3 * k) if frame is None else frame
    return bm.from_draws(FORMULA, frame, family="bernoulli", beta=beta, b={"g": b}, Sigma={"g": Sigma})


@pytest.fixture(scope="module")
def posts() -> list[bm.Posterior]:
    return [_post(k) for k in (1, 2, 3)]


QUESTIONS: dict[str, Callable[..., xr.Dataset]] = {
    "predictions": lambda post: bm.predictions(post),
    "avg_predictions": lambda post: bm.avg_predictions(post, by="arm"),
    "comparisons": lambda post: bm.comparisons(post, "x", newdata=_frame(0.0).head(3), comparison="or"),
    "avg_comparisons": lambda post: bm.avg_comparisons(post, groups="existing"),
    "slopes": lambda post: bm.slopes(post, "z", newdata=_frame(0.0).head(3)),
    "avg_slopes": lambda post: bm.avg_slopes(post, ["x", "z"], by="arm"),
    "attenuation": lambda post: bm.attenuation(post, "arm"),
    "marginal_coefficients": lambda post: bm.marginal_coefficients(post),
    "variance_partition": lambda post: bm.variance_partition(post),
}
SEEDED: dict[str, Callable[..., xr.Dataset]] = {
    "sample": lambda post, seed: bm.avg_predictions(post, groups="sample", random_seed=seed),
    "heterogeneity": lambda post, seed: bm.heterogeneity(post, "x", random_seed=seed),
    "observations": lambda post, seed: bm.posterior_predictive(post, random_seed=seed),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_pooled_result_is_the_mixture_of_the_single_results(name: str, posts: list[bm.Posterior]) -> None:
    pooled = QUESTIONS[name](bm.from_imputations(posts))
    single = [QUESTIONS[name](post) for post in posts]
    assert pooled.estimate.dims == single[0].estimate.dims
    np.testing.assert_array_equal(pooled.estimate, np.concatenate([ds.estimate for ds in single]))
    assert pooled["imputation"].to_numpy().tolist() == [1, 1, 2, 2, 3, 3]
    assert "; mixed over 3 imputations of the data" in bm.describe(pooled)
    assert pooled.attrs["imputations"] == 3


@pytest.mark.parametrize("name", SEEDED)
def test_a_pooled_draw_of_groups_or_observations_has_a_seed_for_each_imputation(
    name: str, posts: list[bm.Posterior]
) -> None:
    many = bm.from_imputations(posts)
    pooled = SEEDED[name](many, 4)
    single = [SEEDED[name](post, seed) for post, seed in zip(posts, many.seeds(4), strict=True)]
    np.testing.assert_array_equal(pooled.estimate, np.concatenate([ds.estimate for ds in single]))
    assert pooled.estimate.dtype == single[0].estimate.dtype
    assert pooled.attrs["random_seed"] == 4
    assert len(set(many.seeds(4))) == 3


def test_each_imputation_answers_with_its_own_rows(posts: list[bm.Posterior]) -> None:
    """By hand: the mean of expit over each imputation's rows, at b = 0."""
    pooled = bm.avg_predictions(bm.from_imputations(posts), groups="zero").estimate.to_numpy()
    for k, post in enumerate(posts):
        rows = _frame(0.3 * (k + 1))
        arm = (rows.arm == "b").to_numpy(float)
        X = np.column_stack([np.ones(40), rows.x, rows.z, arm, rows.z * arm])
        mean = (1 / (1 + np.exp(-post.beta.to_numpy() @ X.T))).mean(axis=-1)
        np.testing.assert_allclose(pooled[2 * k : 2 * k + 2], mean, rtol=1e-12)


def test_columns_of_rows_that_differ_are_named_and_left_out(posts: list[bm.Posterior]) -> None:
    pooled = bm.predictions(bm.from_imputations(posts))
    assert "z" not in pooled.coords
    assert {"x", "arm", "g"} <= set(pooled.coords)
    assert bm.describe(pooled).endswith("mixed over 3 imputations of the data, which differ in z.")


def test_the_share_of_imputation_is_that_of_the_variance_of_the_draws() -> None:
    """Of five draws by hand: means 1 and 5, variances 2 / 3 within, 4 between."""
    first, second = (_post(1, draws=3, chains=1) for _ in range(2))
    ds = bm.avg_predictions(bm.from_imputations([first, second]))
    ds = ds.copy(data={"estimate": [[0.0, 1.0, 2.0], [4.0, 5.0, 6.0]]})
    assert bm.summary(ds)["imputation_share"].item() == pytest.approx(4 / (4 + 2 / 3), rel=1e-14)


def test_the_same_draws_have_no_share_of_imputation(posts: list[bm.Posterior]) -> None:
    same = bm.from_imputations([posts[0], posts[0]])
    frame = bm.summary(bm.avg_comparisons(same))
    assert frame["imputation_share"].to_numpy().tolist() == [0.0] * len(frame)
    assert bm.summary(bm.avg_comparisons(posts[0])).columns.tolist() == ["median", "eti89_lb", "eti89_ub"]


def test_chains_of_different_imputations_need_not_agree() -> None:
    """R-hat across them would say that chains have not mixed."""
    apart = [_post(k, draws=200, apart=5.0) for k in (0, 1, 2)]
    pooled = bm.summary(bm.from_imputations(apart), diagnostics=True)
    single = [bm.summary(post, diagnostics=True) for post in apart]
    coef = pooled.loc["beta"]
    assert array_stats.rhat(np.concatenate([post.beta[..., 0] for post in apart]), chain_axis=0, draw_axis=1) > 2
    assert coef["r_hat"].max() < 1.05
    np.testing.assert_array_equal(pooled["r_hat"], np.max([s["r_hat"] for s in single], axis=0))
    for name in ("ess_bulk", "ess_tail"):
        np.testing.assert_allclose(pooled[name], np.sum([s[name] for s in single], axis=0), rtol=1e-12)
    assert coef["imputation_share"].min() > 0.9
    assert "chains are judged within imputations" in " ".join(str(bm.table(pooled)).split())


@pytest.mark.parametrize("point", ["mean", "median"])
def test_monte_carlo_error_of_a_mixture_is_that_of_repeated_draws(point: str) -> None:
    """Against the spread of the point over 4,000 mixtures drawn anew; one that does not vary has none."""
    rng = np.random.default_rng(5)
    where = np.array([-1.0, 0.0, 0.0, 0.5])[:, None]

    def mixtures(n: int) -> np.ndarray:
        return rng.normal(size=(n, 4, 500)) * np.array([1.0, 2.0, 0.5, 1.0])[:, None] + where

    parts = np.array(["a", "b", "c", "d"])
    spread = np.std({"mean": np.mean, "median": np.median}[point](mixtures(4_000).reshape(4_000, -1), axis=1))
    told = diagnostics_of_mixture(mixtures(200), parts, point)["mcse"]
    assert np.median(told) == pytest.approx(spread, rel=0.1)
    assert "mcse" not in diagnostics_of_mixture(mixtures(1), parts, "mode")


def test_a_mixture_of_one_posterior_is_diagnosed_as_that(posts: list[bm.Posterior]) -> None:
    draws = np.random.default_rng(2).normal(size=(3, 4, 100)).cumsum(axis=2)
    draws[1, 0, 0] = np.nan
    for point in ("mean", "median"):
        one, mixed = diagnostics(draws, point), diagnostics_of_mixture(draws, np.ones(4), point)
        for name in ("ess_bulk", "ess_tail", "r_hat"):
            np.testing.assert_array_equal(mixed[name], one[name])
        np.testing.assert_allclose(mixed["mcse"], one["mcse"], rtol=0.2)


def test_hypotheses_and_arithmetic_keep_imputations_apart(posts: list[bm.Posterior]) -> None:
    arms = bm.avg_predictions(bm.from_imputations(posts), by="arm")
    for derived in (bm.hypotheses(arms, "pairwise"), arms * 100):
        assert derived["imputation"].to_numpy().tolist() == [1, 1, 2, 2, 3, 3]
        assert "imputation_share" in bm.summary(derived)
    both = bm.hypotheses({"one": arms, "two": arms}, "pairwise")
    assert both["imputation"].dims == ("chain",)


def test_arithmetic_with_another_posterior_is_refused_where_it_is_reported(posts: list[bm.Posterior]) -> None:
    """xarray leaves out chains that only one of the two has, and pairs the others by their numbers."""
    arms, two, one = (
        bm.avg_predictions(post, by="arm")
        for post in (bm.from_imputations(posts), bm.from_imputations(posts[:2]), posts[0])
    )
    for joined in (arms - one, one - arms, (arms - two) * 2, np.exp(arms - two)):
        for report in (bm.summary, bm.table, bm.hypotheses, bm.plot_forest):
            with pytest.raises(bm.ResultError, match=r"different posteriors, or one of them of several imputations\."):
                report(joined)
    with pytest.raises(bm.ResultError, match=r"of different posteriors\. .*2 chains x 25 draws are left"):
        bm.summary(one - bm.avg_predictions(posts[1], by="arm"))
    same = bm.summary(arms / bm.avg_predictions(bm.from_imputations(posts), groups="zero", by="arm"))
    assert "imputation_share" in same
    apart = bm.hypotheses({"a": one, "b": bm.avg_predictions(posts[1], by="arm")}, "b - a", independent=True)
    assert bm.summary(apart * 2)["median"].tolist() == (2 * bm.summary(apart)["median"]).tolist()
    with pytest.raises(bm.ResultError, match="different posteriors"):
        bm.summary(apart - one)


def test_a_pooled_result_is_the_same_from_a_file(posts: list[bm.Posterior], tmp_path: Any) -> None:
    pooled = bm.avg_comparisons(bm.from_imputations({"first": posts[0], "second": posts[1]}))
    pooled.to_netcdf(tmp_path / "pooled.nc")
    again = xr.load_dataset(tmp_path / "pooled.nc")
    assert again["imputation"].to_numpy().tolist() == ["first"] * 2 + ["second"] * 2
    assert bm.describe(again) == bm.describe(pooled)
    pd.testing.assert_frame_equal(bm.summary(again), bm.summary(pooled))


def test_the_longer_chains_are_cut_and_that_is_said(posts: list[bm.Posterior]) -> None:
    with pytest.warns(bm.BayesmarginsWarning, match=r"chains of 25 to 30 draws\. .* the first 25 of each chain"):
        many = bm.from_imputations([posts[0], _post(2, draws=30)])
    assert bm.avg_predictions(many).sizes["draw"] == 25


def test_what_is_no_fit_of_one_model_to_the_same_rows_is_refused(posts: list[bm.Posterior]) -> None:
    post = posts[0]
    other = _frame(0.0)
    other.loc[other.arm == "b", "arm"] = "c"
    for given, said in [
        ([post], "there are 1; at least two posteriors"),
        (post, "a list of posteriors is needed"),
        ([post, "x"], "imputation 2 is 'x'; at least two"),
        ([post, _post(1, _frame(0.0).head(30))], "1 and 2 differ in their rows: 40 and 30"),
        ([post, _post(1, chains=1)], "differ in their chains: 2 and 1"),
        ({1: post, "1": post}, "called 1, '1', and results could not tell them apart"),
        ({float("nan"): post, 1: post}, "called nan, 1, and results could not"),
        ({"a": post, "b": _post(1, other)}, r"'a' and 'b' differ in their coefficients: .*arm\[c\].*pd\.Categorical"),
    ]:
        with pytest.raises(bm.PosteriorError, match=said):
            bm.from_imputations(given)


def test_values_that_come_from_the_data_are_refused(posts: list[bm.Posterior]) -> None:
    many = bm.from_imputations(posts)
    with pytest.raises(bm.EstimandError, match=r"asked the same, entry by entry: contrast is .* say them yourself"):
        bm.avg_comparisons(many, {"z": "sd"})
    with pytest.raises(bm.EstimandError, match="entry by entry: z is"):
        bm.avg_predictions(many, by="z")
    with pytest.raises(bm.EstimandError, match="random_seed=-1"):
        bm.avg_predictions(many, groups="sample", random_seed=-1)


def test_rows_that_go_through_once_are_refused_before_the_first_imputation_has_them(posts: list[bm.Posterior]) -> None:
    many, frame = bm.from_imputations(posts), _frame(0.0)
    for rows in (iter([frame]), Table.from_pandas(frame).to_reader()):
        with pytest.raises(bm.EstimandError, match="which can be gone through once, and every imputation"):
            bm.avg_predictions(many, rows)
    both = bm.avg_predictions(many, [frame.head(10), frame.tail(30)])
    np.testing.assert_array_equal(both["estimate"], bm.avg_predictions(many, frame)["estimate"])


def test_what_a_single_posterior_has_is_asked_of_each(posts: list[bm.Posterior]) -> None:
    many = bm.from_imputations(posts)
    with pytest.raises(AttributeError, match=r"no 'save': .* such as post\.posteriors\[0\]\.save"):
        many.save("x.nc")
    with pytest.raises(bm.PosteriorError, match=r"3 imputations, each a posterior in \.posteriors"):
        bm.check(many)
    assert repr(many).startswith("3 imputations, each a posterior in .posteriors; the first: Posterior of y ~ x")
    assert many.formula == FORMULA


def test_a_list_of_frames_and_a_long_frame_are_the_same_imputations(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[dict[Any, bm.GLMM], dict[str, Any]]] = []

    def fits(models: dict[Any, bm.GLMM], **fit: Any) -> dict[Any, bm.Posterior]:
        asked.append((models, fit))
        return {k: _post(k, model.design.data) for k, model in models.items()}

    monkeypatch.setattr("bayesmargins.model.imputed_fits.fit_many", fits)
    frames = {k: _frame(0.3 * k) for k in (1, 2)}
    long = pd.concat(frames, names=[".imp"]).reset_index(".imp")
    one = bm.fit_imputations(FORMULA, list(frames.values()), "bernoulli", random_seed=1, draws=20)
    two = bm.fit_imputations(FORMULA, long, "bernoulli", imputation=".imp", ess=100)
    assert one.labels == two.labels == (1, 2)
    for a, b in zip(one.posteriors, two.posteriors, strict=True):
        pd.testing.assert_frame_equal(a.design.data, b.design.data)
    assert asked[0][1] == {"random_seed": 1, "progressbar": True, "client": None, "ess": None, "draws": 20}
    assert asked[1][1]["ess"] == 100


def test_frames_that_are_no_imputations_are_refused() -> None:
    frame, long = _frame(0.0), _frame(0.0).assign(imp=[0.0, 1.0] * 20)
    gone = frame.assign(x=np.nan)
    for data, named, error, said in [
        (frame, {}, bm.ModelError, r"^data is <DataFrame of the shape \(40, 5\)>; a list of at least two frames"),
        ([frame], {}, bm.ModelError, "a list of at least two frames"),
        ([frame, "x"], {}, bm.ModelError, "a list of at least two frames"),
        (long, {"imputation": "im"}, bm.ModelError, r"'im' is no column of data .* Did you mean 'imp'"),
        (frame.assign(imp=1), {"imputation": "imp"}, bm.ModelError, "has 1 imputations and 0 missing"),
        (long, {"imputation": ["imp"]}, bm.ModelError, r"imputation=\['imp'\] is no column of data"),
        ({"a": frame, "b": gone}, {}, bm.DataError, r"^Imputation 'b': .*x.* completed data.*data\['\.imp'\] > 0"),
        ([frame, frame.head(30)], {}, bm.PosteriorError, "differ in their rows: 40 and 30"),  # and nothing was sampled
    ]:
        with pytest.raises(error, match=said):
            bm.fit_imputations("y ~ x + z", data, family="bernoulli", **named)
