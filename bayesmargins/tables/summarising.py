"""The table of a result: draws are summarised here, last of all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.convergence import poorly_sampled
from bayesmargins.diagnostics import diagnostics as diagnostics_of
from bayesmargins.diagnostics import diagnostics_of_mixture
from bayesmargins.errors import ResultError, warn
from bayesmargins.explained import REPORT, explained
from bayesmargins.habits import taught
from bayesmargins.imputations import Imputed
from bayesmargins.labelling import LABELS
from bayesmargins.limits import in_threads
from bayesmargins.posterior import Posterior
from bayesmargins.provenance import provenance_of
from bayesmargins.schema import ASYMPTOTIC, IMPUTATION, check_result
from bayesmargins.tables import arguments, estimates
from bayesmargins.tables.arguments import Asked
from bayesmargins.tables.describing import clause_of, describe, scale_of
from bayesmargins.tables.needed import columns_of_needed, event_of
from bayesmargins.tables.notes import noun_of
from bayesmargins.tables.posteriors import parameters_of
from bayesmargins.tables.table_frames import Summary
from bayesmargins.tables.tidy_draws import draws_of, index_of, scale_level
from bayesmargins.tables.unchanged import marks
from bayesmargins.values import switch

__all__ = ["summary"]

DIAGNOSTICS = ("sd", "ess_bulk", "ess_tail", "r_hat", "mcse")
_BLOCK = 2**18  # draws that are summarised together: about 2 MB, and some ten arrays of that size beside them


@taught
@explained(REPORT)
def summary(
    ds: xr.Dataset | Posterior | Imputed,
    point: str = "median",
    ci_prob: float | Sequence[float] | None = None,
    ci_kind: str | None = None,
    null: float | None = None,
    rope: Sequence[float] | None = None,
    diagnostics: bool = False,
    *,
    exponentiate: bool = False,
) -> pd.DataFrame:
    """What do the draws say, in one table?

    Parameters
    ----------
    ds : Dataset or Posterior
        What predictions, comparisons or slopes returned, or plain xarray arithmetic on it. Of a posterior its
        parameters: coefficients, standard deviations and correlations of group effects, and those of the family.
    exponentiate : bool
        Of a posterior: exp() of its coefficients, such as odds ratios (logit) or ratios of means (log) within a group.

    Returns
    -------
    DataFrame
        A row for each entry; the index has what varies. Rows of a grid are named by up to four columns that vary in
        it, and by their number too if these do not tell them apart. Rows of more columns, and rows with the observed
        response, are named by their number. If entries are on different scales (a ratio beside differences), the index
        has a level ``scale``.

        Columns are the point estimate, the intervals (``eti89_lb``, ``eti89_ub``), and what you asked for. For a
        comparison ``"nnt"`` these are of the difference, and the number needed to treat and its interval stand beside
        them as text, ``nnt`` and ``nnt_eti89``. ``"nnt_benefit"`` and ``"nnt_harm"`` add ``p_harm``, the posterior
        probability of the harmful sign: of fewer events if one more is a benefit, of more if it is a harm. Draws that
        are not finite are left out and counted in ``n_not_finite``.

        Several imputations (`from_imputations`) add ``imputation_share``, the share of the variance of the draws that
        lies between imputations. Chains are judged within each: r-hat is the largest of theirs, and effective sample
        sizes add up.

        The columns' name is the scale, or "several scales"; ``attrs["estimand"]`` is the sentence of `describe`.
        Printed whole, the table stands under a caption and above its sentence, and each column has one number of
        decimals (`table` has the rule). If chains have not mixed, or draws are too few, that is said there too.
        ``to_markdown()``, ``to_latex()`` and ``to_html()`` write what `table` makes of it.

    Raises
    ------
    ResultError
        No result of this package, or an argument that is not allowed.

    Warns
    -----
    BayesmarginsWarning
        Draws that are not finite; the mean over draws where it may not exist.

    Notes
    -----
    The rule of ``decision`` is that of Kruschke (2018), "Rejecting or accepting parameter values in Bayesian
    estimation", Advances in Methods and Practices in Psychological Science 1(2), 270-280. Diagnostics are those of
    Vehtari et al. (2021), as in ArviZ.

    Examples
    --------
    >>> summary(post, exponentiate=True).index[1]
    ('exp(beta)', 'trt[drug]')
    >>> effect = avg_comparisons(post, "trt")
    >>> summary(effect, null=0).columns[:4].tolist()
    ['median', 'eti89_lb', 'eti89_ub', 'p_gt_0']
    >>> summary(effect, ci_prob=[0.5, 0.95], rope=(-0.05, 0.05)).columns[1:].tolist()
    ['eti50_lb', 'eti50_ub', 'eti95_lb', 'eti95_ub', 'p_rope', 'p_rope_hdi95', 'decision']
    >>> summary(effect, diagnostics=True).columns.tolist()
    ['median', 'sd', 'eti89_lb', 'eti89_ub', 'ess_bulk', 'ess_tail', 'r_hat', 'mcse']
    """
    diagnostics = switch("diagnostics", diagnostics, ResultError)
    ds = _of_posterior(ds, exponentiate)
    asked = arguments.read(ds, point, ci_prob, ci_kind, null, rope)
    draws, dims = draws_of(ds)
    of = provenance_of(ds).draws or "posterior"
    event = event_of(ds)
    columns = _columns(draws, asked, of != ASYMPTOTIC, event, _imputations(ds))
    poor = poorly_sampled(columns, len(draws))
    frame = Summary({n: v for n, v in columns.items() if diagnostics or n not in DIAGNOSTICS}, index=index_of(ds, dims))
    if asked.null is not None:
        held = arguments.held_against(ds, dims, asked.null)
        for name in (f"p_gt_{asked.null:g}", "pd"):
            frame[name] = np.where(held, frame[name], np.nan)
    frame.columns.name = scale_of(ds)
    frame.attrs["estimand"] = describe(ds)
    frame.attrs["draws"] = draws.shape[0] * draws.shape[1]
    frame.attrs["draws_of"] = of
    frame.attrs |= {LABELS: ds.attrs[LABELS]} if LABELS in ds.attrs else {}
    more = {"noun": noun_of(ds), "clause": clause_of(ds), "scale_level": scale_level(ds, dims)}
    frame.attrs |= {name: value for name, value in (more | {"event": event, "poor": poor}).items() if value}
    if asked.rope is not None:
        frame.attrs["rope"] = asked.rope
    frame.attrs |= marks(frame)
    return frame


def _imputations(ds: xr.Dataset) -> np.ndarray | None:
    """The imputation that each chain is of, where there are several."""
    known = ds.coords.get(IMPUTATION)
    return known.to_numpy() if known is not None and known.dims == ("chain",) else None


def _of_posterior(given: xr.Dataset | Posterior | Imputed, exponentiate: bool) -> xr.Dataset:
    """The result, or the parameters of a posterior as one."""
    exponentiate = switch("exponentiate", exponentiate, ResultError)
    if isinstance(given, Imputed):
        return given.ask_each(parameters_of, exponentiate)
    if isinstance(given, Posterior):
        return parameters_of(given, exponentiate)
    if exponentiate:
        raise ResultError("exponentiate=True is for summary(post). Of a result take numpy.exp(ds), or ask for a ratio.")
    return check_result(given)


def _columns(
    draws: np.ndarray, asked: Asked, sampled: bool, event: str, imputations: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Columns of the table, from (chain, draw, entry): blocks of entries on threads."""
    n_draws, n_entries = draws.shape[0] * draws.shape[1], draws.shape[2]
    size = max(1, _BLOCK // n_draws)
    blocks: list[dict[str, np.ndarray]] = [{}] * -(-n_entries // size)

    def run(first: int, last: int) -> None:
        for k in range(first, last):
            block = np.ascontiguousarray(draws[..., k * size : (k + 1) * size].transpose(2, 0, 1))
            blocks[k] = _block(block, asked, sampled, event, imputations)

    run(0, 1)  # imports are done on one thread
    in_threads(lambda first, last: run(first + 1, last + 1), len(blocks) - 1)
    table = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    missing = table.pop("n_not_finite")
    if missing.any():
        table["n_not_finite"] = missing
        _warn_not_finite(int(missing.sum()), draws.size)
    return table


def _block(
    draws: np.ndarray, asked: Asked, sampled: bool, event: str, imputations: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Columns of some entries, from (entry, chain, draw); of draws that no sampler made nothing is diagnosed."""
    values = draws.reshape(len(draws), -1)
    table = {asked.point: estimates.points(values, asked.point), "sd": estimates.spread(values)}
    intervals = [arguments.interval_name(prob, asked.kind) for prob in asked.probs]
    for name, prob in zip(intervals, asked.probs, strict=True):
        table[f"{name}_lb"], table[f"{name}_ub"] = estimates.limits(values, prob, asked.kind)
    table |= columns_of_needed(table, asked.point, intervals, event) if event else {}
    table |= estimates.harm(values, event) if event in ("benefit", "harm") else {}
    table |= estimates.probabilities(values, asked.null, asked.rope)
    if asked.rope is not None:
        table |= estimates.equivalence(values, asked.rope, asked.rope_prob)
    if imputations is not None:
        table["imputation_share"] = estimates.between_share(draws, imputations)
    if sampled and imputations is not None:
        table |= diagnostics_of_mixture(draws, imputations, asked.point)
    elif sampled:
        table |= diagnostics_of(draws, asked.point)
    return table | {"n_not_finite": (~np.isfinite(values)).sum(axis=1)}


def _warn_not_finite(count: int, total: int) -> None:
    warn(
        f"{count:,} of {total:,} draws are not finite (an overflow, a ratio or logarithm of 0, or rows with missing "
        "values). They are left out of the point estimate and the interval, and counted in n_not_finite."
    )
