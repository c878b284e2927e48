"""A number that the formula makes a factor is a factor everywhere: what holds for text levels holds for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from test_margins import random_posterior, simulated, values

import bayesmargins as bm
from bayesmargins.design import build_design

ARMS = {10: "l10", 2: "l02", 3: "l03"}  # in one order by size and by the alphabet


def rows() -> pd.DataFrame:
    arm = np.resize([10, 2, 3, 2, 10], 80)
    return simulated(arm=arm, text=[ARMS[a] for a in arm])


MODELS = [
    ("y ~ C({0}) * x + (0 + C({0}) | g)", "bernoulli"),
    ("k ~ C({0}) + (C({0}) || g) + offset(log(e))", "poisson"),
    ("k | trials(n) ~ C({0}, contr.sum):x + (1 | {0})", "binomial"),
    ("x ~ 0 + C({0}, contr.poly) + treated + (1 | g)", "gaussian"),
    ("y ~ C({0}, contr.treatment({1})) + x + (x | g)", "bernoulli"),
]
Question = Callable[[bm.Posterior, str], Any]
QUESTIONS: dict[str, Question] = {
    "levels against the first": lambda p, v: bm.avg_comparisons(p, v),
    "pairwise": lambda p, v: bm.avg_comparisons(p, {v: "pairwise"}, comparison="ratio"),
    "revsequential": lambda p, v: bm.comparisons(p, {v: "revsequential"}, groups="zero"),
    "crossed": lambda p, v: bm.avg_comparisons(p, [v, _other(p)], cross=True),
    "attenuation": lambda p, v: bm.attenuation(p, v),
    "heterogeneity": lambda p, v: bm.heterogeneity(p, v, random_seed=1, points=64),
    "second": lambda p, v: bm.avg_slopes(p, "x", second=v),
    "at": lambda p, v: bm.avg_predictions(p, at={v: "all"}),
    "by": lambda p, v: bm.avg_predictions(p, by=v),
    "by of other rows": lambda p, v: bm.avg_predictions(p, p.design.data.head(9).astype({"arm": float}), by=v),
    "grid": lambda p, v: bm.predictions(p, bm.datagrid(p, {v: "all"}), groups="zero"),
    "balanced": lambda p, v: bm.predictions(p, bm.datagrid(p, grid="balanced"), groups="zero"),
    "mode": lambda p, v: bm.predictions(p, bm.datagrid(p), groups="zero"),
    "hypotheses": lambda p, v: bm.hypotheses(bm.avg_predictions(p, at={v: "all"}), "pairwise", along=v),
}


def _other(post: bm.Posterior) -> str:
    return next(n for n in ("x", "treated", "e") if n in post.design.columns)


@pytest.mark.filterwarnings("ignore:(The group effects|by=|Ratio of what):bayesmargins.BayesmarginsWarning")
@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(("model", "family"), MODELS)
def test_every_question_has_the_answer_of_the_same_levels_as_text(model: str, family: str, question: str) -> None:
    numbers, text = (
        random_posterior(model.format(name, reference), rows(), family)
        for name, reference in (("arm", 3), ("text", "'l03'"))
    )
    if question == "second" and "x" not in numbers.design.columns:
        with pytest.raises(bm.EstimandError, match="names 'x', "):
            QUESTIONS[question](numbers, "arm")
        return
    found, expected = (QUESTIONS[question](p, v) for p, v in ((numbers, "arm"), (text, "text")))
    np.testing.assert_allclose(values(found), values(expected), rtol=1e-12, atol=1e-14)
    if "contrast" in found.coords:
        named = [str(c) for c in expected["contrast"].values]
        for number, label in ARMS.items():
            named = [c.replace(label, str(number)) for c in named]
        assert [str(c).replace("arm", "text") for c in found["contrast"].values] == named


@pytest.mark.parametrize(
    ("formula", "levels", "first"),
    [
        ("y ~ C(arm)", (2, 3, 10), "3 - 2"),
        ("y ~ C(arm, levels=[10, 2, 3])", (10, 2, 3), "2 - 10"),
        ("y ~ C(arm, levels=[3, 2, 7, 10])", (3, 2, 10), "2 - 3"),
        ("y ~ C(`arm`) + x", (2, 3, 10), "3 - 2"),
        ("y ~ x + C(arm):x", (2, 3, 10), "3 - 2"),
        ("y ~ C(arm) + (arm | g)", (2, 3, 10), "3 - 2"),
        ("y ~ x + (0 + C(arm) | g) + offset(arm / 10)", (2, 3, 10), "3 - 2"),
    ],
)
@pytest.mark.filterwarnings("ignore::bayesmargins.BayesmarginsWarning")
def test_levels_are_those_of_the_data_in_the_order_of_size_or_of_the_formula(
    formula: str, levels: tuple[int, ...], first: str
) -> None:
    post = random_posterior(formula, rows(), "bernoulli")
    assert post.design.columns["arm"].levels == levels
    assert bm.avg_comparisons(post, "arm")["contrast"].values[0] == first


@pytest.mark.filterwarnings("ignore:The group effects:bayesmargins.BayesmarginsWarning")
def test_an_order_that_the_formula_states_is_that_of_questions_and_of_no_other_term() -> None:
    data = rows()
    post = random_posterior("y ~ C(text, levels=['l10', 'l02', 'l03']) + (text | g)", data, "bernoulli")
    assert bm.avg_comparisons(post, "text")["contrast"].values.tolist() == ["l02 - l10", "l03 - l10"]
    assert bm.avg_predictions(post, at={"text": "all"})["text"].values.tolist() == ["l10", "l02", "l03"]
    assert post.design.factors["g"].terms == ("Intercept", "text[l03]", "text[l10]")
    np.testing.assert_array_equal(post.design.rows(data).Z["g"][:, 1], data.text == "l03")


def test_a_number_that_is_read_both_ways_is_a_factor_to_questions_and_a_number_to_the_other_term() -> None:
    data = rows()
    design = build_design("y ~ C(arm) + (arm | g)", data)
    np.testing.assert_array_equal(design.rows(data).Z["g"][:, 1], data.arm)
    post = random_posterior("y ~ C(arm) + (arm | g)", data, "bernoulli")
    differences = values(bm.avg_comparisons(post, {"arm": (2, 10)}, target="link"))[..., 0]
    np.testing.assert_allclose(differences, post.beta[..., 2], rtol=1e-12)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda p: bm.avg_slopes(p, "arm"), r"'arm' is a factor in the formula, by C\(arm\).*no slope"),
        (lambda p: bm.slopes(p, "x", second="x", newdata=rows().assign(arm=5)), r"levels 5 .* by C\(arm\)"),
        (lambda p: bm.avg_comparisons(p, {"arm": 1}), r"a factor takes .* by C\(arm\)"),
        (lambda p: bm.avg_comparisons(p, {"arm": "sd"}), r"a factor takes .* by C\(arm\)"),
        (lambda p: bm.avg_comparisons(p, {"arm": (2, 4)}), r"to 4; the fit knows 2, 3, 10\. .* by C\(arm\)"),
        (lambda p: bm.avg_predictions(p, at={"arm": 2.525}), r"to 2\.525; the fit knows 2, 3, 10"),
        (lambda p: bm.avg_predictions(p, at={"arm": "mean"}), r"to 'mean'; the fit knows 2, 3, 10"),
        (lambda p: bm.avg_predictions(p, rows().assign(arm=2.5)), r"levels 2\.5 that the fit has not seen"),
        (lambda p: bm.datagrid(p, {"arm": np.mean}), r"the fit knows 2, 3, 10"),
        (lambda p: bm.heterogeneity(p, "arm", estimand="slopes"), "no slope"),
    ],
)
def test_what_only_a_number_has_is_refused_with_the_call_that_makes_it_a_factor(
    ask: Callable[[bm.Posterior], Any], said: str
) -> None:
    with pytest.raises(bm.BayesmarginsError, match=said):
        ask(random_posterior("y ~ C(arm) + x + (1 | g)", rows(), "bernoulli"))


def test_parameters_with_formulas_of_their_own_say_of_a_number_what_they_make_of_it() -> None:
    data = rows()
    aux = {"formula": "~ C(arm)", "beta": np.random.default_rng(1).normal(size=(2, 5, 3))}
    beta = np.random.default_rng(0).normal(size=(2, 5, 2))
    post = bm.from_draws("x ~ arm", data, family="gaussian", beta=beta, parts={"sigma": aux})
    assert bm.avg_comparisons(post, "arm")["contrast"].values.tolist() == ["arm +1"]
    for target in ("sigma", bm.sd()):
        assert bm.avg_comparisons(post, "arm", target=target)["contrast"].values.tolist() == ["3 - 2", "10 - 2"]


@pytest.mark.parametrize("call", ["C(arm)", "factor(arm)", "as.factor(arm)"])
def test_draws_of_brms_know_the_factor(call: str) -> None:
    data = rows()
    stem = call.replace("(", "").replace(")", "").replace("C", "factor")
    draws = {c: [0.1, 0.2] for c in ("b_Intercept", f"b_{stem}3", f"b_{stem}10")}
    post = bm.from_brms(pd.DataFrame(draws | {".chain": 1}), f"y ~ {call}", data, family="bernoulli")
    assert bm.avg_comparisons(post, {"arm": "pairwise"})["contrast"].values.tolist() == ["3 - 2", "10 - 2", "10 - 3"]


def test_draws_of_a_model_written_by_hand_know_the_factor() -> None:
    rng = np.random.default_rng(2)
    idata = xr.Dataset({"beta": (("chain", "draw", "coef"), rng.normal(size=(2, 5, 3)))})
    post = bm.from_pymc(idata, "y ~ C(arm)", rows(), family="bernoulli", names={"beta": "beta"})
    assert bm.avg_comparisons(post, "arm")["contrast"].values.tolist() == ["3 - 2", "10 - 2"]


@pytest.mark.filterwarnings("ignore:The group effects:bayesmargins.BayesmarginsWarning")
def test_a_saved_posterior_still_knows_it(tmp_path: Path) -> None:
    post = random_posterior("y ~ C(arm) * x + (0 + C(arm) | g)", rows(), "bernoulli")
    post.save(tmp_path / "post.nc")
    again = bm.load(tmp_path / "post.nc")
    assert again.design.columns == post.design.columns
    np.testing.assert_array_equal(values(bm.attenuation(again, "arm")), values(bm.attenuation(post, "arm")))


def test_without_rows_the_levels_are_those_that_are_given() -> None:
    beta = np.random.default_rng(0).normal(size=(2, 5, 3))
    levels = {"arm": [10, 2, 3]}
    post = bm.from_draws("y ~ C(arm)", levels=levels, family="bernoulli", beta=beta)
    found = bm.avg_comparisons(post, "arm", newdata=pd.DataFrame({"arm": [2, 10]}), target="link")
    assert found["contrast"].values.tolist() == ["2 - 10", "3 - 10"]
    np.testing.assert_allclose(values(found), beta[..., 1:], rtol=1e-12)
    with pytest.raises(bm.FormulaError, match=r"as a number and, by C\(arm\), as a factor"):
        bm.from_draws("y ~ arm + C(arm)", levels=levels, family="bernoulli", beta=beta)


def test_a_picture_has_points_at_its_levels_and_no_curve_between_them() -> None:
    post = random_posterior("y ~ C(arm) + x + (1 | g)", rows(), "bernoulli")
    ax = bm.plot_predictions(bm.avg_predictions(post, at={"arm": "all"}))
    assert [t.get_text() for t in ax.get_xticklabels()] == ["2", "3", "10"]
    both = bm.plot_predictions(bm.avg_predictions(post, at={"arm": "all", "x": [0.0, 1.0]}))
    assert both.get_xlabel() == "x"
    assert len(bm.plot_forest(bm.avg_comparisons(post, {"arm": "pairwise"})).get_yticklabels()) == 3
