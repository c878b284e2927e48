"""How long does a user wait? From data frame to printed table, each time in a fresh process, imports apart.

Run: ``python benchmarks/bench_waits.py [case [way ...]]``, some ten minutes on two free cores; Bambi's rows are there
where it is installed, which ``pip install bambi nutpie`` does, in an environment that has this package; lme4's are
where `Rscript` finds it (Debian's r-cran-lme4). Ways: independent proposals, the same with an empty folder for kernels
("first use"), Bambi with nutpie, whose model has no correlation, "lme4" (`lmer`, and `glmer` with 11 nodes and the
printed summary), and, where they are named, "nutpie": NUTS of this package, and "laplace": `glmer` with one node, its
default. All draw 4 chains of 1,000, after 1,000 of tuning under NUTS. The table is that of the
average slope; Bambi's is ArviZ's, of the parameters beside the group effects.

`wall` is what a user waits, `all` the same with imports and the start of the process, `processor` what it costs, all
threads together; compiling is in all of them. Kernels lie on disk from a run before, which is not counted, but for the
first use. Medians of five processes, or of as many as `TIMES` and `LONG` say; ratios are to the case's first way, in
the same run.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

CASES = {
    "sleepstudy": ("Reaction ~ Days + (1 + Days | Subject)", "Days", "gaussian"),
    "slopes": ("y ~ x + (1 + x | g)", "x", "gaussian"),  # 20,000 rows, 500 groups
    "cbpp": ("incidence | trials(size) ~ period + (1 | herd)", "period", "binomial"),
    "bacteria": ("yb ~ trt + week + (1 | ID)", "week", "bernoulli"),
    "toenail": ("bad ~ treatment * time + (1 | patientID)", "time", "bernoulli"),
    "contraception": ("use01 ~ age10 + urban + (1 | district)", "age10", "bernoulli"),
    "epil": ("y ~ trt + lbase + (1 | subject)", "lbase", "poisson"),
    "toenail-slopes": ("bad ~ treatment * time + (1 + time | patientID)", "time", "bernoulli"),
    "epil-slopes": ("y ~ trt + lbase + (1 + period | subject)", "lbase", "poisson"),
    "logit": ("y ~ x + (1 | g)", "x", "bernoulli"),  # 20,000 rows, 2,000 groups
}
ASKED = ("cbpp", "bacteria", "epil", "toenail", "contraception", "sleepstudy", "logit", "slopes")
FACTORS = {"cbpp": ("period",), "bacteria": ("yb",)}  # numbers and words that R reads as something else
WAYS = ["independent", *(["bambi"] if find_spec("bambi") else []), *(["lme4"] if shutil.which("Rscript") else [])]
NODES = {"lme4": 11, "laplace": 1}
# What a process imports before it has data; xarray imports dask where it is installed, summaries import ArviZ.
OWN = ["bayesmargins", "formulaic", "scipy.optimize", "arviz_base", *(["dask.array"] if find_spec("dask") else [])]
IMPORTS = {
    "independent": OWN,
    "first use": OWN,
    "nutpie": [*OWN, "pymc", "nutpie"],
    "bambi": ["arviz", "bambi", "nutpie"],
}
TIMES = {"independent": 5, "nutpie": 1, "bambi": 5, "lme4": 5, "laplace": 5, "first use": 5}
LONG = {("logit", "bambi"): 1, ("slopes", "bambi"): 1}


def frame(case: str) -> Any:
    """The case's data."""
    if case in ("slopes", "logit"):
        from bench_fits import normal

        made = normal(20_000, 500 if case == "slopes" else 2_000)()
        return made if case == "slopes" else made.assign(y=(made["y"] > 0).astype(int))
    import bayesmargins as bm

    return bm.load_dataset(case.split("-")[0])


def measure(case: str, way: str, started: float) -> dict[str, float]:
    """One fit and its table, in this process: seconds of the wall and of the processor, imports apart."""
    warnings.simplefilter("ignore")
    for name in IMPORTS[way]:
        importlib.import_module(name)
    if way != "bambi":
        importlib.import_module("bayesmargins.integrate.ahead").fetch_ahead()
    imported = time.time() - started
    rows, (formula, variable, family) = frame(case), CASES[case]
    begin, processor = time.perf_counter(), time.process_time()
    if way == "bambi":
        import arviz as az
        import bambi

        settings = {"draws": 1000, "tune": 1000, "chains": 4, "random_seed": 1, "progressbar": False}
        formula = formula.replace("incidence | trials(size)", "p(incidence, size)")
        idata = bambi.Model(formula, rows, family=family).fit(inference_method="nutpie", **settings)
        print(az.summary(idata, var_names=["Intercept", variable]))
    else:
        import bayesmargins as bm

        sampler = "independent" if way == "first use" else way
        post = bm.GLMM(formula, rows, family=family).fit(random_seed=1, sampler=sampler, progressbar=False)
        asked = bm.avg_comparisons if variable == "period" else bm.avg_slopes  # of a factor there is no slope
        print(bm.summary(asked(post, variable)))
    wall, cost = time.perf_counter() - begin, time.process_time() - processor
    return {"import": imported, "wall": wall, "processor": cost}


def by_lme4(case: str, nodes: int) -> dict[str, float]:
    """The same seconds of one fit by lme4."""
    rows, (formula, _, family) = frame(case), CASES[case]
    formula = formula.replace("incidence | trials(size)", "cbind(incidence, size - incidence)")
    for name in FACTORS.get(case, ()):
        formula = formula.replace(name, f"factor({name})")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.csv")
        rows.to_csv(path, index=False)
        family = {"bernoulli": "binomial"}.get(family, family)
        script = str(Path(__file__).with_name("waits.R"))
        command = ["Rscript", script, str(path), formula, family, str(nodes), repr(time.time())]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(zip(("import", "wall", "processor"), map(float, out.strip().splitlines()[-1].split()), strict=True))


def child(case: str, way: str) -> dict[str, float]:
    """`measure` in a fresh process."""
    if way in NODES:
        return by_lme4(case, NODES[way])
    with tempfile.TemporaryDirectory() as empty:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # modules lie compiled, as they do for a user
        if way == "first use":
            environment["NUMBA_CACHE_DIR"] = empty
        command = [sys.executable, __file__, "--one", case, way, repr(time.time())]
        out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    found: dict[str, float] = json.loads(out.strip().splitlines()[-1])
    return found


def main() -> None:
    """Print the table."""
    cases = sys.argv[1:2] or ASKED
    print("case          way           import     wall   ratio     all   ratio processor   ratio  of")
    for case in cases:
        first: dict[str, float] = {}
        for way in sys.argv[2:] or [*WAYS, "first use"]:
            times = LONG.get((case, way), TIMES[way])
            if way != "first use" and times > 1:
                child(case, way)
            runs = [child(case, way) for _ in range(times)]
            m = {k: float(np.median([run[k] for run in runs])) for k in runs[0]}
            m["all"] = m["import"] + m["wall"]
            first = first or m
            columns = [f"{m[k]:7.2f}s {m[k] / first[k]:6.1f}" for k in ("wall", "all", "processor")]
            print(f"{case:13} {way:12} {m['import']:6.2f}s {' '.join(columns)} {times:3}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(*sys.argv[2:4], float(sys.argv[4]))))
    else:
        main()
