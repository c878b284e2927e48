"""What the model would have observed in the rows of the fit: draws of y with the groups' own effects, or new ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayesmargins.design import Rows
from bayesmargins.family import Outcome, Values, parameter_values, values_at
from bayesmargins.group_likelihood import roots
from bayesmargins.posterior import Posterior
from bayesmargins.predictors import acting, joint_covariance
from bayesmargins.schema import MEAN

__all__ = ["Replicates"]

_NUMBERS = 2**21  # of an array that a block of draws makes

Effects = dict[str, dict[str, np.ndarray]]

_STREAMS = {"own": 0, "new": 1, "residuals": 2}


@dataclass(frozen=True, eq=False)
class Replicates:
    """Of a posterior with rows."""

    post: Posterior  # draws
    index: np.ndarray  # (replicate,): which draw each is made of
    seed: int  # same seed, same replicates

    @classmethod
    def of(cls, post: Posterior, number: int, seed: int) -> Replicates:
        """Draws evenly apart; where there are fewer than replicates, each is used again and again."""
        return cls(post, np.arange(number) * len(post.draws.beta) // number, seed)

    @cached_property
    def rows(self) -> Rows:
        """Of the fit."""
        return self.post.design.rows(self.post.design.data, what="data")

    @cached_property
    def outcome(self) -> Outcome:
        """What was observed."""
        return Outcome.of(self.post.design.response)

    @property
    def has_own(self) -> bool:
        """Whether the groups' own effects were drawn."""
        return all(f in p.b for p in (self.post, *self.post.parts.values()) for f in p.design.factors)

    @cached_property
    def blocks(self) -> list[slice]:
        """Replicates that are held in memory at once."""
        step = max(1, _NUMBERS // max(len(self.outcome.y), 1))
        return [slice(k, min(k + step, len(self.index))) for k in range(0, len(self.index), step)]

    def rng(self, block: slice, stream: str) -> np.random.Generator:
        """Of a block."""
        return np.random.default_rng([self.seed, _STREAMS[stream], block.start])

    def parameters(self, block: slice, groups: str) -> Values:
        """The parameters of y, (replicate, row), with the groups' ``"own"`` b or that of ``"new"`` ones."""
        post, index = self.post, self.index[block]
        b = self._new_effects(index, self.rng(block, "new")) if groups == "new" else self._own_effects(index)
        eta = _predictor(post, self.rows, index, b[MEAN])
        aux = {k: v[index][:, None] for k, v in post.draws.aux.items()}
        for name, (part, rows) in self._parts.items():
            of_part = _predictor(part, rows, index, b[name])
            aux[name] = parameter_values(post.family.parameter(name), part.link, of_part)
        return values_at(post.link, eta, post.family.of_rows(aux, self.outcome))

    def _own_effects(self, index: np.ndarray) -> Effects:
        predictors = self.post.predictors.items()
        return {name: {f: p.draws.b[f][index] for f in p.design.factors} for name, p in predictors}

    def _new_effects(self, index: np.ndarray, rng: np.random.Generator) -> Effects:
        """Of all linear predictors together, where they are correlated."""
        post, found = self.post, Effects((name, {}) for name in self.post.predictors)
        for name, p in post.predictors.items():
            for factor, of in p.design.factors.items():
                if factor in found[name]:
                    continue
                terms = acting({k: one.design for k, one in post.predictors.items()}, factor)
                names = list(terms) if factor in post.across else [name]
                L = roots(joint_covariance(post, factor, names)[index])
                b = rng.standard_normal((len(index), len(of.levels), L.shape[-1])) @ L.transpose(0, 2, 1)
                if of.relation is not None:
                    b = np.einsum("gh,shq->sgq", of.relation, b)
                if of.student:
                    df = np.broadcast_to(post.draws.aux[of.df][index][:, None], b.shape[:2])
                    b *= np.sqrt(df / rng.chisquare(df))[..., None]
                each = np.split(b, np.cumsum([len(terms[k]) for k in names])[:-1], axis=2)
                found |= {k: {**found[k], factor: own} for k, own in zip(names, each, strict=True)}
        return found

    def middle(self, eta: np.ndarray) -> Values:
        """The parameters at some eta (row,) and the means of the others: (1, row)."""
        aux = {k: v.mean(axis=0)[None, None] for k, v in self.post.draws.aux.items()}
        for name, (part, rows) in self._parts.items():
            beside = (part.draws.beta.mean(axis=0) @ rows.X.T + rows.offset)[None]
            aux[name] = parameter_values(self.post.family.parameter(name), part.link, beside)
        return values_at(self.post.link, eta[None], self.post.family.of_rows(aux, self.outcome))

    @cached_property
    def fixed_part(self) -> np.ndarray:
        """Posterior mean of the linear predictor without group effects: (row,)."""
        return np.asarray(self.rows.X @ self.post.draws.beta.mean(axis=0) + self.rows.offset)

    def drawn(self, block: slice, groups: str, p: Values) -> np.ndarray:
        """New y of a block, (replicate, row)."""
        simulate = self.post.family.need("simulate", "check")
        rng = np.random.default_rng([self.seed, 3 + _STREAMS[groups], block.start])
        values = np.asarray(simulate(rng, p, self.outcome), dtype=np.float64)
        return np.broadcast_to(values, np.shape(p.eta))

    @cached_property
    def _parts(self) -> dict[str, tuple[Posterior, Rows]]:
        return {k: (p, p.design.rows(p.design.data, what="data")) for k, p in self.post.parts.items()}


def _predictor(post: Posterior, rows: Rows, index: np.ndarray, effects: dict[str, np.ndarray]) -> np.ndarray:
    """The linear predictor of some draws, (replicate, row), with effects (replicate, group, term) of each factor."""
    eta = post.draws.beta[index] @ rows.X.T + rows.offset
    for name, factor in post.design.factors.items():
        for key, codes in factor.codes_by_lookup.items():
            for q, z in enumerate(rows.Z[key].T):
                eta += effects[name][:, codes, q] * z
    return np.asarray(eta)
