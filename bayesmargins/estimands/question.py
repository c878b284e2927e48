"""What every question shares: rows, averages, policy, target; its evaluation over scenarios; its provenance."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.counterfactuals import Setting, Settings, at_settings
from bayesmargins.errors import DataError, EstimandError, PosteriorError, close_matches, shown, warn
from bayesmargins.estimands.sentence import Scope, compose, group_phrases, quantity, scale_name
from bayesmargins.grid import Averaging, aligned_weights, averaging, frame_of
from bayesmargins.groups import Policy, resolve_groups
from bayesmargins.links import LINKS, Link
from bayesmargins.posterior import Posterior
from bayesmargins.predictor import Passed, check_size
from bayesmargins.schema import make_result, plain, public_name
from bayesmargins.values import is_word, plain_value, value_list
from bayesmargins.version import __version__

__all__ = ["Question", "Scenario", "ask", "checked_seed"]

TARGETS = ("mean", "link", "count")


@dataclass(frozen=True)
class Scenario:
    """One combination of `at` values and named groups."""

    settings: Settings
    policy: Policy


@dataclass(frozen=True)
class Question:
    """A question with every argument checked.

    Attributes
    ----------
    post : Posterior
    frame : DataFrame
        Rows the question is about.
    what : str
        How messages call them.
    at : dict
        Values by variable.
    averaging : Averaging
        How rows become the last dimension.
    by : tuple of str
    weights : str
        Name of the weights, empty without.
    policy : Policy
        What is done with b.
    target : {"mean", "link", "count"}
    seed : int or None
        Of ``"sample"``.
    """

    post: Posterior
    frame: pd.DataFrame
    what: str
    at: dict[str, list[Any]]
    averaging: Averaging
    by: tuple[str, ...]
    weights: str
    policy: Policy
    target: str
    seed: int | None

    @property
    def link(self) -> Link:
        """Link between the linear predictor and the target."""
        return LINKS["identity"] if self.target == "link" else self.post.link

    @property
    def averaged(self) -> bool:
        """Whether rows are averaged."""
        return not self.averaging.cells.unit

    @property
    def scenarios(self) -> int:
        """How many combinations of `at` values and named groups there are."""
        return math.prod(len(v) for v in (*self.at.values(), *self.policy.named.values()))

    def over_scenarios(self, value: Callable[[Scenario], np.ndarray]) -> np.ndarray:
        """Values (draw, k, at..., named groups..., [row or cell]) of a function giving (draw, k, cell) a scenario."""
        names = list(self.at)
        named = self.policy.named
        found = []
        for values in product(*self.at.values()):
            settings = tuple(Setting(n, v) for n, v in zip(names, values, strict=True))
            for levels in product(*named.values()):
                policy = replace(
                    self.policy, by_factor=self.policy.by_factor | {f: (v,) for f, v in zip(named, levels, strict=True)}
                )
                found.append(value(Scenario(settings, policy)))
        shape = (*(len(v) for v in self.at.values()), *(len(v) for v in named.values()))
        stacked = found[0][:, :, None] if len(found) == 1 else np.stack(found, axis=2)
        stacked = stacked.reshape(*stacked.shape[:2], *shape, stacked.shape[-1])
        return stacked if self.averaging.dims else stacked[..., 0]

    def multiplier(self, frame: pd.DataFrame) -> np.ndarray | None:
        """Trials of every row where the target counts."""
        return self.trials(frame) if self.target == "count" else None

    def trials(self, frame: pd.DataFrame) -> np.ndarray:
        """Trials of every row: whole numbers; a missing one stops an average."""
        n = self.post.design.trials(frame, self.what)
        missing = np.isnan(n)
        bad = ~missing & ~((n >= 0) & np.isfinite(n) & (n == np.floor(n)))
        if bad.any():
            raise DataError(f"{int(bad.sum())} rows of {self.what} have impossible trials, such as {n[bad][0]:g}.")
        if missing.any() and self.averaged:
            raise DataError(
                f"{int(missing.sum())} of {len(n)} rows of {self.what} have missing trials. Fill or drop them."
            )
        return n

    def check_size(self, contrasts: int = 1) -> None:
        """Refuse a result that would not fit in memory."""
        values = self.scenarios * contrasts * self.averaging.cells.n
        check_size(len(self.post.draws.beta), values, "Average over rows: avg_predictions and its like, or by=.")

    def result(
        self,
        kind: str,
        values: np.ndarray,
        passed: Sequence[Passed],
        *,
        contrast: Sequence[str] = (),
        term: Sequence[str] = (),
        comparison: str | None = None,
    ) -> xr.Dataset:
        """The Dataset of these values, (draw, [contrast], at..., named groups..., row or cell), with its provenance."""
        dims: list[str] = ["contrast"] if contrast else []
        coords: dict[str, Any] = {}
        if contrast:
            coords = {"contrast": plain(contrast), "term": ("contrast", plain(term))}
        for name, entries in (*self.at.items(), *self.policy.named.items()):
            dims.append(public_name(name))
            coords[public_name(name)] = plain(entries)
        dims += self.averaging.dims
        along = {k: v for k, v in self.averaging.coords.items() if k not in coords}
        attrs = self._attrs(kind, passed, list(contrast), list(term), comparison)
        return make_result(values, dims, coords | along, attrs, self.post.sample_coords)

    def result_along(
        self,
        kind: str,
        values: np.ndarray,
        coords: dict[str, Any],
        passed: Sequence[Passed],
        sentence: Callable[[Scope], str],
        **attrs: Any,
    ) -> xr.Dataset:
        """The Dataset of values (draw, entry) that vary along a dimension of their own: the first of `coords`."""
        more = {"kind": kind, "estimand": sentence(self._scope()), **attrs}
        return make_result(
            values,
            [next(iter(coords))],
            coords,
            self._attrs("predictions", passed, [], [], None) | more,
            self.post.sample_coords,
        )

    def _attrs(
        self, kind: str, passed: Sequence[Passed], labels: list[str], term: list[str], comparison: str | None
    ) -> dict[str, Any]:
        post = self.post
        response = post.design.response.text
        noun = quantity(post.family.noun, response, self.target, post.link.name) if kind != "observations" else response
        named = [x if t in x else f"{t}: {x}" for t, x in zip(term, labels, strict=True)]
        said = list(dict.fromkeys(term)) if kind == "slopes" else named
        info = post.info
        return {
            "estimand": compose(kind, noun, self._scope(), said, comparison or "difference"),
            "kind": kind,
            "scale": scale_name(kind, self.target, post.family.noun, post.link.name, comparison),
            "formula": post.formula,
            "family": post.family.name,
            "link": post.link.name,
            "target": self.target,
            "comparison": comparison,
            "groups": json.dumps({f: p if isinstance(p, str) else _texts(p) for f, p in self.policy.by_factor.items()}),
            "group_weights": self.policy.group_weights if self.policy.factors("existing") else None,
            "rows": len(self.frame),
            "rows_averaged": int(self.averaged),
            "by": json.dumps(list(self.by)) if self.by else None,
            "at": json.dumps(self.at) if self.at else None,
            "weights": self.weights or None,
            "integration_method": ", ".join(sorted({m for p in passed for m in p.methods})),
            "integration_nodes": max((p.nodes for p in passed), default=0),
            "error_bound": max((p.error_bound for p in passed), default=0.0),
            "random_seed": self.seed,
            "source": info.get("source", "draws"),
            "draws": post.kind,
            "divergences": info.get("divergences"),
            "max_rhat": info.get("max_rhat"),
            "bayesmargins_version": __version__,
        }

    @property
    def _averages_survive(self) -> str:
        """How the target goes together with averages over groups: ``"link"``, ``"linear"`` or ``"curved"``."""
        if self.post.link.name == "identity":
            return "linear"
        return "link" if self.target == "link" else "curved"

    def _scope(self) -> Scope:
        count = f"{len(self.frame):,} rows" if len(self.frame) > 1 else "one row"
        rows = f"the {count} of {self.what}"
        of_prior = ["under the prior, before any data"] if self.post.kind == "prior" else []
        phrases = group_phrases(self.policy, self.post.design, self.frame, self.post.kind, self._averages_survive)
        phrases += of_prior
        return Scope(rows, self.averaged, self.by, self.weights, self.at, phrases)


def ask(
    post: Posterior,
    newdata: Any,
    *,
    average: bool,
    at: Mapping[str, Any] | None,
    by: str | Sequence[str] | None,
    groups: Any,
    group_weights: str,
    target: str,
    wts: Any,
    random_seed: int | None,
) -> Question:
    """Is this question well posed, and what does it ask in full?

    Parameters
    ----------
    post : Posterior
    average : bool
        Whether all rows are averaged.
    newdata, at, by, groups, group_weights, target, wts, random_seed
        As the user gave them; `predictions` documents them.

    Returns
    -------
    Question

    Raises
    ------
    PosteriorError, EstimandError, GroupsError, DataError
        The first thing that does not fit, with what is allowed.
    """
    if not isinstance(post, Posterior):
        raise PosteriorError(
            f"The first argument is {type(post).__name__}; a Posterior is needed: what GLMM(...).fit() or "
            "from_draws(...) returned."
        )
    _check_target(target, post)
    by = _columns(by)
    frame, what = frame_of(post.design, newdata)
    settings = at_settings(at, post.design, post.design.response.trials_variables if target == "count" else ())
    policy = resolve_groups(groups, post.design, group_weights)
    _check_named(policy, by, settings)
    _warn_of_groups_without_their_b(policy, by, post)
    random_seed = secrets.randbits(31) if random_seed is None else checked_seed(random_seed)
    return Question(
        post=post,
        frame=_with_at_columns(frame, settings),
        what=what,
        at=settings,
        averaging=averaging(
            frame, post.design, average=average, by=by, wts=aligned_weights(wts, newdata), at=settings, what=what
        ),
        by=tuple(by),
        weights="" if wts is None else wts if isinstance(wts, str) else "the given weights",
        policy=policy,
        target=target,
        seed=random_seed if policy.factors("sample") else None,
    )


def checked_seed(seed: Any) -> int:
    """A seed as a Python integer.

    Raises
    ------
    EstimandError
        It is no whole number from 0.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise EstimandError(f"random_seed={shown(seed)}; it must be a whole number from 0, or None.")
    return int(seed)


def _texts(levels: Sequence[Any]) -> list[Any]:
    """Named levels for the provenance: a time or a period by its text."""
    return [v if isinstance(v, str | int | float | bool) else str(v) for v in map(plain_value, levels)]


def _columns(by: Any) -> list[str]:
    names = [by] if isinstance(by, str) else [] if by is None else value_list(by)
    if names is None or not all(isinstance(n, str) for n in names) or len(set(names)) < len(names):
        raise EstimandError(
            f"by={shown(by)}; it must be the name of a column, or a list of different names, such as ['trt', 'week']."
        )
    return names


def _check_named(policy: Policy, by: Sequence[str], at: Mapping[str, Any]) -> None:
    others = {public_name(n) for n in (*by, *at)}
    twice = [f for f in policy.named if public_name(f) in others]
    if twice:
        raise EstimandError(
            f"groups names levels of {twice[0]!r}, and by or at names it too: the dimension would be there twice. "
            f"groups='own' with by={twice[0]!r} averages each group's own rows; named groups alone average all rows."
        )


def _warn_of_groups_without_their_b(policy: Policy, by: Sequence[str], post: Posterior) -> None:
    for name, factor in post.design.factors.items():
        if policy.by_factor[name] in ("new", "zero") and set(factor.columns) <= set(by):
            warn(
                f"by={list(by)} averages the rows of each {name}, and groups={policy.by_factor[name]!r} uses the b of "
                f"none of them: the results differ by covariates only. groups='own' gives each {name} its own b."
            )


def _with_at_columns(frame: pd.DataFrame, at: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """`at` may stand in for a column that newdata lacks."""
    return frame.assign(**{n: v[0] for n, v in at.items() if n not in frame.columns})


def _check_target(target: str, post: Posterior) -> None:
    if not is_word(target, TARGETS):
        word = {"response": "mean", "prob": "mean", "probability": "mean", "linear": "link"}.get(str(target).lower())
        hint = f" Here it is called {word!r}." if word else close_matches(target, TARGETS)
        raise EstimandError(f"target={shown(target)}; allowed are {', '.join(TARGETS)}.{hint}")
    if target == "count" and post.design.response.trials is None:
        raise EstimandError(
            f"target='count' multiplies a probability by trials, and {post.formula!r} has none; use target='mean', "
            "which for counts is the expected count."
        )
