"""What is asked of fits, against Bambi with nutpie: `python benchmarks/bench_fits.py --bars [case ...]`, in Markdown.

Each way of a case has two processes. The first compiles, so that what numba and PyTensor keep on disk is there for both
packages; the second is measured: fits with three seeds of 4 chains of 500 draws after 500 of tuning. Seconds are those
of the processor, all threads together; the last column is what a user waits. Medians of the three. A quarter of an hour
on two cores that do nothing else.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from statistics import median
from typing import Any, NamedTuple

from bench_fits import BAMBI, CASES, in_a_child

__all__ = ["print_bars"]

INTEGRATED, SAMPLED = "integrated", "sampled"
FITS = 3


class Bar(NamedTuple):
    """How many times the effective draws a second of Bambi are asked for: of sampling, and with compiling and all."""

    of_sampling: float = 1.0
    of_all: float = 0.0


class Limit(NamedTuple):
    """Seconds that a user waits, and GiB, at most."""

    wall: float
    memory: float = float("inf")


ONE_EFFECT = {INTEGRATED: Bar(1.0, 2.0), SAMPLED: Bar()}
BARS: dict[str, dict[str, Bar]] = {
    "normal": {INTEGRATED: Bar(100.0), SAMPLED: Bar()},
    "bernoulli-one": {INTEGRATED: Bar(1.0, 2.0)},
    "toenail": ONE_EFFECT,
    "poisson": ONE_EFFECT,
    "negbinomial": ONE_EFFECT,
    "bernoulli": {SAMPLED: Bar()},
    "crossed": {SAMPLED: Bar()},
    "verbagg": {SAMPLED: Bar()},
    "student_t": {SAMPLED: Bar()},
    "epil": {SAMPLED: Bar()},
    "cbpp": {SAMPLED: Bar()},
    "bacteria": {INTEGRATED: Bar(1.0, 2.0), SAMPLED: Bar()},
}
LIMITS = {"normal-million": Limit(30.0, 2.0), "bernoulli-large": Limit(180.0)}
HEAD = (
    *("model", "rows", "b", "ESS of 2,000", "steps", "sampling, b drawn", "ESS a second", "× Bambi"),
    *("compiling", "all", "ESS a second of all", "× Bambi", "asked", "GiB", "waiting"),
)


class Medians(NamedTuple):
    """Of the fits of one way."""

    ess: float
    steps: float
    sample: float
    compile: float
    total: float
    wall: float
    memory: float
    rate: float
    rate_of_all: float


def _medians(name: str, way: str, fits: int) -> Medians | str:
    warm = in_a_child(name, way, 1, 5)
    found = warm if isinstance(warm, str) else in_a_child(name, way, fits)
    if isinstance(found, str):
        return found
    rates = [(m["ess"] / m["sample"], m["ess"] / m["total"]) for m in found]
    names = Medians._fields[: len(Medians._fields) - len(rates[0])]
    return Medians(*(median(m[n] for m in found) for n in names), *(median(r) for r in zip(*rates, strict=True)))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _times(ours: float, theirs: float | None) -> str:
    return "" if theirs is None else f"{ours / theirs:.3g}"


def _line(name: str, way: str, m: Medians, bambi: Medians | None, asked: str) -> str:
    case, theirs = CASES[name], bambi if way != "bambi" else None
    cells = [
        *(f"{name}: `{case.formula}`", f"{len(case.frame()):,}", way, f"{m.ess:,.0f}", f"{m.steps:.1f}"),
        *(f"{m.sample:.2f} s", f"{m.rate:,.0f}", _times(m.rate, theirs and theirs.rate), f"{m.compile:.1f} s"),
        *(f"{m.total:.1f} s", f"{m.rate_of_all:,.0f}", _times(m.rate_of_all, theirs and theirs.rate_of_all)),
        *(asked, f"{m.memory:.2f}", f"{m.wall:.0f} s"),
    ]
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _verdict(pairs: Sequence[tuple[float, float, str]]) -> str:
    """What is asked and reached; `pairs` have what was found, what is asked (no less), and its words."""
    return "; ".join(f"{words}: {'yes' if found >= asked else '**no**'}" for found, asked, words in pairs)


def _against(m: Medians, bambi: Medians | None, bar: Bar) -> str:
    if bambi is None:
        return ""
    asked = [(m.rate / bambi.rate, bar.of_sampling, f"{bar.of_sampling:g} ×")]
    if bar.of_all:
        asked.append((m.rate_of_all / bambi.rate_of_all, bar.of_all, f"{bar.of_all:g} × of all"))
    return _verdict(asked)


def _within(m: Medians, limit: Limit) -> str:
    asked = [(-m.wall, -limit.wall, f"{limit.wall:g} s")]
    if limit.memory < float("inf"):
        asked.append((-m.memory, -limit.memory, f"{limit.memory:g} GiB"))
    return _verdict(asked)


def _lines(name: str) -> list[str]:
    """A case, each way a line."""
    ways: list[str] = [INTEGRATED] if name in LIMITS else [*BARS[name], *BAMBI]
    found: dict[str, Any] = {way: _medians(name, way, 1 if name in LIMITS else FITS) for way in ways}
    bambi = found.get("bambi")
    bambi = None if isinstance(bambi, str) else bambi
    lines = []
    for way, m in found.items():
        if isinstance(m, str):
            lines.append(f"| {name} | | {way} | {_cell(m[:200])} |")
            continue
        asked = _within(m, LIMITS[name]) if name in LIMITS else ""
        if way in BARS.get(name, {}):
            asked = _against(m, bambi, BARS[name][way])
        lines.append(_line(name, way, m, bambi, asked))
    return lines


def print_bars(asked: Sequence[str]) -> None:
    """The whole table, or that of some cases, as it comes."""
    names = [name for name in (*BARS, *LIMITS) if not asked or name in asked]
    packages = ", ".join(f"{name} {version(name)}" for name in ("pymc", "nutpie", "numba", *BAMBI))
    print(f"Python {platform.python_version()}, {packages}; {os.cpu_count()} cores. Medians of {FITS} fits.\n")
    print("| " + " | ".join(HEAD) + " |\n" + "| --- " * len(HEAD) + "|", flush=True)
    for name in names:
        for line in _lines(name):
            print(line, flush=True)
