"""Names of columns for readers: they change words, and neither numbers nor dims nor coordinates."""

from __future__ import annotations

import dataclasses
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from reference import draws, posterior
from test_sentences import Case, cases, data

import bayesmargins as bm
from bayesmargins.labelling import LABELS, named, names_of, steps_worded

FORMULA = "yb ~ trt * week + (1 | ID)"
BACTERIA = {"yb": "bacteria", "trt": "treatment", "week": "time (weeks)", "ID": "child"}


@cache
def post(labelled: bool = True) -> bm.Posterior:
    plain = posterior("b_bacteria")
    frame = bm.label(plain.design.data, BACTERIA) if labelled else plain.design.data
    return read(frame, plain)


def read(frame: Any, of: bm.Posterior) -> bm.Posterior:
    draws = {"beta": of.beta.values, "b": {"ID": of.b["ID"].values}, "Sigma": {"ID": of.Sigma["ID"].values}}
    with pytest.warns(bm.BayesmarginsWarning):  # 4 x 50 draws
        return bm.from_draws(of.formula, frame, family="bernoulli", **draws)


def gaussian(formula: str, frame: pd.DataFrame, **rest: Any) -> bm.Posterior:
    return bm.from_draws(formula, frame, family="gaussian", beta=np.ones((1, 4, 2)), **rest)


# what a label may be -------------------------------------------------------------------------------------------------


def test_label_gives_a_copy_and_joins_what_is_there() -> None:
    frame = data()
    labelled = bm.label(frame, {"x": "dose (mg)"})
    assert "labels" not in frame.attrs
    assert labelled.attrs == {"labels": {"x": "dose (mg)"}}
    assert labelled.equals(frame)
    more = bm.label(labelled, {"f": "arm"})
    assert more.attrs["labels"] == {"x": "dose (mg)", "f": "arm"}
    assert labelled.attrs["labels"] == {"x": "dose (mg)"}
    assert bm.label(more, {"x": "x"}).attrs["labels"] == {"f": "arm"}
    assert bm.label(more[["f", "k"]], {}).attrs["labels"] == {"f": "arm"}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"weeek": "time"}, "Did you mean 'week'"),
        ({1: "time"}, "which data does not have"),
        ({"week": ""}, "text on one line"),
        ({"week": " time"}, "without blanks"),
        ({"week": "a\nb"}, "text on one line"),
        ({"week": "a" * 201}, "1 to 200 characters"),
        ({"week": 3}, "The label of 'week' is 3"),
        ({"week": "time", "trt": "time"}, "'trt' and 'week' would both read 'time'"),
        ({"week": "trt"}, "would both read 'trt'"),
        (["week"], "it must be a dict"),
        ("week", "it must be a dict"),
    ],
)
def test_a_label_that_is_none_is_refused(labels: Any, message: str) -> None:
    frame = posterior("b_bacteria").design.data[["yb", "trt", "week", "ID"]]
    with pytest.raises(bm.DataError, match=re.escape(message)):
        bm.label(frame, labels)
    if isinstance(labels, dict) and not {1, "weeek"} & set(labels):
        frame = frame.copy()
        frame.attrs["labels"] = labels
        with pytest.raises(bm.DataError, match=re.escape(message)):
            bm.GLMM(FORMULA, frame, "bernoulli")


def test_names_may_be_exchanged() -> None:
    assert bm.label(data(), {"x": "e", "e": "x"}).attrs["labels"] == {"x": "e", "e": "x"}


def test_frames_without_attributes_are_refused_with_the_way_out() -> None:
    polars = pytest.importorskip("polars")
    with pytest.raises(bm.DataError, match=r"bm\.label\(data\.to_pandas\(\)"):
        bm.label(polars.DataFrame({"x": [1]}), {"x": "dose"})


def test_labels_written_by_hand_are_read_and_those_of_no_column_are_said() -> None:
    frame = posterior("b_bacteria").design.data.copy()
    frame.attrs["labels"] = {"week": "time (weeks)", "trtt": "treatment"}
    with pytest.warns(bm.BayesmarginsWarning, match=r"labels 'trtt'.*Did you mean 'trt'"):
        model = bm.GLMM(FORMULA, frame, "bernoulli")
    assert model.design.labels == {"week": "time (weeks)"}
    frame.attrs["labels"] = [1]
    with pytest.raises(bm.DataError, match="holds a dict of column to label"):
        bm.GLMM(FORMULA, frame, "bernoulli")


# the way of a label --------------------------------------------------------------------------------------------------


def test_a_posterior_has_the_labels_of_its_data_and_so_has_its_file(tmp_path: Path) -> None:
    assert dict(post().labels) == BACTERIA
    with pytest.raises(TypeError):
        post().labels["trt"] = "arm"  # type: ignore[index]
    post().save(tmp_path / "fit.nc")
    again = bm.load(tmp_path / "fit.nc")
    assert dict(again.labels) == BACTERIA
    assert again.fingerprint == post().fingerprint == post(False).fingerprint
    assert bm.describe(bm.avg_predictions(again)) == bm.describe(bm.avg_predictions(post()))
    assert dict(post(False).labels) == {}


def test_a_file_of_an_earlier_version_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bayesmargins.files import file_layout

    about = file_layout._about

    def as_it_was(*given: Any) -> dict[str, Any]:
        return {k: v for k, v in about(*given).items() if k != "labels"}

    monkeypatch.setattr(file_layout, "_about", as_it_was)
    post().save(tmp_path / "old.nc")
    assert dict(bm.load(tmp_path / "old.nc").labels) == {}


def test_a_fit_and_a_parameter_with_a_formula_have_the_labels_of_the_data() -> None:
    frame = bm.label(data(), {"x": "dose (mg)", "w": "weight"})
    both = gaussian("w ~ x", frame, parts={"sigma": {"formula": "~ x", "beta": np.zeros((1, 4, 2))}})
    assert both.parts["sigma"].labels == both.labels == {"x": "dose (mg)", "w": "weight"}
    assert "sigma of weight" in bm.describe(bm.avg_predictions(both, target="sigma")).lower()
    fit = bm.GLMM("w ~ x", frame).fit(draws=50, chains=1, sampler="independent", random_seed=1, ess=None)
    assert fit.labels == both.labels


@pytest.mark.filterwarnings("ignore:Imported draws")
def test_adapters_read_the_labels_of_the_data() -> None:
    bacteria = bm.label(posterior("b_bacteria").design.data, BACTERIA)
    of = {"formula": posterior("b_bacteria").formula, "data": bacteria, "family": "bernoulli"}
    assert bm.from_brms(draws("b_bacteria"), **of).labels == BACTERIA
    rng = np.random.default_rng(1)
    by_hand = {"beta": rng.normal(size=(2, 30, 4)), "u": rng.normal(size=(2, 30, 50)), "s": rng.uniform(size=(2, 30))}
    names = {"beta": "beta", "b(ID)": "u", "sd(ID)": "s"}
    assert bm.from_pymc(by_hand, names=names, **of).labels == BACTERIA
    smf = pytest.importorskip("statsmodels.formula.api")
    frame = bm.label(bm.load_dataset("sleepstudy"), {"Days": "days without sleep", "Subject": "person"})
    fit = smf.mixedlm("Reaction ~ Days", frame, groups="Subject").fit()
    assert bm.from_statsmodels(fit, draws=20).labels == frame.attrs["labels"]


# what labels change --------------------------------------------------------------------------------------------------

RESULTS = {
    "predictions": lambda p: bm.predictions(p),
    "by": lambda p: bm.avg_predictions(p, by=["trt", "week"]),
    "comparisons": lambda p: bm.avg_comparisons(p, ["trt", "week"], by="trt", wts="week"),
    "crossed": lambda p: bm.avg_comparisons(p, ["trt", "week"], cross=True, comparison="ratio"),
    "slopes": lambda p: bm.avg_slopes(p),
    "second": lambda p: bm.avg_slopes(p, "week", second="trt"),
    "named": lambda p: bm.avg_predictions(p, at={"week": [0, 2]}, groups={"ID": ["X01", "X02"]}),
    "attenuation": lambda p: bm.attenuation(p, "trt"),
    "heterogeneity": lambda p: bm.heterogeneity(p, "week", quantiles=[0.5], random_seed=1),
    "coefficients": lambda p: bm.marginal_coefficients(p),
    "partition": lambda p: bm.variance_partition(p),
    "hypotheses": lambda p: bm.hypotheses(bm.avg_predictions(p, by="trt")),
    "observations": lambda p: bm.posterior_predictive(p, random_seed=1),
    "quantile": lambda p: bm.avg_predictions(p, by="trt", target=bm.exceeds(0)),
}


@pytest.mark.parametrize("name", list(RESULTS))
def test_labels_change_no_number_and_no_dim(name: str) -> None:
    labelled, plain = RESULTS[name](post()), RESULTS[name](post(False))
    xr.testing.assert_identical(labelled.drop_attrs(), plain.drop_attrs())
    said = {"noun", "estimand", "fingerprint", "entries", LABELS}
    assert {k: v for k, v in labelled.attrs.items() if k not in said} == {
        k: v for k, v in plain.attrs.items() if k not in said
    }
    assert LABELS not in plain.attrs
    assert names_of(plain) == {}
    assert names_of(labelled) == BACTERIA
    words = re.compile(r"\b(yb|trt|week|ID)\b")
    replaced = words.sub(lambda m: BACTERIA[m[1]], plain.attrs["estimand"])
    assert bm.describe(labelled) == labelled.attrs["estimand"] == replaced
    pd.testing.assert_frame_equal(bm.summary(labelled), bm.summary(plain))


NAMES = {
    "x": "dose (mg)", "e": "exposure", "f": "arm", "g": "clinic", "h": "rater", "n": "tries", "k": "cured",
    "y": "recovered", "w": "weight of the row",
}  # fmt: skip


class Labelled(Case):
    """A question of the grammar, about data whose columns have labels."""

    @property
    def post(self) -> bm.Posterior:
        plain = super().post
        return dataclasses.replace(plain, design=dataclasses.replace(plain.design, labels=NAMES))


@pytest.mark.filterwarnings("ignore:by=.*uses the b of none:bayesmargins.BayesmarginsWarning")
@pytest.mark.filterwarnings("ignore:.* of what is 0, or positive in some draws")  # made-up predictions change sign
@pytest.mark.parametrize("kind", ["predictions", "comparisons", "slopes"])
def test_in_every_sentence_the_label_stands_where_the_column_stood(kind: str) -> None:
    for case in cases(kind)[::3]:
        plain, labelled = case.ask(), Labelled(**vars(case)).ask()
        column = re.compile(rf"\b({'|'.join(NAMES)})\b")
        assert bm.describe(labelled) == column.sub(lambda m: NAMES[m[1]], bm.describe(plain)), case
        assert labelled["estimate"].equals(plain["estimate"])


def test_tables_for_readers_have_labels_and_summaries_the_columns() -> None:
    ds = bm.avg_comparisons(post(), ["trt", "week"], by="trt")
    summary, table = bm.summary(ds), bm.table(ds)
    assert summary.index.names == ["term", "contrast", "trt"]
    assert summary.loc[("week", "week +1", "drug")].notna().all()
    assert table.index.names == ["term", "contrast", "treatment"]
    assert ("time (weeks)", "time (weeks) +1", "drug") in table.index
    for text in (summary.to_markdown(), table.to_markdown(), table.to_latex(), summary.to_html()):
        assert "treatment" in text
        assert "time (weeks) +1" in text
        assert "trt" not in text
    assert bm.table(summary.loc[["week"]]).index.names == ["term", "contrast", "treatment"]
    assert bm.table({"a": ds, "b": ds}).index.names == ["term", "contrast", "treatment"]
    slopes = bm.table(bm.avg_slopes(post(), "week"))
    assert slopes.index.tolist() == [("time (weeks)", "dY/dweek")]


def test_a_label_that_is_the_name_of_another_level_leaves_the_columns_names() -> None:
    odd = dataclasses.replace(post(), design=dataclasses.replace(post().design, labels={"trt": "contrast"}))
    assert bm.table(bm.avg_comparisons(odd, "week", by="trt")).index.names == ["term", "contrast", "trt"]


def test_a_selection_names_its_coordinate_by_its_label() -> None:
    ds = bm.avg_predictions(post(), by="trt")
    assert bm.describe(ds.sel(trt="drug")).endswith("; of which treatment = drug.")
    step = bm.avg_comparisons(post(), ["trt", "week"]).isel(contrast=-1)
    assert bm.describe(step).endswith("; of which contrast = week +1, term = time (weeks).")


def test_results_keep_labels_through_arithmetic_and_files(tmp_path: Path) -> None:
    ds = bm.avg_predictions(post(), by="trt")
    ds.to_netcdf(tmp_path / "ds.nc")
    again = xr.load_dataset(tmp_path / "ds.nc")
    assert named(again, "trt") == "treatment"
    with xr.set_options(keep_attrs=True):
        assert names_of(ds - bm.avg_predictions(post())) == BACTERIA
    assert named(ds.drop_attrs(), "trt") == "trt"


def test_names_in_a_result_are_those_of_its_dims() -> None:
    frame = bm.label(data().assign(draw=1.0), {"draw": "lot drawn", "n": "tries"})
    ds = bm.avg_predictions(gaussian("w ~ draw:x", frame, aux={"sigma": np.ones((1, 4))}), by="draw")
    assert ds["estimate"].dims[-1] == "data_draw"
    assert json.loads(ds.attrs["labels"]) == {"data_draw": "lot drawn"}  # of what it is about; n is not
    assert bm.table(ds).index.names == ["lot drawn"]


def test_nested_groups_read_by_the_labels_of_their_columns() -> None:
    frame = bm.label(data(), {"g": "clinic", "h": "ward"})
    levels = bm.GLMM("w ~ x + (1 | g/h)", frame).design.factors
    Sigma = {f: np.ones((1, 4, 1, 1)) for f in levels}
    nested = gaussian("w ~ x + (1 | g/h)", frame, Sigma=Sigma, aux={"sigma": np.ones((1, 4))})
    assert "new groups of clinic and clinic:ward" in bm.describe(bm.avg_predictions(nested))


@pytest.mark.parametrize(
    ("contrast", "term", "said"),
    [
        ("x +1", "x", "X (mg) +1"),
        ("x -2.5", "x", "X (mg) -2.5"),
        ("x - 3", "x", "x - 3"),
        ("x - y", "x", "x - y"),
        ("ratio(x +1)", "x", "ratio(X (mg) +1)"),
        ("x: b - a", "x", "X (mg): b - a"),
        ("(b, x +1) - (a, x)", "f, x", "(b, X (mg) +1) - (a, X (mg))"),
        ("(x, b) - (a, b)", "x, f", "(x, b) - (a, b)"),
        ("dY/dx", "x", "dY/dx"),
    ],
)
def test_steps_are_said_by_label_and_levels_are_left(contrast: str, term: str, said: str) -> None:
    assert steps_worded(contrast, term, {"x": "X (mg)"}) == said
