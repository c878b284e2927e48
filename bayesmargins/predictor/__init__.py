"""Posterior, rows and a plan for the groups, turned into numbers: the only place that knows memory, blocks and threads.

Downward: `passes` on `tabled` (many rows: compiled passes, tables) and `exact` (arrays of draws x rows, the exact
engine); `terms` lays rows and draws out for `kernels`; `chunks` is what all of them read.
"""

from bayesmargins.predictor.chunks import Chunk, Passed
from bayesmargins.predictor.passes import Predictor, check_size
from bayesmargins.predictor.progress import Progress

__all__ = ["Chunk", "Passed", "Predictor", "Progress", "check_size"]
