"""What all pictures share: axes, colours, points with limits, labels of rows, and the line that says what is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import ResultError, listed, shown
from bayesmargins.schema import ESTIMATE, SAMPLE_DIMS, check_result
from bayesmargins.tables import draws_of, interval, labels_along, on_one_scale, point_estimate, scale_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "COLOURS",
    "all_on_one_scale",
    "caption",
    "common_scale",
    "dodge",
    "new_axes",
    "null_of",
    "points_and_limits",
    "row_labels",
    "variables_of",
]

# Okabe & Ito (2008): told apart with any colour vision, and in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")

_CAPTION = "bayesmargins-caption"
_SPEAKING = ("contrast", "coef", "quantity")  # labels that say what they are


def new_axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """The axes that were given, or new ones.

    Parameters
    ----------
    ax : matplotlib Axes or None
    size : tuple of float
        Of a new figure, inches.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ResultError
        Not one Axes.
    """
    if ax is not None:
        if not hasattr(ax, "errorbar"):
            raise ResultError(
                f"ax={shown(ax)}; it must be one matplotlib Axes, such as plt.subplots()[1] or one entry of axes."
            )
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def all_on_one_scale(results: dict[str, xr.Dataset]) -> tuple[dict[str, xr.Dataset], list[str]]:
    """Of each result the entries on its main scale, and what is left out.

    Parameters
    ----------
    results : dict of str to Dataset

    Returns
    -------
    results : dict of str to Dataset
    others : list of str
        Names of what is on another scale, each once.

    Raises
    ------
    ResultError
        No result of this package.
    """
    found = {name: on_one_scale(check_result(ds)) for name, ds in results.items()}
    return {name: ds for name, (ds, _) in found.items()}, list(
        dict.fromkeys(o for _, out in found.values() for o in out)
    )


def caption(ax: Axes, said: str, others: list[str]) -> None:
    """Say beneath the label of the axis what is drawn, wherever that label goes and whatever it says later.

    Parameters
    ----------
    ax : matplotlib Axes
    said : str
        Point estimate and interval.
    others : list of str
        What is not drawn.
    """
    lines = [said, *([f"not drawn, on another scale: {', '.join(others)}"] if others else [])]
    before = next((t for t in ax.texts if t.get_gid() == _CAPTION), None)
    if before is not None:  # of an earlier picture on these axes
        drawn = before.get_text().split("\n")
        before.set_text("\n".join([*drawn, *(line for line in lines if line not in drawn)]))
        return
    ax.annotate(
        "\n".join(lines),
        xy=(1.0, 0.0),
        xycoords=("axes fraction", ax.xaxis.label),  # type: ignore[arg-type]
        xytext=(0, -3),
        textcoords="offset points",
        ha="right",
        va="top",
        color="0.4",
        fontsize="small",
        gid=_CAPTION,
    )


def points_and_limits(ds: xr.Dataset, point: str, prob: float | None, kind: str | None) -> pd.DataFrame:
    """Point and limits of every entry, with all coordinates as columns.

    Parameters
    ----------
    ds : Dataset
    point, prob, kind
        As `summary` has them.

    Returns
    -------
    DataFrame
        ``point``, ``lower``, ``upper`` and what varies.

    Raises
    ------
    ResultError
        A point estimate or an interval that there is not.
    """
    draws, _ = draws_of(ds)
    centre = point_estimate(ds, point)
    flat = draws.reshape(-1, draws.shape[-1])
    lower, upper = interval(np.where(np.isfinite(flat), flat, np.nan), prob, kind)
    if not centre.dims:
        return pd.DataFrame({"point": [float(centre)], "lower": lower, "upper": upper})
    frame: pd.DataFrame = centre.to_dataframe("point").reset_index()
    return frame.assign(lower=lower, upper=upper)


def variables_of(ds: xr.Dataset) -> list[str]:
    """Dimensions of the estimate; combinations of several columns, and stacked dimensions, by those columns."""
    dims = [str(d) for d in ds[ESTIMATE].dims if d not in SAMPLE_DIMS]
    joint = [d for d in dims if d == "by" or isinstance(ds.indexes.get(d), pd.MultiIndex)]
    columns = {d: [str(n) for n, c in ds.coords.items() if c.dims == (d,) and n != d] for d in joint}
    return [v for d in dims for v in columns.get(d) or [d]]


def dodge(k: int, n: int) -> float:
    """How far the k-th of n points at one place stands from it."""
    return 0.0 if n == 1 else (k - (n - 1) / 2) * min(0.18, 0.7 / n)


def common_scale(results: dict[str, xr.Dataset]) -> str:
    """The scale that all results share.

    Raises
    ------
    ResultError
        No results, or several scales.
    """
    if not results:
        raise ResultError("The dict of results is empty; give at least one, such as {'new': ds}.")
    scales = list(dict.fromkeys(scale_of(check_result(d)) for d in results.values()))
    if len(scales) > 1:
        raise ResultError(f"The results are on the scales {listed(scales)}; one axis shows one scale. Plot them apart.")
    derived = len(results) > 1 and scales[0].startswith("derived from")
    return f"{scales[0]} (each in its own way)" if derived else scales[0]


def null_of(results: dict[str, xr.Dataset]) -> float | None:
    """No effect: 1 for ratios, 0 for differences, slopes and logarithms; predictions have none."""
    attrs = next(iter(results.values())).attrs
    named = attrs.get("kind") == "hypotheses" and "comparison" in attrs
    if not (named or attrs.get("kind") in ("comparisons", "slopes", "coefficients")):
        return None
    return 1.0 if attrs.get("comparison") in ("ratio", "or") else 0.0


def row_labels(ds: xr.Dataset, table: pd.DataFrame) -> list[str]:
    """``drug - placebo, week 6``: contrasts speak for themselves, other entries say what they are of."""
    names = [n for v in variables_of(ds) for n in (labels_along(ds, v) if v == "row" else [v])]
    if not names:
        return [ESTIMATE]
    if "contrast" in names and "term" in table and table["term"].nunique() > 1:
        said = [x if t in x else f"{t}: {x}" for t, x in zip(table["term"], table["contrast"], strict=True)]
        table = table.assign(contrast=said)
    rows = table[names].itertuples(index=False)
    return [
        ", ".join(str(v) if n in _SPEAKING else f"{n} {_short(v)}" for n, v in zip(names, row, strict=True))
        for row in rows
    ]


def _short(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)
