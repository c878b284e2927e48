"""How long from a data frame to a first table? The toenail model, from a new process, nothing cached and all cached.

Run: ``python benchmarks/bench_first_table.py [repeats]``. Each line is a process: the first has empty caches of numba
and PyTensor, the others find what it left there. Seconds are of the processor, all threads together, so that other work
on the machine does not count; `wall` is what a user waits, sampling with as many chains at once as there are cores.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

STAGES = ("imports", "model", "compile", "sample", "rest of fit", "table", "second fit")


def measure() -> dict[str, float]:
    """In this process."""
    start, seconds = time.process_time(), {}
    begin = time.perf_counter()

    def lap(stage: str) -> None:
        nonlocal start
        seconds[stage], start = time.process_time() - start, time.process_time()

    import nutpie
    import pymc  # noqa: F401

    import bayesmargins as bm

    lap("imports")
    inside = {name: _timed(nutpie, name) for name in ("compile_pymc_model", "sample")}
    model = bm.GLMM("bad ~ treatment * time + (1 | patientID)", bm.load_dataset("toenail"), family="bernoulli")
    lap("model")
    post = model.fit(ess=None, random_seed=1, progressbar=False)
    lap("rest of fit")
    seconds |= {"compile": sum(inside["compile_pymc_model"]), "sample": sum(inside["sample"])}
    seconds["rest of fit"] -= seconds["compile"] + seconds["sample"]
    bm.summary(bm.avg_comparisons(post, "treatment"))
    lap("table")
    seconds["wall"] = time.perf_counter() - begin
    model.fit(draws=10, tune=10, ess=None, random_seed=2, progressbar=False)
    lap("second fit")
    return seconds


def _timed(owner: Any, name: str) -> list[float]:
    """Seconds of each call of owner.name from now on."""
    seconds: list[float] = []
    function: Callable[..., Any] = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        start = time.process_time()
        result = function(*args, **kwargs)
        seconds.append(time.process_time() - start)
        return result

    setattr(owner, name, wrapped)
    return seconds


def main() -> None:
    """Print the table."""
    print("caches  " + "".join(f"{stage:>13}" for stage in (*STAGES, "wall")))
    with tempfile.TemporaryDirectory() as folder:
        env = {
            **os.environ,
            "NUMBA_CACHE_DIR": f"{folder}/numba",
            "PYTENSOR_FLAGS": f"base_compiledir={folder}/pytensor",
        }
        for k in range(1 + int((sys.argv[1:] or ["2"])[0])):
            child = [sys.executable, "-W", "ignore", __file__, "--one"]
            out = subprocess.run(child, capture_output=True, text=True, check=True, env=env).stdout
            found = json.loads(out.strip().splitlines()[-1])
            line = "".join(f"{found[stage]:12.1f}s" for stage in (*STAGES, "wall"))
            print(f"{'full' if k else 'empty':8}{line}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["--one"]:
        print(json.dumps(measure()))
    else:
        main()
