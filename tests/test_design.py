"""The formula is read as lme4 reads it, and what was frozen at the fit is replayed on new data, or refused."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_margins import simulated

import bayesmargins as bm
from bayesmargins.design import build_design, parse


@pytest.mark.parametrize(
    ("formula", "blocks"),
    [
        ("y ~ x + (1 | g)", [("1", "g", True)]),
        ("y ~ x + (1 + x | g)", [("1 + x", "g", True)]),
        ("y ~ (x || g)", [("x", "g", False)]),
        ("y ~ (0 + x | g)", [("0 + x", "g", True)]),
        ("y ~ (1 | a/b)", [("1", "a", True), ("1", "a:b", True)]),
        ("y ~ (1 | a/b/c)", [("1", "a", True), ("1", "a:b", True), ("1", "a:b:c", True)]),
        ("y ~ (1 | a:b) + (1 | c)", [("1", "a:b", True), ("1", "c", True)]),
        ("y ~ x+(poly(x, 2)|g)-1", [("poly(x, 2)", "g", True)]),
        ("y ~ (1 | `my group`)", [("1", "my group", True)]),
    ],
)
def test_blocks_are_read_as_in_lme4(formula: str, blocks: list[tuple[str, str, bool]]) -> None:
    assert [(b.terms, b.factor, b.correlated) for b in parse(formula).blocks] == blocks


def test_left_side_offsets_and_fixed_part_are_split_off() -> None:
    parts = parse("k | trials(n) ~ x * z + offset(log(e)) + (1 | g) - 1")
    assert (parts.response, parts.given, parts.fixed, parts.offsets) == ("k", {"trials": "n"}, "x * z - 1", ("log(e)",))
    assert parse("y ~ (1 | g)").fixed == "1"


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("y", "has 0 '~'"),
        ("y ~ x ~ z", "has 2 '~'"),
        ("~ x", "the response ''"),
        ("y ~ x * (1 | g)", "has a '|' outside a block"),
        ("y ~ x | g", "has a '|' outside a block"),
        ("y ~ x - (1 | g)", "is subtracted"),
        ("y ~ (1 | g) + (1 | g)", "stands twice"),
        ("y ~ (1 | f(g))", "must be a column"),
        ("y ~ (1 | g", "left open"),
        ("y ~ (1 | g | h | f)", "not of the form"),
        ("y | dec(n) ~ x", "behind a bar trials(n), weights(w)"),
    ],
)
def test_formulas_that_cannot_be_read_are_refused_with_the_reason(formula: str, said: str) -> None:
    with pytest.raises(bm.FormulaError, match=said.replace("|", r"\|").replace("(", r"\(").replace(")", r"\)")):
        parse(formula)


def test_counts_of_successes_side_by_side_are_another_packages_spelling() -> None:
    with pytest.raises(bm.FormulaError, match="another package's spelling"):
        build_design("cbind(a, b) ~ x", simulated())


def test_formulaic_alone_would_drop_what_is_refused_here() -> None:
    with pytest.raises(bm.FormulaError, match="cannot be evaluated"):
        build_design("y ~ x + * f", simulated())
    with pytest.raises(bm.FormulaError, match=r"calls 'splin', which is no function"):
        build_design("y ~ splin(x)", simulated())


def test_own_functions_come_through_the_namespace() -> None:
    design = build_design("y ~ double(x)", simulated(), namespace={"double": lambda v: 2 * v})
    np.testing.assert_allclose(design.rows(simulated()).X[:, 1], 2 * simulated().x)


@pytest.mark.parametrize(
    "term",
    ["scale(x)", "center(x)", "poly(x, 2)", "bs(x, df=4)", "cs(x, df=4, constraints='center')", "I(x**2)", "log(x+9)"],
)
def test_transforms_are_frozen_at_the_fit(term: str) -> None:
    data = simulated()
    design = build_design(f"y ~ {term} + (0 + {term} | g)", data)
    rows = design.rows(data)
    part = design.rows(data.iloc[10:13])
    np.testing.assert_allclose(part.X, rows.X[10:13], rtol=1e-13)
    np.testing.assert_allclose(part.Z["g"], rows.Z["g"][10:13], rtol=1e-13)


def test_levels_are_frozen_in_their_order() -> None:
    data = simulated(f=pd.Categorical(simulated().f, ["c", "a", "b", "unused"]))
    design = build_design("y ~ f + (1 | g)", data)
    assert design.coef == ("Intercept", "f[a]", "f[b]")
    one = design.rows(pd.DataFrame({"f": ["a"]}))
    np.testing.assert_array_equal(one.X, [[1, 1, 0]])


def test_unseen_level_is_an_error_never_the_reference_level() -> None:
    design = build_design("y ~ f + C(treated)", simulated())
    with pytest.raises(bm.DataError, match=r"levels 'bb' that the fit has not seen; it knows 'a', 'b', 'c'"):
        design.rows(simulated().assign(f="bb"))
    with pytest.raises(bm.DataError, match=r"levels 2 that the fit has not seen; it knows 0, 1\..* by C\(treated\)"):
        design.rows(simulated().assign(treated=2))
    with pytest.raises(bm.DataError, match="Only levels seen at the fit"):
        build_design("y ~ C(treated * 2)", simulated()).rows(simulated().assign(treated=2))


def test_factor_given_as_another_type_is_named() -> None:
    data = simulated(f=simulated().f.map({"a": "1", "b": "2", "c": "3"}))
    with pytest.raises(bm.DataError, match="text against numbers"):
        build_design("y ~ f", data).rows(data.assign(f=data.f.astype(int)))


def test_misspelt_column_gets_its_close_match() -> None:
    with pytest.raises(bm.DataError, match=r"needs the column 'treatd'.*Did you mean 'treated'"):
        build_design("y ~ treatd + (1 | g)", simulated())


def test_missing_values_are_counted_or_dropped_when_asked() -> None:
    data = simulated()
    data.loc[[1, 5], "x"] = np.nan
    data.loc[7, "g"] = None
    with pytest.raises(bm.DataError, match=r"3 of 80 rows have missing values, by column: \{'g': 1, 'x': 2\}"):
        build_design("y ~ x + (1 | g)", data)
    with pytest.warns(bm.BayesmarginsWarning, match="3 of 80 rows with missing values were dropped"):
        assert len(build_design("y ~ x + (1 | g)", data, missing="drop").data) == 77
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build_design("y ~ f + (1 | h)", data)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"x": np.inf}, "infinite"),
        ({"y": ["yes"] * 80}, r"astype\(int\)"),
        ({"x": [1 + 2j] * 80}, "complex"),
        ({"f": ["a", 1] * 40}, "types"),
    ],
)
def test_values_that_a_formula_cannot_read_are_named(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(bm.DataError, match=said):
        build_design("y ~ x + f + (1 | g)", simulated(**changed))


def test_transform_without_a_value_is_an_error() -> None:
    with pytest.raises(bm.DataError, match=r"'log\(x\)' has no finite value in \d+ rows"):
        build_design("y ~ log(x)", simulated())


def test_terms_and_codes_of_every_kind_of_block() -> None:
    design = build_design("y ~ 1 + (x || g) + (1 + x + treated | h) + (1 | g:h)", simulated())
    g, h, gh = design.factors.values()
    assert (g.terms, g.blocks) == (("Intercept", "x"), ((0,), (1,)))
    assert (h.terms, h.blocks) == (("Intercept", "x", "treated"), ((0, 1, 2),))
    labels = simulated().g + ":" + simulated().h
    assert [gh.levels[c] for c in gh.codes] == labels.tolist()
    assert set(gh.levels) == set(labels)


def test_several_blocks_of_one_factor_are_independent_of_each_other() -> None:
    factor = build_design("y ~ x + (1 | g) + (0 + x | g)", simulated()).factors["g"]
    assert (factor.terms, factor.blocks) == (("Intercept", "x"), ((0,), (1,)))
    with pytest.raises(bm.FormulaError, match="each must occur once"):
        build_design("y ~ x + (1 | g) + (x | g)", simulated())


def test_levels_of_numeric_groups_stay_numbers_in_numeric_order() -> None:
    data = simulated(g=np.tile([10, 9, 100, 1], 20))
    assert build_design("y ~ 1 + (1 | g)", data).factors["g"].levels == (1, 9, 10, 100)


def test_groups_whose_labels_would_collide_are_refused() -> None:
    data = simulated(g=np.tile(["a:b", "a"], 40), h=np.tile(["c", "b:c"], 40))
    with pytest.raises(bm.DataError, match="share the label 'a:b:c'"):
        build_design("y ~ 1 + (1 | g:h)", data)


def test_dependent_columns_are_said() -> None:
    with pytest.warns(bm.BayesmarginsWarning, match=r"The 3 fixed columns 'Intercept', 'x', 'twice' have rank 2"):
        build_design("y ~ x + twice", simulated(twice=2 * simulated().x))


@pytest.mark.parametrize("kind", ["polars", "arrow", "nullable", "dict"])
def test_frames_of_other_libraries_give_the_same_design(kind: str) -> None:
    data = simulated()
    if kind == "polars":
        other = pytest.importorskip("polars").from_pandas(data)
    elif kind == "arrow":
        other = pytest.importorskip("pyarrow").Table.from_pandas(data)
    else:
        other = data.convert_dtypes() if kind == "nullable" else data.to_dict("list")
    formula = "y ~ x * f + treated + flag + (1 + x | g)"
    a, b = build_design(formula, data), build_design(formula, other)
    assert a.coef == b.coef
    np.testing.assert_array_equal(a.rows(a.data).X, b.rows(b.data).X)
    np.testing.assert_array_equal(a.factors["g"].codes, b.factors["g"].codes)
    assert a.factors["g"].levels == b.factors["g"].levels


def test_frames_that_are_none_are_refused() -> None:
    for data, said in [
        ([1, 2], "is list"),
        (simulated().iloc[:0], "has no rows"),
        (simulated().rename(columns={"x": "y"}), "repeat"),
    ]:
        with pytest.raises(bm.DataError, match=said):
            build_design("y ~ f", data)


@pytest.mark.parametrize(
    ("fixed", "direct"),
    [
        ("x * `my z` * k + b", True),
        ("0 + b + x:k", True),
        ("1", True),
        ("x + c", True),
        ("x + x:c", True),
        ("x*c*d + k:d:x", True),
        ("0 + d + x:c:d", True),
        ("0 + c:d + b", True),
        ("x + C(k)", False),
        ("c + C(d, contr.sum)", False),
        ("center(x) + k", False),
        ("{x**2} + b:x", False),
        ("2:x", False),
    ],
)
def test_columns_as_they_are_need_no_formulaic_and_give_its_columns(fixed: str, direct: bool) -> None:
    rng = np.random.default_rng(3)
    numbers = {"y": rng.normal(size=36), "x": rng.normal(size=36), "my z": rng.normal(size=36)}
    levels = pd.Categorical(["v:w", "u", "u", "v:w"] * 9, ["v:w", "u"], ordered=True)
    factors = {"b": rng.random(36) < 0.5, "c": list("abc") * 12, "d": levels}
    frame = pd.DataFrame({**numbers, **factors, "k": rng.integers(0, 3, 36)})
    matrix = build_design(f"y ~ {fixed}", frame).fixed
    assert (matrix.products is not None) == direct
    again = np.asarray(matrix.spec.get_model_matrix(frame, context=matrix.context), dtype=float)
    np.testing.assert_array_equal(matrix.evaluate(frame), again)


def test_columns_with_spaces_go_through_backticks() -> None:
    data = simulated().rename(columns={"x": "my x", "g": "my g"})
    design = build_design("y ~ `my x` + (1 + `my x` | `my g`)", data)
    np.testing.assert_array_equal(design.rows(data).Z["my g"][:, 1], data["my x"])


def test_random_slopes_over_many_groups_never_make_a_dense_matrix() -> None:
    """100,000 rows x 1,000 groups as a dense Z would be 1.6 GB; rows of z and codes are 2.4 MB."""
    rng = np.random.default_rng(0)
    n = 100_000
    data = pd.DataFrame({"y": rng.normal(size=n), "x": rng.normal(size=n), "g": rng.integers(0, 1000, n)})
    start = time.perf_counter()
    design = build_design("y ~ x + (1 + x | g)", data)
    rows = design.rows(data)
    print(f"{time.perf_counter() - start:.2f} s")
    assert rows.Z["g"].shape == (n, 2)
    assert design.factors["g"].codes.nbytes == 8 * n
