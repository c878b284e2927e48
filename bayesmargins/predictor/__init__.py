"""Posterior, rows and a plan for the groups, turned into numbers: the only place that knows memory, blocks and threads.

Downward: `passes` on `tabled` (many rows) and `exact` (arrays of draws x rows, the exact engine). `tabled` asks
`sources` which table serves some rows, `layout` for their order and `terms`, `lookups` for the tables, and runs
`kernels`, which are made of `integrands` and `tiles`. `distribution` is the neighbour of `passes` for targets of the
distribution of y, `tilted` makes one linear predictor of the two of a mean, `combined` puts several passes together,
for sums of averages (probabilities of categories). `normal` gives rows as normal variables, for what is no average of
a prediction. `chunks` is what all of them read, `named` puts their rows into groups that are named, `strata` beside
those of their own stratum, and `heavy_tails` averages over the scales of Student-t effects.
"""

from bayesmargins.predictor.chunks import Chunk, PartRows, Passed, Second
from bayesmargins.predictor.combined import CombinedPredictor, predictor_of
from bayesmargins.predictor.distribution import DistributionPredictor, part_values
from bayesmargins.predictor.exact import linear_blocks
from bayesmargins.predictor.heavy_tails import ScaledPredictor, scaled
from bayesmargins.predictor.named import in_named_groups
from bayesmargins.predictor.normal import normal_blocks
from bayesmargins.predictor.passes import Predictor, check_size
from bayesmargins.predictor.strata import in_strata
from bayesmargins.predictor.tilted import TiltedPredictor

__all__ = [
    "Chunk",
    "CombinedPredictor",
    "DistributionPredictor",
    "PartRows",
    "Passed",
    "Predictor",
    "ScaledPredictor",
    "Second",
    "TiltedPredictor",
    "check_size",
    "in_named_groups",
    "in_strata",
    "linear_blocks",
    "normal_blocks",
    "part_values",
    "predictor_of",
    "scaled",
]
