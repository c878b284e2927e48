"""Texts of arguments that several functions take, and how they come into the docstring of each."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

__all__ = [
    "ATTENUATION",
    "FAMILY",
    "FIT",
    "HETEROGENEITY",
    "PICTURE",
    "QUESTION",
    "REPORT",
    "SIDES",
    "SLOPE",
    "explained",
]

T = TypeVar("T", bound=Callable[..., Any])

QUESTION = """
post : Posterior or Imputed
    Draws with their design: what ``model.fit()``, `load`, or `from_draws` and its like returned. Draws of several
    imputations (`fit_imputations`, `from_imputations`) are pooled.
newdata : DataFrame, path, or what gives frames, optional
    The rows to predict for, by default those of the fit. They need columns of groups for ``groups="own"`` only.
    Averages take rows that do not fit in memory too: a parquet file, a folder or a list of them, a pyarrow Dataset,
    Table or RecordBatchReader, a polars LazyFrame, an iterator or a list of frames.
at : dict, optional
    Variables that are set on every row, each to one value or to several: ``{"week": [0, 6]}``. The result gets a
    dimension for each variable. A word may stand for the values: for a factor ``"all"`` levels; for a number ``"sd"``
    and ``"2sd"`` (around the mean), ``"iqr"``, ``"minmax"``, ``"quartiles"``, ``"mean"`` or ``"median"`` of the data
    of the fit. A function of the rows computes a column anew on every copy:
    ``{"x_within": lambda rows: rows["x"] - rows["x_mean"]}``.
by : str, list of str, or dict, optional
    Rows are averaged within each value of these columns. A dict gives the values new labels, and joins values that get
    the same one: ``{"trt": {"placebo": "none", "drug": "any", "drug+": "any"}}``. In place of the inner dict you may
    give a function of one value.
groups : str or dict
    What is done with the group effects b. ``"new"``, the default, integrates them out over N(0, Sigma). ``"existing"``
    averages over the fitted groups. ``"own"`` takes the group of each row. ``"zero"`` sets b = 0. ``"sample"`` draws
    one new group for each label and draw. A dict says it for each factor, and a list of levels asks for those groups:
    ``{"id": ["a", "b"], "site": "new"}``.
group_weights : {"equal", "rows"}
    How ``groups="existing"`` counts the fitted groups: each once, which is the default, or each by its rows.
target : str or Target, optional
    What is predicted. ``"mean"``, the default, is E[y] on the response scale (for binomial the probability).
    ``"category"``, the default of an ordered response, is the probability of each category, along the dimension
    ``category``. ``"link"`` is the linear predictor, ``"count"`` the probability times the trials. The name of a
    parameter of the family, such as ``"sigma"``, is that parameter; if it has a linear predictor of its own, it is
    averaged over groups as E[y] is. `exceeds` is P(y > c); `quantile` and `sd` describe the distribution of y. The
    error of these three is estimated (attribute ``error_estimate``). Ordered responses also have `category` and
    `score`, waiting times `survival`, `rmst` and `hazard`. ``"observed_mean"`` is E[y] between the bounds of
    ``trunc()``.
wts : str, Series or array, optional
    Weights of the rows in averages; by default all rows count the same. A text names a column. A Series is matched to
    the rows by its index (that of newdata, or of the data of the fit), whatever its order. An array or list has one
    number for each row, in their order.
random_seed : int, optional
    Seed of what ``groups="sample"`` draws: the same seed gives the same draws. Without one they differ each time.
"""

SIDES = """
variables : str, list of str, or dict
    What changes, and between which values. For a factor you get every level against the first, or what you name:
    ``{"trt": "pairwise"}``, ``"sequential"`` (each with "rev" in front the other way), ``"all"``, or a pair of levels
    ``(low, high)``. For True/False and 0/1 you get 1 against 0. For another number you get its value + 1 against its
    value, or what you name: a step, ``{"week": 6}``, a pair ``(low, high)``, ``{"week": (0, 6)}``, or ``"sd"`` and
    ``"2sd"`` around the mean, ``"iqr"`` and ``"minmax"``, all of the data of the fit.
    A spline such as ``bs(x, df=4)`` has no values beyond those of the fit: rows near the edge take the last step
    within them, and the label says so.
comparison : {"difference", "ratio", "lift", "lnratio", "lnor", "or", "nnt", "nnt_benefit", "nnt_harm"} or callable
    How the two sides are compared, after each has been integrated over groups (and averaged over rows);
    ``"difference"`` by default. A function gets the draws of both, ``(high, low)``, as arrays of the same shape, and
    returns one. The three of ``"nnt"`` are for probabilities, and say whether one more event (y = 1) is a benefit, a
    harm, or neither. ``estimate`` then holds the draws of the difference, and `summary` and `table` tell it as a number
    needed to treat.
cross : bool
    True changes all variables together: ``(drug, 6) - (placebo, 0)``. False, the default, changes one at a time. How
    the effect of one variable changes with another is a difference of differences: ask `hypotheses` of comparisons
    ``at=`` its values.
"""

SLOPE = """
variables : str or list of str, optional
    Numeric variables of the model. By default every column that the formula names, except those that only name groups.
    A factor has no slope: you get the differences of its levels from the first.
slope : {"dydx", "eyex", "eydx", "dyex"}
    ``"dydx"``, the default, is dy/dx, in units of the response per unit of the variable. ``"eyex"`` is the elasticity
    dy/dx x/y, ``"eydx"`` is dy/dx 1/y, and ``"dyex"`` is dy/dx x. Each row counts with its own y and x: an average is
    that of the rows' elasticities.
second : str, optional
    The variable with which the slope changes. For a number you get the second derivative d2y/(dx dz), or d2y/dx2 if it
    is the variable itself. For a factor you get the slope at each level minus that at the first.
"""

# Of `attenuation` and of its picture.
ATTENUATION = """
variables : str, list of str, or dict, optional
    ...
    With ``estimand="slopes"`` name numbers only; with ``estimand="predictions"`` leave it out.
estimand : {"comparisons", "slopes", "predictions"}
    Which average: `avg_comparisons`, the default, `avg_slopes` or `avg_predictions`.
group_weights : {"equal", "rows"}
    How the entry ``existing`` counts the fitted groups: each once, which is the default, or each by its rows.
comparison : str or callable
    For comparisons: how their two sides are compared, ``"difference"``, the default, ``"ratio"``, ``"lift"``,
    ``"lnratio"``, ``"lnor"``, ``"or"``, or a function of the draws ``(high, low)``.
cross : bool
    For comparisons: True changes all variables together; False, the default, changes one at a time.
slope : {"dydx", "eyex", "eydx", "dyex"}
    For slopes: dy/dx, the default, the elasticity dy/dx x/y, dy/dx 1/y, or dy/dx x.
"""

# Of `heterogeneity` and of its picture.
HETEROGENEITY = """
variables : str, list of str, or dict
    ...
    With ``estimand="slopes"`` name numbers only.
over : str, optional
    The grouping factor whose new groups differ. You may leave it out if there is only one.
estimand : {"comparisons", "slopes"}
    The effect within a group: two predictions compared, the default, or a slope.
by : str, list of str, or dict, optional
    ...
    Without it, all rows are averaged within each group. With it, or with a single row as `newdata`, you ask about
    single profiles.
groups : str or dict
    What is done with the b of the *other* factors within each group: ``"new"``, the default, integrates them out over
    N(0, Sigma); ``"existing"``, ``"own"``, ``"zero"`` and ``"sample"`` are those of `predictions`. A dict names each
    of them.
group_weights : {"equal", "rows"}
    How ``"existing"`` counts the fitted groups of other factors: each once, which is the default, or each by its rows.
comparison : str or callable
    How the two sides are compared within a group: ``"difference"``, the default, ``"ratio"``, ``"lift"``,
    ``"lnratio"``, ``"lnor"``, ``"or"``, or a function of the draws ``(high, low)``.
cross : bool
    True changes all variables together; False, the default, changes one at a time.
slope : {"dydx"}
    With ``estimand="slopes"``: dy/dx, in units of the response per unit of the variable.
quantiles : sequence of float
    Which quantiles of the effect over groups you get, each between 0 and 1.
null : float, optional
    You get the share of groups whose effect is above it: by default 0, for ``"ratio"`` and ``"or"`` 1.
random_seed : int, optional
    Seed of the points at which effects are evaluated, and of ``"sample"`` for other factors. Without one they differ
    each time.
"""

REPORT = """
point : {"median", "mean", "mode"}
    Point estimate over draws, the median by default. The mode is ArviZ's half-sample mode (of whole numbers the most
    frequent one). It is the noisiest of the three: in 4,000 draws it moves by about a sixth of the posterior's
    standard deviation.
ci_prob : float or list of float, optional
    Probability of the interval, or of several intervals. By default ``options.ci_prob``, or else ArviZ's setting
    (0.89).
ci_kind : {"eti", "hdi"}, optional
    Equal-tailed or highest-density. By default ``options.ci_kind``, or else ArviZ's setting (eti).
null : float, optional
    Adds ``p_gt_<null>``, the posterior probability of a larger value, and ``pd``, that of the more probable side.
    Entries that have another null (a ratio beside differences) or none (shares, spreads) get NaN.
rope : (float, float), optional
    Region of practical equivalence. Adds ``p_rope``, the posterior probability of a value between the two (limits
    included); ``p_rope_hdi95``, its share of the draws within the highest-density interval; and ``decision``. That is
    ``equivalent`` if the interval lies wholly in the region, ``different`` if it lies wholly outside, and else
    ``undecided``. The interval is that of the largest `ci_prob` given, or else of 0.95.
diagnostics : bool
    Adds ``sd``, the standard deviation of the draws, and what tells whether there are enough of them:
    ``ess_bulk``, ``ess_tail``, ``r_hat`` and ``mcse`` of the point estimate. A mode has no ``mcse``, and draws of
    `from_statsmodels`, which no sampler made, have none of the four.
digits : int, optional
    Decimals of all point estimates and limits. By default a column has what its narrowest interval needs to show
    two significant digits of its width. It gets up to two more if a limit that is not 0 would read as 0, but at most
    two more than its widest interval needs. Rows that need still more keep their own. Rows on another scale (a ratio
    beside differences) have their own number. Numbers needed to treat are whole from 10 on, and have one decimal
    below.
"""

PICTURE = """
point : {"median", "mean", "mode"}
    Point estimate over draws, the median by default.
ci_prob : float or list of float, optional
    Probability of the interval; of several the narrower are darker or thicker. By default ``options.ci_prob``, or else
    ArviZ's setting (0.89).
ci_kind : {"eti", "hdi"}, optional
    Equal-tailed or highest-density. By default ``options.ci_kind``, or else ArviZ's setting (eti).
x : str or dict, optional
    What runs along the axis. For a posterior: a variable, or a dict with its values, ``{"age": [20, 40, 60]}``; a
    number gets up to 50 values over its range. For a result: a dimension or coordinate, by default the number with the
    most values.
by : str or dict, optional
    The variable that has a curve for each value. A dict names the values, ``{"age": [20, 40, 60]}``; a number takes its
    quartiles.
facet : str or pair of str, optional
    The variable that has a panel for each value, beside each other. The panels of a second one stand below each other.
highlight : object, optional
    The value whose curve stands out. All others are thin and grey, as more than eight curves always are.
null : float, optional
    Where the reference line stands. By default at 0 for differences, slopes and logarithms, and at 1 for ratios.
sort : bool or "descending"
    Sorts rows by their points: True puts the smallest on top, "descending" the largest. Of a dict the points of its
    first result count. Rows stay beneath their headings.
headings : str or False, optional
    The column whose values stand above blocks of rows, so that no row repeats them. By default, of two or more
    columns, ``contrast`` or the one with the fewest values. False writes every label in full.
labels : dict of str, optional
    What readers see in place of columns, ``{"trt": "treatment"}``; it goes before the names that `label` gave.
ax : matplotlib Axes, optional
    What to draw on, in place of a new figure. A title that you set later has its place above the legend.
figsize : (float, float), optional
    Width and height in inches. A column of a journal is 3.35 wide, a page 6.7.
"""

FAMILY = """
family : str or Family
    Distribution of the response: ``"gaussian"``, ``"bernoulli"``, ``"binomial"``, ``"poisson"``, ``"negbinomial"``
    or another. The page on families lists all, and so does the message about one that is not known. You may also give
    one of your own.
link : str, optional
    A link that the family takes, such as ``"logit"`` or ``"log"``; by default its usual one.
priors : dict, optional
    Priors in place of the defaults, by parameter: PyMC distributions made outside a model, ``pm.Normal.dist(0, 1)``.
    ``Intercept`` is the mean of the linear predictor over the rows, ``beta`` is all other coefficients, and a single
    coefficient goes by its name. ``sd`` or ``sd_<factor>`` are the standard deviations of group effects. ``cor`` or
    ``cor_<factor>`` take a number, the eta of the LKJ. The family's own parameters, such as ``sigma``, take a
    distribution, or a number that holds them there. The defaults do not depend on how the columns are coded; a prior of
    yours is for the column as you wrote it.
missing : {"error", "drop"}
    What to do with rows where a column of the formula is missing: refuse them, the default, or leave them out.
namespace : dict, optional
    Functions of your own that the formula calls, ``{"half": lambda x: x / 2}``.
"""

FIT = """
random_seed : int, optional
    The same seed gives the same draws. Another one each time by default.
group_effects : {"auto", "integrated", "sampled"}
    ``"integrated"``: the sampler sees a likelihood without group effects, which are drawn afterwards from
    their exact distribution given each draw. That takes a normal response with the identity link, or a
    lognormal one, where the effects of several factors do not cost too much; or one effect of one factor, where
    log p(y) has one peak in the linear predictor; or an intercept and a second effect of binary responses and
    successes under the logit link, and of Poisson, exponential and gamma ones under the log link.
    ``"sampled"``: the sampler draws them too. Both have the same posterior. ``"auto"`` integrates wherever it can
    and does not cost more: NUTS samples two effects of a response that is not normal.
    ``info["group_effects"]`` of the posterior says what was done, ``info["group_effects_why"]`` why.
parametrisation : {"auto", "standardised", "non-centred"}
    Where they are sampled: as distances from where a quick pilot fit expects each group's effects given beta
    and Sigma, or as standard normal effects times their standard deviation. Both have the same posterior.
    ``"auto"`` standardises factors of up to four terms.
"""

_OF_POSTERIOR = "    For a posterior only: a result holds its answer already."
_HEADING = re.compile(r"^[A-Z]\w+\n-{3,}$", re.MULTILINE)


def explained(*shared: str) -> Callable[[T], T]:
    """The docstring has a paragraph for each argument: its own, or that of the last shared text that has the name.

    A line ``...`` of a paragraph stands for that of an earlier text. In a picture, which takes results too, what
    belongs to a question is of a posterior only.
    """
    known: dict[str, list[str]] = {}
    for text in shared:
        known |= {name: _entry(entry, known.get(name, [])) for name, entry in _entries(text).items()}
    if PICTURE in shared:
        last = {name: text for text in shared for name in _entries(text)}
        known |= {name: [*known[name], _OF_POSTERIOR] for name, text in last.items() if text is not PICTURE}

    def decorate(thing: T) -> T:
        if thing.__doc__:  # python -OO has none
            arguments = list(inspect.signature(thing).parameters)
            thing.__doc__ = _assembled(inspect.cleandoc(thing.__doc__), arguments, known)
        return thing

    return decorate


def _assembled(doc: str, parameters: list[str], known: dict[str, list[str]]) -> str:
    head, own, tail = _parted(doc)
    entries = [_entry(own.pop(name, None), known.get(name, [])) for name in parameters]
    lines = [line for entry in (*entries, *own.values()) for line in entry]
    return "\n".join([head.rstrip(), "", "Parameters", "----------", *lines, "", tail]).rstrip()


def _entry(own: list[str] | None, shared: list[str]) -> list[str]:
    if own is None:
        return shared
    return [line for mine in own for line in (shared[1:] if mine.strip() == "..." else [mine])]


def _parted(doc: str) -> tuple[str, dict[str, list[str]], str]:
    """What stands before the arguments, their own paragraphs, and what stands behind."""
    first, *others = [m.start() for m in _HEADING.finditer(doc)] or [len(doc)]
    if not doc.startswith("Parameters\n", first):
        return doc[:first], {}, doc[first:]
    end = others[0] if others else len(doc)
    return doc[:first], dict(_entries(doc[first:end].split("\n", 2)[2])), doc[end:]


@cache
def _entries(text: str) -> dict[str, list[str]]:
    """Paragraphs by argument, in lines."""
    found: dict[str, list[str]] = {}
    entry: list[str] = []
    for line in text.strip("\n").split("\n"):
        if line and not line.startswith(" "):
            entry = found[line.partition(" :")[0].lstrip("*")] = []
        entry.append(line)
    return found
