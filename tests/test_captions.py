"""The clause of `describe(ds, short=True)`, which stands above tables: part by part, for everything a question can say.

A grammar of its own takes each clause apart, and every part is held against the arguments of the question.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from test_sentences import MODELS, Case, cases, data, posterior

import bayesmargins as bm

pytestmark = pytest.mark.filterwarnings(
    "ignore:by=.*uses the b of none:bayesmargins.BayesmarginsWarning",  # asked on purpose
    "ignore:.* of what is 0, or positive:bayesmargins.BayesmarginsWarning",
)

RISK = {
    "difference": "risk difference for {}", "ratio": "risk ratio for {}", "lnratio": "log risk ratio for {}",
    "or": "odds ratio for {}", "lnor": "log odds ratio for {}",
}  # fmt: skip
MEAN = {"difference": "mean difference in {}", "ratio": "ratio of means of {}"}
COMPARED = {
    "difference": "difference in the {}", "ratio": "ratio of the {}", "lift": "relative change in the {}",
    "lnratio": "log ratio of the {}", "or": "odds ratio of the {}", "lnor": "log odds ratio of the {}",
}  # fmt: skip
SLOPES = {
    "dydx": "slope of the {} with respect to {}", "eyex": "elasticity of the {} with respect to {}",
    "eydx": "relative slope of the {} with respect to {}", "dyex": "slope of the {} per relative change in {}",
}  # fmt: skip
GROUPS = {
    "new": "averaged over new groups of", "existing": "averaged over the fitted groups of",
    "own": "with each row's own", "zero": "at b = 0 for", "sample": "in drawn groups of",
}  # fmt: skip


def together(items: list[str]) -> str:
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else items[0]


def noun_of(case: Case) -> str:
    mean, link = MODELS[case.model][3], MODELS[case.model][2]
    response = mean.split()[-1]
    return {
        "mean": mean,
        "count": f"expected number of {response}",
        "link": f"linear predictor ({link} scale) of {response}",
    }[case.target]


def what_expected(case: Case, ds: Any) -> str:
    noun = noun_of(case)
    if case.kind == "predictions":
        return noun
    if case.kind == "comparisons":
        mean, _, response = noun.partition(" of ")
        field = {"probability": RISK, "expected value": MEAN}.get(mean, {}) if case.target == "mean" else {}
        how = case.how.get("comparison", "difference")
        return field[how].format(response) if how in field else COMPARED[how].format(noun)
    variables, second = case.how["variables"], case.how.get("second")
    names = together([variables] if isinstance(variables, str) else variables)
    if second == "f":
        return f"difference in the slope of the {noun} with respect to {names} between levels of f"
    if second:
        then = "" if names == second else f" and then {second}"
        return f"second derivative of the {noun} with respect to {names}{then}"
    return SLOPES[case.how.get("slope", "dydx")].format(noun, names)


def contrasts_expected(case: Case, ds: Any) -> list[str]:
    """Labels without the word of the comparison, of up to three."""
    if case.kind == "predictions" or (case.kind == "slopes" and case.how.get("second") != "f"):
        return []
    how = ds.attrs.get("comparison")
    labels = [str(x) if how else x.split(": ", 1)[1] for x in ds["contrast"].values]
    if how not in ("difference", "ratio", None):  # (b - a) / a, ln(b / a), odds(b) / odds(a): what is done is said
        labels = [json.loads(ds.attrs["versus"])[x] for x in labels]
    labels = [re.sub(r"^ratio\((.*)\)$", r"\1", x) for x in labels]
    labels = list(dict.fromkeys(labels))
    terms = list(dict.fromkeys(ds["term"].values))
    return [together(labels) if len(labels) <= 3 else f"{len(labels)} contrasts of {together(terms)}"]


def parts_expected(case: Case, ds: Any) -> list[str]:
    rows = not (case.averaged or case.by) and case.rows != "one row"
    cells = {**{c: len(v) for c, v in case.at.items()}, **{c: ds[c].size for c in case.by}}
    columns = [c for c, n in cells.items() if n > 1]
    one = [f"{c} = {case.at[c][0] if c in case.at else ds[c].item()}" for c, n in cells.items() if n == 1]
    return [
        *(["row by row"] if rows else []),
        *([f"by {together(columns)}"] if columns else []),
        *([f"at {together(one)}"] if one else []),
        *({"column": ["weighted by w"], "array": ["weighted by the given weights"]}.get(case.wts, [])),
        *groups_expected(case),
        *(["under the prior"] if case.draws == "prior" else []),
    ]


def groups_expected(case: Case) -> list[str]:
    words = [p for p in case.policies.values() if isinstance(p, str)]
    said = [
        f"{GROUPS[word]} {' and '.join(f for f, p in case.policies.items() if p == word)}"
        for word in dict.fromkeys(words)
    ]
    return said + [f"in {together(p)} of {f}" for f, p in case.policies.items() if isinstance(p, list)]


@pytest.mark.parametrize("kind", ["predictions", "comparisons", "slopes"])
def test_a_clause_says_what_was_asked_and_nothing_else(kind: str) -> None:
    for case in cases(kind)[::3]:
        ds = case.ask()
        clause = bm.describe(ds, short=True)
        assert clause == ", ".join([what_expected(case, ds), *contrasts_expected(case, ds), *parts_expected(case, ds)])
        assert not re.search(r"  |,,|\(\)|None|nan| ,|;|\[|\]|\.$", clause)


def one() -> bm.Posterior:
    return posterior("one factor", "posterior")


def _effect(post: bm.Posterior, **more: Any) -> Any:
    return bm.avg_comparisons(post, "x", **more)


OTHERS: dict[str, Callable[[], Any]] = {
    "number needed to treat for y, x +1": lambda: _effect(one(), comparison="nnt_benefit"),
    "number needed to treat by the probability that k exceeds 2, x +1": lambda: _effect(
        posterior("no groups", "posterior"), comparison="nnt", target=bm.exceeds(2)
    ),
    "f(high, low) of the probability of y, x +1": lambda: _effect(one(), comparison=lambda high, low: high - low),
    "difference in the probability that k exceeds 2, x +1": lambda: _effect(
        posterior("no groups", "posterior"), target=bm.exceeds(2)
    ),
    "0.9 quantile of k, over new groups of g and h": lambda: bm.avg_predictions(
        posterior("log", "posterior"), target=bm.quantile(0.9)
    ),
    "standard deviation of k, over the fitted groups of g and h": lambda: bm.avg_predictions(
        posterior("log", "posterior"), target=bm.sd(), groups="existing"
    ),
    "risk difference for y, 4 contrasts of f and x": lambda: bm.avg_comparisons(one(), {"f": "pairwise", "x": 1}),
    "slope of, or difference in, the probability of y for e, f and x": lambda: bm.avg_slopes(one()),
    "difference in the probability of y, b - a, c - a and c - b": lambda: bm.hypotheses(
        bm.avg_predictions(one(), by="f")
    ),
    "function of the probability of y": lambda: bm.hypotheses(bm.avg_predictions(one(), by="f"), lambda e: e.max("f")),
    "difference in the risk difference for y, (c - a) - (b - a)": lambda: bm.hypotheses(bm.avg_comparisons(one(), "f")),
    "difference in the risk difference for y, new - zero": lambda: bm.hypotheses(
        {"new": _effect(one()), "zero": _effect(one(), groups="zero")}, "new - zero"
    ),
    "risk difference for y, x +1, at b = 0, and over own, fitted and new groups of g": lambda: bm.attenuation(
        one(), "x"
    ),
    "risk difference for y, x +1, new / zero over groups of g": lambda: bm.attenuation(one(), "x").sel(
        groups="new / zero"
    ),
    "risk difference for y within a group, x +1, its distribution over new groups of g": lambda: bm.heterogeneity(
        one(), "x", random_seed=1
    ),
    "risk difference for y within a group, sd, x +1, its distribution over new groups of g": lambda: bm.heterogeneity(
        one(), "x", random_seed=1
    ).sel(statistic="sd"),
    "marginal coefficient (probit scale) for y": lambda: bm.marginal_coefficients(one()),
    "share of variance of y, over new groups of g": lambda: bm.variance_partition(one()),
    "median odds ratio of k, over new groups of g and h": lambda: bm.variance_partition(
        posterior("logit", "posterior"), measure="median_ratio"
    ),
    "new observations of y, row by row, with each row's own g": lambda: bm.posterior_predictive(one(), random_seed=1),
    "probability of y, at f = b": lambda: bm.avg_predictions(one(), by="f").sel(f="b"),
    "risk difference for y, c - a": lambda: bm.avg_comparisons(one(), "f").isel(contrast=1),
    "derived from risk difference for y": lambda: _effect(one()) * 100,
    "several results": lambda: xr.concat([_effect(one()), _effect(one(), groups="zero")], "k"),
}
ALONE = ("derived", "several", "share", "median", "0.9", "standard", "new obs", "risk difference for y within")


@pytest.mark.parametrize("said", OTHERS)
def test_a_clause_of_every_other_kind_of_result(said: str) -> None:
    clause = bm.describe(OTHERS[said](), short=True)
    if "over" in said or said.startswith(ALONE) or " g" in said or "count of k" in said or "k exceeds" in said:
        assert clause == said
    elif "new - zero" in said:
        assert clause.startswith(said)
    else:
        assert clause == f"{said}, averaged over new groups of g"


def test_labels_stand_in_the_clause() -> None:
    frame = bm.label(data(), {"y": "relapse", "f": "arm", "g": "clinic"})
    model = bm.GLMM("y ~ x + f + (1 | g)", frame, "bernoulli")
    rng, levels = np.random.default_rng(1), len(model.design.factors["g"].levels)
    post = bm.from_draws(
        "y ~ x + f + (1 | g)", frame, family="bernoulli",
        beta=rng.normal(size=(1, 3, 4)), b={"g": rng.normal(size=(1, 3, levels, 1))},
        Sigma={"g": np.ones((1, 3, 1, 1))},
    )  # fmt: skip
    said = "risk difference for relapse, x +1, by arm, averaged over new groups of clinic"
    assert bm.describe(bm.avg_comparisons(post, "x", by="f"), short=True) == said


def test_a_file_of_an_earlier_version_is_told_by_its_scale() -> None:
    ds = _effect(one())
    old = ds.assign_attrs({k: v for k, v in ds.attrs.items() if k not in ("noun", "reading")})
    for name in ("noun", "reading"):
        old.attrs.pop(name, None)
    assert bm.describe(old, short=True) == "difference in probability, x +1, averaged over new groups of g"


def test_short_is_a_switch() -> None:
    with pytest.raises(bm.ResultError, match="short=1"):
        bm.describe(_effect(one()), short=1)  # type: ignore[arg-type]


def test_a_caption_is_the_clause() -> None:
    ds = _effect(one())
    clause = bm.describe(ds, short=True)
    assert bm.table(ds).attrs["caption"] == f"{clause[:1].upper()}{clause[1:]}"
    assert ds.margins.describe(short=True) == clause
