"""Pictures of several imputations: pooled draws of each imputation's own rows, and the caption says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import bayesmargins as bm

N = 40


def _imputed(formula: str, family: str, beta: int, y: Callable[[np.random.Generator], Any], **aux: Any) -> bm.Imputed:
    """Three imputations of z, with draws of their own."""
    posts = []
    for k in (1, 2, 3):
        frame, rng = np.random.default_rng(3), np.random.default_rng(k)
        data = pd.DataFrame({"x": frame.normal(size=N), "z": frame.normal(size=N), "arm": ["a", "b"] * (N // 2)})
        data["g"], data["y"] = [f"g{i % 5}" for i in range(N)], y(frame)
        data["z"] += 0.5 * k * (np.arange(N) < 15)
        draws = {"beta": rng.normal(size=(2, 10, beta)) * 0.5, "b": {"g": rng.normal(size=(2, 10, 5, 1))}}
        more = {name: np.broadcast_to(value, (2, 10, *np.shape(value))) for name, value in aux.items()}
        Sigma = {"g": np.ones((2, 10, 1, 1))}
        posts.append(bm.from_draws(formula, data, family=family, **draws, Sigma=Sigma, aux=more))
    return bm.from_imputations(posts)


@pytest.fixture(scope="module")
def many() -> bm.Imputed:
    return _imputed("y ~ x + z * arm + (1 | g)", "bernoulli", 5, lambda rng: rng.integers(0, 2, N))


@pytest.fixture(scope="module")
def rated() -> bm.Imputed:
    thresholds = [-0.5, 0.8]
    return _imputed("y ~ x + z + (1 | g)", "cumulative", 2, lambda rng: np.arange(N) % 3 + 1, thresholds=thresholds)


@pytest.fixture(scope="module")
def waits() -> bm.Imputed:
    return _imputed("y ~ x + z + (1 | g)", "exponential", 3, lambda rng: rng.exponential(size=N))


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def _texts(drawn: Any) -> str:
    figure = drawn if isinstance(drawn, Figure) else drawn.figure
    return " ".join(text.get_text() for text in figure.findobj(plt.Text)).replace("\n", " ")


PICTURES: dict[str, Callable[[Any], Any]] = {
    "predictions": lambda post: bm.plot_predictions(post, "x", by="arm"),
    "comparisons": lambda post: bm.plot_comparisons(post, "arm", over={"z": [0, 1]}),
    "dose": lambda post: bm.plot_comparisons(post, "x", over={"x": [0, 1, 2]}),
    "slopes": lambda post: bm.plot_slopes(post, "z", over="arm"),
    "surface": lambda post: bm.plot_surface(post, {"x": [-1, 0, 1]}, {"z": [0, 1]}),
    "attenuation": lambda post: bm.plot_attenuation(post, "arm"),
    "heterogeneity": lambda post: bm.plot_heterogeneity(post, "arm", random_seed=1),
    "groups": bm.plot_groups,
    "effects": lambda post: bm.plot_groups(post, effects=True),
    "sample": lambda post: bm.plot_predictions(post, "arm", groups="sample", random_seed=1),
    "result": lambda post: bm.plot_forest(bm.avg_comparisons(post)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_of_several_imputations_says_that_draws_are_pooled(name: str, many: bm.Imputed) -> None:
    assert "pooled draws of 3 imputations: median" in _texts(PICTURES[name](many))
    assert "imputations" not in _texts(PICTURES[name](many.posteriors[0]))


def test_categories_and_waits_of_several_imputations_are_pooled(rated: bm.Imputed, waits: bm.Imputed) -> None:
    assert "pooled draws of 3 imputations: posterior means" in _texts(bm.plot_categories(rated, "x"))
    drawn = _texts(bm.plot_survival(waits, times=[0, 1, 2]))
    assert "pooled draws of 3 imputations: median" in drawn
    assert "number at risk" not in drawn


def test_points_are_those_of_the_mixture_over_each_imputations_own_rows(many: bm.Imputed) -> None:
    """Where newdata gives all imputations the rows of the first, other numbers come out."""
    ax = bm.plot_predictions(many, {"x": [-1.0, 0.0, 2.0]}, by="arm")
    wanted = bm.avg_predictions(many, at={"x": [-1.0, 0.0, 2.0], "arm": ["a", "b"]}).estimate.median(["chain", "draw"])
    lines = [line.get_ydata() for line in ax.get_lines() if len(line.get_ydata()) == 3]
    np.testing.assert_allclose(lines, wanted.transpose("arm", "x"), rtol=1e-12)
    first = bm.avg_predictions(many, many.posteriors[0].design.data, at={"x": [-1.0], "arm": ["a"]}).estimate.median()
    assert abs(first.item() / wanted.sel(x=-1.0, arm="a").item() - 1) > 1e-4


def test_one_of_several_results_is_named_as_pooled(many: bm.Imputed) -> None:
    results = {"imputed": bm.avg_comparisons(many, "arm"), "first": bm.avg_comparisons(many.posteriors[0], "arm")}
    said = _texts(bm.plot_forest(results))
    assert "imputed: pooled draws of 3 imputations" in said
    assert "first: pooled" not in said


REFUSED: dict[str, Callable[[Any], Any]] = {
    "plot_predictions": lambda post: bm.plot_predictions(post, "x", data=True),
    "means=": lambda post: bm.plot_predictions(post, "x", means="g"),
    "curves=": lambda post: bm.plot_predictions(post, "x", by="g"),
    "plot_surface": lambda post: bm.plot_surface(post, "x", "z", data=True),
}


@pytest.mark.parametrize("name", REFUSED)
def test_rows_behind_a_picture_are_those_of_one_imputation(name: str, many: bm.Imputed) -> None:
    with pytest.raises(bm.ResultError, match=r"3 imputations and .*=.*rows of its own.*post\.posteriors\[0\]") as error:
        REFUSED[name](many)
    assert name in str(error.value)


def test_what_takes_one_posterior_says_how_one_is_asked(many: bm.Imputed, rated: bm.Imputed, waits: bm.Imputed) -> None:
    calls: dict[str, Callable[[Any], Any]] = {"check": bm.check, "logo": bm.logo, "datagrid": bm.datagrid}
    calls |= {"report": lambda post: bm.report(post, path="x.html"), "check(": bm.plot_check}
    for name, call in calls.items():
        with pytest.raises(bm.BayesmarginsError, match=r"of several imputations ask about one, bm\.") as error:
            call(many)
        assert name in str(error.value)
    with pytest.raises(bm.PosteriorError, match="ask a question of one posterior, and give both"):
        bm.sensitivity(bm.avg_comparisons(many, "arm"), many)
    for draw in (lambda: bm.plot_categories(rated, data=True), lambda: bm.plot_survival(waits, at_risk=True)):
        with pytest.raises(bm.ResultError, match="imputations and "):
            draw()
