"""What `fit` and `report` share: the options of data, model and sampler, and the fit itself."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

import click

import bayesmargins as bm
from bayesmargins.command_line.command_output import say
from bayesmargins.command_line.interruption import stop_if_interrupted
from bayesmargins.command_line.named_files import Source
from bayesmargins.command_line.typed import priors_of
from bayesmargins.model.independent_fit import INDEPENDENT
from bayesmargins.model.sampling import SAMPLERS

__all__ = ["FIT_OPTIONS", "data_options", "fitted", "model_of", "model_options", "source_of"]

F = TypeVar("F", bound=Callable[..., Any])

_DATA = (
    click.option("--separator", metavar="TEXT", help="Between columns; , in a .csv and a tab in a .tsv by default."),
    click.option("--decimal", metavar="TEXT", default=".", help="Of numbers in a text file.", show_default=True),
    click.option(
        "--as-category",
        metavar="COLUMN",
        multiple=True,
        help="Numbers in this column are codes of categories. Repeat for others.",
    ),
    click.option(
        "--levels",
        metavar="COLUMN=A,B,...",
        multiple=True,
        help="A category whose levels stand in this order, the reference first. Otherwise text is sorted.",
    ),
    click.option("--label", metavar="COLUMN=WORDS", multiple=True, help="What tables and pictures call a column."),
)
_MODEL = (
    click.option("--family", default="gaussian", show_default=True, help="Of the response: bernoulli, poisson, ..."),
    click.option("--link", help="By default the usual one of the family."),
    click.option(
        "--prior",
        metavar="NAME=TEXT",
        multiple=True,
        help='In place of a default: "beta=Normal(0, 1)", a distribution of PyMC, or a number.',
    ),
    click.option(
        "--missing",
        type=click.Choice(["error", "drop"]),
        default="error",
        show_default=True,
        help="Rows in which a column of the formula is missing.",
    ),
)
_COUNT = click.IntRange(1)
_SAMPLER = (
    click.option(
        "--sampler",
        type=click.Choice([*SAMPLERS, INDEPENDENT]),
        help="nutpie by default; independent needs no compiling and is the faster one where it applies.",
    ),
    click.option("--draws", type=_COUNT, default=1000, show_default=True, help="Kept draws a chain, at least."),
    click.option("--tune", type=click.IntRange(0), default=1000, show_default=True, help="Discarded draws a chain."),
    click.option("--chains", type=_COUNT, default=4, show_default=True, help="Runs of the sampler."),
    click.option("--seed", type=click.IntRange(0), help="Same seed, same draws."),
    click.option("--cores", type=_COUNT, help="As many as this process may use by default."),
    click.option("--quiet", is_flag=True, help="Nothing but warnings and errors on stderr."),
)


def _applied(options: tuple[Any, ...]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


data_options = _applied(_DATA)
model_options = _applied((*_MODEL, *_SAMPLER))
FIT_OPTIONS = (
    *("separator", "decimal", "as_category", "levels", "label", "family", "link", "prior", "missing"),
    *("sampler", "draws", "tune", "chains", "seed", "cores"),
)


def source_of(name: str, asked: dict[str, Any]) -> Source:
    """DATA with its options, which are taken out of `asked`."""
    return Source(name, **{field.name: asked.pop(field.name) for field in fields(Source) if field.name != "name"})


def model_of(
    formula: str, frame: Any, *, family: str, link: str | None, prior: tuple[str, ...], missing: str, **of_fit: Any
) -> bm.GLMM:
    """The model that the options describe."""
    return bm.GLMM(formula, frame, family, link, priors_of(prior), missing=missing)


def fitted(
    model: bm.GLMM,
    *,
    sampler: str | None,
    draws: int,
    tune: int,
    chains: int,
    seed: int | None,
    cores: int | None,
    quiet: bool,
    **of_model: Any,
) -> bm.Posterior:
    """The posterior, with what happens told on stderr: a bar where that is a terminal, else lines."""
    tell = (lambda text: None) if quiet else say
    tell(f"{model}\nFitting: {chains} chains of {draws:,} draws ...")
    start = time.monotonic()
    bm.options.threads = cores
    post = model.fit(draws, tune, chains, seed, sampler, progressbar=sys.stderr.isatty() and not quiet)
    stop_if_interrupted()
    tell(f"Fitted in {time.monotonic() - start:.0f} s.")
    return post
