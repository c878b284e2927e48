"""Several results of the same rows as columns of one table, each on its own scale."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import ResultError, listed, shown
from bayesmargins.labelling import joined
from bayesmargins.provenance import Provenance, provenance_of
from bayesmargins.schema import check_result
from bayesmargins.tables import cells, notes
from bayesmargins.tables.describing import SEVERAL, scale_of
from bayesmargins.tables.summarising import summary
from bayesmargins.tables.table_frames import Table, made
from bayesmargins.tables.tidy_draws import check_same_rows

__all__ = ["side_by_side"]

# Where the sentence of an estimand goes on with its rows, or with what is done with groups.
_CLAUSE = re.compile(r"(?= between counterfactual copies of )|(?=, over the )|(?=; )")
_OWN = {"null": "0 for a difference, 1 for a ratio", "rope": "a region is in the units of its scale"}


def side_by_side(
    results: Mapping[Any, Any],
    point: Any,
    ci_prob: Any,
    ci_kind: Any,
    null: Any,
    rope: Any,
    digits: int | None,
    diagnostics: bool,
) -> Table:
    """The table of results under their names; the arguments are those of `table`."""
    _check_names(results)
    scales = {name: scale_of(check_result(ds)) for name, ds in results.items()}
    nulls, ropes = _each("null", null, scales), _each("rope", rope, scales)
    alike = _under_the_same_labels(results)
    summaries = {
        name: summary(ds, point, ci_prob, ci_kind, nulls[name], ropes[name], diagnostics) for name, ds in alike.items()
    }
    name0, first = next(iter(summaries.items()))
    for name, numbers in summaries.items():
        _check_index(name0, first, name, numbers)
        check_same_rows(name0, alike[name0], name, alike[name])
    columns = _columns(summaries, first.index, digits, diagnostics)
    plain = pd.DataFrame(first)
    plain.attrs = Provenance(labels=provenance_of(first).labels).to_attrs()
    plain.columns.name = _scale(list(scales.values()))
    return made(pd.DataFrame(columns, index=first.index), plain, _caption(summaries), _note(summaries))


def _check_names(results: Mapping[Any, Any]) -> None:
    if not results or not all(isinstance(name, str) and name.strip() for name in results):
        raise ResultError(
            f"Results side by side are called {listed(results) or 'nothing'}; each needs a name, such as "
            "{'b = 0': ds0, 'new groups': ds1}."
        )


def _each(argument: str, value: Any, scales: Mapping[str, str]) -> dict[str, Any]:
    """What was asked of every result: by its name, or of all alike where they are on one scale."""
    if isinstance(value, Mapping):
        unknown = [name for name in value if name not in scales]
        if unknown:
            raise ResultError(
                f"{argument}={shown(dict(value))} names {listed(unknown)}; the results are called {listed(scales)}."
            )
        return {name: value.get(name) for name in scales}
    if value is not None and len(set(scales.values())) > 1:
        said = ", ".join(f"{shown(name)}: {scale}" for name, scale in scales.items())
        raise ResultError(
            f"{argument}={shown(value)} for results on several scales ({said}). Say it of each by its name, as "
            f"{argument}={{{', '.join(f'{shown(name)}: ...' for name in scales)}}}: {_OWN[argument]}."
        )
    return dict.fromkeys(scales, value)


def _under_the_same_labels(results: Mapping[str, xr.Dataset]) -> Mapping[str, xr.Dataset]:
    """``drug - placebo`` beside ``drug / placebo``: both are drug vs placebo."""
    labels = {name: tuple(ds["contrast"].to_numpy()) for name, ds in results.items() if "contrast" in ds.dims}
    if len(labels) < len(results) or len({frozenset(of) for of in labels.values()}) == 1:
        return results
    versus = {name: (provenance_of(ds).versus or {}) for name, ds in results.items()}
    named = {name: [versus[name].get(str(label)) for label in of] for name, of in labels.items()}
    if any(None in of or len(set(of)) < len(of) for of in named.values()):
        return results
    return {name: ds.assign_coords(contrast=("contrast", np.array(named[name]))) for name, ds in results.items()}


def _check_index(name0: str, first: pd.DataFrame, name: str, numbers: pd.DataFrame) -> None:
    if (
        numbers.index.names != first.index.names
        or set(numbers.index) != set(first.index)
        or numbers.index.has_duplicates
    ):
        raise ResultError(
            f"{name0!r} has the rows {listed(first.index, 6)} of {listed(first.index.names)}, {name!r} "
            f"{listed(numbers.index, 6)} of {listed(numbers.index.names)}; side by side stand results with the same "
            "rows. Select those that both have, or make a table of each."
        )


def _columns(
    summaries: Mapping[str, pd.DataFrame], index: pd.Index, digits: int | None, diagnostics: bool
) -> dict[str, pd.Series]:
    nouns = {name: _noun(numbers) for name, numbers in summaries.items()}
    several, columns = len(set(nouns.values())) > 1, {}
    for name, numbers in summaries.items():
        text = cells.cells(numbers.reindex(index), digits, diagnostics)
        header = f"{name} ({nouns[name]})" if several else name
        first, *others = text
        columns[header if " [" in first else f"{header}: {first}"] = text[first]  # the note says what it holds
        columns |= {f"{name}: {c}": text[c] for c in others}
    return columns


def _noun(numbers: pd.DataFrame) -> str:
    return str(numbers.attrs.get("noun", numbers.columns.name))


def _scale(scales: list[str]) -> str:
    if len(set(scales)) > 1:
        return SEVERAL
    derived = len(scales) > 1 and scales[0].startswith("derived from")
    return f"{scales[0]} (each column in its own way)" if derived else scales[0]


def _caption(summaries: Mapping[str, pd.DataFrame]) -> str:
    """What the results are, and what is said of all of them."""
    clauses = [tuple(numbers.attrs.get("clause", (_noun(numbers),))) for numbers in summaries.values()]
    whats = list(dict.fromkeys(what for what, *_ in clauses))
    what = _together(whats) if len(whats) > 1 else _scale(whats * len(summaries))
    shared = [part for part in clauses[0][1:] if all(part in of[1:] for of in clauses)]
    return notes.capital(", ".join([what, *shared]))


def _together(whats: list[str]) -> str:
    """``risk difference and risk ratio for bad``."""
    heads, _, tails = zip(*(what.rpartition(" for ") for what in whats), strict=True)
    return f"{joined(heads)} for {tails[0]}" if all(heads) and len(set(tails)) == 1 else joined(whats)


def _note(summaries: Mapping[str, pd.DataFrame]) -> str:
    """What is said of all columns, then of each; what several share is said once."""
    legends = {name: " ".join(notes.legend(numbers)) for name, numbers in summaries.items()}
    estimands = {name: str(numbers.attrs["estimand"]) for name, numbers in summaries.items()}
    poor = [name for name, numbers in summaries.items() if notes.poor(numbers)]
    said = [_by_name(legends, " "), _sentences(estimands)]
    if poor:
        said.append(
            f"Of {joined(poor)}, chains have not mixed or draws are too few in some entries: "
            "bm.summary(ds, diagnostics=True) shows which."
        )
    return " ".join(said)


def _by_name(texts: Mapping[str, str], between: str) -> str:
    """Each text behind the names that it is said of, once; without names where it is the same of all."""
    names: dict[str, list[str]] = {}
    for name, text in texts.items():
        names.setdefault(text, []).append(name)
    return between.join(f"{joined(of)}: {text}" if len(names) > 1 else text for text, of in names.items())


def _sentences(estimands: Mapping[str, str]) -> str:
    """The estimands as one text: clauses that all share at their beginning or end are said once."""
    clauses = [_CLAUSE.split(text.removesuffix(".")) for text in estimands.values()]
    first, *others = clauses
    lead = _alike(clauses)
    trail = _alike([of[:lead:-1] for of in clauses]) if others else 0
    middles = {
        name: "".join(of[lead : len(of) - trail]).lstrip(" ,;") for name, of in zip(estimands, clauses, strict=True)
    }
    if lead == len(first) or not lead + trail or not all(middles.values()):
        return _by_name(estimands, " ")
    end = "".join(first[len(first) - trail :])
    if lead:
        return f"{''.join(first[:lead])}; {_by_name(middles, '; ')}{end}."
    return f"{_by_name(middles, '. ')}. Each {end.lstrip(' ,;')}."


def _alike(clauses: list[list[str]]) -> int:
    """How many clauses at the beginning are the same in all."""
    same = [len(set(of)) == 1 for of in zip(*clauses, strict=False)]
    return same.index(False) if False in same else len(same)
