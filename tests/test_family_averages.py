"""Families over groups, against 30-digit quadrature; and their edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pandas as pd
import pytest

import bayesmargins as bm
from bayesmargins.family import FAMILIES, LINKS, Outcome, Values
from bayesmargins.family.mixture_of_y import mixture

TABLE = pd.read_csv(Path(__file__).parent / "data" / "family_quadrature.csv", comment="#")


@pytest.mark.parametrize("row", list(TABLE.itertuples()), ids=lambda r: f"{r.family}-{r.link}-{r.eta}")
def test_averages_over_new_groups_are_those_of_quadrature(row: Any) -> None:
    """mpmath at 30 digits, made by make_family_quadrature.py: mean, standard deviation, tail and quantile of y."""
    given = dict(entry.split("=") for entry in str(row.parameters).split(";") if "=" in entry)
    trials = np.array([float(given.pop("trials", 1.0))])
    aux = {name: np.array([float(value)]) for name, value in given.items()}
    link, one = LINKS[row.link], np.ones(1)
    y = mixture(FAMILIES[row.family], link, row.eta * one[None], one, row.s * one, aux, trials)
    assert y.mean("mean").value.item() == pytest.approx(row.mean, rel=1e-12)
    assert y.sd().value.item() == pytest.approx(row.sd, rel=1e-9)
    tail = y.tail("above", np.array([row.c]))
    assert tail.value.item() == pytest.approx(row.above, rel=1e-9)
    assert abs(tail.value.item() - row.above) <= 10 * tail.error.item() + 1e-15
    assert y.tail("below", np.array([row.c])).value.item() == pytest.approx(1.0 - row.above, rel=1e-9)
    assert y.quantile(0.75).value.item() == pytest.approx(row.quantile, rel=1e-9)


def _tails(family: str, c: float, mu: float, trials: float | None = None, **aux: float) -> tuple[float, float]:
    p = Values(mu=np.array(mu), complement=np.array(1.0 - mu), **{k: np.array(v) for k, v in aux.items()})
    o = Outcome(trials=None if trials is None else np.array(trials))
    return tuple(float(f(np.array(c), p, o)) for f in (FAMILIES[family].above, FAMILIES[family].below))  # type: ignore[return-value]


@pytest.mark.parametrize("phi", [1e-3, 3.0, 14.9, 200.0, 1e9])
@pytest.mark.parametrize("mu", [1e-9, 0.3, 1.0 - 1e-6])
def test_tails_of_the_beta_binomial_are_sums_of_its_masses(mu: float, phi: float) -> None:
    with mp.workdps(40):
        a, b = mp.mpf(mu) * phi, (1 - mp.mpf(mu)) * phi
        for n in (1, 25):
            mass = [mp.binomial(n, k) * mp.beta(a + k, b + n - k) / mp.beta(a, b) for k in range(n + 1)]
            for c in (-1, 0, n // 2, n - 1, n):
                wanted = mp.fsum(mass[c + 1 :]), mp.fsum(mass[: c + 1])
                for found, true in zip(_tails("beta_binomial", c, mu, n, phi=phi), wanted, strict=True):
                    assert found == pytest.approx(float(true), rel=2e-12), (n, c)
            log = FAMILIES["beta_binomial"].log_density(
                Values(mu=mu, complement=1.0 - mu, phi=phi), Outcome(np.arange(n + 1.0), np.full(n + 1, float(n)))
            )
            np.testing.assert_allclose(log, [float(mp.log(m)) for m in mass], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("c", [0.0, 40.0, 500.0, 1000.0, 1960.0])
def test_tails_of_many_trials_do_not_underflow_to_nothing(c: float) -> None:
    from scipy import stats

    above, below = _tails("beta_binomial", c, 0.5, 2000.0, phi=1e13)  # a binomial, but for its last digits
    assert above == pytest.approx(stats.binom.sf(c, 2000, 0.5), rel=1e-9)
    assert below == pytest.approx(stats.binom.cdf(c, 2000, 0.5), rel=1e-9)


@pytest.mark.parametrize("c", [1e-9, 0.03, 0.3, 0.97])
@pytest.mark.parametrize("phi", [0.01, 0.7, 8.0, 300.0])
@pytest.mark.parametrize("mu", [1e-6, 0.4, 0.99])
def test_tails_of_the_beta_keep_their_digits(mu: float, phi: float, c: float) -> None:
    with mp.workdps(60):
        a, b = mp.mpf(mu * phi), mp.mpf((1.0 - mu) * phi)
        wanted = mp.betainc(b, a, 0, 1 - mp.mpf(c), regularized=True), mp.betainc(a, b, 0, c, regularized=True)
    for found, true in zip(_tails("beta", c, mu, phi=phi), wanted, strict=True):
        assert found == pytest.approx(float(true), rel=2e-12, abs=1e-290)


@pytest.mark.parametrize("nu", [0.3, 1.0, 2.5, 30.0, 1e5])
@pytest.mark.parametrize("t", [0.0, 1e-9, 1e-4, 0.3, 2.0, 15.0, 1e4])
def test_tails_of_t_keep_their_digits_far_out_and_in_the_middle(t: float, nu: float) -> None:
    with mp.workdps(40):
        true = mp.betainc(mp.mpf(nu) / 2, 0.5, 0, nu / (nu + mp.mpf(t) ** 2), regularized=True) / 2
        true = true if true > mp.mpf("1e-300") else mp.mpf(0)
        assert _tails("student_t", t, 0.0, sigma=1.0, nu=nu)[0] == pytest.approx(float(true), rel=1e-12)
        assert _tails("student_t", -t, 0.0, sigma=1.0, nu=nu)[1] == pytest.approx(float(true), rel=1e-12)


@pytest.mark.parametrize("nu", [0.7, 2.5, 40.0])
@pytest.mark.parametrize("q", [1e-9, 0.02, 0.4999999, 0.5, 0.7, 0.999])
def test_quantiles_of_t_invert_its_tail(q: float, nu: float) -> None:
    p = Values(mu=1.5, sigma=np.array(2.0), nu=np.array(nu))
    found = FAMILIES["student_t"].quantile(q, p)
    assert FAMILIES["student_t"].below(found, p, Outcome()) == pytest.approx(q, rel=1e-12)


ROWS = pd.DataFrame(
    {"y": [0.3, 1.2, 0.8, 2.5, 1.9, 0.4], "x": [0.0, 1, 2, 3, 4, 5], "g": [*"aabbcc"], "phi": [*"uvuvuv"]}
)


def _t(nu: Any) -> bm.Posterior:
    values = np.asarray(nu, dtype=float)[None]
    aux = {"sigma": 0.5 + 0 * values, "nu": values}
    return bm.from_draws("y ~ x", ROWS, family="student_t", beta=np.ones((1, values.size, 2)), aux=aux)


@pytest.mark.parametrize(("q", "nearest"), [(0.03, 0.0), (0.998, 1.0)])
def test_a_quantile_that_rounds_to_the_end_of_the_support_is_that_end(q: float, nearest: float) -> None:
    """Of a beta response with small shapes; over new groups and over the fitted ones."""
    sign = -1.0 if nearest == 0.0 else 1.0
    post = bm.from_draws(
        "y ~ x + (1 | g)",
        ROWS.assign(y=0.5),
        family="beta",
        link="probit",
        beta=sign * np.array([[[2.35, 0.0]]]),
        b={"g": sign * np.array([[[[-0.6], [0.1], [1.5]]]])},
        Sigma={"g": np.full((1, 1, 1, 1), 0.26)},
        aux={"phi": np.array([[2.57]])},
    )
    for groups in ("new", "existing"):
        beyond = bm.predictions(post, target=bm.exceeds(1e-300 if nearest == 0.0 else 1 - 1e-15), groups=groups)
        assert ((beyond["estimate"] < 1 - q) == (nearest == 0.0)).all()
        found = bm.predictions(post, target=bm.quantile(q), groups=groups)["estimate"]
        np.testing.assert_allclose(found, nearest, atol=1e-15)


def test_t_has_no_variance_with_two_degrees_of_freedom_and_no_mean_with_one() -> None:
    """Infinite and not a large number; beside it stands what exists."""
    found = bm.avg_predictions(_t([1.5, 2.0, 4.0]), target=bm.sd())["estimate"].values.ravel()
    np.testing.assert_allclose(found, [np.inf, np.inf, 0.5 * np.sqrt(2.0)], rtol=1e-14)
    with pytest.warns(bm.BayesmarginsWarning, match=r"nu is 1 or less in 2 of 3 draws: y has no mean there"):
        post = _t([0.8, 1.0, 4.0])
    median, centre = (bm.predictions(post, target=t)["estimate"].values for t in (bm.quantile(0.5), "mean"))
    np.testing.assert_allclose(median, centre, rtol=1e-14)


def test_means_that_no_gamma_has_are_refused() -> None:
    """Under the identity link b can lead below 0, where the mean is a number and nothing else of y is."""
    b = np.array([[[[-0.1], [0.0], [0.1]], [[-4.0], [1.0], [3.0]]]])
    post = bm.from_draws(
        "y ~ x + (1 | g)",
        ROWS,
        family="gamma",
        link="identity",
        beta=np.array([[[3.0, 0.0]] * 2]),
        b={"g": b},
        Sigma={"g": np.array([[[[0.01]], [[4.0]]]])},
        aux={"shape": np.ones((1, 2))},
    )
    np.testing.assert_array_equal(bm.avg_predictions(post)["estimate"], [[3.0, 3.0]])
    for target in (bm.exceeds(1.0), bm.quantile(0.5)):
        with pytest.raises(bm.PosteriorError, match=r"share of up to 0\.0668 of the groups .* \(in 6 of 12 pairs"):
            bm.avg_predictions(post, target=target)
    with pytest.raises(bm.PosteriorError, match="is below 0 in 1 draws, down to -1"):
        bm.posterior_predictive(post)
    np.testing.assert_array_equal(post.log_likelihood()["y"][0, 1] == -np.inf, ROWS["g"] == "a")
    assert np.isfinite(bm.avg_predictions(post, target=bm.exceeds(1.0), groups="zero")["estimate"]).all()


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_default_priors_of_a_measurement_know_its_unit(unit: float) -> None:
    prior = bm.GLMM("y ~ x", ROWS.assign(y=unit * ROWS["y"]), family="gamma").priors["Intercept"]
    assert prior.parameters["mu"] == pytest.approx(np.log(unit * ROWS["y"].mean()), rel=1e-12)


@pytest.mark.usefixtures("uncompiled")
def test_a_factor_may_be_called_like_a_parameter() -> None:
    """Its dimension gets another name, so that both have a place in a file, and in ArviZ's groups."""
    data = ROWS.assign(y=ROWS["y"] / 3.0)
    prior = bm.GLMM("y ~ x + (1 | phi)", data, family="beta").prior(draws=5, random_seed=1)
    assert prior.b["phi"].dims == ("chain", "draw", "data_phi", "phi_term")
    assert prior.idata is not None
    assert bm.avg_predictions(prior, groups="own")["estimate"].shape == (1, 5)
    assert bm.GLMM("nu ~ x", ROWS.rename(columns={"y": "nu"}), family="student_t").prior(draws=2).response_name == "nu_"
