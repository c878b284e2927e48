"""`bayesmargins demo`."""

from __future__ import annotations

import click

from bayesmargins.errors import DataError

__all__ = ["demo"]


@click.command(
    short_help="The toenail trial, from data to pictures.",
    epilog="""\b
Examples:
  bayesmargins demo
  bayesmargins demo --folder elsewhere --draws 500""",
)
@click.option("--folder", default="demo", show_default=True, help="Where the fit, results and pictures are written.")
@click.option("--draws", type=click.IntRange(1), default=1500, show_default=True, help="Kept draws a chain.")
@click.option("--seed", type=click.IntRange(0), default=2026, show_default=True, help="Of the sampler.")
def demo(folder: str, draws: int, seed: int) -> None:
    """The toenail trial: one fit, and the same effects under four treatments of the patients.

    Takes about a minute.
    """
    from bayesmargins.demo import main  # on another floor of names: pictures are drawn there

    try:
        main(folder, draws, seed)
    except OSError as error:
        raise DataError(f"Cannot write into {folder!r}: {error.strerror or error}.") from error
