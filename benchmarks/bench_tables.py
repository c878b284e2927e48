"""What does a look-up in a table cost, next to h itself? ns per value on one thread and on all, and the building times.

Run: ``python benchmarks/bench_tables.py [draws] [rows]``. Each time is the best of many short runs, taken in turn with
those of the bare expit, so that both see the same machine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

import numba
import numpy as np

from bayesmargins.family import get_link
from bayesmargins.integrate.tabulated.curves import curves
from bayesmargins.integrate.tabulated.group_curves import mixture_curves
from bayesmargins.integrate.tabulated.rows import row_table
from bayesmargins.integrate.tabulated.surfaces import surface
from bayesmargins.integrate.tabulated.table_passes import evaluate_curves, evaluate_surface
from bayesmargins.limits import in_threads, options


@numba.njit(parallel=True, error_model="numpy")
def parallel_expit(eta: np.ndarray, out: np.ndarray) -> None:
    """The plug-in, compiled like the kernels."""
    for draw in numba.prange(eta.shape[0]):
        for row in range(eta.shape[1]):
            out[draw, row] = 1.0 / (1.0 + np.exp(-eta[draw, row]))


def best_of(functions: list[Callable[[], object]], repeats: int) -> list[float]:
    """Seconds of each function: the best of several runs, taken in turn."""
    times = [np.inf] * len(functions)
    for repeat in range(repeats + 1):
        for i, function in enumerate(functions):
            start = time.perf_counter()
            function()
            if repeat > 0:  # the first compiles
                times[i] = min(times[i], time.perf_counter() - start)
    return times


def look_ups(draws: int, rows: int) -> None:
    """Print the look-ups."""
    rng = np.random.default_rng(1)
    eta = rng.normal(0.0, 2.0, (draws, rows))
    s = rng.uniform(0.5, 1.5, eta.shape)
    out = np.empty_like(eta)
    calls: dict[str, Callable[[], object]] = {"expit": partial(parallel_expit, eta, out)}
    for name in ("logit", "cloglog"):
        made, wide = curves(get_link(name), s[:, 0]).arrays, surface(get_link(name), 0.5, 1.5).arrays
        for order, what in enumerate(("value", "all three")):
            calls[f"{name} curve, {what}"] = partial(in_threads, evaluate_curves, len(eta), made, order, eta, out)
            calls[f"{name} surface, {what}"] = partial(in_threads, evaluate_surface, len(eta), wide, order, eta, s, out)
    threads = numba.get_num_threads()
    print(f"{draws} draws x {rows} rows, ns per value\n{'':28} {'1 thread':>9} {threads:>3} threads")
    columns = []
    for count in (1, threads):
        numba.set_num_threads(count)
        options.threads = count
        columns.append(best_of(list(calls.values()), 60))
    for name, one, many in zip(calls, *columns, strict=True):
        print(f"{name:28} {one / eta.size * 1e9:9.2f} {many / eta.size * 1e9:11.2f}")


def building() -> None:
    """Print what tables cost to make."""
    rng = np.random.default_rng(1)
    for name in ("logit", "cloglog"):
        link = get_link(name)
        for low in (0.1, 0.5, 1.0, 2.0, 4.0):
            table = row_table(link, "mean", 40.0)
            first = round(64 * low)
            table.rows(first, first + 8)
            start = time.perf_counter()
            table.rows(first + 8, first + 16)
            each = (time.perf_counter() - start) / 8
            print(f"{name:8} row near s = {low}: {each * 1e3:6.2f} ms, {table.cells * 96 / 1024:.0f} KiB")
        s = rng.uniform(0.8, 1.2, 500)
        (seconds,) = best_of([partial(curves, link, s)], 9)
        print(f"{name:8} curve from its row: {seconds / 500 * 1e6:.0f} us a draw, {table.cells * 64 / 1024:.0f} KiB")
    numba.set_num_threads(1)
    options.threads = 1
    for name in ("logit", "cloglog", "probit"):
        for groups in (30, 1000, 10_000):
            for s in (0.0, 1.0):
                shifts, weights = rng.normal(0.0, 1.5, (40, groups)), np.full(groups, 1.0 / groups)
                call = partial(mixture_curves, get_link(name), np.full(40, s), shifts, weights)
                (seconds,) = best_of([call], 12)
                print(f"{name:8} {groups:6d} groups, s = {s:g}: {seconds / 40 * 1e6:6.0f} us a draw, one thread")


if __name__ == "__main__":
    sizes = [int(size) for size in sys.argv[1:]]
    look_ups(*(sizes or [100, 1000]))
    building()
