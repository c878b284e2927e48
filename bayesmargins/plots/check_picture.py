"""Observed rows against those that the model would have observed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayesmargins.errors import ResultError, close_matches, listed, shown
from bayesmargins.explained import PICTURE, explained
from bayesmargins.habits import ask_one, taught
from bayesmargins.plots.fitting_text import letters, short, wrapped
from bayesmargins.plots.marks import INTERVAL, POINT
from bayesmargins.plots.panels import Panels, new_figure
from bayesmargins.plots.styles import COLOURS, GREY
from bayesmargins.posterior import Posterior
from bayesmargins.validation.check import check
from bayesmargins.validation.checked import Check
from bayesmargins.values import is_word

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_check"]

_KINDS = {
    "distribution": ("bars", "ecdf"),
    "predictors": ("mean",),
    "groups": ("groups",),
    "effects": ("effects",),
}
_MOST = 12  # panels
_LEVELS = 12  # whose names stand along x
_PROB = (0.025, 0.975)


@taught
@explained(PICTURE)
def plot_check(
    found: Posterior | Check,
    kind: str | None = None,
    *,
    groups: str | None = None,
    random_seed: int | None = None,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Axes | Figure:
    """Does the model fit? Observed rows beside those that it would have observed.

    Parameters
    ----------
    found : Posterior or Check
        A posterior, of which ``check(post)`` is asked, or what that returned.
    kind : str, optional
        One kind of panels: ``"distribution"``, ``"predictors"``, ``"groups"`` or ``"effects"``; all by default.
    groups : str, optional
        Whose replicates are drawn, ``"own"`` or ``"new"``: by default those of new groups where they are known, beside
        the means of groups those of their own.
    random_seed : int, optional
        Of a posterior: the same seed gives the same replicates. Another one each time by default.
    ax : matplotlib Axes, optional
        Drawn on, in place of a new one, where there is one panel.

    Returns
    -------
    matplotlib Axes, or Figure where there are several panels
        First the distribution of y. It has bars for the values of y, for counts their square roots (a rootogram); for
        a continuous y it shows how much larger the share up to each value is than expected. Then come the mean of y by
        each predictor (a number is cut into bins), the mean by what the fixed part predicts (a calibration curve), the
        mean of each group, and the groups' effects against those of new groups. Points are observed; intervals hold
        95 % of the replicates.

    Raises
    ------
    ResultError
        Neither of the two, no such kind, or nothing to draw.
    PosteriorError
        As `check`.

    Examples
    --------
    >>> plot_check(bm.check(post, draws=100, random_seed=1), "distribution").get_xlabel()
    'yb'
    """
    if not isinstance(found, Posterior | Check):
        raise ResultError(
            f"plot_check draws a posterior, or what check(post) returned; got {shown(found)}: "
            f"{ask_one('check', found)}."
        )
    if kind is not None and not is_word(kind, _KINDS):
        raise ResultError(f"kind={shown(kind)}; allowed are {listed(_KINDS)}.{close_matches(kind, _KINDS)}")
    if groups is not None and not is_word(groups, ("own", "new")):
        raise ResultError(f"groups={shown(groups)}; it is 'own', 'new' or None.")
    result = check(found, random_seed=random_seed) if isinstance(found, Posterior) else found
    drawn = _panels(result.dataset, _KINDS[kind] if kind else sum(_KINDS.values(), ()), groups)
    if not drawn:
        raise ResultError(
            "The check has nothing of that kind to draw: rows that are known in part have residuals only, and effects "
            "take replicates of new groups."
        )
    panels = _figure(len(drawn), ax, figsize)
    for one, (axes, _) in zip(drawn, panels.axes, strict=True):
        one.draw(axes, letters(panels.figure))
    left_out = "" if len(drawn) < _MOST else f"; the first {_MOST} panels"
    panels.caption(f"points: observed; intervals: 95 % of replicates of {_whose(drawn)}{left_out}")
    return panels.finished(levels=True)


def _whose(drawn: list[_Panel]) -> str:
    policies = list(dict.fromkeys(one.policy for one in drawn))
    if len(policies) == 1:
        return {"own": "the same groups", "new": "new groups"}[policies[0]]
    return "new groups, beside the means of groups of the same ones"


def _figure(n: int, ax: Any, figsize: Any) -> Panels:
    if ax is not None:
        if n > 1 or not hasattr(ax, "errorbar"):
            raise ResultError(
                f"ax={shown(ax)} and {n} panels; ax= is one matplotlib Axes for one panel: name its kind, or leave ax "
                "out."
            )
        return Panels(ax.figure, [(ax, {})], False)
    columns = min(n, 3)
    lines = -(-n // columns)
    usual = (5.2, 4.0) if n == 1 else (3.1 * columns, 2.6 * lines + 0.4)
    figure, grid = new_figure(figsize, usual, lines, columns)
    for empty in list(grid.flat)[n:]:
        empty.remove()
    return Panels(figure, [(a, {}) for a in list(grid.flat)[:n]], True, columns)


def _panels(ds: xr.Dataset, kinds: tuple[str, ...], groups: str | None) -> list[_Panel]:
    of = dict(entry.split(": ", 1)[::-1] for entry in ds.attrs["kinds"])
    found = [_Panel(ds, dim, kind, _policy(ds, dim, kind, groups)) for dim, kind in of.items() if kind in kinds]
    return [one for one in found if one.policy][:_MOST]


def _policy(ds: xr.Dataset, dim: str, kind: str, groups: str | None) -> str:
    """Whose replicates a panel shows; empty where there are none."""
    order = [groups] if groups else ["own", "new"] if kind == "groups" else ["new", "own"]
    return next((p for p in order if f"{dim}_{p}" in ds), "")


@dataclass(frozen=True)
class _Panel:
    """One panel: along which dimension of the check, and whose replicates."""

    ds: xr.Dataset
    dim: str
    kind: str
    policy: str

    @property
    def observed(self) -> np.ndarray:
        return np.asarray(self.ds[f"{self.dim}_observed"].to_numpy())

    @property
    def predicted(self) -> np.ndarray:
        values = self.ds[f"{self.dim}_{self.policy}"].transpose("chain", "draw", self.dim).to_numpy()
        return np.asarray(values.reshape(-1, values.shape[-1]))

    @property
    def labels(self) -> list[Any]:
        return list(self.ds[self.dim].to_numpy().tolist())

    @property
    def limits(self) -> np.ndarray:
        """Lower, median and upper: (3, entry)."""
        return np.asarray(np.quantile(self.predicted, (_PROB[0], 0.5, _PROB[1]), axis=0))

    @property
    def y(self) -> str:
        return str(self.ds.attrs["response"])

    def draw(self, ax: Axes, size: float) -> None:
        """Marks and names of axes."""
        x, y = _DRAW[self.kind](self, ax)
        ax.set_xlabel(wrapped(x, 2.2, size), fontsize=size)
        ax.set_ylabel(wrapped(y, 1.9, size), fontsize=size)


def _bars(panel: _Panel, ax: Axes) -> tuple[str, str]:
    """Bars of numbers of rows; roots of them where there are many values."""
    low, middle, high = panel.limits
    observed, labels = panel.observed, panel.labels
    rooted = len(labels) > _LEVELS // 2 and all(isinstance(v, int) for v in labels)
    at = np.arange(len(labels))
    low, middle, high, observed = (np.sqrt(v) if rooted else v for v in (low, middle, high, observed))
    ax.bar(at, observed, color=COLOURS[0], alpha=0.35, width=0.85, linewidth=0, zorder=1)
    _intervals(ax, at, low, middle, high)
    step = max(1, -(-len(labels) // 8))
    ax.set_xticks(at[::step], [short(v) for v in labels[::step]])
    return panel.y, "number of rows, root" if rooted else "number of rows"


def _ecdf(panel: _Panel, ax: Axes) -> tuple[str, str]:
    """How much larger the share up to a value is than expected."""
    middle = panel.predicted.mean(axis=0)
    low, _, high = panel.limits
    x = np.array(panel.labels, dtype=np.float64)
    ax.fill_between(x, low - middle, high - middle, color=GREY, alpha=0.25, linewidth=0, gid=INTERVAL)
    ax.axhline(0.0, color=GREY, linewidth=0.8)
    ax.step(x, panel.observed - middle, where="post", color=COLOURS[0], gid=POINT)
    return panel.y, "share up to it, less the expected one"


def _means(panel: _Panel, ax: Axes) -> tuple[str, str]:
    """Means in bins or levels; by what the fixed part predicts, a calibration curve."""
    low, middle, high = panel.limits
    labels = panel.labels
    if panel.dim.startswith("(predicted)"):
        x = panel.predicted.mean(axis=0)
        ends = [float(min(x.min(), panel.observed.min())), float(max(x.max(), panel.observed.max()))]
        ax.plot(ends, ends, color=GREY, linewidth=0.8, zorder=0)
        name = f"expected mean of {panel.y}"
    elif all(isinstance(v, int | float) and not isinstance(v, bool) for v in labels):
        x, name = np.array(labels, dtype=np.float64), panel.dim
    else:
        x, name = np.arange(float(len(labels))), panel.dim
        ax.set_xticks(x, [short(v) for v in labels])
        ax.set_xlim(-0.6, len(labels) - 0.4)
    _intervals(ax, x, low, middle, high)
    ax.plot(x, panel.observed, "o", color=COLOURS[0], markersize=4.5, zorder=3, gid=POINT)
    return name, f"mean of {panel.y}"


def _groups(panel: _Panel, ax: Axes) -> tuple[str, str]:
    """Means of groups, in their order."""
    order = np.argsort(panel.observed, kind="stable")
    low, middle, high = panel.limits[:, order]
    at = np.arange(len(order))
    few = len(order) <= 60
    if few:
        _intervals(ax, at, low, middle, high)
    else:
        ax.vlines(at, low, high, color=GREY, alpha=0.35, linewidth=0.6, gid=INTERVAL)
    ax.plot(at, panel.observed[order], "o", color=COLOURS[0], markersize=3.5 if few else 1.8, zorder=3, gid=POINT)
    ax.set_xticks([])
    return f"{len(order)} groups of {panel.dim}, in order", f"mean of {panel.y}"


def _effects(panel: _Panel, ax: Axes) -> tuple[str, str]:
    """Ordered effects of the observed groups against those of as many new ones."""
    drawn = np.sort(panel.predicted, axis=1)
    middle = drawn.mean(axis=0)
    low, high = np.quantile(drawn, _PROB, axis=0)
    ax.fill_between(middle, low, high, color=GREY, alpha=0.25, linewidth=0, gid=INTERVAL)
    ax.plot(middle, middle, color=GREY, linewidth=0.8)
    ax.plot(middle, np.sort(panel.observed), "o", color=COLOURS[0], markersize=3.0, zorder=3, gid=POINT)
    name = panel.dim.removeprefix("effect ")
    return f"{name}: effect of normal new groups", "effect that the rows of the groups tell"


def _intervals(ax: Axes, at: np.ndarray, low: np.ndarray, middle: np.ndarray, high: np.ndarray) -> None:
    ax.vlines(at, low, high, color="0.35", linewidth=1.4, zorder=2, gid=INTERVAL)
    ax.plot(at, middle, "_", color="0.35", markersize=6, zorder=2)


_DRAW = {"bars": _bars, "ecdf": _ecdf, "mean": _means, "groups": _groups, "effects": _effects}
