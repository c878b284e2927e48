"""Posterior predictive: draws of new observations, with the noise of the family on top of the mean."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.copies import Settings, apply_settings
from bayesmargins.errors import EstimandError, GroupsError
from bayesmargins.estimands.given import Given, checked_seed
from bayesmargins.estimands.question import Question, ask
from bayesmargins.evaluate import Evaluation, Pass
from bayesmargins.explained import QUESTION, explained
from bayesmargins.family import OF_ROWS, Outcome, Values, values_at
from bayesmargins.family.ordered import EachCategory
from bayesmargins.habits import of_each, taught
from bayesmargins.imputations import Imputed
from bayesmargins.parameters import data_columns
from bayesmargins.posterior import Posterior
from bayesmargins.provenance import Provenance, provenance_of
from bayesmargins.schema import ESTIMATE

__all__ = ["posterior_predictive"]

_TRIES = 1000


@taught
@explained(QUESTION)
@of_each
def posterior_predictive(
    post: Posterior | Imputed, newdata: Any = None, *, groups: Any = "own", random_seed: int | None = None
) -> xr.Dataset:
    """Which new observations does the model predict, one for each row and draw?

    Parameters
    ----------
    newdata : DataFrame, optional
        Rows to predict for; the fitted rows by default. The draws also join ``post.idata``: those of the fitted rows
        as the group ``posterior_predictive``, for ``az.plot_ppc`` (ArviZ 0.23) and ``az.plot_ppc_dist`` (1.x), of a
        prior ``prior_predictive``; those of other rows as ``predictions``, with ``predictions_constant_data``. These
        are of ``groups="own"``. Another policy has groups of its own (``posterior_predictive_sample``,
        ``predictions_sample``), and the attribute ``groups`` says which. Draws for named levels do not join.
    groups : str or dict
        ``"own"``, the default, ``"sample"`` (new groups: the same label, the same b), ``"zero"``, named levels,
        ``{"id": ["a", "b"]}``, or a dict with one a factor. An average over groups (``"new"``, ``"existing"``) is no
        group that an observation could come from.
    random_seed : int, optional
        The same seed gives the same draws. Another one each time by default.

    Returns
    -------
    Dataset
        ``estimate`` with dims chain, draw, one a factor with named groups, and ``row``; on the scale of the response,
        and integers where that has integers (for binomial the number of successes; for an ordered response the category
        where that is a number, else its number from 1).

    Raises
    ------
    GroupsError
        A policy that averages over groups.
    DataError, EstimandError
        As for `predictions`.

    Examples
    --------
    >>> new = posterior_predictive(post, random_seed=1)
    >>> sorted(set(new["estimate"].values.ravel().tolist()))
    [0, 1]
    """
    seed = secrets.randbits(31) if random_seed is None else checked_seed(random_seed)
    question = _asked(post, newdata, groups, seed)
    question.check_size()
    with Evaluation(replace(question, target="link"), passes=1) as evaluation:
        found = [_observed(question, evaluation, settings, seed) for settings in question.copies]
    values = question.laid_out(found)[:, 0]
    target = EachCategory() if post.family.counted else "mean"
    ds = replace(question, target=target, seed=seed).result("observations", post.as_observed(values), evaluation.passed)
    if not question.policy.named:
        _join(question, ds, newdata is None)
    return ds


def _observed(question: Question, evaluation: Evaluation, settings: Settings, seed: int) -> np.ndarray:
    """New observations of a copy: (draw, 1, [category], group x row)."""
    post, found = question.post, []
    eta = evaluation.run(Pass(settings)).values["mean"]
    fields = [name for name in (*OF_ROWS, "lb", "ub") if name in post.design.response.given]
    o = question.observing(apply_settings(question.frame, settings), fields)
    aux = {k: v[:, None] for k, v in post.draws.aux.items()} | evaluation.parameters(settings)
    for group in range(question.policy.combinations):
        rows = slice(group * len(question.frame), (group + 1) * len(question.frame))
        own = {k: v[:, rows] if v.shape[1] > 1 else v for k, v in aux.items()}
        found.append(_simulated(post, eta[:, rows], own, o, [seed, 1, group + 1]))
    return np.concatenate(found, axis=-1)[:, None]


def _asked(post: Posterior | Imputed, newdata: Any, groups: Any, seed: int) -> Question:
    given = Given(newdata, groups=groups, random_seed=seed)
    question = ask(post, given, average=False, observed="posterior_predictive")
    averaging = [f for f, p in question.policy.by_factor.items() if p in ("new", "existing")]
    if averaging:
        raise GroupsError(
            f"groups={groups!r} averages over {', '.join(averaging)}, and an observation comes from one group. Use "
            "'own' (the row's group), 'sample' (a new group) or 'zero'; predictions(..., groups='new') is the average."
        )
    post.need_parameters("posterior_predictive")
    return question


def _simulated(
    post: Posterior, eta: np.ndarray, aux: Mapping[str, np.ndarray], o: Outcome, seed: list[int]
) -> np.ndarray:
    """Draws of the family, (draw, row), or (draw, category, row) where it counts; NaN where a row has missing values.

    Each row has a stream of its own, so that its noise does not depend on which rows come after it.
    """
    simulate = post.family.need("simulate", "posterior_predictive")
    known = np.isfinite(post.link.inverse(eta))
    for given in (o.trials, o.se, o.rate, o.lb, o.ub):
        known &= True if given is None else np.isfinite(given)
    aux = {name: np.atleast_2d(values) for name, values in post.family.of_rows(aux, o).items()}
    out = np.full((len(eta), *([len(post.categories)] if post.family.counted else []), eta.shape[1]), np.nan)
    for row in np.flatnonzero(known.any(axis=0)):
        rng = np.random.default_rng([*seed, int(row)])
        own = {k: v[:, row if v.shape[1] > 1 else 0] for k, v in aux.items()}
        own = {k: np.where(known[:, row], v, 1.0) if v.ndim == 1 else v for k, v in own.items()}
        p = values_at(post.link, np.where(known[:, row], eta[:, row], 0.0), own)
        drawn = _drawn(simulate, rng, p, o.take(row))
        out[..., row] = np.where(known[:, row].reshape(-1, *[1] * (drawn.ndim - 1)), drawn, np.nan)
    return out


def _drawn(simulate: Callable[..., np.ndarray], rng: np.random.Generator, p: Values, o: Outcome) -> np.ndarray:
    """One y a draw, again where it lies outside the bounds within which it is observed."""
    drawn = np.array(simulate(rng, p, o), dtype=np.float64)
    low, high = -np.inf if o.lb is None else o.lb, np.inf if o.ub is None else o.ub
    for _ in range(_TRIES if o.bounded else 0):
        outside = (drawn < low) | (drawn > high)
        if not outside.any():
            return drawn
        drawn = np.where(outside, simulate(rng, p, o), drawn)
    if not o.bounded:
        return drawn
    raise EstimandError(
        f"posterior_predictive of a truncated response draws y until it lies between {low:g} and {high:g}, and in "
        f"{int(((drawn < low) | (drawn > high)).sum())} draws of a row it did not in {_TRIES} attempts: it is too "
        "rare there. Ask about other rows, or leave trunc() out of the model to draw y as it is."
    )


def _join(question: Question, ds: xr.Dataset, of_the_fit: bool) -> None:
    """Where ArviZ looks for them: a group for each policy, so that none overwrites another."""
    post = question.post
    policies = dict.fromkeys(p for p in question.policy.by_factor.values() if isinstance(p, str))
    own = len(policies) == 0 or list(policies) == ["own"]
    each = [re.sub(r"\W", "_", f"{f}_{p}") for f, p in question.policy.by_factor.items()]
    suffix = "" if own else f"_{'_'.join(policies if len(policies) == 1 else each)}"
    values = ds[ESTIMATE].reset_coords(drop=True).rename(row="obs").assign_attrs(ds[ESTIMATE].attrs)
    about = provenance_of(ds)
    said = Provenance(groups=about.groups, random_seed=about.random_seed, estimand=about.estimand).to_attrs()
    group = f"{post.arviz_group}_predictive" if of_the_fit else "predictions"
    post.join(group + suffix, xr.Dataset({post.response_name: values}, attrs=said))
    if not of_the_fit:
        rows = data_columns(question.frame, post.design.response.text, {"obs": values["obs"].to_numpy()})
        post.join(f"{group}{suffix}_constant_data", rows.assign_attrs(groups=said["groups"]))
