"""A fit of brms, from its draws and its formula.

Downward: `adapter` (from_brms) on `parts` (formulas of other parameters) and `stan` (the numbers of brms's program), on
`r_names` (what R calls columns and levels), `r_formula` (brms's words), `bf` (what `bf()` says) and `brms_draws` (files
and frames).
"""
