"""`bayesmargins datasets`."""

from __future__ import annotations

import textwrap

import click

import bayesmargins as bm
from bayesmargins.command_line.command_output import FRAMES, check_outputs, frame_bytes, write

__all__ = ["datasets"]


@click.command(
    short_help="Data sets that come with the package.",
    epilog="""\b
Examples:
  bayesmargins datasets
  bayesmargins datasets inhaler
  bayesmargins datasets inhaler --out inhaler.csv""",
)
@click.argument("name", required=False)
@click.option("--out", metavar="FILE", help=f"Write the rows: {', '.join(FRAMES)}.")
def datasets(name: str | None, out: str | None) -> None:
    """List the data sets that come with the package, or say what one holds.

    Every command that takes DATA takes their names. A .csv keeps no order of levels, and numbers in it that name
    categories are numbers again when it is read (--levels and --as-category say otherwise); a .parquet keeps both.
    """
    if name is None:
        if out is not None:
            raise click.UsageError("--out without the NAME of a data set; bayesmargins datasets lists them.")
        click.echo(_list())
        return
    frame = bm.load_dataset(name)
    if out is not None:
        check_outputs((out,), FRAMES)
        write(out, frame_bytes(frame, out))
    click.echo(frame.attrs["description"])


def _list() -> str:
    table = bm.list_datasets()
    width = max(map(len, table["name"]))
    lines = [f"{row.name:<{width}}  {row.rows:>5} rows  {row.description}" for row in table.itertuples(index=False)]
    return "\n".join(textwrap.fill(line, 100, subsequent_indent=" " * (width + 14)) for line in lines)
