"""What do margins cost, next to setting b = 0, to a loop of one's own and to other software? One table.

Run: ``python benchmarks/bench_margins.py [--draws 4000] [--rows 100000] [--quick] [--bambi-python PATH]``. Times are
taken in turn (A B A B ...); a ratio is the median over rounds of the ratio within a round, with its range in brackets.
`--only` measures some sections: speed, slope, links, existing, rows, memory, accuracy, first, montecarlo, bambi.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from margins_cases import RANDOM_INTERCEPT, RANDOM_SLOPE, Line, against, number, posterior, rows, taken_in_turn
from margins_peers import fastest_plug_in, high_precision, monte_carlo, thirty_digits

import bayesmargins as bm
from bayesmargins.family import get_link
from bayesmargins.integrate import expectation

MIB = 2**20
ALWAYS = ("new", "existing", "slopes", "by=")
ACCURACY_DRAWS, FEW, MANY = 4000, 500, 1000  # tables serve from 512 rows on; below, the exact engine


def speed(size: argparse.Namespace) -> Iterator[Line]:
    """Random intercept under the logit link."""
    frame, post = rows(size.rows), posterior(RANDOM_INTERCEPT, "logit", size.draws)
    other = posterior(RANDOM_INTERCEPT, "cloglog", size.draws)
    beta = post.draws.beta
    name, loop = fastest_plug_in(beta, frame)
    calls: dict[str, Callable[[], Any]] = {
        "zero": lambda: bm.avg_comparisons(post, "t", newdata=frame, groups="zero"),
        "new": lambda: bm.avg_comparisons(post, "t", newdata=frame),
        "slopes": lambda: bm.avg_slopes(post, "x", newdata=frame),
        "cloglog": lambda: bm.avg_comparisons(other, "t", newdata=frame),
        "loop": loop,
        "pool": lambda: loop(threads=os.cpu_count() or 1),
    }
    check_same(calls["zero"]()["estimate"].to_numpy().ravel(), loop())
    times = taken_in_turn(calls, size.repeats)
    what = f"{size.rows:,} rows"
    yield against(f'`"new"` / `"zero"`: logit, random intercept, {what}', times, "new", "zero", 1.25)
    yield against(f'cloglog / logit: `"new"`, random intercept, {what}', times, "cloglog", "new", 1.25)
    yield against(f'`"zero"` / NumPy loop on one thread ({name})', times, "zero", "loop", 1.0)
    yield against(f'`"zero"` / the same loop on {os.cpu_count()} threads', times, "zero", "pool", None)
    yield against('`avg_slopes` / `avg_comparisons`: `"new"`, random intercept', times, "slopes", "new", 1.5)


def links(size: argparse.Namespace) -> Iterator[Line]:
    """Every link with averages over new groups against logit, random intercept."""
    frame = rows(size.rows)
    families = {"logit": "bernoulli", "loglog": "bernoulli", "cauchit": "bernoulli", "softplus": "poisson"}
    families |= {"sqrt": "poisson", "log": "poisson"}
    posts = {link: posterior(RANDOM_INTERCEPT, link, size.draws, family=of) for link, of in families.items()}
    calls = {link: lambda p=p: bm.avg_comparisons(p, "t", newdata=frame) for link, p in posts.items()}
    times = taken_in_turn(calls, size.repeats)
    for link in list(families)[1:]:
        limit = None if link == "log" else 3.0  # an exponential a value, where the others look up
        yield against(f'{link} / logit: `"new"`, random intercept, {size.rows:,} rows', times, link, "logit", limit)


def check_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    """A peer that computes something else is no peer."""
    if not np.allclose(ours, theirs, rtol=0.0, atol=1e-11):
        raise SystemExit(f"A peer differs by {np.abs(ours - theirs).max():.1e}: it does not compute the same.")


def slope(size: argparse.Namespace) -> Iterator[Line]:
    """Random slope on a continuous x: s differs in every row."""
    frame, post = rows(size.rows), posterior(RANDOM_SLOPE, "logit", size.draws)
    calls = {
        "zero": lambda: bm.avg_comparisons(post, "t", newdata=frame, groups="zero"),
        "new": lambda: bm.avg_comparisons(post, "t", newdata=frame),
        "slopes": lambda: bm.avg_slopes(post, "x", newdata=frame),
    }
    times = taken_in_turn(calls, size.repeats)
    yield against(f'`"new"` / `"zero"`: logit, random slope on x, {size.rows:,} rows', times, "new", "zero", 1.75)
    yield against('`avg_slopes` / `avg_comparisons`: `"new"`, random slope on x', times, "slopes", "new", 1.5)


def existing(size: argparse.Namespace) -> Iterator[Line]:
    """Averages over many fitted groups."""
    frame = rows(size.rows)
    few, many = (posterior(RANDOM_INTERCEPT, "logit", size.draws, groups) for groups in (100, 10_000))
    calls = {
        "few": lambda: bm.avg_comparisons(few, "t", newdata=frame, groups="existing"),
        "many": lambda: bm.avg_comparisons(many, "t", newdata=frame, groups="existing"),
        "new": lambda: bm.avg_comparisons(few, "t", newdata=frame),
    }
    times = taken_in_turn(calls, size.repeats)
    yield against(f'`"existing"`: 10,000 groups / 100 groups, {size.rows:,} rows', times, "many", "few", 2.0)
    yield against('`"existing"`, 100 groups / `"new"`', times, "few", "new", None)


def growth(size: argparse.Namespace) -> Iterator[Line]:
    """How time grows with rows."""
    draws = max(200, size.draws // 4)
    post, most = posterior(RANDOM_INTERCEPT, "logit", draws), size.rows * 10
    few, many = rows(most // 100), rows(most)
    calls = {
        "few": lambda: bm.avg_comparisons(post, "t", newdata=few),
        "many": lambda: bm.avg_comparisons(post, "t", newdata=many),
    }
    times = taken_in_turn(calls, size.repeats)
    wall, processor = np.log(times["many"] / times["few"]) / math.log(100.0)
    yield Line(
        f"exponent of time, {len(few):,} → {most:,} rows ({draws:,} draws)",
        " → ".join(f"{number(float(np.median(times[name][0])))} s" for name in ("few", "many")),
        float(np.median(wall)), 1.05,
        unit="", spread=(float(wall.min()), float(wall.max())), processor=float(np.median(processor)),
    )  # fmt: skip


def memory(size: argparse.Namespace) -> Iterator[Line]:
    """The peak of a fresh process, above what it held with the frame, the posterior and the package."""
    n = size.rows * 10
    for draws, questions in ((size.draws, ALWAYS), (200, (*ALWAYS, "existing, 10,000 groups", "random slope"))):
        for question in questions:
            got = child("memory", question, draws, n)
            measured = f"{got['seconds']:.1f} s; the frame {got['frame'] / MIB:.0f} MiB"
            work = f"peak RSS above the frame: {question}, {n:,} rows, {draws:,} draws"
            yield Line(work, measured, got["above"] / MIB, 700.0, unit="MiB")


def accuracy(size: argparse.Namespace) -> Iterator[Line]:
    """Rows through tables against the same rows, few at a time, through the exact engine."""
    frame = rows(MANY)
    wide = np.linspace(-27.0, 27.0, ACCURACY_DRAWS)
    paths = (
        ("logit, random intercept", RANDOM_INTERCEPT, "logit", "new"),
        ("logit, random slope", RANDOM_SLOPE, "logit", "new"),
        ("logit, existing groups", RANDOM_INTERCEPT, "logit", "existing"),
        ("cloglog, random intercept", RANDOM_INTERCEPT, "cloglog", "new"),
        ("cloglog, random slope", RANDOM_SLOPE, "cloglog", "new"),
    )
    for name, formula, link, groups in paths:
        post = posterior(formula, link, ACCURACY_DRAWS, intercept=wide if link == "logit" else np.minimum(wide, 0.5))

        yield from _accuracy_of(name, post, groups, frame)


def _accuracy_of(name: str, post: bm.Posterior, groups: str, frame: Any) -> Iterator[Line]:
    mean, exact, method = both_ways(lambda some: bm.predictions(post, newdata=some, groups=groups), frame)
    slopes = both_ways(lambda some: bm.slopes(post, "x", newdata=some, groups=groups), frame)[:2]
    odds = both_ways(
        lambda some: bm.comparisons(post, "t", newdata=some, groups=groups, comparison="or"), frame
    )[:2]  # fmt: skip
    error, rare = np.abs(mean - exact), exact >= 1e-12
    absolute = float(error.max()), float(np.abs(slopes[0] - slopes[1]).max())
    relative = float((error[rare] / exact[rare]).max()), float(np.abs(odds[0] / odds[1] - 1.0).max())
    said = f"means {number(absolute[0])}, slopes {number(absolute[1])}"
    yield Line(f"error, absolute: {name} ({method})", said, max(absolute), 1e-9, unit="")
    said = f"means from 1e-12 on {number(relative[0])}, odds ratios {number(relative[1])}"
    yield Line(f"error, relative: {name}", said, max(relative), 1e-8, unit="")


def both_ways(ask: Callable[[Any], Any], frame: Any) -> tuple[np.ndarray, np.ndarray, str]:
    """(draw, row) by tables and exactly, and how the first were computed."""
    tabled = ask(frame)
    exact = np.concatenate([_lines(ask(frame.iloc[i : i + FEW])) for i in range(0, len(frame), FEW)], axis=1)
    return _lines(tabled), exact, tabled.attrs["integration_method"]


def _lines(result: Any) -> np.ndarray:
    return result["estimate"].to_numpy().reshape(result.sizes["chain"] * result.sizes["draw"], -1)


def first_call(size: argparse.Namespace) -> Iterator[Line]:
    """The first question of a process, with nothing compiled and with all compiled before."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = child("first", NUMBA_CACHE_DIR=folder)
        later = [child("first", NUMBA_CACHE_DIR=folder) for _ in range(size.repeats)]
    made = float(np.median([times["made"] for times in later]))
    yield Line("first call of all, compiling", "1 process", fresh["seconds"], 5.0, unit="s")
    seconds = float(np.median([times["seconds"] for times in later]))
    yield Line("first call of later processes", f"{len(later)} processes", seconds, 0.5, unit="s")
    yield Line("making the posterior before it (numba is imported there)", f"{len(later)} processes", made, unit="s")


def monte_carlo_peer(size: argparse.Namespace) -> Iterator[Line]:
    """brmsmargins' default, k = 100, emulated in NumPy."""
    frame, post = rows(2000), posterior(RANDOM_INTERCEPT, "logit", size.draws)
    beta, s = post.draws.beta, np.sqrt(post.draws.Sigma["g"][:, 0, 0])
    calls = {
        "ours": lambda: bm.avg_comparisons(post, "t", newdata=frame),
        "theirs": lambda: monte_carlo(beta, s, frame, 100, 1),
    }
    times = taken_in_turn(calls, size.repeats)
    yield against("brmsmargins k = 100, emulated / ours, 2,000 rows", times, "theirs", "ours", 50.0, at_least=True)
    some = np.linspace(0, len(beta) - 1, 4).astype(int)
    exact = high_precision(beta[some], s[some], frame)
    ours = np.abs(calls["ours"]()["estimate"].to_numpy().ravel()[some] - exact).astype(float)
    theirs = np.abs(calls["theirs"]()[some] - exact).astype(float)
    said = f"{number(float(np.median(theirs)))}, {number(ours.max())} (4 draws)"
    yield Line("its error / ours", said, float(np.median(theirs) / ours.max()), 1e6, at_least=True)
    digits = thirty_digits(0.7, 1.3)
    if digits is not None:
        got = expectation(get_link("logit"), [[0.7]], 1.3**2).value[0, 0]
        yield Line("the exact engine against 30 digits: E[expit(0.7 + 1.3 Z)]", "", abs(got - digits), 1e-9, unit="")


def bambi_peer(size: argparse.Namespace) -> Iterator[Line]:
    """Bambi's `interpret.comparisons`: rows with the b of their own group, which is all it offers for them."""
    n = 500 if size.quick else 5000
    python = size.bambi_python
    if subprocess.run([python, "-c", "import bambi"], capture_output=True, check=False).returncode != 0:
        yield Line("Bambi `interpret.comparisons`", "Bambi is not installed: pip install bambi", None)
        return
    theirs = child("bambi", size.draws, n, size.repeats, python=python)
    for policy in ("own", "new"):
        ours = child("ours", policy, size.draws, n, size.repeats, python=python)
        if policy == "own":
            check_same(np.array(ours["mean"]), np.array(theirs["mean"]))
        times = {"theirs": np.array(theirs["seconds"]).T, "ours": np.array(ours["seconds"]).T}
        what = f'Bambi {theirs["version"]}, own groups / ours, `"{policy}"`, {n:,} rows'
        yield against(what, times, "theirs", "ours", 50.0, at_least=True)
        measured = f"{theirs['above'] / MIB:,.0f} MiB, {ours['above'] / MIB:,.0f} MiB"
        yield Line(f"{what}: memory", measured, theirs["above"] / ours["above"], 10.0, at_least=True)


def child(*task: object, python: str = sys.executable, **environment: str) -> dict[str, Any]:
    """What `margins_child.py` measures in a process of its own."""
    here = Path(__file__).resolve().parent
    path = os.pathsep.join(filter(None, [str(here.parent), os.environ.get("PYTHONPATH")]))
    command = [python, str(here / "margins_child.py"), *map(str, task)]
    env = os.environ | {"PYTHONPATH": path} | environment
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command[1:])} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


SECTIONS: dict[str, Callable[[argparse.Namespace], Iterator[Line]]] = {
    "speed": speed,
    "slope": slope,
    "links": links,
    "existing": existing,
    "rows": growth,
    "memory": memory,
    "accuracy": accuracy,
    "first": first_call,
    "montecarlo": monte_carlo_peer,
    "bambi": bambi_peer,
}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=None, help="posterior draws (4,000; 400 with --quick)")
    parser.add_argument(
        "--rows",
        type=int,
        default=None,
        help="rows (100,000; 10,000 with --quick); ten times as many for memory and growth",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a minute instead of a quarter of an hour; ratios are rough"
    )
    parser.add_argument("--repeats", type=int, default=None, help="rounds (5; 3 with --quick)")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="sections")
    parser.add_argument("--bambi-python", default=sys.executable, help="an interpreter that has Bambi")
    size = parser.parse_args()
    size.draws = size.draws or (400 if size.quick else 4000)
    size.rows = size.rows or (10_000 if size.quick else 100_000)
    size.repeats = size.repeats or (3 if size.quick else 5)
    return size


def main() -> None:
    """Print the table, line by line as it is measured."""
    size = arguments()
    bm.options(progress=False, warn_zero=False)
    print(f"{size.draws:,} draws, {os.cpu_count()} cores, Python {sys.version.split()[0]}, NumPy {np.__version__}\n")
    print("| work | measured | limit | ratio (range) | of processor time | |\n|" + " --- |" * 6, flush=True)
    over = 0
    for name in size.only:
        for line in SECTIONS[name](size):
            over += line.verdict == "over"
            print(f"| {' | '.join(line.cells())} |", flush=True)
    print(f"\n{over} over their limit" if over else "\nall within their limits")


if __name__ == "__main__":
    main()
