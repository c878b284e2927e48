"""``between(x, g)`` and ``within(x, g)``: the mean of a group's rows at the fit, and how far a row lies from it.

The mean is a column of the rows, called ``between(x, g)``: a counterfactual x leaves it where it is, and rows of groups
that the fit does not know can bring it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design.columns import require_columns
from bayesmargins.design.freezing import freeze_column
from bayesmargins.design.mean_calls import Named
from bayesmargins.errors import DataError, close_matches, listed
from bayesmargins.values import with_columns

__all__ = ["GroupMean", "freeze_means", "with_means"]


@dataclass(frozen=True)
class GroupMean:
    """The means of a variable in the groups of the fit."""

    of: Named
    means: Mapping[Any, float] = field(repr=False)

    def checked(self, fitted: pd.DataFrame) -> np.ndarray:
        """`values` of the fitted rows; DataError where a column of theirs has that name and other values."""
        found = self.values(fitted, "data")
        name = self.of.name
        if name in fitted and not np.allclose(pd.to_numeric(fitted[name], errors="coerce"), found, equal_nan=True):
            raise DataError(
                f"data has a column {name!r}, and the formula names the mean of {self.of.variable!r} in each group of "
                f"these rows, which is something else. Rename the column, or write it as `{name}` without the call."
            )
        return found

    def values(self, frame: pd.DataFrame, what: str) -> np.ndarray:
        """The mean of each row's group, NaN where no group is named: (row,). DataError at a group without rows."""
        of = self.of
        require_columns(frame, of.groups, what, self._why(what))
        keys = _keys(frame, of.groups)
        found = np.array([np.nan if key is None else self.means.get(key, np.inf) for key in keys], dtype=np.float64)
        unknown = [key for key in keys if key is not None and key not in self.means]
        if unknown:
            by, new = of.groups[0] if len(of.groups) == 1 else list(of.groups), _labels(unknown)
            raise DataError(
                f"{of.name} is the mean of {of.variable!r} in each group of the fit, and {listed(new)} of "
                f"{':'.join(of.groups)!r} had no rows there.{close_matches(new[0], _labels(self.means))} Give the "
                f"means of these groups as a column of {what}: newdata[{of.name!r}] = newdata.groupby({by!r})"
                f"[{of.variable!r}].transform('mean'), or the numbers themselves."
            )
        return found

    def _why(self, what: str) -> str:
        return f"{self.of.name}, which {what} may have as a column of that name,"


def freeze_means(means: Iterable[Named], frame: pd.DataFrame) -> tuple[GroupMean, ...]:
    """The means of each group's rows; `frame` has no missing values.

    DataError where what is averaged is no number.
    """
    return tuple(_frozen(m, frame) for m in means)


def _frozen(mean: Named, frame: pd.DataFrame) -> GroupMean:
    if freeze_column(frame[mean.variable], mean.variable).kind == "factor":
        raise DataError(
            f"{mean.name} averages {mean.variable!r}, which holds no numbers. Make a column of 0 and 1 for each level "
            "beforehand: its mean is the level's share in the group."
        )
    x = frame[mean.variable].to_numpy(dtype=np.float64)
    codes, labels = pd.factorize(pd.Series(_keys(frame, mean.groups), dtype=object))
    first = x[np.unique(codes, return_index=True)[1]]
    # less the first value, so that a group that does not vary has that value to the last digit
    total = np.bincount(codes, x - first[codes], minlength=len(labels))
    found = first + total / np.bincount(codes, minlength=len(labels))
    return GroupMean(mean, dict(zip(labels, map(float, found), strict=True)))


def with_means(frame: pd.DataFrame, means: Iterable[GroupMean], what: str) -> pd.DataFrame:
    """The rows with the column of each mean; what a row already has there stays.

    DataError for rows of a group that the fit does not know, and that do not say its mean.
    """
    columns: dict[str, Any] = {}
    for mean in means:
        name = mean.of.name
        if name not in frame:
            columns[name] = mean.values(frame, what)
        elif all(g in frame for g in mean.of.groups) and (empty := frame[name].isna().to_numpy()).any():
            filled = frame[name].to_numpy(dtype=np.float64, na_value=np.nan).copy()
            filled[empty] = mean.values(frame[empty], what)
            columns[name] = filled
    return with_columns(frame, columns) if columns else frame


def _keys(frame: pd.DataFrame, groups: tuple[str, ...]) -> list[tuple[Any, ...] | None]:
    """The labels that name each row's group; None where one is missing."""
    labels = [frame[g].astype(object).to_numpy() for g in groups]
    missing = frame[list(groups)].isna().any(axis=1).to_numpy()
    return [None if gone else key for gone, key in zip(missing, zip(*labels, strict=True), strict=True)]


def _labels(keys: Iterable[tuple[Any, ...]]) -> list[str]:
    return list(dict.fromkeys(":".join(map(str, key)) for key in keys))
