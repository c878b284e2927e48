"""Keywords of other packages: an unknown one is answered with the word that is used here."""

from __future__ import annotations

import functools
import inspect
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from bayesmargins.errors import BayesmarginsError, EstimandError, close_matches, listed, shown, written

__all__ = [
    "Words",
    "ask_one",
    "lesson",
    "lesson_of",
    "of_each",
    "plain_arguments",
    "taught",
    "taught_as",
    "taught_by",
    "unknown_keywords",
]

P = ParamSpec("P")
R = TypeVar("R")
Lesson = Callable[[str, Any, Sequence[str]], str]  # keyword, value, what is allowed -> advice
Words = Mapping[str, Callable[[Any], str]]  # by keyword, in lower case with "_" for ".": the advice for its value

_LIBRARIES = tuple({sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")})

# Other packages' name -> the keyword here. Written in lower case with "_" for ".", as `_key` gives them.
_RENAMED = {
    "type": "target",
    "scale": "target",
    "kind": "target",
    "data": "newdata",
    "new_data": "newdata",
    "newdata": "newdata",
    "grid": "newdata",
    "average_by": "by",
    "weights": "wts",
    "weight": "wts",
    "conditional": "at",
    "condition": "at",
    "specs": "at",
    "terms": "at",
    "values": "at",
    "variable": "variables",
    "vars": "variables",
    "contrast": "variables",
    "contrasts": "variables",
    "focal": "variables",
    "wrt": "variables",
    "moderator": "second",
    "by_variable": "second",
    "conf_level": "ci_prob",
    "conf_int": "ci_prob",
    "level": "ci_prob",
    "ci": "ci_prob",
    "hdi_prob": "ci_prob",
    "prob": "ci_prob",
    "probs": "ci_prob",
    "alpha": "ci_prob",
    "interval": "ci_kind",
    "citype": "ci_kind",
    "ci_type": "ci_kind",
    "ci_method": "ci_kind",
    "estimate": "point",
    "point_estimate": "point",
    "centrality": "point",
    "robust": "point",
    "ref_val": "null",
    "rope_range": "rope",
    "decimals": "digits",
    "round": "digits",
    "round_to": "digits",
    "signif": "digits",
    "seed": "random_seed",
    "rng": "random_seed",
    "color": "colour",
    "hue": "colour",
    "group": "groups",
    "dim": "along",
    "dims": "along",
    "axis": "along",
    "equivalence": "rope",
}

# What a keyword of this package does, for a function that does not take it.
_WHERE = {
    "target": "The scale is part of the question: predictions(post, target='link'); 'mean' is the response scale.",
    "newdata": "Rows are part of the question: predictions(post, newdata).",
    "by": "Rows are averaged where the question is asked: avg_predictions(post, by='trt').",
    "wts": "Rows are weighed in averages: avg_predictions(post, wts='w').",
    "at": "Values are set where the question is asked: avg_predictions(post, at={'week': [0, 6]}).",
    "variables": "Values of a variable are set with at={'trt': ['placebo', 'drug']}; avg_comparisons(post, 'trt') and "
    "avg_slopes(post, 'week') compare them.",
    "groups": "What is done with b is part of the question: predictions(post, groups='new').",
    "group_weights": "It belongs to groups='existing': predictions(post, groups='existing', group_weights='rows').",
    "comparison": "Two sides are compared in avg_comparisons(post, 'trt', comparison='ratio').",
    "cross": "Several variables change together in avg_comparisons(post, ['trt', 'week'], cross=True).",
    "slope": "Derivatives are avg_slopes(post, 'week'), elasticities avg_slopes(post, 'week', slope='eyex').",
    "second": "How a slope changes with a variable is avg_slopes(post, 'week', second='trt').",
    "random_seed": "Only questions that draw something take a seed: predictions(post, groups='sample', random_seed=1).",
    "ci_prob": "The interval is made last of all: bm.summary(ds, ci_prob=0.95).",
    "ci_kind": "The interval is made last of all: bm.summary(ds, ci_kind='hdi').",
    "point": "Draws are summarised last of all: bm.summary(ds, point='mean').",
    "null": "Probabilities are reported last of all: bm.summary(ds, null=0).",
    "rope": "Probabilities are reported last of all: bm.summary(ds, rope=(-0.1, 0.1)).",
    "digits": "Digits are chosen where a table is made for readers: bm.table(ds, digits=2).",
    "diagnostics": "Draws are judged where they are summarised: bm.summary(ds, diagnostics=True).",
    "x": "Axes are named in plot_predictions(ds, x=..., colour=...).",
    "colour": "Axes are named in plot_predictions(ds, x=..., colour=...).",
    "along": "Entries of a result are compared in hypotheses(ds, 'pairwise', along='trt').",
    "spec": "Entries of a result are compared in hypotheses(ds, 'pairwise').",
    "ax": "Pictures are plot_predictions(ds, ax=...) and plot_forest(ds, ax=...).",
}

_AVERAGE = "Neither 'own' nor 'zero' is a population average: groups='new', the default, is."


def _random_effects(value: Any) -> str:
    """`re_formula`, `re.form`: NULL keeps every group effect, NA (or ~0) drops them all."""
    text = written(value).replace(" ", "").lower()
    if value is None or text in ("null", "true"):
        return f"Each row with its own group's b is groups='own' here. {_AVERAGE}"
    if text in ("na", "nan", "<na>", "~0", "~1", "0", "false"):
        return f"Leaving the group effects out, b = 0, is groups='zero' here. {_AVERAGE}"
    return (
        "To keep some group effects and not others, give a policy for every grouping factor: "
        f"groups={{'item': 'own', 'subject': 'zero'}}. {_AVERAGE}"
    )


def _new_levels(value: Any) -> str:
    return (
        "A group that the fit has not seen is groups='sample' (one new b per label, its own uncertainty included) or "
        "groups='new' (the average over new groups, the default); nothing else has to be allowed."
    )


def _integrated(value: Any) -> str:
    words = {"fixedonly": "'zero'", "includere": "'own'", "integrateoutre": "'new', the default"}
    word = words.get(written(value).lower())
    if word:
        return f"Here it is groups={word}."
    return "Group effects are integrated out by groups='new', the default; 'own' keeps each row's, 'zero' sets b = 0."


def _marginal(value: Any) -> str:
    return (
        "Averaged over new groups is groups='new', the default; averaged over rows is avg_predictions and its like; "
        "conditional on each row's own group is groups='own'."
    )


def _hypothesis(value: Any) -> str:
    return (
        "Entries of a result are compared within each draw by bm.hypotheses(ds, 'pairwise'), which also takes "
        "'b2 - b1', weights or a function; then bm.summary(d, null=0)."
    )


def _transform(value: Any) -> str:
    return "A result is an xarray.Dataset of draws: transform it with NumPy, np.exp(ds), then bm.summary."


def _draws(value: Any) -> str:
    return "Every draw is used: nothing is simulated. For fewer, thin the result: ds.isel(draw=slice(None, None, 10))."


def _exact(value: Any) -> str:
    return "Nothing to set: integrals are deterministic with a computed bound on their error, slopes are analytic."


def _uncertainty(value: Any) -> str:
    return "Uncertainty is that of the posterior draws, which the result holds; bm.summary(ds) reports it."


def _all_pairs(value: Any) -> str:
    return (
        "All pairs of a factor's levels are avg_comparisons(post, {'trt': 'pairwise'}); of a result's entries, "
        "hypotheses(ds, 'pairwise')."
    )


def _file(value: Any) -> str:
    name = shown(value) if isinstance(value, str) else "'x.png'"
    return (
        f"What is returned is saved: a picture by ax.figure.savefig({name}, dpi=300), a result by ds.to_netcdf('x.nc')."
    )


def _memory(value: Any) -> str:
    return "Blocks, threads and memory are chosen by the package; a result too large for memory is refused beforehand."


_LESSONS: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(
        ("re_formula", "re_form", "include_random", "include_group_specific", "random_effects"), _random_effects
    ),
    **dict.fromkeys(
        ("allow_new_levels", "sample_new_levels", "sample_new_groups", "new_levels", "allow_new_groups"), _new_levels
    ),
    **dict.fromkeys(("effects", "integrateout", "integrateoutre"), _integrated),
    **dict.fromkeys(("marginal", "marginalize", "marginalise", "population", "population_averaged"), _marginal),
    **dict.fromkeys(("hypothesis", "hypotheses"), _hypothesis),
    **dict.fromkeys(("transform", "transform_post", "transform_pre", "backtrans", "bias_adjust"), _transform),
    **dict.fromkeys(("ndraws", "draws", "nsamples", "num_samples", "nsim", "draw_ids"), _draws),
    **dict.fromkeys(("k", "eps", "h", "step", "nodes", "quadrature"), _exact),
    **dict.fromkeys(("vcov", "se", "se_fit", "std_error", "df"), _uncertainty),
    **dict.fromkeys(("pairwise", "pairs", "method"), _all_pairs),
    **dict.fromkeys(("path", "filename", "file", "fname", "save", "savefig"), _file),
    **dict.fromkeys(("numderiv", "cores", "chunks", "n_jobs", "parallel"), _memory),
}

# Values that have a word of their own here.
_VALUES = {
    ("target", "response"): "'mean'",
    ("target", "prob"): "'mean'",
    ("target", "probability"): "'mean'",
    ("target", "mean"): "'mean'",
    ("target", "expected"): "'mean'",
    ("target", "link"): "'link'",
    ("target", "linear"): "'link'",
    ("target", "linear_predictor"): "'link'",
    ("ci_kind", "quantile"): "'eti'",
    ("ci_kind", "eti"): "'eti'",
    ("ci_kind", "hdi"): "'hdi'",
    ("ci_kind", "hpd"): "'hdi'",
}


def _key(name: str) -> str:
    return name.replace(".", "_").lower()


def lesson(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Which word of this package another package's keyword stands for; near names where it is nobody's.

    The advice for `re_formula` depends on its value; `allowed` are the keywords of the function.

    >>> lesson("type", "response", ["newdata", "target"])
    "Here it is target='mean'."
    """
    key = _key(name)
    if key in _LESSONS:
        return _LESSONS[key](value)
    here = _RENAMED.get(key, key if key in _WHERE else "")
    if here in allowed:
        known = _VALUES.get((here, value.lower())) if isinstance(value, str) else None
        return f"Here it is {here}={known}." if known else f"Here it is called {here!r}."
    return _WHERE.get(here) or close_matches(name, allowed).strip()


def taught(function: Callable[P, R]) -> Callable[P, R]:
    """A question, with a fixed set of keywords, that answers one that it does not have.

    The error says what was asked, the word that is used here, and the keywords that there are. Signature, docstring and
    annotations stay those of the function.
    """
    return _answering(function, EstimandError, lesson)


def taught_by(teach: Lesson) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """As `taught`, by a lesson of the question's own."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        return _answering(function, EstimandError, teach)

    return decorate


def taught_as(error: type[BayesmarginsError], words: Words | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """As `taught`, for what makes models, fits and posteriors: with the error of its stage and words of its own."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        return _answering(function, error, lambda *asked: lesson_of(words or {}, *asked))

    return decorate


def of_each(question: Callable[P, R]) -> Callable[P, R]:
    """Marks a question whose `post` may be several posteriors, which know how each is asked (``ask_each``)."""
    question.__dict__["of_each"] = True
    return question


def ask_one(function: str, given: Any) -> str:
    """What to do where a function takes one posterior: several know how each is asked, and this asks about one."""
    if hasattr(type(given), "ask_each"):
        return f"of several imputations ask about one, bm.{function}(post.posteriors[0])"
    return f"bm.{function}(model.fit())"


def lesson_of(words: Words, name: str, value: Any, allowed: Sequence[str]) -> str:
    """What stands here for a keyword of other software, by these words, by a name that is allowed, or by a near one."""
    known = words.get(_key(name))
    if known is not None:
        return known(value)
    here = _RENAMED.get(_key(name))
    return f"Here it is called {here!r}." if here in allowed else close_matches(name, allowed).strip()


def unknown_keywords(function: str, unknown: Mapping[str, Any], allowed: Sequence[str], teach: Lesson) -> str:
    """The message about keywords that a function does not have."""
    asked = ", ".join(f"{name}={shown(value)}" for name, value in unknown.items())
    said = dict.fromkeys(teach(name, value, allowed) for name, value in unknown.items())
    hints = "".join(f" {text}" for text in said if text)
    return f"{function} does not take {asked}.{hints} It takes {', '.join(allowed) or 'none'}."


def _answering(function: Callable[P, R], error: type[BayesmarginsError], teach: Lesson) -> Callable[P, R]:
    """The function, whose unknown keywords and arguments that raise are answered with this error."""
    parameters = inspect.signature(function).parameters
    allowed = [p for p in parameters if p not in ("self", "cls")]
    made = function.__name__ == "__init__"
    name = function.__qualname__.rpartition(".")[0] if made else function.__name__
    each = "of_each" in function.__dict__

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        unknown = {k: v for k, v in kwargs.items() if k not in allowed}
        if unknown:
            raise error(unknown_keywords(name, unknown, allowed, teach))
        try:
            if each and hasattr(type(post := args[0] if args else kwargs.get("post")), "ask_each"):
                rest = {k: v for k, v in kwargs.items() if k != "post"}
                return post.ask_each(function, *args[1:], **rest)  # type: ignore[attr-defined,no-any-return]
            return function(*args, **kwargs)
        except Exception as failure:
            refusal = _too_many(name, args, parameters, error) or _of_argument(failure, name, error)
            if refusal is None:
                raise
            raise refusal from failure

    return checked


def _too_many(
    function: str, given: Sequence[Any], parameters: Mapping[str, inspect.Parameter], error: type[BayesmarginsError]
) -> BayesmarginsError | None:
    """The refusal of more arguments by position than there are; None where there are no more."""
    by_name = [p for p, of in parameters.items() if of.kind is of.KEYWORD_ONLY]
    places = [p for p, of in parameters.items() if of.kind is of.POSITIONAL_OR_KEYWORD]
    several = any(of.kind is of.VAR_POSITIONAL for of in parameters.values())
    if several or not by_name or len(given) <= len(places):
        return None
    own = [p for p in places if p not in ("self", "cls")]
    values = given[len(places) - len(own) :]
    texts = [shown(value) if isinstance(value, str) else place for place, value in zip(own, values, strict=False)]
    rows = by_name[0] == "newdata"
    call = ", ".join([*texts, "newdata=rows" if rows else f"{by_name[0]}=..."])
    return error(
        f"{function} takes {listed(own)} by position, and there are more. Give "
        f"{'rows' if rows else 'the others'} by name: {function}({call})."
    )


@contextmanager
def plain_arguments(function: str, error: type[BayesmarginsError]) -> Iterator[None]:
    """An argument that raises when it is looked at is answered with the error of the stage, as any other wrong one."""
    try:
        yield
    except Exception as failure:
        refusal = _of_argument(failure, function, error)
        if refusal is None:
            raise
        raise refusal from failure


def _of_argument(failure: Exception, function: str, error: type[BayesmarginsError]) -> BayesmarginsError | None:
    """The refusal of an argument that raises when it is looked at; None of any other failure."""
    method = "" if isinstance(failure, BayesmarginsError) else _raised_by_argument(failure)
    if not method:
        return None
    return error(
        f"{function} looked at an argument, and {method} raised {type(failure).__name__} ({written(failure)}). "
        "Give plain values: texts, numbers, lists, dicts, arrays, tables."
    )


def _raised_by_argument(failure: Exception) -> str:
    """Which method of a user's object raised this when it was compared or looked at; empty where none did.

    Python may ask an object anything: whether it equals a word, has a hash, or an attribute.
    """
    frame, trace = None, failure.__traceback__
    while trace is not None:
        frame, trace = trace.tb_frame, trace.tb_next
    if frame is None or str(frame.f_globals.get("__name__", "")).partition(".")[0] == "bayesmargins":
        return ""
    file = frame.f_code.co_filename
    return "" if file.startswith(("<frozen", *_LIBRARIES)) else frame.f_code.co_qualname
