"""Variance partition: which share of the variance is between groups, and which do the fixed effects explain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
import xarray as xr

from bayesmargins.design import Rows
from bayesmargins.errors import EstimandError, close_matches, listed, shown, written
from bayesmargins.estimands.given import Given, refuse_heavy
from bayesmargins.estimands.moments import Moments, joint_moments, response_moments
from bayesmargins.estimands.question import Question, ask
from bayesmargins.estimands.sentence import Scope, factors_worded, quantity
from bayesmargins.estimands.targets import refuse_other
from bayesmargins.evaluate import Chunk, PartRows, across_of, distinct_rows
from bayesmargins.explained import QUESTION, explained
from bayesmargins.family import LINKS, Link, Values
from bayesmargins.grid import Cells
from bayesmargins.groups import GroupPlan
from bayesmargins.habits import of_each, taught
from bayesmargins.imputations import Imputed
from bayesmargins.posterior import Posterior
from bayesmargins.values import is_word, plain

__all__ = ["variance_partition"]

_MEASURES = ("share", "median_ratio")
_OTHER_WORDS = {
    **dict.fromkeys(("icc", "vpc", "r2", "rsquared", "shares"), "'share'"),
    **dict.fromkeys(("mor", "mrr", "median odds ratio", "median_odds_ratio", "median"), "'median_ratio'"),
}


@dataclass(frozen=True)
class _Entry:
    """One number of the result."""

    measure: str
    factor: str
    scale: str
    values: np.ndarray

    @property
    def label(self) -> str:
        of = f" of {self.factor}" if self.factor else ""
        return f"{self.measure}{of}{f', {self.scale} scale' if self.scale else ''}"


@taught
@explained(QUESTION)
@of_each
def variance_partition(
    post: Posterior | Imputed, newdata: Any = None, *, measure: str = "share", wts: Any = None
) -> xr.Dataset:
    """Which share of the variance lies between groups, and which do the fixed effects explain?

    Parameters
    ----------
    newdata : DataFrame, optional
        Rows over which variances are averaged; the fitted rows by default. One row gives the shares at its
        covariates.
    measure : {"share", "median_ratio"}
        Shares of variance (VPC and R2), the default, or the median odds ratio (logit) or median rate ratio (log)
        between groups.

    Returns
    -------
    Dataset
        ``estimate`` with dims chain, draw, ``quantity``, and along it the coordinates ``measure``, ``factor`` and
        ``scale``. Shares: ``VPC`` (variance partition coefficient, or intraclass correlation) of each grouping
        factor, and of all groups together where there are several; ``marginal R2`` and ``conditional R2``; each on
        the link and on the response scale. A scale that the model does not have is left out, and attribute
        ``left_out`` says why. Median ratios: one a grouping factor.

    Raises
    ------
    DataError
        Columns, levels or values that the design cannot take; missing values.
    EstimandError
        A model without groups; median ratios under a link where exp() of a difference is no ratio.
    PosteriorError
        The posterior came without draws of a parameter of the family that a variance needs.

    Notes
    -----
    Every variance is averaged over rows within each draw, then divided; shares are never averaged.

    Link scale (Nakagawa & Schielzeth 2013; Johnson 2014): V_f = Var over rows of X beta, V_u = mean of z' Sigma z for
    a factor, V_e the residual: the variance of the latent variable of a single trial, pi^2 / 3 (logit), 1 (probit),
    pi^2 / 6 (cloglog); for counts log(1 + 1 / m), or log(1 + 1 / m + 1 / shape), with m the average expected count
    over rows and new groups (Nakagawa, Johnson & Schielzeth 2017, the log-normal form). VPC = V_u / (all V_u + V_e),
    marginal R2 = V_f / (V_f + all V_u + V_e), conditional R2 = (V_f + all V_u) / (the same). Offsets are known and
    count as no variance. Variances over rows divide by their number n, where R's ``var`` divides by n - 1.

    Response scale (Goldstein, Browne & Rasbash 2002): VPC = Var(E[y given b_u]) / Var(y) at fixed covariates, the
    correlation of two responses that share the group of the factor and nothing else; "all groups" share every group.
    Where the factor acts on parameters beside the mean too, all is over its joint effects; with several factors that is
    refused. For binomial y is a single trial. R2 adds Var over rows of E[y], offsets included. No simulation, no
    linearisation: closed forms, or quadrature. Attribute ``error_estimate`` is the error of these shares, in the draw
    with the median variance.

    The median odds ratio (Larsen, Petersen, Budtz-Jorgensen & Endahl 2000) is exp(sqrt(2 V_u) 0.6745): the median,
    over pairs of random groups with like covariates, of the higher odds over the lower. Under log it is the median
    ratio of two groups' means.

    Draws of `from_statsmodels` hold the variances at their estimates, and the sentence of `describe` says so: a VPC
    has no spread there, and an interval from it to itself says nothing of how well it is known.

    Examples
    --------
    >>> ds = variance_partition(post)
    >>> ds["quantity"].values[:3].tolist()
    ['VPC of ID, link scale', 'marginal R2, link scale', 'conditional R2, link scale']
    >>> variance_partition(post, measure="median_ratio")["quantity"].values.tolist()
    ['median odds ratio of ID']
    """
    share = is_word(measure, ("share",))
    if not isinstance(post, Posterior):
        refuse_other(post)
    _check_family(post, share)
    question = ask(post, Given(newdata, wts=wts), average=True, observed="variance_partition" if share else "")
    _refuse_without_groups(question, share)
    refuse_heavy(post, "variance_partition", "avg_predictions(post, target=bm.sd()) has the spread of y over groups.")
    _check_measure(measure, post)
    _check_scale(measure, post)
    rows, weights, parts = distinct_rows(question)
    groups = _between_on_link_scale(post, rows, weights)
    moments = None
    if share:
        post.need_parameters("variance_partition")
        moments = None if post.family.ordinal else _moments(question, rows, weights, parts)
        mean = np.empty(len(post.draws.beta)) if moments is None else moments.mean
        entries = _link_scale(post, rows, weights, groups, mean)
        entries += [] if moments is None else _response_scale(post, moments)
        _refuse_none(entries, post)
        attrs = {"scale": "share of variance", "left_out": _left_out(post) or None}
    else:
        assert post.link.ratio is not None
        entries = _median_ratios(post.link.ratio.median, groups)
        attrs = {"scale": post.link.ratio.median, "comparison": post.link.ratio.comparison}

    return question.result_along(
        "partition",
        np.stack([e.values for e in entries], axis=1),
        _coords(entries),
        [moments.passed] if moments else [],
        estimand=_sentence(post, question.scope(), entries),
        target="variance",
        error_bound=None,
        error_estimate=moments.error_of_shares if moments else 0.0,
        **attrs,
    )


def _check_family(post: Posterior, share: bool) -> None:
    if post.family.shares is not None:
        raise EstimandError(
            f"Categories without an order have no variance to take shares of, and {len(post.predictors)} linear "
            f"predictors in place of one link scale. summary(post) has the standard deviations of the effects on each, "
            "attenuation() says what groups change in the probabilities."
        )
    if share:
        _check_parts(post)
        _refuse_own_scatter(post)
        _refuse_quotient(post)


def _refuse_without_groups(question: Question, share: bool) -> None:
    if not question.post.design.factors and not (share and question.policy.by_word["new"]):
        raise EstimandError(
            f"{question.post.formula!r} has no grouping factor, so there is no variance between groups to partition. "
            "Group effects are terms such as (1 | id)."
        )


def _check_measure(measure: Any, post: Posterior) -> None:
    if not is_word(measure, _MEASURES):
        word = _OTHER_WORDS.get(written(measure).lower())
        hint = f" Here it is {word}." if word else close_matches(measure, _MEASURES)
        raise EstimandError(f"measure={shown(measure)}; allowed are {listed(_MEASURES)}.{hint}")
    if measure == "median_ratio" and not _median(post.link):
        some = [link.name for link in LINKS.values() if _median(link)]
        raise EstimandError(
            f"measure='median_ratio' under the {post.link.name} link: exp() of a difference between two groups is no "
            f"ratio there. It is one under {listed(some)}. measure='share' has the shares of variance."
        )


def _check_scale(measure: str, post: Posterior) -> None:
    """Shares are of a variance, on one scale at least."""
    if measure == "share" and post.family.ordinal and not _has_link_scale(post):
        raise EstimandError(
            f"Categories have no variance on the response scale, and a {post.family.name} response has none on the "
            "link scale: there is no variance to take shares of. attenuation() says what groups change."
        )


def _refuse_quotient(post: Posterior) -> None:
    """Variances of each factor are those of averages of an inverse link."""
    if post.family.rest is not None:
        raise EstimandError(
            f"variance_partition takes the variance of each factor from averages of an inverse link, and the mean of "
            f"family={post.family.name!r} is none. avg_predictions(post, target=bm.sd()) has the standard "
            "deviation of a response, groups included."
        )


def _refuse_none(entries: list[_Entry], post: Posterior) -> None:
    if not entries:
        raise EstimandError(
            f"Shares of variance of a {post.family.name} response stand on the link scale, and under the "
            f"{post.link.name} link the latent variable has no variance. heterogeneity has how groups differ."
        )


def _refuse_own_scatter(post: Posterior) -> None:
    """Shares are of a variance that rows have in common."""
    given = post.design.response.given
    own = "se" if "se" in given else "rate" if "rate" in given and post.family.rate else ""
    if own:
        raise EstimandError(
            f"variance_partition needs one variance within groups, and {own}() of {post.formula!r} gives each row its "
            f"own. avg_predictions(post, target=bm.sd()) has the standard deviation of rows, groups included."
        )


def _check_parts(post: Posterior) -> None:
    """Var(y) over new groups, where the groups differ in the parameter too, is an average over both."""
    if post.is_part:
        raise EstimandError(
            f"The shares of variance are of y, and this is its part {post.family.name!r}: ask the posterior as a whole."
        )
    factors = list(dict.fromkeys(f for p in post.predictors.values() for f in p.design.factors))
    moved = [name for name, part in post.parts.items() if part.design.factors]
    if moved and len(factors) > 1:
        raise EstimandError(
            f"Shares of variance take the variance of each factor from averages over the others, and of "
            f"{listed(factors)} some act on {listed(moved)} too: those averages are joint ones for every value of the "
            "factor. One factor that acts on several linear predictors has its shares, and avg_predictions(post, "
            "target=bm.sd()) has the standard deviation of a response over all of them."
        )


def _moments(question: Question, rows: Rows, weights: np.ndarray, parts: tuple[PartRows, ...]) -> Moments:
    post = question.post
    if not any(part.plan.integrated for part in parts):
        return response_moments(post, rows, weights, parts)
    n, (factor,) = len(weights), question.policy.by_word["new"]
    plan = GroupPlan(tuple(post.design.factors), (), None, np.zeros(n, dtype=bool))
    across = across_of(post, question.parts, question.policy)
    cells = Cells(np.zeros(n, dtype=np.intp), weights, 1)
    return joint_moments(post, Chunk(rows, plan, cells, parts=parts, across=across), factor)


def _coords(entries: list[_Entry]) -> dict[str, Any]:
    return {
        "quantity": plain([e.label for e in entries]),
        "measure": ("quantity", plain([e.measure for e in entries])),
        "factor": ("quantity", plain([e.factor for e in entries])),
        "scale": ("quantity", plain([e.scale for e in entries])),
    }


def _between_on_link_scale(post: Posterior, rows: Rows, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Mean over rows of z' Sigma z, (draw,) by factor: Sigma times the mean of zz', whatever the number of rows."""
    second = {f: (rows.Z[f] * weights[:, None]).T @ rows.Z[f] for f in post.design.factors}
    return {f: np.einsum("dpq,pq->d", post.draws.Sigma[f], zz) for f, zz in second.items()}


def _link_scale(
    post: Posterior, rows: Rows, weights: np.ndarray, groups: dict[str, np.ndarray], mean: np.ndarray
) -> list[_Entry]:
    if not _has_link_scale(post):
        return []
    centred = rows.X - weights @ rows.X
    covariance = (centred * weights[:, None]).T @ centred
    fixed = np.einsum("dp,pq,dq->d", post.draws.beta, covariance, post.draws.beta)
    between = np.sum(list(groups.values()), axis=0)
    return _shares("link", fixed, groups, between, between + _residual(post, mean))


def _response_scale(post: Posterior, moments: Moments) -> list[_Entry]:
    return _shares("response", moments.fixed, moments.groups, moments.between, moments.variance)


def _shares(
    scale: str, fixed: np.ndarray, groups: dict[str, np.ndarray], between: np.ndarray, variance: np.ndarray
) -> list[_Entry]:
    """`variance` is that at fixed covariates: between groups, and the rest."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        entries = [_Entry("VPC", f, scale, of / variance) for f, of in groups.items()]
        if len(groups) > 1:
            entries.append(_Entry("VPC", "all groups", scale, between / variance))
        entries.append(_Entry("marginal R2", "", scale, fixed / (fixed + variance)))
        entries.append(_Entry("conditional R2", "", scale, (fixed + between) / (fixed + variance)))
    return entries


def _median(link: Link) -> str:
    """What exp() of the difference between two groups is called; empty where it is no ratio."""
    return link.ratio.median if link.ratio is not None else ""


def _median_ratios(name: str, groups: dict[str, np.ndarray]) -> list[_Entry]:
    quartile = float(scipy.special.ndtri(0.75))
    with np.errstate(over="ignore"):
        ratios = {f: np.exp(quartile * np.sqrt(2.0 * s2)) for f, s2 in groups.items()}
    return [_Entry(name, f, "", values) for f, values in ratios.items()]


def _has_link_scale(post: Posterior) -> bool:
    """Under the identity it is the response scale; not every response has a variance on another one."""
    return not _on_response(post) and post.family.residual_on(post.link) is not None and not post.parts


def _on_response(post: Posterior) -> bool:
    """Whether the linear predictor is the mean itself."""
    return not post.family.ordinal and post.family.curve(post.link).link.linear


def _residual(post: Posterior, mean: np.ndarray) -> np.ndarray:
    """Variance on the link scale that is left when the groups are known, (draw,)."""
    assert post.family.residual is not None
    with np.errstate(over="ignore", divide="ignore"):
        return post.family.residual.variance(post.link, mean, Values(**post.draws.aux))


def _left_out(post: Posterior) -> str:
    if post.family.ordinal:
        return "the response scale, on which categories have no variance"
    if _has_link_scale(post):
        return ""
    if _on_response(post):
        return "the link scale, which under the identity is the response scale"
    if post.family.residual_on(post.link) is not None:
        return f"the link scale, whose residual variance is not one number where {listed(post.parts)} differs by row"
    under = "" if post.family.residual is None else f" under the {post.link.name} link"
    return f"the link scale, on which a {post.family.name} response has no variance of its own{under}"


def _sentence(post: Posterior, scope: Scope, entries: list[_Entry]) -> str:
    noun = quantity(post.family.noun, post.response_words, "mean", post.link.name)
    weighted = f", weighted by {scope.weights}" if scope.weights else ""
    rows = f"averaged over {scope.rows}{weighted}"
    groups = "; ".join([f"over new groups of {factors_worded(post.design.factors, post.design)}", *scope.groups[1:]])
    if entries[0].measure != "VPC":
        ratio = entries[0].measure[7:]
        return f"Median over pairs of groups of the {ratio} between them, with variances {rows}; {groups}."
    scales = [] if post.family.ordinal else [f"on the response scale by the {noun}"]
    if _has_link_scale(post):
        assert post.family.residual is not None
        scales.insert(0, f"on the link scale with {post.family.residual.words(post.link)}")
    without = f"; left out: {_left_out(post)}" if _left_out(post) else ""
    return (
        f"Shares of variance between groups (VPC) and explained (R2), {', and '.join(scales)}: variances "
        f"{rows}, then divided; {groups}{without}."
    )
