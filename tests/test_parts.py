"""Parameters beside the mean with linear predictors of their own, against the formulas written out."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import bayesmargins as bm

CHAINS, DRAWS = 2, 20
G, H = list("abcdef"), list("uvw")
RNG = np.random.default_rng(41)
N = 40
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "k": RNG.poisson(4, N),
        "x": RNG.normal(size=N),
        "z": RNG.normal(size=N),
        "g": np.resize(G, N),
        "h": np.resize(H, N),
    }
)
CODES = {"g": np.resize(np.arange(6), N), "h": np.resize(np.arange(3), N)}


def draws(*shape: int, scale: float = 0.4, seed: int = 1) -> np.ndarray:
    return scale * np.random.default_rng([seed, *shape]).normal(size=(CHAINS, DRAWS, *shape))


def covariance(q: int, seed: int = 1) -> np.ndarray:
    root = draws(q, q, seed=seed) + 0.3 * np.eye(q)
    return np.asarray(root @ np.swapaxes(root, -1, -2))


def gaussian(sigma: dict[str, Any] | None, link: str = "identity", **more: Any) -> bm.Posterior:
    """Mean: x, with intercepts and slopes by g."""
    given = {
        "family": "gaussian",
        "link": link,
        "beta": draws(2),
        "b": {"g": draws(6, 2)},
        "Sigma": {"g": covariance(2)},
        "parts": None if sigma is None else {"sigma": sigma},
    }
    return bm.from_draws("y ~ x + (1 + x | g)", DATA, **{**given, **more})


def counts(shape: dict[str, Any]) -> bm.Posterior:
    return bm.from_draws(
        "k ~ x + (1 | g)",
        DATA,
        family="negbinomial",
        beta=draws(2) + 1.0,
        b={"g": draws(6, 1)},
        Sigma={"g": covariance(1)},
        parts={"shape": shape},
    )


FIXED = {"formula": "~ z", "beta": draws(2, seed=3)}
GROUPED = {
    "formula": "sigma ~ z + (1 + z | h)",
    "beta": draws(2, seed=3),
    "b": {"h": draws(3, 2, seed=4)},
    "Sigma": {"h": covariance(2, seed=5)},
}
SHARED = {
    "formula": "~ z + (1 | g)",
    "beta": draws(2, seed=3),
    "b": {"g": draws(6, 1, seed=4)},
    "Sigma": {"g": covariance(1, seed=5)},
}


def flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, *values.shape[2:])


def values(ds: Any) -> np.ndarray:
    return flat(ds["estimate"].to_numpy())


BETA, B, SIGMA = flat(draws(2)), flat(draws(6, 2)), flat(covariance(2))
GAMMA, C, OMEGA = flat(draws(2, seed=3)), flat(draws(3, 2, seed=4)), flat(covariance(2, seed=5))
X = np.column_stack([np.ones(N), DATA["x"]])
Z = np.column_stack([np.ones(N), DATA["z"]])
MU0, MU = BETA @ X.T, BETA @ X.T + np.einsum("snq,nq->sn", B[:, CODES["g"]], X)
S2 = np.einsum("nq,spq,np->sn", X, SIGMA, X)
LOG0, LOG = GAMMA @ Z.T, GAMMA @ Z.T + np.einsum("snq,nq->sn", C[:, CODES["h"]], Z)
T2 = np.einsum("nq,spq,np->sn", Z, OMEGA, Z)


# The parameter itself


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ("new", np.exp(LOG0 + T2 / 2)),
        ("own", np.exp(LOG)),
        ("zero", np.exp(LOG0)),
        ("existing", np.exp(LOG0 + np.einsum("slq,nq->lsn", C, Z)).mean(axis=0)),
    ],
)
def test_the_parameter_is_averaged_as_a_mean_is(groups: str, expected: np.ndarray) -> None:
    found = bm.predictions(gaussian(GROUPED), target="sigma", groups=groups)
    np.testing.assert_allclose(values(found), expected, rtol=1e-12)


def test_named_groups_of_a_factor_that_only_the_parameter_has() -> None:
    found = bm.predictions(gaussian(GROUPED), target="sigma", groups={"h": ["w", "u"]})
    assert found["h"].values.tolist() == ["w", "u"]
    for level, ds in (("w", found.sel(h="w")), ("u", found.sel(h="u"))):
        expected = np.exp(LOG0 + np.einsum("sq,nq->sn", C[:, H.index(level)], Z))
        np.testing.assert_allclose(values(ds), expected, rtol=1e-12)


def test_slopes_and_comparisons_of_the_parameter() -> None:
    post = gaussian(GROUPED)
    mean = np.exp(LOG0 + T2 / 2)
    slope = mean * (GAMMA[:, 1:] + OMEGA[:, 0, 1:] + OMEGA[:, 1:, 1] * Z[:, 1])
    np.testing.assert_allclose(values(bm.avg_slopes(post, "z", target="sigma"))[:, 0], slope.mean(axis=1), rtol=1e-10)
    up = np.column_stack([np.ones(N), DATA["z"] + 1.0])
    moved = np.exp(GAMMA @ up.T + np.einsum("nq,spq,np->sn", up, OMEGA, up) / 2)
    found = bm.avg_comparisons(post, "z", target="sigma", comparison="ratio")
    np.testing.assert_allclose(values(found)[:, 0], moved.mean(axis=1) / mean.mean(axis=1), rtol=1e-12)


def test_how_an_effect_on_the_parameter_varies_between_groups() -> None:
    post = gaussian(SHARED)
    row = DATA.head(1)
    s2 = flat(covariance(1, seed=5))[:, 0, 0]
    found = bm.attenuation(post, estimand="predictions", newdata=row, target="sigma").sel(groups="new / zero")
    np.testing.assert_allclose(values(found), np.exp(s2 / 2), rtol=1e-12)
    varying = bm.heterogeneity(post, {"z": (0, 1)}, target="sigma", newdata=row, random_seed=1).sel(statistic="mean")
    beta = flat(SHARED["beta"])  # type: ignore[arg-type]
    expected = (np.exp(beta.sum(axis=1)) - np.exp(beta[:, 0])) * np.exp(s2 / 2)
    np.testing.assert_allclose(values(varying)[:, 0], expected, rtol=1e-6)


def test_a_part_is_a_posterior_that_can_be_asked_itself() -> None:
    post = gaussian(GROUPED)
    part = post.parts["sigma"]
    np.testing.assert_array_equal(values(bm.predictions(part)), values(bm.predictions(post, target="sigma")))
    linked = bm.predictions(part, target="link", groups="own")
    np.testing.assert_allclose(values(linked), LOG, rtol=1e-12, atol=1e-14)
    assert bm.describe(linked).startswith("Linear predictor (log scale) of sigma of y, for each of")


# The mean alone


@pytest.mark.parametrize("target", ["mean", "link"])
@pytest.mark.parametrize("groups", ["new", "own", "existing", "zero", "sample", {"g": ["b"]}])
def test_the_mean_does_not_depend_on_the_parameter(target: str, groups: Any) -> None:
    with_part, without = gaussian(SHARED, "log"), gaussian(None, "log")
    asked = {"target": target, "groups": groups, "random_seed": 3}
    np.testing.assert_array_equal(*(values(bm.predictions(p, **asked)) for p in (with_part, without)))
    only = DATA[["x", "g"]]  # no column of the parameter
    np.testing.assert_array_equal(
        values(bm.predictions(with_part, only, **asked)), values(bm.predictions(without, only, **asked))
    )


# Both together


def test_tails_quantiles_and_spread_where_b_is_given() -> None:
    post = gaussian(GROUPED)
    y = stats.norm(MU, np.exp(LOG))
    own: dict[str, Any] = {"groups": "own"}
    np.testing.assert_allclose(values(bm.predictions(post, target=bm.exceeds(0.7), **own)), y.sf(0.7), rtol=1e-11)
    np.testing.assert_allclose(values(bm.predictions(post, target=bm.quantile(0.9), **own)), y.ppf(0.9), rtol=1e-9)
    np.testing.assert_allclose(values(bm.predictions(post, target=bm.sd(), **own)), y.std(), rtol=1e-12)
    at_zero = bm.predictions(post, target=bm.exceeds(0.7), groups={"g": "own", "h": "zero"})
    np.testing.assert_allclose(values(at_zero), stats.norm(MU, np.exp(LOG0)).sf(0.7), rtol=1e-11)


def test_new_groups_of_the_mean_beside_given_groups_of_the_parameter() -> None:
    found = bm.predictions(gaussian(GROUPED), target=bm.exceeds(0.7), groups={"g": "new", "h": "own"})
    expected = stats.norm(MU0, np.sqrt(S2 + np.exp(2 * LOG))).sf(0.7)
    np.testing.assert_allclose(values(found), expected, rtol=1e-11)
    named = bm.predictions(gaussian(GROUPED), target=bm.sd(), groups={"g": "new", "h": ["v"]}).isel(h=0)
    sigma = np.exp(LOG0 + np.einsum("sq,nq->sn", C[:, 1], Z))
    np.testing.assert_allclose(values(named), np.sqrt(S2 + sigma**2), rtol=1e-12)


SOME = [(0, 0), (3, 7), (11, 20), (39, 39), (17, 2)]


def by_quad(f: Any, eta: float, s: float) -> float:
    found, _ = integrate.quad(
        lambda u: f(eta + s * u) * stats.norm.pdf(u), -12, 12, epsabs=1e-13, epsrel=1e-12, limit=400
    )
    return float(found)


def test_new_groups_with_a_sigma_of_each_row_equal_quadrature() -> None:
    found = values(bm.predictions(gaussian(FIXED, "log"), target=bm.exceeds(1.3)))
    for s, n in SOME:
        sigma = np.exp(LOG0[s, n])
        expected = by_quad(lambda v, sigma=sigma: stats.norm.sf(1.3, np.exp(v), sigma), MU0[s, n], np.sqrt(S2[s, n]))
        assert found[s, n] == pytest.approx(expected, rel=1e-9)


def test_new_groups_with_a_shape_of_each_row_equal_quadrature_and_closed_form() -> None:
    post = counts(FIXED)
    eta, s2, shape = (BETA + 1.0) @ X.T, flat(covariance(1))[:, :, 0], np.exp(LOG0)
    found = values(bm.predictions(post, target=bm.exceeds(4)))
    for s, n in SOME:
        k = shape[s, n]
        expected = by_quad(lambda v, k=k: stats.nbinom.sf(4, k, k / (k + np.exp(v))), eta[s, n], np.sqrt(s2[s, 0]))
        assert found[s, n] == pytest.approx(expected, rel=1e-9)
    first, second = np.exp(eta + s2 / 2), np.exp(2 * eta + 2 * s2)
    variance = first + second * (1 + 1 / shape) - first**2
    np.testing.assert_allclose(values(bm.predictions(post, target=bm.sd())), np.sqrt(variance), rtol=1e-11)
    few = DATA.head(5)
    q = values(bm.predictions(post, few, target=bm.quantile(0.8)))
    above = [values(bm.predictions(post, few, target=bm.exceeds(c))) for c in (q.min() - 1, q.max())]
    assert (above[0] >= 0.2).all()
    assert (above[1] <= 0.2).all()


def test_effects_through_the_parameter_alone() -> None:
    found = bm.avg_comparisons(gaussian(FIXED), {"z": (0, 1)}, target=bm.exceeds(0.7), groups="own")
    sides = [stats.norm(MU, np.exp(GAMMA @ [1.0, v])[:, None]).sf(0.7).mean(axis=1) for v in (0.0, 1.0)]
    np.testing.assert_allclose(values(found)[:, 0], sides[1] - sides[0], rtol=1e-9, atol=1e-13)
    cube = bm.avg_predictions(gaussian(FIXED), at={"z": [0, 1]}, target=bm.exceeds(0.7), groups="own")
    np.testing.assert_allclose(values(cube), np.stack(sides, axis=1), rtol=1e-11)


def test_sampled_groups_have_their_own_b_in_each_linear_predictor() -> None:
    post = gaussian(SHARED)
    asked: dict[str, Any] = {"groups": "sample", "random_seed": 8}
    mu = values(bm.predictions(post, **asked))
    sigma = values(bm.predictions(post, target="sigma", **asked))
    tail = values(bm.predictions(post, target=bm.exceeds(0.7), **asked))
    np.testing.assert_allclose(tail, stats.norm(mu, sigma).sf(0.7), rtol=1e-11)
    many = bm.from_draws(
        "y ~ 1 + (1 | g)",
        DATA,
        family="gaussian",
        beta=np.zeros((1, 4000, 1)),
        Sigma={"g": np.ones((1, 4000, 1, 1))},
        parts={
            "sigma": {
                "formula": "~ 1 + (1 | g)",
                "beta": np.zeros((1, 4000, 1)),
                "Sigma": {"g": np.ones((1, 4000, 1, 1))},
            }
        },
    )
    one = DATA.head(1)
    b = values(bm.predictions(many, one, **asked))[:, 0]
    c = np.log(values(bm.predictions(many, one, target="sigma", **asked))[:, 0])
    assert abs(np.corrcoef(b, c)[0, 1]) < 4 / np.sqrt(4000)
    assert stats.kstest(c, "norm").pvalue > 0.01


def test_log_likelihood_has_the_parameter_of_each_row() -> None:
    found = gaussian(GROUPED).log_likelihood()["y"].to_numpy()
    np.testing.assert_allclose(flat(found), stats.norm(MU, np.exp(LOG)).logpdf(DATA["y"]), rtol=1e-11)


def test_new_observations_scatter_with_the_parameter_of_each_row() -> None:
    found = values(bm.posterior_predictive(gaussian(GROUPED), random_seed=2))
    standard = (found - MU) / np.exp(LOG)
    assert stats.kstest(standard.ravel(), "norm").pvalue > 0.01
    assert np.corrcoef(np.abs(found - MU).ravel(), np.exp(LOG).ravel())[0, 1] > 0.3


def test_new_observations_of_counts_scatter_with_the_shape_of_each_row() -> None:
    n = 4000
    post = bm.from_draws(
        "k ~ 1",
        DATA,
        family="negbinomial",
        beta=np.full((1, n, 1), 2.0),
        parts={"shape": {"formula": "~ x", "beta": np.broadcast_to([0.5, 0.8], (1, n, 2))}},
    )
    rows = pd.DataFrame({"x": [-1.0, 0.0, 2.0]})
    found = values(bm.posterior_predictive(post, rows, random_seed=1))
    mu, shape = np.exp(2.0), np.exp(0.5 + 0.8 * rows["x"].to_numpy())
    law = stats.nbinom(shape, shape / (shape + mu))
    error = np.sqrt(law.var() / n)
    assert (np.abs(found.mean(axis=0) - mu) < 4 * error).all()
    kurtosis = law.stats(moments="k") + 2
    assert (np.abs(found.var(axis=0) / law.var() - 1) < 4 * np.sqrt(kurtosis / n)).all()


def test_shares_of_variance_average_the_variance_of_each_row() -> None:
    found = bm.variance_partition(gaussian(FIXED))
    within, between = np.exp(2 * LOG0).mean(axis=1), S2.mean(axis=1)
    assert found["quantity"].values[0] == "VPC of g, response scale"
    np.testing.assert_allclose(values(found)[:, 0], between / (between + within), rtol=1e-11)
    assert found.attrs["left_out"].startswith("the link scale, which under the identity is the response scale")
    left = bm.variance_partition(counts(FIXED))
    assert set(left["scale"].values) == {"response"}
    assert "'shape' differs by row" in left.attrs["left_out"]


@pytest.mark.parametrize("link", ["log", "identity"])
@pytest.mark.parametrize("target", ["mean", "sigma", bm.exceeds(0.3), bm.quantile(0.8), bm.sd()], ids=str)
@pytest.mark.parametrize("groups", ["new", "existing", "own", "zero", "sample"])
def test_an_intercept_alone_is_one_number_a_draw(link: str, target: Any, groups: Any) -> None:
    sigma = np.exp(draws(1, seed=6))
    beta = np.log(sigma) if link == "log" else sigma
    part = gaussian({"formula": "~ 1", "link": link, "beta": beta}, "log")
    number = gaussian(None, "log", aux={"sigma": sigma[..., 0]})
    # "own" and its like are for the mean's groups; an intercept alone has none
    if target == "sigma":
        np.testing.assert_allclose(
            values(bm.predictions(part, target=target)), values(bm.predictions(number, target=target)), rtol=1e-14
        )
        return
    asked = {"target": target, "groups": groups, "random_seed": 5}
    one, other = (values(bm.predictions(p, DATA.head(6), **asked)) for p in (part, number))
    np.testing.assert_allclose(one, other, rtol=1e-12)


def test_an_intercept_alone_changes_no_likelihood_observation_or_share() -> None:
    sigma = np.exp(draws(1, seed=6))
    part = gaussian({"formula": "~ 1", "link": "identity", "beta": sigma})
    number = gaussian(None, aux={"sigma": sigma[..., 0]})
    np.testing.assert_array_equal(*(p.log_likelihood()["y"].to_numpy() for p in (part, number)))
    np.testing.assert_array_equal(*(values(bm.posterior_predictive(p, random_seed=1)) for p in (part, number)))
    np.testing.assert_allclose(*(values(bm.variance_partition(p)) for p in (part, number)), rtol=1e-12)


# Keeping and showing


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    post = gaussian({**GROUPED, "correlated": ["h"]})
    post.save(tmp_path / "fit.nc")
    back = bm.load(tmp_path / "fit.nc")
    assert repr(back) == repr(post)
    assert back.fingerprint == post.fingerprint
    assert back.parts["sigma"].info == post.parts["sigma"].info
    for target in ("sigma", bm.exceeds(0.2)):
        np.testing.assert_array_equal(*(values(bm.predictions(p, target=target, groups="own")) for p in (back, post)))


def test_names_fingerprint_and_words() -> None:
    post, other = gaussian(GROUPED), gaussian({**GROUPED, "beta": draws(2, seed=9)})
    shown = post.parameters
    assert {"beta", "sd_g", "b_g", "sigma_beta", "sigma_sd_h", "sigma_cor_h", "sigma_b_h"} <= set(shown)
    assert shown["sigma_beta"].dims == ("chain", "draw", "sigma_coef")
    assert shown["sigma_b_h"].dims == ("chain", "draw", "h", "sigma_h_term")
    assert post.fingerprint != other.fingerprint
    assert "sigma ~ z + (1 + z | h), link log" in repr(post)
    assert set(bm.datagrid(post)) == {"x", "z"}
    alone = bm.avg_predictions(post, target="sigma")
    assert alone.attrs["target"] == "sigma"
    assert alone.attrs["formula"] == "y ~ x + (1 + x | g)"
    assert alone.attrs["link"] == "log"
    assert bm.describe(alone) == (
        "Average parameter sigma of y, over the 40 rows of the data; integrated over new groups of h, which makes it a "
        "population average."
    )
    assert bm.describe(bm.avg_predictions(gaussian(FIXED), target="sigma")).endswith(
        "of the data; sigma has no groups."
    )
    both = bm.describe(bm.avg_predictions(post, target=bm.sd(), groups="own"))
    assert both.endswith("sigma of each row by its own linear predictor (sigma ~ z + (1 + z | h), log link).")
    with pytest.warns(bm.BayesmarginsWarning, match="mean over posterior draws may not exist"):
        bm.summary(alone, point="mean")


def test_a_row_that_lacks_a_value_of_the_parameter_is_missing() -> None:
    rows = DATA.head(3).assign(z=[0.1, np.nan, 0.3])
    for found in (
        lambda: bm.predictions(gaussian(FIXED), rows, target=bm.exceeds(0)),
        lambda: bm.posterior_predictive(gaussian(FIXED), rows, random_seed=1),
    ):
        with pytest.warns(bm.BayesmarginsWarning, match="1 of 3 rows of newdata have missing values"):
            assert np.isnan(values(found())).all(axis=0).tolist() == [False, True, False]
    with pytest.raises(bm.DataError, match="missing values"):
        bm.avg_predictions(gaussian(FIXED), rows, target=bm.exceeds(0))
    assert np.isfinite(values(bm.predictions(gaussian(FIXED), rows))).all()


# What is refused


@pytest.mark.parametrize(
    ("ask", "error", "said"),
    [
        (lambda p: bm.avg_predictions(p, groups={"g": "new", "h": "own"}), bm.GroupsError, "names 'h', whose effects"),
        (lambda p: bm.avg_predictions(p, target="sigma", groups={"g": "own"}), bm.GroupsError, "names 'g', whose effe"),
        (lambda p: bm.avg_predictions(p, target=bm.sd(), groups={"g": "own"}), bm.GroupsError, "leaves out 'h'"),
        (lambda p: bm.posterior_predictive(p, groups="new"), bm.GroupsError, "averages over g, h"),
        (lambda p: bm.variance_partition(p), bm.EstimandError, "some act on 'sigma' too"),
        (lambda p: bm.variance_partition(p.parts["sigma"]), bm.EstimandError, "ask the posterior as a whole"),
        (lambda p: bm.posterior_predictive(p.parts["sigma"]), bm.PosteriorError, "no response that is observed"),
        (lambda p: p.parts["sigma"].log_likelihood(), bm.PosteriorError, "no response that is observed"),
        (lambda p: p.parts["sigma"].save("part.nc"), bm.PosteriorError, "save that, as a whole"),
        (
            lambda p: bm.predictions(p, DATA[["x", "g", "h"]], target=bm.sd(), groups="own"),
            bm.DataError,
            r"'sigma ~ z \+ \(1 \+ z \| h\)' needs the column 'z'",
        ),
        (lambda p: bm.avg_predictions(p, target="shape"), bm.EstimandError, "its parameter is 'sigma'"),
        (lambda p: bm.avg_comparisons(p, "z"), bm.EstimandError, "target=mean does not depend on 'sigma'.*target='sig"),
        (lambda p: bm.avg_slopes(p, ["x", "z"]), bm.EstimandError, "variables names 'z', which 'sigma ~ z .* reads"),
        (lambda p: bm.avg_predictions(p, at={"z": [0.0]}), bm.EstimandError, "at names 'z', which 'sigma ~ z .* reads"),
        (
            lambda p: bm.heterogeneity(p, "x", target=bm.sd()),
            bm.EstimandError,
            "it depends on 2 linear predictors, those of 'mu', 'sigma'",
        ),
    ],
)
def test_what_cannot_be_asked_says_so(ask: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        ask(gaussian(GROUPED))


def test_correlated_effects_cannot_be_drawn_one_by_one() -> None:
    post = gaussian({**SHARED, "correlated": "g"})
    with pytest.raises(bm.GroupsError, match="these correlations were not given with the draws"):
        bm.avg_predictions(post, target=bm.exceeds(1), groups="sample")
    with pytest.raises(bm.GroupsError, match="about new groups of 'g', whose effects on these are correlated"):
        bm.avg_predictions(post, target=bm.exceeds(1), groups="new")
    for target in ("mean", "sigma"):  # each alone has no need of them
        bm.avg_predictions(post, target=target, groups="sample", random_seed=1)
    bm.avg_predictions(post, target=bm.exceeds(1), groups="own")


def test_an_identity_link_below_zero_is_refused_where_y_is_needed_and_said_elsewhere() -> None:
    post = gaussian({**FIXED, "link": "identity"})
    with pytest.raises(bm.PosteriorError, match=r"linear predictor of 'sigma'.* is not above 0 in \d+ of"):
        bm.avg_predictions(post, target=bm.exceeds(1), groups="own")
    below = int((LOG0 <= 0).sum())
    said = f"'sigma' has the identity link and is not above 0 in {below:,} of {LOG0.size:,} pairs of a draw and a row"
    with pytest.warns(bm.BayesmarginsWarning, match=said):
        found = bm.predictions(post, target="sigma")
    np.testing.assert_allclose(values(found), LOG0, rtol=1e-12, atol=1e-15)
    for question in (bm.avg_predictions, lambda p, **k: bm.avg_comparisons(p, "z", **k)):
        with pytest.warns(bm.BayesmarginsWarning, match="'sigma' has the identity link and is not above 0 in"):
            question(post, target="sigma")
    of_log, above = gaussian(FIXED), gaussian({**FIXED, "link": "identity", "beta": np.abs(FIXED["beta"])})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bm.avg_predictions(of_log, target="sigma")
        bm.avg_predictions(above, pd.DataFrame({"z": [1.0]}), target="sigma")


@pytest.mark.parametrize(
    ("parts", "error", "said"),
    [
        ({"sgma": FIXED}, bm.PosteriorError, "parts names 'sgma'.*Did you mean 'sigma'"),
        ({"sigma": "~ z"}, bm.PosteriorError, r"parts\['sigma'\] is str; it must be a dict"),
        ({"sigma": {"formula": "~ z"}}, bm.PosteriorError, r"parts\['sigma'\] lacks 'beta'"),
        ({"sigma": {**FIXED, "sd": 1}}, bm.PosteriorError, r"parts\['sigma'\] has 'sd'; it takes"),
        ({"sigma": {**FIXED, "formula": "z"}}, bm.FormulaError, "0 '~'"),
        ({"sigma": {**FIXED, "formula": "y ~ z"}}, bm.FormulaError, "left of its '~' stands 'sigma', or nothing"),
        ({"sigma": {**FIXED, "formula": "~ y"}}, bm.FormulaError, "it would explain itself"),
        ({"sigma": {**FIXED, "link": "logit"}}, bm.ModelError, "does not take link='logit'; allowed are log, identity"),
        ({"sigma": {**FIXED, "beta": draws(3)}}, bm.PosteriorError, r"parts\['sigma'\]\['beta'\] has the shape"),
        ({"sigma": {**FIXED, "beta": draws(2)[:1]}}, bm.PosteriorError, r"parts\['sigma'\]\['beta'\] has the shape"),
        ({"sigma": {**FIXED, "Sigma": {"h": covariance(1)}}}, bm.PosteriorError, r"\['Sigma'\] names 'h'"),
        ({"sigma": {**SHARED, "Sigma": None}}, bm.PosteriorError, r"\['Sigma'\] leaves out 'g'"),
        ({"sigma": {**SHARED, "correlated": ["h"]}}, bm.PosteriorError, r"\['correlated'\] names 'h'"),
        ({"sigma": {**FIXED, "formula": "~ w"}}, bm.DataError, "'w'"),
        ({"sigma": None}, bm.PosteriorError, r"\['sigma'\] is NoneType; .*=\{'formula': '~ x', 'beta': array\}"),
        ({"sigma": {**SHARED, "correlated": None}}, bm.PosteriorError, r"\['correlated'\] is None; it must be a list"),
        (
            {"sigma": {**FIXED, "beta": "abc"}},
            bm.PosteriorError,
            r"\['beta'\] is an array .* such as 'abc'",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        gaussian(None, parts=parts)


def test_draws_take_the_formula_of_the_outcome_alone() -> None:
    both = {"y": "y ~ x", "sigma": "~ z"}
    with pytest.raises(bm.FormulaError, match="Formulas of parameters stand beside their draws: parts="):
        bm.from_draws(both, DATA, family="gaussian", beta=np.zeros((1, 3, 2)))


def test_a_parameter_is_a_number_or_has_a_formula() -> None:
    with pytest.raises(bm.PosteriorError, match=r"parts\['sigma'\] and aux\['sigma'\] are both there"):
        gaussian(FIXED, aux={"sigma": np.ones((CHAINS, DRAWS))})


@pytest.mark.parametrize("beta", ["abc", [["a"]], [[1.0], [1.0, 2.0]], object()])
def test_draws_that_are_no_numbers_are_refused(beta: Any) -> None:
    with pytest.raises(bm.PosteriorError, match=r"beta is .*(no real numbers, such as|which makes no array)"):
        bm.from_draws("y ~ 1", levels={}, family="gaussian", beta=beta)


def test_without_rows_a_part_is_refused() -> None:
    given = {"beta": np.zeros((1, 5, 1)), "parts": {"sigma": {"formula": "~ 1", "beta": np.zeros((1, 5, 1))}}}
    with pytest.raises(bm.DataError, match="formula of 'sigma' needs the fitted rows: give data= in place of levels="):
        bm.from_draws("y ~ 1", levels={}, family="gaussian", **given)


def test_slopes_of_a_parameter_are_labelled_by_it() -> None:
    post = gaussian(GROUPED)
    labels = {
        "dsigma/dz": lambda: bm.avg_slopes(post, "z", target="sigma"),
        "esigma/dz": lambda: bm.avg_slopes(post, "z", target="sigma", slope="eydx"),
        "d2sigma/dz2": lambda: bm.avg_slopes(post, "z", target="sigma", second="z"),
        "dY/dx": lambda: bm.avg_slopes(post, "x"),
    }
    assert [found()["contrast"].item() for found in labels.values()] == list(labels)
    varies = bm.heterogeneity(post, "z", estimand="slopes", target="sigma", points=64, random_seed=1)
    assert varies["contrast"].item() == "dsigma/dz"


def test_what_has_no_groups_is_named() -> None:
    post = gaussian(GROUPED)
    assert "groups of h" not in bm.describe(bm.avg_predictions(post))
    said = bm.describe(bm.avg_predictions(post, target=bm.sd(), groups="zero"))
    assert "at b = 0 for g, a group at the centre of the distribution, which leaves out how groups differ (" in said
    assert "at b = 0 for h, a group at the centre of the distribution, which leaves out how groups differ (" in said
    flat = bm.from_draws("y ~ x", DATA, family="gaussian", beta=draws(2), parts={"sigma": GROUPED})
    for groups in ("new", "existing", "own"):
        assert bm.describe(bm.avg_predictions(flat, groups=groups)).endswith("; the mean has no groups.")
    without = bm.from_draws("y ~ x", DATA, family="gaussian", beta=draws(2), parts={"sigma": FIXED})
    assert bm.describe(bm.avg_predictions(without)).endswith("; the model has no groups.")


def test_heterogeneity_of_a_parameter_says_what_it_is_and_what_it_is_not() -> None:
    post = gaussian(GROUPED)
    said = bm.describe(bm.heterogeneity(post, "z", target="sigma", points=64, random_seed=1))
    assert said.startswith("Distribution over new groups of h")
    assert "copies of the 40 rows of the data; over groups, in each draw" in said
    with pytest.raises(bm.EstimandError, match=r"target=exceeds\(0\): how an effect differs between groups"):
        bm.heterogeneity(post, "x", target=bm.exceeds(0))
