"""A page as Markdown that a code host shows: pipe tables, mathematics between dollars, pictures in files beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from bayesmargins.reporting.page_blocks import (
    Block,
    Display,
    Grid,
    Listing,
    Mono,
    Notice,
    Page,
    Paragraph,
    Picture,
    Piece,
    Points,
    Section,
)
from bayesmargins.tables import writing

__all__ = ["markdown_of", "pictures_in"]


def markdown_of(page: Page, folder: str) -> str:
    """The text; pictures are files of a folder beside it."""
    lines = [f"# {_plain(page.title)}", *(_block(block, folder) for block in page.lead)]
    for section in page.sections:
        lines += _section(section, 2, folder)
    return "\n\n".join([*lines, f"*{_plain(page.foot)}*"]) + "\n"


def pictures_in(page: Page) -> Iterator[Picture]:
    """All pictures of a page."""

    def of(section: Section) -> Iterator[Picture]:
        yield from (block for block in section.blocks if isinstance(block, Picture))
        for inner in section.within:
            yield from of(inner)

    for section in page.sections:
        yield from of(section)


def _section(section: Section, level: int, folder: str) -> Iterator[str]:
    yield f"{'#' * level} {_plain(section.title)}"
    yield from (_block(block, folder) for block in section.blocks)
    for inner in section.within:
        yield from _section(inner, level + 1, folder)


def _block(block: Block, folder: str) -> str:
    return _WRITTEN[block.kind](block, folder)


def _plain(text: str) -> str:
    """What Markdown would take for markup is written out."""
    return writing.markdown_text(text)


def _piece(piece: Piece) -> str:
    if isinstance(piece, str):
        before, after = (" " * (piece != strip(piece)) for strip in (str.lstrip, str.rstrip))
        return f"{before}{_plain(piece)}{after}"
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", piece.text)), default=0))
    pad = " " if piece.text[:1] == "`" or piece.text[-1:] == "`" else ""
    return f"{ticks}{pad}{piece.text}{pad}{ticks}"


def _pieces(pieces: tuple[str | Mono, ...]) -> str:
    text = "".join(map(_piece, pieces))
    return re.sub(r"^(\s*)([#+-]|\d+[.)])(?=\s)", r"\1\\\2", text)  # no heading and no list where a sentence begins


def _paragraph(block: Paragraph, folder: str) -> str:
    return _pieces(block.pieces)


def _notice(block: Notice, folder: str) -> str:
    return f"> **Note.** {_pieces(block.pieces)}"


def _points(block: Points, folder: str) -> str:
    lines = []
    for first, within in block.items:
        lines.append(f"- {_pieces(first.pieces)}")
        lines += [f"  - {_pieces(item.pieces)}" for item in within]
    return "\n".join(lines)


def _grid(block: Grid, folder: str) -> str:
    labels = len(block.header) if block.words else block.labels
    caption = f"Table {block.number}. {block.caption}"
    return writing.markdown(list(block.header), [list(row) for row in block.rows], labels, block.note, caption).rstrip()


def _picture(block: Picture, folder: str) -> str:
    return f"![{_plain(block.alt)}]({folder}/{block.name}.svg)\n\nFigure {block.number}. {_plain(block.caption)}"


def _display(block: Display, folder: str) -> str:
    return f"$$\n{block.equations.latex}\n$$"


def _listing(block: Listing, folder: str) -> str:
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", block.text)), default=0))
    return f"{fence}{block.language}\n{block.text}\n{fence}"


_WRITTEN: dict[str, Callable[[Any, str], str]] = {
    Paragraph.kind: _paragraph,
    Notice.kind: _notice,
    Points.kind: _points,
    Grid.kind: _grid,
    Picture.kind: _picture,
    Display.kind: _display,
    Listing.kind: _listing,
}
