"""Zeros and ones beyond two cut points: against quadrature at 30 digits, Kubinec's density, and laws."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import bayesmargins as bm
from bayesmargins.family import FAMILIES, LINKS, Outcome, values_at

N, DRAWS = 10, 3
AUX = {"phi": 5.0, "cutzero": -1.2, "cutone": 0.8}


def frame(n: int = N) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    y = np.resize([0.0, 0.3, 1.0, 0.6, 0.8], n)
    return pd.DataFrame({"y": y, "x": rng.normal(size=n), "g": np.resize([*"cab"], n)})


def given() -> dict[str, Any]:
    rng = np.random.default_rng(4)
    aux = {name: np.full((1, DRAWS), value) + 0.1 * rng.random((1, DRAWS)) for name, value in AUX.items()}
    return {
        "beta": rng.normal(size=(1, DRAWS, 2)),
        "b": {"g": 0.8 * rng.normal(size=(1, DRAWS, 3, 1))},
        "Sigma": {"g": rng.uniform(0.3, 2.0, size=(1, DRAWS, 1, 1))},
        "aux": aux,
    }


@pytest.fixture(scope="module")
def post() -> bm.Posterior:
    return bm.from_draws("y ~ x + (1 | g)", frame(), family="ordered_beta", **given())


def test_log_density_is_that_of_ordbetareg() -> None:
    """Its Stan code, in SciPy: the second cut point lies exp(cutone) above the first."""
    family, eta = FAMILIES["ordered_beta"], np.array([-30.0, -2.0, 0.3, 1.5, 40.0])
    low, high = AUX["cutzero"], AUX["cutzero"] + np.exp(AUX["cutone"])
    p = values_at(LINKS["logit"], eta, AUX)
    np.testing.assert_allclose(family.log_density(p, Outcome(np.zeros(5))), special.log_expit(low - eta), rtol=1e-10)
    np.testing.assert_allclose(family.log_density(p, Outcome(np.ones(5))), special.log_expit(eta - high), rtol=1e-10)
    x = eta[1:4]  # beyond, SciPy's difference has no digits left
    mu, between = special.expit(x), special.expit(x - low) - special.expit(x - high)
    wanted = np.log(between) + stats.beta.logpdf(0.7, mu * AUX["phi"], (1.0 - mu) * AUX["phi"])
    np.testing.assert_allclose(family.log_density(p, Outcome(np.full(5, 0.7)))[1:4], wanted, rtol=1e-10)


def _over_groups(what: str, eta: float, s: float, aux: dict[str, float]) -> float:
    """At 30 digits: the mean, P(y = 0) or P(y = 1)."""
    with mp.workdps(30):
        low = mp.mpf(aux["cutzero"])
        high = low + mp.exp(mp.mpf(aux["cutone"]))

        def h(x: Any) -> Any:
            return 1 / (1 + mp.exp(-x))

        def at(z: Any) -> Any:
            x = mp.mpf(eta) + mp.mpf(s) * z
            one, between = h(x - high), h(x - low) - h(x - high)
            return {"mean": one + between * h(x), "zero": h(low - x), "one": one}[what]

        return float(mp.quad(lambda z: at(z) * mp.npdf(z), [-12, -6, -3, 0, 3, 6, 12]))


@pytest.mark.parametrize(
    ("what", "target"), [("mean", None), ("zero", bm.equals(0)), ("one", bm.equals(1))], ids=["mean", "zero", "one"]
)
def test_averages_over_new_groups_equal_quadrature_at_30_digits(post: bm.Posterior, what: str, target: Any) -> None:
    found = bm.predictions(post, frame().head(2), target=target)["estimate"].to_numpy()[0]
    made = given()
    for draw in range(DRAWS):
        aux = {name: float(values[0, draw]) for name, values in made["aux"].items()}
        for row in range(2):
            eta = float(made["beta"][0, draw] @ [1.0, frame()["x"][row]])
            wanted = _over_groups(what, eta, float(np.sqrt(made["Sigma"]["g"][0, draw, 0, 0])), aux)
            assert found[draw, row] == pytest.approx(wanted, rel=1e-11)


def test_the_mean_given_b_and_its_slope(post: bm.Posterior) -> None:
    """The mean is one average with a bound, so that it has slopes too."""
    data, h = frame(), 1e-5
    for groups in ("new", "own", "existing"):
        mean = bm.predictions(post, data, groups=groups)
        assert mean.attrs["error_bound"] < 1e-12
        up, low = (
            bm.predictions(post, data.assign(x=data["x"] + step), groups=groups)["estimate"].to_numpy()
            for step in (h, -h)
        )
        slope = bm.slopes(post, "x", newdata=data, groups=groups)["estimate"].to_numpy()
        np.testing.assert_allclose(slope.reshape(up.shape), (up - low) / (2 * h), atol=1e-9)
    made, eta = given(), given()["beta"][0] @ np.stack([np.ones(N), data["x"]])
    low, width = (made["aux"][name][0][:, None] for name in ("cutzero", "cutone"))
    one, zero = special.expit(eta - low - np.exp(width)), special.expit(low - eta)
    wanted = one + (1.0 - zero - one) * special.expit(eta)
    found = bm.predictions(post, data, groups="zero")["estimate"].to_numpy()[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_many_rows_go_through_tables_and_say_the_same(post: bm.Posterior) -> None:
    data = frame(400)
    asked = bm.predictions(post, data)
    assert "table" in asked.attrs["integration_method"]
    many = asked["estimate"].to_numpy()
    few = np.concatenate(
        [bm.predictions(post, data.iloc[k : k + 50])["estimate"].to_numpy() for k in range(0, 400, 50)], 2
    )
    np.testing.assert_allclose(many, few, rtol=1e-11)


def test_zeros_ones_and_what_is_between_add_up(post: bm.Posterior) -> None:
    zero, one, above = (
        bm.predictions(post, target=target)["estimate"].to_numpy()
        for target in (bm.equals(0), bm.equals(1), bm.exceeds(0))
    )
    np.testing.assert_allclose(zero + above, 1.0, rtol=1e-12)
    assert (one < above).all()


def test_what_is_described_by_one_inverse_link_is_refused(post: bm.Posterior) -> None:
    with pytest.raises(bm.EstimandError, match="by an inverse link"):
        bm.marginal_coefficients(post)


def test_ordbetareg_draws_are_read_as_they_are(post: bm.Posterior) -> None:
    made = given()
    table = {
        ".chain": np.ones(DRAWS, dtype=int),
        "b_Intercept": made["beta"][0, :, 0],
        "b_x": made["beta"][0, :, 1],
        "sd_g__Intercept": np.sqrt(made["Sigma"]["g"][0, :, 0, 0]),
        **{name: values[0] for name, values in made["aux"].items()},
    }
    read = bm.from_brms(pd.DataFrame(table), "y ~ x + (1 | g)", frame(), family="ord_beta_reg")
    np.testing.assert_allclose(
        bm.predictions(read)["estimate"].to_numpy(), bm.predictions(post)["estimate"].to_numpy(), rtol=1e-13
    )


@pytest.mark.sampling
@pytest.mark.evidence
def test_a_fit_recovers_what_made_the_proportions() -> None:
    rng, groups, rows = np.random.default_rng(7), 50, 12
    g, x = np.repeat(np.arange(groups), rows), rng.normal(size=groups * rows)
    eta = 0.4 + 0.8 * x + 0.7 * rng.normal(size=groups)[g]
    y = FAMILIES["ordered_beta"].simulate(rng, values_at(LINKS["logit"], eta, AUX), Outcome())
    data = pd.DataFrame({"y": y, "x": x, "g": g})
    post = bm.GLMM("y ~ x + (1 | g)", data, family="ordered_beta").fit(random_seed=1, chains=2, progressbar=False)
    draws = np.column_stack(
        [post.draws.beta, np.sqrt(post.draws.Sigma["g"][:, 0, 0]), *(post.draws.aux[k] for k in AUX)]
    )
    truth = np.array([0.4, 0.8, 0.7, *AUX.values()])
    assert (np.abs(draws.mean(axis=0) - truth) < 3.5 * draws.std(axis=0)).all()
    found = float(bm.avg_predictions(post, groups="own")["estimate"].mean())
    assert found == pytest.approx(y.mean(), abs=0.02)


@pytest.mark.parametrize("sd", [0.8, 6.5])
def test_the_scatter_over_new_groups_is_that_of_a_dense_sum(sd: float) -> None:
    """Groups far apart too, whose responses are nearly all 0 or 1."""
    aux = {"phi": 1.4, "cutzero": -1.1, "cutone": 0.4}
    rows = pd.DataFrame({"y": [0.2, 0.7, 0.0, 1.0], "g": list("aabb")})
    given = {"beta": np.full((1, 1, 1), 0.3), "Sigma": {"g": np.full((1, 1, 1, 1), sd**2)}}
    post = bm.from_draws(
        "y ~ 1 + (1 | g)", rows, family="ordered_beta", aux={k: np.full((1, 1), v) for k, v in aux.items()}, **given
    )
    found = float(bm.predictions(post, rows.head(1), target=bm.sd())["estimate"].squeeze())
    z = np.linspace(-10.0, 10.0, 4001)
    eta, w = 0.3 + sd * z, np.exp(-0.5 * z**2)
    w /= w.sum()
    high, mu = aux["cutzero"] + np.exp(aux["cutone"]), special.expit(eta)
    zero, one = special.expit(aux["cutzero"] - eta), special.expit(eta - high)
    inside, square = (1.0 - zero - one), mu * (mu + (1.0 - mu) / (1.0 + aux["phi"]))
    mean = w @ (one + inside * mu)
    assert found == pytest.approx(np.sqrt(w @ (one + inside * square) - mean**2), rel=1e-6)
