"""`bayesmargins fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import bayesmargins as bm
from bayesmargins.command_line.command_output import check_outputs, say
from bayesmargins.command_line.fits import data_options, fitted, model_of, model_options, source_of

__all__ = ["fit", "name_of_fit"]


def name_of_fit(out: str | None) -> str:
    """Where the fit goes, refused before the fit: an older one is replaced only where it was named."""
    if out is None and Path("fit.nc").exists():
        raise click.UsageError("fit.nc is there already, and --out does not name it. Add --out fit.nc to replace it.")
    path = out or "fit.nc"
    check_outputs((path,), (".nc",))
    return path


@click.command(
    short_help="Fit a model to data and save it.",
    epilog="""\b
Examples:
  bayesmargins fit toenail "bad ~ treatment * time + (1 | patientID)" --family bernoulli
  bayesmargins fit mydata.csv "y ~ trt + week + (1 + week | id)" --levels trt=placebo,drug --out model1.nc
  bayesmargins fit herds.parquet "cases | trials(size) ~ period + (1 | herd)" --family binomial --seed 1
  bayesmargins fit epilepsy "count ~ zBase * Trt + (1 | patient)" --family poisson \\
      --sampler independent --prior "beta=Normal(0, 1)\"""",
)
@click.argument("data")
@click.argument("formula")
@click.option("--out", metavar="FILE.nc", help="Where the fit is saved; an older file is replaced.  [default: fit.nc]")
@model_options
@data_options
def fit(data: str, formula: str, out: str | None, **asked: Any) -> None:
    """Fit a model and save it.

    DATA is a .csv, .tsv or .parquet file with one row an observation, or the name of a data set that comes with the
    package (bayesmargins datasets). Text in it becomes categories. FORMULA is lme4-style; quote it.

    The parameters are printed. The saved file is netCDF, for the other commands, for bayesmargins.load and for ArviZ.
    """
    path = name_of_fit(out)
    frame = source_of(data, asked).read()
    post = fitted(model_of(formula, frame, **asked), **asked)
    post.save(path)
    if not asked["quiet"]:
        say(f"Written: {path}")
    click.echo(str(bm.summary(post)))
