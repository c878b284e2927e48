"""What stands behind the curves: the data themselves, means of groups, and the fitted groups' own curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesmargins.design import require_columns
from bayesmargins.errors import ResultError, close_matches, listed, shown
from bayesmargins.estimands import avg_predictions
from bayesmargins.labelling import worded
from bayesmargins.plots.axes_asked import Rows, fitted_rows, set_on_rows
from bayesmargins.plots.marks import dodge
from bayesmargins.plots.picture_cells import Cells, all_columns
from bayesmargins.plots.placement import Placement
from bayesmargins.plots.styles import Style
from bayesmargins.posterior import Posterior
from bayesmargins.schema import public_name
from bayesmargins.values import is_word, plain, switch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Backdrop", "Observed", "binned", "circles", "group_curves", "observed"]

_BINS = 10
_DISTINCT = 12  # a number with no more values needs no bins
_CURVES = 100  # of groups; more of them are one grey area
_TOGETHER = 2**24  # draws of curves that are held in memory at once: 128 MB
_AREA = 90.0  # of the largest circle, points squared


@dataclass(frozen=True)
class Backdrop:
    """What is drawn beneath one curve, before it."""

    rows: Observed | None  # the data
    points: bool  # whether they are drawn themselves
    means: str | None  # the factor whose groups' means are drawn
    lines: pd.DataFrame | None  # the groups' own curves
    said: str  # what is drawn, in words

    @classmethod
    def of(
        cls, post: Posterior, cells: Cells, axes: Mapping[str, Any], rows: Rows, data: Any, means: Any, curves: Any
    ) -> Backdrop | None:
        """What was asked for, or None where nothing was."""
        data = switch("data", data, ResultError)
        means = None if means is None else check_factor(post, means, "means")
        curves = None if curves is None else check_factor(post, curves, "curves")
        seen = observed(post, cells).nearest(axes) if data or means else None
        lines, said = group_curves(post, axes, rows, curves) if curves else (None, "")
        told = [
            said,
            _data_said(seen) if data and seen else "",
            f"small circles: means of {worded(means, post.labels)}" if means else "",
        ]
        if seen is None and lines is None:
            return None
        return cls(seen, data, means, lines, "; ".join(t for t in told if t))

    def draw(
        self,
        ax: Axes,
        at: Mapping[str, Any],
        placement: Placement,
        levels: list[Any] | None,
        style: Style,
        place: tuple[int, int],
    ) -> None:
        """Beneath the curve of these values of colour and panel."""
        if self.lines is not None:
            _draw_lines(ax, self.lines, at, placement, levels, style)
        if self.rows is None:
            return
        some = self.rows.where(at)
        if self.points:
            draw_observed(ax, some, placement, levels, style, place)
        if self.means:
            draw_means(ax, some, self.means, placement, style)


def _data_said(rows: Observed) -> str:
    return "circles: observed shares" if rows.shares else "points: the data"


def _draw_lines(
    ax: Axes,
    lines: pd.DataFrame,
    at: Mapping[str, Any],
    placement: Placement,
    levels: list[Any] | None,
    style: Style,
) -> None:
    for column, value in at.items():
        lines = lines[(lines[column] == value).to_numpy()]
    groups = max(lines["group"].nunique(), 1)
    width, alpha = float(np.clip(25 / groups, 0.35, 0.8)), float(np.clip(8 / groups, 0.2, 0.5))  # each is seen
    for _, one in lines.groupby("group", sort=False):
        x = one[placement.x] if levels is None else one[placement.x].map({v: i for i, v in enumerate(levels)})
        order = np.argsort(x.to_numpy(dtype=np.float64), kind="stable")
        look: dict[str, Any] = {"color": style.colour, "linewidth": width, "alpha": alpha, "zorder": 1}
        marks: dict[str, Any] = {"linestyle": "none", "marker": "_"} if levels is not None else {}
        ax.plot(x.to_numpy(dtype=np.float64)[order], one["point"].to_numpy()[order], **look, **marks)


@dataclass(frozen=True)
class Observed:
    """The fitted rows beside a prediction: y on its scale."""

    columns: pd.DataFrame  # (row, column): by their names in the result
    y: np.ndarray  # (row,): the response; successes as shares
    size: np.ndarray  # (row,): how many observations a row is
    shares: bool  # whether y is 0 or 1, or a share of trials

    def nearest(self, axes: Mapping[str, Any]) -> Observed:
        """Numbers that were set to a few values count for the nearest one, unless they run along the axis."""
        columns = self.columns.copy()
        for name, values in list(axes.items())[1:]:
            column = public_name(name)
            if column in columns and pd.api.types.is_numeric_dtype(columns[column].dtype):
                set_to = np.array(values, dtype=np.float64)
                away = np.abs(columns[column].to_numpy(dtype=np.float64)[:, None] - set_to)
                columns[column] = np.array(values)[away.argmin(axis=1)]
        return Observed(columns, self.y, self.size, self.shares)

    def where(self, values: Mapping[str, Any]) -> Observed:
        """Rows with these values; a column that the data lack tells none apart."""
        keep = np.ones(len(self.y), dtype=bool)
        for column, value in values.items():
            if column in self.columns:
                keep &= (self.columns[column] == value).to_numpy()
        return Observed(self.columns[keep], self.y[keep], self.size[keep], self.shares)


def observed(post: Posterior, cells: Cells) -> Observed:
    """The rows of the fit, as far as they can stand beside these predictions."""
    target, response = (cells.about.target or "mean"), post.design.response
    beside = set(response.given)
    if target not in ("mean", "count", "category") or cells.about.kind != "predictions":
        raise ResultError(
            f"data=True draws y, and this picture shows {cells.scale}: leave data out, or draw target='mean'."
        )
    partly = sorted(beside & {"cens", "lb", "ub"})
    if partly:
        raise ResultError(
            f"data=True draws y, and here y is known in part only ({response.text}): leave data out. "
            "plot_survival shows what was observed of waiting times."
        )
    frame = post.design.data
    columns = pd.DataFrame({public_name(str(c)): plain(frame[c]) for c in frame.columns})
    y, n = np.asarray(response.y, dtype=np.float64), response.n
    size = np.ones(len(y)) if n is None or target == "count" else np.asarray(n, dtype=np.float64)
    if (counts := response.beside.get("counts")) is not None:
        return _of_counts(columns, counts, list(post.categories), target == "count")
    if target == "category":
        return _of_categories(columns, y, list(post.categories))
    y = y if n is None or target == "count" else y / n
    return Observed(columns, y, size, (n is not None and target == "mean") or bool(np.isin(y, (0.0, 1.0)).all()))


def _of_categories(columns: pd.DataFrame, y: np.ndarray, categories: list[Any]) -> Observed:
    """Every row once for each category: whether it is the one."""
    k = len(categories)
    tiled = pd.concat([columns.assign(category=c) for c in categories], ignore_index=True)
    ones = np.concatenate([(y == j + 1).astype(np.float64) for j in range(k)])
    return Observed(tiled, ones, np.ones(len(ones)), True)


def _of_counts(columns: pd.DataFrame, counts: np.ndarray, categories: list[Any], whole: bool) -> Observed:
    """Every row once for each category: how often it was seen, or which share that is."""
    tiled = pd.concat([columns.assign(category=c) for c in categories], ignore_index=True)
    total = counts.sum(axis=1)
    y = counts if whole else counts / total[:, None]
    size = np.ones(counts.size) if whole else np.tile(total, len(categories))
    return Observed(tiled, y.T.ravel(), size.astype(np.float64), not whole)


def draw_observed(
    ax: Axes, rows: Observed, placement: Placement, levels: list[Any] | None, style: Style, place: tuple[int, int]
) -> None:
    """The rows of one curve: y itself, or shares of bins with a rug of the 0 and 1 at the borders."""
    if placement.x not in rows.columns or not len(rows.y):
        return
    x = rows.columns[placement.x]
    if levels is not None:
        codes = x.map({v: i for i, v in enumerate(levels)}).to_numpy(dtype=np.float64)
        at = codes + dodge(*place)
        circles(ax, binned(at, rows), style) if rows.shares else _spread(ax, at, rows.y, style)
        return
    values = x.to_numpy(dtype=np.float64)
    if not rows.shares:
        ax.scatter(values, rows.y, s=9, color=style.colour, alpha=_faint(len(values)), linewidths=0, zorder=1)
        return
    circles(ax, binned(values, rows), style)
    if set(np.unique(rows.y)) <= {0.0, 1.0} and (rows.size == 1).all():
        for border, of in ((0.0, 0.0), (1.0, 1.0)):
            at = values[rows.y == of]
            ax.plot(at, np.full(len(at), border), "|", transform=ax.get_xaxis_transform(), color=style.colour,
                    alpha=_faint(len(at)), markersize=7, clip_on=False, zorder=1)  # fmt: skip


def _faint(n: int) -> float:
    return float(np.clip(30 / max(n, 1), 0.12, 0.6))


def binned(x: np.ndarray, rows: Observed) -> pd.DataFrame:
    """Mean x, share and number of observations; a bin holds as many observations as another."""
    known = np.isfinite(x) & np.isfinite(rows.y)
    frame = pd.DataFrame({"x": x, "n": rows.size, "ones": rows.y * rows.size})[known]
    distinct = frame["x"].nunique() <= _DISTINCT
    bins = frame["x"] if distinct else pd.qcut(frame["x"], _BINS, duplicates="drop")
    sums = frame.assign(x=frame["x"] * frame["n"]).groupby(bins, observed=True)[["x", "n", "ones"]].sum()
    return pd.DataFrame({"x": sums["x"] / sums["n"], "y": sums["ones"] / sums["n"], "n": sums["n"]})


def circles(ax: Axes, bins: pd.DataFrame, style: Style, width: float = 0.9, zorder: float = 1.5) -> None:
    """Circles whose areas grow with the number of observations."""
    area = _AREA * bins["n"] / max(bins["n"].max(), 1.0)
    ax.scatter(bins["x"], bins["y"], s=np.maximum(area, 6.0), facecolors="none", edgecolors=style.colour,
               linewidths=width, alpha=0.8, zorder=zorder)  # fmt: skip


def _spread(ax: Axes, at: np.ndarray, y: np.ndarray, style: Style) -> None:
    """Points beside each other, in the same places every time."""
    shift = (np.arange(len(y)) * 0.6180339887498949 % 1.0 - 0.5) * 0.16
    ax.scatter(at + shift, y, s=9, color=style.colour, alpha=_faint(len(y)), linewidths=0, zorder=1)


def draw_means(ax: Axes, rows: Observed, factor: str, placement: Placement, style: Style) -> None:
    """The mean of each group's rows, at its mean x."""
    if factor not in rows.columns or placement.x not in rows.columns or not len(rows.y):
        return
    x = pd.to_numeric(rows.columns[placement.x], errors="coerce")
    frame = pd.DataFrame({"g": rows.columns[factor], "n": rows.size, "x": x * rows.size, "y": rows.y * rows.size})
    sums = frame.groupby("g", observed=True)[["n", "x", "y"]].sum()
    ax.scatter(sums["x"] / sums["n"], sums["y"] / sums["n"], s=14, facecolors="none", edgecolors=style.colour,
               linewidths=0.7, alpha=0.6, zorder=1.5)  # fmt: skip


def check_factor(post: Posterior, factor: Any, what: str) -> str:
    """The grouping factor that was named."""
    factors = list(post.design.factors)
    if not is_word(factor, factors):
        raise ResultError(
            f"{what}={shown(factor)}; it must be a grouping factor of the model: {listed(factors)}."
            f"{close_matches(factor, factors)}"
        )
    return str(factor)


def group_curves(post: Posterior, axes: Mapping[str, Any], rows: Rows, factor: str) -> tuple[pd.DataFrame, str]:
    """The fitted groups' own curves, medians over draws, each over its own rows; and which groups, in words.

    Columns are those of the axes, the factor, ``point``.
    """
    frame, of = fitted_rows(post, rows), post.design.factors[factor]
    require_columns(frame, of.columns, "newdata", f"curves={factor!r}")
    labels = of.labels(frame)
    every = list(dict.fromkeys(labels))
    chosen = [every[i] for i in np.unique(np.linspace(0, len(every) - 1, min(len(every), _CURVES)).astype(int))]
    policy = {f: "own" if f == factor else _others(rows.groups, f) for f in post.design.factors}
    cells = int(np.prod([len(v) for v in axes.values()])) * len(post.draws.beta)
    found, together = [], max(1, _TOGETHER // cells)
    for first in range(0, len(chosen), together):
        some = frame[labels.isin(chosen[first : first + together]).to_numpy()]
        asked = Rows(newdata=some, at=rows.at, groups=policy, target=rows.target, random_seed=rows.random_seed)
        ds = avg_predictions(post, **set_on_rows(post, axes, asked, of.columns))
        found.append(all_columns(ds).assign(point=Cells.of(ds).point))
    curves = pd.concat(found, ignore_index=True)
    curves["group"] = reduce(lambda a, b: a + ":" + b, (curves[public_name(c)].astype(str) for c in of.columns))
    some = f"{len(chosen)} of {len(every)}" if len(chosen) < len(every) else f"{len(every)}"
    return _as_seen(
        curves, frame, of.columns, axes
    ), f"thin lines: the curves of {some} fitted groups of {worded(factor, post.labels)}"


def _others(groups: Any, factor: str) -> Any:
    return groups.get(factor, "new") if isinstance(groups, Mapping) else (groups or "new")


def _as_seen(curves: pd.DataFrame, frame: pd.DataFrame, columns: Any, axes: Mapping[str, Any]) -> pd.DataFrame:
    """A variable that never changes within a group keeps its value: a patient has one arm; x runs all the same."""
    by = [str(c) for c in columns]
    for name in list(axes)[1:]:
        if name not in frame or frame.groupby(by, observed=True)[name].nunique().max() > 1:
            continue
        own = pd.DataFrame({c: plain(frame[c]) for c in [*by, name]}).drop_duplicates(by).set_index(by)[name]
        keys = curves[[public_name(c) for c in by]]
        index = keys.iloc[:, 0] if len(by) == 1 else pd.MultiIndex.from_frame(keys)
        curves = curves[(own.reindex(index).to_numpy() == curves[public_name(name)].to_numpy())]
    return curves
