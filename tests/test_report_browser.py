"""A report in Chromium, where there is one: nothing overflows, nothing is asked for; axe-core where npm brought it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import reference

import bayesmargins as bm

BROWSER = Path(__file__).parent / "browser"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
GAVE_UP = 3  # what `axe.mjs` says where the browser did, and not the page
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
# What a page says of itself, measured where it is shown: written into its title by a copy of the page alone.
MEASURE = """<script>addEventListener("load", () => {
const r = document.documentElement;
const named = performance.getEntriesByType("resource").map((e) => e.name).filter((n) => !n.startsWith("data:"));
r.setAttribute("data-measured", [r.scrollWidth, r.clientWidth, named.length].join(" "));
});</script>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    post = reference.posterior("b_bacteria")
    return bm.report(post, ["trt", "week"], tmp_path_factory.mktemp("browser") / "report.html")


def _chromium(*arguments: str, home: Path) -> str:
    assert CHROMIUM is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={home}"]
    done = subprocess.run(
        [CHROMIUM, *flags, *arguments], capture_output=True, text=True, encoding="utf-8", timeout=120, check=True
    )
    return done.stdout


@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_its_window(page: Path, width: int, tmp_path: Path) -> None:
    # Windows without a frame can be no narrower than 500 px: a frame within a page is as narrow as is wanted.
    measured = tmp_path / "measured.html"
    measured.write_text(page.read_text(encoding="utf-8").replace("</head>", f"{MEASURE}</head>"), encoding="utf-8")
    around = tmp_path / "around.html"
    around.write_text(
        f'<!doctype html><iframe src="measured.html" style="border: 0; width: {width}px; height: 900px"></iframe>'
        "<script>addEventListener('load', () => { document.title = document.querySelector('iframe')"
        ".contentDocument.documentElement.getAttribute('data-measured') })</script>",
        encoding="utf-8",
    )
    flags = ("--allow-file-access-from-files", "--window-size=1400,1000", "--virtual-time-budget=5000", "--dump-dom")
    found = re.search(r"<title>(\d+) (\d+) (\d+)</title>", _chromium(*flags, around.as_uri(), home=tmp_path / "home"))
    assert found is not None
    wide, room, asked = map(int, found.groups())
    assert width - 20 <= room <= width  # a scroll bar beside it
    assert wide <= room
    assert asked == 0


@needs_chromium
def test_a_page_prints(page: Path, tmp_path: Path) -> None:
    _chromium(f"--print-to-pdf={tmp_path / 'page.pdf'}", page.as_uri(), home=tmp_path / "home")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


@needs_chromium
@pytest.mark.skipif(shutil.which("node") is None, reason="no node is installed")
@pytest.mark.skipif(not (BROWSER / "node_modules").is_dir(), reason="tests/browser has no axe-core: npm install there")
def test_axe_finds_no_serious_fault(page: Path) -> None:
    command = ["node", str(BROWSER / "axe.mjs"), str(page), str(CHROMIUM)]
    for _ in range(3):
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False, env={**os.environ})
        if done.returncode != GAVE_UP:
            break
    assert done.returncode == 0, done.stdout + done.stderr
