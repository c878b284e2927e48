"""A posterior of brms: the columns of `as_draws_df()` put into the design of the same formula and data."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.adapters.arrays_of_draws import posterior_of
from bayesmargins.adapters.brms.bf import said_by
from bayesmargins.adapters.brms.brms_categories import category_names, read_categories
from bayesmargins.adapters.brms.brms_draws import divergences, in_order, read_draws
from bayesmargins.adapters.brms.correlated_parameters import join_across
from bayesmargins.adapters.brms.parts import across, correlated_across, held_by, link_of, separated
from bayesmargins.adapters.brms.r_coding import with_rs_coding
from bayesmargins.adapters.brms.r_formula import Spelling, agreed, translated
from bayesmargins.adapters.brms.r_names import (
    coefficients_of,
    contrasts_seen,
    groups_in,
    own_terms_of,
    parts_of,
    terms_of,
)
from bayesmargins.adapters.brms.stan import are_of_stan, check_intercept, named_as_in_r
from bayesmargins.adapters.brms.steps import monotonic_coefficients
from bayesmargins.adapters.imported_checks import checked
from bayesmargins.design import Design, Factor, build_part, design_from
from bayesmargins.errors import DataError, PosteriorError, close_matches, listed, warn
from bayesmargins.explained import FAMILY, explained
from bayesmargins.family import Parameter, get_family
from bayesmargins.habits import taught_as
from bayesmargins.posterior import Posterior

__all__ = ["from_brms"]

# What a table of draws holds beside parameters.
_BESIDE = re.compile(
    r"\.?(chain|iteration|iter|draw)|lprior|Intercept(_.*|\[\d+\])?|(z|L|Cor)_\d+.*|.*__|prior_.*|r_.*|Unnamed.*|rownames|"
    r"(hs|R2D2|sdb|zb)(_.*|\[.*)?"  # parameters of the priors of b
)


@taught_as(PosteriorError)
@explained(FAMILY)
def from_brms(
    draws: Any,
    formula: str | Mapping[str, str],
    data: Any = None,
    *,
    family: str,
    link: str | None = None,
    namespace: Mapping[str, Callable[..., Any]] | None = None,
    levels: Mapping[str, Any] | None = None,
) -> Posterior:
    """Which posterior is this fit of brms?

    Parameters
    ----------
    draws : DataFrame, path, list of paths, Dataset, InferenceData or DataTree
        What ``as_draws_df(fit)`` gives: a frame, or a .csv, .csv.gz or .parquet file of it. Columns ``b_*``, ``sd_*``,
        ``cor_*``, ``r_*``, ``sigma``, ``shape``; ``.chain`` says which rows are a chain (without it they are one, and a
        warning says so). Or what Stan wrote, with the names of brms's program (``b[1]``, ``sd_1[1]``, ``r_1_1[7]``):
        the list of CmdStan's CSV files, one a chain, or ArviZ's object or netCDF file.
    formula : str
        That of the fit, in brms's own spelling: ``"y | trials(n) ~ x + (1 + x |p| gr(g))"``. With formulas of the
        family's own parameters ``"bf(y ~ x, sigma ~ z)"``, ``"bf(y ~ x) + lf(sigma ~ z)"``, or a dict,
        ``{"mu": "y ~ x", "sigma": "~ z"}``.
    data : DataFrame
        The fitted rows. What was a factor in R has to be text, or categories in R's order of levels.
    levels : dict of list, optional
        In place of `data`: the levels of each factor in order, the reference first, ``{"trt": ["placebo", "drug"]}``.
        Columns that it does not name are numbers. Rows must then be given with every question (``newdata=``). Group
        effects are read of the factors whose groups it names.
    family : str or Family
        ...
        As R writes it too: ``'binomial("probit")'``. What ``bf(..., family = ...)`` says has to agree.
    link : str, optional
        ...
        What ``bf(..., family = ...)`` says of links is taken.

    Returns
    -------
    Posterior
        Without group effects where the draws have no columns ``r_*``: then ``"new"`` and ``"zero"`` can be asked for.

    Raises
    ------
    FormulaError, DataError, ModelError
        As for `GLMM`; a term of brms's that has no counterpart (``s()``, ``gp()``, ``ar()``, ...).
    PosteriorError
        A parameter that the draws do not have (with what was looked for and the nearest names), parameters that
        formula and family do not have, chains of different lengths, draws that occur twice, values that are not
        finite; a family whose parameter the draws do not have. Of Stan's numbers also an order that depends on the
        language of R. Rows that are not the fit's, where the draws have ``Intercept``, that of centred columns.

    Warns
    -----
    BayesmarginsWarning
        As for `from_draws`; draws that diverged, where the files say so; chains that cannot be told apart.

    Notes
    -----
    R's names are put together from terms and levels (``trt`` and ``drug+`` give ``trtdrugP``), the order of factors in
    an interaction does not matter, and group effects are found by the names of their levels, not by their order.
    Stan's numbers follow the columns of R's model matrix, grouping factors by the alphabet, and R's levels (brms 2.18
    to 2.23). Under ``se(s)`` draws of sigma are left aside; under ``trunc()`` the mean is that of the response itself.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"y": [0, 1, 0, 1], "f": ["a", "b", "a", "b"], "g": ["u", "u", "v", "v"]})
    >>> made = {".chain": [1, 1], "b_Intercept": [0.1, 0.2], "b_fb": [1.0, 1.1], "sd_g__Intercept": [0.5, 0.6]}
    >>> post = from_brms(pd.DataFrame(made), "y ~ f + (1 | g)", data, family="bernoulli")
    >>> post.design.coef, sorted(post.b)
    (('Intercept', 'f[b]'), [])
    """
    of_mean = formula["mu"] if isinstance(formula, Mapping) and "mu" in formula else formula
    text, family, link = agreed(family, link, said_by(of_mean).family)
    names = {p.named("brms"): p.name for p in get_family(family).parameters[1:]}
    (mean, formulas), held = separated(formula, names), held_by(formula, names)
    _refuse_without_rows(formulas, data, levels)
    spelling = translated(mean, family, namespace) if isinstance(mean, str) else Spelling(mean)
    categories = get_family(family).categories
    spelling, design = _in_rs_coding(spelling, data, levels, namespace, categories)
    frame = read_draws(draws)
    of_categories = get_family(family).shares is not None
    table = _Table(_named(frame, design, category_names(design.response.categories) if of_categories else formulas))
    table.hint = contrasts_seen(map(str, frame.columns), design)
    designs = {name: _design_of(name, names[name], family, formulas, design, namespace) for name in formulas}
    parts = {names[name]: _part(table, name, of, text, {"mu": str(mean), **formulas}) for name, of in designs.items()}
    unknown: list[str] = []
    if of_categories:
        read, unknown = read_categories(table, design, str(mean), partial(_linear_predictor, table))
    else:
        read = _linear_predictor(table, design)
    known = {names[name]: table.held(name, value) for name, value in held.items()}
    aux = known | _parameters(table, family, {*spelling.set_aside, *(names[name] for name in formulas), *known})
    aux = {name: aux[name] for name in names.values() if name in aux}
    aux |= {df: table.column("df_", [factor]) for factor, df in design.degrees.items()}
    table.used |= set(spelling.set_aside)
    table.refuse_the_rest(formula, family)
    if not of_categories:
        join_across(table, read, parts, {"": design, **{f"{name}_": designs[name] for name in formulas}})
    made = posterior_of(
        spelling.formula,
        data,
        family=family,
        link=link,
        **read,
        aux=aux,
        parts=None if of_categories else parts,
        namespace=namespace,
        levels=levels,
    )
    info = {"source": "brms"} | ({"correlated": unknown} if unknown else {})
    of_brms = {name: replace(part, info=part.info | info) for name, part in made.parts.items()}
    stats = divergences(table.frame, table.shape)
    return checked(replace(made, info=made.info | info, parts=of_brms, sample_stats=stats), "brms")


def _in_rs_coding(
    spelling: Spelling, data: Any, levels: Any, namespace: Mapping[str, Callable[..., Any]] | None, categories: str
) -> tuple[Spelling, Design]:
    design = design_from(spelling.formula, data, levels, namespace, categories)
    formula = with_rs_coding(spelling.formula, design)
    if formula == spelling.formula:
        return spelling, design
    design = design_from(formula, data, levels, namespace, categories)
    with_rs_coding(formula, design)  # the other terms of the model still have R's coding, or it is refused
    return replace(spelling, formula=formula), design


def _parameters(table: _Table, family: str, elsewhere: set[str]) -> dict[str, np.ndarray]:
    """The family's own, which every fit of it has, unless they have a formula or are known.

    One that has several values is a column for each; what a fit holds at 1 changes nothing.
    """
    kind = get_family(family)
    names = [name for name in kind.aux if name not in elsewhere]
    columns = {name: _columns_of(table, kind.parameter(name)) for name in names}
    table.used |= {name for name in kind.ones if name in table.frame and (table.frame[name] == 1.0).all()}
    absent = [kind.parameter(name).named("brms") for name, found in columns.items() if not found]
    if absent:
        raise PosteriorError(
            f"The draws have no column {listed(absent)}, which every fit of brms with family={family!r} has: this is "
            "not the family of the fit, or the column was dropped. Give the family of the fit, and all its columns."
        )
    values = {name: np.stack([table.exact(column) for column in found], axis=-1) for name, found in columns.items()}
    return {name: v if kind.parameter(name).along else v[..., 0] for name, v in values.items()}


def _columns_of(table: _Table, parameter: Parameter) -> list[str]:
    """The columns of a parameter, ``b_Intercept[1]`` and so on where it has several values."""
    name = parameter.named("brms")
    if not parameter.along:
        return [name] if name in table.frame else []
    found: list[str] = []
    while (column := f"{name}[{len(found) + 1}]") in table.frame:
        found.append(column)
    return found


def _refuse_without_rows(formulas: Mapping[str, str], data: Any, levels: Any) -> None:
    """Said before the levels are looked at, some of which may be of columns that only such a formula reads."""
    if formulas and data is None and levels is not None:
        raise DataError(f"The formula of {listed(formulas)} needs the fitted rows: give data= in place of levels=.")


def _named(frame: pd.DataFrame, design: Design, formulas: Mapping[str, str]) -> pd.DataFrame:
    """The draws under R's names."""
    if not are_of_stan(frame):
        return frame
    if formulas or design.structured:
        of = f"the effects on {listed(formulas)}" if formulas else "monotonic effects"
        raise PosteriorError(
            f"The draws have the numbers of Stan's program, and those of {of} are not "
            "read. In R, as_draws_df(fit) has them by name."
        )
    factors = design.factors.items()
    structured = [name for name, f in factors if f.strata or f.student or f.cov or f.members]
    if structured:
        raise PosteriorError(
            f"The draws have the numbers of Stan's program, and those of the structured groups of {listed(structured)} "
            "are not read. In R, as_draws_df(fit) has them by name."
        )
    return named_as_in_r(frame, design)


def _design_of(
    name: str,
    here: str,
    family: str,
    formulas: Mapping[str, str],
    of: Design,
    namespace: Mapping[str, Callable[..., Any]] | None,
) -> Design:
    """Of a parameter that has a formula; `here` is what it is called here."""
    formula = f"{here} ~ {translated(formulas[name], family, namespace).formula.split('~', 1)[1].strip()}"
    design = build_part(here, formula, of, namespace=namespace)
    in_r = with_rs_coding(formula, design)
    return design if in_r == formula else build_part(here, in_r, of, namespace=namespace)


def _part(table: _Table, name: str, design: Design, family: str, formulas: Mapping[str, str]) -> dict[str, Any]:
    """A parameter that has a formula, as `from_draws` takes it."""
    columns = [str(c) for c in table.frame.columns]
    together = correlated_across(name, formulas, design.factors, columns)
    table.used |= {c for c in columns if any(across(c, f, name) for f in together)}
    read = _linear_predictor(table, design, name)
    return {"formula": design.formula, "link": link_of(name, family), **read, "correlated": together}


def _linear_predictor(table: _Table, design: Design, name: str = "") -> dict[str, Any]:
    """beta, b and Sigma of the mean, or of the parameter that is named."""
    prefix = f"{name}_" if name else ""
    made = monotonic_coefficients(table, design, prefix)
    named = zip(design.coef, coefficients_of(design.fixed, design), strict=True)
    columns = [made[c] if c in made else table.column(f"b_{prefix}", names) for c, names in named]
    centred = f"Intercept_{name}" if name else "Intercept"
    if "Intercept" in design.coef and centred in table.frame and design.frame is not None:
        free = {c: values for c, values in zip(design.coef, columns, strict=True) if c not in made}
        check_intercept(table.exact(centred), free, design, name)
    factors = design.factors
    b = {n: effects for n, f in factors.items() if (effects := _effects(table, f, design, name)) is not None}
    if b and len(b) < len(factors):
        absent = [n for n in factors if n not in b]
        warn(f"The draws have no r_* columns of {listed(absent)}: 'own' and 'existing' need them for every factor.")
    return {
        "beta": np.stack(columns, axis=-1) if columns else np.zeros((*table.shape, 0)),
        "b": b,
        "Sigma": {n: _covariance(table, factor, design, prefix) for n, factor in factors.items()},
    }


class _Table:
    """Draws by the names of their columns, chains side by side."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame, self.shape = in_order(frame)
        self.used: set[str] = set()
        self.hint = ""

    def exact(self, name: str) -> np.ndarray:
        """Draws of a column, (chain, draw)."""
        self.used.add(name)
        if not pd.api.types.is_any_real_numeric_dtype(self.frame[name].dtype):
            raise PosteriorError(
                f"The column {name!r} of the draws holds {self.frame[name].dtype}; draws are real numbers."
            )
        values = self.frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
        if not np.isfinite(values).all():
            raise PosteriorError(
                f"The column {name!r} of the draws holds {int((~np.isfinite(values)).sum())} values that are NaN or "
                "infinite; a draw has a finite value of every parameter. Look at how the draws were written."
            )
        return values.reshape(self.shape)

    def held(self, name: str, value: float) -> np.ndarray:
        """A parameter that the formula holds at a number, whether or not the draws have a column of it."""
        if name in self.frame and not (self.exact(name) == value).all():
            raise PosteriorError(
                f"The formula holds {name!r} at {value:g}, and the column {name!r} of the draws has other values: give "
                "the formula of the fit."
            )
        return np.full(self.shape, value)

    def column(self, prefix: str, names: Sequence[str]) -> np.ndarray:
        """The column that one of these names stands for, whatever the order of an interaction's factors."""
        found = self.named(prefix, names)
        if found is None:
            near = close_matches(f"{prefix}{names[0]}", self._beginning(prefix))
            raise PosteriorError(
                f"The draws have no column {listed([prefix + n for n in names], 4)}.{near}{self.hint} Columns that "
                f"begin with {prefix!r} are {listed(self._beginning(prefix), 30) or 'none'}. Check that the formula, "
                "the levels of factors (text, or categories in R's order) and their reference levels are those of the "
                "fit."
            )
        return self.exact(found)

    def named(self, prefix: str, names: Sequence[str]) -> str | None:
        """Which column is called so, if any?"""
        by_parts = {parts_of(c.removeprefix(prefix)): c for c in self._beginning(prefix)}
        return next((by_parts[parts_of(n)] for n in names if parts_of(n) in by_parts), None)

    def _beginning(self, prefix: str) -> list[str]:
        return [str(c) for c in self.frame.columns if str(c).startswith(prefix)]

    def refuse_the_rest(self, formula: Any, family: str) -> None:
        """Parameters of other terms or families would be left out of every prediction."""
        others = [c for c in map(str, self.frame.columns) if c not in self.used and not _BESIDE.fullmatch(c)]
        if others:
            raise PosteriorError(
                f"The draws hold the parameters {listed(others)}, which {formula!r} with family={family!r} does not "
                "have: predictions would leave them out. Give formula and family of the fit, and levels of factors as "
                "they were; drop columns that are no parameters."
            )


def _covariance(table: _Table, factor: Factor, design: Design, of: str = "") -> np.ndarray:
    """Sigma of a factor from its standard deviations and correlations; 0 where brms has no correlation."""
    names = terms_of(factor, design)
    prefix = f"sd_{factor.name}__{of}"
    sd = np.stack([table.column(prefix, spelt) for spelt in names], axis=-1)
    if (sd < 0).any():
        raise PosteriorError(f"{prefix}* holds {int((sd < 0).sum())} negative values; standard deviations are not.")
    Sigma = sd[..., :, None] * sd[..., None, :] * np.eye(len(names))
    for block in factor.blocks:
        for i in block:
            for j in (k for k in block if k > i):
                pairs = [f"{of}{x}__{of}{y}" for a in names[i] for b in names[j] for x, y in ((a, b), (b, a))]
                correlation = table.column(f"cor_{factor.name}__", pairs)
                Sigma[..., i, j] = Sigma[..., j, i] = correlation * sd[..., i] * sd[..., j]
    return Sigma


def _effects(table: _Table, factor: Factor, design: Design, of: str = "") -> np.ndarray | None:
    """b of a factor, (chain, draw, level, term); None where the draws have none of it."""
    name = f"{factor.name}__{of}" if of else factor.name
    pattern = re.compile(rf"r_{re.escape(name)}\[(.*),([^,\]]*)\]")
    found = {(m[1], m[2]): str(c) for c in table.frame.columns if (m := pattern.fullmatch(str(c)))}
    if not found or not factor.levels:
        return None
    levels, terms = groups_in((level for level, _ in found), factor), own_terms_of(factor, design)
    absent = [n for n in levels if not any((n, t) in found for t in terms[0])]
    if absent:
        raise PosteriorError(
            f"The draws have no effects of the groups {listed(absent)} of {factor.name!r}; they have "
            f"{listed(_distinct(level for level, _ in found))}. Groups are found by their names: give the column that "
            "the fit had."
        )
    surplus = [n for n in _distinct(level for level, _ in found) if n not in levels]
    if surplus:
        raise PosteriorError(
            f"The draws have effects of the groups {listed(surplus)} of {factor.name!r}, which the data lack: averages "
            "over existing groups would leave them out. Give all rows of the fit."
        )
    return np.stack([_of_term(table, found, levels, spelt, name) for spelt in terms], axis=-1)


def _of_term(
    table: _Table, found: Mapping[tuple[str, str], str], levels: Sequence[str], names: Sequence[str], factor: str
) -> np.ndarray:
    name = next((n for n in names if (levels[0], n) in found), None)
    absent = [n for n in levels if (n, name) not in found]
    if name is None or absent:
        raise PosteriorError(
            f"The draws have no columns r_{factor}[{listed(absent)},{names[0]}]; terms there are "
            f"{listed(_distinct(term for _, term in found))}."
        )
    return np.stack([table.exact(found[level, name]) for level in levels], axis=-1)


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
