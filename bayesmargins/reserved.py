"""Names that a model and its posterior use for their own variables: no response and no grouping factor has them."""

from __future__ import annotations

__all__ = ["PARAMETERS", "VARIABLES"]

VARIABLES = frozenset({"beta", "slopes", "coef", "obs", "threshold"})

PARAMETERS: set[str] = set()
"""Parameters of families beside the mean; `family.families` names them, for a family is one file there."""
