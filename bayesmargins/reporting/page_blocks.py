"""What a report is made of: sections of paragraphs, tables, pictures, mathematics and code, before any markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from bayesmargins.reporting.mathematics import Equations

__all__ = [
    "Block",
    "Display",
    "Grid",
    "Listing",
    "Mono",
    "Notice",
    "Page",
    "Paragraph",
    "Picture",
    "Piece",
    "Points",
    "Section",
    "numbered",
    "said",
]


@dataclass(frozen=True)
class Mono:
    """Text of code within a sentence: a formula, the name of a column."""

    text: str
    kind: ClassVar[str] = "mono"


Piece = str | Mono


@dataclass(frozen=True)
class Paragraph:
    """Sentences, and code within them."""

    pieces: tuple[Piece, ...]
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True)
class Notice:
    """A paragraph that no reader may miss."""

    pieces: tuple[Piece, ...]
    kind: ClassVar[str] = "notice"


@dataclass(frozen=True)
class Points:
    """A list; each item may have one beneath it."""

    items: tuple[tuple[Paragraph, tuple[Paragraph, ...]], ...]
    kind: ClassVar[str] = "points"


@dataclass(frozen=True)
class Grid:
    """A table of text."""

    caption: str  # above
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    labels: int = 1  # columns of labels, which come first
    note: str = ""  # beneath
    words: bool = False  # whether the other columns hold words, and not numbers
    number: int = 0  # its place among the tables of the page; 0 before it has one
    kind: ClassVar[str] = "grid"


@dataclass(frozen=True)
class Picture:
    """An SVG, what it shows in words for those who do not see it, and what stands beneath."""

    svg: str = field(repr=False)
    alt: str
    caption: str
    number: int = 0
    kind: ClassVar[str] = "picture"

    @property
    def name(self) -> str:
        """A file's, without its ending; and what tells its parts apart from those of other pictures."""
        return f"figure-{self.number}"


@dataclass(frozen=True)
class Display:
    """Equations."""

    equations: Equations
    kind: ClassVar[str] = "display"


@dataclass(frozen=True)
class Listing:
    """Code as a block."""

    text: str
    language: str
    label: str
    kind: ClassVar[str] = "listing"


Block = Paragraph | Notice | Points | Grid | Picture | Display | Listing


@dataclass(frozen=True)
class Section:
    """A heading, what stands beneath it, and sections within it."""

    title: str
    anchor: str
    blocks: tuple[Block, ...]
    within: tuple[Section, ...] = ()


@dataclass(frozen=True)
class Page:
    """A report."""

    title: str
    lead: tuple[Block, ...]
    sections: tuple[Section, ...]
    foot: str


def said(*pieces: Piece | Iterable[Piece]) -> Paragraph:
    """A paragraph of these; a list among them is read one by one."""
    flat: list[Piece] = []
    for piece in pieces:
        flat += [piece] if isinstance(piece, str | Mono) else list(piece)
    return Paragraph(tuple(flat))


def numbered(sections: Iterable[Section]) -> tuple[Section, ...]:
    """The same, with tables and pictures counted through the page."""
    counts: dict[str, int] = {}

    def of_block(block: Any) -> Any:
        if not isinstance(block, Grid | Picture):
            return block
        counts[block.kind] = counts.get(block.kind, 0) + 1
        return replace(block, number=counts[block.kind])

    def of_section(section: Section) -> Section:
        blocks = tuple(map(of_block, section.blocks))
        return replace(section, blocks=blocks, within=tuple(map(of_section, section.within)))

    return tuple(map(of_section, sections))
