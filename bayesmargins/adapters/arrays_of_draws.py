"""Posteriors as arrays of draws, with the formula and the data that they belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.adapters.by_category import predictors_apart
from bayesmargins.adapters.imported_checks import checked
from bayesmargins.adapters.jointly import taken_apart
from bayesmargins.design import Design, build_part, design_from, designs_by_category
from bayesmargins.draws import (
    canonical,
    check_covariance,
    check_shape,
    in_the_order_of,
    parameter_of,
    real_numbers,
    refuse_impossible,
)
from bayesmargins.errors import FormulaError, ModelError, PosteriorError, close_matches, listed, shown, warn
from bayesmargins.explained import FAMILY, explained
from bayesmargins.family import FAMILIES, Family, Outcome, Parameter, check_outcome, get_family, resolve_link
from bayesmargins.habits import Words, taught_as
from bayesmargins.posterior import Posterior, make_part
from bayesmargins.predictors import across_array, acting
from bayesmargins.schema import MEAN, SAMPLE_DIMS
from bayesmargins.values import chunked

__all__ = ["from_draws", "posterior_of"]

_PART = ("formula", "link", "beta", "b", "Sigma", "correlated")


def _in_aux(name: str) -> Callable[[Any], str]:
    return lambda _: f"Here it is aux={{{name!r}: ...}}."


_WORDS: Words = {name: _in_aux(name) for family in FAMILIES.values() for name in family.aux}


@taught_as(PosteriorError, _WORDS)
@explained(FAMILY)
def from_draws(
    formula: str,
    data: Any = None,
    *,
    family: str,
    link: str | None = None,
    beta: Any,
    b: Mapping[str, Any] | None = None,
    Sigma: Mapping[str, Any] | None = None,
    aux: Mapping[str, Any] | None = None,
    parts: Mapping[str, Mapping[str, Any]] | None = None,
    namespace: Mapping[str, Callable[..., Any]] | None = None,
    levels: Mapping[str, Any] | None = None,
) -> Posterior:
    """How can you ask any draws for margins? This makes a `Posterior` of arrays, a formula and data.

    Parameters
    ----------
    formula : str
        lme4-style, as `GLMM` takes it: ``"y ~ x + (1 + x | id)"``.
    data : DataFrame
        The fitted rows; see `levels` where they are not at hand.
    beta : array, (chain, draw, coef) float, link scale
        Fixed effects in the order of the design's columns: ``GLMM(formula, data, family).design.coef`` shows it.
        Arrays are paired by the position of their draws, DataArrays by their labels along chain and draw.
    b : dict of array, (chain, draw, level, term) float, link scale
        Group effects a factor, levels in the order of the design (``design.factors["id"].levels``: numbers by size,
        text by alphabet, so "10" before "2", a categorical in its own order) and terms in that of
        ``design.factors["id"].terms``. A DataArray with labels is put in order by them. May be left out, then only
        ``"new"`` and ``"zero"`` can be asked for. Arrays of dask are not loaded: questions that need b read it some
        draws at a time, on the workers of a ``distributed.Client`` that is running.
    Sigma : dict of array, (chain, draw, term, term) float
        Covariance of the group effects a factor. Where a factor has effects on several linear predictors it may be that
        of all of them: those on the mean, then those of `parts` in their order, which leave it out then.
    aux : dict of array, (chain, draw) float
        The family's parameters beside the mean, such as ``sigma``; ``thresholds`` are (chain, draw, threshold). The
        degrees of freedom of a factor with Student-t effects too, ``df_<factor>``; Sigma is their scale matrix.
    parts : dict of dict, optional
        Where such a parameter has a linear predictor of its own, in place of its entry in `aux`:
        ``{"sigma": {"formula": "~ x + (1 | g)", "link": "log", "beta": ..., "b": {"g": ...}, "Sigma": {"g": ...}}}``.
        The keys mean what the arguments of the same names do; ``link`` is ``"log"`` (the default) or ``"identity"``.
        Effects on several predictors that are correlated (brms's ``(1 | p | g)``) have one covariance in `Sigma`.
        ``"correlated": ["g"]`` says that they are where it is not known: what needs it is refused.
        Of family ``"categorical"`` not needed: `beta`, `b` and `Sigma` have a dimension ``category`` after ``draw``,
        the categories but the first in order. Sigma without it, of all effects, those on the second category's linear
        predictor first, is that of effects that are correlated over categories.
    levels : dict of list, optional
        In place of `data`: the levels of each factor in order, the reference first. Columns that it does not name are
        numbers. Rows must then be given with every question (``newdata=``), and what needs those of the fit is
        refused: ``newdata=None``, ``"sd"`` and the like in ``at=``, the log-likelihood, ``poly`` or ``scale`` in the
        formula. Group effects `b` need the levels of their factor.

    Returns
    -------
    Posterior

    Raises
    ------
    FormulaError, DataError, ModelError
        As for `GLMM`.
    PosteriorError
        A name that the design does not have or that is missing, a shape that does not fit, a value that is not finite,
        or a Sigma that is not symmetric with non-negative variances.

    Warns
    -----
    BayesmarginsWarning
        Chains that did not mix (r-hat above 1.01, an effective sample size below 100 a chain); group effects whose mean
        is far from 0 or whose spread is not that of Sigma; a gaussian response that is 0 or 1.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> data = pd.DataFrame({"y": [0, 1, 0, 1], "x": [0.0, 1, 2, 3], "g": ["a", "a", "b", "b"]})
    >>> post = from_draws("y ~ x + (1 | g)", data, family="bernoulli", beta=np.zeros((1, 5, 2)),
    ...                   Sigma={"g": np.ones((1, 5, 1, 1))})
    >>> post.design.coef
    ('Intercept', 'x')

    Without the rows of the fit, beta and Sigma are enough for new groups:

    >>> post = from_draws("y ~ f + (1 | g)", levels={"f": ["a", "b"]}, family="bernoulli",
    ...                   beta=np.zeros((1, 5, 2)), Sigma={"g": np.ones((1, 5, 1, 1))})
    >>> avg_predictions(post, {"f": ["a", "b"]}).estimate.values.round(9).tolist()
    [[0.5, 0.5, 0.5, 0.5, 0.5]]
    """
    given = _paired({"beta": beta, "b": b, "Sigma": Sigma, "aux": aux, "parts": parts})
    made = posterior_of(formula, data, family=family, link=link, namespace=namespace, levels=levels, **given)
    return checked(made, "from_draws")


def _paired(given: dict[str, Any]) -> dict[str, Any]:
    """The arrays with their draws in one order: that of the first array that labels them."""
    first: list[tuple[str, xr.DataArray]] = []

    def ordered(value: Any, name: str) -> Any:
        if isinstance(value, Mapping) and not isinstance(value, xr.Dataset):
            return {k: ordered(v, f"{name}[{k!r}]" if name else str(k)) for k, v in value.items()}
        if not isinstance(value, xr.DataArray) or not set(SAMPLE_DIMS) <= set(value.indexes):
            return value
        if not first:
            first.append((name, value))
        of, like = first[0]
        return in_the_order_of(value, like, name, of)

    return ordered(given, "")


def posterior_of(
    formula: str,
    data: Any = None,
    *,
    family: str,
    link: str | None = None,
    beta: Any,
    b: Mapping[str, Any] | None = None,
    Sigma: Mapping[str, Any] | None = None,
    aux: Mapping[str, Any] | None = None,
    parts: Mapping[str, Mapping[str, Any]] | None = None,
    namespace: Mapping[str, Callable[..., Any]] | None = None,
    levels: Mapping[str, Any] | None = None,
) -> Posterior:
    """As `from_draws`, for adapters that have more to say of the draws before they are `checked`."""
    if isinstance(formula, Mapping):
        raise FormulaError(
            f"formula={shown(formula)}; with draws it is the outcome's alone, a text. Formulas of parameters stand "
            "beside their draws: parts={'sigma': {'formula': '~ x', 'beta': array}}."
        )
    kind = get_family(family)
    of_kind = resolve_link(kind, link)
    design = design_from(formula, data, levels, namespace, kind.categories)
    if design.frame is not None:
        check_outcome(kind, Outcome.of(design.response), design.response.text, of_kind)
    _check_dict("aux", aux)
    _check_names("aux", aux or {}, [*kind.aux, *design.degrees.values()], required=False)
    _refuse_without_degrees(design, aux or {})
    if kind.shares is not None:
        _refuse_without_categories(design)
        designs = designs_by_category(design, kind.parameters[0].name)
        beta, b, Sigma, parts = predictors_apart(designs, beta, b, Sigma, parts)
    else:
        designs = {MEAN: design, **_designs(parts, kind, aux or {}, design, namespace)}
    Sigma, parts, joint = taken_apart(Sigma, parts, designs)
    _refuse_joint_student(design, joint)
    fixed, effects, covariances = _predictor(design, beta, b, Sigma)
    sample = fixed.shape[:2]
    parameters = {k: _array(v, f"aux[{k!r}]") for k, v in (aux or {}).items()}
    for name, values in parameters.items():
        parameter = parameter_of(name, design, kind)
        rest, labels = _extent(parameter, values, design)
        check_shape(f"aux[{name!r}]", values, sample, rest, labels)
        refuse_impossible(values.reshape(-1, *rest), f"aux[{name!r}] holds", parameter)
        _caution(parameter, values)
    _refuse_without_thresholds(kind, parameters)
    coords = {d: np.arange(n) for d, n in zip(SAMPLE_DIMS, sample, strict=True)}
    arrays = canonical(design, fixed, effects, covariances, parameters, coords)
    post = Posterior(design=design, family=kind, link=of_kind, info={"source": "draws"}, **arrays)
    post = replace(post, parts={name: _part(name, given, designs[name], post) for name, given in (parts or {}).items()})
    return replace(post, across={f: _across(f, values, designs, post) for f, values in joint.items()})


def _refuse_without_categories(design: Design) -> None:
    """There is a linear predictor for each but the first."""
    if not design.response.categories:
        raise PosteriorError(
            f"The categories of {design.response.text!r} are not known, and each but the first has a linear predictor: "
            f"name them in order, levels={{{design.response.text!r}: [...]}}, the reference first."
        )


def _across(factor: str, values: Any, designs: Mapping[str, Design], post: Posterior) -> xr.DataArray:
    """The covariance of effects on several linear predictors, checked as a whole."""
    terms, what = acting(designs, factor), f"Sigma[{factor!r}]"
    joint = _array(values, what)
    size = sum(map(len, terms.values()))
    check_shape(what, joint, tuple(len(c) for c in post.sample_coords.values()), (size, size), ())
    check_covariance(joint, what)
    return across_array(terms, factor, joint, post.sample_coords)


def _extent(parameter: Parameter, values: np.ndarray, design: Design) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """How many values has a parameter a draw, and what are they called? One less than the categories for thresholds."""
    if not parameter.along:
        return (), ()
    K = len(design.response.categories) or (values.shape[2] + 1 if values.ndim == 3 else 2)
    return (K - 1,), design.response.categories


def _refuse_joint_student(design: Design, joint: Mapping[str, Any]) -> None:
    heavy = [f for f in joint if f in design.degrees]
    if heavy:
        raise ModelError(
            f"Sigma has one covariance of {heavy[0]!r} over several linear predictors, and its effects on the mean are "
            "Student-t: how those on the others scatter with them it does not say. Give each a Sigma of its own."
        )


def _refuse_without_degrees(design: Design, aux: Mapping[str, Any]) -> None:
    """Sigma alone does not say how new groups are distributed."""
    absent = [(factor, df) for factor, df in design.degrees.items() if df not in aux]
    if absent:
        raise PosteriorError(
            f"Effects of {absent[0][0]!r} are Student-t in {design.formula!r}, and their degrees of freedom are not "
            f"given: aux={{{absent[0][1]!r}: array}}, (chain, draw)."
        )


def _refuse_without_thresholds(family: Family, aux: Mapping[str, Any]) -> None:
    """Nothing but the linear predictor is known without them."""
    absent = [p.name for p in family.parameters[1:] if p.along and p.name not in aux]
    if absent:
        raise PosteriorError(
            f"family={family.name!r} needs draws of {listed(absent)}: aux={{{absent[0]!r}: array}}, (chain, draw, one "
            "less than the categories)."
        )


def _caution(parameter: Parameter, values: np.ndarray) -> None:
    limit, what = parameter.caution or (-np.inf, "")
    low = int((values <= limit).sum())
    if low:
        warn(f"{parameter.name} is {limit:g} or less in {low} of {values.size} draws: {what}.")


def _designs(
    parts: Any,
    kind: Family,
    aux: Mapping[str, Any],
    of: Design,
    namespace: Mapping[str, Callable[..., Any]] | None,
) -> dict[str, Design]:
    """Of the parameters that have a linear predictor of their own, once what they are given is in order."""
    _check_dict("parts", parts, "{'formula': '~ x', 'beta': array}")
    _check_names("parts", parts or {}, list(kind.predictable), required=False)
    for name, given in (parts or {}).items():
        _check_part(name, given, aux)
    return {name: build_part(name, given["formula"], of, namespace=namespace) for name, given in (parts or {}).items()}


def _check_part(name: str, given: Any, aux: Mapping[str, Any]) -> None:
    what = f"parts[{name!r}]"
    if name in aux:
        raise PosteriorError(f"{what} and aux[{name!r}] are both there: {name} is one number a draw or has a formula.")
    if not isinstance(given, Mapping):
        raise PosteriorError(
            f"{what} is {type(given).__name__}; it must be a dict, {what}={{'formula': '~ x', 'beta': array}}."
        )
    unknown, absent = [k for k in given if k not in _PART], [k for k in ("formula", "beta") if k not in given]
    if unknown or absent:
        said = f"has {listed(unknown)}" if unknown else f"lacks {listed(absent)}"
        hints = "".join(close_matches(k, _PART) for k in unknown)
        raise PosteriorError(f"{what} {said}; it takes {listed(_PART)}, of which formula and beta are needed.{hints}")


def _part(name: str, given: Any, design: Design, post: Posterior) -> Posterior:
    """The posterior of a parameter that has a linear predictor of its own."""
    what = f"parts[{name!r}]"
    named = given.get("correlated", ())
    if not isinstance(named, str | Iterable):
        raise PosteriorError(
            f"{what}['correlated'] is {shown(named)}; it must be a list of grouping factors, or be left out."
        )
    together = [named] if isinstance(named, str) else list(named)
    _check_names(f"{what}['correlated']", dict.fromkeys(together), list(design.factors), required=False)
    arrays = _predictor(design, given["beta"], given.get("b"), given.get("Sigma"), what)
    sample = tuple(len(c) for c in post.sample_coords.values())
    check_shape(f"{what}['beta']", arrays[0], sample, (len(design.coef),), design.coef)
    info = {**post.info, **({"correlated": together} if together else {})}
    return make_part(
        post.family.parameter(name), design, given.get("link"), canonical(design, *arrays, {}, post.sample_coords), info
    )


def _predictor(
    design: Design, beta: Any, b: Any, Sigma: Any, of: str = ""
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Draws of a linear predictor as they were given: beta, b and Sigma, checked against its design."""
    names = {n: f"{of}[{n!r}]" if of else n for n in ("beta", "b", "Sigma")}
    for name, given in (("Sigma", Sigma), ("b", b)):
        _check_dict(names[name], given)
        _check_names(names[name], given or {}, list(design.factors), required=name == "Sigma")
    fixed = _array(beta, names["beta"], design.coef)
    sample = fixed.shape[:2]
    check_shape(names["beta"], fixed, sample, (len(design.coef),), design.coef)
    factors = design.factors
    effects, covariances = (
        {
            f: _array(
                v,
                f"{names[name]}[{f!r}]",
                factors[f].levels if name == "b" else factors[f].terms,
                factors[f].terms,
                later=name == "b",
            )
            for f, v in (given or {}).items()
        }
        for name, given in (("b", b), ("Sigma", Sigma))
    )
    _check_factors(design, effects, covariances, sample, names)
    return fixed, effects, covariances


def _array(values: Any, name: str, *labels: tuple[Any, ...], later: bool = False) -> np.ndarray:
    """As float64; a labelled array in the order of the design, for labels win over order.

    Chunks of dask are read here, or `later`: then they stay as they are, and are finite or not once they are read.
    """
    if isinstance(values, xr.DataArray):
        if not set(SAMPLE_DIMS) <= set(values.dims):
            raise PosteriorError(f"{name} has the dims {values.dims}; 'chain' and 'draw' must be among them.")
        values = values.transpose(*SAMPLE_DIMS, ...)
        for dim, wanted in zip(values.dims[2:], labels, strict=False):
            values = _by_label(values, dim, wanted, name)
        values = values.data
    if isinstance(values, xr.Dataset | Mapping):
        raise PosteriorError(f"{name} is {type(values).__name__}; an array is needed: one variable of it.")
    array = real_numbers(values, name)
    if chunked(array):
        if later:
            return array
        array = np.asarray(array)
    if not np.isfinite(array).all():
        raise PosteriorError(f"{name} holds {int((~np.isfinite(array)).sum())} values that are NaN or infinite.")
    return array


def _by_label(values: xr.DataArray, dim: Any, wanted: tuple[Any, ...], name: str) -> xr.DataArray:
    if dim not in values.coords:
        return values
    have, need = values[dim].to_numpy().astype(str).tolist(), [str(w) for w in wanted]
    if have == need:
        return values
    if sorted(have) != sorted(need):
        hint = close_matches(next((h for h in have if h not in need), ""), need)
        raise PosteriorError(f"{name} is labelled {listed(have)} along {dim!r}; the design has {listed(need)}.{hint}")
    return values.isel({dim: [have.index(n) for n in need]})


def _check_dict(name: str, given: Any, entry: str = "array") -> None:
    if given is not None and not isinstance(given, Mapping):
        raise PosteriorError(f"{name} is {type(given).__name__}; it must be a dict, {name}={{'name': {entry}}}.")


def _check_names(what: str, given: Mapping[str, Any], allowed: list[str], *, required: bool) -> None:
    unknown = [n for n in given if n not in allowed]
    absent = [n for n in allowed if n not in given] if required else []
    if unknown or absent:
        said = f"names {listed(unknown)}" if unknown else f"leaves out {listed(absent)}"
        hints = "".join(close_matches(n, allowed) for n in unknown)
        raise PosteriorError(f"{what} {said}; the model has {listed(allowed) or 'none'}.{hints}")


def _check_strata(design: Design, name: str, what: str) -> None:
    """In which stratum each fitted group is stands in the rows."""
    if design.frame is None:
        raise PosteriorError(
            f"{what} is given, and which stratum each group of {name!r} is in stands in the fitted rows: give data= in "
            "place of levels=, or leave b out."
        )


def _check_factors(
    design: Design,
    b: Mapping[str, np.ndarray],
    Sigma: Mapping[str, np.ndarray],
    sample: tuple[int, ...],
    names: Mapping[str, str],
) -> None:
    for name, factor in design.factors.items():
        q, what = len(factor.terms), f"{names['Sigma']}[{name!r}]"
        check_shape(what, Sigma[name], sample, (q, q), factor.terms)
        check_covariance(Sigma[name], what)
        if name in b:
            if not factor.levels:
                raise PosteriorError(
                    f"b[{name!r}] is given and the groups of {name!r} are not: name them in order, levels={{{name!r}: "
                    "[...]}, or leave b out. Groups of 'a:b' need data=."
                )
            if factor.strata is not None:
                _check_strata(design, name, f"{names['b']}[{name!r}]")
                q = q if b[name].shape[-1] == q else len(factor.strata.twins)  # of each group's own stratum alone
            check_shape(f"{names['b']}[{name!r}]", b[name], sample, (len(factor.levels), q), factor.levels)
