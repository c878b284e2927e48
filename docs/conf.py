"""The documentation site, for `make docs`: the pages of docs/ and the notebooks, as they lie in the repository.

The pages are plain Markdown that a code host shows. What the site needs besides is added here, when a page is read: its
place in the menu, the pages of single functions, and the running of the blocks of code of the pages on numerics. No
page that is built asks for anything from the network.
"""

from __future__ import annotations

import inspect
import json
import os
import posixpath
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import latex2mathml.converter
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util.typing import ExtensionMetadata

import bayesmargins as bm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))

import draw_gallery  # noqa: E402  # a module of this folder

project = "bayesmargins"
author = "The bayesmargins contributors"
version = release = bm.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "numpydoc"]
nitpicky = True

root_doc = "docs/index"
include_patterns = ["docs/**", "notebooks/*", "CHANGELOG.md", "CONTRIBUTING.md"]
exclude_patterns = [
    "docs/_build",
    "docs/_static",
    "docs/pictures",
    "notebooks/*.py",
    "**/.*",
    "**/__pycache__",
    ".*",
    "build",
    "tests",
]

# The menu: which pages stand below which, after Diataxis: tutorials, how-to guides, explanation, reference. The guides
# stand as docs/howto/index.md lists them. A page of docs/ that is named nowhere stands below the reference.
BELOW = {
    "docs/index": [
        "docs/get_started",
        "notebooks/README",
        "docs/howto/index",
        "docs/explanation/README",
        "docs/api",
        "docs/gallery",
        "docs/glossary",
        "docs/citation",
        "CHANGELOG",
        "CONTRIBUTING",
    ],
    "docs/explanation/README": [
        "docs/what_is_averaged",
        "docs/order_of_operations",
        "docs/explanation/integration",
        "docs/explanation/closed_forms",
        "docs/explanation/trapezoid",
        "docs/explanation/mixtures",
        "docs/explanation/tables",
        "docs/explanation/joint",
        "docs/explanation/sobol",
        "docs/explanation/fits",
        "docs/explanation/independent",
        "docs/explanation/speed",
    ],
    "docs/explanation/speed": ["docs/cluster"],
    "docs/howto/multiple_imputation": ["docs/evidence/imputation"],
    "docs/checks": ["docs/evidence/checks", "docs/evidence/logo"],
    "docs/coming_from": ["docs/draws_of_brms", "docs/fits_of_bambi"],
    "docs/formulas": ["docs/left_sides", "docs/fixed_terms", "docs/group_structures"],
    "docs/api": ["docs/formulas", "docs/families", "docs/priors", "docs/errors", "docs/limitations"],
    "docs/families": [
        "docs/links",
        "docs/own_family",
        "docs/ordered",
        "docs/choices",
        "docs/zeros",
        "docs/waiting_times",
        "docs/parameters_with_formulas",
        "docs/evidence/families",
    ],
    "docs/priors": ["docs/evidence/priors"],
    "docs/explanation/fits": ["docs/evidence/fits", "docs/evidence/posteriors"],
    "docs/explanation/independent": ["docs/evidence/calibration"],
}
# Tutorials by the reader's question; those that are not there yet are left out, and others stand last.
TUTORIALS = {
    "First steps": ["00_first_look", "03_four_questions", "11_workflow"],
    "By field": [
        "02_lmm_margins",
        "07_counts_offsets_zeros",
        "08_ordinal",
        "09_crossed",
        "10_random_slopes",
        "12_poststratification",
    ],
    "From other software": ["04_from_brms", "05_from_bambi", "06_from_pymc"],
    "Foundations": ["01_marginal_vs_conditional", "13_large", "published"],
}
LISTED = re.compile(r"^\| \[[^\]]*\]\(([\w./]+)\.md\) \|", re.MULTILINE)


def _guides() -> dict[str, list[str]]:
    """The pages that docs/howto/index.md lists, by its headings."""
    parts = re.split(
        r"^## (.*)\n", (ROOT / "docs" / "howto" / "index.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    pages = ([posixpath.normpath(f"docs/howto/{page}") for page in LISTED.findall(text)] for text in parts[2::2])
    return dict(zip(parts[1::2], pages, strict=True))


def _tutorials() -> dict[str, list[str]]:
    """The notebooks that are there, by the headings of TUTORIALS."""
    there = [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    named = {name for names in TUTORIALS.values() for name in names}
    parts = TUTORIALS | {"More": [name for name in there if name not in named]}
    found = {part: [f"notebooks/{name}" for name in names if name in there] for part, names in parts.items()}
    return {part: pages for part, pages in found.items() if pages}


# Menus in parts, each with its heading.
PARTS = {"docs/howto/index": _guides(), "notebooks/README": _tutorials()}
_NAMED = {page for pages in BELOW.values() for page in pages} | set(BELOW)
_NAMED |= {page for parts in PARTS.values() for pages in parts.values() for page in pages}
BELOW["docs/api"] += [
    page for page in (f"docs/{p.stem}" for p in sorted((ROOT / "docs").glob("*.md"))) if page not in _NAMED
]
# Their blocks of code run when the site is built, and what they print and draw is shown in place of the stored copy.
EXECUTED = [f"docs/explanation/{name}" for name in ("closed_forms", "trapezoid", "tables", "mixtures", "sobol")]
TITLES = {
    "docs/get_started": "Get started",
    "notebooks/README": "Tutorials",
    "docs/howto/index": "How-to guides",
    "docs/gallery": "Gallery",
    "docs/glossary": "Glossary",
    "docs/citation": "Citation",
    "docs/explanation/README": "Explanation",
    "docs/what_is_averaged": "What is averaged",
    "docs/order_of_operations": "Order of operations",
    "docs/api": "Reference",
    "docs/formulas": "Formulas",
    "docs/left_sides": "What you know of each row",
    "docs/group_structures": "Group structures",
    "docs/fixed_terms": "Within and between, monotonic, smooth",
    "docs/ordered": "Ordered responses",
    "docs/choices": "Unordered choices",
    "docs/waiting_times": "Waiting times",
    "docs/parameters_with_formulas": "Parameters with formulas",
    "docs/checks": "Does the fit hold?",
    "docs/command_line": "The command line",
    "CHANGELOG": "Changelog",
    "CONTRIBUTING": "Contributing",
}

nb_execution_mode = "off"  # of the notebooks, whose outputs are stored; `make notebooks` runs them
os.environ.pop("MPLBACKEND", None)  # kernels show pictures, whatever the Makefile sets for scripts
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True
nb_render_markdown_format = "myst"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
# Highlighting of a block of code in no language known is left out without a word.
highlight_language = "none"

default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_use_plots = False

# "Edit this page" needs a repository, which pyproject.toml may name.
_URLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"].get("urls", {})
_HOSTED = re.match(r"https://github\.com/([^/]+)/([^/]+?)(?:\.git)?/?$", _URLS.get("Repository", ""))
EDIT = ["edit-this-page"] if _HOSTED else []
html_context = {"doc_path": ""}
if _HOSTED:
    html_context |= {"github_user": _HOSTED[1], "github_repo": _HOSTED[2], "github_version": "main"}

html_theme = "pydata_sphinx_theme"
html_title = "bayesmargins"
html_copy_source = False
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "logo": {"text": f"bayesmargins {version}"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc", *EDIT],
    "use_edit_page_button": bool(EDIT),
    "footer_start": ["copyright"],
    "footer_end": [],
}
_ALONE = (
    "docs/index",
    "docs/get_started",
    "docs/glossary",
    "docs/citation",
    "docs/gallery",
    "CHANGELOG",
    "CONTRIBUTING",
)
html_sidebars: dict[str, list[str]] = {page: [] for page in _ALONE}
copyright = "The bayesmargins contributors, BSD 3-Clause"

ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
OUTPUT = re.compile(r"(^```python\n.*?^```\n)\n```text\n.*?^```\n", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"^```python\n((?:(?!^```).)*?^```\n)\n!\[([^\]]*)\]\([^)]*\)\n", re.MULTILINE | re.DOTALL)
ALSO = re.compile(r"^(?:\*Also called: |<!-- search: )([^*>]+?)(?:\.\*| -->)$", re.MULTILINE)
FETCHED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*(?:src|href)=\"((?:https?:)?//[^\"]*)")
RUNNABLE = """---
file_format: mystnb
kernelspec: {name: python3, display_name: Python 3}
mystnb: {execution_mode: force}
---
"""


def read(app: Sphinx, docname: str, source: list[str]) -> None:
    """Adds to a page what the site needs and a code host would show as raw text."""
    text = source[0]
    if docname == "docs/gallery":
        text = draw_gallery.illustrated(text)
    if docname in EXECUTED:
        text = PICTURE.sub(_worded, OUTPUT.sub(r"\1", text)).replace("```python\n", "```{code-cell} ipython3\n")
        text = RUNNABLE + text
    text = ALSO.sub(_indexed, text)
    below = BELOW.get(docname, [])
    if docname == "docs/api":
        below = [f"docs/reference/{name}" for name in ROW.findall(text)] + below
        text = ROW.sub(r"| [`\1`](reference/\1.rst) |", text)
    for caption, pages in PARTS.get(docname, {"": below} if below else {}).items():
        lines = "\n".join(f"{TITLES[page]} </{page}>" if page in TITLES else f"/{page}" for page in pages)
        option = f":caption: {caption}\n" if caption else ""
        text += f"\n```{{toctree}}\n:hidden:\n{option}\n{lines}\n```\n"
    source[0] = text


def _worded(block: re.Match[str]) -> str:
    """The block, whose picture keeps the words of the stored one."""
    words = json.dumps(" ".join(block[2].split()), ensure_ascii=False)
    return f"```python\n---\nmystnb: {{image: {{alt: {words}}}}}\n---\n{block[1]}"


def say_pictures(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Words for pictures of notebooks that have none: Sphinx would read out the name of the file."""
    for image in doctree.findall(nodes.image):
        if not image.get("alt"):
            section = image.parent
            while section is not None and not isinstance(section, nodes.section):
                section = section.parent
            title = section.next_node(nodes.title) if section is not None else None
            image["alt"] = f"What the code above draws: {title.astext()}" if title else "What the code above draws"


def write_again(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Pages with entries of the index, which Sphinx forgets where it does not write a page anew."""
    return [page for page, entries in env.get_domain("index").data["entries"].items() if entries]


def _indexed(line: re.Match[str]) -> str:
    """The line with its words as entries of the index: the search ranks what equals one of them first."""
    words = "\n".join(f"   ! single: {' '.join(word.split())}" for word in line[1].split(","))
    return f"```{{eval-rst}}\n.. index::\n{words}\n```\n\n{line[0]}"


def write_reference(app: Sphinx) -> None:
    """One page for each name of docs/api.md, which decides what there is and in which order; git ignores the pages."""
    folder = ROOT / "docs" / "reference"
    folder.mkdir(exist_ok=True)
    names = ROW.findall((ROOT / "docs" / "api.md").read_text(encoding="utf-8"))
    for name in names:
        text = f"{name}\n{'=' * len(name)}\n\n.. currentmodule:: bayesmargins\n\n{_directive(name)}"
        page = folder / f"{name}.rst"
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")
    for page in folder.glob("*.rst"):
        if page.stem not in names:
            page.unlink()


def _directive(name: str) -> str:
    thing = getattr(bm, name)
    if inspect.isclass(thing) and issubclass(thing, BaseException):
        return f".. autoexception:: {name}\n   :show-inheritance:\n"
    if inspect.isclass(thing):
        return f".. autoclass:: {name}\n   :members:\n"
    if callable(thing) and not isinstance(thing, bm.options.__class__):
        return f".. autofunction:: {name}\n"
    kind = type(thing)
    return f".. autoclass:: {kind.__module__}.{kind.__name__}\n   :members:\n"


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Writes index.html, which leads to the first page, and refuses a site that browsers would need a network for."""
    if exception is not None or app.builder.format != "html":
        return
    site, to = Path(app.outdir), f"{root_doc}.html"
    link = f'<meta http-equiv="refresh" content="0; url={to}"><a href="{to}">bayesmargins</a>'
    (site / "index.html").write_text(f'<!doctype html><meta charset="utf-8">{link}\n', encoding="utf-8")
    for name in EXECUTED:
        if "<img" not in (site / f"{name}.html").read_text(encoding="utf-8"):
            raise ExtensionError(f"{name} shows no picture: its blocks of code were not run.")
    for page in site.rglob("*.html"):
        if fetched := FETCHED.findall(page.read_text(encoding="utf-8")):
            raise ExtensionError(f"{page.relative_to(site)} would fetch from the network: {', '.join(fetched)}")


def inline_math(translator: Any, node: nodes.Element) -> None:
    """MathML, which browsers show by themselves: MathJax would be fetched from the network."""
    translator.body.append(latex2mathml.converter.convert(node.astext()))
    raise nodes.SkipNode


def displayed_math(translator: Any, node: nodes.Element) -> None:
    """The same, in a line of its own."""
    mathml = latex2mathml.converter.convert(node.astext().strip(), display="block")
    translator.body.append(translator.starttag(node, "div", CLASS="math") + mathml + "</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> ExtensionMetadata:
    """What Sphinx calls first."""
    app.add_html_math_renderer("mathml", (inline_math, None), (displayed_math, None))
    app.connect("builder-inited", write_reference)
    app.connect("source-read", read)
    app.connect("env-updated", write_again)
    app.connect("doctree-resolved", say_pictures)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
