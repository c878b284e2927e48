"""Fits under the default priors do not depend on where zero lies: each model twice, in two codings, and by REML.

`make evidence` writes docs/evidence/priors.md. The data are simulated: calendar years, a body temperature, pressure in
hPa, slopes within arms, random slopes on years. Two codings of one model have to agree within Monte Carlo error, and
with REML (statsmodels) within .3 posterior standard deviations for coefficients and 1 for standard deviations.
"""

from __future__ import annotations

import datetime
import subprocess
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from arviz_stats.base import array_stats

import bayesmargins as bm

SEEDS = (1, 2, 3)
PAGE = Path(__file__).parents[1] / "docs" / "evidence" / "priors.md"
Draws = dict[str, np.ndarray]


@dataclass(frozen=True)
class Example:
    """One model in two codings; `quantities` names what both, and REML, say: (chain, draw) each."""

    title: str
    data: Callable[[np.random.Generator], pd.DataFrame]
    codings: tuple[str, str]
    quantities: Callable[[bm.Posterior], Draws]
    reml: Callable[[pd.DataFrame], dict[str, float]]


def _panel(rng: np.random.Generator, y: Callable[[pd.DataFrame, np.random.Generator], Any]) -> pd.DataFrame:
    """20 units, half of them treated, in the years 2005 to 2014."""
    d = pd.DataFrame([(f"u{k}", year, "ct"[k % 2]) for k in range(20) for year in range(2005, 2015)])
    d.columns = ["unit", "year", "trt"]
    d["code"], d["t"] = d.unit.factorize()[0], d.year - 2009.5
    return d.assign(y=y(d, rng))


def _two_trends(d: pd.DataFrame, rng: np.random.Generator) -> Any:
    return rng.normal(0, 1, 20)[d.code] + np.where(d.trt == "t", 0.4, 0.1) * d.t + rng.normal(0, 0.5, len(d))


def _own_trends(d: pd.DataFrame, rng: np.random.Generator) -> Any:
    b = rng.normal(0, [1, 0.22], (20, 2))[d.code]
    return 10 + b[:, 0] + (0.2 + b[:, 1]) * d.t + rng.normal(0, 0.5, len(d))


def _two_arms(level: float, effect: float) -> Callable[[pd.DataFrame, np.random.Generator], Any]:
    return lambda d, rng: (
        level + effect * (d.trt == "t") + rng.normal(0, effect, 20)[d.code] + rng.normal(0, effect, len(d))
    )


def _trends(post: bm.Posterior) -> Draws:
    """Each arm's slope in the year, and its mean over the years, whatever the columns are called."""
    found = {}
    for arm in ("c", "t"):
        at = pd.DataFrame({"year": [2009.5, 2010.5], "t": [0.0, 1.0], "trt": arm, "unit": "u0"})
        eta = bm.predictions(post, at, groups="zero", target="link").estimate.to_numpy()
        found |= {f"mean, {arm}": eta[..., 0], f"trend, {arm}": eta[..., 1] - eta[..., 0]}
    return found | {"sd of units": _sd_at(post, 0.0), "sigma": post.aux["sigma"].to_numpy()}


def _levels(post: bm.Posterior) -> Draws:
    return {name: draws for name, draws in _trends(post).items() if not name.startswith("trend")}


def _own_trend(post: bm.Posterior) -> Draws:
    found = {k.removesuffix(", c"): v for k, v in _trends(post).items() if not k.endswith(", t")}
    Sigma = post.Sigma["unit"].to_numpy()
    return found | {"sd of trends": np.sqrt(Sigma[..., 1, 1])}


def _sd_at(post: bm.Posterior, t: float) -> np.ndarray:
    """Of the units' own levels, at the middle of the years."""
    Sigma = post.Sigma["unit"].to_numpy()
    if Sigma.shape[-1] == 1:
        return np.sqrt(Sigma[..., 0, 0])
    z = np.array([1.0, (2009.5 if "year" in post.design.factors["unit"].terms else 0.0) + t])
    return np.sqrt(np.einsum("i,cdij,j->cd", z, Sigma, z))


def _reml(formula: str, slopes: bool = False) -> Callable[[pd.DataFrame], dict[str, float]]:
    def fit(d: pd.DataFrame) -> dict[str, float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = smf.mixedlm(formula, d, groups="unit", re_formula="~t" if slopes else None).fit(reml=True)
        p, cov = fitted.fe_params, np.asarray(fitted.cov_re)
        found = {"sd of units": float(np.sqrt(cov[0, 0])), "sigma": float(np.sqrt(fitted.scale))}
        if slopes:
            return found | {"mean": p["Intercept"], "trend": p["t"], "sd of trends": float(np.sqrt(cov[1, 1]))}
        step, inter = p.get("trt[T.t]", 0.0), p.get("t:trt[T.t]", 0.0)
        found |= {"mean, c": p["Intercept"], "mean, t": p["Intercept"] + step}
        return found | {"trend, c": p.get("t", 0.0), "trend, t": p.get("t", 0.0) + inter}

    return fit


EXAMPLES = [
    Example(
        "two trends over calendar years",
        lambda rng: _panel(rng, _two_trends),
        ("y ~ year * trt + (1 | unit)", "y ~ t * trt + (1 | unit)"),
        _trends,
        _reml("y ~ t * trt"),
    ),
    Example(
        "the same, slopes within arms",
        lambda rng: _panel(rng, _two_trends),
        ("y ~ 0 + trt + trt:year + (1 | unit)", "y ~ t * trt + (1 | unit)"),
        _trends,
        _reml("y ~ t * trt"),
    ),
    Example(
        "random slopes on calendar years",
        lambda rng: _panel(rng, _own_trends),
        ("y ~ year + (1 + year | unit)", "y ~ t + (1 + t | unit)"),
        _own_trend,
        _reml("y ~ t", slopes=True),
    ),
    Example(
        "body temperature, no intercept",
        lambda rng: _panel(rng, _two_arms(36.7, 0.2)),
        ("y ~ 0 + trt + (1 | unit)", "y ~ trt + (1 | unit)"),
        _levels,
        _reml("y ~ trt"),
    ),
    Example(
        "air pressure, no intercept",
        lambda rng: _panel(rng, _two_arms(1015.0, 5.0)),
        ("y ~ 0 + trt + (1 | unit)", "y ~ C(trt, contr.sum) + (1 | unit)"),
        _levels,
        _reml("y ~ trt"),
    ),
]


def _fit(formula: str, data: pd.DataFrame, seed: int) -> bm.Posterior:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)
        return bm.GLMM(formula, data).fit(draws=2000, random_seed=seed, progressbar=False)


def _rows(example: Example, seed: int) -> list[str]:
    data = example.data(np.random.default_rng(seed))
    one, other = (example.quantities(_fit(f, data, seed + k)) for k, f in enumerate(example.codings))
    reml = example.reml(data)
    rows = []
    for name, a in one.items():
        b = other[name]
        error = np.sqrt(sum(float(x.var() / array_stats.ess(x, method="mean")) for x in (a, b)))
        apart = abs(a.mean() - b.mean()) / error
        from_reml = abs(a.mean() - reml[name]) / a.std()
        limit = 1.0 if name.startswith("s") else 0.3
        verdict = "" if apart < 4 and from_reml < limit else " **no**"
        cells = [f"{x:.4g}" for x in (a.mean(), b.mean(), reml[name])]
        rows.append(f"| {name} | {' | '.join(cells)} | {apart:.1f} | {from_reml:.2f}{verdict} |")
    return rows


def main() -> None:
    """Fit all, and write the page."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    lines = [
        "# Evidence: default priors do not depend on where zero lies",
        "",
        f"Written by `make evidence` on {datetime.date.today()}, commit {commit.strip()}, seeds {SEEDS}.",
        "",
        "Does the coding of the data change the posterior? Each model is fitted in two codings (4 chains of 2,000 "
        "draws). *MCSE* is the distance of the two means in Monte Carlo standard errors. It has to stay below 4. *sd* "
        "is the distance of the first from REML (statsmodels) in posterior standard deviations. It has to stay below "
        "0.3 for coefficients, and below 1 for standard deviations.",
    ]
    for example in EXAMPLES:
        for seed in SEEDS:
            first, second = example.codings
            lines += ["", f"## {example.title}, seed {seed}", "", f"`{first}` and `{second}`", ""]
            lines += ["| | first | second | REML | MCSE | sd |", "| --- | --- | --- | --- | --- | --- |"]
            lines += _rows(example, seed)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(PAGE.relative_to(PAGE.parents[2]))


if __name__ == "__main__":
    main()
