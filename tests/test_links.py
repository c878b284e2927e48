"""Laws of the inverse links, one by one."""

import mpmath as mp
import numpy as np
import pytest
from quadrature import response
from scipy import special

from bayesmargins.errors import IntegrationError, ModelError
from bayesmargins.family import LINKS, PARTS, get_link, link_known_as
from bayesmargins.integrate import expectation, log_expectation, mixture_expectation

NAMES = list(LINKS)
BOUNDED = [name for name, link in LINKS.items() if link.bounded]
ABOVE_ZERO = ("sqrt", "inverse", "1/mu^2")  # where the link has its eta
ABOVE_ZERO = ("sqrt", "inverse", "1/mu^2")  # where the link has its eta
NUMERICAL = [name for name, link in LINKS.items() if link.strip is not None]
NUMERICAL_PARTS = [(n, part) for n in NUMERICAL for part in PARTS if LINKS[n].bounded or part != "complement"]
ETA = np.linspace(-8.0, 3.0, 45)
SCALES = {
    "logit": "d1",
    "cloglog": "mean",
    "loglog": "complement",
    "softplus": "d2",
    "cauchit": "d1",
}  # the F of `Strip`, where a part is no F of its own


def relative_error(got, true):
    return float(abs(mp.mpf(float(got)) - true) / abs(true))


@pytest.mark.parametrize("name", NAMES)
def test_link_undoes_inverse(name):
    link = LINKS[name]
    eta = np.linspace(0.25, 7.0, 28) if name in ABOVE_ZERO else np.linspace(-5.0, 2.0, 29)
    np.testing.assert_allclose(link.link(link.inverse(eta)), eta, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_agree_with_central_differences(name):
    link, step = LINKS[name], 1e-4
    eta = np.linspace(0.75, 8.0, 30) if name in ABOVE_ZERO else ETA
    slope = (link.inverse(eta + step) - link.inverse(eta - step)) / (2 * step)
    bend = (link.derivative(eta + step) - link.derivative(eta - step)) / (2 * step)
    np.testing.assert_allclose(link.derivative(eta), slope, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(link.second(eta), bend, rtol=1e-6, atol=1e-8)
    for lower, upper in (("d2", "d3"), ("d3", "d4")):
        change = (link.part(lower)(eta + step) - link.part(lower)(eta - step)) / (2 * step)
        np.testing.assert_allclose(link.part(upper)(eta), change, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("name", BOUNDED)
def test_inverse_and_complement_sum_to_one(name):
    link = LINKS[name]
    np.testing.assert_allclose(link.inverse(ETA) + link.complement(ETA), 1.0, rtol=0, atol=3e-16)


@pytest.mark.parametrize(
    ("name", "part"), [pair for pair in NUMERICAL_PARTS if pair[1] in ("mean", "complement", "d1")]
)
def test_tails_are_relatively_accurate(name, part):
    far = {"cloglog": (-300.0, -40.0), "loglog": (40.0, 300.0)}.get(name, (-300.0, -40.0, 40.0, 300.0))
    for eta in (-3.0 if name == "loglog" else 3.0, -1.0, 0.0, 1.0, *far):
        with mp.workdps(200):
            true = response(name, part, mp.mpf(eta))
        assert relative_error(LINKS[name].part(part)(eta), true) < 1e-13, eta


@pytest.mark.parametrize("name", [name for name, link in LINKS.items() if link.symmetric])
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


@pytest.mark.parametrize(("name", "part"), NUMERICAL_PARTS)
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


@pytest.mark.parametrize("name", [name for name in NUMERICAL if LINKS[name].strip.moments])
def test_moments_are_those_of_the_distribution_whose_cdf_is_the_inverse(name):
    for k, moment in enumerate(LINKS[name].strip.moments, start=1):
        density = "d2" if LINKS[name].strip.integrated else "d1"
        true = mp.quad(lambda x, k=k, of=density: x**k * response(name, of, x), [-120, -20, -5, 0, 5, 20, 120])
        assert float(true) == pytest.approx(moment, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in NUMERICAL if LINKS[name].latent_variance])
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


EXACT = {
    "identity": lambda x: x,
    "log": mp.exp,
    "logm1": lambda x: 1 + mp.exp(x),
    "probit": lambda x: mp.erfc(-x / mp.sqrt(2)) / 2,
    "sqrt": lambda x: x**2,
    "inverse": lambda x: 1 / x,
    "1/mu^2": lambda x: 1 / mp.sqrt(x),
    **{name: lambda x, name=name: response(name, "mean", x) for name in NUMERICAL},
}


@pytest.mark.parametrize("name", NAMES)
def test_inverse_link_and_four_derivatives_have_their_digits(name):
    """h and its derivatives at 30 digits, and g of that h; the last derivatives cancel near their zeros."""
    link = LINKS[name]
    etas = (0.02, 0.7, 1.3, 3.0, 40.0) if name in ABOVE_ZERO else (-9.0, -2.0, -0.6, 0.3, 1.7)
    etas = tuple(-x for x in etas) if name == "loglog" else etas
    for eta in etas:
        with mp.workdps(60):
            x = mp.mpf(eta)
            exact = [EXACT[name](x), *(mp.diff(EXACT[name], x, n) for n in range(1, 5))]
            assert relative_error(link.inverse(eta), exact[0]) < 1e-14
            # one rounding of mu moves eta by that over h'
            slack = 4e-16 * (abs(exact[0] / exact[1]) + abs(x)) + 1e-15
            assert abs(mp.mpf(float(link.link(float(exact[0])))) - x) < 4 * slack, eta
            for n, part in enumerate(("d1", "d2", "d3", "d4"), start=1):
                size = max(abs(exact[n]), abs(exact[1])) or 1
                assert abs(mp.mpf(float(link.part(part)(eta))) - exact[n]) < 2e-13 * size, (eta, part)


def test_links_of_bambi_go_by_their_names_here():
    assert link_known_as("bambi", "inverse_squared") == "1/mu^2"
    assert link_known_as("bambi", "inverse") == "inverse"
    assert link_known_as("brms", "1/mu^2") == "1/mu^2"


def test_cauchit_averages_far_out_have_logarithms():
    """Where a comparison divides by them; E[h] = (1 + s^2 / eta^2 + ...) / (pi abs(eta)) there."""
    for eta, s in ((-1e10, 3.0), (-1e21, 50.0), (-3e9, 4000.0)):
        for part, sign in (("mean", 1.0), ("complement", -1.0)):
            found = log_expectation(LINKS["cauchit"], np.array([sign * eta]), np.array([s * s]), part).value[0]
            assert found == pytest.approx(-np.log(np.pi * -eta) + np.log1p(s * s / eta**2), rel=1e-14)


def test_slopes_of_the_cauchit_over_groups_are_voigt_profiles():
    """E[h'] is the density of a Cauchy and a normal variable, which SciPy computes by the Faddeeva function."""
    eta = np.linspace(-60.0, 60.0, 121)
    for s in (0.01, 0.3, 1.0, 4.0, 20.0, 5000.0):
        found = expectation(LINKS["cauchit"], eta[None], s**2, "d1").value[0]
        np.testing.assert_allclose(found, special.voigt_profile(eta, s, 1.0), rtol=2e-13)


@pytest.mark.parametrize("part", [part for part in PARTS if part != "complement"])
def test_averages_of_softplus_are_those_of_logit_integrated_once(part):
    """E[h'] is the logit mean, and E[h(eta + sZ)] = eta + E[h(-eta + sZ)]."""
    eta, s2 = np.linspace(-30.0, 30.0, 61)[None], 2.3
    softplus, logit = LINKS["softplus"], LINKS["logit"]
    found = expectation(softplus, eta, s2, part).value
    if part == "mean":
        np.testing.assert_allclose(found, eta + found[:, ::-1], rtol=1e-14, atol=2e-14)
        return
    lower = {"d1": "mean", "d2": "d1", "d3": "d2", "d4": "d3"}[part]
    np.testing.assert_array_equal(found, expectation(logit, eta, s2, lower).value)


def test_loglog_is_the_mirror_image_of_cloglog():
    eta, s2 = np.linspace(-40.0, 40.0, 81)[None], np.array([[0.0], [0.3], [4.0], [200.0]])
    eta = np.broadcast_to(eta, (4, 81))
    mirrored = {"mean": ("complement", 1.0), "complement": ("mean", 1.0), "d2": ("d2", -1.0), "d4": ("d4", -1.0)}
    for part in PARTS:
        other, sign = mirrored.get(part, (part, 1.0))
        found = expectation(LINKS["loglog"], eta, s2, part)
        np.testing.assert_allclose(
            found.value, sign * expectation(LINKS["cloglog"], -eta, s2, other).value, rtol=1e-13, atol=1e-16
        )


def test_sqrt_averages_are_the_moments_of_a_normal_variable():
    link, eta, s2 = LINKS["sqrt"], np.linspace(-5.0, 5.0, 11)[None], 1.7
    z, w = np.polynomial.hermite_e.hermegauss(20)
    h = (eta[..., None] + np.sqrt(s2) * z) ** 2
    mean = (h * w).sum(-1) / w.sum()
    np.testing.assert_allclose(link.closed_form(eta, s2, "mean"), mean, rtol=1e-13)
    variance = ((h - mean[..., None]) ** 2 * w).sum(-1) / w.sum()
    np.testing.assert_allclose(link.closed_between(eta, s2, 0.4).value, variance, rtol=1e-12)
    np.testing.assert_allclose(link.inverse(link.closed_linked(eta, np.array(s2))), mean, rtol=1e-14)
    np.testing.assert_allclose(link.closed_log(eta, s2, "mean"), np.log(mean), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", [name for name, link in LINKS.items() if link.no_average])
def test_a_link_without_averages_says_why_and_what_works(name):
    link, eta = LINKS[name], np.array([[0.5, 2.0]])
    np.testing.assert_array_equal(expectation(link, eta, 0.0).value, link.inverse(eta))
    with pytest.raises(IntegrationError, match=r"Averages over new groups, .* do not exist under .*'existing'"):
        expectation(link, eta, 1e-6)
    groups = np.array([[-0.2, 0.1, 0.4]]), np.array([0.5, 0.25, 0.25])
    found = mixture_expectation(link, eta, 0.0, *groups).value
    np.testing.assert_allclose(found, (link.inverse(eta[..., None] + groups[0]) @ groups[1]), rtol=1e-14)
