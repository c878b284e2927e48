"""What `gr()` says of the groups of a block, beside their names: whose covariance differs, and by what."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from bayesmargins.design.pieces import split, whole_call
from bayesmargins.errors import FormulaError, listed

__all__ = ["Structure", "quoted", "structure_of"]

_TRUE, _FALSE = ("TRUE", "T", "True"), ("FALSE", "F", "False")
_COLUMN = re.compile(r"[^\W\d][\w.]*|`[^`]+`")


@dataclass(frozen=True)
class Structure:
    """How the groups of a factor differ from independent normal ones with one covariance; by default in nothing."""

    by: str = ""  # column whose levels have a covariance each
    student: bool = field(default=False, repr=False)  # whether effects are Student-t in place of normal
    cov: str = field(default="", repr=False)  # name of the matrix that says how groups are related
    # columns that each name a group of the row, where it belongs to several
    members: tuple[str, ...] = field(default=(), repr=False)
    weights: tuple[str, ...] = field(default=(), repr=False)  # columns of their weights
    scaled: bool = field(default=True, repr=False)  # whether these are divided by their sum

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that z reads because of it."""
        return ((self.by,) if self.by else ()) + self.weights

    def written(self, factor: str) -> str:
        """The factor with it, as a formula says it."""
        if self.members:
            more = [f"weights = cbind({', '.join(map(quoted, self.weights))})"] if self.weights else []
            more += [] if self.scaled else ["scale = FALSE"]
            return f"mm({', '.join([*map(quoted, self.members), *more])})"
        said = [f"by = {quoted(self.by)}"] if self.by else []
        said += ['dist = "student"'] if self.student else []
        said += [f"cov = {self.cov}"] if self.cov else []
        return f"gr({', '.join([factor, *said])})" if said else factor


def quoted(name: str) -> str:
    """A column as a formula names it."""
    return name if re.fullmatch(r"[^\W\d][\w.]*", name) else f"`{name}`"


def structure_of(text: str, formula: str) -> tuple[str, bool, str, Structure]:
    """What stands behind the bar: the grouping factor, whether ``cor = FALSE``, the mark ``id``, and the structure.

    >>> structure_of("gr(g, by = trt)", "")
    ('g', False, '', Structure(by='trt'))
    """
    inside = whole_call(text, "gr")
    if whole_call(text, "mm") is not None:
        return members_of(text, formula)
    if inside is None:
        return text, False, "", Structure()
    first, *arguments = [a.strip() for a in split(inside, ",")]
    said = {name.strip(): value.strip() for name, _, value in (a.partition("=") for a in arguments)}
    correlated = said.pop("cor", "TRUE")
    by, dist = said.pop("by", "NULL"), said.pop("dist", "gaussian").strip("\"'")
    mark, cov = said.pop("id", "NULL"), said.pop("cov", "NULL")
    odd = [f"{name} = {value}" for name, value in said.items()]
    odd += [] if re.fullmatch("gaussian|student", dist) else [f"dist = {dist}"]
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
            f"{text} in {formula!r} has cov = {cov}: cov names a matrix, namespace={{'A': frame}}, and stands without "
            "by and dist."
        )
    return (
        first,
        correlated in _FALSE,
        "" if mark == "NULL" else mark,
        Structure(by=_unless_null(by).strip("`"), student=dist == "student", cov=_unless_null(cov)),
    )


def members_of(text: str, formula: str) -> tuple[str, bool, str, Structure]:
    """The same of ``mm(g1, g2, weights = cbind(w1, w2))``, whose factor brms calls ``mmg1g2``."""
    inside = whole_call(text, "mm") or ""
    pieces = [a.strip() for a in split(inside, ",")]
    names = [a for a in pieces if not re.match(r"\w+\s*=", a)]
    said = {n.strip(): v.strip() for n, _, v in (a.partition("=") for a in pieces if a not in names)}
    correlated, scale, weights = said.pop("cor", "TRUE"), said.pop("scale", "TRUE"), said.pop("weights", "NULL")
    usual = (("dist", "gaussian"), ("by", "NULL"), ("cov", "NULL"), ("id", "NA"))
    said = {n: v for n, v in said.items() if (n, v.strip("\"'")) not in usual}
    columns = whole_call(weights, "cbind")
    of = [] if columns is None else [c.strip() for c in split(columns, ",")]
    odd = [*names, *of] if len(names) < 2 or (weights != "NULL" and len(of) != len(names)) else []
    odd += [c for c in (*names, *of) if not _COLUMN.fullmatch(c)] + [f"{n} = {v}" for n, v in said.items()]
    if odd or scale not in _TRUE + _FALSE or correlated not in _TRUE + _FALSE:
        raise FormulaError(
            f"{text} in {formula!r} is not read ({listed(dict.fromkeys(odd)) or 'cor, scale'}). mm(g1, g2) names two "
            "columns of groups or more, and mm(g1, g2, weights = cbind(w1, w2)) a column of weights for each; scale = "
            "FALSE takes them as they are. Make a column for anything else, and name it."
        )
    members, weights_of = (tuple(c.strip("`") for c in some) for some in (names, of))
    structure = Structure(members=members, weights=weights_of, scaled=scale in _TRUE)
    return f"mm{''.join(members)}", correlated in _FALSE, "", structure


def _unless_null(text: str) -> str:
    return "" if text == "NULL" else text
