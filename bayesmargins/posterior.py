"""The hub: draws of beta, b, Sigma and the family's parameters with the frozen design, whatever software made them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.design import Design
from bayesmargins.displays import as_html, posterior_in_words
from bayesmargins.draws import Draws, Effects, flat
from bayesmargins.errors import PosteriorError, listed
from bayesmargins.family import Family, Link, Parameter, parameter_family, resolve_link
from bayesmargins.files import laid_out, to_netcdf, write_bytes
from bayesmargins.group_likelihood import log_likelihood_by_group
from bayesmargins.habits import taught_as
from bayesmargins.integrate.ahead import fetch_ahead
from bayesmargins.labelling import worded
from bayesmargins.log_densities import eta_of_rows, log_likelihood_by_row, log_prior_by_parameter
from bayesmargins.parameters import arviz_groups, check_prior, named_for_arviz, now, provenance
from bayesmargins.predictors import check_posterior
from bayesmargins.provenance import fingerprint
from bayesmargins.schema import CAVEATS, MEAN, SAMPLE_DIMS, whole
from bayesmargins.stacks import add_group, make_idata

__all__ = ["Posterior", "make_part"]


@dataclass(frozen=True, eq=False)
class Posterior:
    """What does a GLMM know of its parameters? Draws in one form, from which every margin is computed.

    Attributes
    ----------
    design : Design
        Formula and data, frozen.
    family : Family
        Of the response.
    link : Link
        Between mean and linear predictor.
    beta : DataArray, dims (chain, draw, coef)
        Fixed effects, link scale, on the columns of the design as the user wrote it (not centred).
    b : dict of DataArray, dims (chain, draw, <factor>, <factor>_term)
        Group effects, link scale; they may be in chunks of dask.
    Sigma : dict of DataArray, dims (chain, draw, <factor>_term, <factor>_term2)
        Their covariance.
    aux : dict of DataArray, dims (chain, draw)
        The family's parameters beside the mean, such as ``sigma``; ``thresholds`` have a dimension ``threshold`` more.
    parts : dict of Posterior
        Those of these parameters that have a linear predictor of their own, each as a posterior whose mean is the
        parameter (`make_part`).
    across : dict of DataArray, dims (chain, draw, <factor>_term, <factor>_term2)
        The covariance of all effects of a factor, where those on several linear predictors are correlated. Along its
        terms stands the coordinate ``<factor>_predictor``: ``"mu"``, ``"sigma"``.
    smooth_sd : dict of DataArray, dims (chain, draw)
        Of the bent coefficients of each ``s()`` and ``t2()``, where they are known.
    sample_stats : Dataset or None
        What the sampler said about its draws.
    info : dict
        Where the draws come from.
    origin : Origin or None
        Of a fit of this package, while it is in memory: the model, and draws of the variables that have priors.
    """

    design: Design
    family: Family
    link: Link
    beta: xr.DataArray
    b: dict[str, xr.DataArray]
    Sigma: dict[str, xr.DataArray]
    aux: dict[str, xr.DataArray]
    sample_stats: xr.Dataset | None = None
    info: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Posterior] = field(default_factory=dict)
    across: dict[str, xr.DataArray] = field(default_factory=dict)
    smooth_sd: dict[str, xr.DataArray] = field(default_factory=dict)
    origin: Any = None

    def __post_init__(self) -> None:
        fetch_ahead()

    @cached_property
    def formula(self) -> str:
        """The formula as the user wrote it."""
        return self.design.formula

    @property
    def labels(self) -> Mapping[str, str]:
        """What readers see in place of a column's name: those that the data had (`bayesmargins.label`)."""
        return MappingProxyType(self.design.labels)

    @cached_property
    def response_words(self) -> str:
        """The response as sentences call it: its label, or the expression of the formula."""
        return worded(self.design.response.text, self.design.labels)

    @cached_property
    def kind(self) -> str:
        """``"posterior"``, ``"prior"`` (draws that have seen no data), or `ASYMPTOTIC`: around estimates, no prior."""
        return str(self.info.get("draws", "posterior"))

    @cached_property
    def first(self) -> str:
        """Which linear predictor this posterior itself has: ``"mu"``; of categories the second's, ``"mu[yes]"``."""
        return f"{MEAN}[{self.categories[1]}]" if self.family.shares is not None else MEAN

    @property
    def predictors(self) -> Mapping[str, Posterior]:
        """Every linear predictor with its design, link, beta, b and Sigma: the first is this posterior itself."""
        return MappingProxyType({self.first: self, **self.parts})

    @cached_property
    def is_part(self) -> bool:
        """Whether its mean is a parameter of another posterior."""
        return self.family.support is None

    @cached_property
    def caveat(self) -> str:
        """What every sentence about these draws has to say of them; empty of a posterior."""
        return CAVEATS.get(self.kind, self.kind)

    @property
    def arviz_group(self) -> str:
        """Where ArviZ looks for such draws: it has no group but ``posterior`` for what is neither."""
        return "prior" if self.kind == "prior" else "posterior"

    @cached_property
    def sample_coords(self) -> dict[str, np.ndarray]:
        """Coordinates of chains and draws."""
        return {d: self.beta[d].to_numpy() for d in SAMPLE_DIMS}

    @cached_property
    def draws(self) -> Draws:
        """The draws as plain arrays."""
        return Draws(
            beta=flat(self.beta),
            b=Effects(self.b),
            Sigma={f: flat(v) for f, v in self.Sigma.items()},
            aux={k: flat(v) for k, v in self.aux.items()},
        )

    @cached_property
    def fingerprint(self) -> str:
        """Which draws these are: 16 digits that change with any value of beta, Sigma or thresholds."""
        every = (self, *(self.parts[name] for name in sorted(self.parts)))
        values = [v for p in every for v in (p.draws.beta, *(p.draws.Sigma[f] for f in sorted(p.draws.Sigma)))]
        values += [v for v in self.draws.aux.values() if v.ndim > 1]
        values += [self.across[f].to_numpy() for f in sorted(self.across)]
        return fingerprint(np.concatenate([v.ravel() for v in values]))

    @cached_property
    def parameters(self) -> xr.Dataset:
        """Draws under the names that ArviZ shows: ``beta``, ``sd_id``, ``cor_id``, ``b_id``, ``sigma`` or ``shape``.

        A parameter with a linear predictor has the same names after its own: ``sigma_beta``, ``sigma_sd_id``; its
        dimensions too (``sigma_coef``), but those of the groups, which are the same.
        """
        return named_for_arviz(self)

    @cached_property
    def idata(self) -> Any:
        """The posterior for ArviZ: InferenceData (0.23) or DataTree (1.x).

        Groups ``posterior`` (``prior`` for draws of the prior; what kind of draws they are stands in the group's
        attribute ``draws``), ``sample_stats`` (where a sampler made the draws), ``observed_data``, ``constant_data``;
        once they were asked for ``log_likelihood``, predictive draws (`posterior_predictive` says in which groups) and
        ``prior`` (`add_prior`).
        """
        return make_idata(self.arviz_groups)

    def to_datatree(self) -> xr.DataTree:
        """What do arviz-plots and arviz-stats take, on both stacks? The groups of `idata` as a DataTree.

        Returns
        -------
        DataTree
            A group each, with their attributes.

        Examples
        --------
        >>> post.to_datatree()["posterior"]["beta"].dims
        ('chain', 'draw', 'coef')
        """
        return xr.DataTree.from_dict(self.arviz_groups)

    @property
    def arviz_groups(self) -> dict[str, xr.Dataset]:
        """The groups of `idata`, and of the file that `save` writes."""
        about = provenance(self)
        return {name: ds.assign_attrs(about | ds.attrs) for name, ds in {**arviz_groups(self), **self.joined}.items()}

    @cached_property
    def created_at(self) -> str:
        """When: as the sampler says it, or the time of the first question for it."""
        said = None if self.sample_stats is None else self.sample_stats.attrs.get("created_at")
        return said if isinstance(said, str) else now()

    @cached_property
    def joined(self) -> dict[str, xr.Dataset]:
        """Groups that were asked for, beside those that every posterior has."""
        return {}

    def join(self, name: str, group: xr.Dataset) -> None:
        """Put a group beside the others, in place of an older one of that name."""
        self.joined[name] = group
        if "idata" in self.__dict__:
            add_group(self.idata, name, group.assign_attrs(provenance(self) | group.attrs))

    def add_prior(self, prior: Posterior) -> None:
        """Put draws of the prior beside those of the posterior in `idata`, as group ``prior``.

        ArviZ then compares the two: ``az.plot_prior_posterior``, ``az.plot_bf``, ``az.bayes_factor``. What was asked
        of the prior before (``prior_predictive``) joins too, and `save` keeps it.

        Parameters
        ----------
        prior : Posterior
            From ``model.prior()``, of the same formula.

        Raises
        ------
        PosteriorError
            Draws of another kind or formula, or other parameters than the posterior has.

        Examples
        --------
        >>> import bayesmargins as bm
        >>> model = bm.GLMM(post.formula, post.design.data, family="bernoulli")
        >>> post.add_prior(model.prior(draws=200, random_seed=1))
        >>> post.idata["prior"]["beta"].sizes["draw"]
        200
        """
        check_prior(self, prior)
        for name, group in prior.arviz_groups.items():
            if name.startswith("prior"):
                self.join(name, group)

    @cached_property
    def categories(self) -> tuple[Any, ...]:
        """Those of a response of categories; 1, 2, ... where neither rows nor `levels` name them; else empty."""
        known = self.design.response.categories if self.family.categories else ()
        return known or tuple(range(1, self.aux["thresholds"].sizes["threshold"] + 2) if self.family.ordinal else ())

    def as_observed(self, y: np.ndarray) -> np.ndarray:
        """Values of y as the data have them: whole numbers as int64, in place of categories these if numbers."""
        if self.categories and not self.family.counted and all(isinstance(k, int | float) for k in self.categories):
            of_number = np.array([np.nan, *self.categories], dtype=np.float64)
            y = of_number[np.where(np.isnan(y), 0, y).astype(np.intp)]
        return whole(y) if self.family.support is not None and self.family.support.discrete else y

    @property
    def response_name(self) -> str:
        """The response in ``observed_data``, ``log_likelihood`` and ``posterior_predictive``."""
        return self.design.response.name

    def linear_predictor(self, block: slice | None = None) -> np.ndarray:
        """What is eta of the fitted rows, each with its own group's b?

        Parameters
        ----------
        block : slice, optional
            Draws to do; all by default.

        Returns
        -------
        ndarray, shape (sample, row)
            Link scale, offset included.

        Raises
        ------
        PosteriorError
            The posterior came without draws of b; `block` is no slice of whole numbers.
        """
        return eta_of_rows(self, block)

    @taught_as(PosteriorError)
    def log_likelihood(self) -> xr.Dataset:
        """How likely is every observation in every draw? Asked for once, it also joins `idata`, for ``az.loo``.

        Returns
        -------
        Dataset
            The response's name with dims (chain, draw, obs): log density, natural logarithm. Of a censored row it is
            that of what is known, and weights of the formula multiply it, as in brms.

        Raises
        ------
        PosteriorError
            The posterior came without draws of b.
        """
        data = log_likelihood_by_row(self)
        self.join("log_likelihood", data)
        return data

    @taught_as(PosteriorError)
    def log_prior(self) -> xr.Dataset:
        """How probable is every draw before any data? It also joins `idata`, for ``az.psense_summary``.

        Returns
        -------
        Dataset
            A variable for each prior, under the name that it has in ``priors=`` (``Intercept``, ``beta``, ``week``,
            ``sd_id``, ``cor_id``, ``sigma``), with dims (chain, draw): log density, natural logarithm, of the
            parameters as the PyMC model has them (``model.pymc``), without the Jacobians of their transforms. ``beta``
            is of all coefficients that have no prior of their own, along the directions in which it is stated. The
            distribution of b given its covariance is part of the model, and not among them.

        Raises
        ------
        PosteriorError
            The draws are not those of `GLMM.fit` in this session: draws of other software, of a file or of a prior
            come without the priors.
        """
        data = log_prior_by_parameter(self)
        self.join("log_prior", data)
        return data

    @cached_property
    def log_likelihood_groups(self) -> xr.DataArray:
        """How likely are each group's rows together, its b integrated out? Dims (chain, draw, <factor>).

        Log density, natural logarithm; for leaving whole groups out. Of models with one grouping factor: in closed form
        where the response, or its logarithm, is normal given b, else of one effect a group, where the density of a row
        has one peak in its linear predictor, and of an intercept and a second effect of some families. Others
        raise a `PosteriorError` that says why.

        Examples
        --------
        The expected log density of a new group's rows, by leave-one-group-out:

        >>> from arviz_stats import loo
        >>> groups = {"log_likelihood": post.log_likelihood_groups.to_dataset()}  # doctest: +SKIP
        >>> loo(xr.DataTree.from_dict({"posterior": post.parameters, **groups}))  # doctest: +SKIP
        """
        return log_likelihood_by_group(self)

    def need_parameters(self, what: str, some: Collection[str] | None = None) -> None:
        """Refuse what needs the family's own parameters, or some of them, where the draws came without them."""
        needed = [p.name for p in self.family.estimated(self.design.response.known_error)]
        absent = [p for p in needed if p not in self.aux and p not in self.parts and (some is None or p in some)]
        if absent:
            raise PosteriorError(
                f"{what} needs draws of {listed(absent)} (family {self.family.name}): give aux={{...}}."
            )

    @taught_as(PosteriorError)
    def save(self, path: str | os.PathLike[str]) -> None:
        """Keep the posterior in a netCDF file: draws, formula, data, levels, and what joined `idata`.

        `bayesmargins.load` reads it, and so do ArviZ (``az.from_netcdf``) and xarray; what these two write,
        `bayesmargins.load` refuses.

        Parameters
        ----------
        path : str or Path
            The file; an older one is replaced once the new one is complete, and keeps its permissions. A link is
            followed.

        Raises
        ------
        PosteriorError
            The folder does not exist or may not be written to, the disk is full, the data hold a column that a file
            does not give back as it is, draws are not finite, or this is a part of a posterior, which is saved as a
            whole.
        FormulaError
            The formula is so long for its few columns that a file may not hold it.
        """
        if self.is_part:
            raise PosteriorError(f"This is the part {self.family.name!r} of a posterior: save that, as a whole.")
        check_posterior(self)
        write_bytes(to_netcdf(laid_out(self, self.arviz_groups)), path)

    def __repr__(self) -> str:
        return posterior_in_words(self)

    def _repr_html_(self) -> str:
        return as_html(repr(self))


def make_part(
    parameter: Parameter, design: Design, link: str | None, draws: Mapping[str, Any], info: Mapping[str, Any]
) -> Posterior:
    """What a posterior holds for a parameter with a linear predictor: a posterior whose mean is the parameter.

    ``info["correlated"]`` lists factors whose effects here are correlated with those on another linear predictor.
    ModelError where the parameter does not take the link.
    """
    family = parameter_family(parameter.name, parameter.links, parameter.between)
    arrays = {name: draws[name] for name in ("beta", "b", "Sigma")}
    return Posterior(design=design, family=family, link=resolve_link(family, link), aux={}, info=dict(info), **arrays)
