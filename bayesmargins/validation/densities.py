"""How likely are the rows of a group that nobody has seen, in every draw? Its effects integrated out, whatever it has.

One factor is `post.log_likelihood_groups` where that is known. Beside it stand other factors: those whose levels lie
within one group each are unseen with it, and integrated with it; the others keep their drawn b.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from bayesmargins.design import Factor, Rows
from bayesmargins.errors import PosteriorError, listed, shown
from bayesmargins.family import Outcome, parameter_values, values_at
from bayesmargins.group_likelihood import roots, volume
from bayesmargins.limits import options
from bayesmargins.posterior import Posterior
from bayesmargins.predictors import acting, joint_covariance, unknown_across
from bayesmargins.schema import MEAN, SAMPLE_DIMS, factor_dim
from bayesmargins.validation.sobol_groups import Proposal, proposal, summed
from bayesmargins.values import plain

__all__ = ["Densities", "densities"]

_NUMBERS = 2**21  # of an array that a block of draws makes


@dataclass(frozen=True)
class Densities:
    """Of the groups of one factor."""

    values: xr.DataArray  # log density of the group's rows
    method: str  # how b was integrated, a clause
    error: np.ndarray  # (group,): standard error of `values`, root mean square over draws; 0 of what is exact
    unseen: frozenset[str]  # factors whose effects are integrated


def densities(post: Posterior, factor: Factor) -> Densities:
    """PosteriorError where they are not known, which says why."""
    if len(post.design.factors) == 1 and not post.parts:
        with suppress(PosteriorError):
            found = post.log_likelihood_groups
            closed = bool(post.family.normal_sd and post.link.linear)
            how = "in closed form" if closed else "by a sum over nodes"
            return Densities(found, how, np.zeros(found.shape[-1]), frozenset([factor.name]))
    model = _Model.of(post, factor)
    draws = len(post.draws.beta)
    if 8 * draws * len(factor.levels) > options.bytes:
        raise PosteriorError(
            f"logo of {len(factor.levels):,} groups in {draws:,} draws takes {8 * draws * len(factor.levels):,} bytes, "
            f"and bayesmargins.options.memory is {shown(options.memory)}; raise it."
        )
    each = [model.group(g) for g in range(len(factor.levels))]
    values, errors = np.stack([value for value, _ in each], axis=-1), np.array([error for _, error in each])
    dims = (*SAMPLE_DIMS, factor_dim(factor.name))
    coords = {**post.sample_coords, dims[2]: plain(factor.levels)}
    array = xr.DataArray(values.reshape([len(c) for c in coords.values()]), coords, dims)
    return Densities(array, model.method, errors, frozenset(f.name for f in model.inner))


@dataclass(frozen=True)
class _Model:
    """What the density of a group's rows reads; `inner` are integrated, `factor` first, `outer` keep their b."""

    post: Posterior
    factor: Factor
    inner: tuple[Factor, ...]
    outer: tuple[Factor, ...]
    rows: Rows
    outcome: Outcome

    @classmethod
    def of(cls, post: Posterior, factor: Factor) -> _Model:
        rows = post.design.rows(post.design.data, what="data")
        others = [f for f in post.design.factors.values() if f.name != factor.name]
        within = [f for f in others if f.members is None and _lies_within(f, factor)]
        outer = tuple(f for f in others if f not in within)
        model = cls(post, factor, (factor, *within), outer, rows, Outcome.of(post.design.response))
        obstacle = model._obstacle()
        if obstacle:
            raise PosteriorError(
                f"logo of {factor.name!r} is not known for {shown(post.formula)}: {obstacle}. az.loo(post.idata), "
                "after post.log_likelihood(), leaves out one row at a time, given its group's b."
            )
        return model

    @property
    def normal(self) -> bool:
        """Whether the rows of a group are jointly normal, each counting once."""
        o = self.outcome
        plain_rows = o.weights is None and o.se is None and o.rate is None and not o.partial
        alone = len(self._acted_on) == 1
        return bool(self.post.family.normal_sd and self.post.link.linear and plain_rows and alone)

    @cached_property
    def _acted_on(self) -> dict[str, int]:
        """How many effects a group of the factor has on each linear predictor that it acts on."""
        designs = {name: p.design for name, p in self.post.predictors.items()}
        return {name: len(terms) for name, terms in acting(designs, self.factor.name).items()}

    @property
    def _starts(self) -> np.ndarray:
        """Where the terms of each linear predictor begin among all of them."""
        return np.cumsum([0, *self._acted_on.values()])[:-1]

    def _own(self, g: int) -> dict[str, np.ndarray]:
        """Which terms a group has, of the factor's on each linear predictor."""
        factors = {name: self.post.predictors[name].design.factors for name in self._acted_on}
        return {name: own[self.factor.name].terms_of(g) for name, own in factors.items()}

    @property
    def method(self) -> str:
        """A clause."""
        how = (
            "in closed form" if self.normal else f"by Sobol points in {sum(map(len, self._own(0).values()))} dimensions"
        )
        inner, outer = [f.name for f in self.inner[1:]], [f.name for f in self.outer]
        how += f"; the effects of {listed(inner)}, which lie within, are integrated too" if inner else ""
        return how + (f"; the effects of {listed(outer)} are kept as drawn" if outer else "")

    def _obstacle(self) -> str:
        post, within = self.post, {f.name for f in self.inner[1:]}
        if post.family.shares is not None:
            return "every category but the first has a linear predictor, and their effects are not integrated here"
        twice = [name for name, part in post.parts.items() if within & set(part.design.factors)]
        if twice:
            return f"groups within them have effects on {listed(twice)} too, and with theirs there is no closed form"
        if unknown_across(post, self.factor.name):
            return f"its effects on {listed(self._acted_on)} are correlated, and how was not given with the draws"
        if not self.normal and len(self.inner) > 1:
            return (
                f"the effects of {listed([f.name for f in self.inner[1:]])} lie within {self.factor.name!r}, and under "
                f"family {post.family.name!r} all effects of a group together have no closed form"
            )
        integrated = {f.name for f in self.inner}
        heavy = integrated & set(post.design.degrees)
        if heavy:
            return f"effects of {listed(heavy)} are Student-t, and what is integrated here is normal"
        if self.factor.members is not None:
            return "rows belong to several of these groups, so that leaving one out leaves parts of rows"
        related = integrated & set(post.design.related)
        if related:
            return f"groups of {listed(related)} are related, and the others say what a group that is left out is like"
        absent = [f.name for f in self.outer if f.name not in post.b]
        if absent:
            return f"the posterior came without draws of b of {listed(absent)}"
        needed = [p.name for p in post.family.estimated(post.design.response.known_error)]
        missing = [name for name in needed if name not in post.aux and name not in post.parts]
        return f"draws of {listed(missing)} are needed: give aux={{...}}" if missing else ""

    def group(self, g: int) -> tuple[np.ndarray, float]:
        """Log density (sample,), and its standard error."""
        which = np.flatnonzero(self.factor.codes == g)
        draws = len(self.post.draws.beta)
        if not len(which):
            return np.zeros(draws), 0.0
        if self.normal:
            step = max(1, _NUMBERS // len(which) ** 2)
            blocks = [slice(first, first + step) for first in range(0, draws, step)]
            return np.concatenate([self._jointly_normal(which, block) for block in blocks]), 0.0
        own = self._own(g)
        at = np.concatenate([start + terms for start, terms in zip(self._starts, own.values(), strict=True)])
        drawn = None if self._drawn is None else self._drawn[..., at]
        points = proposal(drawn, self._roots[:, at[:, None], at], g)
        step = max(1, _NUMBERS // (points.size * len(which)))
        blocks = [slice(first, first + step) for first in range(0, draws, step)]
        found = [self._by_points(which, own, block, points) for block in blocks]
        value, error = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return value, float(np.sqrt(np.mean(error**2)))

    def _jointly_normal(self, which: np.ndarray, block: slice) -> np.ndarray:
        """(sample,) of a block of draws."""
        post = self.post
        y = post.design.response.y
        measured = y if post.family.measured is None else post.family.measured(y)
        rest = measured[which] - self._eta(which, block)
        sd = np.broadcast_to(self._aux(which, block)[post.family.normal_sd], rest.shape)
        V = np.einsum("sr,rt->srt", sd**2, np.eye(len(which)))
        for f in self.inner:
            Z, same = self.rows.Z[f.name][which], f.codes[which, None] == f.codes[which]
            V += np.einsum("rp,spq,tq->srt", Z, post.draws.Sigma[f.name][block], Z) * same
        L = np.linalg.cholesky(V)
        z = np.linalg.solve(L, rest[..., None])[..., 0]
        value = -0.5 * (z**2 + np.log(2.0 * np.pi)).sum(axis=1)
        value -= np.log(np.diagonal(L, axis1=1, axis2=2)).sum(axis=1)
        return np.asarray(value + volume(post.family, post.link, y, measured)[which].sum())

    def _by_points(
        self, which: np.ndarray, own: Mapping[str, np.ndarray], block: slice, points: Proposal
    ) -> tuple[np.ndarray, np.ndarray]:
        """(sample,) each: value and standard error, of a block of draws; `own` are the terms of the group."""
        post = self.post
        ends = np.cumsum([len(terms) for terms in own.values()])[:-1]
        b = dict(zip(own, np.split(points.effects(block), ends, axis=1), strict=True))
        eta = self._moved(self._eta(which, block), self.rows, which, own[MEAN], b[MEAN])
        aux = {k: np.repeat(v, points.size, axis=0) for k, v in self._aux(which, block, b).items()}
        for name in b:
            if name != MEAN:
                of_part = self._of_part(name, which, block)
                of_part = self._moved(of_part, self._part_rows[name], which, own[name], b[name])
                aux[name] = parameter_values(post.family.parameter(name), post.parts[name].link, of_part)
        o = self.outcome.take(which)
        rows = post.family.log_likelihood(values_at(post.link, eta, post.family.of_rows(aux, o)), o)
        return summed(rows.sum(axis=1).reshape(-1, points.size), points)

    @cached_property
    def _roots(self) -> np.ndarray:
        return roots(joint_covariance(self.post, self.factor.name, list(self._acted_on)))

    @cached_property
    def _drawn(self) -> np.ndarray | None:
        """Effects (sample, group, term) on all that the factor acts on; None where some came without draws."""
        each = [self.post.predictors[name].draws.b.get(self.factor.name) for name in self._acted_on]
        return None if any(b is None for b in each) else np.concatenate([b for b in each if b is not None], axis=2)

    @cached_property
    def _part_rows(self) -> dict[str, Rows]:
        return {k: part.design.rows(part.design.data, what="data") for k, part in self.post.parts.items()}

    def _moved(self, eta: np.ndarray, rows: Rows, which: np.ndarray, own: np.ndarray, b: np.ndarray) -> np.ndarray:
        """eta (sample, row) with effects b (sample, term, point) of some terms: a row for each draw and point."""
        moved = np.einsum("rq,sqk->srk", rows.Z[self.factor.name][which][:, own], b)
        return np.asarray((eta[..., None] + moved).transpose(0, 2, 1).reshape(-1, len(which)))

    def _eta(self, which: np.ndarray, block: slice) -> np.ndarray:
        """(sample, row) without the effects that are integrated."""
        return _linear_predictor(self.post, self.rows, [f.name for f in self.outer], which, block)

    def _aux(self, which: np.ndarray, block: slice, but: Collection[str] = ()) -> dict[str, np.ndarray]:
        """The family's parameters, (sample, row) or (sample, 1), without some."""
        found = {k: v[block][:, None] for k, v in self.post.draws.aux.items()}
        for name, part in self.post.parts.items():
            if name not in but:
                eta = self._of_part(name, which, block)
                found[name] = parameter_values(self.post.family.parameter(name), part.link, eta)
        return found

    def _of_part(self, name: str, which: np.ndarray, block: slice) -> np.ndarray:
        """The linear predictor of a parameter, (sample, row), without the effects that are integrated."""
        part = self.post.parts[name]
        given = [f for f in part.design.factors if f != self.factor.name]
        return _linear_predictor(part, self._part_rows[name], given, which, block)


def _linear_predictor(post: Posterior, rows: Rows, given: list[str], which: np.ndarray, block: slice) -> np.ndarray:
    """Of some rows and draws, with the b of the factors in `given`: (sample, row)."""
    eta = post.draws.beta[block] @ rows.X[which].T + rows.offset[which]
    for name in given:
        for key, codes in post.design.factors[name].codes_by_lookup.items():
            b = post.draws.b[name][block][:, codes[which], :]
            eta += np.einsum("srq,rq->sr", b, rows.Z[key][which])
    return np.asarray(eta)


def _lies_within(inner: Factor, outer: Factor) -> bool:
    """Does every level of one occur in a single level of the other?"""
    pairs = np.unique(np.stack([inner.codes, outer.codes]), axis=1)
    return pairs.shape[1] == len(np.unique(inner.codes))
