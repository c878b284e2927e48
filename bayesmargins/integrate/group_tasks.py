"""What the compiled likelihood of `group_quadrature` may be asked for, and what it knows of a group. No numba here."""

__all__ = ["COLUMNS", "DRAW", "GRADIENT", "PILOT", "VALUES"]

GRADIENT, VALUES, DRAW, PILOT = 0, 1, 2, 3
COLUMNS = 5
