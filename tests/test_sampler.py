"""Independent proposals on densities that are known: right within Monte Carlo error, or refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy import stats

from bayesmargins.diagnostics import pareto_shape
from bayesmargins.sampler import Chains, sample
from bayesmargins.sampler.straight import Straight, straightened

Density = Callable[[np.ndarray], np.ndarray]
LIMIT = stats.norm.isf(1e-5)  # of right draws one quantity in 50,000 lies further away


def _drawn(log_density: Density, d: int, unit: float = 1.0, seed: int = 1, **options: object) -> Chains:
    """Gradients by differences; the modes need no more."""

    def slopes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        h = 1e-5 * unit * np.eye(d)
        return log_density(x), np.stack([(log_density(x + e) - log_density(x - e)) / (2e-5 * unit) for e in h], axis=1)

    return sample(log_density, slopes, np.zeros(d), np.full(d, unit), seed=seed, **options)


def _assert_average(values: np.ndarray, expected: float) -> None:
    """Of (chain, draw), within Monte Carlo error."""
    error = values.std() / np.sqrt(array_stats.ess(values, method="mean"))
    assert abs(values.mean() - expected) < LIMIT * error, (values.mean(), expected, error)


def _assert_trusted(found: Chains) -> None:
    assert found.obstacle == ""
    assert found.khat < 0.7
    assert found.draws.shape[1] >= 1000


def test_correlated_normal_has_its_means_and_covariances() -> None:
    A = np.random.default_rng(3).normal(size=(6, 6))
    mean, S = np.arange(6.0), A @ A.T + 0.1 * np.eye(6)
    P = np.linalg.inv(S)
    found = _drawn(lambda x: -0.5 * np.einsum("ni,ij,nj->n", x - mean, P, x - mean), 6)
    _assert_trusted(found)
    for i in range(6):
        _assert_average(found.draws[..., i], mean[i])
        for j in range(i + 1):
            _assert_average((found.draws[..., i] - mean[i]) * (found.draws[..., j] - mean[j]), S[i, j])
    np.testing.assert_allclose(found.covariance, S, rtol=0.5, atol=0.5 * S.max())


def test_t_with_3_degrees_of_freedom_has_its_tails() -> None:
    d = 3
    found = _drawn(lambda x: -(3 + d) / 2 * np.log1p((x**2).sum(axis=1) / 3), d)
    _assert_trusted(found)
    for i in range(d):
        for p in (0.01, 0.05, 0.5, 0.95, 0.99):
            _assert_average((found.draws[..., i] < stats.t.ppf(p, 3)).astype(float), p)


def test_banana_has_its_moments() -> None:
    """x normal, y normal about a parabola in x."""
    found = _drawn(lambda x: -0.5 * x[:, 0] ** 2 - 0.5 * ((x[:, 1] + x[:, 0] ** 2 - 1.0) / 0.5) ** 2, 2)
    _assert_trusted(found)
    x, y = np.moveaxis(found.draws, -1, 0)
    for values, expected in ((x, 0.0), (x**2, 1.0), (y, 0.0), (y**2, 2.25), (x**2 * y, -2.0)):
        _assert_average(values, expected)


def test_logarithm_of_a_standard_deviation_that_may_be_zero_has_its_long_side() -> None:
    """exp(u) half-normal; beside it a normal variable whose spread it is part of."""

    def log_density(x: np.ndarray) -> np.ndarray:
        variance = 1.0 + np.exp(2.0 * x[:, 0])
        half_normal = x[:, 0] - 0.5 * np.exp(2.0 * x[:, 0])
        return half_normal - 0.5 * x[:, 1] ** 2 / variance - 0.5 * np.log(variance)

    found = _drawn(log_density, 2)
    _assert_trusted(found)
    for p in (0.01, 0.1, 0.5, 0.9, 0.99):
        _assert_average((np.exp(found.draws[..., 0]) < stats.halfnorm.ppf(p)).astype(float), p)
    _assert_average(found.draws[..., 1] ** 2, 2.0)


def test_nearly_flat_direction_is_followed_to_its_ends() -> None:
    """Standard deviations of 1e-3 and 1e3 beside a unit of 1."""
    sd = np.array([1e-3, 1.0, 1e3])
    found = _drawn(lambda x: -0.5 * ((x - sd) ** 2 / sd**2).sum(axis=1), 3)
    _assert_trusted(found)
    for i in range(3):
        _assert_average(found.draws[..., i] / sd[i], 1.0)
        _assert_average((found.draws[..., i] / sd[i] - 1.0) ** 2, 1.0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("apart", [3.0, 6.0, 20.0])
def test_two_modes_are_right_or_refused(apart: float, seed: int) -> None:
    def log_density(x: np.ndarray) -> np.ndarray:
        squares = [((x - at) ** 2).sum(axis=1) for at in (apart / 2, -apart / 2)]
        return np.logaddexp(-0.5 * squares[0], np.log(3.0) - 0.5 * squares[1])

    found = _drawn(log_density, 2, unit=apart, seed=seed)
    if found.obstacle:
        assert "2 modes" in found.obstacle
    else:
        _assert_average((found.draws.sum(axis=-1) < 0).astype(float), _share_below(apart))


def _share_below(apart: float) -> float:
    """P(x + y < 0): the sum is normal about +- apart with variance 2."""
    return float(0.25 * stats.norm.cdf(-apart / np.sqrt(2)) + 0.75 * stats.norm.cdf(apart / np.sqrt(2)))


def test_what_proposals_do_not_cover_is_refused() -> None:
    """Neal's funnel, whose neck is exp(-v / 2) wide: no mixture of some components fills it."""

    def log_density(x: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):  # proposals may be far away
            squares = np.exp(-x[:, 0]) * (x[:, 1:] ** 2).sum(axis=1)
        return -0.5 * (x[:, 0] / 3) ** 2 - 0.5 * squares - 2.0 * x[:, 0]

    found = _drawn(log_density, 5)
    assert found.obstacle
    assert found.mean is not None


def test_density_without_a_mode_is_refused() -> None:
    assert "no mode" in _drawn(lambda x: x.sum(axis=1), 2).obstacle


def test_draws_grow_until_the_effective_size_is_reached() -> None:
    def normal(x: np.ndarray) -> np.ndarray:
        return -0.5 * (x**2).sum(axis=1)

    few, many = (_drawn(normal, 2, draws=250, ess=size, max_draws=8000) for size in (100, 6000))
    assert few.draws.shape[1] == 250
    assert many.draws.shape[1] > 1000
    assert not many.obstacle
    sizes = [array_stats.ess(many.draws[..., i], method="bulk") for i in range(2)]
    assert min(sizes) >= 6000
    short = _drawn(normal, 2, draws=250, ess=6000, max_draws=500)
    assert short.draws.shape[1] == 500
    assert "6000 is wanted" in short.obstacle


def test_stopping_keeps_whole_blocks() -> None:
    points = 0

    def tick(n: int) -> None:
        nonlocal points
        points += n
        if points > 3500:
            raise KeyboardInterrupt

    found = _drawn(lambda x: -0.5 * (x**2).sum(axis=1), 2, draws=2000, tick=tick)
    whole = _drawn(lambda x: -0.5 * (x**2).sum(axis=1), 2, draws=2000)
    assert found.stopped
    n = found.draws.shape[1]
    assert 250 <= n < 2000
    np.testing.assert_array_equal(found.draws, whole.draws[:, :n])

    def at_once(n: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _drawn(lambda x: -0.5 * (x**2).sum(axis=1), 2, tick=at_once)


def test_chains_say_what_was_accepted() -> None:
    found = _drawn(lambda x: -0.5 * (x**2).sum(axis=1), 2)
    moved = np.abs(np.diff(found.draws, axis=1)).sum(axis=-1) > 0
    np.testing.assert_array_equal(moved, found.accepted[:, 1:])
    np.testing.assert_allclose(found.log_density, -0.5 * (found.draws**2).sum(axis=-1), rtol=1e-9, atol=1e-9)
    assert abs(found.acceptance.mean() - found.accepted.mean()) < 0.05


def test_straight_coordinates_are_a_change_of_variables() -> None:
    rng = np.random.default_rng(1)
    straight = Straight(np.array([1.0, -2.0, 0.0]), np.array([0.5, 2.0, 1.0]), np.array([-3.0, 1.5, 0.0]))
    v = rng.normal(size=(50, 3)) * 3
    u, log_slope = straight.out(v)
    np.testing.assert_allclose(straight.into(u), v, rtol=1e-12, atol=1e-12)
    h = 1e-6
    slopes = (straight.out(v + h)[0] - straight.out(v - h)[0]) / (2 * h)
    np.testing.assert_allclose(np.log(slopes).sum(axis=1), log_slope, rtol=1e-7, atol=1e-8)


def test_straight_coordinates_of_a_skewed_entry_are_nearly_symmetric() -> None:
    u = np.log(stats.halfnorm.ppf((np.arange(20_000) + 0.5) / 20_000))
    points = np.column_stack([u, -u, stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)])
    straight = straightened(points, np.full(20_000, 1 / 20_000))
    skew = np.abs(stats.skew(straight.into(points)))
    assert np.abs(stats.skew(points))[:2].min() > 1.4
    assert skew.max() < 0.3
    assert straight.bend[2] == 0.0


@pytest.mark.parametrize("n", [100, 225, 226, 4000])
@pytest.mark.parametrize("df", [1, 4])
def test_pareto_shape_is_arvizs(n: int, df: int) -> None:
    log_weights = np.log(np.abs(np.random.default_rng(n).standard_t(df, n)))
    expected = float(array_stats.psislw(-log_weights)[1])
    assert pareto_shape(log_weights) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(pareto_shape(np.zeros(n)))
