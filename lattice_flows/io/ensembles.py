"""Configurations on disk or in memory: one HDF5 file, whose attributes say how they were made. No TensorFlow.

Layout 2 of the file:

    phi             [rows, chains, *shape]  float32, configurations that were kept of each chain
    series/<name>   [rows, chains, ...]     what was measured on them before they were rounded
    accepted        [updates, chains]       accept decisions, where updates are of the whole lattice

A chain of proposals from a flow is stored as its proposals, those of thermalisation included, and not as copies:

    phi             [rows, *shape]          the proposals
    series/<name>   [rows, ...]             what was measured on them
    log_weight      [rows]                  their log weights
    index           [length]                the row that the chain holds after each update
    accepted        [length]                the accept decisions
"""

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lattice_flows.errors import UserError

__all__ = ["LAYOUT", "Ensemble", "EnsembleError", "EnsembleWriter"]

LAYOUT = 2
_CHUNK_BYTES = 2**20
_BUFFER_BYTES = 2**23  # every write costs time, so rows are collected first
_MEMORY_INCREMENT = 2**26


class EnsembleError(UserError, ValueError):
    """A file that is not an ensemble of this version; the message says what to do."""


class EnsembleWriter:
    """Appends to a new ensemble. A file appears under its name when it is complete.

    ```python
    from lattice_flows.io.ensembles import EnsembleWriter

    with EnsembleWriter(None, {"sampler": "hmc", "seed": 7}) as writer:
        writer.append({"phi": np.zeros((5, 2, 4, 4), np.float32)})
    print(len(writer.ensemble))          # 5 configurations of 2 chains
    ```

    Args:
      path: where the file will be; None keeps the ensemble in memory.
      attributes: how the configurations are made; anything that JSON can hold.

    Attributes:
      ensemble: the ensemble in memory, once it is complete.

    Raises:
      OSError: the file cannot be made.
    """

    def __init__(self, path: Path | None, attributes: Mapping[str, Any]):
        self._path, self._part = path, path and path.with_name(path.name + ".part")
        if path is None:
            self._file = h5py.File(str(uuid.uuid4()), "w", driver="core", backing_store=False, block_size=_MEMORY_INCREMENT)
        else:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = h5py.File(self._part, "w")
        self._buffers: dict[str, list[np.ndarray]] = {}
        self._buffered = 0
        self.describe({"layout": LAYOUT} | dict(attributes))

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Adds or replaces attributes."""
        for name, value in attributes.items():
            self._file.attrs[name] = json.dumps(value)

    def append(self, data: Mapping[str, np.ndarray], series: Mapping[str, np.ndarray] | None = None) -> None:
        """Appends rows.

        Args:
          data: rows `[n, ...]` of "phi", "log_weight", "index", "accepted"; those of different names may differ in number.
          series: what was measured on the rows of "phi", by name.

        Raises:
          ValueError: the numbers of rows of phi, a series and log_weight differ.
          OSError: no space is left.
        """
        rows = {"phi": data["phi"], **{name: data[name] for name in ("log_weight",) if name in data}, **(series or {})}
        if len({len(values) for values in rows.values()}) != 1:
            lengths = {name: len(values) for name, values in rows.items()}
            raise ValueError(f"phi, its log weights and its series need as many rows, got {lengths}")
        for name, values in {**data, **{f"series/{name}": values for name, values in (series or {}).items()}}.items():
            self._buffers.setdefault(name, []).append(values)
            self._buffered += values.nbytes
        if self._buffered >= _BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        # HDF5 writes late and recovers badly from a full disk, so ask before.
        if self._path is not None and shutil.disk_usage(self._path.parent).free < 2 * self._buffered:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        for name, buffer in self._buffers.items():
            values = np.concatenate(buffer)
            if name not in self._file:
                row = values.shape[1:]
                chunks = _chunks(values.shape, values.dtype.itemsize)
                self._file.create_dataset(name, (0, *row), values.dtype, maxshape=(None, *row), chunks=chunks)
            stored = self._file[name]
            before = len(stored)
            stored.resize(before + len(values), axis=0)
            stored[before:] = values
        self._buffers, self._buffered = {}, 0

    def __enter__(self) -> "EnsembleWriter":
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            if kind is None:
                self._flush()
                if self._path is None:
                    self.ensemble = Ensemble(self._file)
            if kind is not None or self._path is not None:
                self._file.close()
            if kind is None and self._path is not None:
                os.replace(self._part, self._path)
        except RuntimeError as failure:  # how h5py reports that the last rows could not be written
            raise OSError(f"{self._part}: {failure}") from failure
        finally:
            if self._part is not None:
                self._part.unlink(missing_ok=True)


def _chunks(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """The shape of HDF5's chunks: about 1 MiB of what is written first, or all of it if that is less."""
    left, chunks = _CHUNK_BYTES // itemsize, []
    for extent in reversed(shape):
        chunks.append(max(min(extent, left), 1))
        left //= chunks[-1]
    return tuple(reversed(chunks))


class Ensemble:
    """Configurations that a sampler has drawn, with what was measured on them. Read in chunks from disk, or held in memory.

    Args:
      source: a file, or an HDF5 file that is already open.

    Attributes:
      attributes: how the configurations were made: sampler, settings, lattice_shape, action, seed, diagnostics, ...

    Raises:
      OSError: there is no such file, or it is not HDF5.
      EnsembleError: the file has another layout.
    """

    def __init__(self, source: Path | str | h5py.File):
        self._file = source if isinstance(source, h5py.File) else h5py.File(source, "r")
        self.attributes = {name: json.loads(value) for name, value in self._file.attrs.items()}
        layout = self.attributes.get("layout", 1)
        if layout != LAYOUT:
            self._file.close()
            raise EnsembleError(
                f"{source} has the layout {layout} of another version of lattice_flows, this one reads layout {LAYOUT}: "
                "draw the ensemble again (the same seed gives the same chain), or read the data set 'phi' with h5py"
            )

    def __repr__(self) -> str:
        if not self._file or "phi" not in self._file:
            return f"Ensemble({'empty' if self._file else 'closed'})"
        made = self.attributes
        shape, action = made.get("lattice_shape"), dict(made.get("action", {}))
        chains = 1 if self.index is not None else self._file["phi"].shape[1]
        parts = [
            made.get("sampler"),
            shape and f"Lattice({tuple(shape)})",
            " ".join([action.pop("name", ""), *(f"{name}={value}" for name, value in action.items())]),
            f"{len(self)} configurations" + (f" of each of {chains} chains" if chains > 1 else ""),
        ]
        return f"Ensemble({', '.join(filter(None, parts))})"

    def was_made_as(self, attributes: Mapping[str, Any]) -> bool:
        """Whether the ensemble has all these attributes."""
        return all(self.attributes.get(name) == json.loads(json.dumps(value)) for name, value in attributes.items())

    def __len__(self) -> int:
        """The number of configurations of each chain."""
        return len(self._file["phi"]) if self.index is None else len(self.index)

    @property
    def phi(self) -> np.ndarray:
        """All configurations of the chains, `[n, chains, *shape]`."""
        rows = self._file["phi"][:]
        return rows if self.index is None else rows[self.index][:, np.newaxis]

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Stored rows of phi: `[n, chains, *shape]`, or proposals `[n, *shape]`."""
        return self._file["phi"][start:stop]

    @property
    def stored(self) -> int:
        """The number of stored rows of phi."""
        return len(self._file["phi"])

    @property
    def series_names(self) -> list[str]:
        """The names of the series that were measured on the stored rows."""
        return list(self._file.get("series", {}))

    def series_rows(self, start: int, stop: int, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Stored rows of some series, by name."""
        return {name: self._file["series"][name][start:stop] for name in names}

    def chunks(self, rows: int) -> Iterator[np.ndarray]:
        """Yields the stored rows of phi in order, at most `rows` at a time."""
        for start in range(0, len(self._file["phi"]), rows):
            yield self.rows(start, start + rows)

    @cached_property
    def series(self) -> dict[str, np.ndarray]:
        """What was measured on the stored rows, by name."""
        return {name: values[:] for name, values in self._file.get("series", {}).items()}

    @cached_property
    def index(self) -> np.ndarray | None:
        """The row that the chain holds after each update, `[length]`; None where rows are the configurations of the chains."""
        return self._optional("index")

    @property
    def log_weight(self) -> np.ndarray | None:
        """The log weights of the proposals, `[rows]`; None without proposals."""
        return self._optional("log_weight")

    @property
    def accepted(self) -> np.ndarray | None:
        """Accept decisions on updates of the whole lattice, `[updates]` or `[updates, chains]`; None for other updates."""
        return self._optional("accepted")

    def _optional(self, name: str) -> np.ndarray | None:
        return self._file[name][:] if name in self._file else None

    def close(self) -> None:
        """Closes the file, or frees the memory."""
        self._file.close()

    def __enter__(self) -> "Ensemble":
        return self

    def __exit__(self, *_) -> None:
        self.close()
