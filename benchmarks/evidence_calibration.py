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
from calibration_fits import CASES, DRAWS, FORMULA, KEPT, LAYOUTS, ROOT, SEED, kept, layout_of, run, store
from scipy import stats

Array = npt.NDArray[np.float64]

PAGE = ROOT / "docs" / "evidence" / "calibration.md"
PICTURE = ROOT / "docs" / "pictures" / "calibration.svg"
SETS = 1200
BINS = 20  # of the KEPT + 1 ranks
LEVEL = 0.001  # of each test, fixed beforehand


def uniformity(found: npt.NDArray[np.intp]) -> tuple[float, float, float]:
    """p of chi-square, largest distance of the ECDF from the uniform one, its p (Kolmogorov's, larger than exact)."""
    counts = np.bincount(found * BINS // (KEPT + 1), minlength=BINS)
    apart = float(np.abs(ecdf_difference(found)).max())
    return (
        float(stats.chisquare(counts).pvalue),
        apart,
        float(stats.kstwobign.sf(np.sqrt(len(found)) * apart)),
    )


def ecdf_difference(found: npt.NDArray[np.intp]) -> Array:
    """ECDF of ranks less that of uniform ones: (rank,)."""
    counts = np.bincount(found, minlength=KEPT + 1)
    return np.asarray(np.cumsum(counts) / len(found) - np.arange(1, KEPT + 2) / (KEPT + 1))


def _ranks_of(lines: list[dict[str, Any]], name: str) -> npt.NDArray[np.intp]:
    return np.array([line["ranks"][name] for line in lines if "ranks" in line], dtype=np.intp)


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


def _priors() -> Iterator[str]:
    for family, case in CASES.items():
        yield f"| {family} | " + ", ".join(f"{name} ~ {prior}" for name, prior in case.given.items()) + " |"


def draw(by_family: dict[str, list[dict[str, Any]]]) -> None:
    """The ECDF of every quantity less the uniform one, with the limits of Kolmogorov's test."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    at = np.arange(1, KEPT + 2) / (KEPT + 1)
    with mpl.rc_context({"svg.hashsalt": "calibration", "font.size": 8.0}):
        figure = Figure(figsize=(9.0, 2.8), layout="constrained")
        axes = figure.subplots(1, len(by_family), sharey=True)
        for ax, (family, lines) in zip(axes, by_family.items(), strict=True):
            for name in CASES[family].quantities:
                found = _ranks_of(lines, name)
                ax.plot(at, ecdf_difference(found), lw=0.9, label=name)
            limit = stats.kstwobign.isf(LEVEL) / np.sqrt(len(found))
            ax.axhspan(-limit, limit, color="0.92", zorder=0)
            ax.set(title=f"{family}, {len(found):,} data sets", xlabel="rank of the truth, as a share")
        axes[0].set_ylabel("ECDF less uniform")
        axes[-1].legend(fontsize=6.0, ncols=2, frameon=False, loc="lower center")
        PICTURE.parent.mkdir(exist_ok=True)
        figure.savefig(PICTURE, metadata={"Date": None})


def page(by_family: dict[str, list[dict[str, Any]]]) -> str:
    """All of it."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    tests = 2 * sum(len(case.quantities) for case in CASES.values())
    reasons = list(_reasons(by_family))
    lines = [
        "# Evidence: fits by independent proposals are calibrated",
        "",
        f"Written by `make evidence` on {datetime.date.today()}, commit {commit.strip()}, seed {SEED}, in one process "
        f"with one thread on a machine of {os.cpu_count()} cores. Truths are drawn from the priors below, which do not "
        "read y, then data from the truths; each data set is fitted under the same priors by "
        f'`model.fit(sampler="independent", draws={DRAWS})`. If the posterior is right, the rank of the truth among '
        f"its draws is uniform (Talts et al. 2018). The model is `{FORMULA}` with 72 rows in 12 groups: of 6 rows each "
        f"in every other data set, of {', '.join(map(str, LAYOUTS['unbalanced']))} rows in the rest. x is standard "
        "normal, and new in each data set.",
        "",
        "| family | priors |",
        "| --- | --- |",
        *_priors(),
        "",
        "The intercept of the prior is the mean of the linear predictor over the rows; the one whose rank is counted "
        "is that of the formula. The log likelihood is that of y given the parameters and all b: a posterior that "
        "forgot the data would show there alone (Modrák et al. 2023).",
        "",
        f"Ranks are among {KEPT} draws, evenly apart in the four chains (40 draws or more). Two tests of uniformity, "
        f"fixed beforehand: chi-square with {BINS} bins, and Kolmogorov's distance of the ECDF from the uniform one, "
        f"whose limits are grey in the picture. Every p has to be above {LEVEL:g}: with {tests} tests, all right, one "
        f"below has a probability of at most {tests * LEVEL:.1%} (Bonferroni).",
        "",
        "| family | of | ranks | mean rank, as a share | chi-square, p | ECDF, distance | p |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *_table(by_family),
        "",
        f"![Differences of the ECDF of ranks from the uniform one](../pictures/{PICTURE.name})",
        "",
        "*refused* are fits whose own checks did not pass, which `fit` hands to NUTS on the same integrated model; "
        "*NUTS* are those that it refitted, whose ranks are in the table above. Acceptance and seconds are medians.",
        "",
        "| family | data sets | refused | NUTS | errors | warn | accepted | ESS, median and least | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *_fits(by_family),
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
    PAGE.write_text(page(by_family), encoding="utf-8")
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
