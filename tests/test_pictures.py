"""Pictures of any result: each entry once, with the numbers of `summary`; nothing joined, covered or overlapping."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import reference
import xarray as xr
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

import bayesmargins as bm
from bayesmargins.plots.fitting_text import by_clauses
from bayesmargins.plots.marks import INTERVAL, POINT
from bayesmargins.plots.picture_cells import Cells
from bayesmargins.provenance import Provenance, make_result

COLUMN, PAGE = (3.35, 2.8), (6.7, 4.4)  # inches: 85 and 170 mm


def made(kind: str = "predictions", **levels: Any) -> xr.Dataset:
    """A result over these coordinates, with the draws of a smooth surface and noise that makes every entry another."""
    shape = [len(v) for v in levels.values()]
    rng = np.random.default_rng(len(shape) * 7 + sum(shape))
    centre = sum(
        np.linspace(0, 0.3, n).reshape([-1 if j == k else 1 for j in range(len(shape))]) for k, n in enumerate(shape)
    )
    values = 0.2 + centre + rng.normal(0, 0.02, (60, *shape))
    about = Provenance(kind=kind, scale="probability", groups={"id": "new"}, estimand="made", target="mean")
    chains = {"chain": np.arange(2), "draw": np.arange(30)}
    return make_result(values, list(levels), {k: np.asarray(v) for k, v in levels.items()}, about, chains)


AGE = np.linspace(20, 80, 9)
SHAPES: dict[str, xr.Dataset] = {
    "a number": made(age=AGE),
    "two numbers": made(age=AGE, dose=[0.0, 5.0, 10.0]),
    "levels": made(arm=["control", "drug"]),
    "levels by levels": made(severity=["mild", "moderate", "severe"], arm=["control", "drug", "drug+"]),
    "three columns": made(age=AGE, arm=["control", "drug"], severity=["mild", "moderate", "severe"]),
    "four columns": made(age=AGE, arm=["control", "drug"], severity=["mild", "severe"], sex=["f", "m"]),
    "long labels": made(
        treatment=["cognitive behavioural therapy", "interpersonal psychotherapy", "waiting list control"]
    ),
    "eight curves": made(age=AGE, arm=[f"arm {k}" for k in range(8)]),
    "24 curves": made(age=AGE, clinic=[f"clinic {k:02d}" for k in range(24)]),
    "24 levels": made(clinic=[f"clinic {k:02d}" for k in range(24)]),
    "200 levels": made(patient=[f"p{k}" for k in range(200)]),
    "200 levels by two": made(patient=[f"p{k}" for k in range(200)], arm=["control", "drug"]),
    "contrasts over a number": made("comparisons", contrast=["b - a", "c - a"], age=AGE),
    "slopes over levels": made("slopes", contrast=["dY/dage"], arm=["control", "drug"]),
}


def asked(post: bm.Posterior) -> dict[str, xr.Dataset]:
    """Results as the questions give them."""
    week, trt = [0.0, 2.0, 6.0], ["placebo", "drug", "drug+"]
    return {
        "by two": bm.avg_predictions(post, by=["trt", "week"]),
        "at two": bm.avg_predictions(post, at={"week": week, "trt": trt}),
        "named groups": bm.avg_predictions(post, at={"week": week}, groups={"ID": ["X01", "X02", "Y01"]}),
        "a grid": bm.predictions(post, bm.datagrid(post, {"week": week, "trt": trt})),
        "a cube": bm.avg_predictions(post, by=["trt", "week"]).set_index(by=["trt", "week"]).unstack("by"),
        "comparisons at": bm.avg_comparisons(post, "trt", at={"week": week}),
        "slopes": bm.avg_slopes(post, "week", at={"trt": trt}),
        "hypotheses": bm.hypotheses(bm.avg_predictions(post, at={"week": week, "trt": trt}), "pairwise", along="trt"),
    }


def figure_of(drawn: Any) -> Figure:
    figure: Figure = drawn if isinstance(drawn, Figure) else drawn.figure
    figure.canvas.draw()
    return figure


def points_drawn(figure: Figure) -> list[tuple[np.ndarray, np.ndarray, bool]]:
    """x, y of every artist that holds points, and whether a line joins them."""
    lines = [line for ax in figure.axes for line in ax.lines if line.get_gid() == POINT]
    drawn = [np.asarray(line.get_xydata(), float).T for line in lines]
    joined = [line.get_linestyle() not in ("None", "", " ") for line in lines]
    return [(x, y, j) for (x, y), j in zip(drawn, joined, strict=True)]


def limits_drawn(figure: Figure) -> list[float]:
    """Both ends of every interval, of bands and of bars."""
    found: list[float] = []
    for ax in figure.axes:
        for artist in ax.collections:
            if artist.get_gid() != INTERVAL:
                continue
            if isinstance(artist, LineCollection):
                for segment in artist.get_segments():
                    (x0, y0), (x1, y1) = segment
                    found += [y0, y1] if x0 == x1 else [x0, x1]
            else:
                vertices = artist.get_paths()[0].vertices
                frame = pd.DataFrame(vertices, columns=["x", "y"]).groupby("x")["y"]
                found += [*frame.min(), *frame.max()]
    return found


def check_numbers(ds: xr.Dataset, figure: Figure, **how: Any) -> None:
    table = bm.summary(ds, **how)
    point = table["median"].to_numpy(float)
    point = point[np.isfinite(point)]
    drawn = points_drawn(figure)
    flat = np.isin(np.round(np.concatenate([x for x, _, _ in drawn]), 9), np.round(point, 9)).all()
    values = np.concatenate([x if flat else y for x, y, _ in drawn])
    np.testing.assert_allclose(np.sort(values[np.isfinite(values)]), np.sort(point), rtol=1e-9)
    limits = table[[c for c in table if c.endswith(("_lb", "_ub"))]].to_numpy(float).ravel()
    if len(drawn) > 8:  # many curves are thin, without bands
        limits = limits[:0]
    np.testing.assert_allclose(np.sort(limits_drawn(figure)), np.sort(limits[np.isfinite(limits)]), rtol=1e-9)


def check_nothing_is_joined_across_cells(ds: xr.Dataset, figure: Figure) -> None:
    columns = Cells.of(ds)
    entry = {round(float(p), 12): k for k, p in enumerate(columns.point)}
    for x, y, joined in points_drawn(figure):
        if not joined:
            continue
        assert (np.diff(x) > 0).all()
        rows = columns.columns[list(columns.varies)].iloc[[entry[round(float(v), 12)] for v in y]]
        several = [c for c in rows if rows[c].nunique() > 1]
        assert len(several) <= 1
        assert not several or (rows[several[0]].to_numpy() == x).all()


def texts(figure: Figure) -> list[Text]:
    """All text that is seen, ticks included."""
    axes = [(ax, k) for ax in figure.axes for k in (0, 1)]
    ticks = [t for ax, k in axes for t in (ax.xaxis, ax.yaxis)[k].get_ticklabels() if _within(ax, t, k)]
    own = [t for ax in figure.axes for t in (*ax.texts, ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label)]
    legends = [t for leg in _legends(figure) for t in (*leg.get_texts(), leg.get_title())]
    return [t for t in (*ticks, *own, *legends, *figure.texts) if t.get_visible() and t.get_text().strip()]


def _within(ax: Any, label: Text, along: int) -> bool:
    """Ticks beyond the limits of an axis are there, and are not drawn."""
    low, high = sorted((ax.get_xlim(), ax.get_ylim())[along])
    return bool(low <= label.get_position()[along] <= high)


def _legends(figure: Figure) -> list[Any]:
    return [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend() is not None)]


def check_room(figure: Figure) -> None:
    """No text on another one, nothing beyond the paper, no legend on a panel."""
    boxes = [(t.get_text(), t.get_window_extent(), t.get_rotation()) for t in texts(figure)]
    for (text, one, turn), (other, two, other_turn) in itertools.combinations(boxes, 2):
        if turn % 90 or other_turn % 90:
            continue  # boxes of slanted texts overlap where the texts do not
        wide = min(one.x1, two.x1) - max(one.x0, two.x0)
        high = min(one.y1, two.y1) - max(one.y0, two.y0)
        assert min(wide, high) < 1.5, f"{text!r} and {other!r} overlap by {wide:.1f} x {high:.1f} pixels"
    paper = figure.bbox
    for text, box, _ in boxes:
        inside = box.x0 > -2 and box.x1 < paper.width + 2 and box.y0 > -2 and box.y1 < paper.height + 2
        assert inside, f"{text!r} reaches beyond the paper: {box}"
    for legend in _legends(figure):
        box = legend.get_window_extent()
        for ax in figure.axes:
            assert not box.shrunk(0.98, 0.9).overlaps(ax.get_window_extent()), "the legend covers a panel"


@pytest.mark.parametrize("size", [COLUMN, PAGE], ids=["85 mm", "170 mm"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_drawn_once_with_room_for_its_words(shape: str, size: tuple[float, float]) -> None:
    ds = SHAPES[shape]
    tall = max(len(v) for v in ds.coords.values()) > 12 and "age" not in ds.dims
    if "three" in shape or "four" in shape:
        size = (size[0], 5.0)
    draw = bm.plot_predictions if ds.attrs["kind"] == "predictions" else bm.plot_comparisons
    drawn = draw(ds) if tall else draw(ds, figsize=size)
    figure = figure_of(drawn)
    check_numbers(ds, figure)
    check_nothing_is_joined_across_cells(ds, figure)
    check_room(figure)


@pytest.mark.parametrize(
    "name", ["by two", "at two", "named groups", "a grid", "a cube", "comparisons at", "slopes", "hypotheses"]
)
def test_every_question_is_drawn_as_summary_has_it(post: bm.Posterior, name: str) -> None:
    ds = asked(post)[name]
    figure = figure_of(ds.margins.plot())
    check_numbers(ds, figure)
    check_nothing_is_joined_across_cells(ds, figure)
    check_room(figure)


def test_several_bands_are_the_intervals_of_summary(post: bm.Posterior) -> None:
    for ds in (bm.avg_predictions(post, at={"week": [0.0, 3.0, 6.0]}), bm.avg_predictions(post, by="trt")):
        figure = figure_of(bm.plot_predictions(ds, ci_prob=[0.5, 0.89]))
        check_numbers(ds, figure, ci_prob=[0.5, 0.89])


CALLS: dict[str, Callable[[bm.Posterior], tuple[Any, xr.Dataset]]] = {
    "predictions": lambda p: (
        bm.plot_predictions(p, {"week": [0, 6]}, by="trt"),
        bm.avg_predictions(p, at={"week": [0, 6], "trt": "all"}),
    ),
    "comparisons": lambda p: (
        bm.plot_comparisons(p, "trt", over={"week": [0, 6, 11]}, comparison="ratio"),
        bm.avg_comparisons(p, "trt", at={"week": [0, 6, 11]}, comparison="ratio"),
    ),
    "slopes": lambda p: (bm.plot_slopes(p, "week", over="trt"), bm.avg_slopes(p, "week", at={"trt": "all"})),
    "existing groups": lambda p: (
        bm.plot_predictions(p, {"week": [0, 6]}, by="ID", groups="existing"),
        bm.avg_predictions(p, at={"week": [0, 6]}, groups="existing"),
    ),
    "dose": lambda p: (
        bm.plot_comparisons(p, "week", over={"week": [0, 2, 6]}),
        bm.hypotheses(bm.avg_predictions(p, at={"week": [0, 2, 6]}), "reference", along="week"),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_picture_of_a_posterior_asks_the_question_that_it_names(post: bm.Posterior, name: str) -> None:
    drawn, ds = CALLS[name](post)
    check_numbers(ds, figure_of(drawn))


def test_data_behind_the_curve_are_counted(post: bm.Posterior) -> None:
    ax = bm.plot_predictions(post, "week", by="trt", data=True)
    data = post.design.data
    shares = data.groupby(["trt", "week"], observed=True)["yb"].mean()
    circles = np.concatenate([c.get_offsets()[:, 1] for c in ax.collections if c.get_gid() is None])
    np.testing.assert_allclose(np.sort(circles), np.sort(shares.to_numpy()))
    rug = [line for line in ax.lines if line.get_marker() == "|"]
    assert sum(len(line.get_xdata()) for line in rug) == len(data)


def test_curves_of_groups_are_those_of_their_own_rows(post: bm.Posterior) -> None:
    ax = bm.plot_predictions(post, {"week": [0, 6]}, curves="ID")
    own = bm.avg_predictions(post, at={"week": [0, 6]}, by="ID", groups="own")["estimate"].median(("chain", "draw"))
    lines = [np.asarray(line.get_ydata()) for line in ax.lines if line.get_gid() is None and len(line.get_xdata()) == 2]
    wanted = own.transpose("ID", "week").to_numpy()
    np.testing.assert_allclose(sorted(map(tuple, lines[: len(wanted)])), sorted(map(tuple, wanted)), rtol=1e-9)


def test_the_more_groups_the_thinner_and_fainter_their_curves(post: bm.Posterior) -> None:
    def look(n: int) -> tuple[float, float]:
        some = post.design.data[post.design.data["ID"].isin(post.design.data["ID"].unique()[:n])]
        ax = bm.plot_predictions(post, {"week": [0, 6]}, curves="ID", newdata=some)
        (one, *_) = [li for li in ax.lines if li.get_gid() is None and li.get_alpha() is not None]
        return one.get_linewidth(), one.get_alpha()

    few, many = look(3), look(50)
    assert few[0] > many[0]
    assert few[1] > many[1]


def test_captions_break_between_clauses() -> None:
    text = "median and interval; by weights of the draws; power-scaling moves none of the 18 entries."
    assert by_clauses(text, 4.0, 9.0) == (
        "median and interval; by weights of the draws;\npower-scaling moves none of the 18 entries."
    )
    assert by_clauses(text, 20.0, 9.0) == text


def test_an_arm_that_a_group_never_had_has_no_curve(post: bm.Posterior) -> None:
    ax = bm.plot_predictions(post, {"week": [0, 6]}, by="trt", curves="ID")
    data = post.design.data
    thin = [line for line in ax.lines if line.get_gid() is None and len(line.get_xdata()) == 2]
    assert len([t for t in thin if t.get_alpha() is not None]) == data["ID"].nunique()


FIVE = made(a=[1, 2], b=["u", "v"], c=["u", "v"], d=["u", "v"], e=["u", "v"])
THIRTY = made(x=AGE, y=["a", "b"], g=[f"g{k}" for k in range(30)])
THREE = SHAPES["three columns"]
LEVELS = SHAPES["levels"]
LABELLED = pd.DataFrame({("a", "x"): [1, 2], ("b", "x"): [3, 4]}, index=pd.MultiIndex.from_tuples([("u", 1), ("v", 2)]))
REFUSED: list[tuple[type[Exception], str, Callable[[bm.Posterior], Any]]] = [
    (bm.ResultError, "was given two places", lambda p: bm.plot_predictions(THREE, "age", "age")),
    (bm.ResultError, "are the same place", lambda p: bm.plot_predictions(THREE, colour="arm", by="age")),
    (bm.ResultError, "belongs to the question", lambda p: bm.plot_predictions(LEVELS, groups="new")),
    (bm.ResultError, "belongs to the question", lambda p: bm.plot_predictions(LEVELS, data=True)),
    (bm.ResultError, "has a panel for each value", lambda p: bm.plot_predictions(THREE, ax=plt.gca())),
    (bm.ResultError, r"ds\.sel\(", lambda p: bm.plot_predictions(FIVE)),
    (bm.ResultError, "a page has room for 25", lambda p: bm.plot_predictions(THIRTY, facet="g")),
    (bm.ResultError, "must be one of the curves", lambda p: bm.plot_predictions(SHAPES["24 curves"], highlight="c")),
    (bm.ResultError, "width and height in inches", lambda p: bm.plot_predictions(LEVELS, figsize=3)),
    (bm.ResultError, "dict of column to text", lambda p: bm.plot_predictions(LEVELS, labels=["a"])),
    (bm.ResultError, "name at least one probability", lambda p: bm.plot_predictions(LEVELS, ci_prob=[])),
    (bm.EstimandError, "needs the variable along the axis", lambda p: bm.plot_predictions(p)),
    (bm.EstimandError, "was given two places", lambda p: bm.plot_predictions(p, "week", by="week")),
    (bm.EstimandError, "has a place in the picture", lambda p: bm.plot_predictions(p, "week", at={"week": 3})),
    (bm.EstimandError, "needs what changes", lambda p: bm.plot_comparisons(p, over="week")),
    (bm.ResultError, "must be a grouping factor", lambda p: bm.plot_predictions(p, "week", curves="trt")),
    (
        bm.DataError,
        "curves='ID'",
        lambda p: bm.plot_predictions(p, "week", curves="ID", newdata=p.design.data.drop(columns="ID")),
    ),
    *(
        (
            bm.ResultError,
            "labels=.*dict of column to text",
            lambda p, g=given: bm.plot_survival(reference.posterior("v_weibull"), "sex", labels=g),
        )
        for given in (LABELLED, 1.5, ["time"])
    ),
    (bm.ResultError, "draws waiting times", lambda p: bm.plot_survival(p)),
    *(
        (bm.ResultError, "belongs to the question", lambda p, n=name, g=given: bm.plot_predictions(LEVELS, **{n: g}))
        for name in ("data", "means", "curves")
        for given in (LABELLED, LABELLED.columns, np.array([1, 2]), LABELLED.iloc[:0])
    ),
    *(
        (bm.ResultError, f"{name}=.*must be", lambda p, n=name: bm.plot_predictions(p, "week", **{n: LABELLED}))
        for name in ("data", "means", "curves")
    ),
    (bm.ResultError, "data=True draws y", lambda p: bm.plot_predictions(p, "week", data=True, target="link")),
]


@pytest.mark.parametrize(("error", "said", "ask"), REFUSED, ids=[f"{k}: {r[1]}" for k, r in enumerate(REFUSED)])
def test_what_cannot_be_drawn_is_refused_by_what_to_do(
    post: bm.Posterior, error: type[Exception], said: str, ask: Callable[[bm.Posterior], Any]
) -> None:
    with pytest.raises(error, match=said):
        ask(post)


def test_curves_are_told_apart_in_grey() -> None:
    ax = bm.plot_predictions(SHAPES["eight curves"])
    looks = {
        (str(line.get_linestyle()), line.get_marker(), line.get_color()) for line in ax.lines if line.get_gid() == POINT
    }
    assert len(looks) == 8
    assert len({look[1] for look in looks}) == 8


def test_names_of_columns_are_those_of_the_reader() -> None:
    ds = SHAPES["two numbers"]
    ax = bm.plot_predictions(ds, labels={"age": "age (years)", "dose": "dose (mg)"})
    assert ax.get_xlabel() == "age (years)"
    assert ax.get_legend().get_title().get_text() == "dose (mg)"


def test_drawing_leaves_settings_and_show_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plt, "show", lambda *a, **k: pytest.fail("shown"))
    before = dict(mpl.rcParams)
    bm.plot_predictions(SHAPES["levels"])
    assert dict(mpl.rcParams) == before


def test_drawing_changes_no_result(post: bm.Posterior) -> None:
    for ds in (bm.attenuation(post, {"trt": ("placebo", "drug")}), bm.avg_predictions(post, by="trt")):
        before = dict(ds.attrs)
        ds.margins.plot()
        bm.plot_forest(ds)
        assert ds.attrs == before
        assert not bm.describe(ds).startswith("Derived")


def test_levels_are_drawn_letter_by_letter() -> None:
    ds = made(age=AGE, arm=["_none", "$10k to $20k & 5%"])
    ax = bm.plot_predictions(ds, labels={"age": "cost ($) at $x^2$"})
    figure_of(ax)
    assert [t.get_text().strip("\u00a0") for t in ax.get_legend().get_texts()] == ["_none", r"\$10k to \$20k & 5%"]
    assert ax.get_xlabel() == r"cost (\$) at \$x^2\$"


def test_a_picture_says_what_was_selected_and_what_is_a_prior(post: bm.Posterior) -> None:
    effect = bm.avg_comparisons(post, {"trt": ("placebo", "drug")}, at={"week": [0, 6]})
    ax = bm.plot_forest(effect.sel(week=6))
    assert "week 6" in ax.get_xlabel()
    curves = bm.avg_predictions(post, at={"week": [0, 3, 6], "trt": "all"}).sel(trt="drug")
    assert bm.plot_predictions(curves).get_ylabel() == "probability (trt drug)"
    ax = bm.plot_predictions(curves.assign_attrs(draws="prior"))
    assert ax.texts[-1].get_text().startswith("prior median and 89%")


def test_what_was_selected_from_an_attenuation_is_a_forest(post: bm.Posterior) -> None:
    whole = bm.attenuation(post, {"trt": ("placebo", "drug")})
    assert len(whole.sel(groups=["zero", "new"]).margins.plot().get_yticklabels()) == 2
