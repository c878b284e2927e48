"""Fits of every data set of the package at seeds 1 to 5: do they reach their effective draws without a warning?

`make evidence` writes docs/evidence/fits.md. Formulas are those of the pages and reference cases, priors and all
arguments of `fit` the defaults. ``python benchmarks/evidence_fits.py cbpp inhaler`` prints the lines of some data sets.
"""

from __future__ import annotations

import datetime
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import bayesmargins as bm

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "evidence" / "fits.md"
SEEDS = range(1, 6)
MODELS = {
    "bacteria": ("yb ~ trt + week + (1 | ID)", "bernoulli"),
    "cbpp": ("incidence | trials(size) ~ period + (1 | herd)", "binomial"),
    "contraception": ("use01 ~ age10 + livch + urban + (1 | district)", "bernoulli"),
    "epil": ("y ~ lbase * trt + lage + (1 + per | subject)", "negbinomial"),
    "epilepsy": ("count ~ zAge + zBase * Trt + (1 | patient)", "poisson"),
    "grouseticks": ("TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | LOCATION)", "negbinomial"),
    "inhaler": ("rating ~ treat + period + carry + (1 | subject)", "cumulative"),
    "kidney": ("time | cens(censored) ~ age + sex + (1 | patient)", "weibull"),
    "sleepstudy": ("Reaction ~ Days + (1 + Days | Subject)", "gaussian"),
    "toenail": ("bad ~ treatment * time + (1 | patientID)", "bernoulli"),
    "verbagg": ("yes ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)", "bernoulli"),
}


def fits(name: str) -> list[str]:
    """A line of the table for each seed."""
    formula, family = MODELS[name]
    model = bm.GLMM(formula, bm.load_dataset(name), family)
    lines = []
    for seed in SEEDS:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", bm.BayesmarginsWarning)
            post = model.fit(random_seed=seed, progressbar=False)
        said = sum(issubclass(w.category, bm.BayesmarginsWarning) for w in caught)
        info, draws = post.info, post.beta.sizes["draw"]
        lines.append(
            f"| {name} | {info['group_effects']} | {seed} | {info['divergences']} | {info['max_rhat']:.4f} | "
            f"{info['min_ess']:,.0f} ({info['least']}) | {draws:,} | {'**warns**' if said else 'passes'} |"
        )
        print(lines[-1], flush=True)
    return lines


def _in_table(formula: str) -> str:
    return formula.replace("|", r"\|")


def page(lines: Sequence[str]) -> str:
    """All of it."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    passed = sum(line.endswith("passes |") for line in lines)
    return "\n".join([
        "# Evidence: fits of the shipped data sets pass their checks",
        "",
        f"Written by `make evidence` on {datetime.date.today()}, commit {commit.strip()}.",
        "",
        "Does a default fit need an excuse? Every data set of the package is fitted at five seeds, with default "
        "priors and `model.fit(random_seed=seed)`. A fit has 4 chains and 1,000 draws of tuning. It goes on until the "
        "effective sample size is 400, up to 5,000 draws a chain. It passes if it ends without a warning. "
        f"{passed} of {len(lines)} pass.",
        "",
        "| data set | formula | family |",
        "| --- | --- | --- |",
        *(f"| {name} | `{_in_table(formula)}` | {family} |" for name, (formula, family) in MODELS.items()),
        "",
        "*ESS* is the smallest effective sample size, of bulk and tails, among all parameters and group effects, with "
        "the parameter that has it. *draws* are those of each chain.",
        "",
        "| data set | group effects | seed | divergences | r-hat | ESS | draws | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *lines,
        "",
    ])  # fmt: skip


def main() -> None:
    """Fit all, and write the page."""
    if sys.argv[1:]:
        for name in sys.argv[1:]:
            fits(name)
        return
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page([line for name in MODELS for line in fits(name)]), encoding="utf-8")
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
