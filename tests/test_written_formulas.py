"""Formulas as public scripts write them: columns that NumPy makes by hand, or a refusal that says what to write."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import BSpline
from test_margins import random_posterior

import bayesmargins as bm
from bayesmargins.design import build_design

N = 60
Columns = Callable[[pd.DataFrame], list[Any]]


def rows() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    return pd.DataFrame(
        {
            "y": rng.integers(0, 2, N),
            "x": rng.normal(size=N),
            "z": rng.uniform(0.5, 2.0, N),
            "e": rng.uniform(1.0, 4.0, N),
            "year": rng.integers(2005, 2015, N),
            "arm": np.resize([1, 2, 3, 2], N),
            "m": np.resize([4.0, 5.0, 4.0, 4.0, 5.0], N),
            "f": rng.permutation(np.resize(list("abc"), N)),
            "t": rng.permutation(np.resize(["u", "v"], N)),
            "flag": rng.random(N) < 0.5,
            "floor": rng.integers(0, 2, N).astype(float),
            "c": rng.normal(size=N),
            "Sepal.Length": rng.uniform(4.0, 7.0, N),
            "my col": rng.normal(size=N),
            "n": np.full(N, 5),
            "w": np.full(N, 1.0),
            "g": np.resize(list("ABCDE"), N),
            "h": np.resize(["p", "q", "r"], N),
            "a": np.resize(["k", "l"], N),
            "Plot/Block": np.resize(["P1", "P2", "P3"], N),
        }
    )


def one(d: pd.DataFrame) -> np.ndarray:
    return np.ones(len(d))


def of(series: pd.Series, *levels: Any) -> list[pd.Series]:
    """A column for each of these levels."""
    return [series == level for level in levels]


def products(left: list[Any], right: list[Any]) -> list[Any]:
    """All products, the left factor running fastest, as R and formulaic have it."""
    return [np.asarray(a) * np.asarray(b) for b in right for a in left]


def orthogonal(x: pd.Series, degree: int) -> list[np.ndarray]:
    """R's poly(): powers, orthonormal to each other and to the constant."""
    Q, R = np.linalg.qr(np.vander(x - x.mean(), degree + 1, increasing=True))
    return list((Q * np.sign(np.diag(R))).T[1:])


def b_spline(x: pd.Series, inner: Any, degree: int = 3) -> list[np.ndarray]:
    """R's bs(): knots between the ends, without the first column."""
    knots = np.r_[[x.min()] * (degree + 1), inner, [x.max()] * (degree + 1)]
    return list(BSpline.design_matrix(np.clip(x, x.min(), x.max()), knots, degree).toarray().T[1:])


def scaled(x: pd.Series) -> pd.Series:
    return (x - x.mean()) / x.std()


# The fixed part after y ~, and its columns.
FIXED: dict[str, Columns] = {
    "1": lambda d: [one(d)],
    "x": lambda d: [one(d), d.x],
    "x - 1": lambda d: [d.x],
    "x + 0": lambda d: [d.x],
    "-1 + x": lambda d: [d.x],
    "0 + f": lambda d: of(d.f, "a", "b", "c"),
    "f - 1": lambda d: of(d.f, "a", "b", "c"),
    "0 + t + t:x": lambda d: [*of(d.t, "u", "v"), *products(of(d.t, "u", "v"), [d.x])],
    "0 + Intercept": lambda d: [one(d)],
    "0 + Intercept + x": lambda d: [one(d), d.x],
    "Intercept + x - 1": lambda d: [one(d), d.x],
    "`my col`": lambda d: [one(d), d["my col"]],
    "I(`my col`^2)": lambda d: [one(d), d["my col"] ** 2],
    "Sepal.Length": lambda d: [one(d), d["Sepal.Length"]],
    "log(Sepal.Length)": lambda d: [one(d), np.log(d["Sepal.Length"])],
    "I(Sepal.Length^2) + x": lambda d: [one(d), d["Sepal.Length"] ** 2, d.x],
    "year * t": lambda d: [one(d), d.year, d.t == "v", d.year * (d.t == "v")],
    "year + I(year^2)": lambda d: [one(d), d.year, d.year.astype(float) ** 2],
    "I((year - 2010) / 10)": lambda d: [one(d), (d.year - 2010) / 10],
    "I(year - 2010)": lambda d: [one(d), d.year - 2010],
    "I(x^2)": lambda d: [one(d), d.x**2],
    "I(x**3)": lambda d: [one(d), d.x**3],
    "I(1 / e)": lambda d: [one(d), 1 / d.e],
    "I(x * z)": lambda d: [one(d), d.x * d.z],
    "log(e)": lambda d: [one(d), np.log(d.e)],
    "log2(e) + log10(z)": lambda d: [one(d), np.log2(d.e), np.log10(d.z)],
    "log(e + 1)": lambda d: [one(d), np.log(d.e + 1)],
    "log1p(e) + expm1(x)": lambda d: [one(d), np.log1p(d.e), np.expm1(d.x)],
    "exp(-x)": lambda d: [one(d), np.exp(-d.x)],
    "sqrt(e) + abs(x)": lambda d: [one(d), np.sqrt(d.e), np.abs(d.x)],
    "sin(2 * pi * year / 12) + cos(2 * pi * year / 12)": lambda d: [
        one(d), np.sin(2 * np.pi * d.year / 12), np.cos(2 * np.pi * d.year / 12),
    ],
    "tanh(x) + sign(x)": lambda d: [one(d), np.tanh(d.x), np.sign(d.x)],
    "floor(x) + ceiling(z)": lambda d: [one(d), np.floor(d.x), np.ceil(d.z)],
    "round(e) + trunc(z)": lambda d: [one(d), np.round(d.e), np.trunc(d.z)],
    "pmin(x, 0) + pmax(x, 0)": lambda d: [one(d), np.minimum(d.x, 0), np.maximum(d.x, 0)],
    "I(floor + 1)": lambda d: [one(d), d.floor + 1],
    "floor": lambda d: [one(d), d.floor],
    "I(c * x) + c": lambda d: [one(d), d.c * d.x, d.c],
    "I(year %% 4)": lambda d: [one(d), d.year % 4],
    "I(year %/% 4)": lambda d: [one(d), d.year // 4],
    "ifelse(x > 0, 1, 0)": lambda d: [one(d), d.x > 0],
    "ifelse(x > 0, x, 0)": lambda d: [one(d), d.x.clip(lower=0)],
    "x > 0": lambda d: [one(d), d.x > 0],
    "x > -1": lambda d: [one(d), d.x > -1],
    "arm == 2": lambda d: [one(d), d.arm == 2],
    "arm != 2": lambda d: [one(d), d.arm != 2],
    "x + (z > 1)": lambda d: [one(d), d.x, d.z > 1],
    "I(x > 0) + I(x >= z)": lambda d: [one(d), d.x > 0, d.x >= d.z],
    "I((x > 0) & (z > 1))": lambda d: [one(d), (d.x > 0) & (d.z > 1)],
    "I(arm %in% c(1, 3))": lambda d: [one(d), d.arm.isin([1, 3])],
    "flag": lambda d: [one(d), d.flag],
    "x * flag": lambda d: [one(d), d.x, d.flag, d.x * d.flag],
    "poly(x, 2)": lambda d: [one(d), *orthogonal(d.x, 2)],
    "poly(x, degree = 3)": lambda d: [one(d), *orthogonal(d.x, 3)],
    "poly(x, 2, raw = TRUE)": lambda d: [one(d), d.x, d.x**2],
    "poly(x, 2, raw = T)": lambda d: [one(d), d.x, d.x**2],
    "poly(x, 3, raw=True)": lambda d: [one(d), d.x, d.x**2, d.x**3],
    "poly(x, 2, raw = FALSE)": lambda d: [one(d), *orthogonal(d.x, 2)],
    "stats::poly(x, 2)": lambda d: [one(d), *orthogonal(d.x, 2)],
    "poly(x, 2, raw = TRUE):t": lambda d: [one(d), *products([d.x, d.x**2], of(d.t, "u", "v"))],
    "scale(x)": lambda d: [one(d), scaled(d.x)],
    "scale(x)[, 1]": lambda d: [one(d), scaled(d.x)],
    "base::scale(x)": lambda d: [one(d), scaled(d.x)],
    "scale(x, center = TRUE)": lambda d: [one(d), scaled(d.x)],
    "scale(x, center = TRUE, scale = TRUE)": lambda d: [one(d), scaled(d.x)],
    "scale(x, scale = FALSE)": lambda d: [one(d), d.x - d.x.mean()],
    "scale(x, TRUE, F)": lambda d: [one(d), d.x - d.x.mean()],
    "scale(e, center = FALSE)": lambda d: [one(d), d.e / np.sqrt((d.e**2).sum() / (N - 1))],
    "scale(log(e))": lambda d: [one(d), scaled(np.log(d.e))],
    "I(scale(x)^2)": lambda d: [one(d), scaled(d.x) ** 2],
    "center(x)": lambda d: [one(d), d.x - d.x.mean()],
    "bs(x, df = 5)": lambda d: [one(d), *b_spline(d.x, np.quantile(d.x, [1 / 3, 2 / 3]))],
    "splines::bs(x, df = 4)": lambda d: [one(d), *b_spline(d.x, [np.median(d.x)])],
    "bs(x, knots = c(-0.5, 0.5))": lambda d: [one(d), *b_spline(d.x, [-0.5, 0.5])],
    "bs(x, degree = 2, df = 3)": lambda d: [one(d), *b_spline(d.x, [np.median(d.x)], 2)],
    "f": lambda d: [one(d), *of(d.f, "b", "c")],
    "factor(f)": lambda d: [one(d), *of(d.f, "b", "c")],
    "factor(arm)": lambda d: [one(d), *of(d.arm, 2, 3)],
    "as.factor(m) + x": lambda d: [one(d), d.m == 5, d.x],
    "C(arm)": lambda d: [one(d), *of(d.arm, 2, 3)],
    "factor(arm, levels = c(3, 1, 2))": lambda d: [one(d), *of(d.arm, 1, 2)],
    "factor(f, levels = c('c', 'a', 'b'))": lambda d: [one(d), *of(d.f, "a", "b")],
    "0 + factor(arm)": lambda d: of(d.arm, 1, 2, 3),
    "ordered(arm)": lambda d: [
        one(d), np.select(of(d.arm, 1, 2), [-np.sqrt(0.5), 0], np.sqrt(0.5)),
        np.where(d.arm == 2, -2, 1) / np.sqrt(6),
    ],
    "relevel(f, ref = 'b')": lambda d: [one(d), *of(d.f, "a", "c")],
    "relevel(factor(arm), ref = '2')": lambda d: [one(d), *of(d.arm, 1, 3)],
    "C(f, contr.treatment('c'))": lambda d: [one(d), *of(d.f, "a", "b")],
    "C(f, contr.sum)": lambda d: [
        one(d), (d.f == "a") * 1.0 - (d.f == "c"), (d.f == "b") * 1.0 - (d.f == "c"),
    ],
    "as.numeric(arm)": lambda d: [one(d), d.arm],
    "log(as.numeric(arm))": lambda d: [one(d), np.log(d.arm)],
    "as.integer(e)": lambda d: [one(d), np.trunc(d.e)],
    "x:z": lambda d: [one(d), d.x * d.z],
    "x * z": lambda d: [one(d), d.x, d.z, d.x * d.z],
    "x:t": lambda d: [one(d), *products([d.x], of(d.t, "u", "v"))],
    "x + x:t": lambda d: [one(d), d.x, d.x * (d.t == "v")],
    "t + t:x": lambda d: [one(d), d.t == "v", *products(of(d.t, "u", "v"), [d.x])],
    "t / x": lambda d: [one(d), d.t == "v", *products(of(d.t, "u", "v"), [d.x])],
    "x %in% t": lambda d: [one(d), *products([d.x], of(d.t, "u", "v"))],
    "t + x %in% t": lambda d: [one(d), d.t == "v", *products([d.x], of(d.t, "u", "v"))],
    "t * f": lambda d: [
        one(d), d.t == "v", *of(d.f, "b", "c"), *products(of(d.t, "v"), of(d.f, "b", "c")),
    ],
    "t + t:f": lambda d: [one(d), d.t == "v", *products(of(d.t, "u", "v"), of(d.f, "b", "c"))],
    "0 + t:f": lambda d: products(of(d.t, "u", "v"), of(d.f, "a", "b", "c")),
    "(x + z + e)^2": lambda d: [one(d), d.x, d.z, d.e, d.x * d.z, d.x * d.e, d.z * d.e],
    "(x + z)^2 - x:z": lambda d: [one(d), d.x, d.z],
    "x * z - z": lambda d: [one(d), d.x, d.x * d.z],
    "C(arm):x": lambda d: [one(d), *products(of(d.arm, 1, 2, 3), [d.x])],
    "C(arm) * x": lambda d: [one(d), *of(d.arm, 2, 3), d.x, *products(of(d.arm, 2, 3), [d.x])],
    "x + offset(log(e))": lambda d: [one(d), d.x],
    "offset(log(e)) + x": lambda d: [one(d), d.x],
}  # fmt: skip


@pytest.mark.parametrize("right", FIXED)
def test_columns_of_the_fixed_part_are_those_that_numpy_makes(right: str) -> None:
    """Of the fitted rows, and of a few of them alone, which are coded by what the fit knew."""
    data = rows()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        design = build_design(f"y ~ {right}", data)
    expected = np.column_stack([np.asarray(c, dtype=float) for c in FIXED[right](data)])
    np.testing.assert_allclose(design.rows(data).X, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(design.rows(data.iloc[[7, 3]]).X, expected[[7, 3]], rtol=1e-9, atol=1e-12)


# A block, and by grouping factor the columns of z and which of them are correlated.
BLOCKS: dict[str, dict[str, tuple[Columns, tuple[tuple[int, ...], ...]]]] = {
    "(1 | g)": {"g": (lambda d: [one(d)], ((0,),))},
    "(1 + x | g)": {"g": (lambda d: [one(d), d.x], ((0, 1),))},
    "(x | g)": {"g": (lambda d: [one(d), d.x], ((0, 1),))},
    "(1 + year | g)": {"g": (lambda d: [one(d), d.year], ((0, 1),))},
    "(x || g)": {"g": (lambda d: [one(d), d.x], ((0,), (1,)))},
    "(x | g) + (0 + z | g)": {"g": (lambda d: [one(d), d.x, d.z], ((0, 1), (2,)))},
    "(0 + x | g)": {"g": (lambda d: [d.x], ((0,),))},
    "(x - 1 | g)": {"g": (lambda d: [d.x], ((0,),))},
    "(0 + Intercept + x | g)": {"g": (lambda d: [one(d), d.x], ((0, 1),))},
    "(1 | g + h)": {"g": (lambda d: [one(d)], ((0,),)), "h": (lambda d: [one(d)], ((0,),))},
    "(x | g + h)": {"g": (lambda d: [one(d), d.x], ((0, 1),)), "h": (lambda d: [one(d), d.x], ((0, 1),))},
    "(1 | g/h)": {"g": (lambda d: [one(d)], ((0,),)), "g:h": (lambda d: [one(d)], ((0,),))},
    "(1 | h + g/a)": {n: (lambda d: [one(d)], ((0,),)) for n in ("h", "g", "g:a")},
    "(1 | g:h)": {"g:h": (lambda d: [one(d)], ((0,),))},
    "(1 | interaction(g, h))": {"g:h": (lambda d: [one(d)], ((0,),))},
    "(1 | factor(arm))": {"arm": (lambda d: [one(d)], ((0,),))},
    "(1 | `Plot/Block`)": {"Plot/Block": (lambda d: [one(d)], ((0,),))},
    "us(1 + x | g)": {"g": (lambda d: [one(d), d.x], ((0, 1),))},
    "diag(1 + x | g)": {"g": (lambda d: [one(d), d.x], ((0,), (1,)))},
    "(0 + factor(arm) | g)": {"g": (lambda d: of(d.arm, 1, 2, 3), ((0, 1, 2),))},
    "(C(arm) || g)": {"g": (lambda d: [one(d), *of(d.arm, 2, 3)], ((0,), (1,), (2,)))},
    "(x > 0 | g)": {"g": (lambda d: [one(d), d.x > 0], ((0, 1),))},
    "(poly(x, 2, raw = TRUE) | g)": {"g": (lambda d: [one(d), d.x, d.x**2], ((0, 1, 2),))},
    "(0 + t:f | g)": {"g": (lambda d: products(of(d.t, "u", "v"), of(d.f, "a", "b", "c")), (tuple(range(6)),))},
    "(log(e) | g)": {"g": (lambda d: [one(d), np.log(d.e)], ((0, 1),))},
}


@pytest.mark.parametrize("block", BLOCKS)
def test_columns_of_a_block_are_those_that_numpy_makes(block: str) -> None:
    data = rows()
    design = build_design(f"y ~ x + {block}", data)
    assert list(design.factors) == list(BLOCKS[block])
    for name, (columns, correlated) in BLOCKS[block].items():
        expected = np.column_stack([np.asarray(c, dtype=float) for c in columns(data)])
        np.testing.assert_allclose(design.rows(data).Z[name], expected, rtol=1e-9, atol=1e-12)
        assert design.factors[name].blocks == correlated
        named = [data[c].astype(str) for c in name.split(":")]
        assert len(design.factors[name].levels) == len(pd.concat(named, axis=1).drop_duplicates())


REFUSED = {
    "y ~ Intercept + x": r"goes with 0 \+ Intercept",
    "y ~ .": r"The '\.' .* Name the columns",
    "y ~ .^2": r"The '\.' .* \(a \+ b \+ c\)\^2 has all pairs",
    "y ~ . - x + (1 | g)": r"Name the columns",
    "y ~ x^2": r"Write I\(x\^2\), or poly\(x, 2\)",
    "y ~ z + x > 0": r"one of whole sums.* Write I\(x > 0\)",
    "y ~ cut(x, 3)": "pandas.cut",
    "y ~ cut(x, breaks = c(0, 1))": "pandas.cut",
    "y ~ factor(arm, labels = c('a', 'b', 'c'))": "makes other levels than those of the column",
    "y ~ factor(arm, levels = 3:1)": "makes other levels than those of the column",
    "y ~ as.numeric(f)": "Make the column beforehand, with the numbers",
    "y ~ as.character(arm)": "Make the column beforehand",
    "y ~ relevel(paste(f), ref = 'b')": r"is read as relevel\(f, ref = 'b'\)",
    "y ~ interaction(f, t)": "Write a:b",
    "y ~ splines::ns(x, df = 3)": r"cs\(x, df=4, constraints='center'\)",
    "y ~ ns(x, 3)": r"or bs\(x, df=4\)",
    "y ~ rms::rcs(x, 4)": "restricted",
    "y ~ mgcv::s(x, bs = 'tp')": "is not there: s",
    "y ~ te(x, z)": "a smooth surface of two",
    "y ~ gp(x)": "Gaussian process",
    "y ~ me(x, z)": "measurement error",
    "y ~ mi(x)": "modelled missing value",
    "y ~ ar(p = 1)": "Correlations of residuals",
    "y ~ x + (1 | mm(g))": r"mm\(g1, g2\) names two",
    "y ~ x + (1 | gr(g, by = log(x)))": "by names a column",
    "y ~ x + (1 | gr(g, cov = A, by = f))": "stands without by and dist",
    "y ~ x + (1 | gr(g, scale = 2))": r"has 'scale = 2', which is not read",
    "y ~ ar1(x + 0 | g)": r"ar1\(\) .* \(1 \+ x \| g\), or independent, \(1 \+ x \|\| g\)",
    "y ~ cs(1 + x | g)": "structure of covariance",
    "y ~ homdiag(1 | g)": "structure of covariance",
    "y ~ x | g": "separate terms",
    "y ~ (1 | g) * x": "separate terms",
    "y ~ (1 | g*h)": "must be a column",
    "y ~ (1 | g, cor = FALSE)": "must be a column",
    "y ~ !flag": r"I\(x == 0\)",
    "y ~ data$x": r"x for data\$x",
    "y ~ is.na(x)": "Make the column beforehand",
    "y ~ I(x > 0 & z > 1)": r"I\(\(x > 0\) & \(z > 1\)\)",
    "y ~ 2*x": r"Write I\(2 \* x\)",
    "y ~ x * 2 + z": r"Write I\(2 \* x\)",
    "y ~ log(x, 2)": r"Write log2\(x\)",
    "y ~ log(e, base = 10)": r"log10\(x\)",
    "y ~ poly(x, z, 2)": "of one column",
    "y ~ contr.sum(arm)": r"C\(f, contr\.sum\)",
    "y ~ mean(x)": r"center\(x\)",
    "y ~ I(x - mean(x)) / sd(x)": "must be that of the fit",
    "y ~ I(floor(x) * floor)": "reads the column 'floor' and calls the function 'floor'",
    "y ~ x + strata(f)": r"\(1 \| g\)",
    "y ~ x + Error(g)": r"\(1 \| a/b\)",
    "y ~ log(x": "left open",
    "y ~ x ~ z": "2 '~'",
    "~ x": "the response ''",
    "mvbind(y, z) ~ x": "several responses",
    "cbind(y, n - y) ~ x": r"successes \| trials\(n\)",
    "y - offset(e) ~ x": "goes right of it",
    "y | subset(w) ~ x": r"behind a bar trials\(n\), weights\(w\), cens\(c\)",
    "y | trunc(0, 1, 2) ~ x": "its arguments are 'lb', 'ub'",
    "y | mi() ~ x": "missing='drop'",
    "y ~ log(factor(arm))": "computes with a factor",
    "y ~ I(C(arm)) + x": r"stands by itself, or in a product such as C\(x\):z",
    "y ~ I('a')": "cannot be evaluated: could not convert string to float",
    "y ~ year %% 4": r"Write I\(x %% 2\)",
    "y ~ factor(f, levels = c('c', 'a'))": "outside of the nominated levels",
    "y ~ x + T": "needs the column 'T'",
}


@pytest.mark.parametrize("formula", REFUSED)
def test_a_refusal_says_what_to_write(formula: str) -> None:
    with pytest.raises((bm.FormulaError, bm.DataError), match=REFUSED[formula]):
        build_design(formula, rows())


def test_a_column_called_like_a_constant_of_r_is_the_column() -> None:
    data = rows().assign(T=np.arange(N, dtype=float), pi=2.0, F=rows().x)
    design = build_design("y ~ I(T + 1) + I(pi * z) + poly(F, 2, raw = TRUE)", data)
    expected = np.column_stack([one(data), data["T"] + 1, 2 * data.z, data.x, data.x**2])
    np.testing.assert_allclose(design.rows(data).X, expected, rtol=1e-12)


def test_functions_of_the_users_own_are_not_taken_for_those_of_r() -> None:
    own = {"factor": lambda x: 3 * x, "round": lambda x: x**2}
    design = build_design("y ~ factor(x) + round(x)", rows(), namespace=own)
    np.testing.assert_allclose(design.rows(rows()).X[:, 1:], np.column_stack([3 * rows().x, rows().x ** 2]), rtol=1e-12)


STORED = [
    "y ~ poly(x, 2, raw = TRUE) + sin(2 * pi * year / 12)",
    "y ~ scale(x, scale = FALSE) + factor(arm, levels = c(3, 1, 2))",
    "y ~ relevel(f, ref = 'b') + I(year %% 4) + ifelse(z > 1, z, 0)",
    "y ~ 0 + Intercept + as.integer(e) + I(arm %in% c(1, 3)) + log(Sepal.Length)",
    "y ~ bs(x, knots = c(-0.5, 0.5)) + pmax(z, 1) + offset(log(e))",
    "y ~ C(t, spans_intercept=False):C(f, spans_intercept=False) + (x | g + h) + diag(x | a)",
]


@pytest.mark.filterwarnings("ignore:The (.* fixed columns|group effects|number):bayesmargins.BayesmarginsWarning")
@pytest.mark.parametrize("formula", STORED)
def test_a_file_gives_back_what_r_wrote(formula: str, tmp_path: Path) -> None:
    post = random_posterior(formula, rows(), "bernoulli")
    post.save(tmp_path / "post.nc")
    again = bm.load(tmp_path / "post.nc")
    assert (again.formula, again.design.coef) == (formula, post.design.coef)
    groups = "own" if post.design.factors else "new"
    one, other = (bm.predictions(p, groups=groups)["estimate"].to_numpy() for p in (post, again))
    np.testing.assert_array_equal(one, other)


def test_offsets_are_added_wherever_they_stand() -> None:
    data = rows()
    for formula in (
        "y ~ offset(log(e)) + x",
        "y ~ x + offset(log(e))",
        "y ~ 0 + x + offset(0.5 * log(e)) + offset(0.5 * log(e))",
    ):
        np.testing.assert_allclose(build_design(formula, data).rows(data).offset, np.log(data.e), rtol=1e-12)
