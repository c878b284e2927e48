"""What is said of chains, in words that fit the numbers."""

from __future__ import annotations

import warnings

import pytest

import bayesmargins as bm
from bayesmargins.convergence import report_convergence

MIXED = {"max_rhat": 1.0, "min_ess": 5000.0}


@pytest.mark.parametrize(
    ("divergences", "draws", "said"),
    [
        (1, 1000, r"^One of 4,000 draws diverged\. That few need not mean anything: fit\(target_accept=0.95\) shows"),
        (4, 1000, r"^4 of 4,000 draws diverged\. That few need not mean anything"),
        (5, 1000, r"^5 of 4,000 draws diverged: parts of the posterior may not have been reached"),
        (400, 1000, r"^400 of 4,000 draws diverged: parts of the posterior .* tighter priors"),
        (1, 50, r"^One of 200 draws diverged: parts of the posterior"),
    ],
)
def test_divergences_are_spoken_of_by_their_share(divergences: int, draws: int, said: str) -> None:
    with pytest.warns(bm.BayesmarginsWarning, match=said):
        report_convergence(MIXED | {"divergences": divergences}, 4, draws)


def test_nothing_is_said_of_draws_that_are_right() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report_convergence(MIXED | {"divergences": 0}, 4, 1000)
