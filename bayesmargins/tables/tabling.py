"""The table of a result as readers want it: few columns of text, ready for Markdown, LaTeX or HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import pandas as pd
import xarray as xr

from bayesmargins.errors import ResultError, shown
from bayesmargins.explained import REPORT, explained
from bayesmargins.habits import taught
from bayesmargins.posterior import Posterior
from bayesmargins.schema import ASYMPTOTIC, are_several, check_result
from bayesmargins.tables import cells, notes
from bayesmargins.tables.beside import side_by_side
from bayesmargins.tables.digits import check_digits
from bayesmargins.tables.summarising import summary
from bayesmargins.tables.table_frames import made
from bayesmargins.values import switch

__all__ = ["table"]


@taught
@explained(REPORT)
def table(
    ds: xr.Dataset | Posterior | pd.DataFrame | Mapping[str, xr.Dataset],
    point: str = "median",
    ci_prob: float | Sequence[float] | None = None,
    ci_kind: str | None = None,
    null: float | Mapping[str, float] | None = None,
    rope: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    digits: int | None = None,
    diagnostics: bool = False,
) -> pd.DataFrame:
    """How does a result read in a report: ``0.13 [0.06, 0.20]``, with few columns?

    Parameters
    ----------
    ds : Dataset, Posterior, DataFrame, or dict of str to Dataset
        A result, or a posterior for its parameters; or what `summary` returned, whole or rows of it, which has been
        asked the next five already; or several results of the same rows (the same values in all columns that both
        have), which are put side by side under their names: four policies for groups, or the difference and the ratio
        of the same contrasts.
    diagnostics : bool
        Adds ``ESS``, the smaller of the two effective sample sizes, and ``r-hat``, where a sampler made the draws.
    null : float or dict of float, optional
        ...
        Of results on several scales by their names: ``null={"RD": 0, "RR": 1}``.
    rope : (float, float) or dict of these, optional
        ...
        Of results on several scales by their names: ``rope={"RD": (-0.1, 0.1)}``.

    Returns
    -------
    DataFrame
        Text, a row for each entry; the index has what varies. You get one column ``median [89% ETI]``, or several for
        several intervals, then ``P(> 0)``, ``P(in ROPE)`` and ``decision`` if you asked for them. Numbers needed to
        treat have a column ``NNT [89% ETI]``, such as ``NNTB 10 [NNTB 4.0 to ∞ to NNTH 20]`` (B for benefit, H for
        harm). If you did not say which it is, it reads ``one more in 10 [one more in 4.0 to ∞ to one fewer in 20]``.
        Several results have one column each under its name, or several such as ``new: P(> 0)``; on several scales the
        name is followed by its scale. The columns' name is the scale.

        ``to_markdown()``, ``to_latex()`` and ``to_html()`` write the table with its clause above (`describe`,
        ``short=True``) and its estimand beneath, and need no other package. ``to_great_tables()`` hands it to
        great_tables. All take a path or file, or return text. Numbers are aligned at their decimal points when the
        table is printed or written. If you changed numbers of a summary after it was made, caption and estimand say
        that they are derived.

    Raises
    ------
    ResultError
        No result or summary of this package, or an argument that is not allowed; results side by side that have other
        rows; one `null` or `rope` for several scales.

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
    Probability of yb, at b = 0 for ID
    <BLANKLINE>
    |          | median [89% ETI]  |
    |:---------|------------------:|
    | estimate | ... |
    <BLANKLINE>
    Posterior median and 89% equal-tailed interval. Average probability of yb, over ...
    """
    digits = check_digits(digits)
    diagnostics = switch("diagnostics", diagnostics, ResultError)
    if are_several(ds):
        results = {name: check_result(of) for name, of in ds.items()}
        return side_by_side(results, point, ci_prob, ci_kind, null, rope, digits, diagnostics)
    if isinstance(ds, pd.DataFrame):
        asked = {"point": point, "ci_prob": ci_prob, "ci_kind": ci_kind, "null": null, "rope": rope}
        _refuse_asking_twice({k: v for k, v in asked.items() if v is not None and not (k == "point" and v == "median")})
        numbers = ds
    else:
        of = cast("xr.Dataset | Posterior", ds)
        numbers = summary(of, point, ci_prob, ci_kind, null, rope, diagnostics)  # type: ignore[arg-type]
    if numbers.columns.name is None:
        raise ResultError(
            f"The DataFrame with the columns {shown(list(numbers.columns))} does not say its scale. Give the result "
            "itself, or what bayesmargins.summary returned, or rows of that."
        )
    if diagnostics and "r_hat" not in numbers and numbers.attrs.get("draws_of") != ASYMPTOTIC:
        raise ResultError(
            "diagnostics=True, and the summary has no columns ess_bulk, ess_tail and r_hat: make it with "
            "bm.summary(ds, diagnostics=True), or give the result itself."
        )
    return made(cells.cells(numbers, digits, diagnostics), numbers, notes.caption(numbers), notes.note(numbers))


def _refuse_asking_twice(asked: dict[str, object]) -> None:
    if asked:
        said = ", ".join(f"{name}={shown(value)}" for name, value in asked.items())
        raise ResultError(
            f"table was given a summary and {said}; the summary holds what was asked of it. Say it there, "
            "bm.table(bm.summary(ds, ...)), or give the result itself."
        )
