"""What a result is in a few words, for captions: the estimand as a clause, with the entries that are there now."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import xarray as xr

from bayesmargins.labelling import joined, named, names_of, steps_worded, terms_worded
from bayesmargins.provenance import provenance_of
from bayesmargins.schema import ASYMPTOTIC, ESTIMATE, SAMPLE_DIMS, public_name, selected

__all__ = ["clause_parts"]

_FEW = 3  # labels that are written out
_STRUCTURE = re.compile(r"row|groups|statistic|result|(contrast|term)(_\d+)?")
"""Dimensions and coordinates that are no columns of data: the entries along them say themselves what they are."""
_ALONE = ("parameters", "partition", "coefficients")  # kinds of result that vary over nothing else
_CAVEATS = {"prior": "under the prior", ASYMPTOTIC: "draws that are no posterior"}


def clause_parts(ds: xr.Dataset) -> tuple[str, ...]:
    """The quantity, then what is said of its entries, its rows and its groups; empty where that is not known.

    Examples
    --------
    >>> clause_parts(avg_predictions(post, by="trt"))
    ('probability of yb', 'by trt', 'averaged over new groups of ID')
    """
    about = provenance_of(ds)
    if about.clause is None:
        return ()
    what, entries, over = (about.clause.get(part, "") for part in ("what", "entries", "over"))
    what = f"{what} {entries} {_variables(ds)}" if entries and entries != "contrast" else what
    said = [
        _contrasts(ds) if entries == "contrast" else "",
        *_columns(ds),
        f"weighted by {about.weights}" if about.weights else "",
        over,
    ]
    return tuple(filter(None, [what, *said, _CAVEATS.get(about.draws or "", "")]))


def _variables(ds: xr.Dataset) -> str:
    terms = [str(term) for term in np.atleast_1d(ds["term"].to_numpy())] if "term" in ds.coords else []
    return _listed([terms_worded(term, names_of(ds)) for term in dict.fromkeys(terms)], "variables")


def _contrasts(ds: xr.Dataset) -> str:
    """Labels, without what the quantity says already: ``drug - placebo``; of many how many, and of what."""
    if not {"contrast", "term"} <= set(ds.coords):
        return ""
    labels, comparison = names_of(ds), re.escape(provenance_of(ds).comparison or "")
    terms, contrasts = ([str(v) for v in np.atleast_1d(ds[name].to_numpy())] for name in ("term", "contrast"))
    plain = [re.sub(rf"^(?:{comparison}\((.*)\)|d\w+/d.*: (.*))$", lambda m: m[1] or m[2], x) for x in contrasts]
    said = dict.fromkeys(steps_worded(x, t, labels) for x, t in zip(plain, terms, strict=True))
    return _listed(list(said), f"contrasts of {_variables(ds)}")


def _listed(items: Sequence[str], many: str) -> str:
    """``a, b and c``; of more than that how many of what."""
    return joined(items or [""]) if len(items) <= _FEW else f"{len(items)} {many}"


def _columns(ds: xr.Dataset) -> list[str]:
    """The columns along which entries vary, and the values of those that have one: ``by trt``, ``at week = 6``."""
    about, array = provenance_of(ds), ds[ESTIMATE]
    if about.kind in _ALONE:
        return []
    named_groups = {public_name(f) for f, policy in (about.groups or {}).items() if not isinstance(policy, str)}
    said = named_groups if about.kind != "attenuation" else set()
    dims = [str(d) for d in array.dims if d not in (*SAMPLE_DIMS, *said) and not _STRUCTURE.fullmatch(str(d))]
    one = {d: ds[d].to_numpy()[0] for d in dims if d in ds.coords and array.sizes[d] == 1}
    one |= {n: v for n, v in selected(ds).items() if not _STRUCTURE.fullmatch(n)}
    several = [c for d in dims if d not in one for c in (_of_combinations(ds) if d == "by" else [d])]
    at = [f"{named(ds, n)} = {f'{v:.12g}' if isinstance(v, float) else v}" for n, v in one.items()]
    return [
        "row by row" if array.sizes.get("row", 0) > 1 else "",
        f"by {_listed([named(ds, c) for c in several], 'columns')}" if several else "",
        f"at {_listed(at, 'values')}" if at else "",
    ]


def _of_combinations(ds: xr.Dataset) -> list[str]:
    return [public_name(c) for c in provenance_of(ds).by or ()] or ["by"]
