"""Posterior, rows and a policy turned into numbers: the only place that knows memory, blocks and threads.

`evaluate` has the verb, `answer_to`: what passes over the rows of what is `asked` give. Rows go through a block at a
time, draws by `draw_blocks` where they are many or their b is read; `averages` puts together what these give, and
`refused_rows` says what is wrong with one. The rows of a block are laid out by `blocks`, as `chunks`. They go through
`passes`, on `tabled` where they are many, else on `exact` (arrays of draws x rows). `tabled` asks `sources` which
table serves some rows, `layout` for their order and `terms`, `lookups` for the tables, and runs `kernels`, made of
`integrands` and `tiles`. Beside `passes` stand `distribution` for targets of the distribution of y, `tilted` where
one linear predictor is made of the two of a mean, `combined` for sums of averages (probabilities of categories), and
`heavy_tails` for averages over the scales of Student-t effects; `views` are chunks as they see them. `normal` gives
rows as normal variables, for what is no average.
"""

from bayesmargins.evaluate.asked import Asked, Derivative, Pass, Passed, fields_of
from bayesmargins.evaluate.blocks import across_of, distinct_rows
from bayesmargins.evaluate.chunks import Chunk, PartRows, Tiled
from bayesmargins.evaluate.combined import predictor_of
from bayesmargins.evaluate.distribution import DistributionPredictor, part_values
from bayesmargins.evaluate.evaluate import Answer, Evaluation, answer_to
from bayesmargins.evaluate.normal import normal_blocks

__all__ = [
    "Answer",
    "Asked",
    "Chunk",
    "Derivative",
    "DistributionPredictor",
    "Evaluation",
    "PartRows",
    "Pass",
    "Passed",
    "Tiled",
    "across_of",
    "answer_to",
    "distinct_rows",
    "fields_of",
    "normal_blocks",
    "part_values",
    "predictor_of",
]
