"""How R and brms spell what a design calls its columns, levels and parameters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from typing import Any

from bayesmargins.design import Design, Factor, Monotonic
from bayesmargins.design.columns import Matrix
from bayesmargins.design.strata import StratumMatrix, worded
from bayesmargins.errors import PosteriorError, listed

__all__ = [
    "coefficients_of",
    "contrasts_seen",
    "groups_in",
    "level_names",
    "names_without_steps",
    "own_terms_of",
    "parts_of",
    "r_order",
    "spelt",
    "terms_of",
]

# brms drops brackets, blanks, commas and quotes from R's names of coefficients, and writes signs as letters
# (its function `rename`, brms 2.18).
_DROPPED = re.compile(r"[ ()\[\],\"'?`]")
_LETTERS = (("+", "P"), ("-", "M"), ("*", "MU"), ("/", "D"), ("^", "E"), ("=", "EQ"))
_Name = frozenset[str]
_COMPARED = re.compile(r"[<>]|[=!]=")
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")


def spelt(name: str) -> str:
    """How does brms spell one of R's names?

    >>> spelt("trtdrug+"), spelt("I(age^2)"), spelt("poly(x, 2)1")
    ('trtdrugP', 'IageE2', 'polyx21')
    """
    name = _DROPPED.sub("", name)
    for sign, letters in _LETTERS:
        name = name.replace(sign, letters)
    return name


def parts_of(name: str) -> _Name:
    """The factors of an interaction, whose order differs between programs.

    >>> parts_of("lbase:trtprogabide") == parts_of("trtprogabide:lbase")
    True
    """
    return frozenset(name.replace("`", "").split(":"))


def coefficients_of(matrix: Matrix, design: Design) -> list[list[str]]:
    """What may R call each column of the design, as brms spells it? The first name of each is the likeliest."""
    names = [
        _names(
            str(column), [str(f.expr) for f in part.term.factors if f.eval_method.value != "literal"], matrix, design
        )
        for part in matrix.spec.structure
        for column in part.columns
    ]
    return names if matrix.constant else names[1:]


def names_without_steps(term: Monotonic, matrix: Matrix, design: Design) -> list[str]:
    """What brms may call a term of ``mo()``, whose steps share one name."""
    return _names(term.column, term.factors, matrix, design)


def terms_of(factor: Factor, design: Design) -> list[list[str]]:
    """The same for what varies by group."""
    return [names for matrix in factor.matrices for names in _in_stratum(matrix, coefficients_of(matrix, design))]


def own_terms_of(factor: Factor, design: Design) -> list[list[str]]:
    """The same as the columns of a group's own effects have it: of groups in strata without the stratum."""
    if factor.strata is None:
        return terms_of(factor, design)
    first = [m for m in factor.matrices if isinstance(m, StratumMatrix) and m.stratum == factor.strata.labels[0]]
    return [names for matrix in first for names in coefficients_of(matrix, design)]


def _in_stratum(matrix: Matrix, names: list[list[str]]) -> list[list[str]]:
    """``Intercept:trtA``, as brms calls the terms of groups in strata."""
    if not isinstance(matrix, StratumMatrix):
        return names
    stratum = str(matrix.stratum).upper() if isinstance(matrix.stratum, bool) else worded(matrix.stratum)
    return [[f"{name}:{spelt(f'{matrix.by}{stratum}')}" for name in of] for of in names]


def _names(column: str, factors: Sequence[str], matrix: Matrix, design: Design) -> list[str]:
    pieces = _pieces(column, factors, matrix, design)
    if pieces is None:
        return [spelt(column)]
    joined = [":".join(spelt(one) for one in choice) for choice in product(*pieces)]
    return list(dict.fromkeys([*joined, *(name.replace("$", "USD") for name in joined)]))  # brms 2.23 spells "$" too


def _pieces(column: str, factors: Sequence[str], matrix: Matrix, design: Design) -> list[list[str]] | None:
    """``a[T.x:y]:b`` has two factors: a level may hold any sign, so those that there are are tried."""
    if not factors:
        return None
    for text, names in _columns_of(factors[0], matrix, design):
        rest = column.removeprefix(text)
        if not column.startswith(text) or rest[:1] not in ("", ":"):
            continue
        if len(factors) == 1 and not rest:
            return [names]
        others = _pieces(rest[1:], factors[1:], matrix, design) if rest else None
        if others is not None:
            return [names, *others]
    return None


def _columns_of(factor: str, matrix: Matrix, design: Design) -> Iterator[tuple[str, list[str]]]:
    """The columns of one factor of a term: formulaic's name, and what R may call it."""
    coding, state = matrix.spec.encoder_state[factor]
    stems = _stems(factor, design)
    if coding.name != "CATEGORICAL":
        suffixes = _suffixes(factor, matrix)
        first = int("[0]" in suffixes)  # R counts columns from 1
        numbers = [str(int(m[1:-1]) + first) if m[1:-1].isdigit() else m.strip("[]") for m in suffixes]
        yield from ((factor + m, [stem + k for stem in stems]) for m, k in zip(suffixes, numbers, strict=True))
        yield factor, stems
        return
    logical = any(re.match(rf"C\({re.escape(n)}[,)]", factor) for n, c in design.columns.items() if c.kind == "logical")
    for number, level in enumerate(state["categories"], 1):
        text = str(level)
        label = ("FALSE", "TRUE")[number - 1] if logical else re.sub(r"^(-?\d+)\.0$", r"\1", text)
        yield f"{factor}[T.{text}]", [stem + label for stem in stems]
        yield f"{factor}[S.{text}]", [f"{stem}{number}" for stem in stems]
        yield f"{factor}[{text}]", [stem + label for stem in stems]
    yield from ((f"{factor}[{degree}]", [stem + degree for stem in stems]) for degree in _degrees(number))


def _suffixes(factor: str, matrix: Matrix) -> list[str]:
    """``poly(x, 2)`` has the columns ``[1]`` and ``[2]``."""
    found = re.findall(rf"{re.escape(factor)}(\[[^\[\]]*\])", "\n".join(map(str, matrix.spec.column_names)))
    return list(dict.fromkeys(found))


def _degrees(levels: int) -> list[str]:
    """What the contrasts of an ordered factor are called, in R as in formulaic."""
    return [".L", ".Q", ".C", *(f"^{k}" for k in range(4, levels))]


def _stems(factor: str, design: Design) -> list[str]:
    """``age ** 2`` is R's ``I(age^2)``, ``I(z > 2)`` its ``I(z > 2)TRUE``, ``C(n)`` its ``factor(n)`` or a factor."""
    if factor in design.columns:
        return [f"{factor}TRUE", factor] if design.columns[factor].kind == "logical" else [factor]
    coded = re.fullmatch(r"C\(\s*([\w.]+|`[^`]+`)\s*(,.*)?\)", factor)
    if coded:
        return [coded[1], *_calls_of(coded[1], coded[2] or ""), factor]
    written = _as_in_r(factor)
    stems = list(dict.fromkeys([written, f"I({written})", re.sub(r"^I\((.*)\)$", r"\1", written), factor]))
    truth = _COMPARED.search(factor) or "isin(" in factor
    return [*(f"{stem}TRUE" for stem in stems), *stems] if truth else stems


def _calls_of(name: str, more: str) -> list[str]:
    """What R may have called ``C(name, ...)``, which was ``factor()``, ``ordered()`` or ``relevel()``."""
    levels = re.search(r"levels=\[(.*)\]", more)
    stated = f", levels = c({levels[1]})" if levels else ""
    found = [f"{call}({name}{stated})" for call in ("factor", "as.factor", "ordered", "as.ordered")]
    reference = re.search(r"contr\.treatment\((.*?)\)", more)
    inner = [name, f"factor({name})", f"as.factor({name})"] if reference else []
    return found + [f"relevel({x}, {ref}{reference[1]})" for x in inner for ref in ("ref = ", "") if reference]


_SPELT = (
    (re.compile(r"\s*\*\*\s*"), "^"),
    (re.compile(r"\s*//\s*"), "%/%"),
    (re.compile(r"\s*%\s*(?![%/in])"), "%%"),
    (re.compile(r"\bas_(numeric|integer)\("), r"as.\1("),
    (re.compile(r"\bisin\(([^,]*), (.*)\)"), r"\1 %in% \2"),
)


def _as_in_r(text: str) -> str:
    for pattern, there in _SPELT:
        text = pattern.sub(there, text)
    return text


def contrasts_seen(columns: Iterable[str], design: Design) -> str:
    """Which factors did R code otherwise than against a reference level? A hint from the draws' names, or nothing."""
    have = set(columns)
    hint = ""
    for name, column in design.columns.items():
        numbered = {f"b_{name}{k}" for k in range(1, len(column.levels))}
        if f"b_{name}.L" in have:
            hint += f" R had {name!r} as an ordered factor, with polynomial contrasts: write C({name}, contr.poly)."
        elif numbered and numbered <= have and not {f"b_{spelt(f'{name}{v}')}" for v in column.levels[1:]} <= have:
            hint += (
                f" R numbered the columns of {name!r}, as contr.sum and contr.helmert do: where it was contr.sum, "
                f"write C({name}, contr.sum); others are not read."
            )
    return hint


def r_order(labels: Sequence[str]) -> list[int] | None:
    """Positions of different texts as R sorts them; None where upper and lower case, accents or punctuation decide.

    R sorts by the alphabet of a locale, so the order is known where all of them agree.

    >>> r_order(["P2", "P1"]), r_order(["b", "A", "a"])
    ([1, 0], None)
    """
    keyed = [[key(label) for label in labels] for key in _COLLATIONS]
    orders = {tuple(sorted(range(len(labels)), key=keys.__getitem__)) for keys in keyed}
    tied = any(len(set(keys)) < len(keys) for keys in keyed)
    return None if tied or len(orders) > 1 else list(orders.pop())


def _folded(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


# The locale C by code point; others by letters first, with punctuation before digits or not at all.
_COLLATIONS: tuple[Callable[[str], Any], ...] = (
    lambda text: text,
    lambda text: tuple((c.isalnum(), c) for c in _folded(text)),
    lambda text: "".join(c for c in _folded(text) if c.isalnum()),
)


def level_names(factor: Factor) -> list[str]:
    """How does brms name the groups of a factor, in order, inside ``r_g[level,coef]``?

    Levels of ``a:b`` are joined by ``_``, and blanks become dots.
    """
    return [re.sub(r"[ \t\r\n]", ".", "_".join(parts)) for parts in factor.parts]


def groups_in(names: Iterable[str], factor: Factor) -> list[str]:
    """Under which of these names is each group of a factor? One that is not there has the name that it should have.

    R writes 100000 as ``1e+05``, so a number is also looked for by its value.
    """
    wanted = level_names(factor)
    twice = [name for name in dict.fromkeys(wanted) if wanted.count(name) > 1]
    if twice:
        raise PosteriorError(
            f"Groups of {factor.name!r} have one name in brms, {listed(twice)}, where blanks are dots and ':' is '_': "
            "whose effects are whose cannot be seen. Rename them before the fit."
        )
    have = list(dict.fromkeys(names))
    by_value = {float(n): n for n in have if _NUMBER.fullmatch(n)}
    return [by_value.get(float(w), w) if w not in have and _NUMBER.fullmatch(w) else w for w in wanted]
