"""A Bambi formula in this package's spelling: its terms as formulae resolved them, written for formulaic.

Not the text of the formula but its resolved terms are written anew, one at a time, so that nothing is left to how two
parsers read the same signs; `bambi_check` then holds the columns that come out against Bambi's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design.calls import FUNCTIONS
from bayesmargins.design.left import written
from bayesmargins.errors import FormulaError, listed
from bayesmargins.values import plain_value

__all__ = ["Spelling", "categoric_variables"]

_RESPONSES = ("p", "prop", "proportion")
_BINARY = ("B", "binary")
# Arguments of the calls that say more of rows than y: the fields of an outcome, in Bambi's order.
_MORE = {
    "weighted": ("y", "weights"),
    "truncated": ("y", "lb", "ub"),
    "censored": ("y", "cens"),
    "censored up to": ("y", "y2", "cens"),
}
# Responses that a formula here has no word for.
_OTHER_RESPONSES = ("c", "counts", "constrained")


class Spelling:
    """Terms of a Bambi model as text for this package's formulas, and what they read besides columns.

    A name that is no column of the data is looked up where Bambi looked it up; `namespace` is filled while terms are
    written.
    """

    def __init__(self, columns: Iterable[str]) -> None:
        self.columns = frozenset(columns)
        self.namespace: dict[str, Any] = {}
        self._known = _known()

    def response(self, component: Any, counted: bool = False) -> str:
        """How is what stands left of ~ written here: ``"y"``, ``"log(y)"``, ``"k | trials(n)"``?

        `counted`: ``c(a, b, c)`` are counts of categories. A response that Bambi made 0 and 1 is the column's name
        alone.
        """
        if not hasattr(component, "call"):
            return quoted(component.name)
        call = component.call
        if call.callee in _RESPONSES:
            successes, trials = (self._written(a, component) for a in [*call.args, *call.kwargs.values()])
            return f"{successes} | trials({trials})"
        if call.callee in _BINARY:
            return quoted(call.args[0].name)
        if call.callee in _MORE:
            arguments = [self._written(a, component) for a in call.args]
            fields = _MORE["censored up to" if len(arguments) == 3 and call.callee == "censored" else call.callee]
            given = dict(zip(fields, arguments, strict=False))
            given |= {k: self._written(a, component) for k, a in call.kwargs.items()}
            y = given.pop("y", given.pop("x", ""))
            return written(y, {k: text for k, text in given.items() if text != "None"}, False)
        if call.callee == "c" and counted:
            return f"cbind({', '.join(self._written(a, component) for a in call.args)})"
        if call.callee in _OTHER_RESPONSES:
            raise FormulaError(
                f"The response {component.name!r} of the Bambi model is {call.callee}; a response here is a column, an "
                "expression, or p(successes, trials). Margins of such a model cannot be asked for."
            )
        return self._written(call, component)

    def right(self, design: Any, ordered: bool = False) -> str:
        """How is everything right of ~ written here: fixed terms, offsets, blocks ``( || )`` of factors?

        Bambi's group effects are independent of each other. `ordered`: thresholds stand in place of the intercept,
        which Bambi took out once the factors were coded beside it.
        """
        common = [] if design.common is None else list(design.common.terms.values())
        group = [] if design.group is None else list(design.group.terms.values())
        fixed = [self.term(t) for t in common if not _is_intercept(t)]
        return " + ".join(["1" if ordered or any(map(_is_intercept, common)) else "0", *fixed, *self._blocks(group)])

    def term(self, term: Any) -> str:
        """How is one term written here: its components, joined by ``:``?"""
        return ":".join(self._component(c) for c in term.components)

    def factor(self, term: Any) -> str:
        """How is the grouping factor of a group-specific term written here?"""
        return ":".join(quoted(_grouping_column(c, term)) for c in term.factor.components)

    def _blocks(self, terms: list[Any]) -> list[str]:
        by_factor: dict[str, list[Any]] = {}
        for term in terms:
            by_factor.setdefault(self.factor(term), []).append(term)
        return [block for factor, of in by_factor.items() for block in self._blocks_of(factor, of)]

    def _blocks_of(self, factor: str, terms: list[Any]) -> Iterator[str]:
        """One block, and one more for each factor whose every level has an effect beside an intercept or another such.

        formulaic would drop a level of those in the first block, as it does in ``1 + f``.
        """
        intercept = any(_is_intercept(t.expr) for t in terms)
        full = [t for t in terms if not _is_intercept(t.expr) and _every_level(t.expr)]
        alone = full if intercept else full[1:]
        first = [self.term(t.expr) for t in terms if not _is_intercept(t.expr) and t not in alone]
        if intercept or first:
            yield _block(["1" if intercept else "0", *first], factor)
        yield from (_block(["0", self.term(t.expr)], factor) for t in alone)

    def _component(self, component: Any) -> str:
        if not hasattr(component, "call"):
            return quoted(component.name)
        call = component.call
        if component.kind == "categoric":
            return self._contrast(component)
        if call.callee in _BINARY:
            return self._binary(component)
        if np.asarray(component.value).dtype == bool:
            # formulaic takes truth values for a factor with two levels; Bambi for 0 and 1.
            inner = call.args[0] if call.callee == "I" else call
            return f"where({self._written(inner, component)}, 1, 0)"
        return self._written(call, component)

    def _binary(self, component: Any) -> str:
        """``binary(x, success)``; without a success level Bambi takes the first one in order."""
        args = [*component.call.args, *component.call.kwargs.values()]
        if len(args) < 2:
            raise FormulaError(
                f"{component.name!r} of the Bambi model leaves its success level to the order of the values. Write "
                "binary(x, level), or make the column beforehand."
            )
        return f"where({self._written(args[0], component)} == {self._written(args[1], component)}, 1, 0)"

    def _contrast(self, component: Any) -> str:
        """``C(x)``, ``T(x, ref)``, ``S(x)``: with formulaic's names of contrasts."""
        box = component._intermediate_data
        if component.call.callee not in ("C", "T", "S") or not hasattr(box, "contrast"):
            raise FormulaError(
                f"{component.name!r} of the Bambi model makes a factor inside the formula. Make the column beforehand "
                "and name it in the formula: newdata has to hold it as well."
            )
        return f"C({', '.join([self._written(component.call.args[0], component), *_coding(box, component)])})"

    def _written(self, node: Any, component: Any) -> str:
        """An expression as text, every operation in brackets of its own: Bambi's own text leaves them out."""
        kind = type(node).__name__
        if kind == "LazyValue":
            return repr(node.value)
        if kind == "LazyVariable":
            return self._name(node.name, component)
        if kind == "LazyOperator":
            parts = [self._operand(a, component) for a in node.args]
            return f"{node.symbol}{parts[0]}" if len(parts) == 1 else f"{parts[0]} {node.symbol} {parts[1]}"
        args = [self._written(a, component) for a in node.args]
        kwargs = {k: self._written(a, component) for k, a in node.kwargs.items()}
        return self._call(node.callee, args, kwargs, component)

    def _operand(self, node: Any, component: Any) -> str:
        text = self._written(node, component)
        return f"({text})" if type(node).__name__ == "LazyOperator" else text

    def _name(self, name: str, component: Any) -> str:
        if name not in self.columns and name in component.env.namespace:
            self.namespace[name] = component.env.namespace[name]
            return name
        return quoted(name)

    def _call(self, callee: str, args: list[str], kwargs: dict[str, str], component: Any) -> str:
        if callee in _TRANSFORMS:
            callee, kwargs = _TRANSFORMS[callee](kwargs)
        elif callee == "hsgp":
            raise FormulaError(
                f"{component.name!r} of the Bambi model is a Gaussian process, whose weights are no coefficients of "
                "columns. A spline is: bs(x, df=5)."
            )
        else:
            self._remember(callee.split(".")[0], component)
        return f"{callee}({', '.join([*args, *(f'{k}={v}' for k, v in kwargs.items())])})"

    def _remember(self, root: str, component: Any) -> None:
        """The function that Bambi called, where this package would not call the very same one by that name."""
        found = component.env.namespace.get(root)
        if getattr(found, "__stateful_transform__", False):
            raise FormulaError(
                f"{component.name!r} of the Bambi model calls {root!r}, which remembers the data of the fit inside "
                "Bambi. Compute the column beforehand."
            )
        if root != "I" and self._known.get(root) is not found:
            self.namespace[root] = found


def _known() -> Mapping[str, Any]:
    from formulaic.transforms import TRANSFORMS

    return {**TRANSFORMS, **FUNCTIONS}


def _spline(kwargs: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Beyond the rows of the fit Bambi's splines go on as polynomials."""
    renamed = {"include_intercept" if k == "intercept" else k: v for k, v in kwargs.items()}
    return "bs", {**renamed, "extrapolation": "'extend'"}


# Bambi divides by the standard deviation with n, formulaic with n - 1.
_TRANSFORMS: dict[str, Callable[[dict[str, str]], tuple[str, dict[str, str]]]] = {
    "bs": _spline,
    "center": lambda kwargs: ("center", kwargs),
    "poly": lambda kwargs: ("poly", kwargs),
    "scale": lambda kwargs: ("scale", {**kwargs, "ddof": "0"}),
    "standardize": lambda kwargs: ("scale", {**kwargs, "ddof": "0"}),
}


def _coding(box: Any, component: Any) -> list[str]:
    contrast = type(box.contrast).__name__
    levels = [] if box.levels is None else [f"levels={[plain_value(v) for v in box.levels]!r}"]
    if contrast in ("NoneType", "Treatment"):
        reference = plain_value(getattr(box.contrast, "reference", None))
        return [*([] if reference is None else [f"contr.treatment({reference!r})"]), *levels]
    omitted = getattr(box.contrast, "omit", None)
    if contrast == "Sum" and omitted in (None, component.levels[-1]):
        return ["contr.sum", *levels]
    raise FormulaError(
        f"{component.name!r} of the Bambi model has contrasts that cannot be written here: {contrast} with "
        f"{vars(box.contrast)}. Treatment contrasts with any reference can, and sum contrasts that omit the last level."
    )


def _grouping_column(component: Any, term: Any) -> str:
    if not hasattr(component, "call"):
        return str(component.name)
    call = component.call
    if call.callee == "C" and len(call.args) == 1 and not call.kwargs and type(call.args[0]).__name__ == "LazyVariable":
        return str(call.args[0].name)
    raise FormulaError(
        f"The grouping factor of {term.name!r} of the Bambi model is an expression. Make a column of it beforehand and "
        "name that in the formula: newdata has to name groups as well."
    )


def categoric_variables(terms: Iterable[Any]) -> dict[str, list[Any]]:
    """Levels, the reference level first, by column that Bambi reads as a factor in these terms of formulae."""
    found: dict[str, list[Any]] = {}
    for component in (c for t in terms for c in getattr(t, "components", ()) if c.kind == "categoric"):
        name = _column_coded(component)
        if name is None:
            continue
        levels = list(component.levels)
        if found.setdefault(name, levels) != levels:
            raise FormulaError(
                f"The Bambi model codes {name!r} with the levels {listed(found[name])} in one term and "
                f"{listed(levels)} in another. Make a second column for one of them."
            )
    return found


def _column_coded(component: Any) -> str | None:
    """The column whose own levels count; with levels= inside C() they do not."""
    if not hasattr(component, "call"):
        return str(component.name)
    argument, box = component.call.args[0], component._intermediate_data
    explicit = len(component.call.args) > 2 or "levels" in component.call.kwargs
    named = type(argument).__name__ == "LazyVariable" and hasattr(box, "levels") and not explicit
    return str(argument.name) if named and not pd.api.types.is_numeric_dtype(np.asarray(box.data)) else None


def _is_intercept(term: Any) -> bool:
    return type(term).__name__ == "Intercept"


def _every_level(expr: Any) -> bool:
    """All components are factors, one of them coded without a reference level."""
    coded = [c for c in expr.components if c.kind == "categoric"]
    return len(coded) == len(expr.components) and all(c.spans_intercept for c in coded)


def _block(terms: list[str], factor: str) -> str:
    return f"({' + '.join(terms)} || {factor})" if terms != ["1"] else f"(1 | {factor})"


def quoted(name: str) -> str:
    """A column's name as formulas write it.

    >>> quoted("age"), quoted("my age")
    ('age', '`my age`')
    """
    return name if name.isidentifier() else f"`{name}`"
