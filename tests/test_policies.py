"""Policies in pairs, against sums written out: every group, every combination, every dimension of b by itself.

Nothing here knows that z'b has one dimension, that the log and probit links have closed forms, or how the package picks
its nodes: b is integrated over a grid of as many dimensions as it has, and once more over Sobol points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
import xarray as xr
from scipy.special import expit, ndtr
from scipy.stats import norm, qmc

import bayesmargins as bm

# Trapezoid in every dimension of b. With standard deviations up to 1.2 the strip of analyticity in units of z is wider
# than 1.3 (cloglog, the narrowest: pi / 2 / 1.2), so that the sum errs by about 2 exp(1.3**2 / 2 - 2 pi 1.3 / 0.25) =
# 3e-14; beyond +-9.5 lies a mass of 2e-21, times exp(1.2 * 9.5) = 9e4 under the log link.
STEP = 0.25
GRID = np.arange(-38, 39) * STEP
GRID_WEIGHTS = norm.pdf(GRID) * STEP
# Sums of up to half a million terms, in another order than the package's: rounding stays below 1e-12.
EXACT = {"rtol": 1e-10, "atol": 1e-14}
SEED = 5

LINKS: dict[str, tuple[str, Callable[..., Any], Callable[..., Any]]] = {
    "logit": ("bernoulli", expit, lambda e: expit(e) * expit(-e)),
    "cloglog": ("bernoulli", lambda e: -np.expm1(-np.exp(e)), lambda e: np.exp(e - np.exp(e))),
    "probit": ("bernoulli", ndtr, norm.pdf),
    "log": ("poisson", np.exp, np.exp),
}


@dataclass(frozen=True, eq=False)
class Model:
    """A posterior with everything that the sums need, as plain arrays: beta (draw, coef), b (draw, level, term)."""

    post: bm.Posterior
    data: pd.DataFrame
    link: str
    beta: np.ndarray
    b: dict[str, np.ndarray]
    Sigma: dict[str, np.ndarray]
    levels: dict[str, list[str]]
    X: Callable[[pd.DataFrame], np.ndarray]
    Z: dict[str, Callable[[pd.DataFrame], np.ndarray]]
    x: str


def intercept(frame: pd.DataFrame) -> np.ndarray:
    return np.ones((len(frame), 1))


def line(frame: pd.DataFrame) -> np.ndarray:
    return np.column_stack([np.ones(len(frame)), frame.x])


def labels(frame: pd.DataFrame, factor: str) -> list[str]:
    return [":".join(row) for row in zip(*(frame[c] for c in factor.split(":")), strict=True)]


CHILDREN = ["p:1", "q:1", "q:2", "r:1", "r:2", "r:3"]
FORMULAS = {
    "a:b": "y ~ x + (1 + x | a) + (1 | a:b)",  # nested: a parent has one, two or three children
    "b": "y ~ x + (1 + x | a) + (1 | b)",  # crossed: six of nine combinations are seen
}


@cache
def simulated(link: str, second: str = "a:b") -> Model:
    """Four draws of a model with two factors, the first with a random slope; groups have unequal numbers of rows."""
    rng = np.random.default_rng(11)
    whose = np.array(CHILDREN)[[0, 0, 0, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5, 5]]
    data = pd.DataFrame({"a": [w[0] for w in whose], "b": [w[2] for w in whose], "f": np.tile(["u", "v"], 7)})
    data = data.assign(x=rng.uniform(-1, 1, 14).round(2), y=np.tile([0, 1, 1, 0, 1, 0, 1], 2))
    levels = {"a": ["p", "q", "r"], second: sorted(set(labels(data, second)))}
    root = np.array([[0.9, 0.0], [-0.4, 0.5]]) * rng.uniform(0.7, 1.1, (4, 1, 1))
    Sigma = {"a": root @ np.swapaxes(root, 1, 2), second: rng.uniform(0.2, 1.0, (4, 1, 1))}
    b = {f: rng.normal(size=(4, len(levels[f]), Sigma[f].shape[1])) for f in levels}
    beta = rng.normal(size=(4, 2)) * 0.8
    post = bm.from_draws(
        FORMULAS[second], data, family=LINKS[link][0], link=link, beta=beta.reshape(2, 2, 2),
        b={f: v.reshape(2, 2, *v.shape[1:]) for f, v in b.items()},
        Sigma={f: v.reshape(2, 2, *v.shape[1:]) for f, v in Sigma.items()},
    )  # fmt: skip
    return Model(post, data, link, beta, b, Sigma, levels, line, {"a": line, second: intercept}, "x")


@cache
def grouse() -> Model:
    """Four of the stored draws. A brood lives in one location, but the formula names two crossed factors."""
    full, data = reference.posterior("f_grouse"), reference.data("f_grouse")
    thin = {"chain": slice(0, 2), "draw": slice(0, 21, 20)}
    beta = full.beta.isel(thin).to_numpy()
    b, Sigma = ({f: v.isel(thin).to_numpy() for f, v in of.items()} for of in (full.b, full.Sigma))
    post = bm.from_draws(full.formula, data, family="negbinomial", beta=beta, b=b, Sigma=Sigma)

    def X(frame: pd.DataFrame) -> np.ndarray:
        return np.column_stack([np.ones(len(frame)), frame.YEAR == "96", frame.YEAR == "97", frame.cH10])

    return Model(
        post, data, "log", beta.reshape(4, -1), {f: v.reshape(4, -1, 1) for f, v in b.items()},
        {f: v.reshape(4, 1, 1) for f, v in Sigma.items()}, {f: sorted(set(data[f])) for f in ("BROOD", "LOCATION")}, X,
        {"BROOD": intercept, "LOCATION": intercept}, "cH10",
    )  # fmt: skip


def cloud(Sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points b (node, term) of a grid in all dimensions, with the weights of N(0, Sigma)."""
    q = len(Sigma)
    z = np.stack(np.meshgrid(*[GRID] * q, indexing="ij"), axis=-1).reshape(-1, q)
    weights = np.prod(np.stack(np.meshgrid(*[GRID_WEIGHTS] * q, indexing="ij")), axis=0).ravel()
    kept = weights > 1e-24
    return z[kept] @ np.linalg.cholesky(Sigma).T, weights[kept]


def existing(model: Model, policy: dict[str, Any], group_weights: str) -> list[tuple[float, dict[str, str]]]:
    """The combinations of levels seen in the data, of the factors that are averaged over their groups."""
    factors = [f for f in policy if policy[f] == "existing"]
    seen: dict[tuple[str, ...], int] = {}
    for combination in zip(*(labels(model.data, f) for f in factors), strict=True):
        seen[combination] = seen.get(combination, 0) + 1
    if not factors:
        return [(1.0, {})]
    share = {c: n / len(model.data) if group_weights == "rows" else 1 / len(seen) for c, n in seen.items()}
    return [(w, dict(zip(factors, c, strict=True))) for c, w in share.items()]


@cache
def sampled(model: Model, factor: str, label: str) -> np.ndarray:
    """The b (draw, term) that "sample" drew for this label, read off the linear predictor at x = 0 and x = 1."""
    row = model.data.iloc[[labels(model.data, factor).index(label)]]
    policy = dict.fromkeys(model.Z, "zero") | {factor: "sample"}
    two = pd.concat([row.assign(**{model.x: v}) for v in (0.0, 1.0)])
    found = bm.predictions(model.post, two, groups=policy, target="link", random_seed=SEED)
    at0, at1 = (found["estimate"].to_numpy().reshape(-1, 2) - model.beta @ model.X(two).T).T
    return np.column_stack([at0, at1 - at0])[:, : model.b[factor].shape[2]]


def points(
    model: Model, factor: str, policy: str, s: int, label: str, of: dict[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    """b (node, term) and weights of one factor, for one draw and one row."""
    if policy == "new":
        return cloud(model.Sigma[factor][s])
    if policy in ("zero", "sample"):
        return (sampled(model, factor, label)[[s]] if policy == "sample" else 0 * model.b[factor][s, :1]), np.ones(1)
    level = {"own": label, "existing": of.get(factor, "")}.get(policy, policy)
    return model.b[factor][s, [model.levels[factor].index(level)]], np.ones(1)


def brute(
    model: Model, frame: pd.DataFrame, policy: dict[str, str], group_weights: str = "equal"
) -> tuple[np.ndarray, np.ndarray]:
    """E[y] and dE[y]/dx, (draw, row): the slope is the mean of h'(eta) d eta/dx, node by node and group by group."""
    _, h, dh = LINKS[model.link]
    ahead = frame.assign(**{model.x: frame[model.x] + 1})
    X, dX = model.X(frame), model.X(ahead) - model.X(frame)
    Z = {f: z(frame) for f, z in model.Z.items()}
    dZ = {f: z(ahead) - Z[f] for f, z in model.Z.items()}
    named = {f: labels(frame, f) for f in policy}
    mean, slope = np.zeros((2, len(model.beta), len(frame)))
    mixture = existing(model, policy, group_weights)
    for s, beta in enumerate(model.beta):
        for weight, of in mixture:
            for r in range(len(frame)):
                eta, change, w = np.array([X[r] @ beta]), np.array([dX[r] @ beta]), np.ones(1)
                for f, p in policy.items():
                    b, w_of = points(model, f, p, s, named[f][r], of)
                    eta = np.add.outer(eta, b @ Z[f][r]).ravel()
                    change = np.add.outer(change, b @ dZ[f][r]).ravel()
                    w = np.multiply.outer(w, w_of).ravel()
                mean[s, r] += weight * (w @ h(eta))
                slope[s, r] += weight * (w @ (dh(eta) * change))
    return mean, slope


def each_named(policy: dict[str, Any]) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Policies with one named level each, and where the result holds them."""
    several = {f: p for f, p in policy.items() if isinstance(p, list)}
    for combination in product(*several.values()):
        where = dict(zip(several, combination, strict=True))
        yield policy | where, where


def entries(ds: xr.Dataset, where: dict[str, str]) -> np.ndarray:
    found = ds["estimate"].sel(where)
    found = found.isel(contrast=0) if "contrast" in found.dims else found
    return found.stack(sample=("chain", "draw")).transpose("sample", ...).to_numpy()


def check_every_question(model: Model, frame: pd.DataFrame, by: str, policy: dict[str, Any], **how: Any) -> None:
    """Predictions, comparisons and slopes: by row, averaged, and averaged within `by`."""
    ask: dict[str, Any] = {"newdata": frame, "groups": policy, "random_seed": SEED, **how}
    asked = {
        "rows": bm.predictions(model.post, **ask),
        "within": bm.avg_predictions(model.post, by=by, **ask),
        "ratio": bm.avg_comparisons(model.post, {model.x: 1}, comparison="ratio", **ask),
        "slope": bm.avg_slopes(model.post, model.x, by=by, **ask),
    }
    if all(p == "new" for p in policy.values()):
        asked["differences"] = bm.comparisons(model.post, {model.x: 1}, **ask)
        asked["slopes"] = bm.slopes(model.post, model.x, **ask)
    inside = np.stack([frame[by] == v for v in sorted(set(frame[by]))], axis=1)
    inside = inside / inside.sum(axis=0)
    for single, where in each_named(policy):
        low, slope = brute(model, frame, single, **how)
        high = brute(model, frame.assign(**{model.x: frame[model.x] + 1}), single, **how)[0]
        expected = {"rows": low, "within": low @ inside, "ratio": high.mean(axis=1) / low.mean(axis=1)}
        expected |= {"differences": high - low, "slopes": slope, "slope": slope @ inside}
        for name, ds in asked.items():
            np.testing.assert_allclose(entries(ds, where), expected[name], **EXACT, err_msg=f"{name} of {single}")


# Every policy that the two factors of (1 + x | a) + (1 | a:b) can get; a list names levels.
PARENT: list[Any] = ["new", "existing", "own", "zero", "sample", ["q"], ["q", "r"]]
CHILD: list[Any] = ["new", "existing", "own", "zero", "sample", ["q:2"], ["q:1", "q:2"], ["q:1", "r:1"]]


def combined(data: pd.DataFrame, policy: dict[str, Any]) -> set[tuple[str, ...]]:
    """Which groups stand together in one linear predictor, a label a factor: "new" for none fitted, "zero" for none."""

    def of_row(factor: str, label: str, own: dict[str, str]) -> list[str]:
        p = policy[factor]
        fixed = {"new": ["new"], "sample": ["new"], "zero": ["zero"], "own": [own[factor]], "existing": [label]}
        return p if isinstance(p, list) else fixed[p]

    every = pd.DataFrame({f: labels(data, f) for f in policy}).drop_duplicates().to_dict("records")
    pairs = product(every, every)
    return {together for own, seen in pairs for together in product(*(of_row(f, seen[f], own) for f in policy))}


def allowed(data: pd.DataFrame, policy: dict[str, Any]) -> bool:
    """A child may be newer than its parent, never the reverse: a fitted child stands beside its own parent, or none."""
    factors, every = list(policy), combined(data, policy)
    for parent, child in product(factors, factors):
        if not set(parent.split(":")) < set(child.split(":")):
            continue
        families = set(zip(labels(data, parent), labels(data, child), strict=True))
        for together in every:
            above, below = together[factors.index(parent)], together[factors.index(child)]
            if below not in ("new", "zero") and above != "zero" and (above, below) not in families:
                return False
    return True


NESTED = simulated("logit").data
PAIRS = [{"a": above, "a:b": below} for above, below in product(PARENT, CHILD)]
ALLOWED = [p for p in PAIRS if allowed(NESTED, p)]
FORBIDDEN = [p for p in PAIRS if not allowed(NESTED, p)]


def spelled(policy: dict[str, Any]) -> str:
    return "-".join(p if isinstance(p, str) else "+".join(p) for p in policy.values())


def test_rule_allows_what_the_design_says_in_words() -> None:
    """The table is derived; these entries are read off the sentence, so that it cannot allow or forbid all."""
    assert all(p in FORBIDDEN for p in ({"a": "new", "a:b": "own"}, {"a": ["q"], "a:b": ["q:1", "r:1"]}))
    assert all(p in ALLOWED for p in ({"a": "own", "a:b": "new"}, {"a": "existing", "a:b": "existing"}))
    assert (len(ALLOWED), len(FORBIDDEN)) == (30, 26)


# The link matters to the engines that integrate or mix; where b is looked up, one link stands for all.
EVERY_LINK = [p for p in ALLOWED if spelled(p) in ("new-new", "existing-new", "own-new", "zero-existing", "q+r-new")]
BY_LINK = [("logit", p) for p in ALLOWED] + [(link, p) for link in ("cloglog", "probit", "log") for p in EVERY_LINK]


@pytest.mark.parametrize(("link", "policy"), BY_LINK, ids=lambda v: v if isinstance(v, str) else spelled(v))
def test_nested_factors_under_any_allowed_pair_equal_the_sum_over_groups(link: str, policy: dict[str, Any]) -> None:
    model = simulated(link)
    check_every_question(model, model.data.iloc[[0, 8, 13]], "f", policy)


@pytest.mark.parametrize("policy", FORBIDDEN, ids=spelled)
def test_nested_factors_refuse_a_fitted_child_of_another_parent(policy: dict[str, Any]) -> None:
    for question in (bm.predictions, bm.avg_predictions):
        with pytest.raises(bm.GroupsError, match=r"'a:b' is nested in 'a'"):
            question(simulated("logit").post, groups=policy, random_seed=SEED)


@pytest.mark.parametrize("policy", [p for p in ALLOWED if "existing" in p.values()], ids=spelled)
def test_combinations_of_nested_factors_may_count_by_their_rows(policy: dict[str, Any]) -> None:
    model = simulated("cloglog")
    check_every_question(model, model.data.iloc[[1, 4]], "f", policy, group_weights="rows")


MIXED = [("existing", "new"), ("new", "existing"), ("existing", "existing")]
OTHER = [("existing", "own"), ("new", "own"), (["q", "p"], "new"), ("sample", "existing"), ("new", ["3", "1"])]
CROSSED = [(link, p) for link in ("logit", "cloglog", "probit") for p in MIXED] + [("logit", p) for p in OTHER]


@pytest.mark.parametrize(("link", "policy"), CROSSED)
def test_crossed_factors_take_any_pair(link: str, policy: tuple[Any, Any]) -> None:
    """With z constant in b, the mean over its groups takes the package's own way for mixtures, at s > 0 too."""
    model = simulated(link, "b")
    weights = "rows" if link == "logit" and "existing" in policy else "equal"
    pair = dict(zip(("a", "b"), policy, strict=True))
    check_every_question(model, model.data.iloc[[0, 8, 13]], "f", pair, group_weights=weights)


NAMED = ["501", "601", "713"]
ONE_BY_ONE = [("new", "new"), ("own", "new"), ("new", "own"), (NAMED, "new"), ("sample", "new"), (NAMED, ["32", "36"])]
AVERAGED = [("existing", w) for w in ("zero", "existing", "new")] + [("zero", "existing"), ("own", "existing")]
GROUSE = [(p, "equal") for p in ONE_BY_ONE] + [(p, w) for p in AVERAGED for w in ("equal", "rows")]


@pytest.mark.parametrize(("policy", "group_weights"), GROUSE)
def test_factors_nested_in_the_data_alone_are_crossed(policy: tuple[Any, Any], group_weights: str) -> None:
    """Each brood lives in one location; the labels say so and the formula does not, so no pair is refused."""
    model = grouse()
    assert model.data.groupby("BROOD").LOCATION.nunique().max() == 1
    pair = dict(zip(("BROOD", "LOCATION"), policy, strict=True))
    check_every_question(model, model.data.iloc[[0, 150, 250, 402]], "YEAR", pair, group_weights=group_weights)


@cache
def scramblings(dimensions: int) -> np.ndarray:
    """Eight independent scramblings of 2**17 Sobol points, a million in all: normal numbers (8, point, dimension)."""
    return np.stack([norm.ppf(qmc.Sobol(dimensions, seed=np.random.default_rng(k)).random_base2(17)) for k in range(8)])


@pytest.mark.parametrize("name", [*LINKS, "grouse"])
def test_new_groups_of_both_factors_equal_a_million_points_in_all_dimensions(name: str) -> None:
    """The mean of h and of h' (beta_x + b_x) over points of all b, for two draws, a row each.

    The error of the points is estimated from the spread of the eight scramblings; 8 standard errors on 7 degrees of
    freedom are exceeded once in 10,000 comparisons, of which there are 20. Under the log link h is not bounded, and
    the points do worse by two digits.
    """
    of = grouse() if name == "grouse" else simulated(name)
    _, h, dh = LINKS[of.link]
    frame = of.data.iloc[[0, -1]]
    ahead = frame.assign(**{of.x: frame[of.x] + 1})
    policy = dict.fromkeys(of.Z, "new")
    asked = bm.predictions(of.post, frame, groups=policy), bm.slopes(of.post, of.x, newdata=frame, groups=policy)
    widths = [b.shape[2] for b in of.b.values()]
    z = np.split(scramblings(sum(widths)), np.cumsum(widths)[:-1], axis=2)
    for s, r in ((0, 0), (3, 1)):
        b = [x @ np.linalg.cholesky(of.Sigma[f][s]).T for f, x in zip(of.b, z, strict=True)]
        at, after = (
            of.X(d)[r] @ of.beta[s] + sum(b_of @ of.Z[f](d)[r] for f, b_of in zip(of.b, b, strict=True))
            for d in (frame, ahead)
        )
        for ds, values in zip(asked, (h(at), dh(at) * (after - at)), strict=True):
            means = values.mean(axis=1)
            error = means.std(ddof=1) / np.sqrt(8)
            assert error < (5e-3 if of.link == "log" else 2e-5) * abs(means.mean())
            assert abs(entries(ds, {})[s, r] - means.mean()) < 8 * error


def blank(formula: str, data: pd.DataFrame) -> bm.Posterior:
    """One draw of zeros: what matters is which questions are refused."""
    factors = bm.GLMM(formula, data, "bernoulli").design.factors
    b = {f: np.zeros((1, 1, len(of.levels), 1)) for f, of in factors.items()}
    Sigma = {f: np.ones((1, 1, 1, 1)) for f in factors}
    return bm.from_draws(formula, data, family="bernoulli", beta=np.zeros((1, 1, 1)), b=b, Sigma=Sigma)


@pytest.mark.parametrize(
    ("blocks", "a", "policy", "right"),
    [
        ("(1 | a) + (1 | b:a)", ["1", "2"], {"a": ["1"], "b:a": ["2:1"]}, True),
        ("(1 | a) + (1 | b:a)", ["1", "2"], {"a": ["1"], "b:a": ["1:2"]}, False),
        ("(1 | a/b)", ["s:1", "s:2"], {"a": ["s:1"], "a:b": ["s:1:2"]}, True),
        ("(1 | a/b)", [1.0, 2.0], {"a": [1.0], "a:b": ["1:2"]}, True),
        ("(1 | a:c) + (1 | a:b:c)", ["1", "2"], {"a:c": ["1:5"], "a:b:c": ["1:2:5"]}, True),
    ],
)
def test_parent_of_a_named_child_is_known_by_the_columns(
    blocks: str, a: list[Any], policy: dict[str, Any], right: bool
) -> None:
    data = pd.DataFrame({"a": np.tile(a, 4), "b": np.repeat(["1", "2"], 4), "c": ["5"] * 8, "y": [0, 1] * 4})
    with nullcontext() if right else pytest.raises(bm.GroupsError, match="is nested in"):
        bm.avg_predictions(blank(f"y ~ 1 + {blocks}", data), groups=policy)


@pytest.mark.parametrize("factors", [("a", "a:b", "a:b:c"), ("a", "b", "a:b")], ids="-".join)
def test_three_factors_obey_the_rule_in_every_pair_of_them(factors: tuple[str, ...]) -> None:
    """A chain of three, and two crossed parents of one child: a middle factor at zero does not free the grandchild."""
    data = NESTED.assign(c=np.tile(["c1", "c2"], 7))
    post = blank("y ~ 1" + "".join(f" + (1 | {f})" for f in factors), data)
    for words in product(["new", "existing", "own", "zero"], repeat=3):
        policy = dict(zip(factors, words, strict=True))
        with nullcontext() if allowed(data, policy) else pytest.raises(bm.GroupsError, match="is nested in"):
            bm.avg_predictions(post, data.head(1), groups=policy)
