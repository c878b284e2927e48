"""R's coding of factors: a column for every level wherever a margin of the term is missing, dependent columns included.

formulaic codes a formula so that its columns have full rank; R looks at each factor of each term by itself (its
function `TermCode`). The two differ where a margin is missing beside an intercept, as in ``y ~ t:f``: there brms has a
coefficient for every combination of levels, and its prior tells them apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bayesmargins.design import Design, parse
from bayesmargins.design.columns import Matrix
from bayesmargins.design.left import written
from bayesmargins.errors import FormulaError, listed

__all__ = ["r_codes", "with_rs_coding"]

_EVERY = ", spans_intercept=False)"


def r_codes(terms: Sequence[tuple[str, ...]], factors: set[str], intercept: bool) -> list[dict[str, int]]:
    """R's code of each factor in each term, in order of degree: 1 for contrasts, 2 for every level.

    >>> r_codes([("t", "f")], {"t", "f"}, True)
    [{'t': 2, 'f': 2}]
    >>> r_codes([("t",), ("t", "f")], {"t", "f"}, True)
    [{'t': 1}, {'t': 2, 'f': 1}]
    """
    codes = []
    for k, term in enumerate(terms):
        margins = {v: set(term) - {v} for v in term if v in factors}
        seen = {v: not rest or any(rest <= set(earlier) for earlier in terms[:k]) for v, rest in margins.items()}
        codes.append({v: 1 if known else 2 for v, known in seen.items()})
    first = next((code for code in codes if code), None)
    if first is not None and not intercept:
        first[next(iter(first))] = 2
    return codes


def with_rs_coding(formula: str, design: Design) -> str:
    """The same formula with every level spelt out where R has it and formulaic would leave one out."""
    parts = parse(formula, design.response.context)
    texts = {parts.fixed: _respelt(design.fixed, design)}
    for factor in design.factors.values():
        blocks = [b for b in parts.blocks if b.factor == factor.name]
        each = factor.matrices[:: 1 if factor.strata is None else len(factor.strata.labels)]
        texts |= {b.terms: _respelt(m, design) for b, m in zip(blocks, each, strict=True)}
    if all(new is None for new in texts.values()):
        return formula
    left = written(parts.response, parts.given, parts.known_error)
    spelt = [
        f"({texts[b.terms] or b.terms} {'|' if b.correlated else '||'} "
        f"{b.structure.written(':'.join(map(_quoted, b.columns)))})"
        for b in parts.blocks
    ]
    offsets = [f"offset({o})" for o in parts.offsets[int("rate" in parts.given) :]]
    return f"{left} ~ {' + '.join([texts[parts.fixed] or parts.fixed, *spelt, *offsets])}"


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[^\W\d][\w.]*", name) else f"`{name}`"


def _respelt(matrix: Matrix, design: Design) -> str | None:
    """None where formulaic has every level that R has."""
    parts = [p for p in matrix.spec.structure if p.columns != ["Intercept"]]
    terms = [tuple(str(f.expr) for f in p.term.factors if f.eval_method.value != "literal") for p in parts]
    plain = [tuple(map(_without_every, term)) for term in terms]
    factors = {_without_every(v) for term in terms for v in term if _is_factor(v, matrix, design)}
    written, changed = [], False
    for part, term, code in zip(parts, terms, r_codes(plain, factors, "Intercept" in matrix.labels), strict=True):
        every = [v for v in term if code.get(_without_every(v)) == 2]
        if all(_has_every_level(v, part.columns, matrix) for v in every):
            written.append(":".join(term))
            continue
        if len(every) < len(code):
            raise FormulaError(
                f"R codes the term {':'.join(term)} with every level of {listed(every)} and contrasts of the rest, "
                "because margins of it are missing; that is not read. from_draws takes these columns as numbers."
            )
        changed = True
        written.append(":".join(_with_every_level(v) if _without_every(v) in code else v for v in term))
    return " + ".join(["1" if "Intercept" in matrix.labels else "0", *written]) if changed else None


def _is_factor(text: str, matrix: Matrix, design: Design) -> bool:
    """R makes a truth value a factor too, with the levels FALSE and TRUE."""
    logical = text in design.columns and design.columns[text].kind == "logical"
    return logical or matrix.spec.encoder_state[text][0].name == "CATEGORICAL"


def _has_every_level(text: str, columns: Sequence[str], matrix: Matrix) -> bool:
    levels = matrix.spec.encoder_state[text][1].get("categories", ())
    return all(any(f"{text}[{level}]" in column for level in levels) for column in columns)


def _without_every(text: str) -> str:
    return text.removesuffix(_EVERY).removeprefix("C(") if text.endswith(_EVERY) else text


def _with_every_level(text: str) -> str:
    return f"{text[:-1]}{_EVERY}" if text.startswith("C(") else f"C({_quoted(text)}{_EVERY}"
