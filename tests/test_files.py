"""Files: what is not as it was written is refused, nothing is lost to a full disk, and nothing outside is touched."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from test_margins import random_posterior, simulated, values

import bayesmargins as bm
from bayesmargins import loading
from bayesmargins.files import disk
from bayesmargins.files.disk import seal_of

STORED = Path(__file__).parent / "data" / "files"
POST = random_posterior("y ~ x + f + (1 + x | g)", simulated().head(40), "bernoulli")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    POST.save(tmp_path / "fit.nc")
    return tmp_path / "fit.nc"


def _body(path: Path) -> bytes:
    return path.read_bytes()[: -disk._LENGTH]


def _resealed(path: Path, body: bytes) -> Path:
    path.write_bytes(body + seal_of(memoryview(body)))
    return path


def _edited(path: Path, edit: Callable[[h5py.File], Any], seal: bool = True) -> Path:
    """The file after somebody wrote to it with HDF5, with a new seal as nobody but an attacker would put there."""
    with h5py.File(path, "r+") as file:
        edit(file)
    return _resealed(path, path.read_bytes()) if seal else path


def _loaded(name: str) -> bm.Posterior:
    """A file of another version: those of the first format say that they have no checksum."""
    if "format_1" not in name:
        return bm.load(STORED / f"{name}.nc")
    with pytest.warns(bm.BayesmarginsWarning, match=f"{name}.nc' was saved by a version whose files hold no checksum"):
        return bm.load(STORED / f"{name}.nc")


# The same numbers, from every format


@pytest.mark.parametrize("name", ["format_1", "format_1_parts", "format_1_levels", "format_2", "format_2_parts"])
def test_files_of_every_format_give_the_numbers_that_they_were_written_with(name: str) -> None:
    post = _loaded(name)
    expected = json.loads((STORED / "format_1.json").read_text())
    rows = {"f": ["a"], "x": [0.3]} if "levels" in name else None
    groups = "own" if "parts" in name else "new"
    key = name.replace("2", "1")
    np.testing.assert_allclose(values(bm.avg_predictions(post, rows, groups=groups)).ravel(), expected[key], rtol=1e-12)
    if "parts" in name:
        sigma = bm.avg_predictions(post, target="sigma", groups="own")
        np.testing.assert_allclose(values(sigma).ravel(), expected[f"{key} sigma"], rtol=1e-12)
        assert post.sample_stats is not None
        assert post.sample_stats["diverging"].dtype == bool


def test_first_format_holds_the_draws_and_data_that_xarray_finds_there() -> None:
    post = _loaded("format_1")
    with xr.open_datatree(STORED / "format_1.nc", engine="h5netcdf") as tree:
        for name, found in {"beta": post.beta, "b_g": post.b["g"], "Sigma_g": post.Sigma["g"]}.items():
            np.testing.assert_array_equal(found, tree["draws"][name])
        np.testing.assert_array_equal(post.design.data["x"], tree["data"]["column_0"])
    assert post.design.columns["f"].levels == ("c", "a", "b")
    assert post.design.data["when"].dtype.kind == "M"
    assert post.design.data["note"].isna().sum() == 1


# Others read it


def test_arviz_and_xarray_find_their_groups(saved: Path) -> None:
    import arviz as az

    found = az.from_netcdf(saved)
    groups = set(found.children) if isinstance(found, xr.DataTree) else set(found.groups())
    assert {"posterior", "observed_data", "constant_data"} <= groups
    assert {"bayesmargins_draws", "bayesmargins_data", "bayesmargins_check"} <= groups
    xr.testing.assert_allclose(xr.open_dataset(saved, group="posterior"), POST.parameters)
    np.testing.assert_array_equal(xr.open_dataset(saved, group="bayesmargins_draws")["Sigma_g"], POST.Sigma["g"])
    assert "sd_g" in az.summary(found, var_names=["sd_g"]).index[0]


def test_what_another_program_wrote_to_is_refused_with_the_way_out(saved: Path, tmp_path: Path) -> None:
    def added(file: h5py.File) -> None:
        file.create_group("mine").attrs["note"] = "added"

    tree = xr.open_datatree(saved, engine="h5netcdf").load()
    tree.close()
    tree["log_likelihood"] = xr.DataTree(xr.Dataset({"y": ("obs", np.zeros(3))}))
    tree.to_netcdf(tmp_path / "again.nc", engine="h5netcdf")
    for path in (tmp_path / "again.nc", _edited(saved, added, seal=False)):
        with pytest.raises(bm.PosteriorError, match=r"checksum.*(bm\.from_draws|Take a copy)"):
            bm.load(path)


# Damage


def _damage(content: bytes, rng: np.random.Generator) -> bytes:
    bad = bytearray(content)
    at = int(rng.integers(len(bad)))
    bad[at] ^= 1 << int(rng.integers(8))
    return bytes(bad)


def test_no_single_bit_flips_unseen(saved: Path) -> None:
    content, rng = saved.read_bytes(), np.random.default_rng(20_26)
    for _ in range(300):
        saved.write_bytes(_damage(content, rng))
        with pytest.raises(bm.PosteriorError, match="checksum"):
            bm.load(saved)
    saved.write_bytes(content)
    bm.load(saved)


def test_no_flip_in_the_seal_opens_a_way_around_it(saved: Path) -> None:
    content = saved.read_bytes()
    for at in range(len(content) - disk._LENGTH, len(content)):
        for bit in range(8):
            bad = bytearray(content)
            bad[at] ^= 1 << bit
            saved.write_bytes(bad)
            with pytest.raises(bm.PosteriorError, match="checksum"):
                bm.load(saved)


@pytest.mark.parametrize("kept", [0, 1, 8, 600, 5000, 0.25, 0.5, 0.75, -1, -2, -50, -88, -89, -90, -500])
def test_a_file_that_is_cut_short_is_refused(kept: float, saved: Path) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(kept if isinstance(kept, int) else kept * len(content))])
    with pytest.raises(bm.PosteriorError, match=r"checksum|no posterior that can be read"):
        bm.load(saved)


@pytest.mark.parametrize("added", [b"\n", b"\0" * 4096, b"text"])
def test_a_file_with_something_after_its_end_is_refused(added: bytes, saved: Path) -> None:
    saved.write_bytes(saved.read_bytes() + added)
    with pytest.raises(bm.PosteriorError, match="checksum"):
        bm.load(saved)


@pytest.mark.parametrize("times", [20, pytest.param(200, marks=pytest.mark.evidence)])
@pytest.mark.parametrize("name", ["format_1", "format_1_parts", "format_1_levels"])
def test_a_damaged_file_of_the_first_format_is_one_error_or_reads_as_before(
    name: str, times: int, tmp_path: Path
) -> None:
    content, rng = (STORED / f"{name}.nc").read_bytes(), np.random.default_rng(7)
    for _ in range(times):
        (tmp_path / "bad.nc").write_bytes(_damage(content, rng))
        with contextlib.suppress(bm.PosteriorError, bm.FormulaError, bm.BayesmarginsWarning):
            bm.load(tmp_path / "bad.nc")


def test_a_heap_that_leads_in_a_circle_is_refused(tmp_path: Path) -> None:
    content = (STORED / "format_1.nc").read_bytes()
    heap = content.index(b"GCOL\1\0\0\0")
    size, at = int.from_bytes(content[heap + 8 : heap + 16], "little"), heap + 16
    objects = []
    while at + 16 <= heap + size:
        objects.append(at)
        index, length = (int.from_bytes(content[at + a : at + b], "little") for a, b in ((0, 2), (8, 16)))
        at += length if index == 0 else 16 + -(-length // 8) * 8
    for at in objects[::20]:
        bad = bytearray(content)
        bad[at : at + 16] = bytes(16)
        (tmp_path / "bad.nc").write_bytes(bad)
        with pytest.raises(bm.PosteriorError, match="its texts run into each other"):
            bm.load(tmp_path / "bad.nc")


# Edited on purpose: the seal is right, and the numbers are not


def _set(path: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        file[path][...] = change(file[path][...])

    return edit


def _nan(values: np.ndarray) -> np.ndarray:
    values.flat[-1] = np.nan
    return values


def _crooked(values: np.ndarray) -> np.ndarray:
    values[..., 0, 1] += 0.5
    return values


EDITS = {
    "NaN in Sigma": ("Sigma_g", _nan, "NaN or infinite"),
    "Sigma not symmetric": ("Sigma_g", _crooked, "not symmetric"),
    "Sigma no covariance": ("Sigma_g", lambda v: -v, "no covariance"),
    "NaN in beta": ("beta", _nan, "NaN or infinite"),
    "NaN in b": ("b_g", _nan, "NaN or infinite"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_draws_that_cannot_be_are_found_where_the_seal_says_nothing(edit: str, saved: Path, tmp_path: Path) -> None:
    name, change, said = EDITS[edit]
    new = _edited(saved, _set(f"{'bayesmargins_draws' if 'Sigma' in name else 'posterior'}/{name}", change))
    old = tmp_path / "old.nc"
    old.write_bytes((STORED / "format_1.nc").read_bytes())
    _edited(old, _set(f"draws/{name}", change), seal=False)
    for path in (new, old):
        with pytest.raises(bm.PosteriorError, match=said):
            bm.load(path)


def test_impossible_draws_are_refused_before_they_are_saved(tmp_path: Path) -> None:
    bad = replace(POST, Sigma={"g": POST.Sigma["g"].where(POST.Sigma["g"].draw != 1)})
    with pytest.raises(bm.PosteriorError, match="NaN or infinite"):
        bad.save(tmp_path / "fit.nc")
    assert list(tmp_path.iterdir()) == []


def _about(file: h5py.File, change: Callable[[list[Any]], Any]) -> None:
    about = json.loads(file["bayesmargins_check/about"][...].tobytes())
    change(about)
    del file["bayesmargins_check/about"]
    file["bayesmargins_check/about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)


ABOUT: dict[str, Callable[[list[Any]], Any]] = {
    "other terms": lambda a: a[0]["terms"]["g"].append("z"),
    "other coefficients": lambda a: a[0]["coef"].reverse() or a[0]["coef"].append("x"),
    "other groups": lambda a: a[0]["levels"]["g"].pop(),
    "groups of another name": lambda a: a[0]["Sigma"].update(h=a[0]["Sigma"].pop("g")),
    "a path that is none": lambda a: a[0].update(beta="posterior/nothing"),
    "a path to text": lambda a: a[0].update(beta="posterior/coef"),
    "a path to other numbers": lambda a: a[0].update(beta="constant_data/x"),
    "an unknown link": lambda a: a[0].update(link="exp"),
    "an unknown family": lambda a: a[0].update(family="__import__"),
    "info that is none": lambda a: a[0].update(info=[1]),
    "a formula that is none": lambda a: a[0].update(formula=3),
    "no predictor": lambda a: a.clear(),
    "a part of nothing": lambda a: a.append(dict(a[0], part="tau")),
    "levels beside data": lambda a: a[0].update(given_levels={"f": ["a"] * 3}),
}


@pytest.mark.parametrize("change", ABOUT)
def test_words_that_do_not_fit_are_one_error(change: str, saved: Path) -> None:
    with pytest.raises((bm.PosteriorError, bm.FormulaError)):
        bm.load(_edited(saved, lambda file: _about(file, ABOUT[change])))


TYPES = [
    "S1000000", "O", "object0", "datetime64[ns, dateutil//etc/passwd]", "datetime64[ns, ../../x]", "void", "M8",
    "period[M]; import os", "complex128", "int64[pyarrow]", "Sparse[int64]", "interval[int64]", "category",
]  # fmt: skip


@pytest.mark.parametrize("kind", TYPES)
def test_types_of_columns_are_those_of_a_list(kind: str, saved: Path) -> None:
    def edit(file: h5py.File) -> None:
        about = json.loads(file["bayesmargins_data/about"][...].tobytes())
        about[0]["type"] = kind
        del file["bayesmargins_data/about"]
        file["bayesmargins_data/about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)

    with pytest.raises(bm.PosteriorError, match="no posterior that can be read"):
        bm.load(_edited(saved, edit))


# What HDF5 could be made to do


def _external(file: h5py.File) -> None:
    del file["bayesmargins_draws"]
    file["bayesmargins_draws"] = h5py.ExternalLink("secret.nc", "/draws")


def _elsewhere(file: h5py.File) -> None:
    del file["bayesmargins_data/column_0"]
    file.create_dataset("bayesmargins_data/column_0", (40,), "f8", external=[("secret.bin", 0, 320)])


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((40,), "f8")
    layout[:] = h5py.VirtualSource("secret.nc", "x", (40,))
    del file["bayesmargins_data/column_0"]
    file.create_virtual_dataset("bayesmargins_data/column_0", layout)


def _endless(file: h5py.File) -> None:
    del file["bayesmargins_data/column_0"]
    file.create_dataset("bayesmargins_data/column_0", (10**12,), "f8")


def _packed(file: h5py.File) -> None:
    del file["bayesmargins_data/column_0"]
    file.create_dataset("bayesmargins_data/column_0", data=np.zeros(10**7), chunks=(10**6,), compression="gzip")


def _wide(file: h5py.File) -> None:
    del file["bayesmargins_data/column_0"]
    file.create_dataset(
        "bayesmargins_data/column_0", data=np.zeros(40), maxshape=(None,), chunks=(10**7,), compression=9
    )


def _deep(file: h5py.File) -> None:
    file.create_group("a/b/c/d/e/f")


def _round(file: h5py.File) -> None:
    file["posterior/again"] = file["posterior"]


def _many(file: h5py.File) -> None:
    group = file.create_group("many")
    for k in range(20_100):
        group[f"{k}"] = file["posterior/beta"]


@pytest.mark.parametrize("edit", [_external, _elsewhere, _virtual, _endless, _packed, _wide, _deep, _round, _many])
def test_nothing_but_the_file_itself_is_read(edit: Callable[[h5py.File], None], saved: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(320))
    with pytest.raises(bm.PosteriorError, match="no posterior that can be read"):
        bm.load(_edited(saved, edit))


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x + f + I(center.__builtins__.get('exec')('open(\"canary\", \"w\")')) + (1 + x | g)",
        'y ~ x + f + `exec`(\'open("canary", "w")\') + (1 + x | g)',
        "y ~ x + f + hashed(f, levels=10**12) + (1 + x | g)",
        'exec(\'open("canary", "w")\')(y) ~ x + f + (1 + x | g)',
    ],
)
def test_a_formula_in_a_file_runs_nothing(
    formula: str, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    old = tmp_path / "old.nc"
    old.write_bytes((STORED / "format_1.nc").read_bytes())
    _edited(old, lambda file: file.attrs.update(formula=formula), seal=False)
    for path in (old, _edited(saved, lambda file: _about(file, lambda a: a[0].update(formula=formula)))):
        with pytest.raises(bm.FormulaError):
            bm.load(path)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x + f + " + " + ".join(f"I(x + {k})" for k in range(1500)) + " + (1 + x | g)",
        "y ~ x + f + (1 + x" + "".join(f" + I(x + {k})" for k in range(300)) + " | g)",
        "y ~ x + f + " + ":".join(["x"] * 2000) + " + (1 + x | g)",
        f"y ~ x + f + `{'a' * 40_000}` + (1 + x | g)",
    ],
)
def test_a_formula_of_more_columns_than_the_draws_is_refused_before_it_is_worked_out(
    formula: str, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _edited(saved, lambda file: _about(file, lambda a: a[0].update(formula=formula)))
    monkeypatch.setattr(loading, "build_design", None)
    with pytest.raises(bm.FormulaError, match="in a file it may have up to"):
        bm.load(path)


def test_what_is_too_long_for_a_file_is_refused_before_it_is_saved(tmp_path: Path) -> None:
    name = "x" * 5000
    data = POST.design.data.rename(columns={"x": name})
    long = bm.from_draws(
        f"y ~ {name} + (1 | g)", data, family="bernoulli", beta=POST.beta[..., :2].to_numpy(),
        b={"g": POST.b["g"][..., :1].to_numpy()}, Sigma={"g": POST.Sigma["g"][..., :1, :1].to_numpy()},
    )  # fmt: skip
    with pytest.raises(bm.FormulaError, match="in a file it may have up to"):
        long.save(tmp_path / "fit.nc")
    assert list(tmp_path.iterdir()) == []


# A disk without room


def _no_room(*_: Any) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()
    monkeypatch.setattr(disk, "_write", _no_room)
    with pytest.raises(bm.PosteriorError, match=r"fit\.nc' \(0\.\d MB\): No space left.*left as it was"):
        POST.save(saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_a_disk_that_fills_up_does_not_end_the_process(saved: Path) -> None:
    before = saved.read_bytes()
    code = textwrap.dedent(
        f"""
        import resource
        import bayesmargins as bm
        post = bm.load({str(saved)!r})
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        for _ in range(3):
            try:
                post.save({str(saved)!r})
            except bm.PosteriorError as error:
                print("refused", error)
        """
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("refused Cannot write"), done.stderr) == (0, 3, "")
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


# What is replaced, and what is left


def test_permissions_are_those_of_a_new_file_or_of_the_old_one(tmp_path: Path) -> None:
    path, before = tmp_path / "fit.nc", os.umask(0o027)
    try:
        POST.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        POST.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(before)


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for link, target in ((tmp_path / "a.nc", tmp_path / "there" / "fit.nc"), (tmp_path / "b.nc", tmp_path / "a.nc")):
        link.symlink_to(target)
        POST.save(link)
        assert link.is_symlink()
        assert (tmp_path / "there" / "fit.nc").is_file()
        assert repr(bm.load(link)) == repr(POST)
    (tmp_path / "round.nc").symlink_to(tmp_path / "round.nc")
    with pytest.raises(bm.PosteriorError, match="Cannot write"):
        POST.save(tmp_path / "round.nc")


def test_only_regular_files_are_replaced_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.nc")
    monkeypatch.setattr(disk, "_replace", _no_room)  # should the law not hold, no device is lost
    for path in (tmp_path / "pipe.nc", *map(Path, filter(os.path.exists, ["/dev/full", "/dev/tty"]))):
        with pytest.raises(bm.PosteriorError, match="it is a device or a pipe"):
            POST.save(path)
        with pytest.raises(bm.PosteriorError, match="is no regular file"):
            bm.load(path)
    assert stat.S_ISFIFO((tmp_path / "pipe.nc").stat().st_mode)


def test_what_a_killed_save_left_is_cleaned_up_by_the_next_one_of_the_same_path(tmp_path: Path) -> None:
    path, other = tmp_path / "fit.nc", tmp_path / "other.nc"
    left, foreign = disk._temporary(path), disk._temporary(other)
    left[1].close()
    foreign[1].close()
    held = disk._temporary(path)  # as by another process that is writing now
    POST.save(path)
    assert set(tmp_path.iterdir()) == {path, foreign[0], held[0]}
    held[1].close()
    POST.save(path)
    assert set(tmp_path.iterdir()) == {path, foreign[0]}


def test_a_name_as_long_as_the_disk_allows_can_be_saved_to(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 252 + ".nc")
    POST.save(path)
    assert repr(bm.load(path)) == repr(POST)


def test_a_save_that_is_interrupted_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(disk, "_write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        POST.save(tmp_path / "fit.nc")
    assert list(tmp_path.iterdir()) == []


def test_the_same_posterior_gives_the_same_bytes(tmp_path: Path) -> None:
    POST.save(tmp_path / "a.nc")
    POST.save(tmp_path / "b.nc")
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()
    with xr.open_dataset(io.BytesIO((tmp_path / "a.nc").read_bytes()), group="posterior", engine="h5netcdf") as ds:
        assert "beta" in ds
