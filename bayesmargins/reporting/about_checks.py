"""Whether the model fits the data, and what it says of groups that it has not seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bayesmargins.errors import BayesmarginsError
from bayesmargins.plots import plot_check
from bayesmargins.posterior import Posterior
from bayesmargins.reporting.drawing import drawn
from bayesmargins.reporting.page_blocks import Block, Grid, Notice, Picture, Section, said
from bayesmargins.reporting.wording import signed
from bayesmargins.validation import check
from bayesmargins.validation import logo as leave_out

__all__ = ["Checked", "checks_of", "checks_section"]


class Checked:
    """The checks of a posterior, or why there are none."""

    def __init__(self, check: Any = None, why: str = "", logo: Any = None, no_logo: str = "") -> None:
        self.check, self.why, self.logo, self.no_logo = check, why, logo, no_logo

    @property
    def findings(self) -> list[str]:
        """What does not fit; empty where nothing was found, or nothing was checked."""
        return [] if self.check is None else list(self.check.findings)


def checks_of(post: Posterior, random_seed: int | None, logo: bool) -> Checked:
    """Checks are made once, for their section and for the paragraphs."""
    found = Checked()
    if post.caveat:
        found.why = f"There is nothing to check by new observations: these are numbers {post.caveat}."
        return found
    try:
        found.check = check(post, random_seed=random_seed)
    except BayesmarginsError as error:
        found.why = str(error)
    if logo:
        try:
            found.logo = leave_out(post)
        except BayesmarginsError as error:
            found.no_logo = str(error)
    return found


def checks_section(checked: Checked) -> Section:
    """What was found, the statistics as a table, and their picture."""
    return Section("Checks", "checks", tuple(_blocks(checked)))


def _blocks(checked: Checked) -> Iterator[Block]:
    if checked.check is None:
        yield said(f"Not made. {checked.why}")
    else:
        yield from _check(checked.check)
    if checked.logo is not None:
        yield from (said(line) for line in str(checked.logo).split("\n\n") if line.strip())
    if checked.no_logo:
        yield said(f"Groups were not left out one by one. {checked.no_logo}")


def _check(made: Any) -> Iterator[Block]:
    """What is printed, findings set apart; the picture; the table."""
    for line in made.sentences.splitlines():
        finding = line.removeprefix("- ")
        yield said(line) if finding == line else Notice((finding,))
    try:
        svg = drawn(lambda: plot_check(made))
    except BayesmarginsError:
        pass
    else:
        alt = "Pictures of observed values against those that the model predicts; the table has the numbers."
        yield Picture(svg, alt, "Observed against predicted.")
    yield _grid(made.table)


def _grid(table: Any) -> Grid:
    """A row a statistic; which of them are findings is said above."""
    shown = table.drop(columns="finding", errors="ignore")
    rows = [[signed(_cell(value)) for value in row] for row in shown.to_numpy(dtype=object)]
    labels = sum(not isinstance(value, float) for value in shown.to_numpy(dtype=object)[0]) if len(shown) else 1
    return Grid("Statistics, observed and predicted", [str(c) for c in shown.columns], rows, labels)


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
