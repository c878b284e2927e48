"""What the compiled likelihood of `group_quadrature` may be asked for, and what it knows of a group. No numba here."""

__all__ = ["COLUMNS", "DRAW", "GRADIENT", "PILOT", "POINTS", "TASK", "VALUES", "WIDTH"]

GRADIENT, VALUES, DRAW, PILOT = 0, 1, 2, 3
COLUMNS = 5
TASK, POINTS = 0, 7  # where `flat_rows` says what is asked, and for how many points
WIDTH = 8  # points at once, where there are many
