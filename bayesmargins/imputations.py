"""Multiple imputation: a posterior of each imputation, asked one by one, and their draws mixed."""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import EstimandError, PosteriorError, listed, shown, warn
from bayesmargins.habits import taught_as
from bayesmargins.posterior import Posterior
from bayesmargins.provenance import Provenance, make_result, of_several, provenance_of
from bayesmargins.schema import ESTIMATE, IMPUTATION, SAMPLE_DIMS
from bayesmargins.streams import goes_once, kind_of
from bayesmargins.values import plain, whole_number

__all__ = ["Imputed", "from_imputations", "refuse_unlike"]

_LARGEST = ("integration_nodes", "error_bound", "error_estimate", "group_points", "max_rhat")
_SEALED = ("values", "fingerprint", "entries")


@dataclass(frozen=True, eq=False)
class Imputed:
    """A posterior for each imputation of the data: every margin asks them all and mixes their draws.

    Attributes
    ----------
    posteriors : tuple of Posterior
        One an imputation.
    labels : tuple
        What the imputations are called: the coordinate ``imputation`` of results.

    Examples
    --------
    >>> from_imputations([post, post]).labels
    (1, 2)
    """

    posteriors: tuple[Posterior, ...]
    labels: tuple[Any, ...]

    @property
    def formula(self) -> str:
        """The formula as the user wrote it."""
        return self.posteriors[0].formula

    def seeds(self, random_seed: int | None) -> list[int]:
        """A seed for each imputation, by its place: the same group gets another b in each."""
        spawned = np.random.SeedSequence(random_seed).spawn(len(self.posteriors))
        return [int(s.generate_state(1)[0]) for s in spawned]

    def ask_each(self, question: Callable[..., xr.Dataset], *args: Any, **kwargs: Any) -> xr.Dataset:
        """Each imputation is asked (`habits.of_each`), and the answers are mixed."""
        signature = inspect.signature(question)
        _refuse_used_up(signature.bind_partial(self, *args, **kwargs).arguments.get("newdata"))
        if "random_seed" not in signature.parameters:
            return self.mixed([question(post, *args, **kwargs) for post in self.posteriors])
        given = kwargs.pop("random_seed", None)
        seed = secrets.randbits(31) if given is None else whole_number("random_seed", given, 0, rest=", or None")
        of_each = zip(self.posteriors, self.seeds(seed), strict=True)
        return self.mixed([question(post, *args, random_seed=s, **kwargs) for post, s in of_each], seed)

    def mixed(self, results: Sequence[xr.Dataset], random_seed: int | None = None) -> xr.Dataset:
        """The chains of all results side by side, with the same number of draws each; `random_seed` is the user's."""
        first = results[0]
        dims = [str(d) for d in first[ESTIMATE].dims if d not in SAMPLE_DIMS]
        coords, unlike = _labels(results)
        draws = min(ds.sizes["draw"] for ds in results)
        cubes = [ds[ESTIMATE].transpose(*SAMPLE_DIMS, *dims).to_numpy()[:, :draws] for ds in results]
        values = np.concatenate(cubes)
        chains = [len(cube) for cube in cubes]
        sample: dict[str, Any] = {"chain": np.arange(len(values)), "draw": first["draw"].to_numpy()[:draws]}
        sample[IMPUTATION] = ("chain", np.repeat(plain(list(self.labels)), chains))
        about = _provenance([provenance_of(ds) for ds in results], unlike, random_seed)
        return make_result(values.reshape(-1, *values.shape[2:]), dims, coords, about, sample)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"Imputed has no {name!r}: each imputation's posterior has its own, such as post.posteriors[0].{name}. "
            "bm.from_imputations puts posteriors together again."
        )

    def __repr__(self) -> str:
        return f"{len(self.posteriors)} imputations, each a posterior in .posteriors; the first: {self.posteriors[0]!r}"


@taught_as(PosteriorError)
def from_imputations(posteriors: Sequence[Posterior] | Mapping[Any, Posterior]) -> Imputed:
    """Which posterior do fits to several imputations of the same data make together?

    Multiple imputation fits the model to each completed data set. The posterior given what was observed is the mixture
    of these posteriors: their draws are put together, the same number of each. Every margin of it, `summary` and
    `table` then answer for the mixture.

    Parameters
    ----------
    posteriors : sequence or dict of Posterior
        Fits of one formula to each imputation, from `fit_many`, from files or from other software; a dict names them.

    Returns
    -------
    Imputed
        To be used in place of a posterior. Each imputation is asked with its own rows, unless there is ``newdata``, and
        results have a coordinate ``imputation`` along ``chain``.

    Raises
    ------
    PosteriorError
        Fewer than two posteriors; names that are missing or alike; or posteriors that differ in formula, family, link,
        coefficients, groups, number of rows or of chains.

    Warns
    -----
    BayesmarginsWarning
        Chains of different lengths: of all the first draws count, as many as the shortest has.

    Notes
    -----
    `summary` says which share of the variance of the draws lies between imputations, ``imputation_share``, and judges
    chains within imputations. Draws of few imputations are too close together: 20 imputations or more are advised by
    Zhou & Reiter (2010), "A note on Bayesian inference after multiple imputation", The American Statistician 64(2),
    159-163.

    Examples
    --------
    >>> both = from_imputations([post, post])
    >>> avg_predictions(both)["imputation"].to_numpy()[[0, -1]]
    array([1, 2])
    """
    if not isinstance(posteriors, Mapping | Sequence):
        raise PosteriorError(f"posteriors is {shown(posteriors)}; a list of posteriors is needed, one an imputation.")
    named = dict(posteriors) if isinstance(posteriors, Mapping) else dict(enumerate(posteriors, 1))
    wrong = [k for k, post in named.items() if not isinstance(post, Posterior)]
    if wrong or len(named) < 2:
        got = f"imputation {shown(wrong[0])} is {shown(named[wrong[0]])}" if wrong else f"there are {len(named)}"
        raise PosteriorError(f"{got}; at least two posteriors are needed, one an imputation.")
    _refuse_labels(list(named))
    refuse_unlike(named)
    draws = [post.beta.sizes["draw"] for post in named.values()]
    if len(set(draws)) > 1:
        warn(
            f"The imputations have chains of {min(draws):,} to {max(draws):,} draws. All count the same: the first "
            f"{min(draws):,} of each chain are mixed."
        )
    return Imputed(tuple(named.values()), tuple(named))


def _refuse_used_up(newdata: Any) -> None:
    """EstimandError where the first imputation would leave the others no rows."""
    if goes_once(newdata):
        raise EstimandError(
            f"newdata is {kind_of(newdata)}, which can be gone through once, and every imputation goes through its "
            "rows: give a path, a pyarrow Dataset, a LazyFrame or a table."
        )


def _refuse_labels(labels: Sequence[Any]) -> None:
    """PosteriorError where the coordinate of results could not tell imputations apart."""
    called = pd.Series(plain(list(labels)))
    if called.isna().any() or called.duplicated().any() or None in labels:
        raise PosteriorError(
            f"Imputations are called {listed(labels)}, and results could not tell them apart: give each a text or a "
            "number of its own (1 and '1' are the same text beside each other), or a list of posteriors."
        )


def refuse_unlike(named: Mapping[Any, Any]) -> None:
    """PosteriorError where imputations, posteriors or models, are not of one model and the same rows."""
    (label, first), *others = named.items()
    alike = _alike(first)
    for other, of in others:
        for what, two in _alike(of).items():
            if alike[what] != two:
                way = _SAME_LEVELS if what in ("coefficients", "groups") else ""
                raise PosteriorError(
                    f"Imputations {shown(label)} and {shown(other)} differ in their {what}: {shown(alike[what])} and "
                    f"{shown(two)}. Draws are mixed of one model, fitted to imputations of the same rows.{way}"
                )


_SAME_LEVELS = (
    " A factor has to have the same levels in every imputation: pd.Categorical(column, categories=[...]) keeps those "
    "that do not occur."
)


def _alike(of: Any) -> dict[str, Any]:
    """What imputations have in common, by what messages call it; models have no draws yet."""
    designs = {name: p.design for name, p in of.predictors.items()}
    said = {
        "formula": {name: d.formula for name, d in designs.items()},
        "family": of.family.name,
        "links": {name: p.link.name for name, p in of.predictors.items()},
        "coefficients": [c for d in designs.values() for c in d.coef],
        "groups": {f: (g.terms, list(g.levels)) for d in designs.values() for f, g in d.factors.items()},
        "rows": None if of.design.frame is None else len(of.design.data),
    }
    if isinstance(of, Posterior):
        said |= {"kind of draws": of.kind, "categories": list(of.categories), "chains": of.beta.sizes["chain"]}
    return said


def _labels(results: Sequence[xr.Dataset]) -> tuple[dict[str, Any], list[str]]:
    """Coordinates that all results share, and the columns of rows in which they differ."""
    first, unlike = results[0], []
    coords: dict[str, Any] = {}
    for name, labels in first.coords.items():
        if set(labels.dims) & set(SAMPLE_DIMS):
            continue
        others = [ds.coords[name].to_numpy() if name in ds.coords else None for ds in results[1:]]
        if all(values is not None and _same(labels.to_numpy(), values) for values in others):
            coords[str(name)] = (labels.dims, labels.to_numpy())
        elif labels.dims == ("row",) and name != "row":
            unlike.append(str(name))
        else:
            _refuse(f"{name} is {_listing(labels.to_numpy())} in the first imputation and", others)
    return coords, unlike


def _same(one: np.ndarray, two: np.ndarray) -> bool:
    return one.dtype.kind == two.dtype.kind and np.array_equal(one, two, equal_nan=one.dtype.kind == "f")


def _listing(values: np.ndarray | None) -> str:
    return "not there" if values is None else listed(np.atleast_1d(values).tolist(), 6)


def _refuse(said: str, others: Sequence[np.ndarray | None]) -> NoReturn:
    several = dict.fromkeys(_listing(values) for values in others)
    raise EstimandError(
        f"Imputations are asked the same, entry by entry: {said} {' or '.join(several)} in others. Where values come "
        "from the data, such as 'sd' or the levels of by=, say them yourself: variables={'x': (0, 1)}, newdata=rows."
    )


def _provenance(each: Sequence[Provenance], unlike: Sequence[str], random_seed: int | None) -> Provenance:
    """What all say; of errors the largest, of divergences their sum."""
    first, said = each[0], [vars(of) for of in each]
    shared = {k: v for k, v in said[0].items() if all(of[k] == v for of in said) and k not in _SEALED}
    known = {k: [of[k] for of in said if of[k] is not None] for k in (*_LARGEST, "divergences")}
    shared |= {k: (sum if k == "divergences" else max)(values) for k, values in known.items() if values}
    if first.error_estimates:
        estimates = [of.error_estimates or {} for of in each]
        shared["error_estimates"] = {k: max(of[k] for of in estimates) for k in first.error_estimates}
    if first.estimand is not None and "estimand" not in shared:
        sentences = dict.fromkeys(shown(of.estimand, 400) for of in each)
        raise EstimandError(f"Imputations are asked the same, and these differ: {' / '.join(sentences)}")
    differ = f", which differ in {', '.join(unlike)}" if unlike else ""
    mixed = f"mixed over {len(each)} imputations of the data{differ}"
    sentence = None if first.estimand is None else f"{first.estimand.removesuffix('.')}; {mixed}."
    return Provenance(
        **shared
        | {"estimand": sentence, "imputations": len(each)}
        | {"random_seed": None if first.random_seed is None else random_seed}
        | {"posterior": of_several(each)}
    )
