"""Posterior predictive: draws of new observations, with the noise of the family on top of the mean."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.errors import GroupsError
from bayesmargins.estimands.question import Question, Scenario, ask, checked_seed
from bayesmargins.posterior import Posterior
from bayesmargins.predictor import Passed, predict
from bayesmargins.schema import ESTIMATE
from bayesmargins.stacks import add_group

__all__ = ["posterior_predictive"]


def posterior_predictive(
    post: Posterior, newdata: Any = None, *, groups: Any = "own", random_seed: int | None = None
) -> xr.Dataset:
    """Which new observations does the model predict, one for each row and draw?

    Parameters
    ----------
    post : Posterior
        Draws with their design.
    newdata : DataFrame, optional
        Rows to predict for; the fitted rows by default, and then the draws also join ``post.idata`` as the group
        ``posterior_predictive``, for ``az.plot_ppc`` (ArviZ 0.23) and ``az.plot_ppc_dist`` (1.x).
    groups : str or dict
        ``"own"``, ``"sample"`` (new groups: the same label, the same b), ``"zero"`` or named levels. An average over
        groups (``"new"``, ``"existing"``) is no group that an observation could come from.
    random_seed : int, optional
        Same seed, same draws.

    Returns
    -------
    Dataset
        ``estimate`` with dims chain, draw, one a factor with named groups, and ``row``; on the scale of the response
        (for binomial the number of successes).

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
    [0.0, 1.0]
    """
    seed = secrets.randbits(31) if random_seed is None else checked_seed(random_seed)
    question = ask(
        post,
        newdata,
        average=False,
        at=None,
        by=None,
        groups=groups,
        group_weights="equal",
        target="mean",
        wts=None,
        random_seed=seed,
    )
    averaging = [f for f, p in question.policy.by_factor.items() if p in ("new", "existing")]
    if averaging:
        raise GroupsError(
            f"groups={groups!r} averages over {', '.join(averaging)}, and an observation comes from one group. Use "
            "'own' (the row's group), 'sample' (a new group) or 'zero'; predictions(..., groups='new') is the average."
        )
    post.need_parameters("posterior_predictive")
    question.check_size()
    rng = np.random.default_rng([seed, 1])
    passes: list[Passed] = []

    def observations(scenario: Scenario) -> np.ndarray:
        frame, rows, plan = question.prepare(scenario)
        passes.append(predict(post.draws, question.link, rows, plan, question.averaging.cells))
        trials = None if post.design.response.trials is None else question.trials(frame)
        return _simulated(post, passes[-1].values["mean"], trials, rng)[:, None]

    ds = question.result("observations", question.over_scenarios(observations)[:, 0], passes)
    ds.attrs["random_seed"] = seed
    if newdata is None and not question.policy.named:
        add_group(post.idata, "posterior_predictive", _for_arviz(question, ds))
    return ds


def _simulated(post: Posterior, mu: np.ndarray, trials: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Draws of the family; NaN where a row has missing values."""
    aux = {k: v[:, None] for k, v in post.draws.aux.items()}
    known = np.isfinite(mu) if trials is None else np.isfinite(mu) & np.isfinite(trials)
    trials = None if trials is None else np.nan_to_num(trials, nan=1.0)
    drawn = post.family.simulate(rng, np.where(known, mu, 0.5), aux, trials)
    return np.where(known, drawn, np.nan)


def _for_arviz(question: Question, ds: xr.Dataset) -> xr.Dataset:
    values = ds[ESTIMATE].rename(row="obs").reset_coords(drop=True)
    return xr.Dataset({question.post.response_name: values})
