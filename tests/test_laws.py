"""Metamorphic laws: the same model written in another way gives the same margins, or margins changed in a known way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from test_margins import POLICIES, random_posterior, simulated, values

import bayesmargins as bm

# The same examples in every run; a slow machine is no failure.
few = settings(max_examples=12, deadline=None, derandomize=True, database=None)
BINARY = ("logit", "cloglog", "probit")
FAMILIES = [*(("y", "bernoulli", link) for link in BINARY), ("k", "poisson", "log")]
# Both sides are the same numbers up to the rounding of a change of basis and of the engines' stated bounds (1e-13).
SAME = {"rtol": 1e-11, "atol": 1e-13}


def rewritten(
    post: bm.Posterior, formula: str | None = None, data: pd.DataFrame | None = None, **changed: Any
) -> bm.Posterior:
    """The same draws, but for what is changed."""
    draws = {"beta": post.beta, "b": post.b, "Sigma": post.Sigma, "aux": post.aux} | changed
    plain = {
        k: {f: np.asarray(v) for f, v in d.items()} if isinstance(d, dict) else np.asarray(d) for k, d in draws.items()
    }
    return bm.from_draws(
        formula or post.formula, post.design.data if data is None else data, family=post.family.name,
        link=post.link.name, **plain,
    )  # fmt: skip


def in_basis(post: bm.Posterior, formula: str, data: pd.DataFrame | None = None) -> bm.Posterior:
    """The same functions of the rows in the columns of another formula: beta and b by C, Sigma by C Sigma C'."""
    data = post.design.data if data is None else data
    old, new = (
        post.design.rows(post.design.data),
        bm.GLMM(formula, data, post.family.name, post.link.name).design.rows(data),
    )

    def change(to: np.ndarray, of: np.ndarray) -> np.ndarray:
        C, _, rank, _ = np.linalg.lstsq(to, of, rcond=None)
        assert rank == of.shape[1]
        np.testing.assert_allclose(to @ C, of, atol=1e-9)  # the two bases do span the same functions
        return C

    C = {f: change(new.Z[f], old.Z[f]) for f in old.Z}
    return rewritten(
        post, formula, data, beta=post.beta.to_numpy() @ change(new.X, old.X).T,
        b={f: post.b[f].to_numpy() @ C[f].T for f in C}, Sigma={f: C[f] @ post.Sigma[f].to_numpy() @ C[f].T for f in C},
    )  # fmt: skip


@given(centre=st.floats(-50, 50), unit=st.floats(0.01, 100), family=st.sampled_from(FAMILIES), seed=st.integers(0, 99))
@settings(few, max_examples=8)
def test_unit_and_origin_of_x_change_slopes_by_the_unit_and_nothing_else(
    centre: float, unit: float, family: tuple[str, str, str], seed: int
) -> None:
    """x = centre + unit x', inside the random slopes too: b0' = b0 + centre b1, b1' = unit b1, Sigma' = T Sigma T'.

    With the origin 50 away, s2 is what is left of terms 2,500 times larger: four of its sixteen digits are lost.
    """
    y, *how = family
    data = simulated()
    post = random_posterior(f"{y} ~ x + (1 + x | g)", data, *how, seed=seed)
    T = np.array([[1.0, centre], [0.0, unit]])
    other = rewritten(
        post, data=data.assign(x=(data.x - centre) / unit), beta=post.beta.to_numpy() @ T.T,
        b={"g": post.b["g"].to_numpy() @ T.T}, Sigma={"g": T @ post.Sigma["g"].to_numpy() @ T.T},
    )  # fmt: skip
    for policy in ("existing", "own", {"g": ["g4", "g1"]}, "new"):
        one, two = (values(bm.avg_predictions(p, by="f", groups=policy)) for p in (post, other))
        np.testing.assert_allclose(two, one, rtol=1e-10)
        if policy != "new":
            continue
        one, two = (values(bm.avg_slopes(p, "x", groups=policy)) for p in (post, other))
        np.testing.assert_allclose(two, unit * one, rtol=1e-10, atol=1e-12 * unit * np.abs(one).max())


CODINGS = [
    ("y ~ f + x + (1 + f | g)", "y ~ C(f, contr.sum) + x + (1 + C(f, contr.sum) | g)"),
    ("y ~ f + x + (1 + f | g)", "y ~ 0 + f + x + (0 + f | g)"),
    ("y ~ f * x + (1 + f | g) + (1 | h)", "y ~ C(f, contr.helmert) * x + (1 + C(f, contr.helmert) | g) + (1 | h)"),
    ("y ~ x + I(x**2) + (1 + x | g)", "y ~ poly(x, 2) + (1 + poly(x, 1) | g)"),
    ("y ~ f + x + (1 + x | g)", "y ~ f + I(x - 3) + (1 + I(x - 3) | g)"),
]


@pytest.mark.parametrize(("formula", "same"), CODINGS)
def test_coding_of_columns_inside_and_outside_the_block_changes_nothing(formula: str, same: str) -> None:
    post = random_posterior(formula, simulated(), "bernoulli", "cloglog" if "contr" in same else "logit")
    other = in_basis(post, same)
    for policy in ("new", "existing", "own"):
        one, two = (values(bm.predictions(p, groups=policy)) for p in (post, other))
        np.testing.assert_allclose(two, one, **SAME)
    one, two = (values(bm.avg_slopes(p, "x")) for p in (post, other))
    np.testing.assert_allclose(two, one, **SAME)
    if " f" in formula:
        one, two = (values(bm.avg_comparisons(p, "f", comparison="lnor")) for p in (post, other))
        np.testing.assert_allclose(two, one, **SAME)


def test_order_and_names_of_groups_are_only_names() -> None:
    data = simulated()
    post = random_posterior("y ~ x + (1 + x | g)", data, "bernoulli")
    was = list(post.design.factors["g"].levels)
    order = [3, 0, 5, 1, 4, 2]
    renamed = {label: f"{9 - k} of {label}" for k, label in enumerate(was)}  # sorts the other way round
    b = post.b["g"].to_numpy()
    others = {
        "another order": (data.assign(g=pd.Categorical(data.g, [was[k] for k in order])), b[:, :, order], lambda g: g),
        "other names": (data.assign(g=data.g.map(renamed)), b[:, :, ::-1], renamed.get),
    }
    for name, (frame, permuted, label) in others.items():
        other = rewritten(post, data=frame, b={"g": permuted})
        for policy in POLICIES:
            one, two = (values(bm.predictions(p, groups=policy)) for p in (post, other))
            np.testing.assert_allclose(two, one, **SAME, err_msg=name)
        one, two = (
            values(bm.avg_predictions(p, groups={"g": levels}))
            for p, levels in ((post, was[:3]), (other, [label(level) for level in was[:3]]))
        )
        np.testing.assert_allclose(two, one, **SAME, err_msg=name)
        one, two = (values(bm.avg_predictions(p, by="g", groups="own")) for p in (post, other))
        position = list(range(6))[::-1] if name == "other names" else order
        np.testing.assert_allclose(two, one[..., position], **SAME, err_msg=name)


def test_own_in_rows_of_one_group_equals_that_group_named() -> None:
    data = simulated()
    post = random_posterior("y ~ x + (1 + x | g) + (1 | h)", data, "bernoulli", "cloglog")
    named = bm.predictions(post, groups={"g": ["g5", "g2"], "h": "new"})
    for level in ("g5", "g2"):
        own = values(bm.predictions(post, data.assign(g=level), groups={"g": "own", "h": "new"}))
        np.testing.assert_array_equal(own, named["estimate"].sel(g=level).to_numpy())


@pytest.mark.parametrize("link", BINARY)
def test_existing_groups_that_are_all_alike_are_one_group(link: str) -> None:
    """Whatever the number of groups and their weights, with z constant (1 | g) and not (1 + x | g)."""
    for block in ("1", "1 + x"):
        post = random_posterior(f"y ~ x + ({block} | g) + (1 | h)", simulated(), "bernoulli", link)
        b = {f: np.repeat(v.to_numpy()[:, :, :1], v.shape[2], axis=2) for f, v in post.b.items()}
        alike = rewritten(post, b=b)
        how: list[dict[str, Any]] = [
            {"groups": "own"},
            {"groups": "existing"},
            {"groups": "existing", "group_weights": "rows"},
        ]
        own, *averaged = (values(bm.predictions(alike, **k)) for k in how)
        for found in averaged:
            np.testing.assert_allclose(found, own, **SAME)
        own, *averaged = (values(bm.avg_slopes(alike, "x", **k)) for k in how)
        for found in averaged:
            np.testing.assert_allclose(found, own, **SAME)


@pytest.mark.parametrize("policy", [*POLICIES, "sample"])
def test_draws_are_answered_one_by_one(policy: str) -> None:
    """Any split of the draws gives the parts of the whole; drawn groups are keyed by the position of the draw."""
    post = random_posterior("y ~ x + (1 + x | g) + (1 | h)", simulated(), "bernoulli", "cloglog")
    parts = [{"chain": [0]}, {"chain": [0], "draw": [0, 1]}] + [{"chain": [1]}, {"draw": [4, 2]}] * (policy != "sample")
    asked = (bm.avg_predictions, lambda p, **k: bm.avg_slopes(p, "x", **k))
    whole = [ask(post, groups=policy, random_seed=3)["estimate"] for ask in asked]
    for part in parts:
        cut: dict[str, Any] = {
            k: {f: v.isel(part) for f, v in of.items()} for k, of in (("b", post.b), ("Sigma", post.Sigma))
        }
        fewer = rewritten(post, beta=post.beta.isel(part), **cut)
        for ask, expected in zip(asked, whole, strict=True):
            found = ask(fewer, groups=policy, random_seed=3)["estimate"]
            np.testing.assert_allclose(found, expected.isel(part), rtol=1e-12)


@pytest.mark.parametrize("policy", [*POLICIES, "sample"])
def test_rows_are_answered_one_by_one(policy: str) -> None:
    """scale() and bs() keep their state of the fit: the answer for a row does not depend on the other rows."""
    data = simulated()
    post = random_posterior("y ~ scale(x) + f + (1 + bs(x, df=4) | g)", data, "bernoulli")
    inner = data.sort_values("x").iloc[20:60]
    whole = values(bm.predictions(post, inner, groups=policy, random_seed=2))
    parts = [inner.iloc[:1], inner.iloc[1:25], inner.iloc[25:]]
    found = [values(bm.predictions(post, part, groups=policy, random_seed=2)) for part in parts]
    np.testing.assert_allclose(np.concatenate(found, axis=-1), whole, rtol=1e-12)
    averages = [values(bm.avg_predictions(post, part, groups=policy, random_seed=2)) for part in parts]
    together = np.average(averages, axis=0, weights=[len(part) for part in parts])
    np.testing.assert_allclose(
        values(bm.avg_predictions(post, inner, groups=policy, random_seed=2)), together, rtol=1e-12
    )


CURVATURE: dict[str, Callable[[Any], Any]] = {
    "logit": lambda e: expit(e) * expit(-e) * (expit(-e) - expit(e)),
    "cloglog": lambda e: np.exp(e - np.exp(e)) * (1 - np.exp(e)),
    "probit": lambda e: -e * np.exp(-0.5 * e**2) / np.sqrt(2 * np.pi),
    "log": np.exp,
}


@pytest.mark.parametrize(("y", "family", "link"), FAMILIES)
@pytest.mark.filterwarnings("ignore:The group effects")  # Sigma is shrunk and b is not
def test_small_variances_move_predictions_by_half_the_curvature(y: str, family: str, link: str) -> None:
    """E h(eta + sZ) - h(eta) = s2 h''(eta) / 2 + O(s4): continuous at Sigma = 0, and linear in Sigma there.

    At Sigma / 1e6 the difference is near 1e-6: the next term is 1e-6 of it, as is the rounding of the subtraction
    (1e-16 / 1e-6 = 1e-10 absolute). A grid of nodes that jumps between s = 0 and s > 0 would show. Slopes move by the
    derivative of the same term, s2 included.
    """
    data = simulated()
    post = random_posterior(f"{y} ~ x + (1 + x | g)", data, family, link)
    small = rewritten(post, Sigma={"g": post.Sigma["g"].to_numpy() * 1e-6})

    def first_order(step: float) -> np.ndarray:
        rows = post.design.rows(data.assign(x=data.x + step))
        s2 = np.einsum("rp,cdpq,rq->cdr", rows.Z["g"], post.Sigma["g"].to_numpy(), rows.Z["g"])
        return s2 * CURVATURE[link](post.beta.to_numpy() @ rows.X.T) / 2

    sides = (first_order(0.0), (first_order(1e-4) - first_order(-1e-4)) / 2e-4)
    for ask, expected in zip((bm.predictions, lambda p, **k: bm.slopes(p, "x", **k)), sides, strict=True):
        moved = values(ask(small, groups="new")) - values(ask(small, groups="zero"))
        atol = 3e-5 * np.abs(expected).max()
        np.testing.assert_allclose(moved.reshape(expected.shape) * 1e6, expected, rtol=1e-4, atol=atol)


@given(eta=st.floats(-6, 6), s=st.floats(0.05, 5), more=st.floats(1.05, 3))
@few
def test_averaging_over_groups_pulls_probabilities_towards_one_half_and_counts_up(
    eta: float, s: float, more: float
) -> None:
    """Jensen: under the logit and probit links (odd about 0, concave above) towards 1/2, the more the larger s."""
    data = pd.DataFrame({"y": [0, 1, 0, 1], "g": ["a", "a", "b", "b"]})
    beta, Sigma = np.full((1, 2, 1), eta), np.array([s**2, (s * more) ** 2]).reshape(1, 2, 1, 1)
    for link in ("logit", "probit"):
        post = bm.from_draws("y ~ 1 + (1 | g)", data, family="bernoulli", link=link, beta=beta, Sigma={"g": Sigma})
        new, zero = (values(bm.predictions(post, data.head(1), groups=p)).ravel() for p in ("new", "zero"))
        away = np.abs(np.array([zero[0], *new]) - 0.5)
        if abs(eta) > 0.01:  # at 0 all three are 1/2
            assert away[0] > away[1] > away[2]
            assert (np.sign(new - 0.5) == np.sign(eta)).all()
        else:
            np.testing.assert_allclose(away, 0, atol=0.003)
    post = bm.from_draws("y ~ 1 + (1 | g)", data, family="poisson", beta=beta, Sigma={"g": Sigma})
    new, zero = (values(bm.predictions(post, data.head(1), groups=p)).ravel() for p in ("new", "zero"))
    assert zero[0] < new[0] < new[1]


def test_odds_ratio_shrinks_and_rate_ratio_stays_under_a_random_intercept() -> None:
    """The log link is collapsible over a random intercept, the logit is not."""
    data = simulated()
    logit = random_posterior("y ~ x + (1 | g)", data, "bernoulli")
    new, zero = (values(bm.comparisons(logit, "x", comparison="lnor", groups=p)) for p in ("new", "zero"))
    np.testing.assert_allclose(zero, np.broadcast_to(logit.beta.to_numpy()[:, :, 1:, None], zero.shape), rtol=1e-10)
    assert (np.abs(new) < np.abs(zero)).all()
    assert (np.sign(new) == np.sign(zero)).all()
    log = random_posterior("k ~ x + (1 | g)", data, "poisson")
    for policy in POLICIES:
        found = values(bm.avg_comparisons(log, {"x": (0, 1)}, comparison="lnratio", groups=policy))
        np.testing.assert_allclose(found[..., 0], log.beta.to_numpy()[..., 1], rtol=1e-10)


@pytest.mark.parametrize("link", BINARY)
def test_factor_without_variance_is_no_factor_and_variances_add_up(link: str) -> None:
    data = simulated()
    two = random_posterior("y ~ x + (1 + x | g) + (1 | h)", data, "bernoulli", link)
    still = rewritten(
        two, b={"g": two.b["g"], "h": two.b["h"] * 0}, Sigma={"g": two.Sigma["g"], "h": two.Sigma["h"] * 0}
    )
    one = rewritten(two, "y ~ x + (1 + x | g)", b={"g": two.b["g"]}, Sigma={"g": two.Sigma["g"]})
    for policy in ("new", "own", "zero"):
        for of_h in (policy, "new", "existing", "zero"):
            a = values(bm.predictions(still, groups={"g": policy, "h": of_h}))
            np.testing.assert_allclose(a, values(bm.predictions(one, groups=policy)), **SAME)
    total = two.Sigma["g"].to_numpy() + np.pad(two.Sigma["h"].to_numpy(), [(0, 0), (0, 0), (0, 1), (0, 1)])
    merged = rewritten(one, Sigma={"g": total})
    for ask in (bm.predictions, lambda p, **k: bm.slopes(p, "x", **k)):
        a, b = (values(ask(p, groups="new")) for p in (two, merged))
        np.testing.assert_allclose(a, b, **SAME)


@given(times=st.lists(st.integers(0, 4), min_size=12, max_size=12), policy=st.sampled_from([*POLICIES, "sample"]))
@few
def test_repeated_rows_count_as_their_weights(times: list[int], policy: str) -> None:
    data = simulated().head(12).assign(f=["a", "b", "c"] * 4)
    post = POISSON
    times = [max(1, t) if k < 3 else t for k, t in enumerate(times)]  # every level of f keeps a row
    copies = data.loc[np.repeat(data.index, times)]
    ask: dict[str, Any] = {"by": "f", "groups": policy, "random_seed": 1}
    for average in (bm.avg_predictions, lambda p, **k: bm.avg_comparisons(p, "x", comparison="ratio", **k)):
        one = values(average(post, newdata=data, wts=np.array(times, dtype=float), **ask))
        np.testing.assert_allclose(values(average(post, newdata=copies, **ask)), one, rtol=1e-12)


POISSON = random_posterior("k ~ x + f + (1 + x | g)", simulated(), "poisson")


@pytest.mark.parametrize(("y", "family", "link"), FAMILIES)
@pytest.mark.parametrize("policy", [*POLICIES, "sample"])
def test_constant_in_the_offset_is_a_constant_in_the_intercept(y: str, family: str, link: str, policy: str) -> None:
    data = simulated(o=np.linspace(-1, 1, 80))
    post = random_posterior(f"{y} ~ x + offset(o) + (1 + x | g)", data, family, link)
    raised = rewritten(post, beta=post.beta.to_numpy() + np.array([0.7, 0.0]))
    ask: dict[str, Any] = {"groups": policy, "random_seed": 1}
    one, two = values(bm.predictions(post, data.assign(o=data.o + 0.7), **ask)), values(bm.predictions(raised, **ask))
    np.testing.assert_allclose(one, two, **SAME)
    before = values(bm.predictions(post, **ask))
    inside = (before < 0.99) | (link == "log")  # the others may be 1 both times
    assert (two > before)[inside].all()
    one = values(bm.avg_slopes(post, "x", newdata=data.assign(o=data.o + 0.7), **ask))
    np.testing.assert_allclose(one, values(bm.avg_slopes(raised, "x", **ask)), **SAME)
