"""`bm.check` finds faults that were planted, and is quiet on models that are right.

`make evidence` writes docs/evidence/checks.md. Each data set is simulated, fitted and checked. Seeds are the numbers of
the data sets, fixed before any was drawn.
"""

from __future__ import annotations

import datetime
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayesmargins as bm

PAGE = Path(__file__).parents[1] / "docs" / "evidence" / "checks.md"
EACH = 5  # data sets a fault

Data = Callable[[np.random.Generator], pd.DataFrame]


@dataclass(frozen=True)
class Case:
    """A model, and how its data come about.

    Attributes
    ----------
    said : str
        Of the page.
    formula, family : str
        Of the fit.
    data : callable
        Generator -> rows.
    telling : tuple of str
        Statistics of which one names the planted fault.
    """

    said: str
    formula: str
    family: str
    data: Data
    telling: tuple[str, ...] = ()


def rows(rng: np.random.Generator, groups: int, each: int) -> tuple[pd.DataFrame, np.ndarray]:
    """x within groups, an arm of two between them, time within; and the group of each row."""
    g = np.repeat(np.arange(groups), each)
    x = rng.normal(size=len(g))
    arm = np.where(np.arange(groups) % 2 == 0, "control", "drug")[g]
    return pd.DataFrame({"x": x, "arm": arm, "time": np.tile(np.arange(each), groups), "g": g.astype(str)}), g


def linear(frame: pd.DataFrame, b: np.ndarray, start: float = 0.3) -> np.ndarray:
    """The linear predictor of `y ~ x + arm + (1 | g)`: (row,)."""
    return np.asarray(start + 0.4 * frame["x"] + 0.5 * (frame["arm"] == "drug") + b)


def normal(rng: np.random.Generator, g: np.ndarray, sd: float = 0.6) -> np.ndarray:
    """Effects of the groups, in their rows."""
    return np.asarray(rng.normal(0.0, sd, g.max() + 1)[g])


def wrong_family(rng: np.random.Generator) -> pd.DataFrame:
    """Lognormal noise."""
    frame, g = rows(rng, 30, 10)
    return frame.assign(y=linear(frame, normal(rng, g)) + np.exp(rng.normal(0.0, 0.7, len(g))))


def missing_slope(rng: np.random.Generator) -> pd.DataFrame:
    """Effects of x that differ between groups."""
    frame, g = rows(rng, 30, 10)
    slopes = rng.normal(0.0, 0.5, 30)[g]
    return frame.assign(y=linear(frame, normal(rng, g)) + slopes * frame["x"] + rng.normal(size=len(g)))


def overdispersed(rng: np.random.Generator) -> pd.DataFrame:
    """Negative binomial counts of shape 2."""
    frame, g = rows(rng, 30, 10)
    mu = np.exp(linear(frame, normal(rng, g), 1.0))
    return frame.assign(y=rng.poisson(mu * rng.gamma(2.0, 0.5, len(g))))


def zero_inflated(rng: np.random.Generator) -> pd.DataFrame:
    """A quarter of the counts is 0 whatever else."""
    frame, g = rows(rng, 30, 10)
    mu = np.exp(linear(frame, normal(rng, g), 1.5))
    return frame.assign(y=rng.poisson(mu) * (rng.uniform(size=len(g)) > 0.25))


def skewed_groups(rng: np.random.Generator) -> pd.DataFrame:
    """Effects of the groups from an exponential distribution."""
    frame, g = rows(rng, 80, 10)
    b = rng.exponential(1.0, 80)[g] - 1.0
    return frame.assign(y=rng.poisson(np.exp(linear(frame, b, 1.0))))


def interaction(rng: np.random.Generator) -> pd.DataFrame:
    """Effects of x that differ between arms."""
    frame, g = rows(rng, 30, 10)
    more = 0.6 * frame["x"] * (frame["arm"] == "drug")
    return frame.assign(y=linear(frame, normal(rng, g)) + more + rng.normal(size=len(g)))


def binary_interaction(rng: np.random.Generator) -> pd.DataFrame:
    """The same of 0 and 1."""
    frame, g = rows(rng, 60, 12)
    eta = linear(frame, normal(rng, g)) + 1.2 * frame["x"] * (frame["arm"] == "drug")
    return frame.assign(y=(rng.uniform(size=len(g)) < 1.0 / (1.0 + np.exp(-eta))).astype(int))


def binary_slope(rng: np.random.Generator) -> pd.DataFrame:
    """0 and 1, with effects of x that differ between groups."""
    frame, g = rows(rng, 60, 12)
    eta = linear(frame, normal(rng, g)) + rng.normal(0.0, 1.2, 60)[g] * frame["x"]
    return frame.assign(y=(rng.uniform(size=len(g)) < 1.0 / (1.0 + np.exp(-eta))).astype(int))


def two_kinds(rng: np.random.Generator) -> pd.DataFrame:
    """A normal response, and groups of two kinds, a fifth of them far away."""
    frame, g = rows(rng, 60, 8)
    b = np.where(rng.uniform(size=60) < 0.2, 2.5, -0.6)[g] + 0.3 * rng.normal(size=60)[g]
    return frame.assign(y=linear(frame, b) + rng.normal(size=len(g)))


def between_interaction(rng: np.random.Generator) -> pd.DataFrame:
    """Slopes along x by group, whose mean differs between arms; the fit has slopes by group, and no interaction."""
    frame, g = rows(rng, 60, 8)
    slopes = rng.normal(0.0, 0.3, 60)[g] + 0.8 * (frame["arm"] == "drug")
    return frame.assign(y=linear(frame, normal(rng, g)) + slopes * frame["x"] + rng.normal(size=len(g)))


MODEL = "y ~ x + arm + (1 | g)"
FAULTS = (
    Case("wrong family: lognormal noise, fitted as normal", MODEL, "gaussian", wrong_family, ("skewness", "tails")),
    Case("missing slope, normal", MODEL, "gaussian", missing_slope, ("slopes",)),
    Case("overdispersion: negative binomial counts, fitted as Poisson", MODEL, "poisson", overdispersed,
         ("dispersion",)),
    Case("zero inflation: a quarter more, fitted as negative binomial", MODEL, "negbinomial", zero_inflated,
         ("zeros", "distribution")),
    Case("zero inflation: a quarter more, fitted as Poisson", MODEL, "poisson", zero_inflated, ("zeros",)),
    Case("skewed group effects: exponential, Poisson", MODEL, "poisson", skewed_groups,
         ("skewness of groups", "quantiles of groups")),
    Case("forgotten interaction of x and arm, normal", MODEL, "gaussian", interaction, ("interactions",)),
    Case("forgotten interaction of x and arm, 0 and 1", MODEL, "bernoulli", binary_interaction, ("interactions",)),
    Case("missing slope, 0 and 1", MODEL, "bernoulli", binary_slope, ("slopes",)),
    Case("a fifth of the groups is of another kind, normal", MODEL, "gaussian", two_kinds,
         ("skewness of groups", "quantiles of groups")),
    Case("forgotten interaction of a slope by group and arm, normal", "y ~ x + arm + (1 + x | g)", "gaussian",
         between_interaction, ("interactions",)),
)  # fmt: skip


def _right(family: str, sloped: bool = False) -> Data:
    def data(rng: np.random.Generator) -> pd.DataFrame:
        frame, g = rows(rng, 40, 8)
        eta = linear(frame, normal(rng, g)) + (normal(rng, g, 0.4) * frame["x"] if sloped else 0.0)
        eta = np.asarray(eta)
        n, share = rng.integers(3, 12, len(g)), 1.0 / (1.0 + np.exp(-eta))
        draw: dict[str, Callable[[], np.ndarray]] = {
            "gaussian": lambda: eta + rng.normal(size=len(g)),
            "bernoulli": lambda: (rng.uniform(size=len(g)) < share).astype(int),
            "binomial": lambda: rng.binomial(n, share),
            "poisson": lambda: rng.poisson(np.exp(eta + 0.5)),
            "negbinomial": lambda: rng.poisson(np.exp(eta + 0.5) * rng.gamma(1.5, 1.0 / 1.5, len(g))),
            "cumulative": lambda: 1 + (eta[:, None] + rng.logistic(size=(len(g), 1)) > np.array([-1, 0.5, 2])).sum(1),
            "gamma": lambda: rng.gamma(2.0, np.exp(eta) / 2.0),
        }
        return frame.assign(y=draw[family](), n=n)

    return data


def _case(family: str, sloped: bool = False) -> Case:
    left = "y | trials(n)" if family == "binomial" else "y"
    formula = f"{left} ~ x + arm + ({'1 + x' if sloped else '1'} | g)"
    return Case(f"{family}, {formula}", formula, family, _right(family, sloped))


RIGHT = tuple(
    _case(family, sloped)
    for family, sloped in (
        ("gaussian", False), ("gaussian", True), ("bernoulli", False), ("binomial", False), ("binomial", True),
        ("poisson", False), ("poisson", True), ("negbinomial", False), ("cumulative", False), ("gamma", False),
    )
)  # fmt: skip
"""Each twice: 20 data sets."""


def checked(case: Case, seed: int) -> Any:
    """Simulated, fitted and checked."""
    frame = case.data(np.random.default_rng(seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)
        post = bm.GLMM(case.formula, frame, family=case.family).fit(
            sampler="independent", random_seed=seed, progressbar=False
        )
        return bm.check(post, random_seed=seed)


def found(case: Case, seed: int) -> tuple[list[str], str, float]:
    """Names of the statistics that are findings, the first sentence, and the smallest p."""
    result = checked(case, seed)
    names = result.table.loc[result.table["finding"], "statistic"].tolist()
    return names, (result.findings or ["-"])[0], float(result.table["p"].min())


def page(faults: list[str], right: list[str], alarms: int, total: int) -> str:
    """The page, with its tables."""
    return "\n".join([
        "# Evidence: what `bm.check` finds",
        "",
        f"Written by `make evidence` on {datetime.date.today()} with bayesmargins {bm.__version__}. The "
        'data are simulated. `sampler="independent"` fits them, and `bm.check` checks the fit as it stands. Seeds are '
        "the numbers of the data sets, fixed beforehand.",
        "",
        "## Planted faults",
        "",
        f"Does the check find a fault? Each fault is in {EACH} data sets. *found* counts the data sets in which a "
        "statistic stood out, and *named* those in which the statistic that names the fault did.",
        "",
        "| fault | found | named | statistics that were found |",
        "| --- | --- | --- | --- |",
        *faults,
        "",
        "## Models that are right",
        "",
        f"Does it find faults that are not there? {alarms} of {total} checks of right models found something.",
        "",
        "| model | data sets | with a finding | smallest p of all |",
        "| --- | --- | --- | --- |",
        *right,
        "",
    ])  # fmt: skip


def main(each_right: int = 2) -> None:
    """Fit all, and write the page."""
    faults, right, alarms = [], [], 0
    for k, case in enumerate(FAULTS):
        start, seen = time.perf_counter(), [found(case, 1000 * (k + 1) + j) for j in range(EACH)]
        any_found = sum(bool(names) for names, _, _ in seen)
        named = sum(bool(set(names) & set(case.telling)) for names, _, _ in seen)
        which = ", ".join(sorted({name for names, _, _ in seen for name in names}))
        faults.append(f"| {case.said} | {any_found} of {EACH} | {named} | {which or '-'} |")
        print(faults[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
    for k, case in enumerate(RIGHT):
        seen = [found(case, 100_000 + 1000 * k + j) for j in range(each_right)]
        wrong = [names for names, _, _ in seen if names]
        alarms += len(wrong)
        smallest = min(p for _, _, p in seen)
        right.append(f"| `{case.formula}`, {case.family} | {each_right} | {len(wrong)} | {smallest:.2g} |")
        print(right[-1], wrong, flush=True)
    PAGE.write_text(page(faults, right, alarms, each_right * len(RIGHT)), encoding="utf-8")


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
