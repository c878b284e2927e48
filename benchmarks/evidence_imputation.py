"""Intervals from several imputations hold the truth as often as they say: coverage over simulated data sets.

`make evidence` writes docs/evidence/imputation.md. In each data set a covariate is missing in 30 % of the rows, at
random given the response: rows with a large y lack it more often. Parameters are drawn from the distributions below,
which do not read the data. The imputations are draws of the missing values from their posterior under the normal model
that made the data, by data augmentation (Tanner & Wong 1987): no number of this package enters them.
"""

from __future__ import annotations

import datetime
import os
import subprocess
import warnings
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import binom

import bayesmargins as bm

SETS, IMPUTATIONS, SEED = 400, 10, 1
GROUPS, ROWS = 20, 10
FIT = {"sampler": "independent", "draws": 250, "chains": 4, "ess": None, "progressbar": False}
PAGE = Path(__file__).parents[1] / "docs" / "evidence" / "imputation.md"
WAYS = ("imputations, mixed", "one imputation as if observed", "complete rows")


def truth(rng: np.random.Generator) -> dict[str, float]:
    """Parameters of a data set."""
    beta = rng.normal(0, [1, 0.5, 0.5])
    return dict(zip(("mean", "x", "z"), beta, strict=True)) | {
        "sd_g": float(rng.uniform(0.3, 1.0)),
        "sigma": float(rng.uniform(0.7, 1.3)),
    }


def simulated(true: dict[str, float], rng: np.random.Generator) -> pd.DataFrame:
    """Rows of which some lack z."""
    g = np.repeat(np.arange(GROUPS), ROWS)
    x = rng.normal(size=g.size)
    z = 0.5 * x + rng.normal(size=g.size)
    eta = true["mean"] + true["x"] * x + true["z"] * z + rng.normal(0, true["sd_g"], GROUPS)[g]
    y = eta + rng.normal(0, true["sigma"], g.size)
    gone = rng.random(g.size) < expit(-1.0 + (y - y.mean()) / y.std())
    return pd.DataFrame({"y": y, "x": x, "z": np.where(gone, np.nan, z), "g": [f"g{k}" for k in g]})


def regression(X: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """A draw of coefficients and variance of a normal regression, prior 1 / variance."""
    Q, R = np.linalg.qr(X)
    fit = Q.T @ y
    variance = float((y @ y - fit @ fit) / rng.chisquare(len(y) - X.shape[1]))
    return np.linalg.solve(R, fit + np.sqrt(variance) * rng.normal(size=X.shape[1])), variance


def imputations(data: pd.DataFrame, rng: np.random.Generator, burn: int = 200, thin: int = 30) -> list[pd.DataFrame]:
    """Draws of the missing z from their posterior: y given x, z and groups, z given x, all normal."""
    y, x, z = (data[name].to_numpy(copy=True) for name in ("y", "x", "z"))
    g, gone = data["g"].factorize()[0], np.isnan(z)
    one = np.ones_like(x)
    z[gone], b, frames = np.nanmean(z), np.zeros(GROUPS), []
    tau2 = 0.5
    for step in range(burn + thin * IMPUTATIONS):
        beta, sigma2 = regression(np.column_stack([one, x, z]), y - b[g], rng)
        rest = np.bincount(g, y - beta[0] - beta[1] * x - beta[2] * z) / sigma2
        precision = ROWS / sigma2 + 1 / tau2
        b = rest / precision + rng.normal(size=GROUPS) / np.sqrt(precision)
        tau2 = float(b @ b / rng.chisquare(GROUPS - 1))  # a flat prior of the standard deviation
        gamma, s2 = regression(np.column_stack([one, x]), z, rng)
        precision = 1 / s2 + beta[2] ** 2 / sigma2
        of_z = (gamma[0] + gamma[1] * x) / s2 + beta[2] * (y - beta[0] - beta[1] * x - b[g]) / sigma2
        z[gone] = (of_z / precision + rng.normal(size=len(z)) / np.sqrt(precision))[gone]
        if step >= burn and (step - burn) % thin == thin - 1:
            frames.append(data.assign(z=z))
    return frames


def numbers(post: bm.Posterior | bm.Imputed) -> dict[str, tuple[float, float, float]]:
    """Limits of the 90 % interval of each number, and the share of imputation."""
    rows = bm.summary(post, ci_prob=0.9)
    share = rows["imputation_share"] if "imputation_share" in rows else np.full(len(rows), np.nan)
    found = zip(rows["eti90_lb"], rows["eti90_ub"], share, strict=True)
    return dict(zip(("mean", "x", "z", "sd_g", "sigma"), found, strict=True))


def one(seed: int) -> dict[tuple[str, str], tuple[bool, float, float]]:
    """Whether the interval of each number holds it, the interval's width, and the share of imputation."""
    bm.options.threads = 1
    warnings.simplefilter("ignore")
    rng = np.random.default_rng([SEED, seed])
    true = truth(rng)
    data = simulated(true, rng)

    def fit(frame: pd.DataFrame, k: int) -> bm.Posterior:
        return bm.GLMM("y ~ x + z + (1 | g)", frame).fit(random_seed=1000 * seed + k, **FIT)

    each = [fit(frame, k) for k, frame in enumerate(imputations(data, rng))]
    posts = (bm.from_imputations(each), each[0], fit(data.dropna().reset_index(drop=True), IMPUTATIONS))
    found = {}
    for way, post in zip(WAYS, posts, strict=True):
        for name, (low, high, share) in numbers(post).items():
            found[way, name] = (bool(low <= true[name] <= high), high - low, share)
    return found


def page(found: list[dict[tuple[str, str], tuple[bool, float, float]]]) -> str:
    """The tables."""
    of = defaultdict(list)
    for each in found:
        for key, value in each.items():
            of[key].append(value)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    low, high = (binom.ppf(q, SETS, 0.9) / SETS for q in (0.0005, 0.9995))
    lines = [
        "# Evidence: intervals from several imputations hold the truth as often as they say",
        "",
        f"Written by `make evidence` on {datetime.date.today()}, commit {commit.strip()}, seed {SEED}. {SETS:,} data "
        f"sets of {GROUPS} groups with {ROWS} rows, `y ~ x + z + (1 | g)`, normal; z is missing in 30 % of the rows, "
        "more often where y is large. Coefficients are drawn from N(0, 1) (mean) and N(0, 0.5²), sd_g from U(0.3, 1), "
        f"sigma from U(0.7, 1.3). {IMPUTATIONS} imputations of each are drawn from the posterior of what is missing, "
        "by data augmentation under the normal model, and each is fitted: 4 chains of 250 draws.",
        "",
        f"Coverage of 90 % intervals over all {SETS:,} data sets. A procedure that is right lies between {low:.3f} and "
        f"{high:.3f} in 99.9 % of runs; between 0.87 and 0.93 is asked for.",
        "",
        f"| number | {' | '.join(WAYS)} | share of imputation (mean) | width, against complete rows |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in ("x", "z", "mean", "sd_g", "sigma"):
        cover = [f"{np.mean([v[0] for v in of[way, name]]):.3f}" for way in WAYS]
        share = np.mean([v[2] for v in of[WAYS[0], name]])
        width = np.mean([v[1] for v in of[WAYS[0], name]]) / np.mean([v[1] for v in of[WAYS[2], name]])
        lines.append(f"| {name} | {' | '.join(cover)} | {share:.3f} | {width:.2f} |")
    every = [v[0] for (way, _), values in of.items() if way == WAYS[0] for v in values]
    lines += ["", f"All five numbers together, imputations mixed: {np.mean(every):.3f}.", ""]
    first = {way: np.mean([v[0] for (w, _), vs in of.items() if w == way for v in vs[:200]]) for way in WAYS}
    lines += ["The first 200 data sets: " + ", ".join(f"{way} {value:.3f}" for way, value in first.items()) + ".", ""]
    lines += [
        "`mean` is the intercept, `x` and `z` are effects, which under the identity link are those of averages too. "
        "Complete rows are biased, since rows are left "
        "out by what y is. One imputation that counts as observed leaves out that z is not known: its intervals are "
        "too short. Draws of few imputations lie a little too close together as well: of 10 their variance between "
        "imputations is 9/11 of what it should be (Zhou & Reiter 2010).",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run, print and write."""
    with ProcessPoolExecutor(int(os.environ.get("JOBS", "1"))) as pool:
        text = page(list(pool.map(one, range(SETS), chunksize=5)))
    print(text)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
