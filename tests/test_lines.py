"""Averages over existing groups with a random slope: lines against sums over groups, their bounds, and whole questions.

Through the public functions lines are forced on few rows, or kept from being used at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from test_margins import random_posterior, simulated, values
from test_predictor import REGROUPED, engine, frame, scaled

import bayesmargins as bm
from bayesmargins.errors import IntegrationError
from bayesmargins.evaluate import lines
from bayesmargins.evaluate.lookups import Lookups
from bayesmargins.family import get_link
from bayesmargins.integrate import mixture_expectation
from bayesmargins.integrate.tabulated.lines import line_mixture, panels_of

LINKS = ["logit", "probit", "cloglog"]
PAIRS = [(link, part) for link in LINKS for part in ("mean", "complement")]
SAME = {"rtol": 1e-11, "atol": 1e-12}
SAME_SLOPE = {"rtol": 1e-8, "atol": 1e-10}
OVER_G = {"g": "existing", "h": "new"}


def groups(count: int, seed: int, draws: int = 2, spread: float = 0.5) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    base, slope = rng.normal(0.0, 1.0, (draws, count)), rng.normal(0.0, spread, (draws, count))
    return base, slope, rng.dirichlet(np.full(count, 0.5))


def rows(count: int, seed: int, draws: int = 2, spread: float = 1.0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    t = rng.normal(0.0, spread, (draws, count))
    return -1.0 + 0.7 * t / spread + rng.normal(0.0, 2.0, t.shape), t


def made_for(link: str, part: str, of: tuple[Any, Any, Any], eta: Any, t: Any, s: float = 0.0) -> Any:
    finite = eta[np.isfinite(eta)]
    limits = (float(np.nanmin(t)), float(np.nanmax(t))), (float(finite.min()), float(finite.max()))
    return line_mixture(get_link(link), np.full(len(eta), s), *of, *limits, part)


def direct(link: str, part: str, of: tuple[Any, Any, Any], eta: Any, t: Any, s: float = 0.0) -> Any:
    """Value and derivatives in eta and in t, group by group."""
    sign, sums = -1.0 if part == "complement" else 1.0, np.zeros((3, *eta.shape))
    for a, c, w in zip(of[0].T[:, :, None], of[1].T[:, :, None], of[2], strict=True):
        place, none, one = eta + a + c * t, np.zeros((len(eta), 1)), np.ones(1)
        value, d = (mixture_expectation(get_link(link), place, s * s, none, one, n).value for n in (part, "d1"))
        sums += w * np.stack([value, sign * d, sign * c * d])
    return sums


def bounds_of(made: Any) -> tuple[float, float, float]:
    return made.error_bound, made.error_bound_d_eta, made.error_bound_d_t


# lines against sums ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("link", "part"), PAIRS)
@pytest.mark.parametrize(("count", "s"), [(3, 0.0), (120, 0.0), (20, 0.8)])
def test_values_and_derivatives_equal_the_sum_over_groups_within_their_bounds(
    link: str, part: str, count: int, s: float
) -> None:
    of, (eta, t) = groups(count, seed=count), rows(600, seed=1)
    made, true = made_for(link, part, of, eta, t, s), direct(link, part, of, eta, t, s)
    assert made.covers.all()
    for order, (bound, least) in enumerate(zip(bounds_of(made), (2e-13, 2e-11, 5e-11), strict=True)):
        assert np.max(np.abs(made(eta, t, order) - true[order])) <= min(bound, least)
    assert made.error_bound <= (5e-11 if s else 5e-13)
    assert max(bounds_of(made)) <= (5e-8 if s else 1e-9)


@pytest.mark.parametrize(("link", "part"), PAIRS)
def test_rare_events_keep_their_digits(link: str, part: str) -> None:
    of, (eta, t) = groups(60, seed=7), rows(1000, seed=7)
    eta += 6.0 if part == "complement" else -7.0
    true = direct(link, part, of, eta, t)[0]
    rare = (true < 1e-3) & (true > 1e-12)
    assert rare.sum() > 100
    assert np.max(np.abs(made_for(link, part, of, eta, t)(eta, t)[rare] / true[rare] - 1.0)) <= 1e-8


@pytest.mark.parametrize("spread", [0.0, 1e-9, 1e-3, 30.0, 1e4])
def test_any_range_of_t_is_right(spread: float) -> None:
    of, (eta, t) = groups(100, seed=4, spread=min(0.5, 15.0 / max(spread, 1e-9))), rows(600, seed=4, spread=1.0)
    t *= spread
    made, true = made_for("logit", "mean", of, eta, t), direct("logit", "mean", of, eta, t)
    for order, bound in enumerate(bounds_of(made)):
        assert np.max(np.abs(made(eta, t, order) - true[order])) <= bound + 1e-15


def test_thousands_of_groups_cost_no_accuracy() -> None:
    of, (eta, t) = groups(4_000, seed=8, draws=1), rows(60, seed=8, draws=1)
    made = made_for("logit", "mean", of, eta, t)
    assert np.max(np.abs(made(eta, t) - direct("logit", "mean", of, eta, t)[0])) <= 1e-13
    assert made.error_bound <= 1e-11


def test_a_value_depends_on_its_own_draw_and_row_only() -> None:
    of, (eta, t) = groups(60, seed=3, draws=3), rows(800, seed=3, draws=3)
    whole = made_for("logit", "mean", of, eta, t)(eta, t)
    order, some = np.random.default_rng(3).permutation(800), slice(200, 300)
    np.testing.assert_array_equal(made_for("logit", "mean", of, eta, t)(eta[:, order], t[:, order]), whole[:, order])
    one = (of[0][1:2], of[1][1:2], of[2])
    few = made_for("logit", "mean", one, eta[1:2, some], t[1:2, some])(eta[1:2, some], t[1:2, some])
    np.testing.assert_allclose(few, whole[1:2, some], rtol=0, atol=1e-15)  # cells are counted from another one
    for threads in (1, 2):
        with bm.options(threads=threads):
            np.testing.assert_array_equal(made_for("logit", "mean", of, eta, t)(eta, t), whole)


def test_scaling_t_scales_the_derivative_in_t() -> None:
    (base, slope, weights), (eta, t) = groups(150, seed=9), rows(500, seed=9)
    one = made_for("logit", "mean", (base, slope, weights), eta, t)
    other = made_for("logit", "mean", (base, slope / 1024.0, weights), eta, 1024.0 * t)
    np.testing.assert_allclose(other(eta, 1024.0 * t), one(eta, t), rtol=0, atol=1e-14)
    np.testing.assert_allclose(1024.0 * other(eta, 1024.0 * t, 2), one(eta, t, 2), rtol=0, atol=1e-12)


def test_groups_without_slopes_are_a_mixture() -> None:
    (base, slope, weights), (eta, t) = groups(90, seed=15), rows(500, seed=15)
    made = made_for("logit", "mean", (base, 0.0 * slope, weights), eta, t)
    true = mixture_expectation(get_link("logit"), eta, 0.0, base, weights).value
    assert made.arrays.panels.max() <= 2
    np.testing.assert_allclose(made(eta, t), true, rtol=0, atol=1e-13)
    assert np.max(np.abs(made(eta, t, 2))) <= 1e-12


# what has no cells -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("link", "part"), PAIRS)
def test_not_a_number_stays_not_a_number_and_far_values_are_summed(link: str, part: str) -> None:
    of, (eta, t) = groups(20, seed=12), rows(300, seed=12)
    made = made_for(link, part, of, eta, t)
    eta[:, ::50] = [-1e3, -45.0, 41.0, 60.0, -np.inf, np.inf]
    eta[0, 5], t[1, 6], t[:, 8] = np.nan, np.nan, 20.0
    true = direct(link, part, of, eta, t)
    for order, bound in enumerate(bounds_of(made)):
        found = made(eta, t, order)
        assert np.argwhere(np.isnan(found)).tolist() == [[0, 5], [1, 6]]
        np.testing.assert_allclose(found, true[order], rtol=1e-12, atol=bound)


def test_draws_that_cannot_be_cut_are_summed_group_by_group() -> None:
    (base, slope, weights), (eta, t) = groups(20, seed=14, draws=6), rows(50, seed=14, draws=6)
    base[1, 0], base[2, 0], slope[3, 0], slope[4, 0], base[5, 0] = np.nan, -np.inf, np.nan, 1e9, 80.0
    made = made_for("logit", "mean", (base, slope, weights), eta, t)
    assert made.covers.tolist() == [True, False, False, False, False, False]
    with np.errstate(invalid="ignore"):
        true = direct("logit", "mean", (base, slope, weights), eta, t)[0]
    np.testing.assert_allclose(made(eta, t), true, rtol=1e-12, atol=1e-13)
    s = np.array([0.0, 15.9, 16.0, np.nan, 1.0, 2.0])
    cut = panels_of(get_link("logit"), s, np.zeros((6, 1)), np.ones((6, 1)), np.ones(1), (0.0, 1.0))
    assert cut.covers.tolist() == [True, True, False, False, True, True]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: line_mixture(get_link("logit"), [0.0], [[0.0]], [[0.0, 1.0]], [1.0], (0.0, 1.0)), r"shape \(1, 2\)"),
        (lambda: line_mixture(get_link("logit"), [0.0], [[0.0]], [[0.0]], [0.9], (0.0, 1.0)), "sum to 1"),
        (lambda: line_mixture(get_link("log"), [0.0], [[0.0]], [[0.0]], [1.0], (0.0, 1.0)), "log link is unbounded"),
        (lambda: line_mixture(get_link("logit"), [-1.0], [[0.0]], [[0.0]], [1.0], (0.0, 1.0)), "negative value"),
        (lambda: line_mixture(get_link("logit"), [0.0], [[0.0]], [[0.0]], [1.0], (0.0, 1.0))([0.0], 0.0), "a line per"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_value(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(IntegrationError, match=message):
        call()


# whole questions ---------------------------------------------------------------------------------------------------


@contextmanager
def by_lines(chunk: int | None = None, price: float = 1e9) -> Iterator[list[int]]:
    """Through lines wherever they can; yields the draws of each table that was made."""
    made: list[int] = []
    original = Lookups._made_lines

    def counted(self: Lookups, *arguments: Any) -> Any:
        made.append(len(arguments[-1]))
        return original(self, *arguments)

    with engine(True, chunk=chunk), pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_EXACT", price)
        patch.setattr(Lookups, "_made_lines", counted)
        yield made


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
]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize(("formula", "policy"), MODELS, ids=lambda v: str(v)[:40])
def test_lines_equal_the_exact_engine_within_their_bounds(formula: str, policy: Any, link: str) -> None:
    post = random_posterior(formula, simulated(), "bernoulli", link)
    for name, question in questions(post, 110, policy).items():
        with engine(False):
            exact = question()
        with by_lines() as made:
            fast = question()
        assert made, name
        assert "table" in fast.attrs["integration_method"]
        one, two = values(exact), values(fast)
        np.testing.assert_allclose(two, one, **(SAME_SLOPE if "slopes" in name else SAME), err_msg=name)
        if name in ("rows", "cells", "slopes"):
            assert np.abs(two - one).max() <= exact.attrs["error_bound"] + fast.attrs["error_bound"] + 1e-13
        assert fast.attrs["error_bound"] < (1e-6 if "slopes" in name else 1e-9)


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
        with by_lines() as made:
            np.testing.assert_allclose(values(question()), exact, rtol=1e-8, atol=1e-9)
        assert made


def test_chunks_threads_and_repetition_change_no_number() -> None:
    post = random_posterior("y ~ x + f + treated + e + (1 + x | g) + (1 | h)", simulated(), "bernoulli", "logit")
    for question in questions(post, 200, {"g": "existing", "h": "zero"}).values():
        found = []
        for threads in (1, 2, 2):
            with by_lines(), bm.options(threads=threads):
                found.append(values(question()))
        np.testing.assert_array_equal(found[1], found[0])
        np.testing.assert_array_equal(found[2], found[1])
        with by_lines(chunk=80):
            np.testing.assert_allclose(values(question()), found[0], **REGROUPED)


@pytest.mark.parametrize("link", LINKS)
def test_draws_that_lines_do_not_cover_stand_beside_ordinary_ones(link: str) -> None:
    """The largest of these have shifts that no grid holds, or an s that no table does; 0 has no slopes at all."""
    post = scaled("y ~ x + treated + (1 + x | g) + (1 | h)", link, [1.0, 0.0, 5.0, 200.0, 1e-9, 16.0, 0.7])
    for policy in ("existing", OVER_G):
        for question in (
            lambda p=policy: bm.predictions(post, frame(70), groups=p),
            lambda p=policy: bm.avg_slopes(post, "x", newdata=frame(70), groups=p),
        ):
            with engine(False):
                exact = values(question())
            with by_lines() as made:
                found = values(question())
            assert 0 < made[0] <= (7 if link == "probit" and policy is OVER_G else 6)  # s makes shifts smaller there
            np.testing.assert_allclose(found, exact, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("formula", "policy"),
    [
        ("y ~ x + w + (1 + x + w | g)", "existing"),  # z moves in two directions
        ("y ~ x + w + (1 + x | g) + (1 + w | h)", OVER_G),  # s differs between rows
        ("y ~ x + w + (1 | g)", "existing"),  # nothing moves
    ],
)
def test_without_one_direction_there_are_no_lines(formula: str, policy: Any) -> None:
    post = random_posterior(formula, simulated(), "bernoulli")
    question = lambda: bm.predictions(post, frame(100), groups=policy)  # noqa: E731
    with engine(False):
        exact = values(question())
    with by_lines() as made:
        np.testing.assert_allclose(values(question()), exact, **SAME)
    assert not made


def test_lines_are_made_where_rows_and_groups_are_many_enough_to_pay() -> None:
    post = random_posterior("y ~ x + (1 + x | g)", simulated(), "bernoulli")
    for n, pays in ((100, False), (20_000, True)):
        with by_lines(price=10.0) as made:
            bm.avg_predictions(post, frame(n), groups="existing")
        assert bool(made) == pays


@pytest.mark.parametrize(("distinct", "step", "curves"), [(3, 10.0, True), (60, 1.0 / 60.0, False)])
def test_few_values_far_apart_get_curves_of_their_own(distinct: int, step: float, curves: bool) -> None:
    post = random_posterior("y ~ x + (1 + x | g)", simulated(), "bernoulli")
    data = frame(120).assign(x=np.arange(120) % distinct * step)
    with by_lines() as made:
        found = values(bm.predictions(post, data, groups="existing"))
    with engine(False):
        np.testing.assert_allclose(found, values(bm.predictions(post, data, groups="existing")), **SAME)
    assert bool(made) == (not curves)
