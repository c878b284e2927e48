"""What `logo` gives: ArviZ's own class of expected log densities, which says in sentences what it found.

This module imports ArviZ, whose class it extends: import it where it is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.displays import folded
from bayesmargins.stacks import elpd_class, make_elpd
from bayesmargins.validation.importance import LeftOut, standard_error

__all__ = ["Logo", "make_logo"]

_ELPD: Any = elpd_class()
_OLDER = {"elpd": "elpd_loo", "p": "p_loo", "elpd_i": "loo_i"}


class Logo(_ELPD):  # type: ignore[misc]
    """The expected log density of groups that the fit has not seen, from `bayesmargins.logo`.

    ``az.compare({"a": logo_a, "b": logo_b})`` and ``az.plot_khat`` take it: to ArviZ each group is a data point.

    Attributes
    ----------
    elpd, se, p : float
        Sum over groups, its standard error, effective number of parameters.
    groups : DataFrame
        A row a group: ``rows``, ``elpd``, ``p``, ``khat``, ``refitted``, and of `calibration` the ``observed`` mean,
        the one ``predicted`` without the group, and its ``pit``.
    sentences : str
        What is printed.
    """

    @property
    def groups(self) -> pd.DataFrame:
        """A row a group."""
        return self["by_group"]

    @property
    def sentences(self) -> str:
        """What is printed."""
        return str(self["said"])

    def __getattr__(self, name: str) -> Any:
        """On ArviZ 0.23 too, numbers have the names that 1.x gives them."""
        older = _OLDER.get(name)
        return super().__getattr__(name) if older is None else self[older]

    def __str__(self) -> str:
        return folded(self.sentences)

    __repr__ = __str__


def make_logo(left: LeftOut, dim: str, groups: pd.DataFrame, samples: int, said: str) -> Logo:
    """From the table by group, whose elpd may be those of refits, and what is said of all."""

    def along(values: np.ndarray) -> xr.DataArray:
        return xr.DataArray(values, {dim: groups.index.to_numpy()}, (dim,))

    elpd, khat, n = groups["elpd"].to_numpy(), groups["khat"].to_numpy(), len(groups)
    doubtful = (khat > left.good) & ~groups["refitted"].to_numpy()
    known = {
        "elpd": float(elpd.sum()),
        "se": standard_error(elpd),
        "p": float(groups["p"].sum()),
        "n_samples": samples,
        "n_data_points": n,
        "warning": bool(doubtful.any()),
        "elpd_i": along(elpd),
        "pareto_k": along(khat),
        "scale": "log",
        "good_k": left.good,
    }
    made: Logo = make_elpd(Logo, known, {"by_group": groups, "said": said})
    return made
