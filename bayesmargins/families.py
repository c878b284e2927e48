"""Families of responses: the links they take, the name of their mean, their density and how they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bayesmargins.errors import ModelError, PosteriorError, close_matches, shown, warn, written
from bayesmargins.links import LINKS, Link
from bayesmargins.values import is_word

__all__ = ["FAMILIES", "Family", "check_response", "get_family", "parameter_family", "parameter_values", "resolve_link"]

Aux = Mapping[str, np.ndarray]
Density = Callable[[np.ndarray, np.ndarray, Aux, np.ndarray | None], np.ndarray]
Simulate = Callable[[np.random.Generator, np.ndarray, Aux, np.ndarray | None], np.ndarray]


@dataclass(frozen=True)
class Family:
    """A distribution of the response given its mean.

    Attributes
    ----------
    name : str
        As in ``family=``.
    links : tuple of str
        Links it takes, the default first.
    support : {"real", "binary", "trials", "count", "parameter"}
        What the response may be; ``"parameter"`` where it is no response, but a parameter of one.
    noun : str
        What E[y] is called in a sentence.
    parameters : tuple of str
        Parameters beside the mean.
    log_density : callable
        ``(y, mu, aux, trials) -> log p(y)``, broadcasting.
    simulate : callable
        ``(rng, mu, aux, trials) -> y``, broadcasting.
    """

    name: str
    links: tuple[str, ...]
    support: str
    noun: str
    parameters: tuple[str, ...]
    log_density: Density
    simulate: Simulate


# scipy.stats takes longer to import than the rest of the package, and only a log-likelihood needs it.
def _gaussian_density(y: np.ndarray, mu: np.ndarray, aux: Aux, n: np.ndarray | None) -> np.ndarray:
    from scipy import stats

    return stats.norm.logpdf(y, mu, aux["sigma"])


def _gaussian_draw(rng: np.random.Generator, mu: np.ndarray, aux: Aux, n: np.ndarray | None) -> np.ndarray:
    return rng.normal(mu, aux["sigma"])


def _binomial_density(y: np.ndarray, mu: np.ndarray, aux: Aux, n: np.ndarray | None) -> np.ndarray:
    from scipy import stats

    return stats.binom.logpmf(y, 1 if n is None else n, mu)


def _binomial_draw(rng: np.random.Generator, mu: np.ndarray, aux: Aux, n: np.ndarray | None) -> np.ndarray:
    return rng.binomial(1 if n is None else n.astype(np.int64), mu).astype(np.float64)


def _poisson_density(y: np.ndarray, mu: np.ndarray, aux: Aux, n: np.ndarray | None) -> np.ndarray:
    from scipy import stats

    return stats.poisson.logpmf(y, mu)


def _poisson_draw(rng: np.random.Generator, mu: np.ndarray, aux: Aux, n: np.ndarray | None) -> np.ndarray:
    """Beyond what the generator takes, as draws of a wide prior under a log link are, the noise is in the 8th digit."""
    drawn = rng.poisson(np.minimum(mu, _LARGEST_RATE)).astype(np.float64)
    return np.where(mu > _LARGEST_RATE, mu, drawn)


def _negbinomial_density(y: np.ndarray, mu: np.ndarray, aux: Aux, n: np.ndarray | None) -> np.ndarray:
    from scipy import stats

    return stats.nbinom.logpmf(y, aux["shape"], aux["shape"] / (aux["shape"] + mu))


def _negbinomial_draw(rng: np.random.Generator, mu: np.ndarray, aux: Aux, n: np.ndarray | None) -> np.ndarray:
    return _poisson_draw(rng, rng.gamma(aux["shape"], mu / aux["shape"]), aux, n)


_LARGEST_RATE = 1e16
_BINARY_LINKS = ("logit", "probit", "cloglog")

FAMILIES: dict[str, Family] = {
    f.name: f
    for f in (
        Family(
            "gaussian", ("identity", "log"), "real", "expected value", ("sigma",), _gaussian_density, _gaussian_draw
        ),
        Family("bernoulli", _BINARY_LINKS, "binary", "probability", (), _binomial_density, _binomial_draw),
        Family("binomial", _BINARY_LINKS, "trials", "probability", (), _binomial_density, _binomial_draw),
        Family("poisson", ("log",), "count", "expected count", (), _poisson_density, _poisson_draw),
        Family("negbinomial", ("log",), "count", "expected count", ("shape",), _negbinomial_density, _negbinomial_draw),
    )
}

_OTHER_NAMES = {
    "normal": "gaussian",
    "binary": "bernoulli",
    "logistic": "bernoulli",
    "negativebinomial": "negbinomial",
    "negative_binomial": "negbinomial",
    "nbinom": "negbinomial",
}


def get_family(name: str) -> Family:
    """Which family is called this?

    Parameters
    ----------
    name : str
        gaussian, bernoulli, binomial, poisson or negbinomial.

    Returns
    -------
    Family

    Raises
    ------
    ModelError
        No such family; the message lists them and says what another package's name is here.

    Examples
    --------
    >>> get_family("poisson").noun
    'expected count'
    """
    if is_word(name, FAMILIES):
        return FAMILIES[name]
    word = written(name).lower().replace(" ", "_").removesuffix("()")
    known = word if word in FAMILIES else _OTHER_NAMES.get(word)
    hint = f" Here it is called {known!r}." if known else close_matches(name, FAMILIES)
    if word in _BINARY_LINKS:
        hint = f" It is a link: family='bernoulli' (or 'binomial'), link={word!r}."
    raise ModelError(f"family={shown(name)} is not known; allowed are {', '.join(FAMILIES)}.{hint}")


def parameter_family(name: str) -> Family:
    """What takes the place of a family where a parameter beside the mean is what is predicted?

    Parameters
    ----------
    name : str
        The parameter.

    Returns
    -------
    Family
        Its "mean" is the parameter. Nothing is observed of it: a density and draws are refused.

    Raises
    ------
    Nothing.

    Examples
    --------
    >>> parameter_family("sigma").links
    ('log', 'identity')
    """

    def refused(*_: object) -> np.ndarray:
        raise PosteriorError(
            f"{name!r} is a parameter, and no response that is observed: ask the posterior as a whole."
        )

    return Family(name, ("log", "identity"), "parameter", f"parameter {name}", (), refused, refused)


def parameter_values(name: str, link: Link, eta: np.ndarray) -> np.ndarray:
    """Which values has a parameter beside the mean at these values of its linear predictor?

    Parameters
    ----------
    name : str
        The parameter, for the message.
    link : Link
        Its link.
    eta : ndarray
        Its linear predictor; NaN where a row is not complete.

    Returns
    -------
    ndarray
        Scale of the parameter.

    Raises
    ------
    PosteriorError
        An identity link leads to values that are not above 0.

    Examples
    --------
    >>> parameter_values("sigma", LINKS["log"], np.array([0.0]))
    array([1.])
    """
    with np.errstate(over="ignore"):
        values = link.inverse(eta)
    bad = values <= 0.0
    if link.name == "identity" and bad.any():
        raise PosteriorError(
            f"The linear predictor of {name!r}, which has the identity link, is not above 0 in {int(bad.sum())} of "
            f"{bad.size} pairs of a draw and a row, down to {values[bad].min():.4g}: y has no distribution there. Ask "
            "about rows nearer to those of the fit; a log link keeps it above 0."
        )
    return values


def resolve_link(family: Family, link: str | None) -> Link:
    """Which link does this family get?

    Parameters
    ----------
    family : Family
        Of the response.
    link : str, optional
        The family's default when None.

    Returns
    -------
    Link

    Raises
    ------
    ModelError
        The family does not take this link.

    Examples
    --------
    >>> resolve_link(get_family("bernoulli"), None).name
    'logit'
    """
    name = family.links[0] if link is None else link
    if not is_word(name, family.links):
        raise ModelError(
            f"family={family.name!r} does not take link={shown(link)}; allowed are {', '.join(family.links)}."
            f"{close_matches(link, family.links)}"
        )
    return LINKS[name]


def check_response(family: Family, y: np.ndarray, n: np.ndarray | None, text: str) -> None:
    """Can these values be a response of this family?

    Parameters
    ----------
    family : Family
        Of the response.
    y, n : ndarray, shape (row,)
        Response and, for binomial, trials.
    text : str
        The left-hand side, for the message.

    Returns
    -------
    None

    Raises
    ------
    ModelError
        Values outside the support, trials missing or out of place, or a response that never varies.

    Warns
    -----
    BayesmarginsWarning
        A gaussian response that is 0 or 1 in every row.
    """
    allowed = _inside(family, y, n)
    if (n is None) == (family.support == "trials"):
        need = "needs 'successes | trials(n)'" if n is None else "takes no trials()"
        raise ModelError(
            f"family={family.name!r} {need}, and the left-hand side is {text!r}. A 0/1 response is 'bernoulli', "
            "successes out of trials are 'binomial'."
        )
    bad = ~allowed
    if bad.any():
        raise ModelError(
            f"The response {text!r} has {int(bad.sum())} values that family={family.name!r} cannot have, such as "
            f"{y[bad][0]:g} in row {int(np.flatnonzero(bad)[0])}; allowed are {_SUPPORTS[family.support]}."
        )
    if family.support == "real" and np.isin(y, (0.0, 1.0)).all():
        warn(f"The response {text!r} is 0 or 1 and family={family.name!r}: did you mean family='bernoulli'?")


_SUPPORTS = {
    "real": "finite numbers",
    "binary": "0 and 1 (or False and True)",
    "trials": "whole numbers from 0 to the trials of the row, which are at least 1",
    "count": "whole numbers from 0",
}


def _inside(family: Family, y: np.ndarray, n: np.ndarray | None) -> np.ndarray:
    whole = (y >= 0) & (y == np.floor(y)) & np.isfinite(y)
    if family.support == "binary":
        return (y == 0) | (y == 1)
    if family.support == "count":
        return whole
    if family.support == "trials" and n is not None:
        return whole & (y <= n) & (n >= 1) & (n == np.floor(n))
    return np.isfinite(y)
