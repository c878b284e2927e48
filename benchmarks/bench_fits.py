"""How fast is a fit? Effective draws a second with group effects integrated out, sampled, and by Bambi with nutpie.

Run: ``python benchmarks/bench_fits.py [case ...] [way ...]``; without arguments, every case and way below. ``--bars``
prints the table of `fits_bars`: medians of three against Bambi, and what is asked of them. Each fit has
a process of its own: 4 chains of 500 draws after 500 of tuning, one run. ESS is the smallest bulk ESS among
coefficients, standard deviations, correlations, family parameters and the effects of 50 groups. Seconds are of the
processor, all threads together, so that other work on the machine does not count: of sampling, drawing b included; of
compiling the model; and of all, from data frame to posterior with its diagnostics. Imports are left out. `wall` is what
a user waits. numba keeps kernels on disk: the first run after a change is not one to read. Bambi's models have no
correlation. Ratios within one run count. "non-centred" is b sampled in the coordinates that a sampler is usually given.
"""

from __future__ import annotations

import importlib
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

Frame = Callable[[], pd.DataFrame]
BAMBI = ["bambi"] if find_spec("bambi") else []
WAYS = ["integrated", "sampled", "non-centred", *BAMBI]
_IN_BAMBI = {"negbinomial": "negativebinomial", "student_t": "t"}


@dataclass(frozen=True)
class Case:
    """A model; `left` is its response in Bambi's words, where they differ."""

    formula: str
    family: str
    frame: Frame
    left: str = ""

    @property
    def in_bambi(self) -> tuple[str, str]:
        """Formula and family."""
        left, right = self.formula.split("~")
        return f"{self.left or left}~{right}", _IN_BAMBI.get(self.family, self.family)


def shipped(name: str, **more: Any) -> Frame:
    """A data set of the package."""

    def frame() -> pd.DataFrame:
        import bayesmargins as bm

        return bm.load_dataset(name).assign(**more)

    return frame


def normal(rows: int, groups: int) -> Frame:
    """A normal response with correlated random slopes."""

    def frame() -> pd.DataFrame:
        rng = np.random.default_rng(1)
        g, x = rng.integers(0, groups, rows), rng.normal(size=rows)
        b = rng.normal(size=(groups, 2)) @ np.array([[1.0, 0.3], [0.0, 0.5]])
        return pd.DataFrame({"y": 1 + 0.5 * x + b[g, 0] + b[g, 1] * x + rng.normal(size=rows), "x": x, "g": g})

    return frame


def nested(rows: int, classes: int, schools: int) -> Frame:
    """A normal response of pupils, in classes of schools."""

    def frame() -> pd.DataFrame:
        rng = np.random.default_rng(3)
        g, x = np.arange(rows) % classes, rng.normal(size=rows)
        s = g * schools // classes
        y = 1 + 0.5 * x + 0.6 * rng.normal(size=classes)[g] + 0.4 * rng.normal(size=schools)[s] + rng.normal(size=rows)
        return pd.DataFrame({"y": y, "x": x, "class": g, "school": s})

    return frame


def crossed(rows: int, groups: int, items: int) -> Frame:
    """A normal response, each row of a group and an item drawn at random."""

    def frame() -> pd.DataFrame:
        rng = np.random.default_rng(4)
        g, i, x = rng.integers(0, groups, rows), rng.integers(0, items, rows), rng.normal(size=rows)
        y = 1 + 0.5 * x + 0.6 * rng.normal(size=groups)[g] + 0.4 * rng.normal(size=items)[i] + rng.normal(size=rows)
        return pd.DataFrame({"y": y, "x": x, "g": g, "i": i})

    return frame


def simulated(family: str, rows: int, groups: int, items: int = 0) -> Frame:
    """One covariate, an intercept by group (and by item); six whole values of t for a binary response."""

    def frame() -> pd.DataFrame:
        rng = np.random.default_rng(2)
        g, x, t = np.arange(rows) % groups, rng.normal(size=rows), rng.integers(0, 6, rows).astype(float)
        i = rng.integers(0, items or 1, rows)
        eta = 0.3 + 0.7 * rng.normal(size=groups)[g] + (0.8 * rng.normal(size=items)[i] if items else 0.0)
        data = pd.DataFrame({"x": x, "t": t, "g": g, "i": i})
        return data.assign(y=_DRAWN[family](rng, eta + 0.3 * (t - 2.5 if family == "bernoulli" else x)))

    return frame


_DRAWN: dict[str, Callable[[np.random.Generator, np.ndarray], np.ndarray]] = {
    "bernoulli": lambda rng, eta: (rng.random(len(eta)) < 1 / (1 + np.exp(-eta))).astype(int),
    "poisson": lambda rng, eta: rng.poisson(np.exp(eta)),
    "negbinomial": lambda rng, eta: rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, len(eta))),
    "student_t": lambda rng, eta: eta + 0.7 * rng.standard_t(4, len(eta)),
}
EPIL = "y ~ lbase * trt + lage + (1 + period | subject)"
CASES = {
    "normal": Case("y ~ x + (1 + x | g)", "gaussian", normal(20_000, 500)),
    "normal-large": Case("y ~ x + (1 + x | g)", "gaussian", normal(200_000, 1_000)),
    "nested": Case("y ~ x + (1 | school / class)", "gaussian", nested(20_000, 2_000, 500)),
    "normal-crossed": Case("y ~ x + (1 | g) + (1 | i)", "gaussian", crossed(20_000, 1_000, 200)),
    "normal-million": Case("y ~ x + (1 + x | g)", "gaussian", normal(1_000_000, 10_000)),
    "bernoulli-large": Case("y ~ t + x + (1 | g)", "bernoulli", simulated("bernoulli", 200_000, 2_000)),
    "bernoulli-one": Case("y ~ t + (1 | g)", "bernoulli", simulated("bernoulli", 5_000, 250)),
    "bernoulli": Case("y ~ t + (1 + t | g)", "bernoulli", simulated("bernoulli", 5_000, 250)),
    "crossed": Case("y ~ t + (1 | g) + (1 | i)", "bernoulli", simulated("bernoulli", 5_000, 200, 30)),
    "verbagg": Case(
        "r ~ Anger + Gender + btype + (1 | id) + (1 | item)",
        "bernoulli",
        shipped("verbagg", r=lambda data: (data.r2 == "Y").astype(int)),
    ),
    "toenail": Case("bad ~ treatment * time + (1 | patientID)", "bernoulli", shipped("toenail")),
    "toenail-slopes": Case("bad ~ treatment * time + (1 + time | patientID)", "bernoulli", shipped("toenail")),
    "bacteria": Case("yb ~ trt + week + (1 | ID)", "bernoulli", shipped("bacteria")),
    "cbpp": Case("incidence | trials(size) ~ period + (1 | herd)", "binomial", shipped("cbpp"), "p(incidence, size) "),
    "poisson": Case("y ~ x + (1 | g)", "poisson", simulated("poisson", 5_000, 250)),
    "negbinomial": Case("y ~ x + (1 | g)", "negbinomial", simulated("negbinomial", 5_000, 250)),
    "student_t": Case("y ~ x + (1 | g)", "student_t", simulated("student_t", 4_000, 200)),
    "epil": Case(EPIL, "poisson", shipped("epil")),
    "epil-negbinomial": Case(EPIL, "negbinomial", shipped("epil")),
}


def timed(owner: Any, name: str, once: bool = False) -> list[float]:
    """Seconds of each call of owner.name from now on; `once`: another call with the same object gets what it got."""
    seconds: list[float] = []
    function, known = getattr(owner, name), dict[int, Any]()

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        start = time.process_time()
        result = known[id(args[0])] if id(args[0]) in known else function(*args, **kwargs)
        if once:
            known[id(args[0])] = result
        seconds.append(time.process_time() - start)
        return result

    setattr(owner, name, wrapped)
    return seconds


Fitted = Callable[[int], tuple[dict[str, np.ndarray], float]]


def model_of(case: Case, way: str, frame: pd.DataFrame, draws: int) -> Fitted:
    """What fits it with a seed: draws (chain, draw, ...) by parameter, and steps a draw."""
    settings = {"draws": draws, "tune": draws, "chains": 4, "progressbar": False}
    if way == "bambi":
        import bambi

        of_bambi = bambi.Model(case.in_bambi[0], frame, family=case.in_bambi[1])

        def bambis(seed: int) -> tuple[dict[str, np.ndarray], float]:
            idata = of_bambi.fit(inference_method="nutpie", random_seed=seed, **settings)
            posterior = idata["posterior"] if not hasattr(idata, "posterior") else idata.posterior
            posterior = getattr(posterior, "ds", posterior)
            names = [n for n in posterior.data_vars if n not in ("mu", "p") and "offset" not in str(n)]
            stats = getattr(idata, "sample_stats", None)
            return {str(n): posterior[n].to_numpy() for n in names}, float(stats["n_steps"].mean())

        return bambis
    import bayesmargins as bm

    how = {"group_effects": "sampled", "parametrisation": way} if way == "non-centred" else {"group_effects": way}
    model = bm.GLMM(case.formula, frame, case.family)

    def ours(seed: int) -> tuple[dict[str, np.ndarray], float]:
        post = model.fit(random_seed=seed, ess=None, **how, **settings)
        found = {str(n): v.to_numpy() for n, v in post.parameters.data_vars.items()}
        return found, float(post.sample_stats["n_steps"].mean())

    return ours


def smallest_ess(draws: dict[str, np.ndarray]) -> float:
    """The smallest bulk ESS, of 50 group effects at most."""
    from arviz_stats.base import array_stats

    few = [v.reshape(*v.shape[:2], -1)[..., :50] for v in draws.values()]
    return float(np.nanmin(array_stats.ess(np.concatenate(few, axis=-1), chain_axis=0, draw_axis=1, method="bulk")))


def measure(case: Case, way: str, fits: int = 1, draws: int = 500) -> list[dict[str, float]]:
    """Fits with the seeds from 1 on, in this process; the model is compiled once, which counts for each of them."""
    warnings.simplefilter("ignore")
    importlib.import_module("bambi" if way == "bambi" else "bayesmargins")
    importlib.import_module("pymc")
    import nutpie

    from bayesmargins.model.integrated import IntegratedModel

    frame, found = case.frame(), list[dict[str, float]]()
    compiling, sampling = timed(nutpie, "compile_pymc_model", once=True), timed(nutpie, "sample")
    drawing = timed(IntegratedModel, "with_effects")
    begin, start = time.perf_counter(), time.process_time()
    fit = model_of(case, way, frame, draws)
    for seed in range(1, fits + 1):
        values, steps = fit(seed)
        m = {"steps": steps, "sample": sampling[-1] + (drawing[-1] if drawing else 0.0), "compile": compiling[0]}
        m |= {"total": time.process_time() - start, "wall": time.perf_counter() - begin, "ess": smallest_ess(values)}
        m["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        for name in ("total", "wall"):  # until the first has ended; of others, what their sampling takes in its place
            m[name] = m[name] if seed == 1 else found[0][name]
        m["total"] += m["sample"] - (found[0]["sample"] if found else m["sample"])
        found.append(m)
    return found


def in_a_child(name: str, way: str, fits: int = 1, draws: int = 500) -> list[dict[str, float]] | str:
    """`measure` in a process of its own; why there is nothing, where it fails."""
    child = [sys.executable, __file__, "--one", name, way, str(fits), str(draws)]
    run = subprocess.run(child, capture_output=True, text=True, check=False)
    if run.returncode:
        return (run.stderr.strip().splitlines() or [f"ended with {run.returncode}"])[-1]
    found: list[dict[str, float]] = json.loads(run.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Print the table; a way that a case does not have says why."""
    cases = [name for name in sys.argv[1:] if name in CASES] or list(CASES)
    print("case             b           ESS steps sampling  ESS/s compile    all  ESS/s   wall  GiB")
    for name in cases:
        for way in [way for way in sys.argv[1:] if way in WAYS] or WAYS:
            found = in_a_child(name, way)
            if isinstance(found, str):
                print(f"{name:16} {way:11} {found[:90]}", flush=True)
                continue
            (m,) = found
            print(
                f"{name:16} {way:11} {m['ess']:4.0f} {m['steps']:5.1f} {m['sample']:7.2f}s "
                f"{m['ess'] / m['sample']:6.1f} {m['compile']:6.1f}s {m['total']:5.1f}s {m['ess'] / m['total']:6.1f} "
                f"{m['wall']:5.0f}s {m['memory']:4.2f}",
                flush=True,
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(CASES[sys.argv[2]], sys.argv[3], *map(int, sys.argv[4:]))))
    elif sys.argv[1:2] == ["--bars"]:
        from fits_bars import print_bars

        print_bars(sys.argv[2:])
    else:
        main()
