"""On identical draws, the numbers of brms + marginaleffects and of exact integration: one test a case and id.

The README beside the data says which software made each number and how it is defined.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
import xarray as xr

import bayesmargins as bm

IDS = [(case, id_) for case in reference.CASES for id_ in reference.expected(case)]

# marginaleffects takes slopes by central differences with a step of 1e-4 of the range.
FINITE_DIFFERENCES = 1e-5
SAME = 1e-8

# The two values between which the reference compares a number ("range").
RANGES = {"week": (0, 6), "Days": (0, 9), "cH10": (-2, 2), "per": (-1.5, 1.5)}


# What the ids "cf" compare, by response.
CONTRASTS = {
    "angle": {"recipe": ("A", "C")},
    "yield": {"ep": 1},
    "incidence": {"period": ("1", "4")},
    "time": {"sex": ("male", "female")},
}


def _policy(id_: str) -> str:
    if id_.startswith("pa_"):
        return "new"
    return "existing" if id_.startswith("eg_") else "own" if id_.endswith("_reNULL") else "zero"


def _levels(post: bm.Posterior, x: str) -> list[Any]:
    column = post.design.columns[x]
    return list(column.levels) if column.kind == "factor" else list(RANGES[x])


def _spec(post: bm.Posterior, x: str) -> dict[str, Any]:
    return {x: None if post.design.columns[x].kind == "factor" else RANGES[x]}


Answer = Callable[[bm.Posterior, re.Match[str], dict[str, Any], dict[str, Any]], xr.Dataset]

ANSWERS: list[tuple[str, Answer]] = [
    (r"(pa|avg)_pred(_obs)?", lambda p, m, e, k: bm.avg_predictions(p, **k)),
    (r"avg_pred_size1_by_(\w+)_wts", lambda p, m, e, k: bm.avg_predictions(p, by=m[1], wts="size", **k)),
    (r"avg_pred_link_by_(\w+)", lambda p, m, e, k: bm.avg_predictions(p, by=m[1], **k | {"target": "link"})),
    (r"(?:pa|avg)_pred(?:_size1)?_by_(\w+)", lambda p, m, e, k: bm.avg_predictions(p, by=m[1], **k)),
    (r"(?:pa|eg|avg)_pred_cf_(\w+)", lambda p, m, e, k: bm.avg_predictions(p, at={m[1]: _levels(p, m[1])}, **k)),
    (r"pa_diff_(\w+)", lambda p, m, e, k: bm.avg_comparisons(p, _spec(p, m[1]), **k)),
    (r"pa_(ratio|lnor)_(\w+)", lambda p, m, e, k: bm.avg_comparisons(p, _spec(p, m[2]), comparison=m[1], **k)),
    (r"pa_slope_(\w+)", lambda p, m, e, k: bm.avg_slopes(p, m[1], **k)),
    (r"avg_slope_(eyex)_(\w+)", lambda p, m, e, k: bm.avg_slopes(p, m[2], slope=m[1], **k)),
    (r"avg_slope_(\w+)_by_(\w+)", lambda p, m, e, k: bm.avg_slopes(p, m[1], by=m[2], **k)),
    (r"slope_by_(\w+)", lambda p, m, e, k: bm.avg_slopes(p, "Days", by=m[1], **k)),
    (r"avg_slope_(\w+)", lambda p, m, e, k: bm.avg_slopes(p, m[1], **k)),
    (r"avg_comp_cross", lambda p, m, e, k: _crossed(p, e, k)),
    (
        r"avg_comp_size1_(\w+?)(_lnor)?",
        lambda p, m, e, k: bm.avg_comparisons(p, m[1], comparison="lnor" if m[2] else "difference", **k),
    ),
    (r"avg_comp_(\w+)_lnor_exp", lambda p, m, e, k: bm.avg_comparisons(p, m[1], comparison="or", **k)),
    (
        r"avg_comp_(\w+)_(difference|ratio|lnratio|lnor)",
        lambda p, m, e, k: bm.avg_comparisons(p, m[1], comparison=m[2], **k),
    ),
    (r"avg_comp_(\w+)_(pairwise|sequential)", lambda p, m, e, k: bm.avg_comparisons(p, {m[1]: m[2]}, **k)),
    (r"avg_comp_(\w+)_plus1", lambda p, m, e, k: bm.avg_comparisons(p, m[1], **k)),
    (r"avg_comp_(\w+)_(sd|iqr)", lambda p, m, e, k: bm.avg_comparisons(p, {m[1]: m[2]}, **k)),
    # This id of f_grouse says "by", but its names and numbers are those of the average over all rows.
    (r"avg_comp_(YEAR)_by_cH10", lambda p, m, e, k: bm.avg_comparisons(p, m[1], **k)),
    (r"avg_comp_(\w+)_by_(\w+)", lambda p, m, e, k: bm.avg_comparisons(p, m[1], by=m[2], **k)),
    (r"hyp_pred_by_(\w+?)_(reference|pairwise|ratio_ref|string)", lambda p, m, e, k: _hypotheses(p, m[1], m[2], k)),
    (r"pa_marginalcoef", lambda p, m, e, k: bm.marginal_coefficients(p)),
    (r"avg_(own|zero|new)", lambda p, m, e, k: bm.avg_predictions(p, groups=m[1])),
    (r"rows_own", lambda p, m, e, k: bm.predictions(p, groups="own").isel(row=[row for row, _ in e["names"]])),
    (r"cf_(zero|new)", lambda p, m, e, k: bm.avg_comparisons(p, CONTRASTS[p.response_name], groups=m[1])),
    (r"log_lik", lambda p, m, e, k: p.log_likelihood().rename({p.response_name: "estimate"}).isel(obs=e["names"])),
    (r"pred_grid", lambda p, m, e, k: bm.predictions(p, _grid(p, e), **k)),
]
# Ranges are named like factors' comparisons, so they are looked for first.
ANSWERS = [
    (r"avg_comp_(\w+)_range(?:_(ratio))?", lambda p, m, e, k: bm.avg_comparisons(
        p, {m[1]: RANGES[m[1]]}, comparison=m[2] or "difference", **k)),
    *ANSWERS,
]  # fmt: skip


def _crossed(post: bm.Posterior, entry: dict[str, Any], options: dict[str, Any]) -> xr.Dataset:
    names = [k.removeprefix("contrast_") for k in entry["names"][0] if k.startswith("contrast_")]
    factor, number = sorted(names, key=lambda n: post.design.columns[n].kind)
    return bm.avg_comparisons(post, {factor: None, number: 1}, cross=True, **options)


def _hypotheses(post: bm.Posterior, x: str, asked: str, options: dict[str, Any]) -> xr.Dataset:
    ds = bm.avg_predictions(post, by=x, **options)
    if asked == "ratio_ref":
        return bm.hypotheses(ds, "reference", comparison="ratio")
    return bm.hypotheses(ds, "b2 - b1 = 0" if asked == "string" else asked)


def _grid(post: bm.Posterior, entry: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(entry["names"])


def _answer(post: bm.Posterior, id_: str, entry: dict[str, Any]) -> xr.Dataset:
    counts = post.design.response.trials is not None and "size1" not in id_ and not id_.startswith(("pa_", "eg_"))
    options = {"groups": _policy(id_), "target": "count" if counts else "mean"}
    for pattern, answer in ANSWERS:
        match = re.fullmatch(pattern, re.sub(r"_re(NULL|NA)$", "", id_))
        if match:
            return answer(post, match, entry, options)
    raise AssertionError(f"no question is written for {id_}")


# Slopes by subject at b = 0 are among the reference numbers, and the package asks whether they are meant.
@pytest.mark.filterwarnings("ignore:by=.*uses the b of none:bayesmargins.BayesmarginsWarning")
@pytest.mark.parametrize(("case", "id_"), IDS)
def test_same_draws_give_the_numbers_of_other_software(case: str, id_: str) -> None:
    entry = reference.expected(case)[id_]
    found = _answer(reference.posterior(case), id_, entry)["estimate"].transpose("chain", "draw", ...)
    found = _in_order(found, entry["names"]) if re.match(r"avg_comp_(\w+_pairwise|\w+_by_)", id_) else found
    values = found.to_numpy().reshape(found.sizes["chain"] * found.sizes["draw"], -1).T[:, entry["draw"]]
    tolerance = FINITE_DIFFERENCES if "slope" in id_ and not id_.startswith("pa_") else SAME
    expected = np.asarray(entry["value"], dtype=float)
    assert values.shape == expected.shape
    np.testing.assert_allclose(values, expected, rtol=tolerance, atol=tolerance)


def _in_order(found: xr.DataArray, names: list[dict[str, Any]]) -> xr.DataArray:
    """Entries as the reference lists them."""
    dims = [d for d in found.dims if d not in ("chain", "draw")]
    entries = [found.sel({d: n[d] for d in dims}) for n in names]
    return xr.concat([e.drop_vars([*dims, "term"], errors="ignore") for e in entries], "entry").transpose(..., "entry")
