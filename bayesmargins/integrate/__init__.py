"""Averages over groups, with a bound on their error: new groups are integrated out, existing groups are summed.

Downward: `link_scale` (the population mean as a linear predictor), `between_groups` (how the mean varies between
groups) and `spread` (how an effect does) on
`mixture` (existing groups) and `log_tails` (tails too small for a sum on fixed nodes, as logarithms) on `engine` (new
groups) on `rules` (nodes and bounds); `mixture_kernels` on
`kernels` is the compiled code of both, imported where it is first needed because numba takes a second, and run by
`threads`. `tabulated` holds the same averages in tables, for many rows.

For fits: `normal_groups` (what rows of a normal response say of their groups' effects, and draws of these) on
`normal_group_kernels` on `small_kernels`; `normal_entry` gives their likelihood a name that compiled models call.
"""

from bayesmargins.integrate.between_groups import between
from bayesmargins.integrate.engine import Integral, expectation, trusted
from bayesmargins.integrate.link_scale import linked_mean
from bayesmargins.integrate.log_tails import log_expectation
from bayesmargins.integrate.mixture import mixture_expectation
from bayesmargins.integrate.rules import Rule, apply_rule, rule_for, rule_with_step
from bayesmargins.integrate.threads import in_threads

__all__ = [
    "Integral",
    "Rule",
    "apply_rule",
    "between",
    "expectation",
    "in_threads",
    "linked_mean",
    "log_expectation",
    "mixture_expectation",
    "rule_for",
    "rule_with_step",
    "trusted",
]
