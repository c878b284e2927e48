"""Means that are exp(eta) times a share, over groups that move both: quadrature over both, tables, slopes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmargins as bm
from bayesmargins.evaluate import passes

N, DRAWS = 600, 5
RNG = np.random.default_rng(1)
DATA = pd.DataFrame({name: RNG.normal(size=N) for name in "xw"}).assign(y=np.resize([0.0, 1, 2], N))
DATA["g"], DATA["k"] = np.resize([*"abcde"], N), np.resize([*"uvv"], N)
AUX = {"hurdle_lognormal": {"sigma": 0.5}, "hurdle_gamma": {"shape": 2.0}, "zero_inflated_negbinomial": {"shape": 2.0}}
CASES = {
    "random intercept": ("zero_inflated_poisson", "zi", "(1 | g)"),
    "random slope": ("zero_inflated_poisson", "zi", "(1 + x | g)"),
    "shifted": ("hurdle_lognormal", "hu", "(1 + x | g)"),
}
Z = np.arange(-13.0, 13.01, 0.1)
U, V = np.meshgrid(Z, Z)
WEIGHTS = np.exp(-0.5 * (U**2 + V**2)) * 0.1**2 / (2.0 * np.pi)


def posterior(case: str, link: str = "logit", **more: Any) -> bm.Posterior:
    family, name, groups = CASES[case]
    rng, q = np.random.default_rng(3), 2 if "x" in groups else 1
    root = rng.normal(size=(1, DRAWS, 2 * q, 2 * q)) * 0.3
    b = [{"g": 0.4 * rng.normal(size=(1, DRAWS, 5, q))} for _ in range(2)]
    part = {"formula": f"~ x + {groups}", "beta": 0.5 * rng.normal(size=(1, DRAWS, 2)), "b": b[0], "link": link}
    given: dict[str, Any] = {
        "beta": 0.4 * rng.normal(size=(1, DRAWS, 3)),
        "b": b[1],
        "Sigma": {"g": root @ np.swapaxes(root, -1, -2) + 0.05 * np.eye(2 * q)},
        "aux": {k: np.full((1, DRAWS), v) for k, v in AUX.get(family, {}).items()},
        "parts": {name: part},
    }
    return bm.from_draws(f"y ~ x + w + {groups}", DATA, family=family, **given | more)


def values(ds: Any) -> np.ndarray:
    return np.asarray(ds["estimate"].to_numpy()[0])


def by_quadrature(post: bm.Posterior, draw: int, x: complex, w: float) -> complex:
    """The mean over both, for x that may be complex: a derivative is its imaginary part over a tiny step."""
    (part,) = post.parts.values()
    q = post.draws.Sigma["g"].shape[-1]
    z = np.array([1.0, x])[:q]
    Sigma = post.across["g"].to_numpy()[0, draw]
    v, c, v2 = z @ Sigma[:q, :q] @ z, z @ Sigma[:q, q:] @ z, z @ Sigma[q:, q:] @ z
    eta = post.draws.beta[draw] @ np.array([1.0, x, w]) + np.sqrt(v) * U
    zeta = part.draws.beta[draw] @ np.array([1.0, x]) + c / np.sqrt(v) * U + np.sqrt(v2 - c * c / v) * V
    shift = 0.5 * post.draws.aux["sigma"][draw] ** 2 if "sigma" in post.draws.aux else 0.0
    return complex((WEIGHTS * np.exp(eta + shift) / (1.0 + np.exp(zeta))).sum())


@pytest.mark.parametrize("case", CASES)
def test_means_and_slopes_are_quadrature_over_both(case: str) -> None:
    post, rows = posterior(case), DATA.head(3)
    mean, slope = values(bm.predictions(post, rows)), values(bm.slopes(post, "x", newdata=rows))[:, 0]
    h = 1e-30
    for draw in (0, 3):
        for n, (x, w) in enumerate(zip(rows["x"], rows["w"], strict=True)):
            expected = by_quadrature(post, draw, x + 1j * h, w)
            assert mean[draw, n] == pytest.approx(expected.real, rel=1e-12)
            assert slope[draw, n] == pytest.approx(expected.imag / h, rel=1e-11)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("groups", ["new", "own"])
def test_second_derivatives_are_those_of_slopes(case: str, groups: str) -> None:
    post, rows, h = posterior(case), DATA.head(3), 1e-4

    def slope(step: float) -> np.ndarray:
        return values(bm.slopes(post, "x", newdata=rows.assign(x=rows["x"] + step), groups=groups))

    found = values(bm.slopes(post, "x", second="x", newdata=rows, groups=groups))
    by_steps = (8.0 * (slope(h) - slope(-h)) - (slope(2.0 * h) - slope(-2.0 * h))) / (12.0 * h)
    np.testing.assert_allclose(found, by_steps, rtol=1e-8, atol=1e-9)


ASKED: dict[str, Callable[[bm.Posterior, str], Any]] = {
    "all rows": lambda p, g: bm.avg_predictions(p, groups=g),
    "by": lambda p, g: bm.avg_predictions(p, by="k", groups=g),
    "rows": lambda p, g: bm.predictions(p, groups=g),
    "both change": lambda p, g: bm.avg_comparisons(p, {"x": 1.0}, groups=g),
    "one changes": lambda p, g: bm.avg_comparisons(p, {"w": 1.0}, groups=g),
    "slope": lambda p, g: bm.avg_slopes(p, "x", groups=g),
}


@pytest.mark.parametrize("groups", ["new", "own"])
@pytest.mark.parametrize("case", ["random intercept", "random slope"])
def test_tables_are_the_exact_engine(case: str, groups: str, monkeypatch: pytest.MonkeyPatch) -> None:
    post = posterior(case)
    exact = {name: values(ask(post, groups)) for name, ask in ASKED.items()}
    monkeypatch.setattr(passes, "MANY_VALUES", 1)
    for name, ask in ASKED.items():
        found = ask(post, groups)
        assert "moved by exp(eta), " + ("table" if groups == "new" else "plug-in") in found.attrs["integration_method"]
        error = np.abs(values(found) - exact[name]).max()
        assert error <= 1e-10 * np.abs(exact[name]).max()
        assert error <= found.attrs["error_bound"] + 1e-13 * np.abs(exact[name]).max()


def test_a_draw_more_or_less_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "MANY_VALUES", 1)
    post = posterior("random intercept")
    some = post.draws.beta[None, 1:3], post.parts["zi"]
    part = {"formula": "~ x + (1 | g)", "beta": some[1].draws.beta[None, 1:3]}
    few = posterior(
        "random intercept", beta=some[0], b=None, Sigma={"g": post.across["g"].to_numpy()[:, 1:3]}, parts={"zi": part}
    )
    np.testing.assert_allclose(values(bm.avg_comparisons(few, "w")), values(bm.avg_comparisons(post, "w"))[1:3], 1e-12)


def test_relative_slopes_divide_each_row() -> None:
    post, rows = posterior("random slope"), DATA.head(4)
    slope, mean = values(bm.slopes(post, "x", newdata=rows)), values(bm.predictions(post, rows))
    found = values(bm.slopes(post, "x", newdata=rows, slope="eydx"))
    np.testing.assert_allclose(found[:, 0], slope[:, 0] / mean, rtol=1e-12)


@pytest.mark.parametrize("link", ["probit", "cloglog"])
def test_other_links_of_the_share(link: str) -> None:
    """Against points of one's own: E[exp(eta) (1 - h(zeta))] with eta given zeta in closed form."""
    post, rows = posterior("random intercept", link), DATA.head(2)
    (part,), Sigma = post.parts.values(), post.across["g"].to_numpy()[0]
    found = values(bm.predictions(post, rows))
    for draw in range(DRAWS):
        (v, c), (_, v2) = Sigma[draw]
        for n, (x, w) in enumerate(zip(rows["x"], rows["w"], strict=True)):
            zeta = part.draws.beta[draw] @ [1.0, x] + np.sqrt(v2) * Z
            eta = post.draws.beta[draw] @ [1.0, x, w] + c / np.sqrt(v2) * Z + 0.5 * (v - c * c / v2)
            kept = 1.0 - np.asarray(part.link.inverse(zeta))
            expected = (np.exp(eta - 0.5 * Z**2) * kept).sum() * 0.1 / np.sqrt(2.0 * np.pi)
            assert found[draw, n] == pytest.approx(expected, rel=1e-9)
