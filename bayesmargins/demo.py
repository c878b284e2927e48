"""`python -m bayesmargins.demo`: one data set, one fit, and the same effect under four treatments of the groups.

The toenail trial (De Backer et al. 1998): 294 patients, two treatments, repeated visits. Patients differ so much
(s around 4 on the logit scale) that "a patient at b = 0" and "the average patient" are worlds apart.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import bayesmargins as bm

__all__ = ["main"]

FORMULA = "bad ~ treatment * time + (1 | patientID)"
POLICIES = {"zero": "a patient at b = 0", "own": "each row's own patient", "existing": "the fitted patients",
            "new": "new patients, integrated"}  # fmt: skip
TIMES = np.linspace(0.0, 18.0, 37)


def main(folder: str = "demo", draws: int = 1500, seed: int = 2026) -> dict[str, xr.Dataset]:
    """How much does b = 0 mislead, on real data? Results by name of file, beside fit and pictures in the folder."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    data = bm.load_dataset("toenail")
    model = bm.GLMM(FORMULA, data, family="bernoulli")
    print(f"{model}\n\nCompiling and sampling (4 chains x {draws} draws) ...", flush=True)
    start = time.perf_counter()
    post = model.fit(draws=draws, tune=1000, random_seed=seed)
    print(f"Fitted in {time.perf_counter() - start:.0f} s. {_group_sd(post)}\n")
    post.save(out / "fit.nc")
    bm.options(warn_zero=False)  # the caution about b = 0 is what this report is about
    start = time.perf_counter()
    results: dict[str, xr.Dataset] = {}
    for name, question in (("treatment", _treatment_effect), ("time", _time_effect)):
        results |= {f"{name}_{policy}": question(post, policy) for policy in POLICIES}
        _report(name, {policy: results[f"{name}_{policy}"] for policy in POLICIES})
    curves = {policy: _curves(post, policy) for policy in ("new", "zero")}
    results |= {f"curves_{policy}": ds for policy, ds in curves.items()}
    print(f"\nAll margins: {time.perf_counter() - start:.0f} s.")
    _write(out, results, _pictures(out, results))
    return results


def _group_sd(post: bm.Posterior) -> str:
    s = np.sqrt(post.Sigma["patientID"].to_numpy().ravel())
    lower, upper = np.quantile(s, [0.055, 0.945])
    return f"Patients vary with s = {np.median(s):.1f} (89 % interval {lower:.1f} to {upper:.1f}) on the logit scale."


def _treatment_effect(post: bm.Posterior, policy: str) -> xr.Dataset:
    return bm.avg_comparisons(post, "treatment", groups=policy)


def _time_effect(post: bm.Posterior, policy: str) -> xr.Dataset:
    return bm.avg_slopes(post, "time", groups=policy)


def _curves(post: bm.Posterior, policy: str) -> xr.Dataset:
    grid = post.design.data.head(1)
    levels = list(post.design.columns["treatment"].levels)
    return bm.avg_predictions(post, grid, at={"time": TIMES, "treatment": levels}, groups=policy)


def _report(name: str, results: dict[str, xr.Dataset]) -> None:
    what = {"treatment": "The effect of treatment", "time": "The effect of time (per month)"}[name]
    tables = {POLICIES[policy]: bm.summary(ds, null=0) for policy, ds in results.items()}
    table = pd.concat({k: t.iloc[0] for k, t in tables.items()}, axis=1).T
    scale = next(iter(tables.values())).columns.name
    print(f"\n{what} on the probability of a bad nail ({scale})\n")
    print(table[["median", "eti89_lb", "eti89_ub", "p_gt_0"]].to_string(float_format="{:.4f}".format))
    print()
    for policy, ds in results.items():
        print(f"  {policy}: {bm.describe(ds)}")
    print(f"\n  {_misleads(results)}")


def _misleads(results: dict[str, xr.Dataset]) -> str:
    """Compared draw by draw, because both come from the same draws."""
    ratio = float((results["zero"]["estimate"] / results["new"]["estimate"]).median())
    zero, new = (float(results[p]["estimate"].median()) for p in ("zero", "new"))
    if ratio < 0:
        return f"b = 0 gives an effect of the other sign: {zero:.4f} where the average over new patients is {new:.4f}."
    word = "overstates" if ratio > 1 else "understates"
    times = ratio if ratio > 1 else 1 / ratio
    return (
        f"b = 0 {word} the average effect by a factor of {times:.2f} (posterior median of the ratio): {zero:.4f} where "
        f"the average over new patients is {new:.4f}."
    )


def _pictures(out: Path, results: dict[str, xr.Dataset]) -> list[str]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
    titles = {"new": "Average over new patients", "zero": "A patient at b = 0 (not an average)"}
    for ax, (policy, title) in zip(axes, titles.items(), strict=True):
        bm.plot_predictions(results[f"curves_{policy}"], x="time", colour="treatment", ax=ax)
        ax.set(xlabel="months", ylabel="probability of a bad nail" if policy == "new" else "")
        ax.set_title(title, pad=36)  # above the legend
    figure.savefig(out / "curves.png", dpi=150)
    for name in ("treatment", "time"):
        ax = bm.plot_forest({POLICIES[p]: results[f"{name}_{p}"] for p in POLICIES})
        ax.set_title(f"The effect of {name}, four ways")
        plt.savefig(out / f"{name}.png", dpi=150)
    plt.close("all")
    return ["curves.png", "treatment.png", "time.png"]


def _write(out: Path, results: dict[str, xr.Dataset], pictures: list[str]) -> None:
    for name, ds in results.items():
        ds.to_netcdf(out / f"{name}.nc", engine="h5netcdf")
    print(f"Written to {out}/: fit.nc, {', '.join(f'{n}.nc' for n in results)}, {', '.join(pictures)}")


def _arguments() -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m bayesmargins.demo", description=__doc__.split("\n")[0])
    parser.add_argument("--folder", default="demo", help="where files are written")
    parser.add_argument("--draws", type=int, default=1500, help="kept draws a chain")
    parser.add_argument("--seed", type=int, default=2026, help="of the sampler")
    return vars(parser.parse_args())


if __name__ == "__main__":
    main(**_arguments())
