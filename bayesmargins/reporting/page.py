"""From a posterior and a question to a page: sections in their order, written in one piece."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

from bayesmargins.errors import PosteriorError, ResultError, shown
from bayesmargins.explained import QUESTION, REPORT, explained
from bayesmargins.files import check_place, file_name, put
from bayesmargins.habits import ask_one, taught
from bayesmargins.labelling import worded
from bayesmargins.posterior import Posterior
from bayesmargins.reporting.about_checks import checks_of, checks_section
from bayesmargins.reporting.about_data import data_section
from bayesmargins.reporting.about_effects import effects_section
from bayesmargins.reporting.about_model import model_section, priors_section
from bayesmargins.reporting.about_sampler import sampler_section
from bayesmargins.reporting.about_sensitivity import sensitivities_of, sensitivity_section
from bayesmargins.reporting.effects_asked import Effect, Intervals, effects_of
from bayesmargins.reporting.html import html_of
from bayesmargins.reporting.markdown import markdown_of, pictures_in
from bayesmargins.reporting.page_blocks import Block, Notice, Page, numbered, said
from bayesmargins.reporting.paper import answers, paper_section
from bayesmargins.reporting.script import code_section, versions_section
from bayesmargins.reporting.wording import listing
from bayesmargins.values import switch, whole_number
from bayesmargins.version import __version__

__all__ = ["report"]

_ENDINGS = {".html": "report.html", ".htm": "report.html", ".md": "report.md"}


@taught
@explained(QUESTION, REPORT)
def report(
    post: Posterior,
    effects: Any = None,
    path: str | os.PathLike[str] = "report.html",
    *,
    title: str | None = None,
    question: str | None = None,
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    data: str | None = None,
    logo: bool = False,
    random_seed: int | None = 1,
) -> Path:
    """What does a colleague need to read and judge this analysis? This writes it as one page.

    Parameters
    ----------
    post : Posterior
        Draws with their design.
    effects : str, Dataset, list of these, or dict of str to Dataset, optional
        What the page is about: names of columns, each compared by `avg_comparisons` under every policy for groups that
        makes sense, and results that you computed from this posterior, under titles of yours in a dict. Every column by
        default.
    path : str or Path
        The file. One that ends in ``.html`` is one page that asks for nothing beside itself; one that ends in ``.md``
        has its pictures in a folder beside it, ``report_pictures`` for ``report.md``.
    data : str, optional
        The code that reads the data, such as ``"pd.read_csv('trial.csv')"``, for the code at the end of the page. Data
        sets that come with the package are recognised.
    logo : bool
        Also leaves out one group after the other (`logo`), which takes longer.
    random_seed : int, optional
        Of the observations that the checks draw.
    title : str, optional
        What stands above, in place of words made of the columns.
    question : str, optional
        What the page answers, in place of words made of the columns.
    ci_prob : float, optional
        Probability of all intervals; ArviZ's setting (0.89) by default.
    ci_kind : {"eti", "hdi"}, optional
        ...

    Returns
    -------
    Path
        The file, which is there as a whole or not at all.

    Raises
    ------
    ResultError
        Another ending; an effect that is neither a column nor a result, or a result of other draws; a title or a
        question that is no text.
    PosteriorError
        No posterior, one of a prior or a part of one; the file cannot be written; effects by name where the posterior
        has no rows.
    EstimandError
        A name that is no column of the formula.

    Warns
    -----
    BayesmarginsWarning
        What the effects and summaries warn about.

    Notes
    -----
    The page holds the question with its answer, the data, the model in mathematics and words, the priors, what is known
    of the sampler, checks, effects, their sensitivity to the priors, a paragraph on methods and one on results,
    versions, and the code that makes the numbers again. What a posterior does not know (priors of imported draws, rows)
    is said where it is missing. Every number in a sentence is one of a table.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = report(post, ["trt"], f"{folder}/report.html", title="A trial")
    ...     "<h1>A trial</h1>" in page.read_text(encoding="utf-8")
    True
    """
    _check(post)
    ending = _ending(path)
    switch("logo", logo, ResultError)
    given = _words("title", title), _words("question", question), _words("data", data)
    if random_seed is not None:
        whole_number("random_seed", random_seed, 0, ResultError, ", or None")
    check_place(path, _ENDINGS[ending])
    page = _page(post, effects, given, Intervals(ci_prob, ci_kind), bool(logo), random_seed)
    target = file_name(path)
    if ending == ".md":
        _write_markdown(page, target)
    else:
        _write(html_of(page), target)
    return target


def _check(post: Any) -> None:
    if not isinstance(post, Posterior):
        raise PosteriorError(
            f"report takes a posterior, got {shown(post)}: {ask_one('report', post)}. Results go into effects=[...]."
        )
    if post.is_part:
        raise PosteriorError(f"This is the part {post.family.name!r} of a posterior: report that, as a whole.")
    if post.kind == "prior":
        raise PosteriorError(
            "These are draws of a prior, which has seen no data: a report is of a posterior. Fit the model, "
            "model.fit(); bm.summary, bm.avg_comparisons and the pictures take draws of a prior."
        )


def _ending(path: Any) -> str:
    ending = file_name(path).suffix.lower()
    if ending not in _ENDINGS:
        raise ResultError(
            f"path={shown(os.fspath(path))} ends in {shown(ending)}; it must end in .html, for a page, or in .md, for "
            "Markdown, such as 'report.html'."
        )
    return ending


def _words(name: str, text: Any) -> str | None:
    if text is not None and not (isinstance(text, str) and text.strip()):
        raise ResultError(f"{name}={shown(text)}; it must be text, or None.")
    return None if text is None else " ".join(text.split()) if name != "data" else text


def _page(
    post: Posterior,
    given: Any,
    words: tuple[str | None, str | None, str | None],
    how: Intervals,
    logo: bool,
    random_seed: int | None,
) -> Page:
    title, question, data = words
    effects = effects_of(post, given, how)
    checked = checks_of(post, random_seed, logo)
    moved = sensitivities_of(post, effects)
    sections = numbered(
        [
            data_section(post),
            model_section(post),
            priors_section(post),
            sampler_section(post, how),
            checks_section(checked),
            effects_section(post, effects, how),
            sensitivity_section(moved),
            paper_section(post, effects, checked, moved),
            versions_section(post),
            code_section(post, effects, how, data),
        ]
    )
    lead: list[Block] = [said(question or _question(post, effects)), *answers(post, effects)]
    if post.caveat:
        lead.append(Notice((f"All numbers are {post.caveat}.",)))
    today = datetime.date.today()
    foot = f"Written by bayesmargins {__version__} on {today:%Y-%m-%d}."
    return Page(title or _title(post), tuple(lead), sections, foot)


def _noun(post: Posterior) -> str:
    noun = "probability of each category" if post.family.categories else post.family.noun
    return f"{noun} of {post.response_words}"


def _title(post: Posterior) -> str:
    return f"Effects on the {_noun(post)}"


def _question(post: Posterior, effects: list[Effect]) -> str:
    """From the columns, or the titles of results."""
    names: list[str] = []
    for effect in effects:
        columns = list(post.design.columns) if effect.variable is None else [effect.variable]
        names += [worded(name, post.design.labels) for name in columns] if effect.computed else [effect.title]
    unique = list(dict.fromkeys(names))
    if not unique:
        return f"What is the {_noun(post)}?"
    return f"How does the {_noun(post)} change with {listing(unique)}?"


def _write(text: str, target: Path) -> None:
    put([memoryview(text.encode("utf-8"))], target, "report.html")


def _write_markdown(page: Page, target: Path) -> None:
    """Pictures first: the page that shows them comes last."""
    folder = target.with_name(f"{target.stem}_pictures")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise PosteriorError(
            f"Cannot make the folder {str(folder)!r} for the pictures: {error.strerror or error}. Choose another path."
        ) from error
    for picture in pictures_in(page):
        _write(picture.svg, folder / f"{picture.name}.svg")
    _write(markdown_of(page, folder.name.replace(" ", "%20")), target)
