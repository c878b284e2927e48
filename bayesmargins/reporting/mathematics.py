"""A model as equations, written twice from the same terms: MathML for a page, LaTeX for Markdown.

The terms are made here, and not read from LaTeX: names of columns stand in them, and libraries that turn LaTeX into
MathML hand the text of names on as they find it, tags and all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from html import escape
from itertools import chain, count

from bayesmargins.family import Family, Parameter
from bayesmargins.posterior import Posterior

__all__ = ["Equations", "Term", "equations"]

_MOST = 12  # coefficients that are written out
_A_LINE = 2  # terms in a line


@dataclass(frozen=True)
class Term:
    """A piece of a formula in both languages."""

    mathml: str
    latex: str

    def __add__(self, other: Term) -> Term:
        return Term(self.mathml + other.mathml, f"{self.latex} {other.latex}")


@dataclass(frozen=True)
class Equations:
    """Lines of left side, relation and right side, and the same in words for those who do not see them."""

    lines: tuple[tuple[Term, Term, Term], ...]
    words: str

    @property
    def mathml(self) -> str:
        """One table, aligned at the relations."""
        rows = "".join(f"<mtr>{''.join(f'<mtd>{term.mathml}</mtd>' for term in line)}</mtr>" for line in self.lines)
        return f'<math display="block" alttext="{escape(self.words)}"><mtable>{rows}</mtable></math>'

    @property
    def latex(self) -> str:
        """An ``aligned`` environment."""
        lines = [f"{left.latex} &{relation.latex} {right.latex}" for left, relation, right in self.lines]
        return "\n".join([r"\begin{aligned}", " \\\\\n".join(lines), r"\end{aligned}"])


_LATEX = {"\\": r"\backslash ", "{": r"\{", "}": r"\}", "#": r"\#", "%": r"\%", "&": r"\&", "_": r"\_", "$": r"\$"}
_LATEX |= {"^": r"\hat{}", "~": r"\sim ", "<": r"\lt ", ">": r"\gt ", "`": "'"}


def _name(text: str) -> Term:
    """A name of the user's, upright."""
    written = "".join(_LATEX.get(c, c) for c in text)
    return Term(f"<mtext>{escape(text)}</mtext>", rf"\mathrm{{{written.replace(' ', '~')}}}")


def _symbol(character: str, latex: str = "") -> Term:
    return Term(f"<mi>{escape(character)}</mi>", latex or character)


def _sign(character: str, latex: str = "") -> Term:
    return Term(f'<mo stretchy="false">{escape(character)}</mo>', latex or character)


def _number(value: int) -> Term:
    return Term(f"<mn>{value}</mn>", str(value))


def _below(base: Term, index: Term) -> Term:
    return Term(
        f"<msub><mrow>{base.mathml}</mrow><mrow>{index.mathml}</mrow></msub>",
        rf"{{{base.latex}}}_{{{index.latex}}}",
    )


def _both(base: Term, index: Term, exponent: Term) -> Term:
    inside = "".join(f"<mrow>{term.mathml}</mrow>" for term in (base, index, exponent))
    return Term(f"<msubsup>{inside}</msubsup>", rf"{base.latex}_{{{index.latex}}}^{{{exponent.latex}}}")


def _call(function: Term, *arguments: Term) -> Term:
    inside = arguments[0]
    for argument in arguments[1:]:
        inside = inside + _sign(",") + argument
    return function + _sign("(") + inside + _sign(")")


def _operator(text: str) -> Term:
    return Term(f"<mi>{escape(text)}</mi>", rf"\operatorname{{{text.replace('_', chr(92) + '_')}}}")


_I, _J, _K = _symbol("i"), _symbol("j"), _symbol("k")
_B, _N = _symbol("b"), _symbol("n")
_BETA, _ETA, _MU, _SIGMA = (
    _symbol("β", r"\beta"),
    _symbol("η", r"\eta"),
    _symbol("μ", r"\mu"),
    _symbol("σ", r"\sigma"),
)
_COVARIANCE, _THRESHOLD = _symbol("Σ", r"\Sigma"), _symbol("τ", r"\tau")
_IS, _LIKE, _GIVEN = _sign("="), _sign("∼", r"\sim"), _sign("∣", r"\mid")
_PLUS = Term('<mo form="infix">+</mo>', "+")  # between terms, also where a line begins with it
_DOT = Term("<mspace width='0.2em'></mspace>", r"\,")
_NOTHING = Term("", "")
# Coefficients and group effects of parameters that have a linear predictor, in their order.
_FURTHER = (("γ", r"\gamma", "c"), ("δ", r"\delta", "d"), ("ζ", r"\zeta", "e"), ("κ", r"\kappa", "h"))


def _further() -> Iterator[tuple[Term, Term]]:
    """Without end: those four, the same with a prime, with two."""
    for k in count():
        for greek, latex, effect in _FURTHER:
            yield _symbol(greek + "′" * k, latex + "'" * k), _symbol(effect + "′" * k, effect + "'" * k)


def equations(post: Posterior) -> Equations:
    """The model of a posterior: its distribution, its linear predictors, and the distributions of group effects."""
    lines = [_distribution(post), *_of_mean(post)]
    for (name, part), (coefficient, effect) in zip(post.parts.items(), _further(), strict=False):
        value = _below(_greek(name), _I)
        left = value if part.link.linear else _call(_operator(part.link.name), value)
        lines += [*_predictor(part, left, coefficient, effect), *_groups(part, effect, post.across)]
    lines += _across(post)
    return Equations(tuple(lines), f"The model {post.formula} as equations; the text beside them says the same.")


def _distribution(post: Posterior) -> tuple[Term, Term, Term]:
    family, response = post.family, post.design.response
    y = _below(_name(response.text), _I) + _GIVEN + _B if post.design.factors else _below(_name(response.text), _I)
    inside = [_below(_N, _I)] if response.trials is not None else []
    inside += [*_given_b(post), *(_parameter(p, post) for p in _beside(family, response))]
    return y, _LIKE, _call(_operator(family.name), *inside)


def _given_b(post: Posterior) -> list[Term]:
    """What of y differs with b: its mean or linear predictor, or those of its categories."""
    if post.family.shares is not None:
        return [_below(_operator(name), _I) for name in post.predictors]
    return [_below(_ETA if post.family.ordinal else _MU, _I)]


def _beside(family: Family, response: object) -> tuple[Parameter, ...]:
    return family.estimated(bool(getattr(response, "known_error", False)))


def _parameter(parameter: Parameter, post: Posterior) -> Term:
    if parameter.along:
        return _THRESHOLD
    return _below(_greek(parameter.name), _I) if parameter.name in post.parts else _greek(parameter.name)


_GREEK = {
    "sigma": _SIGMA,
    "phi": _symbol("ϕ", r"\phi"),
    "nu": _symbol("ν", r"\nu"),
    "alpha": _symbol("α", r"\alpha"),
    "kappa": _symbol("κ", r"\kappa"),
}


def _greek(name: str) -> Term:
    return _GREEK.get(name) or _operator(name)


def _of_mean(post: Posterior) -> Iterator[tuple[Term, Term, Term]]:
    value, plain = _given_b(post)[0], bool(post.family.categories) or post.link.linear
    left = value if plain else _call(_operator(post.link.name), value)
    yield from _predictor(post, left, _BETA, _B)
    yield from _groups(post, _B, post.across)


def _predictor(post: Posterior, left: Term, beta: Term, b: Term) -> Iterator[tuple[Term, Term, Term]]:
    terms = [*_fixed(post, beta), *_offsets(post), *_varying(post, b)] or [_number(0)]
    for first in range(0, len(terms), _A_LINE):
        right = terms[first] if first == 0 else _PLUS + terms[first]
        for term in terms[first + 1 : first + _A_LINE]:
            right = right + _PLUS + term
        yield (left, _IS, right) if first == 0 else (_NOTHING, _NOTHING, right)


def _fixed(post: Posterior, beta: Term) -> Iterator[Term]:
    coef = post.design.coef
    if len(coef) > _MOST:
        yield _both(_symbol("x"), _I, _symbol("T", r"\mathsf{T}")) + beta
        return
    for k, name in enumerate(coef):
        own = _below(beta, _number(k))
        yield own if name == "Intercept" else own + _DOT + _below(_name(name), _I)


def _offsets(post: Posterior) -> Iterator[Term]:
    if post.design.offsets:
        yield _below(_operator("offset"), _I)


def _varying(post: Posterior, b: Term) -> Iterator[Term]:
    """b of each factor, with the columns that it multiplies."""
    for name, factor in post.design.factors.items():
        group = _name(name) + _sign("[") + _I + _sign("]")
        for k, term in enumerate(factor.terms):
            index = group if len(factor.terms) == 1 else _number(k) + _sign(",") + group
            own = _below(b, index)
            yield own if term == "Intercept" else own + _DOT + _below(_name(term), _I)


def _groups(post: Posterior, b: Term, across: Collection[str]) -> Iterator[tuple[Term, Term, Term]]:
    """Of factors whose effects are not correlated with those on other parameters."""
    for name, factor in post.design.factors.items():
        if name in across:
            continue
        of = _name(name)
        one, at = len(factor.terms) == 1, of if b is _B else of + _symbol(",") + b
        spread = _both(_SIGMA, at, _number(2)) if one else _below(_COVARIANCE, at)
        yield _below(b, _J), _LIKE, _drawn(factor.student, spread) + _for_each(of)


def _drawn(student: bool, spread: Term) -> Term:
    """Normal, or Student-t with degrees of freedom ν."""
    if student:
        return _call(_operator("Student-t"), _symbol("ν", r"\nu"), _number(0), spread)
    return _call(_operator("Normal"), _number(0), spread)


def _across(post: Posterior) -> Iterator[tuple[Term, Term, Term]]:
    """Of factors whose effects on several parameters have one covariance."""
    effects = dict(zip(post.predictors, chain([_B], (effect for _, effect in _further())), strict=False))
    for name in post.across:
        of = _name(name)
        first, *others = [_below(effects[p], _J) for p, own in post.predictors.items() if name in own.design.factors]
        spread = _below(_COVARIANCE, of)
        yield _call(_NOTHING, first, *others), _LIKE, _call(_operator("Normal"), _number(0), spread) + _for_each(of)


def _for_each(of: Term) -> Term:
    return Term("<mspace width='1em'></mspace><mi>j</mi><mo>∈</mo>", r"\quad j \in") + of
