"""Averages over fitted groups with random slopes, one group after the other: many rows against the exact engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_margins import random_posterior, simulated, values
from test_predictor import REGROUPED, engine, frame, scaled

import bayesmargins as bm
from bayesmargins.evaluate import sources

LINKS = ["logit", "probit", "cloglog"]
SAME = {"rtol": 1e-11, "atol": 1e-11}
SAME_SLOPE = {"rtol": 1e-8, "atol": 1e-9}
OVER_G = {"g": "existing", "h": "new"}


def questions(post: bm.Posterior, n: int, policy: Any) -> dict[str, Callable[[], Any]]:
    data = frame(n)
    how = {"newdata": data, "groups": policy}
    return {
        "rows": lambda: bm.predictions(post, **how),
        "cells": lambda: bm.avg_predictions(post, by=["f", "flag"], wts="w", **how),
        "odds": lambda: bm.avg_comparisons(post, {"treated": (0, 1)}, comparison="or", **how),
        "moved": lambda: bm.avg_comparisons(post, {"x": 0.5}, comparison="ratio", by="f", **how),
        "slopes": lambda: bm.avg_slopes(post, "x", by="treated", **how),
        "other slopes": lambda: bm.avg_slopes(post, "e", **how),
        "slopes at one x": lambda: bm.avg_slopes(post, "x", newdata=data.assign(x=0.3), groups=policy),
    }


MODELS: list[tuple[str, Any]] = [
    ("y ~ x + f + treated + e + (1 + x | g)", "existing"),
    ("y ~ x + treated + e + (0 + x | g) + (1 | h)", OVER_G),
    ("y ~ x + treated + e + (x || g) + (1 | h)", "existing"),
    ("y ~ x + treated + e + (1 + x:w | g) + (1 | h)", {"g": "existing", "h": "own"}),
    ("y ~ x + treated + e + (1 + x + e | g)", "existing"),  # z moves in two directions
    ("y ~ x + treated + e + (1 + x | g) + (1 + e | h)", OVER_G),  # and s differs between rows
    ("y ~ x + treated + e + (1 | g) + (1 + e | h)", OVER_G),
]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize(("formula", "policy"), MODELS, ids=lambda v: str(v)[:40])
def test_many_rows_equal_the_exact_engine_within_their_bounds(formula: str, policy: Any, link: str) -> None:
    post = random_posterior(formula, simulated(), "bernoulli", link)
    for name, question in questions(post, 110, policy).items():
        with engine(False):
            exact = question()
        with engine(True):
            fast = question()
        assert "table" in fast.attrs["integration_method"] or link == "probit"
        one, two = values(exact), values(fast)
        np.testing.assert_allclose(two, one, **(SAME_SLOPE if "slopes" in name else SAME), err_msg=name)
        if name in ("rows", "cells", "slopes"):
            assert np.abs(two - one).max() <= exact.attrs["error_bound"] + fast.attrs["error_bound"] + 1e-13
        assert fast.attrs["error_bound"] < (1e-4 if "slopes" in name else 1e-9)


RARE = [("logit", -22.0), ("logit", 22.0), ("cloglog", -22.0), ("probit", -4.0), ("probit", 4.0)]


@pytest.mark.parametrize("policy", ["existing", OVER_G])
@pytest.mark.parametrize(("link", "eta"), RARE)
def test_odds_of_rare_events_keep_their_relative_accuracy(link: str, eta: float, policy: Any) -> None:
    post = scaled("y ~ x + treated + (1 + x | g) + (1 | h)", link, [0.5, 0.8, 1.0], intercept=eta)
    for comparison in ("ratio", "lnor"):
        question = lambda how=comparison: bm.avg_comparisons(  # noqa: E731
            post, {"treated": (0, 1)}, newdata=frame(150), groups=policy, comparison=how
        )
        with engine(False):
            exact = values(question())
        with engine(True):
            np.testing.assert_allclose(values(question()), exact, rtol=1e-8, atol=1e-9)


def test_chunks_threads_and_repetition_change_no_number() -> None:
    post = random_posterior("y ~ x + f + treated + e + (1 + x | g) + (1 | h)", simulated(), "bernoulli", "logit")
    for question in questions(post, 200, {"g": "existing", "h": "zero"}).values():
        found = []
        for threads in (1, 2, 2):
            with engine(True), bm.options(threads=threads):
                found.append(values(question()))
        np.testing.assert_array_equal(found[1], found[0])
        np.testing.assert_array_equal(found[2], found[1])
        with engine(True, chunk=80):
            np.testing.assert_allclose(values(question()), found[0], **REGROUPED)


@pytest.mark.parametrize("link", LINKS)
def test_draws_that_no_table_covers_stand_beside_ordinary_ones(link: str) -> None:
    """The largest of these have effects far beyond the cells, or an s that no table holds; 0 has no slopes at all."""
    post = scaled("y ~ x + treated + (1 + x | g) + (1 | h)", link, [1.0, 0.0, 5.0, 200.0, 1e-9, 16.0, 0.7])
    for policy in ("existing", OVER_G):
        for question in (
            lambda p=policy: bm.predictions(post, frame(70), groups=p),
            lambda p=policy: bm.avg_slopes(post, "x", newdata=frame(70), groups=p),
        ):
            with engine(False):
                exact = values(question())
            with engine(True):
                found = values(question())
            np.testing.assert_allclose(found, exact, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("least", [1, 2**62])
def test_few_values_are_averaged_alike_piece_by_piece_and_one_by_one(least: int, monkeypatch: Any) -> None:
    post = random_posterior("y ~ x + (1 + x | g)", simulated(), "bernoulli")
    data = frame(120).assign(x=np.arange(120) % 3 * 10.0)
    monkeypatch.setattr(sources, "_CURVE", least)
    found = []
    for tables in (True, False):
        with engine(tables):
            found.append(values(bm.predictions(post, data, groups="existing")))
    np.testing.assert_allclose(*found, **SAME)


@pytest.mark.parametrize(("family", "link"), [("poisson", "log"), ("poisson", "sqrt"), ("gaussian", "identity")])
def test_links_with_a_closed_form_average_over_groups_too(family: str, link: str) -> None:
    y = {"poisson": "k", "gaussian": "e"}[family]
    post = random_posterior(f"{y} ~ x + treated + (1 + x | g) + (1 | h)", simulated(), family, link)
    for question in (
        lambda: bm.avg_predictions(post, newdata=frame(110), by="f", groups=OVER_G),
        lambda: bm.avg_slopes(post, "x", newdata=frame(110), groups=OVER_G),
    ):
        found = []
        for tables in (True, False):
            with engine(tables):
                found.append(values(question()))
        np.testing.assert_allclose(*found, rtol=1e-11, atol=1e-11)


def test_the_average_is_the_sum_over_groups_written_out() -> None:
    post, data = random_posterior("y ~ x + treated + (1 + x | g)", simulated(), "bernoulli", "logit"), frame(60)
    with engine(True):
        found = values(bm.predictions(post, data, groups="existing")).reshape(-1, 60)
    X = np.column_stack([np.ones(60), data.x, data.treated])
    for s, b in enumerate(post.draws.b["g"]):
        each = (X @ post.draws.beta[s])[:, None] + b[:, 0] + data.x.to_numpy()[:, None] * b[:, 1]
        np.testing.assert_allclose(found[s], (1.0 / (1.0 + np.exp(-each))).mean(axis=1), rtol=0, atol=1e-11)
