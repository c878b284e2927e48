"""`bayesmargins margins`."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import xarray as xr

import bayesmargins as bm
from bayesmargins.command_line.command_output import PICTURES, check_outputs, csv_text, picture_bytes, write
from bayesmargins.command_line.interruption import stop_if_interrupted
from bayesmargins.command_line.named_files import Source, read_fit
from bayesmargins.command_line.typed import columns_to_values, groups_of, items, target_of, variables_of
from bayesmargins.errors import close_matches, listed

__all__ = ["margins"]

TABLES = (".csv", ".md", ".html", ".tex")
_OF_SUMMARY = ("point", "ci_prob", "ci_kind", "null", "diagnostics")
_AVERAGED: Mapping[str, Callable[..., xr.Dataset]] = {
    "predictions": bm.avg_predictions,
    "comparisons": bm.avg_comparisons,
    "slopes": bm.avg_slopes,
    "attenuation": bm.attenuation,
    "heterogeneity": bm.heterogeneity,
}
_BY_ROW: Mapping[str, Callable[..., xr.Dataset]] = {
    "predictions": bm.predictions,
    "comparisons": bm.comparisons,
    "slopes": bm.slopes,
}


@click.command(
    short_help="Predictions, comparisons, slopes of a saved fit.",
    epilog="""\b
Examples:
  bayesmargins margins fit.nc comparisons treatment
  bayesmargins margins fit.nc comparisons treatment --groups zero --comparison ratio --null 1
  bayesmargins margins fit.nc comparisons week=0,6 trt=pairwise --by sex --ci 0.95
  bayesmargins margins fit.nc predictions --at week=0,2,4,6 --at trt=all --out curve.svg --out curve.csv
  bayesmargins margins fit.nc predictions --rows --newdata new.csv --groups own --target "exceeds(2)"
  bayesmargins margins fit.nc slopes time --out slopes.md --out slopes.nc
  bayesmargins margins fit.nc attenuation treatment""",
)
@click.argument("fit")
@click.argument("kind")
@click.argument("variables", nargs=-1)
@click.option(
    "--groups",
    multiple=True,
    metavar="POLICY",
    help="What is done with the groups: new (the default: integrated out), existing, own, zero, sample; or for each "
    "factor item=own, or levels, id=A,B.",
)
@click.option("--rows", is_flag=True, help="A value for each row; rows are averaged otherwise.")
@click.option("--newdata", metavar="DATA", help="Rows to ask about; those of the fit by default.")
@click.option("--by", metavar="COLUMN,...", help="Average within each value of these columns.")
@click.option("--at", metavar="COLUMN=A,B,...", multiple=True, help="Set a column to these values in every row.")
@click.option("--comparison", help="Of comparisons: difference (the default), ratio, lift, or, nnt, ...")
@click.option("--slope", help="Of slopes: dydx (the default), eyex, eydx, dyex.")
@click.option("--target", help='What of the response: mean (the default), link, sigma, "exceeds(2)", "quantile(0.9)".')
@click.option("--weights", "wts", metavar="COLUMN", help="Weights of rows in averages.")
@click.option("--seed", "random_seed", type=int, help="Of --groups sample.")
@click.option("--point", default="median", show_default=True, help="median or mean over draws.")
@click.option("--ci", "ci_prob", type=float, help="Probability of the interval.  [default: 0.89]")
@click.option("--ci-kind", help="eti or hdi.")
@click.option("--null", type=float, help="Adds the probability of a larger value.")
@click.option("--digits", type=int, help="Decimals in .md, .html and .tex.")
@click.option("--diagnostics", is_flag=True, help="Adds effective sample size and r-hat.")
@click.option(
    "--out",
    metavar="FILE",
    multiple=True,
    help="Ends in .nc (draws), .csv (numbers), .md, .html, .tex (a table to show), .png, .svg, .pdf (a picture). "
    "Repeat for several; older files are replaced.",
)
@click.option("--csv", is_flag=True, help="Print numbers in full, with commas between them.")
def margins(
    fit: str,
    kind: str,
    variables: tuple[str, ...],
    out: tuple[str, ...],
    csv: bool,
    digits: int | None,
    **asked: Any,
) -> None:
    r"""Predictions, comparisons or slopes of a saved fit.

    FIT is a file of bayesmargins fit. KIND is one of

    \b
    predictions    the mean response
    comparisons    how it changes when a variable does
    slopes         how steeply it rises with a variable
    attenuation    the same comparison at b = 0, in own groups, over the fitted and over new groups
    heterogeneity  how a comparison differs from group to group

    VARIABLES are columns of the formula, all of them by default; week=0,6, week=sd or trt=pairwise say how one
    changes. The table is printed.
    """
    check_outputs(out, (".nc", *TABLES, *PICTURES))
    summarised = {name: asked.pop(name) for name in _OF_SUMMARY}
    ds = _result(read_fit(fit), kind, variables, **asked)
    stop_if_interrupted()
    summary, table = bm.summary(ds, **summarised), lambda: bm.table(ds, digits=digits, **summarised)
    for path in out:
        write(path, _content(path, ds, summary, table))
    click.echo(csv_text(summary) if csv else str(summary), nl=not csv)


def _result(
    post: bm.Posterior,
    kind: str,
    variables: tuple[str, ...],
    *,
    groups: tuple[str, ...],
    rows: bool,
    newdata: str | None,
    by: str | None,
    at: tuple[str, ...],
    target: str | None,
    **words: Any,
) -> xr.Dataset:
    given = {
        "variables": variables_of(variables, post),
        "groups": groups_of(groups) if groups else None,
        "newdata": None if newdata is None else Source(newdata).read(),
        "by": items(by) if by else None,
        "at": columns_to_values(at, post, "--at") or None,
        "target": target_of(target),
        **words,
    }
    function = _function(kind, rows)
    taken = inspect.signature(function).parameters
    asked = {name: value for name, value in given.items() if value is not None}
    if not variables and "variables" in taken and taken["variables"].default is inspect.Parameter.empty:
        raise click.UsageError(f"{kind} needs a variable whose effect it is of, such as the last word of: {kind} trt")
    for name in asked:
        if name not in taken:
            raise click.UsageError(_not_taken(name, kind, variables))
    return function(post, **asked)


def _not_taken(name: str, kind: str, variables: tuple[str, ...]) -> str:
    if name != "variables":
        return f"--{'seed' if name == 'random_seed' else name} does not go with {kind}."
    return (
        f"{kind} are of no variables, and {variables[0]!r} is one: --at {variables[0]}=1,2 sets its values, --by "
        f"{variables[0]} averages within them."
    )


def _function(kind: str, rows: bool) -> Callable[..., xr.Dataset]:
    """That of the API for what was typed."""
    if kind not in _AVERAGED:
        raise click.UsageError(f"{kind!r} is none of {listed(_AVERAGED)}.{close_matches(kind, _AVERAGED)}")
    if rows and kind not in _BY_ROW:
        raise click.UsageError(f"--rows does not go with {kind}, which is of averages.")
    return (_BY_ROW if rows else _AVERAGED)[kind]


def _content(path: str, ds: xr.Dataset, summary: Any, table: Callable[[], Any]) -> bytes:
    suffix = Path(path).suffix.lower()
    if suffix == ".nc":
        buffer = io.BytesIO()
        ds.to_netcdf(buffer, engine="h5netcdf")
        return buffer.getvalue()
    if suffix in PICTURES:
        return picture_bytes(ds.margins.plot, path)
    if suffix == ".csv":
        return csv_text(summary).encode()
    return f"{_WRITERS[suffix](table())}\n".encode()


_WRITERS: Mapping[str, Callable[[Any], str]] = {
    ".md": lambda table: table.to_markdown(),
    ".html": lambda table: table.to_html(),
    ".tex": lambda table: table.to_latex(),
}
