"""Models whose posterior every way of fitting has to find: reference cases under brms's priors, and hard ones."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

Priors = Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Example:
    """One model, its priors made when it is fitted; `brms` says which reference case has its summary."""

    name: str
    formula: str
    family: str
    data: Callable[[], pd.DataFrame]
    priors: Priors
    note: str
    link: str = ""
    brms: str = ""


def usual(beta: Any = 2.5, intercept: tuple[float, float] = (0, 5), sd: Any = 2, **more: Any) -> Priors:
    """Normal priors, half-normal ones of scales; others by name: functions of pymc, numbers, None for none."""

    def made() -> dict[str, Any]:
        import pymc as pm

        given = {
            "Intercept": pm.Normal.dist(*intercept),
            "beta": beta if beta is None or callable(beta) else pm.Normal.dist(0, beta),
            "sd": sd if callable(sd) else pm.HalfNormal.dist(sd),
        }
        made = {name: value(pm) if callable(value) else value for name, value in (given | more).items()}
        return {name: value for name, value in made.items() if value is not None}

    return made


def _half(scale: float) -> Callable[[Any], Any]:
    return lambda pm: pm.HalfNormal.dist(scale)


def _brms_default(location: float, own: str) -> Priors:
    return usual(
        Intercept=lambda pm: pm.StudentT.dist(nu=3, mu=location, sigma=2.5),
        sd=lambda pm: pm.HalfStudentT.dist(nu=3, sigma=2.5),
        **{own: lambda pm: pm.Gamma.dist(alpha=0.01, beta=0.01)},
    )


def _inhaler() -> pd.DataFrame:
    import reference

    return pd.read_csv(reference.HERE / "g_inhaler" / "data.csv", dtype={"subject": str})


def _reference(name: str, priors: Priors) -> Example:
    import reference

    case = reference.CASES[name]
    return Example(
        name, case.formula, case.family, lambda: reference.data(name), priors, "as brms", case.link, brms=name
    )


def _groups(seed: int, groups: int, rows: int, **columns: Callable[[np.random.Generator, int], Any]) -> Any:
    """A generator, codes of groups, a data frame with g and these columns."""
    rng = np.random.default_rng(seed)
    code = np.repeat(np.arange(groups), rows)
    made = {name: column(rng, len(code)) for name, column in columns.items()}
    return rng, code, pd.DataFrame(made | {"g": [f"g{k:02d}" for k in code]})


def _normal(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.standard_normal(n)


def _logit(rng: np.random.Generator, eta: np.ndarray) -> np.ndarray:
    return (rng.uniform(size=len(eta)) < 1 / (1 + np.exp(-eta))).astype(float)


def _no_spread() -> pd.DataFrame:
    rng, code, d = _groups(11, 30, 8)
    return d.assign(y=_logit(rng, np.full(len(code), 0.4)))


def _no_spread_normal() -> pd.DataFrame:
    rng, code, d = _groups(12, 30, 8, x=_normal)
    return d.assign(y=1 + 0.5 * d.x + rng.standard_normal(len(code)))


def _separated() -> pd.DataFrame:
    _, _, d = _groups(13, 10, 4, x=_normal)
    return d.assign(y=(d.x > 0).astype(float))


def _two_groups() -> pd.DataFrame:
    rng, code, d = _groups(14, 2, 20)
    return d.assign(y=rng.poisson(np.exp(np.array([0.5, 1.2])[code])))


def _one_row() -> pd.DataFrame:
    rng, code, d = _groups(15, 40, 1)
    return d.assign(y=rng.poisson(np.exp(1 + 0.7 * rng.standard_normal(40)[code])))


def _one_row_normal() -> pd.DataFrame:
    rng, code, d = _groups(16, 40, 1, x=_normal)
    return d.assign(y=2 + d.x + rng.standard_normal(len(code)) * 1.3)


def _unequal() -> pd.DataFrame:
    """Five groups of one row, two of them of one trial, and six of eight; a level that no row has."""
    rng = np.random.default_rng(17)
    code = np.repeat(np.arange(11), [1, 1, 1, 1, 1, 8, 8, 8, 8, 8, 8])
    n, x = rng.integers(1, 6, len(code)), rng.standard_normal(len(code))
    n[code < 2] = 1
    p = 1 / (1 + np.exp(0.5 - 0.6 * x - rng.standard_normal(11)[code]))
    g = pd.Categorical([f"g{k:02d}" for k in code], [f"g{k:02d}" for k in range(12)])
    return pd.DataFrame({"y": rng.binomial(n, p), "n": n, "x": x, "g": g})


def _wide() -> pd.DataFrame:
    rng, code, d = _groups(18, 30, 12, **{f"x{k}": _normal for k in range(1, 15)})
    beta = np.linspace(-0.7, 0.7, 14)
    eta = 0.3 + d[[f"x{k}" for k in range(1, 15)]].to_numpy() @ beta + 0.8 * rng.standard_normal(30)[code]
    return d.assign(y=_logit(rng, eta))


def _correlated() -> pd.DataFrame:
    rng, code, d = _groups(19, 15, 8, x=_normal)
    d = d.assign(w=d.x + 0.05 * rng.standard_normal(len(code)))
    return d.assign(y=rng.gamma(3.0, np.exp(1 + 0.4 * d.x + 0.5 * rng.standard_normal(15)[code]) / 3.0))


def _counts(level: float, shape: float | None, seed: int) -> pd.DataFrame:
    rng, code, d = _groups(seed, 12, 8, x=_normal)
    mu = np.exp(level + 0.3 * d.x.to_numpy() + 0.6 * rng.standard_normal(12)[code])
    return d.assign(y=rng.poisson(mu if shape is None else mu * rng.gamma(shape, 1 / shape, len(mu))))


def _many_trials() -> pd.DataFrame:
    rng, code, d = _groups(21, 10, 5, x=_normal)
    n = rng.integers(500, 2000, len(code))
    p = 1 / (1 + np.exp(2 - 0.3 * d.x.to_numpy() - rng.standard_normal(10)[code]))
    return d.assign(n=n, y=rng.binomial(n, p))


def _heavy() -> pd.DataFrame:
    rng, code, d = _groups(22, 12, 6, x=_normal)
    return d.assign(y=_logit(rng, 0.5 + d.x + rng.standard_normal(12)[code]))


def _crossed(counts: bool) -> pd.DataFrame:
    rng, code, d = _groups(23, 12, 10, x=_normal)
    item = np.tile(np.arange(10), 12)
    eta = 0.5 + 0.4 * d.x + 0.6 * rng.standard_normal(12)[code] + 0.4 * rng.standard_normal(10)[item]
    y = rng.poisson(np.exp(eta)) if counts else eta + 0.8 * rng.standard_normal(len(code))
    return d.assign(item=[f"i{k}" for k in item], y=y)


def _ordered() -> pd.DataFrame:
    rng, code, d = _groups(24, 20, 5, x=_normal)
    latent = 0.7 * d.x + 1.2 * rng.standard_normal(20)[code] + rng.logistic(size=len(code))
    return d.assign(y=np.digitize(latent, [-1.5, 0.0, 2.0]) + 1)


def _slopes(log: bool) -> pd.DataFrame:
    rng, code, d = _groups(25, 15, 6, x=_normal)
    b = rng.multivariate_normal([0, 0], [[0.5, 0.2], [0.2, 0.3]], 15)[code]
    y = 0.5 + b[:, 0] + (0.4 + b[:, 1]) * d.x + 0.6 * rng.standard_normal(len(code))
    return d.assign(y=np.exp(y) if log else y)


def _rare() -> pd.DataFrame:
    rng, code, d = _groups(26, 25, 8, x=_normal)
    return d.assign(y=_logit(rng, -3.5 + 0.5 * d.x + 2.5 * rng.standard_normal(25)[code]))


_CAUCHY = usual(
    Intercept=lambda pm: pm.Cauchy.dist(0, 10),
    beta=lambda pm: pm.Cauchy.dist(0, 2.5),
    sd=lambda pm: pm.HalfCauchy.dist(2.5),
)
_SIGMA, _SHAPE = _half(2), lambda pm: pm.Gamma.dist(2, 0.5)
_CUTS = usual(Intercept=None, thresholds=lambda pm: pm.Normal.dist(0, 5))

_FOURTEEN = "y ~ " + " + ".join(f"x{k}" for k in range(1, 15)) + " + (1 | g)"

HARD = [
    Example("sd near 0", "y ~ 1 + (1 | g)", "bernoulli", _no_spread, usual(None), "30 groups of 8, no spread"),
    Example("sd near 0, normal", "y ~ x + (1 | g)", "gaussian", _no_spread_normal, usual(sigma=_SIGMA), "the same"),
    Example("separation", "y ~ x + (1 | g)", "bernoulli", _separated, usual(), "y = (x > 0), 10 groups of 4"),
    Example("two groups", "y ~ 1 + (1 | g)", "poisson", _two_groups, usual(None), "of 20 rows"),
    Example("one row", "y ~ 1 + (1 | g)", "poisson", _one_row, usual(None), "40 groups of one row"),
    Example(
        "one row, normal", "y ~ x + (1 | g)", "gaussian", _one_row_normal, usual(sigma=_SIGMA), "sd and sigma trade"
    ),
    Example(
        "unequal groups",
        "y | trials(n) ~ x + (1 | g)",
        "binomial",
        _unequal,
        usual(),
        "five of one row, one level without rows",
    ),
    Example("15 coefficients", _FOURTEEN, "bernoulli", _wide, usual(), "30 groups of 12"),
    Example(
        "correlated columns",
        "y ~ x + w + (1 | g)",
        "gamma",
        _correlated,
        usual(shape=_SHAPE),
        "their correlation is .999",
    ),
    Example(
        "large counts",
        "y ~ x + (1 | g)",
        "poisson",
        lambda: _counts(8, None, 27),
        usual(intercept=(8, 5)),
        "some 3,000 a row",
    ),
    Example(
        "large counts, dispersed",
        "y ~ x + (1 | g)",
        "negbinomial",
        lambda: _counts(7, 4, 28),
        usual(intercept=(7, 5), shape=_SHAPE),
        "some 1,000 a row",
    ),
    Example(
        "small counts, dispersed",
        "y ~ x + (1 | g)",
        "negbinomial",
        lambda: _counts(0.3, 1.5, 29),
        usual(shape=_SHAPE),
        "shape 1.5",
    ),
    Example("many trials", "y | trials(n) ~ x + (1 | g)", "binomial", _many_trials, usual(), "500 to 2,000 a row"),
    Example("Cauchy priors", "y ~ x + (1 | g)", "bernoulli", _heavy, _CAUCHY, "of all coefficients, and of the sd"),
    Example(
        "rare and far apart", "y ~ x + (1 | g)", "bernoulli", _rare, usual(), "sd 2.5, most groups without an event"
    ),
    Example("ordered", "y ~ x + (1 | g)", "cumulative", _ordered, _CUTS, "20 groups of 5, four categories"),
    Example(
        "random slopes",
        "y ~ x + (1 + x | g)",
        "gaussian",
        lambda: _slopes(False),
        usual(sigma=_SIGMA, cor=2.0),
        "15 groups of 6",
    ),
    Example(
        "random slopes, lognormal",
        "y ~ x + (1 + x | g)",
        "lognormal",
        lambda: _slopes(True),
        usual(sigma=_SIGMA, cor=2.0),
        "the same",
    ),
    Example(
        "crossed", "y ~ x + (1 | g) + (1 | item)", "gaussian", lambda: _crossed(False), usual(sigma=_SIGMA), "12 by 10"
    ),
    Example("crossed counts", "y ~ x + (1 | g) + (1 | item)", "poisson", lambda: _crossed(True), usual(), "12 by 10"),
]


def references() -> list[Example]:
    """The cases of tests/data/reference whose fits can be compared, under the priors of brms's fits."""
    sleep = usual(50, (300, 100), 50, sigma=_half(50), cor=2.0)
    cuts = "rating ~ treat + period + carry + (1 | subject)"
    return [
        _reference("b_bacteria", usual()),
        _reference("h_bactprobit", usual()),
        _reference("c_cbpp", usual()),
        _reference("d_sleep", sleep),
        Example("g_inhaler", cuts, "cumulative", _inhaler, _CUTS, "as brms", brms="g_inhaler"),
        _reference("k_epil", usual(cor=2.0)),
        _reference("n_gamma", _brms_default(3.4, "shape")),
        _reference("o_beta", _brms_default(0.0, "phi")),
        _reference("t_betabinom", _brms_default(0.0, "phi")),
    ]
