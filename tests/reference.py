"""The reference cases: public data, brms draws, and margins of those draws made with other software."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayesmargins as bm

HERE = Path(__file__).parent / "data" / "reference"


@dataclass(frozen=True)
class Case:
    """How a case's brms names map to a design of this package; `beta` in the order of the design's columns."""

    name: str
    formula: str
    family: str
    link: str
    beta: tuple[str, ...]
    factors: dict[str, tuple[str, ...]]
    levels: dict[str, tuple[str, ...]]
    text: tuple[str, ...]
    aux: tuple[str, ...] = ()


_BACTERIA = {"trt": ("placebo", "drug", "drug+")}
_BACTERIA_BETA = ("Intercept", "trtdrug", "trtdrugP", "week")

CASES = {
    c.name: c
    for c in (
        Case(
            "b_bacteria",
            "yb ~ trt + week + (1 | ID)",
            "bernoulli",
            "logit",
            _BACTERIA_BETA,
            {"ID": ("Intercept",)},
            _BACTERIA,
            ("ID",),
        ),
        Case(
            "h_bactprobit",
            "yb ~ trt + week + (1 | ID)",
            "bernoulli",
            "probit",
            _BACTERIA_BETA,
            {"ID": ("Intercept",)},
            _BACTERIA,
            ("ID",),
        ),
        Case(
            "c_cbpp",
            "incidence | trials(size) ~ period + (1 | herd)",
            "binomial",
            "logit",
            ("Intercept", "period2", "period3", "period4"),
            {"herd": ("Intercept",)},
            {},
            ("period", "herd"),
        ),
        Case(
            "d_sleep",
            "Reaction ~ Days + (Days | Subject)",
            "gaussian",
            "identity",
            ("Intercept", "Days"),
            {"Subject": ("Intercept", "Days")},
            {},
            ("Subject",),
            ("sigma",),
        ),
        Case(
            "f_grouse",
            "TICKS ~ YEAR + cH10 + (1 | BROOD) + (1 | LOCATION)",
            "negbinomial",
            "log",
            ("Intercept", "YEAR96", "YEAR97", "cH10"),
            {"BROOD": ("Intercept",), "LOCATION": ("Intercept",)},
            {},
            ("YEAR", "BROOD", "LOCATION"),
            ("shape",),
        ),
        Case(
            "k_epil",
            "y ~ lbase * trt + lage + per + (1 + per | subject)",
            "poisson",
            "log",
            ("Intercept", "lbase", "trtprogabide", "lage", "per", "lbase:trtprogabide"),
            {"subject": ("Intercept", "per")},
            {},
            ("subject",),
        ),
        Case(
            "n_gamma",
            "angle ~ recipe + temp10 + (1 | rr)",
            "gamma",
            "log",
            ("Intercept", "recipeB", "recipeC", "temp10"),
            {"rr": ("Intercept",)},
            {},
            ("recipe", "rr"),
            ("shape",),
        ),
        Case(
            "o_beta",
            "yield ~ ep + v10 + (1 | No)",
            "beta",
            "logit",
            ("Intercept", "ep", "v10"),
            {"No": ("Intercept",)},
            {},
            ("No",),
            ("phi",),
        ),
        Case(
            "t_betabinom",
            "incidence | trials(size) ~ period + (1 | herd)",
            "beta_binomial",
            "logit",
            ("Intercept", "period2", "period3", "period4"),
            {"herd": ("Intercept",)},
            {},
            ("period", "herd"),
            ("phi",),
        ),
        Case(
            "v_weibull",
            "time | cens(censored) ~ age10 + sex + (1 | patient)",
            "weibull",
            "log",
            ("Intercept", "age10", "sexfemale"),
            {"patient": ("Intercept",)},
            {"sex": ("male", "female")},
            ("patient",),
            ("shape",),
        ),
    )
}


@cache
def data(name: str) -> pd.DataFrame:
    """The model frame of a case, factors as text or with their order of levels."""
    case = CASES[name]
    frame = pd.read_csv(HERE / name / "data.csv", dtype=dict.fromkeys(case.text, str))
    return frame.assign(**{c: pd.Categorical(frame[c], levels) for c, levels in case.levels.items()})


@cache
def draws(name: str) -> pd.DataFrame:
    """The stored draws; some cases came without the column that says which chain each is of."""
    frame = pd.read_parquet(HERE / name / "draws.parquet")
    return frame if ".chain" in frame else frame.assign(**{".chain": np.repeat(range(1, 5), 50)})


@cache
def posterior(name: str) -> bm.Posterior:
    """The 200 stored draws, 4 chains of 50, read as brms wrote them."""
    case = CASES[name]
    return bm.from_brms(draws(name), case.formula, data(name), family=case.family, link=case.link)


def by_hand(name: str) -> bm.Posterior:
    """The same, each of brms's names written out in `CASES` by hand: what `from_brms` is held against."""
    case = CASES[name]
    frame = draws(name)

    def cube(columns: list[str]) -> np.ndarray:
        return frame[columns].to_numpy().reshape(4, -1, len(columns))

    design = bm.GLMM(case.formula, data(name), family=case.family, link=case.link).design
    assert len(case.beta) == len(design.coef)
    beta = cube([f"b_{c}" for c in case.beta])
    b, Sigma = {}, {}
    for factor, terms in case.factors.items():
        levels = design.factors[factor].levels
        b[factor] = np.stack([cube([f"r_{factor}[{level},{t}]" for level in levels]) for t in terms], axis=-1)
        Sigma[factor] = _covariance(frame, factor, terms).reshape(4, -1, len(terms), len(terms))
    aux = {a: cube([a])[..., 0] for a in case.aux}
    return bm.from_draws(
        case.formula, data(name), family=case.family, link=case.link, beta=beta, b=b, Sigma=Sigma, aux=aux
    )


def _covariance(draws: pd.DataFrame, factor: str, terms: tuple[str, ...]) -> np.ndarray:
    sd = draws[[f"sd_{factor}__{t}" for t in terms]].to_numpy()
    Sigma = sd[:, :, None] * sd[:, None, :] * np.eye(len(terms))
    if len(terms) == 2:
        cor = draws[f"cor_{factor}__{terms[0]}__{terms[1]}"].to_numpy()
        Sigma[:, 0, 1] = Sigma[:, 1, 0] = cor * sd[:, 0] * sd[:, 1]
    return Sigma


@cache
def expected(name: str) -> dict[str, dict[str, Any]]:
    """Reference numbers by id: names, draws, values (entry, draw)."""
    with gzip.open(HERE / name / "expected.json.gz") as file:
        return {e["id"]: e for e in json.load(file)}
