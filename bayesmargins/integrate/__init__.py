"""Averages over groups, with a bound on their error: new groups are integrated out, existing groups are summed.

Downward: `link_scale` (the population mean as a linear predictor), `between_groups` (how the mean varies between
groups), `cubes` (the average of its cube) and `spread` (how an effect does) on `fitted_groups` (existing groups) and
`log_tails` (tails too small for a sum on fixed nodes, as logarithms) on `engine` (new groups) on `rules` (nodes and
bounds); `bundles` is the engine of several functions of one eta at once, with `lattice_kernels`, and `bundle_tables`
its tables for many rows; `fitted_group_kernels` on `kernels` is the compiled code of both, imported where it is first
needed because numba takes a second, compiled by `compiled` on `compiler`, and run by `limits.in_threads`. `softmax`
(probabilities that several linear predictors move) on `softmax_kernels` (nodes) and `race_kernels` (where effects are
independent, in one dimension). `tabulated` holds the same averages in tables, for many rows.

For fits, likelihoods with group effects integrated out, and draws of these effects: `normal_groups` (a normal response,
in closed form) on `normal_group_kernels` on `envelope_kernels` (the matrix of crossed and nested effects) on
`effect_pattern` (where it has entries), with `small_kernels`; `group_quadrature` (other families, one effect a group)
on `group_quadrature_kernels` (a whole likelihood) on `group_nodes` (where nodes lie) on `group_row_sums` (sums over
rows) on `group_rows` (what rows are), with `group_model` (all of it in two arrays), `pointers` (in place of arrays,
which compile slowly) and `vector_math` for functions that processors take several at once. `normal_entry` and
`group_entry` are the `entry` of either, a name that compiled models call; `by_name` is the same for loops that other
compiled code calls.
"""

from bayesmargins.integrate.between_groups import between
from bayesmargins.integrate.bundle_tables import BundleTable, bundle_table
from bayesmargins.integrate.bundles import BundleAverages
from bayesmargins.integrate.cubes import cubed
from bayesmargins.integrate.engine import Integral, averaged, expectation
from bayesmargins.integrate.fitted_groups import mixture_expectation
from bayesmargins.integrate.link_scale import linked_mean
from bayesmargins.integrate.log_tails import log_expectation
from bayesmargins.integrate.rules import Rule, apply_rule, rule_for, rule_with_step, trusted

__all__ = [
    "BundleAverages",
    "BundleTable",
    "Integral",
    "Rule",
    "apply_rule",
    "averaged",
    "between",
    "bundle_table",
    "cubed",
    "expectation",
    "linked_mean",
    "log_expectation",
    "mixture_expectation",
    "rule_for",
    "rule_with_step",
    "trusted",
]
