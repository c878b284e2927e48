"""Work on a dask cluster: the numbers of one machine, whatever becomes of the workers."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesmargins as bm
from bayesmargins.clusters import Pieces, done_by_workers, pieces_of, running_client
from bayesmargins.errors import warn
from bayesmargins.model.on_client import sampled_on

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
dask_array = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import it


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Two processes of one thread each."""
    with warnings.catch_warnings(), dask.config.set({"distributed.deploy.lost-worker-timeout": "1 hour"}):
        # So long after a worker died, dask looks for its successor, and gives the place up for good if there is none.
        # By default 15 seconds: a busy machine takes longer to start one, or it has died too by then, in the next test.
        warnings.simplefilter("ignore")  # of ports that others use, and of slow starts
        cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50)
        with cluster, distributed.Client(cluster) as found:
            yield found


HERE = os.getpid()


def _dies_once(marker: Path) -> None:
    """Ends this process where no one has done so before."""
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)


class Sampled:
    """Stands in for a model: the third chain's first worker dies, once the second chain is done elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def pymc_for(self, group_effects: str, parametrisation: str) -> Sampled:
        from bayesmargins.model import sampling

        sampling.SAMPLERS["nutpie"] = lambda model, seed, progressbar, kwargs: model.sampled(seed, **kwargs)
        return self

    def sampled(self, seed: int, draws: int, tune: int, chains: int) -> Any:
        with open(self.folder / "log", "a") as log:
            log.write(f"{seed} {os.getpid()}\n")
        if seed == SEEDS[2]:
            _dies_once(self.folder / "died")
        if seed < 0:
            raise ValueError("no")
        dims = {"theta": (("chain", "draw"), np.random.default_rng(seed).normal(size=(chains, draws)))}
        groups = {"posterior": xr.Dataset(dims), "sample_stats": xr.Dataset(dims)}
        return xr.DataTree.from_dict(groups)


SEEDS = [int(s.generate_state(1)[0]) for s in np.random.SeedSequence(7).spawn(4)]


def test_a_chain_is_a_task_that_another_worker_takes_over(client: Any, tmp_path: Path) -> None:
    run = sampled_on(client, Sampled(tmp_path), "sampled", "auto")
    trace, _ = run("nutpie", 5, 3, 4, 7, False)
    assert (tmp_path / "died").exists()
    assert trace["chain"].to_numpy().tolist() == [0, 1, 2, 3]
    wanted = [np.random.default_rng(seed).normal(size=5) for seed in SEEDS]
    np.testing.assert_array_equal(trace["theta"], wanted)
    ran = [int(line.split()[0]) for line in (tmp_path / "log").read_text().splitlines()]
    assert ran.count(SEEDS[2]) == 2


def test_what_a_sampler_refuses_is_refused_here(client: Any, tmp_path: Path) -> None:
    run = sampled_on(client, Sampled(tmp_path), "sampled", "auto")
    with pytest.raises(bm.FitError, match=r"sampler='nutpy' is not known.*Did you mean 'nutpie'"):
        run("nutpy", 5, 3, 2, 7, False)
    with pytest.raises(bm.FitError, match="chains=0"):
        run("nutpie", 5, 3, 0, 7, False)


def _model(shift: float = 0.0) -> bm.GLMM:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(size=60), "g": [f"g{k % 6}" for k in range(60)]})
    frame["y"] = 1 + frame.x + rng.normal(size=6)[np.arange(60) % 6] + rng.normal(size=60) + shift
    return bm.GLMM("y ~ x + (1 | g)", frame)


@pytest.mark.sampling
def test_fits_on_a_cluster_have_the_draws_of_fits_here(client: Any) -> None:
    """Whole fits, by name, with the words of one that fails."""
    fit = {"draws": 50, "chains": 2, "ess": None}
    good, ill = _model(), _model(1.0)
    ill.predictors = None  # type: ignore[assignment]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(bm.FitError) as failed:
            bm.fit_many({"ill": ill, "good": good}, client=client, random_seed=1, progressbar=False, **fit)
    assert "1 of 2 fits failed. models['ill']: AttributeError" in str(failed.value)
    ours = [str(w.message) for w in caught if issubclass(w.category, bm.BayesmarginsWarning)]
    assert all(said.startswith("models['good']") for said in ours)
    there = failed.value.finished["good"]  # type: ignore[attr-defined]
    seed = there.info["random_seed"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)
        here = good.fit(random_seed=seed, sampler="independent", progressbar=False, **fit)
        alone = good.fit(random_seed=seed, sampler="independent", client=client, **fit)
    for found in (there, alone):
        np.testing.assert_array_equal(found.beta, here.beta)
        np.testing.assert_array_equal(found.b["g"], here.b["g"])
        assert found.info["min_ess"] == here.info["min_ess"]
        assert found.design is good.design


@pytest.mark.sampling
def test_a_worker_that_goes_on_to_nuts_says_for_which_model(capfd: pytest.CaptureFixture[str]) -> None:
    """A client whose only worker is a thread of this process, so that what it prints is caught."""
    model = bm.GLMM("y ~ x", _model().design.data)
    here = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    short = {"draws": 10, "tune": 10, "chains": 2, "ess": None, "random_seed": 1, "progressbar": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of chains that short
        with distributed.LocalCluster(**here, silence_logs=50) as cluster, distributed.Client(cluster) as alone:
            bm.fit_many({"north": model}, client=alone, **short)
    assert "models['north']: sampler='independent' is not used, NUTS is" in capfd.readouterr().err


def test_what_is_no_client_is_refused() -> None:
    model = _model()
    for call in (lambda: model.fit(client="here"), lambda: bm.fit_many([model], client="here", progressbar=False)):
        with pytest.raises(bm.FitError, match=r"client is 'here'; it must be a distributed\.Client"):
            call()


def test_a_closed_client_is_refused(client: Any) -> None:
    closed = distributed.Client(client.scheduler.address, set_as_default=False)
    closed.close()
    with pytest.raises(bm.FitError, match="client is closed, or its cluster is: make it anew"):
        bm.fit_many([bm.GLMM("y ~ x", pd.DataFrame({"y": [1.0, 2.0, 4.0], "x": [0, 1, 3]}))], client=closed)


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(bm.FitError, match=r"pip install 'bayesmargins\[large\]'"):
        _model().fit(client=object())


ROWS = 150_000  # two whole blocks and a part of one


def _posterior(chunks: int | None = None) -> bm.Posterior:
    """With b in chunks of so many draws."""
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"x": rng.normal(size=90), "arm": ["a", "b", "c"] * 30, "z": rng.normal(size=90)})
    data["g"], data["y"] = [f"g{k % 9}" for k in range(90)], rng.integers(0, 2, 90)
    beta, b = rng.normal(size=(2, 5, 5)) * 0.5, rng.normal(size=(2, 5, 9, 2))
    b = b if chunks is None else dask_array.from_array(b, chunks=(1, chunks, 9, 2))
    Sigma = np.einsum("cd,ij->cdij", rng.uniform(0.5, 1.5, (2, 5)), np.array([[1.0, 0.3], [0.3, 0.5]]))
    return bm.from_draws(
        "y ~ x + arm + z + (1 + x | g)", data, family="bernoulli", beta=beta, b={"g": b}, Sigma={"g": Sigma}
    )


@pytest.fixture(scope="module")
def post() -> bm.Posterior:
    return _posterior()


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": rng.normal(size=ROWS), "z": rng.normal(size=ROWS), "w": rng.uniform(size=ROWS)})
    frame["arm"], frame["g"] = rng.choice(["a", "b", "c"], ROWS), rng.choice([f"g{k}" for k in range(9)], ROWS)
    return frame.assign(cell=np.arange(ROWS) // 50_000)  # no block has all of them


@pytest.fixture(scope="module")
def folder(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parquet in files of other lengths than blocks have."""
    where = tmp_path_factory.mktemp("rows")
    for k, (first, last) in enumerate(pairwise([0, 20_000, 20_000, 95_000, 149_999, ROWS])):
        rows.iloc[first:last].to_parquet(where / f"{k}.parquet")
    return where


QUESTIONS = {
    "comparison by cell, weighted": lambda post, d: bm.avg_comparisons(post, "x", newdata=d, by="cell", wts="w"),
    "odds ratio, random slope": lambda post, d: bm.avg_comparisons(post, {"x": 2}, newdata=d, comparison="or"),
    "slope, fitted groups": lambda post, d: bm.avg_slopes(post, "z", newdata=d, groups="existing", by="arm"),
    "each row's group": lambda post, d: bm.avg_predictions(post, d, groups="own", at={"x": [0, 1]}),
    "drawn groups": lambda post, d: bm.avg_predictions(post, d, groups="sample", random_seed=3),
}


QUICK = ("comparison by cell, weighted", "each row's group", "drawn groups")


@pytest.mark.parametrize("name", [q if q in QUICK else pytest.param(q, marks=pytest.mark.evidence) for q in QUESTIONS])
def test_a_cluster_gives_the_bits_of_one_process(
    name: str, client: Any, post: bm.Posterior, rows: pd.DataFrame, folder: Path
) -> None:
    assert running_client() is client
    there, here = (QUESTIONS[name](post, of) for of in (dd.read_parquet(folder), iter([rows])))
    xr.testing.assert_identical(there, here)


@pytest.mark.parametrize("rows_there", [True, False])
def test_draws_in_chunks_are_read_by_the_workers_with_the_same_bits(
    rows_there: bool, client: Any, rows: pd.DataFrame, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of rows by blocks of draws; here no block of either is done."""
    in_chunks, loaded = (_posterior(chunks) for chunks in (2, None))
    monkeypatch.setattr("bayesmargins.evaluate.draw_blocks.BLOCK_DRAWS", 4)

    def ask(post: bm.Posterior, newdata: Any) -> xr.Dataset:
        return bm.avg_comparisons(post, "x", newdata=newdata, by="cell", groups="own")

    here = ask(loaded, rows)
    with monkeypatch.context() as patch:
        patch.setattr("bayesmargins.evaluate.evaluate._here", None)
        there = ask(in_chunks, dd.read_parquet(folder) if rows_there else rows)
    xr.testing.assert_identical(there, here)


def test_without_a_client_partitions_are_read_here(post: bm.Posterior, rows: pd.DataFrame, folder: Path) -> None:
    ask = QUESTIONS["comparison by cell, weighted"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bayesmargins.streams.running_client", lambda: None)
        xr.testing.assert_identical(ask(post, dd.read_parquet(folder)), ask(post, rows))


def _killed_in_the_middle(post: bm.Posterior, rows: pd.DataFrame, folder: Path, marker: Path) -> None:
    def doubled(frame: pd.DataFrame) -> pd.Series:
        if os.getpid() != HERE and len(frame) < 65_536:  # the last block
            _dies_once(marker)
        return frame["x"] * 2

    def ask(newdata: Any) -> xr.Dataset:
        return bm.avg_comparisons(post, "x", newdata=newdata, by="arm", at={"z": doubled})

    there = ask(dd.read_parquet(folder))
    assert marker.exists()
    xr.testing.assert_identical(there, ask(rows))


def test_a_worker_that_dies_in_the_middle_changes_no_bit(
    client: Any, post: bm.Posterior, rows: pd.DataFrame, folder: Path, tmp_path: Path
) -> None:
    _killed_in_the_middle(post, rows, folder, tmp_path / "died")


@pytest.mark.evidence
@pytest.mark.parametrize("time", range(20))
def test_workers_that_die_twenty_times_change_no_bit(
    time: int, client: Any, post: bm.Posterior, rows: pd.DataFrame, folder: Path, tmp_path: Path
) -> None:
    _killed_in_the_middle(post, rows, folder, tmp_path / "died")


def test_a_row_that_is_refused_on_a_worker_is_named_as_here(
    client: Any, post: bm.Posterior, rows: pd.DataFrame, folder: Path
) -> None:
    def wrong(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(arm=frame["arm"].where(frame.index != 140_000, "new"))

    with pytest.raises(bm.DataError, match=r"has the levels 'new'.* is row 140,000, counted from 0"):
        bm.avg_comparisons(post, "x", newdata=dd.from_pandas(wrong(rows), npartitions=2))
    with pytest.raises(bm.EstimandError, match="newdata is a dask DataFrame, whose rows are read block by block"):
        bm.predictions(post, dd.read_parquet(folder))


class Counted:
    """Sums of blocks, and where they were made."""

    def begin(self) -> list[int]:
        return [os.getpid()]

    def step(self, kept: list[int], start: int, frame: pd.DataFrame) -> tuple[int, int, float, list[int]]:
        kept.append(start)
        warn("mind this")
        if frame["x"].iloc[0] < 0:
            raise bm.DataError("below 0")
        return start, len(frame), float(frame["x"].sum()), list(kept)


def test_what_a_worker_begins_with_is_made_once_and_blocks_keep_their_order(client: Any) -> None:
    x = np.arange(1_000.0)
    frame = dd.concat([dd.from_pandas(pd.DataFrame({"x": part}), npartitions=1) for part in np.split(x, [1, 130, 701])])
    with pytest.warns(bm.BayesmarginsWarning, match="mind this") as caught:
        found = list(done_by_workers(client, Counted(), pieces_of(client, frame).tasks(64)))
    assert len(caught) == 1
    assert [start for start, *_ in found] == list(range(0, 1_000, 64))
    assert [(n, total) for _, n, total, _ in found] == [(len(p), p.sum()) for p in np.split(x, range(64, 1_000, 64))]
    of_worker: dict[int, int] = {}
    for *_, kept in found:
        of_worker[kept[0]] = max(of_worker.get(kept[0], 0), len(kept) - 1)
    assert sum(of_worker.values()) == len(found)  # nothing was begun anew
    assert len(of_worker) <= 2


def test_blocks_wait_for_workers_that_come_late(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all are lost, and the next one takes longer to start than dask waits for one."""
    with_workers, waits = client.scatter, 0
    frame = dd.from_pandas(pd.DataFrame({"x": np.arange(10.0)}), npartitions=1)
    tasks = pieces_of(client, frame).tasks(5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        empty = distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None, silence_logs=50)
    with empty, distributed.Client(empty, set_as_default=False) as without:

        def sent(work: Any, **how: Any) -> Any:
            nonlocal waits
            waits += 1
            return without.scatter(work, timeout=0.1, **how) if waits < 3 else with_workers(work, **how)

        monkeypatch.setattr(client, "scatter", sent)
        with pytest.warns(bm.BayesmarginsWarning, match="mind this"):
            found = list(done_by_workers(client, Counted(), tasks))
    assert ([total for _, _, total, _ in found], waits) == ([10.0, 35.0], 3)


def test_what_a_block_is_refused_for_is_raised_here(client: Any) -> None:
    frame = dd.from_pandas(pd.DataFrame({"x": -np.arange(100.0)}), npartitions=3)
    with pytest.warns(bm.BayesmarginsWarning, match="mind this"), pytest.raises(bm.DataError, match="below 0"):
        list(done_by_workers(client, Counted(), pieces_of(client, frame).tasks(40)))


def test_blocks_are_counted_from_the_first_row_whatever_the_partitions() -> None:
    pieces = Pieces(None, "abcd", [3, 0, 5, 2])
    assert pieces.blocks(4) == [(0, [(0, 0, 3), (2, 0, 1)]), (4, [(2, 1, 5)]), (8, [(3, 0, 2)])]
    assert pieces.blocks(100) == [(0, [(0, 0, 3), (2, 0, 5), (3, 0, 2)])]
