"""Twelve kinds of pictures look as they did: `python tests/test_picture_baselines.py` draws them anew."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import reference
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images

import bayesmargins as bm

BASELINES = Path(__file__).parent / "data" / "pictures"
DPI = 60
DRAWN_BY = "3.10"
"""The matplotlib of the older stack: another one's letters move axes by a pixel, and that counts more than a curve."""
TOLERANCE = 4.0
"""Root mean square of the differences of colours, out of 255; the next version of matplotlib differs by 20 to 33."""

of_one_matplotlib = pytest.mark.skipif(
    not mpl.__version__.startswith(f"{DRAWN_BY}."), reason=f"the pictures were drawn by matplotlib {DRAWN_BY}"
)


def bacteria() -> bm.Posterior:
    return reference.posterior("b_bacteria")


def epilepsy() -> bm.Posterior:
    return reference.posterior("k_epil")


def contrasts() -> Any:
    return bm.avg_comparisons(bacteria(), {"trt": "pairwise"}, at={"week": [0, 6]})


PICTURES: dict[str, Callable[[], Any]] = {
    "curves_with_data": lambda: bm.plot_predictions(bacteria(), "week", by="trt", data=True),
    "panels_and_bands": lambda: bm.plot_predictions(epilepsy(), "lage", facet="trt", ci_prob=[0.5, 0.89]),
    "curves_of_groups": lambda: bm.plot_predictions(bacteria(), "week", curves="ID", groups="existing"),
    "points_of_levels": lambda: bm.plot_predictions(bacteria(), "trt", by={"week": [0, 11]}),
    "effect_over_a_moderator": lambda: bm.plot_comparisons(bacteria(), "trt", over="week"),
    "ratios": lambda: bm.plot_comparisons(bacteria(), "trt", over="week", comparison="ratio"),
    "slope": lambda: bm.plot_slopes(epilepsy(), "lage", over="trt"),
    "forest": lambda: bm.plot_forest(contrasts(), rope=(-0.05, 0.05)),
    "densities": lambda: bm.plot_densities(contrasts().isel(week=0)),
    "groups": lambda: bm.plot_groups(epilepsy(), "subject"),
    "attenuation": lambda: bm.plot_attenuation(bacteria(), {"trt": ("placebo", "drug")}),
    "survival": lambda: bm.plot_survival(reference.posterior("v_weibull"), by="sex", data=True),
}


def drawn(name: str, path: Path) -> Path:
    with mpl.rc_context({"font.family": "DejaVu Sans", "text.hinting": "none"}):
        picture = PICTURES[name]()
        figure = picture if isinstance(picture, Figure) else picture.figure
        figure.savefig(path, dpi=DPI, metadata={"Software": None})
    plt.close("all")
    return path


@of_one_matplotlib
@pytest.mark.parametrize("name", PICTURES)
def test_picture_is_the_one_that_was_looked_at(name: str, tmp_path: Path) -> None:
    expected = Path(shutil.copy(BASELINES / f"{name}.png", tmp_path / "expected.png"))
    differs = compare_images(str(expected), str(drawn(name, tmp_path / "actual.png")), tol=TOLERANCE)
    assert differs is None, differs


def test_a_curve_that_is_gone_is_noticed(tmp_path: Path) -> None:
    """The tolerance would not hide it."""
    ds = bm.avg_predictions(bacteria(), at={"week": [0.0, 6.0], "trt": ["placebo", "drug"]})
    for name in ("expected", "actual"):
        ax = bm.plot_predictions(ds, "week", "trt")
        ax.lines[0].set_visible(name == "expected")
        ax.figure.savefig(tmp_path / f"{name}.png", dpi=DPI)
    plt.close("all")
    images = (str(tmp_path / f"{n}.png") for n in ("expected", "actual"))
    assert compare_images(*images, tol=TOLERANCE) is not None


if __name__ == "__main__":
    mpl.use("Agg")
    BASELINES.mkdir(exist_ok=True)
    for each in sys.argv[1:] or PICTURES:
        print(drawn(each, BASELINES / f"{each}.png"))
