"""A fit of statsmodels' MixedLM: estimates and their normal approximation, put into the design of the same data."""

from __future__ import annotations

import keyword
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.adapters.arrays_of_draws import posterior_of
from bayesmargins.adapters.statsmodels.asymptotic import Estimates, joint_draws
from bayesmargins.checks import whole_number
from bayesmargins.design import Design, build_design, to_pandas
from bayesmargins.errors import DataError, FormulaError, PosteriorError, listed, warn
from bayesmargins.explained import FAMILY, FIT, explained
from bayesmargins.habits import taught_as
from bayesmargins.labelling import LABELS, labels_of
from bayesmargins.model.arrays import formula_of_arrays
from bayesmargins.posterior import Posterior
from bayesmargins.schema import ASYMPTOTIC
from bayesmargins.values import with_columns

__all__ = ["from_statsmodels"]

_SAME = 1e-10  # the two designs may differ by rounding, relative to the size of a column
_CLASS = "MixedLMResults"


@taught_as(PosteriorError)
@explained(FAMILY, FIT)
def from_statsmodels(
    results: Any,
    formula: str | None = None,
    data: Any = None,
    *,
    draws: int = 4000,
    chains: int = 1,
    random_seed: int | None = None,
    namespace: Mapping[str, Callable[..., Any]] | None = None,
) -> Posterior:
    """Which margins does a linear mixed model of statsmodels have, by the normal approximation around its estimates?

    Parameters
    ----------
    results : MixedLMResults
        What ``smf.mixedlm(...).fit()`` or ``sm.MixedLM(...).fit()`` returned.
    formula : str, optional
        The model in this package's spelling, ``"y ~ x + C(f) + (1 + x | g)"``; by default the formula of the fit, or,
        for a fit of arrays, its columns by their names.
    data : DataFrame, optional
        The fitted rows; by default those that the fit keeps. A fit of arrays keeps none: give `formula` and `data`
        together for margins of the variables behind its columns.
    draws : int
        Draws a chain; 4,000 by default. With those of all chains an even number, above twice the number of coefficients
        plus 2.
    chains : int
        Chains; one by default. The draws are independent, so how they are parted into chains means nothing.

    Returns
    -------
    Posterior
        Its draws are *not* of a posterior. `kind`, the attribute ``draws`` of every result, and the sentence of
        `describe` say so.

    Raises
    ------
    PosteriorError
        Another object than a fit of MixedLM, variance components (``vc_formula``), a covariance that is none, too few
        draws or an odd number of them; design columns or groups that are not those of the fit (they are named).
    FormulaError, DataError, ModelError
        As for `GLMM`: a formula that is spelled otherwise here, missing values, columns that the data lack.

    Warns
    -----
    BayesmarginsWarning
        The fit did not converge.

    Notes
    -----
    beta is drawn from N(estimate, estimated covariance), the distribution that standard errors of statsmodels refer
    to. Given the drawn beta, b is drawn from its normal distribution given y: together this is the covariance of
    Henderson's mixed model equations (see `joint_draws` in ``adapters/asymptotic.py``), in which the error of beta
    passes into b. Sigma and sigma are held at their estimates (REML or ML, as fitted): that they were estimated is left
    out, as it is of statsmodels' standard errors, so that intervals are too narrow where groups are few. What
    depends on Sigma and sigma alone, such as ``target=sd()``, has no spread.

    Draws come in pairs around the estimate and are scaled to the covariance: sample mean, median and covariance
    (divisor draws - 1) of beta are the estimate and its covariance, not nearly but exactly, and so are those of (beta,
    b) where draws are more than twice as many as coefficients and group effects. A linear contrast c'beta has the mean
    and the median c'estimate and the sd sqrt(c'Vc); limits of intervals still vary with the seed. With one chain there
    is no r-hat.

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> sleep = load_dataset("sleepstudy")
    >>> fit = smf.mixedlm("Reaction ~ Days", sleep, groups="Subject", re_formula="~ Days").fit()
    >>> post = from_statsmodels(fit, random_seed=1)
    >>> post.formula, post.kind
    ('Reaction ~ Days + (1 + Days | Subject)', 'asymptotic normal, not a posterior')
    >>> summary(avg_slopes(post, "Days"), diagnostics=True)[["median", "sd"]].round(3).to_numpy()
    array([[10.467,  1.546]])
    """
    fit = _checked(results)
    total = _checked_size(draws, chains, len(fit.model.exog_names))
    text, frame = _formula_and_data(fit.model, formula, data)
    design = _design(text, frame, namespace, given=formula is not None)
    estimates = _estimates(fit, design)
    seed = random_seed
    if seed is None:
        seed = secrets.randbits(31)
    seed = whole_number("random_seed", seed, 0, PosteriorError, ", or None")
    beta, b, matched = joint_draws(estimates, total, seed)
    name = next(iter(design.factors))
    parted = (chains, draws)
    held = np.broadcast_to(estimates.Sigma, (*parted, *estimates.Sigma.shape))
    made = posterior_of(
        text,
        frame,
        family="gaussian",
        beta=beta.reshape(*parted, -1),
        b={name: b.reshape(*parted, *b.shape[1:])},
        Sigma={name: held},
        aux={"sigma": np.full(parted, np.sqrt(estimates.sigma2))},
        namespace=namespace,
    )
    info = {"source": f"statsmodels MixedLM, {fit.method}", "draws": ASYMPTOTIC, "seed": seed}
    return replace(made, info={**info, "matched": "beta and b" if matched else "beta"})


@dataclass(frozen=True)
class _Side:
    """Columns of one side of the model, and what they are called."""

    values: np.ndarray
    names: Sequence[str]


def _checked(results: Any) -> Any:
    """The fit itself, without the wrapper that names its numbers."""
    fit = getattr(results, "_results", results)
    if not any(c.__name__ == _CLASS for c in type(fit).__mro__):
        raise PosteriorError(
            f"results is {type(fit).__name__}; a fit of statsmodels' MixedLM is needed, {_CLASS}. {_way_out(fit)}"
        )
    model = fit.model
    if any(getattr(model, name, None) is None for name in ("endog", "exog", "groups")):
        raise PosteriorError(
            "The fit no longer has its data, as after remove_data() or save(remove_data=True); its columns and groups "
            "are read from them. Fit the model again, or read the fit before its data are removed."
        )
    if getattr(model, "k_vc", 0):
        raise PosteriorError(
            f"The fit has the variance components {listed(model.exog_vc.names)} (vc_formula); only random effects of "
            "groups= and re_formula= (exog_re) are read. Fit crossed and nested factors with bm.GLMM: 'y ~ x + (1 | a) "
            "+ (1 | a:b)'."
        )
    if not fit.converged:
        warn(
            "The fit of statsmodels did not converge: its estimates need not be those of REML or ML, nor its standard "
            "errors theirs. Try another optimiser, fit(method='powell'), or rescale covariates."
        )
    return fit


def _way_out(other: Any) -> str:
    if type(other).__name__ == "MixedLM":
        return "This is the model: pass model.fit()."
    if "statsmodels" in type(other).__module__:
        return (
            "Where the model has no group effects, bm.GLMM fits it without a (1 | g) block, or bm.from_draws takes "
            "draws of its coefficients."
        )
    return "smf.mixedlm(formula, data, groups='id').fit() gives one."


def _checked_size(draws: Any, chains: Any, coefs: int) -> int:
    total = whole_number("draws", draws, 1, PosteriorError) * whole_number("chains", chains, 1, PosteriorError)
    if total % 2 or total <= 2 * (coefs + 1):
        raise PosteriorError(
            f"draws={draws} and chains={chains} are {total} draws; an even number above {2 * (coefs + 1)} is needed, "
            f"so that they come in pairs and have the covariance of the {coefs} coefficients. 4000 is the default."
        )
    return total


def _formula_and_data(model: Any, formula: str | None, data: Any) -> tuple[str, pd.DataFrame]:
    kept = getattr(model.data, "frame", None) if data is None else data
    if kept is None:
        if formula is not None:
            raise PosteriorError("The fit was made of arrays and keeps no data: pass data=, the fitted rows.")
        return _of_arrays(model)
    frame = to_pandas(kept, "data")
    frame.attrs = {LABELS: labels_of(kept)}
    if len(frame) != len(model.exog):
        raise DataError(
            f"The data have {len(frame)} rows and the fit {len(model.exog)}: rows with missing values were dropped, or "
            "the data are others. Pass data= with the rows of the fit, and fit with missing='drop' where some are "
            "incomplete."
        )
    if formula is not None:
        return formula, frame
    if not isinstance(getattr(model, "formula", None), str):
        raise PosteriorError(
            "data= was given, and the fit has no formula as text: pass formula= as well, such as 'y ~ x + (1 | g)'."
        )
    group, frame = _group_column(model, frame)
    return f"{model.formula.strip()} + ({_terms(model)} | {_quoted(group)})", frame


def _of_arrays(model: Any) -> tuple[str, pd.DataFrame]:
    """A fit of arrays: every column is a variable of its own."""
    group = str(getattr(model.groups, "name", None) or "Group")
    Z = getattr(model.data, "exog_re", None)
    return formula_of_arrays(
        pd.Series(model.endog, name=model.endog_names),
        pd.DataFrame(model.exog, columns=list(model.exog_names)),
        {group: np.asarray(model.groups)},
        {group: Z if isinstance(Z, pd.DataFrame) else model.exog_re},
    )


def _group_column(model: Any, frame: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """The column that names groups; statsmodels keeps the labels of all rows, and the name only at times."""
    labels = pd.Index(np.asarray(model.groups), dtype=object)
    named = [str(n) for n in model.data.exog_re_names]
    equal = [c for c in frame.columns if pd.Index(frame[c], dtype=object).equals(labels)]
    preferred = [c for c in equal if c in named] or equal
    if len(preferred) == 1:
        return preferred[0], frame
    free = next((n for n in (*named[:1], "Group") if n not in frame.columns), None)
    if preferred or free is None:
        raise PosteriorError(
            f"Which column names the groups cannot be told: {listed(preferred) or 'none'} holds their labels. Pass "
            "formula=, which names it, such as 'y ~ x + (1 | g)'."
        )
    return free, with_columns(frame, {free: labels.infer_objects()})


def _terms(model: Any) -> str:
    """What varies by group, from names of columns: those of a factor's levels are one term."""
    ones = [bool((column == 1).all()) for column in model.exog_re.T]
    names = [n for n, one in zip(model.data.exog_re_names, ones, strict=True) if not one]
    terms = dict.fromkeys(re.sub(r"\[[^\]]*\]", "", str(n)) for n in names)
    return " + ".join(["1" if any(ones) else "0", *terms])


def _quoted(name: str) -> str:
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"`{name}`"


def _design(
    text: str, frame: pd.DataFrame, namespace: Mapping[str, Callable[..., Any]] | None, *, given: bool
) -> Design:
    try:
        return build_design(text, frame, missing="refuse", namespace=namespace)
    except FormulaError as error:
        if given:
            raise
        raise FormulaError(
            f"The fit's formula, with its groups {text!r}, is not one of this package: {error} Pass formula= as it is "
            "spelled here."
        ) from error


def _estimates(fit: Any, design: Design) -> Estimates:
    """Estimates in the order of the design, which must be that of the fit, column by column."""
    if len(design.factors) != 1:
        raise PosteriorError(
            f"{design.formula!r} has the grouping factors {listed(design.factors) or 'none'}; a fit of MixedLM has one."
        )
    model = fit.model
    rows = design.rows(design.data, what="data")
    name, factor = next(iter(design.factors.items()))
    _refuse_other_rows(model, design)
    fixed = _order("fixed", _Side(rows.X, design.coef), _Side(model.exog, model.exog_names), design)
    re_names = [str(n) for n in model.data.exog_re_names]
    random = _order("random", _Side(rows.Z[name], factor.terms), _Side(model.exog_re, re_names), design)
    p = len(fixed)
    return Estimates(
        beta=np.asarray(fit.fe_params, dtype=np.float64)[fixed],
        cov_beta=_checked_covariance(np.asarray(fit.cov_params(), dtype=np.float64)[:p, :p], model)[
            np.ix_(fixed, fixed)
        ],
        Sigma=np.asarray(fit.cov_re, dtype=np.float64)[np.ix_(random, random)],
        sigma2=float(fit.scale),
        y=design.response.y,
        X=rows.X,
        Z=rows.Z[name],
        codes=factor.codes,
        groups=len(factor.levels),
    )


def _refuse_other_rows(model: Any, design: Design) -> None:
    name, factor = next(iter(design.factors.items()))
    y, endog = design.response.y, np.asarray(model.endog, dtype=np.float64)
    other = np.flatnonzero(~(np.abs(y - endog) <= _SAME * max(1.0, np.abs(endog).max())))
    if len(other):
        raise PosteriorError(
            f"The response {design.response.text!r} is not that of the fit in {len(other)} rows: row {other[0]} has "
            f"{y[other[0]]:g} here and {endog[other[0]]:g} there. Pass data= with the rows of the fit, "
            "in their order and as they were then."
        )
    groups = pd.factorize(np.asarray(model.groups))[0]
    other = np.flatnonzero(pd.factorize(factor.codes)[0] != groups)
    if len(other):
        raise PosteriorError(
            f"The groups of {name!r} are not those of the fit: here there are {len(factor.levels)}, there "
            f"{groups.max() + 1}, and row {other[0]} is the first that lies with others. Name the column of groups= in "
            "formula=."
        )


def _order(what: str, ours: _Side, theirs: _Side, design: Design) -> list[int]:
    """Position in the fit of each of our columns; equal columns are found by their numbers, not by their names."""
    found = []
    for column in ours.values.T:
        gap = np.abs(theirs.values - column[:, None]).max(axis=0)
        same = np.flatnonzero(gap <= _SAME * max(1.0, np.abs(column).max()))
        found.append(int(same[0]) if len(same) else -1)
    absent = [n for n, k in zip(ours.names, found, strict=True) if k < 0]
    left = [n for k, n in enumerate(theirs.names) if k not in found]
    if absent or left:
        raise PosteriorError(
            f"The {what} columns of {design.formula!r} are not those of the fit: {listed(absent) or 'none'} of ours, "
            f"{listed(left) or 'none'} of statsmodels' have no equal. Write the formula of the fit (formula=) so "
            "that it codes the same: C(f, contr.treatment('b')) for Treatment(reference='b'), (0 + x | g) for a slope "
            "without an intercept; and give the rows of the fit (data=), unchanged."
        )
    return found


def _checked_covariance(V: np.ndarray, model: Any) -> np.ndarray:
    names = np.array([str(n) for n in model.exog_names])
    bad = names[~(np.diagonal(V) > 0)]
    if len(bad) or not np.isfinite(V).all():
        variances = [f"{v:g}" for v in np.diagonal(V)[np.isin(names, bad)]]
        raise PosteriorError(
            f"The fit has no standard error of {listed(bad)} (variance {listed(variances)}): a coefficient was held "
            "fixed, or the fit failed. Fit it with all coefficients free."
        )
    sd = np.sqrt(np.diagonal(V))
    values, vectors = np.linalg.eigh(V / np.outer(sd, sd))
    if values[0] < 1e-12:
        involved = names[np.abs(vectors[:, 0]) > 0.1]
        raise PosteriorError(
            f"The covariance of the coefficients is singular (smallest eigenvalue {values[0]:.2g} of their "
            f"correlations), by {listed(involved)}: some are sums of others, or the fit failed. Leave one out."
        )
    return (V + V.T) / 2.0
