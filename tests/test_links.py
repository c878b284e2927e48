"""Laws of the inverse links, one by one."""

import mpmath as mp
import numpy as np
import pytest
from quadrature import response

from bayesmargins.errors import ModelError
from bayesmargins.family import LINKS, PARTS, get_link

NAMES = list(LINKS)
BOUNDED = [name for name, link in LINKS.items() if link.bounded]
NUMERICAL = [name for name, link in LINKS.items() if link.closed_form is None]
ETA = np.linspace(-8.0, 3.0, 45)
SCALES = {"logit": "d1", "cloglog": "mean", "loglog": "complement"}  # the F of `Strip`, where a part is no F of its own


def relative_error(got, true):
    return float(abs(mp.mpf(float(got)) - true) / abs(true))


@pytest.mark.parametrize("name", NAMES)
def test_link_undoes_inverse(name):
    link = LINKS[name]
    eta = np.linspace(-5.0, 2.0, 29)
    np.testing.assert_allclose(link.link(link.inverse(eta)), eta, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_agree_with_central_differences(name):
    link, step = LINKS[name], 1e-4
    slope = (link.inverse(ETA + step) - link.inverse(ETA - step)) / (2 * step)
    bend = (link.derivative(ETA + step) - link.derivative(ETA - step)) / (2 * step)
    np.testing.assert_allclose(link.derivative(ETA), slope, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(link.second(ETA), bend, rtol=1e-6, atol=1e-8)
    for lower, upper in (("d2", "d3"), ("d3", "d4")):
        change = (link.part(lower)(ETA + step) - link.part(lower)(ETA - step)) / (2 * step)
        np.testing.assert_allclose(link.part(upper)(ETA), change, rtol=1e-6, atol=2e-7)


@pytest.mark.parametrize("name", BOUNDED)
def test_inverse_and_complement_sum_to_one(name):
    link = LINKS[name]
    np.testing.assert_allclose(link.inverse(ETA) + link.complement(ETA), 1.0, rtol=0, atol=3e-16)


@pytest.mark.parametrize("part", ["mean", "complement", "d1"])
@pytest.mark.parametrize("name", NUMERICAL)
def test_tails_are_relatively_accurate(name, part):
    far = {"cloglog": (-300.0, -40.0), "loglog": (40.0, 300.0)}.get(name, (-300.0, -40.0, 40.0, 300.0))
    for eta in (-3.0 if name == "loglog" else 3.0, -1.0, 0.0, 1.0, *far):
        with mp.workdps(200):
            true = response(name, part, mp.mpf(eta))
        assert relative_error(LINKS[name].part(part)(eta), true) < 1e-13, eta


@pytest.mark.parametrize("name", ["logit", "probit"])
def test_symmetric_links_flip_successes_and_failures(name):
    link = LINKS[name]
    np.testing.assert_array_equal(link.complement(ETA), link.inverse(-ETA))
    np.testing.assert_array_equal(link.derivative(ETA), link.derivative(-ETA))
    np.testing.assert_array_equal(link.second(ETA), -link.second(-ETA))
    np.testing.assert_array_equal(link.part("d3")(ETA), link.part("d3")(-ETA))
    np.testing.assert_array_equal(link.part("d4")(ETA), -link.part("d4")(-ETA))


@pytest.mark.parametrize("name", NAMES)
def test_nan_stays_nan_and_infinite_eta_gives_the_limit(name):
    link = LINKS[name]
    edge = np.array([-np.inf, np.inf, np.nan])
    mean = link.inverse(edge)
    assert np.isnan(mean[2])
    if link.bounded:
        np.testing.assert_array_equal(mean[:2], [0.0, 1.0])
        for part in ("d1", "d2", "d3", "d4"):
            np.testing.assert_array_equal(link.part(part)(edge)[:2], [0.0, 0.0])


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", NUMERICAL)
def test_growth_bound_holds_everywhere_in_the_strip(name, part):
    link = LINKS[name]
    for y in np.array([0.1, 0.5, 0.9, 0.99]) * link.strip.half_width:
        factor = float(np.exp(link.strip.log_growth(part, np.array([y]))[0]))
        for x in np.linspace(-12.0, 6.0, 73):
            size = abs(response(name, part, mp.mpc(x, y)))
            if link.strip.scale[part] is None:
                reference = abs(response(name, part, mp.mpf(x)))
            elif part in link.steep:
                reference = 1
            else:
                reference = response(name, SCALES[name], mp.mpf(x))
            assert size <= factor * reference * (1 + 1e-12), (y, x)


@pytest.mark.parametrize("name", NUMERICAL)
def test_moments_are_those_of_the_distribution_whose_cdf_is_the_inverse(name):
    for k, moment in enumerate(LINKS[name].strip.moments, start=1):
        true = mp.quad(lambda x, k=k: x**k * response(name, "d1", x), [-120, -20, -5, 0, 5, 20, 120])
        assert float(true) == pytest.approx(moment, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", NUMERICAL)
def test_latent_sd_is_the_standard_deviation_of_that_distribution(name):
    first, second = LINKS[name].strip.moments[:2]
    assert LINKS[name].latent_sd == pytest.approx(np.sqrt(second - first**2), rel=1e-14)


def test_probit_closed_form_without_variance_is_the_link_itself():
    link = LINKS["probit"]
    for part in PARTS:
        np.testing.assert_array_equal(link.closed_form(ETA, np.zeros(1), part), link.part(part)(ETA))


def test_log_link_overflows_to_infinity_in_silence():
    assert LINKS["log"].inverse(1000.0) == np.inf
    assert LINKS["log"].closed_form(np.array(0.0), np.array(2000.0), "mean") == np.inf


def test_unknown_link_names_the_close_match():
    with pytest.raises(ModelError, match=r"link='logitt' is not known: .*Did you mean 'logit'"):
        get_link("logitt")


def test_unknown_part_says_what_is_allowed():
    with pytest.raises(
        ModelError, match=r"part='complement' of the log link: allowed are 'mean', 'd1', 'd2', 'd3', 'd4'"
    ):
        LINKS["log"].part("complement")


def test_logm1_is_the_log_of_what_lies_above_one():
    """Every average is that of exp, and 1 more for the mean: brms's link of degrees of freedom."""
    one, log = LINKS["logm1"], LINKS["log"]
    s2 = np.array([0.0, 0.3, 2.0])[:, None]
    for part in ("mean", "d1", "d2", "d3", "d4"):
        more = float(part == "mean")
        np.testing.assert_array_equal(one.part(part)(ETA), log.part(part)(ETA) + more)
        np.testing.assert_array_equal(one.closed_form(ETA, s2, part), log.closed_form(ETA, s2, part) + more)
    np.testing.assert_allclose(np.exp(one.closed_log(ETA, s2, "mean")), one.closed_form(ETA, s2, "mean"), rtol=1e-14)
    np.testing.assert_allclose(one.inverse(one.closed_linked(ETA, s2)), one.closed_form(ETA, s2, "mean"), rtol=1e-14)
