"""Fits on the workers of a running `distributed.Client`: a task a fit, or a task a chain.

Lost workers and retries are dask's: a task whose worker dies runs again elsewhere, and what another has finished is
here already.
"""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import uuid4

import numpy as np
import xarray as xr

from bayesmargins.errors import FitError, warn
from bayesmargins.limits import options
from bayesmargins.model.fitting import whole
from bayesmargins.model.process import answer
from bayesmargins.model.sampling import run_sampler
from bayesmargins.posterior import Posterior
from bayesmargins.values import whole_number

__all__ = ["answers_on", "fit_on", "pickled", "posterior_in", "sampled_on"]

_ONE_AT_A_TIME = threading.Lock()  # in a worker with several threads: PyTensor compiles, and warnings are caught, alone


def pickled(named: str, model: Any) -> bytes:
    """A model for another process; `named` is how a refusal calls it."""
    import cloudpickle  # functions of a notebook too; PyMC needs it

    try:
        return bytes(cloudpickle.dumps(model))
    except Exception as error:
        raise FitError(
            f"{named} cannot be sent to another process ({type(error).__name__}: {error}): functions of "
            "its namespace= or its priors hold something that lives in this process alone, such as an open file. Fit "
            "it here: model.fit()."
        ) from error


def posterior_in(answered: Mapping[str, Any], model: Any) -> Posterior:
    """The posterior of a finished fit."""
    post, variables = pickle.loads(answered["posterior"])
    return whole(post, model, variables)


def answers_on(
    client: Any, names: Sequence[Any], jobs: Sequence[Mapping[str, Any]], progress: bool
) -> list[dict[str, Any]]:
    """An answer of each job of `fit_many`, in their order."""
    session = {"memory": options.memory, "progress": False}
    tasks = [(_fitted, dict(job), session) for job in jobs]
    answers: list[dict[str, Any]] = [{} for _ in jobs]
    for k, found in _as_they_come(client, "fit", tasks):
        answers[k] = _lost(found) if isinstance(found, BaseException) else found
        if progress:
            left = sum(not a for a in answers)
            print(f"{names[k]}: {answers[k]['said']}; {left} to go", file=sys.stderr, flush=True)
    return answers


def fit_on(client: Any, model: Any, fit: Mapping[str, Any]) -> Posterior:
    """One fit by a worker: the draws are those of the same fit here."""
    job = {"model": pickled("The model", model), "fit": {**fit, "progressbar": False}}
    (found,) = answers_on(client, ["fit"], [job], progress=False)
    for message in found["warned"]:
        warn(message)
    if "failed" in found:
        raise FitError(found["failed"])
    return posterior_in(found, model)


def sampled_on(
    client: Any, model: Any, group_effects: str, parametrisation: str
) -> Callable[..., tuple[xr.Dataset, xr.Dataset]]:
    """What stands in for `run_sampler`: every chain is a task, with a seed of its own."""
    sent = pickled("The model", model)

    def run(
        sampler: str, draws: int, tune: int, chains: int, seed: int, progressbar: bool, **of_sampler: Any
    ) -> tuple[xr.Dataset, xr.Dataset]:
        seeds = np.random.SeedSequence(seed).spawn(whole_number("chains", chains, 1, FitError))
        call = (sent, (group_effects, parametrisation), sampler, draws, tune)
        tasks = [(_chain, *call, int(s.generate_state(1)[0]), of_sampler) for s in seeds]
        found: dict[int, tuple[xr.Dataset, xr.Dataset]] = {}
        for k, chain in _as_they_come(client, "chain", tasks):
            if isinstance(chain, BaseException):
                failed = str(chain) if isinstance(chain, FitError) else f"Chain {k} failed: {_lost(chain)['failed']}"
                raise FitError(failed) from chain
            found[k] = chain
            if progressbar:
                print(f"chain {k}: done; {chains - len(found)} to go", file=sys.stderr, flush=True)
        trace, stats = (_side_by_side([found[k][part] for k in range(chains)]) for part in (0, 1))
        return trace, stats

    return run


def _as_they_come(client: Any, name: str, tasks: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
    """Place and result, or error, of each task; what has come does not hang on its worker any more."""
    from distributed import as_completed

    run = uuid4().hex
    futures = [client.submit(*task, key=f"{name}-{k}-{run}") for k, task in enumerate(tasks)]
    place = {future.key: k for k, future in enumerate(futures)}
    try:
        for future in as_completed(futures):
            found = future.exception() if future.status == "error" else future.result()
            future.release()
            yield place[future.key], found
    finally:
        client.cancel(futures)  # where the rest is not waited for


def _lost(error: BaseException) -> dict[str, Any]:
    failed = f"{type(error).__name__}: {error}"
    return {"said": "failed", "failed": failed, "warned": []}


def _side_by_side(chains: Sequence[xr.Dataset]) -> xr.Dataset:
    joined = xr.concat(chains, "chain", data_vars="minimal", coords="minimal", compat="override", join="override")
    return joined.assign_coords(chain=np.arange(len(chains)))


def _fitted(job: Mapping[str, Any], session: Mapping[str, Any]) -> dict[str, Any]:
    """On a worker: a whole fit."""
    with _ONE_AT_A_TIME:
        return answer({**job, "session": {**session, "threads": _threads()}})


def _chain(
    model: bytes, treated: tuple[str, str], sampler: str, draws: int, tune: int, seed: int, more: Mapping[str, Any]
) -> tuple[xr.Dataset, xr.Dataset] | Exception:
    """On a worker: one chain, or what went wrong, which would go wrong again."""
    with _ONE_AT_A_TIME, options(threads=1):
        try:
            pymc = _model(model).pymc_for(*treated)
            trace, stats = run_sampler(pymc, sampler, draws, tune, 1, seed, False, **more)
        except Exception as error:
            return error
        return trace.load(), stats.load()


@lru_cache(maxsize=2)
def _model(sent: bytes) -> Any:
    """Compiled once a worker, for all chains that run there."""
    return pickle.loads(sent)


def _threads() -> int:
    from distributed import get_worker

    return int(get_worker().state.nthreads)
