"""How objects look in a notebook: the lines that they print, as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence

__all__ = ["as_html"]


def as_html(text: str) -> str:
    r"""The first line as a heading, the others as a list; lines that are indented further are a list within it.

    Examples
    --------
    >>> as_html("model\nfamily\npriors\n  beta")
    '<div><strong>model</strong><ul><li>family</li><li>priors<ul><li>beta</li></ul></li></ul></div>'
    """
    title, *lines = text.splitlines()
    return f"<div><strong>{html.escape(title)}</strong>{_list(lines)}</div>"


def _list(lines: Sequence[str]) -> str:
    """Lines as a list: each with those that follow it and are indented further."""
    if not lines:
        return ""
    starts = [k for k, line in enumerate(lines) if _depth(line) <= _depth(lines[0])]
    items = [lines[a:b] for a, b in zip(starts, [*starts[1:], len(lines)], strict=True)]
    within = "".join(f"<li>{html.escape(first.strip())}{_list(rest)}</li>" for first, *rest in items)
    return f"<ul>{within}</ul>"


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
