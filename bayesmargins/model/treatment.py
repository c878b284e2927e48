"""How a fit treats the group effects b: integrated out and drawn back, or sampled with everything else, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bayesmargins.design import Design
from bayesmargins.errors import FitError, ModelError, close_matches, listed, shown
from bayesmargins.family import Family, Link, Outcome
from bayesmargins.group_likelihood import no_plane
from bayesmargins.integrate.effect_pattern import Levels, multiplications
from bayesmargins.values import is_word

__all__ = [
    "INTEGRATED",
    "SAMPLED",
    "Treatment",
    "check_factors",
    "closed_form",
    "obstacle_to_integral",
    "runs_compiled",
    "treatment",
]

INTEGRATED, SAMPLED = "integrated", "sampled"
_ASKED = ("auto", INTEGRATED, SAMPLED)
# Multiplications a gradient for the effects of all but the largest factor: with more, sampling them is faster.
_MOST_PRODUCTS, _MOST_A_ROW = 2e6, 100
_WITHOUT_B = ("independent",)  # samplers that need a likelihood without b, whatever it costs
_NO_JAX = ("numpyro",)  # samplers that need a version in JAX of every operation of the model


@dataclass(frozen=True)
class Treatment:
    """What is done with b, and why: both stand in the posterior's ``info``."""

    how: str  # {"integrated", "sampled"}
    why: str  # a clause: "their integral has a closed form"

    @property
    def info(self) -> dict[str, str]:
        """For `Posterior.info`."""
        return {"group_effects": self.how, "group_effects_why": self.why}

    def __str__(self) -> str:
        verb = "integrated out of the fit and drawn back exactly" if self.how == INTEGRATED else "sampled"
        return f"group effects are {verb}: {self.why}"


def treatment(asked: str, design: Design, family: Family, link: Link, obstacle: str, sampler: str = "") -> Treatment:
    """What happens to b where ``group_effects=asked``? `obstacle` is what `obstacle_to_integral` said.

    FitError where integration was asked for and is not exact.
    """
    if not is_word(asked, _ASKED):
        raise FitError(
            f"group_effects={shown(asked)} is not known; allowed are {listed(_ASKED)}.{close_matches(asked, _ASKED)}"
        )
    if asked == SAMPLED:
        return Treatment(SAMPLED, "as asked")
    if not obstacle and not runs_compiled(sampler):
        obstacle = f"sampler {sampler!r} cannot run the compiled integral"
    if obstacle and asked == INTEGRATED:
        raise FitError(
            f"group_effects='integrated' is not possible for {design.formula!r}: {obstacle}. Use "
            "group_effects='sampled', or 'auto', which integrates them out wherever it can."
        )
    if obstacle:
        return Treatment(SAMPLED, obstacle)
    if closed_form(family, link):
        return Treatment(INTEGRATED, "their integral has a closed form")
    if asked != INTEGRATED and not is_word(sampler, _WITHOUT_B) and _terms(design) > 1:
        return Treatment(
            SAMPLED,
            "NUTS draws two effects of a group faster than it integrates them; fit(sampler='independent') integrates "
            "them",
        )
    return Treatment(INTEGRATED, "each group's integral is a sum over nodes")


def runs_compiled(sampler: str) -> bool:
    """Can it run a likelihood that is no graph of PyTensor?"""
    return not is_word(sampler, _NO_JAX)


def _terms(design: Design) -> int:
    """Effects of a group, of the factor that has most."""
    return max(len(factor.terms) for factor in design.factors.values())


def closed_form(family: Family, link: Link) -> bool:
    """Is y, or what is measured of it, normal about the linear predictor?"""
    return bool(family.normal_sd) and link.linear


def _several(design: Design, others: Mapping[str, Design]) -> str:
    """Why b is not integrated out where parameters have formulas of their own."""
    if not any(d.factors for d in (design, *others.values())):
        return "the model has none"
    have = "have linear predictors of their own" if len(others) > 1 else "has a linear predictor of its own"
    return (
        f"{listed(others)} {have}, and the integral over group effects is there for models with that of the mean alone"
    )


def obstacle_to_integral(design: Design, family: Family, link: Link, others: Mapping[str, Design]) -> str:
    """Why b cannot be integrated out exactly; empty where it can. `others` are designs beside the mean's."""
    if others:
        return _several(design, others)
    if not design.factors:
        return "the model has none"
    if design.degrees:
        return f"Student-t effects, those of {listed(design.degrees)}, are not integrated in closed form"
    if design.related:
        return f"groups of {listed(design.related)} are related, so their effects are one integral of them all"
    several = [name for name, factor in design.factors.items() if factor.members]
    if several:
        return f"rows belong to several groups of {listed(several)}, so their effects are one integral of them all"
    beyond = family.not_integrated(Outcome.of(design.response), link)
    if beyond:
        return f"the left-hand side says {listed(beyond)}, and such rows are not integrated"
    return _too_many(design) if closed_form(family, link) else _no_nodes(design, family, link)


def _too_many(design: Design) -> str:
    """Why the closed form would cost more than sampling."""
    large, *small = sorted(
        (Levels(f.codes, len(f.levels), len(f.terms)) for f in design.factors.values()),
        key=lambda f: -f.count * f.terms,
    )
    most = max(_MOST_PRODUCTS, _MOST_A_ROW * len(large.codes))
    if multiplications(large, small, most) <= most:
        return ""
    return (
        f"the {sum(f.count * f.terms for f in small):,} beside the {large.count * large.terms:,} of the largest factor "
        f"are so crossed that their integral takes more than {most / 1e6:.3g} million multiplications a step, which "
        "costs more than sampling them"
    )


def _no_nodes(design: Design, family: Family, link: Link) -> str:
    """Why the integral is not one of each group by itself, over few effects, with one peak."""
    if family.compiled_rows(link) is None:
        return (
            f"under family {family.name!r} and link {link.name!r} their integral has no closed form, and what is "
            "integrated may have several peaks"
        )
    if len(design.factors) > 1:
        return f"under family {family.name!r} the effects of {len(design.factors)} factors are one integral of them all"
    (factor,) = design.factors.values()
    if factor.strata is not None:
        return f"groups of each {factor.strata.by} have a covariance of their own, and the sum over nodes is of one"
    return no_plane(family, link, factor.terms)


def check_factors(design: Design) -> None:
    """ModelError where a factor has one group only, or nobody says how its groups are related."""
    for name, factor in design.factors.items():
        if factor.cov and factor.relation is None:
            raise ModelError(
                f"gr({name}, cov = {factor.cov}) names a matrix that is not there: pass namespace={{{factor.cov!r}: "
                f"frame}}, a pandas.DataFrame whose rows and columns are labelled by the groups of {name!r}."
            )
        if len(factor.levels) < 2:
            raise ModelError(
                f"The grouping factor {name!r} has the single level {factor.levels[0]!r}: how groups vary cannot be "
                "learnt from one. Leave the block out, or make it a fixed effect."
            )
