"""How much house does one question walk through? Lines of the package, and what one averaged comparison enters.

    python benchmarks/house.py

Counts of files and functions are those of `avg_comparisons` of 220 rows and 400 draws, caches warm; a call is a call
of a function of the package, an edge a call from one of its files into another.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import bayesmargins as bm

ROOT = Path(bm.__file__).parent


def posterior() -> bm.Posterior:
    """Random draws of the bacteria model."""
    rng = np.random.default_rng(0)
    data = bm.load_dataset("bacteria")
    b = rng.normal(size=(4, 100, data.ID.nunique(), 1))
    return bm.from_draws(
        "yb ~ trt + week + (1 | ID)", data, family="bernoulli", beta=rng.normal(size=(4, 100, 4)), b={"ID": b},
        Sigma={"ID": np.ones((4, 100, 1, 1))},
    )  # fmt: skip


class Entered:
    """Which functions of the package were entered, and from where."""

    def __init__(self) -> None:
        self.functions: set[tuple[str, str]] = set()
        self.edges: set[tuple[str, str]] = set()
        self.calls = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """A profile hook."""
        here = frame.f_code.co_filename
        if event != "call" or str(ROOT) not in here:
            return
        self.functions.add((here, frame.f_code.co_qualname))
        self.calls += 1
        caller = frame.f_back.f_code.co_filename if frame.f_back else ""
        if str(ROOT) in caller and caller != here:
            self.edges.add((caller, here))


def main() -> None:
    """Print the counts."""
    warnings.simplefilter("ignore")
    files = sorted(ROOT.rglob("*.py"))
    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)
    post = posterior()
    bm.avg_comparisons(post, "trt")
    entered = Entered()
    sys.setprofile(entered)
    bm.avg_comparisons(post, "trt")
    sys.setprofile(None)
    named = [name for _, name in entered.functions if "<" not in name.split(".")[-1]]
    both = sum((there, here) in entered.edges for here, there in entered.edges) // 2
    print(f"{len(files)} files, {lines:,} lines")
    print(f"one avg_comparisons: {len({file for file, _ in entered.functions})} files, {len(named)} named functions, "
          f"{entered.calls:,} calls, {len(entered.edges)} edges between files, {both} of them both ways")  # fmt: skip


if __name__ == "__main__":
    main()
