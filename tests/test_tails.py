"""What a comparison divides by may be as small as it likes: held against sums of mpmath at 30 digits."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath as mp
import numpy as np
import pandas as pd
import pytest

import bayesmargins as bm
from bayesmargins.evaluate import passes
from bayesmargins.family import get_link
from bayesmargins.integrate.log_tails import log_expectation

DATA = pd.DataFrame({"y": [0, 1, 0, 1], "x": [0.0, 1.0, -0.7, 1.0], "g": list("aabb"), "h": list("cdcd")})
DIGITS = 30


def log_of(link: str, part: str) -> Callable[[Any], Any]:
    if link == "log":
        return lambda x: x
    if link == "logit":
        return lambda x: -mp.log1p(mp.exp(-x if part == "mean" else x))
    if link == "probit":
        return lambda x: mp.log(mp.ncdf(x if part == "mean" else -x))
    if link == "softplus":
        return lambda x: mp.log(mp.log1p(mp.exp(x)))
    if link == "loglog":
        mirrored = log_of("cloglog", "mean" if part == "complement" else "complement")
        return lambda x: mirrored(-x)
    if part == "complement":
        return lambda x: -mp.exp(x)
    return lambda x: mp.log(-mp.expm1(-mp.exp(x))) if x < 8 else -mp.exp(-mp.exp(x))


@cache
def log_average(link: str, part: str, eta: Any, s: Any) -> Any:
    """log E[f(eta + s Z)]: the sum over a fine grid of where the integrand is within 1e-30 of its largest value."""
    f, eta, s = log_of(link, part), mp.mpf(eta), mp.mpf(s)
    if link == "probit":
        return f(eta / mp.sqrt(1 + s * s))
    if s == 0 or link == "log":
        return f(eta) + s * s / 2
    v = lambda z: z * z / 2 - f(eta + s * z)  # noqa: E731
    low, high = (mp.mpf(0 if link == "loglog" else -4000), mp.mpf(0 if part == "complement" else 4000))
    while high - low > mp.mpf("1e-10"):
        middle = (low + high) / 2
        low, high = (low, middle) if v(middle + mp.mpf("1e-15")) > v(middle) else (middle, high)
    ends = []
    for side in (-1, 1):
        far = mp.mpf(1) / 64
        while v(low + side * far) - v(low) < 70:
            far *= mp.mpf("1.3")
        ends.append(low + side * far)
    nodes = 300 + 120 * int(s)
    step, top = (ends[1] - ends[0]) / nodes, v(low)
    total = step * mp.fsum(mp.exp(top - v(ends[0] + k * step)) for k in range(nodes + 1))
    return mp.log(total / mp.sqrt(2 * mp.pi)) - top


def log_sum(terms: list[Any]) -> Any:
    top = max(terms)
    return top + mp.log(mp.fsum(mp.exp(t - top) for t in terms))


CASES = [
    ("cloglog", "complement", [(8, 0.5), (9, 0.5), (6, 0.1), (30, 0.5), (31, 0.5), (3, 2.0), (700, 0.3), (-40, 1)]),
    ("cloglog", "mean", [(-60, 5.0), (-900, 0.5), (5, 1.0), (-200, 12.0)]),
    ("logit", "mean", [(-60, 5.0), (-900, 0.5), (-200, 14.0), (3, 1.0)]),
    ("logit", "complement", [(60, 5.0), (900, 0.5), (200, 14.0), (-3, 1.0)]),
    ("probit", "mean", [(-60, 0.5), (-300, 2.0), (1, 1.0)]),
    ("loglog", "mean", [(-8, 0.5), (-6, 0.1), (-30, 0.5), (-3, 2.0), (-700, 0.3), (40, 1)]),
    ("loglog", "complement", [(60, 5.0), (900, 0.5), (-5, 1.0), (200, 12.0)]),
    ("softplus", "mean", [(-60, 5.0), (-900, 0.5), (-200, 14.0), (3, 1.0), (40, 2.0)]),
]  # fmt: skip


@pytest.mark.parametrize(("link", "part", "at"), CASES)
def test_logarithms_of_tails_equal_integrals_within_their_bound(link: str, part: str, at: list[Any]) -> None:
    with mp.workdps(DIGITS):
        true = [log_average(link, part, eta, s) for eta, s in at]
    eta, s = np.array(at, dtype=float).T
    found = log_expectation(get_link(link), eta, s * s, part)
    for k, value in enumerate(true):
        alone = log_expectation(get_link(link), eta[k : k + 1], s[k : k + 1] ** 2, part)
        for got, bound in ((found.value[k], found.error_bound), (alone.value[0], alone.error_bound)):
            error = abs(float(mp.mpf(float(got)) - value))
            assert error <= bound + 4e-15 * abs(float(value))
            assert error <= 1e-11 * max(1.0, abs(float(value)))


def test_logarithms_of_nothing_and_of_no_number() -> None:
    with np.errstate(all="raise", under="ignore"):
        eta = np.array([np.nan, -np.inf, np.inf, 0.0])
        found = log_expectation(get_link("cloglog"), eta, np.array([1.0, 1.0, 1.0, np.nan]), "mean").value
    assert np.isnan(found[[0, 3]]).all()
    assert found[1] == -np.inf
    assert found[2] == 0.0


def posterior(link: str, eta: float, effect: float, s: float, other: float, seed: int = 0) -> bm.Posterior:
    rng = np.random.default_rng(seed)
    scales = {"g": s, "h": other}
    return bm.from_draws(
        "y ~ x + (1 | g) + (1 | h)",
        DATA,
        family="poisson" if link == "log" else "bernoulli",
        link=link,
        beta=np.array([[[eta, effect]]]),
        b={f: rng.normal(size=(1, 1, 2, 1)) * scale for f, scale in scales.items()},
        Sigma={f: np.full((1, 1, 1, 1), scale * scale) for f, scale in scales.items()},
    )


def log_side(post: bm.Posterior, link: str, policy: Any, x: float, part: str) -> Any:
    """log of the mean of all rows with x set: sums over groups written out."""
    (eta, effect), s, other = post.draws.beta[0], *(float(np.sqrt(post.draws.Sigma[f][0, 0, 0])) for f in "gh")
    b = {f: post.draws.b[f][0, :, 0] for f in "gh"}
    at, terms = mp.mpf(eta) + mp.mpf(effect) * mp.mpf(x), []
    for g, h in ((0, 0), (0, 1), (1, 0), (1, 1)):  # the rows, and the combinations that are fitted
        if policy == "new":
            terms.append((at, mp.sqrt(mp.mpf(s) ** 2 + mp.mpf(other) ** 2)))
        elif policy in ("own", "existing"):
            terms.append((at + mp.mpf(b["g"][g]) + mp.mpf(b["h"][h]), mp.mpf(0)))
        else:
            terms.append((at + mp.mpf(b["g"][g]), mp.mpf(other)) if isinstance(policy, dict) else (at, mp.mpf(0)))
    return log_sum([log_average(link, part, *term) for term in terms]) - mp.log(4)


def compared(post: bm.Posterior, link: str, policy: Any, comparison: str) -> Any:
    side = lambda x, part: log_side(post, link, policy, x, part)  # noqa: E731
    d = side(1.0, "mean") - side(0.0, "mean")
    if comparison in ("lnor", "or"):
        d -= side(1.0, "complement") - side(0.0, "complement")
    return d if comparison.startswith("ln") else mp.expm1(d) if comparison == "lift" else mp.exp(d)


EXTREME = [
    ("cloglog", 8.0, 1.0, 0.5, 0.0),
    ("cloglog", 6.0, 0.5, 0.1, 0.0),
    ("cloglog", 30.0, 1.0, 0.5, 0.0),
    ("cloglog", 2.9, -0.3, 0.4, 0.3),
    ("cloglog", -90.0, 2.0, 6.0, 1.0),
    ("logit", -800.0, 1.5, 0.7, 0.2),
    ("logit", 90.0, 3.0, 6.0, 2.0),
    ("probit", -45.0, 1.0, 0.3, 0.1),
    ("probit", 45.0, 1.0, 0.3, 0.1),
    ("log", -900.0, 1.5, 0.7, 0.2),
    ("log", 900.0, -1.5, 0.7, 0.2),
]


@pytest.mark.parametrize("tables", [False, True])
@pytest.mark.parametrize("policy", ["new", "existing", "own", "zero", {"g": "existing", "h": "new"}], ids=str)
@pytest.mark.parametrize("case", EXTREME, ids=str)
def test_comparisons_of_tails_are_right_to_nine_digits(
    case: Any, policy: Any, tables: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if tables:
        monkeypatch.setattr(passes, "MANY_ROWS", 1)
        monkeypatch.setattr(passes, "MANY_VALUES", 1)
    link = case[0]
    post = posterior(*case)
    with mp.workdps(DIGITS), bm.options(warn_zero=False):
        for comparison in ("ratio", "lift", "lnratio") + (() if link == "log" else ("lnor", "or")):
            ds = bm.avg_comparisons(post, {"x": (0.0, 1.0)}, groups=policy, comparison=comparison)
            true, got = compared(post, link, policy, comparison), float(ds["estimate"].item())
            if not np.isfinite(got):
                assert abs(true) > 1e300  # counted as a draw that is not finite
                continue
            error = abs(mp.mpf(got) - true)
            assert error <= max(1e-9 * abs(true), mp.mpf("1e-12"))
            assert error <= ds.attrs["error_bound"] + 1e-12 * abs(true) + mp.mpf("1e-14")


def test_the_three_numbers() -> None:
    for case, right in zip(EXTREME[:3], (21.761417274759, 67.463898520661, 103.462049257816), strict=True):
        found = bm.avg_comparisons(posterior(*case), {"x": (0.0, 1.0)}, comparison="lnor")["estimate"].item()
        assert found == pytest.approx(right, rel=1e-11)


@pytest.mark.parametrize("case", EXTREME[:5], ids=str)
def test_rows_functions_and_attenuation_see_the_same_tails(case: Any) -> None:
    post = posterior(*case)
    how = {"newdata": DATA.assign(x=0.0), "groups": "new"}
    alone = bm.comparisons(post, {"x": 1.0}, comparison="lnor", **how)["estimate"].to_numpy()
    one = bm.avg_comparisons(post, {"x": 1.0}, comparison="lnor", **how)["estimate"].item()
    np.testing.assert_allclose(alone, one, rtol=1e-11)
    new = bm.attenuation(post, {"x": (0.0, 1.0)}, comparison="lnor")["estimate"].sel(groups="new").item()
    assert new == pytest.approx(one, rel=1e-11)
    ratio = bm.avg_comparisons(post, {"x": 1.0}, comparison="ratio", **how)["estimate"].item()
    own = bm.avg_comparisons(post, {"x": 1.0}, comparison=lambda high, low: high / low, **how)["estimate"].item()
    assert own == pytest.approx(ratio, rel=1e-12)


def test_heterogeneity_divides_by_tails_too() -> None:
    """Within a group odds are exp(e^eta) - 1 under a cloglog link: the difference of their logs is that of e^eta."""
    eta, effect, s = 8.0, 1.0, 0.5
    ds = bm.heterogeneity(posterior("cloglog", eta, effect, s, 0.0), {"x": (0.0, 1.0)}, over="g", comparison="lnor",
                          groups={"h": "zero"}, quantiles=(0.5,))  # fmt: skip
    found = ds["estimate"].sel(statistic=["mean", "q50"]).to_numpy().ravel()
    middle = np.exp(eta) * (np.exp(effect) - 1.0)
    np.testing.assert_allclose(found, [middle * np.exp(s * s / 2), middle], rtol=1e-8)


@pytest.mark.parametrize("link", ["logit", "cloglog", "probit", "log"])
def test_ordinary_numbers_do_not_move(link: str) -> None:
    """Where both tails are far from 0 the values are those of the two predictions, to the bit."""
    post = posterior(link, 0.3, 0.7, 0.8, 0.4)
    high, low = (bm.avg_predictions(post, at={"x": [x]})["estimate"].item() for x in (1.0, 0.0))
    ratio = bm.avg_comparisons(post, {"x": (0.0, 1.0)}, comparison="ratio")
    assert ratio["estimate"].item() == high / low
    assert ratio.attrs["error_bound"] < 1e-12
    assert "logs" not in ratio.attrs["integration_method"]
