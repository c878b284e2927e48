"""Room for a title: what stands above the panels leaves the place above it to titles of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.transforms import Bbox

__all__ = ["under_suptitle", "under_title"]


def under_title(axes: Axes, above: Sequence[Artist]) -> None:
    """Titles of these axes stand above these artists, wherever a layout moves them.

    matplotlib lifts titles above Axes within Axes: an empty one covers the artists.
    """
    room = axes.inset_axes((0.0, 1.0, 1.0, 0.0))
    room.set_axis_off()
    room.set_in_layout(False)
    room.set_axes_locator(_Covering(axes, tuple(above)))


@dataclass(frozen=True)
class _Covering:
    """Where those of the artists that are still there stand, in coordinates of the figure."""

    axes: Axes
    above: tuple[Artist, ...]

    def __call__(self, _: Any, renderer: Any) -> Bbox:
        from matplotlib.transforms import Bbox

        drawn = self.axes.get_children()
        boxes = [artist.get_window_extent(renderer) for artist in self.above if artist in drawn]
        whole: Any = self.axes.figure
        return Bbox(whole.transSubfigure.inverted().transform(Bbox.union(boxes or [self.axes.bbox])))


def under_suptitle(figure: Figure, axes: Axes, legend: Legend) -> None:
    """The legend of a figure stands above its panels, the first of which are `axes` and what is in their row.

    An empty box of its height takes part in the layout of the panel, so that the title of the figure comes above it.
    """
    from matplotlib.offsetbox import AnchoredOffsetbox, DrawingArea
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    row = [ax for ax in figure.axes if ax.get_subplotspec() and ax.get_subplotspec().is_first_row()]  # type: ignore[union-attr]
    titles = max(ax.get_tightbbox().y1 - ax.get_window_extent().y1 for ax in row) / figure.dpi  # type: ignore[union-attr]
    over = axes.transAxes + ScaledTranslation(0.0, titles, figure.dpi_scale_trans)
    height = 72 * legend.get_window_extent().height / figure.dpi
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "bbox_transform": over}
    axes.add_artist(AnchoredOffsetbox(child=DrawingArea(1.0, height), pad=0.0, borderpad=0.2, frameon=False, **place))
    legend.set_loc("lower left")
    legend.set_bbox_to_anchor((0.0, 1.0), blended_transform_factory(figure.transSubfigure, over))
