"""Weights on disk: NumPy archives of plain arrays, no pickles."""

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from lattice_flows.io.files import atomic_write

__all__ = ["CheckpointError", "Checkpoints", "assign", "read_arrays", "write_arrays"]


class CheckpointError(RuntimeError):
    """A checkpoint that is damaged or belongs to something else."""


def write_arrays(path: Path, arrays: Mapping[str, Any], facts: Mapping[str, Any] | None = None) -> None:
    """Writes named arrays (or variables), with facts that JSON can hold beside them. Raises `RunError` where that fails."""
    plain = {name: np.asarray(value) for name, value in arrays.items()}
    text = np.array(json.dumps(dict(facts or {})))
    atomic_write(path, lambda file: np.savez(file, __facts__=text, **plain))


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads back arrays and facts.

    Raises:
      CheckpointError: the file is missing or damaged (every array carries a checksum).
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return arrays, json.loads(str(arrays.pop("__facts__")))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error


def assign(variables: Mapping[str, tf.Variable], arrays: Mapping[str, np.ndarray]) -> None:
    """Sets every variable to the array of its name.

    Raises:
      CheckpointError: names or shapes differ; no variable has been changed then.
    """
    missing, unknown = sorted(variables.keys() - arrays.keys()), sorted(arrays.keys() - variables.keys())
    if missing or unknown:
        raise CheckpointError(f"the weights belong to another flow: missing {missing[:3]}, unknown {unknown[:3]}")
    for name, variable in variables.items():
        if tuple(variable.shape) != arrays[name].shape:
            raise CheckpointError(f"{name!r} has the shape {tuple(variable.shape)}, the weights {arrays[name].shape}")
    for name, variable in variables.items():
        variable.assign(arrays[name])


class Checkpoints:
    """The last states of a training, newest first.

    Args:
      folder: where they are kept.
      keep: how many; the older ones serve when the newest is damaged.
    """

    def __init__(self, folder: Path, keep: int = 2):
        self._folder, self._keep = folder, keep

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("step_*.npz"), reverse=True)

    def save(self, step: int, arrays: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Adds a state and drops the oldest. Raises `RunError` where that fails."""
        write_arrays(self._folder / f"step_{step:09d}.npz", arrays, facts)
        for path in self._paths()[self._keep :]:
            path.unlink()

    def latest(self, warn: Callable[[str], None]) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """The newest readable state, None where none was ever saved.

        Args:
          warn: is told of every damaged checkpoint that is passed over.

        Raises:
          CheckpointError: all are damaged.
        """
        paths = self._paths()
        for path in paths:
            try:
                return read_arrays(path)
            except CheckpointError as error:
                warn(f"{error}; falling back to the checkpoint before")
        if paths:
            raise CheckpointError(f"every checkpoint in {self._folder} is damaged; start again with another --out")
        return None
