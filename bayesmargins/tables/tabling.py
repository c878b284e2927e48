"""The table of a result as readers want it: few columns of text, ready for Markdown, LaTeX or HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import xarray as xr

from bayesmargins.checks import switch
from bayesmargins.errors import ResultError, listed, shown
from bayesmargins.habits import taught
from bayesmargins.labelling import index_for_readers
from bayesmargins.tables import cells
from bayesmargins.tables.digits import check_digits
from bayesmargins.tables.draws import check_same_rows
from bayesmargins.tables.frames import Table
from bayesmargins.tables.summarising import summary
from bayesmargins.tables.unchanged import MARKS, scale_said

__all__ = ["table"]


@taught
def table(
    ds: xr.Dataset | pd.DataFrame | Mapping[str, xr.Dataset],
    point: str = "median",
    ci_prob: float | Sequence[float] | None = None,
    ci_kind: str | None = None,
    null: float | None = None,
    rope: Sequence[float] | None = None,
    digits: int | None = None,
    diagnostics: bool = False,
) -> pd.DataFrame:
    """How does a result read in a report: ``0.13 [0.06, 0.20]``, with few columns?

    Parameters
    ----------
    ds : Dataset, DataFrame, or dict of str to Dataset
        A result; or what `summary` returned, whole or rows of it, which has been asked the next five already; or
        several results of the same rows (the same values in all columns that both have), on the same scale, which are
        put side by side under their names.
    point, ci_prob, ci_kind, null, rope
        As for `summary`.
    digits : int, optional
        Decimals of all point estimates and limits. By default each row has its own: two significant digits of the width
        of its (narrowest) interval, and up to two decimals more where a limit that is not 0 would read as 0. Other rows
        do not matter, so that a row reads the same in every table.
    diagnostics : bool
        Adds ``ESS``, the smaller of the two effective sample sizes, and ``r-hat``, where a sampler made the draws.

    Returns
    -------
    DataFrame
        Text, a row for each thing that varies (the index): one column ``median [89% ETI]``, or several where several
        intervals were asked for, then ``P(> 0)``, ``P(in ROPE)`` and ``decision`` where asked. Of several results one
        column each, under its name, or several such as ``new: P(> 0)``. The columns' name is the scale.
        ``to_markdown()``, ``to_latex()`` and ``to_html()`` write it with its scale and estimand and need no other
        package; ``to_great_tables()`` hands it to great_tables. All take a path or file, or return text. Where
        numbers of a summary were changed after it was made, scale and estimand say that they are derived.

    Raises
    ------
    ResultError
        No result or summary of this package, or an argument that is not allowed; results side by side that have other
        rows or another scale.

    Warns
    -----
    BayesmarginsWarning
        As `summary`.

    Notes
    -----
    Shares of draws have the decimals that the number of draws can tell, and read ``>0.999`` or ``<0.001`` where all or
    none of the draws are counted. LaTeX needs the package booktabs.

    Examples
    --------
    >>> table(avg_comparisons(post, "trt"), ci_prob=0.95).columns.tolist()
    ['median [95% ETI]']
    >>> print(table(avg_predictions(post, groups="zero"), digits=2).to_markdown())
    |          | median [89% ETI]  |
    |:---------|------------------:|
    | estimate | ... |
    <BLANKLINE>
    Probability, posterior median and 89% equal-tailed interval. Average probability of yb, over ...
    """
    digits = check_digits(digits)
    diagnostics = switch("diagnostics", diagnostics, ResultError)
    if isinstance(ds, Mapping) and not isinstance(ds, xr.Dataset):
        results = _named(ds)
        summaries = {name: summary(result, point, ci_prob, ci_kind, null, rope) for name, result in results.items()}
        return _side_by_side(results, summaries, digits, diagnostics)
    if isinstance(ds, pd.DataFrame):
        asked = {"point": point, "ci_prob": ci_prob, "ci_kind": ci_kind, "null": null, "rope": rope}
        _refuse_asking_twice({k: v for k, v in asked.items() if v is not None and not (k == "point" and v == "median")})
        numbers = ds
    else:
        numbers = summary(ds, point, ci_prob, ci_kind, null, rope)
    if numbers.columns.name is None:
        raise ResultError(
            f"The DataFrame with the columns {shown(list(numbers.columns))} does not say its scale. Give the result "
            "itself, or what bayesmargins.summary returned, or rows of that."
        )
    return _made(cells.cells(numbers, digits, diagnostics), numbers, cells.note(numbers))


def _made(text: pd.DataFrame, numbers: pd.DataFrame, note: str) -> Table:
    made = Table(text.set_axis(index_for_readers(text.index, numbers), axis=0))
    made.columns.name = scale_said(numbers)
    made.attrs = {name: value for name, value in numbers.attrs.items() if name != MARKS} | {"note": note}
    return made


def _named(results: Mapping[Any, Any]) -> Mapping[str, xr.Dataset]:
    if not results or not all(isinstance(name, str) and name.strip() for name in results):
        raise ResultError(
            f"Results side by side are called {listed(results) or 'nothing'}; each needs a name, such as "
            "{'b = 0': ds0, 'new groups': ds1}."
        )
    return results


def _side_by_side(
    results: Mapping[str, xr.Dataset], summaries: Mapping[str, pd.DataFrame], digits: int | None, diagnostics: bool
) -> Table:
    name0, first = next(iter(summaries.items()))
    columns: dict[str, pd.Series] = {}
    for name, numbers in summaries.items():
        _check_alike(name0, first, name, numbers)
        check_same_rows(name0, results[name0], name, results[name])
        text = cells.cells(numbers.reindex(first.index), digits, diagnostics)
        columns |= {name if len(text.columns) == 1 else f"{name}: {c}": text[c] for c in text}
    said = " ".join(f"{name}: {numbers.attrs['estimand']}" for name, numbers in summaries.items())
    plain = pd.DataFrame(first)
    if len(summaries) > 1 and str(first.columns.name).startswith("derived from"):
        plain.columns.name = f"{first.columns.name} (each column in its own way)"
    of = " and ".join(dict.fromkeys(numbers.attrs["draws_of"] for numbers in summaries.values()))
    plain.attrs = {**first.attrs, "estimand": said, "draws_of": of}
    return _made(pd.DataFrame(columns, index=first.index), plain, cells.note(plain))


def _check_alike(name0: str, first: pd.DataFrame, name: str, numbers: pd.DataFrame) -> None:
    if numbers.columns.name != first.columns.name:
        raise ResultError(
            f"{name0!r} is on the scale {shown(first.columns.name)}, {name!r} on {shown(numbers.columns.name)}; "
            "side by side stand results on one scale. Make a table of each."
        )
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


def _refuse_asking_twice(asked: dict[str, object]) -> None:
    if asked:
        said = ", ".join(f"{name}={shown(value)}" for name, value in asked.items())
        raise ResultError(
            f"table was given a summary and {said}; the summary holds what was asked of it. Say it there, "
            "bm.table(bm.summary(ds, ...)), or give the result itself."
        )
