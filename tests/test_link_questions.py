"""Every family under each of its links answers the package's questions, or refuses them in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmargins as bm
from bayesmargins.family import FAMILIES, LINKS

GROUPS = ("new", "own", "existing", "zero")
RARE = (
    "loglog",
    "cauchit",
    "sqrt",
    "softplus",
    "inverse",
    "1/mu^2",
    "identity",
)  # other tests ask under the usual ones
PAIRS = [(f.name, link) for f in FAMILIES.values() for link in f.links if link in RARE]
# A family of each kind under each link: positive, counts, shares, categories, a location. The others ask under a usual
# link in `test_families`, and under these in the evidence.
ASKED = {
    "identity": ("asymmetric_laplace", "gamma", "lognormal", "poisson"),
    "loglog": ("bernoulli", "beta", "cumulative"),
    "cauchit": ("bernoulli", "cumulative"),
    "inverse": ("gamma", "gaussian"),
    "softplus": ("gamma", "poisson"),
    "1/mu^2": ("inverse_gaussian",),
    "sqrt": ("negbinomial", "poisson"),
}
CASES = [pytest.param(n, link, marks=[] if n in ASKED[link] else pytest.mark.evidence) for n, link in PAIRS]
# What the prior of a location may lead to: the mean of a gamma below 0, say.
IN_WORDS = (bm.EstimandError, bm.PosteriorError, bm.IntegrationError)


def posterior(name: str, link: str) -> bm.Posterior:
    """Draws near linear predictors that the family can have, with groups."""
    family, rng, n = FAMILIES[name], np.random.default_rng(6), 40
    data = pd.DataFrame({"g": np.repeat([*"abcdefgh"], 5), "x": rng.normal(size=n), "t": np.resize(["a", "b"], n)})
    start = {"sqrt": 2.0, "inverse": 1.2, "1/mu^2": 1.2, "identity": 4.0}.get(link, 0.3)
    aux: dict[str, Any] = {p: np.full((1, 6), {"nu": 9.0, "phi": 4.0}.get(p, 0.8)) for p in family.numbers}
    y = np.resize([1.0, 2.0, 3.0, 2.0], n)
    if family.ordinal:
        aux["thresholds"] = np.tile([-0.5, 0.7], (1, 6, 1))
    else:
        y = y if family.support.holds(_outcome(y, n)).all() else np.resize([0.0, 1.0, 1.0], n)
        y = y if family.support.holds(_outcome(y, n)).all() else np.resize([0.2, 0.7, 0.6], n)
    lhs = "y | trials(n)" if family.support.counts_trials else "y"
    beta = np.array([start, 0.06, 0.1]) + 0.01 * rng.normal(size=(1, 6, 3))
    return bm.from_draws(
        f"{lhs} ~ x + t + (1 | g)",
        data.assign(y=y, n=7),
        family=name,
        link=link,
        beta=beta[..., 1:] if family.ordinal else beta,
        b={"g": 0.05 * rng.normal(size=(1, 6, 8, 1))},
        Sigma={"g": np.full((1, 6, 1, 1), 0.0025)},
        aux=aux,
    )


def _outcome(y: np.ndarray, n: int) -> Any:
    from bayesmargins.family import Outcome

    return Outcome(y, np.full(n, 7.0))


def answered(question: Callable[[], Any]) -> Any:
    """The answer; None where it was refused in words."""
    try:
        return question()
    except IN_WORDS:
        return None


@pytest.mark.filterwarnings("ignore::bayesmargins.BayesmarginsWarning")  # of b = 0, and of effects narrower than Sigma
@pytest.mark.parametrize(("name", "link"), CASES)
def test_questions_are_answered_or_refused_in_words(name: str, link: str) -> None:
    post, family = posterior(name, link), FAMILIES[name]
    targets = (
        ["category", bm.score()] if family.ordinal else ["mean", "link", bm.exceeds(0.5), bm.sd(), bm.quantile(0.6)]
    )
    unanswered = []
    for groups in GROUPS:
        for target in targets:
            how = {"groups": groups, "target": target}
            asked: dict[str, Callable[[], Any]] = {
                "rows": lambda how=how: bm.predictions(post, **how),
                "average": lambda how=how: bm.avg_predictions(post, **how),
                "difference": lambda how=how: bm.avg_comparisons(post, "t", **how),
                "slope": lambda how=how: bm.avg_slopes(post, "x", **how),
            }
            for what, question in asked.items():
                found = answered(question)
                if found is not None:
                    assert np.isfinite(found["estimate"].values).all(), (groups, target, what)
                    assert bm.describe(found)
                elif what != "slope" or target in ("mean", "link", "category"):
                    unanswered.append((groups, str(target)))
    reciprocal = bool(LINKS[link].no_average)
    assert {groups for groups, _ in unanswered} == ({"new"} if reciprocal else set())
    assert all(target != "link" for _, target in unanswered)


@pytest.mark.filterwarnings("ignore::bayesmargins.BayesmarginsWarning")
@pytest.mark.parametrize(("name", "link"), CASES)
def test_tables_of_groups_are_answered_or_refused_in_words(name: str, link: str) -> None:
    post = posterior(name, link)
    for question in (
        lambda: bm.marginal_coefficients(post),
        lambda: bm.marginal_coefficients(post, exponentiate=True),
        lambda: bm.attenuation(post, "t"),
        lambda: bm.variance_partition(post),
        lambda: bm.variance_partition(post, measure="median_ratio"),
        lambda: bm.heterogeneity(post, "t", over="g"),
        lambda: bm.avg_comparisons(post, "t", comparison="lnor"),
        lambda: bm.avg_comparisons(post, "t", comparison="ratio"),
    ):
        found = answered(question)
        if found is not None:
            assert np.isfinite(found["estimate"].values).all()
            assert bm.describe(found)
    assert np.isfinite(post.log_likelihood()["y"]).all()
    assert np.isfinite(bm.posterior_predictive(post, random_seed=1)["estimate"].values).all()


@pytest.mark.parametrize("link", ["loglog", "cauchit", "softplus", "sqrt"])
def test_new_groups_of_narrow_draws_are_the_average_over_many_simulated_ones(link: str) -> None:
    """The whole way from a posterior to a number, against a million groups."""
    family = "poisson" if link in ("softplus", "sqrt") else "bernoulli"
    post = posterior(family, link)
    b = 1.2 * np.random.default_rng(1).normal(size=(1, 6, 8, 1))
    wide = {"Sigma": {"g": np.full((1, 6, 1, 1), 1.44)}, "b": {"g": b}}
    post = bm.from_draws(post.formula, post.design.data, family=family, link=link, beta=post.beta.values, **wide)
    found = bm.predictions(post, post.design.data.head(1), groups="new")["estimate"].values.ravel()
    x = float(post.design.data.x[0])
    z = 1.2 * np.random.default_rng(3).standard_normal(1_000_000)
    for value, (one, slope, _) in zip(found, post.draws.beta, strict=True):
        simulated = LINKS[link].inverse(one + slope * x + z)
        assert abs(value - simulated.mean()) < 5.0 * simulated.std() / 1e3


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.filterwarnings("ignore:The response")  # made-up ones look like other families
@pytest.mark.parametrize(("name", "link"), [case for case in CASES if case.values[1] != "identity"])
def test_default_priors_know_the_scale_of_the_link(name: str, link: str) -> None:
    """The prior of the intercept is about g(mean of y), and finite for data that the family can have."""
    post = posterior(name, link)
    if FAMILIES[name].ordinal:
        return  # thresholds are their own
    model = bm.GLMM(post.formula, post.design.data, family=name, link=link)
    drawn = model.prior(draws=50, random_seed=1)
    assert np.isfinite(drawn.draws.beta).all()
    assert all(np.isfinite(v) for v in model.pymc.point_logps().values())
