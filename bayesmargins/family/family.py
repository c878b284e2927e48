"""What a family is: the distribution of y given its parameters. Each family has a file in `families`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bayesmargins.errors import ModelError, PosteriorError, close_matches, shown, warn
from bayesmargins.family.curve import Bundle, Curve
from bayesmargins.family.link import Array, Link
from bayesmargins.family.links import LINKS
from bayesmargins.family.outcome import Outcome, Support, Values
from bayesmargins.values import is_word

__all__ = [
    "LATENT",
    "Coefficients",
    "Family",
    "Parameter",
    "Residual",
    "Summed",
    "check_outcome",
    "parameter_family",
    "parameter_values",
    "resolve_link",
    "values_at",
    "warn_of_other_families",
]

Tail = Callable[[Array, Values, Outcome], Array]
Coefficients = tuple[Array | float, Array | float, Array | float]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Parameter:
    """A parameter of a family.

    Attributes
    ----------
    name : str
        As in ``aux=`` and ``target=``; the first of a family, its mean, is ``"mu"``.
    links : tuple of str
        Links it takes, the default first.
    noun : str
        What it is called in a sentence.
    meaning : str
        What it is, in brackets behind its name; empty where the name says it.
    prior : callable or None
        Outcome -> name and arguments of a distribution of PyMC: the prior where the user names none. An argument that
        is a distribution is such a pair too.
    names : dict of str
        What other packages call it, by package.
    caution : tuple of float and str, or None
        At or below which value something of y does not exist, and what.
    along : str
        The dimension of a parameter that has several values; empty where it is one number.
    rising : bool
        Whether several values have to rise.
    """

    name: str
    links: tuple[str, ...] = ("log", "identity")
    noun: str = ""
    meaning: str = ""
    prior: Callable[[Outcome], tuple[str, dict[str, Any]]] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    caution: tuple[float, str] | None = None
    along: str = ""
    rising: bool = False

    def named(self, package: str) -> str:
        """Its name in another package."""
        return self.names.get(package, self.name)


@dataclass(frozen=True)
class Residual:
    """Which variance is left on the link scale when the groups are known?

    Attributes
    ----------
    variance : callable
        ``(link, mean, p) -> (draw,)``, with the average mean and the parameters.
    words : callable
        Link -> what a sentence calls it.
    """

    variance: Callable[[Link, Array, Values], Array]
    words: Callable[[Link], str]


class Summed(NamedTuple):
    """Rows of the same parameters as one row.

    Attributes
    ----------
    family : Family
        Of the sums.
    outcome : Outcome
        The sums, one a cell.
    constant : float
        log p of the rows less that of the sums.
    """

    family: Family
    outcome: Outcome
    constant: float


LATENT = Residual(
    lambda link, mean, p: np.full(mean.shape, link.latent_sd**2),
    lambda link: f"the latent residual variance {link.latent_variance}",
)
"""That of the latent variable behind a response of 0 and 1."""


@dataclass(frozen=True, eq=False)  # `FAMILIES` holds the only instance: identity compares and hashes
class Family:
    """A distribution of y given its parameters. What is None is refused by a sentence wherever it is needed.

    Attributes
    ----------
    name : str
        As in ``family=``.
    parameters : tuple of Parameter
        The mean first.
    support : Support or None
        What y may be; None where it is no response, but a parameter of one.
    mean : callable or None
        Link -> the `Curve` whose value is E[y] given b; None where that is the inverse link of eta itself.
    measured : callable or None
        y -> what mu is on the scale of, for priors, where that is not y itself.
    at_most : callable or None
        ``(link, k)`` -> the `Curve` of P(y <= k) given b, of an ordered response whose categories are 1, 2, ...
    probabilities : callable or None
        ``(link, K)`` -> the `Bundle` of P(y = 1), ..., P(y = K) given b, of an ordered response whose P(y <= k) is no
        `Curve`.
    log_density : callable or None
        ``(p, o) -> log p(y)``, p the `Values` of the parameters and o the `Outcome`, broadcasting.
    simulate : callable or None
        ``(rng, p, o) -> y``, broadcasting.
    above, below : callable or None
        ``(c, p, o) -> P(y > c)`` and P(y <= c) with full relative accuracy, however small; elementwise.
    quantile : callable or None
        ``(q, p)``: the q-quantile where y is continuous.
    variance : callable or None
        ``(p, o) -> v0, v1, v2``: Var(y) = v0 + v1 m + v2 m^2 with m = E[y] (of a single trial), in units of y, none
        of them a function of m. Infinite where y has no variance.
    mean_above : float
        What the mean has to lie above for y to have a distribution, where a link does not see to it.
    convolved : callable or None
        ``(p, s) -> {name: value}``: the parameters of y where mu itself is normal with standard deviation s, if that
        is the same family again.
    residual : Residual or None
        Its variance on the link scale.
    pymc : callable or None
        ``(pm, name, p, o)`` adds the likelihood to the model that is open; ``dims="obs"``.
    summed : callable or None
        ``(o, cell, cells) -> Summed``, cell (row,) the number of each row's cell: how rows of the same parameters add
        up, whatever their y. None where only rows of the same y are the same.
    rate : bool
        Whether ``rate()`` of brms multiplies the mean and nothing else, as an offset does.
    normal_sd : str
        The parameter that is the standard deviation of y where y is normal about mu; empty where y is not normal.
    known_error : str
        The parameter whose place ``se()`` of brms takes; empty where it takes none.
    names : dict of str
        What other packages call it, by package.
    link_in_r : str
        The link that R's own function takes where none is named; empty where it is the first of `links`.
    aliases : tuple of str
        Further names, for the hint that says what it is called here.
    rows : mapping
        By link: how compiled loops take a row of y, where log p(y) has one peak in eta. A tuple whose type has the
        plain functions ``node`` and ``base``, as `PoissonRows` has. Its ``reads`` says how many of u and v they read:
        with 1, u is the parameter beside the mean; with 2, u and v are the thresholds below and above y.
    looks_like : callable or None
        Outcome -> what such a y looks like and which other family that has, behind "The response ..."; empty where
        nothing speaks for one.
    ones : tuple of str
        Parameters of other packages that are 1 here: draws may hold them, if they are 1.

    Notes
    -----
    The variance of most families is quadratic in the mean (Morris 1982, Annals of Statistics 10:65-80), which makes
    the average of it over groups one of the mean and its square.
    """

    name: str
    parameters: tuple[Parameter, ...]
    support: Support | None
    mean: Callable[[Link], Curve] | None = field(default=None, kw_only=True)
    measured: Callable[[Array], Array] | None = field(default=None, kw_only=True)
    at_most: Callable[[Link, int], Curve] | None = field(default=None, kw_only=True)
    probabilities: Callable[[Link, int], Bundle] | None = field(default=None, kw_only=True)
    log_density: Callable[[Values, Outcome], Array] | None = None
    simulate: Callable[[np.random.Generator, Values, Outcome], Array] | None = None
    above: Tail | None = None
    below: Tail | None = None
    quantile: Callable[[float, Values], Array] | None = None
    variance: Callable[[Values, Outcome], Coefficients] | None = None
    mean_above: float = -np.inf
    convolved: Callable[[Values, Array], dict[str, Array]] | None = None
    residual: Residual | None = None
    pymc: Callable[[Any, str, Values, Outcome], None] | None = None
    summed: Callable[[Outcome, Codes, int], Summed] | None = None
    rate: bool = False
    normal_sd: str = ""
    known_error: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    link_in_r: str = ""
    aliases: tuple[str, ...] = ()
    rows: Mapping[str, Any] = field(default_factory=dict)
    looks_like: Callable[[Outcome], str] | None = None
    ones: tuple[str, ...] = ()

    @property
    def links(self) -> tuple[str, ...]:
        """Links of the mean, the default first."""
        return self.parameters[0].links

    @property
    def noun(self) -> str:
        """What E[y] is called in a sentence."""
        return self.parameters[0].noun

    @property
    def aux(self) -> tuple[str, ...]:
        """Names of the parameters beside the mean."""
        return tuple(p.name for p in self.parameters[1:])

    @property
    def numbers(self) -> tuple[str, ...]:
        """Those of them that are one number a draw."""
        return tuple(p.name for p in self.parameters[1:] if not p.along)

    @property
    def ordinal(self) -> bool:
        """Whether y is one of some ordered categories, with thresholds in place of an intercept."""
        return self.at_most is not None or self.probabilities is not None

    @property
    def target(self) -> str:
        """What is asked of it where nothing is said."""
        return "category" if self.ordinal else "mean"

    def compiled_rows(self, link: Link) -> Any:
        """Its `rows` under this link; None where log p(y) may have several peaks in eta."""
        return self.rows.get(link.name)

    def curve(self, link: Link) -> Curve:
        """Whose value at eta is E[y] given b (of a single trial)."""
        return Curve(link) if self.mean is None else self.mean(link)

    @property
    def discrete(self) -> bool:
        """Whether y is a whole number from 0."""
        return self.support is not None and self.support.discrete

    def parameter(self, name: str) -> Parameter:
        """The parameter of this name."""
        return next(p for p in self.parameters if p.name == name)

    def named(self, package: str) -> str:
        """Its name in another package."""
        return self.names.get(package, self.name)

    def need(self, what: str, asked: str) -> Any:
        """One of the functions above, or a refusal that says what was asked."""
        found = getattr(self, what)
        if found is not None:
            return found
        if self.support is None:
            raise PosteriorError(
                f"{self.name!r} is a parameter, and no response that is observed: ask the posterior as a whole."
            )
        raise ModelError(
            f"{asked} needs {_NEEDED[what]}, and family={self.name!r} does not say it. target='mean' and 'link' are "
            "there for every family."
        )


_NEEDED = {
    "log_density": "the density of y",
    "simulate": "how y is drawn",
    "above": "P(y > c)",
    "below": "P(y <= c)",
    "quantile": "quantiles of y",
    "variance": "the variance of y given its mean",
    "pymc": "the likelihood of a PyMC model",
}


def parameter_family(name: str, links: tuple[str, ...] = ("log", "identity")) -> Family:
    """What takes the place of a family where a parameter beside the mean is predicted: its "mean" is the parameter."""
    return Family(name, (Parameter(name, links, noun=f"parameter {name}"),), None)


def parameter_values(name: str, link: Link, eta: Array) -> Array:
    """Values of a parameter beside the mean, from its linear predictor; NaN where a row is not complete.

    PosteriorError where an identity link leads to values that are not above 0.
    """
    with np.errstate(over="ignore"):
        values = link.inverse(eta)
    bad = values <= 0.0
    if link.linear and bad.any():
        raise PosteriorError(
            f"The linear predictor of {name!r}, which has the identity link, is not above 0 in {int(bad.sum())} of "
            f"{bad.size} pairs of a draw and a row, down to {values[bad].min():.4g}: y has no distribution there. Ask "
            "about rows nearer to those of the fit; a log link keeps it above 0."
        )
    return values


def values_at(link: Link, eta: Array, aux: Mapping[str, Array]) -> Values:
    """The parameters of y at these linear predictors; ``eta`` and ``link`` are those of mu."""
    mu = link.inverse(eta)
    complement = mu if link.complement is None else link.complement(eta)
    return Values(mu=mu, complement=complement, eta=eta, link=link, **aux)


def resolve_link(family: Family, link: str | None) -> Link:
    """Which link does this family get, the default when None? ModelError where it does not take this one."""
    name = family.links[0] if link is None else link
    if not is_word(name, family.links):
        raise ModelError(
            f"family={family.name!r} does not take link={shown(link)}; allowed are {', '.join(family.links)}."
            f"{close_matches(link, family.links)}"
        )
    return LINKS[name]


def check_outcome(family: Family, outcome: Outcome, text: str) -> None:
    """Refuse what cannot be a response of this family; `text` is the left-hand side.

    ModelError for values outside the support, trials missing or out of place. Warns of a continuous response that is 0
    or 1 in every row.
    """
    support, y = family.support, outcome.y
    assert support is not None
    if (outcome.trials is None) == support.counts_trials:
        need = "needs 'successes | trials(n)'" if outcome.trials is None else "takes no trials()"
        raise ModelError(
            f"family={family.name!r} {need}, and the left-hand side is {text!r}. A 0/1 response is 'bernoulli', "
            "successes out of trials are 'binomial'."
        )
    bad = ~support.holds(outcome)
    if bad.any():
        raise ModelError(
            f"The response {text!r} has {int(bad.sum())} values that family={family.name!r} cannot have, such as "
            f"{y[bad][0]:g} in row {int(np.flatnonzero(bad)[0])}; allowed are {support.allowed}."
        )
    if not support.discrete and np.isin(y, (0.0, 1.0)).all():
        warn(f"The response {text!r} is 0 or 1 and family={family.name!r}: did you mean family='bernoulli'?")


_TOLD: set[str] = set()  # what is said once a process


def warn_of_other_families(family: Family, outcome: Outcome, text: str) -> None:
    """Of values that another family is made for, where one is chosen: once for each response."""
    found = "" if family.looks_like is None else family.looks_like(outcome)
    said = f"The response {text!r} {found}. family={family.name!r} gives every number a chance. (Said once.)"
    if found and said not in _TOLD:
        _TOLD.add(said)
        warn(said)
