"""What a picture draws: of every entry its columns, its point and its intervals, the same numbers as `summary`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import ResultError, shown
from bayesmargins.labelling import names_of, steps_worded, terms_worded, worded
from bayesmargins.plots.fitting_text import literal
from bayesmargins.provenance import Provenance, provenance_of, selected
from bayesmargins.schema import ESTIMATE, SAMPLE_DIMS, check_result
from bayesmargins.tables import draws_of, in_words, interval, labels_along, on_one_scale, point_estimate, scale_of
from bayesmargins.values import value_list

__all__ = ["Cells", "all_columns", "numbers_among", "varying", "words_given"]

RATIOS = ("ratio", "or")  # comparisons whose scale is that of ratios


@dataclass(frozen=True)
class Cells:
    """Entries of a result, one a row."""

    columns: pd.DataFrame  # (entry, column): coordinates of every entry
    varies: tuple[str, ...]  # those columns that tell entries apart, in the order of the result
    numbers: frozenset[str]  # columns with values between their values; all others have levels
    point: np.ndarray  # (entry,): point estimates
    # lower and upper limits of the intervals, the widest interval first
    limits: tuple[tuple[np.ndarray, np.ndarray], ...]
    draws: np.ndarray  # (sample, entry): what both come from
    about: Provenance  # of the result
    scale: str  # what the numbers are
    said: str  # point and intervals in words
    left_out: tuple[str, ...] = ()  # entries that stand on another scale
    names: Mapping[str, str] = field(default_factory=dict)  # words for columns
    # what was selected from the result before: values that all entries share
    selected: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        ds: xr.Dataset,
        point: str = "median",
        ci_prob: float | Sequence[float] | None = None,
        ci_kind: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Cells:
        """The entries of a result that stand on its main scale."""
        ds, others = on_one_scale(check_result(ds))
        draws, _ = draws_of(ds)
        flat = draws.reshape(-1, draws.shape[-1])
        finite = np.where(np.isfinite(flat), flat, np.nan)
        probs = _probabilities(ci_prob)
        names, about = _names(ds, labels), provenance_of(ds)
        columns = _with_terms(all_columns(ds), names)
        return cls(
            columns=columns,
            varies=tuple(varying(ds)),
            numbers=numbers_among(ds, columns),
            point=np.atleast_1d(point_estimate(ds, point).to_numpy().astype(np.float64).ravel()),
            limits=tuple(interval(finite, prob, ci_kind) for prob in probs),
            draws=flat,
            about=about,
            scale=scale_of(ds),
            said=f"{_pooled(about)}{'prior ' if about.draws == 'prior' else ''}{_said(point, probs, ci_kind)}",
            selected=selected(ds),
            left_out=tuple(map(str, others)),
            names=names,
        )

    def __len__(self) -> int:
        return len(self.point)

    @property
    def is_ratio(self) -> bool:
        """Whether 1 is no effect, and twice is as far from it as half."""
        return self.about.comparison in RATIOS and "log" not in self.scale.split()[:1]

    @property
    def null(self) -> float | None:
        """No effect: 1 for ratios, 0 for differences, slopes and logarithms; predictions have none."""
        kind = self.about.of or self.about.kind
        named = kind == "hypotheses" and self.about.comparison is not None
        if not named and kind not in ("comparisons", "slopes", "coefficients", "attenuation", "heterogeneity"):
            return None
        return 1.0 if self.is_ratio else 0.0

    def name(self, column: str) -> str:
        """How a column is called in a picture."""
        return literal(worded(column, self.names))

    @property
    def pooled(self) -> str:
        """Words for the caption, where draws are those of several imputations."""
        return _pooled(self.about)

    @property
    def worded_scale(self) -> str:
        """The scale; of a response that has a label, of what."""
        response = (self.about.formula or "").partition("~")[0].partition("|")[0].strip()
        return f"{self.scale} of {literal(self.names[response])}" if response in self.names else self.scale

    def take(self, which: np.ndarray) -> Cells:
        """Some entries, in the order of `which`."""
        return replace(
            self,
            columns=self.columns.iloc[which].reset_index(drop=True),
            point=self.point[which],
            limits=tuple((lower[which], upper[which]) for lower, upper in self.limits),
            draws=self.draws[:, which],
        )

    def where(self, column: str, value: Any) -> Cells:
        """The entries with this value of a column."""
        return self.take(np.flatnonzero((self.columns[column] == value).to_numpy()))

    def levels(self, column: str) -> list[Any]:
        """Values of a column: numbers in increasing order, levels in the order of the result."""
        values = list(dict.fromkeys(self.columns[column]))
        return sorted(values) if column in self.numbers else values


def all_columns(ds: xr.Dataset) -> pd.DataFrame:
    """Coordinates of every entry, in the order of the entries: (entry, column)."""
    dims = _dims(ds)
    sizes = [ds.sizes[d] for d in dims]
    places = np.unravel_index(np.arange(int(np.prod(sizes))), sizes) if dims else ()
    columns: dict[str, Any] = {}
    for dim, place in zip(dims, places, strict=True):
        columns |= {name: values[place] for name, values in _along(ds, dim).items()}
    return pd.DataFrame(columns, index=pd.RangeIndex(int(np.prod(sizes))))


def varying(ds: xr.Dataset) -> list[str]:
    """Columns that tell entries apart; of those with one value none, unless no column has more."""
    dims = _dims(ds)
    names: list[str] = []
    for dim in dims:
        joint = isinstance(ds.indexes.get(dim), pd.MultiIndex)
        told = [n for n in labels_along(ds, dim) if n != "term" or dim != "contrast"]
        names += [n for n in _along(ds, dim) if n != dim] if joint else told
    columns = all_columns(ds)
    several = [n for n in names if columns[n].nunique(dropna=False) > 1]
    return several or names[:1]


def _with_terms(columns: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Contrasts in the reader's words; those of several variables say of which they are."""
    if "contrast" not in columns or "term" not in columns:
        return columns
    several, said = columns["term"].nunique() > 1, []
    for term, contrast in zip(columns["term"], columns["contrast"], strict=True):
        told = steps_worded(contrast, term, names)
        said.append(f"{terms_worded(term, names)}: {told}" if several and term not in contrast else told)
    return columns.assign(contrast=said)


def _dims(ds: xr.Dataset) -> list[str]:
    return [str(d) for d in ds[ESTIMATE].dims if d not in SAMPLE_DIMS]


def _along(ds: xr.Dataset, dim: str) -> dict[str, np.ndarray]:
    """Coordinates along a dimension, its own first."""
    own = ds[dim].to_numpy() if dim in ds.coords else np.arange(ds.sizes[dim])
    others = {str(n): c.to_numpy() for n, c in ds.coords.items() if c.dims == (dim,) and n != dim}
    return others if isinstance(ds.indexes.get(dim), pd.MultiIndex) else {dim: own, **others}


def numbers_among(ds: xr.Dataset, columns: pd.DataFrame) -> frozenset[str]:
    """Columns of numbers, but for those that are factors in the formula, group or count entries."""
    about = provenance_of(ds)
    levels = {*(about.factors or []), "row", "by", "category"}
    for factor in about.groups or {}:
        levels |= {factor, *str(factor).replace("/", ":").split(":")}
    kinds = pd.api.types
    return frozenset(
        n
        for n, values in columns.items()
        if n not in levels and kinds.is_numeric_dtype(values.dtype) and not kinds.is_bool_dtype(values.dtype)
    )


def _pooled(about: Provenance) -> str:
    return f"pooled draws of {about.imputations} imputations: " if about.imputations else ""


def _probabilities(ci_prob: Any) -> list[float | None]:
    """The widest first."""
    given = value_list(ci_prob)
    if given is None:
        return [ci_prob]
    if not given or any(prob is None for prob in given):
        raise ResultError(f"ci_prob={shown(ci_prob)}; name at least one probability, such as 0.95 or [0.5, 0.89].")
    for prob in given:
        in_words("median", prob, None)  # refuses what is no probability
    return sorted(set(given), reverse=True)


def _said(point: str, probs: Sequence[float | None], kind: str | None) -> str:
    """``median, 50% and 89% equal-tailed intervals``."""
    if len(probs) == 1:
        return in_words(point, probs[0], kind)
    *narrow, widest = sorted(p for p in probs if p is not None)
    listed = ", ".join(f"{100 * p:g}%" for p in narrow)
    return f"{point}, {listed} and {in_words(point, widest, kind).partition(' and ')[2]}s"


def words_given(labels: Mapping[str, str] | None) -> dict[str, str]:
    """Words of the call for columns."""
    if labels is not None and not (isinstance(labels, Mapping) and all(isinstance(v, str) for v in labels.values())):
        raise ResultError(
            f"labels={shown(labels)}; it must be a dict of column to text, such as {{'trt': 'treatment'}}."
        )
    return dict(labels or {})


def _names(ds: xr.Dataset, labels: Mapping[str, str] | None) -> dict[str, str]:
    """Words for columns: those of the data, then those of the call."""
    return {**names_of(ds), **words_given(labels)}
