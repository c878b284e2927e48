"""The process that `fit_many` starts: fits of models that it is sent, one after the other."""

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

__all__ = ["serve"]


def serve() -> None:
    """Answer jobs from stdin on stdout until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what samplers and compilers print is no answer
    while True:
        try:
            job = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(_answer(job), answers)
        answers.flush()


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", BayesmarginsWarning)
        try:
            options(**job["session"])
            post = pickle.loads(job["model"]).fit(**job["fit"])
            variables = None if post.origin is None else post.origin.variables
            answer: dict[str, Any] = {"posterior": pickle.dumps((bare(post), variables))}
        except Exception as error:
            name = "" if isinstance(error, BayesmarginsError) else f"{type(error).__name__}: "
            answer = {"failed": f"{name}{written(error)}"}
    answer["warned"] = [str(w.message) for w in caught if issubclass(w.category, BayesmarginsWarning)]
    answer["said"] = "failed" if "failed" in answer else f"{time.perf_counter() - start:.0f} s"
    return answer
