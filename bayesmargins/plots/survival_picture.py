"""Survival curves, with the product-limit estimates of the data behind them and the numbers at risk beneath."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayesmargins.errors import ResultError, shown
from bayesmargins.estimands import avg_predictions
from bayesmargins.explained import PICTURE, QUESTION, explained
from bayesmargins.family.survival import survival
from bayesmargins.habits import taught
from bayesmargins.imputations import Imputed
from bayesmargins.labelling import worded
from bayesmargins.plots.axes_asked import (
    Rows,
    asked_on_rows,
    axis_values,
    first_of,
    fitted_rows,
    is_posterior,
    name_of,
    places_asked,
    refuse_rows,
)
from bayesmargins.plots.behind import Observed
from bayesmargins.plots.fitting_text import measured, short, small_letters
from bayesmargins.plots.over import draw
from bayesmargins.plots.panels import Panels
from bayesmargins.plots.picture_cells import Cells, words_given
from bayesmargins.plots.placement import Placement, place
from bayesmargins.plots.styles import MANY, Style, style_of
from bayesmargins.posterior import Posterior
from bayesmargins.schema import public_name
from bayesmargins.values import is_number, switch, value_list

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_survival", "product_limit"]

_POINTS, _FEWEST = 50, 15
_WORK = 6_000_000  # draws times rows times times
_TICKS = 6
_LINE = 1.25  # the height of a line of the table, in sizes of its text


@taught
@explained(QUESTION, PICTURE)
def plot_survival(
    ds: Posterior | Imputed | xr.Dataset,
    by: str | Mapping[str, Any] | None = None,
    *,
    times: Any = None,
    facet: str | Sequence[str] | None = None,
    data: bool = False,
    at_risk: bool | None = None,
    highlight: Any = None,
    newdata: Any = None,
    at: Mapping[str, Any] | None = None,
    groups: Any = None,
    group_weights: str | None = None,
    wts: Any = None,
    random_seed: int | None = None,
    point: str = "median",
    ci_prob: float | Sequence[float] | None = None,
    ci_kind: str | None = None,
    labels: Mapping[str, str] | None = None,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Axes | Figure:
    """Who is still waiting, from the beginning on?

    Parameters
    ----------
    ds : Posterior, Imputed or Dataset
        A posterior of waiting times: what `by` and `facet` name is set on all rows, and the probability of waiting
        longer is averaged over them within each draw. Or a result of ``target=survival([...])``.
    times : list of float, optional
        Of a posterior: where the curve is computed; by default 15 to 50 times (fewer, the more draws and rows) from 0
        to the longest that was observed, closer to each other at the beginning.
    data : bool
        Of a posterior: draws the Kaplan-Meier estimate of the rows of each curve, with ticks where rows are censored.
        It holds the rows as they are, where the curve sets `by` on all rows and averages.
    at_risk : bool, optional
        Writes beneath the axis how many rows of each curve were still observed just before the times of its ticks. By
        default wherever there are rows to count and no more than eight curves.

    Returns
    -------
    matplotlib Axes, or Figure where there are several panels
        With lines that begin at 1.

    Raises
    ------
    ResultError
        No result of survival, more columns than a picture has places, or data that are censored on the left or within
        intervals, which have no product-limit estimate.
    EstimandError, DataError, GroupsError
        Of a posterior: as `avg_predictions`.

    Examples
    --------
    >>> waits = from_draws("time | cens(censored) ~ sex + (1 | patient)", load_dataset("kidney"), family="weibull",
    ...                    beta=[[[4.0, 1.3], [4.1, 1.4]]], Sigma={"patient": [[[[0.2]], [[0.3]]]]},
    ...                    aux={"shape": [[1.1, 1.2]]})
    >>> plot_survival(waits, by="sex", data=True).get_xlabel()
    'time'
    """
    rows = Rows(newdata, at, groups, group_weights, None, wts, random_seed)
    data = switch("data", data, ResultError)
    at_risk = None if at_risk is None else switch("at_risk", at_risk, ResultError)
    how: dict[str, Any] = {"point": point, "ci_prob": ci_prob, "ci_kind": ci_kind, "labels": labels}
    there = {"ax": ax, "figsize": figsize, "highlight": highlight}
    if not is_posterior(ds):
        rows.refuse("plot_survival", {"data": data, "at_risk": at_risk, "times": times})
        cells = _of_survival(Cells.of(ds, **how))
        return _drawn(cells, place(cells, "time", name_of(by, "by"), facet), there, None, data=False, at_risk=False)
    one = first_of(ds)
    if not survival([1.0]).serves(one.family):
        raise ResultError(
            f"plot_survival draws waiting times, and family={one.family.name!r} has no probability of waiting longer: "
            "plot_predictions draws the expected response."
        )
    refuse_rows("plot_survival", ds, {"data": data, "at_risk": at_risk})
    axes = axis_values(one, None, places_asked(by, facet), rows)
    copies = int(np.prod([len(v) for v in axes.values()])) * len(fitted_rows(one, rows))
    at_times = _times(one, times, copies)
    how["labels"] = {"time": worded(one.response_name, one.labels), **words_given(labels)}
    asked = Rows(newdata, at, groups, group_weights, survival(at_times), wts, random_seed)
    cells = _of_survival(Cells.of(asked_on_rows(avg_predictions, ds, axes, asked), **how))
    colour = None if by is None else public_name(str(name_of(by, "by")))
    pair = facet if isinstance(facet, list | tuple) else [facet]
    panels = [public_name(str(name_of(one, "facet"))) for one in pair if one is not None]
    placement = place(cells, "time", colour, panels or None)
    drawn = ds is one and (newdata is None or data or at_risk)
    seen = _waits(one, axes, needed=data or bool(at_risk)) if drawn else None
    few = colour is None or len(cells.levels(colour)) <= MANY
    return _drawn(cells, placement, there, seen, data, (few and seen is not None) if at_risk is None else at_risk)


def _times(post: Posterior, times: Any, copies: int) -> list[float]:
    """Where the curve is computed, from 0."""
    if times is None:
        longest = float(np.max(_known_times(post)))
        n = int(np.clip(_WORK / (len(post.draws.beta) * max(copies, 1)), _FEWEST, _POINTS))
        return [float(t) for t in longest * np.linspace(0.0, 1.0, n) ** 1.5]
    given = value_list(times)
    if given is None or len(given) < 2 or not all(is_number(t) for t in given):
        raise ResultError(f"times={shown(times)}; a curve needs a list of several times, such as range(0, 365, 7).")
    survival(given)  # refuses what is no time
    return sorted({0.0, *(float(t) for t in given)})


def _known_times(post: Posterior) -> np.ndarray:
    response = post.design.response
    ends = [np.asarray(response.y, dtype=np.float64), np.asarray(response.beside.get("y2", []), dtype=np.float64)]
    known = np.concatenate(ends)
    return known[np.isfinite(known)]


def _of_survival(cells: Cells) -> Cells:
    """The entries, where they are probabilities of waiting along a time."""
    asked = (cells.about.target or "").startswith("survival(") and cells.about.kind == "predictions"
    if not asked or "time" not in cells.varies:
        raise ResultError(
            f"plot_survival draws probabilities of waiting over time, and this result is of {cells.scale}: it is made "
            "by avg_predictions(post, target=bm.survival([10, 20, 30])), with several times."
        )
    return cells


@dataclass(frozen=True)
class _Waits:
    """The rows of the fit: how long they were observed, and whether the wait ended then."""

    rows: Observed
    ended: np.ndarray

    def where(self, at: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        some = self.rows.where(at)
        return some.y, self.ended[some.columns.index]


def _waits(post: Posterior, axes: Mapping[str, Any], needed: bool) -> _Waits | None:
    """What was observed, or None where no product-limit estimate is and none was asked for."""
    response = post.design.response
    y = np.asarray(response.y, dtype=np.float64)
    cens = np.asarray(response.beside.get("cens", np.zeros(len(y))), dtype=np.float64)
    if set(response.given) - {"cens"} or not np.isin(cens, (0.0, 1.0)).all():
        if needed:
            raise ResultError(
                "data=True and at_risk=True count rows that ended or are censored on the right, and "
                f"{post.formula!r} says more of its rows: leave both out."
            )
        return None
    frame = post.design.data.reset_index(drop=True)
    columns = frame.rename(columns={str(c): public_name(str(c)) for c in frame.columns})
    rows = Observed(columns, y, np.ones(len(y)), shares=False)
    return _Waits(rows.nearest({"": [], **axes}), cens == 0.0)


def product_limit(times: np.ndarray, ended: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The Kaplan-Meier estimate: times of events, from 0, and the share that waits after each."""
    at, events = np.unique(times[ended], return_counts=True)
    at_risk = len(times) - np.searchsorted(np.sort(times), at, side="left")
    return np.r_[0.0, at], np.r_[1.0, np.cumprod(1.0 - events / at_risk)]


def _drawn(
    cells: Cells, placement: Placement, there: Mapping[str, Any], seen: _Waits | None, data: bool, at_risk: bool
) -> Axes | Figure:
    def behind(
        ax: Axes, at: Mapping[str, Any], placement: Placement, levels: Any, style: Style, place: tuple[int, int]
    ) -> None:
        if seen is not None:
            _steps(ax, *seen.where(at), style)

    def beneath(panels: Panels) -> None:
        for ax, _ in panels.axes:
            ax.set_xlim(0.0, float(cells.columns["time"].max()))
            ax.set_ylim(0.0, 1.03)
        if at_risk and seen is not None:
            _table(panels, cells, placement, seen)

    said = "steps: Kaplan-Meier estimate of the data, | censored" if data else ""
    more: dict[str, Any] = {"said": said, "y": "probability of waiting longer", "beneath": beneath}
    return draw(cells, placement, **there, behind=behind if data else None, **more)


def _steps(ax: Axes, times: np.ndarray, ended: np.ndarray, style: Style) -> None:
    """Shares that wait, up to the last time that was observed."""
    if not len(times):
        return
    at, share = product_limit(times, ended)
    look: dict[str, Any] = {"color": style.colour, "linewidth": 0.8, "alpha": 0.8, "zorder": 1.5}
    ax.step(np.r_[at, times.max()], np.r_[share, share[-1]], where="post", **look)
    censored = np.unique(times[~ended])
    heights = share[np.searchsorted(at, censored, side="right") - 1]
    ax.plot(censored, heights, "|", markersize=5, **look)


def _table(panels: Panels, cells: Cells, placement: Placement, seen: _Waits) -> None:
    """Rows still observed just before each tick of the axis, a line for each curve, beneath the name of the axis."""
    from matplotlib.ticker import FixedLocator, MaxNLocator

    measured(panels.figure)
    size = small_letters(panels.figure)
    curves = [None] if placement.colour is None else cells.levels(placement.colour)
    last = float(cells.columns["time"].max())
    for k, (ax, at) in enumerate(panels.axes):
        wide = 72 * ax.get_window_extent().width / ax.figure.dpi
        most = int(np.clip(wide / (4.5 * size), 2, _TICKS))
        ticks = [t for t in MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(0.0, last) if 0.0 <= t <= last]
        ax.xaxis.set_major_locator(FixedLocator(ticks))
        first = k % panels.columns == 0
        _line(ax, 0, size, ["number at risk"] if first else [], [0.0], "0.35", heading=True)
        for line, value in enumerate(curves):
            times, _ = seen.where(at if value is None else at | {str(placement.colour): value})
            counts = [str(int((times >= t).sum())) for t in ticks]
            colour = style_of(line).colour if len(curves) > 1 else "black"
            _line(ax, line + 1, size, counts, ticks, colour)
            if first and value is not None:
                _name(ax, line + 1, size, short(value), colour)
    panels.beneath = (len(curves) + 1) * _LINE * size


def _line(
    ax: Axes, line: int, size: float, texts: Sequence[str], at: Sequence[float], colour: str, heading: bool = False
) -> None:
    look: dict[str, Any] = {"fontsize": size, "color": colour, "va": "top", "ha": "left" if heading else "center"}
    for text, x in zip(texts, at, strict=False):
        where: dict[str, Any] = {"xycoords": ("data", ax.xaxis.label), "textcoords": "offset points"}
        ax.annotate(text, (x, 0.0), (0.0, -3 - line * _LINE * size), **where, annotation_clip=False, **look)


def _name(ax: Axes, line: int, size: float, text: str, colour: str) -> None:
    where: dict[str, Any] = {"xycoords": ("axes fraction", ax.xaxis.label), "textcoords": "offset points"}
    look: dict[str, Any] = {"fontsize": size, "color": colour, "va": "top", "ha": "right"}
    ax.annotate(text, (0.0, 0.0), (-2.2 * size, -3 - line * _LINE * size), **where, annotation_clip=False, **look)
