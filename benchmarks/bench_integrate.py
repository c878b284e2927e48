"""What does integrating over groups cost, next to ignoring them? ns per value, and ratios within one run.

Run: ``python benchmarks/bench_integrate.py [draws] [rows]``. The plug-in is h(eta); ratios are to SciPy's expit on one
thread and to the same expit compiled and parallel over draws, since the integration is parallel too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

import numba
import numpy as np
from scipy.special import expit

from bayesmargins.family import LINKS, PARTS, get_link
from bayesmargins.integrate import expectation, mixture_expectation, rule_for


@numba.njit(parallel=True, error_model="numpy")
def parallel_expit(eta: np.ndarray, out: np.ndarray) -> None:
    """The plug-in, compiled like the kernels."""
    for draw in numba.prange(eta.shape[0]):
        for row in range(eta.shape[1]):
            out[draw, row] = 1.0 / (1.0 + np.exp(-eta[draw, row]))


def nanoseconds(function: Callable[[], object], values: int, repeats: int = 7) -> float:
    """Best of several runs, per value."""
    function()  # compiles
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times) / values * 1e9


def main(draws: int = 1000, rows: int = 1000) -> None:
    """Print the table."""
    rng = np.random.default_rng(1)
    eta = rng.normal(0.0, 2.0, (draws, rows))
    out = np.empty_like(eta)
    scipy_ns = nanoseconds(lambda: expit(eta), eta.size)
    kernel_ns = nanoseconds(lambda: parallel_expit(eta, out), eta.size)
    print(f"{draws} draws x {rows} rows, {numba.get_num_threads()} threads")
    print(f"plug-in expit: scipy {scipy_ns:.1f} ns, compiled {kernel_ns:.1f} ns")
    print(f"{'link':8} {'s':>4} {'s per':>6} {'nodes':>6} {'ns/value':>9} {'x scipy':>8} {'x compiled':>10}")
    for link in (get_link("logit"), get_link("cloglog")):
        for s in (0.5, 1.0, 2.0, 4.0):
            for layout, shape in (("draw", (draws, 1)), ("row", (draws, rows))):
                s2 = (s * rng.uniform(0.9, 1.1, shape)) ** 2
                ns = nanoseconds(partial(expectation, link, eta, s2), eta.size)
                nodes = rule_for(link, s).nodes
                ratios = f"{ns / scipy_ns:8.1f} {ns / kernel_ns:10.1f}"
                print(f"{link.name:8} {s:4} {layout:>6} {nodes:6d} {ns:9.1f} {ratios}")
    existing_groups(rng)


def existing_groups(rng: np.random.Generator, draws: int = 500, rows: int = 256, groups: int = 300) -> None:
    """Print the average over existing groups: ns per value and group, next to one call of `expectation` a group."""
    eta, shifts = rng.normal(0.0, 2.0, (draws, rows)), rng.normal(0.0, 2.0, (draws, groups))
    weights, terms = np.full(groups, 1.0 / groups), eta.size * groups
    print(f"\n{draws} draws x {rows} rows x {groups} existing groups, ns per value and group")
    print(f"{'link':8} {'part':>10} {'one call':>9} {'a call a group':>15}")

    def one_by_one(name: str, part: str) -> np.ndarray:
        total = np.zeros_like(eta)
        for c in range(groups):
            total += weights[c] * expectation(LINKS[name], eta + shifts[:, [c]], 0.0, part).value
        return total

    for link in LINKS.values():
        for part in PARTS if link.bounded else ("mean",):
            one = nanoseconds(partial(mixture_expectation, link, eta, 0.0, shifts, weights, part), terms, repeats=3)
            many = nanoseconds(partial(one_by_one, link.name, part), terms, repeats=1)
            print(f"{link.name:8} {part:>10} {one:9.3f} {many:15.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
