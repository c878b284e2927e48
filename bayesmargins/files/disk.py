"""Bytes on the disk: written in one piece under a seal, read only where the seal is whole.

The seal is a line at the end of the file with a digest of all before it. HDF5, and whatever reads netCDF, stops before
that line.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
import sys
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

from bayesmargins.errors import PosteriorError, shown

if sys.platform != "win32":  # which locks every open file by itself
    import fcntl

__all__ = ["FORMAT", "check_place", "file_name", "put", "read_bytes", "seal_of", "write_bytes"]

FORMAT = 2
_SEAL = re.compile(rb"\nbayesmargins 2 sha256 [0-9a-f]{64}\n")
_LENGTH = len("\nbayesmargins 2 sha256 \n") + 64
_OURS = (b"bayesmargins_draws", b"bayesmargins_data", b"bayesmargins_check")  # names in a file of this format
_PART = ".bayesmargins-part"


def seal_of(content: memoryview) -> bytes:
    """The line that stands at the end of a file with this content."""
    return f"\nbayesmargins {FORMAT} sha256 {hashlib.sha256(content).hexdigest()}\n".encode()


def file_name(path: Any) -> Path:
    """A path as it was given, where it is one."""
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str) or "\0" in os.fspath(path):
        raise PosteriorError(f"The path is {shown(path)}; it must be the name of a file, as text or a Path.")
    return Path(path)


def read_bytes(path: Any) -> tuple[bytes, bool]:
    """What a file holds, and whether a seal says that this is what was written; False for the first format."""
    name = str(file_name(path))
    if not os.path.isfile(name):
        there = os.path.lexists(name) and not os.path.islink(name)
        kind = "is a folder" if os.path.isdir(name) else "is no regular file"
        said = f"{name!r} {kind}" if there else f"There is no file {name!r}"
        raise PosteriorError(f"{said}. Give the path that post.save(path) was given.")
    try:
        content = Path(name).read_bytes()
    except OSError as error:
        raise PosteriorError(f"{name!r} cannot be read: {error.strerror or error}.") from error
    if not _SEAL.fullmatch(content[-_LENGTH:]):
        _refuse_broken_seal(name, content)
        return content, False
    if seal_of(memoryview(content)[:-_LENGTH]) != content[-_LENGTH:]:
        raise PosteriorError(
            f"{name!r} is damaged: its bytes are not those that were written, by their checksum. Take a copy of the "
            "file, or fit again."
        )
    return content, True


def _refuse_broken_seal(name: str, content: bytes) -> None:
    if all(group in content for group in _OURS):
        raise PosteriorError(
            f"{name!r} is not as post.save wrote it: its checksum is missing. Another program has changed it, or it "
            "is cut short or damaged. Take a copy that nothing has written to. Draws that you changed yourself make a "
            "posterior by bm.from_draws."
        )


def write_bytes(content: memoryview, path: Any) -> None:
    """Write a sealed file so that a reader finds the old one or the new one, and a full disk leaves the old one."""
    put([content, memoryview(seal_of(content))], path, "fit.nc")


def put(pieces: list[memoryview], path: Any, example: str) -> None:
    """The same of any file, without a seal; `example` is a name for one."""
    name = file_name(path)
    try:
        target = _target(name, example)
        _remove_left_behind(target)
        _replace(target, pieces)
    except OSError as error:
        raise PosteriorError(
            f"Cannot write {str(name)!r} ({sum(map(len, pieces)) / 1e6:.1f} MB): {error.strerror or error}. Choose a "
            "folder that you may write to, with room on its disk; an older file of this name is left as it was."
        ) from error


def check_place(path: Any, example: str) -> None:
    """Refuse early, before there is something to write, a path that cannot be written to."""
    name = file_name(path)
    try:
        folder = _target(name, example).parent
    except OSError as error:
        raise PosteriorError(f"Cannot write {str(name)!r}: {error.strerror or error}.") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PosteriorError(
            f"Cannot write {str(name)!r}: the folder {str(folder)!r} may not be written to. Choose another one."
        )


def _target(name: Path, example: str) -> Path:
    """The regular file that is replaced: a link stays, and what it points at is written."""
    if name.is_dir():
        raise PosteriorError(f"Cannot write {str(name)!r}: it is a folder. Name a file in it, such as {example!r}.")
    target = Path(os.path.realpath(name)) if name.is_symlink() else name
    if not target.parent.is_dir():
        raise PosteriorError(
            f"Cannot write {str(name)!r}: the folder {str(target.parent)!r} does not exist. Make it first."
        )
    if target.is_symlink():
        raise OSError(errno.ELOOP, "its link leads in a circle")
    if target.exists() and not target.is_file():
        raise PosteriorError(f"Cannot write {str(name)!r}: it is a device or a pipe. Name a file.")
    return target


def _prefix(target: Path) -> str:
    """Of temporary files for this target: short, however long its name is."""
    return f".{hashlib.blake2b(target.name.encode(errors='surrogateescape'), digest_size=6).hexdigest()}-"


def _replace(target: Path, pieces: list[memoryview]) -> None:
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    temporary, file = _temporary(target)
    with file:
        try:
            if mode is not None:
                os.chmod(temporary, mode)
            for piece in pieces:
                _write(file, piece)
            os.fsync(file.fileno())
            if sys.platform == "win32":  # an open file cannot be renamed there; here it is locked until it has its name
                file.close()
            os.replace(temporary, target)
        except BaseException:
            file.close()
            temporary.unlink(missing_ok=True)
            raise


def _write(file: FileIO, piece: memoryview) -> None:
    while len(piece):
        piece = piece[file.write(piece[: 2**30]) :]


def _temporary(target: Path) -> tuple[Path, FileIO]:
    """A new file beside the target, with the permissions of a new file, locked while it is written."""
    while True:
        path = target.with_name(f"{_prefix(target)}{secrets.token_hex(4)}{_PART}")
        file = FileIO(path, "x")
        if _locked(file) and path.exists():  # else it was cleaned up between its making and its lock
            return path, file
        file.close()


def _locked(file: FileIO) -> bool:
    try:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks, where nothing is cleaned up either
    return True


def _remove_left_behind(target: Path) -> None:
    """Temporary files of a save of this path that was killed: those that nobody holds a lock on."""
    with suppress(OSError):
        for path in _parts(target):
            with suppress(OSError), FileIO(path, "r+") as file:
                if sys.platform != "win32":
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                else:
                    file.close()
                path.unlink()


def _parts(target: Path) -> list[Path]:
    start = _prefix(target)
    with os.scandir(target.parent) as entries:
        ours = [e for e in entries if e.name.startswith(start) and e.name.endswith(_PART)]
        return [Path(e.path) for e in ours if e.is_file(follow_symlinks=False)]
