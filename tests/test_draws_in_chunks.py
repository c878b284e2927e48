"""Draws in chunks of dask: the bits of draws in memory, never more of b in memory than a block of draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesmargins as bm
from bayesmargins import streams
from bayesmargins.evaluate import draw_blocks

da = pytest.importorskip("dask.array")

CHAINS, DRAWS, LEVELS, ROWS = 2, 50, 6, 120
RNG = np.random.default_rng(11)
DATA = pd.DataFrame(
    {
        "y": RNG.integers(0, 2, ROWS),
        "x": RNG.normal(size=ROWS),
        "arm": RNG.choice(["a", "b"], ROWS),
        "g": [f"g{k % LEVELS}" for k in range(ROWS)],
    }
)
SIGMA = RNG.uniform(0.5, 1.5, (CHAINS, DRAWS, 1, 1)) * np.array([[1.0, 0.2], [0.2, 0.5]])
BETA = RNG.normal(size=(CHAINS, DRAWS, 3)) * 0.3
B = np.einsum("...ij,...gj->...gi", np.linalg.cholesky(SIGMA), RNG.normal(size=(CHAINS, DRAWS, LEVELS, 2)))


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of seven draws of each chain or fewer."""
    monkeypatch.setattr(draw_blocks, "BLOCK_DRAWS", 15)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many draws of b were taken out of chunks, each time."""
    sizes: list[int] = []
    once = draw_blocks.in_memory

    def noted(b: xr.DataArray, factor: str) -> xr.DataArray:
        sizes.append(b.sizes["chain"] * b.sizes["draw"])
        return once(b, factor)

    monkeypatch.setattr(draw_blocks, "in_memory", noted)
    return sizes


def binary(b: Any) -> bm.Posterior:
    return bm.from_draws(
        "y ~ x + arm + (1 + x | g)", DATA, family="bernoulli", beta=BETA, b={"g": b}, Sigma={"g": SIGMA}
    )


def distributional(b: Any) -> bm.Posterior:
    of_g = {"b": {"g": b[..., :1]}, "Sigma": {"g": SIGMA[..., :1, :1]}}
    sigma = {"formula": "~ x + (1 | g)", "beta": BETA[..., :2] / 3, **of_g}
    return bm.from_draws(
        "y ~ x + arm + (1 + x | g)",
        DATA.assign(y=DATA["x"] * 2),
        family="gaussian",
        beta=BETA,
        b={"g": b},
        Sigma={"g": SIGMA},
        parts={"sigma": sigma},
    )


def by_category(b: Any) -> bm.Posterior:
    every = {"beta": np.stack([BETA, -BETA], 2), "Sigma": {"g": np.stack([SIGMA, SIGMA], 2)}}
    b = (da if isinstance(b, da.Array) else np).stack([b, -b], 2)
    data = DATA.assign(y=pd.Categorical(np.array(["no", "yes", "?"])[np.arange(ROWS) % 3]))
    return bm.from_draws("y ~ x + arm + (1 + x | g)", data, family="categorical", b={"g": b}, **every)


def chunks(b: np.ndarray) -> Any:
    return da.from_array(b, chunks=(1, 8, LEVELS, 2))


QUESTIONS: dict[str, tuple[Callable[[Any], bm.Posterior], Callable[[bm.Posterior], xr.Dataset]]] = {
    "new groups": (binary, lambda p: bm.avg_comparisons(p, "arm")),
    "own, by": (binary, lambda p: bm.avg_slopes(p, "x", groups="own", by="arm")),
    "fitted groups": (binary, lambda p: bm.avg_comparisons(p, {"x": 1}, groups="existing", comparison="or")),
    "named groups, single rows": (binary, lambda p: bm.predictions(p, DATA.head(3), groups={"g": ["g1", "g4"]})),
    "drawn groups": (binary, lambda p: bm.avg_predictions(p, groups="sample", random_seed=1)),
    "observations": (binary, lambda p: bm.posterior_predictive(p, DATA.head(4), random_seed=1)),
    "mean of two": (distributional, lambda p: bm.avg_comparisons(p, "arm", groups="own")),
    "a parameter": (distributional, lambda p: bm.avg_predictions(p, groups="own", by="arm", target="sigma")),
    "a probability of two": (distributional, lambda p: bm.avg_predictions(p, groups="own", target=bm.exceeds(1.0))),
    "categories": (by_category, lambda p: bm.avg_predictions(p, groups="own")),
    "log odds of the first": (by_category, lambda p: bm.avg_predictions(p, groups="own", target="mu[no]")),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_chunks_give_the_bits_of_draws_in_memory(name: str) -> None:
    made, ask = QUESTIONS[name]
    in_chunks = made(chunks(B))
    assert in_chunks.b["g"].chunks is not None
    xr.testing.assert_identical(ask(in_chunks), ask(made(B)))


@pytest.mark.parametrize("name", QUESTIONS)
def test_splitting_the_draws_changes_rounding_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made, ask = QUESTIONS[name]
    split = ask(made(B))["estimate"]
    monkeypatch.setattr(draw_blocks, "BLOCK_DRAWS", CHAINS * DRAWS)
    np.testing.assert_allclose(split, ask(made(B))["estimate"], rtol=1e-13, atol=1e-13)


def test_no_more_than_a_block_of_b_is_read_and_nothing_where_none_is_needed(read: list[int]) -> None:
    post = binary(chunks(B))
    bm.avg_comparisons(post, "arm")
    bm.avg_predictions(post, groups="sample", random_seed=1)
    assert read == []
    bm.avg_predictions(post, groups="own")
    assert sum(read) == CHAINS * DRAWS
    assert max(read) <= 15


def test_rows_that_come_block_by_block_meet_all_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BLOCK_ROWS", 50)
    there, here = (
        bm.avg_comparisons(binary(b), "arm", newdata=rows, groups="own", by="arm")
        for b, rows in ((chunks(B), iter([DATA[:70], DATA[70:]])), (B, DATA))
    )
    xr.testing.assert_identical(there, here)


def test_rows_that_are_refused_are_refused_as_with_draws_in_memory(read: list[int]) -> None:
    rows = DATA.assign(g=DATA["g"].where(DATA.index != 7, "h"))
    said = []
    for b in (chunks(B), B):
        with pytest.raises(bm.GroupsError) as refused:
            bm.avg_predictions(binary(b), rows, groups="own")
        said.append(str(refused.value))
    assert said[0] == said[1]
    assert max(read) <= 15


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[xr.Dataset]:
    """Draws as PyMC gives them, in zarr, opened in chunks."""
    sd, z = np.sqrt(SIGMA[..., 0, 0]), RNG.normal(size=(CHAINS, DRAWS, LEVELS))
    draws = xr.Dataset(
        {
            "beta": (("chain", "draw", "coef"), BETA[..., :2]),
            "z": (("chain", "draw", "g"), z),
            "sd": (("chain", "draw"), sd),
            "a": (("chain", "draw", "g"), BETA[..., :1] + z * sd[..., None]),
        },
        coords={"g": [f"g{k}" for k in (3, 1, 0, 2, 5, 4)], "draw": np.arange(100, 100 + DRAWS)},
    )
    draws.chunk(draw=9).to_zarr(tmp_path / "draws.zarr", zarr_format=2, consolidated=False)
    with xr.open_zarr(tmp_path / "draws.zarr", consolidated=False) as found:
        yield found


@pytest.mark.parametrize("role", [{"z(g)": "z"}, {"Intercept + 1|g": "a"}])
def test_a_store_opened_in_chunks_is_read_as_it_stands(role: dict[str, str], stored: xr.Dataset) -> None:
    names = {"beta": "beta", "sd(g)": "sd", **role}

    def ask(draws: xr.Dataset) -> tuple[bool, xr.Dataset]:
        post = bm.from_pymc(draws, "y ~ x + (1 | g)", DATA, family="bernoulli", names=names)
        return post.b["g"].chunks is not None, bm.avg_comparisons(post, "x", groups="own")

    (in_chunks, there), (loaded, here) = ask(stored), ask(stored.load())
    assert in_chunks
    assert not loaded
    xr.testing.assert_identical(there, here)
    assert there["draw"].to_numpy()[0] == 100


def test_values_that_are_no_numbers_are_named_when_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    b = B.copy()
    b[1, 40:, 2, 0] = np.nan
    with pytest.raises(bm.PosteriorError, match=r"b\['g'\] holds 10 values"):
        binary(b)
    monkeypatch.setattr("bayesmargins.adapters.imported_checks._FIRST", 10)
    monkeypatch.setattr("bayesmargins.convergence.MAX_CHECKED", 3)
    post = binary(chunks(b))
    bm.avg_predictions(post)
    with pytest.raises(bm.PosteriorError, match=r"b of 'g' holds \d values that are NaN or infinite among the draws"):
        bm.avg_predictions(post, groups="own")


def test_what_needs_all_of_b_at_once_is_refused_where_it_is_large() -> None:
    post = binary(chunks(B))
    with (
        bm.options(memory=B.nbytes - 1),
        pytest.raises(bm.PosteriorError, match="this question needs all of it at once"),
    ):
        bm.posterior_predictive(post, DATA.head(1))
    with bm.options(memory=B.nbytes - 1):
        assert bm.avg_predictions(post, groups="own").sizes["draw"] == DRAWS


def test_convergence_of_b_in_chunks_is_that_of_all_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bayesmargins.convergence._READ_AT_ONCE", CHAINS * DRAWS * 2 * 4)
    there, here = binary(chunks(B)).info, binary(B).info
    assert there == here
    assert "max_rhat" in there


def test_b_of_a_draw_that_is_large_makes_blocks_of_fewer_draws(
    monkeypatch: pytest.MonkeyPatch, read: list[int]
) -> None:
    monkeypatch.setattr(draw_blocks, "_BLOCK_BYTES", B.nbytes // 20)
    bm.avg_predictions(binary(chunks(B)), groups="own")
    assert max(read) == CHAINS * 2
