"""What another process does for `fit_many`: fits of models that it is sent, one after the other."""

from __future__ import annotations

import os
import pickle
import sys
import time
import warnings
from typing import Any

from bayesmargins.errors import BayesmarginsError, BayesmarginsWarning, written
from bayesmargins.limits import options
from bayesmargins.model.fitting import bare
from bayesmargins.model.independent_fit import NAMED

__all__ = ["answer", "serve"]


def serve() -> None:
    """Say that this process is there, and answer jobs from stdin on stdout until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what samplers and compilers print is no answer
    pickle.dump("ready", answers)
    answers.flush()
    while True:
        try:
            job = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(answer(job), answers)
        answers.flush()


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """The posterior of a job, pickled, or what failed; what was warned of, and how long it took."""
    start = time.perf_counter()
    NAMED.set(job.get("named", ""))
    with warnings.catch_warnings(record=True) as caught, options(**job["session"]):
        warnings.simplefilter("always", BayesmarginsWarning)
        try:
            post = pickle.loads(job["model"]).fit(**job["fit"])
            variables = None if post.origin is None else post.origin.variables
            found: dict[str, Any] = {"posterior": pickle.dumps((bare(post), variables))}
        except Exception as error:
            name = "" if isinstance(error, BayesmarginsError) else f"{type(error).__name__}: "
            found = {"failed": f"{name}{written(error)}"}
    found["warned"] = [str(w.message) for w in caught if issubclass(w.category, BayesmarginsWarning)]
    found["said"] = "failed" if "failed" in found else f"{time.perf_counter() - start:.0f} s"
    return found
