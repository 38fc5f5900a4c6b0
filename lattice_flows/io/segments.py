"""Ensembles that are being drawn: in memory, or on disk in segments, from which an interrupted chain goes on. No TensorFlow.

On disk a chain grows by segments, the files `000000.h5`, `000001.h5`, ... of the folder `<name>.segments`. Each of them is
complete, appears by rename, has checksums, and holds besides its rows

    state/<name>    the sampler after its last row: all that the next row depends on
    notes/<name>    [n, ...]   what the diagnostics of the whole chain need

At the end they are merged into the ensemble, and removed.
"""

import contextlib
import errno
import glob
import os
import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from lattice_flows.io.ensembles import LAYOUT, Ensemble, EnsembleError, differing
from lattice_flows.io.files import RunError, remove_unfinished
from lattice_flows.io.rows import RowWriter, check_rows, checked_pieces, data_sets
from lattice_flows.io.segment_files import attributes_of_segments, opened_segment, remove_segments, segments_folder
from lattice_flows.reading import check_damaged

__all__ = ["EnsembleWriter"]

# A segment is closed when this share of all drawing time has passed since the one before: as little gets lost, at most.
_SHARE = 0.02
_SHORTEST, _LONGEST = 5.0, 60.0  # seconds
_LARGEST = 2**26  # bytes of rows, which are in memory until then
_STATE, _NOTES = "state/", "notes/"
_LENGTHS = ("length", "updates")  # among the settings


class EnsembleWriter:
    """Appends to a new ensemble. Its file appears under its name when it is complete.

    If it is interrupted, by an error or by the end of its process, what was drawn before remains in segments, and the next writer
    of the same ensemble goes on from there. The caller holds the lock of the file.

    ```python
    from lattice_flows.io.segments import EnsembleWriter

    with EnsembleWriter(None, {"sampler": "hmc", "seed": 7}) as writer:
        writer.append({"phi": np.zeros((5, 2, 4, 4), np.float32)})
    print(len(writer.ensemble))          # 5 configurations of 2 chains
    ```

    Args:
      path: where the file will be; None keeps the ensemble in memory.
      attributes: how the configurations are made; anything that JSON can hold.
      info: receives a line about what was drawn before.
      end: the number of updates of the whole chain, which its states have under "updates"; a chain that was begun with another
        length then goes on too, unless it is longer already.

    Attributes:
      state: that of the sampler after all rows that were drawn before, as `append` got it; None at the beginning.
      ensemble: the ensemble in memory, once it is complete.

    Raises:
      RunError: the segments that are there are of another chain, or of a longer one.
      OSError: the file cannot be made.
    """

    def __init__(
        self,
        path: Path | None,
        attributes: Mapping[str, Any],
        info: Callable[[str], None] = lambda line: None,
        end: int | None = None,
    ):
        self._path, self._info, self._end = path, info, end
        self._attributes = {"layout": LAYOUT} | dict(attributes)
        self._notes: list[Mapping[str, np.ndarray]] = []
        self._start = self._closed = time.monotonic()
        self.state: Mapping[str, Any] | None = None
        self._rows: RowWriter | None = None
        self._whole, self._size = True, 0
        if path is not None:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = segments_folder(path)
            remove_unfinished(path.parent, f"{glob.escape(path.name)}.*part")
            self._folder.mkdir(exist_ok=True)
            remove_unfinished(self._folder)
            self._refuse_another_chain()
            self._segments = self._drawn_before(path.name)

    def _refuse_another_chain(self) -> None:
        """Raises `RunError` if a segment that can be read belongs to another chain: nothing of that is removed."""
        for found in attributes_of_segments(self._folder):
            if other := differing(self._of_chain(found), self._of_chain(self._attributes)):
                raise RunError(
                    f"{self._folder} holds an unfinished chain that was drawn with other values of {', '.join(other)}: "
                    "use the same ones to go on with it, choose another name, or remove that folder"
                )

    def _drawn_before(self, name: str) -> list[Path]:
        """The segments of an earlier process that can be used; what follows them is removed."""
        kept: list[Path] = []
        rows = 0
        for number in count():
            path = self._numbered(number)
            if not path.exists():
                break
            try:
                with opened_segment(path) as file:
                    check_rows(file)
                    found = data_sets(file)
                    state = {name.removeprefix(_STATE): data[0] for name, data in found.items() if name.startswith(_STATE)}
                    if self._end is not None and state["updates"] > self._end:
                        raise RunError(
                            f"{self._folder} holds {state['updates']} updates of an unfinished chain, and {self._end} are wanted: "
                            "ask for as many or more, choose another name, or remove that folder"
                        )
                    rows += len(found["phi"])
            except EnsembleError as error:
                check_damaged(error, path)
                self._info(f"{error}; drawing again from there")
                break
            self.state = state
            kept.append(path)
        for path in self._folder.iterdir():
            if path not in kept:
                path.unlink()
        if kept:
            before = f"the {rows} rows that were drawn before" if rows else "a part of its thermalisation"
            self._info(f"{name}: going on after {before}")
        return kept

    def _of_chain(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Attributes that determine the chain: without its length, where it can go on to another one."""
        if self._end is None:
            return attributes
        settings = {name: value for name, value in attributes.get("settings", {}).items() if name not in _LENGTHS}
        return {**attributes, "settings": settings}

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Adds or replaces attributes."""
        self._attributes |= attributes

    def append(
        self,
        data: Mapping[str, np.ndarray],
        series: Mapping[str, np.ndarray] | None = None,
        notes: Mapping[str, np.ndarray] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        """Appends rows.

        Args:
          data: rows `[n, ...]` of "phi", "log_weight", "index", "accepted"; those of different names may differ in number.
          series: what was measured on the rows of "phi", by name.
          notes: what is not part of the ensemble, but needed for its diagnostics, see `notes`.
          state: arrays from which the sampler can go on after these rows. Without it, an interrupted chain begins anew.

        Raises:
          ValueError: the numbers of rows of phi, a series and log_weight differ.
          OSError: no space is left.
        """
        rows = {"phi": data["phi"], **{name: data[name] for name in ("log_weight",) if name in data}, **(series or {})}
        if len({len(values) for values in rows.values()}) != 1:
            lengths = {name: len(values) for name, values in rows.items()}
            raise ValueError(f"phi, its log weights and its series need as many rows, got {lengths}")
        self._whole = False  # until rows and state belong together again
        rows = dict(data) | {f"series/{name}": values for name, values in (series or {}).items()}
        if self._path is None:
            self._notes.append(notes or {})
        else:
            rows |= {_NOTES + name: values for name, values in (notes or {}).items()}
        self._open().append(rows)
        self._size += sum(values.nbytes for values in rows.values())
        self.state, self._whole = state, True
        now = time.monotonic()
        if self._path is not None and state is not None:
            due = now - self._closed >= min(max(_SHARE * (now - self._start), _SHORTEST), _LONGEST)
            if due or self._size >= _LARGEST:
                self._close_segment()

    def _open(self) -> RowWriter:
        if self._rows is None:
            path = self._path and self._numbered(len(self._segments))
            self._rows = RowWriter(path, self._attributes)
        return self._rows

    def _close_segment(self) -> None:
        """Completes the rows that were appended last with the state after them."""
        if self._rows is not None:
            self._whole = False
            rows, self._rows, self._size = self._rows, None, 0
            with rows:
                rows.append({_STATE + name: np.asarray(value)[np.newaxis] for name, value in (self.state or {}).items()})
            self._segments.append(self._numbered(len(self._segments)))
            self._closed, self._whole = time.monotonic(), True

    def notes(self) -> dict[str, np.ndarray]:
        """All notes of the chain, by name."""
        if self._path is None:
            names = dict.fromkeys(name for notes in self._notes for name in notes)
            return {name: np.concatenate([notes[name] for notes in self._notes if name in notes]) for name in names}
        self._close_segment()
        found: dict[str, list[np.ndarray]] = {}
        for path in self._segments:
            with opened_segment(path) as file:
                for name, data in data_sets(file).items():
                    if name.startswith(_NOTES):
                        found.setdefault(name.removeprefix(_NOTES), []).append(data[:])
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def __enter__(self) -> "EnsembleWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._complete()
        except BaseException:
            self._interrupted()
            raise
        if kind is not None:
            self._interrupted()

    def _complete(self) -> None:
        if self._path is None:
            with self._open() as rows:
                rows.describe(self._attributes)
            self.ensemble = Ensemble(rows.file)
        else:
            self._close_segment()
            self._merge()
            remove_segments(self._path)

    def _interrupted(self) -> None:
        """Saves what was drawn, if rows and state belong together; otherwise that of the segments before remains."""
        if self._path is not None and self._whole and self.state is not None:
            with contextlib.suppress(OSError):
                self._close_segment()
        if self._rows is not None:
            self._rows.discard()
        if self._path is not None:
            if self._segments and self.state is not None:
                self._info(f"what was drawn is kept in {self._folder}: the same run goes on from there")
            else:
                remove_segments(self._path)

    def _merge(self) -> None:
        shapes: dict[str, tuple[tuple[int, ...], int]] = {}
        for path in self._segments:
            with opened_segment(path) as file:
                for name, data in data_sets(file).items():
                    if not name.startswith((_STATE, _NOTES)):
                        before = shapes[name][0][0] if name in shapes else 0
                        shapes[name] = (before + len(data), *data.shape[1:]), data.dtype.itemsize
        with RowWriter(self._path, self._attributes, shapes) as rows:
            for path in self._segments:
                with opened_segment(path) as file:
                    for name, piece in checked_pieces(file):
                        if not name.startswith((_STATE, _NOTES)):
                            rows.append({name: piece})

    def _numbered(self, number: int) -> Path:
        return self._folder / f"{number:06d}.h5"
