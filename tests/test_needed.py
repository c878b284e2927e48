"""Results on several scales side by side, and numbers needed to treat: against Altman (1998) and Barrowman (2002)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference

import bayesmargins as bm
from bayesmargins.provenance import make_result, provenance_of


def test_difference_and_ratio_stand_side_by_side_each_on_its_scale(post: bm.Posterior) -> None:
    arms = bm.avg_predictions(post, by="trt")
    between = {c: bm.hypotheses(arms, "reference", comparison=c) for c in ("difference", "ratio")}
    assert bm.table(between).index.tolist() == [("trt", "drug vs placebo"), ("trt", "drug+ vs placebo")]
    for average in (True, False):
        ask = bm.avg_comparisons if average else bm.comparisons
        results = {
            "RD": ask(post, ["trt", "week"]),
            "RR": ask(post, ["trt", "week"], comparison="ratio"),
            "OR": ask(post, ["trt", "week"], comparison="or"),
        }
        table = bm.table(results, null={"RD": 0, "RR": 1})
        assert table.columns.tolist() == [
            "RD (difference in probability)", "RD: P(> 0)", "RR (ratio of probability)", "RR: P(> 1)", "OR (odds ratio)"
        ]  # fmt: skip
        assert table.columns.name == "several scales"
        labels = list(dict.fromkeys(table.index.get_level_values("contrast")))
        assert labels == ["drug vs placebo", "drug+ vs placebo", "week +1"]
        for name, null, column in [("RD", 0, 0), ("RR", 1, 2), ("OR", None, 4)]:
            alone = bm.table(results[name], null=null)
            for k in range(alone.shape[1]):
                assert table.iloc[:, column + k].tolist() == alone.iloc[:, k].tolist()
    note = table.attrs["note"]
    for said in ("RD: Difference in the", "RR: Ratio of the", "OR: Odds ratio of the", "integrated over new groups"):
        assert note.count(said) == 1
    said = "Risk difference, risk ratio and odds ratio for yb, drug vs placebo, drug+ vs placebo and week +1, "
    assert table.attrs["caption"].startswith(said)
    assert table.attrs["caption"].endswith(", averaged over new groups of ID")


def test_one_null_is_not_of_several_scales(post: bm.Posterior) -> None:
    rd, rr = (bm.avg_comparisons(post, "trt", comparison=c) for c in ("difference", "ratio"))
    results = {"RD": rd, "RR": rr}
    for said, asked in [
        (
            r"null=0 for results on several scales \('RD': difference .*null=\{'RD': ..., 'RR': ...\}: 0 for",
            {"null": 0},
        ),
        (r"rope=\(-0.1, 0.1\) for results on several scales", {"rope": (-0.1, 0.1)}),
        (r"null=\{'AR': 0\} names 'AR'; the results are called 'RD', 'RR'", {"null": {"AR": 0}}),
        ("null=0 for a ratio of probability, which is always above 0", {"null": {"RD": 0, "RR": 0}}),
    ]:
        with pytest.raises(bm.ResultError, match=said):
            bm.table(results, **asked)
    ropes = bm.table(results, rope={"RD": (-0.05, 0.05), "RR": (0.9, 1.1)})
    assert "RD: P(in ROPE)" in ropes
    assert "ROPE: 0.9 to 1.1" in ropes.attrs["note"]
    assert bm.table({"a": rd, "b": rd}, null=0).columns.tolist() == ["a", "a: P(> 0)", "b", "b: P(> 0)"]
    other = bm.avg_comparisons(post, {"trt": ["drug", "drug+"]}, comparison="ratio")
    with pytest.raises(bm.ResultError, match="side by side stand results with the same rows"):
        bm.table({"RD": rd, "RR": other})


def told(low: float, point: float, high: float, comparison: str, prob: float = 0.95, **more: Any) -> pd.DataFrame:
    """Draws of a difference whose median and equal-tailed interval are these, told as numbers needed to treat."""
    edge = (1 - prob) / 2
    draws = np.interp(np.linspace(0, 1, 4001), [0, edge, 0.5, 1 - edge, 1], [low, low, point, high, high])
    ds = bm.avg_comparisons(reference.posterior("b_bacteria"), "week", comparison=comparison)
    made = make_result(
        draws[:, None], ["contrast"], {"contrast": ["x"]}, provenance_of(ds), {"chain": [0], "draw": range(4001)}
    )
    return bm.summary(made, ci_prob=prob, **more)


@pytest.mark.parametrize(
    ("difference", "comparison", "point", "interval"),
    [
        # Altman (1998), BMJ 317, 1309: 10 % (-5 % to 25 %) is NNTB 10 (NNTB 4 to infinity to NNTH 20).
        ((-0.05, 0.10, 0.25), "nnt_benefit", "NNTB 10", "NNTB 4.0 to ∞ to NNTH 20"),
        ((-0.25, -0.10, 0.05), "nnt_harm", "NNTB 10", "NNTB 4.0 to ∞ to NNTH 20"),
        ((-0.05, 0.10, 0.25), "nnt_harm", "NNTH 10", "NNTH 4.0 to ∞ to NNTB 20"),
        ((-0.05, 0.10, 0.25), "nnt", "one more in 10", "one more in 4.0 to ∞ to one fewer in 20"),
        # Barrowman (2002), CMAJ 166, 1676: 16.6 % (0.9 % to 32.2 %) is 6 (3.1 to 111.1).
        ((0.009, 0.166, 0.322), "nnt_benefit", "NNTB 6.0", "3.1 to 111"),
        ((-0.322, -0.166, -0.009), "nnt_benefit", "NNTH 6.0", "3.1 to 111"),
        ((0.0, 0.1, 0.25), "nnt_benefit", "NNTB 10", "4.0 to ∞"),
        ((0.0, 0.0, 0.0), "nnt", "∞", "∞"),
    ],
)
def test_number_needed_to_treat_is_that_of_altman(
    difference: tuple[float, float, float], comparison: str, point: str, interval: str
) -> None:
    numbers = told(*difference, comparison)
    np.testing.assert_allclose(numbers[["eti95_lb", "median", "eti95_ub"]].to_numpy()[0], difference, atol=1e-12)
    assert (numbers["nnt"].item(), numbers["nnt_eti95"].item()) == (point, interval)
    table = bm.table(numbers)
    assert table.columns[0] == "NNT [95% ETI]"
    assert table.iloc[0, 0] == f"{point} [{interval}]"
    for text in (table.to_markdown(), str(table), str(numbers)):
        assert text.startswith("Number needed to treat for yb, averaged over new groups of ID\n")
        assert "of the difference, inverted." in " ".join(text.split())


def test_harm_is_the_sign_that_was_not_hoped_for(post: bm.Posterior) -> None:
    plain, benefit, harm = (bm.avg_comparisons(post, "trt", comparison=c) for c in ("nnt", "nnt_benefit", "nnt_harm"))
    rd = bm.avg_comparisons(post, "trt")
    for ds in (plain, benefit, harm):
        np.testing.assert_array_equal(ds["estimate"], rd["estimate"])
        assert ds.attrs["scale"] == "difference in probability"
        assert ds["contrast"].values.tolist() == rd["contrast"].values.tolist()
        said = re.sub(r" \(told as number needed to treat, 1 / difference[^)]*\)", "", bm.describe(ds))
        assert said == bm.describe(rd) != bm.describe(ds)
    more = (rd["estimate"] > 0).mean(("chain", "draw")).to_numpy()
    np.testing.assert_array_equal(bm.summary(harm)["p_harm"], more)
    np.testing.assert_array_equal(bm.summary(benefit)["p_harm"], 1 - more)
    assert "p_harm" not in bm.summary(plain)
    assert bm.table(harm).columns.tolist() == ["NNT [89% ETI]", "P(harm)"]
    assert bm.table(harm, ci_prob=[0.5, 0.9], digits=2).columns.tolist() == ["NNT", "50% ETI", "90% ETI", "P(harm)"]
    beside = bm.table({"RD": rd, "NNT": harm}, null=0)
    assert beside.columns[[0, 2]].tolist() == ["RD (difference in probability)", "NNT (number needed to treat)"]
    # Of changed draws nothing is told as a number needed to treat: they are the differences that they are.
    assert "nnt" not in bm.summary((harm * 100).assign_attrs(harm.attrs))
    assert bm.hypotheses(harm).attrs["scale"] == "difference of difference in probability"


@pytest.mark.parametrize("comparison", ["nnt", "nnt_benefit", "nnt_harm"])
def test_number_needed_to_treat_is_of_events_and_of_averages_only(post: bm.Posterior, comparison: str) -> None:
    times = reference.posterior("d_sleep")
    for said, ask in [
        (
            r"1 / difference in the probability .*bm.exceeds",
            lambda: bm.avg_comparisons(times, "Days", comparison=comparison),
        ),
        ("the target here is 'link'", lambda: bm.avg_comparisons(post, "trt", target="link", comparison=comparison)),
        ("no mean over groups", lambda: bm.heterogeneity(post, "trt", comparison=comparison)),
        ("the policies are held against", lambda: bm.attenuation(post, "trt", comparison=comparison)),
        ("where these are compared", lambda: bm.hypotheses(bm.avg_predictions(post, by="trt"), comparison=comparison)),
    ]:
        with pytest.raises(bm.EstimandError, match=said):
            ask()
    above = bm.avg_comparisons(times, "Days", target=bm.exceeds(300.0), comparison=comparison)
    assert bm.table(above).columns[0] == "NNT [89% ETI]"
