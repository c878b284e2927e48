"""Draws of brms, as they come: R's names of terms and levels, files, chains; and what does not fit is refused."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import reference
from arviz_stats.base import array_stats

import bayesmargins as bm


# Two factors and a family parameter; a correlated slope: every kind of name that the cases have.
@pytest.mark.parametrize("name", ["d_sleep", "f_grouse"])
def test_draws_of_reference_cases_are_read_as_by_hand(name: str) -> None:
    by_hand, read = reference.by_hand(name), reference.posterior(name)
    np.testing.assert_array_equal(read.draws.beta, by_hand.draws.beta)
    for factor, b in by_hand.draws.b.items():
        np.testing.assert_array_equal(read.draws.b[factor], b)
        np.testing.assert_allclose(read.draws.Sigma[factor], by_hand.draws.Sigma[factor], rtol=1e-14)
    assert {k: v.tolist() for k, v in read.draws.aux.items()} == {k: v.tolist() for k, v in by_hand.draws.aux.items()}
    assert read.sample_coords["chain"].size == 4
    assert read.info["source"] == "brms"


@pytest.fixture
def bacteria() -> dict[str, Any]:
    draws = pd.read_parquet(reference.HERE / "b_bacteria" / "draws.parquet")
    formula = "yb ~ trt + week + (1 | ID)"
    return {"draws": draws, "formula": formula, "data": reference.data("b_bacteria"), "family": "bernoulli"}


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_files_and_frames_are_the_same_draws(bacteria: dict[str, Any], tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"draws{ending}"
    write = bacteria["draws"].to_parquet if ending == ".parquet" else bacteria["draws"].to_csv
    write(path)
    read = bm.from_brms(**bacteria | {"draws": str(path)})
    np.testing.assert_allclose(read.draws.b["ID"], bm.from_brms(**bacteria).draws.b["ID"], rtol=1e-12)


def test_rows_out_of_order_and_a_single_chain(bacteria: dict[str, Any]) -> None:
    shuffled = bacteria["draws"].sample(frac=1.0, random_state=1)
    expected = bm.from_brms(**bacteria)
    np.testing.assert_array_equal(bm.from_brms(**bacteria | {"draws": shuffled}).draws.beta, expected.draws.beta)
    bare = bacteria["draws"].drop(columns=[".chain", ".iteration", ".draw"])
    with pytest.warns(bm.BayesmarginsWarning, match=r"no column .chain: their 200 rows are read as one chain"):
        assert bm.from_brms(**bacteria | {"draws": bare}).sample_coords["chain"].size == 1


def _made(columns: list[str], seed: int = 5, n: int = 6) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({".chain": 1} | {c: rng.uniform(0.1, 0.9, n) for c in columns})


ROWS = pd.DataFrame(
    {
        "y": [0, 1, 1, 0, 1, 0, 1, 0],
        "age": [20.0, 31, 42, 53, 64, 75, 36, 27],
        "arm": pd.Categorical(np.resize(["no drug", "drug A+", "drug-B"], 8), ["no drug", "drug A+", "drug-B"]),
        "old": [False, False, True, True, True, True, False, False],
        "a": np.resize(["s 1", "s 2"], 8),
        "c": np.resize([1, 2, 3, 4], 8),
    }
)


MEASURED = ROWS.assign(y=ROWS["y"] + 0.5)


@pytest.mark.parametrize(
    ("formula", "columns"),
    [
        ("y ~ I(age^2) + arm", ["b_IageE2", "b_armdrugAP", "b_armdrugMB"]),
        ("y ~ arm * age", ["b_armdrugAP", "b_armdrugMB", "b_age", "b_age:armdrugAP", "b_armdrugMB:age"]),
        ("y ~ old + log(age)", ["b_oldTRUE", "b_logage"]),
        ("y ~ poly(age, 2)", ["b_polyage21", "b_polyage22"]),
        ("y ~ age + C(c)", ["b_age", "b_factorc2", "b_factorc3", "b_factorc4"]),
        ("bf(y ~ age)", ["b_age"]),
    ],
)
def test_terms_are_found_as_r_and_brms_spell_them(formula: str, columns: list[str]) -> None:
    draws = _made(["b_Intercept", *columns, "lp__"])
    post = bm.from_brms(draws, formula, ROWS, family="bernoulli")
    by_size = draws[["b_Intercept", *columns]].to_numpy()
    np.testing.assert_array_equal(np.sort(post.draws.beta, axis=1), np.sort(by_size, axis=1))
    if "arm" not in formula:
        np.testing.assert_array_equal(post.draws.beta, by_size)


def test_nested_factors_correlated_slopes_and_labels_with_blanks() -> None:
    effects = ["b_Intercept", "b_age", "sd_a__Intercept", "sd_a__age", "cor_a__Intercept__age", "sd_a:c__Intercept"]
    levels = [f"r_a[s.{k},{t}]" for k in (1, 2) for t in ("Intercept", "age")]
    nested = [f"r_a:c[s.{1 + (k + 1) % 2}_{k},Intercept]" for k in (1, 2, 3, 4)]
    draws = _made([*effects, *levels, *nested])
    post = bm.from_brms(draws, "y ~ age + (1 + age | a) + (1 | a:c)", ROWS, family="bernoulli")
    np.testing.assert_array_equal(post.draws.b["a"][:, 1, 1], draws["r_a[s.2,age]"])
    first = post.design.factors["a:c"].levels[0]
    np.testing.assert_array_equal(
        post.draws.b["a:c"][:, 0, 0], draws["r_a:c[" + first.replace(" ", ".").replace(":", "_") + ",Intercept]"]
    )
    Sigma = post.draws.Sigma["a"]
    expected = draws["cor_a__Intercept__age"] * draws["sd_a__Intercept"] * draws["sd_a__age"]
    np.testing.assert_allclose(Sigma[:, 0, 1], expected, rtol=1e-14)
    np.testing.assert_array_equal(Sigma[:, 0, 1], Sigma[:, 1, 0])
    uncorrelated = bm.from_brms(
        draws.drop(columns="cor_a__Intercept__age"), "y ~ age + (age || a) + (1 | a:c)", ROWS, family="bernoulli"
    )
    assert np.all(uncorrelated.draws.Sigma["a"][:, 0, 1] == 0.0)


def test_without_group_effects_new_and_zero_work(bacteria: dict[str, Any]) -> None:
    kept = [c for c in bacteria["draws"] if not c.startswith("r_")]
    post = bm.from_brms(**bacteria | {"draws": bacteria["draws"][kept]})
    full = bm.from_brms(**bacteria)
    for groups in ("new", "zero"):
        np.testing.assert_array_equal(*(bm.avg_predictions(p, groups=groups)["estimate"] for p in (post, full)))
    with pytest.raises(bm.PosteriorError, match="no draws of b for 'ID'"):
        bm.avg_predictions(post, groups="own")


def _renamed(old: str, new: str) -> Any:
    return lambda d: d.rename(columns={old: new})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_renamed("b_week", "b_wek"), r"no column 'b_week'.*Did you mean 'b_wek'"),
        (_renamed("sd_ID__Intercept", "sd_IDD__Intercept"), r"no column 'sd_ID__Intercept'"),
        (_renamed("r_ID[X01,Intercept]", "r_ID[X99,Intercept]"), r"no effects of the groups 'X01'"),
        (lambda d: d.assign(b_age=1.0), r"parameters 'b_age', which"),
        (lambda d: d.assign(zi=0.1), r"parameters 'zi', which .* family='bernoulli' does not have"),
        (lambda d: d.assign(sd_herd__Intercept=0.1), r"parameters 'sd_herd__Intercept'"),
        (lambda d: d.iloc[:-3], r"Chains have different numbers of draws, \{1: 50"),
        (
            lambda d: d.assign(b_week=np.where(d.index == 3, np.nan, 0.1)),
            r"column 'b_week' of the draws holds 1 values that are NaN",
        ),
        (lambda d: d.assign(b_week="a"), r"column 'b_week' of the draws holds"),
        (lambda d: d.assign(sd_ID__Intercept=-0.1), r"200 negative values; standard deviations are not"),
        (lambda d: d.assign(**{"r_ID[Q1,Intercept]": 0.1}), r"effects of the groups 'Q1' of 'ID', which the data lack"),
        (lambda d: "nowhere.csv", r"no file 'nowhere.csv'"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(bacteria: dict[str, Any], change: Any, said: str) -> None:
    with pytest.raises(bm.PosteriorError, match=said):
        bm.from_brms(**bacteria | {"draws": change(bacteria["draws"])})


def test_levels_of_another_order_change_the_reference_and_are_refused(bacteria: dict[str, Any]) -> None:
    text = bacteria["data"].assign(trt=bacteria["data"]["trt"].astype(str))  # alphabetical: drug comes first
    with pytest.raises(bm.PosteriorError, match=r"no column .*trtplacebo.*reference levels are those of the fit"):
        bm.from_brms(**bacteria | {"data": text})


def test_frames_of_other_libraries_hold_the_same_draws(bacteria: dict[str, Any]) -> None:
    expected = bm.from_brms(**bacteria).draws
    for frame in (pl.from_pandas(bacteria["draws"]), pa.Table.from_pandas(bacteria["draws"])):
        found = bm.from_brms(**bacteria | {"draws": frame}).draws
        np.testing.assert_array_equal(found.beta, expected.beta)
        np.testing.assert_array_equal(found.b["ID"], expected.b["ID"])


def test_thinned_draws_and_other_columns_beside_them(bacteria: dict[str, Any]) -> None:
    draws = bacteria["draws"]
    thinned = draws[draws.groupby(".chain").cumcount() % 5 == 0]
    beside = {"lprior": 0.1, "lp__": -9.0, "prior_b_week": 0.3, "z_1[1,1]": 0.2, "L_1[2,1]": 0.4, "Unnamed: 0": 1}
    beside |= {"hs_global": 0.1, "treedepth__": 3}
    post = bm.from_brms(**bacteria | {"draws": thinned.assign(**beside)})
    assert dict(post.beta.sizes) == {"chain": 4, "draw": 10, "coef": 4}
    np.testing.assert_array_equal(post.draws.beta[:, 3], thinned["b_week"])


def test_the_column_names_of_older_brms(bacteria: dict[str, Any]) -> None:
    older = bacteria["draws"].rename(columns={".chain": "chain", ".iteration": "iter"}).drop(columns=".draw")
    found = bm.from_brms(**bacteria | {"draws": older.sample(frac=1.0, random_state=2)})
    np.testing.assert_array_equal(found.draws.beta, bm.from_brms(**bacteria).draws.beta)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: pd.concat([d, d]), r"200 rows of the draws repeat a chain and iteration"),
        (
            lambda d: d.assign(**{".chain": "first"}),
            r"'.chain' of the draws holds 200 values that are no whole numbers",
        ),
        (lambda d: d.assign(**{".iteration": np.nan}), r"'.iteration' of the draws holds 200 values"),
        (
            lambda d: d.rename(columns=lambda c: re.sub(r"[\[\],]", ".", c)),
            r"R has changed the names.*check.names = FALSE",
        ),
        (lambda d: d.assign(b_week=["1,5"] * 200), r"column 'b_week' of the draws holds"),
        (lambda d: d.assign(b_week=np.inf), r"'b_week' of the draws holds 200 values that are NaN or infinite"),
        (lambda d: d[d[".chain"] != 2].drop(columns="b_Intercept"), r"no column 'b_Intercept'"),
    ],
)
def test_tables_that_were_spoilt_on_the_way_are_refused(bacteria: dict[str, Any], change: Any, said: str) -> None:
    with pytest.raises(bm.PosteriorError, match=said):
        bm.from_brms(**bacteria | {"draws": change(bacteria["draws"])})


def test_a_file_with_semicolons_is_refused(bacteria: dict[str, Any], tmp_path: Path) -> None:
    bacteria["draws"].to_csv(tmp_path / "draws.csv", sep=";", decimal=",", index=False)
    with pytest.raises(bm.PosteriorError, match=r"write.csv2 writes; write it with write.csv"):
        bm.from_brms(**bacteria | {"draws": tmp_path / "draws.csv"})
    (tmp_path / "draws.txt").write_text("a")
    with pytest.raises(bm.PosteriorError, match=r"'draws.txt' is none of a .csv, .csv.gz or .parquet file"):
        bm.from_brms(**bacteria | {"draws": tmp_path / "draws.txt"})


# Names that fits of bf(...) have: b_sigma_x, sd_g__sigma_x, r_g__sigma[level,x], cor_g__sigma_a__sigma_b, and across.
_OF_MEAN = ["b_Intercept", "b_age", "sd_c__Intercept", *(f"r_c[{k},Intercept]" for k in (1, 2, 3, 4))]
_OF_SIGMA = [
    *("b_sigma_Intercept", "b_sigma_armdrugAP", "b_sigma_armdrugMB"),
    *("sd_c__sigma_Intercept", "sd_c__sigma_age", "cor_c__sigma_Intercept__sigma_age"),
    *(f"r_c__sigma[{k},{t}]" for k in (1, 2, 3, 4) for t in ("Intercept", "age")),
]
_BOTH = {"mu": "y ~ age + (1 | c)", "sigma": "~ arm + (1 + age | c)"}


@pytest.mark.parametrize(
    "formula",
    [
        _BOTH,
        {**_BOTH, "sigma": "sigma ~ arm + (1 + age | c)"},
        "bf(y ~ age + (1 | c), sigma ~ arm + (1 + age | c), center = TRUE)",
    ],
)
def test_formulas_of_sigma_are_read(formula: Any) -> None:
    draws = _made([*_OF_MEAN, *_OF_SIGMA])
    means = [(ROWS["arm"] == arm).mean() for arm in ("drug A+", "drug-B")]
    draws["Intercept_sigma"] = draws["b_sigma_Intercept"] + draws[_OF_SIGMA[1:3]] @ means
    post = bm.from_brms(draws, formula, MEASURED, family="gaussian")
    part = post.parts["sigma"]
    assert part.design.coef == ("Intercept", "arm[drug A+]", "arm[drug-B]")
    np.testing.assert_array_equal(part.draws.beta, draws[_OF_SIGMA[:3]])
    np.testing.assert_array_equal(part.draws.b["c"][:, 2, 1], draws["r_c__sigma[3,age]"])
    Sigma = part.draws.Sigma["c"]
    sd, cor = draws[["sd_c__sigma_Intercept", "sd_c__sigma_age"]].to_numpy(), draws[_OF_SIGMA[5]].to_numpy()
    np.testing.assert_allclose(Sigma[:, 0, 1], sd[:, 0] * sd[:, 1] * cor, rtol=1e-14)
    np.testing.assert_allclose(Sigma[:, 1, 1], sd[:, 1] ** 2, rtol=1e-14)
    np.testing.assert_array_equal(post.draws.b["c"][:, 2, 0], draws["r_c[3,Intercept]"])
    assert part.link.name == "log"
    assert part.info == {"source": "brms"}
    row = MEASURED.head(1)
    found = bm.predictions(post, row, target="sigma", groups="own")["estimate"].to_numpy().ravel()
    by_hand = draws["b_sigma_Intercept"] + draws["r_c__sigma[1,Intercept]"] + 20 * draws["r_c__sigma[1,age]"]
    np.testing.assert_allclose(found, np.exp(by_hand), rtol=1e-12)


def test_shape_of_counts_and_a_link_that_is_named() -> None:
    columns = ["b_Intercept", "b_shape_Intercept", "b_shape_age"]
    family = 'brmsfamily("negbinomial", link_shape = "identity")'
    post = bm.from_brms(_made(columns), {"mu": "y ~ 1", "shape": "~ age"}, ROWS, family=family)
    assert post.parts["shape"].link.name == "identity"
    np.testing.assert_array_equal(post.parts["shape"].draws.beta, _made(columns)[columns[1:]])


_ACROSS = ["cor_c__Intercept__sigma_Intercept", "cor_c__Intercept__sigma_age"]


def test_correlations_across_parameters_are_kept() -> None:
    draws = _made([*_OF_MEAN, *_OF_SIGMA, *_ACROSS])
    draws[[*_ACROSS, _OF_SIGMA[5]]] *= 0.3  # whatever these are, all three together are correlations
    post = bm.from_brms(draws, _BOTH, MEASURED, family="gaussian")
    joint = post.across["c"]
    assert joint["c_predictor"].values.tolist() == ["mu", "sigma", "sigma"]
    assert joint["c_term"].values.tolist() == ["Intercept", "Intercept", "age"]
    sds = draws[["sd_c__Intercept", "sd_c__sigma_Intercept", "sd_c__sigma_age"]].to_numpy()
    correlations = draws[[*_ACROSS, _OF_SIGMA[5]]].to_numpy()
    for (i, j), cor in zip([(0, 1), (0, 2), (1, 2)], correlations.T, strict=True):
        np.testing.assert_allclose(joint.values.reshape(-1, 3, 3)[:, i, j], cor * sds[:, i] * sds[:, j], rtol=1e-13)
    assert "correlated" not in post.parts["sigma"].info
    labels = post.parameters["across_cor_c"]["across_c_pair"].values.tolist()
    assert labels == ["Intercept, sigma_Intercept", "Intercept, sigma_age"]
    np.testing.assert_allclose(post.parameters["across_cor_c"].values.reshape(-1, 2), correlations[:, :2], rtol=1e-12)


def test_correlations_across_parameters_that_the_draws_lack_are_known_of() -> None:
    marked = {"mu": "y ~ age + (1 |p| c)", "sigma": "~ arm + (1 + age |p| c)"}
    post = bm.from_brms(_made([*_OF_MEAN, *_OF_SIGMA]), marked, MEASURED, family="gaussian")
    assert post.parts["sigma"].info["correlated"] == ["c"]
    bm.avg_predictions(post, target="sigma")
    with pytest.raises(bm.GroupsError, match="correlated with those of another linear predictor"):
        bm.avg_predictions(post, target=bm.sd(), groups="sample")


@pytest.mark.parametrize(
    ("formula", "family", "error", "said"),
    [
        ({"sigma": "~ arm"}, "gaussian", bm.FormulaError, "the formula of the mean goes under 'mu'"),
        ({**_BOTH, "zi": "~ 1"}, "gaussian", bm.FormulaError, "a formula of 'zi'; the parameters .* are 'sigma'"),
        (_BOTH, "poisson", bm.FormulaError, "a formula of 'sigma'; the parameters .* are none"),
        ("bf(y ~ 1, sigma ~ 1, sigma ~ age)", "gaussian", bm.FormulaError, "'sigma' has two formulas"),
        ({**_BOTH, "sigma": "age"}, "gaussian", bm.FormulaError, "The formula of 'sigma' is 'age'; write it as text"),
        ({**_BOTH, "sigma": "shape ~ age"}, "gaussian", bm.FormulaError, "left of its '~' stands 'sigma'"),
        ({**_BOTH, "sigma": "~ age + (1 + age | c)"}, "gaussian", bm.PosteriorError, "no column 'b_sigma_age'"),
        ({"mu": _BOTH["mu"], "sigma": "~ arm"}, "gaussian", bm.PosteriorError, "parameters .*sd_c__sigma_Intercept"),
        (_BOTH["mu"], "gaussian", bm.PosteriorError, "no column 'sigma', which every fit of brms with family='gauss"),
        (_BOTH["mu"], "poisson", bm.PosteriorError, "parameters 'b_sigma_Intercept'"),
        (_BOTH["mu"], "negbinomial", bm.PosteriorError, "no column 'shape', which every fit of brms with family='negb"),
    ],
)
def test_parts_that_do_not_fit_are_refused(formula: Any, family: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        bm.from_brms(_made([*_OF_MEAN, *_OF_SIGMA]), formula, ROWS, family=family)


def test_parts_by_stan_s_numbers_are_refused() -> None:
    with pytest.raises(bm.PosteriorError, match="numbers of Stan's program, and those of the effects on 'sigma'"):
        bm.from_brms(_made(["b[1]", "b_sigma[1]"]), {"mu": "y ~ age", "sigma": "~ age"}, ROWS, family="gaussian")


# What a posterior from elsewhere is asked


def test_chains_that_did_not_mix_are_said_not_to_have(bacteria: dict[str, Any]) -> None:
    """The rule of a fit; r-hat and the effective sample sizes against ArviZ."""
    drift = bacteria["draws"].assign(b_week=lambda d: d["b_week"] + 0.1 * d[".chain"], divergent__=0)
    drift.loc[drift.index[3], "divergent__"] = 1
    with pytest.warns(bm.BayesmarginsWarning) as caught:
        post = bm.from_brms(**bacteria | {"draws": drift})
    (said,) = [str(w.message) for w in caught]
    assert said.startswith("Imported draws (brms): One of 200 draws diverged: parts of")
    assert re.search(r"r-hat is \d\.\d{3} for beta\[week\] .*effective sample size falls to \d+ for beta\[week\]", said)
    assert post.info["divergences"] == 1
    assert bm.avg_predictions(post).attrs["max_rhat"] == post.info["max_rhat"]
    week = drift["b_week"].to_numpy().reshape(4, 50)
    axes = {"chain_axis": 0, "draw_axis": 1}
    ess = [
        array_stats.ess(week, **axes, **kind) for kind in ({"method": "bulk"}, {"method": "tail", "prob": (0.05, 0.95)})
    ]
    np.testing.assert_allclose(post.info["max_rhat"], array_stats.rhat(week, **axes), rtol=1e-12)
    np.testing.assert_allclose(post.info["min_ess"], min(ess), rtol=1e-12)


def test_draws_that_mixed_or_are_too_few_to_tell_are_taken_in_silence() -> None:
    rng = np.random.default_rng(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        good = bm.from_draws("y ~ 1", ROWS, family="bernoulli", beta=rng.normal(size=(4, 500, 1)))
        few = bm.from_draws("y ~ 1", ROWS, family="bernoulli", beta=rng.normal(size=(4, 7, 1)))
        one = bm.from_draws("y ~ 1", ROWS, family="bernoulli", beta=rng.normal(size=(1, 500, 1)))
        constant = bm.from_draws("y ~ 1", ROWS, family="bernoulli", beta=np.zeros((4, 500, 1)))
    assert good.info["max_rhat"] < 1.01
    assert good.info["min_ess"] > 400
    assert all(post.info == {"source": "draws"} for post in (few, one, constant))


def test_a_gaussian_fit_has_sigma_and_another_response_than_0_and_1(bacteria: dict[str, Any]) -> None:
    with pytest.raises(bm.PosteriorError, match=r"no column 'sigma', which every fit of brms .* not the family of the"):
        bm.from_brms(**bacteria | {"family": "gaussian"})
    with pytest.warns(bm.BayesmarginsWarning, match="did you mean family='bernoulli'"):
        bm.from_draws("y ~ 1", ROWS, family="gaussian", beta=np.zeros((1, 5, 1)))


def test_the_centred_intercept_tells_rows_that_are_not_those_of_the_fit(bacteria: dict[str, Any]) -> None:
    draws, data = bacteria["draws"], bacteria["data"]
    columns = {"b_trtdrug": data["trt"] == "drug", "b_trtdrugP": data["trt"] == "drug+", "b_week": data["week"]}
    centred = draws["b_Intercept"] + sum(draws[b] * x.mean() for b, x in columns.items())
    held = bacteria | {"draws": draws.assign(Intercept=centred)}
    np.testing.assert_array_equal(bm.from_brms(**held).draws.beta, bm.from_brms(**bacteria).draws.beta)
    rounded = bacteria | {"draws": draws.assign(Intercept=[float(f"{v:.6g}") for v in centred])}
    bm.from_brms(**rounded)
    for other in (data.iloc[:-1], data.assign(week=data["week"] + 0.01)):
        with pytest.raises(bm.PosteriorError, match="b_Intercept of the draws is not Intercept minus the means of the"):
            bm.from_brms(**held | {"data": other})


def test_missing_values_are_dropped_as_the_fit_did(bacteria: dict[str, Any]) -> None:
    holes = bacteria["data"].assign(week=bacteria["data"]["week"].where(bacteria["data"].index != 3))
    with pytest.raises(
        bm.DataError, match=r"1 of 220 rows have missing values.* drop these rows first, as the fit did"
    ):
        bm.from_brms(**bacteria | {"data": holes})


@pytest.mark.parametrize("name", list(reference.CASES))
@pytest.mark.parametrize(
    "wrong",
    [lambda sd: sd**2, lambda sd: sd**-2, lambda sd: 5 * sd, lambda sd: sd],
    ids=["variance", "precision", "five", "right"],
)
def test_a_spread_that_is_not_that_of_the_effects_is_noticed(name: str, wrong: Any) -> None:
    """sd given as variance, precision or five times what it is, where that is another by three; never a right one."""
    post = reference.posterior(name)
    sd = {f: np.sqrt(np.diagonal(S.to_numpy(), axis1=2, axis2=3)) for f, S in post.Sigma.items()}
    scale = {f: wrong(v) / v for f, v in sd.items()}
    Sigma = {f: S * scale[f][..., :, None] * scale[f][..., None, :] for f, S in post.Sigma.items()}
    far = [f for f in sd if np.abs(np.log(np.median(scale[f], axis=(0, 1)))).max() > np.log(3.0)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bm.from_draws(
            post.formula, post.design.data, family=post.family.name, link=post.link.name, beta=post.beta, b=post.b,
            Sigma=Sigma, aux=post.aux,
        )  # fmt: skip
    said = [str(w.message) for w in caught if "do not have the spread" in str(w.message)]
    assert {f for f in far if not any(f"|{f} do not" in text for text in said)} == set()
    assert bool(far) or wrong(2.0) in (2.0, 4.0, 0.25)
    if wrong(2.0) == 2.0:
        assert said == []


def test_effects_that_contain_their_mean_are_noticed() -> None:
    post = reference.posterior("b_bacteria")
    alpha = post.b["ID"] + post.beta.sel(coef="Intercept", drop=True)
    with pytest.warns(bm.BayesmarginsWarning, match=r"1\|ID have a mean .*have the role 'Intercept \+ 1\|ID'"):
        bm.from_draws(
            post.formula, post.design.data, family="bernoulli", beta=post.beta, b={"ID": alpha}, Sigma=post.Sigma
        )
