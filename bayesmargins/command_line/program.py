"""All commands together: which there are, and how each ends."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Never, TextIO

import click

from bayesmargins.command_line.check_command import check
from bayesmargins.command_line.command_output import one_line, say
from bayesmargins.command_line.datasets import datasets
from bayesmargins.command_line.demo_command import demo
from bayesmargins.command_line.fit import fit
from bayesmargins.command_line.interruption import INTERRUPTED, watch_for_interrupts
from bayesmargins.command_line.margins import margins
from bayesmargins.command_line.report import report
from bayesmargins.errors import BayesmarginsError, BayesmarginsWarning
from bayesmargins.limits import options
from bayesmargins.version import __version__

__all__ = ["main"]

MISTAKE, NOBODY_READS = 2, 141


class Program(click.Group):
    """A group of commands in the order in which an analysis uses them, whose mistakes are one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they were added."""
        return list(self.commands)

    def main(  # type: ignore[override]  # whether it leaves or returns is not for the caller to choose
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Never:
        """Run, and leave with an exit code: an exception that leaves here is a fault of the program."""
        extra["standalone_mode"] = False
        with _warnings_in_one_line(), options(progress=sys.stderr.isatty()):
            try:
                code = int(super().main(args, prog_name or "bayesmargins", **extra) or 0)
            except click.ClickException as error:
                code = _mistake(f"{error.format_message()}{_help_of(error)}")
            except BayesmarginsError as error:
                code = _mistake(str(error))
        sys.exit(code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; click has ends of its own for an interruption and for a pipe that nobody reads."""
        try:
            with watch_for_interrupts():
                super().invoke(ctx)
                sys.stdout.flush()
        except KeyboardInterrupt:
            say("Interrupted.")
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            # What Python flushes when it ends would meet the closed pipe once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(NOBODY_READS)


def _mistake(message: str) -> int:
    say(f"Error: {one_line(message)}")
    return MISTAKE


def _help_of(error: click.ClickException) -> str:
    ctx = getattr(error, "ctx", None)
    return f" ({ctx.command_path} --help)" if ctx is not None else ""


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        say(f"Warning: {one_line(str(message))}")

    with warnings.catch_warnings():
        warnings.simplefilter("always", BayesmarginsWarning)
        warnings.showwarning = show
        yield


@click.group(
    cls=Program,
    invoke_without_command=True,
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  bayesmargins report toenail "bad ~ treatment * time + (1 | patientID)" --family bernoulli
  bayesmargins fit mydata.csv "y ~ trt + week + (1 | id)" --family bernoulli --out fit.nc
  bayesmargins margins fit.nc comparisons trt

\b
Exit codes: 0 done; 2 a mistake in what was typed or in a file, told in one line; 3 what check --strict
finds; 130 interrupted; 141 nobody reads the output any more; 1 with a traceback: a fault of the program.""",
)
@click.version_option(__version__, message="bayesmargins %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Effects from Bayesian mixed models, from a data file and a formula.

    The groups of a mixed model are integrated out unless you say otherwise, so that effects are those of the
    population. Each command has examples: bayesmargins fit --help.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for command in (fit, margins, check, report, datasets, demo):
    main.add_command(command)
