"""The pictures of docs/gallery.md, drawn when the site is built, and the grid of thumbnails that lead to their code.

Sampling would take a minute a model, so `GLMM.fit` returns stored draws here, those that the tests are held against;
everything after it runs as a user would run it. Independent draws take seconds, and are drawn.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayesmargins as bm

STORED = Path(__file__).resolve().parents[1] / "tests" / "data" / "reference"
FOLDER = Path(__file__).resolve().parent / "pictures" / "gallery"  # git ignores it
SECTION = re.compile(r"^### (.+?)\n(.*?)^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
CASES = {
    "yb ~ trt + week + (1 | ID)": "b_bacteria",
    "incidence | trials(size) ~ period + (1 | herd)": "c_cbpp",
    "Reaction ~ Days + (Days | Subject)": "d_sleep",
    "TICKS ~ YEAR + cH10 + (1 | BROOD) + (1 | LOCATION)": "f_grouse",
    "rating ~ treat + period + carry + (1 | subject)": "g_inhaler",
    "y ~ lbase * trt + lage + per + (1 + per | subject)": "k_epil",
    "time | cens(censored) ~ age10 + sex + (1 | patient)": "v_weibull",
}
STYLE = """```{raw} html
<style>
.gallery p { display: grid; grid-template-columns: repeat(auto-fill, minmax(180px, 1fr)); gap: 14px; }
.gallery img { width: 100%; height: 150px; object-fit: contain; background: white; border: 1px solid #ccc; }
</style>
```
"""


def illustrated(text: str) -> str:
    """The page with its pictures, after their code and as thumbnails before the first part."""
    sections = list(SECTION.finditer(text))
    FOLDER.mkdir(parents=True, exist_ok=True)
    names = _draw(text, sections)
    for section, name in reversed(list(zip(sections, names, strict=True))):
        picture = f"\n![{section[1]}](pictures/gallery/{name}.png)\n"
        text = text[: section.end()] + picture + text[section.end() :]
    links = "\n".join(f"[![{s[1]}](pictures/gallery/{n}.png)](#{n})" for s, n in zip(sections, names, strict=True))
    grid = f"{STYLE}\n```{{container}} gallery\n{links}\n```\n\n"
    return text.replace("```python\n", grid + "```python\n", 1)


def _draw(text: str, sections: list[re.Match[str]]) -> list[str]:
    """Run all blocks in order; those of sections leave a picture. The names of the pictures' sections."""
    import matplotlib.pyplot as plt

    of_start = {s.start(3): _slug(s[1]) for s in sections}
    namespace: dict[str, Any] = {}
    with _stored_fits(), plt.rc_context({"backend": "agg"}):
        for block in BLOCK.finditer(text):
            exec(compile(block[1], "docs/gallery.md", "exec"), namespace)
            if name := of_start.get(block.start(1)):
                plt.gcf().savefig(FOLDER / f"{name}.png", dpi=160, metadata={"Software": None})
            plt.close("all")
    return list(of_start.values())


def _slug(title: str) -> str:
    """The anchor that the site gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@contextlib.contextmanager
def _stored_fits() -> Iterator[None]:
    real, warned = bm.GLMM.fit, bm.options.warn_zero
    bm.GLMM.fit = _stored_fit  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        bm.GLMM.fit = real  # type: ignore[method-assign]
        bm.options.warn_zero = warned


_fit = bm.GLMM.fit


def _stored_fit(self: bm.GLMM, **asked: Any) -> bm.Posterior:
    if asked.get("sampler") == "independent":
        return _fit(self, **asked)
    folder = STORED / CASES[self.design.formula]
    draws = pd.read_parquet(folder / "draws.parquet")
    if ".chain" not in draws:
        draws = draws.assign(**{".chain": np.repeat(range(1, 5), len(draws) // 4)})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Imported draws")  # they are few
        return bm.from_brms(draws, self.design.formula, self.design.data, family=self.family.name, link=self.link.name)
