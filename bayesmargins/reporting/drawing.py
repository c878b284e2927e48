"""Pictures of a page as SVG: text stays text, nothing is fetched, and two of them share no names."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

__all__ = ["drawn", "within_page"]

_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bayesmargins",  # the same numbers make the same file
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}
_HEAD = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_ID = re.compile(r'\bid="([^"]+)"')
_SIZE = re.compile(r'(<svg\b[^>]*?)\s+width="([\d.]+)pt"\s+height="[\d.]+pt"')
_NARROWEST = 0.62  # of the width in which it was drawn


def drawn(draw: Callable[[], Any]) -> str:
    """What a function draws, as an SVG file; the figures that it opens are closed."""
    import matplotlib.pyplot as plt

    with _quiet(), plt.rc_context(_SETTINGS):
        before = set(plt.get_fignums())
        try:
            made = draw()
            figure = getattr(made, "figure", None) or made
            buffer = io.StringIO()
            figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)
    return _METADATA.sub("", buffer.getvalue(), count=1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Browsers have letters that the fonts of matplotlib lack."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        warnings.filterwarnings("ignore", "Matplotlib currently does not support", UserWarning)
        yield


def within_page(svg: str, name: str, alt: str) -> str:
    """An element of a page: without the head of a file, its names begin with that of the picture, its size is free."""
    seen: dict[str, int] = {}

    def once(found: re.Match[str]) -> str:  # panels of a picture have parts of the same name, which nothing refers to
        seen[found[1]] = n = seen.get(found[1], 0) + 1
        return found[0] if n == 1 else f'id="{found[1]}-{n}"'

    text = _ID.sub(once, _HEAD.sub("", svg, count=1))
    for own in sorted(set(_ID.findall(text)), key=len, reverse=True):
        text = text.replace(f'id="{own}"', f'id="{name}-{own}"')
        text = text.replace(f"url(#{own})", f"url(#{name}-{own})").replace(f'"#{own}"', f'"#{name}-{own}"')
    return _SIZE.sub(lambda m: f'{m[1]} role="img" aria-label="{escape(alt)}"{_size(float(m[2]))}', text, count=1)


def _size(points: float) -> str:
    """As wide as it was drawn, or narrower; on small screens its box scrolls before its type is too small to read."""
    natural = points * 96 / 72
    return f' style="max-width: {natural:.0f}px; min-width: {_NARROWEST * natural:.0f}px"'
