"""What `gr()` says of the groups of a block, beside their names: whose covariance differs, and by what."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bayesmargins.design.pieces import split, whole_call
from bayesmargins.errors import FormulaError, listed

__all__ = ["Structure", "quoted", "structure_of"]

_TRUE, _FALSE = ("TRUE", "T", "True"), ("FALSE", "F", "False")
_COLUMN = re.compile(r"[^\W\d][\w.]*|`[^`]+`")


@dataclass(frozen=True)
class Structure:
    """How the groups of a factor differ from independent normal ones with one covariance; by default in nothing.

    Attributes
    ----------
    by : str
        Column whose levels have a covariance each.
    student : bool
        Whether effects are Student-t in place of normal.
    cov : str
        Name of the matrix that says how groups are related.
    """

    by: str = ""
    student: bool = False
    cov: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that z reads because of it."""
        return (self.by,) if self.by else ()

    def written(self, factor: str) -> str:
        """The factor with it, as a formula says it."""
        said = [f"by = {quoted(self.by)}"] if self.by else []
        said += ['dist = "student"'] if self.student else []
        said += [f"cov = {self.cov}"] if self.cov else []
        return f"gr({', '.join([factor, *said])})" if said else factor


def quoted(name: str) -> str:
    """A column as a formula names it."""
    return name if re.fullmatch(r"[^\W\d][\w.]*", name) else f"`{name}`"


def structure_of(text: str, formula: str) -> tuple[str, bool, Structure]:
    """What stands behind the bar of a block: the grouping factor, whether ``cor = FALSE``, and the structure.

    Raises
    ------
    FormulaError
        Something in ``gr()`` that is not read.

    Examples
    --------
    >>> structure_of("gr(g, by = trt)", "")
    ('g', False, Structure(by='trt', student=False, cov=''))
    """
    inside = whole_call(text, "gr")
    if inside is None:
        return text, False, Structure()
    first, *arguments = [a.strip() for a in split(inside, ",")]
    said = {name.strip(): value.strip() for name, _, value in (a.partition("=") for a in arguments)}
    correlated = said.pop("cor", "TRUE")
    by, dist = said.pop("by", "NULL"), said.pop("dist", "gaussian").strip("\"'")
    said.pop("id", None)  # correlates blocks of several parameters, which from_brms reads off the draws
    cov = said.pop("cov", "NULL")
    odd = [f"{name} = {value}" for name, value in said.items()]
    odd += [] if dist in ("gaussian", "student") else [f"dist = {dist}"]
    odd += [f"cor = {correlated}"] if correlated not in _TRUE + _FALSE else []
    if odd or not first:
        raise FormulaError(
            f"{text} in {formula!r} has {listed(odd) or 'no grouping factor'}, which is not read. gr(g, by = trt) has "
            "a covariance for each level of trt, gr(g, cor = FALSE) independent effects, gr(g, dist = 'student') "
            "Student-t ones, gr(g, cov = A) groups that are related as the matrix A says."
        )
    if by != "NULL" and not _COLUMN.fullmatch(by):
        raise FormulaError(
            f"{text} in {formula!r} has by = {by}, and by names a column of the data. Make the column, and name it."
        )
    if cov != "NULL" and (not re.fullmatch(r"[^\W\d]\w*", cov) or by != "NULL" or dist == "student"):
        raise FormulaError(
            f"{text} in {formula!r} has cov = {cov}: cov names a matrix, namespace={{'A': frame}}, and stands without by "
            "and dist."
        )
    return first, correlated in _FALSE, Structure(by=_unless_null(by).strip("`"), student=dist == "student", cov=_unless_null(cov))


def _unless_null(text: str) -> str:
    return "" if text == "NULL" else text
