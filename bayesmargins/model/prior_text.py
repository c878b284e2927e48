"""The priors of a model in lines: as they are stated, and what they imply for each coefficient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bayesmargins.design import Design, reference_levels
from bayesmargins.errors import written
from bayesmargins.family import Family
from bayesmargins.model.coordinates import FixedPart, GroupPart
from bayesmargins.model.priors import Prior

__all__ = ["prior_lines", "stored"]


def prior_lines(
    design: Design, family: Family, priors: Mapping[str, Any], fixed: FixedPart, groups: Mapping[str, GroupPart]
) -> list[str]:
    """Lines of ``print(model)`` on reference levels and priors."""
    said = {
        "Intercept",
        "beta",
        *([] if design.fixed.constant else ["thresholds"]),
        *design.coef,
        *(f"{p}_{f}" for p in ("sd", "cor") for f in groups),
    }
    references = [f"{name} {written(level)}" for name, level in reference_levels(design).items()]
    rising = any(p.rising for p in family.parameters)
    lines = [*_fixed_lines(design, priors, fixed, rising)]
    for part in groups.values():
        lines += _group_lines(priors, part)
    lines += [_own_line(name, prior) for name, prior in priors.items() if name not in said]
    compared = [f"reference levels: {', '.join(references)}"] if references else []
    return [*compared, "priors", *(f"  {line}" for line in lines)]


def _own_line(name: str, prior: Any) -> str:
    return f"{name} = {prior:g}, held" if isinstance(prior, int | float) else f"{name} ~ {_text(prior)}"


def _fixed_lines(design: Design, priors: Mapping[str, Any], fixed: FixedPart, rising: bool) -> Iterator[str]:
    own = [fixed.names[j] for j in fixed.own]
    if not design.fixed.constant:
        order = " in order" if rising else ""
        yield f"thresholds ~ {_text(priors['thresholds'])}{order}, at the mean of the columns"
    elif fixed.constant:
        yield f"Intercept ~ {_text(priors['Intercept'])}, the mean of the linear predictor over the rows"
    if shared := [name for name in own if name not in priors and name not in design.structured]:
        yield f"beta ~ {_text(priors['beta'])}, of {', '.join(shared)}"
    yield from (f"{name} ~ {_text(priors[name])}" for name in own if name in priors)
    if k := fixed.basis.M.shape[1]:
        yield f"beta ~ {_text(priors['beta'])} along {_directions(k)}, which implies{', at 0 of yours,' if own else ''}"
        yield from (f"  {line}" for line in _implied(design, priors, fixed))


def _implied(design: Design, priors: Mapping[str, Any], fixed: FixedPart) -> Iterator[str]:
    """Coefficients that carry the constant are left out where a prior of the user's moves them."""
    centre, mean = priors.get("Intercept"), None
    if isinstance(centre, Prior) and not fixed.own:
        mean = (centre.parameters["mu"], centre.parameters["sigma"])
    means, cov = fixed.implied(mean or (0.0, 0.0), priors["beta"].parameters["sigma"])
    carries = np.zeros(len(means)) if fixed.basis.origin is None else fixed.basis.origin
    for k, j in enumerate(fixed.rest):
        if fixed.names[j] in design.coef and (mean or carries[k] == 0.0 or not design.fixed.constant):
            yield f"{fixed.names[j]} ~ {Prior('Normal', {'mu': means[k], 'sigma': np.sqrt(cov[k, k])})}"


def _group_lines(priors: Mapping[str, Any], part: GroupPart) -> Iterator[str]:
    name = part.factor.name
    sd, cor = priors[f"sd_{name}"], priors.get(f"cor_{name}")
    if not part.recoded:
        yield f"sd_{name} ~ {_text(sd)}"
        if cor is not None:
            yield f"cor_{name} ~ {_lkj(cor)}"
        return
    yield f"sd_{name} ~ {_text(sd)} along {_directions(len(part.scales))}, which implies"
    for term, size in zip(part.factor.terms, sd.parameters["sigma"] * part.sizes, strict=True):
        yield f"  sd of {term}: root mean square {size:.3g}"
    if cor is not None:
        yield f"cor_{name} ~ {_lkj(cor)}, of these directions"
    for block in part.blocks:
        if block.rotates:
            terms = ", ".join(part.factor.terms[j] for j in block.terms)
            yield f"cor_{name} ~ that of a square Gaussian root, of the directions of {terms}"


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
