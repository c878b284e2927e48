"""The table of a result as readers want it: few columns of text, ready for Markdown, LaTeX or HTML."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import xarray as xr

from bayesmargins.errors import ResultError, shown
from bayesmargins.habits import taught
from bayesmargins.tables import cells
from bayesmargins.tables.digits import check_digits
from bayesmargins.tables.frames import Table
from bayesmargins.tables.summarising import summary

__all__ = ["table"]


@taught
def table(
    ds: xr.Dataset | pd.DataFrame,
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
    ds : Dataset or DataFrame
        A result; or what `summary` returned, whole or rows of it, which has been asked the next five already.
    point, ci_prob, ci_kind, null, rope
        As for `summary`.
    digits : int, optional
        Decimals of all point estimates and limits. By default each row has its own: two significant digits of the width
        of its (narrowest) interval, and up to two decimals more where a limit that is not 0 would read as 0. They do not
        depend on the other rows, so that a row reads the same in every table.
    diagnostics : bool
        Adds ``ESS``, the smaller of the two effective sample sizes, and ``r-hat``.

    Returns
    -------
    DataFrame
        Text, a row for each thing that varies (the index): one column ``median [89% ETI]``, or several where several
        intervals were asked for, then ``P(> 0)``, ``P(in ROPE)`` and ``decision`` where asked. The columns' name is the
        scale. ``to_markdown()``, ``to_latex()`` and ``to_html()`` write it with its scale and estimand and need no
        other package; ``to_great_tables()`` hands it to great_tables. All take a path or file, or return text.

    Raises
    ------
    ResultError
        No result or summary of this package, or an argument that is not allowed.

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
    made = Table(cells.cells(numbers, digits, diagnostics))
    made.columns.name = numbers.columns.name
    made.attrs = {**numbers.attrs, "note": cells.note(numbers)}
    return made


def _refuse_asking_twice(asked: dict[str, object]) -> None:
    if asked:
        said = ", ".join(f"{name}={shown(value)}" for name, value in asked.items())
        raise ResultError(
            f"table was given a summary and {said}; the summary holds what was asked of it. Say it there, "
            "bm.table(bm.summary(ds, ...)), or give the result itself."
        )
