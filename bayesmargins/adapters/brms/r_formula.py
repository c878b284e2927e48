"""brms's way to write a model, formula and family, in the words of this package; what has no counterpart is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bayesmargins.adapters.brms.parts import LINK, link_of
from bayesmargins.design.dialect import as_here, own_intercept
from bayesmargins.design.left import left_of
from bayesmargins.design.pieces import signed_terms, split, whole_call
from bayesmargins.design.structures import structure_of
from bayesmargins.errors import FormulaError, ModelError, shown
from bayesmargins.family import FAMILIES, Family, get_family
from bayesmargins.values import functions

__all__ = ["Spelling", "agreed", "family_and_link", "translated"]

_TERMS = {
    "s": "a smooth",
    "t2": "a smooth",
    "te": "a smooth",
    "ti": "a smooth",
    "gp": "a Gaussian process",
    "me": "a covariate with measurement error",
    "mi": "a modelled missing value",
    "cs": "a category-specific effect",
    "mmc": "a multi-membership covariate",
    **dict.fromkeys(("ar", "ma", "arma", "cosy", "unstr", "car", "sar", "fcor"), "a correlation of residuals"),
}
_READ = (
    "What can be read are numbers, factors, functions of a row such as log(x), poly(x, 2) and group effects "
    "(1 + x | g)."
)
_SMOOTH = (
    "The basis is mgcv's, and the draws do not hold it. bm.GLMM fits s(x) and t2(x, z). Or make the columns of "
    "standata(fit), Xs and Zs_1_1, columns of the data, and give from_draws their coefficients, bs_* and s_*."
)
_CALL = re.compile(rf"(?<![\w.])({'|'.join(_TERMS)})\s*\(")
_FAMILY = re.compile(
    r"(?:brms::)?(?:brmsfamily\(\s*['\"](?P<quoted>\w+)['\"]\s*,?|(?P<bare>[\w.]+)\s*\(?)(?P<rest>.*?)\)?",
    re.DOTALL,
)


@dataclass(frozen=True)
class Spelling:
    """A brms formula in this package's spelling."""

    formula: str  # for `from_draws`
    # parameters of the draws that say nothing about new rows, such as ``sigma`` beside known errors
    set_aside: tuple[str, ...] = ()


def translated(formula: str, family: str, namespace: Mapping[str, Any] | None = None) -> Spelling:
    """How is this formula of brms written here? A name of brms's in the namespace is the user's function.

    >>> translated("y | trials(n) ~ 0 + Intercept + x + (1 |p| gr(g))", "binomial").formula
    'y | trials(n) ~ 1 + x + (1 | g)'
    """
    sides = split(formula, "~")
    if len(sides) != 2:
        return Spelling(formula)  # `parse` says what is wrong with it
    _refuse_terms(sides[1], formula, functions(namespace))
    left, set_aside = _left(sides[0].strip(), family, formula)
    right = " ".join(_right(as_here(sides[1], namespace or ()), formula)).removeprefix("+ ")
    spelt = f"{left} ~ {right}"
    same = re.sub(r"\s", "", spelt) == re.sub(r"\s", "", formula)
    return Spelling(formula.strip() if same else spelt, set_aside)


def _refuse_terms(right: str, formula: str, own: Mapping[str, Any]) -> None:
    found = [name for name in dict.fromkeys(_CALL.findall(right)) if name not in own]
    if found:
        name = found[0]
        raise FormulaError(
            f"{name}() in {formula!r} is {_TERMS[name]} of brms, whose columns are not in the design here: predictions "
            f"would leave it out, so it is refused. {_SMOOTH if _TERMS[name] == 'a smooth' else _READ}"
        )


_LEFT = {
    "mi": "the missing responses are parameters",
    "subset": "it belongs to a model of several responses",
    "vreal": "it belongs to a family that is not brms's own",
    "vint": "it belongs to a family that is not brms's own",
}


def _left(text: str, family: str, formula: str) -> tuple[str, tuple[str, ...]]:
    """The left side, and the parameters that lose their meaning."""
    response, *after = split(text, "|")
    several = "mvbind" if get_family(family).counted else "mvbind|cbind"
    if re.match(rf"\s*({several})\s*\(", response):
        raise FormulaError(f"{formula!r} has several responses; a posterior here has one. Give each its own fit.")
    calls = [call for _, call in signed_terms(after[0])] if len(after) == 1 else []
    name = next((name for call in calls if (name := call.partition("(")[0].strip()) in _LEFT), None)
    if name is not None:
        raise FormulaError(f"{name}() left of '~' in {formula!r} is refused: {_LEFT[name]}.")
    known = left_of(as_here(text.strip(), ()), formula).known_error
    return text.strip(), (_fitted(family).known_error,) if known else ()


def _right(text: str, formula: str) -> Iterator[str]:
    terms = own_intercept(list(signed_terms(text)), formula)
    seen: list[str] = []
    for sign, term in terms:
        inner = whole_call(term, "")
        if inner is None or len(split(inner, "|")) == 1:
            yield f"{sign} {term}"
            continue
        block, correlated_by = _block(inner, formula)
        if correlated_by and correlated_by in seen:
            raise FormulaError(
                f"Two blocks of {formula!r} are correlated by {correlated_by!r}. Write them as one, (1 + x | g), "
                "which is the same model."
            )
        seen += [correlated_by]
        yield f"{sign} ({block})"


def _block(inner: str, formula: str) -> tuple[str, str]:
    """``1 |p| gr(g)`` is ``1 | g`` with the mark ``p``, which says nothing where it stands once."""
    pieces = [p.strip() for p in split(inner, "|")]
    empty = len(pieces) == 3 and not pieces[1]
    mark = pieces[1] if len(pieces) == 3 else ""
    group, independent, _, structure = structure_of(pieces[-1], formula)
    if len(pieces) > 3:
        raise FormulaError(f"({inner}) in {formula!r} is no block; allowed are (1 | g), (1 |p| g) and (x || g).")
    return f"{pieces[0]} {'||' if empty or independent else '|'} {structure.written(group)}", mark


def _fitted(family: str) -> Family:
    """The family that R's text names."""
    return get_family(family_and_link(family, None)[0])


def family_and_link(family: Any, link: str | None) -> tuple[Any, str | None]:
    """The family and link that R's text names, as for `GLMM`; a family that is not known stays as it is.

    >>> family_and_link('Binomial(link = "probit")', None)
    ('binomial', 'probit')
    """
    match = _FAMILY.fullmatch(family.strip()) if isinstance(family, str) else None
    if not match:
        return family, link
    text = match["quoted"] or match["bare"]
    kind = next((f for f in FAMILIES.values() if f.named("brms").lower() == text.lower()), None)
    name = text.lower() if kind is None else kind.name
    first, *more = (a.strip() for a in split(match["rest"], ","))
    links = (re.fullmatch(rf"link\s*=\s*['\"]?({LINK})['\"]?", a) for a in (first, *more))
    said = next((m for m in links if m), None) or re.fullmatch(rf"['\"]?({LINK})['\"]?", first)
    if said and link is not None and said[1] != link:
        raise ModelError(f"family={shown(family)} names the link {said[1]!r}, and link={link!r}; give one of them.")
    called = match["bare"] is not None and family.rstrip().endswith(")")
    if said is None and link is None and called and kind is not None:
        return name, kind.link_in_r or None
    return name, said[1] if said else link


def agreed(family: Any, link: str | None, of_formula: str | None) -> tuple[Any, Any, str | None]:
    """The text, family and link of the fit, by the arguments and by what stands inside ``bf()``, which brms fits.

    Of the two texts it is the one that says more. A link that ``bf()`` does not name is the family's default.

    >>> agreed("bernoulli", None, 'bernoulli("probit")')
    ('bernoulli("probit")', 'bernoulli', 'probit')
    """
    name, own = family_and_link(family, link)
    if of_formula is None:
        return family, name, own
    fitted, its = family_and_link(of_formula, None)
    if name != fitted:
        raise ModelError(f"The formula names family={of_formula}, and family is {shown(family)}; give that of the fit.")
    kind = get_family(fitted)
    its = its or kind.links[0]
    pairs = {"link": (own, its)}
    for parameter in kind.aux:
        default, name = kind.parameter(parameter).links[0], kind.parameter(parameter).named("brms")
        pairs[f"link_{name}"] = link_of(name, family), link_of(name, of_formula) or default
    for argument, (ours, theirs) in pairs.items():
        if ours not in (None, theirs):
            raise ModelError(
                f"The formula names family={of_formula}, whose {argument} is {theirs!r}, and the arguments say "
                f"{argument}={ours!r}; give that of the fit."
            )
    return of_formula, fitted, its
