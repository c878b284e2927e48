"""Every argument of every public function is explained where the function is: `help()` and the API page show it."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import bayesmargins as bm
from bayesmargins.accessor import Margins
from bayesmargins.explained import explained

SECTION = re.compile(r"^Parameters\n-{10}\n(.*?)(?=^[A-Z]\w+\n-{3,}\n|\Z)", re.MULTILINE | re.DOTALL)
ELSEWHERE = re.compile(r"\b[Aa]s (for|in|of) `")


def _public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The exported functions, and what users call of a model, a posterior and a result."""
    for name in bm.__all__:
        thing = getattr(bm, name)
        if inspect.isfunction(thing) or thing is bm.GLMM:
            yield name, thing
    for of, methods in (
        (bm.GLMM, ("from_arrays", "pymc_for", "fit", "prior")),
        (bm.Posterior, ("add_prior", "linear_predictor", "save")),
        (Margins, ("summary", "table", "hypotheses", "describe", "to_frame", "to_idata", "plot")),
    ):
        for name in methods:
            yield f"{of.__name__}.{name}", getattr(of, name)


PUBLIC = dict(_public())


def _paragraphs(thing: Any) -> dict[str, list[str]]:
    """Heading and lines of text, by what stands in front of the colon."""
    found = SECTION.search(inspect.getdoc(thing) or "")
    entries: dict[str, list[str]] = {}
    for line in found[1].rstrip().split("\n") if found else ():
        if line and not line.startswith(" "):
            name, _, kind = line.partition(" : ")
            assert name not in entries, f"{name} is explained twice"
            entries[name] = entry = [kind]
        else:
            entry.append(line.strip())
    return entries


def _arguments(thing: Any) -> list[str]:
    star = {inspect.Parameter.VAR_KEYWORD: "**", inspect.Parameter.VAR_POSITIONAL: "*"}
    found = inspect.signature(thing).parameters.values()
    return [star.get(p.kind, "") + p.name for p in found if p.name not in ("self", "cls")]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_argument_has_a_paragraph_of_its_own_in_the_order_of_the_signature(name: str) -> None:
    assert list(_paragraphs(PUBLIC[name])) == _arguments(PUBLIC[name])


@pytest.mark.parametrize("name", PUBLIC)
def test_no_argument_is_explained_on_another_page(name: str) -> None:
    for argument, (kind, *text) in _paragraphs(PUBLIC[name]).items():
        assert kind or argument.startswith("*"), f"{argument} says no type"
        said = " ".join(text).strip()
        assert said, f"{argument} says nothing"
        assert not ELSEWHERE.search(said), f"{argument}: {said}"


@pytest.mark.parametrize("name", PUBLIC)
def test_no_public_signature_hides_arguments(name: str) -> None:
    taking_any = {"GLMM.fit": "options", "fit_many": "fit", "fit_imputations": "fit", "Margins.plot": "options"}
    kinds = {p.name: p.kind for p in inspect.signature(PUBLIC[name]).parameters.values()}
    hidden = [n for n, k in kinds.items() if k in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)]
    assert hidden == [n for key, n in taking_any.items() if key == name]


@pytest.mark.parametrize("what", ["predictions", "comparisons", "slopes"])
def test_an_averaged_question_takes_what_the_question_of_rows_takes(what: str) -> None:
    assert inspect.signature(getattr(bm, f"avg_{what}")) == inspect.signature(getattr(bm, what))


def test_own_paragraphs_come_first_shared_ones_fill_in_and_dots_stand_for_them() -> None:
    @explained("a : int\n    First.\nb : int\n    Second.", "b : str\n    ...\n    Third.")
    def function(b: Any, a: Any, c: Any) -> None:
        """Says what it does.

        Parameters
        ----------
        a : float
            Before.
            ...
        c : int
            Own.

        Returns
        -------
        None
        """

    made = "a : float", "    Before.", "    First.", "c : int", "    Own.", "", "Returns", "-------", "None"
    assert (function.__doc__ or "").split("\n")[2:] == [
        "Parameters", "----------", "b : str", "    Second.", "    Third.", *made
    ]  # fmt: skip


def test_without_docstrings_the_package_works() -> None:
    code = "import bayesmargins as bm; assert bm.avg_predictions.__doc__ is None; bm.load_dataset('bacteria')"
    subprocess.run([sys.executable, "-OO", "-c", code], check=True, timeout=120)
