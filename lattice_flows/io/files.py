"""Files that appear by rename, whole or not at all."""

import contextlib
import errno
import json
import os
import re
import secrets
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lattice_flows.errors import UserError

__all__ = [
    "FolderInUse",
    "RunError",
    "atomic_write",
    "check_file",
    "checksum",
    "complete",
    "is_unfinished",
    "remove_unfinished",
    "temporary",
    "write_json",
    "write_text",
    "writing",
]

# What operating systems say in other words.
_IN_THE_WAY = "there is a file where a folder must be, choose another name"
_REASONS = {errno.EISDIR: "it is a folder, name a file", errno.EEXIST: _IN_THE_WAY, errno.ENOTDIR: _IN_THE_WAY}
# As `temporary` names them, and the only files of earlier versions that could be in the way.
_UNFINISHED = re.compile(r".+\.\d+-[0-9a-f]{8}\.part|(config\.yaml|ensemble\.h5)\.part")


class RunError(UserError, RuntimeError):
    """A file or run folder that cannot be used or written; what it held before is untouched."""


class FolderInUse(RunError):
    """An output folder that holds an earlier run, which can be continued where the caller offers that."""


def temporary(path: Path) -> Path:
    """The name under which a file is written before it gets its own; no other process and no other call has the same."""
    return path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")


def is_unfinished(path: Path) -> bool:
    """Whether a file has a temporary name: it is being written, or was when its process died."""
    return _UNFINISHED.fullmatch(path.name) is not None


def remove_unfinished(folder: Path, pattern: str = "**/*.part") -> None:
    """Removes what dead processes have left of unfinished files. The caller holds the lock, so nobody is writing them."""
    for path in list(folder.glob(pattern)):
        if is_unfinished(path):
            path.unlink(missing_ok=True)


def atomic_write(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Lets `write` fill a temporary file beside `path`, then renames it. A symbolic link stays one: its target is replaced.

    Raises:
      RunError: the name of a folder or device, no space, no permission, or another failure of the file system; an earlier file of
        that name is unchanged.
    """
    target = Path(os.path.realpath(path))
    part = temporary(target)
    with writing(path):
        if target.exists() and not target.is_file() and not target.is_dir():
            raise RunError(f"cannot write {path}: it is not a regular file; choose another name")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with part.open("xb") as file:
                write(file)
            complete(part, target)
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def complete(part: Path, path: Path) -> None:
    """Gives a temporary file its name once the disk has its content, so that a power cut leaves the earlier file or this one."""
    _synchronise(part)
    os.replace(part, path)
    with contextlib.suppress(OSError):  # file systems of networks need not know it of folders
        _synchronise(path.parent)


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Writes or replaces a text file. Raises `RunError` if that fails."""
    atomic_write(path, lambda file: file.write(text.encode()))


def check_file(path: Path) -> None:
    """Raises `RunError` where no regular file of this name can be written; nothing is left behind."""
    with writing(path):
        target = path.resolve()
        if target.exists() and not target.is_file():
            raise RunError(f"cannot write {path}: it is not a regular file; choose another name")
        with tempfile.TemporaryFile(dir=next(folder for folder in target.parents if folder.exists())):
            pass


def write_json(path: Path, content: Any) -> None:
    """Writes or replaces a JSON file. Raises `RunError` if that fails."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns a failure of the file system into a `RunError` that names the file."""
    try:
        yield
    except BrokenPipeError:  # of the output, whose reader has gone
        raise
    except OSError as error:
        # By its number: the text of h5py's errors is about its own calls.
        reason = _REASONS.get(error.errno, os.strerror(error.errno)) if error.errno else error
        raise RunError(f"cannot write {path}: {reason}; what was there before is untouched") from error


def checksum(values: np.ndarray, before: int = 0) -> int:
    """The CRC-32 of the bytes of an array, or of all that came before and these."""
    return zlib.crc32(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data, before)
