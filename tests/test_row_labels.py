"""What pandas labels is paired with rows by its labels, everything else by position; neither is guessed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_margins import random_posterior, simulated, values

import bayesmargins as bm
from bayesmargins.errors import EstimandError, ModelError

LABELS = [7, 3, 12, 5, 1, 9, 0, 2]


def data() -> pd.DataFrame:
    frame = simulated().head(8).copy()
    frame.index = pd.Index(LABELS)
    return frame.assign(w=np.arange(1.0, 9.0))


QUESTIONS: dict[str, Callable[..., Any]] = {
    "predictions": lambda post, **how: bm.avg_predictions(post, **how),
    "by": lambda post, **how: bm.predictions(post, by="f", **how),
    "comparisons": lambda post, **how: bm.avg_comparisons(post, {"x": 1}, **how),
    "slopes": lambda post, **how: bm.avg_slopes(post, "x", **how),
    "coefficients": lambda post, **how: bm.marginal_coefficients(post, **how),
    "attenuation": lambda post, **how: bm.attenuation(post, {"x": 1}, **how),
    "heterogeneity": lambda post, **how: bm.heterogeneity(post, {"x": 1}, **how),
}


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("given", [False, True])
def test_weights_follow_their_labels_with_and_without_newdata(name: str, given: bool) -> None:
    frame = data()
    post = random_posterior("y ~ x + f + (1 | g)", frame, "bernoulli")
    rows = {"newdata": frame} if given else {}
    ask = lambda wts: values(QUESTIONS[name](post, wts=wts, **rows))  # noqa: E731
    expected = ask("w")
    for wts in (frame.w, frame.w.to_numpy(), frame.w.tolist(), frame.w.sample(frac=1, random_state=1)):
        np.testing.assert_array_equal(ask(wts), expected)


def test_weights_follow_rows_that_were_dropped() -> None:
    frame = data().assign(x=lambda d: d.x.where(d.w != 3))
    with pytest.warns(bm.BayesmarginsWarning, match="dropped"):
        design = bm.GLMM("y ~ x + (1 | g)", frame, "bernoulli", missing="drop").design
    post = replace(random_posterior("y ~ x + (1 | g)", frame.dropna(subset="x"), "bernoulli"), design=design)
    kept = frame.dropna(subset="x").w
    expected = values(bm.avg_predictions(post, wts="w"))
    np.testing.assert_array_equal(values(bm.avg_predictions(post, wts=kept.sort_index())), expected)
    with pytest.raises(EstimandError, match=r"no row of the fit is called 12"):
        bm.avg_predictions(post, wts=frame.w)


@pytest.mark.parametrize(
    ("wts", "said"),
    [
        (pd.Series(np.ones(8)), r"it lacks .*12.*, and no row of .* is called 4"),
        (pd.Series(np.ones(7), LABELS[:7]), "it lacks 2"),
        (pd.Series(np.ones(9), [*LABELS, 99]), "is called 99"),
        (pd.Series(np.ones(8), [*LABELS[:7], 7]), "7 more than once"),
        (pd.Series(np.ones(8), list("abcdefgh")), "it lacks"),
    ],
)
def test_weights_of_other_rows_are_refused_by_name(wts: pd.Series, said: str) -> None:
    post = random_posterior("y ~ x + (1 | g)", data(), "bernoulli")
    for rows in ({}, {"newdata": data()}):
        with pytest.raises(EstimandError, match=said):
            bm.avg_predictions(post, wts=wts, **rows)


def test_tables_without_an_index_are_numbered() -> None:
    pl = pytest.importorskip("polars")
    frame = data().reset_index(drop=True)
    post = random_posterior("y ~ x + (1 | g)", frame, "bernoulli")
    expected = values(bm.avg_predictions(post, wts="w"))
    newdata = pl.from_pandas(frame)
    for wts in (frame.w.sample(frac=1, random_state=2), newdata["w"]):
        np.testing.assert_array_equal(values(bm.avg_predictions(post, newdata, wts=wts)), expected)


def test_matrices_of_pandas_are_paired_by_label() -> None:
    rng = np.random.default_rng(0)
    index = pd.Index(LABELS)
    X = pd.DataFrame({"one": np.ones(8), "x": rng.normal(size=8)}, index)
    y, g = pd.Series(rng.normal(size=8), index, name="out"), pd.Series(list("aabbaabb"), index)
    shuffled = lambda values: values.sample(frac=1, random_state=4)  # noqa: E731
    one = bm.GLMM.from_arrays(y, X, {"g": g}, {"g": X}, offset=y * 0.1)
    two = bm.GLMM.from_arrays(y, shuffled(X), {"g": shuffled(g)}, {"g": shuffled(X)}, offset=shuffled(y * 0.1))
    pd.testing.assert_frame_equal(one.design.data, two.design.data)
    with pytest.raises(ModelError, match=r"groups\['g'\] is a Series with an index.*it lacks"):
        bm.GLMM.from_arrays(y, X, {"g": g.reset_index(drop=True)})
