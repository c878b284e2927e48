"""The sentence of `describe`, for generated combinations of everything a question can say: part by part.

Each sentence is taken apart by a grammar written here, on its own, and every part is held against the arguments of the
question and against the attributes of the result. A part that is said although it was not asked for, or left out
although it was, fails.
"""

from __future__ import annotations

import dataclasses
import json
import random
import re
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmargins as bm
from bayesmargins.tables import scale_of

pytestmark = pytest.mark.filterwarnings(
    "ignore:by=.*uses the b of none:bayesmargins.BayesmarginsWarning"  # asked on purpose
)

MODELS = {
    "logit": ("k | trials(n) ~ x * e + f + (1 + x | g) + (1 | h)", "binomial", "logit", "probability of k"),
    "probit": ("y ~ x * e + f + (1 | g) + (1 | h)", "bernoulli", "probit", "probability of y"),
    "log": ("k ~ x * e + f + (1 | g) + (1 + x | h)", "poisson", "log", "expected count of k"),
    "identity": ("w ~ x * e + f + (1 + x | g) + (1 | h)", "gaussian", "identity", "expected value of w"),
    "one factor": ("y ~ x * e + f + (1 | g)", "bernoulli", "probit", "probability of y"),
    "no groups": ("k ~ x * e + f", "poisson", "log", "expected count of k"),
}
COMBINATIONS = 156  # of each kind of question
WORDS = ("new", "existing", "own", "zero", "sample")


@cache
def data() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"x": rng.normal(size=8), "e": rng.uniform(1, 2, 8), "f": list("abcabcab")})
    frame = frame.assign(g=list("ppqqrrpq"), h=list("sststtss"), n=3, k=[0, 1, 2, 3, 1, 0, 2, 1])
    return frame.assign(y=(frame.k > 1).astype(int), w=rng.uniform(1, 2, 8))


@cache
def posterior(model: str, kind: str) -> bm.Posterior:
    formula, family, link, _ = MODELS[model]
    rng = np.random.default_rng(1)
    design = bm.GLMM(formula, data(), family, link).design
    q = {name: len(factor.terms) for name, factor in design.factors.items()}
    post = bm.from_draws(
        formula, data(), family=family, link=link,
        beta=rng.normal(size=(1, 3, len(design.coef))) * 0.3,
        b={f: rng.normal(size=(1, 3, len(design.factors[f].levels), q[f])) for f in q},
        Sigma={f: np.broadcast_to(np.eye(q[f]), (1, 3, q[f], q[f])) for f in q},
        aux={"sigma": np.ones((1, 3))} if family == "gaussian" else {},
    )  # fmt: skip
    return dataclasses.replace(post, info={"draws": "prior"}) if kind == "prior" else post


@dataclasses.dataclass(frozen=True)
class Case:
    """One question: what was asked, in the words of the arguments."""

    model: str
    draws: str
    kind: str
    averaged: bool
    rows: str
    target: str
    by: tuple[str, ...]
    wts: str
    at: dict[str, list[Any]]
    groups: Any
    group_weights: str
    how: dict[str, Any]

    @property
    def post(self) -> bm.Posterior:
        return posterior(self.model, self.draws)

    @property
    def policies(self) -> dict[str, Any]:
        factors = self.post.design.factors
        return self.groups if isinstance(self.groups, dict) else dict.fromkeys(factors, self.groups)

    def ask(self) -> Any:
        newdata = {"the data": None, "newdata": data().iloc[:5], "one row": data().iloc[:1]}[self.rows]
        n = 8 if newdata is None else len(newdata)
        keywords = {"newdata": newdata, "groups": self.groups, "target": self.target, "random_seed": 1}
        keywords |= {"by": list(self.by)} if self.by else {}
        keywords |= {"at": self.at} if self.at else {}
        keywords |= {"column": {"wts": "w"}, "array": {"wts": np.ones(n)}}.get(self.wts, {})
        keywords |= {"group_weights": "rows"} if self.group_weights == "rows" else {}
        functions = {
            ("predictions", False): bm.predictions, ("predictions", True): bm.avg_predictions,
            ("comparisons", False): bm.comparisons, ("comparisons", True): bm.avg_comparisons,
            ("slopes", False): bm.slopes, ("slopes", True): bm.avg_slopes,
        }  # fmt: skip
        return functions[self.kind, self.averaged](self.post, **self.how, **keywords)


COMPARISONS: list[dict[str, Any]] = [
    {"variables": v, "comparison": c}
    for v in ("f", "x", ["f", "x"], {"f": "pairwise"}, {"x": (0, 1)})
    for c in ("difference", "ratio", "lift", "lnratio", "lnor", "or")
] + [{"variables": ["f", "x"], "cross": True}]
SLOPES: list[dict[str, Any]] = [
    {"variables": v, **how}
    for v in ("x", ["x", "e"])
    for how in (
        *({"slope": s} for s in ("dydx", "eyex", "eydx", "dyex")),
        {"second": "x"},
        {"second": "e"},
        {"second": "f"},
    )
]
HOW: dict[str, list[dict[str, Any]]] = {"predictions": [{}], "comparisons": COMPARISONS, "slopes": SLOPES}


def _policy(of: random.Random, factors: list[str]) -> Any:
    levels = {"g": ["p", "r"], "h": ["t"]}
    if not factors or of.random() < 0.5:
        return of.choice(WORDS)
    return {f: of.choice([*WORDS, levels[f]]) for f in factors}


def _case(kind: str, how: dict[str, Any], of: random.Random) -> Case | None:
    """A combination; None where the question itself makes no sense and is refused."""
    model = of.choice(list(MODELS))
    factors = {"one factor": ["g"], "no groups": []}.get(model, ["g", "h"])
    target = of.choice(["mean", "mean", "link", "count"])
    groups = _policy(of, factors)
    averaged = of.random() < 0.6
    by = tuple(of.choice([(), (), ("f",), ("f", "h")]))
    policies = groups.values() if isinstance(groups, dict) else [groups] * len(factors)
    rows = of.choice(["the data", "the data", "newdata", "one row"])
    case = Case(
        model=model,
        draws=of.choice(["posterior", "posterior", "prior"]),
        kind=kind,
        averaged=averaged,
        rows=rows,
        target=target,
        by=by,
        wts=of.choice(["", "", "column", "array"]) if averaged or by else "",
        at=of.choice([{}, {}, {"e": [1.5]}, {"e": [1, 2], "x": [0.25]}]),
        groups=groups,
        group_weights="rows" if "existing" in policies and of.random() < 0.5 else "equal",
        how=how,
    )
    odds = how.get("comparison") in ("or", "lnor") and (
        target != "mean" or model not in ("logit", "probit", "one factor")
    )
    counted = target == "count" and model != "logit"
    named_twice = isinstance(groups, dict) and any(isinstance(p, list) and f in by for f, p in groups.items())
    fixed = (
        kind == "comparisons" and "x" in case.at and how["variables"] != "f" and how["variables"] != {"f": "pairwise"}
    )
    return None if odds or counted or named_twice or fixed else case


def cases(kind: str) -> list[Case]:
    of = random.Random(f"sentences of {kind}")
    found = []
    for k in range(COMBINATIONS):
        case = None
        while case is None:
            case = _case(kind, HOW[kind][k % len(HOW[kind])], of)
        found.append(case)
    return found


# the grammar ----------------------------------------------------------------------------------------------------------

NOUN = r"(?P<noun>(?:probability|expected (?:count|value|number)|linear predictor \((?P<link>\w+) scale\)) of \w+)"
FURTHER = (
    r"(?:, within each (?P<by>[\w ]+?))?(?:, weighted by (?P<wts>w|the given weights))?"
    r"(?P<at>(?:, with \w+ set to [-\d.or ]*\d(?: and \w+ set to [-\d.or ]*\d)*(?=,|$))?)"
)
ROWS = r"the (?P<count>one row|[\d,]+ rows) of (?P<what>the data|newdata)"
COMPARED = {
    "difference": "Difference in",
    "ratio": "Ratio of",
    "lift": "Relative change in",
    "lnratio": "Log ratio of",
    "lnor": "Log odds ratio of",
    "or": "Odds ratio of",
}
COPIES = rf"between counterfactual copies of (?P<over>each of |){ROWS}{FURTHER}"
HEADS = {
    "predictions": rf"(?P<average>Average |)(?i:{NOUN}), (?P<over>over|for each of|for) {ROWS}{FURTHER}",
    "comparisons": rf"(?P<compared>{'|'.join(COMPARED.values())}) "
    rf"the (?P<average>average |){NOUN} \((?P<labels>.*)\) {COPIES}",
    "slopes": rf"(?i:(?P<average>Average |)(?P<slope>slope|elasticity|relative slope|second derivative)) of the {NOUN} "
    rf"with respect to (?P<variables>.*?)(?: \((?P<meaning>relative change in the .*)\))?, "
    rf"(?P<over>over|for each of|for) {ROWS}{FURTHER}",
    "levels": rf"Difference in the (?P<average>average |)slope of the {NOUN} with respect to (?P<variables>[\w, ]+) "
    rf"\((?P<labels>.*)\) {COPIES}",
}
NO_AVERAGE = "which is not an average over groups (groups='new' is)"
POPULATION = "which makes it a population average"
LINK_SCALE = "which on the link scale is the value at b = 0 and not the link of an average"


def parsed(sentence: str, kind: str) -> tuple[dict[str, str | None], list[str]]:
    """The parts of the head, and the phrases about groups."""
    assert sentence.endswith(".")
    head, *phrases = sentence[:-1].split("; ")
    match = re.fullmatch(HEADS[kind], head)
    assert match, f"no {kind}: {head}"
    return match.groupdict(), phrases


# the checks -----------------------------------------------------------------------------------------------------------


def check_text(sentence: str) -> None:
    assert sentence[0].isupper()
    assert not re.search(r"  |,,|;;|\(\)|None|nan| ,| ;|\[|\]|\. [A-Z]|\.$.", sentence), sentence


def check_head(case: Case, ds: Any, head: dict[str, str | None], levels: bool) -> None:
    attrs = ds.attrs
    averaged = case.averaged or bool(case.by)
    assert bool(head["average"]) == averaged == bool(attrs["rows_averaged"])
    n = {"the data": 8, "newdata": 5, "one row": 1}[case.rows]
    assert head["count"] == ("one row" if n == 1 else f"{n} rows")
    assert attrs["rows"] == n
    assert head["what"] == ("the data" if case.rows == "the data" else "newdata")
    said_over = (head["over"] or "").strip()
    if case.kind == "comparisons" or levels:
        assert said_over == ("" if averaged or n == 1 else "each of")
    else:
        assert said_over == ("over" if averaged else "for" if n == 1 else "for each of")
    assert head["by"] == (" and ".join(case.by) or None)
    assert json.loads(attrs.get("by", "[]")) == list(case.by)
    assert head["wts"] == {"": None, "column": "w", "array": "the given weights"}[case.wts]
    assert attrs.get("weights") == head["wts"]
    settings = [f"{k} set to {' or '.join(map(str, v))}" for k, v in case.at.items()]
    assert (head["at"] or "") == (f", with {' and '.join(settings)}" if settings else "")
    assert json.loads(attrs.get("at", "{}")) == case.at


def check_noun_and_scale(case: Case, ds: Any, head: dict[str, str | None], base_of: str) -> None:
    """The noun, the target, the link and the scale of the table say the same."""
    attrs, link = ds.attrs, MODELS[case.model][2]
    mean = MODELS[case.model][3]
    response = mean.split()[-1]
    noun = {
        "mean": mean,
        "count": f"expected number of {response}",
        "link": f"linear predictor ({link} scale) of {response}",
    }
    assert (head["noun"] or "").lower() == noun[case.target]
    assert (attrs["target"], attrs["link"], attrs["kind"]) == (case.target, link, case.kind)
    base = {"mean": mean.rsplit(" of ", 1)[0], "count": "expected count", "link": f"linear predictor ({link})"}
    assert attrs["scale"] == base_of.format(base[case.target])
    assert scale_of(ds) == attrs["scale"]


def check_groups(case: Case, ds: Any, phrases: list[str]) -> None:
    """One phrase a policy, each exactly once and in words that name its factors."""
    link = MODELS[case.model][2]
    policies = case.policies
    assert json.loads(ds.attrs["groups"]) == policies
    assert ds.attrs["draws"] == case.draws
    expected = []
    curved = link != "identity" and case.target != "link"
    for factor, policy in policies.items():
        if policy == "own":
            expected.append(f"each row with the b of its own {factor}")
        elif policy == "zero":
            caution = f", {NO_AVERAGE}" if curved else ""
            expected.append(f"at b = 0 for {factor}, a group at the centre of the distribution{caution}")
        elif policy == "sample":
            column = data()[factor].head({"the data": 8, "newdata": 5, "one row": 1}[case.rows])
            n = column.nunique()
            new = f"one new group of {factor}" if n == 1 else f"{n} new groups of {factor}, one for each label"
            expected.append(f"with {new}, drawn for each {case.draws} draw")
        elif isinstance(policy, list):
            expected.append(f"for the named groups of {factor}: {', '.join(policy)}")
    existing = [f for f, p in policies.items() if p == "existing"]
    if existing:
        combos = len(data()[existing].drop_duplicates())
        counted = "by its rows" if case.group_weights == "rows" else "equally"
        expected.append(f"averaged over the {combos} fitted groups of {' and '.join(existing)}, each counted {counted}")
    assert ds.attrs.get("group_weights") == (case.group_weights if existing else None)
    new = [f for f, p in policies.items() if p == "new"]
    if new:
        every = len(new) == len(policies)
        linked = case.target == "link" and link != "identity"
        what = f", {LINK_SCALE}" if linked else f", {POPULATION}" if every else ""
        expected.append(f"integrated over new groups of {' and '.join(new)}{what}")
    expected = expected or ["the model has no groups"]
    if case.draws == "prior":
        expected.append("under the prior, before any data")
    assert phrases == expected
    # said once more, in the words of the rules that no edit may break
    sentence = "; ".join(phrases)
    assert (POPULATION in sentence) == (bool(policies) and len(new) == len(policies) and (curved or link == "identity"))
    assert sentence.count(NO_AVERAGE) == (sum(p == "zero" for p in policies.values()) if curved else 0)
    assert "population" not in sentence.replace(POPULATION, "")


SCALES = {
    "difference": "difference in {}", "ratio": "ratio of {}", "lift": "relative change of {}",
    "lnratio": "log ratio of {}", "lnor": "log odds ratio", "or": "odds ratio",
    "dydx": "slope of {}", "eyex": "elasticity of {}", "eydx": "relative slope (eydx) of {}",
    "dyex": "slope per relative change (dyex) of {}",
}  # fmt: skip


def _shortened(items: list[str]) -> str:
    return ", ".join(items if len(items) <= 4 else [*items[:2], "...", items[-1]])


def check_comparison(case: Case, ds: Any, head: dict[str, str | None]) -> str:
    how = case.how.get("comparison", "difference")
    assert head["compared"] == COMPARED[how]
    assert ds.attrs["comparison"] == how
    assert "slope" not in ds.attrs
    bare = [re.sub(rf"^{how}\((.*)\)$", r"\1", x) for x in ds["contrast"].values]
    labels = [x if t in x else f"{t}: {x}" for t, x in zip(ds["term"].values, bare, strict=True)]
    assert head["labels"] == _shortened(labels)
    return SCALES[how]


def check_slope(case: Case, ds: Any, head: dict[str, str | None]) -> str:
    how, second = case.how.get("slope", "dydx"), case.how.get("second")
    names = case.how["variables"]
    names = [names] if isinstance(names, str) else names
    assert (ds.attrs["slope"], ds.attrs.get("second")) == (how, second)
    assert "comparison" not in ds.attrs
    word = (head.get("slope") or "").lower()
    x, noun = ", ".join(names), head["noun"]
    if second == "f":
        assert head["labels"] == "f: b - a, c - a"
        assert head["variables"] == x
        assert ds["contrast"].values.tolist() == [f"dY/d{n}: {p}" for n in names for p in ("b - a", "c - a")]
        return "difference in slope of {}"
    if second:
        assert word == "second derivative"
        assert head["variables"] == (x if names == [second] else f"{x}, then {second}")
        assert ds["contrast"].values.tolist() == [f"d2Y/d{n}2" if n == second else f"d2Y/d{n} d{second}" for n in names]
        return "second derivative of {}"
    assert ds["contrast"].values.tolist() == [f"{how[0]}Y/{how[2]}{n}" for n in names]
    of = names[0] if len(names) == 1 else "each"
    expected = {
        "dydx": ("slope", x, None),
        "eyex": ("elasticity", x, f"relative change in the {noun} per relative change of {of}"),
        "eydx": ("relative slope", x, f"relative change in the {noun} per unit of {of}"),
        "dyex": ("slope", f"{x} per relative change of {of}", None),
    }[how]
    assert (word, head["variables"], head["meaning"]) == expected
    return SCALES[how]


@pytest.mark.filterwarnings("ignore:.* of what is 0, or positive in some draws")  # made-up predictions change sign
@pytest.mark.parametrize("kind", list(HOW))
def test_sentence_says_what_was_asked_and_nothing_else(kind: str) -> None:
    seen = set()
    for case in cases(kind):
        ds = case.ask()
        sentence = bm.describe(ds)
        assert sentence == ds.attrs["estimand"]
        levels = case.how.get("second") == "f"
        try:
            check_text(sentence)
            head, phrases = parsed(sentence, "levels" if levels else kind)
            check_head(case, ds, head, levels)
            scale = "{}"
            if kind == "comparisons":
                scale = check_comparison(case, ds, head)
            elif kind == "slopes":
                scale = check_slope(case, ds, head)
            check_noun_and_scale(case, ds, head, scale)
            check_groups(case, ds, phrases)
        except AssertionError as error:
            raise AssertionError(f"{case}\n{sentence}\n{error}") from error
        seen |= {str(p) for p in case.policies.values()} | {case.target, case.rows, case.draws, case.model, case.wts}
        seen |= {
            f"by {len(case.by)}",
            f"at {len(case.at)}",
            str(case.how),
            f"averaged {case.averaged}",
            case.group_weights,
        }
    missing = {*WORDS, "['p', 'r']", "['t']", "mean", "link", "count", "the data", "newdata", "one row", "posterior",
               "prior", *MODELS, "", "column", "array", "by 0", "by 1", "by 2", "at 0", "at 1", "at 2", "rows", "equal",
               "averaged True", "averaged False", *map(str, HOW[kind])} - seen  # fmt: skip
    assert not missing, f"the generator has left out {missing}"


@pytest.mark.parametrize("averaged", [True, False])
@pytest.mark.parametrize("target", ["mean", "link"])
@pytest.mark.parametrize("model", list(MODELS))
def test_slopes_of_every_column_are_a_result_of_their_own(model: str, target: str, averaged: bool) -> None:
    """Numbers have slopes and factors differences: the sentence says both, and each row of the table says its scale."""
    how = {"variables": ["x", "e"]}
    case = Case(model, "posterior", "slopes", averaged, "the data", target, (), "", {}, "new", "equal", how)
    ds = (bm.avg_slopes if averaged else bm.slopes)(case.post, target=target)
    sentence, average = bm.describe(ds), "average " if averaged else ""
    named = [v for v in ds["term"].values if v != "f"]
    beside = rf", and difference in the {average}{NOUN} \(f: b - a, f: c - a\)"
    found = re.search(beside, sentence)
    assert found, sentence
    head, phrases = parsed(sentence.replace(found.group(), "", 1), "slopes")
    assert (head["noun"] or "").lower() == found.group("noun").lower()
    assert head["variables"] == ", ".join(named)
    check_head(case, ds, head, levels=False)
    check_groups(case, ds, phrases)
    slope = ds.attrs["scale"]
    assert slope.startswith("slope of ")
    scales = np.where(ds["term"] == "f", slope.replace("slope of", "difference in"), slope)
    at = ds if averaged else ds.isel(row=[0])
    table = bm.summary(at).reset_index()
    assert table["scale"].tolist() == scales.tolist()
    assert scale_of(ds) == "several scales"


def test_the_check_itself_notices_a_sentence_that_says_something_else() -> None:
    """Tests that cannot fail are worth nothing: each part changed in turn is found."""
    case = Case("logit", "posterior", "slopes", True, "the data", "mean", ("f",), "column", {"e": [1, 2]},
                {"g": "new", "h": "zero"}, "equal", {"variables": "x", "slope": "eyex"})  # fmt: skip
    ds = case.ask()
    right = bm.describe(ds)
    wrong = {
        "Average elasticity": "Elasticity",
        "elasticity of": "slope of",
        "probability of k with": "probability of y with",
        "per relative change of x": "per relative change of e",
        "the 8 rows": "the 9 rows",
        "of the data": "of newdata",
        ", within each f": "",
        ", weighted by w": "",
        ", with e set to 1 or 2": ", with e set to 1",
        f", {NO_AVERAGE}": "",
        "integrated over new groups of g": f"integrated over new groups of g, {POPULATION}",
        "new groups of g": "new groups of h",
        "at b = 0 for h": "averaged over h",
    }

    def check(sentence: str) -> None:
        check_text(sentence)
        head, phrases = parsed(sentence, "slopes")
        check_head(case, ds, head, levels=False)
        check_noun_and_scale(case, ds, head, check_slope(case, ds, head))
        check_groups(case, ds, phrases)

    check(right)
    for old, new in wrong.items():
        assert old in right
        with pytest.raises(AssertionError):
            check(right.replace(old, new, 1))
