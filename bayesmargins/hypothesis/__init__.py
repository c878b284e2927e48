"""Hypotheses: contrasts between the entries of a result, or between results, within each draw.

Downward: `hypotheses` (the question and its provenance) on `named`, `weighted`, `expressions` and `functions` (one file
a kind of specification), which read `entries`; `results` lays several results side by side, as entries of one.
"""

from bayesmargins.hypothesis.hypotheses import hypotheses

__all__ = ["hypotheses"]
