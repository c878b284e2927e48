"""Priors: weakly informative defaults scaled to the data, and the user's own in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesmargins.design import Design, Factor
from bayesmargins.errors import ModelError, close_matches, listed
from bayesmargins.family import Family, Link, Outcome

__all__ = ["Prior", "Scales", "default_priors", "resolve_priors", "scales_of", "subset"]

LKJ_ETA = 2.0


@dataclass(frozen=True)
class Prior:
    """A distribution by its PyMC name, with numbers for parameters; prints as one writes it.

    Attributes
    ----------
    name : str
        Class in ``pymc``.
    parameters : dict
        Keyword arguments; an array where the prior differs by element.
    """

    name: str
    parameters: Mapping[str, Any]

    def dist(self) -> Any:
        """The PyMC distribution, outside any model."""
        import pymc as pm

        return getattr(pm, self.name).dist(**self.parameters)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={_number(v)}' for k, v in self.parameters.items())})"


def _number(value: Any) -> str:
    array = np.atleast_1d(value)
    return f"{array[0]:.3g}" if array.size == 1 else "[" + ", ".join(f"{v:.3g}" for v in array) + "]"


@dataclass(frozen=True)
class Scales:
    """What the defaults are scaled by.

    Attributes
    ----------
    location : float
        Link of the mean response, less the offset: where the centred intercept's prior is centred.
    unit : float
        One unit on the link scale: sd(y) for the identity link; otherwise the standard deviation of the link's latent
        variable relative to the logistic's (logit 1, probit 0.55, cloglog 0.71), and 1 for log.
    x_means, x_sds : ndarray, shape (slope,)
        Of the fixed columns other than the intercept.
    """

    location: float
    unit: float
    x_means: np.ndarray
    x_sds: np.ndarray


def scales_of(design: Design, family: Family, link: Link, X: np.ndarray, offset: np.ndarray) -> Scales:
    """What are the data's own scales?

    Parameters
    ----------
    design : Design
        Gives the response.
    family, link : Family, Link
        Of the model.
    X : ndarray, shape (row, slope)
        Fixed columns without the intercept.
    offset : ndarray, shape (row,)
        Link scale.

    Returns
    -------
    Scales

    Raises
    ------
    Nothing.
    """
    response = design.response
    sd = X.std(axis=0)
    return Scales(
        location=_location(link, response.y, response.n) - _typical(link, offset),
        unit=_unit(link, response.y),
        x_means=X.mean(axis=0),
        x_sds=np.where(sd > 0, sd, 1.0),
    )


def _location(link: Link, y: np.ndarray, n: np.ndarray | None) -> float:
    """Half an observation is added to either side, so that a response without any event keeps a finite prior."""
    if link.bounded:
        total = float(len(y) if n is None else n.sum())
        mean = (y.sum() + 0.5) / (total + 1.0)
    elif link.exponential:
        mean = max((y.sum() + 0.5) / (len(y) + 1.0), 1e-6)
    else:
        mean = y.mean()
    return float(link.link(np.asarray(mean)))


def _typical(link: Link, offset: np.ndarray) -> float:
    """Under a log link exp(offset) is an exposure, and a rate is counts over the sum of exposures."""
    return float(np.log(np.mean(np.exp(offset))) if link.exponential else np.mean(offset))


def _unit(link: Link, y: np.ndarray) -> float:
    if link.linear:
        return float(y.std()) or 1.0
    return 1.0 if link.exponential else float(link.latent_sd / (np.pi / np.sqrt(3)))


def default_priors(design: Design, family: Family, scales: Scales) -> dict[str, Prior | float]:
    """Which priors does a model get where the user names none?

    Parameters
    ----------
    design : Design
        Names the parameters.
    family : Family
        Adds its own.
    scales : Scales
        Of the data.

    Returns
    -------
    dict
        ``Intercept`` (of the centred design), ``beta``, ``sd_<factor>``, ``cor_<factor>`` (the number of LKJ),
        ``sigma`` or ``shape``.

    Raises
    ------
    Nothing.

    Notes
    -----
    Normal(g(mean y), 2.5 unit) for the intercept and Normal(0, 2.5 unit / sd(x)) for coefficients follow Gelman,
    Jakulin, Pittau & Su (2008) in spirit and rstanarm in scale; HalfNormal(2.5 unit / sd(z)) for standard deviations of
    group effects; LKJ(2) for their correlations; Exponential(1 / sd(y)) for sigma; InverseGamma(0.4, 0.3) for the shape
    of the negative binomial, as in brms since 2.20.
    """
    priors: dict[str, Prior | float] = {}
    if "Intercept" in design.coef:
        priors["Intercept"] = Prior("Normal", {"mu": scales.location, "sigma": 2.5 * scales.unit})
    if len(scales.x_sds):
        priors["beta"] = Prior("Normal", {"mu": 0.0, "sigma": 2.5 * scales.unit / scales.x_sds})
    for name, factor in design.factors.items():
        priors[f"sd_{name}"] = Prior("HalfNormal", {"sigma": 2.5 * scales.unit / _z_sds(design, factor)})
        if any(len(block) > 1 for block in factor.blocks):
            priors[f"cor_{name}"] = LKJ_ETA
    priors.update(_of_family(family, Outcome(design.response.y, design.response.n)))
    return priors


def _of_family(family: Family, outcome: Outcome) -> dict[str, Prior | float]:
    """Its own parameters', beside the mean."""
    silent = [p.name for p in family.parameters[1:] if p.prior is None]
    if silent:
        raise ModelError(f"family={family.name!r} has no default prior of {listed(silent)}: it cannot be fitted.")
    return {p.name: Prior(*p.prior(outcome)) for p in family.parameters[1:] if p.prior is not None}


def _z_sds(design: Design, factor: Factor) -> np.ndarray:
    z = design.rows(design.data, (factor.name,), what="data").Z[factor.name]
    sd = z.std(axis=0)
    return np.where((sd > 0) & ~np.isin(factor.terms, ["Intercept"]), sd, 1.0)


def resolve_priors(
    defaults: Mapping[str, Prior | float], given: Mapping[str, Any] | None, design: Design
) -> dict[str, Any]:
    """Which prior does every parameter get, the user's taking precedence?

    Parameters
    ----------
    defaults : mapping
        From `default_priors`.
    given : mapping, optional
        The user's: a name of `defaults`, a single coefficient (``"week"``), or ``"sd"`` / ``"cor"`` for every factor.
    design : Design
        Knows the coefficients.

    Returns
    -------
    dict
        Prior, PyMC distribution or (for correlations) number, by name; single coefficients under their own name.

    Raises
    ------
    ModelError
        A name that is no parameter of this model, or something that is no PyMC distribution.
    """
    priors: dict[str, Any] = dict(defaults)
    factors = list(design.factors)
    slopes = [c for c in design.coef if c != "Intercept"]
    allowed = [
        *defaults,
        *slopes,
        *(["sd"] if factors else []),
        *(["cor"] if any(p.startswith("cor_") for p in defaults) else []),
    ]
    for name, prior in (given or {}).items():
        if name not in allowed:
            raise ModelError(
                f"priors has {name!r}, which is no parameter of {design.formula!r}; allowed are {listed(allowed, 40)}."
                f"{close_matches(name, allowed)}"
            )
        _check_prior(name, prior)
        targets = [p for p in defaults if p.startswith(f"{name}_")] if name in ("sd", "cor") else [name]
        priors.update({t: prior for t in targets if t not in (given or {}) or t == name})
    return priors


def subset(prior: Any, which: list[int]) -> Any:
    """The prior of some elements, where it differs by element.

    Raises
    ------
    Nothing.
    """
    if not isinstance(prior, Prior):
        return prior
    return Prior(prior.name, {k: v[which] if np.ndim(v) else v for k, v in prior.parameters.items()})


def _check_prior(name: str, prior: Any) -> None:
    if name.startswith("cor") and isinstance(prior, int | float) and prior > 0:
        return
    if isinstance(prior, Prior) or hasattr(prior, "owner"):
        return
    wanted = "the number eta of LKJ, such as 2.0" if name.startswith("cor") else "a PyMC distribution"
    raise ModelError(
        f"The prior of {name!r} is {prior!r}; it must be {wanted}, made outside a model: "
        "priors={'beta': pm.Normal.dist(0, 2.5)}."
    )
