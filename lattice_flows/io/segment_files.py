"""The files of segments that an unfinished ensemble is drawn into: where they are, what they tell, and their end. No TensorFlow."""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py

from lattice_flows.io.ensembles import EnsembleError, differing
from lattice_flows.io.rows import check_attributes, read_attributes
from lattice_flows.reading import check_damaged, reading

__all__ = ["attributes_of_segments", "drawn_bytes", "opened_segment", "remove_segments", "segments_folder"]


def remove_segments(path: Path, attributes: Mapping[str, Any] | None = None) -> None:
    """Removes the segments of an ensemble that is complete, or will be drawn anew.

    If attributes are given, those of an ensemble with others stay, such as a longer chain that was interrupted.
    """
    folder = segments_folder(path)
    others = () if attributes is None else (found for found in attributes_of_segments(folder) if differing(found, attributes))
    if folder.is_dir() and not any(others):
        shutil.rmtree(folder)


def drawn_bytes(path: Path) -> int:
    """The size of the segments of an ensemble that is not complete."""
    return sum(segment.stat().st_size for segment in segments_folder(path).glob("*.h5"))


def attributes_of_segments(folder: Path) -> Iterator[dict[str, Any]]:
    """Those of all segments that can be read."""
    for path in sorted(folder.glob("*.h5")):
        try:
            with opened_segment(path) as file:
                check_attributes(file)
                yield read_attributes(file)
        except EnsembleError as error:
            check_damaged(error, path)


def segments_folder(path: Path) -> Path:
    """Where the segments of an ensemble are while it is drawn."""
    return path.with_name(path.name + ".segments")


@contextlib.contextmanager
def opened_segment(path: Path) -> Iterator[h5py.File]:
    """A segment, to read it; what is wrong with it is an `EnsembleError`."""
    with reading(path, error=EnsembleError), h5py.File(path, "r") as file:
        yield file
