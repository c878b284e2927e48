"""What a session may use: memory, threads, progress."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import reference
import xarray as xr

import bayesmargins as bm
from bayesmargins.limits import in_threads
from bayesmargins.progress import Progress
from bayesmargins.tables.arguments import in_words

POST = reference.posterior("b_bacteria")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with bm.options():
        yield


@pytest.mark.parametrize(
    ("memory", "size"), [("4GiB", 2**32), ("500MB", 5 * 10**8), ("1.5 GiB", 3 * 2**29), (1000, 1000), ("64kib", 2**16)]
)
def test_memory_is_a_size_with_a_unit_or_bytes(memory: Any, size: int) -> None:
    bm.options.memory = memory
    assert bm.options.bytes == size


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("memory", "lots", "a size such as '4GiB'"),
        ("memory", 0, "a size such as '4GiB'"),
        ("memory", True, "a size such as '4GiB'"),
        ("threads", 0, "a whole number from 1"),
        ("threads", 1.5, "a whole number from 1"),
        ("memory", "9" * 400, "below an exabyte"),
        ("threads", 10**400, "below 2\\*\\*63, or None"),
        ("progress", "yes", "True or False"),
        ("ci_prob", 95, "between 0 and 1, such as 0.95, or be None"),
        ("ci_kind", "hpd", "ci_kind='hpd'; allowed are eti, hdi"),
        ("thread", 1, "no option 'thread'.*Did you mean 'threads'"),
    ],
)
def test_options_that_make_no_sense_are_refused(name: str, value: Any, said: str) -> None:
    with pytest.raises(bm.EstimandError, match=said):
        setattr(bm.options, name, value)


def test_options_of_a_block_end_with_it_even_after_an_error() -> None:
    def fails() -> None:
        with bm.options(threads=1, memory="1GiB"):
            bm.options.threads = 0

    with pytest.raises(bm.EstimandError, match="threads=0"):
        fails()
    rest = "progress=True, warn_zero=False, sampler='nutpie', ci_prob=None, ci_kind=None)"
    with bm.options(threads=1, memory="1GiB"):
        assert repr(bm.options) == f"Options(memory='1GiB', threads=1, {rest}"
    assert repr(bm.options) == f"Options(memory='4GiB', threads=None, {rest}"


def test_options_that_are_called_stay_set() -> None:
    bm.options(memory="8GiB")
    assert bm.options.memory == "8GiB"
    with pytest.raises(bm.EstimandError, match="no option 'mem'"):
        bm.options(threads=2, mem="1GiB")
    assert bm.options.threads is None


def test_options_that_are_called_stay_set_in_the_whole_process() -> None:
    program = """
import threading, bayesmargins as bm
seen = []
kept = bm.options(threads=3)
bm.options.memory = "2GiB"
with bm.options(threads=1):
    bm.options.memory = "1GiB"
    thread = threading.Thread(target=lambda: seen.append((bm.options.threads, bm.options.memory)))
    thread.start()
    thread.join()
    seen.append((bm.options.threads, bm.options.memory))
print(seen, bm.options.threads, bm.options.memory)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[(3, '2GiB'), (1, '1GiB')] 3 2GiB"


def test_options_of_a_block_are_those_of_its_thread_however_threads_come_and_go() -> None:
    program = """
import sys, threading, bayesmargins as bm
sys.setswitchinterval(1e-6)
wrong, first = [], repr(bm.options)

def enter(own):
    for k in range(200):
        with bm.options(threads=own, memory=own):
            before = (bm.options.threads, bm.options.memory)
            with bm.options(threads=own + 100):
                inner = bm.options.threads
            bm.options.threads = own + 200
            after = (bm.options.threads, bm.options.memory)
            if (before, inner, after) != ((own, own), own + 100, (own + 200, own)):
                wrong.append((before, inner, after))

threads = [threading.Thread(target=enter, args=(k,)) for k in range(1, 17)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(wrong, repr(bm.options) == first)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "True"]


def test_threads_of_a_computation_see_the_options_of_who_asked() -> None:
    seen = []

    def kernel(first: int, last: int) -> None:
        seen.append(bm.options.memory)
        time.sleep(0.001)

    with bm.options(threads=4, memory="3GiB"):
        in_threads(kernel, 50)
    assert set(seen) == {"3GiB"}


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_tasks_are_done_once_by_the_threads_asked_for(threads: int) -> None:
    done, by = np.zeros(1000, dtype=int), set()

    def kernel(first: int, last: int) -> None:
        by.add(threading.get_ident())
        done[first:last] += 1
        time.sleep(0.001)

    with bm.options(threads=threads):
        in_threads(kernel, len(done))
    assert np.all(done == 1)
    assert len(by) == threads


@pytest.mark.parametrize("threads", [1, 3])
def test_an_interruption_drops_the_tasks_that_nobody_has_begun(threads: int) -> None:
    begun = []

    def kernel(first: int, last: int) -> None:
        begun.append(first)
        time.sleep(0.01)
        raise KeyboardInterrupt

    with bm.options(threads=threads), pytest.raises(KeyboardInterrupt):
        in_threads(kernel, 1000)
    assert len(begun) <= threads


_FETCHES = """
import sys
import numpy as np, pandas as pd, bayesmargins as bm
data = pd.DataFrame({"y": [0, 1, 1], "x": [1.0, 2.0, 3.0]})
print("numba" in sys.modules)
post = bm.from_draws("y ~ x", data, family="bernoulli", beta=np.zeros((1, 10, 2)))
print("numba.np.arrayobj" in sys.modules)
"""


def test_numba_is_fetched_with_a_posterior_and_not_with_the_package() -> None:
    done = subprocess.run([sys.executable, "-c", _FETCHES], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_what_fits_is_computed_and_what_does_not_is_refused_with_its_size() -> None:
    needed = 200 * 220 * 8
    with bm.options(memory=needed):
        whole = bm.predictions(POST)
    with (
        bm.options(memory=needed - 1),
        pytest.raises(bm.EstimandError, match=r"200 draws x 220 values, 0.00033 GiB; .*memory allows 351999. Average"),
    ):
        bm.predictions(POST)
    assert whole["estimate"].nbytes == needed


def test_progress_is_silent_on_quick_work_and_where_it_is_not_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(10) as quick:
        quick.tick(10)
    with bm.options(progress=False), Progress(10) as unwanted:
        unwanted.start -= 60
        unwanted.tick(5)
    assert capsys.readouterr() == ("", "")


def test_progress_of_long_work_counts_up_and_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes the stream for a terminal
    with Progress(10) as slow:
        slow.start -= 60
        slow.tick(4)
        assert slow.bar.tasks[0].completed == 4
        slow.tick(60)
        assert slow.bar.tasks[0].completed == 10
    assert slow.bar.live.is_started is False


def test_results_do_not_depend_on_the_progress_bar() -> None:
    with bm.options(progress=False):
        silent = bm.avg_predictions(POST, by="trt")["estimate"]
    np.testing.assert_array_equal(silent, bm.avg_predictions(POST, by="trt")["estimate"])


def test_the_interval_of_a_session_is_that_of_tables_and_pictures_that_name_none() -> None:
    ds = xr.Dataset({"estimate": (("chain", "draw"), np.arange(200.0).reshape(2, 100))}, attrs={"scale": "x"})
    with bm.options(ci_prob=0.5, ci_kind="hdi"):
        assert bm.summary(ds).columns[1:].tolist() == ["hdi50_lb", "hdi50_ub"]
        assert bm.table(ds).columns.tolist() == ["median [50% HDI]"]
        assert bm.summary(ds, ci_prob=0.9, ci_kind="eti").columns[1:].tolist() == ["eti90_lb", "eti90_ub"]
        assert in_words("median", None, None) == "median and 50% highest-density interval"
    assert bm.summary(ds).columns[1:].tolist() == ["eti89_lb", "eti89_ub"]
