"""Categories of brms: ``b_muyes_x`` is a coefficient of the linear predictor of "yes"."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bayesmargins.adapters.brms.correlated_parameters import join_across
from bayesmargins.adapters.brms.parts import across, correlated_across
from bayesmargins.design import Design, designs_by_category
from bayesmargins.errors import PosteriorError, listed, shown

__all__ = ["category_names", "read_categories"]


def category_names(categories: Sequence[Any]) -> dict[str, Any]:
    """What brms calls the linear predictors of these categories: R's make.names() without dots and underscores.

    >>> category_names(["no", "not sure", 3])
    {'muno': 'no', 'munotsure': 'not sure', 'mu3': 3}
    """
    return {"mu" + re.sub(r"[\W_]", "", str(category)): category for category in categories}


def read_categories(
    table: Any, design: Design, mean: str, read: Callable[[Design, str], dict[str, Any]]
) -> tuple[dict[str, Any], list[str]]:
    """beta, b and Sigma as `from_draws` takes them, and factors whose correlations over categories are not there.

    `read` gives those of one linear predictor by its name in brms.
    """
    names = category_names(design.response.categories)
    _check_names(names, design, [str(c) for c in table.frame.columns])
    others = dict(zip(list(names)[1:], designs_by_category(design, "mu").values(), strict=True))
    each = {name: read(of, name) for name, of in others.items()}
    columns, formulas = [str(c) for c in table.frame.columns], dict.fromkeys(others, str(mean))
    unknown = list(correlated_across(next(iter(others)), formulas, design.factors, columns)) if len(others) > 1 else []
    table.used |= {c for c in columns for f in unknown for name in others if across(c, f, name)}
    first, *rest = each.values()
    join_across(
        table, first, dict(zip(list(others)[1:], rest, strict=True)), {f"{name}_": of for name, of in others.items()}
    )
    joint = {f: v for f, v in first["Sigma"].items() if any(f not in of["Sigma"] for of in rest)}
    given = {
        "beta": _stacked([of["beta"] for of in each.values()]),
        "b": {f: _stacked([of["b"][f] for of in each.values()]) for f in first["b"]},
        "Sigma": joint
        | {f: _stacked([of["Sigma"][f] for of in each.values()]) for f in first["Sigma"] if f not in joint},
    }
    return given, [f for f in unknown if f not in joint]


def _stacked(each: Sequence[np.ndarray]) -> np.ndarray:
    """(chain, draw, category, ...)."""
    return np.stack(each, axis=2)


def _check_names(names: Mapping[str, Any], design: Design, columns: Sequence[str]) -> None:
    """Refuse names that are one in brms, and another category as reference than the first of the data."""
    categories, response = design.response.categories, design.response.text
    if not categories:
        raise PosteriorError(f"Name the categories of {response!r} in order: levels={{{response!r}: [...]}}.")
    if len(names) < len(categories):
        raise PosteriorError(
            f"Categories of {response!r}, {listed(categories)}, have one name in brms, where only letters and digits "
            "count: whose coefficients are whose cannot be seen. Rename them before the fit."
        )
    has = [name for name in names if any(re.match(rf"(b|sd_.+_|r_.+_)_{name}[_\[]", c) for c in columns)]
    absent = [name for name in names if name not in has]
    if has and len(absent) == 1 and absent[0] != next(iter(names)):
        reference = names[absent[0]]
        order = [reference, *(c for c in categories if c != reference)]
        raise PosteriorError(
            f"The draws hold no coefficients of {shown(reference)}, so that is the category that brms held the others "
            f"against, and in the data it is {shown(categories[0])}. Put it first: data[{response!r}] = "
            f"pd.Categorical(data[{response!r}], {shown(order)})."
        )
