"""What the benchmarks of margins measure on: simulated rows and posteriors, clocks, memory, and lines of the table."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import bayesmargins as bm

SEED = 20261122
BETA = np.array([-0.5, 0.8, 0.5, -0.3])  # intercept, t, x, z
RANDOM_INTERCEPT = "y ~ t + x + z + (1 | g)"
RANDOM_SLOPE = "y ~ t + x + z + (1 + x | g)"


@dataclass(frozen=True)
class Line:
    """One line of the table: a ratio (or another number) and what it must not exceed, or must reach."""

    work: str
    measured: str
    value: float | None
    limit: float | None = None
    at_least: bool = False
    unit: str = "×"
    spread: tuple[float, float] | None = None
    processor: float | None = None  # the ratio of processor times

    @property
    def verdict(self) -> str:
        if self.value is None or self.limit is None:
            return "" if self.value is not None else "skipped"
        return "ok" if (self.value >= self.limit if self.at_least else self.value <= self.limit) else "over"

    def cells(self) -> list[str]:
        limit = "" if self.limit is None else f"{'≥' if self.at_least else '≤'} {number(self.limit)} {self.unit}"
        value = "" if self.value is None else f"{number(self.value)} {self.unit}"
        if self.spread is not None:
            value += f" ({number(self.spread[0])} to {number(self.spread[1])})"
        processor = "" if self.processor is None else f"{number(self.processor)} {self.unit}"
        return [self.work, self.measured, limit.strip(), value.strip(), processor, self.verdict]


def number(value: float) -> str:
    """As short as it can be read."""
    if value != 0.0 and (abs(value) < 0.01 or abs(value) >= 1e6):
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def rows(n: int, seed: int = SEED) -> pd.DataFrame:
    """A frame to average over: continuous x and z, so that no row repeats; k for by=."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "z": rng.normal(size=n),
            "t": rng.integers(0, 2, n),
            "k": rng.integers(0, 5, n),
        }
    )


def fitted_rows(groups: int, n: int = 1000, seed: int = SEED + 1) -> pd.DataFrame:
    """The data of the fit: every group has rows, and its name as text."""
    n = max(n, groups)
    rng = np.random.default_rng(seed)
    frame = rows(n, seed + 1)
    return frame.assign(y=rng.integers(0, 2, n), g=[f"g{i % groups:05d}" for i in range(n)])


def draws_of(formula: str, draws: int, groups: int, seed: int = SEED + 2) -> dict[str, np.ndarray]:
    """beta (draw, coef), Sigma (draw, term, term) and b (draw, group, term), with s of about 0.9 to 1.3."""
    rng = np.random.default_rng(seed)
    q = 2 if "x |" in formula else 1
    Sigma = (np.eye(q) + 0.2 * (q > 1)) * rng.uniform(0.8, 1.6, (draws, 1, 1))
    b = np.einsum("dgp,dqp->dgq", rng.normal(size=(draws, groups, q)), np.linalg.cholesky(Sigma), optimize=True)
    return {"beta": BETA + 0.1 * rng.normal(size=(draws, 4)), "Sigma": Sigma, "b": b}


def posterior(
    formula: str,
    link: str,
    draws: int,
    groups: int = 100,
    data: pd.DataFrame | None = None,
    intercept: object = None,
    family: str = "bernoulli",
) -> bm.Posterior:
    """A posterior as it would come from a fit; `intercept` replaces that of every draw."""
    made = draws_of(formula, draws, groups)
    if intercept is not None:
        made["beta"][:, 0] = intercept
    return bm.from_draws(
        formula,
        fitted_rows(groups) if data is None else data,
        family=family,
        link=link,
        beta=made["beta"][None],
        b={"g": made["b"][None]},
        Sigma={"g": made["Sigma"][None]},
    )


def taken_in_turn(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, np.ndarray]:
    """Seconds (wall, processor) of every call, A B A B ...: (2, round); one round first that is not counted."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for repeat in range(repeats + 1):
        for name, call in calls.items():
            wall, processor = time.perf_counter(), time.process_time()
            call()
            if repeat > 0:
                seconds[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return {name: np.array(times).T for name, times in seconds.items()}


def against(
    work: str, times: Mapping[str, np.ndarray], one: str, other: str, limit: float | None, at_least: bool = False
) -> Line:
    """Median over rounds of the ratio within a round, with the smallest and largest."""
    wall, processor = times[one] / times[other]
    measured = " / ".join(f"{number(float(np.median(times[name][0])))} s" for name in (one, other))
    spread = (float(wall.min()), float(wall.max()))
    cpu = float(np.median(processor))
    return Line(work, measured, float(np.median(wall)), limit, at_least, spread=spread, processor=cpu)


def resident() -> int:
    """Bytes that this process holds now; where the system does not say, the most it ever held."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize()
    return largest_resident()


def largest_resident() -> int:
    """The most bytes that this process ever held.

    Linux: not ru_maxrss, which a child inherits from the process that started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
