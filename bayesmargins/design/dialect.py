"""R's spelling of a formula, written as this package reads it; what means something else there is refused.

Text alone is changed, outside quotes. What a name stands for in the data is not asked here, but for columns with dots.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from bayesmargins.design.pieces import close_of, scan, split, whole_call
from bayesmargins.errors import FormulaError

__all__ = ["advice_on", "as_here", "own_intercept", "refuse_dot", "with_comparison", "with_quoted_names"]

# A package's name in front of a call; R's remainder and whole division; the one column of a matrix.
_OPERATORS = (
    (re.compile(r"(?<![\w.`])[A-Za-z][\w.]*:::?(?=[A-Za-z][\w.]*\s*\()"), ""),
    (re.compile(r"([\w.]+|`[^`]+`)\s*%in%\s*(c\([^()]*\))"), r"isin(\1, \2)"),
    (re.compile(r"\s*%in%\s*"), ":"),
    (re.compile(r"%/%"), "//"),
    (re.compile(r"%%"), "%"),
    (re.compile(r"(?<=\))\s*\[\s*,\s*1\s*\]"), ""),
)
_CALL = re.compile(r"(?<![\w.`])(as\.\w+|factor|ordered|relevel|log)\s*\(")
_NUMBERS = {"as.numeric": "as_numeric", "as.double": "as_numeric", "as.integer": "as_integer"}
_COMPARED = ("<", ">", "==", "!=")
_DOTTED = re.compile(r"(?<![\w.`$])[^\W\d]\w*(?:\.\w+)+(?![\w.]*\s*\()")
_PLAIN = re.compile(r"[^\W\d][\w.]*|`[^`]+`")


def as_here(text: str, own: Collection[str] = ()) -> str:
    """R's calls and operators in this package's words; a name of the user's own functions stays theirs.

    >>> as_here("factor(m) + as.numeric(x) + splines::bs(z, df = 4) + I(k %% 2)")
    'C(m) + as_numeric(x) + bs(z, df = 4) + I(k % 2)'
    """
    for pattern, here in _OPERATORS:
        text = _replaced(text, pattern, here)
    return _calls(text, own)


def _replaced(text: str, pattern: re.Pattern[str], here: str) -> str:
    outside = {i for i, _ in scan(text)}
    return pattern.sub(lambda m: m.expand(here) if m.start() in outside else m[0], text)


def _calls(text: str, own: Collection[str]) -> str:
    outside = {i for i, _ in scan(text)}
    for call in _CALL.finditer(text):
        if call.start() not in outside or call[1] in own:
            continue
        end = close_of(text, call.end() - 1)
        inside, rest = _calls(text[call.end() : end], own), _calls(text[end + 1 :], own)
        return f"{text[: call.start()]}{_call(call[1], inside)}{rest}"
    return text


def _call(name: str, inside: str) -> str:
    written = f"{name}({inside})"
    arguments = [a.strip() for a in split(inside, ",")]
    named = {m[1]: m[2] for a in arguments if (m := re.fullmatch(r"(\w+)\s*=(?!=)\s*(.*)", a, re.DOTALL))}
    free = [a for a in arguments if not re.match(r"\w+\s*=(?!=)", a)]
    if name == "log":
        if len(arguments) > 1:
            raise FormulaError(f"{written} names a base. Write log2(x), log10(x), or I(log(x) / log(3)).")
        return written
    if name in _NUMBERS:
        return f"{_NUMBERS[name]}({inside})"
    if name == "relevel":
        return _releveled(free, named, written)
    if name.removeprefix("as.") in ("factor", "ordered"):
        return _factor(name, free, named, written)
    raise FormulaError(f"{written} is R's. Make the column beforehand, and name it here; C(x) makes a number a factor.")


def _factor(name: str, free: Sequence[str], named: dict[str, str], written: str) -> str:
    """``factor(x, levels = c(3, 1), ordered = TRUE)``: labels would be other levels than the data have."""
    levels = named.get("levels", free[1] if len(free) > 1 else "")
    stated = whole_call(levels, "c")
    odd = sorted(set(named) - {"levels", "ordered", "x"})
    if odd or len(free) > 2 or not (free or "x" in named) or (levels and stated is None):
        raise FormulaError(
            f"{written} makes other levels than those of the column. Read are factor(x) and factor(x, levels = "
            "c(3, 1, 2)); make the column beforehand, data['x'].map({1: 'low', 2: 'high'}), and name it here."
        )
    ordered = name.endswith("ordered") or named.get("ordered") in ("TRUE", "T")
    more = [", contr.poly"] if ordered else []
    more += [f", levels=[{stated}]"] if stated is not None else []
    return f"C({named.get('x', free[0] if free else '')}{''.join(more)})"


def _releveled(free: Sequence[str], named: dict[str, str], written: str) -> str:
    reference = named.get("ref", free[1] if len(free) > 1 else "")
    inner = whole_call(free[0], "C") if free else None
    number = re.fullmatch(r"['\"](-?\d+(?:\.\d+)?)['\"]", reference)
    column = free[0] if inner is None and free else inner
    if not (reference and column and _PLAIN.fullmatch(column.strip())):
        raise FormulaError(f"{written} is read as relevel(f, ref = 'b'), f a column or factor(f). Write it so.")
    return f"C({column}, contr.treatment({number[1] if inner is not None and number else reference}))"


def with_comparison(terms: list[tuple[str, str]], formula: str) -> list[tuple[str, str]]:
    """``x > 0`` as the one term is a truth value; in R a comparison takes in all that is added before it: refused."""
    found = [term for _, term in terms if _compares(term)]
    if found and len(terms) > 1:
        raise FormulaError(
            f"The comparison in {formula!r} is in R one of whole sums, as in (z + x) > 0. Write I({found[0]}) for a "
            "term that is true or false."
        )
    bare = [(sign, term, whole_call(term, "")) for sign, term in terms]
    return [
        (sign, f"I({term})") if _compares(term) else (sign, f"I{term}" if inner and _compares(inner) else term)
        for sign, term, inner in bare
    ]


def _compares(text: str) -> bool:
    return "|" not in text and any(
        depth == 0 and text.startswith(_COMPARED, i) for i, depth in scan(text) if not text[:i].endswith(("<", ">"))
    )


def own_intercept(terms: list[tuple[str, str]], formula: str) -> list[tuple[str, str]]:
    """brms's ``0 + Intercept`` is an intercept; without the 0 there would be two."""
    none = (("+", "0"), ("-", "1"))
    if ("+", "Intercept") not in terms:
        return terms
    if not any(t in none for t in terms):
        raise FormulaError(f"'Intercept' in {formula!r} goes with 0 + Intercept; without the 0 there would be two.")
    return [("+", "1"), *(t for t in terms if t not in (*none, ("+", "Intercept")))]


def refuse_dot(term: str, formula: str) -> None:
    """R's ``.`` for all other columns."""
    outside = {i for i, _ in scan(term)}
    if any(m.start() in outside for m in re.finditer(r"(?<![\w.`])\.(?![\w.])", term)):
        raise FormulaError(
            f"The '.' in {formula!r} would take every other column, groups and identifiers too. Name the columns: "
            "(a + b + c)^2 has all pairs."
        )


def with_quoted_names(text: str, columns: Collection[str]) -> str:
    """Columns with dots in their names, as R has them, in backticks where Python would take an attribute.

    >>> with_quoted_names("y ~ my.x + log(my.x) + I(x.clip(0))", ["my.x", "x"])
    'y ~ my.x + log(`my.x`) + I(x.clip(0))'
    """
    inside = {i for i, depth in scan(text) if depth > 0}
    return _DOTTED.sub(lambda m: f"`{m[0]}`" if m.start() in inside and m[0] in columns else m[0], text)


_ADVICE = (
    (r"!(?!=)", "R's !x is I(x == 0) here."),
    (r"(?<!%)%(?!%)", "Write I(x %% 2) for a remainder."),
    (r"\$", "Name the column alone: x for data$x."),
    (r"\bis\.\w+\(", "Make the column beforehand, and name it here."),
    (r"(?=.*[<>=])[^&|]*[&|]", "Put each comparison in brackets: I((x > 0) & (z > 1))."),
    (r"(^|[-+])\s*\d[\d.]*\s*[*/]|[*/]\s*\d[\d.]*\s*($|[-+])", "Write I(2 * x) for a multiple of x."),
    (r"\bpoly\(", "poly(x, 2) is of one column: poly(x, 2) * poly(z, 2) has both and their products."),
    (r"\bcontr\.\w+\(\w", "Contrasts go with a factor: C(f, contr.sum)."),
)


def advice_on(text: str) -> str:
    """What to write instead of R that could not be evaluated; empty where nothing fits."""
    return next((f" {said}" for pattern, said in _ADVICE if re.search(pattern, text)), "")
