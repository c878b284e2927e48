"""Whether the chains mixed: r-hat, effective sample sizes and divergences, and in plain words what they mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.diagnostics import diagnostics
from bayesmargins.errors import warn
from bayesmargins.values import chunked

__all__ = ["MAX_RHAT", "MIN_ESS_PER_CHAIN", "convergence", "in_sentences", "poorly_sampled", "report_convergence"]

MAX_RHAT = 1.01
MIN_ESS_PER_CHAIN = 100
MIN_DRAWS = 8
# Shares of draws: up to the first, divergences are spoken of mildly; beyond the second, as of draws not to be used.
FEW_DIVERGENCES, MANY_DIVERGENCES = 0.001, 0.02
# Up to it chains agree but for what a few more draws make up for.
NEAR_RHAT = 1.02
# Beyond it chains are in different places, where more of the same draws do not help.
APART_RHAT = 1.1
# Quantiles whose effective sample size counts beside that of the bulk.
_TAIL = 0.95
# Of thousands of group effects the diagnostics take long and say what their standard deviation says.
MAX_CHECKED = 2000
# Draws that are looked at together, to bound the memory.
_AT_ONCE = 500_000
_READ_AT_ONCE = 2**25  # 256 MiB, of chunks of dask


def convergence(parameters: xr.Dataset, stats: xr.Dataset | None) -> dict[str, float | int | str]:
    """Did the chains mix? What cannot be computed is left out.

    A dict of ``divergences``, ``max_rhat``, ``worst`` (the parameter with the largest r-hat), ``min_ess`` (the
    smaller of bulk and tail) and ``least`` (the parameter that has it).

    >>> import xarray as xr
    >>> apart = np.arange(4.0)[:, None] + np.arange(200) % 7
    >>> convergence(xr.Dataset({"sigma": (("chain", "draw"), apart)}), None)["worst"]
    'sigma'
    """
    out: dict[str, float | int | str] = {}
    if stats is not None and "diverging" in stats:
        out["divergences"] = int(stats["diverging"].sum())
    if parameters.sizes["chain"] < 2 or parameters.sizes["draw"] < MIN_DRAWS:
        return out
    names: list[str] = []
    rhats, sizes = [np.empty(0)], [np.empty(0)]
    for labels, draws in _blocks(parameters):
        found = diagnostics(draws, "mode", _TAIL)
        names += labels
        rhats.append(found["r_hat"])
        sizes.append(np.fmin(found["ess_bulk"], found["ess_tail"]))
    rhat, ess = np.concatenate(rhats), np.concatenate(sizes)
    if np.isfinite(rhat).any():
        out |= {"max_rhat": float(np.nanmax(rhat)), "worst": names[int(np.nanargmax(rhat))]}
        out |= {"min_ess": float(np.nanmin(ess)), "least": names[int(np.nanargmin(ess))]}
    return out


def poorly_sampled(found: Mapping[str, np.ndarray], chains: int) -> list[str]:
    """Sentences on entries whose chains have not mixed, or whose draws are too few; the last says how to see which.

    >>> ess = np.array([900.0, 800.0])
    >>> found = {"r_hat": np.array([1.0, 1.2]), "ess_bulk": ess, "ess_tail": ess}
    >>> poorly_sampled(found, 4)[0]
    'r-hat is above 1.01 in 1 of 2 entries (1.200 at most): the chains have not mixed.'
    """
    if "r_hat" not in found:
        return []
    rhat, ess = found["r_hat"], np.fmin(found["ess_bulk"], found["ess_tail"])
    wanted, said = MIN_ESS_PER_CHAIN * chains, []
    if (rhat > MAX_RHAT).any():
        where = f"{(rhat > MAX_RHAT).sum():,} of {len(rhat):,} entries ({np.nanmax(rhat):.3f} at most)"
        said.append(f"r-hat is above {MAX_RHAT} in {where}: the chains {_agree(np.nanmax(rhat))}.")
    if (ess < wanted).any():
        where = f"{(ess < wanted).sum():,} of {len(ess):,} entries ({np.nanmin(ess):,.0f} at least)"
        said.append(f"The effective sample size is below {wanted:,} in {where}: take more draws.")
    return [*said, "bm.summary(ds, diagnostics=True) shows which."] if said else []


def _blocks(parameters: xr.Dataset) -> Iterator[tuple[list[str], np.ndarray]]:
    """Names and draws, (entry, chain, draw), of some entries after others."""
    for name, variable in parameters.data_vars.items():
        per_entry = variable.sizes["chain"] * variable.sizes["draw"]
        if variable.size > MAX_CHECKED * per_entry:
            continue
        ordered = variable.transpose("chain", "draw", ...)
        labels, step = _labels(str(name), variable), max(1, _AT_ONCE // per_entry)
        for some in _read(ordered):
            draws = np.moveaxis(some.reshape(*some.shape[:2], -1), -1, 0)
            for first in range(0, len(draws), step):
                yield labels[first : first + step], draws[first : first + step]
            labels = labels[len(draws) :]


def _read(values: xr.DataArray) -> Iterator[np.ndarray]:
    """All of what is in memory; of dask's chunks all draws of some entries after others."""
    if not chunked(values):
        yield values.to_numpy()
        return
    each = values.size // values.shape[2]
    step = max(1, _READ_AT_ONCE // each)
    for first in range(0, values.shape[2], step):
        yield values[:, :, first : first + step].to_numpy()


def _labels(name: str, variable: xr.DataArray) -> list[str]:
    dims = [d for d in variable.dims if d not in ("chain", "draw")]
    if not dims:
        return [name]
    grids = np.meshgrid(*(variable[d].to_numpy().astype(str) for d in dims), indexing="ij")
    return [f"{name}[{', '.join(c)}]" for c in zip(*(g.ravel() for g in grids), strict=True)]


def _diverged(divergences: int, draws: int, way: str) -> str:
    """A few of thousands can be chance; a share of them is a place that the sampler does not get into."""
    count = f"{'One' if divergences == 1 else f'{divergences:,}'} of {draws:,} draws diverged"
    if divergences <= FEW_DIVERGENCES * draws:
        return f"{count}. That few need not mean anything: {way} shows whether results stay the same."
    if divergences <= MANY_DIVERGENCES * draws:
        return f"{count}: parts of the posterior may not have been reached. Try {way}, or tighter priors."
    return (
        f"{count}, {divergences / draws:.0%}: the sampler does not get through this posterior, and results from these "
        f"draws may be far off. Try {way}, tighter priors, or fewer terms that vary by group."
    )


def _agree(rhat: float) -> str:
    return "nearly agree, and have not quite mixed" if rhat <= NEAR_RHAT else "have not mixed"


def _disagree(rhat: float, worst: str) -> str:
    if rhat > APART_RHAT:
        return (
            f"r-hat is {rhat:.3f} for {worst} (it should be below {MAX_RHAT}): the chains are in different places, and "
            "no number from them is one of the posterior. More draws alone will not help: tune longer (tune=), and see "
            "whether data and priors determine this parameter."
        )
    return f"r-hat is {rhat:.3f} for {worst} (it should be below {MAX_RHAT}): the chains {_agree(rhat)} yet."


def _noisy(ess: float, least: str, wanted: int) -> str:
    return (
        f"The effective sample size falls to {ess:,.0f} for {least} (at least {wanted:,} is wanted): its mean is known "
        f"to {1 / np.sqrt(ess):.2f} posterior standard deviations, limits of intervals less well."
    )


def _more(diagnostics: Mapping[str, Any], draws: int, source: str) -> str:
    """What to do where draws are too few."""
    if source:
        return "Take more draws."
    if "ess" in diagnostics:  # a fit that goes on until there are enough: it was stopped
        return f"{draws:,} draws a chain were the most that this fit could take: raise max_draws, or draws and tune."
    return "Take more draws."


def in_sentences(diagnostics: Mapping[str, Any], chains: int, draws: int, source: str = "") -> list[str]:
    """What the user should know of these draws before reading a number from them; empty where all is well.

    `diagnostics` are those of `convergence`; of a fit also ``ess``, the effective draws that it was to reach (100 a
    chain unless said otherwise), and ``target_accept``. `source` says where the chains ran, if elsewhere.
    """
    said = []
    rhat, ess = diagnostics.get("max_rhat", 1.0), diagnostics.get("min_ess", np.inf)
    wanted = diagnostics.get("ess", MIN_ESS_PER_CHAIN * chains)
    if diagnostics.get("divergences"):
        closer = 0.99 if diagnostics.get("target_accept", 0.0) >= 0.95 else 0.95
        way = "a larger target_accept (adapt_delta)" if source else f"fit(target_accept={closer})"
        said.append(_diverged(diagnostics["divergences"], chains * draws, way))
    if rhat > MAX_RHAT:
        said.append(_disagree(rhat, diagnostics["worst"]))
    if ess < wanted:
        said.append(_noisy(ess, diagnostics["least"], wanted))
    if ess < wanted or MAX_RHAT < rhat <= APART_RHAT:
        said.append(_more(diagnostics, draws, source))
    return said


def report_convergence(diagnostics: Mapping[str, Any], chains: int, draws: int, source: str = "") -> None:
    """Says `in_sentences` once, as one `BayesmarginsWarning`."""
    said = in_sentences(diagnostics, chains, draws, source)
    if said and source:
        said = [f"Imported draws ({source}):", *said, "That is done where they were made: sample again and read anew."]
    if said:
        warn(" ".join(said))
