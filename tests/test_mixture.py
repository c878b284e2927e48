"""The average over existing groups against a plain sum over groups, and laws that any weighted average obeys."""

import math

import mpmath as mp
import numpy as np
import pytest

from bayesmargins.errors import IntegrationError
from bayesmargins.family import LINKS, PARTS
from bayesmargins.integrate import expectation, mixture_expectation
from bayesmargins.limits import options

AVERAGED = [name for name, link in LINKS.items() if not link.no_average]  # tests/test_links.py has the others
CASES = [(name, part) for name in AVERAGED for part in PARTS if LINKS[name].bounded or part != "complement"]
COMPILED = [case for case in CASES if case[0] in ("logit", "probit", "cloglog")]


def group_by_group(link, eta, s2, shifts, weights, part):
    """The definition: one average per group."""
    terms = [expectation(link, eta + shifts[:, [c]], s2, part).value for c in range(len(weights))]
    return sum(w * term for w, term in zip(weights, terms, strict=True))


def shares(rng, groups):
    weights = rng.uniform(0.2, 3.0, groups)
    return weights / weights.sum()


@pytest.fixture
def example():
    rng = np.random.default_rng(11)
    return rng.normal(0.0, 3.0, (7, 131)), rng.normal(0.0, 2.0, (7, 45)), shares(rng, 45)


# accuracy -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("s2", ["zero", "scalar", "draw", "row"])
@pytest.mark.parametrize(("link", "part"), CASES)
def test_average_equals_the_sum_over_groups(link, part, s2, example):
    eta, shifts, weights = example
    rng = np.random.default_rng(3)
    s2 = {"zero": 0.0, "scalar": 1.3, "draw": rng.uniform(0, 2, (7, 1)), "row": rng.uniform(0, 2, eta.shape)}[s2]
    got = mixture_expectation(LINKS[link], eta, s2, shifts, weights, part)
    plain = group_by_group(LINKS[link], eta, s2, shifts, weights, part)
    np.testing.assert_allclose(got.value, plain, rtol=1e-11, atol=1e-13)
    if part in ("mean", "complement") and link != "identity":  # where nothing cancels, every digit counts
        np.testing.assert_allclose(got.value, plain, rtol=1e-11, atol=0)


@pytest.mark.parametrize("part", ["mean", "complement"])
def test_rare_events_of_the_logit_keep_their_digits_down_to_1e_minus_300(part):
    sign = -1.0 if part == "mean" else 1.0
    eta = sign * np.array([[1.0, 30.0, 150.0, 299.0, 301.0, 500.0, 590.0, 599.0, 601.0, 650.0, 690.0]])
    shifts, weights = np.array([[-2.0, 0.5, 3.0]]), np.array([0.2, 0.3, 0.5])
    got = mixture_expectation(LINKS["logit"], eta, 0.0, shifts, weights, part).value[0]
    groups = [(mp.mpf(w), mp.mpf(b)) for w, b in zip(weights.tolist(), shifts[0].tolist(), strict=True)]
    true = [mp.fsum(w / (1 + mp.exp(sign * (mp.mpf(x) + b))) for w, b in groups) for x in eta[0].tolist()]
    assert min(true) < mp.mpf("1e-295")
    assert max(float(abs(mp.mpf(float(g)) - t) / t) for g, t in zip(got, true, strict=True)) < 1e-12


def test_rare_events_of_the_other_links_keep_their_digits():
    shifts, weights = np.array([[-1.0, 0.5, 2.0]]), np.array([0.2, 0.3, 0.5])
    for link, part, eta in (
        ("cloglog", "mean", [-5.0, -60.0, -300.0, -597.0, -600.0, -680.0]),
        ("cloglog", "complement", [1.0, 2.0, 3.0, 5.0]),
        ("probit", "mean", [-3.0, -10.0, -35.0]),
        ("probit", "complement", [3.0, 10.0, 35.0]),
    ):
        got = mixture_expectation(LINKS[link], [eta], 0.0, shifts, weights, part).value
        plain = group_by_group(LINKS[link], np.array([eta]), 0.0, shifts, weights, part)
        np.testing.assert_allclose(got, plain, rtol=1e-11, atol=0)
        assert plain.min() < 1e-10


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_a_hundred_thousand_groups_add_up_without_drift(link):
    groups = 100_000
    shifts = np.random.default_rng(5).normal(0.0, 1.5, (1, groups))
    got = mixture_expectation(LINKS[link], [[-4.0]], 0.0, shifts, np.full(groups, 1.0 / groups)).value[0, 0]
    exact = math.fsum(LINKS[link].inverse(-4.0 + shifts[0]).tolist()) / groups
    assert abs(got - exact) <= 2e-15 * exact
    same = mixture_expectation(LINKS[link], [[-4.0]], 0.0, np.zeros((1, groups)), np.full(groups, 1.0 / groups))
    assert abs(same.value[0, 0] / float(LINKS[link].inverse(-4.0)) - 1.0) <= 2e-15


def test_shifts_out_of_the_range_of_exp_are_computed_all_the_same():
    eta, weights = np.array([[-650.0, 0.0, 2.0, 650.0]]), np.array([0.5, 0.25, 0.25])
    shifts = np.array([[0.3, -900.0, 1200.0]])
    for link, part in COMPILED:
        got = mixture_expectation(LINKS[link], eta, 0.0, shifts, weights, part).value
        plain = group_by_group(LINKS[link], eta, 0.0, shifts, weights, part)
        np.testing.assert_allclose(got, plain, rtol=1e-11, atol=1e-300)
    huge = mixture_expectation(LINKS["log"], [[-900.0]], 0.0, [[900.0, 905.0]], [0.5, 0.5]).value[0, 0]
    assert huge == pytest.approx(0.5 * (1.0 + math.exp(5.0)), rel=1e-12)


# laws ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("s2", [0.0, 1.3])
@pytest.mark.parametrize(("link", "part"), CASES)
def test_one_group_equals_the_expectation_at_its_own_eta(link, part, s2, example):
    eta, shifts, _ = example
    one = mixture_expectation(LINKS[link], eta, s2, shifts[:, :1], [1.0], part)
    alone = expectation(LINKS[link], eta + shifts[:, :1], s2, part)
    np.testing.assert_allclose(one.value, alone.value, rtol=1e-12, atol=1e-15)
    assert one.nodes == alone.nodes
    assert one.method == alone.method or (one.method, alone.method) == ("plug-in", "closed form")
    assert alone.error_bound <= one.error_bound <= alone.error_bound + 1e-14 * max(1.0, np.abs(one.value).max())


@pytest.mark.parametrize("s2", [0.0, 1.3])
@pytest.mark.parametrize(("link", "part"), CASES)
def test_permuting_groups_changes_nothing(link, part, s2, example):
    eta, shifts, weights = example
    order = np.random.default_rng(2).permutation(weights.size)
    whole = mixture_expectation(LINKS[link], eta, s2, shifts, weights, part).value
    permuted = mixture_expectation(LINKS[link], eta, s2, shifts[:, order], weights[order], part).value
    # some links move eta by one rounding error of the common shift, and values above 1 round in proportion
    scale = max(1.0, float(np.abs(whole).max())) if not LINKS[link].bounded else 1.0
    np.testing.assert_allclose(permuted, whole, rtol=0, atol=1e-15 * scale)


@pytest.mark.parametrize(("link", "part"), CASES)
def test_equal_groups_of_unequal_weight_are_one_group(link, part, example):
    eta, shifts, weights = example
    merged = mixture_expectation(LINKS[link], eta, 0.0, shifts[:, :1], [1.0], part).value
    split = mixture_expectation(LINKS[link], eta, 0.0, np.repeat(shifts[:, :1], 45, axis=1), weights, part).value
    np.testing.assert_allclose(split, merged, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_mean_and_complement_sum_to_one(link, example):
    eta, shifts, weights = example
    total = sum(mixture_expectation(LINKS[link], eta, 0.0, shifts, weights, p).value for p in ("mean", "complement"))
    np.testing.assert_allclose(total, 1.0, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("link", "upper", "lower"),
    [(n, *p) for n in AVERAGED for p in (("mean", "d1"), ("d1", "d2"), ("d2", "d3"), ("d3", "d4"))],
)
def test_derivative_of_the_average_is_the_average_of_the_derivative(link, upper, lower, example):
    _, shifts, weights = example
    eta, step = np.broadcast_to(np.linspace(-4, 2, 13), (7, 13)), 1e-3
    at = [mixture_expectation(LINKS[link], eta + k * step, 0.0, shifts, weights, upper).value for k in (-2, -1, 1, 2)]
    slope = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * step)
    exact = mixture_expectation(LINKS[link], eta, 0.0, shifts, weights, lower).value
    np.testing.assert_allclose(slope, exact, rtol=1e-9, atol=1e-10)


def test_groups_of_weight_zero_do_not_count():
    got = mixture_expectation(LINKS["logit"], [[0.3]], 0.0, [[0.5, np.inf, np.nan]], [1.0, 0.0, 0.0]).value
    np.testing.assert_array_equal(got, mixture_expectation(LINKS["logit"], [[0.3]], 0.0, [[0.5]], [1.0]).value)


def test_bound_of_an_integrated_average_is_that_of_its_worst_group():
    eta, shifts, weights = np.array([[-1.0, 0.4]]), np.array([[-0.5, 1.5]]), np.array([0.3, 0.7])
    for link in ("logit", "cloglog"):
        got = mixture_expectation(LINKS[link], eta, 4.0, shifts, weights)
        each = [expectation(LINKS[link], eta + shift, 4.0) for shift in shifts[0]]
        assert max(one.error_bound for one in each) <= got.error_bound < 1e-12
        assert (got.method, got.nodes) == ("trapezoid", each[0].nodes)


# blocks and threads -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("link", "part"), COMPILED)
def test_number_of_threads_and_blocks_do_not_change_a_bit(link, part):
    rng = np.random.default_rng(8)
    eta, shifts, weights = rng.normal(0.0, 3.0, (5, 1337)), rng.normal(0.0, 2.0, (5, 70)), shares(rng, 70)
    results = []
    for threads in (1, 2):
        with options(threads=threads):
            results.append(mixture_expectation(LINKS[link], eta, 0.0, shifts, weights, part).value)
    np.testing.assert_array_equal(*results)
    for rows in (slice(0, 1), slice(1, 8), slice(8, 500), slice(500, 1337)):
        some = mixture_expectation(LINKS[link], eta[2:4, rows], 0.0, shifts[2:4], weights, part).value
        np.testing.assert_array_equal(some, results[0][2:4, rows])


# edges --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("s2", [0.0, 2.0])
@pytest.mark.parametrize(("link", "part"), COMPILED)
def test_nan_stays_where_it_is_and_infinite_eta_gives_the_limit(link, part, s2):
    eta, shifts, weights = np.array([[np.nan, 0.3, -np.inf, np.inf]]), np.array([[-1.0, 0.5]]), np.array([0.25, 0.75])
    value = mixture_expectation(LINKS[link], eta, s2, shifts, weights, part).value[0]
    limits = {"mean": [0.0, 1.0], "complement": [1.0, 0.0]}.get(part, [0.0, 0.0])
    np.testing.assert_array_equal(np.isnan(value), [True, False, False, False])
    np.testing.assert_allclose(value[2:], limits, rtol=0, atol=1e-14)


@pytest.mark.parametrize("s2", [0.0, 2.0])
@pytest.mark.parametrize(("link", "part"), CASES)
def test_missing_shift_or_variance_makes_its_own_draw_missing_only(link, part, s2):
    eta, weights = np.zeros((3, 2)), np.array([0.25, 0.75])
    shifts = np.array([[0.1, 0.2], [np.nan, 0.2], [0.2, np.nan]])
    value = mixture_expectation(LINKS[link], eta, s2, shifts, weights, part).value
    np.testing.assert_array_equal(np.isnan(value), [[False] * 2, [True] * 2, [True] * 2])
    variances = np.array([[np.nan], [s2], [s2]])
    value = mixture_expectation(LINKS[link], eta, variances, np.zeros((3, 2)), weights, part).value
    np.testing.assert_array_equal(np.isnan(value), [[True] * 2, [False] * 2, [False] * 2])


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_infinite_shift_counts_as_certain(link):
    got = mixture_expectation(LINKS[link], [[0.0]], 0.0, [[-np.inf, np.inf]], [0.25, 0.75]).value
    np.testing.assert_allclose(got, 0.75, rtol=1e-15)


@pytest.mark.parametrize("link", AVERAGED)
def test_no_rows_or_draws_give_no_values(link):
    for shape in ((0, 4), (4, 0)):
        for s2 in (0.0, 1.0):
            got = mixture_expectation(LINKS[link], np.zeros(shape), s2, np.zeros((shape[0], 2)), [0.5, 0.5])
            assert got.value.shape == shape


@pytest.mark.parametrize("shifts", [np.zeros(2), np.zeros((1, 2)), np.zeros((3, 3)), np.zeros((3, 2, 4))])
def test_shifts_of_another_shape_are_refused(shifts):
    with pytest.raises(IntegrationError, match=r"shifts has shape .* it must be \(3, 2\), \(draw, group\)"):
        mixture_expectation(LINKS["logit"], np.zeros((3, 4)), 0.0, shifts, [0.5, 0.5])


def test_weights_of_another_shape_are_refused():
    with pytest.raises(IntegrationError, match=r"weights has shape \(1, 2\): it must be \(group,\)"):
        mixture_expectation(LINKS["logit"], np.zeros((3, 4)), 0.0, np.zeros((3, 2)), [[0.5, 0.5]])


@pytest.mark.parametrize("weights", [[0.5, 0.6], [0.5, 0.5 + 2e-8], [np.nan, 1.0], [1.0, 1.0]])
def test_weights_that_do_not_sum_to_one_are_refused(weights):
    with pytest.raises(IntegrationError, match=r"weights sums to .* it must sum to 1"):
        mixture_expectation(LINKS["logit"], np.zeros((3, 4)), 0.0, np.zeros((3, 2)), weights)


def test_no_groups_are_refused():
    with pytest.raises(IntegrationError, match="weights sums to 0: it must sum to 1"):
        mixture_expectation(LINKS["logit"], np.zeros((3, 4)), 0.0, np.zeros((3, 0)), [])


def test_negative_weight_is_refused_with_its_value():
    with pytest.raises(IntegrationError, match=r"weights has a negative value \(-0\.5\)"):
        mixture_expectation(LINKS["logit"], np.zeros((3, 4)), 0.0, np.zeros((3, 2)), [1.5, -0.5])


def test_what_the_engine_refuses_is_refused_here():
    with pytest.raises(IntegrationError, match="s2 is negative"):
        mixture_expectation(LINKS["logit"], [[0.0]], -1.0, [[0.0]], [1.0])
    with pytest.raises(IntegrationError, match=r"part='complement' of the log link"):
        mixture_expectation(LINKS["log"], [[0.0]], 0.0, [[0.0]], [1.0], "complement")
