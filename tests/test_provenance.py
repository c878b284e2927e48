"""The attributes of a result: one record writes them and reads them back, whatever wrote them."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import reference
import xarray as xr

import bayesmargins as bm
from bayesmargins.provenance import Provenance, provenance_of

POST = reference.posterior("b_bacteria")
RESULTS: dict[str, Callable[[], xr.Dataset]] = {
    "predictions": lambda: bm.predictions(POST, POST.design.data.head(3), at={"week": [0, 6]}, groups="own"),
    "labels": lambda: bm.avg_predictions(POST, by={"trt": {"placebo": "none", "drug": "any", "drug+": "any"}}),
    "comparisons": lambda: bm.avg_comparisons(POST, "trt", comparison="ratio", groups="existing"),
    "slopes": lambda: bm.avg_slopes(POST),
    "second": lambda: bm.avg_slopes(POST, "week", second="trt"),
    "attenuation": lambda: bm.attenuation(POST, "trt"),
    "heterogeneity": lambda: bm.heterogeneity(POST, "week", random_seed=1),
    "coefficients": lambda: bm.marginal_coefficients(POST, exponentiate=True),
    "partition": lambda: bm.variance_partition(POST),
    "observations": lambda: bm.posterior_predictive(POST, random_seed=1),
    "hypotheses": lambda: bm.hypotheses(bm.avg_comparisons(POST, "trt")),
}


@pytest.mark.parametrize("name", RESULTS)
def test_what_is_written_is_read_and_written_again_the_same(name: str) -> None:
    attrs = RESULTS[name]().attrs
    about = Provenance.from_attrs(attrs)
    assert about.to_attrs() == attrs
    assert about.others == {}  # each attribute has a field


def test_every_field_but_those_of_others_is_told_apart_after_a_way_there_and_back() -> None:
    names = [f.name for f in fields(Provenance) if f.name != "others"]
    structured = {f.name for f in fields(Provenance) if f.metadata}
    about = Provenance(**{name: {"of": [name]} if name in structured else f"of {name}" for name in names})
    assert Provenance.from_attrs(about.to_attrs()) == about


def test_attributes_of_others_survive_and_break_nothing() -> None:
    ds = bm.avg_predictions(POST, by="trt").assign_attrs(made=np.int64(3), at="the bench", checked=["A", "B"])
    about = provenance_of(ds)
    assert about.at is None
    assert about.others == {"made": 3, "at": "the bench", "checked": "['A', 'B']"}
    assert bm.hypotheses(ds).attrs["at"] == "the bench"


def test_a_dataset_of_others_says_nothing() -> None:
    assert provenance_of(xr.Dataset()) == Provenance()


ROOT = Path(bm.__file__).parent
ASKING = [*(ROOT / "estimands").glob("*.py"), *(ROOT / "hypothesis").glob("*.py")]


@pytest.mark.parametrize("path", ASKING, ids=lambda path: path.name)
def test_questions_and_hypotheses_read_no_attribute_by_its_name(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not (isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith(".attrs")), ast.unparse(node)
        assert not (isinstance(node, ast.Attribute) and ast.unparse(node).endswith((".attrs.get", ".attrs.pop")))
