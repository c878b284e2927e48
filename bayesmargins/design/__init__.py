"""Formula and data to a frozen design; new data to rows of X, z, codes and offset.

Downward: `template` (a design without rows), `references` (levels) and `second` on `derivative` (of its rows) on
`frozen` (the design), which `building` makes, on `coding` (numbers that a formula makes factors), `grouping` (factors)
and `stored` (what a file's formula may hold) on `freezing` (kinds, levels and states at the fit) on `columns` (of the
data and of the design, which read other rows as those of the fit) on `formula_reading` (columns and functions that a
formula names), `formula` (the lme4 syntax) and `calls` (which functions it may call). `orthonormal` (directions of
columns) and `tables_in` (any library's frame) know none.
"""

from bayesmargins.design.building import build_design, build_part
from bayesmargins.design.columns import Column, held_type, missing_rows, require_columns
from bayesmargins.design.derivative import derivative_rows
from bayesmargins.design.formula import Block, Parts, expression, parse
from bayesmargins.design.formula_reading import required_columns
from bayesmargins.design.freezing import freeze_column
from bayesmargins.design.frozen import Design, Response, Rows
from bayesmargins.design.group_means import with_means
from bayesmargins.design.grouping import Factor, combinations
from bayesmargins.design.members import Members
from bayesmargins.design.monotonic import Monotonic
from bayesmargins.design.orthonormal import Basis, orthonormal_basis
from bayesmargins.design.references import reference_levels
from bayesmargins.design.response_categories import designs_by_category
from bayesmargins.design.second import second_derivative_rows
from bayesmargins.design.smooth import Penalised
from bayesmargins.design.stored import check_signs
from bayesmargins.design.tables_in import to_pandas
from bayesmargins.design.template import design_from, template_design
from bayesmargins.design.together import MixtureStrata, mixture_strata

__all__ = [
    "Basis",
    "Block",
    "Column",
    "Design",
    "Factor",
    "Members",
    "MixtureStrata",
    "Monotonic",
    "Parts",
    "Penalised",
    "Response",
    "Rows",
    "build_design",
    "build_part",
    "check_signs",
    "combinations",
    "derivative_rows",
    "design_from",
    "designs_by_category",
    "expression",
    "freeze_column",
    "held_type",
    "missing_rows",
    "mixture_strata",
    "orthonormal_basis",
    "parse",
    "reference_levels",
    "require_columns",
    "required_columns",
    "second_derivative_rows",
    "template_design",
    "to_pandas",
    "with_means",
]
