"""A model in lines, and which of its variables a posterior keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bayesmargins.errors import listed
from bayesmargins.model.across import correlated_pairs
from bayesmargins.model.sampled import parametrised
from bayesmargins.model.treatment import INTEGRATED
from bayesmargins.schema import stem

__all__ = ["kept_names", "model_lines"]


def model_lines(model: Any) -> list[str]:
    """What ``print(model)`` says of a `GLMM`."""
    alike = model.family.shares is not None  # those of categories have one formula and one link
    others = {} if alike else dict(list(model.predictors.items())[1:])
    formulas = "; ".join([model.design.formula, *(p.design.formula for p in others.values())])
    links = "".join(f"; {name}: {p.link.name}" for name, p in others.items())
    categories = model.design.response.categories
    each = ", a linear predictor for each but the first" if alike else ""
    return [
        f"GLMM {formulas}",
        f"family {model.family.name}, link {model.link.name}{links}; {len(model.design.data)} rows",
        *([f"categories {listed(categories, 12)}{each}"] if categories else []),
        *(part.factor.in_words() for part in model.groups.values()),
        *_of_effects(model),
        *model.prior_lines(),
    ]


def _of_effects(model: Any) -> Iterator[str]:
    if not model.groups:
        yield "no grouping factor: a generalised linear model"
        return
    plan = model.treatment("auto")
    yield str(plan)
    if plan.how != INTEGRATED:
        yield str(parametrised("auto", model.design.formula, model.groups))


def kept_names(model: Any) -> list[str]:
    """Variables of the PyMC model of a `GLMM` that its posterior is made of."""
    names = [p.named("beta") for p in model.predictors.values()]
    names += [name for name in (*model.family.aux, *model.design.degrees.values()) if name in model.priors]
    names += [f"sd_{stem(term.name)}" for term in model.design.fixed.penalised]
    for factor, part in model.groups.items():
        names += [m.named(f"{what}_{stem(factor)}") for m in part.members for what in ("b", "sd")]
        names += list(correlated_pairs(part))
    return names
