"""How long does a user wait? From data frame to printed table, each time in a fresh process, imports apart.

Run: ``python benchmarks/bench_waits.py [case [way ...]]``, some ten minutes on two free cores; Bambi's rows are there
where it is installed, which ``pip install bambi nutpie`` does, in an environment that has this package. Ways:
independent proposals, the same with an empty folder for kernels ("first use", one case a family), Bambi with nutpie,
whose model has no correlation, and, where it is named, "nutpie": NUTS of this package. All draw 4 chains of 1,000,
after 1,000 of tuning under NUTS. The table is that of the average slope; Bambi's is ArviZ's, of the parameters beside
the group effects.

`wall` is what a user waits, `all` the same with imports, `processor` what it costs, all threads together; compiling is
in all of them. Kernels lie on disk from a run before, which is not counted, but for the first use. Medians of five
processes, or of as many as `TIMES` and `LONG` say; ratios are to the case's first way, in the same run.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
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
FIRST = ("bacteria", "epil", "sleepstudy")  # one a family
WAYS = ["independent", *(["bambi"] if find_spec("bambi") else [])]
# What a process imports before it has data; xarray imports dask where it is installed, summaries import ArviZ.
OWN = ["bayesmargins", "formulaic", "scipy.optimize", "arviz_base", *(["dask.array"] if find_spec("dask") else [])]
IMPORTS = {
    "independent": OWN,
    "first use": OWN,
    "nutpie": [*OWN, "pymc", "nutpie"],
    "bambi": ["arviz", "bambi", "nutpie"],
}
TIMES = {"independent": 5, "nutpie": 1, "bambi": 5, "first use": 5}
LONG = {("logit", "bambi"): 1, ("slopes", "bambi"): 1}


def frame(case: str) -> Any:
    """The case's data."""
    if case in ("slopes", "logit"):
        from bench_fits import normal

        made = normal(20_000, 500 if case == "slopes" else 2_000)()
        return made if case == "slopes" else made.assign(y=(made["y"] > 0).astype(int))
    import bayesmargins as bm

    return bm.load_dataset(case.split("-")[0])


def measure(case: str, way: str) -> dict[str, float]:
    """One fit and its table, in this process: seconds of the wall and of the processor, imports apart."""
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    for name in IMPORTS[way]:
        importlib.import_module(name)
    if way != "bambi":
        importlib.import_module("bayesmargins.integrate.ahead").fetch_ahead()
    imported = time.perf_counter() - start
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


def child(case: str, way: str) -> dict[str, float]:
    """`measure` in a fresh process."""
    with tempfile.TemporaryDirectory() as empty:
        environment = {**os.environ, **({"NUMBA_CACHE_DIR": empty} if way == "first use" else {})}
        command = [sys.executable, __file__, "--one", case, way]
        out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    found: dict[str, float] = json.loads(out.strip().splitlines()[-1])
    return found


def main() -> None:
    """Print the table."""
    cases = sys.argv[1:2] or ASKED
    print("case          way           import     wall   ratio     all   ratio processor   ratio  of")
    for case in cases:
        first: dict[str, float] = {}
        for way in sys.argv[2:] or [*WAYS, *(["first use"] if case in FIRST else [])]:
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
        print(json.dumps(measure(*sys.argv[2:4])))
    else:
        main()
