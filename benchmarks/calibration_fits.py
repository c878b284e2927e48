"""Data sets whose truth is drawn from priors that are written down, their fits, and the ranks of truths among draws.

For `evidence_calibration.py`. Fits are kept line by line under build/, in a file by the sources that they depend on.
"""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from scipy.special import expit

import bayesmargins as bm
from bayesmargins.errors import BayesmarginsError
from bayesmargins.model import independent_fit
from bayesmargins.model.priors import Prior

Array = npt.NDArray[np.float64]

ROOT = Path(__file__).parents[1]
SEED = 27
FORMULA = "y ~ x + (1 | g)"
# Rows of each group, of even and of odd data sets.
LAYOUTS = {"balanced": (6,) * 12, "unbalanced": (1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15)}
DRAWS, KEPT = 500, 99  # a chain, and those of all chains that the truth is ranked among


@dataclass(frozen=True)
class Case:
    """A family with its priors.

    Attributes
    ----------
    priors : dict of str to (float, float) or (float,)
        Mean and standard deviation of a normal, or the scale of a half-normal distribution. The intercept is the mean
        of the linear predictor over the rows.
    simulate : function of (rng, eta, sigma)
        y: (row,).
    log_likelihood : function of (y, eta, sigma)
        Up to a constant: (draw,).
    """

    priors: dict[str, tuple[float, ...]]
    simulate: Callable[[np.random.Generator, Array, float], Array]
    log_likelihood: Callable[[Array, Array, Array], Array]

    @property
    def given(self) -> dict[str, Prior]:
        """For ``priors=``, in the package's own words, so that PyMC is not needed for them."""
        return {name: _prior(*numbers) for name, numbers in self.priors.items()}

    @property
    def quantities(self) -> list[str]:
        """What is ranked."""
        own = ["sigma"] if "sigma" in self.priors else []
        return ["Intercept", "x", "sd", *own, "b, first group", "b, last group", "log likelihood"]


def _prior(*numbers: float) -> Prior:
    if len(numbers) == 1:
        return Prior("HalfNormal", {"sigma": numbers[0]})
    return Prior("Normal", {"mu": numbers[0], "sigma": numbers[1]})


def _bernoulli(y: Array, eta: Array, sigma: Array) -> Array:
    return np.asarray(-np.logaddexp(0.0, np.where(y == 1.0, -eta, eta)).sum(axis=-1))


def _poisson(y: Array, eta: Array, sigma: Array) -> Array:
    return np.asarray((y * eta - np.exp(eta)).sum(axis=-1))


def _gaussian(y: Array, eta: Array, sigma: Array) -> Array:
    return np.asarray(stats.norm.logpdf(y, eta, sigma[..., None]).sum(axis=-1))


CASES = {
    "bernoulli": Case(
        {"Intercept": (0.0, 1.5), "x": (0.0, 1.0), "sd": (1.0,)},
        lambda rng, eta, sigma: (rng.random(len(eta)) < expit(eta)).astype(float),
        _bernoulli,
    ),
    "poisson": Case(
        {"Intercept": (0.5, 1.0), "x": (0.0, 0.5), "sd": (0.7,)},
        lambda rng, eta, sigma: rng.poisson(np.exp(eta)).astype(float),
        _poisson,
    ),
    "gaussian": Case(
        {"Intercept": (0.0, 2.0), "x": (0.0, 1.0), "sd": (1.0,), "sigma": (1.0,)},
        lambda rng, eta, sigma: eta + sigma * rng.standard_normal(len(eta)),
        _gaussian,
    ),
}


@dataclass(frozen=True)
class Simulated:
    """A data set and what made it.

    Attributes
    ----------
    data : DataFrame
    codes : (row,) int
        Group of each row.
    truth : dict of str to float
        In the order of `Case.quantities`.
    seed : int
        Of the fit.
    """

    data: pd.DataFrame
    codes: npt.NDArray[np.intp]
    truth: dict[str, float]
    seed: int


def layout_of(k: int) -> str:
    """Of the k-th data set."""
    return list(LAYOUTS)[k % len(LAYOUTS)]


def simulated(family: str, k: int) -> Simulated:
    """The k-th data set of a family: truth from the prior, then y."""
    case, sizes = CASES[family], LAYOUTS[layout_of(k)]
    rng = np.random.default_rng([SEED, list(CASES).index(family), k])
    codes = np.repeat(np.arange(len(sizes)), sizes)
    x = rng.normal(size=len(codes))
    drawn = {name: _drawn(rng, *numbers) for name, numbers in case.priors.items()}
    b, sigma = drawn["sd"] * rng.standard_normal(len(sizes)), drawn.get("sigma", 1.0)
    intercept = drawn["Intercept"] - drawn["x"] * x.mean()
    eta = intercept + drawn["x"] * x + b[codes]
    y = case.simulate(rng, eta, sigma)
    log_likelihood = float(case.log_likelihood(y, eta, np.asarray(sigma)))
    truth = [intercept, *list(drawn.values())[1:], b[0], b[-1], log_likelihood]
    data = pd.DataFrame({"y": y, "x": x, "g": [f"g{c:02d}" for c in codes]})
    return Simulated(data, codes, dict(zip(case.quantities, truth, strict=True)), int(rng.integers(2**31)))


def _drawn(rng: np.random.Generator, *numbers: float) -> float:
    if len(numbers) == 1:
        return abs(numbers[0] * rng.standard_normal())
    return numbers[0] + numbers[1] * rng.standard_normal()


def ranks(family: str, one: Simulated, post: bm.Posterior) -> dict[str, int]:
    """Of each truth among draws that lie far apart in their chains."""
    case, y, x = CASES[family], one.data["y"].to_numpy(), one.data["x"].to_numpy()
    thin = _thinned(post.beta.sizes["chain"] * post.beta.sizes["draw"])
    beta, b = _flat(post.beta)[thin], _flat(post.b["g"])[thin, :, 0]
    sd = np.sqrt(_flat(post.Sigma["g"])[thin, 0, 0])
    sigma = _flat(post.aux["sigma"])[thin] if "sigma" in post.aux else np.ones(KEPT)
    eta = beta[:, :1] + beta[:, 1:] * x + b[:, one.codes]
    own = [sigma] if "sigma" in case.priors else []
    draws = [*beta.T, sd, *own, b[:, 0], b[:, -1], case.log_likelihood(y, eta, sigma)]
    return {name: int((found < true).sum()) for (name, true), found in zip(one.truth.items(), draws, strict=True)}


def _flat(draws: Any) -> Array:
    values: Array = draws.transpose("chain", "draw", ...).to_numpy()
    return values.reshape(-1, *values.shape[2:])


def _thinned(total: int) -> npt.NDArray[np.intp]:
    """Places of KEPT draws, evenly: 20 apart or more, chains one after the other."""
    return (np.arange(KEPT) * total // KEPT + total // (2 * KEPT)).astype(np.intp)


class _RefusedError(Exception):
    """Independent proposals cannot be trusted here; the message says why."""


def _later(model: Any, arguments: Any, why: str, **start: Any) -> Any:
    raise _RefusedError(why)


def fitted(family: str, k: int, nuts: bool) -> dict[str, Any]:
    """What is kept of the k-th fit; refused ones are left to NUTS, or for later."""
    one, began = simulated(family, k), time.perf_counter()
    line: dict[str, Any] = {"family": family, "k": k}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", bm.BayesmarginsWarning)
        model = bm.GLMM(FORMULA, one.data, family=family, priors=CASES[family].given)
        arguments = {"sampler": "independent", "draws": DRAWS, "random_seed": one.seed, "progressbar": False}
        try:
            with patch.object(independent_fit, "_by_nuts", independent_fit._by_nuts if nuts else _later):
                post = model.fit(**arguments)
        except _RefusedError as refused:
            return line | {"refused": str(refused)}
    info = post.info
    line |= {"by": info["sampler"], "refused": info.get("independent", ""), "ess": round(info["min_ess"])}
    line |= {name: info[name] for name in ("acceptance", "khat") if name in info}
    said = [str(w.message) for w in caught if issubclass(w.category, bm.BayesmarginsWarning)]
    line |= {"draws": post.beta.sizes["draw"], "seconds": round(time.perf_counter() - began, 3), "warned": said}
    return line | {"ranks": ranks(family, one, post)}


def store() -> Path:
    """Lines of fits, by the sources of the package and of this file."""
    digest = hashlib.sha256()
    for path in [Path(__file__), *sorted((ROOT / "bayesmargins").rglob("*.py"))]:
        digest.update(path.read_bytes())
    return ROOT / "build" / f"calibration-{digest.hexdigest()[:12]}.jsonl"


def kept(path: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Fits by family and number; a later line stands in place of an earlier one."""
    if not path.exists():
        return {}
    lines = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    return {(line["family"], line["k"]): line for line in lines}


def run(path: Path, sets: int, nuts: int) -> None:
    """All fits that are not there yet: families in turn, then as many refused ones by NUTS."""
    path.parent.mkdir(exist_ok=True)
    bm.options.threads = 1
    done = kept(path)
    with path.open("a", encoding="utf-8") as file:
        for family, k in ((family, k) for k in range(sets) for family in CASES):
            if (family, k) not in done:
                _written(file, family, k, nuts=False)
        refused = [key for key, line in kept(path).items() if "ranks" not in line and "error" not in line]
        for family, k in refused[:nuts]:
            _written(file, family, k, nuts=True)


def _written(file: Any, family: str, k: int, nuts: bool) -> None:
    try:
        line = fitted(family, k, nuts)
    except BayesmarginsError as error:
        line = {"family": family, "k": k, "error": f"{type(error).__name__}: {error}"}
    file.write(json.dumps(line) + "\n")
    file.flush()
