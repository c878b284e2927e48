"""How likely are the rows of each group, taken together, with its effects integrated out? For leaving groups out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.design import Factor
from bayesmargins.errors import PosteriorError, listed, shown
from bayesmargins.family import Family, Link, Outcome, values_at
from bayesmargins.integrate.group_quadrature import group_quadrature, has_planes
from bayesmargins.integrate.normal_groups import Effects, normal_rows
from bayesmargins.limits import options
from bayesmargins.schema import SAMPLE_DIMS, factor_dim
from bayesmargins.values import plain

__all__ = ["log_likelihood_by_group", "no_plane", "roots", "volume"]


def log_likelihood_by_group(post: Any) -> xr.DataArray:
    """Of a posterior with one grouping factor: (chain, draw, <factor>)."""
    obstacle = _obstacle(post)
    if obstacle:
        raise PosteriorError(
            f"log_likelihood_groups is not known for {shown(post.formula)}: {obstacle}. post.log_likelihood() has that "
            "of each row, given its group's b."
        )
    (factor,) = post.design.factors.values()
    draws = len(post.draws.beta)
    size = 8 * draws * len(factor.levels)
    if size > options.bytes:
        raise PosteriorError(
            f"log_likelihood_groups of {len(factor.levels):,} groups in {draws:,} draws takes {size:,} "
            f"bytes, and bayesmargins.options.memory is {shown(options.memory)}; raise it."
        )
    value = (_normal if post.family.normal_sd and post.link.linear else _summed)(post, factor)
    dims = (*SAMPLE_DIMS, factor_dim(factor.name))
    coords = {**post.sample_coords, dims[2]: plain(factor.levels)}
    return xr.DataArray(value.reshape([len(c) for c in coords.values()]), coords, dims, name="log_likelihood_groups")


def _normal(post: Any, factor: Factor) -> np.ndarray:
    """In closed form: (sample, group)."""
    rows, y, draws = post.design.rows(post.design.data, what="data"), post.design.response.y, post.draws
    measured = y if post.family.measured is None else post.family.measured(y)
    F, R = np.linalg.qr(rows.X)  # columns may be nearly dependent: their combinations are better told apart
    effects = Effects(rows.Z[factor.name], factor.codes, len(factor.levels))
    o = Outcome.of(post.design.response)
    likelihood = normal_rows(measured - rows.offset, F, effects, (), o, post.family.normal_sd)
    value = likelihood.by_group(draws.beta @ R.T, [roots(draws.Sigma[factor.name])], draws.aux)
    of_y = volume(post.family, post.link, y, measured) * (1.0 if o.weights is None else o.weights)
    if o.se is not None:
        of_y = of_y - np.log(o.se) * (1.0 if o.weights is None else o.weights)
    return value + np.bincount(factor.codes, of_y, len(factor.levels))


def _summed(post: Any, factor: Factor) -> np.ndarray:
    """Over nodes around each group's peak: (sample, group)."""
    rows, response, draws = post.design.rows(post.design.data, what="data"), post.design.response, post.draws
    effects = Effects(rows.Z[factor.name], factor.codes, len(factor.levels))
    tag, thresholds = post.family.compiled_rows(post.link), max(len(response.categories) - 1, 0)
    outcome = Outcome.of(response).events()
    likelihood = group_quadrature(tag, post.family.aux, outcome, rows.X, effects, rows.offset, thresholds)
    point = (draws.beta, [roots(draws.Sigma[factor.name])], dict(draws.aux))
    middle = {name: values.mean(axis=0)[None] for name, values in point[2].items()}
    placed = likelihood.at_rest(point[0].mean(axis=0)[None], [point[1][0].mean(axis=0)[None]], middle)
    return placed.by_group(*point)


def _obstacle(post: Any) -> str:
    """Why it cannot be computed; empty where it can."""
    factors = len(post.design.factors)
    if post.design.frame is None:
        return "it came without its rows"
    if factors != 1:
        return f"it has {factors or 'no'} grouping factors, and one is needed"
    response = post.design.response
    beyond = post.family.not_integrated(Outcome.of(response), post.link)
    if beyond:
        return f"its left-hand side says {listed(beyond)}"
    normal = post.family.normal_sd and post.link.linear
    if not normal and post.family.compiled_rows(post.link) is None:
        return (
            f"under family {post.family.name!r} with link {post.link.name!r} the integral over b may have several peaks"
        )
    (factor,) = post.design.factors.values()
    if factor.student:
        return "its effects are Student-t, and what is integrated here is normal"
    if factor.members is not None:
        return "rows belong to several of its groups"
    if factor.cov:
        return "its groups are related, and the rows of one are not independent of those of others"
    obstacle = "" if normal else no_plane(post.family, post.link, factor.terms)
    if obstacle:
        return obstacle
    needed = [parameter.name for parameter in post.family.estimated(response.known_error)]
    missing = [name for name in needed if name not in post.aux]
    return f"draws of {listed(missing)}, the same for all rows, are needed" if missing else ""


def no_plane(family: Family, link: Link, terms: Sequence[str]) -> str:
    """Why effects of these terms have no sum over a line or a plane; empty where they have."""
    if len(terms) > 2:
        return f"{len(terms)} effects of each group take an integral in as many dimensions"
    if len(terms) == 2 and terms[0] != "Intercept":
        return "two effects of each group are summed over a plane where the first is an intercept"
    if len(terms) == 2 and not has_planes(family.compiled_rows(link)):
        return (
            f"under family {family.name!r} and link {link.name!r} a sum over two effects of each group takes too many "
            "evaluations of the density"
        )
    return ""


def roots(Sigma: np.ndarray) -> np.ndarray:
    """Lower triangles L with L L' = Sigma, which may be singular, and no diagonal below 0: (draw, term, term)."""
    sd = np.sqrt(np.diagonal(Sigma, axis1=1, axis2=2))[..., None]
    unit = np.where(sd > 0, sd, 1.0)
    values, vectors = np.linalg.eigh(Sigma / unit / unit.transpose(0, 2, 1))
    wide = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    triangles: np.ndarray = np.linalg.qr(wide.transpose(0, 2, 1)).R
    sign = np.where(np.diagonal(triangles, axis1=1, axis2=2) < 0.0, -1.0, 1.0)
    return np.asarray(unit * (sign[..., None] * triangles).transpose(0, 2, 1))


def volume(family: Family, link: Link, y: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """What the density of y has beside that of the measured y: (row,), 0 where they are the same."""
    at_mode = values_at(link, measured, {family.normal_sd: np.ones(1)})
    assert family.log_density is not None
    density = family.log_density(at_mode, Outcome(y))
    return np.asarray(density + 0.5 * np.log(2.0 * np.pi))
