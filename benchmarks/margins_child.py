"""Measurements that need a process of their own: memory, the first call, and Bambi. Prints one JSON object.

Run by `bench_margins.py`: ``python margins_child.py memory|first|bambi|ours ...``.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import numpy as np
import pandas as pd
from margins_cases import (
    RANDOM_INTERCEPT,
    RANDOM_SLOPE,
    draws_of,
    fitted_rows,
    largest_resident,
    posterior,
    resident,
    rows,
)

import bayesmargins as bm

GROUPS = 100


def memory(question: str, draws: str, n: str) -> dict[str, float]:
    """Bytes above what frame and posterior hold, at the peak of one averaged question; numba's own included."""
    frame = rows(int(n))
    formula = RANDOM_SLOPE if question == "random slope" else RANDOM_INTERCEPT
    post = posterior(formula, "logit", int(draws), 10_000 if "10,000" in question else GROUPS)
    ask = {
        "new": lambda: bm.avg_comparisons(post, "t", newdata=frame),
        "random slope": lambda: bm.avg_comparisons(post, "t", newdata=frame),
        "existing": lambda: bm.avg_comparisons(post, "t", newdata=frame, groups="existing"),
        "existing, 10,000 groups": lambda: bm.avg_comparisons(post, "t", newdata=frame, groups="existing"),
        "slopes": lambda: bm.avg_slopes(post, "x", newdata=frame),
        "by=": lambda: bm.avg_comparisons(post, "t", newdata=frame, by="k"),
    }[question]
    before, highest, start = resident(), largest_resident(), time.perf_counter()
    ask()
    seconds = time.perf_counter() - start
    return {
        "above": largest_resident() - before,
        "hidden": highest - before,
        "frame": float(frame.memory_usage().sum()),
        "seconds": seconds,
    }


def first() -> dict[str, float]:
    """Seconds of the first averaged question of a process, and of making its posterior."""
    frame, begin = rows(1000), time.perf_counter()
    post = posterior(RANDOM_INTERCEPT, "logit", 4000)
    start = time.perf_counter()
    bm.avg_comparisons(post, "t", newdata=frame)
    return {"seconds": time.perf_counter() - start, "made": start - begin}


def ours(policy: str, draws: str, n: str, repeats: str) -> dict[str, object]:
    """Averaged comparison of the fitted rows, `policy` for the groups."""
    data = fitted_rows(GROUPS, int(n))
    post = posterior(RANDOM_INTERCEPT, "logit", int(draws), GROUPS, data)
    before, times = resident(), []
    for _ in range(int(repeats) + 1):
        wall, processor = time.perf_counter(), time.process_time()
        result = bm.avg_comparisons(post, "t", newdata=data, groups=policy)
        times.append((time.perf_counter() - wall, time.process_time() - processor))
    return {"seconds": times[1:], "above": largest_resident() - before, "mean": float(result["estimate"].mean())}


def bambi(draws: str, n: str, repeats: str) -> dict[str, object]:
    """`interpret.comparisons` of Bambi on the same rows and draws: each row with the b of its own group."""
    warnings.simplefilter("ignore")
    import bambi as bmb

    data = fitted_rows(GROUPS, int(n))
    model = bmb.Model(RANDOM_INTERCEPT, data, family="bernoulli")
    model.build()
    idata = _idata(data, int(draws))
    before, times = resident(), []
    for _ in range(int(repeats) + 1):
        wall, processor = time.perf_counter(), time.process_time()
        result = bmb.interpret.comparisons(model, idata, contrast={"t": [0, 1]})
        times.append((time.perf_counter() - wall, time.process_time() - processor))
    return {
        "seconds": times[1:],
        "above": largest_resident() - before,
        "mean": float(result.summary["estimate"].mean()),
        "version": bmb.__version__,
    }


def _idata(data: pd.DataFrame, draws: int) -> object:
    """The draws under Bambi's names."""
    import xarray as xr

    made = draws_of(RANDOM_INTERCEPT, draws, GROUPS)
    names = ("Intercept", "t", "x", "z")
    variables = {name: (("chain", "draw"), made["beta"][None, :, i]) for i, name in enumerate(names)}
    variables["1|g_sigma"] = (("chain", "draw"), np.sqrt(made["Sigma"][None, :, 0, 0]))
    variables["1|g"] = (("chain", "draw", "g__factor"), made["b"][None, :, :, 0])
    coords = {"chain": [0], "draw": np.arange(draws), "g__factor": sorted(data["g"].unique())}
    observed = xr.Dataset({"y": ("__obs__", data["y"].to_numpy())}, {"__obs__": np.arange(len(data))})
    return xr.DataTree.from_dict({"posterior": xr.Dataset(variables, coords), "observed_data": observed})


if __name__ == "__main__":
    task = {"memory": memory, "first": first, "ours": ours, "bambi": bambi}[sys.argv[1]]
    print(json.dumps(task(*sys.argv[2:])))
