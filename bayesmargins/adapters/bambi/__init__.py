"""A fit of Bambi: the model's own design, checked column by column, and its idata.

Downward: `adapter` (from_bambi) on `draws` (idata) on `check` (which column is which of Bambi's), and on `model` (what
a Bambi model holds, whatever its version calls it) on `names` (formulae's words).
"""
