"""A path to what lies there: the seal first, then HDF5's walls, then the format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bayesmargins.errors import FormulaError, PosteriorError, shown
from bayesmargins.files.contents import Contents
from bayesmargins.files.disk import FORMAT, file_name, read_bytes
from bayesmargins.files.file_layout import contents_of
from bayesmargins.files.format_1 import contents_of_format_1
from bayesmargins.files.netcdf import Saved

__all__ = ["read_contents", "readable"]


@contextmanager
def readable(path: Any) -> Iterator[None]:
    """Whatever a damaged file makes of the code that reads it is one error, with the name of the file."""
    try:
        yield
    except (PosteriorError, FormulaError):
        raise
    except Exception as error:
        said = str(error) if isinstance(error, ValueError) else f"it is damaged ({type(error).__name__}: {error})"
        raise PosteriorError(
            f"{str(file_name(path))!r} is no posterior that can be read: {shown(said, 300)[1:-1]}. Give the path that "
            "post.save(path) was given, or a copy of the file that nothing has changed."
        ) from error


def read_contents(path: Any) -> Contents:
    """What does this file hold?"""
    content, sealed = read_bytes(path)
    with readable(path):
        saved = Saved(content)
        found = saved.attrs.get("bayesmargins_format")
        if found != (FORMAT if sealed else 1):
            raise PosteriorError(
                f"{str(file_name(path))!r} is no posterior of bayesmargins (its format is {found!r}; 1 and {FORMAT} "
                "are read). Results are read with xarray.open_dataset."
            )
        return contents_of(saved) if sealed else contents_of_format_1(saved.tree())
