"""Own fits of four data sets: the posterior is brms's, and every margin is what plain NumPy and mpmath make of it.

The priors are those of the reference fits (`info.json`), whose means, sds and effective sample sizes are in
`posterior_summary.csv` (brms 2.18, 4,000 draws).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import mpmath
import naive
import numpy as np
import pandas as pd
import pytest
import reference
from scipy import stats

import bayesmargins as bm

pytestmark = pytest.mark.sampling

POLICIES = ["zero", "own", "existing", "new"]


def _priors(sd: float, beta: float, intercept: tuple[float, float], **more: Any) -> dict[str, Any]:
    import pymc as pm

    return {
        "Intercept": pm.Normal.dist(*intercept),
        "beta": pm.Normal.dist(0, beta),
        "sd": pm.HalfNormal.dist(sd),
        **{name: pm.HalfNormal.dist(scale) for name, scale in more.items()},
    }


PRIORS: dict[str, Callable[[], dict[str, Any]]] = {
    "b_bacteria": lambda: _priors(2, 2.5, (0, 5)),
    "c_cbpp": lambda: _priors(2, 2.5, (0, 5)),
    "d_sleep": lambda: _priors(50, 50, (300, 100), sigma=50) | {"cor": 2.0},
    "k_epil": lambda: _priors(2, 2.5, (0, 5)) | {"cor": 2.0},
}
SAMPLED = "k_epil"  # two effects of each subject, under a Poisson response, are not integrated out


def _marked(names: Iterable[str]) -> list[Any]:
    """A fit that samples the effects takes minutes."""
    return [pytest.param(name, marks=[pytest.mark.evidence] * (name == SAMPLED)) for name in names]


FITS = _marked(PRIORS)
SAID: dict[str, list[str]] = {}


@cache
def fit(name: str) -> bm.Posterior:
    case = reference.CASES[name]
    model = bm.GLMM(case.formula, reference.data(name), case.family, case.link, PRIORS[name]())
    # The counts of epil tie beta to the b of each subject: its draws are worth a third of the others'.
    draws = 3000 if name == SAMPLED else 1000
    # A processor's last digit decides which draws there are, and so whether one of thousands diverges or an r-hat is
    # just above 1.01. What a fit says of itself is held against its diagnostics; whether it is right, against brms.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        post = model.fit(draws=draws, tune=1000, chains=4, random_seed=20261122, progressbar=False)
    SAID[name] = [str(w.message) for w in caught if issubclass(w.category, bm.BayesmarginsWarning)]
    return post


def _brms_names(post: bm.Posterior, case: reference.Case) -> dict[str, np.ndarray]:
    """Draws (chain, draw) under the names of the summary."""
    draws = {f"b_{name}": post.beta.to_numpy()[..., j] for j, name in enumerate(case.beta)}
    draws |= {a: post.aux[a].to_numpy() for a in case.aux}
    for factor, terms in case.factors.items():
        Sigma, b = post.Sigma[factor].to_numpy(), post.b[factor].to_numpy()
        sd = np.sqrt(np.diagonal(Sigma, axis1=2, axis2=3))
        draws |= {f"sd_{factor}__{t}": sd[..., j] for j, t in enumerate(terms)}
        if len(terms) == 2:
            draws[f"cor_{factor}__{terms[0]}__{terms[1]}"] = Sigma[..., 0, 1] / (sd[..., 0] * sd[..., 1])
        for k, level in enumerate(post.design.factors[factor].levels):
            draws |= {f"r_{factor}[{level},{t}]": b[..., k, j] for j, t in enumerate(terms)}
    return draws


@pytest.mark.parametrize("name", FITS)
def test_posterior_agrees_with_brms_within_monte_carlo_error(name: str) -> None:
    assert fit(name).info["group_effects"] == ("sampled" if name == SAMPLED else "integrated")
    _agrees_with_brms(name, fit(name))


def test_independent_draws_agree_with_brms_within_monte_carlo_error() -> None:
    case = reference.CASES["d_sleep"]
    model = bm.GLMM(case.formula, reference.data("d_sleep"), case.family, case.link, PRIORS["d_sleep"]())
    post = model.fit(random_seed=20261122, sampler="independent", progressbar=False)
    assert post.info["sampler"] == "independent"
    _agrees_with_brms("d_sleep", post)


def _agrees_with_brms(name: str, post: bm.Posterior) -> None:
    from arviz_stats.base import array_stats

    draws = _brms_names(post, reference.CASES[name])
    table = pd.read_csv(reference.HERE / name / "posterior_summary.csv").set_index("variable")
    shared = [v for v in table.index if v in draws]
    assert len(shared) >= len(draws)
    ours = np.stack([draws[v] for v in shared], axis=-1)
    ess = array_stats.ess(ours, chain_axis=0, draw_axis=1, method="mean")
    error = np.sqrt(ours.var(axis=(0, 1)) / ess + table.loc[shared, "sd"] ** 2 / table.loc[shared, "ess_bulk"])
    apart = np.abs(ours.mean(axis=(0, 1)) - table.loc[shared, "mean"]) / error
    # Of right fits one in 10,000 fails, however many parameters are looked at.
    most = stats.norm.isf(1e-4 / 2 / len(shared))
    assert apart.max() < most, apart[apart >= most]


@pytest.mark.parametrize("name", FITS)
def test_fit_says_what_its_diagnostics_say_and_nothing_else(name: str) -> None:
    info, chains = fit(name).info, 4
    judged = {
        "diverged": info["divergences"] > 0,
        "r-hat is": info["max_rhat"] > 1.01,
        "effective sample size": info["min_ess"] < 100 * chains,
    }
    assert len(SAID[name]) == any(judged.values())
    assert {words: words in "".join(SAID[name]) for words in judged} == judged


@dataclass(frozen=True)
class Focus:
    """What is asked of a fit: the rows by hand, a contrast (variable, low, high) and the variable of a slope."""

    rows: Callable[[pd.DataFrame], tuple[np.ndarray, np.ndarray]]
    contrast: tuple[str, Any, Any]
    slope: str | None


def _columns(*columns: Any) -> np.ndarray:
    return np.column_stack([np.asarray(c, dtype=float) for c in columns])


def _bacteria(d: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    one = np.ones(len(d))
    return _columns(one, d.trt == "drug", d.trt == "drug+", d.week), one[:, None]


def _cbpp(d: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    one = np.ones(len(d))
    return _columns(one, d.period == "2", d.period == "3", d.period == "4"), one[:, None]


def _sleep(d: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    X = _columns(np.ones(len(d)), d.Days)
    return X, X


def _epil(d: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    one, trt = np.ones(len(d)), (d.trt == "progabide").astype(float)
    return _columns(one, d.lbase, trt, d.lage, d.per, d.lbase * trt), _columns(one, d.per)


FOCUS = {
    "b_bacteria": Focus(_bacteria, ("trt", "placebo", "drug"), "week"),
    "c_cbpp": Focus(_cbpp, ("period", "1", "2"), None),
    "d_sleep": Focus(_sleep, ("Days", 0, 9), "Days"),
    "k_epil": Focus(_epil, ("trt", "placebo", "progabide"), "per"),
}
FACTOR = {name: next(iter(case.factors)) for name, case in reference.CASES.items()}


def _rows(name: str, **changed: Any) -> naive.Rows:
    data = reference.data(name)
    focus, factor = FOCUS[name], FACTOR[name]
    levels = {level: k for k, level in enumerate(fit(name).design.factors[factor].levels)}
    codes = np.array([levels[g] for g in data[factor]])
    X, Z = focus.rows(data.assign(**changed))
    if focus.slope is None:
        return naive.Rows(X, Z, codes)
    up, down = (focus.rows(data.assign(**changed | {focus.slope: data[focus.slope] + d})) for d in (0.5, -0.5))
    return naive.Rows(X, Z, codes, up[0] - down[0], up[1] - down[1])


def _some_draws(post: bm.Posterior) -> list[int]:
    return list(np.linspace(0, len(post.draws.beta) - 1, 12).astype(int))


def _of_draw(name: str, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    post, factor = fit(name), FACTOR[name]
    return post.draws.beta[k], post.draws.b[factor][k], post.draws.Sigma[factor][k], post.link.name


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", FITS)
def test_predictions_of_every_policy_equal_plain_numpy(name: str, policy: str) -> None:
    post = fit(name)
    found = bm.predictions(post, groups=policy)["estimate"].to_numpy().reshape(len(post.draws.beta), -1)
    for k in _some_draws(post):
        expected = naive.mean(_rows(name), *_of_draw(name, k), policy)
        np.testing.assert_allclose(found[k], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", FITS)
def test_average_comparisons_of_every_policy_equal_plain_numpy(name: str, policy: str) -> None:
    post, (variable, low, high) = fit(name), FOCUS[name].contrast
    found = bm.avg_comparisons(post, {variable: (low, high)}, groups=policy)["estimate"].to_numpy().ravel()
    for k in _some_draws(post):
        sides = [naive.mean(_rows(name, **{variable: v}), *_of_draw(name, k), policy).mean() for v in (low, high)]
        np.testing.assert_allclose(found[k], sides[1] - sides[0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", _marked(n for n in PRIORS if FOCUS[n].slope))
def test_average_slopes_of_every_policy_equal_plain_numpy(name: str, policy: str) -> None:
    post, variable = fit(name), FOCUS[name].slope
    assert variable is not None
    found = bm.avg_slopes(post, variable, groups=policy)["estimate"].to_numpy().ravel()
    for k in _some_draws(post):
        expected = naive.slope(_rows(name), *_of_draw(name, k), policy).mean()
        np.testing.assert_allclose(found[k], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", FITS)
def test_integral_over_new_groups_equals_quadrature_to_30_digits(name: str) -> None:
    post = fit(name)
    rows, rng = _rows(name), np.random.default_rng(1)
    found = bm.predictions(post)["estimate"].to_numpy().reshape(len(post.draws.beta), -1)
    inverse = {"logit": lambda e: 1 / (1 + mpmath.exp(-e)), "log": mpmath.exp, "identity": lambda e: e}[post.link.name]
    for _ in range(5):
        k, r = rng.integers(found.shape[0]), rng.integers(found.shape[1])
        beta, _, Sigma, _ = _of_draw(name, k)
        eta, s2 = rows.X[r] @ beta, rows.Z[r] @ Sigma @ rows.Z[r]
        with mpmath.workdps(30):
            s = mpmath.sqrt(mpmath.mpf(s2))

            def integrand(z: mpmath.mpf, eta: float = eta, s: mpmath.mpf = s) -> mpmath.mpf:
                return inverse(eta + s * z) * mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi)

            exact = mpmath.quad(integrand, mpmath.linspace(-25, 25, 26))
            assert abs(exact - found[k, r]) <= 1e-10 * max(1, abs(exact))


@pytest.mark.parametrize("name", FITS)
def test_fit_keeps_what_arviz_needs(name: str) -> None:
    import arviz as az

    post = fit(name)
    table = az.summary(post.idata, var_names=["beta"])
    assert list(table.index) == [f"beta[{c}]" for c in post.design.coef]
    assert post.sample_stats is not None
    assert post.info["divergences"] == int(post.sample_stats["diverging"].sum())
    post.log_likelihood()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # high Pareto k of single observations, as the data have them
        loo = az.loo(post.idata)
    assert np.isfinite(loo["elpd_loo"] if "elpd_loo" in dir(loo) else loo.elpd)
