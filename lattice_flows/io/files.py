"""Files that appear by rename, whole or not at all."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from lattice_flows.errors import UserError

__all__ = ["FolderInUse", "RunError", "atomic_write", "write_json", "write_text", "writing"]


class RunError(UserError, RuntimeError):
    """A file or run folder that cannot be used or written; what it held before is untouched."""


class FolderInUse(RunError):
    """An output folder that holds an earlier run, which can be continued where the caller offers that."""


def atomic_write(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Lets `write` fill a temporary file beside `path`, then renames it.

    Raises:
      RunError: no space, no permission, or another failure of the file system; an earlier file of that name is unchanged.
    """
    part = path.with_name(path.name + ".part")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                write(file)
            os.replace(part, path)
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes or replaces a text file. Raises `RunError` if that fails."""
    atomic_write(path, lambda file: file.write(text.encode()))


def write_json(path: Path, content: Any) -> None:
    """Writes or replaces a JSON file. Raises `RunError` if that fails."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns a failure of the file system into a `RunError` that names the file."""
    try:
        yield
    except OSError as error:
        # By its number: the text of h5py's errors is about its own calls.
        reason = os.strerror(error.errno) if error.errno else error
        raise RunError(f"cannot write {path}: {reason}; what was there before is untouched") from error
