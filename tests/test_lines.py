"""Averages over existing groups with a slope: against direct sums, their bounds, and what no grid serves."""

import numba
import numpy as np
import pytest

from bayesmargins.errors import IntegrationError
from bayesmargins.integrate import mixture_expectation
from bayesmargins.integrate.line_mixtures import line_mixture
from bayesmargins.links import get_link

LINKS = ["logit", "probit", "cloglog"]
PAIRS = [(link, part) for link in LINKS for part in ("mean", "complement")]


def groups(count, seed, draws=2, spread=0.5):
    rng = np.random.default_rng(seed)
    base, slope = rng.normal(0.0, 1.0, (draws, count)), rng.normal(0.0, spread, (draws, count))
    return base, slope, rng.dirichlet(np.full(count, 0.5))


def rows(count, seed, draws=2, spread=1.0, center=0.0):
    """Rows in the order of t, which goes with eta."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.normal(center, spread, (draws, count)), axis=1)
    return -1.0 + 0.7 * (t - center) + rng.normal(0.0, 2.0, t.shape), t


def direct(link, part, eta, t, base, slope, weights, s=0.0):
    """Value and derivatives in eta and in t, group by group."""
    sign = -1.0 if part == "complement" else 1.0
    sums = np.zeros((3, *eta.shape))
    for a, c, w in zip(base.T[:, :, None], slope.T[:, :, None], weights, strict=True):
        place, one = eta + a + c * t, np.ones(1)
        root = 1.0 / np.sqrt(1.0 + s * s)
        if s == 0.0:
            value, d = (get_link(link).part(name)(place) for name in (part, "d1"))
        elif link == "probit":
            value, d = get_link(link).part(part)(place * root), get_link(link).part("d1")(place * root) * root
        else:
            none = np.zeros((len(eta), 1))
            value, d = (mixture_expectation(get_link(link), place, s * s, none, one, n).value for n in (part, "d1"))
        sums += w * np.stack([value, sign * d, sign * c * d])
    return sums


def assert_within_bounds(made, eta, t, true):
    for order, bound in enumerate((made.error_bound, made.error_bound_d_eta, made.error_bound_d_t)):
        assert np.max(np.abs(made(eta, t, order) - true[order])) <= bound


# against direct sums -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("link", "part"), PAIRS)
@pytest.mark.parametrize("count", [3, 300])
def test_values_and_derivatives_equal_the_sum_over_groups_within_their_bounds(link, part, count):
    base, slope, weights = groups(count, seed=count)
    eta, t = rows(3000, seed=1)
    made = line_mixture(get_link(link), base, slope, weights, part)
    assert_within_bounds(made, eta, t, direct(link, part, eta, t, base, slope, weights))
    assert made.covers.all()
    assert made.error_bound <= 2e-11
    assert made.error_bound_d_eta <= 2e-10
    assert made.error_bound_d_t <= 2e-10


@pytest.mark.parametrize("link", LINKS)
def test_the_grid_is_used_where_rows_are_many_and_errs_by_less_than_promised(link):
    base, slope, weights = groups(400, seed=2, draws=1)
    eta, t = rows(1024, seed=2, draws=1, spread=0.02)
    error = (
        line_mixture(get_link(link), base, slope, weights)(eta, t)
        - direct(link, "mean", eta, t, base, slope, weights)[0]
    )
    assert 1e-15 < np.max(np.abs(error)) < 1e-11


@pytest.mark.parametrize(("link", "part"), PAIRS)
def test_the_order_of_rows_changes_values_within_the_bound_only(link, part):
    base, slope, weights = groups(60, seed=3)
    eta, t = rows(2000, seed=3)
    made, order = line_mixture(get_link(link), base, slope, weights, part), np.random.default_rng(3).permutation(2000)
    difference = made(eta, t)[:, order] - made(eta[:, order], t[:, order])
    assert np.max(np.abs(difference)) <= 2.0 * made.error_bound


@pytest.mark.parametrize("spread", [0.0, 1e-9, 1e-3, 0.1, 1.0, 30.0, 1e6])
def test_any_range_of_t_is_right(spread):
    base, slope, weights = groups(200, seed=4)
    eta, t = rows(1100, seed=4, spread=spread, center=3.0)
    eta = np.clip(eta, -10.0, 10.0)
    made = line_mixture(get_link("logit"), base, slope, weights)
    assert_within_bounds(made, eta, t, direct("logit", "mean", eta, t, base, slope, weights))


@pytest.mark.parametrize("count", [1, 2, 511, 512, 513])
def test_any_number_of_rows_is_right(count):
    base, slope, weights = groups(50, seed=5)
    eta, t = rows(count, seed=5)
    made = line_mixture(get_link("cloglog"), base, slope, weights)
    assert_within_bounds(made, eta, t, direct("cloglog", "mean", eta, t, base, slope, weights))


@pytest.mark.parametrize("link", LINKS)
def test_a_part_that_is_integrated_besides_is_averaged_over(link):
    base, slope, weights = groups(40, seed=6)
    eta, t = rows(600, seed=6, spread=0.05)
    made = line_mixture(get_link(link), base, slope, weights, "complement", s=[0.8, 0.8])
    assert_within_bounds(made, eta, t, direct(link, "complement", eta, t, base, slope, weights, s=0.8))


@pytest.mark.parametrize(("link", "part"), PAIRS)
def test_rare_events_keep_their_digits(link, part):
    base, slope, weights = groups(100, seed=7)
    eta, t = rows(2048, seed=7, spread=0.05)
    eta += 6.0 if part == "complement" else -8.0
    true = direct(link, part, eta, t, base, slope, weights)[0]
    rare = (true < 1e-3) & (true > 1e-250)
    values = line_mixture(get_link(link), base, slope, weights, part)(eta, t)
    assert rare.sum() > 100
    assert np.max(np.abs(values[rare] / true[rare] - 1.0)) <= 1e-8


def test_ten_thousand_groups_cost_no_accuracy():
    base, slope, weights = groups(10_000, seed=8, draws=1)
    eta, t = rows(600, seed=8, draws=1, spread=0.05)
    made = line_mixture(get_link("logit"), base, slope, weights)
    assert np.max(np.abs(made(eta, t) - direct("logit", "mean", eta, t, base, slope, weights)[0])) <= 1e-11
    assert made.error_bound <= 1e-10


# laws ----------------------------------------------------------------------------------------------------------------


def test_scaling_t_scales_the_derivative_in_t():
    base, slope, weights = groups(150, seed=9)
    eta, t = rows(1024, seed=9)
    one = line_mixture(get_link("logit"), base, slope, weights)
    other = line_mixture(get_link("logit"), base, slope / 1000.0, weights)
    np.testing.assert_allclose(other(eta, 1000.0 * t), one(eta, t), rtol=0, atol=2.0 * one.error_bound)
    np.testing.assert_allclose(
        1000.0 * other(eta, 1000.0 * t, 2), one(eta, t, 2), rtol=0, atol=2.0 * one.error_bound_d_t
    )


def test_derivatives_are_those_of_the_values():
    base, slope, weights = groups(150, seed=10)
    eta, t = rows(1024, seed=10, spread=0.1)
    made, h = line_mixture(get_link("probit"), base, slope, weights), 0.02
    stencil = list(zip((-3, -2, -1, 1, 2, 3), np.array([-1, 9, -45, 45, -9, 1]) / 60.0 / h, strict=True))
    for order, (dx, dy) in ((1, (h, 0.0)), (2, (0.0, h))):
        by_values = sum(w * made(eta + k * dx, t + k * dy) for k, w in stencil)
        np.testing.assert_allclose(made(eta, t, order), by_values, rtol=0, atol=3e-9)


def test_threads_do_not_change_a_bit():
    base, slope, weights = groups(100, seed=11, draws=5)
    eta, t = rows(1300, seed=11, draws=5)
    made, before = line_mixture(get_link("logit"), base, slope, weights), numba.get_num_threads()
    many = made(eta, t)
    try:
        numba.set_num_threads(1)
        np.testing.assert_array_equal(made(eta, t), many)
    finally:
        numba.set_num_threads(before)


# what no grid serves -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("link", "part"), PAIRS)
def test_not_a_number_stays_not_a_number_and_touches_no_other_row(link, part):
    base, slope, weights = groups(80, seed=12)
    eta, t = rows(700, seed=12, spread=0.1)
    true = direct(link, part, eta, t, base, slope, weights)
    eta[0, 5], t[1, 600] = np.nan, np.nan
    made = line_mixture(get_link(link), base, slope, weights, part)
    for order in range(3):
        values = made(eta, t, order)
        assert np.argwhere(np.isnan(values)).tolist() == [[0, 5], [1, 600]]
        good = ~np.isnan(values)
        assert np.max(np.abs(values - true[order])[good]) <= 1e-9


@pytest.mark.parametrize(("link", "part"), PAIRS)
def test_far_eta_and_far_shifts_are_summed_directly(link, part):
    base, slope, weights = groups(70, seed=13)
    base[0, :3] = [150.0, -90.0, 1e5]
    eta, t = rows(600, seed=13, spread=0.1)
    eta[:, ::7] = np.tile([-1e3, -45.0, 41.0, 1e5], (2, 22))[:, : eta[:, ::7].shape[1]]
    eta[:, 3], eta[:, 4], t[:, 8] = np.inf, -np.inf, 1e4
    made = line_mixture(get_link(link), base, slope, weights, part)
    true = direct(link, part, eta, t, base, slope, weights)
    np.testing.assert_allclose(made(eta, t), true[0], rtol=0, atol=made.error_bound)
    np.testing.assert_allclose(made(eta, t, 1), true[1], rtol=0, atol=made.error_bound_d_eta)


def test_draws_whose_groups_are_not_finite_are_summed_one_by_one():
    base, slope, weights = groups(20, seed=14, draws=4)
    base[1, 0], base[2, 0], slope[3, 0] = np.nan, -np.inf, np.nan
    eta, t = rows(100, seed=14, draws=4)
    made = line_mixture(get_link("logit"), base, slope, weights)
    values = made(eta, t)
    assert made.covers.tolist() == [True, False, False, False]
    assert np.isnan(values).all(axis=1).tolist() == [False, True, False, True]
    np.testing.assert_allclose(
        values[2], direct("logit", "mean", eta, t, base, slope, weights)[0][2], rtol=1e-12, atol=0
    )


def test_groups_without_slopes_are_a_mixture():
    base, slope, weights = groups(90, seed=15)
    eta, t = rows(800, seed=15)
    made = line_mixture(get_link("logit"), base, np.zeros_like(slope), weights)
    true = mixture_expectation(get_link("logit"), eta, 0.0, base, weights).value
    np.testing.assert_allclose(made(eta, t), true, rtol=0, atol=made.error_bound)
    assert np.max(np.abs(made(eta, t, 2))) == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: line_mixture(get_link("logit"), [[0.0]], [[0.0, 1.0]], [1.0]), r"shape \(1, 2\)"),
        (lambda: line_mixture(get_link("logit"), [[0.0]], [[0.0]], [0.9]), "sum to 1"),
        (lambda: line_mixture(get_link("logit"), [[0.0]], [[0.0]], [1.0], "d1"), "part='d1'"),
        (lambda: line_mixture(get_link("log"), [[0.0]], [[0.0]], [1.0]), "log link is unbounded"),
        (lambda: line_mixture(get_link("logit"), [[0.0]], [[0.0]], [1.0], s=[-1.0]), "negative value"),
        (lambda: line_mixture(get_link("logit"), [[0.0]], [[0.0]], [1.0])([0.0], [0.0]), "a line per draw"),
        (lambda: line_mixture(get_link("logit"), [[0.0]], [[0.0]], [1.0])([[0.0]], [[0.0, 1.0]]), "must broadcast"),
        (lambda: line_mixture(get_link("logit"), [[0.0]], [[0.0]], [1.0])([[0.0]], [[0.0]], 3), "order=3"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_value(call, message):
    with pytest.raises(IntegrationError, match=message):
        call()
