"""Leaving a group out by weights is what fitting without the group gives.

`make evidence` writes docs/evidence/logo.md. Every group of two data sets is left out twice: by `bayesmargins.logo`,
which weighs the draws of one fit, and by a fit without its rows, under the same priors.
"""

from __future__ import annotations

import datetime
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.special import logsumexp

import bayesmargins as bm
from bayesmargins.validation.densities import densities
from bayesmargins.validation.importance import leave_out

PAGE = Path(__file__).parents[1] / "docs" / "evidence" / "logo.md"
MODELS = {
    "cbpp": ("incidence | trials(size) ~ period + (1 | herd)", "binomial", "herd"),
    "sleepstudy": ("Reaction ~ Days + (1 + Days | Subject)", "gaussian", "Subject"),
}


@dataclass
class Found:
    """Of one model; elpd by group, (group,) each."""

    weighed: np.ndarray
    refitted: np.ndarray
    error: np.ndarray
    khat: np.ndarray
    conditional: np.ndarray
    se: float
    seconds: tuple[float, float]

    def line(self, name: str) -> str:
        """Of the table."""
        apart = self.weighed - self.refitted
        good, n = self.khat <= 0.7, len(self.khat)
        return (
            f"| {name} | {n} | {(~good).sum()} | {(self.conditional > 0.7).sum()} | {self.weighed.sum():.2f} "
            f"| {self.refitted.sum():.2f} | {self.se:.1f} | {apart.sum():+.2f} | {np.sqrt((self.error**2).sum()):.2f} "
            f"| {np.abs(apart[good]).max():.2f} | {self.seconds[0]:.1f} s, {self.seconds[1]:.0f} s |"
        )

    @property
    def agrees(self) -> bool:
        """Within the standard error of elpd."""
        return bool(abs((self.weighed - self.refitted).sum()) < self.se)


def _error(log_density: np.ndarray) -> float:
    """Of the log of the mean density, draws being nearly independent."""
    relative = np.exp(log_density - logsumexp(log_density) + np.log(len(log_density)))
    return float(relative.std() / np.sqrt(len(relative)))


def _given_b(post: bm.Posterior, codes: np.ndarray) -> np.ndarray:
    """k-hat of the sum over a group's rows, each given the group's drawn b: (group,)."""
    rows = post.log_likelihood()[post.response_name]
    sums = [rows.isel(obs=np.flatnonzero(codes == g)).sum("obs") for g in range(codes.max() + 1)]
    return leave_out(xr.concat(sums, "g")).khat


def compare(name: str) -> Found:
    """Both ways, of all groups."""
    formula, family, factor = MODELS[name]
    post = bm.GLMM(formula, bm.load_dataset(name), family=family).fit(
        sampler="independent", random_seed=1, progressbar=False
    )
    of = post.design.factors[factor]
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)  # of k-hat, which the table has
        logo = bm.logo(post, random_seed=1)
    middle = time.perf_counter()
    refitted, errors = [], []
    for g in range(len(of.levels)):
        model = post.origin.without(of.codes != g)
        again = model.fit(sampler="independent", random_seed=100 + g, progressbar=False)
        values = densities(replace(again, design=post.design), of).values.to_numpy().reshape(-1, len(of.levels))[:, g]
        refitted.append(logsumexp(values) - np.log(len(values)))
        errors.append(_error(values))
    seconds = (middle - start, time.perf_counter() - middle)
    table = logo.groups
    return Found(
        table["elpd"].to_numpy(), np.array(refitted), np.array(errors), table["khat"].to_numpy(),
        _given_b(post, of.codes), float(logo.se), seconds,
    )  # fmt: skip


def page(found: dict[str, Found]) -> str:
    """The page, with its table."""
    lines = [one.line(name) for name, one in found.items()]
    agree = all(one.agrees for one in found.values())
    return "\n".join([
        "# Evidence: leaving a group out by weights, and by fits without it",
        "",
        f"Written by `make evidence` on {datetime.date.today()} with bayesmargins {bm.__version__}. Each model is "
        'fitted once with `sampler="independent"` (4 chains of 1,000 draws), and `bm.logo` weighs these draws. Then '
        "it is fitted again without the rows of each group, under the same priors.",
        "",
        f"Do weights say what fits say? {'Yes: in' if agree else 'No: not in'} every model the two elpd differ by "
        "less than the standard error.",
        "",
        "| data | groups | k-hat above 0.7 | the same given b | elpd weighed | elpd of fits | se | difference "
        "| Monte Carlo error of the fits | largest difference of a group | time of `logo`, of the fits |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *lines,
        "",
        "*The same given b* is k-hat of the sum of the rows' log likelihoods, each given the drawn effects of its "
        "group. Without integrating b out, one would weigh these. *Largest difference of a group* is among those with "
        "k-hat up to 0.7. " + " ".join(f"`{name}` is `{MODELS[name][0]}`, {MODELS[name][1]}." for name in found),
        "",
    ])  # fmt: skip


def main() -> None:
    """Fit all, and write the page."""
    found = {}
    for name in MODELS:
        found[name] = compare(name)
        print(found[name].line(name), flush=True)
    PAGE.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
