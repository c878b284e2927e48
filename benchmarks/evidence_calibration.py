"""Simulation-based calibration of fits by independent proposals: among its draws, the truth has every rank alike.

Talts, Betancourt, Simpson, Vehtari & Gelman (2018), arXiv:1804.06788. Truths are drawn from priors that are written
down here and do not read y, data from the truths, and each data set is fitted under the same priors. The log likelihood
of (parameters, b) is ranked too: a posterior that forgot the data, and so equals the prior, would show nowhere else
(Modrak et al. 2023).

`make evidence` writes docs/evidence/calibration.md. Fits are kept line by line under build/, by what they depend on, so
that a run that was stopped goes on. ``--sets 20`` stops after so many data sets of each family, ``--nuts 0`` leaves the
fits that independent proposals refuse to a later run, ``--page`` writes the page from what is there.
"""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from calibration_faults import SOME, Ranks, fault_ranks
from calibration_fits import CASES, DRAWS, FORMULA, KEPT, LAYOUTS, ROOT, SEED, kept, layout_of, run, store
from scipy import stats

Array = npt.NDArray[np.float64]

PAGE = ROOT / "docs" / "evidence" / "calibration.md"
PICTURE = ROOT / "docs" / "pictures" / "calibration.png"
SETS = 1200
BINS = 20  # of the KEPT + 1 ranks
LEVEL = 0.001  # of each test, fixed beforehand
RUNS = 300  # of made-up calibrations, by which the page says what it would see


def uniformity(found: npt.NDArray[np.intp]) -> tuple[float, float, float]:
    """p of chi-square, largest distance of the ECDF from the uniform one, its p (Kolmogorov's, larger than exact)."""
    counts = np.bincount(found * BINS // (KEPT + 1), minlength=BINS)
    apart = float(np.abs(ecdf_difference(found)).max())
    distance = stats.kstwobign.sf(np.sqrt(len(found)) * apart)
    return float(stats.chisquare(counts).pvalue), apart, float(distance)


def ecdf_difference(found: npt.NDArray[np.intp]) -> Array:
    """ECDF of ranks less that of uniform ones: (rank,)."""
    counts = np.bincount(found, minlength=KEPT + 1)
    return np.asarray(np.cumsum(counts) / len(found) - np.arange(1, KEPT + 2) / (KEPT + 1))


def seen(off: float, wrong: float) -> float:
    """How often do the tests see normal posteriors whose means and standard deviations are off by so much?

    `off` is in standard deviations, which are `wrong` times what they should be.
    """
    rng, times = np.random.default_rng(SEED), 0
    for _ in range(RUNS):
        truth = stats.norm.cdf((off + rng.standard_normal(SETS)) / wrong)
        chi, _, distance = uniformity(rng.binomial(KEPT, truth))
        times += min(chi, distance) <= LEVEL
    return times / RUNS


def _ranks_of(lines: list[dict[str, Any]], name: str) -> npt.NDArray[np.intp]:
    return np.array([line["ranks"][name] for line in lines if "ranks" in line], dtype=np.intp)


def _verdict(by_family: dict[str, list[dict[str, Any]]]) -> str:
    tests = [
        p > LEVEL
        for family, lines in by_family.items()
        for name in CASES[family].quantities
        for p in uniformity(_ranks_of(lines, name))[::2]
    ]
    left = sum("ranks" not in line for lines in by_family.values() for line in lines)
    missing = f" {left} data sets have no ranks (see below)." if left else ""
    return f"**{sum(tests)} of {len(tests)} tests pass.**{missing}"


def _table(by_family: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    for family, lines in by_family.items():
        for name in CASES[family].quantities:
            found = _ranks_of(lines, name)
            chi, apart, ks = uniformity(found)
            verdict = "" if min(chi, ks) > LEVEL else " **no**"
            mean = (found + 0.5).mean() / (KEPT + 1)
            yield f"| {family} | {name} | {len(found)} | {mean:.3f} | {chi:.3f} | {apart:.3f} | {ks:.3f}{verdict} |"


def _fits(by_family: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    for family, lines in by_family.items():
        refused = sum(bool(line.get("refused")) for line in lines)
        nuts = sum(bool(line.get("refused")) and "ranks" in line for line in lines)
        errors, warned = sum("error" in line for line in lines), sum(bool(line.get("warned")) for line in lines)
        own = [line for line in lines if line.get("by") == "independent"]
        acceptance, ess, seconds = (np.median([line[n] for line in own]) for n in ("acceptance", "ess", "seconds"))
        yield (
            f"| {family} | {len(lines):,} | {refused} ({refused / len(lines):.1%}) | {nuts} | {errors} | {warned} | "
            f"{acceptance:.2f} | {ess:,.0f}, {min(line['ess'] for line in own):,} | {seconds:.2f} |"
        )


def _reasons(by_family: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    for family, lines in by_family.items():
        for line in lines:
            if why := line.get("refused") or line.get("error"):
                fate = "NUTS" if "ranks" in line else "**not refitted**"
                yield f"| {family} | {line['k']} | {layout_of(line['k'])} | {why} | {fate} |"


def _faults(found: Ranks) -> Iterator[str]:
    """The smallest p of each quantity, fault by fault."""
    quantities = CASES["gaussian"].quantities
    yield "| fault | ranks | " + " | ".join(quantities) + " |"
    yield "| --- " * (2 + len(quantities)) + "|"
    for fault, of in found.items():
        least = [min(uniformity(np.array(of[name], dtype=np.intp))[::2]) for name in quantities]
        said = " | ".join(f"**{p:.0e}**" if p <= LEVEL else f"{p:.3f}" for p in least)
        yield f"| {fault} | {len(of[quantities[0]])} | {said} |"


def _priors() -> Iterator[str]:
    for family, case in CASES.items():
        yield f"| {family} | " + ", ".join(f"{name} ~ {prior}" for name, prior in case.given.items()) + " |"


def draw(by_family: dict[str, list[dict[str, Any]]]) -> None:
    """The ECDF of every quantity less the uniform one, with the limits of Kolmogorov's test."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    at, names = np.arange(1, KEPT + 2) / (KEPT + 1), CASES["gaussian"].quantities  # which has all
    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    axes = figure.subplots(1, len(by_family), sharey=True)
    for ax, (family, lines) in zip(axes, by_family.items(), strict=True):
        for name in CASES[family].quantities:
            found = _ranks_of(lines, name)
            ax.plot(at, ecdf_difference(found), lw=0.9, color=f"C{names.index(name)}")
        limit = stats.kstwobign.isf(LEVEL) / np.sqrt(len(found))
        ax.axhspan(-limit, limit, color="0.92", zorder=0)
        ax.set(title=f"{family}, {len(found):,} data sets", xlabel="rank of the truth, as a share")
    axes[0].set_ylabel("ECDF less uniform")
    handles = [Line2D([], [], color=f"C{k}") for k in range(len(names))]
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False, fontsize=8)
    figure.savefig(PICTURE, dpi=100)


def page(by_family: dict[str, list[dict[str, Any]]], faults: Ranks) -> str:
    """All of it."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    tests = 2 * sum(len(case.quantities) for case in CASES.values())
    reasons = list(_reasons(by_family))
    lines = [
        "# Evidence: fits by independent proposals are calibrated",
        "",
        f"Written by `make evidence` on {datetime.date.today()}, commit {commit.strip()}, seed {SEED}, in one process "
        f"with one thread on a machine of {os.cpu_count()} cores.",
        "",
        "Is the posterior right? Truths are drawn from the priors below, which do not read y, and data from the "
        f'truths. Each data set is fitted under the same priors by `model.fit(sampler="independent", draws={DRAWS})`. '
        "If the posterior is right, the rank of the truth among its draws is uniform (Talts et al. 2018). The model is "
        f"`{FORMULA}` with 72 rows in 12 groups. Every other data set has 6 rows in each group. In the rest the groups "
        f"have {', '.join(map(str, LAYOUTS['unbalanced']))} rows. x is standard normal, and new in each data set.",
        "",
        "| family | priors |",
        "| --- | --- |",
        *_priors(),
        "",
        "The intercept of the prior is the mean of the linear predictor over the rows. The rank is that of the "
        "formula's intercept. The log likelihood is that of y given the parameters and all b. A posterior that forgot "
        "the data would show there alone (Modrák et al. 2023).",
        "",
        f"Ranks are among {KEPT} draws, evenly apart in the four chains ({4 * DRAWS // KEPT} draws or more). Two tests "
        f"of uniformity were fixed beforehand: chi-square with {BINS} bins, and Kolmogorov's distance of the ECDF from "
        f"the uniform one. Its limits are grey in the picture. Every p has to be above {LEVEL:g}. If everything is "
        f"right, one of {tests} tests lies below with a probability of at most {tests * LEVEL:.1%} (Bonferroni).",
        "",
        f"{_verdict(by_family)} What would a test of one quantity see, were every posterior normal? A mean that is off "
        f"by 0.1 standard deviations shows in {seen(0.1, 1.0):.0%} of such runs, and one that is off by 0.2 in "
        f"{seen(0.2, 1.0):.0%}. A standard deviation that is a tenth too small shows in {seen(0.0, 0.9):.0%}, and a "
        f"fifth too small in {seen(0.0, 0.8):.0%}. A tenth too large shows in {seen(0.0, 1.1):.0%}, and a fifth too "
        f"large in {seen(0.0, 1.2):.0%}.",
        "",
        "| family | of | ranks | mean rank, as a share | chi-square, p | ECDF, distance | p |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *_table(by_family),
        "",
        f"![Differences of the ECDF of ranks from the uniform one](../pictures/{PICTURE.name})",
        "",
        "*refused* counts fits whose own checks did not pass. `fit` hands them to NUTS on the same integrated model. "
        "*NUTS* counts those that it refitted. Their ranks are in the table above. Acceptance and seconds are medians.",
        "",
        "| family | data sets | refused | NUTS | errors | warn | accepted | ESS, median and least | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *_fits(by_family),
    ]
    if faults:
        lines += [
            "",
            f"Would the tests see a fault? A package with one planted fault fitted the first {SOME} gaussian data "
            f"sets. The table shows the smaller of both p. It is bold if it is {LEVEL:g} or less and so sees the "
            "fault.",
            "",
            *_faults(faults),
        ]
    if reasons:
        lines += ["", "| family | data set | groups | why refused | refitted by |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*lines, *reasons]) + "\n"


def main() -> None:
    """Fit what is missing, and write the page."""
    parser = argparse.ArgumentParser(description="Simulation-based calibration of fits.")
    parser.add_argument("--sets", type=int, default=SETS, help="data sets of each family")
    parser.add_argument("--nuts", type=int, default=3 * SETS, help="refused fits that NUTS refits, at most")
    parser.add_argument("--page", action="store_true", help="write the page from the fits that are there")
    asked = parser.parse_args()
    path = store()
    if not asked.page:
        run(path, asked.sets, asked.nuts)
    done = kept(path)
    by_family = {family: [line for (name, _), line in sorted(done.items()) if name == family] for family in CASES}
    draw(by_family)
    PAGE.write_text(page(by_family, fault_ranks(anew=not asked.page)), encoding="utf-8")
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
