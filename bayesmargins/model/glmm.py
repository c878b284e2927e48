"""GLMM: formula, data and family to a PyMC model, and its fit to a Posterior."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from bayesmargins.clusters import checked_client
from bayesmargins.design import Design
from bayesmargins.displays import as_html
from bayesmargins.errors import FitError, ModelError
from bayesmargins.explained import FAMILY, FIT, explained
from bayesmargins.family import Family, Link, get_family
from bayesmargins.habits import plain_arguments, taught_as
from bayesmargins.limits import options as session
from bayesmargins.model.arrays import formula_of_arrays
from bayesmargins.model.bends import with_known_bends
from bayesmargins.model.build import Observed, build_pymc
from bayesmargins.model.enough import goal
from bayesmargins.model.fitting import Fit, posterior_of
from bayesmargins.model.independent_fit import FASTER, INDEPENDENT, OF_SESSION, independent_fit
from bayesmargins.model.integrated import IntegratedModel, integrated_model
from bayesmargins.model.marginal import Likelihood, largest_first, likelihood_without_b
from bayesmargins.model.on_client import fit_on, sampled_on
from bayesmargins.model.prior_text import prior_lines
from bayesmargins.model.retold import with_call
from bayesmargins.model.sampled import Parametrisation, SampledModel, parametrised, sampled_model
from bayesmargins.model.sampling import draw_prior
from bayesmargins.model.specified import specified
from bayesmargins.model.summary import kept_names, model_lines
from bayesmargins.model.treatment import INTEGRATED, Treatment, obstacle_to_integral, runs_compiled, treatment
from bayesmargins.model.words import WORDS
from bayesmargins.posterior import Posterior
from bayesmargins.values import is_word

__all__ = ["GLMM"]


@explained(FAMILY)
class GLMM:
    """Which Bayesian mixed model do this formula and these data describe?

    Parameters
    ----------
    formula : str
        lme4-style: ``"y ~ trt + week + (1 + week | id)"``, ``"successes | trials(n) ~ x + (1 | a/b)"``,
        ``"y ~ x + offset(log(exposure)) + (1 | site)"``. Behind the bar ``weights(w)``, ``cens(c)``, ``trunc(lb, ub)``,
        ``se(s)`` and ``rate(t)`` say more of the rows.
    data : DataFrame
        pandas, polars or pyarrow; one row an observation.
    namespace : dict, optional
        Own functions that the formula calls, ``{"half": lambda x: x / 2}``, and matrices that ``gr(g, cov = A)`` names.

    Attributes
    ----------
    design : Design
        Formula and data, frozen.
    family, link : Family, Link
        Of the response.
    priors : dict
        The prior of every parameter.
    given : dict
        Those of them that were given.
    outcome : Outcome
        What the rows say of the response.
    groups : dict of GroupPart
        By factor, the group effects on all linear predictors.
    pymc : pymc.Model
        The model with its group effects, coords and dims.

    Raises
    ------
    FormulaError, DataError
        The formula cannot be read, or does not fit the data.
    ModelError
        Family, link, response and priors do not go together.

    Examples
    --------
    >>> import bayesmargins as bm
    >>> model = bm.GLMM("yb ~ trt + week + (1 | ID)", bm.load_dataset("bacteria"), family="bernoulli")
    >>> model.design.coef
    ('Intercept', 'trt[drug]', 'trt[drug+]', 'week')
    """

    @taught_as(ModelError, WORDS)
    def __init__(
        self,
        formula: str | Mapping[str, str],
        data: Any,
        family: str | Family = "gaussian",
        link: str | Mapping[str, str] | None = None,
        priors: Mapping[str, Any] | None = None,
        *,
        missing: str = "error",
        namespace: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        made = specified(formula, data, family, link, priors, missing, namespace)
        self.formula = dict(formula) if isinstance(formula, Mapping) else formula
        self.family, self.predictors, self.priors = made.family, made.predictors, made.priors
        self.outcome, self.groups, self.given = made.outcome, made.groups, dict(priors or {})

    @classmethod
    @taught_as(ModelError, WORDS)
    @explained(FAMILY)
    def from_arrays(
        cls,
        y: Any,
        X: Any,
        groups: Mapping[str, Any] | None = None,
        Z: Mapping[str, Any] | None = None,
        family: str = "gaussian",
        link: str | None = None,
        priors: Mapping[str, Any] | None = None,
        *,
        names: Sequence[str] | None = None,
        trials: Any = None,
        offset: Any = None,
        missing: str = "error",
    ) -> GLMM:
        """Which model do these matrices describe?

        The arrays become columns of a data frame and a formula over them, ``model.design.formula``: newdata, variables
        and priors go by these names, and every function takes such a posterior like any other. Arrays are paired by
        position, Series and DataFrames with each other by their index.

        Parameters
        ----------
        y : (row,) array
            Response; its name is ``y``, or that of a Series.
        X : (row, coef) array or DataFrame
            Fixed part. A column of ones becomes the intercept; none is added.
        groups : dict of (row,) array, optional
            Group of every row, a factor: ``{"id": codes}``.
        Z : dict, optional
            What varies by group, a factor: a (row, term) array, or a list of names of columns of `X` (``"Intercept"``
            for the intercept). A column of the array that equals one of `X` is that column, so that a counterfactual
            value changes both. A random intercept for factors that are left out.
        names : sequence of str, optional
            Names of the columns of `X`; those of a DataFrame, or ``x1``, ``x2``, ... (a column of ones not counted).
        trials : (row,) array, optional
            Of a binomial response.
        offset : (row,) array, optional
            Added to the linear predictor.

        Returns
        -------
        GLMM

        Raises
        ------
        ModelError
            Shapes that do not fit, names that occur twice, a factor of `Z` that is not in `groups`.
        DataError
            Missing or infinite values.

        Notes
        -----
        To the model every column is a variable of its own: under two columns x and x² a slope in x leaves x² where it
        is. Write such a model as a formula.

        Examples
        --------
        >>> import numpy as np
        >>> x = np.array([0.0, 1, 2, 3, 4, 5])
        >>> X = np.column_stack([np.ones(6), x])
        >>> model = GLMM.from_arrays(x**2, X, groups={"id": [1, 1, 1, 2, 2, 2]}, Z={"id": X})
        >>> model.design.formula
        'y ~ 1 + x1 + (1 + x1 | id)'
        """
        formula, frame = formula_of_arrays(y, X, groups, Z, names=names, trials=trials, offset=offset)
        return cls(formula, frame, family, link, priors, missing=missing)

    @property
    def first(self) -> Any:
        """The linear predictor of the mean, or of the second category."""
        return next(iter(self.predictors.values()))

    @property
    def design(self) -> Design:
        """Formula and data of the outcome, frozen."""
        return self.first.design

    @property
    def link(self) -> Link:
        """Between the mean and its linear predictor."""
        return self.first.link

    @cached_property
    def pymc(self) -> Any:
        """The PyMC model with its group effects, built when first asked for."""
        linear = list(self.predictors.values())
        return build_pymc(linear, self.family, self.priors, self.groups, Observed(self.outcome))

    @taught_as(FitError, WORDS)
    @explained(FIT)
    def pymc_for(self, group_effects: str = "auto", parametrisation: str = "auto") -> Any:
        """Which PyMC model does `fit` sample from?

        Returns
        -------
        pymc.Model
            One with the posterior of ``model.pymc``. Either its group effects are integrated out of the likelihood,
            or they are sampled in other coordinates, and rows alike are one row.

        Raises
        ------
        FitError
            An unknown word; ``"integrated"`` where they cannot be integrated out; a parametrisation that is not
            possible, or of group effects that are not sampled.

        Examples
        --------
        >>> import bayesmargins as bm
        >>> model = GLMM("Reaction ~ Days + (1 + Days | Subject)", bm.load_dataset("sleepstudy"))
        >>> [v.name for v in model.pymc_for("integrated").free_RVs]
        ['directions', 'Intercept_centred', 'partial_Subject', 'sd_centred_Subject', 'sigma']
        """
        plan = self.treatment(group_effects)
        return self._model(plan, self._coordinates(plan, parametrisation), "").pymc

    def treatment(self, group_effects: str = "auto", sampler: str = "") -> Treatment:
        """What `fit` does with the group effects, and why."""
        return treatment(group_effects, self.design, self.family, self.link, self._obstacle, sampler)

    @cached_property
    def _obstacle(self) -> str:
        """Of the integral: where factors are crossed it is found by counting, a second for a million rows."""
        others = {name: p.design for name, p in list(self.predictors.items())[1:]}
        return obstacle_to_integral(self.design, self.family, self.link, others)

    @cached_property
    def likelihood(self) -> Likelihood:
        """The rows with their group effects integrated out."""
        ordered, fixed = largest_first(self.groups), self.first.fixed
        return likelihood_without_b(self.design, self.family, self.link, fixed, ordered, self.outcome)

    @cached_property
    def _integrated(self) -> IntegratedModel:
        """The model of `fit` where the group effects are integrated out."""
        fixed = with_known_bends(self.first, self.family, self.outcome, self.priors)
        parts = (self.priors, fixed, self.groups, self.outcome, self.likelihood)
        return integrated_model(self.design, self.family, self.link, *parts)

    @cached_property
    def _sampled(self) -> dict[tuple[str, bool], SampledModel]:
        """Models of `fit` that hold b, by parametrisation and kind of likelihood: compiled once for all fits."""
        return {}

    def _coordinates(self, plan: Treatment, asked: str, sampler: str = "", whose: str = "") -> Parametrisation:
        """How the sampler sees b, where it sees it."""
        coordinates = parametrised(asked, self.design.formula, self.groups)
        if plan.how == INTEGRATED and asked != "auto":
            other = ", sampler='nutpie'" if is_word(sampler, (INDEPENDENT,)) else ""
            raise FitError(
                f"parametrisation={asked!r} is about group effects that are sampled, and those of "
                f"{self.design.formula!r} are integrated out. Leave it out, or add group_effects='sampled'{other}."
                f"{whose if other else ''}"
            )
        return coordinates

    def _model(self, plan: Treatment, coordinates: Parametrisation, sampler: str) -> IntegratedModel | SampledModel:
        """What `fit` samples from."""
        if plan.how == INTEGRATED:
            return self._integrated
        kind = coordinates.how, runs_compiled(sampler)
        if kind not in self._sampled:
            linear = list(self.predictors.values())
            parts = (self.family, self.priors, self.groups, self.outcome, coordinates, kind[1])
            self._sampled[kind] = sampled_model(linear, *parts)
        return self._sampled[kind]

    @explained(FIT)
    def fit(
        self,
        draws: int = 1000,
        tune: int = 1000,
        chains: int = 4,
        random_seed: int | None = None,
        sampler: str | None = None,
        progressbar: bool = True,
        group_effects: str = "auto",
        ess: int | None = 400,
        max_draws: int | None = None,
        parametrisation: str = "auto",
        client: Any = None,
        **options: Any,
    ) -> Posterior:
        """What are the parameters, given the data?

        Parameters
        ----------
        chains : int
            Chains; 4 by default.
        sampler : {"nutpie", "pymc", "numpyro", "independent"}, optional
            Which NUTS runs; numpyro is an extra. ``"independent"`` draws without NUTS and compiles nothing of PyMC,
            where group effects are integrated out; `tune` is for the NUTS that runs where its own checks fail.
            ``bayesmargins.options.sampler`` by default, which is nutpie.
        progressbar : bool
            Shown while sampling, which is the default.
        ess : int, optional
            Effective draws that every parameter shall have, 400 by default, in the bulk and in the tails, all chains
            together. Where `draws` do not give as many, or r-hat exceeds 1.01, the same chains, with the same tuning,
            are run on: to as many times `draws` as that takes. How far depends on the seed alone. None takes `draws`.
            One chain has no r-hat and is not judged.
        max_draws : int, optional
            The most draws a chain; five times `draws` by default, or as many as ``bayesmargins.options.memory`` holds.
        client : distributed.Client, optional
            Samples on the workers of this client: every chain of NUTS is a task with a seed of its own from
            `random_seed`, so that draws do not depend on the workers, but differ from those of chains that start
            together here. A chain whose worker dies runs again; those that are done do not.
            ``sampler="independent"`` is one task, with the draws that it has here.
        **options
            Handed to the sampler (``target_accept=0.95``).
        draws : int
            Kept draws a chain, at least; 1,000 by default.
        tune : int
            Draws a chain that tune the sampler and are discarded; 1,000 by default.

        Returns
        -------
        Posterior
            beta, b, Sigma and the family's parameters, with ``post.idata`` for ArviZ.

        Raises
        ------
        FitError
            An unknown sampler, one that is not installed, impossible counts, such as ``max_draws`` below ``draws``;
            ``group_effects="integrated"`` where they cannot be integrated out; a parametrisation that is not possible.

        Warns
        -----
        BayesmarginsWarning
            Once, when draws diverged, r-hat exceeds 1.01 or the effective sample size stays below `ess`.

        Examples
        --------
        >>> post = model.fit(random_seed=1)  # doctest: +SKIP
        """
        with plain_arguments("fit", FitError):
            whose = OF_SESSION if sampler is None else ""
            sampler = session.sampler if sampler is None else sampler
            enough, independent = goal(ess, draws, max_draws), is_word(sampler, (INDEPENDENT,))
            plan = self.treatment(group_effects, sampler)
            coordinates = self._coordinates(plan, parametrisation, sampler, whose)
            checked_client(client, FitError)
        of_nuts = {"group_effects": group_effects, "parametrisation": parametrisation}
        counts = {"draws": draws, "tune": tune, "chains": chains, "ess": ess, "max_draws": max_draws}
        if independent and client is not None:
            said = {"random_seed": random_seed, "sampler": sampler, **counts, **of_nuts, **options}
            return fit_on(client, self, said)
        if independent:
            counted = enough, tune, chains, random_seed, progressbar
            post = independent_fit(self, plan, *counted, of_nuts, whose, **options)
        else:
            model, faster = self._model(plan, coordinates, sampler), ""
            if plan.how == INTEGRATED and not self.design.structured:
                faster = FASTER
            run = None if client is None else sampled_on(client, self, plan.how, parametrisation)
            fit = Fit(self, model, plan.info, faster, run)
            post = fit.posterior(sampler, enough, tune, chains, random_seed, progressbar, **options)
        return with_call(post, {**counts, "sampler": sampler, **of_nuts, **options})

    @taught_as(FitError, WORDS)
    @explained(FIT)
    def prior(self, draws: int = 1000, random_seed: int | None = None) -> Posterior:
        """What does the model say before any data: which effects do its priors allow?

        Parameters
        ----------
        draws : int
            Draws, in one chain: they are independent.

        Returns
        -------
        Posterior
            Draws of the prior in the same form: predictions, comparisons, slopes, summaries and plots take it, and say
            that it is a prior. ``posterior_predictive`` of it are prior predictive draws.

        Raises
        ------
        FitError
            `draws` is no whole number from 1.

        Examples
        --------
        >>> import bayesmargins as bm
        >>> model = GLMM("yb ~ trt + (1 | ID)", bm.load_dataset("bacteria"), family="bernoulli")
        >>> prior = model.prior(draws=200, random_seed=1)
        >>> bm.avg_predictions(prior, by="trt")["estimate"].shape
        (1, 200, 3)
        """
        trace = draw_prior(self.pymc, kept_names(self), draws, random_seed)
        info = {"source": "bayesmargins, prior", "draws": "prior"}
        return posterior_of(self, trace, None, info, remembered=False)

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs: PyMC models are built again there, family and link go by name."""
        made = {name for name in vars(self) if isinstance(getattr(type(self), name, None), cached_property)}
        state = {name: value for name, value in vars(self).items() if name not in made}
        return state | {"family": self.family}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, family=get_family(state["family"]))

    def __str__(self) -> str:
        return "\n".join(model_lines(self))

    __repr__ = __str__

    def prior_lines(self) -> list[str]:
        """Reference levels, and the priors with what they imply, as they are printed: lines, indented."""
        return prior_lines(list(self.predictors.values()), self.family, self.priors, self.groups)

    def _repr_html_(self) -> str:
        return as_html(str(self))
