"""Priors: weakly informative defaults scaled to the data, and the user's own in their place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesmargins.design import Design
from bayesmargins.draws import degrees_of_freedom
from bayesmargins.errors import ModelError, close_matches, listed, shown, warn
from bayesmargins.family import Family, Outcome, Parameter
from bayesmargins.model.across import marks_of
from bayesmargins.model.coordinates import FixedPart, GroupPart, far_from_zero, of_predictor
from bayesmargins.model.scales import Scales
from bayesmargins.schema import MEAN
from bayesmargins.values import entries, is_number

__all__ = [
    "LKJ_ETA",
    "Prior",
    "check_constant",
    "default_priors",
    "given_priors",
    "made_prior",
    "own_columns",
    "priors_of_family",
    "warn_of_zero",
]

LKJ_ETA = 2.0


@dataclass(frozen=True)
class Prior:
    """A distribution by its PyMC name, with numbers for parameters; prints as one writes it."""

    name: str  # class in ``pymc``
    # keyword arguments; an array where the prior differs by element, a Prior where a distribution is cut off
    parameters: Mapping[str, Any]

    def dist(self) -> Any:
        """The PyMC distribution, outside any model."""
        import pymc as pm

        given = {k: v.dist() if isinstance(v, Prior) else v for k, v in self.parameters.items()}
        return getattr(pm, self.name).dist(**given)

    def __str__(self) -> str:
        said = (f"{k}={v if isinstance(v, Prior) else _number(v)}" for k, v in self.parameters.items())
        return f"{self.name}({', '.join(said)})"


def _number(value: Any) -> str:
    array = np.atleast_1d(value)
    return f"{array[0]:.3g}" if array.size == 1 else "[" + ", ".join(f"{v:.3g}" for v in array) + "]"


def default_priors(
    design: Design, scales: Scales, fixed: FixedPart, groups: Mapping[str, GroupPart]
) -> dict[str, Prior | float]:
    """Priors of a linear predictor where the user names none: ``Intercept``, ``beta``, ``sd_<g>``, ``cor_<g>``.

    ``Intercept`` is of the mean of the linear predictor, ``beta`` along each orthonormal direction of the other
    columns, the rest of group effects in their coordinates; LKJ by its number.

    Normal(g(mean y), 2.5 unit) for the mean and Normal(0, 2.5 unit) along orthonormal directions: for one column that
    is Normal(0, 2.5 unit / sd(x)), rstanarm's scale; for several it is Zellner's (1986) g-prior, the covariance of the
    coefficients being (2.5 unit)² n (X'X)⁻¹ with centred X, which no coding of the columns changes. HalfNormal(2.5
    unit) for standard deviations of group effects and LKJ(2) for their correlations in coordinates of that kind;
    the family says that of its own parameters.
    """
    priors: dict[str, Prior | float] = {}
    if fixed.constant and design.fixed.constant:
        priors["Intercept"] = Prior("Normal", {"mu": scales.location, "sigma": scales.around})
    if fixed.basis.M.shape[1]:
        priors["beta"] = Prior("Normal", {"mu": 0.0, "sigma": scales.direction(fixed.constant)})
    for name, part in groups.items():
        sizes = 1.0 if part.recoded else part.sizes
        priors[f"sd_{name}"] = Prior("HalfNormal", {"sigma": scales.direction(True) * sizes})
        if any(len(block.terms) > 1 and not block.rotates for block in part.blocks):
            priors[f"cor_{name}"] = LKJ_ETA
    return priors | _stated(map(degrees_of_freedom, design.degrees.values()), Outcome.of(design.response))


def priors_of_family(family: Family, outcome: Outcome, predicted: Collection[str] = ()) -> dict[str, Prior | float]:
    """Of its own parameters beside the mean, without those that have a linear predictor; it has to say them."""
    own = [p for p in family.estimated(outcome.known_error) if p.name not in predicted]
    silent = [p.name for p in own if p.prior is None]
    if silent:
        raise ModelError(f"family={family.name!r} has no default prior of {listed(silent)}: it cannot be fitted.")
    return _stated(own, outcome)


def _stated(parameters: Iterable[Parameter], outcome: Outcome) -> dict[str, Prior | float]:
    """The default priors that they have."""
    found = {p.name: p.prior(outcome) for p in parameters if p.prior is not None}
    return {name: made_prior(*prior) if isinstance(prior, tuple) else prior for name, prior in found.items()}


def made_prior(name: str, parameters: Mapping[str, Any]) -> Prior:
    """As a family says it."""
    return Prior(name, {k: made_prior(*v) if isinstance(v, tuple) else v for k, v in parameters.items()})


def kinds_of_priors(designs: Mapping[str, Design], family: Family) -> dict[str, str]:
    """What may a prior of the user's be for, and is it of a coefficient, ``"sd"``, ``"cor"`` or the family's own?

    Of these linear predictors, by name. Names that stand for every factor come last.
    """
    kinds: dict[str, str] = {}
    mean = next(iter(designs.values()))
    for name, design in designs.items():
        found = [(c, "coefficient") for c in _coefficients(design)]
        found += [(f"sd_{f}", "sd") for f in (*design.factors, *(t.name for t in design.fixed.penalised))]
        found += [(f"cor_{f}", "cor") for f in _correlated(design, marks_of(designs))]
        if twice := [of_predictor(name, what) for what, _ in found if of_predictor(name, what) in kinds]:
            raise ModelError(
                f"The formulas make two parameters that are called {shown(twice[0])}: one of the mean, and one of "
                f"{name!r}. Rename a column."
            )
        kinds |= {of_predictor(name, what): kind for what, kind in found}
        if design is mean:
            kinds |= {df: "degrees" for df in mean.degrees.values()}
            kinds |= {p.name: "own" for p in family.estimated(mean.response.known_error) if p.name not in designs}
    kinds |= {f"across_cor_{f}": "cor" for f in marks_of(designs)}
    return kinds | {word: kind for word, (kind, _) in _words(designs).items()}


def _coefficients(design: Design) -> list[str]:
    slopes = [c for c in design.coef if c != "Intercept" and c not in design.structured]
    slopes += [name for t in design.fixed.monotonic for name in (t.name, *t.shares)]
    first = ["Intercept"] if design.fixed.constant else []
    return [*first, *(["beta"] if slopes or design.fixed.penalised else []), *slopes]


def _correlated(design: Design, shared: Mapping[str, Collection[str]]) -> list[str]:
    """Factors of a predictor with effects that are correlated with each other alone."""
    return [
        f
        for f, factor in design.factors.items()
        if any(len(b) > 1 and m not in shared.get(f, ()) for b, m in zip(factor.blocks, factor.marks, strict=True))
    ]


def _words(designs: Mapping[str, Design]) -> dict[str, tuple[str, list[str]]]:
    """Names that stand for the same of every factor: their kind, and what they stand for."""
    shared, found = marks_of(designs), {}
    for name, design in designs.items():
        if design.factors:
            found[of_predictor(name, "sd")] = ("sd", [of_predictor(name, f"sd_{f}") for f in design.factors])
        if correlated := _correlated(design, shared):
            found[of_predictor(name, "cor")] = ("cor", [of_predictor(name, f"cor_{f}") for f in correlated])
    return found | ({"across_cor": ("cor", [f"across_cor_{f}" for f in shared])} if shared else {})


def given_priors(given: Mapping[str, Any] | None, designs: Mapping[str, Design], family: Family) -> dict[str, Any]:
    """The user's priors by parameter, ``sd`` and ``cor`` written out for every factor that has none of its own.

    ModelError for a name that is no parameter of this model, or something that is no PyMC distribution.
    """
    kinds, words = kinds_of_priors(designs, family), _words(designs)
    given = entries("priors", given, "'beta': pm.Normal.dist(0, 2.5)", ModelError)
    for name, prior in given.items():
        if not isinstance(name, str) or name not in kinds:
            raise ModelError(_unknown(name, list(kinds), designs))
        own = family.parameter(name) if kinds[name] == "own" and name in family.numbers else None
        own = degrees_of_freedom(name) if kinds[name] == "degrees" else own
        if own is not None and is_number(prior):
            _check_held(own, prior)
            continue
        _check_prior(name, prior, kinds[name], kinds[name] == "sd" if own is None else own.between[0] == 0.0)
    everywhere = {target: given[word] for word, (_, targets) in words.items() if word in given for target in targets}
    return everywhere | {name: prior for name, prior in given.items() if name not in words}


def _unknown(name: Any, allowed: list[str], designs: Mapping[str, Design]) -> str:
    formula = "; ".join(design.formula for design in designs.values())
    if name in list(designs)[1:]:
        own = [a for a in allowed if a.startswith(f"{name}_")]
        return (
            f"priors has {shown(name)}, which has a formula, {designs[name].formula!r}, and is no single number: its "
            f"priors are {listed(own, 40)}."
        )
    return (
        f"priors has {shown(name)}, which is no parameter of {formula!r}; allowed are {listed(allowed, 40)}."
        f"{close_matches(name, allowed)}"
    )


def own_columns(given: Mapping[str, Any], design: Design) -> list[str]:
    """The coefficients that a prior of the user's is for, and those that other parameters make."""
    slopes = [c for c in design.coef if c != "Intercept"]
    return slopes if "beta" in given else [c for c in slopes if c in given or c in design.structured]


def warn_of_zero(design: Design, fixed: FixedPart, groups: Mapping[str, GroupPart]) -> None:
    """Priors of single columns are about effects far from the data where a covariate's zero is far away."""
    own = [k for k, j in enumerate(fixed.own) if fixed.names[j] not in design.structured]
    if len(own) > 1:
        names = [fixed.names[fixed.own[k]] for k in own]
        _warn_of_columns("Coefficients", [names[k] for k in far_from_zero(fixed.R[:, own])])
    for name, part in groups.items():
        for block in part.blocks if not part.recoded else ():
            far = far_from_zero(part.W[:, block.terms]) if len(block.terms) > 1 else ()
            _warn_of_columns(f"Group effects of {name!r}", [part.factor.terms[block.terms[j]] for j in far])


def _warn_of_columns(what: str, names: list[str]) -> None:
    if names:
        warn(
            f"{what} have priors of your own, and the columns of {listed(names)} are nearly combinations of others: a "
            "covariate's zero lies far from the data, and a prior of such a column is about its effect there. Centre "
            "the covariate, as in I(year - 2010) or center(year), or leave these to the defaults, which do not depend "
            "on where zero lies."
        )


def check_constant(given: Mapping[str, Any], fixed: FixedPart, design: Design, name: str = MEAN) -> None:
    """Refuse a prior of the mean of the linear predictor where the model has none."""
    if "Intercept" in given and not fixed.constant:
        raise ModelError(
            f"priors has {of_predictor(name, 'Intercept')!r}, the mean of the linear predictor, which is no parameter "
            f"of {design.formula!r} under these priors: the columns {listed(design.coef, 40)} that have no prior of "
            "their own do not add up to a constant. Leave it out, or write the formula with an intercept."
        )


def _check_held(parameter: Parameter, value: float) -> None:
    if not parameter.has(np.array(float(value))):
        raise ModelError(
            f"priors={{{parameter.name!r}: {shown(value)}}} holds {parameter.name} at a value that it cannot have; it "
            f"has to be {parameter.allowed}."
        )


def _check_prior(name: str, prior: Any, kind: str, positive: bool) -> None:
    if positive and getattr(getattr(prior, "owner", None), "op", None) is not None:
        _refuse_negative(name, prior)
    if kind == "cor" and isinstance(prior, int | float) and prior > 0:
        return
    if isinstance(prior, Prior) or hasattr(prior, "owner"):
        if hasattr(prior, "owner"):
            _refuse_overflow(name, prior)
        return
    wanted, example = "a PyMC distribution, made outside a model", "pm.Normal.dist(0, 2.5)"
    if kind == "cor":
        wanted, example = "the number eta of LKJ, or a PyMC distribution made outside a model", "2.0"
    elif positive:
        example = "pm.HalfNormal.dist(2.5)"
    raise ModelError(f"The prior of {name!r} is {shown(prior)}; it must be {wanted}: priors={{{name!r}: {example}}}.")


_HALVES = {"Normal": "HalfNormal", "StudentT": "HalfStudentT", "Cauchy": "HalfCauchy"}
_REAL = {*_HALVES, "Laplace", "SkewNormal", "Logistic", "Gumbel", "AsymmetricLaplace", "Flat"}


def _refuse_negative(name: str, prior: Any) -> None:
    """Half of a symmetric distribution is another prior, and has a name of its own."""
    kind = getattr(prior.owner.op, "_print_name", ("",))[0]
    if kind in _REAL:
        half = _HALVES.get(kind, "HalfNormal")
        raise ModelError(
            f"The prior of {name!r} is {kind}, which allows negative values; {name} is above 0. Write "
            f"pm.{half}.dist(...)."
        )


def _refuse_overflow(name: str, prior: Any) -> None:
    """PyMC keeps small whole numbers in a byte, whose square overflows: a density of NaN, at which nutpie crashes."""
    inputs = prior.owner.inputs if prior.owner is not None else ()
    if not any(getattr(i, "dtype", "").startswith("int") for i in inputs) or prior.ndim:
        return
    import pymc as pm
    from pytensor.compile.mode import Mode

    density = pm.logp(prior, 1.0).eval(mode=Mode("py", "fast_compile"))  # not compiled: one number
    if np.isnan(density):
        raise ModelError(
            f"The prior of {name!r} has a density that is no number at 1. PyMC squares small whole numbers in a byte: "
            "write its parameters with a decimal point, as in pm.HalfStudentT.dist(nu=3.0, sigma=30.0)."
        )
