"""Reports: the structure of the page, escaped words, numbers of the summaries, files that are whole or absent."""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
import subprocess
import sys
import warnings
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import reference

import bayesmargins as bm

ROOT = Path(__file__).resolve().parents[1]
ODD = """<script>alert("1")</script> & $x_i$ 'q' ~ 世界"""
VOID = {"meta", "link", "br", "img", "hr"}


class Reader(HTMLParser):
    """Elements in order with their attributes and text; every element has to be closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.append((tag, ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style",):
            self.texts.append(("", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.found if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(data for _, data in self.texts).split())


@pytest.fixture(scope="module")
def fitted() -> bm.Posterior:
    """A fit with priors of the user's own, labels that are no words, and a name that is markup."""
    data = bm.load_dataset("bacteria")
    data = bm.label(data, {"trt": ODD, "yb": "bacteria <b>"})
    model = bm.GLMM("yb ~ trt + week + (1 | ID)", data, family="bernoulli")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)
        return model.fit(draws=300, sampler="independent", random_seed=3, progressbar=False, ess=None)


@pytest.fixture(scope="module")
def page(fitted: bm.Posterior, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)
        return bm.report(fitted, ["trt"], path, title=ODD, question="Which & why?").read_text(encoding="utf-8")


def test_a_page_has_one_title_ordered_headings_and_a_table_of_contents(page: str) -> None:
    read = Reader(page)
    levels = [int(tag[1]) for tag, _ in read.found if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    below_title = [k for k in levels if k != 1]
    assert below_title[0] == 2
    assert all(b - a <= 1 for a, b in itertools.pairwise(below_title))
    assert read.all("html")[0]["lang"] == "en"
    anchors = {attrs["id"] for _, attrs in read.found if attrs.get("id")}
    targets = [str(attrs["href"])[1:] for attrs in read.all("a")]
    assert len(targets) >= 10
    assert set(targets) <= anchors


def test_ids_of_a_page_are_unique(page: str) -> None:
    ids = [attrs["id"] for _, attrs in Reader(page).found if attrs.get("id")]
    assert len(ids) == len(set(ids))


def test_a_page_asks_for_nothing_and_runs_nothing(page: str) -> None:
    read = Reader(page)
    assert read.all("script") == []
    fetched = [
        attrs[name]
        for _, attrs in read.found
        for name in ("src", "href", "xlink:href", "data", "action")
        if name in attrs
    ]
    assert all(str(value).startswith(("#", "data:")) for value in fetched)
    assert "url(http" not in page
    assert "@import" not in page
    assert not any(name.startswith("on") for _, attrs in read.found for name in attrs)
    assert len(page.encode()) < 3_000_000


def test_tables_have_captions_and_headers_with_scope_and_pictures_have_words(page: str) -> None:
    read = Reader(page)
    assert len(read.all("table")) == len(read.all("caption")) > 4
    assert all(attrs.get("scope") in ("row", "col") for attrs in read.all("th"))
    svgs = read.all("svg")
    assert svgs
    assert all(attrs["role"] == "img" and len(str(attrs["aria-label"])) > 30 for attrs in svgs)
    assert all(attrs.get("alttext") for attrs in read.all("math"))


def test_words_of_the_user_are_text(page: str) -> None:
    text = Reader(page).text
    assert ODD in text
    assert "bacteria <b>" in text
    assert "<script" not in page
    assert "bacteria <b>" not in page


def test_every_section_stands_in_its_order(page: str) -> None:
    names = [
        "Data",
        "Model",
        "Priors",
        "Sampler",
        "Checks",
        "Effects",
        "Sensitivity",
        "For a paper",
        "Versions",
        "Code",
    ]
    headings = re.findall(r"<h2 id=\"[\w-]+\">([^<]+)</h2>", page)
    assert headings == ["Contents", *names]


def _cells(ds: Any) -> list[str]:
    """Cells of a table of one result, with signs as a page has them and without blanks that align them."""
    table = bm.table(ds, null=0)
    return [_even(cell) for row in table.to_numpy() for cell in row]


def _even(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"(?<![\w)\]])-(?=\d)", "−", text)).replace("[ ", "[").strip()


@pytest.mark.filterwarnings("ignore::bayesmargins.BayesmarginsWarning")
def test_numbers_of_a_page_are_those_of_its_summaries(fitted: bm.Posterior, page: str) -> None:
    text = _even(Reader(page).text)
    for groups in ("new", "existing", "zero"):
        for cell in _cells(bm.avg_comparisons(fitted, "trt", groups=groups)):
            assert cell in text
    assert f"{fitted.info['max_rhat']:.3f}" in text
    summary = bm.summary(bm.avg_comparisons(fitted, "trt"), null=0)
    first = bm.table(summary).iloc[0, 0]
    point, low, high = re.fullmatch(r"(\S+) \[(\S+), (\S+)\]", first).groups()
    sentence = f"was {point} (89% interval {low} to {high}; share of draws above 0: "
    assert text.count(_even(sentence)) >= 2  # in the answer and in the results


@pytest.mark.filterwarnings("ignore::bayesmargins.BayesmarginsWarning")
def test_the_code_of_a_page_makes_its_numbers(
    fitted: bm.Posterior, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    read = Reader(page)
    code = next(data for tag, data in reversed(read.texts) if tag == "" and "import bayesmargins as bm" in data)
    assert "bm.load_dataset('bacteria')" in code
    space: dict[str, Any] = {}
    exec(compile(code, "<report>", "exec"), space)
    again = space["effect_1"]["new groups"]["estimate"]
    assert (again == bm.avg_comparisons(fitted, "trt")["estimate"]).all()
    assert "drug - placebo" in capsys.readouterr().out


def _for_a_paper(text: str) -> str:
    """Its two paragraphs."""
    return text.rpartition(" Methods ")[2].partition(" Versions ")[0]


def test_paragraphs_for_a_paper_tell_what_was_done_and_found_and_give_no_advice(page: str, tmp_path: Path) -> None:
    epil = reference.posterior("k_epil")  # overdispersed, from chains that have not mixed
    path = bm.report(epil, ["trt"], tmp_path / "r.html")
    for text in (Reader(page).text, Reader(path.read_text(encoding="utf-8")).text):
        paper = _for_a_paper(text)
        assert "The largest r-hat is" in paper
        assert not re.search(
            r"\b(try|should|wanted|above|below|may|look|caution)\b", paper.replace("draws above", ""), re.I
        )
    check = bm.check(epil, random_seed=1).table.query("finding")
    row = check[check["statistic"] == "dispersion"].iloc[0]
    assert f"{len(check)} of 20 statistics of the data stand out against replicates drawn from the model" in paper
    assert f"dispersion ({row['observed']:.3g}; {row['lower']:.3g} to {row['upper']:.3g} in 95% of replicates)" in paper


def test_a_paragraph_for_a_paper_states_each_prior(fitted: bm.Posterior, page: str) -> None:
    paper = _for_a_paper(Reader(page).text)
    lines = [line.strip() for line in fitted.origin.prior_lines() if " ~ " in line and not line.startswith("    ")]
    assert len(lines) == 3
    assert all(line.partition(", which implies")[0] in paper for line in lines)
    assert "which implies" not in paper


def test_paragraphs_claim_no_significance_and_no_mixing_that_was_not_there(
    page: str, post: bm.Posterior, tmp_path: Path
) -> None:
    assert "significan" not in page.lower()
    text = Reader(bm.report(post, ["week"], tmp_path / "r.html").read_text(encoding="utf-8")).text
    assert "1.045" in text  # the r-hat of these draws
    assert "the chains have not mixed" in text
    assert "come without their priors" in text
    assert "with bayesmargins" not in text.partition("Methods")[2].partition("Effects compare")[0]


def _ordered() -> bm.Posterior:
    data = pd.read_csv(reference.HERE / "g_inhaler" / "data.csv", dtype={"subject": str})
    formula = "rating ~ treat + period + carry + (1 | subject)"
    return bm.from_brms(reference.draws("g_inhaler"), formula, data, family="cumulative")


@pytest.mark.parametrize("name", ["c_cbpp", "d_sleep", "k_epil", "ordered"])
@pytest.mark.filterwarnings("ignore::bayesmargins.BayesmarginsWarning")
def test_other_families_have_their_page(name: str, tmp_path: Path) -> None:
    posterior = _ordered() if name == "ordered" else reference.posterior(name)
    text = bm.report(posterior, path=tmp_path / "r.html").read_text(encoding="utf-8")
    read = Reader(text)
    assert len(read.all("math")) == 1
    assert posterior.formula in read.text


def test_results_that_were_handed_over_stand_under_their_titles(post: bm.Posterior, tmp_path: Path) -> None:
    ratio = bm.avg_comparisons(post, "trt", comparison="ratio")
    text = Reader(bm.report(post, {"As ratios": ratio}, tmp_path / "r.html").read_text(encoding="utf-8")).text
    assert "As ratios" in text
    assert _even(bm.table(ratio).iloc[0, 0]) in _even(text)
    assert bm.describe(ratio) in text


def test_markdown_has_the_same_blocks_and_its_pictures_beside_it(post: bm.Posterior, tmp_path: Path) -> None:
    path = bm.report(post, ["week"], tmp_path / "a page.md", title=ODD)
    text = path.read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert len(pictures) == 3
    assert all(
        (tmp_path / name.replace("%20", " ")).read_text(encoding="utf-8").startswith("<?xml") for name in pictures
    )
    assert "<script" not in text.replace("\\<", "")
    assert r"\operatorname{logit}" in text
    assert text.count("\n## ") == 10
    assert _even(bm.table(bm.avg_comparisons(post, "week")).iloc[0, 0]) in _even(text)


def _refused(message: str, *args: Any, **kwargs: Any) -> None:
    with pytest.raises(bm.BayesmarginsError, match=message) as caught:
        bm.report(*args, **kwargs)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_reported_is_refused_in_a_line(post: bm.Posterior, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    _refused("Did you mean 'week'", post, ["wek"], path)
    _refused("neither|each effect is the name of a column", post, [3], path)
    _refused(r"must end in \.html", post, ["week"], tmp_path / "r.pdf")
    _refused("does not exist", post, ["week"], tmp_path / "nowhere" / "r.html")
    _refused("it is a folder", post, ["week"], _folder(tmp_path / "x.html"))
    _refused("takes a posterior", bm.avg_predictions(post), None, path)
    _refused("draws of a prior", dataclasses.replace(post, info={"draws": "prior"}), None, path)
    _refused("title=", post, ["week"], path, title=" ")
    _refused("asks for nothing", post, [], path)
    other = reference.posterior("h_bactprobit")
    _refused("other draws", post, [bm.avg_comparisons(other, "trt")], path)
    assert not path.exists()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_folder_that_may_not_be_written_to_is_refused_before_anything_is_computed(
    post: bm.Posterior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write anywhere: the answer of the system is replaced. The unknown column would be refused later.
    monkeypatch.setattr(os, "access", lambda *_: False)
    _refused("may not be written to", post, ["wek"], tmp_path / "r.html")


def test_a_killed_report_leaves_the_older_file_or_none(tmp_path: Path) -> None:
    # The process is killed as it is about to give the file its name: nothing half-written stands under that name.
    path = tmp_path / "r.html"
    code = (
        "import os, sys, warnings; warnings.simplefilter('ignore'); sys.path.insert(0, 'tests')\n"
        "from bayesmargins.files import disk\n"
        "from pathlib import Path\n"
        "write = disk._write\n"
        "def half(file, piece):\n"
        "    write(file, piece[: len(piece) // 2]); os.kill(os.getpid(), 9)\n"
        "disk._write = half\n"
        f"disk.put([memoryview(b'x' * 1000)], {str(path)!r}, 'report.html')\n"
    )
    path.write_text("older", encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert path.read_text(encoding="utf-8") == "older"


def test_a_posterior_without_rows_says_so_and_takes_results_of_other_rows(post: bm.Posterior, tmp_path: Path) -> None:
    bare = dataclasses.replace(post, design=dataclasses.replace(post.design, frame=None))
    _refused("no rows to average over", bare, None, tmp_path / "r.html")
    rows = post.design.data.head(20)
    result = bm.avg_comparisons(bare, "trt", newdata=rows)
    text = Reader(bm.report(bare, [result], tmp_path / "r.html").read_text(encoding="utf-8")).text
    assert "came without its rows" in text
