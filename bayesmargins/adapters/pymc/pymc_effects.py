"""Group effects from a user's variables: as they are, standardised, or with the coefficients that they contain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.adapters.pymc.levels import level_order
from bayesmargins.adapters.pymc.matrices import Spread, correlation, whole
from bayesmargins.adapters.pymc.pymc_variables import (
    along_parts,
    labels_of,
    own_order,
    positions,
    rest_of,
    take,
    with_shape,
)
from bayesmargins.adapters.pymc.roles import OWN, Role, is_of
from bayesmargins.design import Design, Factor
from bayesmargins.errors import PosteriorError, listed

__all__ = ["Groups"]


@dataclass(frozen=True, eq=False)
class Groups:
    """One grouping factor of the design, and what the user's names say of it."""

    factor: Factor  # levels, terms and blocks
    design: Design  # holds the columns that group effects may contain
    roles: Mapping[Role, Any]  # all of the user's names
    draws: xr.Dataset  # the user's variables
    levels: Sequence[Any] | None  # order of unlabelled levels, where the user gave one
    checked: bool  # the order is going to be checked against the model's own predictor

    @cached_property
    def spreads(self) -> list[Spread]:
        """Every term's spread, correlated terms together."""
        out = [whole(take(self.draws, role, source), role) for role, source in self._of("chol Sigma")]
        sd: dict[str, np.ndarray] = {}
        for role, source in self._of("sd"):
            sd |= along_parts(take(self.draws, role, source), role)
        negative = [t for t, values in sd.items() if (values < 0).any()]
        if negative:
            raise PosteriorError(
                f"Standard deviations of {listed(negative)} in {self.factor.name!r} are negative in some draws. A log "
                "scale is left with a function: lambda draws: np.exp(draws['log_sd'])."
            )
        for role, source in self._of("cor"):
            terms, R = correlation(take(self.draws, role, source), role)
            absent = [t for t in terms if t not in sd]
            if absent:
                raise PosteriorError(
                    f"{role.text!r} goes with standard deviations, and those of {listed(absent)} are not given."
                )
            out.append(Spread(terms, sd=np.stack([sd.pop(t) for t in terms], axis=-1), cor=R))
        return out + [Spread((t,), sd=values[..., None]) for t, values in sd.items()]

    @property
    def Sigma(self) -> np.ndarray:
        """Covariance in the design's order of terms, (chain, draw, term, term)."""
        factor = self.factor
        at = {t: k for k, t in enumerate(factor.terms)}
        shape = tuple(self.draws.sizes[d] for d in ("chain", "draw"))
        Sigma = np.zeros((*shape, len(at), len(at)))
        for spread in self.spreads:
            places = [at[t] for t in spread.terms]
            Sigma[..., np.array(places)[:, None], places] = spread.covariance
        together = np.zeros((len(at), len(at)), dtype=bool)
        for block in factor.blocks:
            together[np.ix_(block, block)] = True
        if np.abs(Sigma[..., ~together]).max(initial=0.0) > 1e-12:
            raise PosteriorError(
                f"The draws have correlations between terms of {factor.name!r} that are independent in the formula "
                f"{self.design.formula!r}; correlated terms stand in one block, (1 + x | g)."
            )
        return Sigma

    @property
    def b(self) -> np.ndarray | None:
        """Group effects in the design's order, (chain, draw, level, term); None where there are no draws of them."""
        given = self._of("b z")
        if any(source is None for _, source in given):
            if all(source is None for _, source in given):
                return None
            raise PosteriorError(f"names gives some group effects of {self.factor.name!r} and None for others.")
        effects: dict[str, np.ndarray] = {}
        standard: dict[str, np.ndarray] = {}
        for role, source in given:
            (standard if role.kind == "z" else effects).update(self._effects(role, source))
        for spread in self.spreads:
            effects |= _scaled(spread, standard, self.factor.name)
        return np.stack([effects[t] for t in self.factor.terms], axis=-1)

    def _of(self, kinds: str) -> list[tuple[Role, Any]]:
        return [(r, s) for r, s in self.roles.items() if is_of(r, kinds, self.factor.name)]

    def _effects(self, role: Role, source: Any) -> dict[str, np.ndarray]:
        """Each term's effects, (chain, draw, level), without the coefficients that the values contain."""
        role = self._in_order_of_root(role)
        values = take(self.draws, role, source, later=True)
        level, term = self._axes(values, role)
        places = level_order(values, level, role, self.factor, self.levels, self.checked)
        values = values.isel({level: places})
        parts = role.parts if term is None else own_order(values, term, role)
        arrays = [values] if term is None else [values.isel({term: k}) for k in range(len(parts))]
        effects = {t: v.transpose("chain", "draw", level).data for t, v in zip(parts, arrays, strict=True)}
        return {t: v - self._contained(role, t) for t, v in effects.items()} if role.plus else effects

    def _in_order_of_root(self, role: Role) -> Role:
        """Unlabelled standard effects belong to the rows of their root, whose order may not be the design's."""
        same = [s.terms for s in self.spreads if set(s.terms) == set(role.parts)]
        return replace(role, parts=same[0]) if role.kind == "z" and same and not role.spelt_out else role

    def _axes(self, values: xr.DataArray, role: Role) -> tuple[str, str | None]:
        """Which dim is the levels', which the terms'? By labels, else by size, else (level, term)."""
        dims, n, q = rest_of(values), len(self.factor.levels), len(role.parts)
        if len(dims) == 1 and q == 1:
            return dims[0], None
        if len(dims) == 2:
            pairs = [(a, b) for a, b in (dims, dims[::-1]) if (values.sizes[a], values.sizes[b]) == (n, q)]
            named = [p for p in pairs if self._is_labelled(values, *p, role)]
            if pairs:
                return (named or pairs)[0]
        needed = f"({self.factor.name}: {n}{', term: ' + str(q) if q > 1 else ''})"
        raise PosteriorError(
            f"{role.text!r} is taken from values with {with_shape(values)}; {needed} is needed beside chain and draw: "
            f"{n} levels{' and the terms ' + listed(role.parts) if q > 1 else ''}."
        )

    def _is_labelled(self, values: xr.DataArray, level: str, term: str, role: Role) -> bool:
        levels, terms = labels_of(values, level), labels_of(values, term)
        by_level = levels is not None and sorted(levels) == sorted(map(str, self.factor.levels))
        return by_level or (terms is not None and positions(terms, role.parts) is not None)

    def _contained(self, role: Role, term: str) -> np.ndarray:
        """What of the fixed part the values contain: coefficients times their columns per unit of z."""
        if len(role.parts) > 1 and role.plus != (OWN,):
            raise PosteriorError(
                f"{role.text!r} adds {listed(role.plus)} to several terms; 'beta + b({role.factor})' adds to each "
                "term its own coefficient, and anything else is said term by term: 'Intercept + u + 1|g'."
            )
        coefs = [term if c == OWN else c for c in role.plus]
        absent = [c for c in coefs if c not in self.design.coef]
        if absent:
            raise PosteriorError(
                f"{role.text!r} adds {listed(absent)}, which {self.design.formula!r} has no coefficient of."
            )
        total: Any = 0.0
        for other, source in self.roles.items():
            for coef in (c for c in coefs if other.kind == "coef" and c in other.parts):
                draws = along_parts(take(self.draws, other, source), other)[coef]
                total = total + draws[..., None] * self._per_unit(coef, term, role)
        return np.asarray(total)

    def _per_unit(self, coef: str, term: str, role: Role) -> np.ndarray:
        """The column of a coefficient over that of z, which has to be one number in each group, (level,)."""
        if coef == term:
            return np.ones(len(self.factor.levels))
        rows = self.design.rows(self.design.data, what="data")
        x = rows.X[:, self.design.coef.index(coef)]
        z = rows.Z[self.factor.name][:, self.factor.terms.index(term)]
        used = z != 0
        ratio = np.full(len(self.factor.levels), np.nan)
        ratio[self.factor.codes[used]] = x[used] / z[used]
        off = np.abs(x - np.where(used, ratio[self.factor.codes] * z, 0.0))
        bad = off > 1e-9 * np.abs(x).max(initial=1.0)
        if bad.any() or np.isnan(ratio).any():
            which = self.factor.levels[
                self.factor.codes[bad][0] if bad.any() else int(np.flatnonzero(np.isnan(ratio))[0])
            ]
            raise PosteriorError(
                f"{role.text!r} says that the values contain {coef!r}, whose column is not a constant times that of "
                f"{term!r} within the group {which!r} of {self.factor.name!r}. Group effects can only contain what is "
                "the same for all rows of a group."
            )
        return ratio


def _scaled(spread: Spread, standard: Mapping[str, np.ndarray], factor: str) -> dict[str, np.ndarray]:
    """b = L z, for the terms of one spread."""
    given = [t for t in spread.terms if t in standard]
    if not given:
        return {}
    if len(given) < len(spread.terms):
        raise PosteriorError(
            f"names gives standardised effects of {listed(given)} of {factor!r} alone, and they are correlated with "
            f"those of {listed([t for t in spread.terms if t not in given])}: give z({factor}), or b({factor})."
        )
    z = np.stack([standard[t] for t in spread.terms], axis=-1)
    b = np.einsum("cdlk,cdik->cdli", z, spread.root)
    return {t: b[..., k] for k, t in enumerate(spread.terms)}
