"""brms's formulas, families and names of columns and groups: read with their meaning, or refused in a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.stats import norm

import bayesmargins as bm
from bayesmargins.adapters.brms.parts import separated
from bayesmargins.adapters.brms.r_formula import family_and_link, translated

LEVELS = ["(0,10]", "(10,20]", "drug A+", "a-b/c", "Öl & 5$", "p.q", "it's", "u:v"]
# From R's paste0("f", level) and brms's list of replacements, by hand.
SPELT = ["010", "1020", "drugAP", "aMbDc", "Öl&5$", "p.q", "its", "u:v"]


def _draws(columns: list[str], n: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    return pd.DataFrame({".chain": 1} | {c: rng.uniform(0.1, 0.9, n) for c in columns})


def _rows(**columns: Any) -> pd.DataFrame:
    n = 24
    rng = np.random.default_rng(3)
    base = {"y": np.resize([0, 1], n), "x": rng.normal(size=n), "n": np.full(n, 4), "g": np.resize(["u", "v", "w"], n)}
    return pd.DataFrame(base | {k: v if isinstance(v, pd.Categorical) else np.resize(v, n) for k, v in columns.items()})


@pytest.mark.parametrize(
    ("written", "family", "read"),
    [
        ("y ~ x + (1 |p| gr(g))", "bernoulli", "y ~ x + (1 | g)"),
        ("y ~ x + (1 + x | gr(g, cor = FALSE))", "bernoulli", "y ~ x + (1 + x || g)"),
        ("y ~ x + (1 | gr(g, cov = A, cor = TRUE))", "bernoulli", "y ~ x + (1 | gr(g, cov = A))"),
        ("y ~ x + (1 |p| gr(g, by = h))", "bernoulli", "y ~ x + (1 | gr(g, by = h))"),
        ("y ~ x + (x || g)", "bernoulli", "y ~ x + (x || g)"),
        ("y ~ 0 + Intercept + x + (1 | a:b) + (1 | a/b)", "bernoulli", "y ~ 1 + x + (1 | a:b) + (1 | a/b)"),
        ("y | trials(n) ~ as.factor(k)", "binomial", "y | trials(n) ~ C(k)"),
        ("y | rate(n) ~ x", "poisson", "y | rate(n) ~ x"),
        ("y | cens(c, y2) + trunc(lb = 0) ~ x", "gaussian", "y | cens(c, y2) + trunc(lb = 0) ~ x"),
        ("y ~ x + offset(log(n))", "poisson", "y ~ x + offset(log(n))"),
        ("y | se(s, sigma = TRUE) ~ 1 + (1 | study)", "gaussian", "y | se(s, sigma = TRUE) ~ 1 + (1 | study)"),
    ],
)
def test_formulas_of_brms_are_written_as_here(written: str, family: str, read: str) -> None:
    assert translated(written, family).formula == read


@pytest.mark.parametrize(
    ("formula", "family", "said"),
    [
        ("y ~ x + s(x, k = 5)", "bernoulli", r"s\(\) in .* is a smooth"),
        ("y ~ gp(x)", "bernoulli", "Gaussian process"),
        ("y ~ me(x, s):g", "bernoulli", "covariate with measurement error"),
        ("y ~ cs(x)", "bernoulli", "category-specific"),
        ("y ~ x + ar(p = 1)", "gaussian", "correlation of residuals"),
        ("y ~ x + (1 | gr(g, dist = 'cauchy'))", "bernoulli", "has 'dist = cauchy'"),
        ("y ~ (1 |p| g) + (0 + x |p| g)", "bernoulli", "Two blocks .* are correlated by 'p'. Write them as one"),
        ("y | mi() ~ x", "gaussian", r"mi\(\) left of '~' .* is refused: the missing responses are parameters"),
        ("y | weights(w, scale = TRUE) ~ x", "gaussian", r"weights\(w, scale = TRUE\) .*: its arguments are"),
        ("mvbind(y, z) ~ x", "gaussian", "several responses"),
        ("y ~ Intercept + x", "gaussian", r"goes with 0 \+ Intercept"),
        ("y ~ 0 + Intercept + x + (1 | a | b | g)", "gaussian", "is no block"),
    ],
)
def test_terms_without_a_counterpart_are_refused_by_what_they_are(formula: str, family: str, said: str) -> None:
    with pytest.raises(bm.FormulaError, match=said):
        translated(formula, family)


@pytest.mark.parametrize(
    ("family", "read"),
    [
        ("Bernoulli", ("bernoulli", None)),
        ("bernoulli()", ("bernoulli", None)),
        ('binomial("probit")', ("binomial", "probit")),
        ("brms::bernoulli(link = cloglog)", ("bernoulli", "cloglog")),
        ('brmsfamily("negbinomial", "log")', ("negbinomial", "log")),
        ('negbinomial(link = "log", link_shape = "log")', ("negbinomial", "log")),
        ('brmsfamily("gaussian", link_sigma = "identity", link = "log")', ("gaussian", "log")),
    ],
)
def test_families_are_read_as_r_writes_them(family: str, read: tuple[str, str | None]) -> None:
    assert family_and_link(family, None) == read
    with pytest.raises(bm.ModelError, match="give one of them"):
        family_and_link('binomial("probit")', "logit")


@pytest.mark.parametrize(
    "formula",
    [
        "bf(y ~ x, sigma ~ z + (1 | g))",
        "brms::bf(formula = y ~ x, lf(sigma ~ z + (1 | g), cmc = FALSE), center = FALSE, nl = FALSE)",
        "bf(y ~ x, sigma = ~ z + (1 | g), unused = ~ w)",
        "bf(y ~ x, flist = list(sigma ~ z + (1 | g)))",
        "bf(bf(y ~ x), sigma ~ z + (1 | g))",
        "bf(y ~ x) + lf(sigma ~ z + (1 | g)) + set_rescor(FALSE)",
        {"mu": "bf(y ~ x)", "sigma": "~ z + (1 | g)"},
    ],
)
def test_formulas_of_parameters_are_read_wherever_brms_takes_them(formula: Any) -> None:
    assert separated(formula, ["sigma"]) == ("y ~ x", {"sigma": "sigma ~ z + (1 | g)"})


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("bf(y ~ x, nl = TRUE)", "further part 'nl = TRUE', and non-linear formulas"),
        ("bf(y ~ a * x, nlf(a ~ b), b ~ 1)", r"further part 'nlf\(a ~ b\)', and non-linear"),
        ("bf(y ~ a) + nlf(a ~ b)", "non-linear formulas have no counterpart"),
        ("bf(y ~ x, shape = 'mu')", "makes the parameter 'shape' that of 'mu'"),
        ("bf(y ~ x) + bf(z ~ x)", "several responses"),
        ("bf(y ~ x) - lf(sigma ~ z) + acformula(~ ar(1))", r"further part 'lf\(sigma ~ z\)'"),
        ("bf(y ~ x) + acformula(~ ar(1))", r"further part 'acformula"),
        ("bf(y ~ x, family = gaussian()) + bernoulli()", "names two families"),
    ],
)
def test_parts_of_bf_without_a_counterpart_are_refused_by_what_they_are(formula: str, said: str) -> None:
    with pytest.raises(bm.FormulaError, match=said):
        separated(formula, ["sigma", "shape"])


IDENTITY = 'brmsfamily("gaussian", link = "identity", link_sigma = "identity")'


@pytest.mark.parametrize(
    ("formula", "family", "links"),
    [
        ("bf(y ~ x, sigma ~ x)", "gaussian", ("identity", "log")),
        (f"bf(y ~ x, sigma ~ x, family = {IDENTITY})", "gaussian", ("identity", "identity")),
        (
            "bf(y ~ x, sigma ~ x, family = brmsfamily('gaussian',\n link_sigma = 'identity'))",
            "gaussian",
            (None, "identity"),
        ),
        (f"bf(y ~ x, sigma ~ x) + {IDENTITY}", IDENTITY, ("identity", "identity")),
        ({"mu": f"bf(y ~ x, family = {IDENTITY})", "sigma": "~ x"}, "gaussian", ("identity", "identity")),
        ("bf(y ~ x, sigma ~ x, family = gaussian)", "Gaussian()", ("identity", "log")),
    ],
)
def test_links_are_those_of_the_family_inside_the_formula(formula: Any, family: str, links: tuple[str, str]) -> None:
    draws = _draws(["b_Intercept", "b_x", "b_sigma_Intercept", "b_sigma_x"])
    post = bm.from_brms(draws, formula, _rows(y=np.linspace(0, 3, 24)), family=family)
    assert (post.link.name, post.parts["sigma"].link.name) == (links[0] or "identity", links[1])


def test_the_family_of_the_formula_and_the_argument_have_to_agree() -> None:
    draws, rows = _draws(["b_Intercept", "b_x"]), _rows()
    probit = bm.from_brms(draws, "bf(y ~ x, family = bernoulli('probit'))", rows, family="bernoulli")
    eta = draws["b_Intercept"].to_numpy()[:, None] + draws["b_x"].to_numpy()[:, None] * rows["x"].to_numpy()
    np.testing.assert_allclose(bm.predictions(probit)["estimate"][0], norm.cdf(eta), rtol=1e-12)
    for formula, family, link in (
        ("bf(y ~ x, family = binomial())", "poisson", None),
        ("bf(y ~ x) + bernoulli('probit')", "bernoulli", "logit"),
        ("bf(y ~ x, family = bernoulli)", "bernoulli", "probit"),  # brms fits the formula's family, with its default
        ("bf(y ~ x, family = 'student')", "bernoulli", None),
        ("bf(y ~ x, family = gaussian())", IDENTITY, None),
    ):
        with pytest.raises(bm.ModelError, match=r"The formula names family=.*give that of the fit"):
            bm.from_brms(draws, formula, rows, family=family, link=link)


def test_a_family_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(bm.ModelError, match="family='com_poisson' is not known; allowed are adjacent, "):
        bm.from_brms(_draws(["b_Intercept"]), "y ~ 1", _rows(), family="com_poisson()")


def test_rates_are_offsets_and_known_errors_leave_sigma_unread() -> None:
    draws = _draws(["b_Intercept", "b_x"])
    rate = bm.from_brms(draws, "y | rate(n) ~ x", _rows(), family="poisson()")
    offset = bm.from_brms(draws, "y ~ x + offset(log(n))", _rows(), family="poisson")
    np.testing.assert_array_equal(*(bm.avg_predictions(p)["estimate"] for p in (rate, offset)))
    eta = draws["b_Intercept"].to_numpy()[:, None] + draws["b_x"].to_numpy()[:, None] * _rows()["x"].to_numpy()
    np.testing.assert_allclose(bm.avg_predictions(rate)["estimate"][0], 4 * np.exp(eta).mean(axis=1), rtol=1e-12)
    measured = _rows().assign(y=_rows()["y"] + 0.5)
    measured["s"] = np.linspace(0.5, 1.0, len(measured))
    known = bm.from_brms(draws.assign(sigma=0.0), "y | se(s) ~ x", measured, family="gaussian")
    assert known.aux == {}
    of_rows = bm.predictions(known, target=bm.sd())["estimate"][0]
    np.testing.assert_allclose(of_rows, np.broadcast_to(measured["s"], of_rows.shape), rtol=1e-13)
    density = norm.logpdf(measured["y"], eta, measured["s"])
    np.testing.assert_allclose(known.log_likelihood()["y"][0], density, rtol=1e-12)
    both = bm.from_brms(draws.assign(sigma=0.6), "y | se(s, sigma = TRUE) ~ x", measured, family="gaussian")
    of_rows = bm.predictions(both, target=bm.sd())["estimate"][0]
    np.testing.assert_allclose(of_rows, np.broadcast_to(np.hypot(measured["s"], 0.6), of_rows.shape), rtol=1e-13)


def test_weights_of_the_fit_multiply_its_log_likelihood() -> None:
    """As in brms, whose log_lik() is of the weighted rows."""
    post = bm.from_brms(_draws(["b_Intercept", "b_x"]), "y | weights(n) ~ x", _rows(), family="bernoulli")
    plain = bm.from_brms(_draws(["b_Intercept", "b_x"]), "y ~ x", _rows(), family="bernoulli")
    weighed, unweighed = (p.log_likelihood()["y"] for p in (post, plain))
    np.testing.assert_allclose(weighed, 4.0 * unweighed, rtol=1e-13)
    np.testing.assert_array_equal(*(bm.avg_predictions(p)["estimate"] for p in (post, plain)))


MAIN = [f"b_f{s}" for s in SPELT]
WITH_X = [f"b_f{s}:x" if k % 2 else f"b_x:f{s}" for k, s in enumerate(SPELT)]  # in either order


@pytest.mark.parametrize(
    ("formula", "columns"),
    [
        ("y ~ f", ["b_Intercept", *MAIN[1:]]),
        ("y ~ f * x", ["b_Intercept", *MAIN[1:], "b_x", *WITH_X[1:]]),
        ("y ~ x + f:x", ["b_Intercept", "b_x", *WITH_X[1:]]),
        ("y ~ 0 + f", MAIN),
    ],
)
def test_levels_with_signs_are_found_under_the_names_of_brms(formula: str, columns: list[str]) -> None:
    rows = _rows(f=pd.Categorical(np.resize(LEVELS, 24), LEVELS))
    draws = _draws(columns)
    post = bm.from_brms(draws[[".chain", *reversed(columns)]], formula, rows, family="bernoulli")
    np.testing.assert_array_equal(post.draws.beta, draws[columns])


@pytest.mark.parametrize(
    ("formula", "column", "true"),
    [  # R names these columns "I(x > 0)TRUE"; of brms's replacements, "=" is one and ">", "<" and "!" are none
        ("y ~ I(x > 0)", "b_Ix>0TRUE", lambda d: d["x"] > 0),
        ("y ~ I(x<=0)", "b_Ix<EQ0TRUE", lambda d: d["x"] <= 0),
        ("y ~ I(g == 'u')", "b_IgEQEQuTRUE", lambda d: d["g"] == "u"),
        ("y ~ I(g != 'u'):n", "b_Ig!EQuTRUE:n", lambda d: (d["g"] != "u") * d["n"]),
        ("y ~ I((x > 0) * 1)", "b_Ix>0MU1", lambda d: d["x"] > 0),
    ],
)
def test_truth_values_are_found_under_the_names_of_r(formula: str, column: str, true: Any) -> None:
    draws, rows = _draws(["b_Intercept", column, "b_n"][: 2 + (":n" in column)]), _rows(n=np.arange(24))
    post = bm.from_brms(draws, formula.replace("y ~", "y ~ n +" if ":n" in column else "y ~"), rows, family="bernoulli")
    at = [k for k, c in enumerate(post.design.coef) if "I(" in c]
    np.testing.assert_array_equal(post.draws.beta[:, at[0]], draws[column])
    np.testing.assert_array_equal(post.design.rows(rows).X[:, at[0]], true(rows).astype(float))


def test_without_rows_it_is_the_formula_of_a_parameter_that_needs_them() -> None:
    draws = _draws(["b_Intercept", "b_sigma_Intercept", "b_sigma_fv"])
    for levels in ({}, {"f": ["u", "v"]}, {"nothing": [1]}):
        with pytest.raises(bm.DataError, match="The formula of 'sigma' needs the fitted rows: give data="):
            bm.from_brms(draws, "bf(y ~ 1, sigma ~ f)", levels=levels, family="gaussian")


def test_dollars_are_found_as_new_and_old_brms_spell_them() -> None:
    rows = _rows(f=pd.Categorical(np.resize(["a", "5$"], 24), ["a", "5$"]))
    for name in ("b_f5$", "b_f5USD"):
        assert bm.from_brms(_draws(["b_Intercept", name]), "y ~ f", rows, family="bernoulli").beta.sizes["coef"] == 2


def test_columns_whose_names_need_backticks() -> None:
    rows = _rows(x=1.0).assign(**{"my x": np.linspace(0, 1, 24)})
    for name in ("b_myx", "b_`myx`"):
        assert (
            bm.from_brms(_draws(["b_Intercept", name]), "y ~ `my x`", rows, family="bernoulli").beta.sizes["coef"] == 2
        )


def test_polynomial_and_scaled_columns_are_those_of_r() -> None:
    # R 4: poly(1:5, 2), scale(1:5), in every digit that R prints.
    rows = pd.DataFrame({"y": [0, 1, 0, 1, 1], "x": [1.0, 2, 3, 4, 5]})
    post = bm.from_brms(_draws(["b_Intercept", "b_polyx21", "b_polyx22"]), "y ~ poly(x, 2)", rows, family="bernoulli")
    X = post.design.rows(rows).X
    np.testing.assert_allclose(X[:, 1], [-0.6324555, -0.3162278, 0.0, 0.3162278, 0.6324555], atol=1e-7)
    np.testing.assert_allclose(X[:, 2], [0.5345225, -0.2672612, -0.5345225, -0.2672612, 0.5345225], atol=1e-7)
    scaled = bm.from_brms(_draws(["b_Intercept", "b_scalex"]), "y ~ scale(x)", rows, family="bernoulli")
    np.testing.assert_allclose(
        scaled.design.rows(rows).X[:, 1], [-1.2649111, -0.6324555, 0, 0.6324555, 1.2649111], atol=1e-7
    )


def test_other_contrasts_are_named_and_read_where_the_formula_says_them() -> None:
    rows = _rows(f=pd.Categorical(np.resize(["low", "mid", "high"], 24), ["low", "mid", "high"], ordered=True))
    ordered, summed = _draws(["b_Intercept", "b_f.L", "b_f.Q"]), _draws(["b_Intercept", "b_f1", "b_f2"])
    with pytest.raises(bm.PosteriorError, match=r"'f' as an ordered factor.*write C\(f, contr.poly\)"):
        bm.from_brms(ordered, "y ~ f", rows, family="bernoulli")
    with pytest.raises(bm.PosteriorError, match=r"R numbered the columns of 'f'.*write C\(f, contr.sum\); others"):
        bm.from_brms(summed, "y ~ f", rows, family="bernoulli")
    poly = bm.from_brms(ordered, "y ~ C(f, contr.poly)", rows, family="bernoulli").design.rows(rows).X[:3, 1:]
    root = np.sqrt([2, 6])
    np.testing.assert_allclose(poly, np.array([[-1, 1], [0, -2], [1, 1]]) / root, atol=1e-12)  # R: contr.poly(3)
    sums = bm.from_brms(summed, "y ~ C(f, contr.sum)", rows, family="bernoulli")
    assert sums.design.rows(rows).X[:3, 1:].tolist() == [[1, 0], [0, 1], [-1, -1]]  # R: contr.sum(3)
    np.testing.assert_array_equal(sums.draws.beta[:, 2], summed["b_f2"])


def test_groups_with_any_signs_are_found_by_name() -> None:
    labels = ["Smith, J.", "a[1]", "Zoë\tK", "10"]
    named = ["Smith,.J.", "a[1]", "Zoë.K", "10"]
    rows = _rows(g=labels)
    draws = _draws(["b_Intercept", "sd_g__Intercept", *(f"r_g[{n},Intercept]" for n in named)])
    post = bm.from_brms(draws, "y ~ 1 + (1 | g)", rows, family="bernoulli")
    for level, b in zip(post.design.factors["g"].levels, post.draws.b["g"][..., 0].T, strict=True):
        np.testing.assert_array_equal(b, draws[f"r_g[{named[labels.index(level)]},Intercept]"])


def test_numbers_as_r_writes_them_and_groups_that_brms_names_alike() -> None:
    rows = _rows(g=[100000, 2, 30])
    names = ["r_g[1e+05,Intercept]", "r_g[2,Intercept]", "r_g[30,Intercept]"]
    draws = _draws(["b_Intercept", "sd_g__Intercept", *names])
    post = bm.from_brms(draws, "y ~ 1 + (1 | g)", rows, family="bernoulli")
    np.testing.assert_array_equal(post.draws.b["g"][:, 2, 0], draws[names[0]])
    with pytest.raises(bm.PosteriorError, match=r"have one name in brms, 'a\.b'"):
        bm.from_brms(draws, "y ~ 1 + (1 | g)", _rows(g=["a b", "a.b", "c"]), family="bernoulli")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("student", ("student_t", None)),
        ("student()", ("student_t", None)),
        ('brmsfamily("student", link_nu = "log")', ("student_t", None)),
        ("Beta", ("beta", None)),
        ('Beta("probit")', ("beta", "probit")),
        ('Gamma("log")', ("gamma", "log")),
        ("Gamma", ("gamma", None)),
        ("Gamma()", ("gamma", "inverse")),
        ("beta_binomial(link_phi = 'identity')", ("beta_binomial", None)),
        ("poisson(link = sqrt)", ("poisson", "sqrt")),
        ("bernoulli('cauchit')", ("bernoulli", "cauchit")),
        ('brmsfamily("gaussian", link = "softplus", link_sigma = "softplus")', ("gaussian", "softplus")),
        ('gamma(link = "1/mu^2")', ("gamma", "1/mu^2")),
    ],
)
def test_families_go_by_the_names_that_r_gives_them(text: str, expected: tuple[str, str | None]) -> None:
    """R's own Gamma() has the inverse link, brms's text "Gamma" the log link."""
    assert family_and_link(text, None) == expected


def test_the_inverse_link_of_r_is_not_taken_for_the_default() -> None:
    rows = pd.DataFrame({"y": [1.0, 2.0, 0.5, 1.2], "g": [*"aabb"]})
    draws = pd.DataFrame({"b_Intercept": [1.1, 1.2], "shape": [1.0, 2.0], ".chain": [1, 1]})
    assert bm.from_brms(draws, "y ~ 1", rows, family="Gamma").link.name == "log"
    draws = draws.assign(**{"sd_g__Intercept": 0.3, "r_g[a,Intercept]": [0.2, 0.1], "r_g[b,Intercept]": [-0.3, -0.1]})
    post = bm.from_brms(draws, "y ~ 1 + (1 | g)", rows, family="Gamma()")
    assert post.link.name == "inverse"
    for groups, wanted in (
        ("zero", [1 / 1.1, 1 / 1.2]),
        ("existing", [(1 / 1.3 + 1 / 0.8) / 2, (1 / 1.3 + 1 / 1.1) / 2]),
        ({"g": ["a"]}, [1 / 1.3, 1 / 1.3]),
    ):
        found = bm.avg_predictions(post, groups=groups)["estimate"].values
        np.testing.assert_allclose(found.ravel(), wanted, rtol=1e-14)
    own = bm.predictions(post, groups="own")["estimate"].values[0]
    np.testing.assert_allclose(own, [[1 / 1.3] * 2 + [1 / 0.8] * 2, [1 / 1.3] * 2 + [1 / 1.1] * 2], rtol=1e-14)
    with pytest.raises(bm.IntegrationError, match=r"do not exist under the inverse link: .* not integrable .*'own'"):
        bm.avg_predictions(post)


def test_degrees_of_freedom_with_a_formula_have_the_link_of_brms() -> None:
    """logm1: nu is 1 + exp() of its predictor, also averaged over new groups."""
    rows = pd.DataFrame({"y": [1.0, 2.0, 0.5, 0.7], "x": [0.0, 1.0, 2.0, 3.0], "g": ["a", "a", "b", "b"]})
    names = ["b_Intercept", "b_nu_Intercept", "b_nu_x", "sd_g__nu_Intercept", "sigma"]
    names += ["r_g__nu[a,Intercept]", "r_g__nu[b,Intercept]"]
    values = np.random.default_rng(2).uniform(0.2, 1.0, (6, len(names)))
    values[:, -2:] -= 0.6
    draws = pd.DataFrame(values, columns=names).assign(**{".chain": 1})
    post = bm.from_brms(draws, "bf(y ~ 1, nu ~ x + (1 | g))", rows, family="student")
    assert post.parts["nu"].link.name == "logm1"
    eta = draws["b_nu_Intercept"] + 3.0 * draws["b_nu_x"]
    for groups, more in (("new", draws["sd_g__nu_Intercept"] ** 2 / 2), ("own", draws["r_g__nu[b,Intercept]"])):
        found = bm.predictions(post, rows.tail(1), target="nu", groups=groups)["estimate"].to_numpy().ravel()
        np.testing.assert_allclose(found, 1.0 + np.exp(eta + more), rtol=1e-13)
    fitted = draws[["r_g__nu[a,Intercept]", "r_g__nu[b,Intercept]"]].to_numpy()
    found = bm.predictions(post, rows.tail(1), target="nu", groups="existing")["estimate"].to_numpy().ravel()
    np.testing.assert_allclose(found, 1.0 + np.exp(eta.to_numpy()[:, None] + fitted).mean(axis=1), rtol=1e-13)
    other = bm.from_brms(draws, "bf(y ~ 1, nu ~ x + (1 | g))", rows, family='student(link_nu = "log")')
    assert other.parts["nu"].link.name == "log"
    # scipy's t with these parameters is what log_likelihood gives
    nu = 1.0 + np.exp(post.parts["nu"].linear_predictor())
    wanted = stats.t.logpdf(rows["y"].to_numpy(), nu, draws[["b_Intercept"]], draws[["sigma"]])
    np.testing.assert_allclose(post.log_likelihood()["y"][0], wanted, rtol=1e-12)


@pytest.mark.parametrize(("family", "name"), [("Beta", "phi"), ("Gamma", "shape")])
def test_parameters_of_brms_with_a_formula_keep_their_names(family: str, name: str) -> None:
    rows = pd.DataFrame({"y": [0.1, 0.2, 0.5, 0.7], "x": [0.0, 1.0, 2.0, 3.0]})
    columns = ["b_Intercept", f"b_{name}_Intercept", f"b_{name}_x"]
    draws = pd.DataFrame(np.random.default_rng(2).uniform(0.2, 1.0, (4, len(columns))), columns=columns)
    post = bm.from_brms(draws.assign(**{".chain": 1}), f"bf(y ~ 1, {name} ~ x)", rows, family=family)
    found = bm.predictions(post, target=name)["estimate"].to_numpy()[0]
    eta = draws[f"b_{name}_Intercept"].to_numpy()[:, None] + np.outer(draws[f"b_{name}_x"], rows["x"])
    np.testing.assert_allclose(found, np.exp(eta), rtol=1e-13)
    assert np.isfinite(bm.avg_predictions(post, target=bm.sd())["estimate"]).all()
