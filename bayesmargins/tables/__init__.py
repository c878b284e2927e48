"""Results as tables: point estimates, intervals, probabilities and diagnostics, summarised over draws last of all."""

from bayesmargins.tables.arguments import check_null, in_words
from bayesmargins.tables.describing import describe, on_one_scale, scale_of
from bayesmargins.tables.estimates import interval, point_estimate
from bayesmargins.tables.summarising import summary
from bayesmargins.tables.tabling import table
from bayesmargins.tables.tidy_draws import check_same_rows, draws_of, labels_along, to_frame
from bayesmargins.tables.trees import to_idata

__all__ = [
    "check_null",
    "check_same_rows",
    "describe",
    "draws_of",
    "in_words",
    "interval",
    "labels_along",
    "on_one_scale",
    "point_estimate",
    "scale_of",
    "summary",
    "table",
    "to_frame",
    "to_idata",
]
