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
post : Posterior
    Draws with their design: what ``model.fit()``, `load` or `from_draws` and its like gave.
newdata : DataFrame, path, or what gives frames, optional
    Rows to predict for; the fitted rows by default. Group columns are needed for ``groups="own"`` only. Averages take
    rows that do not fit in memory too: a parquet file or a folder of them, a pyarrow Dataset, Table or
    RecordBatchReader, a polars LazyFrame, an iterator or a list of frames.
at : dict, optional
    Variables set on every row, each to one value or several, ``{"week": [0, 6]}``: the result gains a dimension a
    variable. Words stand for values: ``"all"`` levels of a factor; of numbers in the data of the fit ``"sd"`` and
    ``"2sd"`` (around the mean), ``"iqr"``, ``"minmax"``, ``"quartiles"``, ``"mean"``, ``"median"``. A function of the
    rows gives a column that is computed again on every copy: ``{"x_within": lambda rows: rows["x"] - rows["x_mean"]}``.
by : str, list of str, or dict, optional
    Average the rows within each value of these columns. A dict gives values new labels, which may join them:
    ``{"trt": {"placebo": "none", "drug": "any", "drug+": "any"}}``, or a function of one value.
groups : str or dict
    What is done with the group effects b: ``"new"``, the default (integrated out over N(0, Sigma)), ``"existing"``
    (averaged over the fitted groups), ``"own"`` (each row's group), ``"zero"`` (b = 0), ``"sample"`` (one new group
    drawn per label and draw), or a dict with one a factor, where a list of levels asks for those groups:
    ``{"id": ["a", "b"], "site": "new"}``.
group_weights : {"equal", "rows"}
    How ``groups="existing"`` weighs the fitted groups: each the same, the default, or by its rows.
target : str or Target, optional
    ``"mean"``, the default: E[y] on the response scale (for binomial the probability). ``"category"``, the default
    of an ordered response: the probability of each category, along the dimension ``category``. ``"link"``: the
    linear predictor. ``"count"``: probability times trials. A parameter of the family (``"sigma"``; where it has a
    linear predictor of its own, averaged over groups as E[y] is). `exceeds`: P(y > c); `quantile`; `sd`; their
    error is estimated (attribute ``error_estimate``). Of an ordered response `category` and `score` too; of a
    waiting time `survival`, `rmst`, `hazard`. ``"observed_mean"`` under ``trunc()``: E[y] between the bounds.
wts : str, Series or array, optional
    Weights of rows in averages, all the same by default: the name of a column; a Series, matched to the rows by its
    index (that of newdata, or of the data of the fit), whatever its order; an array or list, one number a row in their
    order.
random_seed : int, optional
    Of what ``groups="sample"`` draws: the same seed, the same draws. Another one each time by default.
"""

SIDES = """
variables : str, list of str, or dict
    What changes. A factor: every level against the first (or ``{"trt": "pairwise"}``, ``"sequential"``, each with
    "rev" in front the other way; ``"all"``; a pair of levels ``(low, high)``). True/False and 0/1: 1 against 0. Another
    number: its value + 1 against its value (or a step, a pair ``(low, high)``, ``{"week": 6}``, ``{"week": (0, 6)}``;
    ``"sd"`` and ``"2sd"`` around the mean, ``"iqr"``, ``"minmax"``, all of the data of the fit).
    Where a spline has no values beyond those of the fit, ``bs(x, df=4)``, rows near the edge take the last step
    within them, and the label says so.
comparison : {"difference", "ratio", "lift", "lnratio", "lnor", "or", "nnt", "nnt_benefit", "nnt_harm"} or callable
    How the two sides are compared, after each has been integrated over groups (and averaged over rows);
    ``"difference"`` by default. A function is given the draws of both, ``(high, low)``, arrays of the same shape, and
    gives one. The three of ``"nnt"`` are of probabilities, and say whether one more event (y = 1) is a benefit, a harm,
    or neither: ``estimate`` holds the draws of the difference, which `summary` and `table` tell as numbers needed to
    treat.
cross : bool
    Change all variables together instead of one at a time, which is the default: ``(drug, 6) - (placebo, 0)``. How one
    variable's effect changes with another is a difference of differences: `hypotheses` of comparisons ``at=`` its
    values.
"""

SLOPE = """
variables : str or list of str, optional
    Numeric variables of the model. By default every column that the formula names, without those that only name
    groups: a factor, which has no slope, gives the differences of its levels from the first.
slope : {"dydx", "eyex", "eydx", "dyex"}
    dy/dx, the default, in units of the response per unit of the variable; the elasticity dy/dx x/y; dy/dx 1/y; or
    dy/dx x. Each row's own y and x count: an average is one of the rows' elasticities.
second : str, optional
    Variable with which the slope changes. A number gives the second derivative d2y/(dx dz), or d2y/dx2 where it is
    the variable itself; a factor gives the slope at each level minus that at the first.
"""

# Of `attenuation` and of its picture.
ATTENUATION = """
variables : str, list of str, or dict, optional
    ...
    With ``estimand="slopes"`` numbers, by their names; with ``estimand="predictions"`` left out.
estimand : {"comparisons", "slopes", "predictions"}
    Which average: `avg_comparisons`, the default, `avg_slopes` or `avg_predictions`.
group_weights : {"equal", "rows"}
    How the entry ``existing`` counts the fitted groups: each the same, the default, or by its rows.
comparison : str or callable
    Of comparisons, how their two sides are compared: ``"difference"``, the default, ``"ratio"``, ``"lift"``,
    ``"lnratio"``, ``"lnor"``, ``"or"``, or a function of the draws ``(high, low)``.
cross : bool
    Of comparisons: change all variables together instead of one at a time, which is the default.
slope : {"dydx", "eyex", "eydx", "dyex"}
    Of slopes: dy/dx, the default, the elasticity dy/dx x/y, dy/dx 1/y, or dy/dx x.
"""

# Of `heterogeneity` and of its picture.
HETEROGENEITY = """
variables : str, list of str, or dict
    ...
    With ``estimand="slopes"`` numbers, by their names.
over : str, optional
    The grouping factor whose new groups differ; may be left out where there is one only.
estimand : {"comparisons", "slopes"}
    The effect within a group: two predictions compared, the default, or a slope.
by : str, list of str, or dict, optional
    ...
    Within each group all rows are averaged without it. With it, or with a single row as `newdata`, single profiles are
    asked about.
groups : str or dict
    What is done with the b of the *other* factors within each group: ``"new"``, the default (integrated out over
    N(0, Sigma)), ``"existing"``, ``"own"``, ``"zero"``, ``"sample"``, or a dict that names each of them.
group_weights : {"equal", "rows"}
    How ``"existing"`` weighs the fitted groups of other factors: each the same, the default, or by its rows.
comparison : str or callable
    How the two sides are compared within a group: ``"difference"``, the default, ``"ratio"``, ``"lift"``,
    ``"lnratio"``, ``"lnor"``, ``"or"``, or a function of the draws ``(high, low)``.
cross : bool
    Change all variables together instead of one at a time, which is the default.
slope : {"dydx"}
    With ``estimand="slopes"``: dy/dx, in units of the response per unit of the variable.
quantiles : sequence of float
    Of the effect over groups, between 0 and 1.
null : float, optional
    Groups with an effect above it are counted; 0 by default, 1 for ``"ratio"`` and ``"or"``.
random_seed : int, optional
    Of the points at which effects are evaluated, and of ``"sample"`` for other factors. Another one each time by
    default.
"""

REPORT = """
point : {"median", "mean", "mode"}
    Point estimate over draws, the median by default. The mode is ArviZ's half-sample mode (of whole numbers the most
    frequent one); it is the noisiest of the three, by about a sixth of the posterior's standard deviation in 4,000
    draws.
ci_prob : float or list of float, optional
    Probability of the interval, or of several intervals; ArviZ's setting (0.89) by default.
ci_kind : {"eti", "hdi"}, optional
    Equal-tailed or highest-density; ArviZ's setting (eti) by default.
null : float, optional
    Adds ``p_gt_<null>``, the posterior probability of a larger value, and ``pd``, that of the more probable side;
    NaN in entries that have another null (a ratio beside differences) or none (shares, spreads).
rope : (float, float), optional
    Region of practical equivalence. Adds ``p_rope``, the posterior probability of a value between the two (limits
    included); ``p_rope_hdi95``, its share of the draws within the highest-density interval; and ``decision``:
    ``equivalent`` where that interval lies wholly in the region, ``different`` where wholly outside, else
    ``undecided``. The interval is that of the largest `ci_prob` given, or else of 0.95.
diagnostics : bool
    Adds ``sd``, the standard deviation of the draws, and what tells whether there are enough of them:
    ``ess_bulk``, ``ess_tail``, ``r_hat`` and ``mcse`` of the point estimate (none of a mode; none of the four for
    the draws of `from_statsmodels`, which no sampler made).
digits : int, optional
    Decimals of all point estimates and limits. By default a column has what its narrowest interval needs to show
    two significant digits of its width, and up to two decimals more where a limit that is not 0 would read as 0;
    but at most two decimals more than its widest interval needs. Rows that need still more keep their own. Rows on
    another scale (a ratio beside differences) have their own number. Numbers needed to treat are whole from 10 on,
    and have one decimal below.
"""

PICTURE = """
point : {"median", "mean", "mode"}
    Point estimate over draws, the median by default.
ci_prob : float or list of float, optional
    Probability of the interval; several draw several, the narrower the darker or thicker. ArviZ's setting (0.89) by
    default.
ci_kind : {"eti", "hdi"}, optional
    Equal-tailed or highest-density; ArviZ's setting (eti) by default.
x : str or dict, optional
    Along the axis. Of a posterior a variable, or ``{"age": [20, 40, 60]}``; a number gets up to 50 values over its
    range. Of a result a dimension or coordinate: by default the number with the most values.
by : str or dict, optional
    A variable with a curve for each value, or ``{"age": [20, 40, 60]}``; a number takes its quartiles.
facet : str or pair of str, optional
    One panel a value: beside each other, and for a second column below each other.
highlight : object, optional
    The value of the curve that stands out: all others are thin and grey, as more than eight curves always are.
null : float, optional
    Where the reference line stands; 0 for differences, slopes and logarithms, 1 for ratios by default.
sort : bool or "descending"
    By the points, the smallest on top or the largest; of a dict by those of its first result. Rows stay beneath
    their headings.
headings : str or False, optional
    The column whose values stand above blocks of rows, so that no row repeats them. By default, of two or more
    columns, ``contrast`` or the one with the fewest values; False writes every label in full.
labels : dict of str, optional
    Words for columns, ``{"trt": "treatment"}``, in place of those of `label`.
ax : matplotlib Axes, optional
    Drawn on, in place of a new one.
figsize : (float, float), optional
    Inches; a column of a journal is 3.35 wide, a page 6.7.
"""

FAMILY = """
family : str or Family
    Distribution of the response: ``"gaussian"``, ``"bernoulli"``, ``"binomial"``, ``"poisson"``, ``"negbinomial"``
    or another. The page on families lists all, and so does the message about one that is not known. Or one of your
    own.
link : str, optional
    One that the family takes, such as ``"logit"`` or ``"log"``; its usual one by default.
priors : dict, optional
    In place of the defaults: PyMC distributions made outside a model (``pm.Normal.dist(0, 1)``) by parameter:
    ``Intercept`` (the mean of the linear predictor over the rows), ``beta`` (all other coefficients), a single
    coefficient by name, ``sd`` or ``sd_<factor>``, ``cor`` or ``cor_<factor>`` (a number: eta of the LKJ),
    the family's own, such as ``sigma`` (a number holds it there). The defaults do not depend on how the columns are
    coded; a prior of yours is of the column as you wrote it.
missing : {"error", "drop"}
    What to do with rows where a column of the formula is missing: refuse them, the default, or leave them out.
namespace : dict, optional
    Own functions that the formula calls, ``{"half": lambda x: x / 2}``.
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

_OF_POSTERIOR = "    Of a posterior only: a result has been asked already."
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
