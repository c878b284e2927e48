"""The picture of a result inside a page of HTML."""

from __future__ import annotations

import base64
import html
import io

import xarray as xr

from bayesmargins.errors import BayesmarginsError
from bayesmargins.plots.picture import picture_of

__all__ = ["inline"]

_WIDTH = 480  # pixels on the page


def inline(ds: xr.Dataset, said: str) -> str:
    """An ``<img>`` that holds the picture of a result, with what it shows as its text; empty where there is none."""
    import matplotlib.pyplot as plt

    before = set(plt.get_fignums())
    buffer = io.BytesIO()
    try:
        drawn = picture_of(ds)(ds)
        (getattr(drawn, "figure", None) or drawn).savefig(buffer, format="svg", bbox_inches="tight")
    except BayesmarginsError:
        return ""
    finally:  # a notebook would show a figure that is left open once more
        for number in set(plt.get_fignums()) - before:
            plt.close(number)
    source = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img width="{_WIDTH}" alt="{html.escape(said)}" src="data:image/svg+xml;base64,{source}">'
