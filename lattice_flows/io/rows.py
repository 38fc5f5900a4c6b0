"""HDF5 files of data sets that grow by rows, with the number of rows and a checksum of each. No TensorFlow."""

import contextlib
import errno
import json
import math
import os
import uuid
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lattice_flows.io.files import checksum, complete, temporary

__all__ = ["RowWriter", "check_attributes", "check_rows", "checked_pieces", "data_sets", "read_attributes"]

_LONGEST_FIXED = 2**15
_CHECKSUMS = "checksums"
_CHUNK_BYTES = 2**20
_BUFFER_BYTES = 2**23  # every write costs time, so rows are collected first
_CACHE_BYTES = 2**22  # so that a chunk that is half full is not written, and read again for its other half
_MEMORY_INCREMENT = 2**26
_SEGMENT_INCREMENT = 2**22
_HEADER = 2**14  # of a file, beside its data sets


class RowWriter:
    """Appends rows to the data sets of a new file. It appears under its name when it is complete.

    Args:
      path: where the file will be; None keeps it in memory.
      attributes: of the file; anything that JSON can hold.
      shapes: of all data sets, with the size of a number, where that is known: the file then grows on disk, where it is asked for
        the space at once. Otherwise it is small, and is made in memory and written as a whole: HDF5 crashes the process when the
        system refuses to write, and Python does not.

    Attributes:
      file: as it is open.

    Raises:
      OSError: the file cannot be made.
    """

    def __init__(
        self, path: Path | None, attributes: Mapping[str, Any], shapes: Mapping[str, tuple[tuple[int, ...], int]] | None = None
    ):
        self._path, self._part, self._totals = path, path and temporary(path), dict[str, int]()
        self._in_memory = self._part is None or shapes is None
        if self._part is None or shapes is None:
            increment = _MEMORY_INCREMENT if path is None else _SEGMENT_INCREMENT
            self.file = h5py.File(str(uuid.uuid4()), "w", driver="core", backing_store=False, block_size=increment)
        else:
            self._totals = {name: shape[0] for name, (shape, _) in shapes.items()}
            _reserve(self._part, _HEADER + sum(_stored_bytes(shape, itemsize) for shape, itemsize in shapes.values()))
            self.file = h5py.File(self._part, "w", rdcc_nbytes=_CACHE_BYTES)
        self._checksums: dict[str, int] = {}
        self._buffer: list[Mapping[str, np.ndarray]] = []
        self._buffered = 0
        self.describe(attributes)

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Adds or replaces attributes."""
        for name, value in attributes.items():
            text = json.dumps(value)
            # HDF5 crashes on texts of variable length where the file is damaged; those of fixed length have at most 64 KiB.
            self.file.attrs[name] = np.bytes_(text) if len(text) < _LONGEST_FIXED else text

    def append(self, rows: Mapping[str, np.ndarray]) -> None:
        """Appends rows `[n, ...]` to data sets, by name; n may differ. Raises `OSError` if no space is left."""
        self._buffer.append(rows)
        self._buffered += sum(values.nbytes for values in rows.values())
        if self._buffered >= _BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        for name in dict.fromkeys(name for rows in self._buffer for name in rows):
            parts = [rows[name] for rows in self._buffer if name in rows]
            values = np.concatenate(parts) if len(parts) > 1 else parts[0]
            if name not in self.file:
                row, total = values.shape[1:], max(len(values), self._totals.get(name, 0))
                chunks = _chunks((total, *row), values.dtype.itemsize)
                self.file.create_dataset(name, (0, *row), values.dtype, maxshape=(None, *row), chunks=chunks)
            stored = self.file[name]
            before = len(stored)
            stored.resize(before + len(values), axis=0)
            stored[before:] = values
            if self._path is not None:
                self._checksums[name] = checksum(values.astype(stored.dtype, copy=False), self._checksums.get(name, 0))
        self._buffer, self._buffered = [], 0

    def complete(self) -> None:
        """Writes the last rows, and gives the file its name. Raises `OSError` if that fails; nothing is left then."""
        try:
            self._flush()
            if self._path is not None and self._part is not None:
                counted = {name: [len(self.file[name]), crc] for name, crc in self._checksums.items()}
                self.describe({_CHECKSUMS: {"attributes": _of_attributes(self.file), "data": counted}})
                if self._in_memory:
                    self.file.flush()
                    self._part.write_bytes(self.file.id.get_file_image())
                self.file.close()
                complete(self._part, self._path)
        except RuntimeError as failure:  # how h5py reports that the last rows could not be written
            raise OSError(f"{self._part}: {failure}") from failure
        finally:
            if self._path is not None:
                self.discard()

    def discard(self) -> None:
        """Closes the file, and removes it if it is not complete."""
        with contextlib.suppress(OSError, RuntimeError):
            self.file.close()
        if self._part is not None:
            self._part.unlink(missing_ok=True)

    def __enter__(self) -> "RowWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.complete()
        else:
            self.discard()


def _stored_bytes(shape: tuple[int, ...], itemsize: int) -> int:
    """What a data set of a known number of rows needs on disk, in whole chunks, and with their directory."""
    numbers = [-(-extent // chunk) for extent, chunk in zip(shape, _chunks(shape, itemsize), strict=True)]
    whole = math.prod(number * chunk for number, chunk in zip(numbers, _chunks(shape, itemsize), strict=True))
    return whole * itemsize + 2**10 * (math.prod(numbers) + 4)


def _reserve(path: Path, size: int) -> None:
    """Raises `OSError` where the system would refuse a file of so many bytes: for its disk, a quota, or a limit of the process.

    A probe of that size is made under this name, and removed again; file systems that cannot reserve space are not asked.
    """
    try:
        with path.open("xb") as file:
            if hasattr(os, "posix_fallocate"):  # not on macOS
                os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENODEV):
            raise
    finally:
        path.unlink(missing_ok=True)


def read_attributes(file: h5py.File) -> dict[str, Any]:
    """The attributes of a file, without those that are there to check it."""
    return {name: json.loads(value) for name, value in file.attrs.items() if name != _CHECKSUMS}


def data_sets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """All data sets, by their full name."""
    found: dict[str, h5py.Dataset] = {}
    file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return found


def checked_pieces(file: h5py.File) -> Iterator[tuple[str, np.ndarray]]:
    """The rows of all data sets in order, a few MiB of them at a time, with the names of the data sets.

    They are compared with their numbers and checksums on the way; files of earlier versions have none.

    Raises:
      ValueError: a data set is missing, unknown, too short or changed, or an attribute is.
    """
    found = data_sets(file)
    recorded = json.loads(file.attrs[_CHECKSUMS]) if _CHECKSUMS in file.attrs else None
    if recorded is not None:
        check_attributes(file)
        if found.keys() != recorded["data"].keys():
            raise ValueError(f"it lacks or has one data set too many: {sorted(found.keys() ^ recorded['data'].keys())}")
    for name, data in found.items():
        rows, crc = recorded["data"][name] if recorded else (len(data), None)
        if len(data) != rows:
            raise ValueError(f"its data set {name!r} has {len(data)} of {rows} rows")
        step = max(_BUFFER_BYTES // max(data.dtype.itemsize * int(np.prod(data.shape[1:])), 1), 1)
        present = 0
        for start in range(0, rows, step):
            piece = data[start : start + step]
            present = checksum(piece, present)
            yield name, piece
        if crc not in (None, present):
            raise ValueError(f"its data set {name!r} has changed since it was written: its checksum is wrong")


def check_attributes(file: h5py.File) -> None:
    """Raises `ValueError` if the attributes are not those that were written; files of earlier versions cannot tell."""
    if _CHECKSUMS in file.attrs and json.loads(file.attrs[_CHECKSUMS])["attributes"] != _of_attributes(file):
        raise ValueError("its attributes have changed since it was written")


def check_rows(file: h5py.File) -> None:
    """Reads all rows, to see that they are what was written. Raises `ValueError` as `checked_pieces` does."""
    for _ in checked_pieces(file) if _CHECKSUMS in file.attrs else ():
        pass


def _of_attributes(file: h5py.File) -> int:
    text = json.dumps({name: str(value) for name, value in file.attrs.items() if name != _CHECKSUMS}, sort_keys=True)
    return zlib.crc32(text.encode())


def _chunks(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """The shape of HDF5's chunks: about 1 MiB of what is written first, or all of it if that is less."""
    left, chunks = _CHUNK_BYTES // itemsize, []
    for extent in reversed(shape):
        chunks.append(max(min(extent, left), 1))
        left //= chunks[-1]
    return tuple(reversed(chunks))
