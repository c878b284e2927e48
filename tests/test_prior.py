"""Draws of the prior: they have the distribution that the model prints, and every margin takes them."""

from __future__ import annotations

from pathlib import Path

import arviz as az
import naive
import numpy as np
import pymc as pm
import pytest
import reference
from interpreted import uncompiled
from scipy import stats
from test_margins import simulated, values
from test_results import QUESTIONS

import bayesmargins as bm
from bayesmargins.model import sampling

pytestmark = pytest.mark.usefixtures("uncompiled")


@pytest.fixture(scope="module")
def prior() -> bm.Posterior:
    with uncompiled():
        return _model().prior(draws=2000, random_seed=1)


def _model() -> bm.GLMM:
    return bm.GLMM("y ~ x + f + (1 + x | g) + (1 | h)", simulated(), "bernoulli")


def test_draws_have_the_distribution_of_the_stated_priors(prior: bm.Posterior) -> None:
    """In the coordinates that they are stated in, which a QR decomposition gives up to signs; x has a mean near 0."""
    model, n = _model(), len(simulated())
    X, x = model.design.rows(simulated()).X, simulated().x.to_numpy()
    mean = prior.draws.beta @ X.mean(axis=0)
    columns = X[:, 1:] - X[:, 1:].mean(axis=0)
    directions = prior.draws.beta[:, 1:] @ (np.linalg.qr(columns)[1] / np.sqrt(n)).T
    back = np.array([[1, -x.mean() / x.std()], [0, 1 / x.std()]])
    Sigma = np.linalg.inv(back) @ prior.draws.Sigma["g"] @ np.linalg.inv(back).T
    sd = np.sqrt(np.diagonal(Sigma, axis1=1, axis2=2))
    stated = {name: model.priors[name].parameters for name in ("Intercept", "beta", "sd_g", "sd_h")}
    found = {
        "Intercept": (mean, stats.norm(stated["Intercept"]["mu"], stated["Intercept"]["sigma"])),
        **{f"direction {j}": (directions[:, j], stats.norm(0, stated["beta"]["sigma"])) for j in range(3)},
        **{f"sd {j}": (sd[:, j], stats.halfnorm(scale=stated["sd_g"]["sigma"])) for j in range(2)},
        "sd_h": (np.sqrt(prior.draws.Sigma["h"][:, 0, 0]), stats.halfnorm(scale=stated["sd_h"]["sigma"])),
        "cor": (Sigma[:, 0, 1] / sd.prod(axis=1), stats.beta(2, 2, loc=-1, scale=2)),
    }
    p = {name: stats.kstest(sample, dist.cdf).pvalue for name, (sample, dist) in found.items()}
    assert min(p.values()) > 1e-3, p


def test_group_effects_are_standard_normal_once_sigma_is_divided_out(prior: bm.Posterior) -> None:
    root = np.linalg.cholesky(prior.draws.Sigma["g"])
    z = np.linalg.solve(root[:, None], prior.draws.b["g"][..., None])
    assert stats.kstest(z.ravel()[::7], "norm").pvalue > 1e-3


def test_same_seed_same_draws_another_seed_others(prior: bm.Posterior) -> None:
    again, other = (_model().prior(draws=50, random_seed=s) for s in (1, 2))
    np.testing.assert_array_equal(_model().prior(draws=50, random_seed=1).draws.beta, again.draws.beta)
    assert not np.allclose(again.draws.beta, other.draws.beta)


def test_few_draws_are_those_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few are taken without a compiler; a truncated prior holds a graph of its own."""
    priors = {"beta": pm.Truncated.dist(pm.Normal.dist(0.0, 1.0), lower=-1.0, upper=2.0)}
    model = bm.GLMM("y ~ x + f + (1 + x | g) + (1 | h)", simulated(), "bernoulli", priors=priors)
    quick = model.prior(draws=20, random_seed=1).draws
    monkeypatch.setattr(sampling, "_FEW", 0)
    other = model.prior(draws=20, random_seed=1).draws
    np.testing.assert_allclose(quick.beta, other.beta, rtol=1e-12, atol=1e-14)
    for factor in ("g", "h"):
        np.testing.assert_allclose(quick.b[factor], other.b[factor], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("groups", ["new", "existing", "own", "zero"])
def test_margins_of_a_prior_are_those_of_plain_numpy(groups: str) -> None:
    prior = bm.GLMM("y ~ x + (1 + x | g)", simulated(), "bernoulli").prior(draws=20, random_seed=1)
    part, draws = prior.design.data.iloc[:5], prior.draws
    X = np.column_stack([np.ones(5), part.x])
    rows = naive.Rows(X, X, prior.design.factors["g"].codes[:5])
    found = values(bm.predictions(prior, part, groups=groups))[0]
    expected = [
        naive.mean(rows, draws.beta[k], draws.b["g"][k], draws.Sigma["g"][k], "logit", groups) for k in range(20)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_results_of_a_prior_say_so_everywhere(prior: bm.Posterior, tmp_path: Path) -> None:
    ds = bm.avg_comparisons(prior, "x", groups="sample", random_seed=1)
    assert "under the prior, before any data" in bm.describe(ds)
    assert "drawn for each prior draw" in bm.describe(ds)
    assert ds.attrs["draws"] == "prior"
    assert repr(prior).startswith("Prior of y ~ x")
    prior.save(tmp_path / "prior.nc")
    loaded = bm.load(tmp_path / "prior.nc")
    assert loaded.kind == "prior"
    np.testing.assert_array_equal(values(bm.avg_predictions(loaded)), values(bm.avg_predictions(prior)))


@pytest.fixture(scope="module")
def bacteria() -> bm.Posterior:
    post = reference.posterior("b_bacteria")
    return bm.GLMM(post.formula, post.design.data, family="bernoulli").prior(draws=300, random_seed=1)


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_is_answered_for_a_prior(question: str, bacteria: bm.Posterior) -> None:
    ds = QUESTIONS[question](bacteria)
    assert bm.describe(ds).endswith("under the prior, before any data.")
    assert ds.attrs["draws"] == "prior"
    assert np.isfinite(ds["estimate"]).all()
    assert len(bm.summary(ds)) == ds["estimate"][0, 0].size


# "observations" are 0 and 1: no density.
@pytest.mark.parametrize("question", [q for q in QUESTIONS if q != "observations"])
def test_picture_of_prior_and_posterior_shows_the_numbers_of_both_tables(question: str, bacteria: bm.Posterior) -> None:
    prior, posterior = (QUESTIONS[question](p) for p in (bacteria, reference.posterior("b_bacteria")))
    ax = bm.plot_prior_posterior(prior, posterior, ci_prob=0.8)
    lines = {c.get_label(): c.lines[0].get_xdata().astype(float) for c in ax.containers}
    spans = {c.get_label(): np.array(c.lines[2][0].get_segments())[:, :, 0] for c in ax.containers}
    for name, ds in (("prior", prior), ("posterior", posterior)):
        table = bm.summary(ds, ci_prob=0.8)
        np.testing.assert_allclose(lines[name], table["median"])
        np.testing.assert_allclose(spans[name], table[["eti80_lb", "eti80_ub"]])
    low, high = ax.get_xlim()
    flat = posterior["estimate"].to_numpy()
    assert ((flat > low) & (flat < high)).mean() > 0.99
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["posterior", "prior"]


def test_picture_says_how_much_of_the_prior_lies_outside(bacteria: bm.Posterior) -> None:
    prior, posterior = (
        bm.avg_comparisons(p, "trt", comparison="or") for p in (bacteria, reference.posterior("b_bacteria"))
    )
    # Of a sharper posterior, of whose width four times do not reach as far as the prior.
    prior, posterior = ((d**power).assign_attrs(d.attrs) for d, power in ((prior, 1.01), (posterior, 0.2)))
    ax = bm.plot_prior_posterior(prior, posterior)
    low, high = ax.get_xlim()
    draws = prior["estimate"].to_numpy()
    share = 100 * ((draws < low) | (draws > high)).mean()
    interval = "median and 89% equal-tailed interval"
    assert [t.get_text() for t in ax.texts] == [f"{interval}; {share:.0f} % of the prior lies outside"]
    assert 5 < share < 50
    assert ax.get_lines()[-1].get_xdata()[0] == 1.0  # no effect, of a ratio


def test_picture_of_prior_and_posterior_refuses_what_does_not_belong_together(bacteria: bm.Posterior) -> None:
    post = reference.posterior("b_bacteria")
    prior, posterior = (bm.avg_comparisons(p, "trt") for p in (bacteria, post))
    with pytest.raises(bm.ResultError, match="prior's place holds a result of posterior draws"):
        bm.plot_prior_posterior(posterior, posterior)
    with pytest.raises(bm.ResultError, match="posterior's place holds a result of prior draws"):
        bm.plot_prior_posterior(prior, prior)
    with pytest.raises(bm.ResultError, match="different questions"):
        bm.plot_prior_posterior(prior, bm.avg_comparisons(post, "trt", groups="zero"))
    with pytest.raises(bm.ResultError, match="has the entries"):
        bm.plot_prior_posterior(prior, bm.avg_comparisons(post, {"trt": "pairwise"}))
    with pytest.raises(bm.ResultError, match="on the scales"):
        bm.plot_prior_posterior(prior, bm.avg_comparisons(post, "trt", comparison="or"))


@pytest.mark.parametrize("kind", ["prior", "posterior"])
def test_predictive_draws_are_shown_by_arviz(kind: str) -> None:
    post = reference.posterior("k_epil")
    if kind == "prior":
        post = bm.GLMM("k ~ x + (1 | g)", simulated(), "poisson").prior(draws=30, random_seed=1)
    drawn = bm.posterior_predictive(post, random_seed=1)
    names = post.idata.groups() if callable(post.idata.groups) else [g.strip("/") for g in post.idata.groups]
    assert {kind, f"{kind}_predictive", "observed_data"} <= set(names)
    assert {"prior", "posterior"} - {kind} - set(names)
    in_idata = post.idata[f"{kind}_predictive"][post.response_name]
    np.testing.assert_array_equal(in_idata.values, drawn["estimate"].values)
    if hasattr(az, "plot_ppc_dist"):
        az.plot_ppc_dist(post.idata, group=f"{kind}_predictive", num_samples=20, kind="ecdf")
    else:
        # Cumulative: a density of a draw that is 0 everywhere, which a wide prior makes, does not exist.
        az.plot_ppc(post.idata, group=kind, num_pp_samples=20, kind="cumulative")


def test_counts_of_a_wide_prior_stay_counts() -> None:
    """Under a log link some draws of the mean exceed what a generator of Poisson numbers takes."""
    data = simulated()
    prior = bm.GLMM("k ~ x + (1 + x | g)", data, "poisson").prior(draws=400, random_seed=1)
    wide = bm.from_draws(
        prior.formula, data, family="poisson", beta=prior.beta * 9, b=prior.b, Sigma=prior.Sigma
    )  # fmt: skip
    mean = values(bm.predictions(wide, groups="own"))
    drawn = values(bm.posterior_predictive(wide, random_seed=1))
    assert mean.max() > 1e19
    assert np.isfinite(drawn[np.isfinite(mean)]).all()


def test_number_of_draws_is_checked() -> None:
    with pytest.raises(bm.FitError, match="draws=0; it must be a whole number from 1"):
        _model().prior(draws=0)
