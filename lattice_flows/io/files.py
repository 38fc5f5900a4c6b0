"""Files that appear by rename, whole or not at all."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["RunError", "atomic_write", "refuse_installed", "writing"]


_PACKAGE = Path(__file__).resolve().parents[1]


class RunError(RuntimeError):
    """A file or run folder that cannot be used or written; what it held before is untouched."""


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


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns a failure of the file system into a `RunError` that names the file."""
    try:
        yield
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}; what was there before is untouched") from error


def refuse_installed(path: Path) -> None:
    """Protects the result files that come with an installed package.

    In a clone these lie beside the package and may be written; in an installed package they lie inside.

    Raises:
      RunError: `path` is inside the package.
    """
    if _PACKAGE in path.resolve().parents:
        raise RunError(
            f"{path.name} belongs to the installed package and is not written: run this command in a clone of the repository, "
            "or name another file"
        )
