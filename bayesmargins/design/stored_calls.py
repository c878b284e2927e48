"""The Python of a formula that a file brings, node by node of its syntax tree: what has no line here is refused.

Each node is read as a number, a text or a coded factor a row, or as a constant whose value is worked out with an end to
its size. No text is ever evaluated here.
"""

from __future__ import annotations

import ast
import inspect
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

import numpy as np

from bayesmargins.design.calls import CONSTANTS, FUNCTIONS, dotted
from bayesmargins.errors import FormulaError, close_matches, listed, shown

__all__ = ["CODED", "NUMBER", "TEXT", "Python"]

NUMBER, TEXT, CODED, CONTRAST = "number", "text", "coded", "contrast"

_DIGITS, _LETTERS, _ITEMS, _STEPS = 2.0**64, 1000, 5000, 8

_OF_NUMPY = {
    *(n for n, f in FUNCTIONS.items() if getattr(np, n, None) is f),
    "array",
    "exp",
    "exp2",
    "isin",
    "isnan",
    "log",
    "log10",
    "log2",
}
_OF_FORMULAIC = {"exp", "exp10", "exp2", "log", "log10", "log2"}
_INPUTS = {"clip": (2, 3), "where": (3, 3), "ifelse": (3, 3), "array": (1, 1), "isin": (2, 2), "exp10": (1, 1)}
_OPTIONS = {  # of formulaic's transforms, beside what they transform
    "I": (),
    "center": (),
    "lag": ("k",),
    "scale": ("center", "scale", "ddof"),
    "standardize": ("center", "rescale", "ddof"),
    "poly": ("degree", "raw"),
    "bs": ("df", "knots", "degree", "include_intercept", "lower_bound", "upper_bound", "extrapolation"),
    **dict.fromkeys(("cc", "cr", "cs"), ("df", "knots", "lower_bound", "upper_bound", "constraints", "extrapolation")),
    "mo": (),
    "s": ("k", "bs", "by"),
    "t2": ("z", "k"),
    "C": ("contrasts", "levels", "spans_intercept"),
    "hashed": ("levels", "contrasts", "spans_intercept"),
}
_LARGEST = {"degree": 100, "df": 1000, "levels": 5000, "k": 100}
_COLUMNS = {("s", "by"), ("t2", "z")}  # options that are columns
_CONTRASTS = {"helmert", "poly", "sum", "treatment", "SAS", "diff", "custom"}
_PATSY = {"Treatment", "Poly", "Sum", "Helmert", "Diff"}
_METHODS = {  # name: arguments, keywords
    "abs": (0, ()),
    "astype": (1, ()),
    "between": (2, ("inclusive",)),
    "clip": (2, ("lower", "upper")),
    "isin": (1, ()),
    "lower": (0, ()),
    "round": (1, ("decimals",)),
    "strip": (1, ()),
    "upper": (0, ()),
}
_TIMES = {"year", "month", "day", "dayofyear", "dayofweek", "hour"}
_TYPES = {"float", "float64", "float32", "int", "int64", "int32", "bool", "str", "category"}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any] | None] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitAnd: None,  # of truth values a row; not of constants
    ast.BitOr: None,
    ast.BitXor: None,
}


@dataclass(frozen=True)
class _Constant:
    value: Any


_Kind = str | _Constant


@dataclass(frozen=True)
class Python:
    """A Python part of a stored formula, as formulaic will evaluate it."""

    text: str
    columns: Mapping[str, str] | None  # what each holds, NUMBER or TEXT; None where any name may be one of numbers
    functions: Mapping[str, Any]
    namespace: Mapping[str, Any]  # what the user vouches for
    sizes: list[int] = field(default_factory=list)  # columns of the design that calls ask for, filled in by `kind`

    def kind(self, node: ast.AST) -> str:
        """Is this a number, a text or a coded factor a row? Refused where it holds anything that is not on a list."""
        found = self._read(node)
        if isinstance(found, str) and found != CONTRAST:
            return found
        if isinstance(found, _Constant) and _is_number(found.value):
            return NUMBER
        self._refuse("is no value of a row", "Take it out.")

    def _read(self, node: ast.AST) -> _Kind:
        reader = _READERS.get(type(node))
        if reader is None:
            self._refuse(
                f"holds Python that it cannot: {type(node).__name__}",
                "Allowed are arithmetic, comparisons and calls of listed functions.",
            )
        return reader(self, node)

    def _refuse(self, what: str, way: str) -> NoReturn:
        raise FormulaError(f"A part of the stored formula, {shown(self.text)}, {what}. {way}")

    def _constant(self, node: Any) -> _Kind:
        value = node.value
        short = len(value) <= _LETTERS if isinstance(value, str) else value is None or isinstance(value, bool)
        whole = isinstance(value, int) and abs(value) <= _DIGITS
        if not (short or whole or (isinstance(value, float) and math.isfinite(value))):
            self._refuse(f"holds the constant {shown(value, 20)}", "Constants are numbers up to 2**64 and short texts.")
        return _Constant(value)

    def _name(self, node: Any) -> _Kind:
        name, value = node.id, self.namespace.get(node.id)
        if isinstance(value, bool | int | float | str):
            return _Constant(value)
        if self.columns is not None and name in self.columns:
            return self.columns[name]
        if name in _PATSY and self._is_ours(name):
            return CONTRAST
        if self._is_constant(name) and (self.columns is not None or len(name) > 1):
            return _Constant(CONSTANTS[name])
        unknown = self.columns is None and (name in FUNCTIONS or name not in self.functions) and name[:1] != "_"
        if name in self.namespace or unknown:
            return NUMBER
        self._refuse(f"reads {name!r}, which is no column of the file's data", "It was changed after it was saved.")

    def _is_constant(self, name: str) -> bool:
        """Whether a name is R's TRUE and the like; T and F may be columns where these are not known."""
        return name in CONSTANTS and name not in self.namespace and name not in (self.columns or ())

    def _items(self, node: Any) -> _Kind:
        nodes: list[Any] = [*node.keys, *node.values] if isinstance(node, ast.Dict) else node.elts
        found = [self._read(n) for n in nodes]
        if len(found) > _ITEMS or not all(isinstance(f, _Constant) for f in found):
            self._refuse("holds a list of something else than constants, or a long one", "List constants alone.")
        return _Constant([f.value for f in found if isinstance(f, _Constant)])

    def _unary(self, node: Any) -> _Kind:
        found = self._read(node.operand)
        if isinstance(found, _Constant) and isinstance(node.op, ast.USub | ast.UAdd):
            return self._bounded(operator.neg if isinstance(node.op, ast.USub) else operator.pos, found)
        if found != NUMBER:
            self._refuse("takes the negative of what is no number", "Take it out.")
        return NUMBER

    def _binary(self, node: Any) -> _Kind:
        sides = self._read(node.left), self._read(node.right)
        if type(node.op) not in _ARITHMETIC:
            self._refuse(f"holds the sign of {type(node.op).__name__}", "Allowed are + - * / // % ** & |.")
        constants = [s for s in sides if isinstance(s, _Constant)]
        if len(constants) == 2:
            return self._bounded(_ARITHMETIC[type(node.op)], *constants)
        if not all(s == NUMBER or (isinstance(s, _Constant) and _is_number(s.value)) for s in sides):
            self._refuse("does arithmetic with what is no number", "Texts are compared with == alone.")
        return NUMBER

    def _bounded(self, call: Callable[..., Any] | None, *sides: _Constant) -> _Constant:
        """Worked out in floating point, which has an end, before Python works it out with whole numbers."""
        if call is not None and all(_is_number(s.value) for s in sides):
            try:
                value = call(*(float(s.value) for s in sides))
            except ArithmeticError:
                value = math.nan
            if isinstance(value, float) and math.isfinite(value):
                return _Constant(value)
        self._refuse("works out constants that have no finite value", "Write the number itself.")

    def _comparison(self, node: Any) -> _Kind:
        found = [self._read(n) for n in (node.left, *node.comparators)]
        if CODED in found or CONTRAST in found:
            self._refuse("compares a coded factor", "Compare the column itself.")
        return _Constant(True) if all(isinstance(f, _Constant) for f in found) else NUMBER

    def _attribute(self, node: Any) -> _Kind:
        path = dotted(node)
        if self._is_ours(path[0]) and path in {("np", "pi"), ("np", "e")}:
            return NUMBER
        if self._is_ours(path[0]) and len(path) == 2 and path[0] == "contr" and path[1] in _CONTRASTS:
            return CONTRAST
        if path[0] in self.namespace:
            return self._vouched(path)
        if len(path) >= 3 and path[-2] == "dt" and path[-1] in _TIMES:
            return self._of_a_row(node.value.value, path[-1])
        self._refuse(f"reads {shown('.'.join(path), 60)}", "An attribute is read of a list alone: np.pi, f.dt.year.")

    def _is_ours(self, root: str) -> bool:
        """Whether a name means what it does in every formula: no column and no function of the user has it."""
        return root in self.functions and root not in self.namespace and root not in (self.columns or ())

    def _call(self, node: Any) -> _Kind:
        if any(k.arg is None or k.arg.startswith("_") for k in node.keywords):
            self._refuse("passes an argument by '**' or by a private name", "Take it out.")
        if isinstance(node.func, ast.Name):
            return self._call_by_name(node, node.func.id)
        if not isinstance(node.func, ast.Attribute):
            self._refuse("calls what has no name", "Functions are called by their names.")
        path = dotted(node.func)
        if path[0] in self.namespace or ".".join(path) in self.namespace:
            return self._user_call(node, path)
        if self._is_ours(path[0]):
            return self._call_of_a_list(node, path)
        return self._method(node, path)

    def _call_by_name(self, node: ast.Call, name: str) -> _Kind:
        if name in self.namespace:
            return self._user_call(node, (name,))
        if name in _OPTIONS:
            return self._transform(node, name)
        if name in _PATSY:
            return self._contrast(node)
        if name == "c" and not node.keywords:
            return self._items(ast.List(node.args))
        if name in _OF_FORMULAIC or name in FUNCTIONS:
            return self._function(node, name)
        raise FormulaError(
            f"The stored formula calls {name!r} in {shown(self.text)}, which is no function that a file may call."
            f"{close_matches(name, [*_OPTIONS, *FUNCTIONS, *_OF_FORMULAIC])} Pass your own: "
            f"namespace={{{name!r}: {name}}}."
        )

    def _call_of_a_list(self, node: ast.Call, path: tuple[str, ...]) -> _Kind:
        if path[0] == "contr" and len(path) == 2 and path[1] in _CONTRASTS:
            return self._contrast(node)
        if path[0] == "np" and len(path) == 2 and path[1] in _OF_NUMPY:
            return self._function(node, path[1])
        name = ".".join(path)
        raise FormulaError(
            f"The stored formula calls {shown(name)} in {shown(self.text)}. Of NumPy a file may call "
            f"{listed(sorted(_OF_NUMPY), 50)}. If you trust the file, pass the function: "
            f"namespace={{{name!r}: {name}}}."
        )

    def _user_call(self, node: ast.Call, path: tuple[str, ...]) -> _Kind:
        if len(path) > 1:
            self._vouched(path)
        for argument in (*node.args, *(k.value for k in node.keywords)):
            self._read(argument)
        return NUMBER

    def _vouched(self, path: tuple[str, ...]) -> _Kind:
        """A dotted name that the user handed over, itself or by the module that it stands in."""
        root, name = self.namespace.get(path[0]), ".".join(path)
        if name in self.namespace and self._is_ours(path[0]):
            found: Any = self.functions[path[0]]
            for step in path[1:]:
                found = getattr(found, step, None)
            if found is self.namespace[name]:
                return NUMBER
        elif isinstance(root, ModuleType | SimpleNamespace) and _lies_within(root, path[1:]):
            return NUMBER
        self._refuse(f"reads {shown(name)}", "Pass the function that it calls in namespace=.")

    def _function(self, node: ast.Call, name: str) -> _Kind:
        function = FUNCTIONS.get(name) or getattr(np, name, None)
        least, most = _INPUTS.get(name) or ((function.nin,) * 2 if isinstance(function, np.ufunc) else (1, _STEPS))
        if not least <= len(node.args) <= most or node.keywords:
            self._refuse(f"calls {name} with other arguments than its {most} values", "Give those alone.")
        found = [self._read(a) for a in node.args]
        if CODED in found or CONTRAST in found:
            self._refuse(f"calls {name} with a coded factor", "Give it a column.")
        texts = [f for f in found if f == TEXT or (isinstance(f, _Constant) and _holds_text(f.value))]
        return TEXT if texts and name not in ("isin", "isnan") else NUMBER

    def _method(self, node: ast.Call, path: tuple[str, ...]) -> _Kind:
        name, base = path[-1], node.func.value  # type: ignore[attr-defined]
        if isinstance(base, ast.Attribute) and base.attr == "str":
            base = base.value
        if name not in _METHODS:
            self._refuse(
                f"calls {shown('.'.join(path), 60)}",
                f"Of a column's methods a formula takes {listed(sorted(_METHODS), 20)}.",
            )
        found = self._of_a_row(base, name)
        most, keywords = _METHODS[name]
        given = [self._read(a) for a in (*node.args, *(k.value for k in node.keywords))]
        unknown = [k.arg for k in node.keywords if k.arg not in keywords]
        if len(given) > most + len(keywords) or len(node.args) > most or unknown or CODED in given or CONTRAST in given:
            self._refuse(f"calls {name} with other arguments than a formula takes", "Give one value a row.")
        if name == "astype":
            return self._typed(given)
        return NUMBER if name in ("isin", "between") else found

    def _typed(self, given: list[_Kind]) -> str:
        kind = given[0].value if given and isinstance(given[0], _Constant) else None
        if not isinstance(kind, str) or kind not in _TYPES:
            self._refuse("turns a column into another type", f"Allowed are {listed(sorted(_TYPES))}.")
        return TEXT if kind in ("str", "category") else NUMBER

    def _of_a_row(self, node: ast.AST, name: str) -> str:
        steps, at = 0, node
        while isinstance(at, ast.Attribute | ast.Call):
            steps, at = steps + 1, at.value if isinstance(at, ast.Attribute) else at.func
        found = self._read(node)
        if found not in (NUMBER, TEXT) or steps > 2 * _STEPS:
            self._refuse(f"asks for {name!r} of something else than a column, or many times over", "Take it out.")
        return str(found)

    def _transform(self, node: ast.Call, name: str) -> _Kind:
        function = self.functions[name]
        try:
            bound = inspect.signature(function).bind(*node.args, **{str(k.arg): k.value for k in node.keywords})
        except TypeError as error:
            self._refuse(f"calls {name} as it cannot be called ({error})", "It was changed after it was saved.")
        first, *rest = bound.arguments.items()
        found = self._read(first[1])
        if name == "I" and isinstance(found, _Constant) and _is_number(found.value):
            return found  # I() gives back what it is given
        if isinstance(found, _Constant) or found == CONTRAST or (found == CODED and name != "I"):
            self._refuse(f"calls {name} of something else than a column", "Give it a column.")
        for option, value in rest:
            self._option(name, option, value)
        if getattr(function, "__is_stateful_transform__", False):
            self._refuse_quotes(node)
        return CODED if name in ("C", "hashed") else str(found) if name in ("I", "lag") else NUMBER

    def _option(self, name: str, option: str, node: Any) -> None:
        if option not in _OPTIONS[name]:
            self._refuse(f"calls {name} with {option}=", f"Allowed are {listed(_OPTIONS[name])}.")
        constant = isinstance(node, ast.Name) and self._is_constant(node.id)
        found = _Constant(CONSTANTS[node.id]) if constant else self._read(node)
        if option == "contrasts" and found not in (TEXT, CODED):
            return
        if (name, option) in _COLUMNS and found in (NUMBER, TEXT):
            return
        value: Any = found.value if isinstance(found, _Constant) else math.inf
        size = abs(value) if _is_number(value) else len(value) if isinstance(value, list) else 0
        if size > _LARGEST.get(option, _DIGITS):
            self._refuse(
                f"calls {name} with another {option}= than a constant up to {_LARGEST.get(option, _DIGITS):g}",
                "Write the number itself.",
            )
        if option in ("degree", "df", "levels", "knots"):
            self.sizes.append(int(size))
        if option == "k":
            self.sizes.append(int(size) ** 2 if name == "t2" else int(size))

    def _contrast(self, node: ast.Call) -> _Kind:
        """A coding of levels, made of constants."""
        if not all(isinstance(self._read(n), _Constant) for n in (*node.args, *(k.value for k in node.keywords))):
            self._refuse("codes a factor by something else than constants", "Write the numbers themselves.")
        return CONTRAST

    def _refuse_quotes(self, node: ast.AST) -> None:
        """formulaic writes such a call into a text of its own, between quotes, and evaluates that."""
        for part in ast.walk(node):
            text = part.value if isinstance(part, ast.Constant) else None
            if isinstance(text, str) and not all(c.isalnum() or c in " _.+-" for c in text):
                self._refuse("has quotes within a text of a transform", "Compute the column beforehand.")


_READERS: dict[type[ast.AST], Callable[[Python, Any], _Kind]] = {
    ast.Expression: lambda part, node: part._read(node.body),
    ast.Constant: Python._constant,
    ast.Name: Python._name,
    ast.List: Python._items,
    ast.Tuple: Python._items,
    ast.Dict: Python._items,
    ast.UnaryOp: Python._unary,
    ast.BinOp: Python._binary,
    ast.Compare: Python._comparison,
    ast.Attribute: Python._attribute,
    ast.Call: Python._call,
}


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float)


def _holds_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and any(_holds_text(v) for v in value))


def _lies_within(root: Any, path: tuple[str, ...]) -> bool:
    """Whether the steps stay in the module that the user handed over: no other module is reached through it."""
    found = root
    for step in path:
        found = None if step.startswith("_") else getattr(found, step, None)
        inside = isinstance(root, ModuleType) and getattr(found, "__name__", "").startswith(f"{root.__name__}.")
        if found is None or (isinstance(found, ModuleType) and not inside):
            return False
    return callable(found) or _is_number(found)
