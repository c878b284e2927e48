"""Attenuation: the same averaged effect at b = 0, in each row's own group, in the fitted groups and in new groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.errors import (
    DataError,
    EstimandError,
    GroupsError,
    PosteriorError,
    close_matches,
    shown,
    warn,
    written,
)
from bayesmargins.estimands.comparing import avg_comparisons
from bayesmargins.estimands.comparison import COMPARISONS
from bayesmargins.estimands.predicting import avg_predictions
from bayesmargins.estimands.sentence import factors_worded
from bayesmargins.estimands.sloping import avg_slopes
from bayesmargins.estimands.targets import answering
from bayesmargins.explained import ATTENUATION, QUESTION, SIDES, explained
from bayesmargins.family.quantity import Target
from bayesmargins.habits import of_each, taught
from bayesmargins.imputations import Imputed
from bayesmargins.limits import options
from bayesmargins.posterior import Posterior
from bayesmargins.provenance import Provenance, make_result, provenance_of
from bayesmargins.schema import ESTIMATE, SAMPLE_DIMS
from bayesmargins.streams import goes_once, kind_of
from bayesmargins.values import is_word, kept

__all__ = ["attenuation"]

DIM = "groups"
POLICIES = ("zero", "own", "existing", "new")
_DIFFERENCES = (("new", "zero"), ("existing", "zero"), ("new", "existing"))
_ESTIMANDS = ("comparisons", "slopes", "predictions")


@taught
@explained(QUESTION, SIDES, ATTENUATION)
@of_each
def attenuation(
    post: Posterior | Imputed,
    variables: str | Sequence[str] | Mapping[str, Any] | None = None,
    *,
    estimand: str = "comparisons",
    newdata: Any = None,
    at: Mapping[str, Any] | None = None,
    by: str | Sequence[str] | Mapping[str, Any] | None = None,
    group_weights: str = "equal",
    target: str | Target | None = None,
    comparison: str = "difference",
    cross: bool = False,
    slope: str = "dydx",
    wts: Any = None,
) -> xr.Dataset:
    """How much does the same averaged effect depend on what is done with the groups?

    Returns
    -------
    Dataset
        ``estimate`` with dims chain, draw, contrast (not for predictions), one for each variable of `at`, that of `by`,
        and ``groups``. Along ``groups`` you get the effect under ``zero`` (b = 0), ``own`` (each row's own b),
        ``existing`` (averaged over the fitted groups) and ``new`` (integrated over new groups), each for all grouping
        factors. Then come the differences ``new - zero``, ``existing - zero`` and ``new - existing``, and the ratio
        ``new / zero``, all within each draw. The attribute ``scales`` says which of them are on a scale of their own;
        tables say it in each row.

    Raises
    ------
    DataError, EstimandError, PosteriorError
        As for the three averages; also a model without grouping factors, an unknown estimand, or an argument that
        belongs to another one.
    GroupsError
        As for the three averages.

    Warns
    -----
    BayesmarginsWarning
        ``own`` or ``existing`` is left out: the draws came without b, or newdata does not name groups of the fit.

    Notes
    -----
    The ratio has no mean over posterior draws where its denominator can cross 0: its median reports it (attribute
    ``no_mean``).

    That population-averaged effects are smaller holds for *coefficients* under a random intercept with variance s2:
    probit coefficients shrink by exactly 1 / sqrt(1 + s2), logit coefficients by about 1 / sqrt(1 + 0.346 s2) (Zeger,
    Liang & Albert 1988, Biometrics 44; 7 % too large near probabilities of one half at s = 3). It does not hold for
    every effect on the response scale: the averaged curve is flatter in the middle and steeper far in the tails, so
    there the averaged slope is the *larger* one. Under a log link differences and slopes grow by exp(s2 / 2) and
    ratios stay as they are; under the identity link nothing changes.

    ``attrs["error_bound"]`` is the largest of the averages; a difference errs by no more than the sum of two.

    Examples
    --------
    >>> ds = attenuation(post, "week", estimand="slopes")
    >>> ds["groups"].values.tolist()
    ['zero', 'own', 'existing', 'new', 'new - zero', 'existing - zero', 'new - existing', 'new / zero']
    >>> float(ds.sel(groups="new / zero")["estimate"].median().round(2)) > 1  # most probabilities are above 0.8 here
    True
    """
    of = answering(post, target)
    if not of.design.factors:
        raise EstimandError(
            f"{of.formula!r} has no grouping factor, so an effect is the same whatever is done with groups: use "
            f"avg_{estimand if is_word(estimand, _ESTIMANDS) else 'comparisons'}."
        )
    _check(estimand, variables, comparison, cross, slope)
    if goes_once(newdata):
        raise EstimandError(
            f"newdata is {kind_of(newdata)}, which can be gone through once, and attenuation goes through its rows "
            "once for each policy: give a path, a pyarrow Dataset, a LazyFrame or a table."
        )
    rows = {"newdata": newdata, "at": kept(at), "by": kept(by), "target": target, "wts": kept(wts)}
    variables = kept(variables)

    def average(policy: str) -> xr.Dataset:
        how = {**rows, "groups": policy, "group_weights": group_weights if policy == "existing" else "equal"}
        if estimand == "predictions":
            return avg_predictions(post, **how)
        if estimand == "slopes":
            return avg_slopes(post, variables, slope=slope, **how)  # type: ignore[arg-type]
        return avg_comparisons(post, variables, comparison=comparison, cross=cross, **how)  # type: ignore[arg-type]

    several = any(factor.members for factor in of.design.factors.values())
    found = _averages(average, group_weights, several)
    return _result(found, _side_by_side(found), of)


def _check(estimand: str, variables: Any, comparison: Any, cross: Any, slope: Any) -> None:
    """Arguments that belong to another estimand are refused: they would be ignored."""
    if not is_word(estimand, _ESTIMANDS):
        raise EstimandError(
            f"estimand={shown(estimand)}; allowed are {', '.join(_ESTIMANDS)}: each is averaged over rows."
            f"{close_matches(written(estimand).removeprefix('avg_'), _ESTIMANDS)}"
        )
    if (variables is None) != (estimand == "predictions"):
        said = "needs variables, what changes" if variables is None else f"takes no variables, got {shown(variables)}"
        raise EstimandError(
            f"estimand={estimand!r} {said}: attenuation(post, 'x'), attenuation(post, 'x', estimand='slopes') or "
            "attenuation(post, estimand='predictions')."
        )
    if is_word(comparison, COMPARISONS) and COMPARISONS[comparison].event:
        raise EstimandError(
            f"comparison={comparison!r}: the policies are held against each other by differences and a ratio, which "
            "numbers needed to treat do not have. Use 'difference', which this number is made of."
        )
    others = {"comparisons": {"comparison": (comparison, "difference"), "cross": (cross, False)}}
    others["slopes"] = {"slope": (slope, "dydx")}
    for owner, arguments in others.items():
        for name, (value, default) in arguments.items():
            if owner != estimand and not (type(value) is type(default) and value == default):
                raise EstimandError(f"{name}={shown(value)} belongs to estimand={owner!r}; estimand is {estimand!r}.")


def _averages(average: Callable[[str], xr.Dataset], group_weights: str, several: bool) -> dict[str, xr.Dataset]:
    """The average under every policy; those that these draws and rows cannot give are left out, in words.

    Fitted groups are not averaged over where rows belong to `several` at a time.
    """
    found = {}
    for policy in POLICIES:
        try:
            with options(warn_zero=False):  # the result says of "zero" what it is
                found[policy] = average(policy)
        except (PosteriorError, DataError, GroupsError) as error:
            optional = policy == "own" or (policy == "existing" and (isinstance(error, PosteriorError) or several))
            if not optional or (policy == "existing" and group_weights == "rows"):
                raise
            warn(f"{policy!r} is left out of this attenuation. {error}")
    return found


def _side_by_side(found: Mapping[str, xr.Dataset]) -> dict[str, np.ndarray]:
    values = {policy: ds[ESTIMATE].to_numpy() for policy, ds in found.items()}
    together = dict(values)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for high, low in _DIFFERENCES:
            if high in values and low in values:
                together[f"{high} - {low}"] = values[high] - values[low]
        together["new / zero"] = values["new"] / values["zero"]
    return together


def _result(found: Mapping[str, xr.Dataset], values: Mapping[str, np.ndarray], post: Posterior) -> xr.Dataset:
    like = found["new"]
    coords = {str(k): (c.dims, c.to_numpy()) for k, c in like.coords.items() if k not in SAMPLE_DIMS}
    dims = [*map(str, like[ESTIMATE].dims[2:]), DIM]
    cube = np.stack(list(values.values()), axis=-1)
    flat = cube.reshape(-1, *cube.shape[2:])
    return make_result(flat, dims, coords | {DIM: list(values)}, _provenance(found, post), post.sample_coords)


def _provenance(found: Mapping[str, xr.Dataset], post: Posterior) -> Provenance:
    each = {policy: provenance_of(ds) for policy, ds in found.items()}
    new, several = each["new"], list(each.values())
    methods = {m for a in several for m in (a.integration_method or "").split(", ")}
    return replace(
        new,
        estimand=_sentence(found, post),
        kind="attenuation",
        of=new.kind,
        groups={f: list(found) for f in post.design.factors},
        group_weights=each["existing"].group_weights if "existing" in found else None,
        integration_method=", ".join(sorted(methods - {""})),
        integration_nodes=max(a.integration_nodes or 0 for a in several),
        **_errors(several),
        nulls={"along": DIM, "of": {**{f"{a} - {b}": 0 for a, b in _DIFFERENCES}, "new / zero": 1}},
        scales={"along": DIM, "of": _scales(new)},
        no_mean=_no_mean(post, new.target),
    )


def _scales(of_average: Provenance) -> dict[str, str]:
    """What is not on the scale of the averages. A difference of two differences or slopes is."""
    scale = of_average.scale
    between = f"{scale}"
    if of_average.kind == "predictions":
        between = f"difference in {scale}"
    elif of_average.comparison in ("ratio", "or"):
        between = f"difference of {scale}"
    return {**{f"{a} - {b}": between for a, b in _DIFFERENCES}, "new / zero": f"ratio of {scale}"}


def _errors(several: Sequence[Provenance]) -> dict[str, Any]:
    """The largest; an estimate where one of them is."""
    largest = max((a.error_bound if a.error_estimate is None else a.error_estimate) or 0.0 for a in several)
    estimated = any(a.error_estimate is not None for a in several)
    return {"error_bound": None if estimated else largest, "error_estimate": largest if estimated else None}


def _no_mean(post: Posterior, target: str | None) -> str:
    said = (
        "The ratio new / zero has no mean over draws where its denominator can come near 0: report its "
        "median; point='median' is the default."
    )
    curve = None if post.family.categories else post.family.curve(post.link)
    if curve is not None and curve.link.exponential and target != "link":
        said += (
            " Under a log link the average over new groups grows as exp(s2 / 2), and its mean over draws may not exist."
        )
    return said


_MEANING = {
    "zero": "zero (b = 0, which is not an average over groups)",
    "own": "own (each row with the b of its own group)",
    "existing": "existing (averaged over the fitted groups, {weights})",
    "new": "new (integrated over new groups)",
}


def _sentence(found: Mapping[str, xr.Dataset], post: Posterior) -> str:
    """What the sentences of the averages share, up to what is done with b, and then all that is done with it."""
    zero, new = (provenance_of(found[policy]).estimand or "" for policy in ("zero", "new"))
    same = next(k for k, (a, b) in enumerate(zip(zero, new, strict=False)) if a != b)
    head = zero[: zero.rindex("; ", 0, same)]
    counted = "each counted equally"
    if "existing" in found and provenance_of(found["existing"]).group_weights == "rows":
        counted = "each counted by its rows"
    policies = ", ".join(_MEANING[policy].format(weights=counted) for policy in found)
    caveat = f"; {post.caveat}" if post.caveat else ""
    of = factors_worded(post.design.factors, post.design)
    return (
        f"{head}; side by side for the group effects of {of}: {policies}; their "
        "differences; and the ratio new / zero, to be reported by its median (it has no mean where its denominator "
        f"crosses 0){caveat}."
    )
