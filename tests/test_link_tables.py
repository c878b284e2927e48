"""Tables of every link that has them: curves, surfaces, fitted groups and lines against the exact engine."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bayesmargins.family import LINKS
from bayesmargins.integrate import expectation, mixture_expectation
from bayesmargins.integrate.tabulated.curves import curves
from bayesmargins.integrate.tabulated.group_curves import mixture_curves
from bayesmargins.integrate.tabulated.surfaces import surface

REFERENCE = Path(__file__).parent / "data" / "quadrature.csv"
NEW = ("loglog", "cauchit", "softplus")  # tests/test_tabulated.py has more of logit, probit and cloglog
PAIRS = [(name, part) for name in NEW for part in ("mean", "complement") if name != "softplus" or part == "mean"]
S = np.array([0.0, 0.01, 0.3, 0.55, 1.0, 2.0, 5.0, 9.0, 15.9])


def derivatives(part: str) -> list[tuple[str, float]]:
    """What the orders 0 to 2 of a table are."""
    sign = -1.0 if part == "complement" else 1.0
    return [(part, 1.0), ("d1", sign), ("d2", sign)]


def bounds(made: Any) -> tuple[float, float, float]:
    return made.error_bound, made.error_bound_d1, made.error_bound_d2


@pytest.mark.parametrize(("name", "part"), PAIRS)
def test_curves_and_surfaces_are_the_exact_engine_within_their_bounds(name: str, part: str) -> None:
    link, rng = LINKS[name], np.random.default_rng(4)
    eta = np.tile(np.concatenate([rng.uniform(-42.0, 42.0, 150), rng.normal(0.0, 3.0, 150)]), (len(S), 1))
    by_curve, by_surface = curves(link, S, part), surface(link, 0.0, 16.0, part)
    for order, (of, sign) in enumerate(derivatives(part)):
        exact = sign * expectation(link, eta, S[:, None] ** 2, of).value
        for found, made in ((by_curve(eta, order), by_curve), (by_surface(eta, S[:, None], order), by_surface)):
            assert np.abs(found - exact).max() <= bounds(made)[order] + 1e-15 * 30.0**order
            if order == 0:
                common = exact > 1e-10
                np.testing.assert_allclose(found[common], exact[common], rtol=5e-8 if part in link.steep else 1e-8)


@pytest.mark.parametrize("name", NEW)
def test_bounds_promise_what_the_tables_are_for(name: str) -> None:
    for s in (0.0, 0.5, 1.0, 2.0, 3.0):
        assert curves(LINKS[name], [s]).error_bound <= 1e-10  # of values up to 40, in places
        assert surface(LINKS[name], s, s + 0.1).error_bound <= 3e-10


@pytest.mark.parametrize(("name", "part"), PAIRS)
def test_curves_are_quadrature_at_30_digits(name: str, part: str) -> None:
    with REFERENCE.open(newline="") as file:
        lines = csv.DictReader(line for line in file if not line.startswith("#"))
        asked = [r for r in lines if (r["link"], r["part"]) == (name, part)]
    rows = [(float(r["eta"]), float(r["s"]), float(r["value"])) for r in asked]
    eta, s, true = np.array([row for row in rows if row[1] < 16.0]).T
    found = curves(LINKS[name], s, part)(eta[:, None])[:, 0]
    assert len(eta) == 55
    np.testing.assert_allclose(found, true, rtol=1e-12, atol=4e-13)


@pytest.mark.parametrize("s", [0.0, 0.8])
@pytest.mark.parametrize(("name", "part"), PAIRS)
def test_fitted_groups_in_tables_are_their_sum(name: str, part: str, s: float) -> None:
    link, rng = LINKS[name], np.random.default_rng(2)
    shifts, weights, spread = rng.normal(0.0, 1.5, (3, 30)), rng.dirichlet(np.full(30, 0.5)), np.full(3, s)
    made, eta = mixture_curves(link, spread, shifts, weights, part), rng.uniform(-42.0, 42.0, (3, 150))
    for order, (of, sign) in enumerate(derivatives(part)):
        exact = sign * mixture_expectation(link, eta, s * s, shifts, weights, of).value
        found = made(eta, order)
        assert np.abs(found - exact).max() <= bounds(made)[order]
        if order == 0:
            common = exact > 1e-10
            np.testing.assert_allclose(found[common], exact[common], rtol=5e-8 if part in link.steep else 1e-9)
