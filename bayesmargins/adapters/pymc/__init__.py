"""Models written by hand: the roles of their variables, from any posterior that ArviZ knows.

Downward: `adapter` (from_pymc) on `pymc_effects` (of groups) on `matrices` (their covariances) and `levels` (their
order), on `pymc_variables` (what a name points to) on `roles` (the words of `names=`).
"""
