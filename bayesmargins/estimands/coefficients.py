"""Marginal coefficients: the population mean described by the model's own fixed-effects columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
import xarray as xr

from bayesmargins.errors import EstimandError, listed
from bayesmargins.estimands.given import Given, refuse_heavy
from bayesmargins.estimands.question import Question, ask
from bayesmargins.estimands.sentence import Scope, quantity
from bayesmargins.estimands.targets import refuse_other
from bayesmargins.evaluate import Passed, distinct_rows, normal_blocks
from bayesmargins.explained import QUESTION, explained
from bayesmargins.family import LINKS, Curve, Link, Values
from bayesmargins.habits import of_each, taught
from bayesmargins.imputations import Imputed
from bayesmargins.integrate import linked_mean
from bayesmargins.posterior import Posterior
from bayesmargins.values import plain, switch

__all__ = ["marginal_coefficients"]


@taught
@explained(QUESTION)
@of_each
def marginal_coefficients(
    post: Posterior | Imputed, newdata: Any = None, *, exponentiate: bool = False, wts: Any = None
) -> xr.Dataset:
    """Which coefficients describe the population average, on the link scale?

    Parameters
    ----------
    newdata : DataFrame, optional
        Rows that the population average is described for; the fitted rows by default.
    exponentiate : bool
        exp() of the coefficients: population-averaged odds ratios (logit), ratios of means (log) or hazard ratios
        (cloglog).
    wts : str, Series or array, optional
        ...

    Returns
    -------
    Dataset
        ``estimate`` with dims chain, draw, ``coef`` (the names of the fixed effects); link scale, or ratios.

    Raises
    ------
    DataError
        Columns, levels or values that the design cannot take; missing values.
    EstimandError
        Rows that do not determine all coefficients, or ratios under a link where exp() of a coefficient is none.

    Notes
    -----
    Per draw, with X the rows of the fixed effects, W the weights, g the link and h its inverse::

        gamma = (X'WX)^-1 X'W { g(E_b[h(X beta + offset + z'b)]) - offset },    b ~ N(0, Sigma)

    (Hedeker, du Toit, Demirtas & Gibbons 2018, Biometrics 74, 354-361). The average over new groups is a closed
    form or a quadrature with a computed bound, not a simulation; attribute ``error_bound`` holds for the coefficients.
    The offset is inside the average and is subtracted after the link, so that gamma describes what beta describes: the
    mean at an offset of 0.

    Under the identity gamma is beta. With a random intercept of variance s2 only, it is beta with s2 / 2 added to the
    intercept under log, and beta / sqrt(1 + s2) under probit. Elsewhere, and under random slopes, g(E[y]) is no linear
    function of the columns of X, and gamma is its best linear description over the rows at hand: it depends on them.

    Examples
    --------
    >>> ds = marginal_coefficients(post)
    >>> ds["estimate"].dims, ds["coef"].values.tolist()
    (('chain', 'draw', 'coef'), ['Intercept', 'trt[drug]', 'trt[drug+]', 'week'])
    >>> bool((abs(ds["estimate"]) < abs(post.beta)).all())  # averaging over groups pulls towards 0
    True
    """
    if not isinstance(post, Posterior):
        refuse_other(post)
    curve = _curve(post)
    question = ask(post, Given(newdata, wts=wts), average=True)
    refuse_heavy(post, "marginal_coefficients", "avg_comparisons and avg_predictions take Student-t effects.")
    _check(question, exponentiate, curve.link)
    passed = Passed({})
    values = _coefficients(question, passed)
    attrs: dict[str, Any] = {"target": "link", "scale": f"marginal coefficient ({curve.link.name} scale)"}
    if exponentiate:
        with np.errstate(over="ignore"):
            values = np.exp(values)
        passed.error_bound *= float(np.max(values, initial=0.0, where=np.isfinite(values)))
        ratio = curve.link.ratio
        assert ratio is not None
        attrs = {"target": "mean", "scale": ratio.scale, "comparison": ratio.comparison}

    attrs["estimand"] = _sentence(question, question.scope(), exponentiate, curve.link)
    coords = {"coef": plain(post.design.coef)}
    return question.result_along("coefficients", values, coords, [passed], **attrs)


def _curve(post: Posterior) -> Curve:
    """The mean as an inverse link of eta; its link is that on whose scale it is described."""
    if post.family.categories:
        raise EstimandError(
            f"Marginal coefficients describe the mean, and responses of family={post.family.name!r} have none. "
            "avg_comparisons has the changes of the probabilities of their categories."
        )
    curve = post.family.curve(post.link)
    if curve.added is not None or post.family.rest is not None:
        more = "a parameter added" if post.family.rest is None else "something added that depends on it"
        raise EstimandError(
            f"Marginal coefficients describe the mean by an inverse link, and that of family={post.family.name!r} is "
            f"one with {more}. avg_comparisons and avg_predictions take it."
        )
    if curve.factor is not None and not curve.link.exponential:
        raise EstimandError(
            f"Marginal coefficients describe the mean by the {curve.link.name} link, and that of "
            f"family={post.family.name!r} is a share of an inverse link, which that link does not turn into a sum. "
            "target='mu' in avg_predictions and avg_comparisons has that inverse link, and they take the mean too."
        )
    by_row = [name for name in curve.reads if name in post.parts]
    if by_row:
        raise EstimandError(
            f"Marginal coefficients describe the mean by the columns of {post.formula!r}, and it depends on "
            f"{listed(by_row)}, with columns of its own. avg_comparisons and avg_predictions take both."
        )
    return curve


def _check(question: Question, exponentiate: Any, link: Link) -> None:
    post = question.post
    switch("exponentiate", exponentiate, meaning="True (ratios) or False (coefficients)")
    if exponentiate and link.ratio is None:
        some = [link.name for link in LINKS.values() if link.ratio is not None]
        raise EstimandError(
            f"exponentiate=True under the {link.name} link: exp() of a coefficient is a ratio of nothing there. "
            f"It is one under {listed(some)}. Leave it out: avg_comparisons compares means, as ratios too."
        )
    if not post.design.coef:
        raise EstimandError(f"{post.formula!r} has no fixed effects, so there are no coefficients to describe.")


def _coefficients(question: Question, passed: Passed) -> np.ndarray:
    """beta + (X'WX)^-1 X'W {g(E[h]) - eta}: what is fitted is only how far the population is from b = 0.

    So rounding is that of the difference, and gamma is beta to the last digit where there is none.
    """
    post = question.post
    rows, weights, _ = distinct_rows(question)
    projector = _projector(question, rows.X, weights)
    reach = float(np.abs(projector).sum(axis=1).max())
    gamma = post.draws.beta.copy()
    curve, p = _curve(post), Values(**{k: v[:, None] for k, v in post.draws.aux.items()})
    for block, eta, s2 in normal_blocks(post.draws, rows):
        total = sum(s2.values(), np.zeros((len(eta), 1)))
        moved = curve.of(eta, p)
        linked = passed.record(linked_mean(curve.link, moved, total), reach)
        linked = linked if curve.factor is None else linked + np.log(curve.times(p))
        with np.errstate(invalid="ignore"):
            gamma += (linked - eta) @ projector[:, block].T
    return gamma


def _projector(question: Question, X: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(X'WX)^-1 X'W, (coef, row)."""
    root = np.sqrt(weights)[:, None]
    rank = np.linalg.matrix_rank(root * X)
    if rank < X.shape[1]:
        raise EstimandError(
            f"The rows of {question.what} determine {rank} of the {X.shape[1]} coefficients "
            f"({listed(question.post.design.coef)}): a column does not vary there, or is a sum of others. Give rows in "
            "which all of them vary, such as the fitted ones."
        )
    Q, R = np.linalg.qr(root * X)
    return np.asarray(scipy.linalg.solve_triangular(R, (Q * root).T))


def _sentence(question: Question, scope: Scope, exponentiate: bool, link: Link) -> str:
    post = question.post
    noun = quantity(post.family.noun, post.response_words, "mean", link.name)
    what = f", as {link.ratio.phrase}" if exponentiate and link.ratio else ""
    weighted = f", weighted by {scope.weights}" if scope.weights else ""
    offset = " less the offset" if post.design.offsets else ""
    return (
        f"Marginal coefficients{what}: least squares of the {link.name} of the {noun}{offset} on the fixed "
        f"effects, over {scope.rows}{weighted}; {'; '.join(scope.groups)}."
    )
