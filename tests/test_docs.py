"""The README and the pages of docs/: every block of Python runs, and prints what the page shows.

How a page is read. A block that begins ```python is run, in order, in one namespace a page. One that begins
```python raises must be refused by the package. A block ```text right below is what it prints (or the error and its
message), and a picture below that, ../pictures/convergence_*.png or howto_*.png, is what it draws.

What is compared. Sampling takes a minute a model, and its draws differ in the last digits between machines and
versions. So here `GLMM.fit` is a stand-in that checks its arguments and returns stored draws, everything after it runs
as the user would run it, and the shown text is held against the printed one with the numbers blanked out: words,
column names, labels, sentences and layout must be those of the page. Pages without a fit show numbers that do not
depend on sampling, and those are compared digit by digit.

`python tests/test_docs.py` (from the root of the repository) runs the real fits and writes the outputs, the list of
names in docs/api.md and the drawn pictures included, into the pages.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import inspect
import io
import json
import os
import re
import runpy
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import reference

import bayesmargins as bm
from bayesmargins.family import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "notebooks" / "README.md"]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BLOCK = re.compile(r"^```python( raises)?\n(.*?)^```\n(\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
DRAWN = re.compile(r"\n!\[[^\]]*\]\(([^)]*/(?:convergence|howto)_\w+\.png)\)")
# What tables say of draws that are too few: the stored ones are.
FEW = re.compile(
    r" (r-hat is above|The effective sample size is below|Of [^.]*, chains have not mixed).*? shows which\."
)
ALSO = re.compile(r"^(?:\*Also called: |<!-- search: )([^*>]+?)(?:\.\*| -->)$", re.MULTILINE)
NUMBER = re.compile(r"-?\b\d[\d,]*(\.\d+)?(e[-+]?\d+)?")
NAMES = [name for name in bm.__all__ if name != "__version__"]
SHIPPED = frozenset(FAMILIES)
BACTERIA = "yb ~ trt + week + (1 | ID)"


def _stored_fit(self: bm.GLMM, *args: Any, **kwargs: Any) -> bm.Posterior:
    """In place of `GLMM.fit`: the 200 reference draws for the bacteria, made-up draws for any other model."""
    signature = inspect.signature(_real_fit)
    signature.bind(self, *args, **kwargs)
    if kwargs.get("sampler", "nutpie") != "nutpie" or set(kwargs) - {*signature.parameters, "target_accept"}:
        return _real_fit(self, *args, **kwargs)  # a page shows what is refused
    info = {"source": "bayesmargins, nutpie", "sampler": "nutpie", "divergences": 0, "max_rhat": 1.0, "min_ess": 400.0}
    design = self.design
    if design.formula == BACTERIA and self.family.name == "bernoulli" and self.link.name == "logit":
        return dataclasses.replace(reference.posterior("b_bacteria"), info=info)
    rng = np.random.default_rng(1)
    shape = (4, 50)
    b, Sigma = {}, {}
    for name, factor in design.factors.items():
        q = len(factor.terms)
        Sigma[name] = rng.uniform(0.5, 1.5, shape)[..., None, None] * np.eye(q)
        b[name] = rng.normal(size=(*shape, len(factor.levels), q))
    numbers = [name for name in self.family.numbers if name not in self.predictors]
    highest = {name: self.family.parameter(name).between[1] for name in numbers}
    aux = {name: rng.uniform(1, 2, shape) * (0.1 if highest[name] <= 1.0 else 1.0) for name in numbers}
    aux |= {name: rng.uniform(3, 9, shape) for name in design.degrees.values()}
    if self.family.ordinal:
        thresholds = len(design.response.categories) - 1
        aux["thresholds"] = np.sort(rng.normal(size=(*shape, thresholds)), axis=-1)
    parts = {}
    for name, p in [*self.predictors.items()][1:] if self.family.shares is None else ():
        sizes = {f: len(factor.terms) for f, factor in p.design.factors.items()}
        parts[name] = {
            "formula": p.design.formula,
            "link": p.link.name,
            "beta": rng.normal(0.0, 0.1, (*shape, len(p.design.coef))),
            "b": {f: rng.normal(size=(*shape, len(p.design.factors[f].levels), q)) for f, q in sizes.items()},
        }
        for f, q in sizes.items():  # one covariance over both
            Sigma[f] = rng.uniform(0.1, 0.2, shape)[..., None, None] * np.eye(q + Sigma[f].shape[-1])
    beta = rng.normal(0.0, 0.1, (*shape, len(design.coef)))
    if self.family.shares is not None:
        others = len(design.response.categories) - 1
        beta = rng.normal(0.0, 0.1, (*shape, others, len(design.coef)))
        b, Sigma = ({f: np.stack([v] * others, axis=2) for f, v in of.items()} for of in (b, Sigma))
    if self.family.limited is not None:  # times have a unit, and covariates may be years
        beta = 0.1 * beta
        beta[..., 0] += self.priors["Intercept"].parameters["mu"]
    post = bm.from_draws(
        design.formula,
        bm.label(design.data, dict(self.design.labels)) if self.design.labels else design.data,
        family=self.family.name,
        link=self.link.name,
        beta=beta,
        b=b,
        Sigma=Sigma,
        aux=aux,
        parts=parts or None,
    )
    return dataclasses.replace(post, info=info)


def _stored_fits(models: dict[Any, bm.GLMM], **kwargs: Any) -> dict[Any, bm.Posterior]:
    """In place of `fit_many`, of which processes of their own are no stand-ins."""
    inspect.signature(bm.fit_many).bind(models, **kwargs)
    return {name: model.fit() for name, model in models.items()}


_real_fit = bm.GLMM.fit


def _printed(code: str, namespace: dict[str, Any], raises: bool) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        if not raises:
            exec(compile(code, "<page>", "exec"), namespace)
            return out.getvalue()
        try:
            exec(compile(code, "<page>", "exec"), namespace)
        except bm.BayesmarginsError as error:
            return textwrap.fill(f"{type(error).__name__}: {error}", 100, break_on_hyphens=False) + "\n"
    raise AssertionError(f"nothing was refused in\n{code}")


def _run(page: Path, visit: Callable[[re.Match[str], str], None]) -> None:
    namespace: dict[str, Any] = {}
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        visit(match, _printed(match[2], namespace, bool(match[1])))


def _drawn(page: Path, block: re.Match[str]) -> Path | None:
    """The stored copy of the picture that a block draws."""
    found = DRAWN.match(block.string, block.end())
    return page.parent / found[1] if found else None


def _outline(text: str, *, numbers: bool) -> str:
    """Text with runs of blanks (and, unless wanted, numbers and runs of numbers) made equal."""
    text = text if numbers else FEW.sub("", " ".join(text.split()))
    text = text if numbers else re.sub(r"(# ?)+", "# ", NUMBER.sub("#", text))
    return re.sub(r"\s+", " ", text).strip()


@pytest.fixture
def _user_machine(uncompiled: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(bm.GLMM, "fit", _stored_fit)
    monkeypatch.setattr("bayesmargins.model.imputed_fits.fit_many", _stored_fits)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "1000")  # tables are folded to the width of a terminal, where there is one
    monkeypatch.setitem(mpl.rcParams, "backend", "agg")
    yield
    for name in [name for name in FAMILIES if name not in SHIPPED]:
        del FAMILIES[name]  # those that a page added: other tests go over all families


@pytest.mark.usefixtures("_user_machine")
@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto")  # of made-up draws, in az.loo
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_a_page_runs_and_prints_what_the_page_shows(page: Path) -> None:
    import matplotlib.pyplot as plt

    numbers = "random_seed=" not in page.read_text(encoding="utf-8")

    def compare(match: re.Match[str], printed: str) -> None:
        if match[3]:
            assert _outline(printed, numbers=numbers) == _outline(match[4], numbers=numbers), match[2]
        if _drawn(page, match):
            assert plt.get_fignums(), match[2]
        plt.close("all")

    _run(page, compare)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    broken = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert broken == []


def test_words_that_readers_search_for_stand_on_one_page_each() -> None:
    pages = {page.relative_to(ROOT / "docs").with_suffix("").as_posix(): page for page in (ROOT / "docs").rglob("*.md")}
    found = {name: ALSO.findall(page.read_text(encoding="utf-8")) for name, page in pages.items()}
    words = [
        (" ".join(w.split()).lower(), name) for name, lines in found.items() for w in ",".join(lines).split(",") if w
    ]
    assert len(words) == len(dict(words)), sorted({w for w, _ in words if [v for v, _ in words].count(w) > 1})
    first = runpy.run_path(str(ROOT / "docs" / "check_site.py"))["FIRST"]
    assert [word for word, page in first.items() if dict(words).get(word.lower()) != page] == []


def test_how_to_index_lists_every_guide_once() -> None:
    folder = ROOT / "docs" / "howto"
    listed = re.findall(
        r"^\| \[[^\]]*\]\((\w+\.md)\) \|", (folder / "index.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(listed) == sorted(page.name for page in folder.glob("*.md") if page.stem != "index")


@pytest.mark.parametrize("name", NAMES)
def test_api_page_has_every_public_name_with_its_first_line(name: str) -> None:
    assert _api_row(name) in (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def test_errors_page_shows_every_class() -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    classes = [n for n in NAMES if isinstance(getattr(bm, n), type) and n.endswith(("Error", "Warning"))]
    # The root is never raised itself.
    shown = [n for n in classes if n == "BayesmarginsError" or re.search(rf"^```text\n{n}: ", text, re.MULTILINE)]
    assert shown == classes


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_hold_their_outputs_and_nothing_of_the_machine(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [c for c in notebook["cells"] if c["cell_type"] == "code" and "".join(c["source"]).strip()]
    assert [c["execution_count"] for c in code] == list(range(1, len(code) + 1))
    outputs = json.dumps([c["outputs"] for c in code])
    assert not re.search(r"/home/|/Users/|/root/|/tmp/|site-packages|Traceback|\\\\Users", outputs)


def _api_row(name: str) -> str:
    first = (inspect.getdoc(getattr(bm, name)) or "").split("\n")[0]
    return f"| `{name}` | {first} |"


def _write_outputs(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found: list[tuple[re.Match[str], str]] = []

    def note(match: re.Match[str], printed: str) -> None:
        found.append((match, printed))
        if picture := _drawn(page, match):
            import matplotlib.pyplot as plt

            plt.savefig(picture, dpi=150, metadata={"Software": None})
        if plt := sys.modules.get("matplotlib.pyplot"):
            plt.close("all")

    _run(page, note)
    for match, printed in reversed(found):
        if match[3]:
            start, end = match.span(4)
            clean = "\n".join(_folded(line.rstrip()) for line in printed.rstrip().splitlines())
            text = f"{text[:start]}{clean}\n{text[end:]}"
    page.write_text(text, encoding="utf-8")


def _folded(line: str) -> str:
    """Sentences in lines that fit on a page; lines of tables, which have gaps, are left as they are."""
    return textwrap.fill(line, 100, break_on_hyphens=False) if len(line) > 110 and "  " not in line else line


def _write_api(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in NAMES:
        text = re.sub(rf"^\| `{name}` \|.*$", lambda _, name=name: _api_row(name), text, flags=re.MULTILINE)
    page.write_text(text, encoding="utf-8")


def _fit_once(fit: Callable[..., bm.Posterior]) -> Callable[..., bm.Posterior]:
    """`GLMM.fit` that fits a model once and hands out copies: pages share their fits, and join groups to a tree."""
    fits: dict[tuple[str, ...], bm.Posterior] = {}

    def once(self: bm.GLMM, *args: Any, **kwargs: Any) -> bm.Posterior:
        data = pd.util.hash_pandas_object(self.design.data).sum()
        key = tuple(map(str, (self, data, self.design.labels, args, sorted(kwargs.items()))))
        if key not in fits:
            fits[key] = fit(self, *args, **kwargs)
        return copy.deepcopy(fits[key])

    return once


def _refresh() -> None:
    import tempfile

    mpl.use("agg")
    bm.GLMM.fit = _fit_once(_real_fit)  # type: ignore[method-assign]
    warnings.simplefilter("error", bm.BayesmarginsWarning)
    warnings.filterwarnings("ignore", "Imported draws")  # stored and made-up draws are few
    bm.options.warn_zero = False
    pages = [Path(p).resolve() for p in sys.argv[1:]] or PAGES
    _write_api(ROOT / "docs" / "api.md")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for page in pages:
            _write_outputs(page)


if __name__ == "__main__":
    _refresh()
