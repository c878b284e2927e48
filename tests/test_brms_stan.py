"""Draws as brms's Stan program numbers them: CmdStan's files and ArviZ's Datasets hold the numbers of the named draws.

The layout is that of brms's Stan code (`b[k]` on the centred design, `sd_1[k]`, `r_1_1[j]`, `cor_1[k]`), written here
from the reference draws, which brms itself named.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import pytest
import reference
import xarray as xr

import bayesmargins as bm

HEAD = """# stan_version_major = 2
# model = model_d_sleep_model
# start_datetime = 2025-01-01 10:00:00 UTC
# method = sample (Default)
#   sample
#     num_samples = 50
#     num_warmup = {warmup}
#     save_warmup = {saved} (Default)
#     thin = 1 (Default)
# id = {chain} (Default)
"""
ADAPTED = "# Adaptation terminated\n# Step size = 0.4\n# Diagonal elements of inverse mass matrix:\n# 0.1, 0.2\n"
TIMES = "# \n#  Elapsed Time: 0.5 seconds (Warm-up)\n#                0.4 seconds (Sampling)\n"


def _numbered(name: str) -> pd.DataFrame:
    """The draws of a case under the names of Stan, in the order of R's columns, groups and levels."""
    case = reference.CASES[name]
    draws = pd.read_parquet(reference.HERE / name / "draws.parquet")
    x = [c for c in case.beta if c != "Intercept"]
    X = bm.GLMM(case.formula, reference.data(name), family=case.family).design
    means = X.rows(X.data, (), what="data").X[:, 1:].mean(axis=0)
    out = {"lp__": draws["lp__"], "accept_stat__": 0.9, "divergent__": 0}
    out |= {f"b.{k}": draws[f"b_{c}"] for k, c in enumerate(x, 1)}
    out["Intercept"] = draws["b_Intercept"] + draws[[f"b_{c}" for c in x]].to_numpy() @ means
    for number, factor in enumerate(sorted(case.factors), 1):
        terms = case.factors[factor]
        levels = sorted({c.split("[")[1].split(",")[0] for c in draws if c.startswith(f"r_{factor}[")})
        for k, term in enumerate(terms, 1):
            out[f"sd_{number}.{k}"] = draws[f"sd_{factor}__{term}"]
            out |= {f"z_{number}.{k}.{j}": 0.1 for j in (1, 2)}
            out |= {f"r_{number}_{k}.{j}": draws[f"r_{factor}[{v},{term}]"] for j, v in enumerate(levels, 1)}
        if len(terms) == 2:
            cor = draws[f"cor_{factor}__{terms[0]}__{terms[1]}"]
            out |= {f"Cor_{number}.{j}.{k}": cor if j != k else 1.0 for j in (1, 2) for k in (1, 2)}
            out |= {f"L_{number}.1.1": 1.0, f"L_{number}.2.1": cor, f"L_{number}.1.2": 0.0}
            out[f"L_{number}.2.2"] = np.sqrt(1 - cor**2)
            out[f"cor_{number}.1"] = cor
    out |= {a: draws[a] for a in case.aux} | {"lprior": draws["lprior"], "b_Intercept": draws["b_Intercept"]}
    return pd.DataFrame(out).assign(chain=draws[".chain"])


def _files(table: pd.DataFrame, folder: Path, *, warmup: int = 0, digits: str = "%.17g") -> list[Path]:
    paths = []
    for chain, rows in table.groupby("chain"):
        rows = pd.concat([rows.iloc[:warmup] * 0 + 9, rows]).drop(columns="chain")
        body = rows.to_csv(index=False, float_format=digits).splitlines()
        text = HEAD.format(warmup=warmup, saved=int(warmup > 0), chain=chain) + body[0] + "\n"
        text += ADAPTED + "\n".join(body[1:]) + "\n" + TIMES
        paths.append(folder / f"sleep-{chain}.csv")
        paths[-1].write_text(text)
    return paths


def _read(name: str, draws: Any) -> bm.Posterior:
    case = reference.CASES[name]
    return bm.from_brms(draws, case.formula, reference.data(name), family=case.family, link=case.link)


def _assert_same(found: bm.Posterior, name: str, rtol: float = 1e-12) -> None:
    expected = reference.posterior(name)
    np.testing.assert_allclose(found.draws.beta, expected.draws.beta, rtol=rtol, atol=rtol)
    for factor in expected.b:
        np.testing.assert_allclose(found.draws.b[factor], expected.draws.b[factor], rtol=rtol, atol=rtol)
        np.testing.assert_allclose(found.draws.Sigma[factor], expected.draws.Sigma[factor], rtol=rtol, atol=rtol)
    assert list(found.draws.aux) == list(expected.draws.aux)
    assert found.beta.sizes["chain"] == 4


@pytest.mark.parametrize("name", ["d_sleep", "f_grouse"])
def test_files_of_cmdstan_hold_the_named_draws(name: str, tmp_path: Path) -> None:
    _assert_same(_read(name, _files(_numbered(name), tmp_path)), name)
    margins = [bm.avg_predictions(p)["estimate"] for p in (_read(name, _files(_numbered(name), tmp_path)),)]
    np.testing.assert_allclose(margins[0], bm.avg_predictions(reference.posterior(name))["estimate"], rtol=1e-12)


def test_a_saved_warm_up_is_left_out_and_six_digits_are_enough(tmp_path: Path) -> None:
    _assert_same(_read("d_sleep", _files(_numbered("d_sleep"), tmp_path, warmup=7)), "d_sleep")
    _assert_same(_read("d_sleep", _files(_numbered("d_sleep"), tmp_path, digits="%.6g")), "d_sleep", rtol=2e-4)


@pytest.mark.parametrize("kept", ["Cor_1", "cor_1", "L_1"])
def test_correlations_come_from_any_of_their_three_forms(kept: str) -> None:
    table = _numbered("d_sleep")
    dropped = [c for c in table if c.split(".")[0] in {"Cor_1", "cor_1", "L_1"} - {kept}]
    _assert_same(_read("d_sleep", _in_brackets(table.drop(columns=dropped))), "d_sleep")


@pytest.mark.parametrize("gone", ["Intercept", "b_Intercept"])
def test_either_intercept_gives_the_other(gone: str) -> None:
    _assert_same(_read("f_grouse", _in_brackets(_numbered("f_grouse").drop(columns=gone))), "f_grouse", rtol=1e-10)


def _in_brackets(table: pd.DataFrame) -> pd.DataFrame:
    named = {c: f"{c.split('.')[0]}[{','.join(c.split('.')[1:])}]" for c in table if "." in c}
    return table.rename(columns=named | {"chain": ".chain"})


def _dataset(table: pd.DataFrame) -> xr.Dataset:
    """Arrays as ArviZ has them: dims chain and draw first."""
    arrays: dict[str, list[str]] = {}
    for column in table.drop(columns="chain"):
        arrays.setdefault(column.split(".")[0], []).append(column)
    data = {}
    for name, columns in arrays.items():
        values = table[columns].to_numpy().reshape(4, 50, len(columns))
        data[name] = (
            (("chain", "draw", f"{name}_dim_0"), values) if "." in columns[0] else (("chain", "draw"), values[..., 0])
        )
    return xr.Dataset(data)


def test_datasets_trees_and_files_of_arviz_hold_the_named_draws(tmp_path: Path) -> None:
    table = _numbered("f_grouse").drop(columns=["accept_stat__", "divergent__"])
    dataset = _dataset(table[[c for c in table if not c.startswith("z_")]])
    _assert_same(_read("f_grouse", dataset), "f_grouse")
    tree = xr.DataTree.from_dict({"posterior": dataset})
    _assert_same(_read("f_grouse", tree), "f_grouse")
    tree.to_netcdf(tmp_path / "grouse.nc", engine="h5netcdf")
    _assert_same(_read("f_grouse", tmp_path / "grouse.nc"), "f_grouse")
    with pytest.raises(bm.PosteriorError, match=r"dims|chain"):
        _read("f_grouse", dataset.isel(chain=0))


@pytest.mark.skipif(not hasattr(az, "from_cmdstan"), reason="ArviZ 1.x reads CmdStan through cmdstanpy only")
def test_what_arviz_makes_of_the_files_holds_the_named_draws(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ArviZ, about its own reader
        idata = az.from_cmdstan([str(p) for p in _files(_numbered("d_sleep"), tmp_path)])
    _assert_same(_read("d_sleep", idata), "d_sleep")


# Interactions, two blocks of one factor, nested factors: R's order of columns and brms's numbers of blocks.
def test_numbers_follow_the_alphabet_of_factors_and_the_order_of_the_formula() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {c: rng.permuted(np.resize(v, 36)) for c, v in {"f": ["a", "b", "c"], "h": ["k", "m", "n"]}.items()}
    )
    frame = frame.assign(
        x=rng.normal(size=36),
        y=rng.normal(size=36),
        id=np.resize(["s1", "s2", "s3"], 36),
        big=np.resize([2, 10, 1], 36),
    )
    formula = "y ~ f * h + (1 | id) + (0 + x | id) + (1 | big)"
    named = ["Intercept", "fb", "fc", "hm", "hn", "fb:hm", "fc:hm", "fb:hn", "fc:hn"]
    made = {".chain": [1, 1], "b_Intercept": rng.normal(size=2), "sigma": [1.0, 1.1]}
    made |= {f"b[{k}]": rng.normal(size=2) for k in range(1, 9)}
    made |= {f"sd_{k}[1]": rng.uniform(0.5, 1.5, size=2) for k in (1, 2, 3)}
    made |= {f"r_{k}_1[{j}]": rng.normal(size=2) for k in (1, 2, 3) for j in (1, 2, 3)}
    post = bm.from_brms(pd.DataFrame(made), formula, frame, family="gaussian")
    coef = [c.replace("[", "").replace("]", "") for c in post.design.coef]
    assert coef == named  # the columns of R's model.matrix(~ f * h)
    np.testing.assert_array_equal(post.draws.beta[0, 1:], [made[f"b[{k}]"][0] for k in range(1, 9)])
    assert post.design.factors["big"].levels == (1, 2, 10)  # numbers by size, as in R
    np.testing.assert_array_equal(post.draws.b["big"][0, :, 0], [made[f"r_1_1[{j}]"][0] for j in (1, 2, 3)])
    np.testing.assert_array_equal(post.draws.b["id"][0, :, 1], [made[f"r_3_1[{j}]"][0] for j in (1, 2, 3)])
    assert post.draws.Sigma["id"][0].tolist() == [[made["sd_2[1]"][0] ** 2, 0.0], [0.0, made["sd_3[1]"][0] ** 2]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop(columns="b.3"), r"2 coefficients b, and formula and data give the 3 columns 'b_YEAR96'"),
        (lambda t: t.rename(columns={"b.1": "b.3", "b.3": "b.1"}), r"b_Intercept of the draws is not Intercept minus"),
        (lambda t: t.drop(columns="r_1_1.118"), r"117 values r_1_1, and the data have 118 groups of 'BROOD'"),
        (lambda t: t.drop(columns="sd_2.1"), r"0 standard deviations sd_2, and block 2, of 'LOCATION'"),
        (lambda t: t.assign(**{"sd_3.1": 0.1}), r"parameters 'sd_3\[1\]'"),
        (lambda t: t.assign(zi=0.1), r"parameters 'zi'"),
    ],
)
def test_other_numbers_than_the_model_has_are_refused(change: Any, said: str) -> None:
    with pytest.raises(bm.PosteriorError, match=said):
        _read("f_grouse", _in_brackets(change(_numbered("f_grouse"))))


def _small(formula: str, **columns: Any) -> bm.Posterior:
    frame = pd.DataFrame({"y": np.arange(4.0), "x": [1.0, 3, 2, 5], **columns})
    made = {".chain": 1, "b_Intercept": [0.1], "b[1]": 0.2, "sigma": 1.0}
    made |= {f"sd_{k}[1]": 0.3 for k in (1, 2)} | {f"r_{k}_1[{j}]": 0.1 * j for k in (1, 2) for j in (1, 2)}
    return bm.from_brms(pd.DataFrame(made), formula, frame, family="gaussian")


MIXED = ["B", "a", "B", "a"]


@pytest.mark.parametrize(
    ("formula", "columns", "said"),
    [
        (
            "y ~ x + (1 | a) + (1 | B)",
            {"a": list("uvuv"), "B": list("uuvv")},
            "numbers the grouping factors 'a', 'B' by",
        ),
        (
            "y ~ x + (1 | g) + (1 | h)",
            {"g": MIXED, "h": list("uuvv")},
            "groups of 'g' by the alphabet.*pandas categorical",
        ),
        (
            "y ~ f + (1 | g) + (1 | h)",
            {"f": MIXED, "g": list("uvuv"), "h": list("uuvv")},
            "levels 'B', 'a' of 'f' are in",
        ),
    ],
)
def test_orders_that_hang_on_the_language_of_r_are_refused(formula: str, columns: dict[str, Any], said: str) -> None:
    with pytest.raises(bm.PosteriorError, match=said):
        _small(formula, **columns)


def test_categories_settle_an_order_that_text_leaves_open() -> None:
    of = pd.Categorical(MIXED, ["a", "B"])
    post = _small("y ~ x + (1 | g) + (1 | h)", g=of, h=list("uuvv"))
    assert post.design.factors["g"].levels == ("a", "B")
    np.testing.assert_allclose(post.draws.b["g"][0, :, 0], [0.1, 0.2])


def test_files_that_are_no_draws_are_refused(tmp_path: Path) -> None:
    paths = _files(_numbered("d_sleep"), tmp_path)
    paths[0].write_text(paths[0].read_text().replace("method = sample", "method = variational"))
    with pytest.raises(bm.PosteriorError, match="output of method=variational; draws of a sampler"):
        _read("d_sleep", paths)
    named = tmp_path / "named.csv"
    pd.read_parquet(reference.HERE / "d_sleep" / "draws.parquet").to_csv(named)
    with pytest.raises(bm.PosteriorError, match="a list of files is one of CSV files that CmdStan wrote"):
        _read("d_sleep", [named, *paths[1:]])
