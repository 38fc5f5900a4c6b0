"""Configurations on disk: one HDF5 file, whose attributes say how they were made."""

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

__all__ = ["Ensemble", "EnsembleWriter"]

_ROWS_PER_CHUNK = 1024


class EnsembleWriter:
    """Appends to a new file, which appears under its name when it is complete.

    Example:

    ```python
    with EnsembleWriter(path, {"sampler": "hmc", "seed": 7}) as writer:
        writer.append(phi=phi, accepted=accepted)
    ```

    Args:
      path: where the file will be.
      attributes: how the configurations are made; anything that JSON can hold.
    """

    def __init__(self, path: Path, attributes: Mapping[str, Any]):
        self._path, self._part = path, path.with_name(path.name + ".part")
        self._file = h5py.File(self._part, "w")
        self.describe(attributes)

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Adds or replaces attributes."""
        for name, value in attributes.items():
            self._file.attrs[name] = json.dumps(value)

    def append(self, **rows: np.ndarray) -> None:
        """Appends rows `[n, ...]` to the data set of each name; the first call fixes names, row shapes and types.

        Raises:
          ValueError: other names than before, or different numbers of rows.
          OSError: no space is left.
        """
        if len({len(values) for values in rows.values()}) != 1:
            raise ValueError(f"every data set needs as many rows, got { {name: len(v) for name, v in rows.items()} }")
        if len(self._file) and set(self._file) != set(rows):
            raise ValueError(f"the ensemble holds {sorted(self._file)}, got {sorted(rows)}")
        # HDF5 writes late and recovers badly from a full disk, so ask before.
        needed = sum(values.nbytes for values in rows.values())
        if shutil.disk_usage(self._path.parent).free < 2 * needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        for name, values in rows.items():
            if name not in self._file:
                row = values.shape[1:]
                options = {"maxshape": (None, *row), "chunks": (_ROWS_PER_CHUNK, *row)}
                self._file.create_dataset(name, (0, *row), values.dtype, **options)
            data = self._file[name]
            rows_before = len(data)
            data.resize(rows_before + len(values), axis=0)
            data[rows_before:] = values

    def __enter__(self) -> "EnsembleWriter":
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            self._file.close()
            if kind is None:
                os.replace(self._part, self._path)
        except RuntimeError as failure:  # how h5py reports that the last rows could not be written
            raise OSError(f"{self._part}: {failure}") from failure
        finally:
            self._part.unlink(missing_ok=True)


class Ensemble:
    """A file of configurations, read piece by piece.

    Attributes:
      attributes: how the configurations were made.

    Raises:
      OSError: no such file, or not HDF5.
    """

    def __init__(self, path: Path):
        self._file = h5py.File(path, "r")
        self.attributes = {name: json.loads(value) for name, value in self._file.attrs.items()}

    def was_made_as(self, attributes: Mapping[str, Any]) -> bool:
        """Whether the file has all these attributes."""
        return all(self.attributes.get(name) == json.loads(json.dumps(value)) for name, value in attributes.items())

    @property
    def names(self) -> list[str]:
        """Of the data sets: "phi", "log_weight", "accepted", ..."""
        return list(self._file)

    def __len__(self) -> int:
        return len(self._file["phi"])

    def __getitem__(self, name: str) -> np.ndarray:
        """A whole data set."""
        return self._file[name][:]

    def pieces(self, name: str, rows: int = 16 * _ROWS_PER_CHUNK) -> Iterator[np.ndarray]:
        """Yields the rows of a data set in order, at most so many at a time."""
        for start in range(0, len(self), rows):
            yield self._file[name][start : start + rows]

    def __enter__(self) -> "Ensemble":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()
