"""How fast is a fit? Effective draws a second with group effects integrated out, sampled, and by Bambi with nutpie.

Run: ``python benchmarks/bench_fits.py [rows groups [way ...]]``; without arguments, every case below. Each fit has a
process of its own: 4 chains of 500 draws after 500 of tuning. ESS is the smallest bulk ESS among coefficients, standard
deviations, correlation, sigma and the effects of 50 groups. Seconds are of the processor, all threads together, so that
other work on the machine does not count: of sampling, drawing b included; of compiling the model; and of all, from data
frame to posterior with its diagnostics. Imports are left out. `wall` is what a user waits. numba keeps kernels on disk:
the first run after a change is not one to read. Bambi's model has no correlation. Ratios within one run count.
"""

from __future__ import annotations

import importlib
import json
import resource
import subprocess
import sys
import time
import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

CASES = [(20_000, 500), (200_000, 1_000)]
WAYS = ["integrated", "sampled", *(["bambi"] if find_spec("bambi") else [])]
FORMULA = "y ~ x + (1 + x | g)"


def data(rows: int, groups: int) -> pd.DataFrame:
    """A normal response with correlated random slopes."""
    rng = np.random.default_rng(1)
    g, x = rng.integers(0, groups, rows), rng.normal(size=rows)
    b = rng.normal(size=(groups, 2)) @ np.array([[1.0, 0.3], [0.0, 0.5]])
    return pd.DataFrame({"y": 1 + 0.5 * x + b[g, 0] + b[g, 1] * x + rng.normal(size=rows), "x": x, "g": g})


def timed(owner: Any, name: str) -> list[float]:
    """Seconds of each call of owner.name from now on."""
    seconds: list[float] = []
    function = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        start = time.process_time()
        result = function(*args, **kwargs)
        seconds.append(time.process_time() - start)
        return result

    setattr(owner, name, wrapped)
    return seconds


def fitted(way: str, frame: pd.DataFrame) -> tuple[dict[str, np.ndarray], float]:
    """Draws (chain, draw, ...) by parameter, and steps a draw."""
    settings = {"draws": 500, "tune": 500, "chains": 4, "random_seed": 1, "progressbar": False}
    if way == "bambi":
        import bambi

        idata = bambi.Model("y ~ x + (1 + x | g)", frame).fit(inference_method="nutpie", **settings)
        posterior = idata["posterior"] if not hasattr(idata, "posterior") else idata.posterior
        posterior = getattr(posterior, "ds", posterior)
        names = [n for n in posterior.data_vars if n != "mu" and "offset" not in str(n)]
        stats = getattr(idata, "sample_stats", None)
        return {str(n): posterior[n].to_numpy() for n in names}, float(stats["n_steps"].mean())
    import bayesmargins as bm

    post = bm.GLMM(FORMULA, frame).fit(group_effects=way, **settings)
    draws = {str(n): v.to_numpy() for n, v in post.parameters.data_vars.items()}
    return draws, float(post.sample_stats["n_steps"].mean())


def measure(rows: int, groups: int, way: str) -> dict[str, float]:
    """One fit, in this process."""
    from arviz_stats.base import array_stats

    warnings.simplefilter("ignore")
    importlib.import_module("bambi" if way == "bambi" else "bayesmargins")
    importlib.import_module("pymc")
    import nutpie

    from bayesmargins.model.integrated import NormalModel

    frame = data(rows, groups)
    compiling, sampling = timed(nutpie, "compile_pymc_model"), timed(nutpie, "sample")
    drawing = timed(NormalModel, "with_effects")
    begin, start = time.perf_counter(), time.process_time()
    draws, steps = fitted(way, frame)
    total, wall = time.process_time() - start, time.perf_counter() - begin
    few = [v.reshape(*v.shape[:2], -1)[..., :50] for v in draws.values()]
    ess = array_stats.ess(np.concatenate(few, axis=-1), chain_axis=0, draw_axis=1, method="bulk")
    return {
        "ess": float(np.nanmin(ess)),
        "steps": steps,
        "sample": sum(sampling) + sum(drawing),
        "compile": sum(compiling),
        "total": total,
        "wall": wall,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def main() -> None:
    """Print the table."""
    cases = [(int(sys.argv[1]), int(sys.argv[2]))] if len(sys.argv) > 2 else CASES
    print(f"{FORMULA}, gaussian")
    print("     rows groups  b           ESS steps sampling  ESS/s compile    all  ESS/s   wall  GiB")
    for rows, groups in cases:
        for way in sys.argv[3:] or WAYS:
            child = [sys.executable, __file__, "--one", str(rows), str(groups), way]
            out = subprocess.run(child, capture_output=True, text=True, check=True).stdout
            m = json.loads(out.strip().splitlines()[-1])
            print(
                f"{rows:9,} {groups:6,}  {way:10} {m['ess']:4.0f} {m['steps']:5.1f} {m['sample']:7.2f}s "
                f"{m['ess'] / m['sample']:6.1f} {m['compile']:6.1f}s {m['total']:5.1f}s {m['ess'] / m['total']:6.1f} "
                f"{m['wall']:5.0f}s {m['memory']:4.2f}",
                flush=True,
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])))
    else:
        main()
