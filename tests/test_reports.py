"""Reports of a posterior: points, intervals and diagnostics against ArviZ and closed forms; tables as readers see."""

from __future__ import annotations

import dataclasses
import io
import re
import sys
import types
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import bayesmargins as bm
from bayesmargins.diagnostics import diagnostics
from bayesmargins.tables import estimates, summarising, writing
from bayesmargins.tables.digits import decimals, fixed, share

AXES = {"chain_axis": 0, "draw_axis": 1}


def result(values: np.ndarray, scale: str = "difference in probability", **attrs: Any) -> xr.Dataset:
    """A result with one entry a column of (sample, entry), in one chain."""
    ds = xr.Dataset({"estimate": (("chain", "draw", "term"), values[None])}, attrs={"scale": scale, **attrs})
    return ds.assign_coords(term=[f"x{j}" for j in range(values.shape[1])])


def normal_draws(mean: float, sd: float, n: int = 20_000) -> np.ndarray:
    """Quantiles in place of draws: shares are those of the distribution up to 1 / n."""
    return np.random.default_rng(1).permutation(stats.norm(mean, sd).ppf((np.arange(n) + 0.5) / n))


# ---- diagnostics, points and intervals against arviz-stats

DRAWS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "independent": lambda rng, s: rng.normal(size=s),
    "sticky": lambda rng, s: np.cumsum(rng.normal(size=s), axis=-1),
    "alternating": lambda rng, s: np.cumsum(rng.normal(size=s), axis=-1) * (-1.0) ** np.arange(s[-1]),
    "heavy tails": lambda rng, s: rng.standard_cauchy(size=s),
    "0 or 1": lambda rng, s: rng.integers(0, 2, size=s).astype(float),
    "counts": lambda rng, s: rng.poisson(1.5, size=s).astype(float),
    "constant": lambda rng, s: np.full(s, 3.7),
    "constant chains": lambda rng, s: np.broadcast_to(rng.normal(size=(*s[:2], 1)), s).copy(),
    "all but constant": lambda rng, s: 1.0 + 1e-16 * rng.normal(size=s),
    "far from 0": lambda rng, s: 1e12 + rng.normal(size=s),
    "infinite": lambda rng, s: np.where(rng.random(s) < 0.1, np.inf, rng.normal(size=s)),
    "missing": lambda rng, s: np.where(rng.random(s) < 0.01, np.nan, rng.normal(size=s)),
}


def arviz_diagnostics(draws: np.ndarray, point: str) -> dict[str, np.ndarray]:
    from arviz_base import rcParams
    from arviz_stats.base import array_stats

    with np.errstate(all="ignore"):
        return {
            "ess_bulk": array_stats.ess(draws, method="bulk", **AXES),
            "ess_tail": array_stats.ess(draws, method="tail", prob=float(rcParams["stats.ci_prob"]), **AXES),
            "r_hat": array_stats.rhat(draws, **AXES),
            "mcse": array_stats.mcse(draws, method=point, **AXES),
        }


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of ArviZ, about draws that are infinite or do not vary
@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("point", ["mean", "median"])
def test_diagnostics_of_many_entries_are_those_of_arviz_one_by_one(kind: str, point: str) -> None:
    rng = np.random.default_rng(7)
    for chains in (1, 2, 4):
        for n in (1, 3, 4, 5, 8, 10, 13, 16, 51, 250):
            draws = DRAWS[kind](rng, (3, chains, n))
            expected = arviz_diagnostics(draws.transpose(1, 2, 0), point)
            found = diagnostics(draws, point)
            assert list(found) == list(expected)
            for name, values in expected.items():
                np.testing.assert_allclose(found[name], values, rtol=1e-12, err_msg=f"{name} {chains} x {n}")


def test_intervals_are_those_of_arviz_also_with_gaps() -> None:
    from arviz_stats.base import array_stats

    rng = np.random.default_rng(3)
    values = np.stack([rng.normal(size=401), rng.gamma(2, size=401), rng.poisson(3, size=401).astype(float)])
    gaps = values.copy()
    gaps[0, 5:9], gaps[2, 0] = np.nan, -np.inf
    for entries in (values, gaps):
        for prob in (0.07, 0.5, 0.89, 0.999):
            for kind in ("eti", "hdi"):
                lower, upper = estimates.limits(entries, prob, kind)
                for j, row in enumerate(entries):
                    expected = getattr(array_stats, kind)(row[np.isfinite(row)], prob)
                    np.testing.assert_array_equal([lower[j], upper[j]], expected)


def test_highest_density_interval_is_the_shortest_of_all() -> None:
    values = np.random.default_rng(5).gamma(1.5, size=60)
    lower, upper = estimates.limits(values[None], 0.8, "hdi")
    pairs = [(b - a, a, b) for a in values for b in values if ((values >= a) & (values <= b)).sum() == 49]
    assert (lower[0], upper[0]) == min(pairs)[1:]


def test_intervals_need_two_finite_draws_and_points_one() -> None:
    values = np.array([[1.0, np.nan, np.inf], [np.nan, np.nan, np.nan], [1.0, 2.0, np.nan]])
    np.testing.assert_array_equal(
        estimates.limits(values, 0.5, "eti"), [[np.nan, np.nan, 1.25], [np.nan, np.nan, 1.75]]
    )
    np.testing.assert_array_equal(estimates.points(values, "median"), [1.0, np.nan, 1.5])
    np.testing.assert_array_equal(np.isnan(estimates.spread(values)), [True, True, False])


def test_mode_is_that_of_arviz_and_of_whole_numbers_the_most_frequent() -> None:
    from arviz_stats.base import array_stats

    rng = np.random.default_rng(2)
    values = np.stack([rng.gamma(2, size=4000), rng.normal(5, 0.1, size=4000)])
    np.testing.assert_array_equal(estimates.points(values, "mode"), [array_stats.mode(v) for v in values])
    assert abs(estimates.points(values, "mode")[0] - 1.0) < 0.5  # of the gamma distribution
    # The half-sample mode of these would be 0: half of the draws fit into 0 to 1 as well as into 1 to 2.
    counts = np.repeat([0.0, 1.0, 2.0], [30, 36, 34])
    assert estimates.points(counts[None], "mode") == [1.0]
    assert estimates.points(np.full((1, 9), 0.3), "mode") == [0.3]


def test_mode_has_no_monte_carlo_error_and_is_drawn_by_pictures_too(post: bm.Posterior) -> None:
    ds = bm.avg_comparisons(post, "trt")
    table = bm.summary(ds, point="mode", diagnostics=True)
    assert list(table.columns) == ["mode", "sd", "eti89_lb", "eti89_ub", "ess_bulk", "ess_tail", "r_hat"]
    offsets = bm.plot_forest(ds, point="mode").containers[0][0].get_xdata()
    np.testing.assert_allclose(np.asarray(offsets, dtype=float), table["mode"])


def test_blocks_and_threads_change_no_number(post: bm.Posterior, monkeypatch: pytest.MonkeyPatch) -> None:
    ds = bm.predictions(post)
    whole = bm.summary(ds, null=0.5, rope=(0.4, 0.6))
    monkeypatch.setattr(summarising, "_BLOCK", 1400)
    for threads in (1, 3):
        with bm.options(threads=threads):
            pd.testing.assert_frame_equal(bm.summary(ds, null=0.5, rope=(0.4, 0.6)), whole, check_exact=True)
    backwards = bm.summary(ds.isel(row=slice(None, None, -1)), null=0.5, rope=(0.4, 0.6))
    pd.testing.assert_frame_equal(backwards.iloc[::-1], pd.DataFrame(whole), check_names=False, check_exact=True)


# ---- several intervals, null and region


def test_several_probabilities_are_the_columns_of_each_alone(post: bm.Posterior) -> None:
    ds = bm.avg_comparisons(post, "trt")
    both = bm.summary(ds, ci_prob=[0.5, 0.975], ci_kind="hdi")
    assert both.columns[1:].tolist() == ["hdi50_lb", "hdi50_ub", "hdi97.5_lb", "hdi97.5_ub"]
    for prob in (0.5, 0.975):
        alone = bm.summary(ds, ci_prob=prob, ci_kind="hdi").iloc[:, 1:]
        pd.testing.assert_frame_equal(both[list(alone.columns)], alone)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"ci_prob": []}, "at least one probability"),
        ({"ci_prob": [0.5, 50]}, r"ci_prob=50; .*50 % is ci_prob=0.5"),
        ({"ci_prob": [0.9, 0.9]}, "names the columns eti90, eti90; name each interval once"),
        ({"point": "map"}, "allowed are median, mean, mode"),
    ],
)
def test_summary_refuses_what_it_cannot_show(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(bm.ResultError, match=said):
        bm.summary(result(np.zeros((9, 1))), **asked)


def test_shares_of_a_normal_are_those_of_its_distribution_function() -> None:
    normal, rope = stats.norm(0.1, 0.2), (-0.1, 0.05)
    table = bm.summary(result(normal_draws(0.1, 0.2)[:, None]), null=0, rope=rope, ci_prob=0.9)
    mass = normal.cdf(rope[1]) - normal.cdf(rope[0])
    assert table["p_rope"].item() == pytest.approx(mass, abs=1e-4)
    # The whole region lies within the interval of 90 %, 0.1 -+ 0.33.
    assert table["p_rope_hdi90"].item() == pytest.approx(mass / 0.9, abs=1e-4)
    assert table["p_gt_0"].item() == table["pd"].item() == pytest.approx(normal.sf(0), abs=1e-4)
    assert table["decision"].tolist() == ["undecided"]


@pytest.mark.parametrize(
    ("mean", "half", "decision", "share_within"),
    [
        (0.0, 0.2, "equivalent", 1.0),  # 95 %: -0.196 to 0.196
        (0.008, 0.2, "undecided", None),  # -0.188 to 0.204
        (-0.008, 0.2, "undecided", None),
        (0.31, 0.1, "different", 0.0),  # 0.114 to 0.506
        (0.29, 0.1, "undecided", None),  # 0.094 to 0.486
        (-0.29, 0.1, "undecided", None),
        (-0.31, 0.1, "different", 0.0),
    ],
)
def test_decision_is_that_of_kruschkes_rule(
    mean: float, half: float, decision: str, share_within: float | None
) -> None:
    table = bm.summary(result(normal_draws(mean, 0.1)[:, None]), rope=(-half, half))
    assert table["decision"].tolist() == [decision]
    within = table["p_rope_hdi95"].item()
    assert within == share_within if share_within is not None else 0 < within < 1


def test_interval_of_the_rule_is_the_largest_asked_for_or_else_of_95_percent() -> None:
    ds = result(normal_draws(0.0, 0.1)[:, None])
    for asked, name in [(None, "hdi95"), (0.8, "hdi80"), ([0.5, 0.99, 0.9], "hdi99")]:
        assert f"p_rope_{name}" in bm.summary(ds, ci_prob=asked, rope=(-1, 1))
    # 80 %: -0.128 to 0.128; 99 %: -0.258 to 0.258.
    decided = [bm.summary(ds, ci_prob=p, rope=(-0.2, 0.2))["decision"].item() for p in (0.8, 0.99)]
    assert decided == ["equivalent", "undecided"]


def test_region_may_be_open_and_a_region_between_draws_is_undecided() -> None:
    ds = result(np.array([[0.0], [1.0]]).repeat(50, axis=0))
    assert bm.summary(ds, rope=(-np.inf, 2.0))["decision"].tolist() == ["equivalent"]
    inside = bm.summary(ds, rope=(0.4, 0.6))
    assert (inside["p_rope_hdi95"].item(), inside["decision"].item()) == (0.0, "undecided")


def test_entry_without_a_finite_draw_is_not_decided() -> None:
    values = np.stack([normal_draws(0.0, 1.0, 50), np.full(50, np.nan)], axis=1)
    with pytest.warns(bm.BayesmarginsWarning, match="50 of 100 draws are not finite"):
        table = bm.summary(result(values), rope=(-9, 9), null=0, diagnostics=True)
    assert table["decision"].tolist()[0] == "equivalent"
    assert table["decision"].isna().tolist() == [False, True]
    assert table.loc["x1", ["median", "p_gt_0", "p_rope", "ess_bulk"]].isna().all()
    written = bm.table(table)
    assert written.loc["x1"].tolist() == ["NaN [NaN, NaN]", "NaN", "NaN", "NaN", "50"]


# ---- digits


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ((0.13, 0.06, 0.20), "0.13 [0.06, 0.20]"),
        ((-0.001, -0.3, 0.31), "0.00 [-0.30, 0.31]"),
        ((0.003, 0.0004, 0.0201), "0.0030 [0.0004, 0.0201]"),
        ((0.1, 0.0012, 0.4), "0.100 [0.001, 0.400]"),
        ((0.1, 1e-9, 0.4), "0.10 [0.00, 0.40]"),
        ((1.07, 0.8, 1.42), "1.07 [0.80, 1.42]"),
        ((692.1, 311.4, 1490.9), "692 [311, 1491]"),
        ((0.0, 0.0, 0.0), "0.00 [0.00, 0.00]"),
        ((1.0, 1.0, 1.0), "1.00 [1.00, 1.00]"),
        ((2.5e-9, 1.1e-9, 3.9e-9), "2.5e-09 [1.1e-09, 3.9e-09]"),
        ((np.nan, np.nan, np.nan), "NaN [NaN, NaN]"),
    ],
)
def test_cells_have_the_digits_that_the_width_supports(row: tuple[float, ...], shown: str) -> None:
    values = np.array([row])
    (places,) = decimals(values[:, 1:])
    point, lower, upper = (fixed(v, places) for v in row)
    assert f"{point} [{lower}, {upper}]" == shown


def test_a_column_has_the_decimals_of_its_narrowest_interval() -> None:
    rows = np.array([[0.4, 0.6], [0.52, 0.58], [0.0004, 0.02], [0.3, 0.3], [np.nan, np.nan]])
    assert [decimals(row[None]).item() for row in rows] == [2, 3, 4, 3, 2]
    for order in (slice(None), slice(None, None, -1)):
        assert decimals(rows[order]).tolist() == [4] * 5
    # At most two more than the widest needs; rows that would read as zeros keep their own.
    spread = np.array([[400.0, 600.0], [0.4, 0.6], [0.0004, 0.02], [0.000012, 0.000012]])
    assert decimals(spread).tolist() == [2, 2, 4, 5]
    scales = np.array(["difference", "ratio", "difference", "ratio"])
    assert decimals(rows[:4], scales=scales).tolist() == [4, 3, 4, 3]
    assert decimals(spread, 1).tolist() == [1] * 4


def test_numbers_stand_below_each_other_where_a_table_is_printed_or_written(post: bm.Posterior) -> None:
    table = bm.table(bm.avg_comparisons(post, "trt", comparison="lnor"))
    cells = table.iloc[:, 0].tolist()
    assert cells == [" ".join(cell.split()) for cell in cells]
    # As wide as a digit where fonts differ; in LaTeX it is a phantom.
    texts = [str(table), table.to_markdown(), table.to_html(), table.to_latex().replace(r"\phantom{0}", "\u2007")]
    for text in texts:
        rows = [line for line in text.splitlines() if "drug" in line and "]" in line]
        lines = [row.replace("$-$", "-").partition("]")[0] for row in rows]
        one, other = ([m.start() - len(line) for m in re.finditer(r"\.\d", line)] for line in lines)
        assert len(one) == 3
        assert one == other, text


def test_shares_claim_no_more_than_the_draws_tell() -> None:
    assert [share(p, 4000) for p in (0.0, 0.00025, 0.5, 0.99975, 1.0)] == [
        "<0.001",
        "<0.001",
        "0.500",
        ">0.999",
        ">0.999",
    ]
    assert [share(p, 100) for p in (0.0, 0.01, 0.99, 1.0)] == ["<0.01", "0.01", "0.99", ">0.99"]


def test_cells_are_the_numbers_of_the_summary(post: bm.Posterior) -> None:
    ds = bm.avg_predictions(post, at={"week": [0.0, 2.0, 6.0]}, by="trt")
    numbers, text = bm.summary(ds, ci_prob=0.9), bm.table(ds, ci_prob=0.9)
    assert text.index.equals(numbers.index)
    for cell, row in zip(text["median [90% ETI]"], numbers[["median", "eti90_lb", "eti90_ub"]].to_numpy(), strict=True):
        parts = re.findall(r"-?[\d.]+", cell)
        places = {len(p.partition(".")[2]) for p in parts}
        assert len(places) == 1
        np.testing.assert_allclose([float(p) for p in parts], row, atol=0.5 * 10.0 ** -places.pop())


# ---- rows and scales


def test_rows_of_a_grid_are_called_by_the_columns_that_vary(post: bm.Posterior) -> None:
    def index(newdata: pd.DataFrame | None) -> pd.Index:
        return bm.summary(bm.predictions(post, newdata)).index

    one = bm.datagrid(post, {"trt": "all"})
    assert (index(one).name, index(one).tolist()) == ("trt", ["placebo", "drug", "drug+"])
    two = bm.datagrid(post, {"trt": ["placebo", "drug"], "week": [0, 6]})
    assert (list(index(two).names), index(two).tolist()[1]) == (["trt", "week"], ("placebo", 6))
    twice = pd.concat([one, one], ignore_index=True)
    assert (list(index(twice).names), index(twice).tolist()[3]) == (["row", "trt"], (3, "placebo"))
    assert index(None).name == index(post.design.data.head(3)).name == index(one.head(1)).name == "row"
    assert index(two.assign(a=range(4), b=range(4), c=range(4))).name == "row"
    forest = bm.plot_forest(bm.predictions(post, two))
    assert [t.get_text() for t in forest.get_yticklabels()][:3] == ["trt placebo", "  0", "  6"]
    table = bm.table({g: bm.predictions(post, one, groups=g) for g in ("zero", "new")})
    assert table.index.tolist() == ["placebo", "drug", "drug+"]


def test_every_entry_stands_under_its_own_scale(post: bm.Posterior) -> None:
    def scales(ds: xr.Dataset) -> dict[str, str]:
        frame = bm.summary(ds).index.to_frame()
        assert bm.summary(ds).columns.name == "several scales"
        return dict(zip(frame[ds["estimate"].dims[-1]], frame["scale"], strict=True))

    drug = {"trt": ("placebo", "drug")}
    averages = dict.fromkeys(("zero", "own", "existing", "new"))
    between = dict.fromkeys(("new - zero", "existing - zero", "new - existing"))
    for ds, scale, of_difference in [
        (bm.attenuation(post, estimand="predictions"), "probability", "difference in probability"),
        (bm.attenuation(post, drug), "difference in probability", "difference in probability"),
        (bm.attenuation(post, drug, comparison="or"), "odds ratio", "difference of odds ratio"),
        (bm.attenuation(post, "week", estimand="slopes"), "slope of probability", "slope of probability"),
    ]:
        said = {**dict.fromkeys(averages, scale), **dict.fromkeys(between, of_difference)}
        assert scales(ds) == {**said, "new / zero": f"ratio of {scale}"}
    varies = scales(bm.heterogeneity(post, drug, quantiles=[0.5]))
    assert set(list(varies.values())[:3]) == {"difference in probability"}
    assert varies["share > 0"] == "share of groups"


def test_a_selection_on_one_scale_is_headed_by_it(post: bm.Posterior) -> None:
    ds = bm.attenuation(post, {"trt": ("placebo", "drug")})
    averages = bm.summary(ds.sel(groups=["zero", "new"]))
    assert averages.columns.name == "difference in probability"
    assert "scale" not in averages.index.names
    for one in ("new / zero", ["new / zero"]):
        assert bm.summary(ds.sel(groups=one)).columns.name == "ratio of difference in probability"
    assert bm.hypotheses(ds, along="groups").attrs["scale"] == "difference of several scales"
    assert (
        bm.table(ds)
        .to_markdown()
        .startswith("Risk difference for yb, drug - placebo, at b = 0, and over own, fitted and new groups of ID\n")
    )


def test_a_picture_has_one_scale_and_says_its_interval(post: bm.Posterior) -> None:
    ds = bm.attenuation(post, {"trt": ("placebo", "drug")})
    forest = bm.plot_forest(ds, ci_prob=0.5, ci_kind="hdi")
    assert forest.get_xlabel() == "difference in probability (drug - placebo)"
    assert [t.get_text() for t in forest.get_yticklabels()] == ds["groups"].values.tolist()[:-1]
    said = "median and 50% highest-density interval\nnot drawn, on another scale: new / zero"
    assert [t.get_text() for t in forest.texts] == [said]
    bm.plot_forest(ds, ci_prob=0.9, ax=forest)
    assert [t.get_text() for t in forest.texts] == [f"{said}\nmedian and 90% equal-tailed interval"]
    curves = bm.plot_predictions(bm.avg_predictions(post, by="trt"), point="mean")
    assert [t.get_text() for t in curves.texts] == ["mean and 89% equal-tailed interval"]


# ---- tables


def test_table_has_few_columns(post: bm.Posterior) -> None:
    ds = bm.avg_comparisons(post, "trt")
    assert bm.table(ds).columns.tolist() == ["median [89% ETI]"]
    full = bm.table(ds, point="mean", ci_prob=[0.5, 0.95], ci_kind="hdi", null=0, rope=(-0.1, 0.1), diagnostics=True)
    headers = ["mean", "50% HDI", "95% HDI", "P(> 0)", "P(in ROPE)", "decision", "ESS", "r-hat"]
    assert full.columns.tolist() == headers
    assert full.columns.name == "difference in probability"
    assert bm.table(ds, digits=1)["median [89% ETI]"].iloc[1] == "-0.1 [-0.2, 0.0]"


def test_table_takes_a_summary_whole_or_in_part(post: bm.Posterior) -> None:
    ds = bm.avg_comparisons(post, "trt")
    summary = bm.summary(ds, null=0, rope=(-0.1, 0.1))
    whole = bm.table(ds, null=0, rope=(-0.1, 0.1))
    pd.testing.assert_frame_equal(bm.table(summary), whole)
    part = bm.table(summary.iloc[1:])
    assert part.index.tolist() == [("trt", "drug+ - placebo")]
    assert str(part).split("\n\n")[::2] == str(whole).split("\n\n")[::2]
    for text in (summary.to_markdown(), summary.to_latex(), summary.to_html()):
        assert text in (whole.to_markdown(), whole.to_latex(), whole.to_html())


def test_results_stand_side_by_side_under_their_names(post: bm.Posterior) -> None:
    results = {"b = 0": bm.avg_comparisons(post, "trt", groups="zero"), "new": bm.avg_comparisons(post, "trt")}
    table = bm.table(results, ci_prob=0.95)
    assert (table.columns.tolist(), table.columns.name) == (list(results), "difference in probability")
    for name, ds in results.items():
        assert table[name].tolist() == bm.table(ds, ci_prob=0.95).iloc[:, 0].tolist()
        head, _, policy = bm.describe(ds).removesuffix(".").partition("; ")
        assert table.attrs["note"].count(head) == table.attrs["note"].count(f"{name}: {policy}") == 1
    assert table.attrs["note"].startswith("Posterior median and 95% equal-tailed interval. Difference in the average")
    assert table.attrs["caption"] == "Risk difference for yb, drug - placebo and drug+ - placebo"
    full = bm.table(results, null=0).columns.tolist()
    assert full == ["b = 0", "b = 0: P(> 0)", "new", "new: P(> 0)"]
    several = bm.table(results, ci_prob=[0.5, 0.9]).columns.tolist()
    assert several == [f"{name}: {c}" for name in results for c in ("median", "50% ETI", "90% ETI")]
    prior = bm.avg_comparisons(dataclasses.replace(post, info={**post.info, "draws": "prior"}), "trt")
    beside = bm.table({"prior": prior, "posterior": results["new"]}).attrs["note"]
    said = "prior: Prior median and 89% equal-tailed interval. posterior: Posterior median and"
    assert beside.startswith(said)
    assert "prior: Difference" in beside
    again = bm.table({"one": results["new"], "same": results["new"]}).attrs["note"]
    assert again.count(bm.describe(results["new"])) == 1
    twice = results["new"] * 2
    both = bm.table({"turned": twice.isel(contrast=[1, 0]), "as it was": twice})
    assert both["as it was"].tolist() == both["turned"].tolist() == bm.table(twice).iloc[::-1, 0].tolist()


@pytest.mark.parametrize(
    ("said", "other"),
    [
        ("'a' has the rows .*'b' .*Select those that both have", {"variables": {"trt": "pairwise"}}),
        ("'a' has the rows .*'b' .*Select those that both have", {"variables": "week"}),
    ],
)
def test_results_of_other_rows_do_not_stand_side_by_side(post: bm.Posterior, said: str, other: dict[str, Any]) -> None:
    results = {"a": bm.avg_comparisons(post, "trt"), "b": bm.avg_comparisons(post, **{"variables": "trt"} | other)}
    with pytest.raises(bm.ResultError, match=said):
        bm.table(results)
    for names in ({}, {1: results["a"]}, {" ": results["a"]}):
        with pytest.raises(bm.ResultError, match="each needs a name"):
            bm.table(names)  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [[217, 218, 219], [2, 1, 0]])
@pytest.mark.parametrize(
    "question", [bm.predictions, lambda p, newdata: bm.comparisons(p, {"trt": ("placebo", "drug")}, newdata=newdata)]
)
def test_other_rows_of_the_same_number_do_not_stand_side_by_side(
    post: bm.Posterior, question: Any, rows: list[int]
) -> None:
    data = post.design.data
    results = {"first": question(post, data.head(3)), "other": question(post, data.iloc[rows])}
    said = r"rows of 'first' and 'other' differ in '\w+': at .*row \d these are .* and .*same newdata"
    for show in (bm.table, bm.plot_forest):
        with pytest.raises(bm.ResultError, match=said):
            show(results)
        show({"first": results["first"], "again": question(post, data.head(3).assign(more=1.0))})
    singles = {str(k): question(post, data.iloc[[k]]).isel(contrast=0, missing_dims="ignore") for k in (0, 3)}
    assert [t.get_text() for t in bm.plot_forest(singles).get_yticklabels()] == ["0", "3"]


def test_numbers_that_were_changed_in_a_summary_are_said_to_be_derived(post: bm.Posterior) -> None:
    summary = bm.summary(bm.avg_predictions(post, by="trt"), ci_prob=[0.5, 0.95], null=0.5, rope=(0, 1))
    kept = (summary, summary.iloc[[2, 0]], summary.sort_values("median"), summary.drop(columns="pd"), summary.copy())
    for frame in (*kept, summary.assign(more=1.0), pd.concat([summary, summary])):
        assert bm.table(frame).columns.name == "probability"
        assert bm.table(frame).attrs["caption"] == "Probability of yb, by trt, averaged over new groups of ID"
    one = summary.copy()
    one.loc["drug", "eti95_ub"] += 0.01
    in_place = bm.summary(bm.avg_predictions(post, by="trt"))
    in_place["median"] *= 100
    for frame in (summary.select_dtypes("number") * 100, 1 - summary.select_dtypes("number"), one, in_place):
        table = bm.table(frame)
        assert table.columns.name == "derived from probability"
        note = table.attrs["note"]
        assert table.attrs["caption"] == "Derived from probability"
        assert "Derived (numbers of the summary were changed) from: Average probability" in note
        assert "caption{Derived from probability" in table.to_latex()
    assert "Derived from probability" in in_place.to_markdown()
    assert repr(in_place).startswith("Derived from probability\n")


def test_derived_results_side_by_side_are_not_said_to_be_on_one_scale(post: bm.Posterior) -> None:
    ds = bm.avg_predictions(post, by="trt")
    results = {"percent": (ds * 100).assign_attrs(ds.attrs), "log": np.log(ds).assign_attrs(ds.attrs)}
    table = bm.table(results)
    assert table.columns.name == "derived from probability (each column in its own way)"
    assert table.attrs["caption"] == "Derived from probability of yb (each column in its own way)"
    assert bm.plot_forest(results).get_xlabel() == "derived from probability (each in its own way)"
    assert bm.table({"log": results["log"]}).columns.name == "derived from probability"


def test_a_caption_is_written_out_and_the_estimand_moves_beneath(post: bm.Posterior) -> None:
    table = bm.table(bm.avg_predictions(post, by="trt"))
    note = table.attrs["note"]
    latex = table.to_latex(caption="5% & a_b {x}", label="tab:x-1")
    assert "\\caption{5\\% \\& a\\_b \\{x\\}}\n\\label{tab:x-1}\n" in latex
    short = "Probability of yb, by trt, averaged over new groups of ID"
    beneath = latex.index(f"{short}. Posterior median")
    assert latex.index("\\end{tabular}") < beneath < latex.index("\\end{table}")
    assert f"\\caption{{{short}}}\n\\label{{tab:y}}\n" in table.to_latex(label="tab:y")
    page = ElementTree.fromstring(table.to_html(caption="a < b"))
    assert (page.findtext("caption"), page.findtext("tfoot/tr/td")) == ("a < b", f"{short}. {note}")
    assert page.find("tfoot/tr/td").attrib == {"colspan": "2"}
    markdown = table.to_markdown(caption="a | b").splitlines()
    assert markdown[0] == "a \\| b"
    assert markdown[2:-1] == table.to_markdown().splitlines()[2:-1]
    for said, ask in [
        ("caption=3; it must be text", lambda: table.to_html(caption=3)),
        ("caption=' '", lambda: table.to_markdown(caption=" ")),
        ("label='a b'; a label of LaTeX", lambda: table.to_latex(label="a b")),
        ("label='a%'", lambda: table.to_latex(label="a%")),
    ]:
        with pytest.raises(bm.ResultError, match=said):
            ask()


def test_table_refuses_what_it_cannot_show(post: bm.Posterior) -> None:
    summary = bm.summary(bm.avg_comparisons(post, "trt"))
    for said, ask in [
        (r"table was given a summary and ci_prob=0.5.*bm.summary\(ds", lambda: bm.table(summary, ci_prob=0.5)),
        ("an interval .*the columns are 'median'", lambda: bm.table(summary[["median"]])),
        ("diagnostics=True, .*no columns ess_bulk", lambda: bm.table(summary, diagnostics=True)),
        ("diagnostics='yes'", lambda: bm.summary(bm.avg_predictions(post), diagnostics="yes")),
        ("does not say its scale", lambda: bm.table(pd.DataFrame(summary.to_numpy(), columns=list(summary.columns)))),
        ("digits=2.5; .*whole number", lambda: bm.table(summary, digits=2.5)),
        ("digits=True", lambda: bm.table(summary, digits=True)),
        ("buf=3; it must be a path", lambda: summary.to_markdown(3)),
        ("got Series", lambda: bm.table(summary["median"])),
    ]:
        with pytest.raises(bm.ResultError, match=said):
            ask()
    with pytest.raises(bm.EstimandError, match=r"to_latex does not take index=False.* It takes buf, caption, label\."):
        summary.to_latex(index=False)


def test_printed_summary_shows_all_columns_and_the_sentence(
    post: bm.Posterior, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    ds = bm.avg_comparisons(post, "trt")
    summary = bm.summary(ds, null=0, rope=(-0.1, 0.1), ci_prob=[0.5, 0.9])
    caption, table, _ = str(summary).split("\n\n")
    assert caption == f"R{bm.describe(ds, short=True)[1:]}"
    assert table.splitlines()[0].split() == list(summary.columns)
    flat = " ".join(str(summary).split())
    assert flat.count(bm.describe(ds)) == flat.count(caption) == 1
    assert "ROPE: -0.1 to 0.1; decided by the 90% HDI (Kruschke 2018)." in flat
    page = summary._repr_html_()
    assert all(f"<th>{c}</th>" in page for c in summary.columns)
    assert bm.describe(ds) in page


def test_printed_summary_of_many_rows_is_cut_as_pandas_cuts(post: bm.Posterior) -> None:
    summary = bm.summary(bm.predictions(post))
    assert len(str(summary).splitlines()) < 27
    assert "[220 rows x 3 columns]" in str(summary)
    with pd.option_context("display.max_rows", None):
        assert len(str(summary).splitlines()) > 220


def test_summary_is_a_dataframe_and_what_is_made_of_it_a_plain_one(post: bm.Posterior) -> None:
    summary = bm.summary(bm.avg_comparisons(post, "trt"), null=0)
    assert isinstance(summary, pd.DataFrame)
    made = [summary.round(3), summary.iloc[:1], summary[["median"]], summary.copy(), summary.T, summary.reset_index()]
    assert {type(m) for m in [*made, pd.concat([summary, summary])]} == {pd.DataFrame}
    assert made[1].attrs["estimand"] == summary.attrs["estimand"]
    summary["mine"] = "text"
    assert "text" in str(summary)
    assert summary["median"].dtype == np.float64


# ---- Markdown, LaTeX, HTML

NASTY = ["a|b", "x_1 & 50%", "*c* `d` <i>", "$e^2$ ~f~", "\\g {h} #i", "[j](k)", "[0, 1)", "a\nb", "-1"]


def nasty() -> pd.DataFrame:
    draws = np.stack([normal_draws(-0.1, 0.1, 500)] * len(NASTY), axis=1)
    ds = result(draws, "odds_ratio & more", bayesmargins_version="0", kind="<b>kind</b>", posterior="0")
    ds = ds.assign_coords(term=NASTY)
    return bm.table(ds, null=0)


class Cells(HTMLParser):
    """Cells of the rows, and the caption, of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.caption, self.inside = "", ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert tag in ("table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "p"), tag
        self.inside = tag
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.inside in ("th", "td"):
            self.rows[-1][-1] += data
        elif self.inside in ("caption", "p"):
            self.caption += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


def expected_rows(table: pd.DataFrame) -> list[list[str]]:
    flat = table.reset_index().map(lambda v: " ".join(v.split()))
    return [[str(c) for c in flat.columns], *flat.to_numpy().tolist()]


def test_markdown_comes_back_from_a_reader_of_markdown() -> None:
    from markdown_it import MarkdownIt

    table = nasty()
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(table.to_markdown())
    found = Cells(page)
    assert found.rows == expected_rows(table)
    said = f"{table.attrs['caption']}{table.attrs['note']}"
    assert found.caption.replace("\n", "") == " ".join(said.split())


def test_html_comes_back_from_a_reader_of_html() -> None:
    table = nasty()
    found = Cells(table.to_html())
    assert [[" ".join(c.split()) for c in row] for row in found.rows] == [*expected_rows(table), [table.attrs["note"]]]
    assert found.caption.strip() == table.attrs["caption"]


def test_latex_has_no_command_but_its_own() -> None:
    table = nasty()
    text = table.to_latex()
    undo = {r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^", r"\textless{}": "<",
            r"\textgreater{}": ">", r"\textbar{}": "|", r"\&": "&", r"\%": "%", r"\$": "$", r"\#": "#", r"\_": "_",
            r"\{": "{", r"\}": "}", "$-$": "-"}  # fmt: skip
    body = text.split("\\toprule\n")[1].split("\n\\bottomrule")[0].replace("\\midrule\n", "")
    pattern = re.compile("|".join(map(re.escape, undo)))
    rows = [re.split(r"(?<!\\) & ", line.removesuffix(r" \\").removeprefix("{}")) for line in body.splitlines()]
    assert [[pattern.sub(lambda m: undo[m[0]], cell) for cell in row] for row in rows] == expected_rows(table)
    plain = pattern.sub("", "".join(cell for row in rows for cell in row))
    assert not set("\\&%$#_{}~^<>|") & set(plain)
    assert "\n{}[0, 1) & " in text  # a bracket after the end of a row would be its option
    assert "$-$0.10 [$-$0.26, 0.06]" in text
    assert r"\caption{Derived from odds\_ratio \& more}" in text


def test_tables_are_written_to_paths_and_files(tmp_path: Path, post: bm.Posterior) -> None:
    table, page = bm.table(bm.avg_predictions(post)), io.StringIO()
    assert table.to_latex(tmp_path / "t.tex") is None
    assert (tmp_path / "t.tex").read_text(encoding="utf-8") == table.to_latex() + "\n"
    table.to_html(page)
    assert page.getvalue() == table.to_html()


def test_every_table_says_its_scale_and_estimand_once(post: bm.Posterior) -> None:
    ds = bm.avg_comparisons(post, "trt", comparison="ratio")
    for made in (bm.table(ds), bm.summary(ds)):
        for text in (made.to_markdown(), made.to_latex(), made.to_html(), str(made), made._repr_html_()):
            flat = " ".join(text.split())
            order = ("Risk ratio for yb, drug", "0.8", "Posterior median and 89", "Ratio of the", "makes it a")
            assert [flat.count(said) for said in order if said != "0.8"] == [1] * 4
            assert sorted(map(flat.index, order)) == [flat.index(said) for said in order]
    derived = np.log(ds).assign_attrs(ds.attrs)
    assert bm.table(derived).to_markdown().startswith("Derived from risk ratio for yb\n")


def test_a_caption_names_what_was_done_with_groups(post: bm.Posterior) -> None:
    said = {
        "new": "averaged over new groups of ID",
        "existing": "averaged over the fitted groups of ID",
        "own": "with each row's own ID",
        "zero": "at b = 0 for ID",
        "sample": "in drawn groups of ID",
    }
    for groups, words in said.items():
        seed = {"random_seed": 1} if groups == "sample" else {}
        caption = bm.table(bm.avg_predictions(post, groups=groups, **seed)).attrs["caption"]
        assert caption == f"Probability of yb, {words}"
    named = bm.avg_predictions(post, groups={"ID": ["X01", "X02"]})
    assert bm.table(named).attrs["caption"] == "Probability of yb, in X01 and X02 of ID"


def test_bad_diagnostics_are_not_hidden() -> None:
    rng = np.random.default_rng(4)
    good = rng.normal(size=(4, 500, 3))
    bad = good.copy()
    bad[0, :, 1] += 3.0
    sticky = np.cumsum(rng.normal(size=(4, 500)), axis=1)

    def note(values: np.ndarray, **more: Any) -> str:
        ds = xr.Dataset({"estimate": (("chain", "draw", "row"), values)}, attrs={"scale": "probability"})
        return str(bm.table(ds, **more).attrs["note"])

    assert "r-hat" not in note(good) + note(bad, diagnostics=True)
    mean = diagnostics(bad.transpose(2, 0, 1), "median")
    ess = np.fmin(mean["ess_bulk"], mean["ess_tail"]).min()
    assert f"r-hat is above 1.01 in 1 of 3 entries ({mean['r_hat'].max():.3f} at most): the chains" in note(bad)
    assert f"The effective sample size is below 400 in 1 of 3 entries ({ess:.0f} at least): take" in note(bad)
    assert note(bad).endswith("bm.summary(ds, diagnostics=True) shows which.")
    assert "in 1 of 1 entries" in note(sticky[..., None])
    draws = {"a": bad, "b": good}
    both = {n: xr.Dataset({"estimate": (("chain", "draw", "row"), v)}, attrs={"scale": "x"}) for n, v in draws.items()}
    assert "Of a, chains have not mixed or draws are too few" in bm.table(both).attrs["note"]


def test_great_tables_is_given_the_cells_where_it_is_there(post: bm.Posterior, monkeypatch: pytest.MonkeyPatch) -> None:
    table = bm.table(bm.avg_predictions(post, by="trt"))
    monkeypatch.setitem(sys.modules, "great_tables", None)
    with pytest.raises(bm.ResultError, match=r"pip install 'bayesmargins\[tables\]'"):
        table.to_great_tables()

    class GT:
        def __init__(self, data: pd.DataFrame) -> None:
            self.data = data

        def tab_header(self, title: str) -> GT:
            self.title = title
            return self

        def tab_source_note(self, note: str) -> tuple[pd.DataFrame, str, str]:
            return self.data, self.title, note

    stub = types.ModuleType("great_tables")
    stub.GT = GT  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "great_tables", stub)
    data, title, note = table.to_great_tables()
    assert data.columns.tolist() == ["trt", "median [89% ETI]"]
    assert data["trt"].tolist() == ["placebo", "drug", "drug+"]
    assert (title, note) == (table.attrs["caption"], table.attrs["note"])


def test_accessor_makes_the_same_table(post: bm.Posterior) -> None:
    ds = bm.avg_comparisons(post, "trt")
    made = ds.margins.table(ci_prob=0.5, null=0, digits=2)
    pd.testing.assert_frame_equal(made, bm.table(ds, ci_prob=0.5, null=0, digits=2))
    assert ds.margins.summary(ci_prob=[0.5, 0.9]).shape == (2, 5)
    assert ds.margins.summary(diagnostics=True).shape == (2, 8)


def test_empty_cells_do_not_break_a_row() -> None:
    assert writing.markdown(["", "b"], [["", "1"]], 1, "n", "c").splitlines()[4] == "|  | 1 |"


# ---- labels of contrasts


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (5.123456789012, 2.345678901234, ("5.123", "2.346")),
        (1234.5, 200.25, ("1234.5", "200.25")),
        (0.1, 3, ("0.1", "3")),
        (1234.56789, 1234.51234, ("1234.57", "1234.51")),
        (1 / 3, 1 / 3 + 1e-9, ("0.333333333333", "0.333333334333")),
        (1 / 3, 1 / 3 + 1e-15, ("0.33333333333333331", "0.33333333333333431")),
        (20000101.0, 20010101.0, ("20000101", "20010101")),
        (1234567.89, 1e-7 / 3, ("1234568", "3.333e-08")),
        (True, False, ("True", "False")),
        ("a", "b", ("a", "b")),
    ],
)
def test_labels_of_computed_values_are_short_and_tell_the_sides_apart(low: Any, high: Any, labels: tuple[str]) -> None:
    from bayesmargins.values import value_label

    assert (value_label(low, high), value_label(high, low)) == labels


def test_contrast_over_a_standard_deviation_has_a_readable_label(post: bm.Posterior) -> None:
    week = post.design.data["week"]
    ds = bm.avg_comparisons(post, {"week": "sd"})
    low, high = (week.mean() + k * week.std() / 2 for k in (-1, 1))
    assert ds["contrast"].to_numpy().tolist() == [f"{high:.4g} - {low:.4g}"]


def test_a_null_is_held_against_the_entries_that_can_have_it(post: bm.Posterior) -> None:
    odds = bm.attenuation(post, {"trt": ("placebo", "drug")}, comparison="or")
    by_one = bm.summary(odds, null=1)["pd"].droplevel(["term", "contrast", "scale"])
    assert by_one.isna().to_dict() == {k: " - " in k for k in odds["groups"].values.tolist()}
    by_zero = bm.summary(odds, null=0)["p_gt_0"].droplevel(["term", "contrast", "scale"])
    assert np.isnan(by_zero["new / zero"])
    assert by_zero[["new - zero", "existing - zero"]].between(0, 1).all()
    spread = bm.heterogeneity(post, {"trt": ("placebo", "drug")})
    missing = bm.summary(spread, null=0)["pd"].droplevel(["term", "contrast", "scale"]).isna()
    assert missing[missing].index.tolist() == ["sd", "share > 0"]
    assert bm.table(spread, null=0)["P(> 0)"].iloc[1] == "NaN"
    with pytest.raises(bm.ResultError, match="no entry of this result can be held against it; they are shares"):
        bm.summary(spread.sel(statistic=["sd"]), null=0)


def test_the_right_hand_side_of_a_hypothesis_is_subtracted_and_said(post: bm.Posterior) -> None:
    arms = bm.avg_predictions(post, by="trt")
    ratio = bm.hypotheses(arms, "b3 / b2 = 1")
    assert bm.describe(ratio).startswith("b3 / b2 = 1 (the left side minus the right)")
    with pytest.raises(bm.ResultError, match=r"null=1: no entry .* their null is 0"):
        bm.summary(ratio, null=1)
    plain = bm.hypotheses(arms, {"ratio": "b3 / b2"})
    against_one = bm.summary(plain, null=1)["p_gt_1"].item()
    assert bm.summary(ratio, null=0)["p_gt_0"].item() == against_one
    assert "nulls" not in bm.hypotheses(ratio, lambda e: 2 * e, along="contrast").attrs
