"""Several linear predictors that groups act on together: against the normals written out, quadrature and brms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pandas as pd
import pytest
import reference
from scipy import stats

import bayesmargins as bm

W_SIGMA = "bf(rt ~ Days + (1 | p | Subject), sigma ~ Days + (1 | p | Subject))"
DRAWS, N = 6, 12
RNG = np.random.default_rng(5)
DATA = pd.DataFrame({"y": RNG.normal(size=N), "x": RNG.normal(size=N), "g": np.resize([*"cab"], N)})
ROOT = RNG.normal(size=(1, DRAWS, 3, 3)) * 0.35
SIGMA = ROOT @ np.swapaxes(ROOT, -1, -2) + 0.05 * np.eye(3)  # on mu: 1, x; on log sigma: 1
GIVEN: dict[str, Any] = {
    "beta": RNG.normal(size=(1, DRAWS, 2)),
    "b": {"g": 0.4 * RNG.normal(size=(1, DRAWS, 3, 2))},
    "Sigma": {"g": SIGMA},
}
OF_SIGMA: dict[str, Any] = {
    "formula": "~ x + (1 | g)",
    "beta": 0.3 * RNG.normal(size=(1, DRAWS, 2)),
    "b": {"g": 0.3 * RNG.normal(size=(1, DRAWS, 3, 1))},
}
X = np.column_stack([np.ones(N), DATA["x"]])
ETA, LOG = GIVEN["beta"][0] @ X.T, OF_SIGMA["beta"][0] @ X.T
V1 = np.einsum("np,spq,nq->sn", X, SIGMA[0, :, :2, :2], X)
C12 = np.einsum("np,sp->sn", X, SIGMA[0, :, :2, 2])
V2 = SIGMA[0, :, 2, 2][:, None] * np.ones(N)


def joint(data: pd.DataFrame = DATA, **more: Any) -> bm.Posterior:
    given = {**GIVEN, "parts": {"sigma": OF_SIGMA}} | more
    return bm.from_draws("y ~ x + (1 + x | g)", data, family="gaussian", **given)


def values(ds: Any) -> np.ndarray:
    found = ds["estimate"].to_numpy()
    return np.asarray(found.reshape(-1, *found.shape[2:]))


@pytest.fixture(scope="module")
def sleep() -> bm.Posterior:
    frame = pd.read_csv(reference.HERE / "w_sigma" / "data.csv", dtype={"Subject": str})
    return bm.from_brms(reference.draws("w_sigma"), W_SIGMA, frame, family="gaussian")


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("avg_own", lambda p: bm.avg_predictions(p, groups="own")),
        ("avg_zero", lambda p: bm.avg_predictions(p, groups="zero")),
        ("avg_new", bm.avg_predictions),
        ("rows_own", lambda p: bm.predictions(p, groups="own")),
        ("cf_new", lambda p: bm.avg_comparisons(p, "Days")),
        ("cf_zero", lambda p: bm.avg_comparisons(p, "Days", groups="zero")),
    ],
)
def test_brms_with_a_formula_of_sigma(sleep: bm.Posterior, name: str, ask: Any) -> None:
    of = reference.expected("w_sigma")[name]
    found = values(ask(sleep)).reshape(25, -1)[of["draw"]]
    rows = [n[0] for n in of["names"]] if name == "rows_own" else [0]
    np.testing.assert_allclose(found[:, rows].T, of["value"], rtol=1e-11)


@pytest.fixture(scope="module")
def ticks() -> bm.Posterior:
    text = dict.fromkeys(("YEAR", "BROOD", "LOCATION"), str)
    frame = pd.read_csv(reference.HERE / "r_zip" / "data.csv", dtype=text)
    formula = "bf(TICKS ~ YEAR + cH10 + (1 | p | BROOD), zi ~ cH10 + (1 | p | BROOD))"
    return bm.from_brms(reference.draws("r_zip"), formula, frame, family="zero_inflated_poisson")


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("avg_own", lambda p: bm.avg_predictions(p, groups="own")),
        ("avg_zero", lambda p: bm.avg_predictions(p, groups="zero")),
        ("avg_new", bm.avg_predictions),
        ("rows_own", lambda p: bm.predictions(p, groups="own")),
        ("cf_new", lambda p: bm.avg_comparisons(p, "cH10")),
        ("cf_zero", lambda p: bm.avg_comparisons(p, "cH10", groups="zero")),
    ],
)
def test_brms_with_a_formula_of_zi(ticks: bm.Posterior, name: str, ask: Any) -> None:
    of = reference.expected("r_zip")[name]
    found = values(ask(ticks)).reshape(10, -1)[of["draw"]]
    rows = [n[0] for n in of["names"]] if name == "rows_own" else [0]
    np.testing.assert_allclose(found[:, rows].T, of["value"], rtol=1e-10)


def test_the_mean_moved_by_exp_equals_quadrature_over_both(ticks: bm.Posterior) -> None:
    row, zi = ticks.design.data.head(1), ticks.parts["zi"]
    found = bm.predictions(ticks, row)
    assert "moved by exp(eta)" in found.attrs["integration_method"]
    m1 = ticks.draws.beta @ ticks.design.rows(row, what="row").X[0]
    m2 = zi.draws.beta @ zi.design.rows(row, what="row").X[0]
    z = np.arange(-14.0, 14.01, 0.05)
    u, v = np.meshgrid(z, z)
    for s, Sigma in enumerate(ticks.across["BROOD"].to_numpy()[0]):
        L = np.linalg.cholesky(Sigma)
        count = np.exp(m1[s] + L[0, 0] * u - 0.5 * (u**2 + v**2))
        kept = 1.0 / (1.0 + np.exp(m2[s] + L[1, 0] * u + L[1, 1] * v))
        expected = (count * kept).sum() * 0.05**2 / (2.0 * np.pi)
        assert values(found)[s, 0] == pytest.approx(expected, rel=1e-12)


def test_a_mean_without_end_is_refused() -> None:
    data = DATA.assign(y=np.exp(DATA["y"]))
    part = {"formula": "~ 1 + (1 | g)", "beta": np.zeros((1, DRAWS, 1)), "Sigma": {"g": SIGMA[..., 2:, 2:]}}
    post = bm.from_draws("y ~ x", data, family="lognormal", beta=GIVEN["beta"], parts={"sigma": part})
    for ask in ({"target": "mean"}, {"target": bm.sd()}):
        with pytest.raises(bm.IntegrationError, match="over new groups that act on 'sigma' is infinite"):
            bm.avg_predictions(post, **ask)
    assert np.isfinite(values(bm.avg_predictions(post, data.head(1), target=bm.exceeds(1.0)))).all()


def test_log_likelihood_is_that_of_brms(sleep: bm.Posterior) -> None:
    of = reference.expected("w_sigma")["log_lik"]
    found = sleep.log_likelihood()["rt"].to_numpy().reshape(25, -1)[of["draw"]][:, of["names"]]
    np.testing.assert_allclose(found.T, of["value"], rtol=1e-9, atol=1e-10)


def test_tails_equal_quadrature_over_both_predictors(sleep: bm.Posterior) -> None:
    rows = sleep.design.data.iloc[[0, 9]]
    found = values(bm.predictions(sleep, rows, target=bm.exceeds(3.2)))
    Sigma, parts = sleep.across["Subject"].to_numpy()[0], sleep.parts["sigma"]
    with mpmath.workdps(30):
        for s, n in ((0, 0), (17, 1)):
            days = float(rows["Days"].iloc[n])
            eta, log = (float(p.draws.beta[s] @ [1.0, days]) for p in (sleep, parts))
            (v1, c), (_, v2) = ([mpmath.mpf(float(v)) for v in row] for row in Sigma[s])
            left = v1 - c * c / v2

            def of(z: Any, eta: float = eta, log: float = log, c: Any = c, v2: Any = v2, left: Any = left) -> Any:
                width = mpmath.sqrt(mpmath.exp(2 * (log + mpmath.sqrt(v2) * z)) + left)
                return mpmath.npdf(z) * mpmath.ncdf((eta + c / mpmath.sqrt(v2) * z - mpmath.mpf("3.2")) / width)

            expected = mpmath.quad(of, mpmath.linspace(-14, 14, 29))
            assert abs(found[s, n] / float(expected) - 1.0) < 1e-9


def test_spread_over_new_groups_equals_closed_form() -> None:
    found = bm.predictions(joint(), target=bm.sd())
    np.testing.assert_allclose(values(found), np.sqrt(V1 + np.exp(2 * LOG + 2 * V2)), rtol=1e-10)
    assert "trapezoid over sigma, halved" in found.attrs["integration_method"]
    assert found.attrs["error_estimate"] < 1e-8


def test_quantiles_are_where_tails_are() -> None:
    post, rows = joint(), DATA.head(1)
    q = values(bm.predictions(post, rows, target=bm.quantile(0.8)))[:, 0]
    tails = [values(bm.predictions(post, rows, target=bm.exceeds(float(c))))[k, 0] for k, c in enumerate(q)]
    np.testing.assert_allclose(tails, 0.2, rtol=1e-8)


def test_correlation_matters_and_none_is_none() -> None:
    apart = SIGMA.copy()
    apart[..., :2, 2] = apart[..., 2, :2] = 0.0
    given = {"b": None, "Sigma": {"g": SIGMA[..., :2, :2]}}
    alone = {k: v for k, v in OF_SIGMA.items() if k != "b"} | {"Sigma": {"g": SIGMA[..., 2:, 2:]}}
    tails = [
        values(bm.predictions(p, target=bm.exceeds(1.0)))
        for p in (joint(), joint(Sigma={"g": apart}), joint(**given, parts={"sigma": alone}))
    ]
    np.testing.assert_allclose(tails[1], tails[2], rtol=1e-10)
    assert np.abs(tails[0] - tails[1]).max() > 1e-4


def test_without_variance_new_groups_are_those_at_zero() -> None:
    post = joint(Sigma={"g": SIGMA * 0.0}, b=None, parts={"sigma": {k: v for k, v in OF_SIGMA.items() if k != "b"}})
    for target in (bm.exceeds(0.5), bm.sd()):
        new, zero = (values(bm.predictions(post, target=target, groups=g)) for g in ("new", "zero"))
        np.testing.assert_allclose(new, zero, rtol=1e-12)


def test_fitted_groups_have_their_effects_on_both() -> None:
    found = values(bm.predictions(joint(), target=bm.exceeds(0.5), groups="existing"))
    b, c = GIVEN["b"]["g"][0], OF_SIGMA["b"]["g"][0]
    each = [stats.norm(ETA + b[:, k] @ X.T, np.exp(LOG + c[:, k])).sf(0.5) for k in range(3)]
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-11)
    spread = values(bm.predictions(joint(), target=bm.sd(), groups="existing"))
    means = np.stack([ETA + b[:, k] @ X.T for k in range(3)])
    within = np.mean([np.exp(2 * (LOG + c[:, k])) for k in range(3)], axis=0)
    np.testing.assert_allclose(spread, np.sqrt(within + means.var(axis=0)), rtol=1e-11)


def test_order_of_rows_and_names_of_groups_do_not_matter() -> None:
    turned = DATA.iloc[::-1].assign(g=lambda d: d["g"].map({"a": "z", "b": "y", "c": "x"}))
    order = [2, 1, 0]  # x, y, z are c, b, a
    moved = joint(
        turned,
        b={"g": GIVEN["b"]["g"][:, :, order]},
        parts={"sigma": {**OF_SIGMA, "b": {"g": OF_SIGMA["b"]["g"][:, :, order]}}},
    )
    for groups in ("new", "existing", "own"):
        one, other = (values(bm.predictions(p, target=bm.exceeds(0.3), groups=groups)) for p in (joint(), moved))
        np.testing.assert_allclose(other[:, ::-1], one, rtol=1e-12)


def test_groups_that_are_drawn_have_their_covariance() -> None:
    n, Sigma = 4000, np.array([[1.0, 0.6], [0.6, 0.5]])
    part = {"formula": "~ 1 + (1 | g)", "beta": np.zeros((1, n, 1))}
    post = bm.from_draws(
        "y ~ 1 + (1 | g)",
        DATA,
        family="gaussian",
        beta=np.zeros((1, n, 1)),
        Sigma={"g": np.broadcast_to(Sigma, (1, n, 2, 2))},
        parts={"sigma": part},
    )
    asked: dict[str, Any] = {"groups": "sample", "random_seed": 3}
    row = DATA.head(1)
    mu = values(bm.predictions(post, row, **asked))[:, 0]
    log = np.log(values(bm.predictions(post, row, target="sigma", **asked))[:, 0])
    tail = values(bm.predictions(post, row, target=bm.exceeds(0.7), **asked))[:, 0]
    np.testing.assert_allclose(tail, stats.norm(mu, np.exp(log)).sf(0.7), rtol=1e-11)
    assert np.abs(np.cov(mu, log) - Sigma).max() < 5 * np.sqrt(2.0 / n)


def test_a_factor_of_each_predictor_has_its_own_policy() -> None:
    data = DATA.assign(h=np.resize([*"uv"], N))
    part = {"formula": "~ x + (1 | h)", "beta": OF_SIGMA["beta"], "b": {"h": OF_SIGMA["b"]["g"][:, :, :2]}}
    part["Sigma"] = {"h": SIGMA[..., 2:, 2:]}
    post = joint(data, Sigma={"g": SIGMA[..., :2, :2]}, parts={"sigma": part})
    found = values(bm.predictions(post, target=bm.sd(), groups={"g": "own", "h": "new"}))
    np.testing.assert_allclose(found, np.exp(LOG + V2), rtol=1e-10)
    codes = np.resize([2, 0, 1], N)
    mu = ETA + np.einsum("snq,nq->sn", GIVEN["b"]["g"][0][:, codes], X)
    levels = values(bm.predictions(post, target=bm.exceeds(0.2), groups={"g": "own", "h": "existing"}))
    each = [stats.norm(mu, np.exp(LOG + part["b"]["h"][0][:, [k], 0])).sf(0.2) for k in range(2)]
    np.testing.assert_allclose(levels, np.mean(each, axis=0), rtol=1e-11)


def test_three_predictors_equal_simulated_groups() -> None:
    Sigma = SIGMA[:, :1]
    one = {"formula": "~ 1 + (1 | g)", "beta": np.full((1, 1, 1), -0.3)}
    post = bm.from_draws(
        "y ~ 1 + (1 | g)",
        DATA,
        family="student_t",
        beta=np.full((1, 1, 1), 0.2),
        Sigma={"g": Sigma},
        parts={"sigma": one, "nu": {**one, "beta": np.full((1, 1, 1), 2.2)}},
    )
    found = bm.predictions(post, DATA.head(1), target=bm.exceeds(1.0))
    b = RNG.multivariate_normal(np.zeros(3), Sigma[0, 0], 400_000)
    nu = post.parts["nu"].link.inverse(2.2 + b[:, 2])
    each = stats.t.sf((1.0 - 0.2 - b[:, 0]) / np.exp(-0.3 + b[:, 1]), nu)
    assert abs(values(found).item() - each.mean()) < 4.5 * each.std() / np.sqrt(len(each))
    assert "trapezoid over sigma and nu" in found.attrs["integration_method"]


def test_one_covariance_is_read_by_labels_and_kept(tmp_path: Path) -> None:
    post = joint()
    turned = post.across["g"].isel(g_term=[2, 0, 1], g_term2=[2, 0, 1])
    again = joint(Sigma={"g": turned.drop_vars(["chain", "draw"])})
    post.save(tmp_path / "fit.nc")
    for other in (again, bm.load(tmp_path / "fit.nc")):
        assert other.fingerprint == post.fingerprint
        assert other.across["g"].identical(post.across["g"])
    assert list(post.predictors) == ["mu", "sigma"]
    assert post.predictors["mu"] is post
    assert "across_cor_g" in post.idata["posterior"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"parts": {"sigma": {**OF_SIGMA, "Sigma": {"g": SIGMA[..., 2:, 2:]}}}}, "leave the one of the two out"),
        ({"Sigma": {"g": SIGMA - np.eye(3)}}, "is no covariance"),
        ({"Sigma": {"g": SIGMA[:, :2]}}, "has the shape"),
    ],
)
def test_a_covariance_that_does_not_fit_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(bm.PosteriorError, match=said):
        joint(**more)
