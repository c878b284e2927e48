"""How R and brms spell what a design calls its columns, levels and parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bayesmargins.design import Design, Factor
from bayesmargins.design.matrix import Matrix

__all__ = ["coefficients_of", "level_names", "spelt", "terms_of"]

# brms drops brackets, blanks, commas and quotes from R's names of coefficients, and writes signs as letters
# (its function `rename`, brms 2.18).
_DROPPED = re.compile(r"[ ()\[\],\"'?`]")
_LETTERS = (("+", "P"), ("-", "M"), ("*", "MU"), ("/", "D"), ("^", "E"), ("=", "EQ"))
_Name = frozenset[str]


def spelt(name: str) -> str:
    """How does brms spell one of R's names?

    Parameters
    ----------
    name : str
        ``"trtdrug+"``, ``"I(age^2)"``.

    Returns
    -------
    str

    Raises
    ------
    Nothing.

    Examples
    --------
    >>> spelt("trtdrug+"), spelt("I(age^2)"), spelt("poly(x, 2)1")
    ('trtdrugP', 'IageE2', 'polyx21')
    """
    name = _DROPPED.sub("", name)
    for sign, letters in _LETTERS:
        name = name.replace(sign, letters)
    return name


def parts_of(name: str) -> _Name:
    """The factors of an interaction, whose order differs between programs.

    Raises
    ------
    Nothing.

    Examples
    --------
    >>> parts_of("lbase:trtprogabide") == parts_of("trtprogabide:lbase")
    True
    """
    return frozenset(name.split(":"))


def coefficients_of(matrix: Matrix, design: Design) -> list[list[str]]:
    """What may R call each column of the design? The first name is the likeliest.

    Parameters
    ----------
    matrix : Matrix
        Some columns of the design.
    design : Design
        Says which columns are truth values: R appends TRUE to those.

    Returns
    -------
    list of list of str
        Names as brms spells them, for each column.

    Raises
    ------
    Nothing.
    """
    return [_names(str(name), design) for name in matrix.spec.column_names]


def terms_of(factor: Factor, design: Design) -> list[list[str]]:
    """The same for what varies by group.

    Raises
    ------
    Nothing.
    """
    return [names for matrix in factor.matrices for names in coefficients_of(matrix, design)]


def _names(name: str, design: Design) -> list[str]:
    pieces = [_piece(piece, design) for piece in _factors(name)]
    joined = [":".join(spelt(one) for one in choice) for choice in _choices(pieces)]
    return list(dict.fromkeys(joined))


def _factors(name: str) -> list[str]:
    """``a[T.x:y]:b`` has two factors: colons inside brackets belong to a level."""
    pieces, depth, start = [], 0, 0
    for i, c in enumerate(name):
        depth += (c in "([") - (c in ")]")
        if c == ":" and depth == 0:
            pieces.append(name[start:i])
            start = i + 1
    return [*pieces, name[start:]]


def _piece(piece: str, design: Design) -> list[str]:
    """``trt[T.drug+]`` is R's ``trtdrug+``; ``age ** 2`` its ``I(age^2)``; ``poly(x, 2)[1]`` its ``poly(x, 2)1``."""
    level = re.fullmatch(r"(.*)\[(?:T\.)?([^\[\]]*)\]", piece)
    if level:
        name, value = level[1], re.sub(r"^(-?\d+)\.0$", r"\1", level[2])
        return [name + value, f"factor({name.removeprefix('C(').removesuffix(')')}){value}"]
    if piece in design.columns and design.columns[piece].kind == "logical":
        return [f"{piece}TRUE", piece]
    powered = re.sub(r"\s*\*\*\s*", "^", piece)
    return [piece, f"I({powered})", powered] if powered != piece or not piece.isidentifier() else [piece]


def _choices(pieces: Sequence[Sequence[str]]) -> Iterable[tuple[str, ...]]:
    from itertools import product

    return product(*pieces)


def level_names(factor: Factor) -> list[str]:
    """How does brms name the groups of a factor inside ``r_g[level,coef]``?

    Parameters
    ----------
    factor : Factor
        Its levels; those of ``a:b`` are joined by ``_``, and blanks become dots.

    Returns
    -------
    list of str
        In the order of the levels.

    Raises
    ------
    Nothing.
    """
    return [re.sub(r"[ \t\r\n]", ".", "_".join(parts)) for parts in factor.parts]
