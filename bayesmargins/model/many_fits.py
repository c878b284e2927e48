"""Several models at once: in processes that share the cores of this machine, or here where that is over sooner."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bayesmargins.clusters import checked_client
from bayesmargins.errors import FitError, shown, warn
from bayesmargins.limits import options
from bayesmargins.model.glmm import GLMM
from bayesmargins.model.independent_fit import INDEPENDENT
from bayesmargins.model.on_client import answers_on, pickled, posterior_in
from bayesmargins.model.process import answer
from bayesmargins.model.treatment import INTEGRATED
from bayesmargins.posterior import Posterior
from bayesmargins.values import is_word, switch, whole_number

__all__ = ["fit_many"]

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from bayesmargins.model.process import serve; serve()"
)
# Processor seconds until a process has loaded what it needs; work of less than twice that is done sooner without it.
_LOADING, _WORTH = 4.0, 8.0
_LOOK = 0.5  # seconds, after which it is looked again whether processes pay
# Libraries that start threads of their own, told how many.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def fit_many(
    models: Sequence[GLMM] | Mapping[Any, GLMM],
    *,
    random_seed: int | None = None,
    progressbar: bool = True,
    client: Any = None,
    **fit: Any,
) -> Any:
    """What are the parameters of each of these models, given its data?

    Models are fitted in processes, as many at once as this process may use cores. They share the cores.
    ``bayesmargins.options.threads`` sets another number. Fits that compile nothing begin in this process. Others start
    once these have taken some seconds, if the rest takes longer than a process needs to start. Draws do not depend on
    where a model is fitted.

    Parameters
    ----------
    models : sequence or dict of GLMM
        Models, or models by name.
    random_seed : int, optional
        Same seed, same draws: every model gets a seed of its own from it, by its place. ``post.info["random_seed"]``
        is that seed: ``model.fit(random_seed=...)`` gives the same draws.
    progressbar : bool
        Whether a line on stderr says which models are done, which is the default.
    client : distributed.Client, optional
        Fits on the workers of this client in place of processes of this machine: the same draws. A fit whose worker
        dies runs again on another; those that are done are not done again.
    **fit
        Arguments of `GLMM.fit`, the same for all (``draws=2000``). The sampler is ``"independent"`` unless you name
        another: it compiles nothing, and says where NUTS runs in its place.

    Returns
    -------
    list or dict of Posterior
        In the order of the models; a dict with their names where `models` is one.

    Raises
    ------
    FitError
        No models, something that is no model, or fits that failed: the message names them, and the error's
        ``finished`` holds the posteriors of the others by name or place.

    Warns
    -----
    BayesmarginsWarning
        What each fit warns about, with the name of its model.

    Examples
    --------
    >>> bm.fit_many({"one": model, "other": other}, random_seed=1)  # doctest: +SKIP
    """
    named = _named(models)
    seed = None if random_seed is None else whole_number("random_seed", random_seed, 0, FitError, ", or None")
    switch("progressbar", progressbar, FitError)
    seeds = [int(s.generate_state(1)[0]) for s in np.random.SeedSequence(seed).spawn(len(named))]
    jobs: list[dict[str, Any]] = [
        {
            "model": pickled(f"models[{shown(name)}]", model),
            "named": f"models[{shown(name)}]: ",
            "fit": {"sampler": INDEPENDENT} | fit | {"random_seed": s, "progressbar": False},
        }
        for (name, model), s in zip(named.items(), seeds, strict=True)
    ]
    if checked_client(client, FitError) is None:
        here = all(_compiles_nothing(model, job["fit"]) for model, job in zip(named.values(), jobs, strict=True))
        answers = _Processes(list(named), jobs, progressbar, here).run()
    else:
        answers = answers_on(client, list(named), jobs, progressbar)
    return _collected(named, answers, isinstance(models, Mapping))


def _named(models: Any) -> dict[Any, GLMM]:
    """Models by name or place."""
    if isinstance(models, Mapping):
        named = dict(models)
    elif isinstance(models, Sequence):
        named = dict(enumerate(models))
    else:
        raise FitError(f"models is {shown(models)}; it must be a list of models, or a dict of models by name.")
    wrong = [name for name, model in named.items() if not isinstance(model, GLMM)]
    if wrong or not named:
        got = f"models[{shown(wrong[0])}] is {shown(named[wrong[0]])}" if wrong else "models is empty"
        raise FitError(f"{got}; a model is needed, such as GLMM('y ~ x + (1 | id)', data).")
    return named


def _compiles_nothing(model: GLMM, fit: Mapping[str, Any]) -> bool:
    """Is this a fit by independent proposals, of seconds at most unless the data are large?"""
    asked = fit.get("group_effects", "auto")
    independent = is_word(fit["sampler"], (INDEPENDENT,))
    try:
        return independent and not model.design.structured and model.treatment(asked, INDEPENDENT).how == INTEGRATED
    except Exception:  # the fit says what is wrong
        return False


@dataclass
class _Processes:
    """Fits jobs in processes that take one after the other; `here`, in this one too, and in others where that pays."""

    names: list[Any]
    jobs: list[dict[str, Any]]
    progress: bool
    here: bool = False
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    starting: set[subprocess.Popen[bytes]] = field(default_factory=set)
    pays: threading.Event = field(default_factory=threading.Event)
    begun: float = field(default_factory=time.process_time)
    last: float | None = None  # processor seconds of the last fit here

    def run(self) -> list[dict[str, Any]]:
        """An answer of each job, in their order."""
        total = options.n_threads
        at_once = min(len(self.jobs), total)
        session = {"memory": options.memory, "progress": False, "threads": max(1, total // at_once)}
        waiting = deque(range(len(self.jobs)))
        answers: list[dict[str, Any]] = [{} for _ in self.jobs]
        with ThreadPoolExecutor(at_once) as pool:
            try:
                done = [pool.submit(self._work, waiting, answers, session) for _ in range(at_once - self.here)]
                done += [pool.submit(self._work_here, waiting, answers, session)] if self.here else []
                for thread in done:
                    thread.result()
            except BaseException:
                waiting.clear()
                self.pays.set()
                for process in self.running:
                    process.kill()
                raise
        return answers

    def _work_here(self, waiting: deque[int], answers: list[dict[str, Any]], session: dict[str, Any]) -> None:
        try:
            while waiting:
                try:
                    k = waiting.popleft()
                except IndexError:  # a process was quicker
                    return
                start, threads = time.process_time(), session["threads"] if self.pays.is_set() else options.n_threads
                answers[k] = answer({**self.jobs[k], "session": {**session, "threads": threads}})
                self._tell(k, answers)
                # the first one loads what the others find
                self.last, first = time.process_time() - start, self.last is None
                if not first and len(waiting) * self.last > _WORTH:
                    self.pays.set()
        finally:
            self.pays.set()
            for process in [] if waiting else list(self.starting):
                process.kill()

    def _wait(self) -> None:
        """Until processes pay: the first fit goes on for so long, or what is left takes longer than they need."""
        while not self.pays.wait(_LOOK):
            if self.last is None and time.process_time() - self.begun > _LOADING:
                self.pays.set()

    def _work(self, waiting: deque[int], answers: list[dict[str, Any]], session: dict[str, Any]) -> None:
        if self.here:
            self._wait()
        process = None
        try:
            while waiting:
                process = process or self._ready(waiting, session["threads"])
                try:
                    k = waiting.popleft()
                except IndexError:  # another thread was quicker
                    return
                answers[k] = _asked(process, {**self.jobs[k], "session": session})
                if process.poll() is not None:
                    process.communicate()
                    process = None
                self._tell(k, answers)
        finally:
            if process:
                process.communicate()

    def _ready(self, waiting: deque[int], threads: int) -> subprocess.Popen[bytes]:
        """A process that has begun to wait for jobs, or has ended, which the next job shows."""
        process = self._started(threads)
        assert process.stdout is not None
        self.starting.add(process)
        if not waiting:
            process.kill()
        with suppress(EOFError, pickle.UnpicklingError):
            pickle.load(process.stdout)
        self.starting.discard(process)
        return process

    def _tell(self, k: int, answers: Sequence[Mapping[str, Any]]) -> None:
        if self.progress:
            left = sum(not answer for answer in answers)
            print(f"{self.names[k]}: {answers[k]['said']}; {left} to go", file=sys.stderr, flush=True)

    def _started(self, threads: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **dict.fromkeys(_THREADS, str(threads))},
        )
        self.running.append(process)
        return process


def _asked(process: subprocess.Popen[bytes], job: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        pickle.dump(job, process.stdin)
        process.stdin.flush()
        found: dict[str, Any] = pickle.load(process.stdout)
    except (BrokenPipeError, EOFError, pickle.UnpicklingError):
        code = process.wait()
        killed = " Memory may have run out: bayesmargins.options.threads = 1 fits one at a time." if code < 0 else ""
        failed = f"its process ended without an answer (exit status {code}).{killed}"
        return {"said": "failed", "failed": failed, "warned": []}
    return found


def _collected(named: dict[Any, GLMM], answers: list[dict[str, Any]], by_name: bool) -> Any:
    finished: dict[Any, Posterior] = {}
    failed = []
    for (name, model), found in zip(named.items(), answers, strict=True):
        for message in found["warned"]:
            warn(f"models[{shown(name)}]: {message}")
        if "failed" in found:
            failed.append(f"models[{shown(name)}]: {found['failed']}")
        else:
            finished[name] = posterior_in(found, model)
    if failed:
        error = FitError(f"{len(failed)} of {len(named)} fits failed. {' '.join(failed)}")
        error.finished = finished  # type: ignore[attr-defined]
        raise error
    return finished if by_name else list(finished.values())
