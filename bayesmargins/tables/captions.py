"""What a result is in a few words, for captions: ``risk difference for bad, drug - placebo, over new groups``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from bayesmargins.labelling import joined, named, names_of, steps_worded, terms_worded
from bayesmargins.provenance import Provenance, provenance_of, selected
from bayesmargins.schema import ASYMPTOTIC, ESTIMATE, SAMPLE_DIMS, public_name

__all__ = ["clause_parts", "what_of"]

_FEW = 3  # labels that are written out
_SIDES = (
    "difference",
    "ratio",
    "nnt",
    "nnt_benefit",
    "nnt_harm",
)  # whose labels read as what is done: "drug - placebo"
_STRUCTURE = re.compile(r"row|groups|statistic|result|(contrast|term)(_\d+)?")
"""Dimensions and coordinates that are no columns of data: the entries along them say themselves what they are."""
_ALONE = ("parameters", "partition", "coefficients")  # kinds of result that vary over nothing else

_IN_THE_FIELD: Mapping[str, Mapping[str, str]] = {
    "probability": {
        "difference": "risk difference for",
        "ratio": "risk ratio for",
        "lnratio": "log risk ratio for",
        "or": "odds ratio for",
        "lnor": "log odds ratio for",
        **dict.fromkeys(("nnt", "nnt_benefit", "nnt_harm"), "number needed to treat for"),
    },
    "expected value": {"difference": "mean difference in", "ratio": "ratio of means of"},
}
_COMPARED = {
    "difference": "difference in the",
    "ratio": "ratio of the",
    "lift": "relative change in the",
    "lnratio": "log ratio of the",
    "or": "odds ratio of the",
    "lnor": "log odds ratio of the",
    **dict.fromkeys(("nnt", "nnt_benefit", "nnt_harm"), "number needed to treat by the"),
}
_SLOPES = {"eyex": "elasticity", "eydx": "relative slope"}
_GROUPS = {
    "new": "averaged over new groups of",
    "existing": "averaged over the fitted groups of",
    "own": "with each row's own",
    "zero": "at b = 0 for",
    "sample": "in drawn groups of",
}
_SIDE_BY_SIDE = {"own": "own", "existing": "fitted", "new": "new"}
_CAVEATS = {"prior": "under the prior", ASYMPTOTIC: "draws that are no posterior"}


def clause_parts(ds: xr.Dataset) -> tuple[str, ...]:
    """The quantity, then what is said of its contrasts, its columns, its weights, its groups and its draws.

    >>> clause_parts(avg_predictions(post, by="trt"))
    ('probability of yb', 'by trt', 'averaged over new groups of ID')
    """
    about = provenance_of(ds)
    contrasts = "" if about.kind == "slopes" and not _between_levels(ds) else _contrasts(ds)
    weights = f"weighted by {about.weights}" if about.weights else ""
    one = [str(v) for n, v in selected(ds).items() if n == "statistic"]
    return tuple(filter(None, [
        what_of(ds), *one, contrasts, *_columns(ds), weights, _groups(ds), _CAVEATS.get(about.draws or "", "")
    ]))  # fmt: skip


def what_of(ds: xr.Dataset) -> str:
    """The quantity, compared or differentiated: ``risk difference for bad``, in the words of the field if it has some.

    >>> what_of(avg_slopes(post, "week", slope="eyex"))
    'elasticity of the probability of yb with respect to week'
    """
    about = provenance_of(ds)
    if about.kind in _ALONE:
        return _of_the_model(ds, about)
    noun = (about.noun or "").removesuffix(" taken row by row")
    if not noun:  # of a file that an earlier version wrote
        return about.scale or ESTIMATE
    if about.kind == "observations":
        return f"new observations of {noun}"
    what = noun
    if about.slope:
        what = _sloped(ds, about, noun)
    elif about.comparison and about.kind != "hypotheses":
        what = _compared(about.comparison, about.target, noun)
    return f"{what} within a group" if about.kind == "heterogeneity" else what


def _of_the_model(ds: xr.Dataset, about: Provenance) -> str:
    """Parameters, coefficients and shares of variance."""
    formula = about.formula or ""
    response = named(ds, formula.partition("~")[0].partition("|")[0].strip())
    if about.kind == "parameters":
        return f"parameters of {formula}"
    if about.kind == "coefficients":
        return f"{about.scale} for {response}"
    return f"{about.scale} of {response}"


def _compared(comparison: str, target: str | None, noun: str) -> str:
    mean, _, response = noun.partition(" of ")
    words = _IN_THE_FIELD.get(mean, {}) if target == "mean" else {}
    if comparison in words:
        return f"{words[comparison]} {response}"
    return f"{_COMPARED.get(comparison, f'{comparison}(high, low) of the')} {noun}"


def _sloped(ds: xr.Dataset, about: Provenance, noun: str) -> str:
    variables = _variables(ds)
    if _between_levels(ds):
        return f"difference in the slope of the {noun} with respect to {variables} between levels of {_second(ds)}"
    if about.second:
        then = "" if variables == _second(ds) else f" and then {_second(ds)}"
        return f"second derivative of the {noun} with respect to {variables}{then}"
    if about.scales:  # factors have none: their differences stand beside the slopes of numbers
        return f"slope of, or difference in, the {noun} for {variables}"
    change = "per relative change in" if about.slope == "dyex" else "with respect to"
    return f"{_SLOPES.get(str(about.slope), 'slope')} of the {noun} {change} {variables}"


def _second(ds: xr.Dataset) -> str:
    return named(ds, provenance_of(ds).second or "")


def _between_levels(ds: xr.Dataset) -> bool:
    """Whether slopes are compared between levels of what they change with: ``dY/dx: b - a``."""
    if provenance_of(ds).second is None or "contrast" not in ds.coords:
        return False
    return any(": " in str(label) for label in np.atleast_1d(ds["contrast"].to_numpy()))


def _variables(ds: xr.Dataset) -> str:
    """Of contrasts and slopes; without what the slopes change with."""
    terms = [str(term) for term in np.atleast_1d(ds["term"].to_numpy())] if "term" in ds.coords else []
    first = [term.removesuffix(f", {provenance_of(ds).second}") for term in terms]
    return _listed([terms_worded(term, names_of(ds)) for term in dict.fromkeys(first)], "variables")


def _contrasts(ds: xr.Dataset) -> str:
    """Labels, without what the quantity says already: ``drug - placebo``; of many how many, and of what."""
    if not {"contrast", "term"} <= set(ds.coords):
        return ""
    about, labels = provenance_of(ds), names_of(ds)
    comparison = re.escape(about.comparison or "")
    terms, contrasts = ([str(v) for v in np.atleast_1d(ds[name].to_numpy())] for name in ("term", "contrast"))
    plain = [re.sub(rf"^(?:{comparison}\((.*)\)|d\w+/d.*: (.*))$", lambda m: m[1] or m[2], x) for x in contrasts]
    if about.comparison not in _SIDES:
        plain = [(about.versus or {}).get(label, bare) for label, bare in zip(contrasts, plain, strict=True)]
    said = dict.fromkeys(steps_worded(x, t, labels) for x, t in zip(plain, terms, strict=True) if x != "function")
    return _listed(list(said), f"contrasts of {_variables(ds)}")


def _listed(items: Sequence[str], many: str) -> str:
    """``a, b and c``; of more than that how many of what."""
    return joined(items or [""]) if len(items) <= _FEW else f"{len(items)} {many}"


def _columns(ds: xr.Dataset) -> list[str]:
    """The columns along which entries vary, and the values of those that have one: ``by trt``, ``at week = 6``."""
    about, array = provenance_of(ds), ds[ESTIMATE]
    if about.kind in _ALONE:
        return []
    said = (*SAMPLE_DIMS, *map(public_name, _named_levels(about)))
    dims = [str(d) for d in array.dims if d not in said and not _STRUCTURE.fullmatch(str(d))]
    names = {c: array.sizes[d] for d in dims for c in (_of_combinations(about) if d == "by" else [d])}
    several = [c for c, size in names.items() if size > 1 or c not in ds.coords]
    one = {c: ds[c].to_numpy().flat[0] for c in names if c not in several}
    one |= {n: v for n, v in selected(ds).items() if not _STRUCTURE.fullmatch(n)}
    at = [f"{named(ds, n)} = {f'{v:.12g}' if isinstance(v, float) else v}" for n, v in one.items()]
    return [
        "row by row" if array.sizes.get("row", 0) > 1 else "",
        f"by {_listed([named(ds, c) for c in several], 'columns')}" if several else "",
        f"at {_listed(at, 'values')}" if at else "",
    ]


def _of_combinations(about: Provenance) -> list[str]:
    return [public_name(c) for c in about.by or ()] or ["by"]


def _named_levels(about: Provenance) -> dict[str, Sequence[object]]:
    """Factors with named levels, which results have a dimension of."""
    policies = {} if about.kind == "attenuation" else about.groups or {}
    return {factor: levels for factor, levels in policies.items() if not isinstance(levels, str)}


def _groups(ds: xr.Dataset) -> str:
    """What is done with b of every factor; empty where there are no groups."""
    about = provenance_of(ds)
    if about.kind == "attenuation" and "groups" in ds.coords:
        return _side_by_side(np.atleast_1d(ds["groups"].to_numpy()).tolist(), _factors(ds, about.groups or {}))
    by_word: dict[str, list[str]] = {}
    for factor, policy in (about.groups or {}).items():
        if isinstance(policy, str) and factor != about.over:
            by_word.setdefault(policy, []).append(factor)
    marginal = about.reading == "marginal" or about.kind == "partition"
    said = [f"its distribution over new groups of {named(ds, about.over)}"] if about.over else []
    for word, factors in by_word.items():
        phrase = _GROUPS[word].removeprefix("averaged ") if marginal else _GROUPS[word]
        said.append(f"{phrase} {_factors(ds, factors)}")
    return ", ".join([*said, *(_few(levels, named(ds, f)) for f, levels in _named_levels(about).items())])


def _side_by_side(labels: Sequence[str], factors: str) -> str:
    """``at b = 0, and over fitted and new groups of ID``; differences and ratios alone by their labels."""
    over = [_SIDE_BY_SIDE[label] for label in labels if label in _SIDE_BY_SIDE]
    if not over and "zero" not in labels:
        return f"{_listed(labels, 'ways')} over groups of {factors}"
    said = [f"at b = 0 for {factors}" if not over else "at b = 0"] if "zero" in labels else []
    return ", and ".join([*said, *([f"over {joined(over)} groups of {factors}"] if over else [])])


def _factors(ds: xr.Dataset, factors: Sequence[str] | Mapping[str, object]) -> str:
    return " and ".join(named(ds, factor) for factor in factors)


def _few(levels: Sequence[object], factor: str) -> str:
    return f"in {_listed([str(level) for level in levels], 'named groups')} of {factor}"
