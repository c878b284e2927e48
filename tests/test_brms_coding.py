"""R's coding and names of columns in draws of brms, from R's rules: a column a level wherever a margin is missing.

R's rule (`TermCode` in R's source): a factor of a term has contrasts where the term without it is part of an earlier
term, or is empty; every level otherwise. Without an intercept the first factor has every level.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmargins as bm
from bayesmargins.adapters.brms.r_coding import r_codes
from bayesmargins.adapters.brms.r_names import spelt

N = 72


def rows() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    return pd.DataFrame(
        {
            "y": rng.integers(0, 2, N),
            "x": rng.normal(size=N),
            "e": rng.uniform(1, 4, N),
            "t": np.resize(["u", "v"], N),
            "f": np.resize(["a", "b", "c"], N),
            "h": rng.permutation(np.resize(["k", "l"], N)),
            "arm": np.resize([1, 2, 3], N),
            "flag": rng.permutation(np.resize([True, False, True], N)),
            "g": np.repeat(list("ABCDEF"), 12),
        }
    )


def cells(d: pd.DataFrame, names: list[str]) -> np.ndarray:
    """A product of columns by R's names: ``tu:fa`` is 1 where t is u and f is a, ``x:fa`` is x where f is a."""
    value = np.ones(len(d))
    for name in names:
        stem = next(s for s in ("arm", "flag", "t", "f", "h", "x") if name.startswith(s))
        level = name.removeprefix(stem)
        column = d[stem] if not level else d[stem].astype(str).str.upper() == level.upper()
        value = value * column.to_numpy(dtype=float)
    return value


def grid(*factors: list[str]) -> list[str]:
    """The first factor runs fastest."""
    return [":".join(reversed(names)) for names in product(*reversed(factors))]


TU, FA = ["tu", "tv"], ["fa", "fb", "fc"]
NAMED = {
    "y ~ t:f": ["Intercept", *grid(TU, FA)],
    "y ~ f:t": ["Intercept", *grid(FA, TU)],
    "y ~ 0 + t:f": grid(TU, FA),
    "y ~ t + t:f": ["Intercept", "tv", *grid(TU, ["fb", "fc"])],
    "y ~ f + t:f": ["Intercept", "fb", "fc", *grid(["tv"], FA)],
    "y ~ t * f": ["Intercept", "tv", "fb", "fc", *grid(["tv"], ["fb", "fc"])],
    "y ~ x:t": ["Intercept", "x:tu", "x:tv"],
    "y ~ x + x:t": ["Intercept", "x", "x:tv"],
    "y ~ x + x:t:f": ["Intercept", "x", *grid(["x"], TU, FA)],
    "y ~ x + t:f": ["Intercept", "x", *grid(TU, FA)],
    "y ~ 0 + x + t:f": ["x", *grid(TU, FA)],
    "y ~ t:f:h": ["Intercept", *grid(TU, FA, ["hk", "hl"])],
    "y ~ h + t:f": ["Intercept", "hl", *grid(TU, FA)],
    "y ~ factor(arm):t": ["Intercept", *grid(["factor(arm)1", "factor(arm)2", "factor(arm)3"], TU)],
    "y ~ x:flag": ["Intercept", "x:flagFALSE", "x:flagTRUE"],
    "y ~ 0 + flag": ["flagFALSE", "flagTRUE"],
    "y ~ x * flag": ["Intercept", "x", "flagTRUE", "x:flagTRUE"],
}


@pytest.mark.filterwarnings("ignore:The .* fixed columns:bayesmargins.BayesmarginsWarning")
@pytest.mark.parametrize("formula", NAMED)
def test_columns_and_coefficients_are_those_of_r(formula: str) -> None:
    """eta of draws whose coefficients carry R's names is what R's columns, made by hand, give."""
    data, rng = rows(), np.random.default_rng(1)
    draws = {f"b_{spelt(name)}": rng.normal(size=4) for name in NAMED[formula]}
    post = bm.from_brms(pd.DataFrame(draws | {".chain": 1}), formula, data, family="bernoulli")
    X = [cells(data, [] if n == "Intercept" else n.replace("factor(arm)", "arm").split(":")) for n in NAMED[formula]]
    expected = np.column_stack(list(draws.values())) @ np.stack(X)
    found = bm.predictions(post, target="link")["estimate"].to_numpy()[0]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore:The (.* fixed columns|group effects):bayesmargins.BayesmarginsWarning")
@pytest.mark.parametrize(("block", "names"), [("t:f", ["Intercept", *grid(TU, FA)]), ("0 + t:f", grid(TU, FA))])
def test_blocks_are_coded_as_in_r(block: str, names: list[str]) -> None:
    data, rng = rows(), np.random.default_rng(1)
    draws: dict[str, Any] = {"b_Intercept": rng.normal(size=4)}
    draws |= {f"sd_g__{n}": rng.uniform(0.5, 1.0, 4) for n in names}
    b = {(level, n): rng.normal(size=4) for n in names for level in "ABCDEF"}
    draws |= {f"r_g[{level},{n}]": value for (level, n), value in b.items()}
    post = bm.from_brms(pd.DataFrame(draws | {".chain": 1}), f"y ~ 1 + ({block} || g)", data, family="bernoulli")
    Z = {n: cells(data, [] if n == "Intercept" else n.split(":")) for n in names}
    own = sum(np.stack([b[level, n] for level in data.g], axis=1) * Z[n] for n in names)
    found = bm.predictions(post, target="link", groups="own")["estimate"].to_numpy()[0]
    np.testing.assert_allclose(found, draws["b_Intercept"][:, None] + own, rtol=1e-12, atol=1e-12)


def test_levels_of_the_cells_are_compared_like_any_other() -> None:
    data, rng = rows(), np.random.default_rng(1)
    draws = {f"b_{name}": rng.normal(size=4) for name in NAMED["y ~ t:f"]}
    with pytest.warns(bm.BayesmarginsWarning, match="rank 6"):
        post = bm.from_brms(pd.DataFrame(draws | {".chain": 1}), "y ~ t:f", data, family="bernoulli")
    assert post.design.coef == ("Intercept", *(f"t[{t}]:f[{f}]" for f in "abc" for t in "uv"))
    found = bm.avg_comparisons(post, "t", at={"f": ["a", "b", "c"]}, target="link")["estimate"].to_numpy()[0, :, 0]
    expected = np.stack([draws[f"b_tv:f{f}"] - draws[f"b_tu:f{f}"] for f in "abc"], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_codes_follow_the_rule_of_r() -> None:
    t, f, h = ("t",), ("f",), ("h",)
    every = {"t", "f", "h"}
    assert r_codes([t, f], every, False) == [{"t": 2}, {"f": 1}]
    assert r_codes([("x", "t")], every, True) == [{"t": 2}]
    assert r_codes([("t", "f"), ("t", "h")], every, True) == [{"t": 2, "f": 2}, {"t": 2, "h": 1}]
    assert r_codes([h, ("t", "f", "h")], every, True) == [{"h": 1}, {"t": 2, "f": 2, "h": 2}]


@pytest.mark.filterwarnings("ignore:The .* fixed columns:bayesmargins.BayesmarginsWarning")
def test_a_mixture_that_is_not_written_is_refused() -> None:
    with pytest.raises(bm.FormulaError, match="R codes the term t:h with every level of 't' and contrasts of the rest"):
        bm.from_brms(pd.DataFrame({"b_Intercept": [0.1], ".chain": 1}), "y ~ t:f + t:h", rows(), family="bernoulli")


WRITTEN = {
    "poly(x, 2, raw = TRUE)": (["poly(x, 2, raw = TRUE)1", "poly(x, 2, raw = TRUE)2"], lambda d: [d.x, d.x**2]),
    "scale(x, center = TRUE)": (["scale(x, center = TRUE)"], lambda d: [(d.x - d.x.mean()) / d.x.std()]),
    "I(x^2)": (["I(x^2)"], lambda d: [d.x**2]),
    "log(e)": (["log(e)"], lambda d: [np.log(d.e)]),
    "sin(2 * pi * e / 12)": (["sin(2 * pi * e/12)"], lambda d: [np.sin(2 * np.pi * d.e / 12)]),
    "as.numeric(arm)": (["as.numeric(arm)"], lambda d: [d.arm]),
    "I(arm %% 2)": (["I(arm%%2)"], lambda d: [d.arm % 2]),
    "x > 0": (["x > 0TRUE"], lambda d: [d.x > 0]),
    "I(x > 0)": (["I(x > 0)TRUE"], lambda d: [d.x > 0]),
    "arm %in% c(1, 3)": (["arm %in% c(1, 3)TRUE"], lambda d: [d.arm.isin([1, 3])]),
    "ifelse(x > 0, 1, 0)": (["ifelse(x > 0, 1, 0)"], lambda d: [d.x > 0]),
    "factor(arm)": (["factor(arm)2", "factor(arm)3"], lambda d: [d.arm == 2, d.arm == 3]),
    "factor(arm, levels = c(3, 1, 2))": (
        ["factor(arm, levels = c(3, 1, 2))1", "factor(arm, levels = c(3, 1, 2))2"],
        lambda d: [d.arm == 1, d.arm == 2],
    ),
    "factor(flag)": (["factor(flag)TRUE"], lambda d: [d.flag]),
    "relevel(f, ref = 'b')": (['relevel(f, ref = "b")a', 'relevel(f, ref = "b")c'], lambda d: [d.f == "a", d.f == "c"]),
    "ordered(arm)": (
        ["ordered(arm).L", "ordered(arm).Q"],
        lambda d: [(d.arm - 2) / np.sqrt(2), np.where(d.arm == 2, -2, 1) / np.sqrt(6)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("term", WRITTEN)
def test_coefficients_are_found_under_the_name_that_r_gives_the_call(term: str) -> None:
    names, columns = WRITTEN[term]
    data, rng = rows(), np.random.default_rng(1)
    draws = {f"b_{spelt(n)}": rng.normal(size=4) for n in ["Intercept", *names]}
    post = bm.from_brms(pd.DataFrame(draws | {".chain": 1}), f"y ~ {term}", data, family="bernoulli")
    X = np.stack([np.ones(N), *(np.asarray(c, dtype=float) for c in columns(data))])
    expected = np.column_stack(list(draws.values())) @ X
    found = bm.predictions(post, target="link")["estimate"].to_numpy()[0]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
