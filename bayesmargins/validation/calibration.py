"""Is the average of each group where the posterior without the group expects a new group's?"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import xarray as xr

from bayesmargins.design import Factor
from bayesmargins.estimands import posterior_predictive, predictions
from bayesmargins.family import Outcome
from bayesmargins.posterior import Posterior
from bayesmargins.schema import ESTIMATE, SAMPLE_DIMS

__all__ = ["calibration", "not_calibrated"]


def not_calibrated(post: Posterior) -> str:
    """Why observed means say nothing here; empty where they do."""
    o = Outcome.of(post.design.response)
    if o.partial:
        return "some responses are known in part"
    return "" if post.family.simulate is not None else f"family {post.family.name!r} draws no responses"


def calibration(
    post: Posterior, factor: Factor, unseen: Collection[str], weights: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """By group ``observed``, ``predicted`` and ``pit``, from weights (sample, group) that add up to 1.

    Groups of the factors in `unseen` are new ones; the others keep their b. Of several trials a row, each trial counts
    alike; of an ordered response the mean is that of its categories, or of their numbers from 1.
    """
    response = post.design.response
    trials = response.n
    counts = np.ones(len(response.y)) if trials is None else trials
    size = np.bincount(factor.codes, counts, len(factor.levels))

    def means(values: np.ndarray) -> np.ndarray:
        """(sample, row) sums over trials -> (sample, group)."""
        out = np.stack([np.bincount(factor.codes, row, len(factor.levels)) for row in values])
        with np.errstate(invalid="ignore"):
            return np.asarray(out / size)

    def policy(word: str) -> dict[str, str]:
        return {name: word if name in unseen else "own" for name in post.design.factors}

    frame = post.design.data  # given as new rows: draws of the fitted ones would join the posterior's idata
    drawn = means(_flat(posterior_predictive(post, frame, groups=policy("sample"), random_seed=seed)))
    observed = means(post.as_observed(response.y)[None])[0]
    expected = drawn if post.family.ordinal else means(_flat(predictions(post, frame, groups=policy("new"))) * counts)
    slack = 1e-9 * np.maximum(np.abs(observed), 1.0)
    # of equal means a part drawn at random: halves would not spread evenly where means take few values
    part = np.random.default_rng(seed).uniform(size=len(size))
    below = np.where(drawn < observed - slack, 1.0, np.where(drawn <= observed + slack, part, 0.0))
    return {
        "observed": observed,
        "predicted": (weights * expected).sum(axis=0),
        "pit": (weights * below).sum(axis=0),
    }


def _flat(ds: xr.Dataset) -> np.ndarray:
    values: np.ndarray = ds[ESTIMATE].transpose(*SAMPLE_DIMS, "row").to_numpy()
    return values.reshape(-1, values.shape[-1])
