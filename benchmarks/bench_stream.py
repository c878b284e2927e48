"""What do rows cost that do not fit in memory? Averages over a parquet file against the same rows in a frame.

Run: ``python benchmarks/bench_stream.py [--rows 20000000] [--draws 400] [--many-draws]``. The file has 50 regions for
`by`, and the question is a comparison over new groups with a random slope. Each way has a process of its own:
processor seconds for each row, and the most memory that the process held. The frame has a tenth of the rows, at most
2,000,000, so that it fits. `--many-draws` measures 100,000 draws x 100,000 rows in place of that.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from margins_cases import RANDOM_INTERCEPT, RANDOM_SLOPE, largest_resident, posterior, rows

import bayesmargins as bm

GIB = 2**30
AT_A_TIME = 2**20  # rows of a row group
REGIONS = np.array([f"region {i:02d}" for i in range(50)])


def some_rows(n: int, seed: int) -> pd.DataFrame:
    """Rows with a region and two columns that no question reads."""
    rng = np.random.default_rng(seed)
    frame = rows(n, seed).assign(region=REGIONS[rng.integers(0, 50, n)], idle=rng.normal(size=n))
    return frame.assign(note=frame["region"])


def write(path: Path, n: int) -> None:
    """A parquet file, a row group at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.Table.from_pandas(some_rows(1, 0), preserve_index=False).schema.remove_metadata()
    with pq.ParquetWriter(path, schema) as file:
        for k, start in enumerate(range(0, n, AT_A_TIME)):
            frame = some_rows(min(AT_A_TIME, n - start), k)
            file.write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False))


def ask(post: bm.Posterior, newdata: Any) -> Any:
    return bm.avg_comparisons(post, "t", newdata=newdata, by="region")


def measure(way: str, path: str, n: str, draws: str) -> dict[str, float]:
    """Of a process of its own: processor and wall seconds, peak memory, and what came out."""
    post = posterior(RANDOM_SLOPE, "logit", int(draws))
    newdata = path if way == "file" else pd.read_parquet(path)
    ask(post, some_rows(4096, 1))  # compiles, and makes the tables
    wall, processor = time.perf_counter(), time.process_time()
    result = ask(post, newdata)
    used = time.process_time() - processor
    return {
        "processor": used,
        "wall": time.perf_counter() - wall,
        "peak": largest_resident(),
        "rows": json.loads(str(result.attrs["rows"])),
        "mean": float(result["estimate"].mean()),
    }


def many_draws(way: str, path: str, n: str, draws: str) -> dict[str, float]:
    """Averages of many draws: new groups and one random intercept."""
    post = posterior(RANDOM_INTERCEPT, "logit", int(draws), groups=10)
    frame = rows(int(n))
    held = largest_resident()
    wall, processor = time.perf_counter(), time.process_time()
    bm.avg_comparisons(post, "t", newdata=frame, by="k")
    used = time.process_time() - processor
    return {"processor": used, "wall": time.perf_counter() - wall, "peak": largest_resident(), "held": held}


def child(*task: object) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", *map(str, task)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ})
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--many-draws", action="store_true")
    parser.add_argument("--child", nargs="*")
    asked = parser.parse_args()
    if asked.child:
        way, *rest = asked.child
        print(json.dumps((many_draws if way == "many" else measure)(way, *rest)))
        return
    if asked.many_draws:
        of = child("many", "-", 100_000, 100_000)
        print(f"100,000 draws x 100,000 rows: {of['processor']:.0f} s of processors, {of['wall']:.0f} s, ", end="")
        print(f"peak {of['peak'] / GIB:.2f} GiB ({of['held'] / GIB:.2f} GiB before the question)")
        return
    with tempfile.TemporaryDirectory() as folder:
        path, fewer = Path(folder) / "rows.parquet", min(asked.rows // 10, 2_000_000)
        write(path, asked.rows)
        print(f"{asked.rows:,} rows, {path.stat().st_size / GIB:.2f} GiB on disk; {asked.draws} draws")
        small = Path(folder) / "fewer.parquet"
        write(small, fewer)
        each = {
            "frame": child("frame", small, fewer, asked.draws),
            "file": child("file", path, asked.rows, asked.draws),
        }
    for way, of in each.items():
        rate = of["processor"] / of["rows"] * 1e6
        print(f"{way:6} {of['rows']:>12,} rows {rate:8.2f} µs a row of processors ", end="")
        print(f"{of['wall']:8.1f} s  peak {of['peak'] / GIB:.2f} GiB")
    ratio = (each["file"]["processor"] / each["file"]["rows"]) / (each["frame"]["processor"] / each["frame"]["rows"])
    print(f"file / frame, for each row: {ratio:.2f} (at most 1.2); peak at most 1 GiB")


if __name__ == "__main__":
    main()
