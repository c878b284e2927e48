"""What every posterior from elsewhere is asked: did its chains mix, and do group effects and their sd go together?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import xarray as xr
from scipy.special import gammaincinv

from bayesmargins.convergence import convergence, report_convergence
from bayesmargins.draws import flat, in_memory
from bayesmargins.errors import warn
from bayesmargins.posterior import Posterior
from bayesmargins.schema import SAMPLE_DIMS
from bayesmargins.values import chunked

__all__ = ["check_effects", "checked"]

# With what chance a right model would lie outside, each side: at most twice this, see `check_effects`.
_OUTSIDE = 1e-5
# Standard errors of the mean of b that no right model reaches; and those by the spread of b itself, for a wrong sd also
# makes the mean look far from 0.
_FAR, _FAR_BY_B = 6.0, 3.0
_FIRST = 4096  # draws that are looked at of what is in chunks of dask


def checked(post: Posterior, where: str, stats: xr.Dataset | None = None) -> Posterior:
    """The posterior with divergences, r-hat and sample sizes in ``info``, as a fit has them; bad ones are said.

    `stats` is what the sampler said, where the posterior does not hold it. Draws of a prior are independent and have
    none.
    """
    check_effects(post)
    if post.kind != "posterior":
        return post
    found = convergence(post.parameters, post.sample_stats if stats is None else stats)
    chains, draws = (post.beta.sizes[d] for d in SAMPLE_DIMS)
    report_convergence(found, chains, draws, where)
    return replace(post, info=post.info | found)


def check_effects(post: Posterior) -> None:
    """Have the group effects mean 0 and the spread that their sds say, which are all that ``"new"`` reads?

    Under the model b / sd of J groups are independent standard normals, so that in a single posterior draw, averaged
    over the data that the model expects, their sum of squares is chi-squared with J degrees of freedom and their mean
    times the root of J standard normal. By Markov's inequality half of the draws lie where a single draw lies with
    chance p with chance 2p at most: the median over draws is beyond the 1e-5 quantile in one of 50,000 right models.
    Where the data say much about sd the posterior holds the spread at that of b, and the median is near 1 whatever the
    data. It is far from it where a narrow prior of sd contradicts them, which is worth knowing too. Of b in chunks of
    dask the first draws of each chain are looked at.
    """
    for predictor, of in ((post, ""), *((part, f" of {name}") for name, part in post.parts.items())):
        for factor, term, z in _standardised(predictor):
            role = f"{'1' if term == 'Intercept' else term}|{factor}"
            if _mean_is_fine(z, role, term, predictor, of):
                _check_spread(z, f"{role}{of}")


def _standardised(post: Posterior) -> Iterator[tuple[str, str, np.ndarray]]:
    """b / sd, (draw, level), a term; draws where sd is 0, and effects that are 0 throughout, say nothing."""
    for name, values in post.b.items():
        factor = post.design.factors[name]
        if factor.student or factor.cov:  # their mean square is not chi-squared
            continue
        first = slice(max(1, _FIRST // values.sizes["chain"]) if chunked(values) else None)
        b = flat(in_memory(values.isel(draw=first), name))
        sd = np.sqrt(np.diagonal(flat(post.Sigma[name].isel(draw=first)), axis1=1, axis2=2))
        for k, term in enumerate(factor.terms):
            some, levels = sd[:, k] > 0.0, factor.levels_of(k)
            if b[some, :, k].any():
                yield name, str(term), b[some, :, k][:, levels] / sd[some, k, None]


def _mean_is_fine(z: np.ndarray, role: str, term: str, post: Posterior, of: str) -> bool:
    """Without a coefficient of the term, effects may well have another mean than 0."""
    mean = np.abs(z.mean(axis=1))
    root = np.sqrt(z.shape[1])
    away = root * float(np.median(mean))
    if away <= _FAR or term not in post.design.coef or root * np.median(mean) <= _FAR_BY_B * np.median(z.std(axis=1)):
        return True
    warn(
        f"The group effects {role}{of} have a mean that is {np.median(mean):.2g} sd from 0 over {z.shape[1]} groups, "
        f"{away:.3g} standard errors (median over draws): they seem to contain the coefficient {term!r}, which would "
        f"then be counted twice. In from_pymc such values have the role '{term} + {role}'; from_draws takes b without "
        "the coefficient."
    )
    return False


def _check_spread(z: np.ndarray, role: str) -> None:
    groups = z.shape[1]
    square = float(np.median(np.mean(z**2, axis=1)))
    low, high = (2.0 * float(gammaincinv(groups / 2.0, p)) / groups for p in (_OUTSIDE, 1.0 - _OUTSIDE))
    if low <= square <= high:
        return
    warn(
        f"The group effects {role} do not have the spread that sd({role}) says: over {groups} groups the mean square "
        f"of b / sd is {square:.3g} (median over draws), where {low:.2g} to {high:.3g} would be usual. groups='new' "
        "rests on sd, and predictions of the fitted rows do not show whether it is right. Check that it is the "
        "standard deviation of these effects, and not a variance, a precision or that of other effects."
    )
