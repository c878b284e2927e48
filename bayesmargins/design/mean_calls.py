"""``between(x, g)`` and ``within(x, g)`` in the text of a formula."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from bayesmargins.design.pieces import close_of, scan, split
from bayesmargins.errors import FormulaError

__all__ = ["Named", "as_written", "is_deviation", "named_means", "sources"]

_CALL = re.compile(r"(?<![\w.`])(within|between)\s*\(")
_COLUMN = re.compile(r"[^\W\d][\w.]*|`[^`]+`")
_GROUPS = re.compile(r"([^\W\d][\w.]*|`[^`]+`)(\s*:\s*([^\W\d][\w.]*|`[^`]+`))*")
_DEVIATION = re.compile(r"I\((`[^`]+`|[\w.]+) - `between\(([^`]+)\)`\)")


@dataclass(frozen=True)
class Named:
    """A mean that a formula names: its column, what is averaged, and the columns that name a group together."""

    name: str
    variable: str
    groups: tuple[str, ...]


def named_means(text: str, own: Collection[str] = ()) -> tuple[str, tuple[Named, ...]]:
    """The right-hand side with these calls as columns, and the means that they name; a user's own functions stay.

    >>> named_means("within(x, g) + z")[0]
    'I(x - `between(x, g)`) + z'
    """
    found: dict[str, Named] = {}
    outside, at, written = {i for i, _ in scan(text)}, 0, ""
    for call in _CALL.finditer(text):
        if call.start() not in outside or call.start() < at or call[1] in own:
            continue
        end = close_of(text, call.end() - 1)
        column, mean = _named(call[1], text[call.end() : end])
        found[mean.name] = mean
        here = f"`{mean.name}`" if call[1] == "between" else f"I({column} - `{mean.name}`)"
        written, at = f"{written}{text[at : call.start()]}{here}", end + 1
    return written + text[at:], tuple(found.values())


def _named(call: str, inside: str) -> tuple[str, Named]:
    arguments = [a.strip() for a in split(inside, ",")]
    if len(arguments) != 2 or not _COLUMN.fullmatch(arguments[0]) or not _GROUPS.fullmatch(arguments[1]):
        raise FormulaError(
            f"{call}({inside}) is read as {call}(x, g): x a column of numbers, g the column that names a group, or a:b "
            "for two that name it together. Compute anything else as a column of the data, and name it there."
        )
    variable, groups = arguments[0].strip("`"), tuple(g.strip().strip("`") for g in arguments[1].split(":"))
    return arguments[0], Named(f"between({variable}, {':'.join(groups)})", variable, groups)


def is_deviation(factor: str) -> bool:
    """Is this part of a formula what ``within()`` stands for, which is a straight line in its column?"""
    return bool(_DEVIATION.fullmatch(factor))


def as_written(label: str) -> str:
    """A coefficient's name with ``within(x, g)`` as the user wrote it."""
    return _DEVIATION.sub(r"within(\2)", label)


def sources(means: Iterable[Named]) -> set[str]:
    """Columns of the data that the means are computed from."""
    return set().union(*({m.variable, *m.groups} for m in means))
