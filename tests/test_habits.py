"""Keywords of other packages are answered with the word that is used here, on every public function that takes any."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference

import bayesmargins as bm
from bayesmargins.model.sampling import SAMPLERS, run_sampler

POST = reference.posterior("b_bacteria")
DS = bm.avg_comparisons(POST, "trt")

TAUGHT: dict[str, Callable[..., Any]] = {
    "predictions": lambda **kw: bm.predictions(POST, **kw),
    "avg_predictions": lambda **kw: bm.avg_predictions(POST, **kw),
    "comparisons": lambda **kw: bm.comparisons(POST, "trt", **kw),
    "avg_comparisons": lambda **kw: bm.avg_comparisons(POST, "trt", **kw),
    "slopes": lambda **kw: bm.slopes(POST, "week", **kw),
    "avg_slopes": lambda **kw: bm.avg_slopes(POST, "week", **kw),
    "posterior_predictive": lambda **kw: bm.posterior_predictive(POST, **kw),
    "summary": lambda **kw: bm.summary(DS, **kw),
    "table": lambda **kw: bm.table(DS, **kw),
    "describe": lambda **kw: bm.describe(DS, **kw),
    "hypotheses": lambda **kw: bm.hypotheses(DS, **kw),
    "plot_predictions": lambda **kw: bm.plot_predictions(DS, **kw),
    "plot_forest": lambda **kw: bm.plot_forest(DS, **kw),
    "from_draws": lambda **kw: bm.from_draws("y ~ x", {}, **kw),
    "load": lambda **kw: bm.load("fit.nc", **kw),
    "load_dataset": lambda **kw: bm.load_dataset("bacteria", **kw),
    "GLMM": lambda **kw: bm.GLMM("y ~ x", {}, **kw),
}


@pytest.mark.parametrize("name", TAUGHT)
def test_unknown_keyword_is_quoted_with_the_keywords_that_there_are(name: str) -> None:
    allowed = ", ".join(inspect.signature(getattr(bm, name)).parameters)
    with pytest.raises(bm.BayesmarginsError, match=f"^{name} does not take quux=1. It takes {allowed}.$"):
        TAUGHT[name](quux=1)


@pytest.mark.parametrize("name", TAUGHT)
def test_help_stays_that_of_the_function(name: str) -> None:
    function = getattr(bm, name)
    assert function.__name__ == name
    assert "\nRaises\n------\n" in (inspect.getdoc(function) or "")
    kinds = {p.kind for p in inspect.signature(function).parameters.values()}
    assert not kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("save", lambda **kw: POST.save("fit.nc", **kw)),
        ("from_arrays", lambda **kw: bm.GLMM.from_arrays([0.0, 1.0], np.ones((2, 1)), **kw)),
        ("prior", lambda **kw: bm.GLMM("y ~ 1", {"y": [0.0, 2.5]}).prior(**kw)),
    ],
)
def test_unknown_keyword_of_a_method_is_quoted_too(method: str, call: Callable[..., Any]) -> None:
    with pytest.raises(bm.BayesmarginsError, match=rf"{method} does not take quux=1\. It takes \w+"):
        call(quux=1)


@pytest.mark.parametrize("keyword", ["re_formula", "re.form", "include_random", "random_effects"])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "own group's b is groups='own' here.*average: groups='new'"),
        (True, "own group's b is groups='own' here"),
        (np.nan, "b = 0, is groups='zero' here.*average: groups='new'"),
        (pd.NA, "b = 0, is groups='zero' here"),
        ("NA", "b = 0, is groups='zero' here"),
        ("~ 0", "b = 0, is groups='zero' here"),
        (False, "b = 0, is groups='zero' here"),
        ("~ (1 | id)", "a policy for every grouping factor.*average: groups='new'"),
    ],
)
def test_re_formula_is_answered_by_its_value(keyword: str, value: Any, said: str) -> None:
    with pytest.raises(bm.EstimandError, match=said):
        bm.predictions(POST, **{keyword: value})


@pytest.mark.parametrize(
    ("name", "keyword", "value", "said"),
    [
        ("predictions", "allow_new_levels", True, "is groups='sample' .*or groups='new'"),
        ("predictions", "sample_new_levels", "gaussian", "is groups='sample'"),
        ("predictions", "sample_new_groups", True, "is groups='sample'"),
        ("predictions", "new_levels", True, "is groups='sample'"),
        ("predictions", "type", "response", "Here it is target='mean'"),
        ("predictions", "type", "link", "Here it is target='link'"),
        ("predictions", "scale", "linear", "Here it is target='link'"),
        ("predictions", "pps", True, "It takes post, newdata, at"),
        ("summary", "conf_level", 0.95, "called 'ci_prob'"),
        ("summary", "hdi_prob", 0.95, "called 'ci_prob'"),
        ("summary", "prob", 0.95, "called 'ci_prob'"),
        ("summary", "CI", 0.95, "called 'ci_prob'"),
        ("summary", "ROPE", (0, 1), "called 'rope'"),
        ("summary", "ci_method", "quantile", "Here it is ci_kind='eti'"),
        ("summary", "target", "link", "part of the question: predictions"),
        ("summary", "by", "trt", r"avg_predictions\(post, by='trt'\)"),
        ("predictions", "conf_level", 0.95, r"made last of all: bm.summary\(ds, ci_prob=0.95\)"),
        ("predictions", "ci_prob", 0.95, r"made last of all: bm.summary\(ds, ci_prob=0.95\)"),
        ("predictions", "vcov", False, "that of the posterior draws"),
        ("avg_predictions", "hypothesis", "pairwise", r"within each draw by bm.hypotheses\(ds, 'pairwise'\)"),
        ("hypotheses", "dim", "contrast", "called 'along'"),
        ("predictions", "along", "trt", r"hypotheses\(ds, 'pairwise', along='trt'\)"),
        ("summary", "equivalence", (-1, 1), "called 'rope'"),
        ("avg_comparisons", "transform", np.exp, r"np.exp\(ds\)"),
        ("avg_slopes", "eps", 1e-4, "slopes are analytic"),
        ("avg_comparisons", "k", 20, "integrals are deterministic"),
        ("predictions", "ndraws", 100, r"ds.isel\(draw=slice"),
        ("predictions", "conditional", "week", "called 'at'"),
        ("predictions", "condition", "week", "called 'at'"),
        ("predictions", "specs", "trt", "called 'at'"),
        ("predictions", "variables", "trt", r"set with at=.*avg_comparisons\(post, 'trt'\)"),
        ("avg_slopes", "average_by", "trt", "called 'by'"),
        ("avg_predictions", "weights", "w", "called 'wts'"),
        ("predictions", "data", POST.design.data, "called 'newdata'"),
        ("predictions", "newData", POST.design.data, "called 'newdata'"),
        ("predictions", "effects", "integrateoutRE", "groups='new', the default"),
        ("predictions", "effects", "fixedonly", "groups='zero'"),
        ("predictions", "marginal", True, "Averaged over new groups is groups='new'"),
        ("avg_predictions", "pairwise", True, r"\{'trt': 'pairwise'\}"),
        ("avg_predictions", "cross", True, r"avg_comparisons\(post, \['trt', 'week'\], cross=True\)"),
        ("avg_predictions", "comparison", "ratio", r"avg_comparisons\(post, 'trt', comparison='ratio'\)"),
        ("avg_comparisons", "slope", "eyex", r"Derivatives are avg_slopes\(post, 'week'\)"),
        ("posterior_predictive", "by", "trt", r"avg_predictions\(post, by='trt'\)"),
        ("posterior_predictive", "seed", 1, "called 'random_seed'"),
        ("plot_predictions", "color", "trt", "called 'colour'"),
        ("predictions", "path", "x.nc", r"a result by ds\.to_netcdf"),
        ("plot_predictions", "path", "x.png", r"ax\.figure\.savefig\('x\.png', dpi=300\)"),
        ("plot_forest", "save", True, r"ax\.figure\.savefig\('x\.png', dpi=300\)"),
        ("predictions", "gropus", "new", "Did you mean 'groups'"),
    ],
)
def test_other_packages_keyword_is_answered_with_the_word_here(name: str, keyword: str, value: Any, said: str) -> None:
    with pytest.raises(bm.EstimandError, match=said):
        TAUGHT[name](**{keyword: value})


@pytest.mark.parametrize(
    ("name", "variable"),
    [("avg_comparisons", "trt"), ("comparisons", "trt"), ("avg_slopes", "week"), ("slopes", "week")],
)
def test_rows_that_stand_third_are_told_their_name(name: str, variable: str) -> None:
    said = rf"^{name} takes .post., .variables. by.*Give rows by name: {name}\(post, '{variable}', newdata=rows\)\.$"
    with pytest.raises(bm.EstimandError, match=said):
        getattr(bm, name)(POST, variable, POST.design.data)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("week", [0, 4], r"=\[0, 4\]\. Values of a column are datagrid\(post, \{'week': \[0, 4\]\}\)\. It takes post"),
        ("grids", 1, r"Did you mean 'grid'\? Values of a column are datagrid\(post, \{'grids': 1\}\)"),
        ("data", None, r"Here it is called 'newdata'\. It takes post"),
    ],
)
def test_columns_go_into_the_dict_of_datagrid(column: str, value: Any, said: str) -> None:
    with pytest.raises(bm.EstimandError, match=said):
        bm.datagrid(POST, **{column: value})


def test_large_values_are_not_poured_into_the_message() -> None:
    with pytest.raises(bm.EstimandError) as refused:
        bm.predictions(POST, data=POST.design.data)
    assert len(str(refused.value)) < 400


def test_accessor_teaches_too() -> None:
    with pytest.raises(bm.EstimandError, match=r"summary does not take hdi_prob=0.9. Here it is called 'ci_prob'"):
        DS.margins.summary(hdi_prob=0.9)
    with pytest.raises(bm.EstimandError, match="Axes are named in plot_predictions"):
        DS.margins.plot(x="trt")


def test_what_is_advised_in_place_of_the_keyword_hypothesis_works() -> None:
    ds = bm.avg_predictions(POST, by="trt")
    for spec in ("pairwise", "b2 - b1"):
        assert "p_gt_0" in bm.summary(bm.hypotheses(ds, spec), null=0)


def test_pythons_own_error_stays_for_what_is_absent() -> None:
    with pytest.raises(TypeError, match="post"):
        bm.predictions()  # type: ignore[call-arg]
    with pytest.raises(bm.EstimandError, match=r"the others by name: predictions\(post, newdata, at=\.\.\.\)"):
        bm.predictions(POST, None, "new")  # type: ignore[misc]


DATA = POST.design.data
FORMULA = "yb ~ trt + week + (1 | ID)"
MADE: dict[str, tuple[type[bm.BayesmarginsError], Callable[..., Any]]] = {
    "GLMM": (bm.ModelError, lambda **kw: bm.GLMM(FORMULA, DATA, **kw)),
    "from_arrays": (bm.ModelError, lambda **kw: bm.GLMM.from_arrays([0.0, 1.0], np.ones((2, 1)), **kw)),
    "prior": (bm.FitError, lambda **kw: bm.GLMM(FORMULA, DATA, "bernoulli").prior(**kw)),
    "fit": (bm.FitError, lambda **kw: run_sampler(None, "nutpie", 5, 5, 1, 1, False, **kw)),
    "from_draws": (bm.PosteriorError, lambda **kw: bm.from_draws(FORMULA, DATA, **kw)),
    "from_brms": (bm.PosteriorError, lambda **kw: bm.from_brms(pd.DataFrame(), FORMULA, DATA, **kw)),
    "from_pymc": (bm.PosteriorError, lambda **kw: bm.from_pymc({}, FORMULA, DATA, **kw)),
    "from_bambi": (bm.PosteriorError, lambda **kw: bm.from_bambi(None, None, **kw)),
    "from_statsmodels": (bm.PosteriorError, lambda **kw: bm.from_statsmodels(None, **kw)),
    "load": (bm.PosteriorError, lambda **kw: bm.load("fit.nc", **kw)),
    "load_dataset": (bm.DataError, lambda **kw: bm.load_dataset(**kw)),
}


@pytest.mark.parametrize("name", [n for n in MADE if n != "fit"])
def test_what_makes_models_and_posteriors_refuses_unknown_keywords_too(name: str) -> None:
    error, call = MADE[name]
    with pytest.raises(error, match=rf"^{name} does not take quux=1\. It takes \w+.*\.$"):
        call(quux=1)


@pytest.mark.parametrize(
    ("name", "keyword", "value", "said"),
    [
        ("GLMM", "familly", "bernoulli", "Did you mean 'family'"),
        ("GLMM", "weights", "ap", "Weights of the likelihood stand in the formula"),
        ("GLMM", "prior", {}, "called 'priors'"),
        ("GLMM", "chains", 2, r"Here it is model\.fit\(chains=2\)"),
        ("GLMM", "offset", "n", r"offset\(log\(exposure\)\)"),
        ("GLMM", "sigma", "~ trt", r"dict here: GLMM\(\{'y': 'y ~ x', 'sigma': '~ trt'\}, data\)"),
        ("GLMM", "ziformula", True, r"\{'y': 'y ~ x', 'zi': '~ x'\}"),
        ("from_arrays", "group", [1, 2], "Groups stand in the formula"),
        ("from_arrays", "names_", ["a"], "Did you mean 'names'"),
        ("prior", "seed", 1, "random_seed"),
        ("fit", "control", {"adapt_delta": 0.9}, r"model\.fit\(target_accept=0\.9\)"),
        ("fit", "control", {"max_treedepth": 12}, r"model\.fit\(target_accept=0\.95\)"),
        ("fit", "adapt_delta", 0.9, r"model\.fit\(target_accept=0\.9\)"),
        ("fit", "progress", False, r"model\.fit\(progressbar=False\)"),
        ("fit", "warmup", 500, r"model\.fit\(tune=500\)"),
        ("fit", "cores", 4, "decided by the sampler"),
        ("from_draws", "sigma", [1.0], r"Here it is aux=\{'sigma': \.\.\.\}"),
        ("from_draws", "shape", [1.0], r"Here it is aux=\{'shape': \.\.\.\}"),
        ("from_draws", "Sigmas", {}, "Did you mean 'Sigma'"),
        ("from_statsmodels", "seed", 1, "called 'random_seed'"),
        ("from_brms", "familly", "bernoulli", "Did you mean 'family'"),
        ("load", "namespce", {}, "Did you mean 'namespace'"),
        ("load_dataset", "nme", "bacteria", "Did you mean 'name'"),
    ],
)
def test_models_fits_and_posteriors_teach_too(name: str, keyword: str, value: Any, said: str) -> None:
    error, call = MADE[name]
    with pytest.raises(error, match=rf"^{name} does not take {keyword}=.*{said}.* It takes "):
        call(**{keyword: value})


def test_a_setting_that_the_sampler_does_not_know_is_answered_with_near_arguments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuses(*_: Any) -> Any:
        raise AttributeError("Unknown settings attribute: chain")

    monkeypatch.setitem(SAMPLERS, "nutpie", refuses)
    with pytest.raises(bm.FitError, match=r"does not take \{'chain': 2\}: Unknown settings.*Did you mean 'chains'"):
        MADE["fit"][1](chain=2)
    with pytest.raises(
        bm.FitError, match=r"does not take \{'target_accept': 2\}"
    ):  # an option that is the sampler's own
        MADE["fit"][1](target_accept=2)
