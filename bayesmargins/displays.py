"""How objects are shown: a posterior in a few lines, and the lines that objects print as HTML for notebooks."""

from __future__ import annotations

import html
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["as_html", "folded", "posterior_in_words"]


def folded(text: str) -> str:
    """Lines as wide as the terminal, and at most 100; those of a list stay indented."""
    width = min(shutil.get_terminal_size((10_000, 0)).columns, 100)
    return "\n".join(
        textwrap.fill(line, width, break_on_hyphens=False, subsequent_indent="  " if line.startswith("- ") else "")
        for line in text.splitlines()
    )


def as_html(text: str) -> str:
    r"""The first line as a heading, the others as a list; lines that are indented further are a list within it.

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


def posterior_in_words(post: Any) -> str:
    """A posterior printed: formula, family, rows, groups, draws, and what is known of its chains."""
    chains, draws = (len(c) for c in post.sample_coords.values())
    factors = post.design.factors.items()
    groups = ", ".join(_counted(name, len(f.levels)) for name, f in factors) or "no groups"
    rows = "levels, no rows" if post.design.frame is None else f"{len(post.design.data)} rows"
    parts = "".join(f"; {part.formula}, link {part.link.name}" for part in post.parts.values())
    if post.family.shares is not None:
        parts = f"; log odds of {', '.join(map(str, post.categories[1:]))} against {post.categories[0]}"
    known = post.kind in ("posterior", "prior")
    kind = post.kind if known else "Draws of an asymptotic normal distribution (not a posterior)"
    return (
        f"{kind[0].upper()}{kind[1:]} of {post.formula}\n"
        f"  family {post.family.name}, link {post.link.name}{parts}; "
        f"{rows}, {groups}; {chains} chain{'s' * (chains > 1)} x {draws} draws"
        f"{_diagnosed(post.info)}"
    )


def _diagnosed(info: Mapping[str, Any]) -> str:
    """What is known of the chains, in a line."""
    said = [f"max r-hat {info['max_rhat']:.3f}"] if "max_rhat" in info else []
    said += [f"smallest effective sample size {info['min_ess']:,.0f}"] if "min_ess" in info else []
    said += [f"{info['divergences'] or 'no'} divergences"] if "divergences" in info else []
    return f"\n  {', '.join(said)}" if said else ""


def _counted(factor: str, levels: int) -> str:
    return f"{levels} {factor}" if levels else f"groups of {factor} not named"  # as without rows and without b
