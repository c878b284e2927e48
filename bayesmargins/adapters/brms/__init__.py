"""A fit of brms, from its draws and its formula.

Downward: `adapter` (from_brms) on `parts` (formulas of other parameters) and `stan` (the numbers of brms's program), on
`names` (what R calls columns and levels), `formula` (brms's words), `bf` (what `bf()` says) and `draws` (files and
frames).
"""
