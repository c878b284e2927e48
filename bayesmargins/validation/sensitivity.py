"""Does the prior or the likelihood move an effect? Power-scaling of the draws of every entry of a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import PosteriorError, ResultError, listed, shown
from bayesmargins.habits import taught
from bayesmargins.posterior import Posterior
from bayesmargins.provenance import provenance_of
from bayesmargins.schema import ESTIMATE, SAMPLE_DIMS, check_result
from bayesmargins.tables import describe
from bayesmargins.tables.tidy_draws import index_of
from bayesmargins.validation.sensitivity_table import Sensitivity

__all__ = ["CONFLICT", "THRESHOLD", "WEAK", "Components", "components", "sensitivity"]

THRESHOLD = 0.05
CONFLICT, WEAK, _NOTHING = "prior-data conflict", "weak likelihood", "-"


@taught
def sensitivity(ds: xr.Dataset, post: Posterior, prior: Any = None) -> pd.DataFrame:
    """Would another prior, or more data, move this effect?

    Parameters
    ----------
    ds : Dataset
        What predictions, comparisons, slopes or hypotheses made of this posterior.
    post : Posterior
        Of `GLMM.fit` in this session, because draws of other software and of files come without their priors.
    prior : str or list of str, optional
        Which priors are made stronger and weaker, by the names of ``post.log_prior()``: ``"sd_id"``. All together by
        default.

    Returns
    -------
    DataFrame
        A row for each entry, as in `summary`. The columns ``prior`` and ``likelihood`` say how far the distribution of
        the effect moves when the prior, or the likelihood, is raised to a power near 1. ``diagnosis`` is "prior-data
        conflict" if both are 0.05 or more, "weak likelihood" if only the prior's is, and else "-". Printed, the table
        has a sentence beneath.

    Raises
    ------
    ResultError
        No result of this package, one of other draws, or draws that are not finite.
    PosteriorError
        The posterior has no priors or no likelihood; `prior` names none of its priors.

    Notes
    -----
    Kallioinen, Paananen, Bürkner and Vehtari (2024), "Detecting and diagnosing prior and likelihood sensitivity with
    power-scaling", Statistics and Computing 34, 57: the cumulative Jensen-Shannon distance between the draws and the
    same draws weighed as under the power, divided by the change of the power's binary logarithm; ArviZ computes it. The
    prior is that of coefficients, standard deviations, correlations and the family's parameters. The likelihood is
    that of groups with their effects integrated out, where `Posterior.log_likelihood_groups` is known, else that of
    rows given b.

    Examples
    --------
    >>> model = bm.GLMM("Reaction ~ Days + (1 | Subject)", bm.load_dataset("sleepstudy"))
    >>> post = model.fit(sampler="independent", random_seed=1, progressbar=False)
    >>> bm.sensitivity(bm.avg_slopes(post, "Days"), post)["diagnosis"].tolist()
    ['-']
    """
    ds = check_result(ds)
    scaled = components(ds, post, prior)
    estimate = ds[ESTIMATE].transpose(*SAMPLE_DIMS, ...)
    dims = [str(d) for d in estimate.dims if d not in SAMPLE_DIMS]
    flat = estimate.to_numpy().reshape(*estimate.shape[:2], -1)
    moved = {name: _moved(flat, component) for name, component in scaled.densities.items()}
    table = Sensitivity(moved, index=index_of(ds, dims))
    table["diagnosis"] = np.where(
        table["prior"] < THRESHOLD, _NOTHING, np.where(table["likelihood"] >= THRESHOLD, CONFLICT, WEAK)
    )
    table.loc[table["prior"].isna(), "diagnosis"] = "does not vary"
    table.attrs["verdict"] = _verdict(table, None if prior is None else scaled.names)
    table.attrs["said"] = f"{describe(ds)} {table.attrs['verdict']} The likelihood is that of {scaled.of}."
    return table


@dataclass(frozen=True)
class Components:
    """What is raised to a power: log densities (chain, draw) of prior and likelihood; which priors, and of what."""

    densities: dict[str, np.ndarray]
    names: list[str]
    of: str


def components(ds: xr.Dataset, post: Posterior, prior: Any) -> Components:
    """Of the posterior that a result is of."""
    if not isinstance(post, Posterior):
        raise PosteriorError(
            f"sensitivity needs the posterior of the result, got {shown(post)}: ask a question of one posterior, and "
            "give both, sensitivity(ds, post)."
        )
    _check_draws(ds, post)
    log_prior = post.log_prior()
    names = _names(prior, log_prior)
    total = np.sum([log_prior[name].to_numpy() for name in names], axis=0)
    likelihood, of = _log_likelihood(post)
    return Components({"prior": total, "likelihood": likelihood}, names, of)


def _check_draws(ds: xr.Dataset, post: Posterior) -> None:
    for dim, labels in post.sample_coords.items():
        own = ds[dim].to_numpy() if dim in ds.coords else np.arange(ds.sizes[dim])
        if not np.array_equal(own, labels):
            raise ResultError(
                f"The result has {ds.sizes[dim]} labels of {dim!r}, and the posterior has {len(labels)}, or others: "
                "its draws are weighed one by one. Pass the result of all draws of this posterior."
            )
    formula = provenance_of(ds).formula
    if formula is not None and formula != post.formula:
        raise ResultError(f"The result is of {shown(formula)}, and the posterior of {shown(post.formula)}.")
    bad = int((~np.isfinite(ds[ESTIMATE].to_numpy())).sum())
    if bad:
        raise ResultError(f"{bad:,} draws of the result are not finite, and draws that are none cannot be compared.")


def _names(given: Any, log_prior: xr.Dataset) -> list[str]:
    known = [str(name) for name in log_prior]
    names = known if given is None else [given] if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not names or not all(isinstance(n, str) and n in known for n in names):
        raise PosteriorError(f"prior={shown(given)}; allowed are {listed(known, 40)}, or a list of these.")
    return list(names)


def _log_likelihood(post: Posterior) -> tuple[np.ndarray, str]:
    """(chain, draw) of all rows, and of what it is."""
    try:
        groups = post.log_likelihood_groups
        return groups.sum(str(groups.dims[-1])).to_numpy(), "groups, their effects integrated out"
    except PosteriorError:
        rows = post.log_likelihood()[post.response_name]
        return rows.sum("obs").to_numpy(), "rows, given the effects of their groups"


def _moved(draws: np.ndarray, component: np.ndarray) -> np.ndarray:
    """How far each entry (chain, draw, entry) moves with the power of a component (chain, draw): (entry,)."""
    from arviz_stats import psense

    dims = [*SAMPLE_DIMS, "entry"]
    groups = {
        "posterior": xr.Dataset({ESTIMATE: (dims, draws)}).assign_coords(
            {d: np.arange(n) for d, n in zip(dims, draws.shape, strict=True)}
        ),
        "log_prior": xr.Dataset({"component": (SAMPLE_DIMS, component)}),
    }
    with np.errstate(all="ignore"):  # an entry that does not vary is 0 / 0
        found = psense(xr.DataTree.from_dict(groups), group="prior")[ESTIMATE].to_numpy()
    return np.where(np.ptp(draws, axis=(0, 1)) > 0, found, np.nan)


def _verdict(table: pd.DataFrame, names: list[str] | None) -> str:
    counts = {kind: int((table["diagnosis"] == kind).sum()) for kind in (CONFLICT, WEAK)}
    n, which = len(table), "the prior" if names is None else f"the prior of {listed(names)}"
    said = [f"{k} of {n}: {_MEANING[kind].format(which)}." for kind, k in counts.items() if k]
    nothing = f"Power-scaling {which} moves {'none of the ' + str(n) + ' entries' if n > 1 else 'it little'}."
    return " ".join(said) or nothing


_MEANING = {
    CONFLICT: "{} and the data pull in different directions, and each moves the effect (prior-data conflict)",
    WEAK: "{} moves the effect, and the data hardly do (weak likelihood)",
}
