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

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lattice_flows.errors import UserError
from lattice_flows.io.files import RunError, writing
from lattice_flows.io.rows import check_rows, data_sets, read_attributes
from lattice_flows.reading import file_or_in_folder, reading

__all__ = [
    "ENSEMBLE",
    "LAYOUT",
    "TEST_FIELD",
    "Ensemble",
    "EnsembleError",
    "attributes_left",
    "check_replaceable",
    "differing",
    "ensemble_file",
]

ENSEMBLE = "ensemble.h5"  # in a run folder
LAYOUT = 2
_ADVICE = "draw the ensemble again (the same seed gives the same chain)"
_KINDS = {"sampler": str, "lattice_shape": list, "action": dict, "seed": int, "thermalisation": int, "diagnostics": dict}
# An attribute that files of before do not have, and by how much it may differ between devices, relatively.
TEST_FIELD, _ROUNDING = "action_of_test_field", 1e-4

_SIGNATURE = b"\x89HDF\r\n\x1a\n"  # of HDF5


class EnsembleError(UserError, ValueError):
    """A file that is not an ensemble of this version; the message says what to do."""


def differing(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The names of wanted attributes that are others, or missing, in a file; those of settings are dotted.

    Attributes that files of earlier versions do not have may be missing.
    """
    names = []
    for name, value in json.loads(json.dumps(dict(wanted))).items():
        there = found.get(name)
        if name == TEST_FIELD and (there is None or np.isclose(there, value, rtol=_ROUNDING, equal_nan=True)):
            continue
        if name == "settings" and isinstance(there, dict):
            keys = there.keys() | value.keys()
            names += [f"{name}.{key}" for key in keys if there.get(key, ...) != value.get(key, ...)]
        elif there != value:
            names.append(name)
    return sorted(names)


def ensemble_file(path: str | Path, advice: str = "", error: type[UserError] = RunError) -> Path:
    """The ensemble file that a path names: itself, or `ensemble.h5` in a run folder. Raises an error if it is no file."""
    return file_or_in_folder(path, ENSEMBLE, advice, error)


def check_replaceable(path: Path) -> None:
    """Refuses what an ensemble must not be written over: a folder, a device, or a file that is not an ensemble.

    A damaged ensemble may be replaced, and what is left of it need not tell what it was. So a file counts as an ensemble if it is
    empty, if it is named `ensemble.h5`, or if it begins as HDF5 does and, where it can be opened, has our attribute `layout`.

    Raises:
      RunError: it is something else.
    """
    with writing(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not path.exists():
            return
        ours = path.is_file()
        if ours and path.name != ENSEMBLE and path.stat().st_size:
            with path.open("rb") as file:
                ours = file.read(len(_SIGNATURE)) == _SIGNATURE
            with contextlib.suppress(OSError, RuntimeError):
                if ours:
                    with h5py.File(path, "r") as file:
                        ours = "layout" in file.attrs
    if not ours:
        raise RunError(f"{path} is there already, and is not an ensemble of lattice_flows: choose another name, or remove it")


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if error.errno:
            raise
        raise ValueError("it is not a file of HDF5, or not the whole of one") from error


def attributes_left(path: Path) -> dict[str, Any]:
    """What a file still tells about how its ensemble was made, which may be of another layout or damaged; empty if nothing."""
    with contextlib.suppress(EnsembleError), reading(path, error=EnsembleError), _opened(path) as file:
        return read_attributes(file)
    return {}


class Ensemble:
    """Configurations that a sampler has drawn, with what was measured on them. Read in chunks from disk, or held in memory.

    Args:
      source: a file, or an HDF5 file that is already open.

    Attributes:
      attributes: how the configurations were made: sampler, settings, lattice_shape, action, seed, diagnostics, ...

    Raises:
      EnsembleError: the file is missing, damaged or foreign, or has another layout.
    """

    def __init__(self, source: Path | str | h5py.File):
        self._name, self._checked = str(source), isinstance(source, h5py.File)
        with self._reading():
            self._file = source if isinstance(source, h5py.File) else _opened(Path(source))
            try:
                self.attributes = read_attributes(self._file)
                self._check_layout()
            except BaseException:
                self._file.close()
                raise

    def _reading(self) -> AbstractContextManager[None]:
        return reading(self._name, _ADVICE, EnsembleError)

    def _check_layout(self) -> None:
        """Raises an error if data sets and attributes do not fit together."""
        layout = self.attributes.get("layout", 1)
        if layout != LAYOUT:
            raise EnsembleError(
                f"{self._name} has the layout {layout} of another version of lattice_flows, this one reads layout {LAYOUT}: "
                f"{_ADVICE}, or read the data set 'phi' with h5py"
            )
        for name, kind in _KINDS.items():
            if not isinstance(self.attributes.get(name, kind()), kind):
                raise ValueError(f"its attribute {name!r} is {self.attributes[name]!r}")
        data, shape = data_sets(self._file), tuple(self.attributes.get("lattice_shape", ()))
        if not data:
            return
        phi, own = data["phi"], {name: values for name, values in data.items() if name.startswith("series/")}
        if phi.dtype.kind != "f" or phi.ndim < 2 or shape not in ((), phi.shape[1 if "index" in data else 2 :]):
            raise ValueError(f"its configurations have the type {phi.dtype} and the shape {phi.shape} on a lattice {shape}")
        rows = {"phi": phi} | own | {name: data[name] for name in ("log_weight",) if name in data}
        if len({len(values) for values in rows.values()}) != 1:
            raise ValueError(f"its numbers of rows differ: { ({name: len(values) for name, values in rows.items()}) }")
        if "index" in data and (data["index"].dtype.kind not in "iu" or data["index"].ndim != 1):
            raise ValueError("its index into the proposals is damaged")
        for name, values in data.items():
            if values.dtype.kind not in "fiub" or (values.compression is None and values.id.get_storage_size() < values.nbytes):
                raise ValueError(f"its data set {name!r} is not there as a whole")

    def verify(self) -> None:
        """Compares all data with their numbers of rows and checksums; files of earlier versions have none.

        Raises:
          EnsembleError: something is missing or has changed since it was written.
        """
        if not self._checked:
            with self._reading():
                check_rows(self._file)
            self._checked = True

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

    def __len__(self) -> int:
        """The number of configurations of each chain."""
        return len(self._file["phi"]) if self.index is None else len(self.index)

    @property
    def stored(self) -> int:
        """The number of stored rows."""
        return len(self._file["phi"])

    @property
    def phi(self) -> np.ndarray:
        """All configurations of the chains, `[n, chains, *shape]`."""
        rows = self.rows(0, self.stored)
        return rows if self.index is None else rows[self.index][:, np.newaxis]

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Stored rows of phi: `[n, chains, *shape]`, or proposals `[n, *shape]`."""
        return self._read("phi", start, stop)

    def chunks(self, rows: int) -> Iterator[np.ndarray]:
        """Yields the stored rows of phi in order, at most `rows` at a time."""
        for start in range(0, self.stored, rows):
            yield self.rows(start, start + rows)

    @property
    def series_names(self) -> list[str]:
        """What was measured on the stored rows."""
        return list(self._file.get("series", ()))

    def series_rows(self, start: int, stop: int, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Stored rows of series, by name; None for all of them."""
        return {name: self._read(f"series/{name}", start, stop) for name in (self.series_names if names is None else names)}

    @property
    def series(self) -> dict[str, np.ndarray]:
        """What was measured on the stored rows, by name."""
        return self.series_rows(0, self.stored)

    @cached_property
    def index(self) -> np.ndarray | None:
        """The row that the chain holds after each update, `[length]`; None where rows are the configurations of the chains."""
        index = self._optional("index")
        if index is not None and len(index) and not 0 <= index.min() <= index.max() < self.stored:
            raise EnsembleError(f"cannot read {self._name}: its index points to proposals that it does not hold; {_ADVICE}")
        return index

    @property
    def log_weight(self) -> np.ndarray | None:
        """The log weights of the proposals, `[rows]`; None without proposals."""
        return self._optional("log_weight")

    @property
    def accepted(self) -> np.ndarray | None:
        """Accept decisions on updates of the whole lattice, `[updates]` or `[updates, chains]`; None for other updates."""
        return self._optional("accepted")

    def _optional(self, name: str) -> np.ndarray | None:
        return self._read(name) if name in self._file else None

    def _read(self, name: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        with self._reading():
            return self._file[name][start:stop]

    def close(self) -> None:
        """Closes the file, or frees the memory."""
        self._file.close()

    def __enter__(self) -> "Ensemble":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
