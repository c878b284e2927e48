"""What a family is: the distribution of y given its parameters. Each family has a file in `families`."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bayesmargins.errors import ModelError, PosteriorError, close_matches, shown
from bayesmargins.family.censoring import Density, Tails, log_likelihood
from bayesmargins.family.curve import Bundle, Curve, Shares
from bayesmargins.family.link import Array, Link
from bayesmargins.family.links import LINKS
from bayesmargins.family.outcome import Outcome, Support, Values
from bayesmargins.family.residual import LATENT, Residual
from bayesmargins.values import is_word

__all__ = [
    "LATENT",
    "Coefficients",
    "Elsewhere",
    "Family",
    "Parameter",
    "Residual",
    "Summed",
    "not_below_zero",
    "resolve_link",
    "values_at",
]

Tail = Callable[[Array, Values, Outcome], Array]
Coefficients = tuple[Array | float, ...]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Parameter:
    """What is a parameter of a family, and which values, links and names has it?

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
        is a distribution is such a pair too. A number in place of the pair: the parameter is held at it.
    names : dict of str
        What other packages call it, by package.
    caution : tuple of float and str, or None
        At or below which value something of y does not exist, and what.
    along : str
        The dimension of a parameter that has several values; empty where it is one number.
    between : tuple of two float
        Its values lie between these, both excluded.
    rising : bool
        Whether several values have to rise.
    each : bool
        Whether every category of y but the first has a linear predictor of its own, ``mu[yes]``.
    """

    name: str
    links: tuple[str, ...] = ("log", "identity", "softplus")
    noun: str = ""
    meaning: str = ""
    prior: Callable[[Outcome], tuple[str, dict[str, Any]] | float] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    caution: tuple[float, str] | None = None
    along: str = ""
    between: tuple[float, float] = (0.0, np.inf)
    rising: bool = False
    each: bool = False

    @property
    def allowed(self) -> str:
        """Which values it has, in the words of a message."""
        low, high = self.between
        if np.isfinite(high):
            return f"between {low:g} and {high:g}"
        return f"above {low:g}" if np.isfinite(low) else "finite"

    def has(self, values: Array) -> Any:
        """Which of these it can have."""
        return (values > self.between[0]) & (values < self.between[1])

    def named(self, package: str) -> str:
        """Its name in another package."""
        return self.names.get(package, self.name)


class Elsewhere(NamedTuple):
    """How another package's parameters of a family become those here."""

    # values beside the mean under their names here, as that package has them -> as they are here
    aux: Callable[[Mapping[str, Array]], dict[str, Array]]
    # the same -> what that package's mu lacks to be mu here
    beside: Callable[[Mapping[str, Array]], Array] | None = None


class Summed(NamedTuple):
    """Rows of the same parameters as one row."""

    family: Family  # of the sums
    outcome: Outcome  # the sums, one a cell
    constant: float  # log p of the rows less that of the sums
    rate: Array | None = None  # (cell,) float or None: what multiplies the mean of one row


@dataclass(frozen=True, eq=False)  # `FAMILIES` holds the only instance: identity compares and hashes
class Family:
    """What is the distribution of y given its parameters?

    What is None is refused by a sentence wherever it is needed. ``GLMM(..., family=Family(...))`` takes yours.

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
    rest : callable or None
        ``p -> r1, r2``: by how much E[y] and E[y^2] given b exceed what `mean` and `variance` say of them. They are
        positive, and r1 / (1 + exp(eta)) and r2 / (1 + exp(2 eta)) bounded.
    expected : callable or None
        Link -> the `Bundle` of E[y] given b alone, where that is no `Curve`: `mean` and `rest` have it in two.
    measured : callable or None
        y -> what mu is on the scale of, for priors, where that is not y itself.
    at_most : callable or None
        ``(link, k)`` -> the `Curve` of P(y <= k) given b, of an ordered response whose categories are 1, 2, ...
    probabilities : callable or None
        ``(link, K)`` -> the `Bundle` of P(y = 1), ..., P(y = K) given b, of an ordered response whose P(y <= k) is no
        `Curve`.
    shares : callable or None
        ``(link, K)`` -> the same as `Shares` of several linear predictors, where categories have no order.
    counted : bool
        Whether y counts how often each of these was seen, and is not one of them.
    log_density : callable or None
        ``(p, o) -> log p(y)``, p the `Values` of the parameters and o the `Outcome`, broadcasting.
    simulate : callable or None
        ``(rng, p, o) -> y``, broadcasting.
    above, below : callable or None
        ``(c, p, o) -> P(y > c)`` and P(y <= c) with full relative accuracy, however small; elementwise.
    mean_between : callable or None
        ``(low, high, p, o) -> E[y | low < y <= high]``; either may be infinite.
    limited : callable or None
        ``(c, p, o) -> E[min(y, c)]`` where y is a waiting time.
    quantile : callable or None
        ``(q, p)``: the q-quantile where y is continuous; None where it has no closed form and is searched by the tails.
    variance : callable or None
        ``(p, o) -> v0, v1, v2``: Var(y) = v0 + v1 m + v2 m^2 with m = E[y] (of a single trial; less what its curve
        adds, and before its factor), in units of y, none of them a function of m; a fourth number belongs to m^3.
        Infinite where y has no variance.
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
    tails : Tails or None
        Logarithms of the tails for samplers, where rows may be censored, or observed between bounds only.
    rate : tuple of str or None
        What ``rate()`` multiplies beside the mean; None where it is refused.
    events : bool
        Whether `rows` read n as 1 where y is known, and as 0 where it is known to be exceeded.
    normal_sd : str
        The parameter that is the standard deviation of y where y is normal about mu; empty where y is not normal.
    known_error : str
        The parameter whose square a known error, ``se()``, is added to; empty where it takes none.
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
    elsewhere : mapping
        By package, an `Elsewhere` where its parameters mean something else.
    looks_like : callable or None
        Outcome -> what such a y looks like and which other family that has, behind "The response ..."; empty where
        nothing speaks for one.
    ones : tuple of str
        Parameters of other packages that are 1 here: draws may hold them, if they are 1.
    discrimination : Parameter or None
        What multiplies the linear predictor and the thresholds where it has a formula; else it is 1, and no parameter.

    Examples
    --------
    >>> import numpy as np
    >>> rayleigh = Family(
    ...     "rayleigh",
    ...     (Parameter("mu", ("log",), noun="expected value"),),
    ...     Support("numbers above 0", lambda o: o.y > 0),
    ...     variance=lambda p, o: (0.0, 0.0, 4.0 / np.pi - 1.0),
    ... )
    >>> rayleigh.links, rayleigh.target
    (('log',), 'mean')

    Notes
    -----
    The variance of most families is quadratic in the mean (Morris 1982, Annals of Statistics 10:65-80), which makes
    the average of it over groups one of the mean and its square. That of the inverse Gaussian is cubic.
    """

    name: str
    parameters: tuple[Parameter, ...]
    support: Support | None
    mean: Callable[[Link], Curve] | None = field(default=None, kw_only=True)
    rest: Callable[[Values], tuple[Array, Array]] | None = field(default=None, kw_only=True)
    expected: Callable[[Link], Bundle] | None = field(default=None, kw_only=True)
    measured: Callable[[Array], Array] | None = field(default=None, kw_only=True)
    at_most: Callable[[Link, int], Curve] | None = field(default=None, kw_only=True)
    probabilities: Callable[[Link, int], Bundle] | None = field(default=None, kw_only=True)
    shares: Callable[[Link, int], Shares] | None = field(default=None, kw_only=True)
    counted: bool = field(default=False, kw_only=True)
    log_density: Callable[[Values, Outcome], Array] | None = None
    simulate: Callable[[np.random.Generator, Values, Outcome], Array] | None = None
    above: Tail | None = None
    below: Tail | None = None
    quantile: Callable[[float, Values], Array] | None = None
    mean_between: Callable[[Array, Array, Values, Outcome], Array] | None = field(default=None, kw_only=True)
    limited: Tail | None = field(default=None, kw_only=True)
    variance: Callable[[Values, Outcome], Coefficients] | None = None
    mean_above: float = -np.inf
    convolved: Callable[[Values, Array], dict[str, Array]] | None = None
    residual: Residual | None = None
    pymc: Callable[[Any, str, Values, Outcome], None] | None = None
    summed: Callable[[Outcome, Codes, int], Summed] | None = None
    tails: Tails | None = None
    rate: tuple[str, ...] | None = None
    events: bool = False
    normal_sd: str = ""
    known_error: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    link_in_r: str = ""
    aliases: tuple[str, ...] = ()
    rows: Mapping[str, Any] = field(default_factory=dict)
    elsewhere: Mapping[str, Elsewhere] = field(default_factory=dict)
    looks_like: Callable[[Outcome], str] | None = None
    ones: tuple[str, ...] = ()
    discrimination: Parameter | None = None

    @cached_property
    def links(self) -> tuple[str, ...]:
        """Links of the mean, the default first."""
        return self.parameters[0].links

    @cached_property
    def noun(self) -> str:
        """What E[y] is called in a sentence."""
        return self.parameters[0].noun

    @cached_property
    def aux(self) -> tuple[str, ...]:
        """Names of the parameters beside the mean."""
        return tuple(p.name for p in self.parameters[1:])

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Those of them that are one number a draw."""
        return tuple([p.name for p in self.parameters[1:] if not p.along])

    @cached_property
    def predictable(self) -> tuple[str, ...]:
        """Those that may have a linear predictor of their own."""
        return (*self.numbers, *(p.name for p in (self.discrimination,) if p is not None))

    def scales_latent(self, predicted: Container[str]) -> bool:
        """Whether eta and thresholds are multiplied by something, where these parameters have linear predictors."""
        return self.discrimination is not None and self.discrimination.name in predicted

    @cached_property
    def ordinal(self) -> bool:
        """Whether y is one of some ordered categories, with thresholds in place of an intercept."""
        return self.at_most is not None or self.probabilities is not None

    @cached_property
    def categories(self) -> str:
        """What kind of categories y has: "ordered", "unordered", "counted" in columns of their own, or none: ""."""
        if self.shares is not None:
            return "counted" if self.counted else "unordered"
        return "ordered" if self.ordinal else ""

    @cached_property
    def target(self) -> str:
        """What is asked of it where nothing is said."""
        return "category" if self.categories else "mean"

    def log_likelihood(self, p: Values, o: Outcome) -> Array:
        """What rows say: log p(y), or of what is known of y, times their weights."""
        density = self.need("log_density", "log_likelihood")
        assert self.support is not None
        return log_likelihood(Density(density, self.above, self.below, self.support), p, o)

    def estimated(self, known_error: bool) -> tuple[Parameter, ...]:
        """Parameters beside the mean, without the one whose place a known error takes."""
        return tuple(p for p in self.parameters[1:] if not (known_error and p.name == self.known_error))

    def of_rows(self, aux: Mapping[str, Any], o: Outcome) -> dict[str, Any]:
        """Parameters beside the mean as rows have them, where these differ in their rate or have a known error."""
        found = dict(aux)
        if o.rate is not None:
            found |= {name: found[name] * o.rate for name in self.rate or () if name in found}
        if o.se is not None:
            name = self.known_error
            found[name] = (found[name] ** 2 + o.se**2) ** 0.5 if name in found else o.se
        return found

    def not_integrated(self, o: Outcome, link: Link) -> list[str]:
        """What of a left-hand side keeps rows from being integrated over b."""
        keeps = {
            "cens": o.cens is not None and not (self.events and np.isin(o.cens, (0.0, 1.0)).all()),
            "trunc": o.bounded,
            "rate": o.rate is not None and bool(self.rate),
            "se": o.se is not None and not (self.normal_sd and link.linear and o.known_error),
        }
        return [f"{name}()" for name, does in keeps.items() if does]

    def residual_on(self, link: Link) -> Residual | None:
        """Its `residual`, if there is one on the scale of this link."""
        return self.residual if self.residual is not None and self.residual.under(link) else None

    def compiled_rows(self, link: Link) -> Any:
        """Its `rows` under this link; None where log p(y) may have several peaks in eta."""
        return self.rows.get(link.name)

    @cached_property
    def curve(self) -> Callable[[Link], Curve]:
        """By link, the one whose value at eta is E[y] given b (of a single trial)."""
        return Curve if self.mean is None else self.mean

    @cached_property
    def discrete(self) -> bool:
        """Whether y is a whole number from 0."""
        return self.support is not None and self.support.discrete

    def has_chance(self, c: float) -> bool:
        """Whether y may be this very value with a probability above 0."""
        if self.support is None:
            return False
        return (c >= 0.0 and c == np.floor(c)) if self.support.discrete else c in self.support.atoms

    def parameter(self, name: str) -> Parameter:
        """The parameter of this name, or that of a category."""
        first = self.parameters[0]
        if first.each and name.startswith(f"{first.name}["):
            return replace(first, name=name, links=("identity",), between=(-np.inf, np.inf), each=False)
        return next(p for p in (*self.parameters, self.discrimination) if p is not None and p.name == name)

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
    "mean_between": "the mean of y between bounds",
    "limited": "the mean of a waiting time up to a limit",
    "variance": "the variance of y given its mean",
    "pymc": "the likelihood of a PyMC model",
}


def values_at(link: Link, eta: Array, aux: Mapping[str, Array]) -> Values:
    """The parameters of y at these linear predictors; ``eta`` and ``link`` are those of mu."""
    mu = link.inverse(eta)
    complement = mu if link.complement is None else link.complement(eta)
    return Values(mu=mu, complement=complement, eta=eta, link=link, **aux)


def not_below_zero(p: Values, name: str) -> Array:
    """p.mu; PosteriorError where a mean below 0 leaves y without a distribution."""
    mu = np.asarray(p.mu)
    bad = int(np.sum(mu < 0.0))
    if bad:
        raise PosteriorError(
            f"Under the {p.link.name} link the mean of a {name} response is below 0 in {bad} draws, down to "
            f"{np.min(mu):.4g}: y has no distribution there. Ask about other rows; a log link keeps it above 0."
        )
    return mu


def resolve_link(family: Family, link: str | None) -> Link:
    """Which link does this family get, the default when None? ModelError where it does not take this one."""
    name = family.links[0] if link is None else link
    if not is_word(name, family.links):
        raise ModelError(
            f"family={family.name!r} does not take link={shown(link)}; allowed are {', '.join(family.links)}."
            f"{close_matches(link, family.links)}"
        )
    return LINKS[name]
