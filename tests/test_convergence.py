"""What is said of chains, in words that fit the numbers."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import bayesmargins as bm
from bayesmargins.convergence import report_convergence

MIXED = {"max_rhat": 1.0, "min_ess": 5000.0}


def said_of(found: dict[str, Any], draws: int = 1000, source: str = "") -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        report_convergence({"worst": "sigma", "least": "sd_g", **found}, 4, draws, source)
    assert len(caught) <= 1
    return str(caught[0].message) if caught else ""


@pytest.mark.parametrize(
    ("divergences", "draws", "said"),
    [
        (1, 1000, r"^One of 4,000 draws diverged\. That few need not mean anything: fit\(target_accept=0.95\) shows"),
        (4, 1000, r"^4 of 4,000 draws diverged\. That few need not mean anything"),
        (5, 1000, r"^5 of 4,000 draws diverged: parts of the posterior may not have been reached"),
        (80, 1000, r"^80 of 4,000 draws diverged: parts of the posterior .* tighter priors\.$"),
        (400, 1000, r"^400 of 4,000 draws diverged, 10%: the sampler does not get through .* may be far off"),
        (1, 50, r"^One of 200 draws diverged: parts of the posterior"),
    ],
)
def test_divergences_are_spoken_of_by_their_share(divergences: int, draws: int, said: str) -> None:
    with pytest.warns(bm.BayesmarginsWarning, match=said):
        report_convergence(MIXED | {"divergences": divergences}, 4, draws)


def test_who_has_tried_the_first_advice_is_given_another() -> None:
    assert "target_accept=0.99" in said_of(MIXED | {"divergences": 9, "target_accept": 0.95})
    assert "target_accept (adapt_delta)" in said_of(MIXED | {"divergences": 9}, source="brms")


def test_chains_that_mix_slowly_and_chains_apart_are_told_apart() -> None:
    near = said_of(MIXED | {"max_rhat": 1.013})
    slow, apart = said_of(MIXED | {"max_rhat": 1.05}), said_of(MIXED | {"max_rhat": 1.42})
    assert "r-hat is 1.013 for sigma" in near
    assert "the chains nearly agree, and have not quite mixed yet. Take more draws." in near
    assert "r-hat is 1.050 for sigma" in slow
    assert "have not mixed yet. Take more draws." in slow
    assert "r-hat is 1.420 for sigma" in apart
    assert "different places" in apart
    assert "Take more draws" not in apart


def test_an_effective_sample_size_is_held_against_what_was_wanted_and_says_what_it_costs() -> None:
    assert said_of(MIXED | {"min_ess": 400.0}) == ""
    short = said_of(MIXED | {"min_ess": 100.0})
    assert "falls to 100 for sd_g (at least 400 is wanted): its mean is known to 0.10 posterior standard" in short
    assert short.endswith("Take more draws.")
    assert said_of(MIXED | {"min_ess": 250.0, "ess": 200}) == ""
    capped = said_of(MIXED | {"min_ess": 800.0, "ess": 1000}, draws=5000)
    assert "at least 1,000 is wanted" in capped
    assert "5,000 draws a chain were the most that this fit could take: raise max_draws" in capped
    assert "max_draws" not in said_of(MIXED | {"min_ess": 100.0}, source="brms")


def test_nothing_is_said_of_draws_that_are_right() -> None:
    assert said_of(MIXED | {"divergences": 0}) == ""
