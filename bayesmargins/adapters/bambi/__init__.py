"""A fit of Bambi: the model's own design, checked column by column, and its idata.

Downward: `adapter` (from_bambi) on `bambi_draws` (idata) on `bambi_columns` (which column is which of Bambi's), and on
`model` (what a Bambi model holds, whatever its version calls it) on `bambi_names` (formulae's words).
"""
