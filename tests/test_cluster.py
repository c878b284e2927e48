"""Work on a dask cluster: the numbers of one machine, whatever becomes of the workers."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesmargins as bm
from bayesmargins.model.on_client import sampled_on

distributed = pytest.importorskip("distributed")
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import it


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Two processes of one thread each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ports that others use, and of slow starts
        cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50)
        with cluster, distributed.Client(cluster) as found:
            yield found


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


def test_what_is_no_client_is_refused() -> None:
    model = _model()
    for call in (lambda: model.fit(client="here"), lambda: bm.fit_many([model], client="here", progressbar=False)):
        with pytest.raises(bm.FitError, match=r"client is 'here'; it must be a distributed\.Client"):
            call()


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(bm.FitError, match=r"pip install 'bayesmargins\[large\]'"):
        _model().fit(client=object())
