"""Calls that nobody should make are answered with a result or refused in words; `fuzz_calls.py` makes any number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fuzz_calls
import pytest

import bayesmargins as bm
from bayesmargins.evaluate import blocks


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that a call takes for a path is written to no folder of anybody's."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("seed", [101, *(pytest.param(seed, marks=pytest.mark.evidence) for seed in (102, 103))])
def test_wrong_arguments_are_refused_in_words_or_answered(seed: int) -> None:
    outcomes = [fuzz_calls.tried(attempt) for attempt in fuzz_calls.attempts(100, seed, fuzz_calls.CALLS)]
    assert [f"{o.said}: {o.fate}" for o in outcomes if o.bare] == []


@pytest.mark.parametrize("name", fuzz_calls.CALLS)
def test_calls_that_are_made_wrong_here_work_as_they_stand(name: str) -> None:
    if name in ("from_bambi", "load"):
        return  # need a model of Bambi's and a file
    call = fuzz_calls.CALLS[name]
    attempt = fuzz_calls.Attempt(name, call, call.good(_First()), {}, name)
    assert fuzz_calls.tried(attempt).fate == "result"


class _First:
    """Chooses the first of everything."""

    def choice(self, given: list[str]) -> str:
        return given[0]


@pytest.mark.parametrize(
    ("error", "call", "method"),
    [
        (bm.EstimandError, lambda bad: bm.predictions(fuzz_calls.post(), groups=bad), "Word.__eq__"),
        (bm.EstimandError, lambda bad: bm.avg_comparisons(fuzz_calls.post(), [bad]), "Unplaced.__hash__"),
        (bm.EstimandError, lambda bad: bm.avg_slopes(fuzz_calls.post(), at={"week": bad}), "Barred.__getattr__"),
        (
            bm.ModelError,
            lambda bad: bm.GLMM(fuzz_calls.FORMULA, fuzz_calls.data(), "bernoulli", priors={"beta": bad}),
            "Barred.__getattr__",
        ),
        (bm.FitError, lambda bad: fuzz_calls.model().fit(sampler=bad), "Unplaced.__hash__"),
        (bm.EstimandError, lambda bad: bm.summary(fuzz_calls.result(), ci_kind=bad), "Word.__eq__"),
    ],
)
def test_argument_that_raises_when_it_is_looked_at_is_refused_by_its_stage(
    error: type[Exception], call: Callable[[Any], Any], method: str
) -> None:
    bad = {"Word": fuzz_calls.Word("new"), "Unplaced": fuzz_calls.Unplaced("new"), "Barred": fuzz_calls.Barred()}
    with pytest.raises(error, match=f"looked at an argument, and {method} raised RuntimeError") as refused:
        call(bad[method.partition(".")[0]])
    assert isinstance(refused.value.__cause__, RuntimeError)


def test_faults_of_the_package_itself_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "plan_groups", None)
    with pytest.raises(TypeError, match="not callable"):
        bm.predictions(fuzz_calls.post())


def test_calls_write_nothing_where_they_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, wrong in {"Table.to_markdown": {"buf": "{a:>{b}}"}, "Posterior.save": {"path": "{a}.nc"}}.items():
        call = fuzz_calls.CALLS[name]
        made = fuzz_calls.Attempt(name, call, call.good(_First()), wrong, name)
        assert fuzz_calls.tried(made).fate == "result"
    assert list(tmp_path.iterdir()) == []


def test_message_survives_what_cannot_be_shown_and_what_has_no_end() -> None:
    with pytest.raises(bm.ModelError, match="family=<list, whose repr raises RuntimeError> is not known"):
        bm.GLMM("y ~ x", fuzz_calls.data(), family=[fuzz_calls.Hostile()])
    with pytest.raises(bm.DataError, match="characters are left out here") as refused:
        bm.predictions(fuzz_calls.post(), by="week" * 100_000)
    assert len(str(refused.value)) < 5000
