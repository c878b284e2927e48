"""Tables as pandas keeps them: DataFrames that show all columns, say what they are, and write themselves."""

from __future__ import annotations

import html
import shutil
import textwrap
from abc import abstractmethod
from pathlib import Path
from typing import Any

import pandas as pd

from bayesmargins.errors import ResultError, shown
from bayesmargins.habits import taught
from bayesmargins.labelling import index_for_readers
from bayesmargins.tables import cells, notes, writing
from bayesmargins.tables.unchanged import MARKS, scale_said

__all__ = ["Summary", "Table", "made", "written_parts"]

FIGURE_SPACE = "\u2007"  # as wide as a digit, and not taken away where spaces are joined


class _Written(pd.DataFrame):
    """A DataFrame that prints whole, with a note beneath, and is written without packages beside pandas.

    What is selected, rounded or computed from it is a plain DataFrame.
    """

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    @abstractmethod
    def _as_shown(self, pad: str) -> pd.DataFrame:
        """As it is printed, numbers filled up with `pad` where they are narrower than others of their column."""

    @abstractmethod
    def _as_written(self) -> pd.DataFrame:
        """As it is written to a file."""

    def __repr__(self) -> str:
        width = shutil.get_terminal_size((10_000, 0)).columns  # text that goes to a file or a page is not folded
        table = self._as_shown(" ").to_string(line_width=width, **_rows(len(self)))
        above, beneath = (
            textwrap.fill(text, min(width, 100), break_on_hyphens=False)
            for text in (notes.caption(self), notes.note(self))
        )
        return f"{above}\n\n{table}\n\n{beneath}"

    def _repr_html_(self) -> str:
        above, beneath = (f"<p>{html.escape(text)}</p>" for text in (notes.caption(self), notes.note(self)))
        return f"{above}\n{self._as_shown(FIGURE_SPACE).to_html(**_rows(len(self)))}\n{beneath}"

    @taught
    def to_markdown(self, buf: Any = None, caption: str | None = None) -> str | None:
        """Write the table for Markdown: a pipe table, with a caption above and the estimand beneath.

        Parameters
        ----------
        buf : path or file, optional
            Where to; returned as text by default.
        caption : str, optional
            In place of the short one above the table, which then begins the note beneath. Plain text: what Markdown
            would take for markup is written out.

        Returns
        -------
        str or None

        Raises
        ------
        ResultError
            `buf` is neither a path nor a file; the caption is no text; no point estimate with an interval is left.

        Examples
        --------
        >>> print(summary(avg_predictions(post, by="trt")).to_markdown())
        Probability of yb, by trt, averaged over new groups of ID
        <BLANKLINE>
        | trt     |  median [89% ETI] |
        |:--------|------------------:|
        | placebo | 0.87 [0.79, 0.93] |
        ...
        """
        return _put(writing.markdown(*self._parts(caption)), buf)

    @taught
    def to_latex(self, buf: Any = None, caption: str | None = None, label: str | None = None) -> str | None:
        r"""Write the table for LaTeX: a table environment with rules of booktabs, the estimand beneath.

        Parameters
        ----------
        buf : path or file, optional
            Where to; returned as text by default.
        caption : str, optional
            In place of the short one, which then begins the note beneath the table. Plain text: what LaTeX would take
            for commands is written out.
        label : str, optional
            For ``\ref``, such as ``"tab:effect"``.

        Returns
        -------
        str or None

        Raises
        ------
        ResultError
            `buf` is neither a path nor a file; the caption is no text, or the label none that LaTeX takes; no point
            estimate with an interval is left.

        Examples
        --------
        >>> print(summary(avg_predictions(post)).to_latex())
        \begin{table}
        ...
        """
        return _put(writing.latex(*self._parts(caption), label=label), buf)

    @taught
    def to_html(self, buf: Any = None, caption: str | None = None) -> str | None:
        """Write the table for a web page, with a caption and the estimand in its foot.

        Parameters
        ----------
        buf : path or file, optional
            Where to; returned as text by default.
        caption : str, optional
            In place of the short one, which then begins the note in the foot of the table. Plain text: what HTML would
            take for tags is written out.

        Returns
        -------
        str or None

        Raises
        ------
        ResultError
            `buf` is neither a path nor a file; the caption is no text; no point estimate with an interval is left.

        Examples
        --------
        >>> print(summary(avg_predictions(post)).to_html())
        <table>
        ...
        """
        return _put(writing.html_table(*self._parts(caption)), buf)

    def to_great_tables(self) -> Any:
        """Give the table to the package great_tables, to be styled there.

        Returns
        -------
        great_tables.GT
            With a title, and the estimand as its source note.

        Raises
        ------
        ResultError
            great_tables is not installed; no point estimate with an interval is left.
        """
        try:
            from great_tables import GT
        except ImportError:
            raise ResultError(
                "to_great_tables() needs the package great_tables, which is not installed: "
                "pip install 'bayesmargins[tables]'. to_html(), to_latex() and to_markdown() need nothing."
            ) from None
        header, rows, _, note, caption = self._parts(None)
        return GT(pd.DataFrame(rows, columns=header)).tab_header(title=caption).tab_source_note(note)

    def _parts(self, caption: Any) -> tuple[list[str], list[list[str]], int, str, str]:
        """Header, rows, how many columns are labels, note, caption."""
        text = cells.in_line(self._as_written(), cells.scales_of(self), FIGURE_SPACE)
        labels, names = cells.labels(text.index), [str(name or "") for name in text.index.names]
        rows = [[*label, *map(str, row)] for label, row in zip(labels, text.to_numpy(), strict=True)]
        header, short, note = [*names, *map(str, text.columns)], notes.caption(self), notes.note(self)
        if _caption(caption) is not None:
            return header, rows, len(names), f"{short}. {note}", caption
        return header, rows, len(names), note, short


class Summary(_Written):
    """Numbers, from `bayesmargins.summary`."""

    def _as_shown(self, pad: str) -> pd.DataFrame:
        return cells.rounded(self, pad)

    def _as_written(self) -> pd.DataFrame:
        return cells.cells(self).set_axis(index_for_readers(self.index, self), axis=0)


class Table(_Written):
    """Cells of text, from `bayesmargins.table`."""

    def _as_shown(self, pad: str) -> pd.DataFrame:
        return cells.in_line(pd.DataFrame(self), cells.scales_of(self), pad)

    def _as_written(self) -> pd.DataFrame:
        return pd.DataFrame(self)


def made(text: pd.DataFrame, numbers: pd.DataFrame, caption: str, note: str) -> Table:
    """The table of these cells, made of a summary."""
    table = Table(text.set_axis(index_for_readers(text.index, numbers), axis=0))
    table.columns.name = scale_said(numbers)
    kept = {name: value for name, value in numbers.attrs.items() if name != MARKS}
    table.attrs = kept | {"caption": caption, "note": note}
    return table


def written_parts(frame: Any) -> tuple[list[str], list[list[str]], int, str, str]:
    """What a summary or table is written from: header, rows, how many columns are labels, note, caption."""
    parts: tuple[list[str], list[list[str]], int, str, str] = frame._parts(None)
    return parts


def _rows(n: int) -> dict[str, Any]:
    """How many rows are shown is pandas' own setting."""
    most = pd.get_option("display.max_rows")
    cut = bool(most) and n > most
    return {"max_rows": pd.get_option("display.min_rows") if cut else None, "show_dimensions": cut}


def _caption(caption: Any) -> str | None:
    if caption is not None and not (isinstance(caption, str) and caption.strip()):
        raise ResultError(f"caption={shown(caption)}; it must be text, or None for a short one.")
    return caption


def _put(text: str, buf: Any) -> str | None:
    if buf is None:
        return text
    if hasattr(buf, "write"):
        buf.write(text)
    elif isinstance(buf, str | Path):
        try:
            Path(buf).write_text(text + "\n", encoding="utf-8")
        except OSError as failure:
            raise ResultError(f"buf={shown(str(buf))} cannot be written: {failure.strerror}.") from failure
    else:
        raise ResultError(f"buf={shown(buf)}; it must be a path or an open file, or nothing for the text itself.")
    return None
