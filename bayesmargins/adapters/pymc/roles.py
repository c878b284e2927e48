"""What an entry of `names=` stands for: coefficients, group effects, their spread, parameters of the family."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bayesmargins.design import Design, Factor
from bayesmargins.errors import PosteriorError, close_matches, listed, shown
from bayesmargins.family import Family

__all__ = ["OWN", "Role", "is_of", "read_roles", "split_top", "stem_of"]

# "beta + b(g)": every term's own coefficient is in the values.
OWN = "beta"
_MEANINGS = {
    "b": "group effects",
    "z": "standardised group effects",
    "sd": "standard deviations",
    "chol": "the Cholesky factor of the covariance",
    "cor": "correlations",
    "Sigma": "the covariance",
}
_CALL = re.compile(rf"({'|'.join(_MEANINGS)}|corr)\((.*)\)", re.DOTALL)
_CHECKS = {"eta": "the model's own linear predictor", "mean": "the model's own mean of y"}


@dataclass(frozen=True)
class Role:
    """One key of `names=`."""

    text: str  # as the user wrote it
    kind: str  # {"coef", "b", "z", "sd", "chol", "cor", "Sigma", "parameter", "check"}: what its values are
    parts: tuple[str, ...]  # coefficients or terms of the design, or the parameter
    factor: str = ""  # grouping factor, where it has one
    plus: tuple[str, ...] = ()  # coefficients that the values of group effects contain
    spelt_out: bool = True  # the user listed the parts, so their order is known


def is_of(role: Role, kinds: str, factor: str) -> bool:
    """Does a role say something of these kinds about this factor?"""
    return role.factor == factor and role.kind in kinds.split()


def read_roles(names: Mapping[Any, Any], design: Design, family: Family) -> dict[Role, Any]:
    """Which part of the model does each entry of a user's dict stand for? The same values, by role."""
    if not isinstance(names, Mapping) or not names:
        raise PosteriorError(
            f"names is {shown(names)}; it must be a dict of roles and your variables: {_example(design, family)}."
        )
    roles = {_read(key, design, family): source for key, source in names.items()}
    taken = {p for role in roles if role.kind == "coef" and role.text != OWN for p in role.parts}
    rest = tuple(c for c in design.coef if c not in taken)
    if not rest and any(role.text == OWN and role.kind == "coef" for role in roles):
        raise PosteriorError(f"names has {OWN!r}, and no coefficient is left for it: {listed(design.coef)} have roles.")
    roles = {
        Role(OWN, "coef", rest, spelt_out=False) if role.text == OWN and role.kind == "coef" else role: source
        for role, source in roles.items()
    }
    _refuse_twice(roles)
    _refuse_absent(roles, design, family)
    return roles


def _read(key: Any, design: Design, family: Family) -> Role:
    if isinstance(key, tuple):
        parts = tuple(p for name in key for p in _expand(str(name), design.coef))
        if parts and all(_expand(str(name), design.coef) for name in key):
            return Role(shown(key), "coef", parts)
        raise _unknown(key, design, family)
    text = str(key).strip()
    if text in family.aux:
        return Role(text, "parameter", (text,))
    if text in _CHECKS:
        return Role(text, "check", (text,))
    if text == OWN:
        return Role(OWN, "coef", ())
    coefficients = _expand(text, design.coef)
    if coefficients:
        return Role(text, "coef", coefficients, spelt_out=text in design.coef)
    role = _of_groups(text, design)
    if role is None:
        raise _unknown(key, design, family)
    return role


def _of_groups(text: str, design: Design) -> Role | None:
    """``1|g``, ``Intercept + 1|g``, ``sd(1, x|g)``, ``chol(g)``; None where it is none of these."""
    *plus, last = split_top(text, "+")
    call = _CALL.fullmatch(last)
    kind, inner = (call[1].removesuffix("r") if call[1] == "corr" else call[1], call[2]) if call else ("b", last)
    *terms, name = _split_last(inner)
    if not terms and not call:
        return None
    factor = design.factors.get(name)
    if factor is None or (plus and kind != "b"):
        return None
    named = split_top(terms[0], ",") if terms else list(factor.terms)
    parts = [_expand(t, factor.terms) for t in named]
    added = [c for p in plus for c in ((OWN,) if p == OWN else () if p == "1" else _expand(p, design.coef))]
    if not all(parts) or len(added) < len(plus):
        return None
    spelt_out = bool(terms) and all(len(p) == 1 for p in parts)
    return Role(text, kind, tuple(t for p in parts for t in p), name, tuple(added), spelt_out)


def _expand(text: str, labels: Sequence[str]) -> tuple[str, ...]:
    """The label itself, or those of all levels: ``trt`` is ``trt[drug]`` and ``trt[drug+]``; ``1`` is the intercept."""
    text = "Intercept" if text == "1" and "Intercept" in labels else text
    return (text,) if text in labels else tuple(label for label in labels if stem_of(label) == text)


def stem_of(label: str) -> str | None:
    """``trt`` for ``trt[drug]``, None for what is no level of anything."""
    match = re.fullmatch(r"([^\[\]]+)\[[^\[\]]*\]", label)
    return match[1] if match else None


def split_top(text: str, sign: str) -> list[str]:
    """Pieces between signs that stand outside all brackets.

    >>> split_top("trt[drug+] + poly(x, 2)[1]|g", "+")
    ['trt[drug+]', 'poly(x, 2)[1]|g']
    """
    pieces, depth = [""], 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if c == sign and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += c
    return [p.strip() for p in pieces]


def _split_last(text: str) -> list[str]:
    *before, last = split_top(text, "|")
    return ["|".join(before), last] if before else [last]


def _unknown(key: Any, design: Design, family: Family) -> PosteriorError:
    roles = _roles_of(design, family)
    near = close_matches(str(key).replace(" ", ""), roles)
    of = f" {_example(design, family)}."
    return PosteriorError(
        f"names has the role {key!r}, which {design.formula!r} does not have.{near} Roles of this model are "
        f"{listed(roles, 40)}; group effects that contain a coefficient are written as a sum, 'Intercept + 1|g', "
        f"several terms as a list, 'b(1, x|g)', several coefficients as ('x', 'z') or 'beta'. For example:{of}"
    )


def _roles_of(design: Design, family: Family) -> list[str]:
    groups = [
        role
        for name, factor in design.factors.items()
        for role in (*(f"{_short(t)}|{name}" for t in factor.terms), *(f"{kind}({name})" for kind in _MEANINGS))
    ]
    return [*design.coef, OWN, *groups, *family.aux, *_CHECKS]


def _example(design: Design, family: Family) -> str:
    """A dict for this model, to be filled in."""
    entries = {c: "..." for c in design.coef[:2]} | ({OWN: "..."} if len(design.coef) > 2 else {})
    for name, factor in design.factors.items():
        several = len(factor.terms) > 1
        entries[f"b({name})" if several else f"{_short(factor.terms[0])}|{name}"] = "..."
        entries[f"chol({name})" if any(len(b) > 1 for b in factor.blocks) else f"sd({name})"] = "..."
    return f"names={ {**entries, **dict.fromkeys(family.aux, '...')} }"


def _short(term: str) -> str:
    return "1" if term == "Intercept" else term


def _refuse_twice(roles: Mapping[Role, Any]) -> None:
    sets = {"coef": "coef", "parameter": "parameter", "effects": "b z", "spread": "sd chol Sigma", "correlation": "cor"}
    for kinds in sets.values():
        said = [(r.factor, p) for r in roles if r.kind in kinds.split() for p in r.parts]
        for (factor, part), times in Counter(said).items():
            if times > 1:
                by = [r.text for r in roles if r.kind in kinds.split() and r.factor == factor and part in r.parts]
                whose = f"{_short(part)}|{factor}" if factor else part
                raise PosteriorError(f"names says {times} times what {whose!r} is: {listed(by)}. Give one of them.")


def _refuse_absent(roles: Mapping[Role, Any], design: Design, family: Family) -> None:
    given = {p for r in roles if r.kind in ("coef", "parameter") for p in r.parts}
    coefs = [c for c in design.coef if not any(c in r.parts for r in roles if r.kind == "coef")]
    absent = [f"{c!r} (coefficient, link scale){_taken(c, given, family)}" for c in coefs]
    for factor in design.factors.values():
        absent += _absent_of(factor, roles)
    absent += [
        f"{p!r} (parameter of {family.name}; None where predictions of the mean are all you need)"
        for p in family.aux
        if p not in {q for r in roles if r.kind == "parameter" for q in r.parts}
    ]
    if absent:
        raise PosteriorError(
            f"names leaves out {'; '.join(absent)}. Every role of {design.formula!r} needs a variable."
        )


def _taken(coef: str, given: set[str], family: Family) -> str:
    """A column that is called like a parameter."""
    return f", as a tuple: ({coef!r},)" if coef in given or coef in (*family.aux, *_CHECKS, OWN) else ""


def _absent_of(factor: Factor, roles: Mapping[Role, Any]) -> list[str]:
    name = factor.name
    effects = {t for r in roles if is_of(r, "b z", name) for t in r.parts}
    spread = {t for r in roles if is_of(r, "sd chol Sigma", name) for t in r.parts}
    whole = [set(r.parts) for r in roles if is_of(r, "chol Sigma cor", name)]
    absent = [
        f"'{_short(t)}|{name}' (group effects, one value a level of {name!r}; None where there are no draws of them)"
        for t in factor.terms
        if t not in effects
    ]
    absent += [
        f"'sd({_short(t)}|{name})' (standard deviation of these effects; or chol({name}) or Sigma({name}))"
        for t in factor.terms
        if t not in spread
    ]
    for block in factor.blocks:
        terms = [factor.terms[k] for k in block]
        if len(terms) > 1 and set(terms) <= spread and not any(set(terms) <= w for w in whole):
            absent.append(
                f"'cor({name})' (correlations of {', '.join(terms)}; where the model has none, the formula is "
                f"({' + '.join(map(_short, terms))} || {name}))"
            )
    return absent
