"""Several models fitted in processes: each result at its place, each warning and error with its model's name."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
import threading
import time
import warnings
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from interpreted import interpreted

import bayesmargins as bm
from bayesmargins.model import many_fits
from bayesmargins.model.many_fits import _compiles_nothing, _Processes


def _data() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    x = rng.normal(size=60)
    return pd.DataFrame({"y": 1 + x + rng.normal(size=60), "k": rng.poisson(2, 60), "x": x, "g": ["a", "b", "c"] * 20})


def test_a_model_goes_to_another_process_without_its_pymc_model() -> None:
    model = bm.GLMM("k ~ np.abs(x) + own(x) + (1 | g)", _data(), "poisson", namespace={"own": lambda x: x**2})
    here = str(model)
    assert model.pymc is model.pymc
    there = cloudpickle.loads(cloudpickle.dumps(model))
    assert "pymc" not in vars(there)
    assert (there.family, there.link, str(there)) == (model.family, model.link, here)
    point = model.pymc.initial_point()
    one, other = (m.pymc.compile_logp(mode=interpreted())(point) for m in (model, there))
    assert float(other) == pytest.approx(float(one), rel=1e-12)


def test_what_is_no_model_is_refused_before_a_process_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    model = bm.GLMM("y ~ x", _data())
    monkeypatch.setattr(_Processes, "run", lambda self: pytest.fail("a process was started"))
    with open(tmp_path / "held", "w") as held:
        bound = bm.GLMM("y ~ own(x)", _data(), namespace={"own": lambda x: x + 0 * len(held.name)})
        for models, options, said in [
            ([], {}, "models is empty; a model is needed"),
            (model, {}, "it must be a list of models, or a dict"),
            ([model, "y ~ x"], {}, r"models\[1\] is 'y ~ x'; a model is needed"),
            ({"one": model, "other": None}, {}, r"models\['other'\] is None"),
            ([bound], {}, r"models\[0\] cannot be sent to another process .* Fit it here"),
            ([model], {"random_seed": -1}, "random_seed=-1"),
            ([model], {"progressbar": "no"}, "progressbar='no'"),
        ]:
            with pytest.raises(bm.FitError, match=said):
                bm.fit_many(models, **options)


@pytest.mark.sampling
def test_each_model_has_its_result_and_its_words(capfd: pytest.CaptureFixture[str]) -> None:
    """One that fails leaves those of the others."""
    good = bm.GLMM("y ~ x", _data())
    ill = bm.GLMM("y ~ x", _data())
    ill.predictors = None  # type: ignore[assignment]
    short = {"draws": 10, "tune": 10, "chains": 2, "ess": None, "random_seed": 1}
    with warnings.catch_warnings(record=True) as caught, bm.options(threads=1):
        warnings.simplefilter("always")
        with pytest.raises(bm.FitError, match=r"^1 of 2 fits failed\. models\['ill'\]: AttributeError") as failed:
            bm.fit_many({"ill": ill, "good": good}, **short)
        done = bm.fit_many([good, good], progressbar=False, **short)
    ((finished, alone),) = failed.value.finished.items()  # type: ignore[attr-defined]
    assert (finished, alone.design is good.design, alone.beta.sizes["draw"]) == ("good", True, 10)
    printed = capfd.readouterr().err
    assert "ill: failed; 1 to go" in printed
    for name in ("'good'", "0", "1"):
        assert f"models[{name}]: sampler='independent' is not used, NUTS is: the model has no group effects" in printed
    ours = [w for w in caught if issubclass(w.category, bm.BayesmarginsWarning)]
    assert [str(w.message).split(":")[0] for w in ours] == ["models['good']", "models[0]", "models[1]"]
    assert {w.filename for w in ours} == {__file__}
    seeds = [post.info["random_seed"] for post in done]
    assert len({*seeds}) == 2
    assert alone.info["random_seed"] == seeds[1]  # by place
    assert bm.avg_predictions(done[0])["estimate"].shape == (2, 10)


def test_a_process_that_ends_is_a_failure_of_its_model() -> None:
    """Of one that the system stops there is no answer."""
    processes = _Processes(["one"], [{}], False)
    processes._started = lambda threads: subprocess.Popen(  # type: ignore[method-assign]
        [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    (answer,) = processes.run()
    assert "ended without an answer (exit status -15). Memory may have run out" in answer["failed"]


class Faked(_Processes):
    """No process is started; `started` counts how many would be, and each says that it is ready."""

    started = 0

    def _started(self, threads: int) -> subprocess.Popen[bytes]:
        self.started += 1
        said = f"import pickle, sys; sys.stdout.buffer.write({pickle.dumps('ready')!r})"
        return subprocess.Popen([sys.executable, "-c", said], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _fakes(monkeypatch: pytest.MonkeyPatch, first: float, others: float) -> dict[str, list[Any]]:
    """Fits here take so many processor seconds; which job was done where, on how many threads.

    A first fit that takes long ends after another job was done elsewhere.
    """
    where: dict[str, list[Any]] = {"here": [], "there": []}
    clock, there = [0.0], threading.Event()

    def here(job: dict[str, Any]) -> dict[str, Any]:
        where["here"].append((job["k"], job["session"]["threads"]))
        clock[0] += others if job["k"] else first
        assert job["k"] or first < 4 or there.wait(60)
        return {"said": "0 s", "warned": []}

    def asked(process: Any, job: dict[str, Any]) -> dict[str, Any]:
        where["there"].append((job["k"], job["session"]["threads"]))
        there.set()
        return {"said": "0 s", "warned": []}

    monkeypatch.setattr(many_fits, "answer", here)
    monkeypatch.setattr(many_fits, "_asked", asked)
    monkeypatch.setattr(many_fits, "_LOOK", 0.01)
    monkeypatch.setattr(time, "process_time", lambda: clock[0])
    return where


def _done_by(n: int) -> Faked:
    processes = Faked(list(range(n)), [{"k": k} for k in range(n)], False, here=True, begun=0.0)
    with bm.options(threads=2):
        assert all(processes.run())
    return processes


def test_quick_fits_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much longer the first takes, which loads what the others find."""
    where = _fakes(monkeypatch, first=3.9, others=0.3)
    assert _done_by(20).started == 0
    assert where == {"here": [(k, 2) for k in range(20)], "there": []}


def test_a_first_fit_that_takes_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    where = _fakes(monkeypatch, first=9.0, others=9.0)
    assert _done_by(4).started >= 1
    assert where["here"][0] == (0, 2)
    assert {threads for _, threads in where["there"]} == {1}
    assert sorted(k for k, _ in where["here"] + where["there"]) == [0, 1, 2, 3]


def test_many_quick_fits_are_long_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is seen after the second; from then on fits here have a share of the threads."""
    where = _fakes(monkeypatch, first=0.5, others=0.5)
    _done_by(40)
    assert [threads for _, threads in where["here"][:3]] == [2, 2, 1]
    assert sorted(k for k, _ in where["here"] + where["there"]) == list(range(40))


def test_only_fits_that_compile_nothing_begin_here() -> None:
    groups, none = bm.GLMM("y ~ x + (1 | g)", _data()), bm.GLMM("y ~ x", _data())
    assert _compiles_nothing(groups, {"sampler": "independent"})
    for model, fit in [
        (groups, {"sampler": "nutpie"}),
        (groups, {"sampler": "independent", "group_effects": "sampled"}),
        (groups, {"sampler": "independent", "group_effects": "none"}),
        (none, {"sampler": "independent"}),
        (bm.GLMM("k ~ x + (1 + x + np.abs(x) | g)", _data(), "poisson"), {"sampler": "independent"}),
    ]:
        assert not _compiles_nothing(model, fit)


@pytest.mark.sampling
def test_draws_do_not_depend_on_where_a_model_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    models = [bm.GLMM("k ~ x + (1 | g)", _data().assign(k=k), "bernoulli") for k in ([0, 1] * 30, [0, 0, 1] * 20)]
    monkeypatch.setattr(_Processes, "_started", lambda *given: pytest.fail("a process was started"))
    monkeypatch.setattr(many_fits, "_LOADING", math.inf)  # the first fit may compile, which takes longer than loading
    monkeypatch.setattr(many_fits, "_WORTH", math.inf)
    fit = {"random_seed": 1, "draws": 50, "chains": 2, "ess": None, "progressbar": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)
        here = bm.fit_many(models, **fit)
        monkeypatch.undo()
        monkeypatch.setattr(many_fits, "_compiles_nothing", lambda *given: False)
        there = bm.fit_many(models, **fit)
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one.beta, other.beta)
        np.testing.assert_array_equal(one.b["g"], other.b["g"])
        assert one.info == other.info
