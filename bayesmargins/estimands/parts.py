"""Parameters with a linear predictor of their own beside the mean: what can be asked of both, and their rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design import Rows, require_columns
from bayesmargins.errors import EstimandError, GroupsError, listed, warn, written
from bayesmargins.groups import GroupPlan, Policy, plan_groups
from bayesmargins.posterior import Posterior
from bayesmargins.predictor import PartRows, linear_blocks
from bayesmargins.predictors import acting, joint_covariance, unknown_across
from bayesmargins.values import is_word

__all__ = ["OfParameter", "across_of", "check_known", "part_rows", "part_variables", "refuse_unread"]


class OfParameter:
    """How often does a parameter that is the target have values that it cannot have, as under an identity link?

    Parameters
    ----------
    post : Posterior
        Answers the question: the part, where the target is a parameter; nothing is counted for any other.
    """

    def __init__(self, post: Posterior) -> None:
        self.post = post
        self._counts = post.is_part and post.link.linear and post.family.parameters[0].between[0] == 0.0
        self._pairs, self._impossible, self._least = 0, 0, 0.0

    def count(self, rows: Rows, plan: GroupPlan) -> None:
        """Look at the parameter in these rows, at b = 0 of every factor that is averaged over.

        Parameters
        ----------
        rows : Rows
            Design rows.
        plan : GroupPlan
            What is done with b of them.
        """
        if self._counts:
            for values in linear_blocks(self.post.draws, rows, plan):
                bad = values <= 0.0
                self._pairs += int(np.isfinite(values).sum())
                self._impossible += int(bad.sum())
                self._least = min(self._least, float(values[bad].min(initial=0.0)))

    def warn_if_impossible(self) -> None:
        """Say what was counted.

        Warns
        -----
        BayesmarginsWarning
            Where there was any.
        """
        if self._impossible:
            warn(
                f"{self.post.family.name!r} has the identity link and is not above 0 in {self._impossible:,} of "
                f"{self._pairs:,} pairs of a draw and a row, down to {self._least:.4g}: y has no distribution there, "
                "and these numbers count as they are. Ask about rows nearer to those of the fit; a log link keeps it "
                "above 0."
            )


def check_known(policy: Policy, post: Posterior, parts: tuple[str, ...], what: str) -> None:
    """Refuse new groups whose effects on several of these linear predictors are correlated nobody knows how."""
    designs = {name: p.design for name, p in post.predictors.items() if name == post.first or name in parts}
    new = [f for word in ("new", "sample") for f in policy.factors(word)]
    unknown = [f for f in new if parts and len(acting(designs, f)) > 1 and unknown_across(post, f)]
    if unknown:
        word, both = policy.by_factor[unknown[0]], listed(acting(designs, unknown[0]))
        raise GroupsError(
            f"{what} depends on {both} at once, and groups={word!r} is about new groups of {listed(unknown)}, whose "
            "effects on these are correlated with those of another linear predictor: these correlations were not given "
            "with the draws. Ask for 'own', 'existing', named levels or 'zero', or read the draws again with them."
        )


def across_of(post: Posterior, parts: tuple[str, ...], policy: Policy) -> dict[str, np.ndarray]:
    """Covariances (sample, term, term) over the linear predictors that are read, of factors that are integrated.

    Only where effects on several of them are correlated; terms are those of the mean, then of the parts in order.
    """
    designs = {name: post.predictors[name].design for name in (post.first, *parts)}
    found = {}
    for factor in policy.factors("new"):
        names = list(acting(designs, factor))
        if factor in post.across and len(names) > 1:
            found[factor] = joint_covariance(post, factor, names)
    return found


def refuse_unread(what: str, names: Any, post: Posterior, parts: tuple[str, ...], target: Any) -> None:
    """Refuse columns that the formulas of other parameters read, and nothing that the target depends on."""
    designs = [post.design, *(post.parts[name].design for name in parts)]
    for name in names if isinstance(names, Mapping | list | tuple) else [names]:
        readers = [part for part, of in post.parts.items() if is_word(name, of.design.columns)]
        if readers and not any(is_word(name, d.columns) for d in designs):
            raise EstimandError(
                f"{what} names {name!r}, which {post.parts[readers[0]].formula!r} reads, and target={written(target)} "
                f"does not depend on {listed(readers)}: nothing would change with it. target={readers[0]!r} does, and "
                "so do numbers of the distribution of y, such as target=bm.sd()."
            )


def part_variables(post: Posterior, parts: tuple[str, ...], policy: Policy) -> set[str]:
    """Which columns do these parameters read?"""
    designs = [post.parts[name].design for name in parts]
    return set().union(*(design.variables(policy.of(design.factors).active) for design in designs))


def part_rows(
    post: Posterior, parts: tuple[str, ...], policy: Policy, frame: pd.DataFrame, seed: int | None, what: str
) -> tuple[PartRows, ...]:
    """What do the linear predictors of these parameters need of these rows?

    Parameters
    ----------
    post : Posterior
        Has the parts.
    parts : tuple of str
        Parameters.
    policy : Policy
        Of every factor.
    frame : DataFrame
        Rows.
    seed : int, optional
        Of ``"sample"``.
    what : str
        How messages call the frame.

    Returns
    -------
    tuple of PartRows

    Raises
    ------
    DataError, GroupsError, PosteriorError
        As for the mean.
    """
    found = []
    for name in parts:
        part = post.parts[name]
        active = policy.of(part.design.factors).active
        require_columns(frame, sorted(part.design.variables(active)), what, repr(part.formula))
        rows = part.design.rows(frame, active, what)
        plan = plan_groups(policy, part, frame, seed, what, post, (post.first, *parts))
        found.append(PartRows(post.family.parameter(name), part.draws, part.link, rows, plan))
    return tuple(found)
