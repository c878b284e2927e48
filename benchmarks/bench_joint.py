"""What does a mean over groups that move two linear predictors cost, next to a logit average of the same rows?

Run: ``python benchmarks/bench_joint.py [draws]``. An averaged comparison over new groups: of a zero-inflated Poisson
response whose groups act on mu and on zi, correlated, and of a bernoulli response, in turn. The ratio is the median of
those of the pairs; wanted is at most 1.5.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd

import bayesmargins as bm

SIZES = {"toenail": (1908, 294), "epilepsy": (236, 59)}
SIGMA = np.array([[0.8, -0.4], [-0.4, 1.2]])


def posteriors(rows: int, groups: int, draws: int, slope: bool) -> tuple[bm.Posterior, bm.Posterior]:
    """The two models over the same rows, with a random intercept, or a slope on x besides."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.normal(size=rows) for name in ("x", "age")})
    frame["trt"], frame["g"] = np.resize(["a", "b"], rows), (np.arange(rows) % groups).astype(str)
    frame["y"] = np.resize([0, 1], rows)
    z = "(1 + x | g)" if slope else "(1 | g)"
    beta = rng.normal((0.2, 0.5, -0.3, 0.2), 0.05, (1, draws, 4))
    terms = 2 if slope else 1
    block = np.kron(SIGMA, np.diag([1.0, 0.3])[:terms, :terms])
    Sigma = block * rng.uniform(0.8, 1.2, (1, draws, 1, 1))
    formula = f"trt + x + age + {z}"
    part: dict[str, Any] = {"formula": f"~ {formula}", "beta": -beta}
    given: dict[str, Any] = {"family": "zero_inflated_poisson", "parts": {"zi": part}, "Sigma": {"g": Sigma}}
    joint = bm.from_draws(f"y ~ {formula}", frame, beta=beta, **given)
    own = Sigma[..., terms:, terms:]
    logit = bm.from_draws(f"y ~ {formula}", frame, family="bernoulli", beta=-beta, Sigma={"g": own})
    return joint, logit


def seconds(post: bm.Posterior, variables: str) -> float:
    """Of one averaged comparison."""
    start = time.perf_counter()
    bm.avg_comparisons(post, variables)
    return time.perf_counter() - start


def main(draws: int = 4000, repeats: int = 7) -> None:
    """Print the table."""
    warnings.simplefilter("ignore", bm.BayesmarginsWarning)
    for (name, (rows, groups)), slope, variable in (
        (size, slope, variable) for size in SIZES.items() for slope in (False, True) for variable in ("trt", "x")
    ):
        joint, logit = posteriors(rows, groups, draws, slope)
        first = seconds(joint, variable)
        seconds(logit, variable)
        pairs = [(seconds(joint, variable), seconds(logit, variable)) for _ in range(repeats)]
        ratio = statistics.median(a / b for a, b in pairs)
        tilted, plain = (statistics.median(side) for side in zip(*pairs, strict=True))
        z = "slope" if slope else "intercept"
        print(f"{name:9} {z:9} {variable:4} {tilted:7.3f} s {plain:7.3f} s {ratio:6.2f}  first {first:.2f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
