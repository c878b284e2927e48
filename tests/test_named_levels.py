"""Many named groups in one pass: each gives what it gives when it is asked about alone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
import test_parts
import xarray as xr
from test_margins import random_posterior, simulated, values
from test_predictor import SAME, engine

import bayesmargins as bm
from bayesmargins.evaluate import blocks, chunks, evaluate, passes

# The same values, in arrays of another size and shape, where NumPy sums in another order.
REGROUPED = {"rtol": 1e-12, "atol": 1e-14}
G, H = [f"g{k}" for k in range(6)], [f"h{k}" for k in range(4)]
POST = random_posterior("y ~ x + f + (1 + x | g) + (1 | h)", simulated(), "bernoulli", "cloglog")
COUNTS = random_posterior("k ~ x + f + offset(log(e)) + (1 + x | g) + (1 | h)", simulated(), "negbinomial")
ROWS = simulated().sample(12, random_state=1).reset_index(drop=True)
ROWS = pd.concat([ROWS, ROWS.head(3)])  # repeated rows are computed once

Question = Callable[..., xr.Dataset]
QUESTIONS: dict[str, Question] = {
    "rows": lambda post, **kw: bm.predictions(post, ROWS, **kw),
    "average": lambda post, **kw: bm.avg_predictions(post, ROWS, wts="w", **kw),
    "by and at": lambda post, **kw: bm.avg_predictions(post, ROWS, by="f", at={"x": [-1, 0, 2]}, **kw),
    "link": lambda post, **kw: bm.avg_predictions(post, ROWS, target="link", **kw),
    "difference": lambda post, **kw: bm.avg_comparisons(post, newdata=ROWS, **kw),
    "ratio of rows": lambda post, **kw: bm.comparisons(post, ["x", "f"], newdata=ROWS, comparison="ratio", **kw),
    "rare": lambda post, **kw: bm.avg_comparisons(post, {"x": (-400, -399)}, newdata=ROWS, comparison="lnratio", **kw),
    "own": lambda post, **kw: bm.avg_comparisons(
        post, "x", newdata=ROWS, by="f", comparison=lambda high, low: high - low.mean(axis=1, keepdims=True), **kw
    ),
    "slope": lambda post, **kw: bm.slopes(post, newdata=ROWS, **kw),
    "elasticity": lambda post, **kw: bm.avg_slopes(post, "x", newdata=ROWS, slope="eyex", **kw),
    "second": lambda post, **kw: bm.avg_slopes(post, "x", newdata=ROWS, second="x", **kw),
    "second of a factor": lambda post, **kw: bm.slopes(post, "x", newdata=ROWS, second="f", **kw),
    "tail": lambda post, **kw: bm.avg_predictions(post, ROWS, target=bm.exceeds(0), **kw),
    "sd": lambda post, **kw: bm.predictions(post, ROWS, target=bm.sd(), **kw),
}  # fmt: skip
POLICIES: list[dict[str, Any]] = [
    {"g": G[::-1], "h": "new"},
    {"g": "own", "h": [H[2], H[0]]},
    {"g": G[1::2], "h": H[::3]},
    {"g": G[3:4], "h": "zero"},
    {"g": "sample", "h": H[1:]},
]


def named_levels(groups: dict[str, Any]) -> dict[str, list[str]]:
    return {f: levels for f, levels in groups.items() if isinstance(levels, list)}


def one_by_one(question: Question, post: bm.Posterior, groups: dict[str, Any], **kw: Any) -> list[tuple[Any, Any]]:
    """Every combination of named groups as a question of its own: which, and its answer."""
    of = named_levels(groups)
    each = [dict(zip(of, levels, strict=True)) for levels in product(*of.values())]
    return [(one, question(post, groups=groups | {f: [v] for f, v in one.items()}, **kw)) for one in each]


# How levels are named is no matter of the family: of counts, each question under one policy that names both factors.
NAMED = [
    *(pytest.param(POST, groups, id=f"cloglog-{groups}") for groups in POLICIES),
    *(
        pytest.param(COUNTS, groups, marks=[] if groups is POLICIES[2] else pytest.mark.evidence, id=f"counts-{groups}")
        for groups in POLICIES
    ),
]


@pytest.mark.parametrize(("post", "groups"), NAMED)
@pytest.mark.parametrize("name", QUESTIONS)
def test_named_together_is_each_asked_alone(post: bm.Posterior, name: str, groups: dict[str, Any]) -> None:
    found = QUESTIONS[name](post, groups=groups, random_seed=3)
    assert found.sizes.items() >= {f: len(levels) for f, levels in named_levels(groups).items()}.items()
    for levels, alone in one_by_one(QUESTIONS[name], post, groups, random_seed=3):
        some = found.sel({f: [v] for f, v in levels.items()})
        xr.testing.assert_equal(some.coords.to_dataset(), alone.coords.to_dataset())
        np.testing.assert_allclose(values(some), values(alone), **REGROUPED)


@pytest.mark.parametrize("name", ["rows", "average", "by and at", "difference", "slope"])
@pytest.mark.parametrize("groups", POLICIES, ids=str)
def test_through_tables_too(name: str, groups: dict[str, Any]) -> None:
    with engine(tables=True):
        found = QUESTIONS[name](POST, groups=groups, random_seed=3)
    with engine(tables=False):
        exactly = QUESTIONS[name](POST, groups=groups, random_seed=3)
    np.testing.assert_allclose(values(found), values(exactly), **SAME)


@pytest.mark.parametrize("groups", [{"g": G, "h": "new"}, {"g": [G[4], G[0], G[3]], "h": "new"}], ids=str)
def test_a_difference_through_tables_is_that_of_its_sides(groups: dict[str, Any]) -> None:
    """Also where groups are named in an order in which their b is no piece of the draws."""
    with engine(tables=True):
        both = bm.avg_comparisons(POST, {"f": ("a", "b")}, groups=groups)
        low, high = (values(bm.avg_predictions(POST, at={"f": f}, groups=groups)) for f in "ab")
    with engine(tables=False):
        exactly = bm.avg_comparisons(POST, {"f": ("a", "b")}, groups=groups)
    np.testing.assert_allclose(values(both), high - low, **SAME)
    np.testing.assert_allclose(values(both), values(exactly), **SAME)


@pytest.mark.parametrize(("rows", "effects", "chunk"), [(1, 2**22, 2**16), (30, 1, 2**16), (45, 2**22, 7)])
@pytest.mark.parametrize("name", ["rows", "by and at", "rare", "slope", "tail"])
def test_tiles_change_nothing(name: str, rows: int, effects: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = QUESTIONS[name](POST, groups=POLICIES[2])
    monkeypatch.setattr(chunks, "_TILE_ROWS", rows)
    monkeypatch.setattr(chunks, "_TILE_EFFECTS", effects)
    monkeypatch.setattr(blocks, "_CHUNK_ROWS", chunk)
    np.testing.assert_allclose(values(QUESTIONS[name](POST, groups=POLICIES[2])), values(whole), **REGROUPED)


def test_order_of_names_is_order_of_results() -> None:
    groups = {"g": [G[4], G[1], G[2]], "h": "new"}
    found = bm.avg_predictions(POST, groups=groups)
    assert found["g"].values.tolist() == groups["g"]
    sorted_too = bm.avg_predictions(POST, groups=groups | {"g": sorted(groups["g"])})
    np.testing.assert_allclose(values(found.sortby("g")), values(sorted_too), **REGROUPED)


@pytest.mark.parametrize(
    "question",
    [
        lambda post, **kw: bm.predictions(post, target=bm.exceeds(0.2), **kw),
        lambda post, **kw: bm.avg_predictions(post, target="sigma", **kw),
        lambda post, **kw: bm.avg_comparisons(post, "x", target=bm.quantile(0.9), **kw),
    ],
)
def test_parameters_with_groups_of_their_own(question: Question) -> None:
    """The mean knows g alone, sigma g and h."""
    sigma = {
        "formula": "~ x + (1 | g) + (1 | h)",
        "link": "log",
        "beta": test_parts.draws(2),
        "b": {"g": test_parts.draws(6, 1, seed=2), "h": test_parts.draws(3, 1)},
        "Sigma": {"g": test_parts.covariance(1), "h": test_parts.covariance(1)},
    }
    post = test_parts.gaussian(sigma)
    groups = {"g": ["e", "b"], "h": ["w", "u"]}
    found = question(post, groups=groups, random_seed=3)
    for levels, alone in one_by_one(question, post, groups, random_seed=3):
        np.testing.assert_allclose(values(found.sel({f: [v] for f, v in levels.items()})), values(alone), **REGROUPED)


def test_observations_scatter_around_the_mean_of_their_group() -> None:
    sigma = {"formula": "~ (1 | h)", "link": "log", "beta": test_parts.draws(1) - 9.0,
             "b": {"h": test_parts.draws(3, 1)}, "Sigma": {"h": test_parts.covariance(1)}}  # fmt: skip
    post, groups = test_parts.gaussian(sigma), {"g": list("fad"), "h": ["w", "u"]}
    found = values(bm.posterior_predictive(post, groups=groups, random_seed=1))  # (chain, draw, g, h, row)
    mean = values(bm.predictions(post, groups={"g": groups["g"]}))[:, :, :, None]
    row = post.design.data.head(1)
    sigma_of = values(bm.avg_predictions(post, row, target="sigma", groups={"h": groups["h"]}))
    apart = (found - mean) / sigma_of[:, :, None, :, None]
    # 1,600 standard normal numbers a pair of groups, from one seed: five standard errors of their mean and spread
    np.testing.assert_allclose(apart.mean(axis=(0, 1, 4)), 0.0, atol=0.125)
    np.testing.assert_allclose(apart.std(axis=(0, 1, 4)), 1.0, atol=0.09)


@pytest.mark.parametrize("over", ["g", "h"])
@pytest.mark.parametrize("comparison", ["difference", "ratio"])
def test_heterogeneity_within_named_groups_of_another_factor(over: str, comparison: str) -> None:
    other = {"g": {"h": [H[3], H[1]]}, "h": {"g": [G[5], G[2]]}}[over]

    def question(post: bm.Posterior, groups: dict[str, Any]) -> xr.Dataset:
        how = {"over": over, "comparison": comparison, "newdata": ROWS, "points": 64, "random_seed": 1}
        return bm.heterogeneity(post, "f", groups=groups, **how)

    found = question(POST, other)
    for levels, alone in one_by_one(question, POST, other):
        # quantiles and shares are found to about 1e-9 on a grid
        some = values(found.sel({f: [v] for f, v in levels.items()}))
        np.testing.assert_allclose(some, values(alone), rtol=1e-8, atol=1e-10)


def test_a_thousand_groups_are_designed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = [f"g{k}" for k in range(1000)]
    data = pd.DataFrame({"y": np.tile([0, 1], 500), "x": np.linspace(-1, 1, 1000), "g": levels})
    post = random_posterior("y ~ x + (1 | g)", data, "bernoulli")
    asked, plan = [], blocks.plan_groups
    monkeypatch.setattr(blocks, "plan_groups", lambda *given: asked.append(1) or plan(*given))
    found = bm.avg_predictions(post, data.head(3), groups={"g": levels})
    assert len(asked) == 1
    b = post.b["g"].sel(g=levels).to_numpy()[..., 0]
    eta = post.beta.to_numpy()[..., :1] + b
    eta = eta[..., None] + post.beta.to_numpy()[..., 1:, None] * data.x.head(3).to_numpy()
    np.testing.assert_allclose(values(found), (1 / (1 + np.exp(-eta))).mean(axis=-1), rtol=1e-12)


@pytest.mark.parametrize("groups", [{"g": G, "h": "new"}, {"g": G, "h": H}])
def test_progress_counts_every_value(groups: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Kept(evaluate.Progress):
        def __init__(self, total: int) -> None:
            super().__init__(total)
            made.append(self)

    monkeypatch.setattr(evaluate, "Progress", Kept)
    monkeypatch.setattr(passes, "TOLD_VALUES", 1)
    bm.avg_comparisons(POST, {"x": (0, 1)}, newdata=simulated().drop_duplicates(["f"]), groups=groups)
    assert made[0].done == made[0].total
