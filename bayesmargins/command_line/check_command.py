"""`bayesmargins check`."""

from __future__ import annotations

import click

import bayesmargins as bm
from bayesmargins.command_line.command_output import PICTURES, check_outputs, csv_text, picture_bytes, write
from bayesmargins.command_line.interruption import stop_if_interrupted
from bayesmargins.command_line.named_files import read_fit
from bayesmargins.command_line.typed import items

__all__ = ["check"]

FOUND = 3


@click.command(
    short_help="Does a saved fit predict what was observed?",
    epilog="""\b
Examples:
  bayesmargins check fit.nc
  bayesmargins check fit.nc --out check.svg --out check.csv
  bayesmargins check fit.nc --strict && bayesmargins report fit.nc""",
)
@click.argument("fit")
@click.option("--by", metavar="COLUMN,...", help="Look within each value of these columns, too.")
@click.option("--seed", type=int, help="Of the predicted outcomes.")
@click.option("--strict", is_flag=True, help=f"Exit code {FOUND} where something does not fit.")
@click.option(
    "--out", metavar="FILE", multiple=True, help="Ends in .csv (the table) or .png, .svg, .pdf (the picture). Repeat."
)
@click.pass_context
def check(ctx: click.Context, fit: str, by: str | None, seed: int | None, strict: bool, out: tuple[str, ...]) -> None:
    """Hold a saved fit against its data: does the model predict what was observed?

    Outcomes that the model predicts, for the groups that it has seen and for new ones, are held against those of the
    data. What does not fit is printed in words, most telling first.
    """
    check_outputs(out, (".csv", *PICTURES))
    found = bm.check(read_fit(fit), by=items(by) if by else None, random_seed=seed)
    stop_if_interrupted()
    for path in out:
        of_table = path.lower().endswith(".csv")
        write(path, csv_text(found.table).encode() if of_table else picture_bytes(lambda: bm.plot_check(found), path))
    click.echo(str(found))
    if strict and found.findings:
        ctx.exit(FOUND)
