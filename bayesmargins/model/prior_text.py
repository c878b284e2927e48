"""The priors of a model in lines: as they are stated, and what they imply for each coefficient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bayesmargins.design import reference_levels
from bayesmargins.errors import written
from bayesmargins.family import Family
from bayesmargins.model.coordinates import GroupBlock, GroupPart, Member
from bayesmargins.model.linear import LinearPredictor
from bayesmargins.model.priors import Prior
from bayesmargins.schema import MEAN

__all__ = ["prior_lines", "stored"]


def prior_lines(
    predictors: Sequence[LinearPredictor], family: Family, priors: Mapping[str, Any], groups: Mapping[str, GroupPart]
) -> list[str]:
    """Lines of ``print(model)`` on reference levels and priors."""
    mean = predictors[0]
    references = {name: level for p in predictors for name, level in reference_levels(p.design).items()}
    compared = ", ".join(f"{name} {written(level)}" for name, level in references.items())
    rising = any(p.rising for p in family.parameters)
    own = [name for name in family.numbers if name in priors]
    own += [*mean.design.degrees.values(), *(f"sd_{t.name}" for t in mean.design.fixed.penalised)]
    own += [name for t in mean.design.fixed.monotonic for name in (t.name, *t.shares)]
    own += ["thresholds"] if mean.design.fixed.constant and "thresholds" in priors else []
    lines: list[str] = []
    for p in predictors:
        lines += _fixed_lines(p, p.own(priors), rising)
        for part in groups.values():
            for member in part.members:
                lines += _group_lines(priors, part, member) if member.predictor == p.name else []
    for part in groups.values():
        lines += _across_lines(priors, part)
    lines += [_own_line(name, priors[name]) for name in priors if name in own]
    return [*([f"reference levels: {compared}"] if compared else []), "priors", *(f"  {line}" for line in lines)]


def _own_line(name: str, prior: Any) -> str:
    return f"{name} = {prior:g}, held" if isinstance(prior, int | float) else f"{name} ~ {_text(prior)}"


def _fixed_lines(p: LinearPredictor, priors: Mapping[str, Any], rising: bool) -> Iterator[str]:
    design, fixed = p.design, p.fixed
    own = [fixed.names[j] for j in fixed.own]
    if not design.fixed.constant and "thresholds" in priors:
        order = " in order" if rising else ""
        yield f"thresholds ~ {_text(priors['thresholds'])}{order}, at the mean of the columns"
    elif fixed.constant and design.fixed.constant:
        of = "" if p.name == MEAN else f" of {p.name}"
        said = f"the mean of the linear predictor{of} over the rows"
        yield f"{p.named('Intercept')} ~ {_text(priors['Intercept'])}, {said}"
    if shared := [name for name in own if name not in priors and name not in design.structured]:
        yield f"{p.named('beta')} ~ {_text(priors['beta'])}, of {', '.join(shared)}"
    yield from (f"{p.named(name)} ~ {_text(priors[name])}" for name in own if name in priors)
    if k := fixed.basis.M.shape[1]:
        along = f"{_directions(k)}, which implies{', with the coefficients of your priors at 0,' if own else ''}"
        yield f"{p.named('beta')} ~ {_text(priors['beta'])} along {along}"
        yield from (f"  {line}" for line in _implied(p, priors))


def _implied(p: LinearPredictor, priors: Mapping[str, Any]) -> Iterator[str]:
    """Coefficients that carry the constant are left out where a prior of the user's moves them."""
    design, fixed = p.design, p.fixed
    centre, mean = priors.get("Intercept"), None
    if isinstance(centre, Prior) and not fixed.own:
        mean = (centre.parameters["mu"], centre.parameters["sigma"])
    means, cov = fixed.implied(mean or (0.0, 0.0), priors["beta"].parameters["sigma"])
    carries = np.zeros(len(means)) if fixed.basis.origin is None else fixed.basis.origin
    for k, j in enumerate(fixed.rest):
        if fixed.names[j] in design.coef and (mean or carries[k] == 0.0 or not design.fixed.constant):
            yield f"{p.named(fixed.names[j])} ~ {Prior('Normal', {'mu': means[k] + 0.0, 'sigma': np.sqrt(cov[k, k])})}"


def _group_lines(priors: Mapping[str, Any], part: GroupPart, member: Member) -> Iterator[str]:
    """Of the effects on one linear predictor, without correlations with those on others."""
    name, cor = member.named(f"cor_{part.factor.name}"), priors.get(member.named(f"cor_{part.factor.name}"))
    sd, said = priors[member.named(f"sd_{part.factor.name}")], member.named(f"sd_{part.factor.name}")
    blocks = [block for block in part.blocks if block.cor == name]
    if not member.recoded:
        yield f"{said} ~ {_text(sd)}"
        if cor is not None:
            yield f"{name} ~ {_lkj(cor)}"
        return
    yield f"{said} ~ {_text(sd)} along {_directions(len(member.scales))}, which implies"
    for term, size in zip(member.factor.terms, sd.parameters["sigma"] * part.sizes[member.columns], strict=True):
        yield f"  sd of {term}: root mean square {size:.3g}"
    if cor is not None:
        yield f"{name} ~ {_lkj(cor)}, of these directions"
    yield from _of_roots(part, blocks)


def _across_lines(priors: Mapping[str, Any], part: GroupPart) -> Iterator[str]:
    """Of effects on several linear predictors."""
    for block in (b for b in part.blocks if b.cor == f"across_cor_{part.factor.name}"):
        if block.rotates:
            yield from _of_roots(part, [block])
        else:
            terms = ", ".join(part.factor.terms[j] for j in block.terms)
            yield f"{block.cor} ~ {_lkj(priors[block.cor])}, of {terms}{' along these directions' * part.recoded}"


def _of_roots(part: GroupPart, blocks: Sequence[GroupBlock]) -> Iterator[str]:
    for block in (b for b in blocks if b.rotates):
        terms = ", ".join(part.factor.terms[j] for j in block.terms)
        yield f"{block.cor} ~ that of a square Gaussian root, of the directions of {terms}"


def _directions(k: int) -> str:
    return "the centred column" if k == 1 else f"each of {k} orthonormal directions of the columns"


def _lkj(prior: Any) -> str:
    return f"LKJ(eta={prior:g})" if isinstance(prior, int | float) else "LKJ"


def _text(prior: Any) -> str:
    if isinstance(prior, Prior):
        return str(prior)
    kind, parameters = stored(prior)
    return kind if parameters is None else f"{kind}({', '.join(f'{n}={v:.3g}' for n, v in parameters.items())})"


def stored(prior: Any) -> tuple[str, dict[str, float] | None]:
    """A distribution's name in PyMC, and its parameters by name; None where these are not known, or no numbers."""
    kind = getattr(prior.owner.op, "_print_name", ("a PyMC distribution",))[0]
    values = [np.asarray(p.eval()) for p in prior.owner.op.dist_params(prior.owner) if hasattr(p, "eval")]
    names = _STORED.get(kind)
    if names is None or len(names) != len(values) or any(v.size != 1 for v in values):
        return kind, None
    return kind, {n: v.item() + 0.0 for n, v in zip(names, values, strict=True) if n}  # -0.0 is 0


# Parameters in which PyMC keeps a distribution, whichever of its own it was written with; "" is a fixed location.
_STORED = {
    "Normal": ("mu", "sigma"),
    "HalfNormal": ("", "sigma"),
    "Exponential": ("scale",),
    "Gamma": ("alpha", "scale"),
    "InverseGamma": ("alpha", "beta"),
    "StudentT": ("nu", "mu", "sigma"),
    "HalfStudentT": ("nu", "sigma"),
    "Cauchy": ("alpha", "beta"),
    "HalfCauchy": ("", "beta"),
    "LogNormal": ("mu", "sigma"),
    "Laplace": ("mu", "b"),
    "Uniform": ("lower", "upper"),
}
