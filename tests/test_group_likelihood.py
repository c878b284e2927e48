"""The likelihood of each group's rows without b: that of the dense normal distribution."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import bayesmargins as bm
from bayesmargins.family import Outcome, values_at
from bayesmargins.integrate.normal_groups import Effects, normal_groups


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("terms", [1, 2, 3])
def test_groups_have_the_density_of_the_dense_normal_distribution(terms: int, weighted: bool) -> None:
    rng = np.random.default_rng(terms)
    codes = np.concatenate([[0], rng.integers(1, 150, 600), [150, 150]])  # one row, some, and more than one block
    n = len(codes)
    x = rng.normal(2010, 3, n)
    F = np.column_stack([np.ones(n), x, x**2, codes % 2])
    W = np.column_stack([np.ones(n), (x - 2010) / 3, rng.normal(size=n)])[:, :terms]
    weights = rng.uniform(0.5, 3, n) if weighted else None
    y = x + rng.normal(size=n)
    groups = normal_groups(y, F, Effects(W, codes, 152), (), weights)
    phi = groups.centre + rng.normal(size=(3, 4)) / np.abs(F).max(axis=0)
    L, sigma = np.tril(rng.normal(size=(3, terms, terms))), np.exp(rng.normal(size=3))
    found = groups.by_group(phi, [L], {"sigma": sigma})
    w = np.ones(n) if weights is None else weights
    for d in range(3):
        for g in [0, 1, 2, 149, 150]:
            own = codes == g
            V = W[own] @ L[d] @ L[d].T @ W[own].T + np.diag(sigma[d] ** 2 / w[own])
            expected = stats.multivariate_normal.logpdf(y[own], F[own] @ phi[d], V)
            # A weight w is w rows of one density.
            one = np.log(2 * np.pi * sigma[d] ** 2)
            expected += 0.5 * (one - np.log(w[own])).sum() - 0.5 * w[own].sum() * one
            assert found[d, g] == pytest.approx(expected, rel=1e-8)
        assert found[d, 151] == 0.0


def _data() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    g = np.concatenate([["a"], rng.choice(list("bcdefgh"), 59)])
    year = rng.integers(1990, 2020, 60).astype(float)
    y = np.exp(rng.normal(size=60)) + 1
    return pd.DataFrame({"y": y, "year": year, "x": rng.normal(size=60), "o": rng.normal(size=60), "g": g})


def _posterior(
    family: str, formula: str = "y ~ x + I(year**2) + offset(o) + (1 + x | g)", **changed: Any
) -> bm.Posterior:
    rng = np.random.default_rng(6)
    root = np.tril(rng.normal(size=(2, 5, 2, 2)))
    root[0, 0, :, 1] = root[0, 1] = 0.0  # a correlation of 1, and no variance at all
    draws = {
        "beta": rng.normal(size=(2, 5, 3)) * [1, 1, 1e-7],
        "b": {"g": rng.normal(size=(2, 5, 8, 2))},
        "Sigma": {"g": root @ root.swapaxes(-1, -2)},
        "aux": {"sigma": np.exp(rng.normal(size=(2, 5)))},
    }
    return bm.from_draws(formula, _data(), family=family, **{**draws, **changed})


@pytest.mark.filterwarnings("ignore::bayesmargins.BayesmarginsWarning")
@pytest.mark.parametrize("family", ["gaussian", "lognormal"])
def test_a_posterior_has_the_log_likelihood_of_its_groups(family: str) -> None:
    post, data = _posterior(family), _data()
    found = post.log_likelihood_groups
    assert found.dims == ("chain", "draw", "g")
    assert list(found["g"].to_numpy()) == list("abcdefgh")
    assert post.log_likelihood_groups is found
    rows = post.design.rows(data)
    y, volume = (data["y"], 0.0) if family == "gaussian" else (np.log(data["y"]), -np.log(data["y"]))
    for chain, draw in [(0, 0), (0, 1), (0, 2), (1, 4)]:
        one = {"chain": chain, "draw": draw}
        mean = rows.X @ post.beta.isel(one).to_numpy() + rows.offset
        Sigma, sigma = post.Sigma["g"].isel(one).to_numpy(), float(post.aux["sigma"].isel(one))
        for g in "abh":
            own = (data["g"] == g).to_numpy()
            Z = rows.Z["g"][own]
            V = Z @ Sigma @ Z.T + sigma**2 * np.eye(own.sum())
            expected = stats.multivariate_normal.logpdf(y[own], mean[own], V) + np.sum(volume * own)
            assert float(found.isel(one).sel(g=g)) == pytest.approx(expected, rel=1e-8)


@pytest.mark.filterwarnings("ignore::bayesmargins.BayesmarginsWarning")
@pytest.mark.parametrize(("family", "link"), [("negbinomial", "log"), ("cumulative", "probit")])
def test_groups_of_other_families_are_integrated_over_their_effect(family: str, link: str) -> None:
    """Against SciPy's quadrature of the families' own log densities."""
    rng, data = np.random.default_rng(11), _data()
    data["k"] = rng.integers(0, 4, 60) + (1 if family == "cumulative" else 0)
    ordered = family == "cumulative"
    aux = {"thresholds": np.sort(rng.normal(size=(1, 2, 3)))} if ordered else {"shape": np.exp(rng.normal(size=(1, 2)))}
    beta = rng.normal(size=(1, 2, 1 if ordered else 2))
    post = bm.from_draws(
        "k ~ x + offset(o) + (1 | g)", data, family=family, link=link, beta=beta,
        b={}, Sigma={"g": np.exp(rng.normal(size=(1, 2, 1, 1)))}, aux=aux,
    )  # fmt: skip
    found, rows = post.log_likelihood_groups, post.design.rows(data)
    for d in range(2):
        eta = rows.X @ post.beta.to_numpy()[0, d] + rows.offset
        s = float(post.Sigma["g"].to_numpy()[0, d].item()) ** 0.5
        own = {name: values.to_numpy()[0, d] for name, values in post.aux.items()}
        for g in "abh":
            i = (data["g"] == g).to_numpy()
            of_group = partial(_with_effect, post, Outcome(post.design.response.y[i]), eta[i], s, own)
            exact = integrate.quad(of_group, -9, 9, epsabs=0, epsrel=1e-10, limit=400)[0]
            assert float(found[0, d].sel(g=g)) == pytest.approx(np.log(exact), rel=1e-6)


def _with_effect(post: bm.Posterior, o: Outcome, eta: np.ndarray, s: float, own: dict[str, Any], z: float) -> float:
    """Density of a group's rows and of its standardised effect z."""
    density = post.family.log_density(values_at(post.link, eta + s * z, own), o)  # type: ignore[misc]
    return float(np.exp(density.sum()) * stats.norm.pdf(z))


@pytest.mark.filterwarnings("ignore::bayesmargins.BayesmarginsWarning")
def test_leaving_groups_out_goes_by_arviz() -> None:
    import xarray as xr
    from arviz_stats import loo

    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(30), 5)
    data = pd.DataFrame({"y": rng.normal(size=30)[g] + rng.normal(size=150), "g": [f"g{k}" for k in g]})
    shape = (4, 500)
    near = {
        "beta": rng.normal(0, 0.2, (*shape, 1)),
        "b": {"g": rng.normal(size=(*shape, 30, 1))},
        "Sigma": {"g": np.exp(rng.normal(0, 0.3, (*shape, 1, 1)))},
        "aux": {"sigma": np.exp(rng.normal(0, 0.05, shape))},
    }
    post = bm.from_draws("y ~ 1 + (1 | g)", data, family="gaussian", **near)
    groups = xr.DataTree.from_dict({
        "posterior": post.parameters, "log_likelihood": post.log_likelihood_groups.to_dataset(),
    })  # fmt: skip
    left_out = loo(groups, pointwise=True)
    assert left_out.n_data_points == 30
    # Each group's rows given all others, by weighing draws: what PSIS smooths.
    values = post.log_likelihood_groups.to_numpy().reshape(-1, 30)
    plain = -np.log(np.mean(np.exp(-values), axis=0)).sum()
    assert left_out.elpd == pytest.approx(plain, abs=1.0)
    assert left_out.elpd < np.log(np.exp(values).mean(axis=0)).sum()


@pytest.mark.filterwarnings("ignore::bayesmargins.BayesmarginsWarning")
def test_what_has_no_closed_form_is_refused_with_the_reason() -> None:
    rng = np.random.default_rng(7)
    shape = (2, 5)
    post = _posterior("gaussian")
    crossed = bm.from_draws(
        "y ~ x + (1 | g) + (1 | h)", _data().assign(h=["u", "v"] * 30), family="gaussian",
        beta=rng.normal(size=(*shape, 2)), b={}, Sigma={k: np.ones((*shape, 1, 1)) for k in "gh"},
        aux={"sigma": np.ones(shape)},
    )  # fmt: skip
    counts = bm.from_draws(
        "k ~ x + (1 + x + o | g)", _data().assign(k=1), family="poisson",
        beta=rng.normal(size=(*shape, 2)), b={}, Sigma={"g": np.ones((*shape, 1, 1)) * np.eye(3)},
    )  # fmt: skip
    for bad, why in [
        (crossed, "it has 2 grouping factors, and one is needed"),
        (counts, "3 effects of each group take an integral in as many dimensions"),
        (dataclasses.replace(post, aux={}), "draws of 'sigma'"),
    ]:
        with pytest.raises(bm.PosteriorError, match=why):
            _ = bad.log_likelihood_groups
    with bm.options(memory=100), pytest.raises(bm.PosteriorError, match="takes 640 bytes"):
        _ = _posterior("gaussian").log_likelihood_groups
