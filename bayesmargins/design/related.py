"""Groups that are related as a known matrix says, ``gr(g, cov = A)``: a pedigree, a phylogeny."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesmargins.errors import DataError, close_matches, listed, warn
from bayesmargins.values import numbers

__all__ = ["root_of_relation"]

_UNIT = 0.01  # of the mean diagonal, from which on what a standard deviation is of is said


def root_of_relation(factor: str, name: str, given: Any, levels: tuple[Any, ...]) -> npt.NDArray[np.float64]:
    """L with L L' = A for the fitted groups in their order: (level, level), lower.

    A has the same labels along rows and columns, all groups among them, and is symmetric and positive definite, or it
    is refused. It warns where the diagonal is not 1 on average.
    """
    what = f"namespace={{{name!r}: ...}}, the matrix of gr({factor}, cov = {name}),"
    if not isinstance(given, pd.DataFrame):
        raise DataError(
            f"{what} is {type(given).__name__}; a pandas.DataFrame is needed, whose rows and columns are labelled by "
            f"the groups of {factor!r}: pd.DataFrame(A, labels, labels)."
        )
    rows, columns = [str(v) for v in given.index], [str(v) for v in given.columns]
    twice = next((v for v in rows if rows.count(v) > 1), None) if len(set(rows)) < len(rows) else None
    if sorted(rows) != sorted(columns) or twice is not None:
        said = f"has the label {twice!r} twice" if twice is not None else "has other labels along rows than columns"
        raise DataError(f"{what} {said}; both are the groups of {factor!r}, each once.")
    absent = [level for level in levels if str(level) not in set(rows)]
    if absent:
        raise DataError(
            f"{what} lacks the groups {listed(absent)} of {factor!r}; it has {listed(rows)}."
            f"{close_matches(str(absent[0]), rows)}"
        )
    try:
        values = numbers(given.to_numpy())
    except (TypeError, ValueError):
        raise DataError(f"{what} holds values that are no real numbers.") from None
    A = values[[rows.index(str(v)) for v in levels]][:, [columns.index(str(v)) for v in levels]]
    if not np.isfinite(A).all():
        raise DataError(f"{what} holds {int((~np.isfinite(A)).sum())} values that are NaN or infinite.")
    if not np.allclose(A, A.T, rtol=1e-8, atol=1e-10 * np.abs(A).max(initial=0.0)):
        raise DataError(f"{what} is not symmetric; a covariance is.")
    diagonal = float(np.diag(A).mean())
    try:
        root = np.linalg.cholesky(A)
    except np.linalg.LinAlgError:
        least = float(np.linalg.eigvalsh(A)[0])
        raise DataError(
            f"{what} is not positive definite: its smallest eigenvalue is {least:.3g}. Groups that are the same twice "
            "over (clones, a label under two names) make it so: merge them, or add a small number to the diagonal."
        ) from None
    if abs(diagonal - 1.0) > _UNIT:
        warn(
            f"The diagonal of {name!r} is {diagonal:.3g} on average. A new group is unrelated to the fitted ones and "
            f"counts as one whose entry is 1, so sd_{factor} is that of such a group: divide {name!r} by "
            f"{diagonal:.3g} to have the standard deviation of a typical fitted group."
        )
    return root
