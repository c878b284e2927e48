"""Curves and surfaces against 30-digit quadrature, against the exact engine, their bounds, and sums over groups."""

import csv
import math
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
import scipy

from bayesmargins.errors import IntegrationError
from bayesmargins.family import get_link
from bayesmargins.integrate import expectation, mixture_expectation
from bayesmargins.integrate.tabulated.bounds import (
    chebyshev_points,
    derivative_bound,
    heat_polynomials,
    interpolation_bounds,
    monomials_from_points,
    taylor_bounds,
)
from bayesmargins.integrate.tabulated.curves import covers, curves
from bayesmargins.integrate.tabulated.group_curves import mixture_curves
from bayesmargins.integrate.tabulated.rows import row_table
from bayesmargins.integrate.tabulated.surfaces import surface
from bayesmargins.limits import options

NUMERICAL = ["logit", "cloglog"]
PAIRS = [(link, part) for link in NUMERICAL for part in ("mean", "complement")]
REFERENCE = Path(__file__).parent / "data" / "quadrature.csv"


def reference(link, part):
    """eta, s and the true values within the reach of the tables, from the table that make_quadrature.py wrote."""
    with REFERENCE.open(newline="") as file:
        rows = [
            (float(row["eta"]), float(row["s"]), float(row["value"]))
            for row in csv.DictReader(line for line in file if not line.startswith("#"))
            if (row["link"], row["part"]) == (link, part)
        ]
    rows = np.array([row for row in rows if row[1] < 16.0])
    return rows[:, 0], rows[:, 1], rows[:, 2]


def exact(link, eta, s, part):
    """Value and two derivatives in eta by the engine, s one per line."""
    sign = -1.0 if part == "complement" else 1.0
    s2 = np.asarray(s)[:, None] ** 2
    parts = zip((part, "d1", "d2"), (1.0, sign, sign), strict=True)
    return [factor * expectation(get_link(link), eta, s2, name).value for name, factor in parts]


def bounds_of(made):
    return made.error_bound, made.error_bound_d1, made.error_bound_d2


# against other numbers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("link", "part"), PAIRS)
def test_curves_equal_high_precision_quadrature_within_their_bound(link, part):
    eta, s, true = reference(link, part)
    made = curves(get_link(link), s, part)
    errors = np.abs(made(eta[:, None])[:, 0] - true)
    assert len(eta) >= 150
    assert errors.max() <= made.error_bound + 1e-15
    assert errors.max() <= 3e-13


@pytest.mark.parametrize(("link", "part"), PAIRS)
def test_surface_equals_high_precision_quadrature_within_its_bound(link, part):
    eta, s, true = reference(link, part)
    near = s < 4.5
    eta, s, true = eta[near], s[near], true[near]
    made = surface(get_link(link), 0.0, 4.5, part)
    errors = np.abs(made(eta[None], s[None])[0] - true)
    assert errors.max() <= made.error_bound + 1e-15
    assert errors.max() <= 1e-11


@pytest.mark.parametrize(("link", "part"), PAIRS)
def test_rare_events_keep_their_digits(link, part):
    eta, s, true = reference(link, part)
    rare = (true >= 1e-12) & (true < 1e-3) & (s < 4.5)
    eta, s, true = eta[rare], s[rare], true[rare]
    loose = (link, part) == ("cloglog", "complement")
    by_curve = np.abs(curves(get_link(link), s, part)(eta[:, None])[:, 0] / true - 1.0)
    by_surface = np.abs(surface(get_link(link), 0.0, 4.5, part)(eta[None], s[None])[0] / true - 1.0)
    assert len(eta) >= 10
    assert by_curve.max() <= (1e-8 if loose else 1e-10)
    assert by_surface.max() <= (5e-8 if loose else 1e-9)


@pytest.mark.parametrize(("link", "part"), PAIRS)
@pytest.mark.parametrize("low", [0.0, 0.3, 0.9, 2.2, 5.0, 15.8])
def test_values_and_derivatives_stay_within_bounds_that_are_not_loose(link, part, low):
    rng = np.random.default_rng(3)
    s = rng.uniform(low, low + 0.15, 20)
    eta = np.concatenate([rng.uniform(-40.0, 40.0, (20, 200)), rng.normal(0.0, 3.0, (20, 200))], axis=1)
    true = exact(link, eta, s, part)
    for made, arguments in (
        (curves(get_link(link), s, part), (eta,)),
        (surface(get_link(link), low, low + 0.15, part), (eta, s[:, None])),
    ):
        for order, bound in enumerate(bounds_of(made)):
            error = np.max(np.abs(made(*arguments, order) - true[order]))
            assert error <= bound + 1e-15 * 30.0**order
            if order == 0:
                assert bound <= 1e4 * max(error, 1e-15)


@pytest.mark.parametrize("link", NUMERICAL)
def test_bounds_promise_what_the_tables_are_for(link):
    for s in (0.0, 0.5, 1.0, 2.0, 3.0):
        assert curves(get_link(link), [s]).error_bound <= 5e-12
        assert surface(get_link(link), s, s + 0.1).error_bound <= 5e-11


# edges -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("link", "part"), PAIRS)
def test_every_edge_of_cells_and_rows_is_right(link, part):
    s = np.array([0.0, 1.0 / 64.0, 0.5, 1.0, 1.0 - 1e-15, 1.0 + 1e-15, 4.0, 15.999])
    eta = np.array(
        [-40.0, 40.0, np.nextafter(40.0, 0), -0.125, 0.0, 0.125, 0.25, np.nextafter(0.25, 0), -39.75, 1e-300]
    )
    eta = np.tile(eta, (len(s), 1))
    true = exact(link, eta, s, part)[0]
    np.testing.assert_allclose(curves(get_link(link), s, part)(eta), true, rtol=0, atol=3e-13)
    for one, line, values in zip(s, eta, true, strict=True):
        made = surface(get_link(link), one, one, part)
        np.testing.assert_allclose(made(line[None], one)[0], values, rtol=0, atol=2e-11)


@pytest.mark.parametrize(("link", "part"), PAIRS)
def test_outside_the_cells_values_and_derivatives_are_exact_sums(link, part):
    s = np.array([0.0, 0.7, 3.0, 15.9, 20.0])
    eta = np.tile([-300.0, -41.0, 40.0, 41.0, 55.5, 700.0, -np.inf, np.inf], (len(s), 1))
    eta[4] = [-30.0, -1.0, 0.0, 1.0, 2.0, 30.0, -np.inf, np.inf]
    made, wide = curves(get_link(link), s, part), surface(get_link(link), 0.0, 20.0, part)
    assert made.covers.tolist() == [True, True, True, True, False]
    for order, true in enumerate(exact(link, eta, s, part)):
        np.testing.assert_allclose(made(eta, order), true, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(wide(eta, s[:, None], order), true, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("link", NUMERICAL)
def test_not_a_number_stays_not_a_number(link):
    made = curves(get_link(link), [0.0, 1.0, np.nan])
    values = made([[np.nan, 0.0], [np.nan, 0.0], [0.0, 50.0]])
    assert np.isnan(values).tolist() == [[True, False], [True, False], [True, True]]
    wide = surface(get_link(link), 0.5, 1.0)([[np.nan, 0.0, 0.0, 50.0]], [[1.0, np.nan, 1.0, np.nan]])
    assert np.isnan(wide).tolist() == [[True, True, False, True]]
    assert np.isnan(curves(get_link(link), [5000.0])([[0.0]])).all()
    assert covers([np.nan, 0.0, 15.99, 16.0]).tolist() == [False, True, True, False]


def test_the_standard_deviation_need_not_lie_in_the_range_of_a_surface():
    s = np.array([[0.2, 0.9, 1.0, 3.0]])
    made = surface(get_link("logit"), 0.9, 1.0)
    true = expectation(get_link("logit"), np.ones((1, 4)), s**2).value
    np.testing.assert_allclose(made(np.ones((1, 4)), s), true, rtol=0, atol=1e-11)


def test_threads_and_layout_do_not_change_a_bit():
    rng = np.random.default_rng(5)
    eta, s = rng.normal(0.0, 4.0, (7, 700)), rng.uniform(0.5, 1.5, (7, 1))
    results = []
    for threads in (1, 2):
        with options(threads=threads):
            made = curves(get_link("logit"), s[:, 0])
            results.append((made(eta), surface(get_link("logit"), 0.5, 1.5)(eta, s)))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(results[0][0][:, 300:301], made(np.ascontiguousarray(eta[:, 300:301])))


@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_value_has_the_same_bits_alone_and_among_eight(order):
    rng = np.random.default_rng(6)
    eta, s = rng.normal(0.0, 4.0, (2, 21)), rng.uniform(0.5, 1.5, (2, 21))
    curve, both = curves(get_link("logit"), s[:, 0]), surface(get_link("logit"), 0.5, 1.5)
    among = curve(eta, order), both(eta, s, order)
    for k in range(21):
        alone = eta[:, k : k + 1], s[:, k : k + 1]
        np.testing.assert_array_equal(among[0][:, k : k + 1], curve(alone[0], order))
        np.testing.assert_array_equal(among[1][:, k : k + 1], both(*alone, order))


# existing groups ---------------------------------------------------------------------------------------------------


def groups(count, spread, seed, draws=4):
    rng = np.random.default_rng(seed)
    return rng.normal(0.0, spread, (draws, count)), rng.dirichlet(np.full(count, 0.5))


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
@pytest.mark.parametrize("part", ["mean", "complement"])
@pytest.mark.parametrize(("count", "spread", "s"), [(1, 2.0, 0.0), (3, 2.0, 0.0), (3, 15.0, 0.8), (400, 1.5, 0.0)])
def test_mixture_curves_equal_the_sum_over_groups(link, part, count, spread, s):
    shifts, weights = groups(count, spread, seed=count)
    s = np.full(4, s) * [0.9, 1.0, 1.1, 1.2]
    made = mixture_curves(get_link(link), s, shifts, weights, part)
    eta = np.random.default_rng(1).uniform(-42.0, 42.0, (4, 150))
    sign = -1.0 if part == "complement" else 1.0
    assert made.covers.all()
    for order, (name, factor) in enumerate(((part, 1.0), ("d1", sign), ("d2", sign))):
        true = factor * mixture_expectation(get_link(link), eta, s[:, None] ** 2, shifts, weights, name).value
        assert np.max(np.abs(made(eta, order) - true)) <= bounds_of(made)[order]
    assert made.error_bound <= 2e-11


@pytest.mark.parametrize(("link", "digits"), [("logit", 1e-12), ("cloglog", 1e-12), ("probit", 1e-9)])
@pytest.mark.parametrize("s", [0.0, 1.0])
def test_mixture_curves_keep_the_digits_of_rare_events(link, digits, s):
    shifts, weights = groups(30, 1.0, seed=2)
    eta = np.tile(np.linspace(-36.0, 0.0, 300), (4, 1))
    true = mixture_expectation(get_link(link), eta, s**2, shifts, weights).value
    rare = (true > 1e-12) & (true < 1e-3)
    values = mixture_curves(get_link(link), np.full(4, s), shifts, weights)(eta)
    assert rare.sum() > 50
    assert np.max(np.abs(values[rare] / true[rare] - 1.0)) <= digits


def test_ten_thousand_groups_cost_no_accuracy():
    shifts, weights = groups(10_000, 1.5, seed=7, draws=2)
    eta = np.random.default_rng(1).normal(0.0, 4.0, (2, 60))
    made = mixture_curves(get_link("logit"), np.zeros(2), shifts, weights)
    true = mixture_expectation(get_link("logit"), eta, 0.0, shifts, weights).value
    assert np.max(np.abs(made(eta) / true - 1.0)) <= 1e-12


def test_far_shifts_missing_shifts_and_wide_draws_are_summed_exactly():
    shifts = np.array([[0.0, 100.0], [0.0, np.nan], [0.0, -np.inf], [0.0, 1.0], [-60.0, 60.0]])
    weights, s = np.array([0.25, 0.75]), np.array([0.0, 0.0, 0.0, 17.0, 0.0])
    eta = np.tile([-90.0, -3.0, 0.5, 70.0], (5, 1))
    made = mixture_curves(get_link("logit"), s, shifts, weights)
    assert made.covers.tolist() == [False, False, False, False, True]
    true = np.stack(
        [mixture_expectation(get_link("logit"), eta[[d]], s[d] ** 2, shifts[[d]], weights).value[0] for d in range(5)]
    )
    np.testing.assert_allclose(made(eta), true, rtol=1e-11, atol=1e-13)


# the mathematics ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_steepest_derivatives_are_what_mpmath_finds(link):
    x = mp.mpf("0.3")
    functions = {"logit": lambda t: 1 / (1 + mp.exp(-t)), "probit": mp.ncdf, "cloglog": lambda t: -mp.expm1(-mp.exp(t))}
    grid = [mp.mpf(k) / 4 + x / 10 for k in range(-20, 21)]
    with mp.workdps(40):
        series = [mp.taylor(functions[link], point, 12) for point in grid]
    for n, bound in enumerate(get_link(link).steepest):
        largest = max(abs(float(terms[n])) * math.factorial(n) for terms in series)
        assert largest <= bound
        assert largest >= 0.35 * bound


def test_cauchy_bounds_continue_the_table():
    for name in NUMERICAL:
        sizes = [derivative_bound(get_link(name), n, 0.0) for n in range(20)]
        assert sizes[13] > sizes[12]
        assert sizes[13] <= 1e3 * 13 * sizes[12]
        assert all(derivative_bound(get_link(name), n, 2.0) <= sizes[n] for n in range(20))


def test_interpolation_in_eta_has_order_eight():
    link, errors = get_link("logit"), []
    for width in (2.0, 1.0, 0.5):
        left = np.arange(-4.0, 4.0, width)
        points = left[:, None] + 0.5 * width * (chebyshev_points(8) + 1.0)
        coefficients = link.inverse(points) @ monomials_from_points().T
        u = np.linspace(-0.95, 0.95, 41)
        values = coefficients @ u ** np.arange(8)[:, None]
        errors.append(np.max(np.abs(values - link.inverse(left[:, None] + 0.5 * width * (u + 1.0)))))
        assert errors[-1] <= interpolation_bounds(link, 0.0, width, 0.0)[0]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all((orders > 6.5) & (orders < 9.5))


def test_heat_expansion_converges_at_the_order_of_its_first_term_left_out():
    link, terms = get_link("logit"), 6
    coefficients = row_table(link, "mean", 40.0).rows(64, 65)[0, 165, :terms]
    eta, s, errors = -40.0 + 165.5 * 0.25, 64.5 / 64.0, []
    for scale in (1.0, 0.5, 0.25):
        u, tau = 0.5 * scale, 0.25 * scale**2
        value = heat_polynomials(u, tau, terms - 1) @ coefficients
        true = expectation(link, [[eta + u]], s**2 + 2.0 * tau).value[0, 0]
        errors.append(abs(value - true))
        assert errors[-1] <= taylor_bounds(link, s, u, tau, terms)[0]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all(orders > 5.0)


# refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: curves(get_link("logit"), [1.0], "d1"), "derivatives come from the same look-up"),
        (lambda: curves(get_link("log"), [1.0]), "log link is unbounded"),
        (lambda: curves(get_link("probit"), [1.0]), "probit link has a closed form"),
        (lambda: curves(get_link("logit"), [[1.0]]), r"shape \(1, 1\)"),
        (lambda: curves(get_link("logit"), [-1.0]), "negative value"),
        (lambda: surface(get_link("logit"), 2.0, 1.0), "s_low=2.0 and s_high=1.0"),
        (lambda: curves(get_link("logit"), [1.0])([0.0]), "a line per draw"),
        (lambda: surface(get_link("logit"), 1.0, 1.1)(np.zeros((1, 2)), np.zeros((3, 2))), r"\(draw, row\)"),
        (lambda: mixture_curves(get_link("logit"), [0.0], [[0.0, 1.0]], [0.5, 0.6]), "sum to 1"),
    ],
)
def test_what_has_no_table_is_refused_with_the_value(call, message):
    with pytest.raises(IntegrationError, match=message):
        call()


def test_bounds_of_high_probit_derivatives_are_bounds():
    x = np.linspace(-12.0, 12.0, 20001)
    for n in (20, 21, 30):
        sup = np.abs(scipy.special.eval_hermitenorm(n - 1, x) * np.exp(-0.5 * x * x)).max() / math.sqrt(2.0 * math.pi)
        assert sup <= derivative_bound(get_link("probit"), n, 0.0) < 4.0 * sup
