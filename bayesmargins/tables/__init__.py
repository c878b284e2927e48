"""Results as tables: point estimates, intervals, probabilities and diagnostics, summarised over draws last of all."""

from bayesmargins.tables.arguments import check_null
from bayesmargins.tables.describing import describe, scale_of
from bayesmargins.tables.draws import draws_of, to_frame
from bayesmargins.tables.estimates import interval, point_estimate
from bayesmargins.tables.summarising import summary
from bayesmargins.tables.tabling import table

__all__ = [
    "check_null",
    "describe",
    "draws_of",
    "interval",
    "point_estimate",
    "scale_of",
    "summary",
    "table",
    "to_frame",
]
