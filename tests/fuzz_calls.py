"""Calls that nobody should make: every public function with arguments that are wrong, and what comes of them.

    python tests/fuzz_calls.py --n 5000 --seed 7

A call that works has one or two of its arguments replaced by others. What may come of it is a result, or a
BayesmarginsError; a word that is none may not give a result. Anything else is printed, and counted by kind.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import datetime
import decimal
import itertools
import os
import pathlib
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import bayesmargins as bm
from bayesmargins.accessor import Margins

MEMORY = 8 * 2**30  # bytes: a call that takes them all must not take the machine with it
SECONDS = 60  # a call that takes longer hangs: none of these needs a second


class Hostile:
    """Every question that Python asks of it fails."""

    def _fails(self, *_: object, **__: object) -> Any:
        raise RuntimeError("hostile")

    __repr__ = __str__ = __bool__ = __eq__ = __hash__ = __len__ = __iter__ = __float__ = _fails
    __int__ = __index__ = __array__ = __lt__ = __add__ = __mul__ = __neg__ = __format__ = _fails


class Quiet:
    """It cannot be shown, compared or counted, and is otherwise an object like any."""

    def __repr__(self) -> str:
        raise ValueError("no words")

    def __eq__(self, other: object) -> bool:
        raise TypeError("no comparison")

    __hash__ = None  # type: ignore[assignment]


class NoTruth:
    """As arrays are: what it equals is not one truth value."""

    def __eq__(self, other: object) -> Any:
        return np.array([True, False])

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")


class Barred:
    """Whatever it lacks, it does not say so as objects do."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("barred")


class Word(str):
    """A text that no other text can be compared with."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    __hash__ = str.__hash__


class Unplaced(str):
    """A text that no dict can hold."""

    def __hash__(self) -> int:
        raise RuntimeError("no hash")


def raises(*_: object, **__: object) -> Any:
    """A user's function with a fault."""
    raise KeyError("a fault in a user's function")


def nothing(*_: object, **__: object) -> Any:
    """A user's function without a result."""


def misshapen(*_: object, **__: object) -> Any:
    """A user's function with a result of another shape."""
    return np.zeros((3, 7, 2))


def texts(*_: object, **__: object) -> Any:
    """A user's function with a result that is no number."""
    return "high"


def _deep(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def _cyclic() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


FRAME = pd.DataFrame({"trt": ["placebo", "drug"], "week": [0.0, 2.0], "ID": ["X01", "X02"], "yb": [0, 1]})

# Makers, because generators are used up and arrays can be written to.
VALUES: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "True": lambda: True,
    "False": lambda: False,
    "pd.NA": lambda: pd.NA,
    "pd.NaT": lambda: pd.NaT,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "-inf": lambda: float("-inf"),
    "10**400": lambda: 10**400,
    "-10**400": lambda: -(10**400),
    "10**5000": lambda: 10**5000,
    "-1": lambda: -1,
    "0": lambda: 0,
    "1": lambda: 1,
    "0.5": lambda: 0.5,
    "1e308": lambda: 1e308,
    "-1e308": lambda: -1e308,
    "5e-324": lambda: 5e-324,
    "2**63": lambda: 2**63,
    "2**64": lambda: 2**64,
    "complex": lambda: 1 + 2j,
    "Decimal": lambda: decimal.Decimal("0.5"),
    "Decimal NaN": lambda: decimal.Decimal("NaN"),
    "Decimal sNaN": lambda: decimal.Decimal("sNaN"),
    "Decimal huge": lambda: decimal.Decimal("1e999999"),
    "datetime": lambda: datetime.datetime(2024, 1, 1),
    "datetime64": lambda: np.datetime64("2024-01-01"),
    "timedelta": lambda: datetime.timedelta(days=1),
    "Period": lambda: pd.Period("2024"),
    "Interval": lambda: pd.Interval(0, 1),
    "bytes": lambda: b"trt",
    "bytearray": lambda: bytearray(b"week"),
    "memoryview": lambda: memoryview(b"abc"),
    "''": lambda: "",
    "blank": lambda: " ",
    "NUL": lambda: "tr\0t",
    "surrogate": lambda: "\udc80",
    "emoji": lambda: "🦊" * 3,
    "long text": lambda: "trt" * 100_000,
    "newline": lambda: "trt\nweek",
    "braces": lambda: "{trt!r:>{week}}",
    "percent": lambda: "%s%d",
    "path": lambda: pathlib.Path("/no/such/place"),
    "[]": list,
    "()": tuple,
    "{}": dict,
    "set()": set,
    "{1: 2}": lambda: {1: 2},
    "{None: None}": lambda: {None: None},
    "{(1, 2): 3}": lambda: {(1, 2): 3},
    "{'x': []}": lambda: {"x": []},
    "{'trt': None}": lambda: {"trt": None},
    "{'week': raises}": lambda: {"week": raises},
    "{'week': nothing}": lambda: {"week": nothing},
    "{'week': misshapen}": lambda: {"week": misshapen},
    "{'week': texts}": lambda: {"week": texts},
    "{'week': huge}": lambda: {"week": 10**400},
    "{'week': hostile}": lambda: {"week": Hostile()},
    "{'trt': raises}": lambda: {"trt": raises},
    "{'trt': quiet}": lambda: {"trt": Quiet()},
    "{'trt': [hostile]}": lambda: {"trt": [Hostile(), Hostile()]},
    "{'trt': [1, 'a', None]}": lambda: {"trt": [1, "a", None]},
    "{'trt': generator}": lambda: {"trt": (x for x in ["placebo", "drug"])},
    "{'ID': raises}": lambda: {"ID": raises},
    "{'ID': [[]]}": lambda: {"ID": [[]]},
    "{'ID': [pd.NA]}": lambda: {"ID": [pd.NA]},
    "{'ID': hostile}": lambda: {"ID": Hostile()},
    "{'ID': [quiet]}": lambda: {"ID": [Quiet()]},
    "set": lambda: {"trt", "week"},
    "frozenset": lambda: frozenset({1, "a"}),
    "generator": lambda: (x for x in ("trt", "week")),
    "empty generator": lambda: (x for x in ()),
    "raising generator": lambda: (1 / 0 for _ in range(2)),
    "endless": itertools.count,
    "range": lambda: range(3),
    "map": lambda: map(str, range(2)),
    "nested": lambda: [["trt"], ["week"]],
    "deep": lambda: _deep(3000),
    "cyclic": _cyclic,
    "mixed list": lambda: [1, "a", None, 2.5],
    "[None]": lambda: [None],
    "[nan, nan]": lambda: [np.nan, np.nan],
    "['trt', 'trt']": lambda: ["trt", "trt"],
    "[hostile]": lambda: [Hostile(), Hostile()],
    "[quiet]": lambda: [Quiet()],
    "[2**70]": lambda: [2**70, 10**400],
    "ragged": lambda: [[1.0], [2.0, 3.0]],
    "hostile": Hostile,
    "barred": Barred,
    "word": lambda: Word("new"),
    "unplaced": lambda: Unplaced("new"),
    "quiet": Quiet,
    "no truth": NoTruth,
    "object": object,
    "class": lambda: int,
    "module": lambda: np,
    "function": lambda: lambda *a: a,
    "raises": lambda: raises,
    "nothing": lambda: nothing,
    "misshapen": lambda: misshapen,
    "texts": lambda: texts,
    "0-d array": lambda: np.array(3.0),
    "empty array": lambda: np.empty(0),
    "float array": lambda: np.array([1.0, np.nan, np.inf]),
    "int array": lambda: np.arange(4),
    "2-d array": lambda: np.zeros((2, 3)),
    "3-d array": lambda: np.zeros((2, 3, 4)),
    "4-d array": lambda: np.zeros((1, 2, 3, 4)),
    "complex array": lambda: np.ones(3) * 1j,
    "text array": lambda: np.array(["a", "b"]),
    "bytes array": lambda: np.array([b"a", b"b"]),
    "object array": lambda: np.array([1, "a", None], dtype=object),
    "object 4-d": lambda: np.full((1, 2, 3, 4), None, dtype=object),
    "dates": lambda: np.array(["2024-01-01"], dtype="datetime64[D]"),
    "structured": lambda: np.zeros(2, dtype=[("a", float), ("b", int)]),
    "masked": lambda: np.ma.masked_array([1.0, 2.0], mask=[True, False]),
    "np.float64 nan": lambda: np.float64("nan"),
    "np.str_": lambda: np.str_("trt"),
    "np.void": lambda: np.void(b"abc"),
    "frame": lambda: FRAME.copy(),
    "empty frame": pd.DataFrame,
    "frame without rows": lambda: FRAME.head(0),
    "frame without columns": lambda: pd.DataFrame(index=range(3)),
    "repeated columns": lambda: pd.concat([FRAME, FRAME], axis=1),
    "MultiIndex columns": lambda: pd.concat({"a": FRAME}, axis=1),
    "MultiIndex rows": lambda: pd.concat({"a": FRAME}, axis=0),
    "columns of numbers": lambda: pd.DataFrame(np.zeros((2, 3))),
    "columns of None": lambda: pd.DataFrame({None: [1, 2], "trt": ["drug", "drug"]}),
    "columns of tuples": lambda: pd.DataFrame({("trt",): [1, 2]}),
    "columns of lists": lambda: FRAME.assign(week=[[1], [2]]),
    "column of hostile": lambda: FRAME.assign(week=[Hostile(), Hostile()]),
    "column of quiet": lambda: FRAME.assign(trt=[Quiet(), Quiet()]),
    "column of huge": lambda: FRAME.assign(week=[10**400, 1]),
    "column of mixed": lambda: FRAME.assign(trt=[1, "drug"]),
    "column of complex": lambda: FRAME.assign(week=[1j, 2j]),
    "column of dates": lambda: FRAME.assign(week=pd.to_datetime(["2024", "2025"])),
    "column of NA": lambda: FRAME.assign(week=pd.array([None, 1], dtype="Int64"), trt=pd.array([None, None])),
    "sparse column": lambda: FRAME.assign(week=pd.arrays.SparseArray([0.0, 1.0])),
    "category of numbers": lambda: FRAME.assign(week=pd.Categorical([1, 2])),
    "empty category": lambda: FRAME.assign(trt=pd.Categorical([None, None], [])),
    "Series": lambda: pd.Series([1.0, 2.0], name="week"),
    "text Series": lambda: pd.Series(["a", "b"]),
    "Index": lambda: pd.Index(["trt", "week"]),
    "MultiIndex": lambda: pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]),
    "Categorical": lambda: pd.Categorical(["drug", "placebo"]),
    "polars": lambda: _polars().DataFrame({"trt": ["drug"], "week": [1.0], "ID": ["X01"]}),
    "polars lazy": lambda: _polars().DataFrame({"trt": ["drug"]}).lazy(),
    "polars nested": lambda: _polars().DataFrame({"trt": [["drug"]], "week": [{"a": 1}]}),
    "DataArray": lambda: xr.DataArray(np.zeros((1, 2, 3)), dims=("chain", "draw", "coef")),
    "DataArray of others": lambda: xr.DataArray(np.zeros(3), dims="x", coords={"x": [3, 1, 2]}),
    "Dataset": lambda: xr.Dataset({"estimate": ("x", [1.0, 2.0])}),
    "empty Dataset": xr.Dataset,
    "posterior": lambda: post(),
    "result": lambda: result(),
}

# What a good argument of this name may be like; each is near to one that is right.
NEAR: dict[str, tuple[Any, ...]] = {
    "newdata": ({"trt": ["drug"], "week": [1.0]}, {"trt": ["druug"], "week": [1.0]}, {"trt": "drug"}, [FRAME], "data"),
    "at": ({"week": [0, "6"]}, {"weeek": 1}, {"trt": "druug"}, {"ID": ["X01"]}, {"yb": 1}, {"week": "sdd"}),
    "by": (["trt", "trt"], "weeek", {"trt": {"drug": "any"}}, {"trt": lambda v: [v]}, {"trt": lambda v: 1 / 0},
             ["trt", 3]),
    "groups": ("neww", {"ID": "neww"}, {"ID": ["X01", "X01"]}, {"id": "new"}, {"ID": ("X99",)}, {"ID": {"X01": 1}}),
    "group_weights": ("Equal", "row", {"ID": "equal"}),
    "target": ("Mean", "count", bm.exceeds, "exceeds(2)", "sd", bm.exceeds(1e300), bm.quantile(1e-300)),
    "wts": ("week", "w", [1] * 220, [1] * 219, ["1"] * 220, np.full(220, 1e308), np.zeros(220), [True] * 220),
    "random_seed": ("1", 1.0, np.int64(3), 2**40, [1]),
    "variables": ("weeek", ["trt", "week"], {"week": (0, 0)}, {"week": "sd2"}, {"trt": "pairwise!"}, {"week": [1, 2,
             3]},
                  {"week": (1e308, -1e308)}, {"week": 1e308}, {"trt": ("drug",)}, {"week": "sd", "trt": 1}, {}),
    "comparison": ("Ratio", ["ratio"], lambda hi, lo: hi > lo, lambda hi: hi, lambda hi, lo: hi[:, :0], np.subtract,
             max,
                   lambda hi, lo: (hi - lo) * 1j, lambda hi, lo: xr.DataArray(hi - lo), lambda hi, lo: 1 / 0),
    "cross": ("yes", 1, np.True_),
    "slope": ("dydxx", "EYEX", ["dydx"]),
    "second": ("week", "trt", "weeek", ["trt", "week"], {"trt": ["drug"]}),
    "estimand": ("slope", "Comparisons"),
    "over": ("ID", ["ID"], "rows", "id", {"ID": 1}),
    "quantiles": (0.5, [0.5, 0.5], [0, 1], [-0.1], ["0.5"], [0.1, [0.2]]),
    "null": ("0", [0], 1j),
    "points": (0, 1, 10**9, 2.5, "100"),
    "measure": ("response", "Latent", ["latent"]),
    "exponentiate": ("yes", 1),
    "spec": ("pairwise!", "b9 - b1", "b1 +", "b1 ** 10**9", "(" * 500, "__import__('os')", "b1 - b1", "b1 / 0", "1",
             "lambda: 1",
             [1, -1], [1, -1, 0], [[1, -1]], {"a": [1, -1, 0]}, {"a": "b1 - b2"}, {1: "b1"}, ["b1 - b2", 3],
             lambda e: e,
             lambda e: e[0], lambda e: e.nope, lambda: 1, lambda e: {"a": e[0]}, "reference", "sequential",
             "drug - placebo",
             "`drug` = 2", "b1 < b2", "b1 == b2", "abs(b1)", "b1.real", "b1[0]", "b1 if b2 else b3", "9" * 5000,
             "b1;b2"),
    "along": ("trtt", ["trt"], "chain", "draw"),
    "independent": ("yes", 1),
    "ds": ({"a": 1}, [1, 2], {}, {"": None}),
    "point": ("Median", ["mean"], "mean "),
    "ci_prob": (95, "0.95", [0.5, 0.5], [0.5, 0.89], 0.9999999, 1.0, [[0.5]], (x for x in [0.5])),
    "ci_kind": ("HDI", "quantile", ["eti"]),
    "rope": ((1, 0), (0,), (0, 0), ("a", "b"), (np.nan, 1), (-np.inf, np.inf), 0.1, (10**400, 1), (-(10**400),
             10**400)),
    "digits": (-1, 2.5, 400, "3", {"median": 2}),
    "diagnostics": ("yes", 1),
    "x": ("trtt", ["trt"], 1, "week"),
    "colour": ("trtt", ["trt"], "trt", "red"),
    "ax": ("ax", [None, None]),
    "columns": ({"week": "all"}, {"trt": "all"}, {"weeek": 1}, {"week": raises}, {"ID": "all"}, {"trt": ["drug",
             "drug"]}),
    "grid": ("balanced", "mean", "typicall", ["balanced"]),
    "formula": ("", "~", "y ~", "~ x", "yb ~ trt + (1 | ", "yb ~ week + (1 | gr(ID, by = trt))",
                "yb ~ week + (1 | gr(ID, by = week))", "yb ~ week + (1 | gr(ID, dist = 'student'))",
                "yb ~ week + (1 | gr(ID, dist = 'cauchy'))", "yb ~ week + (1 | gr(, by = trt))",
                "yb ~ week + (1 | gr(ID, cov = A))", "yb ~ week + (1 | gr(ID, cov = trt))",
                "yb ~ week + (1 | mm(ID, trt))", "yb ~ week + (1 | mm(ID, trt, weights = cbind(week, trt)))",
                "yb ~ trt + (1 | ID) + (1 | ID)", "yb ~ " + "(" * 300, "yb ~ trt ~ week",
                "yb ~ log(trt)", "yb ~ week / 0", "yb ~ 9**9**9", "yb ~ nope(week)", "yb ~ trt + `",
                "yb | trials(3) ~ trt",
                "yb ~ .", "yb ~ trt | ID", "0 ~ 1", "yb ~ week[0]", "yb ~ (1 | week + trt)", "yb ~ poly(week, 9999)",
                "yb ~ C(trt, 3)",
                "yb ~ {", "yb ~ 1 + (week || ID", "yb ~ I(week, trt)", "yb ~ bs(week, df='a')", "yb\n~ trt",
                "log(yb) ~ trt",
                {"mu": "yb ~ trt"}, ["yb ~ trt"], "yb ~ trt + trt:ID:week:trt", "yb ~ own(week) + (1 | ID)",
                {"yb": "yb ~ trt", "sigma": "~ trt"}, {"yb": "yb ~ trt", "trt": "trt ~ week"}, {"yb": "~ trt"},
                {"yb": "yb ~ (1 | p | ID)"}, {1: "yb ~ trt"}, {"yb": raises}, {}, "yb ~ trt + (1 | p | ID)",
                "yb ~ offset(trt)",
                "yb ~ offset(log(week)) + trt", "yb ~ center(week, 1, 2, 3)", "yb ~ np.nope(week)", "yb ~ scale(trt)",
                "yb ~ within(week, ID) + (1 | ID)", "yb ~ between(trt, ID)", "yb ~ within(week)",
                "yb ~ within(week, yb)", "yb ~ between(between(week, ID), trt)", "yb ~ mo(week)", "yb ~ mo(trt)",
                "yb ~ mo()", "yb ~ s(week, k=4)", "yb ~ s(trt)", "yb ~ s()", "yb ~ s(week, k=1e9)",
                "yb ~ s(week, by=trt, k=4)", "yb ~ s(week):trt", "yb ~ t2(week, week, k=4)", "yb ~ t2(week)",
                "yb ~ (s(week, k=4) | ID)", "yb ~ s(week, 3)",
                "yb ~ mo(week, trt)", "yb ~ (mo(week) | ID)", "yb ~ log(mo(week))", "yb ~ mo(`week`)",
                "trt ~ yb"),
    "data": (FRAME, FRAME.to_dict("list"), "data.csv"),
    "family": ("Bernoulli", "binary", "gamma", ["bernoulli"], "poisson", "binomial", "bernoulli()"),
    "link": ("Logit", "log", ["logit"], "identity", {"mu": "log"}, {"sigma": "log"}, {"mu": raises}, {}),
    "priors": ("x", {"beta": 1}, {"Beta": None}, {"sd": "HalfNormal(1)"}, {"cor": -1}, {"cor": "a"}, {"cor": np.nan},
             {3: 4},
               {"beta": [1, 2]}, {"Intercept": raises}, {"sd_ID": None}, ["beta"], {"sd_id": 1}, {"beta": 10**400}),
    "missing": ("dorp", "Drop", "refuse", ["drop"], "ignore"),
    "namespace": ("x", {"own": 3}, {"own": raises}, {"own": nothing}, {"own": misshapen}, {"own": texts}, {1: abs},
             {"": abs},
                  ["own"], {"own": lambda: 1}, {"own": lambda v: v[:-1]}, {"own": lambda v: v * 1j},
                  {"own": lambda v: v.nope},
                  {"own": lambda v: [Hostile()] * len(v)}, {"own": lambda v: 1 / 0}),
    "beta": (np.zeros((1, 8, 3)), np.zeros((8, 4)), np.full((1, 8, 4), np.nan), np.zeros((0, 8, 4)), np.zeros((1, 0,
             4)),
             np.zeros((1, 8, 4), dtype="M8[D]"), np.zeros((1, 8, 4)) * 1j, np.full((1, 8, 4), "1"), np.zeros((1, 8,
             4), bool),
             {"beta": 1}, xr.DataArray(np.zeros((8, 1, 4)), dims=("draw", "chain", "coef"),
             coords={"coef": list("abcd")}),
             xr.DataArray(np.zeros((1, 8, 4)), dims=("a", "b", "c")), np.full((1, 8, 4), 1e308)),
    "b": ({"ID": np.zeros((1, 8, 50))}, {"ID": None}, {"id": np.zeros(3)}, {"ID": {"X01": 1}}, {"ID": 3},
             [np.zeros(3)]),
    "Sigma": ({"ID": np.ones((1, 8))}, {"ID": -np.ones((1, 8, 1, 1))}, {"ID": None}, {}, {"ID": np.ones((1, 8, 2, 2))},
              {"ID": np.full((1, 8, 1, 1), 1e308)}, {3: np.ones((1, 8, 1, 1))}),
    "aux": ({"sigma": 1.0}, {"sigma": None}, {1: 2}, {"shape": np.ones((1, 8))}),
    "parts": ({"sigma": {}}, {"sigma": None}, {"sigma": {"formula": "~ x", "beta": 1}}, {1: {}}, {"mu": "~ x"}),
    "labels": ({"week": ""}, {"week": "a\nb"}, {"weeek": "time"}, {"week": "trt"}, {"week": "t", "trt": "t"}, {1: "t"},
               {"week": 1}, {"week": None}, {"week": "t" * 10**6}, ["week"], {"week": Hostile()}, {Quiet: "t"}),
    "levels": ({"trt": ["a"]}, {"trt": "abc"}, {"trt": None}, {"nope": [1]}, {1: [2]}, {"trt": []}, {"trt": ["a", "a"]},
               {"ID": ["a", 1, None]}, {"ID": [Hostile(), Hostile()]}, {"week": ["a", "b"]}),
    "names": ({"beta": "nope"}, {"Beta": "beta"}, {3: "beta"}, {"beta": raises}, {"beta": nothing}, {"beta": "beta[",
             "sd(ID)": 1},
              {"beta": ("beta", 3)}, {"beta": ("beta", {"nope": 1})}, {"sd(ID": "sd"}, {"beta": lambda d: d["nope"]},
              {"beta": "beta[99]"}, {"beta": "beta[:, :, :]"}, {("x", "y"): "beta"}, {"beta": Hostile()}, ["a", "a"],
              ["a", 1],
              ["", " "], {"beta": "beta", "sd(ID)": Quiet()}),
    "group": ("priors", "Posterior", ["posterior"], "sample_stats"),
    "idata": ({"beta": np.zeros(3)}, {"beta": np.zeros((1, 8, 4)), "sd": np.ones((2, 8))}, {1: np.zeros((1, 8))},
             "no.nc"),
    "draws": (0, 1.5, "100", pd.DataFrame({"b_Intercept": [1, 2]}), pd.DataFrame({".chain": ["a"],
             "b_Intercept": [1]}), "no.csv",
              ["a.csv", "a.csv"], [], pd.DataFrame({"b_Intercept": ["a", "b"], "b_week": [1, 1j]})),
    "chains": (0, 1.5, "4"),
    "tune": (0, -1, 1.5),
    "sampler": ("Nutpie", "stan", ["pymc"], "numpiro"),
    "progressbar": ("yes", 1),
    "group_effects": ("integrate", True, ["auto"]),
    "parametrisation": ("centred", True, ["auto"]),
    "memory": ("lots", "4 GB of it", 0, -1, "0", "1e400GB", "9" * 400 + "GB", 2.5),
    "threads": (0, 2.5, "2", 10**9),
    "progress": ("yes", 1),
    "warn_zero": ("yes", 1),
    "name": ("bacteriaa", "../bacteria", "Bacteria", "bacteria.csv"),
    "path": ("no/such.nc", ".", "", "/", "a\0b.nc", "~/none.nc", "/dev/null", 0, 1),
    "y": (np.zeros(3), [0, 1, 2, 3], np.full(6, np.nan), ["a"] * 6, np.zeros((6, 2)), pd.Series([0, 1] * 3, name="x1")),
    "X": (np.zeros((5, 2)), np.zeros(6), np.full((6, 2), np.inf), np.ones((6, 2)), np.empty((6, 0)),
             pd.DataFrame({"y": [1.0] * 6}),
          np.full((6, 1), "a"), np.ones((6, 2)) * 1j),
    "Z": ({"id": np.zeros((5, 1))}, {"id": ["nope"]}, {"nope": np.zeros((6, 1))}, {"id": "x1"}, {"id": None},
             {"id": ["x1", "x1"]}),
    "trials": (np.ones(5), [0] * 6, ["a"] * 6, 3),
    "offset": (np.ones(5), [np.inf] * 6, ["a"] * 6, 3),
    "c": ("2", 1e400), "q": (50, 0, 1, "0.5"),
    "block": (slice(0, 1), 3, [0]),
    "factor": ("id", ["ID"], "hilo", ("ID",)),
    "refit": ("yes", 1), "calibration": ("no", 0),
    "prior": ("sd", ["sd_Subject", "nope"], [], ("sigma",), "Sigma"),
    "spec_of_frame": (),
}  # fmt: skip


def _column(name: str) -> Callable[[Any], Any]:
    return lambda value: FRAME.astype(object).assign(**{name: pd.Series([value, value], dtype=object)})


# Where a wrong value stands inside of what would be right.
INSIDE: dict[str, tuple[Callable[[Any], Any], ...]] = {
    "newdata": (lambda v: {"trt": v, "week": 1.0, "ID": "X01"}, lambda v: {"trt": "drug", "week": v}, _column("week"),
                _column("trt"), _column("ID"), lambda v: [{"trt": "drug", "week": v}, {"trt": v, "week": 1.0}]),
    "at": (lambda v: {"week": v}, lambda v: {"week": [0, v]}, lambda v: {"trt": v}, lambda v: {"trt": ["drug", v]},
           lambda v: {"week": lambda rows: v}),
    "by": (lambda v: ["trt", v], lambda v: {"trt": v}, lambda v: {"trt": lambda value: v}, lambda v: {"week": {0: v}}),
    "groups": (lambda v: {"ID": v}, lambda v: {"ID": ["X01", v]}),
    "target": (bm.exceeds,),
    "wts": (lambda v: [v] * 220, lambda v: [v, v]),
    "variables": (lambda v: ["trt", v], lambda v: {"week": v}, lambda v: {"week": (0, v)}, lambda v: {"trt": v},
                  lambda v: {"trt": ("drug", v)}),
    "comparison": (lambda v: lambda high, low: v,),
    "second": (lambda v: {"week": v}, lambda v: {"trt": v}, lambda v: {"trt": ("drug", v)}),
    "quantiles": (lambda v: [0.5, v],),
    "spec": (lambda v: {"a": v}, lambda v: ["b1 - b2", v], lambda v: [1, v, 0], lambda v: lambda entries: v,
             lambda v: lambda entries: entries.isel(trt=0) * v, lambda v: {"a": [1, -1, v]}),
    "ds": (lambda v: {"a": v}, lambda v: {"a": result("averages"), "b": v}),
    "ci_prob": (lambda v: [0.5, v],),
    "rope": (lambda v: (0, v), lambda v: (v, 1)),
    "columns": (lambda v: {"week": v}, lambda v: {"trt": ["drug", v]}, lambda v: {"ID": v},
             lambda v: {"week": lambda s: v}),
    "formula": (lambda v: {"mu": v}, lambda v: {"mu": FORMULA, "sigma": v}),
    "data": (lambda v: data().assign(week=pd.Series([v] * 220, dtype=object)), lambda v: data().assign(ID=[v] * 220),
             lambda v: {**data().to_dict("list"), "trt": v}),
    "priors": (lambda v: {"beta": v}, lambda v: {"sd_ID": v}, lambda v: {"cor": v}, lambda v: {"week": v}),
    "namespace": (lambda v: {"own": v}, lambda v: {"own": lambda column: v},
             lambda v: {"own": lambda column: column * v}),
    "beta": (lambda v: np.full((1, 8, 4), v, dtype=object), lambda v: [[[v] * 4] * 8]),
    "b": (lambda v: {"ID": v},),
    "Sigma": (lambda v: {"ID": v}, lambda v: {"ID": np.full((1, 8, 1, 1), v, dtype=object)}),
    "aux": (lambda v: {"sigma": v},),
    "parts": (lambda v: {"sigma": v}, lambda v: {"sigma": {"formula": v, "beta": np.ones((1, 8, 1))}},
              lambda v: {"sigma": {"formula": "~ 1", "beta": v}}, lambda v: {"sigma": {"formula": "~ 1",
              "beta": np.ones((1, 8, 1)),
              "link": v}}, lambda v: {"sigma": {"formula": "~ 1", "beta": np.ones((1, 8, 1)), "correlated": v}}),
    "labels": (lambda v: {"week": v}, lambda v: {v: "time"}),
    "levels": (lambda v: {"ID": v}, lambda v: {"trt": ["placebo", v]}, lambda v: {"trt": ["a", "b", "c"], "week": v}),
    "names": (lambda v: {"beta": v, "sd(ID)": "sd"}, lambda v: {"beta": ("beta", v)}, lambda v: {"beta": lambda d: v},
              lambda v: {"beta": "beta", "sd(ID)": v}, lambda v: ["x", v]),
    "idata": (lambda v: {"beta": v}, lambda v: {"beta": np.full((1, 8, 4), v, dtype=object)}),
    "draws": (lambda v: brms().assign(b_week=[v] * 8), lambda v: [v], lambda v: brms().assign(**{".chain": [v] * 8})),
    "groups of arrays": (lambda v: {"id": v}, lambda v: {"id": [v] * 6}),
    "Z": (lambda v: {"id": v}, lambda v: {"id": [v] * 6}),
    "y": (lambda v: [v] * 6, lambda v: [0, 1, 0, 1, 0, v]),
    "X": (lambda v: [[1, v]] * 6,),
    "offset": (lambda v: [v] * 6,),
    "trials": (lambda v: [v] * 6,),
    "block": (lambda v: slice(v), lambda v: [v]),
}  # fmt: skip

# Words and switches: what else may give a result where the argument is named here.
WORDS: dict[str, tuple[Any, ...]] = {
    "group_weights": ("equal", "rows"),
    "missing": ("error", "drop"),
    "family": ("gaussian", "bernoulli", "binomial", "poisson", "negbinomial"),
    "link": (None, "logit", "probit", "cloglog", "loglog", "cauchit", "softplus", "inverse", "log", "identity"),
    "slope": ("dydx", "eyex", "eydx", "dyex"),
    "estimand": ("comparisons", "slopes"),
    "point": ("median", "mean", "mode"),
    "ci_kind": (None, "eti", "hdi"),
    "cross": (True, False),
    "refit": (True, False),
    "calibration": (True, False),
    "exponentiate": (True, False),
    "diagnostics": (True, False),
    "sampler": ("nutpie", "pymc", "numpyro"),
    "progressbar": (True, False),
    "group_effects": ("auto", "integrated", "sampled"),
    "parametrisation": ("auto", "standardised", "non-centred"),
    "progress": (True, False),
    "warn_zero": (True, False),
    "group": ("posterior", "prior"),
    "re_formula": (),
    "effects": (),
}


def _polars() -> Any:
    import polars

    return polars


def data() -> pd.DataFrame:
    """Rows of a small model."""
    return bm.load_dataset("bacteria")


FORMULA = "yb ~ trt + week + (1 | ID)"


@cache
def draws() -> dict[str, Any]:
    """Draws of it."""
    rng = np.random.default_rng(5)
    levels = data()["ID"].nunique()
    return {
        "beta": rng.normal(size=(1, 8, 4)),
        "b": {"ID": rng.normal(size=(1, 8, levels, 1))},
        "Sigma": {"ID": rng.uniform(0.5, 1.0, (1, 8, 1, 1))},
    }


# Models that differ in what may go wrong: groups, parts, trials, rows. All have the factor trt and the number week.
MODELS: dict[str, Callable[[], bm.Posterior]] = {
    "bernoulli": lambda: bm.from_draws(FORMULA, data(), family="bernoulli", **draws()),
    "no groups": lambda: bm.from_draws("yb ~ trt + week", data(), family="bernoulli", beta=draws()["beta"]),
    "no b": lambda: bm.from_draws(FORMULA, data(), family="poisson", beta=draws()["beta"], Sigma=draws()["Sigma"]),
    "trials": lambda: bm.from_draws(
        "yb | trials(n) ~ trt + week + (1 | ID)", data().assign(n=np.arange(220) % 3 + 1), family="binomial", **draws()
    ),
    "crossed": lambda: bm.from_draws(
        FORMULA.replace("(1 | ID)", "(1 | ID) + (1 | hilo)"),
        data(),
        family="bernoulli",
        beta=draws()["beta"],
        Sigma={"ID": np.ones((1, 8, 1, 1)), "hilo": np.ones((1, 8, 1, 1))},
        b={**draws()["b"], "hilo": np.ones((1, 8, 2, 1))},
    ),
    "ordered": lambda: bm.from_draws(
        FORMULA,
        data().assign(yb=np.arange(220) % 3 + 1),
        family="cumulative",
        beta=np.ones((1, 8, 3)),
        Sigma=draws()["Sigma"],
        aux={"thresholds": np.broadcast_to([0.0, 1.0], (1, 8, 2))},
    ),
    "choices": lambda: bm.from_draws(
        FORMULA,
        data().assign(yb=np.array(["no", "perhaps", "yes"])[np.arange(220) % 3]),
        family="categorical",
        beta=np.ones((1, 8, 2, 4)),
        Sigma={"ID": np.ones((1, 8, 2, 1, 1))},
    ),
    "waits": lambda: bm.from_draws(
        FORMULA, data().assign(yb=np.arange(1.0, 221.0)), family="exponential", beta=draws()["beta"],
        Sigma=draws()["Sigma"],
    ),
    "two numbers": lambda: bm.from_draws(
        "yb ~ week + z + (1 | ID)", data().assign(z=np.arange(220) % 7), family="bernoulli",
        beta=np.full((1, 8, 3), 0.1), Sigma=draws()["Sigma"],
    ),
    "part": lambda: bm.from_draws(
        FORMULA, data().assign(yb=np.arange(220.0)), family="gaussian", **draws(),
        parts={"sigma": {"formula": "~ week", "beta": np.zeros((1, 8, 2))}},
    ),
    "joint": lambda: bm.from_draws(
        FORMULA, data().assign(yb=np.arange(220) % 4), family="zero_inflated_poisson", beta=draws()["beta"],
        Sigma={"ID": np.broadcast_to(0.2 * np.eye(2), (1, 8, 2, 2))},
        parts={"zi": {"formula": "~ week + (1 | ID)", "beta": np.zeros((1, 8, 2))}},
    ),
    "levels": lambda: bm.from_draws(
        FORMULA, levels={"trt": ["placebo", "drug", "drug+"]}, family="bernoulli", beta=draws()["beta"],
        Sigma=draws()["Sigma"],
    ),
}  # fmt: skip


@cache
def post(name: str = "bernoulli") -> bm.Posterior:
    """A posterior."""
    return MODELS[name]()


RESULTS: dict[str, Callable[[], xr.Dataset]] = {
    "averages": lambda: bm.avg_predictions(post(), by="trt"),
    "of the prior": lambda: bm.avg_predictions(dataclasses.replace(post(), info={"draws": "prior"}), by="trt"),
    "rows": lambda: bm.predictions(post(), FRAME),
    "one": lambda: bm.avg_predictions(post()),
    "cube": lambda: bm.avg_predictions(post(), by=["trt", "hilo"], at={"week": [0, 6]}),
    "contrasts": lambda: bm.avg_comparisons(post(), ["trt", "week"], comparison="ratio"),
    "slopes": lambda: bm.avg_slopes(post(), "week", at={"trt": "all"}),
    "hypotheses": lambda: bm.hypotheses(bm.avg_predictions(post(), by="trt")),
    "attenuation": lambda: bm.attenuation(post(), "trt"),
    "shares": lambda: bm.variance_partition(post()),
    "derived": lambda: bm.avg_predictions(post(), by="trt") * 2,
    "not finite": lambda: bm.avg_predictions(post(), by="trt") / 0 * np.nan,
    "no draws": lambda: bm.avg_predictions(post(), by="trt").isel(draw=[]),
    "no entries": lambda: bm.avg_predictions(post(), by="trt").isel(trt=[]),
    "no labels": lambda: bm.avg_predictions(post(), by="trt").drop_vars("trt"),
    "integers": lambda: (bm.avg_predictions(post(), by="trt") * 100).astype(int),
    "text": lambda: bm.avg_predictions(post(), by="trt").astype(str),
    "stacked": lambda: bm.avg_predictions(post(), by="trt", at={"week": [0, 6]}).stack(entry=["trt", "week"]),
}


@cache
def result(name: str = "averages") -> xr.Dataset:
    """A result."""
    return RESULTS[name]()


@cache
def model() -> bm.GLMM:
    """A model, not fitted."""
    return bm.GLMM(FORMULA, data(), family="bernoulli")


@cache
def checked() -> Any:
    """What `check` gives."""
    return bm.check(post(), draws=50, random_seed=1)


@cache
def fitted() -> bm.Posterior:
    """A posterior that remembers its priors."""
    small = bm.GLMM("Reaction ~ Days + (1 | Subject)", bm.load_dataset("sleepstudy"))
    return small.fit(draws=400, chains=2, ess=None, random_seed=1, sampler="independent", progressbar=False)


@cache
def brms() -> pd.DataFrame:
    """Draws as brms names them."""
    rng = np.random.default_rng(6)
    names = ["b_Intercept", "b_trtdrug", "b_trtdrugP", "b_week", "sd_ID__Intercept"]
    return pd.DataFrame({".chain": [1] * 8, **{n: rng.uniform(0.1, 1.0, 8) for n in names}})


@cache
def mixed() -> Any:
    """A fit of statsmodels."""
    import statsmodels.formula.api as smf

    sleep = bm.load_dataset("sleepstudy")
    return smf.mixedlm("Reaction ~ Days", sleep, groups="Subject").fit()


class Kind(str):
    """Names a posterior or a result, which is made when the call is tried."""


@dataclass(frozen=True)
class Call:
    """A call that works, and the arguments that are to be replaced."""

    function: Callable[..., Any]
    good: Callable[[np.random.Generator], dict[str, Any]]
    doubtful: tuple[str, ...]
    weight: float = 1.0
    words: Mapping[str, tuple[Any, ...]] = field(default_factory=lambda: WORDS)


OTHERS = ("re_formula", "effects")  # keywords of other packages are refused, whatever their value
ROWS = ("newdata", "at", "by", "groups", "group_weights", "target", "wts", "random_seed", *OTHERS)
TABLES = ("ds", "point", "ci_prob", "ci_kind", "null", "rope")


def _of_post(**more: Any) -> Callable[[np.random.Generator], dict[str, Any]]:
    return lambda rng: {"post": Kind(str(rng.choice(["bernoulli", *MODELS]))), **more}


def _of_result(**more: Any) -> Callable[[np.random.Generator], dict[str, Any]]:
    return lambda rng: {"ds": Kind(str(rng.choice(["averages", *RESULTS]))), **more}


def _option(**changed: Any) -> str:
    with bm.options(**changed):
        return repr(bm.options)


def _saved(path: Any) -> None:
    if not isinstance(path, int):  # an open file of this process
        post().save(path)


def _of_labels(labels: Any) -> Any:
    """Labels that a user wrote himself."""
    frame = data()
    frame.attrs["labels"] = labels
    return bm.GLMM(FORMULA, frame, family="bernoulli")


def _linear_predictor(post: bm.Posterior, block: Any) -> Any:
    return post.linear_predictor(block)


def _log_likelihood(post: bm.Posterior) -> Any:
    return post.log_likelihood()


def _log_prior(post: Any) -> Any:
    return post.log_prior() if isinstance(post, bm.Posterior) else None


def _written(ds: Any, **given: Any) -> Any:
    return bm.table(ds).to_markdown(**given)


def _loaded(path: Any, **more: Any) -> Any:
    if isinstance(path, int) and not isinstance(path, bool):
        return None
    return bm.load(path, **more)


def _accessor(method: str) -> Callable[..., Any]:
    return lambda ds, **given: getattr(ds.margins, method)(**given)


CALLS: dict[str, Call] = {
    "predictions": Call(bm.predictions, _of_post(newdata=FRAME), ("post", *ROWS), 2),
    "avg_predictions": Call(bm.avg_predictions, _of_post(), ("post", *ROWS), 2),
    "comparisons": Call(
        bm.comparisons, _of_post(variables="trt", newdata=FRAME), ("post", "variables", "comparison", "cross", *ROWS), 2
    ),
    "avg_comparisons": Call(
        bm.avg_comparisons, _of_post(variables="trt"), ("post", "variables", "comparison", "cross", *ROWS), 2
    ),
    "slopes": Call(
        bm.slopes, _of_post(variables="week", newdata=FRAME), ("post", "variables", "slope", "second", *ROWS), 2
    ),
    "avg_slopes": Call(bm.avg_slopes, _of_post(variables="week"), ("post", "variables", "slope", "second", *ROWS), 2),
    "attenuation": Call(
        bm.attenuation,
        _of_post(variables="trt"),
        ("post", "variables", "estimand", "newdata", "at", "by", "group_weights", "target", "comparison", "cross",
        "slope", "wts"),
    ),
    "heterogeneity": Call(
        bm.heterogeneity,
        _of_post(variables="trt", over="ID"),
        ("post", "variables", "over", "estimand", "newdata", "at", "by", "groups", "group_weights", "target",
        "comparison", "cross",
         "slope", "quantiles", "null", "wts", "points", "random_seed"),
    ),
    "marginal_coefficients": Call(bm.marginal_coefficients, _of_post(), ("post", "newdata", "exponentiate", "wts")),
    "variance_partition": Call(bm.variance_partition, _of_post(), ("post", "newdata", "measure", "wts")),
    "posterior_predictive": Call(
        bm.posterior_predictive, _of_post(newdata=FRAME), ("post", "newdata", "groups", "random_seed")
    ),
    "logo": Call(bm.logo, _of_post(), ("post", "factor", "refit", "calibration", "random_seed")),
    "check": Call(bm.check, _of_post(draws=50), ("post", "groups", "by", "draws", "random_seed"), 0.3),
    "plot_check": Call(
        bm.plot_check, lambda _: {"found": checked()}, ("found", "kind", "groups", "ax", "figsize"), 0.3
    ),
    "sensitivity": Call(
        bm.sensitivity,
        lambda _: {"ds": bm.avg_slopes(fitted(), "Days"), "post": fitted()},
        ("ds", "post", "prior"),
        0.5,
    ),
    "plot_sensitivity": Call(
        bm.plot_sensitivity,
        lambda _: {"ds": bm.avg_slopes(fitted(), "Days"), "post": fitted()},
        ("ds", "post", "prior", "ci_prob", "labels", "ax", "figsize"),
        0.3,
    ),
    "Posterior.log_prior": Call(_log_prior, lambda _: {"post": fitted()}, ("post",), 0.3),
    "datagrid": Call(bm.datagrid, _of_post(columns={"week": [1.0]}), ("post", "columns", "grid", "newdata")),
    "equals": Call(bm.equals, lambda _: {"c": 0.0}, ("c",), 0.3),
    "exceeds": Call(bm.exceeds, lambda _: {"c": 1.0}, ("c",), 0.3),
    "category": Call(bm.category, lambda _: {"k": 1}, ("k",), 0.3),
    "score": Call(bm.score, lambda _: {"values": [0.0, 1.0, 3.0]}, ("values",), 0.3),
    "survival": Call(bm.survival, lambda _: {"t": [1.0, 2.0]}, ("t",), 0.3),
    "rmst": Call(bm.rmst, lambda _: {"tau": 3.0}, ("tau",), 0.3),
    "hazard": Call(bm.hazard, lambda _: {"t": 2.0}, ("t",), 0.3),
    "top": Call(bm.top, lambda _: {"k": 2}, ("k",), 0.3),
    "quantile": Call(bm.quantile, lambda _: {"q": 0.5}, ("q",), 0.3),
    "hypotheses": Call(bm.hypotheses, _of_result(spec="pairwise"), ("ds", "spec", "along", "comparison"), 3),
    "hypotheses of a dict": Call(
        bm.hypotheses,
        lambda _: {"ds": {"a": result(), "b": result()}, "spec": "pairwise"},
        ("ds", "spec", "along", "comparison", "independent"),
    ),
    "summary": Call(bm.summary, _of_result(), (*TABLES, "diagnostics", "exponentiate"), 2),
    "summary of a posterior": Call(bm.summary, lambda _: {"ds": post()}, (*TABLES, "diagnostics", "exponentiate")),
    "Posterior.add_prior": Call(
        lambda post, prior: post.add_prior(prior),
        lambda _: {"post": post(), "prior": dataclasses.replace(post(), info={"draws": "prior"})},
        ("prior",),
    ),
    "ds.margins.to_idata": Call(lambda ds: Margins(ds).to_idata(), _of_result(), ("ds",), 0.3),
    "table": Call(bm.table, _of_result(), (*TABLES, "digits", "diagnostics"), 2),
    "table of a dict": Call(
        bm.table,
        lambda _: {"ds": {"a": result(), "b": result()}, "null": {"a": 0, "b": 1}},
        (*TABLES, "digits", "diagnostics"),
    ),
    "describe": Call(bm.describe, _of_result(), ("ds", "short"), 0.5),
    "plot_predictions": Call(
        bm.plot_predictions,
        _of_result(),
        ("ds", "x", "colour", "by", "facet", "data", "curves", "highlight", "point", "ci_prob", "ci_kind", "labels",
         "ax", "figsize"),
        0.5,
    ),
    "plot_predictions of a posterior": Call(
        bm.plot_predictions,
        lambda _: {"ds": post(), "x": "week"},
        ("x", "by", "facet", "data", "means", "curves", "highlight", "newdata", "at", "groups", "group_weights",
         "target", "wts", "random_seed", "labels", "figsize"),
        0.5,
    ),
    "plot_comparisons": Call(
        bm.plot_comparisons,
        lambda _: {"ds": post(), "variables": "trt", "over": "week"},
        ("ds", "variables", "over", "by", "facet", "comparison", "cross", "highlight", "newdata", "at", "groups",
         "point", "ci_prob", "labels", "ax", "figsize"),
        0.5,
    ),
    "plot_slopes": Call(
        bm.plot_slopes,
        lambda _: {"ds": post(), "variables": "week", "over": "trt"},
        ("ds", "variables", "over", "by", "facet", "slope", "at", "groups", "point", "ci_prob", "ax", "figsize"),
        0.5,
    ),
    "plot_forest": Call(
        bm.plot_forest,
        _of_result(),
        ("ds", "point", "ci_prob", "ci_kind", "null", "ax", "sort", "headings", "rope", "highlight", "labels",
         "figsize"),
        0.5,
    ),
    "plot_densities": Call(
        bm.plot_densities,
        lambda _: {"ds": Kind("averages")},
        ("ds", "kind", "quantiles", "heights", "point", "ci_prob", "ci_kind", "null", "rope", "sort", "headings",
         "labels", "ax", "figsize"),
        0.5,
    ),
    "plot_groups": Call(
        bm.plot_groups,
        lambda _: {"ds": post()},
        ("ds", "factor", "effects", "sort", "highlight", "newdata", "at", "groups", "target", "wts", "random_seed",
         "point", "ci_prob", "ci_kind", "labels", "ax", "figsize"),
        0.5,
    ),
    "plot_heterogeneity": Call(
        bm.plot_heterogeneity,
        lambda _: {"ds": post(), "variables": "trt", "newdata": FRAME},
        ("ds", "variables", "over", "estimand", "fitted", "quantiles", "null", "by", "comparison", "cross", "slope",
         "newdata", "at", "groups", "group_weights", "target", "wts", "random_seed", "point", "ci_prob", "ci_kind",
         "labels", "ax", "figsize"),
        0.5,
    ),
    "plot_attenuation": Call(
        bm.plot_attenuation,
        lambda _: {"ds": post(), "variables": "trt"},
        ("ds", "variables", "estimand", "by", "facet", "comparison", "cross", "slope", "newdata", "at",
         "group_weights", "target", "wts", "point", "ci_prob", "ci_kind", "labels", "ax", "figsize"),
        0.5,
    ),
    "plot_categories": Call(
        bm.plot_categories,
        lambda _: {"ds": post("ordered"), "x": "trt"},
        ("ds", "x", "by", "facet", "kind", "data", "point", "ci_prob", "ax"), 0.3
    ),
    "plot_survival": Call(
        bm.plot_survival,
        lambda _: {"ds": post("waits"), "times": [0.5, 1.0, 2.0]},
        ("ds", "by", "times", "facet", "data", "at_risk", "point", "ci_prob", "ax"), 0.3
    ),
    "plot_surface": Call(
        bm.plot_surface,
        lambda _: {"ds": post("two numbers"), "x": {"week": [0, 6, 11]}, "y": {"z": [0.0, 1.0, 2.0]}},
        ("ds", "x", "y", "kind", "facet", "data", "width", "too_far", "ax"), 0.3
    ),
    "plot_prior_posterior": Call(
        bm.plot_prior_posterior,
        lambda _: {"prior": result("of the prior"), "posterior": result()},
        ("prior", "posterior", "point", "ci_prob", "ci_kind", "null", "ax"),
        0.5,
    ),
    "ds.margins.summary": Call(_accessor("summary"), _of_result(), (*TABLES[1:], "diagnostics")),
    "ds.margins.table": Call(_accessor("table"), _of_result(), (*TABLES[1:], "digits", "diagnostics")),
    "ds.margins.hypotheses": Call(_accessor("hypotheses"), _of_result(spec="pairwise"), ("spec", "along",
             "comparison")),
    "ds.margins.plot": Call(_accessor("plot"), _of_result(), ("point", "ci_prob", "ci_kind", "ax", "nope"), 0.5),
    "GLMM": Call(
        bm.GLMM,
        lambda _: {"formula": FORMULA, "data": data(), "family": "bernoulli"},
        ("formula", "data", "family", "link", "priors", "missing", "namespace"),
        3,
    ),
    "GLMM with a function": Call(
        bm.GLMM,
        lambda _: {
            "formula": "yb ~ own(week) + (1 | ID)", "data": data(), "family": "bernoulli",
            "namespace": {"own": np.sqrt},
        },
        ("namespace", "data", "missing"),
    ),
    "GLMM.from_arrays": Call(
        bm.GLMM.from_arrays,
        lambda _: {
            "y": [0, 1, 0, 1, 1, 0],
            "X": np.column_stack([np.ones(6), np.arange(6.0)]),
            "groups": {"id": [1, 1, 2, 2, 3, 3]},
            "family": "bernoulli",
        },
        ("y", "X", "groups", "Z", "family", "link", "priors", "names", "trials", "offset", "missing"),
        2,
    ),
    "from_draws": Call(
        bm.from_draws,
        lambda _: {"formula": FORMULA, "data": data(), "family": "bernoulli", **draws()},
        ("formula", "data", "family", "link", "beta", "b", "Sigma", "aux", "parts", "namespace", "levels"),
        3,
    ),
    "from_imputations": Call(
        bm.from_imputations, lambda _: {"posteriors": [post(), post()]}, ("posteriors",), 0.5
    ),
    "from_brms": Call(
        bm.from_brms,
        lambda _: {"draws": brms(), "formula": FORMULA, "data": data(), "family": "bernoulli"},
        ("draws", "formula", "data", "family", "link", "namespace", "levels"),
        2,
        {k: v for k, v in WORDS.items() if k not in ("family", "link")},  # R's own spelling is read too
    ),
    "from_pymc": Call(
        bm.from_pymc,
        lambda _: {
            "idata": {"beta": draws()["beta"], "sd": np.ones((1, 8)), "b": draws()["b"]["ID"][..., 0]},
            "formula": FORMULA,
            "data": data(),
            "family": "bernoulli",
            "names": {"beta": "beta", "sd(ID)": "sd", "1|ID": "b"},
            "levels": {"ID": sorted(data()["ID"].unique())},
        },
        ("idata", "formula", "data", "family", "link", "names", "levels", "group", "namespace"),
        2,
    ),
    "from_statsmodels": Call(
        bm.from_statsmodels,
        lambda _: {"results": mixed(), "draws": 100, "random_seed": 1},
        ("results", "formula", "data", "draws", "chains", "random_seed", "namespace"),
    ),
    "from_bambi": Call(bm.from_bambi, lambda _: {"model": None, "idata": None}, ("model", "idata", "namespace"), 0.5),
    "Posterior.linear_predictor": Call(_linear_predictor, _of_post(block=slice(0, 2)), ("block",), 0.5),
    "Posterior.log_likelihood": Call(_log_likelihood, _of_post(), (), 0.5),
    "Table.to_markdown": Call(_written, _of_result(), ("buf", "caption"), 0.3),
    "label": Call(bm.label, lambda _: {"data": data(), "labels": {"week": "time (weeks)"}}, ("data", "labels")),
    "GLMM of labels": Call(
        _of_labels, lambda _: {"labels": {"week": "time (weeks)", "trt": "treatment"}}, ("labels",), 0.5
    ),
    "load_dataset": Call(bm.load_dataset, lambda _: {"name": "bacteria"}, ("name",), 0.5),
    "load": Call(_loaded, lambda _: {"path": "none.nc"}, ("path", "namespace"), 0.5),
    "report": Call(
        bm.report,
        lambda _: {"post": post(), "effects": ["trt"], "path": "report.html"},
        ("post", "effects", "path", "title", "question", "ci_prob", "ci_kind", "data", "logo", "random_seed"),
        0.3,
    ),
    "Posterior.save": Call(_saved, lambda _: {"path": "fit.nc"}, ("path",), 0.5),
    "options": Call(
        _option,
        lambda _: {},
        ("memory", "threads", "progress", "warn_zero", "sampler", "ci_prob", "ci_kind", "nope"),
        1,
    ),
}  # fmt: skip


def _fit(**given: Any) -> Any:
    return model().fit(**given)


# Only with PyMC: none of these arguments may reach a sampler.
SLOW: dict[str, Call] = {
    "GLMM.fit": Call(
        _fit,
        lambda _: {"sampler": "none", "draws": 5, "tune": 5, "chains": 1},
        (
            "draws",
            "tune",
            "chains",
            "random_seed",
            "sampler",
            "progressbar",
            "group_effects",
            "parametrisation",
            "ess",
            "max_draws",
            "client",
        ),
    ),
    "fit_many": Call(bm.fit_many, lambda _: {"models": []}, ("models", "random_seed", "progressbar", "client"), 0.5),
    "fit_imputations": Call(
        bm.fit_imputations,
        lambda _: {"formula": FORMULA, "data": [], "family": "bernoulli"},
        (
            "formula",
            "data",
            "family",
            "link",
            "priors",
            "imputation",
            "namespace",
            "random_seed",
            "progressbar",
            "client",
        ),
        0.5,
    ),
    "GLMM.pymc_for": Call(
        lambda **given: model().pymc_for(**given), lambda _: {}, ("group_effects", "parametrisation"), 0.3
    ),
    "GLMM.prior": Call(lambda **given: model().prior(**given), lambda _: {"draws": 5}, ("draws", "random_seed"), 0.3),
    "print(GLMM)": Call(
        lambda **given: str(bm.GLMM(FORMULA, data(), "bernoulli", **given)), lambda _: {}, ("priors", "link"), 0.5
    ),
}


@dataclass(frozen=True)
class Outcome:
    """What came of a call."""

    name: str
    said: str
    fate: str  # "result", "refused", or what is wrong with it
    detail: str = ""

    @property
    def bare(self) -> bool:
        """Whether it is none of what may come."""
        return self.fate not in ("result", "refused")


def _value(rng: np.random.Generator, argument: str) -> tuple[str, Any]:
    near, inside = NEAR.get(argument, ()), INSIDE.get(argument, ())
    kind = rng.random()
    if near and kind < 0.3:
        k = int(rng.integers(len(near)))
        return f"near {k}", near[k]
    key = list(VALUES)[int(rng.integers(len(VALUES)))]
    k = int(rng.integers(len(inside))) if inside and kind < 0.65 else -1
    try:
        return (key, VALUES[key]()) if k < 0 else (f"{key} inside {k}", inside[k](VALUES[key]()))
    except Exception:  # pandas or NumPy take no such value in
        return "hostile", Hostile()


@dataclass(frozen=True)
class Attempt:
    """A call with wrong arguments."""

    name: str
    call: Call
    good: dict[str, Any]
    wrong: dict[str, Any]
    said: str

    def made(self) -> Any:
        """The call itself."""
        kinds = {k: (post if k == "post" else result)(str(v)) for k, v in self.good.items() if isinstance(v, Kind)}
        return self.call.function(**self.good | kinds | self.wrong)


def attempts(n: int, seed: int, among: Mapping[str, Call]) -> Iterator[Attempt]:
    """Calls with one or, of four, one with two wrong arguments."""
    rng = np.random.default_rng(seed)
    names = list(among)
    weights = np.array([among[k].weight * len(among[k].doubtful) ** 0.5 for k in names])
    for _ in range(n):
        name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
        call = among[name]
        count = min(len(call.doubtful), 1 + int(rng.random() < 0.25))
        wrong = [str(a) for a in rng.choice(call.doubtful, count, replace=False)] if count else []
        picked = {a: _value(rng, a) for a in wrong}
        good = call.good(rng)
        kinds = [f"{v}; " for v in good.values() if isinstance(v, Kind)]
        said = "".join(kinds) + ", ".join(f"{a}=<{key}>" for a, (key, _) in picked.items())
        yield Attempt(name, call, good, {a: v for a, (_, v) in picked.items()}, f"{name}({said})")


@contextlib.contextmanager
def _elsewhere() -> Iterator[None]:
    """A folder of its own: a wrong argument may be taken for the name of a file to write."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        yield


@contextlib.contextmanager
def _limit(seconds: int) -> Iterator[None]:
    """Ends a call that hangs, where the system has alarms."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError("hangs")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def tried(attempt: Attempt) -> Outcome:
    """What comes of one call."""
    name, said = attempt.name, attempt.said
    try:
        with warnings.catch_warnings(), _elsewhere(), _limit(SECONDS):
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", bm.BayesmarginsWarning)
            attempt.made()
    except bm.BayesmarginsError as error:
        text = str(error)
        return Outcome(name, said, "refused" if 20 < len(text) < 6000 else "no readable message", text)
    except Exception as error:
        return Outcome(name, said, type(error).__name__, "".join(traceback.format_exception(error)))
    return Outcome(name, said, *_answered(attempt.call, attempt.wrong))


def _answered(call: Call, wrong: dict[str, Any]) -> tuple[str, str]:
    for argument, value in wrong.items():
        allowed = call.words.get(argument)
        if allowed is not None and not any(value is a or (type(value) is type(a) and value == a) for a in allowed):
            return "accepted", f"{argument} is none of {allowed}"
    return "result", ""


def main() -> None:
    """Tries calls, and says what should not have come of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=5000, help="calls")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="functions whose names hold this")
    parser.add_argument("--refusals", action="store_true", help="show what was refused, too")
    given = parser.parse_args()
    import matplotlib

    matplotlib.use("Agg")
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    among = {k: v for k, v in {**CALLS, **SLOW}.items() if given.only in k}
    if not among:
        parser.error(f"--only {given.only}: no function is called so; there are {', '.join({**CALLS, **SLOW})}")
    found = []
    folder = tempfile.TemporaryDirectory()  # for texts that a call takes for a path
    os.chdir(folder.name)
    for attempt in attempts(given.n, given.seed, among):
        found.append(tried(attempt))
        if "plot" in attempt.name:
            import matplotlib.pyplot as plt

            plt.close("all")
        if found[-1].bare or (given.refusals and found[-1].fate == "refused"):
            print(f"{found[-1].said}: {found[-1].fate}\n{found[-1].detail}", flush=True)
    fates = collections.Counter(o.fate for o in found)
    bare = sum(o.bare for o in found)
    print(f"{bare} of {len(found)} are neither a result nor refused in words: {dict(fates)}")
    sys.exit(bool(bare))


if __name__ == "__main__":
    main()
