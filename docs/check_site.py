"""Looks at the built site in Chromium, where there is one: what is cut, which pictures lack words, what a search finds.

`make docs` runs it. A page around all others shows each in a frame, 1280 and 390 pixels wide, and measures it.
Search is Sphinx's own, called with its own index: each of the words below must find its page first.
"""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

# What readers call it, and the page of docs/ that answers. The page has the words, behind "Also called" or "search".
FIRST = {
    "number needed to treat": "howto/number_needed_to_treat",
    "NNT": "howto/number_needed_to_treat",
    "AME": "howto/average_effect",
    "average marginal effect": "howto/average_effect",
    "G-computation": "howto/average_effect",
    "standardisation": "howto/average_effect",
    "standardization": "howto/average_effect",
    "risk ratio": "howto/risk_differences",
    "relative risk": "howto/risk_differences",
    "risk difference": "howto/risk_differences",
    "odds ratio": "howto/odds_ratios",
    "subgroup": "howto/subgroups",
    "interaction": "howto/interactions",
    "contrast": "howto/contrasts",
    "pairwise": "howto/contrasts",
    "elasticity": "howto/elasticities",
    "GEE": "howto/marginal_coefficients",
    "intraclass correlation": "howto/icc",
    "ICC": "howto/icc",
    "spaghetti plot": "howto/single_subjects",
    "offset": "howto/rates",
    "rate ratio": "howto/rates",
    "post-stratification": "howto/poststratification",
    "MRP": "howto/poststratification",
    "weights": "howto/weights",
    "equivalence": "howto/equivalence",
    "ROPE": "howto/equivalence",
    "HDI": "howto/intervals",
    "LaTeX": "howto/tables",
    "prior predictive": "howto/prior_margins",
    "pp_check": "howto/predictive_checks",
    "LOO": "howto/predictive_checks",
    "leave-one-group-out": "checks",
    "emmeans": "coming_from",
    "EMM": "coming_from",
    "re_formula": "coming_from",
    "allow_new_levels": "coming_from",
    "sample_new_groups": "coming_from",
    "CmdStan": "draws_of_brms",
    "custom family": "own_family",
    "hazard ratio": "waiting_times",
    "frailty": "waiting_times",
    "exchangeable": "what_is_averaged",
    "population-averaged": "what_is_averaged",
    "random slope": "formulas",
    "LKJ": "priors",
    "zero-inflated": "families",
    "dispersion": "families",
    "censoring": "left_sides",
    "meta-analysis": "left_sides",
    "citation": "citation",
    "estimand": "glossary",
    "r-hat": "glossary",
    "effective sample size": "glossary",
    "probability of direction": "glossary",
}
WIDTHS = (1280, 390)
# Within a frame: what stands out of the page and does not scroll, and which pictures have no words.
MEASURE = """
const measured = (frame) => {
  const d = frame.contentDocument, wide = d.documentElement.clientWidth, faults = [];
  const words = (e) => `${e.tagName.toLowerCase()}.${e.className}: ${e.textContent.trim().slice(0, 60)}`;
  const whole = ".bd-article-container, main, .bd-main";
  const scrolls = (e) => {
    for (; e && e !== d.body; e = e.parentElement)
      if (["auto", "scroll"].includes(d.defaultView.getComputedStyle(e).overflowX)) return !e.matches(whole);
    return false;
  };
  for (const e of d.querySelectorAll("main *")) {
    const box = e.getBoundingClientRect();
    if (box.width && (box.right > wide + 1 || box.left < -1) && !scrolls(e)) faults.push(`cut: ${words(e)}`);
  }
  const { scrollWidth, clientWidth } = d.querySelector(".bd-article-container") || d.body;
  if (scrollWidth > clientWidth + 1) faults.push(`the text is ${scrollWidth} px wide in ${clientWidth}`);
  if (d.documentElement.scrollWidth > wide) faults.push(`the page is ${d.documentElement.scrollWidth} px wide`);
  for (const e of d.images)
    if (!e.alt.trim() || /\\.(png|svg|jpe?g)$/.test(e.alt)) faults.push(`no words: ${e.getAttribute("src")}`);
  return faults.slice(0, 4);
};
"""
LAYOUT = """<!doctype html><meta charset="utf-8"><body><script>
%(measure)s
const cramped = (frame) => {
  const pre = frame.contentDocument.querySelector("main .highlight pre");
  const probe = document.createElement("span");
  probe.textContent = "x".repeat(100);
  pre.append(probe);
  const faults = pre.scrollWidth > pre.clientWidth ? [`100 characters need ${probe.offsetWidth} px`] : [];
  probe.remove();
  return faults;
};
(async () => {
  const found = {}, frame = document.createElement("iframe");
  document.body.append(frame);
  for (const width of %(widths)s) {
    frame.style = `border: 0; width: ${width}px; height: 900px`;
    for (const page of %(pages)s) {
      await new Promise((done) => { frame.onload = done; frame.src = page; });
      const faults = measured(frame);
      if (width > 1000 && %(code)s.includes(page)) faults.push(...cramped(frame));
      if (faults.length) found[`${page} at ${width} px`] = faults;
    }
  }
  await fetch("found", { method: "POST", body: JSON.stringify(found) });
})();
</script>"""
# Sphinx pops what it shows first off the end of what it found.
SEARCH = """<!doctype html><html data-content_root="../"><meta charset="utf-8"><body><div id="search-progress"></div>
<script src="_static/documentation_options.js"></script><script src="_static/doctools.js"></script>
<script src="_static/sphinx_highlight.js"></script><script src="_static/searchtools.js"></script>
<script src="_static/language_data.js"></script><script src="searchindex.js"></script><script>
addEventListener("load", async () => {
  const pages = (query) => Search._performSearch(...Search._parseQuery(query)).map((found) => found[0]);
  const found = Object.fromEntries(%(words)s.map((query) => [query, pages(query).slice(-3).reverse()]));
  await fetch("found", { method: "POST", body: JSON.stringify(found) });
});
</script>"""


class _Site(http.server.SimpleHTTPRequestHandler):
    """The folder of the site, two pages that look at it, and what these send back."""

    extra: dict[str, str]
    found: dict[str, object]
    came: threading.Event

    def do_GET(self) -> None:
        """A page of the site, or one that looks at it."""
        text = self.extra.get(self.path.lstrip("/"))
        if text is None:
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())
        return None

    def do_POST(self) -> None:
        """What was found."""
        self.found.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()
        self.came.set()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed of requests."""


def look(site: Path, chromium: str, page: str, text: str, seconds: int) -> dict[str, list[str]]:
    """What a page that looks at the site sends back."""
    handler = type("Site", (_Site,), {"extra": {page: text}, "found": {}, "came": threading.Event()})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={home}"]
        flags += ["--window-size=1400,1000", "--remote-debugging-port=0"]
        url = f"http://127.0.0.1:{server.server_address[1]}/{page}"
        browser = subprocess.Popen([chromium, *flags, url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            if not handler.came.wait(seconds):
                raise SystemExit(f"Chromium did not get through {page} in {seconds} seconds.")
        finally:
            browser.terminate()
            browser.wait(20)
            server.shutdown()
    return handler.found


def main(site: Path) -> int:
    """Prints what is wrong, and says by its status whether anything is."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        print("Chromium: not found, the site was not looked at in a browser")
        return 0
    shown = (page for page in site.rglob("*.html") if "_static" not in page.parts and page.parent != site)
    pages = sorted(str(page.relative_to(site)) for page in shown)
    code = json.dumps([f"docs/{page}.html" for page in ("howto/average_effect", "get_started", "checks")])
    values = {"measure": MEASURE, "widths": list(WIDTHS), "pages": json.dumps(pages), "code": code}
    faults = look(site, chromium, "look-at-pages.html", LAYOUT % values, 600)
    wrong = [f"{page}: {fault}" for page, all_ in faults.items() for fault in all_]
    found = look(site, chromium, "look-at-search.html", SEARCH % {"words": json.dumps(list(FIRST))}, 60)
    wrong += [
        f"a search for {word!r} finds {', '.join(found[word]) or 'nothing'}, and not docs/{page} first"
        for word, page in FIRST.items()
        if found[word][:1] != [f"docs/{page}"]
    ]
    print("\n".join(wrong) or f"{len(pages)} pages, {len(FIRST)} searches: nothing is cut, all found")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
