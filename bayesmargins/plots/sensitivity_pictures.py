"""What prior and likelihood move: each entry on a map of both, or its interval under powers of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import PosteriorError, ResultError, shown
from bayesmargins.explained import PICTURE, explained
from bayesmargins.habits import taught
from bayesmargins.plots.fitting_text import measured, short, small_letters, spread_apart
from bayesmargins.plots.listing import Listing, furnish
from bayesmargins.plots.marks import POINT, axis_of_ratios, bars, dodge, null_line
from bayesmargins.plots.panels import Panels, new_figure
from bayesmargins.plots.picture_cells import Cells
from bayesmargins.plots.side_by_side import RESULT, together
from bayesmargins.plots.styles import COLOURS, GREY, Style, style_of
from bayesmargins.posterior import Posterior
from bayesmargins.tables.arguments import interval_of
from bayesmargins.validation.powers import POWERS, Raised, raised_draws, weighed_quantiles
from bayesmargins.validation.sensitivity import CONFLICT, THRESHOLD, WEAK, sensitivity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_sensitivity"]

_COLUMNS = ("prior", "likelihood", "diagnosis")
_FEW = 14  # entries that have names on the map
_LEAST = 0.1  # both axes reach at least so far
_KINDS = {CONFLICT: (COLOURS[1], "s"), WEAK: (COLOURS[3], "D")}
_QUIET = (COLOURS[0], "o")
_STYLES = dict(zip(POWERS, (style_of(0), Style("black", marker="o"), style_of(2)), strict=True))


@taught
@explained(PICTURE)
def plot_sensitivity(
    ds: xr.Dataset | pd.DataFrame,
    post: Posterior | None = None,
    *,
    prior: str | Sequence[str] | None = None,
    ci_prob: float | None = None,
    labels: Mapping[str, str] | None = None,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Axes | Figure:
    """Would another prior, or more data, move this effect? A map, or the intervals that would be seen.

    Parameters
    ----------
    ds : Dataset or DataFrame
        A result, with its posterior: the interval of each entry as it is and with the prior, or the likelihood, raised
        to the powers 0.8 and 1.25. Or what `sensitivity` returned, or rows of it: how far the prior moves each entry
        against how far the likelihood does.
    post : Posterior, optional
        That the result is of: of `GLMM.fit` in this session, because draws of other software and of files come without
        their priors. Beside a table there is none.
    prior : str or list of str, optional
        Of a result: which priors are made stronger and weaker, by the names of ``post.log_prior()``: ``"sd_id"``. All
        together by default.
    ci_prob : float, optional
        Of a result: probability of the equal-tailed intervals, whose points are medians; ArviZ's setting (0.89) by
        default.
    labels : dict of str, optional
        Of a result: words for columns, ``{"trt": "treatment"}``, in place of those of `label`.
    ax : matplotlib Axes, optional
        Of a table: drawn on, in place of a new one.

    Returns
    -------
    matplotlib Axes of a table, Figure of a result
        On the map, entries to the right of the line at 0.05 depend on the prior; above the line the likelihood moves
        them too. Up to 14 entries are named, of more those that have a diagnosis. In the other picture each row is an
        entry: bars that lie apart at the left say that the prior moves it. The line beneath says what `sensitivity`
        found, and where the weights of a power are not to be trusted.

    Raises
    ------
    ResultError
        No result and no table of `sensitivity`; an argument that is not for what was given.
    PosteriorError
        As `sensitivity`.

    References
    ----------
    Kallioinen, Paananen, Bürkner and Vehtari (2024), "Detecting and diagnosing prior and likelihood sensitivity with
    power-scaling", Statistics and Computing 34, 57.

    Examples
    --------
    >>> model = bm.GLMM("Reaction ~ Days + (1 | Subject)", bm.load_dataset("sleepstudy"))
    >>> post = model.fit(sampler="independent", random_seed=1, progressbar=False)
    >>> ds = bm.avg_slopes(post, "Days")
    >>> bm.plot_sensitivity(bm.sensitivity(ds, post)).get_xlabel()
    'moved by the prior'
    >>> [ax.get_title(loc="left") for ax in bm.plot_sensitivity(ds, post).axes]
    ['raised to a power: prior', 'raised to a power: likelihood']
    """
    if isinstance(ds, pd.DataFrame):
        _refuse("a table of sensitivity", {"post": post, "prior": prior, "ci_prob": ci_prob, "labels": labels})
        return _map(_table(ds), ax, figsize)
    if post is None:
        raise PosteriorError(
            "plot_sensitivity draws a result with its posterior, plot_sensitivity(ds, post), or what sensitivity(ds, "
            "post) returned."
        )
    _refuse("a result, which has two panels", {"ax": ax})
    return _powers(ds, post, prior, interval_of(ci_prob, "eti")[0], labels, figsize)


def _refuse(beside: str, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if value is not None:
            raise ResultError(f"plot_sensitivity takes no {name}= beside {beside}, got {shown(value)}. Leave it out.")


def _table(frame: pd.DataFrame) -> pd.DataFrame:
    if not len(frame) or not set(_COLUMNS) <= set(frame.columns):
        raise ResultError(
            f"plot_sensitivity draws what bm.sensitivity(ds, post) returned, or rows of it; this table has "
            f"{len(frame)} rows and the columns {shown(list(frame.columns))}."
        )
    return frame


def _map(table: pd.DataFrame, ax: Any, figsize: Any) -> Axes | Figure:
    if ax is None:
        figure, grid = new_figure(figsize, (6.4, 4.8))
        panels = Panels(figure, [(grid[0, 0], {})], True)
    else:
        panels = Panels.of(Cells, ax=ax, figsize=figsize)  # type: ignore[arg-type]  # one Axes asks for no cells
    axes = panels.axes[0][0]
    drawn = table[np.isfinite(table["prior"]) & np.isfinite(table["likelihood"])]
    for kind in dict.fromkeys(drawn["diagnosis"]):
        some, (colour, marker) = drawn[drawn["diagnosis"] == kind], _KINDS.get(kind, _QUIET)
        axes.plot(some["prior"], some["likelihood"], marker, color=colour, markersize=5, gid=POINT, clip_on=False)
    reach = [max(_LEAST, 1.12 * float(drawn[name].max() if len(drawn) else 0.0)) for name in ("prior", "likelihood")]
    axes.set(xlim=(0.0, reach[0]), ylim=(0.0, reach[1]))
    _regions(panels, axes)
    panels.label("moved by the prior", "moved by the likelihood")
    named = drawn if len(drawn) <= _FEW else drawn[drawn["diagnosis"].isin([*_KINDS])]
    named = named if len(named) <= _FEW else named.iloc[:0]
    unnamed = f"{len(named)} of {len(drawn)} entries are named" if len(named) < len(drawn) else ""
    fixed = f"not drawn: {len(table) - len(drawn)} that do not vary" if len(drawn) < len(table) else ""
    per = "distance of distributions per doubling of the power"
    verdict = str(getattr(table, "verdict", ""))
    panels.caption("\n".join(["; ".join(s for s in (per, unnamed, fixed) if s), *([verdict] if verdict else [])]))
    finished = panels.finished()
    _name(axes, named, small_letters(panels.figure), _names_of(table).loc[named.index] if len(named) else [])
    return finished


def _regions(panels: Panels, ax: Axes) -> None:
    """The thresholds, and what it means to lie beyond them."""
    ax.axvspan(THRESHOLD, ax.get_xlim()[1], color=GREY, alpha=0.1, linewidth=0, zorder=0)
    ax.axvline(THRESHOLD, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    ax.plot([THRESHOLD, ax.get_xlim()[1]], [THRESHOLD] * 2, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    right = ax.get_xlim()[1]
    places = {CONFLICT: (right, ax.get_ylim()[1]), WEAK: (right, THRESHOLD)}
    look: dict[str, Any] = {"fontsize": small_letters(panels.figure), "color": "0.3", "style": "italic"}
    for name, place in places.items():
        ax.annotate(name, place, (-3, -3), textcoords="offset points", ha="right", va="top", **look)
    look |= {"ha": "right", "va": "top", "rotation": 90}  # the strip may be narrow
    ax.annotate("the prior matters little", (THRESHOLD, ax.get_ylim()[1]), (-3, -3), textcoords="offset points", **look)


def _names_of(table: pd.DataFrame) -> pd.Series:
    """What tells the rows apart; numbers after the name of their column."""
    index = table.index
    levels = [index.get_level_values(k) for k in range(index.nlevels)]
    several = [level for level in levels if level.nunique() > 1] or levels[-1:]
    said = [[short(v) if isinstance(v, str) else f"{level.name} {short(v)}" for v in level] for level in several]
    return pd.Series([", ".join(row) for row in zip(*said, strict=True)], index)


def _name(ax: Axes, entries: pd.DataFrame, size: float, names: Sequence[str]) -> None:
    """Names beside the points, spread apart, a line to each; the picture is laid out by now."""
    if not len(entries):
        return
    measured(ax.figure)  # type: ignore[arg-type]
    at = ax.transData.transform(entries[["prior", "likelihood"]].to_numpy())
    box, line = ax.get_window_extent(), 1.25 * size * ax.figure.dpi / 72  # type: ignore[union-attr]
    moved = spread_apart(at[:, 1], line, box.y0 + line / 2, box.y1 - 1.7 * line)
    for (x, y), to, name in zip(at, at[:, 1] if moved is None else moved, names, strict=True):
        left = x > box.x0 + 0.6 * box.width
        ax.annotate(
            name,
            tuple(ax.transData.inverted().transform((x, y))),
            ((-14 if left else 14), (to - y) * 72 / ax.figure.dpi),  # type: ignore[union-attr]
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize=size,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3},
        )


def _powers(ds: xr.Dataset, post: Posterior, prior: Any, prob: float, labels: Any, figsize: Any) -> Axes | Figure:
    table, raised = sensitivity(ds, post, prior), raised_draws(ds, post, prior)
    cells = Cells.of(ds, "median", prob, "eti", labels)
    both = together(list(raised), [cells] * len(raised))
    named = replace(both, names={**both.names, RESULT: "raised to a power"})
    listing = Listing.of(cells, headings=None)
    width, height = listing.size(0.5, 6.7)
    panels = Panels.of(named, across=RESULT, figsize=figsize, usual=(width, height + 0.5))
    for ax, which in panels.axes:
        powers = raised[which[RESULT]]
        for k, of in enumerate(powers):
            at, style = listing.at + dodge(k, len(powers)), _STYLES[of.power]
            bars(ax, at, _under(cells, of, prob), style, f"{of.power:g}", flat=True)
        axis_of_ratios(ax, cells, "x")
        null_line(ax, cells.null, "x")
    verdict = str(table.attrs["verdict"])
    said = ["by weights of the draws", *_doubtful(raised), verdict[0].lower() + verdict[1:]]
    return furnish(panels, listing, cells, said, "power")


def _under(cells: Cells, raised: Raised, prob: float) -> Cells:
    """The entries as they would be under a power."""
    if raised.power == 1.0:
        return cells
    tail = (1.0 - prob) / 2
    lower, point, upper = weighed_quantiles(cells.draws, raised.weights, np.array([tail, 0.5, 1.0 - tail]))
    return replace(cells, point=point, limits=((lower, upper),))


def _doubtful(raised: Mapping[str, Sequence[Raised]]) -> list[str]:
    bad = [
        f"{of.power:g} of the {name} (k-hat {of.khat:.1f})"
        for name, powers in raised.items()
        for of in powers
        if not of.good
    ]
    return [f"not to be trusted: the power {' and '.join(bad)}"] if bad else []
