"""Averages over groups from tables, at about the price of h itself; made from the exact engine, with their own bounds.

`curves` (new groups: a curve in eta for each draw, or a surface in eta and s) and `group_curves` (existing groups as
curves, moved to `group_grid`) stand on `rows` (the table that all of them are cut from), `table_rules` and `bounds`.
What ends in `kernels`, and `table_passes`, is compiled code, imported where it is first needed. Nothing is imported
here: a question pays for its own tables only.
"""
