"""Monotonic effects of brms: ``bsp_mox`` times the shares ``simo_mox1[k]`` are the coefficients of ``mo(x)[k]``."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmargins.adapters.brms.r_names import names_without_steps, parts_of, spelt
from bayesmargins.design import Design, Monotonic
from bayesmargins.errors import PosteriorError, listed

__all__ = ["monotonic_coefficients"]

_SUM = 1e-3  # shares that a file has rounded


def monotonic_coefficients(table: Any, design: Design, prefix: str) -> dict[str, np.ndarray]:
    """Draws (chain, draw) of the design's coefficients by name; the table notes what was read.

    PosteriorError where a column is absent, or shares are none.
    """
    found: dict[str, np.ndarray] = {}
    for term in design.fixed.monotonic:
        values = _of_term(table, term, design, prefix)
        found |= {name: values[..., k] for k, name in enumerate(term.columns)}
    return found


def _of_term(table: Any, term: Monotonic, design: Design, prefix: str) -> np.ndarray:
    start, names = f"bsp_{prefix}", names_without_steps(term, design.fixed, design)
    b = table.column(start, names)
    coef = str(table.named(start, names)).removeprefix(start)
    calls = {spelt(name): size for name, size in term.calls.items()}
    # shares are numbered by where a call stands in brms's own name of the term
    order = [part for part in coef.split(":") if part in calls]
    if {parts_of(part) for part in order} != {parts_of(part) for part in calls}:
        raise PosteriorError(f"The draws name {start}{coef}, whose monotonic effects are not those of {term.name!r}.")
    shares = [_shares(table, f"simo_{prefix}{coef}{order.index(call) + 1}", size) for call, size in calls.items()]
    return term.joined(b, shares)


def _shares(table: Any, name: str, size: int) -> np.ndarray:
    """One simplex: (chain, draw, step)."""
    columns = [f"{name}[{k}]" for k in range(1, size + 1)]
    there = [str(c) for c in table.frame.columns if str(c).startswith(f"{name}[")]
    if sorted(columns) != sorted(there):
        raise PosteriorError(
            f"The draws have {listed(there, 6) or 'no columns'} of {name}, and the data give {size} steps, "
            f"{listed(columns, 6)}. Give the fitted rows, all of them, and the ordered categories or whole numbers of "
            "the fit."
        )
    values = np.stack([table.exact(column) for column in columns], axis=-1)
    if (values < 0.0).any() or not np.allclose(values.sum(axis=-1), 1.0, atol=_SUM):
        raise PosteriorError(
            f"{name}[...] of the draws are shares of one monotonic effect: none is negative, and they add up to 1. "
            "These do not: look at how the draws were written."
        )
    return values / values.sum(axis=-1, keepdims=True)
