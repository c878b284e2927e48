"""Groups of Datasets to the bytes of a netCDF file, and back where its walls hold.

A netCDF file is an HDF5 file, and HDF5 can do more than hold numbers: point at other files, ask for more than it has,
run in circles. What is read here was looked through first.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayesmargins.errors import PosteriorError, shown

if TYPE_CHECKING:
    import h5py

# h5py is imported where a file is read or written, not with the package.

__all__ = ["Saved", "as_json", "named", "to_netcdf"]

_HEAP = b"GCOL\x01\x00\x00\x00"  # a global heap, the one part of HDF5's own bookkeeping without a checksum
_UNFIT = re.compile("[\0\ud800-\udfff]")
_FILTERS = {1, 2, 3}  # deflate, shuffle, fletcher32: others are programs that HDF5 would look for on the disk
_OBJECTS, _DEPTH, _MOST = 20_000, 4, 20


def to_netcdf(groups: Mapping[str, xr.Dataset]) -> memoryview:
    """The bytes of a netCDF file of these groups, made in memory: where a disk is full, HDF5 ends the process."""
    buffer = io.BytesIO()
    try:
        xr.DataTree.from_dict(dict(groups)).to_netcdf(buffer, engine="h5netcdf")
    except (OSError, TypeError, ValueError, RuntimeError) as error:
        raise PosteriorError(
            f"The posterior holds something that a netCDF file cannot: {shown(str(error), 300)}."
        ) from error
    return buffer.getbuffer()


def as_json(value: Any) -> xr.Variable:
    """Anything plain, kept to the letter: text of any characters, whole numbers of any size."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError) as error:
        raise PosteriorError(f"The posterior holds something that a file cannot keep: {error}.") from error
    return xr.Variable(("byte",), np.frombuffer(text.encode("ascii"), dtype=np.uint8))


def named(ds: xr.Dataset) -> tuple[xr.Dataset, dict[str, str]]:
    """The same with names and texts that netCDF can hold, and what each name has become: as others see the file."""
    names = _names(str(n) for n in (*ds.variables, *ds.dims))
    plain = ds.map(_plain, keep_attrs=True).assign_coords(
        {n: _plain(c) for n, c in ds.coords.items() if c.dtype.kind in "UO"}
    )
    attrs = {_name(str(k)): _text(v) if isinstance(v, str) else v for k, v in ds.attrs.items()}
    return plain.rename({k: v for k, v in names.items() if k != v}).assign_attrs(attrs), names


def _names(names: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        made = _name(name)
        while made in found.values():
            made += "_"
        found[name] = made
    return found


def _name(name: str) -> str:
    made = _text(name).replace("/", "_").strip()
    made = made.encode()[:200].decode(errors="ignore")
    return made if made.strip(".") else "_"


def _plain(values: xr.DataArray) -> xr.DataArray:
    if values.dtype.kind not in "UO" or not _UNFIT.search("".join(map(str, values.to_numpy().ravel().tolist()))):
        return values
    return values.copy(
        data=np.array([_text(str(v)) for v in values.to_numpy().ravel()], dtype=str).reshape(values.shape)
    )


def _text(text: str) -> str:
    """NUL ends a text in netCDF, and half of a pair of surrogates is no character."""
    return _UNFIT.sub("\ufffd", text)


class Saved:
    """What a file holds, by the path in it; ValueError where it is none, or reaches beyond its walls."""

    def __init__(self, content: bytes) -> None:
        import h5py

        _check_heaps(content)
        self.source = io.BytesIO(content)  # shares the bytes, as long as nobody writes
        try:
            self._file = h5py.File(self.source, "r")
        except OSError as error:
            raise ValueError(f"it is no netCDF file that can be read: {error}") from error
        _check_walls(self._file, len(content))

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Attributes of the root."""
        return dict(self._file.attrs)

    def __contains__(self, path: str) -> bool:
        return path in self._file

    def numbers(self, path: str) -> np.ndarray:
        """The numbers of a variable."""
        found = self._file.get(path)
        if found is None or not hasattr(found, "dtype") or found.dtype.kind not in "fiub":
            raise ValueError(f"it has no numbers {path!r}")
        return np.asarray(found[()])

    def labels(self, path: str) -> np.ndarray:
        """The numbers or texts of a coordinate."""
        found = self._file.get(path)
        if found is None or not hasattr(found, "dtype"):
            raise ValueError(f"it has no labels {path!r}")
        return np.asarray(found.asstr()[()]).astype(str) if found.dtype.kind in "OS" else self.numbers(path)

    def json(self, path: str) -> Any:
        """What `as_json` kept."""
        return json.loads(self.numbers(path).astype(np.uint8).tobytes())

    def dataset(self, group: str) -> xr.Dataset:
        """A group with its names, in memory."""
        self.source.seek(0)
        with xr.open_dataset(self.source, engine="h5netcdf", group=group) as ds:
            return ds.load()

    def tree(self) -> xr.DataTree:
        """All groups, in memory."""
        self.source.seek(0)
        with xr.open_datatree(self.source, engine="h5netcdf") as tree:
            found: xr.DataTree = tree.load()
            return found


def _check_heaps(content: bytes) -> None:
    """HDF5 reads a heap object by object, each saying where the next one begins: a damaged one leads in a circle."""
    at = -1
    while (at := content.find(_HEAP, at + 1)) >= 0:
        size = int.from_bytes(content[at + 8 : at + 16], "little")
        here, end = at + 16, at + size
        if end > len(content) or size < 16:
            raise ValueError("it is damaged: its texts are longer than the file")
        while here + 16 <= end:
            index = int.from_bytes(content[here : here + 2], "little")
            length = int.from_bytes(content[here + 8 : here + 16], "little")
            step = length if index == 0 else 16 + -(-length // 8) * 8
            if step <= 0 or here + step > end:
                raise ValueError("it is damaged: its texts run into each other")
            here += step


def _check_walls(file: h5py.File, size: int) -> None:
    asked = 0
    for k, found in enumerate(_objects(file, _DEPTH)):
        for shape in (found.shape, found.chunks) if hasattr(found, "shape") else ():
            asked += math.prod(shape or ()) * found.dtype.itemsize
        if k > _OBJECTS or asked > _MOST * size + 2**20:
            raise ValueError("it holds more than its size allows")


def _objects(group: Any, depth: int) -> Iterator[Any]:
    """Groups and datasets, each a part of this very file."""
    import h5py

    if depth == 0:
        raise ValueError("its groups lie too deep")
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name!r} points at something outside it")
        found = group[name]
        yield found
        if isinstance(found, h5py.Group):
            yield from _objects(found, depth - 1)
        elif isinstance(found, h5py.Dataset):
            _check_dataset(found)
        else:
            raise ValueError(f"{name!r} is no variable")


def _check_dataset(found: h5py.Dataset) -> None:
    made = found.id.get_create_plist()
    filters = {made.get_filter(k)[0] for k in range(made.get_nfilters())}
    if found.is_virtual or found.external or filters - _FILTERS or found.ndim > 5:
        raise ValueError(f"{found.name!r} takes its numbers from elsewhere, or is packed in another way than netCDF's")
