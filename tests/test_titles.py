"""A title of the user's stands above legend, panels and what is said of them, whatever was drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from matplotlib.figure import Figure
from test_pictures import check_room, figure_of
from test_pictures_more import pain

import bayesmargins as bm

TITLE = "A title with words enough to reach over a legend"


WEEKS = {"week": [0.0, 2.0, 6.0]}
DRAWN: dict[str, Callable[[bm.Posterior], Any]] = {
    "predictions": lambda post: bm.plot_predictions(post, WEEKS, by="trt"),
    "predictions without a legend": lambda post: bm.plot_predictions(post, WEEKS),
    "predictions in panels": lambda post: bm.plot_predictions(
        bm.avg_predictions(post, at={**WEEKS, "trt": ["placebo", "drug"]}, groups={"ID": ["X01", "X02"]}), "week"
    ),
    "comparisons": lambda post: bm.plot_comparisons(post, {"trt": "reference"}, over=WEEKS),
    "slopes": lambda post: bm.plot_slopes(post, "week", over=WEEKS, by="trt"),
    "forest": lambda post: bm.plot_forest(_two(post)),
    "densities": lambda post: bm.plot_densities(_two(post)["new"]),
    "attenuation": lambda post: bm.plot_attenuation(post, "trt"),
    "heterogeneity": lambda post: bm.plot_heterogeneity(post, {"trt": ("placebo", "drug")}, random_seed=1),
    "groups": lambda post: bm.plot_groups(post),
    "bars": lambda post: bm.plot_categories(pain(), "arm"),
    "bars side by side": lambda post: bm.plot_categories(pain(), "site", by="arm"),
    "bars in panels": lambda post: bm.plot_categories(pain(), "site", facet="arm"),
}


def _two(post: bm.Posterior) -> dict[str, Any]:
    return {words: bm.avg_comparisons(post, "trt", groups=words) for words in ("new", "existing")}


@pytest.mark.parametrize("name", DRAWN)
def test_a_title_has_a_place_of_its_own(post: bm.Posterior, name: str) -> None:
    drawn = DRAWN[name](post)
    title = drawn.suptitle(TITLE) if isinstance(drawn, Figure) else drawn.set_title(TITLE)
    figure = figure_of(drawn)
    figure.canvas.draw()
    check_room(figure)
    floor = title.get_window_extent().y0
    legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend() is not None)]
    for legend in legends:
        assert legend.get_window_extent().y1 <= floor + 1.5
    for ax in figure.axes:
        assert ax.get_window_extent().y1 < floor


def test_a_title_stays_above_when_the_figure_is_made_smaller(post: bm.Posterior) -> None:
    ax = bm.plot_predictions(post, WEEKS, by="trt")
    title = ax.set_title("Short")
    ax.figure.set_size_inches(4, 2.5)
    figure_of(ax).canvas.draw()
    assert ax.get_legend().get_window_extent().y1 <= title.get_window_extent().y0 + 1.5


def test_a_title_comes_down_where_the_legend_is_taken_away(post: bm.Posterior) -> None:
    ax = bm.plot_predictions(post, WEEKS, by="trt")
    bm.plot_predictions(post, WEEKS, by="trt", ax=ax)
    title = ax.set_title("Short")
    figure = figure_of(ax)
    assert ax.get_legend().get_window_extent().y1 <= title.get_window_extent().y0 + 1.5
    ax.get_legend().remove()
    figure.canvas.draw()
    assert title.get_window_extent().y0 < ax.get_window_extent().y1 + 10


def test_without_a_title_no_room_is_taken(post: bm.Posterior) -> None:
    figure = figure_of(bm.plot_predictions(post, WEEKS, by="trt"))
    top = figure.axes[0].get_legend().get_window_extent().y1
    assert figure.bbox.height - top < 0.1 * figure.dpi
