"""Leave one group out: what would the posterior have said of each group, had it not seen the group?"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from bayesmargins.design import Factor
from bayesmargins.errors import BayesmarginsError, EstimandError, PosteriorError, close_matches, listed, shown, warn
from bayesmargins.estimands.given import checked_seed
from bayesmargins.habits import ask_one, taught
from bayesmargins.posterior import Posterior
from bayesmargins.validation.calibration import calibration as calibrated
from bayesmargins.validation.calibration import not_calibrated
from bayesmargins.validation.densities import Densities, densities
from bayesmargins.validation.importance import LeftOut, leave_out, standard_error
from bayesmargins.values import plain, switch

__all__ = ["logo"]

_LARGE = 0.05  # error of elpd that a sum over points may have unsaid


@taught
def logo(
    post: Posterior,
    factor: str | None = None,
    *,
    refit: bool = False,
    calibration: bool = True,
    random_seed: int | None = None,
) -> Any:
    """How well does the model predict groups that it has not seen? Leave one group out.

    Parameters
    ----------
    post : Posterior
        Draws with their design and rows.
    factor : str, optional
        Whose groups are left out; needed where the model has several grouping factors.
    refit : bool
        Fit again without each group whose k-hat is too high, with the priors of this fit, in place of weighing its
        draws; not by default. That takes a posterior of `GLMM.fit` whose group effects can be integrated out.
    calibration : bool
        Also hold the observed mean of each group against the predictions without it, which takes a draw of every
        response; the default.
    random_seed : int, optional
        Of the draws of responses and of the refits: the same seed gives the same numbers.

    Returns
    -------
    Logo
        An ELPDData of ArviZ's, where each group is a data point: ``az.compare({"a": logo_a, "b": logo_b})`` takes it.
        ``elpd``, ``se`` and ``p`` are the expected log density of the groups' rows, its standard error, and the
        effective number of parameters; ``groups`` is a DataFrame with a row a group: ``rows``, ``elpd``, ``p``,
        ``khat``, ``refitted``, ``observed``, ``predicted``, ``pit``. Printed it is a few sentences.

    Raises
    ------
    PosteriorError
        Draws of a prior or around estimates; no rows; the density of a group's rows is not known; `refit` of a
        posterior that this package did not fit, or whose group effects cannot be integrated out.
    EstimandError
        No such factor, or several to choose from; an argument that is not allowed.

    Warns
    -----
    BayesmarginsWarning
        Some k-hat is too high to trust the group's elpd; the error of a sum over Sobol points is not small.

    Notes
    -----
    The rows of a group count as one observation, with the group's effects integrated out given each draw of the other
    parameters. The effects of factors that lie within (b of ``a/b``, where a is left out) are integrated too. Those of
    crossed factors are kept as drawn. Draws are weighed by one over that density, smoothed as in Vehtari, Simpson,
    Gelman, Yao and Gabry (2024), "Pareto smoothed importance sampling", Journal of Machine Learning Research 25(72).
    A k-hat is too high above 0.7, with fewer than 2,200 draws S above 1 - 1 / log10(S).

    ``predicted`` is the mean that the model expects of a new group with these rows, and ``pit`` the probability that
    such a group's mean lies below the observed one, half of it where they are equal. Both weigh draws as the density
    does; of a group that was fitted again they are those of the refit.

    Examples
    --------
    >>> bm.logo(post, random_seed=1).groups.columns[:4].tolist()
    ['rows', 'elpd', 'p', 'khat']
    """
    _check(post)
    refit, wanted = switch("refit", refit), switch("calibration", calibration)
    seed = secrets.randbits(31) if random_seed is None else checked_seed(random_seed)
    of = _factor(post, factor)
    found = densities(post, of)
    left = leave_out(found.values)
    rows = np.bincount(of.codes, minlength=len(of.levels))
    index = pd.Index(plain(of.levels), name=found.values.dims[-1])
    table = pd.DataFrame({"rows": rows, "elpd": left.elpd, "p": left.p, "khat": left.khat, "refitted": False}, index)
    obstacle = not_calibrated(post) if wanted else "calibration=False"
    columns: dict[str, np.ndarray] = {}
    if not obstacle:
        try:
            columns = calibrated(post, of, found.unseen, np.exp(left.log_weights), seed)
        except BayesmarginsError as error:
            obstacle = str(error)
    table = table.assign(**columns)
    high = np.flatnonzero(table["khat"] > left.good)
    if refit and len(high):
        table = _refitted(post, of, found, table, high, seed)
    said = _sentences(post, of, found, left, table, obstacle)
    _warn(post, of, found, left, table)

    from bayesmargins.validation.elpd import make_logo  # ArviZ, which takes its time

    return make_logo(left, str(index.name), table, found.values.sizes["chain"] * found.values.sizes["draw"], said)


def _check(post: Any) -> None:
    if not isinstance(post, Posterior):
        raise PosteriorError(f"logo needs a Posterior, got {shown(post)}: {ask_one('logo', post)}.")
    if post.kind != "posterior":
        raise PosteriorError(
            f"logo weighs draws of a posterior, and the kind of these is {post.kind!r}: they have no likelihood to "
            "take a group's rows out of."
        )
    if post.design.frame is None:
        raise PosteriorError(
            f"logo of {shown(post.formula)} needs the fitted rows, and the posterior came without them. Give data=."
        )


def _factor(post: Posterior, given: Any) -> Factor:
    factors = post.design.factors
    if not factors:
        raise EstimandError(
            f"logo leaves out groups, and {shown(post.formula)} has none. az.loo(post.idata), after "
            "post.log_likelihood(), leaves out rows."
        )
    if given is None and len(factors) == 1:
        return next(iter(factors.values()))
    if not isinstance(given, str) or given not in factors:
        raise EstimandError(
            f"factor={shown(given)}; allowed are {listed(factors)}: the grouping factor whose groups are left out."
            f"{close_matches(given, factors)}"
        )
    return factors[given]


def _refitted(
    post: Posterior, of: Factor, found: Densities, table: pd.DataFrame, high: np.ndarray, seed: int
) -> pd.DataFrame:
    """The table with the rows of some groups from fits without them."""
    obstacle = "this package did not fit it" if post.origin is None else post.origin.not_refitted()
    if obstacle:
        raise PosteriorError(
            f"logo(refit=True) of {shown(post.formula)} is not possible: {obstacle}. Leave refit out, and read the "
            f"elpd of {listed(table.index[high])} with care."
        )
    table = table.copy()
    draws = post.beta.sizes["draw"], post.beta.sizes["chain"]
    for g in high:
        model = post.origin.without(of.codes != g)
        again = model.fit(
            *draws[:1], chains=draws[1], random_seed=seed + int(g), sampler="independent", progressbar=False
        )
        fresh = replace(again, design=post.design, origin=None)
        values = densities(fresh, of).values.to_numpy().reshape(-1, len(table))[:, g]
        elpd = logsumexp(values) - np.log(len(values))
        row = {"elpd": elpd, "p": table["p"].iloc[g] + table["elpd"].iloc[g] - elpd, "refitted": True}
        if "pit" in table:
            weights = np.full((len(values), len(table)), 1.0 / len(values))
            row |= {k: v[g] for k, v in calibrated(fresh, of, found.unseen, weights, seed).items()}
        table.loc[table.index[g], list(row)] = list(row.values())
    return table.astype({"refitted": bool})


def _warn(post: Posterior, of: Factor, found: Densities, left: LeftOut, table: pd.DataFrame) -> None:
    doubtful = table.index[(table["khat"] > left.good) & ~table["refitted"]]
    if len(doubtful):
        warn(
            f"k-hat of {len(doubtful)} of {len(table)} groups of {of.name} is above {left.good:.2g}: "
            f"{listed(doubtful)}. The draws say little of what they would be without these groups, and elpd is "
            f"uncertain by more than its standard error.{_way_out(post)}"
        )
    error = float(np.sqrt((found.error**2).sum()))
    if error > _LARGE:
        warn(
            f"The likelihoods of the groups, {found.method}, have errors that add up to {error:.2g} in elpd, by "
            "independent scramblings of the points."
        )


def _way_out(post: Posterior) -> str:
    """Where there is one."""
    possible = post.origin is not None and not post.origin.not_refitted()
    return " logo(post, refit=True) fits the model without each of them." if possible else ""


def _sentences(post: Posterior, of: Factor, found: Densities, left: LeftOut, table: pd.DataFrame, obstacle: str) -> str:
    n, draws = len(table), len(left.log_weights)
    se = standard_error(table["elpd"].to_numpy())
    return "\n".join([
        f"Leave one group out: {n} groups of {of.name}, {draws:,} draws; the effects of a group are integrated out "
        f"{found.method}.",
        f"elpd {table['elpd'].sum():.1f} (se {se:.1f}): the expected log density of a group's rows before any of them "
        f"was seen, summed over the groups. p (effective number of parameters) {table['p'].sum():.1f}.",
        _of_khat(post, left, table),
        *([_of_calibration(table)] if "pit" in table else [f"Not held against observed means: {obstacle}."]),
    ])  # fmt: skip


def _of_khat(post: Posterior, left: LeftOut, table: pd.DataFrame) -> str:
    high, n = table["khat"] > left.good, len(table)
    if not high.any():
        largest = max(table["khat"].max(), 0.0)
        return f"k-hat is at most {largest:.2f}, and up to {left.good:.2g} weighing the draws can be trusted."
    again = table.index[table["refitted"]]
    if len(again):
        return (
            f"k-hat is above {left.good:.2g} in {high.sum()} of {n} groups, which were fitted again: {listed(again)}."
        )
    return (
        f"k-hat is above {left.good:.2g} in {high.sum()} of {n} groups: {listed(table.index[high])}. Their elpd may be "
        f"far off.{_way_out(post)}"
    )


def _of_calibration(table: pd.DataFrame) -> str:
    n, within = len(table), int(table["pit"].between(0.05, 0.95).sum())
    return (
        f"Without its group the model predicts the observed mean within its central 90 % in {within} of {n} groups; "
        f"{0.9 * n:.1f} are expected."
    )
