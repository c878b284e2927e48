"""How well did the sampler explore what a table reports?"""

from __future__ import annotations

import warnings

import numpy as np

__all__ = ["diagnostics"]


def diagnostics(draws: np.ndarray, point: str) -> dict[str, np.ndarray]:
    """Effective sample sizes, r-hat and the Monte Carlo error of the point estimate, for every entry.

    Raises
    ------
    Nothing.
    """
    from arviz_base import rcParams
    from arviz_stats.base import array_stats

    axes = {"chain_axis": 0, "draw_axis": 1}
    tail = float(rcParams["stats.ci_prob"])  # ArviZ's own choice, so that both tables show the same ess_tail
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # entries that do not vary have no r-hat: NaN
        return {
            "ess_bulk": np.atleast_1d(array_stats.ess(draws, method="bulk", **axes)),
            "ess_tail": np.atleast_1d(array_stats.ess(draws, method="tail", prob=tail, **axes)),
            "r_hat": np.atleast_1d(array_stats.rhat(draws, **axes)),
            "mcse": np.atleast_1d(array_stats.mcse(draws, method=point, **axes)),
        }
