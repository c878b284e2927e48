"""Several models fitted in processes: each result at its place, each warning and error with its model's name."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from interpreted import interpreted

import bayesmargins as bm
from bayesmargins.model.many_fits import _Processes


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
    ((name, alone),) = failed.value.finished.items()  # type: ignore[attr-defined]
    assert (name, alone.design is good.design, alone.beta.sizes["draw"]) == ("good", True, 10)
    assert "ill: failed; 1 to go" in capfd.readouterr().err
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
