"""A question: every argument of the user's, doubted and put together; and what the result of it says."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.by_labels import Relabelled, by_columns
from bayesmargins.estimands.given import (
    Given,
    check_beside,
    checked_seed,
    columns_by_row,
    refuse_idle_factors,
    refuse_unknown_across,
    set_by_at,
    streamed,
    warn_of_zero,
    weights_of,
    with_at_columns,
)
from bayesmargins.estimands.sentence import (
    NO_GROUPS,
    Scope,
    Slope,
    compose,
    group_phrases,
    quantity,
    rows_worded,
    scale_name,
)
from bayesmargins.estimands.targets import TARGETS, answering, named_target, no_trials, read_beside, refuse_other
from bayesmargins.evaluate import Asked, Passed
from bayesmargins.family.parameter_targets import ResponseMean
from bayesmargins.family.quantity import Target
from bayesmargins.grid import Scheme, frame_of
from bayesmargins.groups import resolve_groups
from bayesmargins.imputations import Imputed
from bayesmargins.labelling import steps_worded, terms_worded
from bayesmargins.limits import options, too_large
from bayesmargins.posterior import Posterior
from bayesmargins.provenance import Provenance, make_result
from bayesmargins.schema import public_name
from bayesmargins.streams import goes_by_blocks
from bayesmargins.values import plain, plain_value
from bayesmargins.version import __version__

__all__ = ["Question", "ask"]


def ask(
    post: Posterior | Imputed, given: Given, *, average: bool, observed: str = "", streams: bool = False
) -> Question:
    """The question in full, of all rows one by one or averaged; the first thing that does not fit is refused.

    `observed` names what needs the distribution of y beside the target; `streams` says whether rows may come block by
    block, where they are averaged.
    """
    if not isinstance(post, Posterior):
        refuse_other(post)
    whole, post = post, post if given.target is None else answering(post, given.target)
    target = "mean" if whole is not post else _target(given.target, post)
    parts = read_beside(post, target, observed) if post.parts else ()
    design = post.design.beside([post.parts[name].design for name in parts]) if parts else post.design
    if given.newdata is None or not goes_by_blocks(given.newdata, post.design):
        stream, (frame, what) = None, frame_of(design, given.newdata)
    else:
        frame, what, stream = streamed(design, given, columns_by_row(post, target), average, streams)
    by, labels = by_columns(given.by, frame, what) if given.by is not None else ([], {})
    settings, derived = ({}, ()) if given.at is None else set_by_at(given, post, parts, target, design)
    if isinstance(given.groups, Mapping):
        refuse_idle_factors(given.groups, design, whole)
    policy = resolve_groups(given.groups, design, given.group_weights)
    if by or policy.named:
        check_beside(policy, by, settings, design)
    if parts:
        refuse_unknown_across(policy, post, parts, observed or f"target={target}")
    seed = secrets.randbits(31) if given.random_seed is None else checked_seed(given.random_seed)
    weights = None if given.wts is None else weights_of(given, average or bool(by), frame, what, post.design)
    if given.at is not None:
        frame = with_at_columns(frame, settings, derived, weights)
    changed = frozenset([*settings, *[s.variable for s in derived]])
    question = Question(
        post=post,
        frame=frame,
        stream=stream,
        what=what,
        at=settings,
        derived=derived,
        scheme=Scheme(average or bool(by), tuple(by), labels, weights, changed, design, what),
        total=None,
        weights="" if given.wts is None else given.wts if isinstance(given.wts, str) else "the given weights",
        policy=policy,
        target=target,
        seed=seed if policy.by_word["sample"] else None,
        whole=whole,
        parts=parts,
        design=design,
    )
    if policy.by_word["zero"] and (question.quantity is None or not question.quantity.linear):
        warn_of_zero(policy, post)
    return question


def _target(target: Any, post: Posterior) -> str | Target:
    """What is asked of y: a word of `TARGETS`, or what has no word; by the family where nothing is said."""
    family = post.family
    target = family.target if target is None else target
    if not isinstance(target, str) or target not in TARGETS or family.ordinal or family.shares is not None:
        target = named_target(target, post)
    if isinstance(target, Target):
        return target
    reads = (family.curve if family.expected is None else family.expected)(post.link).reads
    reads = (*reads, *(family.aux if family.rest is not None else ()))
    in_two = family.rest is not None and family.expected is None
    if reads and target in ("mean", "count"):
        post.need_parameters(f"target={target!r}", reads)
    if target == "mean" and (in_two or set(reads) & set(post.parts)):
        return ResponseMean(family.noun, reads)
    if target == "count" and post.design.response.trials is None:
        raise no_trials(post)
    return str(target)


@dataclass(frozen=True)
class Question(Asked):
    """A question with every argument checked: what is evaluated, and what its result is called."""

    weights: str  # name of the weights, empty without

    def _named(self, column: str) -> str:
        """A user's column in this result, where the dimension of outputs has a name that users have too."""
        return f"data_{column}" if self.outputs is not None and column == self.outputs[0] else public_name(column)

    @cached_property
    def probability(self) -> bool:
        """Whether the target has odds."""
        if isinstance(self.target, Target):
            return self.target.probability
        return self.target == "mean" and self.link.bounded

    @property
    def symbol(self) -> str:
        """What changes, in the label of a slope: ``Y``, or the parameter that is the target."""
        return self.post.family.name if self.post.is_part else "Y"

    @property
    def signed(self) -> bool:
        """Whether what is predicted may be negative."""
        return not self.probability and (self.link.linear if self.quantity is None else self.quantity.signed)

    def check_size(self, contrasts: int = 1, cells: int | None = None) -> None:
        """Refuse a result that would not fit in memory."""
        cells = self.averaging.cells.n if cells is None else cells
        values = len(self.copies) * self.policy.combinations * contrasts * cells
        values *= len(self.outputs[1]) if self.outputs else 1
        draws = len(self.post.draws.beta)
        if draws * values * 8 > options.bytes:
            raise too_large(draws, values, "Average over rows: avg_predictions and its like, or by=.")

    def result(
        self,
        kind: str,
        values: np.ndarray,
        passed: Sequence[Passed],
        *,
        contrast: Sequence[str] = (),
        term: Sequence[str] = (),
        comparison: str | None = None,
        slope: Slope | None = None,
        wrong: float | None = None,
        differences: Sequence[str] = (),
        versus: Mapping[str, str] | None = None,
    ) -> xr.Dataset:
        """The Dataset of values (draw, [contrast], [category], at..., groups..., row or cell), with its provenance.

        `wrong` is how wrong they can be, where that is not what the passes can be wrong by; `differences` are the
        contrasts that are differences, where the others are slopes.
        """
        dims: list[str] = ["contrast"] if contrast else []
        coords: dict[str, Any] = {}
        if contrast:
            coords = {"contrast": np.array(contrast, dtype=str), "term": ("contrast", np.array(term, dtype=str))}
        if self.outputs is not None:
            dims.append(self.outputs[0])
            coords[self.outputs[0]] = plain(list(self.outputs[1]))
        for name, entries in (*self.at.items(), *self.policy.named.items()):
            dims.append(self._named(name))
            coords[self._named(name)] = plain(entries)
        taken = {} if self.outputs is None else {self.outputs[0]: self._named(self.outputs[0])}
        dims += [taken.get(name, name) for name in self.averaging.dims]
        along = {taken.get(k, k): v for k, v in self.averaging.coords.items()}
        along = {k: v for k, v in along.items() if k not in coords}
        about = self._provenance(kind, passed, list(contrast), list(term), comparison, slope, wrong)
        about = replace(about, versus=versus, scales=self._scales_of(differences) if differences else None)
        return make_result(values, dims, coords | along, about, self.post.sample_coords)

    def result_along(
        self,
        kind: str,
        values: np.ndarray,
        coords: dict[str, Any],
        passed: Sequence[Passed],
        **said: Any,
    ) -> xr.Dataset:
        """The Dataset of values (draw, entry) that vary along a dimension of their own: the first of `coords`."""
        about = replace(self._provenance("predictions", passed, [], [], None, None), kind=kind, **said)
        return make_result(values, [next(iter(coords))], coords, about, self.post.sample_coords)

    def _provenance(
        self,
        kind: str,
        passed: Sequence[Passed],
        labels: list[str],
        term: list[str],
        comparison: str | None,
        slope: Slope | None,
        wrong: float | None = None,
    ) -> Provenance:
        post, whole = self.post, self.whole
        response = post.response_words
        response = f"{post.family.name} of {response}" if post.is_part and self.target == "link" else response
        noun = response
        if kind != "observations":
            noun = quantity(post.family.noun, response, self.target, post.link.name, self.scheme.average)
        slopes = [self.worded(t) for t in dict.fromkeys(term)] if kind == "slopes" else None
        said = self.contrasts_worded(term, labels, comparison) if slopes is None else slopes
        info, told = whole.info, None if slope is None else self._worded(slope)
        return Provenance(
            estimand=compose(kind, noun, self.scope(), said, comparison or "difference", told),
            noun=noun,
            reading=self._averages_survive,
            kind=kind,
            scale=scale_name(kind, self.target, post.family.noun, post.link.name, slope or comparison),
            formula=whole.formula,
            family=whole.family.name,
            link=post.link.name,
            target=str(self.target) if whole is post else post.family.name,
            parts={n: f"{p.formula}, link {p.link.name}" for n, p in whole.parts.items()} or None,
            comparison=comparison,
            slope=None if slope is None else slope.word,
            second=slope.second or None if slope is not None else None,
            groups={f: p if isinstance(p, str) else _texts(p) for f, p in self.policy.by_factor.items()},
            group_weights=self.policy.group_weights if self.policy.by_word["existing"] else None,
            rows=self.averaging.rows,
            rows_averaged=int(self.scheme.average),
            by=list(self.scheme.by) or None,
            by_labels=_as_text(self.scheme.labels) if self.scheme.labels else None,
            at=self.at or None,
            factors=self._coded if self.at or self.scheme.by else None,
            derived_columns=[s.variable for s in self.derived] or None,
            weights=self.weights or None,
            labels=self._labels if whole.design.labels else None,
            **_integration(passed, wrong),
            random_seed=self.seed,
            source=info.get("source", "draws"),
            draws=whole.kind,
            posterior=whole.fingerprint,
            divergences=info.get("divergences"),
            max_rhat=info.get("max_rhat"),
            bayesmargins_version=__version__,
        )

    def _scales_of(self, differences: Sequence[str]) -> dict[str, Any]:
        scale = scale_name("comparisons", self.target, self.post.family.noun, self.post.link.name, "difference")
        return {"along": "contrast", "of": dict.fromkeys(differences, scale)}

    @property
    def _coded(self) -> list[str] | None:
        """Dimensions and coordinates that hold numbers and are factors of the model."""
        columns = self.design.columns
        return [public_name(n) for n in (*self.at, *self.scheme.by) if n in columns and columns[n].coded] or None

    @cached_property
    def _averages_survive(self) -> str:
        """How the target goes together with averages over groups; `group_phrases` has the words."""
        if isinstance(self.target, Target):
            return self.target.reading
        if self.target == "link":
            return "linear" if self.post.link.linear and self.post.family.mean is None else "link"
        return "linear" if self.link.linear else "curved"

    def scope(self) -> Scope:
        """What its sentence says beside the quantity itself."""
        n = self.averaging.rows
        count = f"{n:,} rows" if n > 1 else "one row"
        rows = f"the {count} of {self.what}"
        frame = self.frame if self.stream is None else None
        phrases = group_phrases(self.policy, self.design, frame, self.whole.kind, self._averages_survive)
        phrases = [self.no_groups] if phrases == [NO_GROUPS] else phrases
        phrases += [self._of_part(name) for name in self.parts if self.post.family.shares is None]
        phrases += [caveat] if (caveat := self.whole.caveat) else []
        if not (self.weights or self.scheme.by or self.at or self.derived):
            return Scope(rows, self.scheme.average, phrases)
        weights = self.weights and self.worded(self.weights)
        further = rows_worded(
            {self.worded(column): self.scheme.labels.get(column, {}) for column in self.scheme.by},
            weights,
            {self.worded(name): values for name, values in self.at.items()},
            [self.worded(s.variable) for s in self.derived],
        )
        return Scope(rows, self.scheme.average, phrases, weights, further)

    def worded(self, column: str) -> str:
        """A column, or several as crossed contrasts have them, as readers know it."""
        labels = self.whole.design.labels
        return terms_worded(column, labels) if labels else column

    def contrasts_worded(self, terms: Sequence[str], labels: Sequence[str], comparison: str | None = None) -> list[str]:
        """Contrasts in a sentence, where each names its variable; how they are compared it says already."""
        words, twice = self.whole.design.labels, f"{comparison}("
        bare = [x[len(twice) : -1] if x.startswith(twice) else x for x in labels]
        said = [steps_worded(x, t, words) if words else x for t, x in zip(terms, bare, strict=True)]
        own = [terms_worded(t, words) if words else t for t in terms]
        return [s if t in x else f"{name}: {s}" for t, x, s, name in zip(terms, bare, said, own, strict=True)]

    def _worded(self, slope: Slope) -> Slope:
        variables = tuple(map(self.worded, slope.variables))
        return replace(slope, variables=variables, second=self.worded(slope.second))

    @cached_property
    def _labels(self) -> dict[str, str] | None:
        """Labels of what the result is about, by the names in it: those of a wide frame would fill an attribute."""
        response = self.post.design.response.text.strip("`")
        about = {*self.design.columns, *self.scheme.by, *self.at, self.weights, response}
        about |= {c for f in self.design.factors.values() for c in f.columns} | self.scheme.fixed
        about |= set() if self.scheme.average else set(self.frame.columns)
        return {
            self._named(column): text for column, text in self.whole.design.labels.items() if column in about
        } or None

    @property
    def no_groups(self) -> str:
        """What has none, where the numbers depend on no group effects: the model, or a part of it."""
        if self.post.is_part:
            return f"{self.post.family.name} has no groups"
        return "the mean has no groups" if any(p.design.factors for p in self.whole.parts.values()) else NO_GROUPS

    def _of_part(self, name: str) -> str:
        part = self.post.parts[name]
        return f"{name} of each row by its own linear predictor ({part.formula}, {part.link.name} link)"


def _texts(levels: Sequence[Any]) -> list[Any]:
    """Named levels for the provenance: a time or a period by its text."""
    return [v if isinstance(v, str | int | float | bool) else str(v) for v in map(plain_value, levels)]


def _as_text(labels: Relabelled) -> dict[str, dict[str, str]]:
    return {column: {str(value): label for value, label in of.items()} for column, of in labels.items()}


def _integration(passed: Sequence[Passed], wrong: float | None) -> dict[str, Any]:
    """How averages over groups were taken, and how wrong they can be: a bound, or an estimate where that is there."""
    methods = sorted({m for p in passed for m in p.methods})
    nodes = max([p.nodes for p in passed], default=0)
    estimates = [p.error_estimate for p in passed if p.error_estimate is not None]
    errors = estimates or [p.error_bound for p in passed]
    return {
        "integration_method": ", ".join(methods),
        "integration_nodes": nodes,
        "error_estimate" if estimates else "error_bound": max(errors, default=0.0) if wrong is None else wrong,
    }
