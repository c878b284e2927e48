"""What do all categories of an ordered response cost, next to one logit average for each threshold?

Run: ``python benchmarks/bench_ordered.py [rows] [draws]``. Both are averages over the same rows, over new and over
fitted groups, in one run; with a ratio of 1 all categories cost what K - 1 averages of a bernoulli response cost.
"""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd

import bayesmargins as bm

FORMULA = "y ~ x1 + x2 + x3 + (1 | g)"
THRESHOLDS = (-1.0, 0.2, 1.5)


def posterior(family: str, draws: int) -> bm.Posterior:
    """Draws over 600 rows in 50 groups; the same for every family."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.normal(size=600) for name in ("x1", "x2", "x3")})
    frame["g"] = rng.integers(0, 50, 600).astype(str)
    frame["y"] = np.resize([0, 1], 600) if family == "bernoulli" else np.resize([1, 2, 3, 4], 600)
    beta = rng.normal((0.5, -0.3, 0.2), 0.05, (1, draws, 3))
    theta = rng.normal(THRESHOLDS, 0.05, (1, draws, 3))
    given: dict[str, Any] = {"aux": {"thresholds": theta}, "beta": beta}
    if family == "bernoulli":
        given = {"beta": np.concatenate([np.zeros((1, draws, 1)), beta], axis=-1)}
    Sigma, b = rng.uniform(0.8, 1.4, (1, draws, 1, 1)) ** 2, rng.normal(size=(1, draws, 50, 1))
    return bm.from_draws(FORMULA, frame, family=family, Sigma={"g": Sigma}, b={"g": b}, **given)


def seconds(post: bm.Posterior, rows: pd.DataFrame, groups: str, repeats: int = 5) -> tuple[float, str]:
    """Best of several runs, and the method."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = bm.avg_predictions(post, rows, groups=groups)
        times.append(time.perf_counter() - start)
    return min(times), found.attrs["integration_method"]


def main(rows: int = 100_000, draws: int = 1000) -> None:
    """Print the table."""
    warnings.simplefilter("ignore", bm.BayesmarginsWarning)
    rng = np.random.default_rng(1)
    newdata = pd.DataFrame({name: rng.normal(size=rows) for name in ("x1", "x2", "x3")})
    print(f"{rows} rows x {draws} draws, 4 categories; ratios to 3 logit averages")
    for groups in ("new", "existing"):
        logit, _ = seconds(posterior("bernoulli", draws), newdata, groups)
        for family in ("cumulative", "sequential", "adjacent"):
            took, method = seconds(posterior(family, draws), newdata, groups)
            print(f"{groups:9} {family:11} {took:7.2f} s {took / (3.0 * logit):6.2f}  {method}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
