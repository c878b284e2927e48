"""Priors: weakly informative defaults scaled to the data, and the user's own in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesmargins.checks import entries
from bayesmargins.design import Design
from bayesmargins.errors import ModelError, close_matches, listed, shown, warn
from bayesmargins.family import Family, Link, Outcome, Parameter
from bayesmargins.model.coordinates import FixedPart, GroupPart, far_from_zero
from bayesmargins.values import is_number

__all__ = [
    "DIVIDED",
    "LKJ_ETA",
    "Prior",
    "Scales",
    "check_constant",
    "default_priors",
    "given_priors",
    "own_columns",
    "refuse_extreme",
    "scales_of",
    "warn_of_zero",
]

LKJ_ETA = 2.0
WIDTH = 2.5
SQUARED, DIVIDED = 1e100, 1e305  # numbers up to which a square, and a quotient, is a number


@dataclass(frozen=True)
class Prior:
    """A distribution by its PyMC name, with numbers for parameters; prints as one writes it.

    Attributes
    ----------
    name : str
        Class in ``pymc``.
    parameters : dict
        Keyword arguments; an array where the prior differs by element, a Prior where a distribution is cut off.
    """

    name: str
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


@dataclass(frozen=True)
class Scales:
    """What the defaults are scaled by.

    Attributes
    ----------
    location : float
        Link of the mean response, less the offset: where the mean of the linear predictor is expected.
    unit : float
        One unit on the link scale: sd(y) for the identity link, 1 for log. Of probabilities the standard deviation of
        the link's latent variable relative to the logistic's (logit 1, probit 0.55, cloglog and loglog 0.71, cauchit
        0.91), elsewhere sd(y) over the slope of the inverse link.
    """

    location: float
    unit: float

    def direction(self, constant: bool) -> float:
        """Prior sd of the linear predictor along one direction; without a constant it has to reach the location too."""
        return WIDTH * (self.unit if constant else float(np.hypot(self.unit, self.location)))


def scales_of(design: Design, family: Family, link: Link, offset: np.ndarray) -> Scales:
    """The data's own scales; offset (row,) on the link scale.

    Raises
    ------
    ModelError
        Numbers of a size whose squares are lost.
    """
    response = design.response
    refuse_extreme(f"The response {response.text!r}", response.y)
    refuse_extreme("The offset", offset)
    y = response.y if family.measured is None else family.measured(response.y)
    location = 0.0 if family.ordinal else _location(family, link, y, response.n) - _typical(link, offset)
    return Scales(location, _unit(link, y, location))


def refuse_extreme(what: str, values: np.ndarray, largest: float = SQUARED) -> None:
    """Priors are scaled by standard deviations: where a square (of columns, a quotient) is lost, they would be too.

    Raises
    ------
    ModelError
        The values are that large, or that near to each other.
    """
    size, apart = float(np.abs(values).max(initial=0.0)), float(np.ptp(values / 2.0)) if len(values) else 0.0
    if size > largest or 0.0 < apart < 1.0 / largest:
        said = f"of up to {size:.3g}" if size > largest else f"that differ by {2.0 * apart:.3g} at most"
        raise ModelError(
            f"{what} has values {said}, and priors are scaled by standard deviations: from {largest:g} on, and below "
            f"{1 / largest:g}, they would be lost in floating point. Choose another unit."
        )


def _location(family: Family, link: Link, y: np.ndarray, n: np.ndarray | None) -> float:
    """Half an observation is added to either side, so that a response without any event keeps a finite prior."""
    if not family.discrete and not link.linear and y.mean() > 0.0:
        mean = y.mean()  # a measurement has a unit, and no half of it is small
    elif link.bounded:
        total = float(len(y) if n is None else n.sum())
        mean = (y.sum() + 0.5) / (total + 1.0)
    elif link.linear or (not family.discrete and link.no_average):
        mean = y.mean()  # which may be negative
    else:
        mean = max((y.sum() + 0.5) / (len(y) + 1.0), 1e-6)
    return float(link.link(np.asarray(mean)))


def _typical(link: Link, offset: np.ndarray) -> float:
    """Under a log link exp(offset) is an exposure, and a rate is counts over the sum of exposures."""
    if not link.exponential or not len(offset):
        return float(np.mean(offset))
    largest = offset.max()  # exp(offset) itself may be beyond what a float holds
    return float(largest + np.log(np.mean(np.exp(offset - largest))))


def _unit(link: Link, y: np.ndarray, location: float) -> float:
    if link.linear:
        return float(y.std()) or 1.0
    if link.exponential or link.bounded:
        return 1.0 if link.exponential else float(link.latent_sd / (np.pi / np.sqrt(3)))
    moved = float(y.std() / np.abs(link.derivative(location)))  # what a standard deviation of y is on the link scale
    return moved if 0.0 < moved < np.inf else 1.0


def default_priors(
    design: Design, family: Family, scales: Scales, fixed: FixedPart, groups: Mapping[str, GroupPart]
) -> dict[str, Prior | float]:
    """Which priors does a model get where the user names none?

    Parameters
    ----------
    design : Design
        Gives the response.
    family : Family
        Adds its own.
    scales : Scales
        Of the data.
    fixed : FixedPart
        Coordinates of the fixed part.
    groups : mapping
        Coordinates of each factor's group effects.

    Returns
    -------
    dict
        ``Intercept`` (mean of the linear predictor), ``beta`` (along each orthonormal direction of the other columns),
        ``sd_<factor>`` and ``cor_<factor>`` (of the effects in their coordinates; LKJ by its number), the family's own.

    Notes
    -----
    Normal(g(mean y), 2.5 unit) for the mean and Normal(0, 2.5 unit) along orthonormal directions: for one column that
    is Normal(0, 2.5 unit / sd(x)), rstanarm's scale; for several it is Zellner's (1986) g-prior, the covariance of the
    coefficients being (2.5 unit)² n (X'X)⁻¹ with centred X, which no coding of the columns changes. HalfNormal(2.5
    unit) for standard deviations of group effects and LKJ(2) for their correlations in coordinates of that kind;
    the family says that of its own parameters.
    """
    priors: dict[str, Prior | float] = {}
    if fixed.constant and design.fixed.constant:
        priors["Intercept"] = Prior("Normal", {"mu": scales.location, "sigma": scales.direction(True)})
    if fixed.basis.M.shape[1]:
        priors["beta"] = Prior("Normal", {"mu": 0.0, "sigma": scales.direction(fixed.constant)})
    for name, part in groups.items():
        sizes = 1.0 if part.recoded else part.sizes
        priors[f"sd_{name}"] = Prior("HalfNormal", {"sigma": scales.direction(True) * sizes})
        if any(len(block.terms) > 1 and not block.rotates for block in part.blocks):
            priors[f"cor_{name}"] = LKJ_ETA
    return priors | _of_family(family, Outcome.of(design.response))


def _of_family(family: Family, outcome: Outcome) -> dict[str, Prior | float]:
    """Its own parameters', beside the mean."""
    own = family.estimated(outcome.known_error)
    silent = [p.name for p in own if p.prior is None]
    if silent:
        raise ModelError(f"family={family.name!r} has no default prior of {listed(silent)}: it cannot be fitted.")
    found = {p.name: p.prior(outcome) for p in own if p.prior is not None}
    return {name: _prior(*prior) if isinstance(prior, tuple) else prior for name, prior in found.items()}


def _prior(name: str, parameters: Mapping[str, Any]) -> Prior:
    return Prior(name, {k: _prior(*v) if isinstance(v, tuple) else v for k, v in parameters.items()})


def names_of_priors(design: Design, family: Family) -> list[str]:
    """What may a prior of the user's be for? Names that stand for every factor come last."""
    slopes = [c for c in design.coef if c != "Intercept" and c not in design.structured]
    made = [name for t in design.fixed.monotonic for name in (t.name, *t.shares)]
    made += [f"sd_{t.name}" for t in design.fixed.penalised]
    correlated = [f for f, factor in design.factors.items() if any(len(block) > 1 for block in factor.blocks)]
    return [
        *(["Intercept"] if design.fixed.constant else []),
        *(["beta"] if slopes or made else []),
        *slopes,
        *made,
        *(f"sd_{f}" for f in design.factors),
        *(f"cor_{f}" for f in correlated),
        *(p.name for p in family.estimated(design.response.known_error)),
        *(["sd"] if design.factors else []),
        *(["cor"] if correlated else []),
    ]


def given_priors(given: Mapping[str, Any] | None, design: Design, family: Family) -> dict[str, Any]:
    """The user's priors by parameter, ``sd`` and ``cor`` written out for every factor that has none of its own.

    Raises
    ------
    ModelError
        A name that is no parameter of this model, or something that is no PyMC distribution.
    """
    allowed = names_of_priors(design, family)
    given = entries("priors", given, "'beta': pm.Normal.dist(0, 2.5)", ModelError)
    for name, prior in given.items():
        if name not in allowed:
            raise ModelError(
                f"priors has {shown(name)}, which is no parameter of {design.formula!r}; allowed are "
                f"{listed(allowed, 40)}.{close_matches(name, allowed)}"
            )
        own = family.parameter(name) if name in family.numbers else None
        if own is not None and is_number(prior):
            _check_held(own, prior)
            continue
        positive = name.split("_")[0] == "sd" if own is None else own.between[0] == 0.0
        _check_prior(name, prior, positive)
    everywhere = {
        target: given[name]
        for name in ("sd", "cor")
        if name in given
        for target in allowed
        if target.startswith(f"{name}_") and target.removeprefix(f"{name}_") in design.factors
    }
    return everywhere | {name: prior for name, prior in given.items() if name not in ("sd", "cor")}


def own_columns(given: Mapping[str, Any], design: Design) -> list[str]:
    """The coefficients that a prior of the user's is for, and those that other parameters make."""
    slopes = [c for c in design.coef if c != "Intercept"]
    return slopes if "beta" in given else [c for c in slopes if c in given or c in design.structured]


def warn_of_zero(given: Mapping[str, Any], design: Design, fixed: FixedPart, groups: Mapping[str, GroupPart]) -> None:
    """Priors of single columns are about effects far from the data where a covariate's zero is far away.

    Warns
    -----
    BayesmarginsWarning
        Columns under priors of the user's own are nearly the same column.
    """
    own = [k for k, j in enumerate(fixed.own) if fixed.names[j] not in design.structured]
    if len(own) > 1:
        far = far_from_zero(fixed.R[:, own])
        _warn_of_columns("Coefficients", [fixed.names[fixed.own[own[k]]] for k in far])
    for name, part in groups.items():
        if f"sd_{name}" in given or f"cor_{name}" in given:
            for block in part.blocks:
                far = far_from_zero(part.W[:, block.terms])
                _warn_of_columns(f"Group effects of {name!r}", [part.factor.terms[block.terms[j]] for j in far])


def _warn_of_columns(what: str, names: list[str]) -> None:
    if names:
        warn(
            f"{what} have priors of your own, and the columns of {listed(names)} are nearly combinations of others: a "
            "covariate's zero lies far from the data, and a prior of such a column is about its effect there. Centre "
            "the covariate, as in I(year - 2010) or center(year), or leave these to the defaults, which do not depend "
            "on where zero lies."
        )


def check_constant(given: Mapping[str, Any], fixed: FixedPart, design: Design) -> None:
    """A prior of the mean of the linear predictor needs a model that has one.

    Raises
    ------
    ModelError
        It has none.
    """
    if "Intercept" in given and not fixed.constant:
        raise ModelError(
            f"priors has 'Intercept', the mean of the linear predictor, which is no parameter of {design.formula!r} "
            f"under these priors: the columns {listed(design.coef, 40)} that have no prior of their own do not add up "
            "to a constant. Leave it out, or write the formula with an intercept."
        )


def _check_held(parameter: Parameter, value: float) -> None:
    if not parameter.has(np.array(float(value))):
        raise ModelError(
            f"priors={{{parameter.name!r}: {shown(value)}}} holds {parameter.name} at a value that it cannot have; it "
            f"has to be {parameter.allowed}."
        )


def _check_prior(name: str, prior: Any, positive: bool) -> None:
    if positive and getattr(getattr(prior, "owner", None), "op", None) is not None:
        _refuse_negative(name, prior)
    if name.startswith("cor") and isinstance(prior, int | float) and prior > 0:
        return
    if isinstance(prior, Prior) or hasattr(prior, "owner"):
        if hasattr(prior, "owner"):
            _refuse_overflow(name, prior)
        return
    wanted, example = "a PyMC distribution, made outside a model", "pm.Normal.dist(0, 2.5)"
    if name.startswith("cor"):
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
