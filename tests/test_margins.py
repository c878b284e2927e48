"""Laws that margins obey, on stored draws: what must not change a number, and what must change it in a known way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
import xarray as xr
from scipy.special import expit

import bayesmargins as bm

POLICIES = ["new", "existing", "own", "zero"]


def simulated(**changed: Any) -> pd.DataFrame:
    """80 rows of everything: number, factor, 0/1, truth value, two crossed factors, a nested one, exposure, trials."""
    rng = np.random.default_rng(3)
    n = 80
    frame = pd.DataFrame(
        {
            "x": rng.normal(size=n).round(3),
            "f": rng.choice(["a", "b", "c"], n),
            "treated": rng.integers(0, 2, n),
            "flag": rng.random(n) < 0.5,
            "g": [f"g{k}" for k in rng.integers(0, 6, n)],
            "h": [f"h{k}" for k in rng.integers(0, 4, n)],
            "e": rng.uniform(0.5, 2, n).round(3),
            "n": rng.integers(1, 9, n),
            "w": rng.uniform(0.1, 1, n).round(3),
        }
    )
    frame["k"] = rng.binomial(frame.n, 0.4)
    frame["y"] = (frame.k > 0).astype(int)
    return frame.assign(**changed)


def random_posterior(formula: str, data: pd.DataFrame, family: str, link: str | None = None, seed: int = 0, **kw: Any):
    """A posterior with plausible random draws: the laws hold for any draws."""
    rng = np.random.default_rng(seed)
    design = bm.GLMM(formula, data, family, link).design
    b, Sigma = {}, {}
    for name, factor in design.factors.items():
        q = len(factor.terms)
        root = rng.normal(size=(2, 5, q, q)) * 0.6 + np.eye(q)
        Sigma[name] = root @ np.swapaxes(root, -1, -2)
        b[name] = rng.normal(size=(2, 5, len(factor.levels), q))
    beta = rng.normal(size=(2, 5, len(design.coef))) * 0.7
    aux = {p: np.full((2, 5), 1.3) for p in {"gaussian": ["sigma"], "negbinomial": ["shape"]}.get(family, [])}
    return bm.from_draws(formula, data, family=family, link=link, beta=beta, b=b, Sigma=Sigma, aux=aux, **kw)


def values(ds: xr.Dataset) -> np.ndarray:
    return ds["estimate"].to_numpy()


MODELS = [
    ("y ~ x * f + (1 | g)", "bernoulli", "logit"),
    ("y ~ x + treated + (1 + x | g)", "bernoulli", "cloglog"),
    ("y ~ x + f + (1 + x | g) + (1 | h)", "bernoulli", "probit"),
    ("k | trials(n) ~ x + flag + (x || g)", "binomial", "logit"),
    ("k ~ x + f + offset(log(e)) + (1 | g/h)", "poisson", "log"),
    ("k ~ x + (0 + x | g) + (1 | h)", "negbinomial", "log"),
    ("x ~ f + (1 | g) + (1 | g:h)", "gaussian", "identity"),
]


@pytest.mark.parametrize(("formula", "family", "link"), MODELS)
def test_average_is_the_mean_of_the_rows(formula: str, family: str, link: str) -> None:
    post = random_posterior(formula, simulated(), family, link)
    for policy in POLICIES:
        rows = values(bm.predictions(post, groups=policy))
        np.testing.assert_allclose(values(bm.avg_predictions(post, groups=policy)), rows.mean(axis=-1), rtol=1e-12)


@pytest.mark.parametrize(("formula", "family", "link"), MODELS)
def test_vanishing_variance_turns_new_into_zero(formula: str, family: str, link: str) -> None:
    post = random_posterior(formula, simulated(), family, link)
    still = bm.from_draws(
        formula, simulated(), family=family, link=link, beta=post.beta, b=post.b, aux=post.aux,
        Sigma={f: v * 0 for f, v in post.Sigma.items()},
    )  # fmt: skip
    for question in (lambda p, g: bm.predictions(p, groups=g), lambda p, g: bm.slopes(p, _number(p), groups=g)):
        if _number(post):
            np.testing.assert_allclose(values(question(still, "new")), values(question(still, "zero")), rtol=1e-12)


def _number(post: bm.Posterior) -> str:
    return "x" if "x" in post.design.columns else ""


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("formula", "family", "link"), [m for m in MODELS if "x ~" not in m[0]])
def test_slope_is_the_derivative_of_the_prediction(formula: str, family: str, link: str, policy: str) -> None:
    data = simulated()
    post = random_posterior(formula, data, family, link)
    step = 1e-3
    at = {k: values(bm.predictions(post, data.assign(x=data.x + k * step), groups=policy)) for k in (-2, -1, 1, 2)}
    numeric = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step)
    analytic = values(bm.slopes(post, "x", groups=policy))[:, :, 0]
    np.testing.assert_allclose(analytic, numeric, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    "transform", ["np.sin(x)", "x + I(x**2)", "poly(x, 3)", "bs(x, df=5)", "scale(x)", "log(x + 9)"]
)
def test_slope_through_a_transform_is_the_derivative_of_the_prediction(transform: str) -> None:
    data = simulated()
    post = random_posterior(f"y ~ {transform} + f + (1 | g)", data, "bernoulli")
    inner = data.sort_values("x").iloc[10:-10]
    step = 1e-4
    up, down = (values(bm.predictions(post, inner.assign(x=inner.x + d))) for d in (step, -step))
    found = values(bm.slopes(post, "x", newdata=inner))[:, :, 0]
    np.testing.assert_allclose(found, (up - down) / (2 * step), rtol=2e-5, atol=1e-7)
    edges = values(bm.slopes(post, "x", newdata=data.sort_values("x").iloc[[0, -1]]))
    assert np.isfinite(edges).all()


def test_rescaling_a_number_rescales_its_slope_only() -> None:
    data = simulated()
    post = random_posterior("y ~ x + f + (1 + x | g)", data, "bernoulli")
    scale = np.array([1.0, 100.0])
    coef = np.where(np.array(post.design.coef) == "x", 100.0, 1.0)
    cents = bm.from_draws(
        "y ~ x + f + (1 + x | g)", data.assign(x=data.x / 100), family="bernoulli",
        beta=post.beta.to_numpy() * coef, b={"g": post.b["g"].to_numpy() * scale},
        Sigma={"g": post.Sigma["g"].to_numpy() * np.outer(scale, scale)},
    )  # fmt: skip
    for policy in POLICIES:
        np.testing.assert_allclose(
            values(bm.avg_predictions(cents, by="f", groups=policy)),
            values(bm.avg_predictions(post, by="f", groups=policy)), rtol=1e-12,
        )  # fmt: skip
        np.testing.assert_allclose(
            values(bm.avg_slopes(cents, "x", groups=policy)), 100 * values(bm.avg_slopes(post, "x", groups=policy)),
            rtol=1e-10,
        )  # fmt: skip


def test_contrast_coding_does_not_change_predictions() -> None:
    """C(f, contr.sum) spans the same space: beta is transformed by the change of basis."""
    data = simulated()
    post = random_posterior("y ~ f + (1 | g)", data, "bernoulli")
    summed = bm.GLMM("y ~ C(f, contr.sum) + (1 | g)", data, "bernoulli").design
    X = post.design.rows(data).X
    change = np.linalg.lstsq(summed.rows(data).X, X, rcond=None)[0]
    other = bm.from_draws(
        "y ~ C(f, contr.sum) + (1 | g)", data, family="bernoulli", beta=post.beta.to_numpy() @ change.T, b=post.b,
        Sigma=post.Sigma,
    )  # fmt: skip
    for policy in POLICIES:
        a, b = (values(bm.avg_comparisons(p, "f", groups=policy)) for p in (post, other))
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


def test_order_of_rows_does_not_change_averages() -> None:
    post = reference.posterior("b_bacteria")
    shuffled = post.design.data.sample(frac=1, random_state=1)
    for policy in POLICIES:
        a, b = (values(bm.avg_predictions(post, d, by="trt", groups=policy)) for d in (None, shuffled))
        np.testing.assert_allclose(a, b, rtol=1e-13)


def test_flipping_successes_flips_the_probability() -> None:
    data = simulated()
    post = random_posterior("y ~ x + (1 + x | g)", data, "bernoulli")
    flipped = bm.from_draws(
        "y ~ x + (1 + x | g)", data.assign(y=1 - data.y), family="bernoulli", beta=-post.beta.to_numpy(),
        b={"g": -post.b["g"].to_numpy()}, Sigma=post.Sigma,
    )  # fmt: skip
    for policy in POLICIES:
        np.testing.assert_allclose(
            values(bm.predictions(flipped, groups=policy)), 1 - values(bm.predictions(post, groups=policy)), atol=1e-13
        )


def test_odds_ratio_of_a_rare_event_keeps_its_digits_on_both_sides() -> None:
    """P near 1 - 1e-13: 1 - P in floating point would have three digits left."""
    data = simulated()
    design_beta = np.broadcast_to([30.0, 0.7, 0.0, 0.0], (1, 2, 4))
    common = {"family": "bernoulli", "Sigma": {"g": np.full((1, 2, 1, 1), 0.25)}}
    high = bm.from_draws("y ~ x + f + (1 | g)", data, beta=design_beta, **common)
    low = bm.from_draws("y ~ x + f + (1 | g)", data, beta=-design_beta, **common)
    a, b = (values(bm.avg_comparisons(p, {"x": (0, 1)}, comparison="lnor")) for p in (high, low))
    np.testing.assert_allclose(a, -b, rtol=1e-12)
    np.testing.assert_allclose(a, 0.7, rtol=1e-9)


def test_existing_with_weights_of_rows_weighs_groups_by_their_rows() -> None:
    post = reference.posterior("b_bacteria")
    counts = np.bincount(post.design.factors["ID"].codes)
    row = post.design.data.head(1)
    named = values(bm.predictions(post, row, groups={"ID": list(post.design.factors["ID"].levels)}))[..., 0]
    equal = values(bm.predictions(post, row, groups="existing"))[..., 0]
    weighted = values(bm.predictions(post, row, groups="existing", group_weights="rows"))[..., 0]
    np.testing.assert_allclose(equal, named.mean(axis=-1), rtol=1e-12)
    np.testing.assert_allclose(weighted, named @ (counts / counts.sum()), rtol=1e-12)


def test_two_factors_take_different_policies() -> None:
    """own BROOD and new LOCATION, by hand: the log link has the closed form exp(eta + s2 / 2)."""
    post = reference.posterior("f_grouse")
    rows = post.design.rows(post.design.data)
    eta = post.draws.beta @ rows.X.T
    own = eta + post.draws.b["BROOD"][:, post.design.factors["BROOD"].codes, 0]
    expected = np.exp(own + post.draws.Sigma["LOCATION"][:, 0] / 2)
    found = values(bm.predictions(post, groups={"BROOD": "own", "LOCATION": "new"})).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_existing_crossed_factors_vary_over_the_combinations_seen() -> None:
    data = simulated()
    post = random_posterior("y ~ x + (1 | g) + (1 | h)", data, "bernoulli")
    seen = data[["g", "h"]].drop_duplicates()
    levels = {f: list(post.design.factors[f].levels) for f in ("g", "h")}
    eta = post.draws.beta @ post.design.rows(data).X.T
    mean = np.mean(
        [
            expit(
                eta + post.draws.b["g"][:, [levels["g"].index(g)], 0] + post.draws.b["h"][:, [levels["h"].index(h)], 0]
            )
            for g, h in seen.itertuples(index=False)
        ],
        axis=0,
    )
    found = values(bm.predictions(post, groups="existing")).reshape(mean.shape)
    np.testing.assert_allclose(found, mean, rtol=1e-12)


def test_existing_and_new_combine_across_factors() -> None:
    data = simulated()
    post = random_posterior("y ~ x + (1 | g) + (1 | h)", data, "bernoulli", "probit")
    eta = post.draws.beta @ post.design.rows(data).X.T
    tau = np.sqrt(1 + post.draws.Sigma["h"][:, 0])
    from scipy.stats import norm

    expected = np.mean([norm.cdf((eta + b[:, None]) / tau) for b in post.draws.b["g"][:, :, 0].T], axis=0)
    found = values(bm.predictions(post, groups={"g": "existing", "h": "new"})).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_sampled_groups_depend_on_their_label_and_nothing_else() -> None:
    post = reference.posterior("b_bacteria")
    row = post.design.data.head(1)
    new = pd.concat([row.assign(ID=label) for label in ("n1", "n2", "n1", "n3")])
    found = values(bm.predictions(post, new, groups="sample", random_seed=4))
    np.testing.assert_array_equal(found[..., 0], found[..., 2])
    assert not np.allclose(found[..., 0], found[..., 1])
    alone = values(bm.predictions(post, new.iloc[3:], groups="sample", random_seed=4))
    np.testing.assert_array_equal(alone[..., 0], found[..., 3])


def test_sampled_groups_have_the_spread_of_sigma() -> None:
    data = simulated()
    post = random_posterior("y ~ x + (1 + x | g)", data, "bernoulli")
    Sigma = np.array([[1.0, 0.5], [0.5, 2.0]])
    beta = np.zeros((1, 4000, 2))
    wide = bm.from_draws(
        post.formula, data, family="bernoulli", beta=beta, Sigma={"g": np.broadcast_to(Sigma, (1, 4000, 2, 2))}
    )
    new = data.head(2).assign(x=[0.0, 1.0], g="new")
    eta = values(bm.predictions(wide, new, groups="sample", target="link", random_seed=1))[0]
    np.testing.assert_allclose(np.cov(eta.T), [[1.0, 1.5], [1.5, 4.0]], atol=0.25)


def test_blocks_do_not_change_results(monkeypatch: pytest.MonkeyPatch) -> None:
    from bayesmargins.evaluate import exact

    post = reference.posterior("k_epil")
    ask = [
        lambda: bm.avg_predictions(post, by="trt"),
        lambda: bm.avg_slopes(post, "per", groups="existing"),
        lambda: bm.predictions(post, groups="own"),
    ]
    whole = [values(a()) for a in ask]
    monkeypatch.setattr(exact, "BLOCK_VALUES", 200 * 7)
    for a, expected in zip(ask, whole, strict=True):
        np.testing.assert_allclose(values(a()), expected, rtol=1e-13)


def test_offset_is_each_rows_own() -> None:
    data = simulated()
    post = random_posterior("k ~ x + offset(log(e)) + (1 | g)", data, "poisson")
    once, twice = (values(bm.predictions(post, data.assign(e=data.e * m))) for m in (1, 2))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-12)


def test_count_is_probability_times_trials() -> None:
    post = reference.posterior("c_cbpp")
    probability, count = (values(bm.predictions(post, target=t)) for t in ("mean", "count"))
    np.testing.assert_allclose(count, probability * post.design.data["size"].to_numpy(), rtol=1e-13)


def test_weights_are_obeyed_by_every_average() -> None:
    data = simulated()
    post = random_posterior("y ~ x + f + (1 | g)", data, "bernoulli")
    rows = values(bm.predictions(post))
    found = values(bm.avg_predictions(post, wts="w"))
    np.testing.assert_allclose(found, np.average(rows, axis=-1, weights=data.w), rtol=1e-12)
    by = values(bm.avg_predictions(post, wts="w", by="f"))
    inside = (data.f == "b").to_numpy()
    np.testing.assert_allclose(by[..., 1], np.average(rows[..., inside], axis=-1, weights=data.w[inside]), rtol=1e-12)
    twice = pd.concat([data, data[data.f == "a"]])
    weighted = values(bm.avg_slopes(post, "x", wts=np.where(data.f == "a", 2.0, 1.0)))
    np.testing.assert_allclose(values(bm.avg_slopes(post, "x", newdata=twice)), weighted, rtol=1e-12)


@pytest.mark.parametrize(
    ("variable", "labels"),
    [
        ("f", ["b - a", "c - a"]),
        ("treated", ["1 - 0"]),
        ("flag", ["True - False"]),
        ("x", ["x +1"]),
        ({"f": "sequential"}, ["b - a", "c - b"]),
        ({"f": "pairwise"}, ["b - a", "c - a", "c - b"]),
        ({"f": ("c", "a")}, ["a - c"]),
        ({"x": (0, 2)}, ["2 - 0"]),
        ({"x": -0.5}, ["x -0.5"]),
        (["treated", "flag"], ["1 - 0", "True - False"]),
    ],
)
def test_every_kind_of_variable_gets_the_contrast_that_a_user_expects(variable: Any, labels: list[str]) -> None:
    post = random_posterior("y ~ x + f + treated + flag + (1 | g)", simulated(), "bernoulli")
    ds = bm.avg_comparisons(post, variable)
    assert ds["contrast"].values.tolist() == labels


def test_zero_one_contrast_is_one_against_zero_on_every_row() -> None:
    data = simulated()
    post = random_posterior("y ~ x + treated + (1 | g)", data, "bernoulli")
    by_hand = values(bm.predictions(post, data.assign(treated=1))) - values(
        bm.predictions(post, data.assign(treated=0))
    )
    np.testing.assert_allclose(values(bm.comparisons(post, "treated"))[:, :, 0], by_hand, atol=1e-15)


def test_contrasts_that_would_read_the_same_name_their_variable() -> None:
    data = simulated()
    post = random_posterior(
        "y ~ treated + other + (1 | g)", data.assign(other=1 - data.treated * (data.x > 0)), "bernoulli"
    )
    assert bm.avg_comparisons(post, ["treated", "other"])["contrast"].values.tolist() == [
        "treated: 1 - 0",
        "other: 1 - 0",
    ]


def test_comparison_of_averages_is_a_function_of_the_two_averages() -> None:
    post = reference.posterior("b_bacteria")
    sides = values(bm.avg_predictions(post, at={"trt": ["placebo", "drug"]}))
    low, high = sides[..., 0], sides[..., 1]
    by_hand = {
        "difference": high - low,
        "ratio": high / low,
        "lift": high / low - 1,
        "lnratio": np.log(high / low),
        "lnor": np.log(high / (1 - high) * (1 - low) / low),
        "or": high / (1 - high) * (1 - low) / low,
    }
    for comparison, expected in by_hand.items():
        found = values(bm.avg_comparisons(post, {"trt": ("placebo", "drug")}, comparison=comparison))[..., 0]
        np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_model_without_groups_ignores_the_policy() -> None:
    data = simulated()
    post = random_posterior("y ~ x + f", data, "bernoulli")
    for policy in POLICIES:
        np.testing.assert_allclose(
            values(bm.predictions(post, groups=policy)).reshape(10, -1),
            expit(post.draws.beta @ post.design.rows(data).X.T),
            rtol=1e-12,
        )


def test_group_columns_are_needed_for_own_only() -> None:
    data = simulated().drop(columns=["g"])
    post = random_posterior("y ~ x + (1 + x | g)", simulated(), "bernoulli")
    for policy in ("new", "existing", "zero", "sample"):
        assert np.isfinite(values(bm.predictions(post, data, groups=policy, random_seed=1))).all()
    with pytest.raises(bm.DataError, match="groups='own' for 'g' needs the column 'g'"):
        bm.predictions(post, data, groups="own")


def test_at_stands_in_for_a_column_that_newdata_lacks() -> None:
    data = simulated()
    post = random_posterior("y ~ x + f + (1 | g)", data, "bernoulli")
    full = bm.avg_predictions(post, at={"f": ["a", "b"]})
    np.testing.assert_array_equal(values(bm.avg_predictions(post, data[["x"]], at={"f": ["a", "b"]})), values(full))


def test_link_target_is_the_linear_predictor() -> None:
    data = simulated()
    post = random_posterior("y ~ x + (1 + x | g)", data, "bernoulli")
    rows = post.design.rows(data)
    eta = post.draws.beta @ rows.X.T
    for policy, shift in {
        "new": 0.0,
        "zero": 0.0,
        "existing": post.draws.b["g"].mean(axis=1) @ rows.Z["g"].T,
        "own": np.einsum("srq,rq->sr", post.draws.b["g"][:, post.design.factors["g"].codes], rows.Z["g"]),
    }.items():
        found = values(bm.predictions(post, target="link", groups=policy)).reshape(eta.shape)
        np.testing.assert_allclose(found, eta + shift, rtol=1e-12, atol=1e-12)
