"""One model fitted to several imputations of its data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from bayesmargins.design import to_pandas
from bayesmargins.errors import BayesmarginsError, ModelError, close_matches, listed, shown
from bayesmargins.explained import FAMILY, explained
from bayesmargins.family import Family
from bayesmargins.imputations import Imputed, from_imputations, refuse_unlike
from bayesmargins.model.glmm import GLMM
from bayesmargins.model.many_fits import fit_many
from bayesmargins.values import plain_value

__all__ = ["fit_imputations"]


@explained(FAMILY)
def fit_imputations(
    formula: str | Mapping[str, str],
    data: Any,
    family: str | Family = "gaussian",
    link: str | Mapping[str, str] | None = None,
    priors: Mapping[str, Any] | None = None,
    *,
    imputation: str | None = None,
    namespace: Mapping[str, Callable[..., Any]] | None = None,
    random_seed: int | None = None,
    progressbar: bool = True,
    client: Any = None,
    **fit: Any,
) -> Imputed:
    """What are the parameters, given several imputations of the same data?

    The model is fitted to each imputation, as `fit_many` does it, and the draws are mixed, as `from_imputations` does.

    Parameters
    ----------
    formula : str
        lme4-style, ``"y ~ x + (1 | g)"``, or a dict with one for each parameter.
    data : list or dict of DataFrame, or DataFrame
        A completed frame an imputation, or all of them below each other in one, with the column `imputation`.
    imputation : str, optional
        The column of a long frame that says which imputation a row is of: ``".imp"`` of mice's ``complete(imp,
        "long")``.
    namespace : dict, optional
        Own functions that the formula calls.
    random_seed : int, optional
        Same seed, same draws.
    progressbar : bool
        Whether a line on stderr says which imputations are done, which is the default.
    client : distributed.Client, optional
        Fits on the workers of this client in place of processes of this machine: the same draws.
    **fit
        Arguments of `GLMM.fit`, the same for all (``draws=2000``). The sampler is ``"independent"`` unless you name
        another, and every imputation takes `draws` draws (``ess=None``), since all of them count the same.

    Returns
    -------
    Imputed
        To be used in place of a posterior.

    Raises
    ------
    ModelError
        No frames; a long frame without `imputation`, or with fewer than two.
    DataError, FormulaError
        As for `GLMM`, with the name of the imputation.
    FitError
        As for `fit_many`.
    PosteriorError
        Imputations that have other rows or other levels.

    Warns
    -----
    BayesmarginsWarning
        What each fit warns about.

    Notes
    -----
    The default priors of an imputation are those of its own rows.

    Examples
    --------
    >>> post = fit_imputations("y ~ x + (1 | id)", frames, random_seed=1)  # doctest: +SKIP
    """
    models = {}
    for label, frame in _frames(data, imputation).items():
        try:
            models[label] = GLMM(formula, frame, family, link, priors, namespace=namespace)
        except BayesmarginsError as error:
            raise type(error)(f"Imputation {shown(label)}: {error}{_unfilled(frame)}") from error
    refuse_unlike(models)  # before hours of sampling
    many = {"random_seed": random_seed, "progressbar": progressbar, "client": client, "ess": None}
    return from_imputations(fit_many(models, **many | fit))


def _frames(data: Any, imputation: str | None) -> dict[Any, Any]:
    """A frame an imputation, by its label."""
    if imputation is None:
        several = isinstance(data, Mapping) or (isinstance(data, Sequence) and not isinstance(data, str))
        frames = dict(data) if isinstance(data, Mapping) else dict(enumerate(data, 1)) if several else {}
        if len(frames) < 2 or not all(hasattr(frame, "columns") for frame in frames.values()):
            raise ModelError(
                f"data is {shown(data)}; a list of at least two frames is needed, one an imputation, or one long frame "
                "whose column imputation= says which of them a row is of, such as imputation='.imp'."
            )
        return frames
    long = to_pandas(data)
    if not isinstance(imputation, str) or imputation not in long.columns:
        raise ModelError(
            f"imputation={shown(imputation)} is no column of data ({listed(long.columns)})."
            f"{close_matches(imputation, long.columns)}"
        )
    labels = long[imputation]
    if labels.isna().any() or labels.nunique() < 2:
        raise ModelError(
            f"The column {imputation!r} has {labels.nunique()} imputations and {labels.isna().sum()} missing values; "
            "at least two imputations are needed, and every row is of one."
        )
    rows = long.drop(columns=imputation)
    return {plain_value(label): _of(rows, labels == label) for label in pd.unique(labels)}


def _unfilled(frame: Any) -> str:
    if not to_pandas(frame).isna().any(axis=None):
        return ""
    return (
        " Imputations are completed data, so nothing is dropped of them; mice writes the data before imputation as "
        "the first one, .imp = 0: leave its rows out, data[data['.imp'] > 0]."
    )


def _of(rows: pd.DataFrame, mine: pd.Series) -> pd.DataFrame:
    return rows[mine].reset_index(drop=True)
