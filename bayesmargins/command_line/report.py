"""`bayesmargins report`."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

import bayesmargins as bm
from bayesmargins.command_line.command_output import check_outputs, say
from bayesmargins.command_line.fit import name_of_fit
from bayesmargins.command_line.fits import FIT_OPTIONS, data_options, fitted, model_of, model_options, source_of
from bayesmargins.command_line.interruption import stop_if_interrupted
from bayesmargins.command_line.named_files import is_data, read_fit
from bayesmargins.command_line.typed import items
from bayesmargins.errors import close_matches, listed, shown

__all__ = ["report"]


@click.command(
    short_help="One page for a colleague, from data or from a saved fit.",
    epilog="""\b
Examples:
  bayesmargins report toenail "bad ~ treatment * time + (1 | patientID)" --family bernoulli
  bayesmargins report mydata.csv "y ~ trt + week + (1 | id)" --effects trt --out trt.html --save-fit fit.nc
  bayesmargins report fit.nc --effects trt,week --title "Does the drug help?" --out report.md""",
)
@click.argument("source", metavar="DATA|FIT")
@click.argument("formula", required=False)
@click.option("--effects", metavar="COLUMN,...", help="What is compared; every column of the formula by default.")
@click.option("--title", help="Of the page.")
@click.option("--question", help="The question that the report answers, for its beginning.")
@click.option(
    "--out",
    default="report.html",
    show_default=True,
    metavar="FILE",
    help="Ends in .html or .md; an older one is replaced.",
)
@click.option("--save-fit", metavar="FILE.nc", help="Keep the fit, too.")
@click.option("--ci", "ci_prob", type=float, help="Probability of the intervals.  [default: 0.89]")
@click.option("--logo", is_flag=True, help="Leave out one group after the other, too; takes longer.")
@model_options
@data_options
@click.pass_context
def report(
    ctx: click.Context,
    source: str,
    formula: str | None,
    effects: str | None,
    title: str | None,
    question: str | None,
    out: str,
    save_fit: str | None,
    ci_prob: float | None,
    logo: bool,
    **asked: Any,
) -> None:
    """Write one page for a colleague: from data and a formula, or from a saved fit.

    DATA and FORMULA are those of bayesmargins fit, and so are the options of model and sampler. The page holds the
    question, the model in words, checks, effects with pictures and tables, and the text of a methods and a results
    section; it opens in any browser, without a network. A saved FIT has no priors beside it, so that its report says
    less of them.
    """
    check_outputs((out,), (".html", ".md"))
    named = items(effects) if effects else None
    if formula is None:
        _refuse_what_is_of_a_fit(ctx, source, save_fit)
        post, code = read_fit(source), None
        _check_effects(named, post.design)
    else:
        post, code = _fitted(source, formula, named, save_fit, asked)
    tell = (lambda text: None) if asked["quiet"] else say
    tell("Writing the report ...")
    bm.report(post, named, out, title=title, question=question, ci_prob=ci_prob, data=code, logo=logo)
    stop_if_interrupted()
    tell(f"Written: {out}")


def _fitted(
    source: str, formula: str, effects: list[str] | None, save_fit: str | None, asked: dict[str, Any]
) -> tuple[bm.Posterior, str]:
    """A posterior, and the code that reads its data."""
    path = None if save_fit is None else name_of_fit(save_fit)
    data = source_of(source, asked)
    frame = data.read()
    model = model_of(formula, frame, **asked)
    _check_effects(effects, model.design)
    post = fitted(model, **asked)
    if path is not None:
        post.save(path)
        if not asked["quiet"]:
            say(f"Written: {path}")
    return post, data.code(frame)


def _check_effects(effects: list[str] | None, design: Any) -> None:
    """Before the fit, and not after it."""
    for name in effects or ():
        if name not in design.columns:
            raise click.UsageError(
                f"--effects names {shown(name)}, which is no column of {design.formula!r}; there are "
                f"{listed(design.columns)}.{close_matches(name, design.columns)}"
            )


def _refuse_what_is_of_a_fit(ctx: click.Context, source: str, save_fit: str | None) -> None:
    if is_data(source):
        raise click.UsageError(f"{source!r} is data, and no FORMULA follows. Quote it: 'y ~ trt + (1 | id)'.")
    typed = [name for name in FIT_OPTIONS if ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE]
    typed += ["save_fit"] if save_fit is not None else []
    if typed:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in typed)
        raise click.UsageError(f"{source!r} is fitted already, and {options} would come too late. Leave it out.")
