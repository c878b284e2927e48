"""The data's way from question to Dataset: which files and functions of the package one call enters, and how often.

Fewer is better: whoever reads the path with a finger follows these calls. Numbers that were reached may not grow.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmargins as bm

PACKAGE = str(Path(bm.__file__).parent)
INLINED = ("<listcomp>", "<dictcomp>", "<setcomp>")  # Python 3.12 calls no functions for them
DRAWS = 8
CELLS, OF_CELLS = (36, 2) if pd.__version__ < "3" else (0, 0)  # calls and functions where text has no type of its own


@dataclass
class Trace:
    """What was called: functions by file, and from which file into which."""

    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    edges: set[tuple[str, str]] = field(default_factory=set)

    @property
    def files(self) -> set[str]:
        return {file for file, _ in self.calls}

    @property
    def functions(self) -> set[tuple[str, str]]:
        return {(file, name) for file, name in self.calls if not name.split(".")[-1].startswith("<")}

    @property
    def both_ways(self) -> set[tuple[str, str]]:
        return {(a, b) for a, b in self.edges if a < b and (b, a) in self.edges}


def file_of(frame: FrameType | None) -> str | None:
    """The file of the package that a frame, or else the nearest that called it, is in."""
    while frame is not None and not frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return None if frame is None else frame.f_code.co_filename.removeprefix(PACKAGE)


def traced(call: Callable[[], Any]) -> Trace:
    """The second call: the first one imports, compiles and fills caches."""
    call()
    trace = Trace()

    def hook(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(PACKAGE) or code.co_name in INLINED:
            return
        here, caller = code.co_filename.removeprefix(PACKAGE), file_of(frame.f_back)
        trace.calls[here, code.co_qualname] += 1
        if caller not in (None, here):
            trace.edges.add((str(caller), here))

    before = sys.getprofile()
    sys.setprofile(hook)
    try:
        call()
    finally:
        sys.setprofile(before)
    return trace


def posterior(family: str, draws: int = DRAWS) -> bm.Posterior:
    """Of 220 rows in 50 groups."""
    data, rng = bm.load_dataset("bacteria"), np.random.default_rng(1)
    data["won"] = (data["y"] == "y").astype(int)
    return bm.from_draws(
        "won ~ trt + week + (1 | ID)",
        data,
        family=family,
        beta=rng.normal(size=(1, draws, 4)) * 0.3,
        b={"ID": rng.normal(size=(1, draws, data["ID"].nunique(), 1))},
        Sigma={"ID": np.full((1, draws, 1, 1), 0.8)},
        aux={"sigma": np.ones((1, draws))} if family == "gaussian" else {},
    )


def test_one_averaged_comparison_takes_at_most_192_calls() -> None:
    post = posterior("bernoulli", draws=400)
    with bm.options(threads=1):
        trace = traced(lambda: bm.avg_comparisons(post, "trt"))
    assert trace.calls.total() <= 192 + CELLS
    assert len(trace.files) <= 18
    assert len(trace.functions) <= 89 + OF_CELLS


@pytest.mark.filterwarnings("ignore:The response 'won' is 0 or 1")
def test_a_closed_form_enters_one_file_of_the_engines() -> None:
    post = posterior("gaussian")
    trace = traced(lambda: bm.avg_comparisons(post, "trt"))
    assert {file for file in trace.files if "integrate" in file} == {"/integrate/engine.py"}


POST = posterior("bernoulli")
NAMED = list(POST.design.factors["ID"].levels[:3])
QUESTIONS: dict[str, Callable[[], Any]] = {
    "new": lambda: bm.avg_comparisons(POST, "trt"),
    "existing": lambda: bm.avg_comparisons(POST, "trt", groups="existing"),
    "own": lambda: bm.avg_comparisons(POST, "trt", groups="own"),
    "sample": lambda: bm.avg_comparisons(POST, "trt", groups="sample", random_seed=1),
    "named": lambda: bm.avg_comparisons(POST, "trt", groups={"ID": NAMED}),
    "odds": lambda: bm.avg_comparisons(POST, "week", comparison="or"),
    "rows": lambda: bm.predictions(POST, groups="own"),
    "at": lambda: bm.avg_predictions(POST, at={"week": [0, 6]}, by="trt"),
    "slopes": lambda: bm.avg_slopes(POST),
    "elasticity": lambda: bm.avg_slopes(POST, "week", slope="eyex"),
    "second": lambda: bm.avg_slopes(POST, "week", second="week"),
    "heterogeneity": lambda: bm.heterogeneity(POST, "trt", points=64),
    "observations": lambda: bm.posterior_predictive(POST, groups="own", random_seed=1),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_two_files_call_each_other(question: str) -> None:
    assert traced(QUESTIONS[question]).both_ways == set()
