"""Draws of beta, b, Sigma and the family's parameters: as labelled arrays, and as the plain ones that numerics read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise, permutations
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.design import Design, Factor
from bayesmargins.errors import PosteriorError, listed, shown
from bayesmargins.family.family import Family, Parameter
from bayesmargins.limits import options
from bayesmargins.schema import SAMPLE_DIMS, factor_dim, stem
from bayesmargins.values import array_of, chunked, plain

__all__ = [
    "Draws",
    "Effects",
    "canonical",
    "check_covariance",
    "check_draws",
    "check_shape",
    "degrees_of_freedom",
    "flat",
    "in_memory",
    "in_the_order_of",
    "parameter_of",
    "real_numbers",
    "refuse_impossible",
    "refuse_large",
    "refuse_not_finite",
    "settled",
    "smooth_sds",
    "threshold_coords",
]

_REAL = (int, float, np.integer, np.floating, Decimal, Fraction)
_LABELS = 12  # that a message lists; of more it names the first ones


@dataclass(frozen=True)
class Draws:
    """The same draws as plain arrays, chains one after the other: what the numerics read."""

    beta: np.ndarray  # (sample, coef)
    b: Mapping[str, np.ndarray]  # (sample, level, term)
    Sigma: dict[str, np.ndarray]  # (sample, term, term)
    aux: dict[str, np.ndarray]  # (sample,)


class Effects(Mapping[str, np.ndarray]):
    """b by factor as plain arrays (sample, level, term), each made when it is first needed."""

    def __init__(self, b: Mapping[str, xr.DataArray]) -> None:
        self._b = b
        self._flat = dict[str, np.ndarray]()

    def __getitem__(self, factor: str) -> np.ndarray:
        if factor not in self._flat:
            values = self._b[factor]
            if chunked(values):
                refuse_large(values, factor)
                values = in_memory(values, factor)
            self._flat[factor] = flat(values)
        return self._flat[factor]

    def __iter__(self) -> Iterator[str]:
        return iter(self._b)

    def __len__(self) -> int:
        return len(self._b)


def refuse_large(values: xr.DataArray, factor: str) -> None:
    """Refuse to take b of all draws out of dask's chunks where it would be more than a session may use."""
    if values.nbytes > options.bytes:
        raise PosteriorError(
            f"b of {factor!r} is in chunks of dask, {values.nbytes / 2**30:.2g} GiB, and this question needs all of it "
            f"at once; bayesmargins.options.memory allows {options.memory}. Predictions, comparisons, slopes and their "
            "averages read some draws at a time. Or make the posterior of fewer draws, idata.sel(draw=slice(...)), or "
            "raise the limit (bayesmargins.options.memory = '8GiB')."
        )


def in_memory(b: xr.DataArray, factor: str) -> xr.DataArray:
    """b of a factor out of dask's chunks; PosteriorError where values are not finite, which shows here first."""
    if not chunked(b):
        return b
    b = b.compute()
    refuse_not_finite(b.to_numpy(), factor)
    return b


def refuse_not_finite(b: np.ndarray, factor: str) -> None:
    """Refuse draws of b that are none."""
    if bad := int((~np.isfinite(b)).sum()):
        raise PosteriorError(
            f"b of {factor!r} holds {bad} values that are NaN or infinite among the draws that were read. Chains of "
            "different lengths are filled up with NaN: cut all to the shortest, idata.sel(draw=slice(...))."
        )


def real_numbers(values: Any, what: str) -> np.ndarray:
    """Draws as float64; complex numbers, masked ones, dates, text and truth values are none.

    Chunks of dask stay chunks.
    """
    if chunked(values) and values.dtype.kind in "iuf":
        return values.astype(np.float64)  # type: ignore[no-any-return]
    parts = values if isinstance(values, list | tuple) else (values,)
    hidden = sum(int(np.ma.getmaskarray(part).sum()) for part in parts if np.ma.isMaskedArray(part))
    if hidden:
        raise PosteriorError(
            f"{what} has {hidden} masked values, which nobody can read a number from. Leave these draws out of all "
            "arrays, or give the values: array.data."
        )
    array = array_of(what, values, PosteriorError)
    if array.dtype.kind in "iuf":
        return array.astype(np.float64)
    odd = [v for v in array.ravel().tolist() if not isinstance(v, _REAL) or isinstance(v, bool)]
    if array.dtype.kind != "O" or odd:
        of = f"such as {shown(odd[0])}" if odd else f"none of {array.dtype}"
        raise PosteriorError(
            f"{what} is an array of {array.dtype} with values that are no real numbers, {of}; an array (chain, draw, "
            "...) of real numbers is needed."
        )
    return _as_float(array, what)


def _as_float(array: np.ndarray, what: str) -> np.ndarray:
    try:
        return array.astype(np.float64)
    except OverflowError:
        raise PosteriorError(f"{what} holds integers that are larger than any float.") from None
    except ValueError:  # a Decimal that signals
        raise PosteriorError(f"{what} holds values that no float stands for, such as Decimal('sNaN').") from None


def in_the_order_of(values: xr.DataArray, like: xr.DataArray | xr.Dataset, what: str, of: str) -> xr.DataArray:
    """Draws of one array beside those of another: by the labels of chain and draw where both have them."""
    for dim in SAMPLE_DIMS:
        if dim not in values.indexes or dim not in like.indexes:
            continue
        have, need = values.indexes[dim], like.indexes[dim]
        if have.equals(need):
            continue
        if not (have.is_unique and need.is_unique and len(have) == len(need) and need.isin(have).all()):
            raise PosteriorError(
                f"{what} is labelled {listed(have.tolist())} along {dim!r}, and {of} {listed(need.tolist())}: which "
                f"belong together cannot be told. Give the same draws of both; .drop_vars({dim!r}) pairs by position."
            )
        values = values.isel({dim: have.get_indexer(need)})
    return values


def flat(values: xr.DataArray) -> np.ndarray:
    """Values (chain, draw, ...) as C-contiguous float64 (sample, ...), chains one after the other."""
    array = np.ascontiguousarray(values.to_numpy(), dtype=np.float64)
    return array.reshape((array.shape[0] * array.shape[1], *array.shape[2:]))  # -1 cannot stand for no columns


def canonical(
    design: Design,
    beta: np.ndarray,
    b: Mapping[str, np.ndarray],
    Sigma: Mapping[str, np.ndarray],
    aux: Mapping[str, np.ndarray],
    sample_coords: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Arrays (chain, draw, ...) with their dimensions named: the draws that a `Posterior` of this design holds.

    beta is (chain, draw, coef); b by factor (chain, draw, level, term); Sigma (chain, draw, term, term); aux (chain,
    draw) or (chain, draw, threshold).
    """
    base = dict(sample_coords)

    def named(values: np.ndarray, coords: Mapping[str, Any]) -> xr.DataArray:
        return xr.DataArray(values, dims=(*SAMPLE_DIMS, *coords), coords={**base, **coords})

    terms = {f: plain(factor.terms) for f, factor in design.factors.items()}
    return {
        "beta": named(beta, {"coef": plain(design.coef)}),
        "b": {
            f: named(
                settled(v, design.factors[f]),
                {factor_dim(f): plain(design.factors[f].levels), f"{stem(f)}_term": terms[f]},
            )
            for f, v in b.items()
        },
        "Sigma": {f: named(v, {f"{stem(f)}_term": terms[f], f"{stem(f)}_term2": terms[f]}) for f, v in Sigma.items()},
        "aux": {k: named(v, threshold_coords(design, *v.shape[2:])) for k, v in aux.items()},
    }


def parameter_of(name: str, design: Design, family: Family) -> Parameter:
    """A parameter of the family, or the degrees of freedom of a factor with Student-t effects."""
    return degrees_of_freedom(name) if name in design.degrees.values() else family.parameter(name)


def degrees_of_freedom(name: str) -> Parameter:
    """Those of Student-t effects: positive, with brms's prior."""
    return Parameter(
        name,
        # Juarez & Steel (2010), with brms's lower bound: below it effects have no mean.
        prior=lambda _: ("Truncated", {"dist": ("Gamma", {"alpha": 2.0, "beta": 0.1}), "lower": 1.0}),
    )


def settled(b: np.ndarray, factor: Factor) -> np.ndarray:
    """b (..., level, term) as a posterior holds it: of groups in strata that of their own, whatever a row says."""
    return b if factor.strata is None else factor.strata.copied(np.asarray(b))


def smooth_sds(values: Mapping[str, np.ndarray], samples: Mapping[str, Any]) -> dict[str, xr.DataArray]:
    """Standard deviations (chain, draw) of the bent parts of smooths, as a `Posterior` holds them."""
    coords = {d: np.asarray(samples[d]) for d in SAMPLE_DIMS}
    return {name: xr.DataArray(sd, coords, SAMPLE_DIMS) for name, sd in values.items()}


def threshold_coords(design: Design, n: int = 0) -> dict[str, np.ndarray]:
    """The dimension of n thresholds, each called by the two categories that it lies between; none where n is 0."""
    if n < 1:
        return {}
    categories = design.response.categories or tuple(range(1, n + 2))
    return {"threshold": plain([f"{a}|{b}" for a, b in pairwise(categories)])}


def check_draws(design: Design, draws: Draws, family: Family, of: str = "") -> None:
    """Refuse what cannot be draws of this design: of its shape, finite, Sigma a covariance, parameters possible."""
    before, n = f"{of} " if of else "", len(draws.beta)
    expected: dict[str, tuple[np.ndarray, tuple[int, ...]]] = {f"{before}beta": (draws.beta, (n, len(design.coef)))}
    for name, factor in design.factors.items():
        q = len(factor.terms)
        expected[f"{before}Sigma of {name!r}"] = (draws.Sigma[name], (n, q, q))
        if name in draws.b:
            expected[f"{before}b of {name!r}"] = (draws.b[name], (n, len(factor.levels), q))
    K = len(design.response.categories)
    for name, values in draws.aux.items():
        expected[name] = values, (n,) if values.ndim == 1 else (n, K - 1 if K else values.shape[1])
    for what, (values, shape) in expected.items():
        bad = int((~np.isfinite(values)).sum())
        if values.shape != shape or bad:
            said = f"{bad} values that are NaN or infinite" if bad else f"the shape {values.shape} in place of {shape}"
            raise PosteriorError(f"The draws of {what} have {said}: they are no draws of {design.formula!r}.")
    for name, values in draws.Sigma.items():
        check_covariance(values, f"{before}Sigma of {name!r}")
    for name, values in draws.aux.items():
        refuse_impossible(values, f"The draws of {name} hold", parameter_of(name, design, family))


def refuse_impossible(values: np.ndarray, holds: str, parameter: Parameter) -> None:
    """Numbers (sample,) that the parameter cannot have, and thresholds (..., threshold) that do not rise."""
    if values.ndim == 1 and (bad := int((~parameter.has(values)).sum())):
        raise PosteriorError(f"{holds} {bad} values that are not {parameter.allowed}.")
    if parameter.rising and (falling := int((np.diff(values, axis=-1) <= 0).any(axis=-1).sum())):
        raise PosteriorError(
            f"{holds} {falling} draws whose thresholds do not rise: each is above the one before. Order them as the "
            "categories are."
        )


def check_covariance(Sigma: np.ndarray, what: str) -> None:
    """Refuse finite matrices (..., term, term) that are not symmetric, or have an eigenvalue below 0."""
    if not np.allclose(Sigma, np.swapaxes(Sigma, -1, -2), rtol=1e-8, atol=1e-12):
        raise PosteriorError(f"{what} is not symmetric; give the covariance matrix, not a Cholesky factor.")
    smallest = np.linalg.eigvalsh(Sigma)[..., 0] if Sigma.size else np.zeros(1)
    if (smallest < -1e-8 * np.abs(Sigma).max(axis=(-2, -1), initial=0.0)).any():
        raise PosteriorError(
            f"{what} is no covariance in {int((smallest < 0).sum())} draws: its smallest eigenvalue is "
            f"{smallest.min():.4g}, and a covariance has none below 0. Check the correlations, and which of sd, "
            "variance and Cholesky factor was given."
        )


def check_shape(
    name: str, array: np.ndarray, sample: tuple[int, ...], rest: tuple[int, ...], labels: tuple[Any, ...]
) -> None:
    """Refuse draws that have not the shape (chain, draw, *rest); `labels` say what stands along the third axis."""
    if array.ndim != 2 + len(rest):
        sds = "Sigma" in name and array.shape == sample
        hint = (
            " These look like standard deviations; Sigma holds covariances: sd[..., None, None]**2."
            if sds
            else " A single chain still has the dimension chain: values[None]."
        )
        raise PosteriorError(
            f"{name} has the shape {array.shape}; {2 + len(rest)} dimensions are needed, chain and draw first.{hint}"
        )
    if array.shape != (*sample, *rest):
        meaning = f" ({listed(labels, _LABELS if len(labels) <= _LABELS else 2)})" if labels else ""
        raise PosteriorError(
            f"{name} has the shape {array.shape}; (chain, draw{', ...' if rest else ''}) = {(*sample, *rest)} is needed"
            f"{meaning}.{_in_order(array.shape, (*sample, *rest))}"
        )


def _in_order(shape: tuple[int, ...], needed: tuple[int, ...]) -> str:
    """How the axes of an array are put in the order that is needed; empty where no order fits."""
    for axes in permutations(range(len(shape))):
        if tuple(shape[k] for k in axes) == needed:
            return f" Its axes fit in another order: array.transpose{axes}."
    return ""
