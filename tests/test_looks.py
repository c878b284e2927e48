"""Responses that another family is made for: one warning names it, and responses that only resemble them get none."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import bayesmargins as bm
from bayesmargins.family import checking as told

Made = Callable[[np.random.Generator, int], np.ndarray]

SPEAKING: dict[str, tuple[str, Made]] = {
    "rating": (
        "whole numbers from 1 to 5 and no others.*'cumulative'",
        lambda r, n: r.permutation(np.resize([1, 2, 3, 4, 5], n)),
    ),
    "count": ("whole numbers from 0.*'negbinomial' or 'poisson'", lambda r, n: r.poisson(1.0, n)),
    "share": ("between 0 and 1 in every row.*'beta'", lambda r, n: np.append(r.uniform(0.1, 0.9, n - 2), [0.1, 0.9])),
    "time": ("long upper tail.*'lognormal' or 'gamma'", lambda r, n: np.exp(np.linspace(-5.0, 5.0, n))),
}
SILENT: dict[str, Made] = {
    "normal": lambda r, n: r.normal(size=n),
    "years": lambda r, n: r.integers(2000, 2011, n),
    "large counts": lambda r, n: 80 + r.permutation(n),
    "reaction times in seconds": lambda r, n: np.linspace(0.31, 0.69, n),
    "whole numbers with one left out": lambda r, n: np.resize([1, 2, 4, 5], n),
    "0 and 2": lambda r, n: np.resize([0, 2], n),
    "a tail that logarithms do not take away": lambda r, n: np.where(np.arange(n) < 2, 50.0, np.linspace(1.0, 1.1, n)),
    "one value": lambda r, n: np.full(n, 3.0),
}


@pytest.fixture(autouse=True)
def nothing_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "_TOLD", set())


def said(y: np.ndarray, family: str = "gaussian") -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bm.GLMM("y ~ x", pd.DataFrame({"y": y, "x": np.linspace(0, 1, len(y))}), family=family)
    return [str(w.message) for w in caught]


@pytest.mark.parametrize("kind", SPEAKING)
def test_a_response_that_another_family_is_made_for_is_told_of_once(kind: str) -> None:
    words, made = SPEAKING[kind]
    y = made(np.random.default_rng(2), 60)
    with pytest.warns(bm.BayesmarginsWarning, match=f"The response 'y' .*{words}"):
        bm.GLMM("y ~ x", pd.DataFrame({"y": y, "x": np.linspace(0, 1, 60)}))
    assert said(y) == []


@pytest.mark.parametrize("kind", SPEAKING)
def test_few_rows_say_too_little(kind: str) -> None:
    assert said(SPEAKING[kind][1](np.random.default_rng(2), 29)) == []


@pytest.mark.parametrize("kind", SILENT)
def test_other_responses_are_left_alone(kind: str) -> None:
    assert said(SILENT[kind](np.random.default_rng(2), 60).astype(float)) == []


def test_the_family_that_is_named_takes_the_response_in_silence() -> None:
    for kind, family in (("rating", "cumulative"), ("count", "poisson"), ("share", "beta"), ("time", "lognormal")):
        assert said(SPEAKING[kind][1](np.random.default_rng(2), 60), family) == []


def test_reaction_times_of_the_sleep_study_are_left_alone() -> None:
    assert said(bm.load_dataset("sleepstudy")["Reaction"].to_numpy()) == []


@pytest.mark.parametrize("family", ["bernoulli", "gaussian", "poisson"])
def test_ordered_categories_under_another_family_hear_of_cumulative(family: str) -> None:
    levels = ["none", "mild", "bad"]
    data = pd.DataFrame({"y": pd.Categorical(np.resize(levels, 9), levels, ordered=True)})
    with pytest.raises(
        bm.DataError, match="Categories that have an order are modelled as they are by family='cumulative'"
    ):
        bm.GLMM("y ~ 1", data, family=family)
    assert bm.GLMM("y ~ 1", data, family="cumulative").design.response.categories == tuple(levels)
