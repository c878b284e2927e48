"""Laws of the pass over rows: tables against the exact engine and NumPy, chunks, repeated rows, draws beyond tables.

Tables serve from `MANY_ROWS` rows on; here they are forced on 80 rows, or kept from being used at all.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import naive
import numpy as np
import pandas as pd
import pytest
import scipy
import xarray as xr
from test_margins import random_posterior, simulated, values

import bayesmargins as bm
from bayesmargins.evaluate import blocks, passes
from bayesmargins.family import get_link
from bayesmargins.integrate.tabulated import rows as table_rows
from bayesmargins.integrate.tabulated.surfaces import surface

# Measured over these questions: 2e-12 for values, the stated bounds being 2e-11 (surfaces of the cloglog). A slope has
# a second derivative times d s2/dx in it, of which the tables keep 1e-9 where s is near 0.
SAME = {"rtol": 1e-11, "atol": 1e-11}
SAME_SLOPE = {"rtol": 1e-8, "atol": 2e-9}
# The same values, added up in other parts.
REGROUPED = {"rtol": 1e-13, "atol": 1e-13}


@contextmanager
def engine(tables: bool, chunk: int | None = None, labels: int | None = None) -> Iterator[None]:
    """Through tables or not, so many rows a chunk, so many new labels a chunk."""
    least = 1 if tables else 2**62
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "MANY_ROWS", least)
        patch.setattr(passes, "MANY_VALUES", least)
        if chunk is not None:
            patch.setattr(blocks, "_CHUNK_ROWS", chunk)
        if labels is not None:
            patch.setattr(blocks, "_CHUNK_LABELS", labels)
        yield


def asked(question: Callable[[], xr.Dataset], tables: bool, **chunks: int | None) -> xr.Dataset:
    with engine(tables, **chunks):
        return question()


def frame(n: int = 80, seed: int = 4) -> pd.DataFrame:
    """Rows to predict for, in no order, with the columns of the fit."""
    x = np.random.default_rng(seed).uniform(-1.5, 1.5, n)  # a spline is not defined beyond the fit's own x
    return simulated().sample(n, replace=n > 80, random_state=seed).assign(x=x).reset_index(drop=True)


def scaled(formula: str, link: str, scales: list[float], family: str = "bernoulli", intercept: float = 0.0):
    """One draw a scale: standard deviations of the groups, and their effects, times it."""
    design, rng, S = bm.GLMM(formula, simulated(), family, link).design, np.random.default_rng(1), len(scales)
    by = np.asarray(scales)[None, :, None, None]
    widths = {f: (len(of.levels), len(of.terms)) for f, of in design.factors.items()}
    root = {f: rng.normal(size=(1, S, q, q)) * 0.4 + np.eye(q) for f, (_, q) in widths.items()}
    beta = rng.normal(size=(1, S, len(design.coef))) * 0.5
    beta[..., 0] += intercept
    return bm.from_draws(
        formula, simulated(), family=family, link=link, beta=beta,
        b={f: rng.normal(size=(1, S, *w)) * by for f, w in widths.items()},
        Sigma={f: by**2 * (r @ np.swapaxes(r, -1, -2)) for f, r in root.items()},
    )  # fmt: skip


ONE: list[Any] = ["new", "existing", "own", "zero", "sample", {"g": ["g3", "g0"]}]
TWO: list[Any] = [
    "new", "existing", {"g": "existing", "h": "new"}, {"g": "new", "h": "existing"}, {"g": "own", "h": "new"},
    {"g": "existing", "h": "own"}, {"g": ["g2", "g1"], "h": "new"}, {"g": ["g2"], "h": "sample"},
]  # fmt: skip
NESTED: list[Any] = ["new", "existing", "own", {"g": "own", "g:h": "new"}, {"g": "existing", "g:h": "zero"}]
MODELS = [
    ("y ~ x * f + (1 | g)", "bernoulli", "logit", ONE),
    ("y ~ x + f + (1 + x | g)", "bernoulli", "logit", ONE),
    ("y ~ x + treated + (1 + x | g)", "bernoulli", "cloglog", ["new", "existing"]),
    ("y ~ x + (0 + f | g)", "bernoulli", "cloglog", ONE),
    ("y ~ x + (0 + x | g)", "bernoulli", "logit", ONE),
    ("y ~ x + f + (1 + x | g)", "bernoulli", "probit", ["new", "existing"]),
    ("y ~ poly(x, 2) + (1 | g) + (1 | h)", "bernoulli", "logit", TWO),
    ("y ~ x + (1 | g) + (0 + treated | h)", "bernoulli", "cloglog", TWO),
    ("y ~ x + f + (x || g) + (1 | h)", "bernoulli", "probit", TWO[:4]),
    (
        "k | trials(n) ~ x + flag + (1 + x + e + x:e | g) + (1 | h)",
        "binomial",
        "logit",
        ["new", {"g": "own", "h": "new"}],
    ),
    ("y ~ x + f + (1 + x | g)", "bernoulli", "loglog", ["new", "existing", "own"]),
    ("y ~ x + treated + (1 + x | g)", "bernoulli", "cauchit", ["new", "existing", "own"]),
    ("y ~ x + f + (1 | g) + (1 | h)", "bernoulli", "cauchit", TWO[:3]),
    ("k ~ x + f + (1 + x | g)", "poisson", "softplus", ["new", "existing", "own"]),
    ("k ~ x + f + (1 | g) + (1 | h)", "poisson", "softplus", TWO[:3]),
    ("k ~ x + f + (1 + x | g)", "poisson", "sqrt", ["new", "existing", "own"]),
    ("k ~ x + f + offset(log(e)) + (1 | g/h)", "poisson", "log", NESTED),
    ("k ~ x + (0 + x | g) + (1 | h)", "poisson", "log", TWO[:4]),
    ("e ~ x + f + (1 + x | g)", "gaussian", "identity", ["new", "existing", "own"]),
]
# Compiled afresh for every link and kind of average: logit goes every way, and of another link few cases go through a
# table of it. `test_link_tables` and `test_fitted_slopes` hold the tables of every link themselves.
FEWER = {"loglog": [], "cauchit": ["new"], "softplus": ["new"], "sqrt": ["new"], "identity": ["new"]}
FEWER |= {"cloglog": ["new", "existing", {"g": "existing", "h": "new"}]}


def _held(formula: str, family: str, link: str, policy: Any) -> Any:
    more = link in FEWER and (policy not in FEWER[link] or ("h)" in formula and link != "cloglog"))
    return pytest.param(formula, family, link, policy, marks=pytest.mark.evidence if more else [])


CASES = [_held(f, family, link, policy) for f, family, link, policies in MODELS for policy in policies]


def questions(post: bm.Posterior, data: pd.DataFrame, policy: Any) -> dict[str, Callable[[], xr.Dataset]]:
    how = {"newdata": data, "groups": policy, "random_seed": 3}
    return {
        "rows": lambda: bm.predictions(post, **how),
        "cells": lambda: bm.avg_predictions(post, by=["f", "flag"], wts="w", **how),
        "difference": lambda: bm.avg_comparisons(post, "x", by="flag", wts="w", **how),
        "factor": lambda: bm.avg_comparisons(post, "f" if "f" in post.design.columns else "x", **how),
        "ratio": lambda: bm.comparisons(post, {"x": (0.0, 0.5)}, comparison="ratio", **how),
        "slopes": lambda: bm.avg_slopes(post, "x", by="treated", **how),
    }


@pytest.mark.filterwarnings("ignore:Ratio of what")  # a gaussian prediction may have either sign
@pytest.mark.parametrize(("formula", "family", "link", "policy"), CASES, ids=lambda v: str(v)[:40])
def test_tables_equal_the_exact_engine_within_their_bounds(formula: str, family: str, link: str, policy: Any) -> None:
    post = random_posterior(formula, simulated(), family, link)
    for name, question in questions(post, frame(24), policy).items():
        exact, fast = asked(question, False), asked(question, True)
        one, two = values(exact), values(fast)
        np.testing.assert_allclose(two, one, **(SAME_SLOPE if name == "slopes" else SAME), err_msg=name)
        if name != "ratio":  # the bound is that of each side
            allowed = exact.attrs["error_bound"] + fast.attrs["error_bound"] + 1e-13 * np.abs(one).max()
            assert np.abs(two - one).max() <= allowed
            assert fast.attrs["error_bound"] < (1e-4 if name == "slopes" else 1e-9)


@pytest.mark.parametrize("policy", ["new", "existing", "own", "zero"])
@pytest.mark.parametrize(("family", "link"), [("bernoulli", "logit"), ("poisson", "log"), ("gaussian", "identity")])
def test_tables_equal_sums_written_out(family: str, link: str, policy: str) -> None:
    y = {"bernoulli": "y", "poisson": "k", "gaussian": "e"}[family]
    data, post = frame(), random_posterior(f"{y} ~ x + treated + (1 + x | g)", simulated(), family, link)
    one, nil = np.ones(len(data)), np.zeros(len(data))
    codes = pd.Index(post.design.factors["g"].levels).get_indexer(data.g)
    Z, dZ = np.column_stack([one, data.x]), np.column_stack([nil, one])
    rows = naive.Rows(np.column_stack([one, data.x, data.treated]), Z, codes, np.column_stack([nil, one, nil]), dZ)
    with engine(tables=True):
        found = (
            values(bm.predictions(post, data, groups=policy)),
            values(bm.slopes(post, "x", newdata=data, groups=policy)),
        )
    for s in range(4):
        draw = post.draws.beta[s], post.draws.b["g"][s], post.draws.Sigma["g"][s], link, policy
        np.testing.assert_allclose(found[0][0, s], naive.mean(rows, *draw), rtol=1e-10, atol=1e-11)
        np.testing.assert_allclose(found[1][0, s, 0], naive.slope(rows, *draw), **SAME_SLOPE)


@pytest.mark.parametrize("link", ["logit", "cloglog", pytest.param("probit", marks=pytest.mark.evidence)])
@pytest.mark.parametrize("policy", ["new", "existing"])
def test_averages_of_many_rows_are_those_of_the_exact_engine(link: str, policy: str) -> None:
    """Draws of a real fit agree about eta."""
    post = random_posterior("y ~ x + f + (1 | g)", simulated(), "bernoulli", link)
    beta = post.draws.beta
    beta[:] = beta[:1] + 0.05 * (beta - beta[:1])
    data = frame(3000)
    how = {"newdata": data, "groups": policy}
    for question in (
        lambda: bm.avg_predictions(post, by="f", **how),
        lambda: bm.avg_comparisons(post, "f", comparison="lnor", **how),
        lambda: bm.avg_comparisons(post, ["f", "x"], by="treated", wts="w", **how),
        lambda: bm.avg_slopes(post, "x", by="treated", **how),
    ):
        exact, fast = asked(question, False), asked(question, True)
        np.testing.assert_allclose(values(fast), values(exact), rtol=1e-10, atol=1e-11)
        np.testing.assert_array_equal(values(fast), values(asked(question, True)))
        with bm.options(threads=1):
            np.testing.assert_array_equal(values(fast), values(asked(question, True)))
        np.testing.assert_allclose(values(asked(question, True, chunk=1100)), values(fast), rtol=1e-12, atol=1e-13)


def test_random_slopes_on_an_uncentred_covariate_are_looked_up() -> None:
    """A variance of 1 made of terms of 1e4 is no variance of 1e4."""
    data = simulated().assign(year=lambda d: 2010.0 + 3.0 * d.x)
    rng, S = np.random.default_rng(5), 6
    L = rng.normal(size=(1, S, 2, 2)) * 0.2 + np.eye(2)
    Sigma = L @ np.swapaxes(L, -1, -2)
    back = np.array([[1.0, -2010.0], [0.0, 1.0]])  # intercept and slope at year 0
    post = bm.from_draws(
        "y ~ year + (1 + year | g)", data, family="bernoulli", link="logit",
        beta=np.stack([-0.2 * 2010 + rng.normal(size=(1, S)), np.full((1, S), 0.2)], axis=-1),
        Sigma={"g": back @ (Sigma / 9.0) @ back.T},
    )  # fmt: skip
    rows = data.sample(600, replace=True, random_state=1).assign(year=2010.0 + 3.0 * rng.uniform(-1.5, 1.5, 600))
    exact, fast = (asked(lambda: bm.avg_slopes(post, "year", newdata=rows), tables) for tables in (False, True))
    assert "table" in fast.attrs["integration_method"]
    np.testing.assert_allclose(values(fast), values(exact), rtol=1e-8, atol=0)


REGROUPINGS = [
    ("y ~ x * f + (1 | g)", "logit", "sample"),
    ("y ~ bs(x, df=5) + f + (1 + x | g) + (1 | h)", "cloglog", "new"),
    ("y ~ x + f + (1 | g) + (1 | h)", "logit", {"g": "existing", "h": "new"}),
    ("y ~ x + (0 + f | g) + (1 | h)", "probit", {"g": "existing", "h": "own"}),
]


@pytest.mark.parametrize("tables", [True, False])
@pytest.mark.parametrize(("formula", "link", "policy"), REGROUPINGS, ids=lambda v: str(v)[:30])
def test_chunks_change_no_number(formula: str, link: str, policy: Any, tables: bool) -> None:
    post, data = random_posterior(formula, simulated(), "bernoulli", link), frame(40)
    for question in questions(post, data, policy).values():
        whole = values(asked(question, tables))
        np.testing.assert_allclose(values(asked(question, tables, chunk=17)), whole, **REGROUPED)


@pytest.mark.parametrize(("formula", "link", "policy"), REGROUPINGS, ids=lambda v: str(v)[:30])
def test_threads_and_repetition_change_no_bit(formula: str, link: str, policy: Any) -> None:
    post, data = random_posterior(formula, simulated(), "bernoulli", link), frame(600)
    for question in questions(post, data, policy).values():
        found = []
        for threads in (1, 2, 2):
            with bm.options(threads=threads):
                found.append(values(asked(question, True)))
        np.testing.assert_array_equal(found[1], found[0])
        np.testing.assert_array_equal(found[2], found[1])


@pytest.mark.parametrize("order", ["shuffled", "ends in place", "descending"])
@pytest.mark.parametrize("link", ["logit", "cloglog"])
def test_order_of_rows_is_the_order_of_their_values(link: str, order: str) -> None:
    """Rows are sorted by s before they are looked up: also where the first has the least, and the last the most."""
    post = random_posterior("y ~ x + (1 + x | g)", simulated(), "bernoulli", link)
    middle = np.random.default_rng(6).permutation(np.arange(1, 29))
    x = {"shuffled": middle, "ends in place": np.r_[0, middle, 29], "descending": np.arange(30)[::-1]}[order] / 10
    data = pd.DataFrame({"x": x})
    for question in (lambda: bm.predictions(post, data), lambda: bm.slopes(post, "x", newdata=data)):
        np.testing.assert_allclose(values(asked(question, True)), values(asked(question, False)), **SAME_SLOPE)


@pytest.mark.parametrize("tables", [True, False])
@pytest.mark.parametrize("policy", ["new", "existing", "own", "sample"])
def test_repeated_rows_have_the_values_of_the_first(policy: str, tables: bool) -> None:
    post = random_posterior("y ~ x + f + (1 + x | g)", simulated(), "bernoulli")
    data = frame(12)
    which = np.random.default_rng(2).integers(0, 12, 700)
    many = data.iloc[which].set_index(np.repeat([5, 5, 7, 9], 175))  # labels of an index are no positions
    w = np.random.default_rng(3).uniform(size=700) * (np.arange(700) % 5 > 0)  # some count for nothing
    with engine(tables):
        one = values(bm.predictions(post, data, groups=policy, random_seed=1))
        np.testing.assert_allclose(
            values(bm.predictions(post, many, groups=policy, random_seed=1)), one[..., which], **REGROUPED
        )
        average = values(bm.avg_predictions(post, many, wts=w, groups=policy, random_seed=1))
    np.testing.assert_allclose(average, (one[..., which] * w).sum(axis=-1) / w.sum(), **REGROUPED)


@pytest.mark.parametrize("policy", ["new", "existing", {"g": "existing", "h": "new"}, {"g": "own", "h": "new"}])
@pytest.mark.parametrize(
    "link", ["logit", *(pytest.param(v, marks=pytest.mark.evidence) for v in ("cloglog", "probit"))]
)
def test_draws_beyond_the_tables_stand_beside_ordinary_ones(link: str, policy: Any) -> None:
    """Twice what the exact engine gives each draw alone: at s = 0, next to 0, at the edge of the tables, beyond it."""
    scales = [1.0, 0.0, 5.0, 20.0, 1e-9, 15.9, 16.0, 0.7]
    for formula, more in (("y ~ x + f + (1 | g) + (1 | h)", [5000.0]), ("y ~ x + f + (1 + x | g) + (1 | h)", [])):
        post = scaled(formula, link, scales + more)
        for name, question in questions(post, frame(3), policy).items():
            if name not in ("rows", "cells", "slopes"):
                continue
            exact, fast = asked(question, False), asked(question, True)
            bound = exact.attrs["error_bound"] + fast.attrs["error_bound"] + 1e-13 * np.abs(values(exact)).max()
            gap = np.abs(values(fast) - values(exact)).max()
            assert gap <= min(bound, 2e-9 * max(1.0, np.abs(values(exact)).max()))


@pytest.mark.parametrize("link", ["logit", "cloglog"])
def test_bound_of_a_slope_is_that_of_draws_that_tables_serve(link: str) -> None:
    """What d s2/dx is at s = 100 is no factor of an error that only draws at s = 1 can have."""
    formula = "y ~ x + (1 + x | g)"
    near, far = scaled(formula, link, [1.0, 1.0]), scaled(formula, link, [1.0, 100.0])
    ask = [lambda p=p: bm.avg_slopes(p, "x", newdata=frame()) for p in (near, far)]
    alone, both, exact = asked(ask[0], True), asked(ask[1], True), asked(ask[1], False)
    bounds = [ds.attrs["error_bound"] for ds in (alone, both, exact)]
    assert bounds[1] <= 10 * (bounds[0] + bounds[2])


RARE = [("logit", -28.0), ("logit", 28.0), ("cloglog", -28.0), ("cloglog", 2.5), ("cloglog", 2.8), ("probit", -6.0)]


@pytest.mark.parametrize("policy", ["new", "existing", {"g": "existing", "h": "new"}])
@pytest.mark.parametrize(("link", "eta"), RARE)
def test_rare_events_keep_their_relative_accuracy(link: str, eta: float, policy: Any) -> None:
    """Ratios and odds of probabilities down to 1e-12, and of what is left to 1."""
    post = scaled("y ~ x + (1 | g) + (1 | h)", link, [0.5, 0.8, 1.0], intercept=eta)
    for comparison in ("ratio", "lnor"):
        question = lambda how=comparison: bm.avg_comparisons(post, {"x": (0.0, 1.0)}, groups=policy, comparison=how)  # noqa: E731
        np.testing.assert_allclose(values(asked(question, True)), values(asked(question, False)), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("chunk", [None, 5])
@pytest.mark.parametrize("policy", ["new", "existing", "own", "sample"])
@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ x + (1 + x | g)"])
def test_rows_with_missing_values_are_nan_and_said_once(formula: str, policy: str, chunk: int | None) -> None:
    """Also where a whole chunk is missing, or the missing rows repeat."""
    post, data = random_posterior(formula, simulated(), "bernoulli"), frame(30)
    gone = np.r_[np.arange(10, 22), 29]
    data.loc[gone, "x"] = np.nan
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = values(asked(lambda: bm.predictions(post, data, groups=policy, random_seed=1), True, chunk=chunk))
    assert [str(w.message) for w in said if "13 of 30 rows of newdata" in str(w.message)] == [str(said[0].message)]
    assert len(said) == 1
    assert (np.flatnonzero(np.isnan(found).any(axis=(0, 1))) == gone).all()
    kept = data.drop(index=gone)
    complete = values(asked(lambda: bm.predictions(post, kept, groups=policy, random_seed=1), False))
    np.testing.assert_allclose(np.delete(found, gone, axis=-1), complete, **SAME)


def test_rows_without_a_known_group_are_nan() -> None:
    post, data = random_posterior("y ~ x + (1 | g)", simulated(), "bernoulli"), frame(30)
    data.loc[[3, 4, 20], "g"] = None
    for policy in ("own", "sample"):
        with pytest.warns(bm.BayesmarginsWarning, match="3 of 30 rows"):
            found = values(asked(lambda p=policy: bm.predictions(post, data, groups=p, random_seed=1), True, chunk=4))
        assert np.flatnonzero(np.isnan(found).any(axis=(0, 1))).tolist() == [3, 4, 20]


@pytest.mark.parametrize(
    ("column", "entries", "said"),
    [
        ("f", {3: "q", 60: "r"}, "levels 'q', 'r' that the fit has not seen"),
        ("e", {9: -1.0, 61: 0.0}, "no finite value in 2 rows of newdata, the first being row 9"),
        ("g", {3: "u1", 60: "u2"}, "groups that the fit has not seen: 'u1', 'u2'"),
    ],
)
def test_messages_count_and_number_the_rows_of_the_user(column: str, entries: dict[int, Any], said: str) -> None:
    post, data = random_posterior("y ~ x + f + np.log(e) + (1 | g)", simulated(), "bernoulli"), frame()
    for row, entry in entries.items():
        data.loc[row, column] = entry
    with pytest.raises(bm.BayesmarginsError, match=said):
        asked(lambda: bm.predictions(post, data, groups="own"), True, chunk=7)


def test_named_groups_beside_sampled_ones_keep_each_chunks_own_rows() -> None:
    """Design rows are kept for the next named group, and new labels make chunks small: both at once."""
    post, data = random_posterior("y ~ x + (1 | g) + (1 | h)", simulated(), "bernoulli"), frame()
    ask = {"g": ["g1", "g2"], "h": "sample"}
    question = lambda: bm.predictions(post, data, groups=ask, random_seed=1)  # noqa: E731
    np.testing.assert_allclose(values(asked(question, True, labels=10 * 16)), values(asked(question, False)), **SAME)


@pytest.mark.parametrize("policy", ["own", "sample"])
def test_a_label_reads_the_same_in_every_chunk(policy: str) -> None:
    """1.0 beside 2.5 is the text '1.0', and by itself '1': which it is must not hang on the rows of a chunk."""
    data = simulated(c=np.repeat([1.0, 2.0, 2.5, 4.0], 20))
    post = random_posterior("y ~ x + (1 | c:h)", data, "bernoulli")
    question = lambda: bm.predictions(post, data, groups=policy, random_seed=1)  # noqa: E731
    np.testing.assert_allclose(values(asked(question, True, chunk=7)), values(asked(question, False)), **SAME)


def test_result_that_is_too_large_is_refused_before_it_is_computed() -> None:
    post = random_posterior("y ~ x + (1 | g)", simulated(), "bernoulli")
    with bm.options(memory="100kB"), pytest.raises(bm.EstimandError, match=r"10 draws x 2,000 values"):
        asked(lambda: bm.predictions(post, frame(2000)), True)


def test_memory_of_many_cells_is_that_of_the_result_also_beyond_the_tables() -> None:
    post = scaled("y ~ x + (1 | g)", "logit", [1.0, 20.0, 1.0, 1.0])
    data = frame(8000).assign(cell=np.arange(8000) // 2)
    asked(lambda: bm.avg_predictions(post, data.head(50), by="cell"), True)  # compiled code is loaded
    tracemalloc.start()
    try:
        ds = asked(lambda: bm.avg_predictions(post, data, by="cell"), True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert ds["estimate"].size == 4 * 4000
    assert peak < 64 * 2**20


# what an attack on the tables found ---------------------------------------------------------------------------------


def slope_model(sd: float = 1.0, intercept: float = -1.0, draws: int = 20) -> bm.Posterior:
    rng, data = np.random.default_rng(1), simulated()
    beta = np.tile([intercept, 0.5, 0.8], (1, draws, 1))
    beta[..., 0] += 0.05 * rng.normal(size=draws)
    Sigma = sd**2 * np.array([[1.0, 0.6], [0.6, 1.5]]) * np.ones((1, draws, 1, 1))
    return bm.from_draws(
        "y ~ x + e + (1 + x | g)", data, family="bernoulli", link="logit", beta=beta, Sigma={"g": Sigma}
    )


@pytest.mark.parametrize(("sd", "intercept"), [(1.0, -1.0), (7.0, -45.0)], ids=["in the table", "far out"])
def test_slopes_keep_the_change_of_variance_where_x_is_the_same_in_all_rows(sd: float, intercept: float) -> None:
    post, rng = slope_model(sd, intercept), np.random.default_rng(2)
    rows = simulated().sample(2500, replace=True, random_state=1).assign(e=rng.normal(size=2500))
    questions = (
        lambda: bm.avg_slopes(post, "x", newdata=rows, at={"x": [0.0, 0.7]}),
        lambda: bm.slopes(post, "x", newdata=rows[:80], at={"x": [0.0, 0.7]}),
    )
    for question in questions:
        exact, fast = (values(asked(question, tables)) for tables in (False, True))
        np.testing.assert_allclose(fast, exact, rtol=1e-8, atol=1e-14)


def test_averages_of_what_is_certain_do_not_exceed_one() -> None:
    post = slope_model(0.5, 36.0, draws=3)
    n = 300_000
    rows = pd.DataFrame({"x": np.zeros(n), "e": np.random.default_rng(3).normal(size=n), "k": np.arange(n) > 9})
    for target in (post, slope_model(0.5, 60.0, draws=3)):  # in the table, and beyond it
        found = values(asked(lambda post=target: bm.avg_predictions(post, newdata=rows, by="k"), True))
        assert np.abs(found - 1.0).max() < 1e-13


def test_an_interrupted_table_is_finished_later(monkeypatch: Any) -> None:
    table, calls = table_rows.RowTable(get_link("logit"), "mean", 8.0), []
    error = table_rows.RowTable._error

    def interrupted(self: table_rows.RowTable, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return error(self, *arguments)

    monkeypatch.setattr(table_rows.RowTable, "_error", interrupted)
    with pytest.raises(KeyboardInterrupt):
        table.rows(40, 50)
    assert len(table.rows(40, 50)) == 10
    assert all(table.bounds(row, 12)[0] < 1e-11 for row in range(40, 50))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_does_not_wait_for_a_table_of_its_parent() -> None:
    code = """
import os, threading, time, warnings
warnings.simplefilter("ignore")
from bayesmargins.integrate.tabulated.rows import row_table
from bayesmargins.family import get_link
table = row_table(get_link("logit"), "mean", 8.0)
table._lock.acquire()  # as a thread would that builds rows
child = os.fork()
if child == 0:
    row_table(get_link("logit"), "mean", 8.0).rows(3, 4)
    os._exit(0)
for _ in range(200):
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        raise SystemExit(status)
    time.sleep(0.1)
os.kill(child, 9)
raise SystemExit("the child waits")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_variances_that_rounding_puts_above_their_bound_have_a_value() -> None:
    made = surface(get_link("logit"), 15.0, 16.0)
    assert np.isfinite(made([[0.5, -3.0]], [[16.0 * (1.0 + 1e-12), 16.05]])).all()


@pytest.mark.parametrize("question", ["values", "slopes"])
def test_variances_that_rounding_puts_below_zero_are_zero(question: str) -> None:
    """Where effects of a group are perfectly correlated, one x has none; its variance is a sum of 100, -200 and 100."""
    data, S, r = simulated(), 40, 0.7
    post = bm.from_draws(
        "y ~ x + (1 + x | g)", data, family="bernoulli", link="logit",
        beta=np.random.default_rng(3).normal(size=(1, S, 2)),
        Sigma={"g": np.broadcast_to(100.0 * np.array([[1.0, -r], [-r, r * r]]), (1, S, 2, 2))},
    )  # fmt: skip
    rows = pd.DataFrame({"x": (1.0 + 1e-9 * np.linspace(-1.0, 1.0, 200)) / r})
    z = np.column_stack([np.ones(200), rows.x])
    assert (np.array([100.0, -140.0, 49.0]) @ [z[:, 0], z[:, 1], z[:, 1] ** 2] < 0.0).any()
    fast = values(asked(lambda: bm.predictions(post, newdata=rows, groups="new"), True))
    if question == "slopes":
        fast = values(asked(lambda: bm.slopes(post, "x", newdata=rows, groups="new"), True))
    h = scipy.special.expit(post.draws.beta @ z.T)
    change = 200.0 * r * (r * rows.x.to_numpy() - 1.0)  # of the variance, 100 (1 - r x)^2
    slope = h * (1.0 - h) * (post.draws.beta[:, 1:] + 0.5 * (1.0 - 2.0 * h) * change)
    true = slope if question == "slopes" else h
    # Measured: 1.4e-11 for slopes, of the table at s = 0; rows summed exactly err by less.
    np.testing.assert_allclose(fast.reshape(S, -1), true, rtol=0, atol=1e-10 if question == "slopes" else 1e-11)


@pytest.mark.parametrize("outlier", [1e8, 1e15, 1e20])
@pytest.mark.parametrize("formula", ["y ~ x + f + (1 | g)", "y ~ x * treated + (1 | g)"])
def test_a_huge_value_in_one_row_leaves_the_others_as_they_are(formula: str, outlier: float) -> None:
    post, data = random_posterior(formula, simulated(), "bernoulli", "logit"), frame(600)
    data.loc[0, "x"] = outlier
    exact, fast = (asked(lambda: bm.avg_comparisons(post, {"x": 0.1}, newdata=data), of) for of in (False, True))
    np.testing.assert_allclose(values(fast), values(exact), rtol=0, atol=1e-12)


def test_plug_in_probabilities_equal_scipys_at_every_size_of_eta():
    x = np.concatenate([np.linspace(-760.0, 760.0, 77), np.random.default_rng(3).normal(0.0, 3.0, 20)])
    data = pd.DataFrame({"y": 0, "x": x, "g": "a"})
    beta = np.array([[0.0, 1.0], [0.3, -1.0]])[None]
    post = bm.from_draws(
        "y ~ x + (1 | g)", data, family="bernoulli", beta=beta, b={"g": np.zeros((1, 2, 1, 1))},
        Sigma={"g": np.ones((1, 2, 1, 1))},
    )  # fmt: skip
    got = asked(lambda: bm.predictions(post, newdata=data, groups="zero"), tables=True)["estimate"].to_numpy()[0]
    eta = beta[0, :, :1] + beta[0, :, 1:] * x
    np.testing.assert_allclose(got, scipy.special.expit(eta), rtol=2e-14, atol=1e-300)
