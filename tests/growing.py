"""A chain without physics that is drawn into an ensemble and into checkpoints. As a script, it kills itself on the way.

python growing.py FOLDER N     dies at the N-th call that touches a file
"""

import contextlib
import os
import signal
import sys
from pathlib import Path

import h5py
import numpy as np

from lattice_flows.io import files, rows, segments
from lattice_flows.io.arrays import Checkpoints
from lattice_flows.io.locks import lock_folder
from lattice_flows.io.rows import data_sets, read_attributes

ATTRIBUTES = {"seed": 1, "settings": {"length": 120}}
CHUNKS = 12


def draw(path, *, stop=None, info=lambda line: None, attributes=ATTRIBUTES, then=lambda: None, each=lambda number: None):
    """Draws the chain, or the rest of it, and returns how many chunks that were; `stop` interrupts it there."""
    drawn = 0
    with segments.EnsembleWriter(path, attributes, info) as writer:
        number, total = (int(writer.state["number"]), writer.state["total"].item()) if writer.state else (0, 0.0)
        for index in range(number, CHUNKS):
            if index == stop:
                raise KeyboardInterrupt
            rng = np.random.default_rng(index)
            phi = rng.normal(size=(10, 3, 2, 2)).astype(np.float32)
            total += float(phi.sum())
            series, state = {"phi_2": (phi**2).mean(axis=(2, 3))}, {"number": index + 1, "total": total}
            writer.append({"phi": phi, "accepted": phi[..., 0, 0] > 0}, series, {"dh": rng.normal(size=(20, 3))}, state)
            each(index)
            drawn += 1
        then()
        writer.describe({"diagnostics": {"total": total, "dh": float(writer.notes()["dh"].sum())}})
    return drawn


def flip(path):
    """Changes one bit of the stored configurations."""
    with h5py.File(path) as file:
        place = file["phi"].id.get_chunk_info(0).byte_offset + 17
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 1
    path.write_bytes(damaged)


def content(path):
    """All that is in a file."""
    with h5py.File(path) as file:
        return {name: data[:] for name, data in data_sets(file).items()} | read_attributes(file)


def _dying(n):
    """Makes the process die at the n-th of the calls that change files."""
    calls = iter(range(1, n + 1))

    def hooked(function):
        def call(*arguments, **settings):
            if next(calls, n) == n:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **settings)

        return call

    for place, name in (
        (os, "replace"),
        (h5py.Dataset, "__setitem__"),
        (h5py.Dataset, "resize"),
        (Path, "unlink"),
        (Path, "mkdir"),
    ):
        setattr(place, name, hooked(getattr(place, name)))
    for module in (files, rows, segments):
        with contextlib.suppress(AttributeError):
            module.checksum = hooked(module.checksum)


def main(folder, n):
    """A run: a checkpoint after every chunk, and an ensemble."""
    segments._SHORTEST = segments._SHARE = 0.0
    with lock_folder(folder):
        files.remove_unfinished(folder)
        _dying(n)
        checkpoints = Checkpoints(folder / "checkpoints")
        draw(folder / "e.h5", each=lambda index: checkpoints.save(index, {"x": np.full(1000, index)}, {"step": index}))
    print("done")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
