"""From formulas, data and family to linear predictors with their coordinates and priors: what `GLMM` holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from bayesmargins.design import Design, build_design, build_part, designs_by_category
from bayesmargins.errors import DataError
from bayesmargins.family import Family, Outcome, check_outcome, get_family, get_link, warn_of_other_families
from bayesmargins.model.across import correlated_with, joined, marks_of
from bayesmargins.model.coordinates import GroupPart, fixed_part, group_part, of_predictor, own_priors
from bayesmargins.model.formulas import (
    check_marks,
    check_predicted,
    check_structures,
    formulas_of,
    links_of,
    refuse_constant,
)
from bayesmargins.model.linear import LinearPredictor
from bayesmargins.model.parameter_scales import scales_of_parameter
from bayesmargins.model.priors import (
    LKJ_ETA,
    check_constant,
    default_priors,
    given_priors,
    own_columns,
    priors_of_family,
    warn_of_zero,
)
from bayesmargins.model.scales import DIVIDED, Scales, refuse_extreme, scales_of, scales_of_category
from bayesmargins.model.structured import structure_priors
from bayesmargins.model.treatment import check_factors
from bayesmargins.schema import MEAN
from bayesmargins.values import one_of

__all__ = ["Specified", "specified"]

_Parts = dict[str, dict[str, GroupPart]]


class Specified(NamedTuple):
    """A model."""

    family: Family
    outcome: Outcome
    predictors: dict[str, LinearPredictor]  # by name, the mean's first
    groups: dict[str, GroupPart]  # by factor, effects on all predictors
    priors: dict[str, Any]  # of every parameter


def specified(
    formula: Any,
    data: Any,
    family: str | Family,
    link: Any,
    priors: Mapping[str, Any] | None,
    missing: str,
    namespace: Mapping[str, Callable[..., Any]] | None,
) -> Specified:
    """What a user asks for, checked; errors as `GLMM` documents them."""
    of, formulas = get_family(family), formulas_of(formula, get_family(family))
    links = links_of(link, of, formulas.parameters)
    one_of("missing", missing, ("error", "drop"), DataError)
    design = build_design(
        formulas.outcome,
        data,
        missing=missing,
        namespace=namespace,
        categories=of.categories,
        beside=formulas.parameters,
    )
    response = design.response
    outcome = Outcome.of(response)
    check_outcome(of, outcome, response.text, links[MEAN])
    warn_of_other_families(of, outcome, response.text)
    check_predicted(design, of, formulas.parameters)
    parts = formulas.parameters.items()
    designs = {MEAN: design, **{name: build_part(name, text, design, namespace=namespace) for name, text in parts}}
    if of.shares is not None:
        designs = designs_by_category(design, MEAN)
        links = {n: links[MEAN] if of_n is design else get_link("identity") for n, of_n in designs.items()}
    check_marks(designs)
    check_structures(designs)
    for own in designs.values():
        check_factors(own)
    given = given_priors(priors, designs, of)
    found: dict[str, LinearPredictor] = {}
    defaults: dict[str, Any] = {}
    groups: _Parts = {}
    for name, own in designs.items():
        found[name], of_groups = _predictor(name, own, links, given, _in_own_columns(designs, name, given), of, outcome)
        for factor, part in of_groups.items():
            groups.setdefault(factor, {})[name] = part
        stated = default_priors(own, found[name].scales, found[name].fixed, of_groups)
        defaults |= {of_predictor(name, key): prior for key, prior in stated.items()}
        defaults |= priors_of_family(of, outcome, formulas.parameters) if own is design else {}
        defaults |= structure_priors(own, found[name].fixed, found[name].scales, given)
    together = {factor: joined(own) for factor, own in groups.items()}
    return Specified(of, outcome, found, together, _needed(defaults | given, together))


def _predictor(
    name: str,
    design: Design,
    links: Mapping[str, Any],
    given: Mapping[str, Any],
    as_written: set[str],
    family: Family,
    outcome: Outcome,
) -> tuple[LinearPredictor, dict[str, GroupPart]]:
    """A linear predictor and its group effects, those of the factors `as_written` in the user's columns."""
    link, own = links[name], own_priors(name, given)
    rows = design.rows(design.data, tuple(design.factors), what="data")
    columns = [*zip(design.coef, rows.X.T, strict=True)]
    for factor in design.factors.values():
        columns += zip(factor.terms, rows.Z[factor.name].T, strict=True)
    for column, values in columns:
        refuse_extreme(f"The column {column!r}", values, DIVIDED)
    fixed = fixed_part(design, rows.X, own_columns(own, design))
    if family.scales_latent((name,)):
        refuse_constant(name, design, fixed)
    check_constant(own, fixed, design, name)
    groups = {f: group_part(design, factor, f in as_written, name) for f, factor in design.factors.items()}
    warn_of_zero(design, fixed, groups)
    scales = _scales(name, design, link, rows.offset, family, outcome)
    return LinearPredictor(name, design, link, fixed, scales, rows.offset), groups


def _scales(name: str, design: Design, link: Any, offset: np.ndarray, family: Family, outcome: Outcome) -> Scales:
    if family.shares is not None:
        return scales_of_category(name, family, outcome, design.response.categories, offset)
    if name == MEAN:
        return scales_of(design, family, link, offset)
    refuse_extreme(f"The offset of {name!r}", offset)
    return scales_of_parameter(family.parameter(name), link, outcome, offset)


def _in_own_columns(designs: Mapping[str, Design], name: str, given: Mapping[str, Any]) -> set[str]:
    """Factors whose effects on this predictor, or on one that they are correlated with, have a prior of the user's."""
    found = set()
    for f in designs[name].factors:
        together = correlated_with(name, marks_of(designs).get(f, {}))
        keys = [of_predictor(other, f"{what}_{f}") for other in together for what in ("sd", "cor")]
        keys += [f"across_cor_{f}"] * (len(together) > 1)
        if any(key in given for key in keys):
            found.add(f)
    return found


def _needed(priors: dict[str, Any], groups: Mapping[str, GroupPart]) -> dict[str, Any]:
    """Correlations by blocks as they are once those of several predictors are one."""
    blocks = [block for part in groups.values() for block in part.blocks if len(block.terms) > 1]
    own = {m.named(f"cor_{f}") for f, part in groups.items() for m in part.members}
    have = {block.cor for block in blocks}
    kept = {key: prior for key, prior in priors.items() if key not in own or key in have}
    return kept | {b.cor: LKJ_ETA for b in blocks if not b.rotates and b.cor not in kept}
