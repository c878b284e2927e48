"""What does a cluster cost? Core-seconds of two workers with a thread each against one process with two threads.

    python benchmarks/bench_cluster.py [million rows]

An averaged comparison over new groups with a random slope, by 50 cells, 400 draws, rows from parquet. Processor time of
all processes counts, that of the scheduler too; each side has done the same with fewer rows before, so that imports and
compiled code are there. Both have to agree to the bit. The figures are those that docs/cluster.md calculates with.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
from dask.sizeof import sizeof
from distributed import Client, LocalCluster

import bayesmargins as bm
from bayesmargins.evaluate import averages
from bayesmargins.evaluate import evaluate as verb

DRAWS, CELLS, FILE, ROUNDS = 400, 50, 250_000, 3
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
# By default dask has workers give memory back to the system at once; ours do so at the end of each block.
TRIM = "MALLOC_TRIM_THRESHOLD_"
ALLOCATORS = {"memory as dask sets it": {TRIM: "65536"}, "memory as the system sets it": {}}


def posterior() -> bm.Posterior:
    """Made-up draws of a logistic model with a random slope, 200 groups."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"x": rng.normal(size=1_000), "z": rng.normal(size=1_000), "arm": ["a", "b"] * 500})
    data["g"], data["y"] = [f"g{k % 200}" for k in range(1_000)], rng.integers(0, 2, 1_000)
    shape = (4, DRAWS // 4)
    Sigma = rng.uniform(0.5, 1.5, shape)[..., None, None] * np.array([[1.0, 0.2], [0.2, 0.5]])
    b = np.einsum("...ij,...gj->...gi", np.linalg.cholesky(Sigma), rng.normal(size=(*shape, 200, 2)))
    beta = rng.normal(0.0, 0.3, (*shape, 4))
    return bm.from_draws(
        "y ~ x + z + arm + (1 + x | g)", data, family="bernoulli", beta=beta, b={"g": b}, Sigma={"g": Sigma}
    )


def write(folder: Path, rows: int) -> Path:
    """Parquet, a file after the other."""
    rng = np.random.default_rng(2)
    folder.mkdir()
    for k, first in enumerate(range(0, rows, FILE)):
        n = min(FILE, rows - first)
        frame = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n), "arm": rng.choice(["a", "b"], n)})
        frame.assign(cell=rng.integers(0, CELLS, n)).to_parquet(folder / f"{k:04d}.parquet")
    return folder


def ask(post: bm.Posterior, newdata: object) -> object:
    """The question."""
    return bm.avg_comparisons(post, "x", newdata=newdata, by="cell")


def on_workers(client: Client) -> float:
    """Processor time of all workers so far."""
    return sum(client.run(time.process_time).values())


def measured(run: Callable[[], object], elsewhere: Callable[[], float] = lambda: 0.0) -> tuple[object, float, float]:
    """Result, core-seconds here, and elsewhere."""
    here, there = time.process_time(), elsewhere()
    found = run()
    return found, time.process_time() - here, elsewhere() - there


def main() -> None:
    """Print the figures."""
    warnings.simplefilter("ignore")
    rows = int(float(sys.argv[1] if len(sys.argv) > 1 else 4) * 1_000_000)
    post = posterior()
    with tempfile.TemporaryDirectory() as temporary:
        few, many = write(Path(temporary) / "few", 2 * FILE), write(Path(temporary) / "many", rows)
        bm.options(threads=2, progress=False)
        for name, environ in ALLOCATORS.items():
            print(name)
            os.environ.pop(TRIM, None)  # dask leaves what it sets for workers in this process, and finds it there again
            with dask.config.set({"distributed.nanny.pre-spawn-environ": {**THREADS, **environ}}):
                cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50)
            with cluster, Client(cluster) as client:
                for newdata in (str(few), dd.read_parquet(few)):
                    ask(post, newdata)
                rounds = [one_round(client, post, many, 2 * rows * DRAWS) for _ in range(ROUNDS)]
            each = ", ".join(f"{r:.2f}" for r in rounds)
            print(f"  core-seconds, cluster / process: {each}; median {np.median(rounds):.2f}")
        folding(post, few)
    print(f"cores of this machine: {os.cpu_count()}, load {os.getloadavg()[0]:.1f}")


def one_round(client: Client, post: bm.Posterior, many: Path, values: int) -> float:
    """Core-seconds of the cluster by those of one process, which goes first."""
    single, here, _ = measured(lambda: ask(post, str(many)))
    found, beside, workers = measured(lambda: ask(post, dd.read_parquet(many)), lambda: on_workers(client))
    assert found.identical(single)
    print(
        f"  one process {here:.1f} core-seconds ({here / values * 1e9:.2f} ns a value); workers {workers:.1f}, client "
        f"with the scheduler {beside:.1f}; the same bits"
    )
    return (beside + workers) / here


def folding(post: bm.Posterior, few: Path) -> None:
    """What each block sends to the client, and what putting two together costs there."""
    parts: list[tuple[object, averages.Part, averages.Part]] = []
    once = verb.combined

    def noted(asked: object, one: averages.Part, other: averages.Part) -> averages.Part:
        parts.append((asked, one, other))
        return once(asked, one, other)

    verb.combined = noted
    ask(post, few)
    verb.combined = once
    start = time.process_time()
    for of in parts:
        once(*of)
    seconds = (time.process_time() - start) / len(parts)
    size = sum(sizeof(v) for p in parts[0][2].passed for v in p.values.values())
    print(f"a block sends {size / 2**20:.2f} MiB; it is added in {seconds * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
