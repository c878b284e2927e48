"""Hypotheses: entries of a result, or several results, held against each other within each draw."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import EstimandError, close_matches, listed, shown
from bayesmargins.habits import taught
from bayesmargins.hypothesis.entries import Entries, Made, entries_of
from bayesmargins.hypothesis.expressions import expressed
from bayesmargins.hypothesis.functions import computed
from bayesmargins.hypothesis.named import NAMED, OTHER_NAMES, check_comparison, named
from bayesmargins.hypothesis.results import scales, side_by_side
from bayesmargins.hypothesis.weighted import weighted
from bayesmargins.provenance import make_result, provenance_of
from bayesmargins.schema import IMPUTATION, SAMPLE_DIMS, are_several, check_result
from bayesmargins.tables import scale_of
from bayesmargins.values import switch, value_list

__all__ = ["hypotheses"]


@taught
def hypotheses(
    ds: xr.Dataset | Mapping[str, xr.Dataset],
    spec: Any = "pairwise",
    along: str | None = None,
    *,
    comparison: str = "difference",
    independent: bool = False,
) -> xr.Dataset:
    """How do the entries of a result differ from each other, within each draw?

    Parameters
    ----------
    ds : Dataset, or dict of str to Dataset
        What predictions, comparisons, slopes or hypotheses returned, or plain xarray arithmetic on it. Of a dict, whole
        results are compared, entry by entry and draw by draw.
    spec : str, list of str, array_like, callable or dict
        What is compared, in the order of the entries. A name: ``"pairwise"`` (later minus earlier), ``"revpairwise"``,
        ``"reference"`` (each minus the first), ``"revreference"``, ``"sequential"`` (each minus the one before),
        ``"meandev"`` (each minus the mean of all), ``"meanotherdev"`` (of the others), ``"helmert"`` (each minus the
        mean of those before it), ``"poly"`` (orthonormal polynomials). Text, or a list of texts: arithmetic on b1, b2,
        ... (the entries in order) and labels in backticks, such as ``"b2 - b1"`` or "`drug+` / `drug` = 1", where the
        right-hand side is subtracted; ``exp``, ``log``, ``sqrt`` and ``abs`` may be used, and of a dict of results
        their names. Weights, shape (k,) or (k, contrast): an array in the order of the entries, or a DataArray, Series
        or DataFrame whose labels put it in order. A function: it gets the draws as a DataArray (chain, draw, ...,
        `along`) with its labels, and gives one number a draw, or several along one more dimension. A dict names
        contrasts: label to text, weights or function.
    along : str, optional
        Dimension of the entries; where one alone has more than one entry, that one. Of averages by several columns also
        one of the columns: compared within each of the others. Entries of several dimensions as one list: give
        ``ds.stack(entry=["trt", "week"])`` in place of `ds`.
    comparison : {"difference", "ratio", "lift", "lnratio"}
        Of the two sides of a named contrast: their difference, the default, ratio, relative change or log ratio.
    independent : bool
        Of a dict: results of different fits are refused, unless this says that the fits have nothing to do with each
        other.

    Returns
    -------
    Dataset
        ``estimate`` with dims chain, draw, what else varies, and ``contrast``, whose labels read ``drug - placebo``;
        the coordinate ``term`` says what the entries are values of. If the result keeps a dimension ``contrast`` of
        its own, that is called ``contrast_1`` (the next ``contrast_2``), and its ``term`` ``term_1``.

    Raises
    ------
    ResultError
        No result of this package.
    EstimandError
        No such dimension, or several to choose from; a single entry; weights of another shape or with other labels;
        text that is no arithmetic or names no entry; a function that does not give a number for every draw; results
        with other draws or entries, or of different posteriors.

    Warns
    -----
    BayesmarginsWarning
        A ratio or its logarithm, of what is positive in some draws and not in others.

    Notes
    -----
    Everything is computed within each draw; `summary` summarises over draws, last of all. Ratios of what can be 0 or
    negative (differences, slopes, values on the link scale) may be infinite or undefined in some draws; these draws
    stay in the result and are counted by `summary`.

    ``"poly"`` takes the values of a numeric coordinate as they are spaced (0, 2, 6 are not evenly spaced), and entries
    with text as evenly spaced: R's ``contr.poly(k, scores = x)`` and ``contr.poly(k)``. ``"helmert"`` stays on the
    scale of the entries: its jth contrast is the jth column of R's ``contr.helmert`` divided by j.

    Examples
    --------
    >>> ds = avg_predictions(post, by="trt")
    >>> hypotheses(ds)["contrast"].values.tolist()
    ['drug - placebo', 'drug+ - placebo', 'drug+ - drug']
    >>> hypotheses(ds, "(b2 + b3) / 2 - b1")["estimate"].dims
    ('chain', 'draw', 'contrast')
    >>> best = hypotheses(ds, lambda e: e == e.min("trt"))  # the mean over draws: how probably each is the lowest
    >>> float(best["estimate"].mean(["chain", "draw"]).sum())
    1.0
    """
    check_comparison(comparison)
    independent = switch("independent", independent)
    if are_several(ds):
        ds = {name: check_result(of) for name, of in ds.items()}
        entries, bases = _of_results(ds, along, independent), scales(ds)
    elif independent:
        raise EstimandError("independent=True is for a dict of results of different fits; here is one result.")
    else:
        ds = check_result(ds)
        entries, bases = entries_of(ds, along), [scale_of(ds)]
    made = _made(entries, spec, comparison)
    return _result(entries, made, _scale(made.scale, bases, entries))


def _of_results(results: Mapping[str, xr.Dataset], along: Any, independent: bool) -> Entries:
    if along is not None:
        raise EstimandError(
            f"along={shown(along)} and a dict of results: the results are compared with each other, and what they vary "
            "along stays. For entries within one result, pass that result."
        )
    return side_by_side(results, independent)


def _made(entries: Entries, spec: Any, comparison: str) -> Made:
    if isinstance(spec, str) and (spec in NAMED or spec == "poly"):
        return named(entries, spec, comparison)
    if comparison != "difference":
        raise EstimandError(
            f"comparison={comparison!r} is for contrasts with a name ({', '.join(NAMED)}), and spec={shown(spec)}. "
            "Write the comparison itself: 'b2 / b1', 'log(b2 / b1)'."
        )
    if isinstance(spec, Mapping) and not isinstance(spec, xr.Dataset):
        return _labelled(entries, spec)
    return _unnamed(entries, spec)


def _unnamed(entries: Entries, spec: Any) -> Made:
    texts = [spec] if isinstance(spec, str) else value_list(spec)
    if texts and all(isinstance(t, str) for t in texts):
        for text in texts:
            _refuse_names(text, entries)
        return expressed(entries, texts)
    if callable(spec):
        return computed(entries, spec)
    if isinstance(spec, xr.Dataset) or not pd.api.types.is_list_like(spec, allow_sets=False):
        raise EstimandError(
            f"spec={shown(spec)}; it is a name ({', '.join([*NAMED, 'poly'])}), arithmetic such as 'b2 - b1', weights, "
            "a function, or a dict of label to one of the last three. Against a value: bm.summary(ds, null=...)."
        )
    return weighted(entries, spec)


def _refuse_names(text: str, entries: Entries) -> None:
    """A family of contrasts stands alone; the word of another package, or one misspelt, is answered with ours."""
    words = [*NAMED, "poly"]
    word = text.strip().lower()
    if "~" in text:
        raise EstimandError(
            f"spec={shown(text)} looks like a formula of marginaleffects. Here 'ratio ~ pairwise | trt' is "
            "spec='pairwise', comparison='ratio', and what else varies (trt) stays by itself."
        )
    if text in entries.names:
        return
    if word in words:
        raise EstimandError(f"{text!r} is a family of contrasts; it is asked for alone, spec={word!r}, and unlabelled.")
    hint = f" Here it is called {OTHER_NAMES[word]!r}." if word in OTHER_NAMES else close_matches(word, words)
    if hint and re.fullmatch("[a-z_.]+", word):
        raise EstimandError(f"spec={shown(text)} is not known; names are {', '.join(words)}.{hint}")


def _labelled(entries: Entries, spec: Mapping[str, Any]) -> Made:
    if not spec or not all(isinstance(label, str) and label for label in spec):
        raise EstimandError(f"spec={shown(spec)}; a dict gives each contrast a label: {{'label': 'b2 - b1'}}.")
    parts = {label: _unnamed(entries, spec[label]) for label in spec}
    several = [label for label, made in parts.items() if len(made.labels) != 1]
    if several:
        raise EstimandError(
            f"spec[{several[0]!r}] gives {len(parts[several[0]].labels)} contrasts; under a label stands one. Give one "
            "text, one vector of weights, or a function with one value a draw."
        )
    said = "; ".join(f"{label} = {made.spec}" for label, made in parts.items())
    return Made(
        np.concatenate([made.values for made in parts.values()]),
        tuple(parts),
        f"{said} ({entries.listing}), within each draw, from",
        "function",
        json.dumps({label: made.spec for label, made in parts.items()}),
        subtracted=tuple(label for label, made in parts.items() if made.subtracted),
    )


def _scale(done: str, bases: list[str], entries: Entries) -> str:
    if len(bases) > 1:
        return f"{done} of different scales ({listed(bases, 4)})"
    values = f"values {bases[0]}" if bases[0].startswith("derived") else bases[0]
    plain = provenance_of(entries.source).kind == "predictions" and values == bases[0]
    return f"{done} {'in' if plain and done == 'difference' else 'of'} {values}"


def _result(entries: Entries, made: Made, scale: str) -> xr.Dataset:
    source, rename = _without_contrast(entries)
    others = [rename.get(d, d) for d in entries.others]
    coords: dict[str, Any] = {
        str(n): (c.dims, c.to_numpy()) for n, c in source.coords.items() if set(c.dims) <= {*others} or n == IMPUTATION
    }
    sizes = dict(zip(SAMPLE_DIMS, made.values.shape[1:3], strict=True))
    sample = {d: source[d].to_numpy() if d in source.coords else np.arange(sizes[d]) for d in SAMPLE_DIMS}
    coords |= {"contrast": list(made.labels), "term": ("contrast", [entries.term] * len(made.labels))}
    about = replace(
        provenance_of(source),
        estimand=f"{made.said} {entries.origin}",
        noun=f"{made.scale} {_in_or_of(made)} the {entries.what}" if entries.what else scale,
        kind="hypotheses",
        scale=scale,
        scales=None,
        comparison=made.comparison,
        hypothesis=made.spec,
        along=entries.along,
        versus=dict(zip(made.labels, made.versus, strict=True)) if made.versus else None,
        nulls={"along": "contrast", "of": dict.fromkeys(made.subtracted, 0)} if made.subtracted else None,
    )
    values = np.moveaxis(made.values, 0, -1)
    return make_result(values.reshape(-1, *values.shape[2:]), [*others, "contrast"], coords, about, sample)


def _in_or_of(made: Made) -> str:
    return "in" if made.scale == "difference" else "of"


def _without_contrast(entries: Entries) -> tuple[xr.Dataset, dict[str, str]]:
    """The source without its entries; what is called as the new dimension and its coordinate gets the next number."""
    gone = [n for n, variable in entries.source.variables.items() if entries.along in variable.dims]
    source = entries.source.drop_vars(gone)
    taken = {str(n) for n in (*source.coords, *entries.others)}
    free = next(n for n in range(1, len(taken) + 2) if not {f"contrast_{n}", f"term_{n}"} & taken)
    rename: dict[str, str] = {n: f"{n}_{free}" for n in ("contrast", "term") if n in taken}
    return source.rename({n: new for n, new in rename.items() if n in source.coords or n in source.dims}), rename
