"""Weights on disk: NumPy archives of plain arrays, no pickles. No TensorFlow."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lattice_flows.errors import UserError
from lattice_flows.io.files import atomic_write, checksum, writing
from lattice_flows.reading import check_damaged, reading

__all__ = ["CheckpointError", "Checkpoints", "file_fingerprint", "fingerprint", "read_arrays", "write_arrays"]


class CheckpointError(UserError, RuntimeError):
    """A checkpoint that is damaged or belongs to another flow."""


_DIAGNOSTICS = "__facts__"  # as files of all versions call them
_MANIFEST = "__manifest__"  # among the diagnostics; files of earlier versions have none


def write_arrays(path: Path, arrays: Mapping[str, Any], diagnostics: Mapping[str, Any] | None = None) -> None:
    """Writes named arrays (or variables), and diagnostics that JSON can hold.

    Raises:
      RunError: the file cannot be written.
    """
    plain = {name: np.asarray(value) for name, value in arrays.items()}
    described = dict(diagnostics or {}) | {_MANIFEST: {name: _described(array) for name, array in plain.items()}}
    plain[_DIAGNOSTICS] = np.array(json.dumps(described))
    atomic_write(path, lambda file: np.savez(file, allow_pickle=False, **plain))


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads back arrays and diagnostics.

    Raises:
      CheckpointError: the file is missing, damaged or foreign; an array is missing, unknown or not the one that was written.
    """
    with reading(path, "use a copy of it, or train again", CheckpointError):
        # As a whole, so that an OSError is one of the disk, and not of places in a damaged archive that are none.
        file = io.BytesIO(path.read_bytes())
        if not zipfile.is_zipfile(file):
            raise ValueError("it is not an archive of weights, or not the whole of one")
        file.seek(0)
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        diagnostics = json.loads(str(arrays.pop(_DIAGNOSTICS)))
        manifest = diagnostics.pop(_MANIFEST, None)
        found = {name: _described(array) for name, array in arrays.items()}
        if manifest is not None and found != manifest:
            wrong = next(name for name in (*found, *manifest) if found.get(name) != manifest.get(name))
            kind = "is missing" if wrong not in found else "does not belong there" if wrong not in manifest else "has changed"
            raise ValueError(f"its array {wrong!r} {kind}")
        return arrays, diagnostics


def fingerprint(arrays: Mapping[str, Any], of: str = "") -> str:
    """A hash of named arrays (or variables), by which weights are told from others.

    Args:
      arrays: by name, in any order.
      of: what else is hashed, in words.
    """
    digest = hashlib.sha256(of.encode())
    for name, array in sorted(arrays.items()):
        digest.update(name.encode() + np.asarray(array).tobytes())
    return digest.hexdigest()


def file_fingerprint(path: Path) -> str:
    """The `fingerprint` of the weights in a file, as they stand there; raises as `read_arrays` does."""
    return fingerprint(read_arrays(path)[0])


def _described(array: np.ndarray) -> list[Any]:
    return [array.dtype.str, list(array.shape), checksum(array)]


class Checkpoints:
    """The last states of a training, newest first.

    Args:
      folder: where they are kept.
      keep: how many; older ones are used when the newest is damaged.
    """

    def __init__(self, folder: Path, keep: int = 2):
        self._folder, self._keep = folder, keep

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("step_*.npz"), reverse=True)

    def save(self, step: int, arrays: Mapping[str, Any], diagnostics: Mapping[str, Any]) -> None:
        """Adds a state and drops the oldest. Raises `RunError` if it cannot be written."""
        write_arrays(self._folder / f"step_{step:09d}.npz", arrays, diagnostics)
        for path in self._paths()[self._keep :]:
            with writing(path):
                path.unlink(missing_ok=True)

    def latest(self, warn: Callable[[str], None]) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """The newest readable state, None if none was ever saved.

        Args:
          warn: called with a message for every damaged checkpoint that is skipped.

        Raises:
          CheckpointError: all are damaged.
        """
        paths = self._paths()
        for path in paths:
            try:
                return read_arrays(path)
            except CheckpointError as error:
                check_damaged(error, path)
                warn(f"{error}; falling back to the checkpoint before")
        if paths:
            raise CheckpointError(f"every checkpoint in {self._folder} is damaged; start again with another --out")
        return None
