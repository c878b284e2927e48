"""Would the model have observed such rows: of the same groups, and of new ones?"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.errors import EstimandError, PosteriorError, close_matches, listed, shown
from bayesmargins.estimands.given import checked_seed
from bayesmargins.habits import ask_one, taught
from bayesmargins.posterior import Posterior
from bayesmargins.predictors import unknown_across
from bayesmargins.validation.binned_predictors import checked_by, predictors_of
from bayesmargins.validation.checked import Check
from bayesmargins.validation.findings import in_words, sentences
from bayesmargins.validation.replicates import Replicates
from bayesmargins.validation.residuals import Residuals
from bayesmargins.validation.rows_left_out import RowsLeftOut
from bayesmargins.validation.shown import Gathered, as_dataset
from bayesmargins.validation.statistics import STATISTICS, Compared, Places, Side, compared, terms_of
from bayesmargins.validation.tallies import DISTRIBUTION, far_apart, out_of_order, tallies_of
from bayesmargins.values import is_word, value_list, whole_number

__all__ = ["check"]

GROUPS = ("own", "new")


@taught
def check(
    post: Posterior,
    *,
    groups: str | Sequence[str] = GROUPS,
    by: str | Sequence[str] | None = None,
    draws: int = 2000,
    random_seed: int | None = None,
) -> Check:
    """Does the model fit? The observed rows against those that it would have observed.

    Parameters
    ----------
    post : Posterior
        Draws with their design and rows.
    groups : str or list
        ``"own"``: replicates of the same groups, with their drawn effects. ``"new"``: of new groups with the same rows,
        which is what averages over ``groups="new"`` claim to describe. Both by default.
    by : str or list, optional
        Columns of the data beside those of the formula: is y as expected at each of their values?
    draws : int
        Number of replicates; 2,000 by default. With fewer no p can be small enough for a finding.
    random_seed : int, optional
        The same seed gives the same numbers. Another one each time by default.

    Returns
    -------
    Check
        Printed it is sentences: ``findings`` says what does not fit, what that means for averages, and what to try.
        ``table`` has a row a statistic, ``dataset`` what `plot_check` draws.

    Raises
    ------
    PosteriorError
        Draws of a prior; no rows; draws of the family's parameters are missing.
    EstimandError
        An argument that is not allowed.

    Notes
    -----
    p is the share of replicates whose statistic lies as far out as the observed one (Gelman, Meng and Stern 1996),
    twice the smaller tail where both directions say something. A finding is a p of at most 0.0015: there are some
    twenty statistics, so about one of thirty checks of right models would have one. The rows have been used twice,
    for the fit and for the check, and p is larger for it. Statistics of the groups' effects are compared with
    replicates of new groups (mixed replicates; Marshall and Spiegelhalter 2003), where that does little.

    Rows that are censored or truncated have residuals only, which are normal scores at a probability drawn from those
    that are left; weights of rows are not used.

    Examples
    --------
    >>> found = bm.check(post, draws=200, random_seed=1)
    >>> found.findings
    []
    """
    _check(post)
    wanted, columns = _groups(post, groups), checked_by(post, by)
    number = whole_number("draws", draws, 2)
    seed = secrets.randbits(31) if random_seed is None else checked_seed(random_seed)
    replicates = Replicates.of(post, number, seed)
    residuals = Residuals(post.family, post.link, replicates.outcome)
    places = Places(replicates, predictors_of(replicates, columns), residuals)
    notes, possible = _possible(places, wanted)
    gathered = Gathered(tallies_of(replicates, places.predictors) if not replicates.outcome.partial else [])
    found: list[Compared] = []
    for policy in possible:
        found += _compared(places, policy, gathered)
    rows = in_words(post, places, found)
    said = sentences(post, places, found, gathered, rows, [*notes, *_left_out(post)], possible)
    return Check(_table(found), rows, said, as_dataset(places, found, gathered, seed))


def _check(post: Any) -> None:
    if not isinstance(post, Posterior):
        raise PosteriorError(f"check needs a Posterior, got {shown(post)}: {ask_one('check', post)}.")
    if post.kind == "prior":
        raise PosteriorError(
            "check holds what was observed against a posterior, and these draws have seen no data. "
            "bm.posterior_predictive(prior) draws what the prior expects."
        )
    if post.is_part:
        raise PosteriorError(f"This is the part {post.family.name!r} of a posterior: check that, as a whole.")
    if post.design.frame is None:
        raise PosteriorError(
            f"check of {shown(post.formula)} needs the fitted rows, and the posterior came without them. Give data=."
        )
    if post.family.shares is not None:
        raise PosteriorError(
            f"check of {shown(post.formula)}: its statistics are means, scatter and order of y, and categories without "
            "an order have none of these. bm.posterior_predictive(post) draws replicates, whose share of each category "
            "stands beside the observed one in az.plot_ppc; az.loo(post.idata), after post.log_likelihood(), compares "
            "models."
        )
    post.need_parameters("check")


def _groups(post: Posterior, given: Any) -> list[str]:
    words = [given] if isinstance(given, str) else value_list(given)
    if not words or not all(is_word(w, GROUPS) for w in words):
        wrong = next((w for w in words or () if not is_word(w, GROUPS)), "")
        raise EstimandError(
            f"groups={shown(given)}; allowed are 'own' (the same groups), 'new' (new ones), or both in a list."
            f"{close_matches(wrong, GROUPS)}"
        )
    return [word for word in GROUPS if word in words]


def _possible(places: Places, wanted: list[str]) -> tuple[list[str], list[str]]:
    """What cannot be asked, and which of the groups are left."""
    replicates = places.replicates
    post, notes = replicates.post, []
    if not post.design.factors and not any(p.design.factors for p in post.parts.values()):
        return ["The model has no groups."] * (wanted == ["new"]), ["own"]
    left = list(wanted)
    if "own" in left and not replicates.has_own:
        notes.append("The posterior came without draws of b: nothing is said of the same groups.")
        left.remove("own")
    if "new" in left and replicates.outcome.partial:
        notes.append("Some rows are known in part: nothing is said of new groups, nor of y itself, but of residuals.")
        left.remove("new")
    together = sorted({f for p in post.predictors.values() for f in p.design.factors if unknown_across(post, f)})
    if "new" in left and together:
        notes.append(
            f"The effects of {listed(together)} are correlated between linear predictors, and the posterior came "
            "without these correlations: nothing is said of new groups."
        )
        left.remove("new")
    return notes, left


def _left_out(post: Posterior) -> list[str]:
    o = post.design.response.beside
    return ["Weights of rows were not used: each row counts once."] if "weights" in o else []


def _compared(places: Places, policy: str, gathered: Gathered) -> list[Compared]:
    """All statistics of one kind of replicates."""
    asked = [(s, entries) for s in STATISTICS if s.groups == policy and (entries := s.entries(places))]
    observed: dict[int, list[np.ndarray]] = {k: [] for k in range(len(asked))}
    predicted: dict[int, list[np.ndarray]] = {k: [] for k in range(len(asked))}
    replicates = places.replicates
    left = RowsLeftOut.of(replicates.index, len(replicates.outcome.y))
    with np.errstate(over="ignore", invalid="ignore"):
        for block in replicates.blocks:
            seen, drawn = _sides(places, block, policy, gathered, left)
            for k, (statistic, _) in enumerate(asked):
                observed[k].append(np.broadcast_to(statistic.of(seen, places), (len(drawn.y), len(asked[k][1]))))
                predicted[k].append(statistic.of(drawn, places))
    if policy == "own":
        gathered.left = left.found()
    found = [
        compared(s.name, policy, entries, np.concatenate(observed[k]), np.concatenate(predicted[k]), s.above)
        for k, (s, entries) in enumerate(asked)
    ]
    return found + _of_tallies(places, policy, gathered)


def _sides(places: Places, block: slice, policy: str, gathered: Gathered, left: RowsLeftOut) -> tuple[Side, Side]:
    """Observed and replicated, of a block; what pictures show is gathered on the way."""
    replicates, residuals = places.replicates, places.residuals
    o, p = replicates.outcome, replicates.parameters(block, policy)
    seen = o.y[None]
    drawn = seen + np.zeros((block.stop - block.start, 1)) if o.partial else replicates.drawn(block, policy, p)
    gathered.add(policy, seen, drawn)
    if policy == "new":
        modes = [[m(residuals.measured(y)) for m in places.modes] for y in (seen, drawn)]
        gathered.add_modes(*modes)
        return Side(seen, modes=tuple(modes[0])), Side(drawn, modes=tuple(modes[1]))
    rng = replicates.rng(block, "residuals")
    r = residuals(p, seen, rng)
    again = rng.standard_normal(np.shape(p.eta)) if residuals.scores else residuals(p, drawn, rng)
    if not o.partial:
        left.add(replicates.post, block, p, o, drawn, np.random.default_rng(replicates.seed))
    weights = residuals.weights(p) / np.maximum(places.root_weights, 1e-300)
    return Side(seen, r, r * weights, p.eta), Side(drawn, again, again * weights, p.eta)


def _of_tallies(places: Places, policy: str, gathered: Gathered) -> list[Compared]:
    """The distribution, and means by predictor over new groups."""
    found: list[Compared] = []
    names: list[str] = []
    seen: list[np.ndarray] = []
    drawn: list[np.ndarray] = []
    for tally in gathered.tallies:
        values, replicated = gathered.observed(tally), gathered.predicted(tally, policy)
        pair = far_apart(tally, values, replicated)[:, None], far_apart(tally, replicated, replicated)[:, None]
        if tally.kind in ("bars", "ecdf"):
            found.append(compared("distribution", policy, [DISTRIBUTION], *pair, above=True))
        elif tally.kind == "mean":
            names, seen, drawn = [*names, tally.name], [*seen, pair[0]], [*drawn, pair[1]]
    if names and policy == "new":
        found.append(compared("averages", policy, names, np.hstack(seen), np.hstack(drawn), above=True))
    if policy == "new" and places.modes:
        pairs = [out_of_order(*gathered.modes_of(k)) for k in range(len(places.modes))]
        observed, predicted = (np.column_stack(side) for side in zip(*pairs, strict=True))
        found.append(compared("quantiles of groups", policy, terms_of(places), observed, predicted, above=True))
    return found


def _table(found: list[Compared]) -> pd.DataFrame:
    def row(c: Compared) -> Mapping[str, Any]:
        lower, middle, upper = c.expected(0.025, 0.5, 0.975)
        numbers = {"observed": c.seen, "predicted": middle, "lower": lower, "upper": upper}
        return {"statistic": c.name, "groups": c.groups, "about": c.about, **numbers, "p": c.p, "finding": c.found}

    columns = ["statistic", "groups", "about", "observed", "predicted", "lower", "upper", "p", "finding"]
    return pd.DataFrame([row(c) for c in found], columns=columns)
