"""The computations that margins are held against: plug-in loops in NumPy, Monte Carlo over b, high precision."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
from scipy.special import expit

BLOCKS = ((4000, 32), (4000, 128), (1000, 128), (1000, 512), (250, 256), (250, 512), (250, 2048))


def arms(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Design columns (coef, row) with t = 1 and with t = 0."""
    one = np.ones(len(frame))
    high, low = (np.stack([one, t * one, frame["x"].to_numpy(), frame["z"].to_numpy()]) for t in (1.0, 0.0))
    return high, low


def _with_exp(beta: np.ndarray, columns: np.ndarray, buffer: np.ndarray) -> np.ndarray:
    np.matmul(-beta, columns, out=buffer)
    np.exp(buffer, out=buffer)
    buffer += 1.0
    np.reciprocal(buffer, out=buffer)
    return buffer @ np.ones(buffer.shape[1])


def _with_expit(beta: np.ndarray, columns: np.ndarray, buffer: np.ndarray) -> np.ndarray:
    np.matmul(beta, columns, out=buffer)
    expit(buffer, out=buffer)
    return buffer @ np.ones(buffer.shape[1])


def _with_tanh(beta: np.ndarray, columns: np.ndarray, buffer: np.ndarray) -> np.ndarray:
    """expit(eta) = (1 + tanh(eta / 2)) / 2: one pass fewer over the block than with exp."""
    np.matmul(0.5 * beta, columns, out=buffer)
    np.tanh(buffer, out=buffer)
    return 0.5 * (buffer.shape[1] + buffer @ np.ones(buffer.shape[1]))


VARIANTS = {"exp": _with_exp, "expit": _with_expit, "tanh": _with_tanh}


def plug_in(
    variant: str, block: tuple[int, int], beta: np.ndarray, frame: pd.DataFrame, threads: int = 1
) -> np.ndarray:
    """Averaged difference between t = 1 and t = 0 at b = 0, (draw,): blocks that stay in cache, ufuncs in place."""
    total, (draws, width), sides = VARIANTS[variant], block, arms(frame)

    def some_draws(start: int) -> np.ndarray:
        some = beta[start : start + draws]
        out, scratch = np.zeros(len(some)), np.empty(len(some) * width)
        for first in range(0, len(frame), width):
            for sign, side in zip((1.0, -1.0), sides, strict=True):
                columns = side[:, first : first + width]
                buffer = scratch[: len(some) * columns.shape[1]].reshape(len(some), -1)
                out += sign * total(some, columns, buffer)
        return out / len(frame)

    starts = range(0, len(beta), draws)
    if threads == 1:
        return np.concatenate([some_draws(start) for start in starts])
    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(some_draws, starts)))


def fastest_plug_in(beta: np.ndarray, frame: pd.DataFrame) -> tuple[str, Callable[..., np.ndarray]]:
    """The variant and block size that take least time on the first rows: its name, and the loop over all of them."""
    few = frame.iloc[:4096]
    found = []
    for variant in VARIANTS:
        for block in BLOCKS:
            times = []
            for _ in range(4):
                start = time.perf_counter()
                plug_in(variant, block, beta, few)
                times.append(time.perf_counter() - start)
            found.append((min(times), variant, block))
    _, variant, block = min(found)
    name = f"{variant}, blocks of {min(block[0], len(beta)):,} draws × {block[1]:,} rows"
    return name, partial(plug_in, variant, block, beta, frame)


def monte_carlo(beta: np.ndarray, s: np.ndarray, frame: pd.DataFrame, k: int, seed: int) -> np.ndarray:
    """brmsmargins' algorithm in NumPy: averaged difference, (draw,).

    For every posterior draw k fresh b ~ N(0, s^2), the same for all rows; predictions row × k, averaged over k, then
    over rows. The seed is set anew before either arm, as brmsmargins does, so that both see the same b.
    """
    means = []
    for side in arms(frame):
        rng = np.random.default_rng(seed)
        out, buffer = np.empty(len(beta)), np.empty((len(frame), k))
        for i in range(len(beta)):
            b = s[i] * rng.normal(size=k)
            np.add((beta[i] @ side)[:, None], b, out=buffer)
            np.negative(buffer, out=buffer)
            np.exp(buffer, out=buffer)
            buffer += 1.0
            np.reciprocal(buffer, out=buffer)
            out[i] = buffer.mean()
        means.append(out)
    return means[0] - means[1]


def high_precision(beta: np.ndarray, s: np.ndarray, frame: pd.DataFrame) -> np.ndarray:
    """The same integrated over b ~ N(0, s^2), in extended precision (64-bit mantissa on x86), for a few draws.

    Trapezoid rule with a step of 1/64 on [-14, 14]: for s < 4 its own error is below 1e-30.
    """
    z = np.arange(-14 * 64, 14 * 64 + 1).astype(np.longdouble) / 64
    weights = np.exp(-z * z / 2)
    weights /= weights.sum()
    means = []
    for side in arms(frame):
        eta = beta.astype(np.longdouble) @ side.astype(np.longdouble)
        shift = s.astype(np.longdouble)[:, None] * z
        means.append(
            [
                np.mean([(1 / (1 + np.exp(-(e + m)))) @ weights for e in line])
                for line, m in zip(eta, shift, strict=True)
            ]
        )
    return np.array(means[0]) - np.array(means[1])


def thirty_digits(eta: float, s: float) -> float | None:
    """E[expit(eta + s Z)] by adaptive quadrature with 30 digits; None without mpmath."""
    try:
        import mpmath as mp
    except ModuleNotFoundError:
        return None
    with mp.workdps(30):
        return float(mp.quad(lambda z: mp.npdf(z) / (1 + mp.exp(-(eta + s * z))), list(range(-14, 15, 2))))
