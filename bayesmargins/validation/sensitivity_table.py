"""The table of `sensitivity`: a DataFrame that prints whole, with its sentence beneath."""

from __future__ import annotations

import html
import shutil
import textwrap

import pandas as pd

__all__ = ["Sensitivity"]


class Sensitivity(pd.DataFrame):
    """Numbers, from `bayesmargins.sensitivity`; what is selected or computed from it is a plain DataFrame."""

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    @property
    def sentence(self) -> str:
        """What they say."""
        return str(self.attrs.get("said", ""))

    @property
    def verdict(self) -> str:
        """Of that, what moves the entries."""
        return str(self.attrs.get("verdict", ""))

    def __repr__(self) -> str:
        width = shutil.get_terminal_size((10_000, 0)).columns  # text that goes to a file or a page is not folded
        note = textwrap.fill(self.sentence, min(width, 100), break_on_hyphens=False)
        return f"{pd.DataFrame(self).round(3).to_string()}\n\n{note}"

    def _repr_html_(self) -> str:
        return f"{pd.DataFrame(self).round(3).to_html()}\n<p>{html.escape(self.sentence)}</p>"
