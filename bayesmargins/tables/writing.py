"""Cells of text as Markdown, LaTeX and HTML, with whatever these languages take for commands made plain."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any

from bayesmargins.errors import ResultError, shown

__all__ = ["html_table", "latex", "markdown", "markdown_text"]

Rows = Sequence[Sequence[str]]


def markdown(header: Sequence[str], rows: Rows, n_labels: int, note: str, caption: str) -> str:
    r"""A table as a pipe table: caption above, the first `n_labels` columns to the left, a note beneath.

    >>> print(markdown(["trt", "median"], [["a|b", "0.1"]], 1, "Posterior median.", "Probability"))
    Probability
    <BLANKLINE>
    | trt  | median |
    |:-----|-------:|
    | a\|b |    0.1 |
    <BLANKLINE>
    Posterior median.
    """
    lines = [[markdown_text(cell) for cell in line] for line in (header, *rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
    rule = [f":{'-' * (w + 1)}" if k < n_labels else f"{'-' * (w + 1)}:" for k, w in enumerate(widths)]
    padded = [
        "| "
        + " | ".join(c.ljust(w) if k < n_labels else c.rjust(w) for k, (c, w) in enumerate(_zip(line, widths)))
        + " |"
        for line in lines
    ]
    return "\n".join(
        [markdown_text(caption), "", padded[0], f"|{'|'.join(rule)}|", *padded[1:], "", markdown_text(note)]
    )


def latex(header: Sequence[str], rows: Rows, n_labels: int, note: str, caption: str, label: str | None = None) -> str:
    r"""The same in LaTeX, with the package booktabs; `label` has letters, digits and ``: - _ . +`` and ``/`` only.

    >>> print(latex(["trt", "median"], [["a_b", "-0.1"]], 1, "Posterior median.", "Probability"))
    \begin{table}
    \centering
    \caption{Probability}
    \begin{tabular}{lr}
    \toprule
    trt & median \\
    \midrule
    a\_b & $-$0.1 \\
    \bottomrule
    \end{tabular}
    \par\smallskip
    \begin{minipage}{0.95\linewidth}
    \footnotesize Posterior median.
    \end{minipage}
    \end{table}
    """
    body = [" & ".join(_latex(c) if k < n_labels else _numbers(_latex(c)) for k, c in enumerate(row)) for row in rows]
    # A bracket or star after the end of a row would be taken for its option.
    body = [f"{{}}{line}" if line[:1] in ("[", "*") else line for line in body]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_latex(caption)}}}",
            *([] if label is None else [rf"\label{{{_label(label)}}}"]),
            rf"\begin{{tabular}}{{{'l' * n_labels}{'r' * (len(header) - n_labels)}}}",
            r"\toprule",
            " & ".join(map(_latex, header)) + r" \\",
            r"\midrule",
            *(rf"{line} \\" for line in body),
            r"\bottomrule",
            r"\end{tabular}",
            *_beneath(note),
            r"\end{table}",
        ]
    )


def html_table(header: Sequence[str], rows: Rows, n_labels: int, note: str, caption: str) -> str:
    """The same on a web page; the note stands in the foot of the table.

    >>> print(html_table(["trt", "median"], [["a<b", "0.1"]], 1, "Posterior median.", "Probability"))
    <table>
    <caption>Probability</caption>
    <thead>
    <tr><th>trt</th><th style="text-align: right">median</th></tr>
    </thead>
    <tbody>
    <tr><th>a&lt;b</th><td style="text-align: right">0.1</td></tr>
    </tbody>
    <tfoot>
    <tr><td colspan="2">Posterior median.</td></tr>
    </tfoot>
    </table>
    """

    def line(texts: Sequence[str], tag: str) -> str:
        right = f'<{tag} style="text-align: right">'
        cells = [
            f"<th>{html.escape(t)}</th>" if k < n_labels else f"{right}{html.escape(t)}</{tag}>"
            for k, t in enumerate(texts)
        ]
        return f"<tr>{''.join(cells)}</tr>"

    head = [
        "<table>",
        f"<caption>{html.escape(caption)}</caption>",
        "<thead>",
        line(header, "th"),
        "</thead>",
        "<tbody>",
    ]
    foot = f'<tfoot>\n<tr><td colspan="{len(header)}">{html.escape(note)}</td></tr>\n</tfoot>'
    return "\n".join([*head, *(line(row, "td") for row in rows), "</tbody>", foot, "</table>"])


def _beneath(note: str) -> list[str]:
    return [
        r"\par\smallskip",
        r"\begin{minipage}{0.95\linewidth}",
        rf"\footnotesize {_latex(note)}",
        r"\end{minipage}",
    ]


def _label(label: Any) -> str:
    if not isinstance(label, str) or not re.fullmatch(r"[A-Za-z0-9:._+/-]+", label):
        raise ResultError(
            f"label={shown(label)}; a label of LaTeX is text of letters, digits and : - _ . + / only, such as "
            "'tab:effect'."
        )
    return label


def _zip(line: Sequence[str], widths: Sequence[int]) -> list[tuple[str, int]]:
    return list(zip(line, widths, strict=True))


def _one_line(text: str) -> str:
    """Without line breaks and indents; figure spaces align numbers and stay."""
    return re.sub(r"[^\S\u2007]+", " ", text).strip(" ")


def markdown_text(text: str) -> str:
    """Text in which nothing is taken for markup."""
    # Brackets make a link only before another bracket, so intervals are left as they are.
    escaped = re.sub(r"([\\`*_|<>~$&])", r"\\\1", _one_line(text))
    return re.sub(r"\](?=[(\[:])", r"\\]", escaped)


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "∞": r"$\infty$",
    "\u2007": r"\phantom{0}",
}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in _one_line(text))


def _numbers(text: str) -> str:
    """A hyphen before a number is its sign."""
    return re.sub(r"(?<![\w)])-(?=\d)", "$-$", text)
