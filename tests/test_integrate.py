"""The integration engine against 30-digit quadrature, its own bounds, and laws that any exact average obeys."""

import csv
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quadrature import expected

from bayesmargins.errors import IntegrationError
from bayesmargins.family import LINKS, PARTS, get_link
from bayesmargins.integrate import apply_rule, expectation, rule_for, rule_with_step
from bayesmargins.limits import options


def parts_of(link):
    """What can be averaged of a link: an unbounded one has no complement."""
    return [part for part in PARTS if LINKS[link].bounded or part != "complement"]


NUMERICAL = [name for name, link in LINKS.items() if link.strip is not None]
AVERAGED = [name for name, link in LINKS.items() if not link.no_average]
PROBABILITIES = [link for link in NUMERICAL if LINKS[link].bounded]
NUMERICAL_PARTS = [(link, part) for link in NUMERICAL for part in parts_of(link)]
REFERENCE = Path(__file__).parent / "data" / "quadrature.csv"


def reference_rows(link, part):
    """eta, s and the true value, from the table that make_quadrature.py wrote with mpmath."""
    with REFERENCE.open(newline="") as file:
        lines = (line for line in file if not line.startswith("#"))
        rows = [row for row in csv.DictReader(lines) if (row["link"], row["part"]) == (link, part)]
    return [(float(row["eta"]), float(row["s"]), mp.mpf(row["value"])) for row in rows]


def values(link, eta, s, part="mean"):
    """One value per pair of eta and s, s different in every row."""
    return expectation(get_link(link), np.atleast_2d(eta), np.atleast_2d(np.asarray(s) ** 2), part)


def absolute_error(got, true):
    return float(abs(mp.mpf(float(got)) - true))


# accuracy -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("link", "part"), NUMERICAL_PARTS)
def test_average_equals_high_precision_quadrature_to_1e_minus_10(link, part):
    rows = reference_rows(link, part)
    result = values(link, [row[0] for row in rows], [row[1] for row in rows], part)
    errors = [absolute_error(got, row[2]) for got, row in zip(result.value[0], rows, strict=True)]
    assert len(rows) >= 60
    assert max(errors) <= 1e-10
    assert max(errors) <= result.error_bound + 1e-15  # the plug-in at s = 0 carries the link's own rounding


@pytest.mark.parametrize(("link", "part"), [pair for pair in NUMERICAL_PARTS if pair[1] in ("mean", "complement")])
def test_rare_events_keep_eight_digits_down_to_1e_minus_12(link, part):
    rows = [row for row in reference_rows(link, part) if row[2] >= mp.mpf("1e-12")]
    result = values(link, [row[0] for row in rows], [row[1] for row in rows], part)
    errors = [absolute_error(got, row[2]) / float(row[2]) for got, row in zip(result.value[0], rows, strict=True)]
    assert min(row[2] for row in rows) < (1e-6 if link != "cauchit" else 1e-2)  # whose tails are heavy
    assert max(errors) <= 1e-8


@pytest.mark.parametrize("link", NUMERICAL)
def test_error_bound_of_each_value_alone_holds(link):
    for part in parts_of(link):
        for eta, s, true in reference_rows(link, part):
            if s > 0:  # at 0 nothing is integrated: the value is h itself
                result = expectation(get_link(link), [[eta]], s**2, part)
                assert absolute_error(result.value[0, 0], true) <= result.error_bound, (part, eta, s)


# Of the file alone, which no change of the package changes: one part of each link here, the others in the evidence.
@pytest.mark.parametrize(
    ("link", "part"),
    [pytest.param(*pair, marks=[] if pair[1] == "mean" else pytest.mark.evidence) for pair in NUMERICAL_PARTS],
)
def test_reference_table_agrees_with_another_quadrature(link, part):
    for eta, s, true in reference_rows(link, part)[::73]:
        again = expected(link, eta, s, part, method="tanh-sinh")
        assert abs(again - true) <= mp.mpf("1e-16") * abs(true) + mp.mpf("1e-30"), (eta, s)


@pytest.mark.parametrize(("link", "part"), NUMERICAL_PARTS)
def test_bound_holds_for_coarse_rules_and_error_falls_with_it(link, part):
    eta = np.array([-6.0, -2.0, 0.0, 1.0, 3.0])
    for s in (0.3, 1.0, 3.0):
        fine = apply_rule(rule_for(get_link(link), s, part), eta, s)
        worst, bounds = [], []
        for ratio in (6.0, 4.5, 3.5, 2.5, 1.8, 1.4):
            rule = rule_with_step(get_link(link), s, ratio * rule_for(get_link(link), s, part).step, part)
            coarse = apply_rule(rule, eta, s)
            bound = [rule.error_bound(abs(value)) for value in coarse]
            assert np.all(np.abs(coarse - fine) <= bound), (s, ratio)
            worst.append(np.abs(coarse - fine).max())
            bounds.append(max(bound))
        assert bounds == sorted(bounds, reverse=True)
        # the rate is right, not only the side: the bound is never more than a few digits above the error
        seen = [(w, b) for w, b in zip(worst, bounds, strict=True) if w > 1e-13 and np.isfinite(b)]
        assert seen
        # the triangle inequality makes K of the cloglog's fourth derivative 30 times too large, so its rate shows later
        # where h grows, errors fall with h'' while bounds are relative to h; the cauchit's has no edge but two poles
        shows = 1e-5 if LINKS[link].part(part)(9.0) > 2.0 else 1e-4 if part == "d4" else 1e-3
        shows = 1e-7 if link == "cauchit" else shows
        assert all(np.log(b) <= 0.5 * np.log(w) for w, b in seen if w < shows)


def test_probit_closed_form_equals_quadrature():
    link = LINKS["probit"]
    z, weight = np.polynomial.hermite_e.hermegauss(80)
    eta, s = np.linspace(-4, 4, 17)[None], 0.8
    for part in PARTS:
        direct = (link.part(part)(eta[..., None] + s * z) * weight).sum(-1) / np.sqrt(2 * np.pi)
        np.testing.assert_allclose(expectation(link, eta, s**2, part).value, direct, rtol=0, atol=1e-12)


# laws ---------------------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(eta=st.floats(-40, 40), s=st.floats(0.0, 30.0))
def test_logit_average_flips_with_eta(eta, s):
    np.testing.assert_array_equal(values("logit", eta, s).value, values("logit", -eta, s, "complement").value)
    np.testing.assert_array_equal(values("logit", eta, s, "d1").value, values("logit", -eta, s, "d1").value)
    np.testing.assert_array_equal(values("logit", eta, s, "d2").value, -values("logit", -eta, s, "d2").value)
    np.testing.assert_array_equal(values("logit", eta, s, "d3").value, values("logit", -eta, s, "d3").value)
    np.testing.assert_array_equal(values("logit", eta, s, "d4").value, -values("logit", -eta, s, "d4").value)


@settings(max_examples=200, deadline=None)
@given(
    link=st.sampled_from([link for link in NUMERICAL if LINKS[link].bounded]),
    eta=st.floats(-40, 40),
    s=st.floats(0.0, 30.0),
)
def test_mean_and_complement_sum_to_one(link, eta, s):
    total = values(link, eta, s).value + values(link, eta, s, "complement").value
    np.testing.assert_allclose(total, 1.0, rtol=0, atol=2e-14)


@pytest.mark.parametrize("link", AVERAGED)
def test_vanishing_variance_tends_to_the_plug_in(link):
    eta = np.linspace(-10, 10, 41)[None]
    for part in parts_of(link):
        plug_in = expectation(LINKS[link], eta, 0.0, part)
        np.testing.assert_array_equal(plug_in.value, LINKS[link].part(part)(eta))
        assert plug_in.error_bound == 0.0
        for s in (1e-9, 1e-12, 1e-150):
            near = expectation(LINKS[link], eta, s**2, part).value
            np.testing.assert_allclose(near, plug_in.value, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("link", AVERAGED)
def test_derivative_of_the_average_is_the_average_of_the_derivative(link):
    eta, s2, step = np.linspace(-6, 3, 37)[None], 1.7, 1e-3
    for upper, lower in (("mean", "d1"), ("d1", "d2"), ("d2", "d3"), ("d3", "d4")):
        at = [expectation(LINKS[link], eta + k * step, s2, upper).value for k in (-2, -1, 1, 2)]
        slope = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * step)
        exact = expectation(LINKS[link], eta, s2, lower).value
        np.testing.assert_allclose(slope, exact, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("link", AVERAGED)
def test_average_solves_the_heat_equation_in_the_variance(link):
    eta, step = np.linspace(-6, 3, 37)[None], 1e-3
    for s2 in (0.2, 1.0, 6.0):
        at = [expectation(LINKS[link], eta, s2 + k * step).value for k in (-2, -1, 1, 2)]
        slope = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * step)
        np.testing.assert_allclose(slope, 0.5 * expectation(LINKS[link], eta, s2, "d2").value, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("link", NUMERICAL)
def test_expansion_for_huge_s_joins_the_rule(link):
    s = 4096.0
    eta = np.linspace(-3 * s, 3 * s, 13)[None]
    for part in parts_of(link):
        rule = expectation(LINKS[link], eta, s**2, part)
        beyond = expectation(LINKS[link], eta, np.nextafter(s, np.inf) ** 2, part)
        assert (rule.method, beyond.method) == ("trapezoid", "trapezoid and expansion")
        # of 1e5 terms; h'' cancels: its rounding is that of h'
        falls = PARTS.index(part) - LINKS[link].strip.integrated > 1
        tolerance = 2e-13 / (s if falls else 1.0) * max(1.0, np.abs(rule.value).max())
        np.testing.assert_allclose(beyond.value, rule.value, rtol=0, atol=tolerance)
        assert np.abs(beyond.value - rule.value).max() <= rule.error_bound + beyond.error_bound


# layouts and threads ------------------------------------------------------------------------------------------------


@pytest.fixture
def draws():
    rng = np.random.default_rng(7)
    return rng.normal(0.0, 3.0, size=(9, 1337)), rng.uniform(0.05, 3.0, size=(9, 1337))


@pytest.mark.parametrize(("link", "part"), NUMERICAL_PARTS)
def test_variance_per_draw_equals_the_same_variance_in_every_row(link, part, draws):
    eta, s2 = draws[0], draws[1][:, :1]
    per_draw = expectation(LINKS[link], eta, s2, part)
    per_row = expectation(LINKS[link], eta, np.broadcast_to(s2, eta.shape), part)
    np.testing.assert_array_equal(per_row.value, per_draw.value)


@pytest.mark.parametrize("layout", ["draw", "row"])
@pytest.mark.parametrize("link", NUMERICAL)
def test_blocks_equal_the_whole_bit_for_bit(link, layout, draws):
    eta, s2 = draws[0], draws[1][:, :1] if layout == "draw" else draws[1]
    whole = expectation(LINKS[link], eta, s2).value
    for rows in (slice(0, 1), slice(1, 8), slice(8, 500), slice(500, 1337)):
        for some in (slice(0, 2), slice(2, 9)):
            part = expectation(LINKS[link], eta[some, rows], s2[some] if layout == "draw" else s2[some, rows])
            np.testing.assert_array_equal(part.value, whole[some, rows])


@pytest.mark.parametrize("link", NUMERICAL)
def test_number_of_threads_does_not_change_a_bit(link, draws):
    results = []
    for threads in (1, 2, 5):
        with options(threads=threads):
            results.append(expectation(LINKS[link], *draws).value)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


# The loop is the same for all; the nodes of every link and derivative are held by the other quadrature above.
@pytest.mark.parametrize(
    ("link", "part"),
    [
        pytest.param(link, part, marks=[] if link == "logit" or part in ("mean", "d1") else pytest.mark.evidence)
        for link, part in NUMERICAL_PARTS
    ],
)
def test_compiled_sum_equals_the_same_rule_in_numpy(link, part):
    eta = np.concatenate([np.linspace(-30, 30, 61), [-1e6, -700.0, -601.0, 601.0, 700.0, 1e6]])
    for s in (0.01, 0.7, 5.0, 100.0, 700.0):
        plain = apply_rule(rule_for(LINKS[link], s, part), eta, s)
        # h'' cancels: its rounding is that of h'
        cancels = part in ("d2", "d3", "d4")
        largest = np.abs(apply_rule(rule_for(LINKS[link], s, "d1"), eta, s) if cancels else plain).max()
        for s2 in (s * s, np.full((1, eta.size), s * s)):
            value = expectation(LINKS[link], eta[None], s2, part).value[0]
            np.testing.assert_allclose(value, plain, rtol=0, atol=1e-13 * largest)


def test_rules_reach_further_and_step_finer_as_s_grows():
    for link in NUMERICAL:
        rules = [rule_for(LINKS[link], s) for s in (0.01, 0.3, 1.0, 3.0, 10.0)]
        assert [rule.step for rule in rules] == sorted((rule.step for rule in rules), reverse=True)
        assert all(rule.relative_bound <= 2e-14 for rule in rules)


# edges --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_nan_stays_where_it_is_and_infinite_eta_gives_the_limit(link, part):
    eta = np.array([[np.nan, 0.3, -np.inf, np.inf]])
    limits = {"mean": [0.0, 1.0], "complement": [1.0, 0.0]}.get(part, [0.0, 0.0])
    for s2 in (0.0, 2.0, np.full((1, 4), 2.0)):
        value = expectation(LINKS[link], eta, s2, part).value[0]
        assert np.isnan(value[0])
        assert np.isfinite(value[1])
        np.testing.assert_allclose(value[2:], limits, rtol=0, atol=1e-14)
    missing = expectation(LINKS[link], np.zeros((1, 3)), [[np.nan, 0.0, 1.0]], part).value[0]
    np.testing.assert_array_equal(np.isnan(missing), [True, False, False])


def test_missing_variance_is_missing_even_where_the_answer_does_not_depend_on_it():
    assert np.isnan(expectation(LINKS["identity"], [[1.0]], np.nan).value).all()
    assert np.isnan(expectation(LINKS["identity"], [[np.nan]], 1.0, "d1").value).all()


def test_infinite_variance_leaves_a_coin_toss():
    assert expectation(LINKS["logit"], [[3.0]], np.inf).value[0, 0] == 0.5


def test_no_rows_give_no_values():
    for shape in ((0, 4), (4, 0)):
        assert expectation(LINKS["logit"], np.zeros(shape), 1.0).value.shape == shape


def test_negative_variance_is_refused_with_its_value():
    with pytest.raises(IntegrationError, match=r"s2 is negative \(-0\.25 "):
        expectation(LINKS["logit"], [[0.0, 1.0]], [[np.nan, -0.25]])


@pytest.mark.parametrize("s2", [np.ones(3), np.ones((3, 1)), np.ones((2, 2))])
def test_variance_of_another_shape_is_refused(s2):
    with pytest.raises(IntegrationError, match=r"s2 has shape .* but eta has shape \(2, 3\)"):
        expectation(LINKS["logit"], np.zeros((2, 3)), s2)


def test_eta_without_draws_is_refused():
    with pytest.raises(IntegrationError, match=r"eta has shape \(3,\): it must be \(draw, row\)"):
        expectation(LINKS["logit"], np.zeros(3), 1.0)


def test_unknown_part_names_the_close_match():
    with pytest.raises(IntegrationError, match=r"part='men'.*Did you mean 'mean'"):
        expectation(LINKS["logit"], [[0.0]], 1.0, "men")


def test_complement_of_an_unbounded_link_is_refused():
    with pytest.raises(IntegrationError, match=r"part='complement' of the identity link"):
        expectation(LINKS["identity"], [[0.0]], 1.0, "complement")


def test_rule_of_a_link_with_a_closed_form_is_refused():
    with pytest.raises(IntegrationError, match="probit link has a closed form"):
        rule_for(LINKS["probit"], 1.0)


@pytest.mark.parametrize("s", [0.0, -1.0, 5000.0, np.nan])
def test_rule_outside_its_range_is_refused(s):
    with pytest.raises(IntegrationError, match="a rule needs 0 < s <= 4096"):
        rule_for(LINKS["logit"], s)
