"""Parameters with a linear predictor of their own beside the mean: what can be asked of both, and their rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayesmargins.design import Rows, require_columns
from bayesmargins.errors import GroupsError, listed, warn
from bayesmargins.groups import GroupPlan, Policy, plan_groups
from bayesmargins.posterior import Posterior
from bayesmargins.predictor import PartRows, linear_blocks

__all__ = ["OfParameter", "check_parts", "part_rows", "part_variables"]


class OfParameter:
    """How often does a parameter that is the target have values that it cannot have, as under an identity link?

    Parameters
    ----------
    post : Posterior
        Answers the question: the part, where the target is a parameter; nothing is counted for any other.
    """

    def __init__(self, post: Posterior) -> None:
        self.post = post
        self._counts = post.is_part and post.link.linear
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


def check_parts(policy: Policy, post: Posterior, parts: tuple[str, ...], what: str) -> None:
    """Can the mean and these parameters together be had under this policy?

    Parameters
    ----------
    policy : Policy
        Of every factor of the mean and of the parts.
    post : Posterior
        Has the parts.
    parts : tuple of str
        Parameters that the numbers depend on.
    what : str
        What is asked, for the message.

    Raises
    ------
    GroupsError
        An average over groups whose effects are in such a parameter, or new groups whose effects in several linear
        predictors are correlated.
    """
    for name in parts:
        part = post.parts[name]
        averaged = [f for f in part.design.factors if policy.by_factor[f] in ("new", "existing")]
        if averaged:
            raise GroupsError(
                f"{what} depends on the mean and on {name!r} at once, and groups={policy.by_factor[averaged[0]]!r} "
                f"averages over {listed(averaged)}, whose effects are in {part.formula!r}: that average is an integral "
                "with a dimension for each linear predictor, and is not there. It can be asked where b is given: "
                f"groups={{{averaged[0]!r}: 'own'}}, a list of levels, 'sample' or 'zero'. target='mean' and "
                f"target={name!r} are averaged over groups, each on its own."
            )
        together = [f for f in part.info.get("correlated", ()) if policy.by_factor.get(f) == "sample"]
        if together:
            raise GroupsError(
                f"{what} depends on the mean and on {name!r} at once, and groups='sample' draws new groups of "
                f"{listed(together)}, whose effects in {part.formula!r} are correlated with those of another linear "
                "predictor: these correlations are not kept. Ask for 'own', named levels or 'zero'."
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
        Of every factor; averages over groups of the parts have been refused.
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
        plan = plan_groups(policy, part, frame, seed, what)
        found.append(PartRows(post.family.parameter(name), part.draws, part.link, rows, plan))
    return tuple(found)
