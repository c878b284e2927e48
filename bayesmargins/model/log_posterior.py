"""The log posterior of the model that has no b, without PyMC: the function that ``model.pymc_for("integrated")`` has.

A point u holds the model's variables on the real line, in PyMC's order. From it come the likelihood's parameters (phi,
roots, aux), the log density of the priors, and the derivatives of both; `integrate` has the likelihood itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bayesmargins.design import Design
from bayesmargins.family import Family
from bayesmargins.model.coordinates import FixedPart, GroupPart
from bayesmargins.model.priors import Prior
from bayesmargins.model.root_maps import RootMap, Stated, root_map, stated_of
from bayesmargins.model.structured import structures
from bayesmargins.model.unconstrained import Closed, Held, Ordered, Variable, closed
from bayesmargins.model.written_priors import written
from bayesmargins.schema import stem

__all__ = ["Likelihood", "LogPosterior", "log_posterior", "stated_by_block"]

Array = npt.NDArray[np.float64]
Parameters = tuple[Array, list[Array], dict[str, Array]]

_THRESHOLDS = "thresholds_centred"


class Likelihood(Protocol):
    """What `integrate` knows of the rows, b integrated out; roots in the order of `LogPosterior.maps`."""

    def log_likelihood(self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]) -> Array:
        """(draw,)."""

    def derivatives(
        self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]
    ) -> tuple[Array, Array, list[Array], dict[str, Array]]:
        """The same, and its derivatives in phi, roots and aux."""

    def draw_effects(
        self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array], rng: np.random.Generator
    ) -> list[Array]:
        """Effects of each factor, (draw, group, term), in the coordinates of `GroupPart.W`."""


@dataclass(frozen=True)
class LogPosterior:
    """The log density of u (draw, entry), up to a constant, and what u stands for."""

    variables: tuple[Variable, ...]  # in the order of PyMC's value variables
    coordinates: tuple[str, ...]  # those whose entries are phi
    places: npt.NDArray[np.intp]  # (coordinate,): which of these entries, one after the other, each coordinate is
    maps: tuple[RootMap, ...]  # one a factor, in the likelihood's order
    aux: dict[str, str]  # variables of the family's parameters, by the parameter
    # (coef, coordinate): beta = carry phi; with thresholds the first row is the constant that they are less
    carry: Array
    likelihood: Likelihood

    @cached_property
    def start(self) -> Array:
        """A plausible u: (entry,)."""
        return np.concatenate([v.start for v in self.variables])

    @cached_property
    def unit(self) -> Array:
        """How far from `start` the priors allow each entry to be, by their curvature there: (entry,)."""
        h = 1e-4 * (1.0 + np.abs(self.start))
        apart = np.diag(h)
        points = np.concatenate([self.start + apart, self.start - apart])
        slopes = np.concatenate([v.prior.gradient(u, np.zeros_like(u)) for v, u in self._split(points)], axis=1)
        above, below = np.diagonal(slopes[: len(h)]), np.diagonal(slopes[len(h) :])
        bent = (below - above) / (2.0 * h)
        known = np.isfinite(bent) & (bent > 0.0)
        return np.where(known, 1.0 / np.sqrt(np.where(known, bent, 1.0)), 1.0)

    def log_prior(self, u: Array) -> Array:
        """Of the variables on the real line: (draw,)."""
        with np.errstate(all="ignore"):  # what overflows is no number, and impossible
            return np.sum([v.prior.log_density(own) for v, own in self._split(u)], axis=0)

    def log_density(self, u: Array) -> Array:
        """(draw,); -inf where it is no number."""
        with np.errstate(all="ignore"):
            phi, roots, aux = self.parameters(self.values(u))
            return _possible(self.log_prior(u) + self.likelihood.log_likelihood(phi, roots, aux))

    def value_and_gradient(self, u: Array) -> tuple[Array, Array]:
        """`log_density` and its derivatives: (draw,), (draw, entry)."""
        with np.errstate(all="ignore"):
            x = self.values(u)
            value, d_phi, d_roots, d_aux = self.likelihood.derivatives(*self.parameters(x))
            pulled = self._pulled(x, d_phi, d_roots, d_aux)
            gradient = [v.prior.gradient(own, pulled[v.name]) for v, own in self._split(u)]
            return _possible(self.log_prior(u) + value), np.concatenate(gradient, axis=1)

    def values(self, u: Array) -> dict[str, Array]:
        """The variables as the model has them: (draw, entry) each."""
        return {v.name: v.prior.values(own) for v, own in self._split(u)}

    def parameters(self, x: Mapping[str, Array]) -> Parameters:
        """phi, roots, aux of `Likelihood`."""
        n = len(next(iter(x.values())))
        phi = np.concatenate([np.zeros((n, 0)), *(x[name] for name in self.coordinates)], axis=1)[:, self.places]
        aux = {p: x[name] if name == _THRESHOLDS else x[name][:, 0] for p, name in self.aux.items()}
        return phi, [m.root(x) for m in self.maps], aux

    def named(self, x: Mapping[str, Array]) -> dict[str, Array]:
        """The parameters that a posterior keeps, under the PyMC model's names; those of a factor are (draw, term)."""
        phi, _, aux = self.parameters(x)
        beta = phi @ self.carry.T
        if "thresholds" in aux:
            aux["thresholds"] = aux["thresholds"] - beta[:, :1]
            beta = beta[:, 1:]
        return {"beta": beta, **{k: v for m in self.maps for k, v in m.named(x).items()}, **aux}

    def effects(self, x: Mapping[str, Array], rng: np.random.Generator) -> dict[str, Array]:
        """``b_<factor>`` of the user's terms, drawn given the parameters: (draw, group, term)."""
        drawn = self.likelihood.draw_effects(*self.parameters(x), rng)
        return {
            f"b_{stem(m.part.factor.name)}": b @ m.part.B.T if m.part.recoded else b
            for m, b in zip(self.maps, drawn, strict=True)
        }

    def _split(self, u: Array) -> Iterator[tuple[Variable, Array]]:
        first = 0
        for v in self.variables:
            yield v, u[:, first : first + len(v.start)]
            first += len(v.start)

    def _pulled(
        self, x: Mapping[str, Array], d_phi: Array, d_roots: Sequence[Array], d_aux: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Derivatives of the likelihood in the variables."""
        ends = np.cumsum([0, *(x[name].shape[1] for name in self.coordinates)])
        entries = np.zeros_like(d_phi)
        entries[:, self.places] = d_phi
        out = {name: entries[:, ends[k] : ends[k + 1]] for k, name in enumerate(self.coordinates)}
        for m, d_root in zip(self.maps, d_roots, strict=True):
            out |= m.pull(x, d_root)
        return out | {name: d_aux[p].reshape(len(d_phi), -1) for p, name in self.aux.items()}


def _possible(density: Array) -> Array:
    return np.where(np.isfinite(density), density, -np.inf)


def log_posterior(
    design: Design,
    family: Family,
    priors: Mapping[str, Any],
    fixed: FixedPart,
    parts: Mapping[str, GroupPart],
    order: Sequence[str],
    likelihood: Likelihood,
) -> LogPosterior:
    """The log posterior of a model; `order` has the factors as the likelihood takes them."""
    stated, coordinates, places = _fixed_variables(design, priors, fixed)
    maps = {}
    for name, part in parts.items():
        maps[name], own = root_map(part, priors)
        stated += own
    aux = {name: name for name in family.numbers if name in priors}
    stated += [(name, priors[name], ()) for name in aux]
    if family.ordinal:
        stated.append((_THRESHOLDS, priors["thresholds"], (len(design.response.categories) - 1,)))
        aux["thresholds"] = _THRESHOLDS
    variables = tuple(_variable(*one) for one in stated)
    ordered, carry = tuple(maps[name] for name in order), _carry(fixed, design)
    return LogPosterior(variables, coordinates, places, ordered, aux, carry, likelihood)


def stated_by_block(
    predictors: Sequence[Any], family: Family, priors: Mapping[str, Any], parts: Mapping[str, GroupPart]
) -> dict[str, list[Stated]]:
    """The model's variables under the name that their prior has in ``priors=``; none that a number holds.

    `predictors` are `LinearPredictor`.
    """
    mean = predictors[0]
    found: dict[str, list[Stated]] = {}
    for p in predictors:
        made = [one for of in structures(p.design) for one in of.stated(priors)]
        for name, *rest in [*made, *_fixed_variables(p.design, p.own(priors), p.fixed)[0]]:
            key = p.named(_OF_ALL.get(name, name.removeprefix("slope_")))
            found.setdefault(key, []).append((p.named(name), *rest))
    for part in parts.values():
        for key, one in stated_of(part, priors):
            found.setdefault(stem(key), []).append(one)
    found |= {name: [(name, priors[name], ())] for name in family.numbers if name in priors}
    found |= {name: [(name, priors[name], ())] for name in mean.design.degrees.values()}
    if family.ordinal:
        found["thresholds"] = [(_THRESHOLDS, priors["thresholds"], (len(mean.design.response.categories) - 1,))]
    free = {block: [s for s in stated if not isinstance(s[1], int | float)] for block, stated in found.items()}
    return {block: stated for block, stated in free.items() if stated}


_OF_ALL = {"Intercept_centred": "Intercept", "directions": "beta", "slopes": "beta"}


def _fixed_variables(
    design: Design, priors: Mapping[str, Any], fixed: FixedPart
) -> tuple[list[Stated], tuple[str, ...], npt.NDArray[np.intp]]:
    """Variables of the fixed part in PyMC's order, those of phi, and the place of each of its coordinates.

    The coordinates are those of `FixedPart.columns`, where columns with priors of their own may lie between others.
    """
    names = [fixed.names[j] for j in fixed.own if fixed.names[j] not in design.structured]
    alone, shared = [n for n in names if n in priors], [n for n in names if n not in priors]
    stated: list[Stated] = [(f"slope_{stem(n)}", priors[n], ()) for n in alone]
    stated += [("slopes", priors["beta"], (len(shared),))] if shared else []
    centre, directions = fixed.constant and design.fixed.constant, fixed.basis.M.shape[1]
    own = [name for name, _, _ in stated]
    stated += [("directions", priors["beta"], (directions,))] if directions else []
    stated += [("Intercept_centred", priors["Intercept"], ())] if centre else []
    coordinates = ["Intercept_centred"] * centre + own + ["directions"] * bool(directions)
    among = [centre + [*alone, *shared].index(n) for n in names]
    places = [*range(centre), *among, *range(centre + len(names), centre + len(names) + directions)]
    return stated, tuple(coordinates), np.array(places, dtype=np.intp)


def _carry(fixed: FixedPart, design: Design) -> Array:
    """beta from phi: (coef, coordinate), the user's own coefficients in the order in which phi has them."""
    k, directions = len(fixed.own), fixed.basis.M.shape[1]
    origin = np.zeros(len(fixed.rest)) if fixed.basis.origin is None else fixed.basis.origin
    centre = origin[:, None] if fixed.constant and design.fixed.constant else np.zeros((len(origin), 0))
    of_own = -fixed.basis.back @ fixed.C - np.outer(origin, fixed.means)
    rest = np.hstack([centre, of_own, fixed.basis.back])
    own = np.hstack([np.zeros((k, centre.shape[1])), np.eye(k), np.zeros((k, directions))])
    return np.vstack([own, rest])[np.argsort([*fixed.own, *fixed.rest])]


def _variable(name: str, prior: Any, shape: tuple[int, ...]) -> Variable:
    if isinstance(prior, int | float):
        return Variable(name, Held(float(prior)), np.zeros(0))
    ordered, size = name == _THRESHOLDS, int(np.prod(shape))
    known = closed(prior) if isinstance(prior, Prior) else None
    if known is None:
        return Variable(name, *written(name, prior, shape, ordered))
    elements, start = known
    if ordered:
        return Variable(name, Ordered(elements), np.append(-1.0, np.full(size - 1, np.log(2.0 / size))))
    return Variable(name, Closed(elements), np.broadcast_to(start, (size,)).astype(np.float64))
