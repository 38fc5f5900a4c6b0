"""The run directory: everything a run leaves, and nothing anywhere else. Files appear by rename, whole or not at all."""

import contextlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyerrors as pe
import scipy
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

from lattice_flows import __version__
from lattice_flows.config import RunConfig, load
from lattice_flows.io.files import RunError, atomic_write, writing

__all__ = ["RunDirectory"]

# What a resumed run may change: how it goes on, not what it samples or with which flow.
_FREE_ON_RESUME = ("training.", "chain.", "samplers.")


class RunDirectory:
    """One folder for one run.

    Attributes:
      path: the folder.
      resumed: whether it was there before.
      changed: dotted key -> (value before, value now), what a resumed run does in another way.
    """

    def __init__(self, path: Path, resumed: bool, changed: Mapping[str, tuple[Any, Any]] | None = None):
        self.path, self.resumed, self.changed = path, resumed, dict(changed or {})

    @classmethod
    def start(cls, path: str | Path, config: RunConfig, *, resume: bool = False, devices: Sequence[str] = ()) -> "RunDirectory":
        """Makes the folder with `config.yaml` and `environment.json`, or takes up an earlier run.

        Args:
          path: the folder.
          config: of the run.
          resume: go on with what the folder holds; an empty or missing folder is started as usual.
          devices: what the run computes on, for the record.

        Raises:
          RunError: the folder is in use and `resume` is not set, the earlier run had another seed, lattice, action or flow, or
            nothing can be written there.
        """
        path = Path(path)
        with writing(path):
            used = path.is_dir() and any(path.iterdir())
        if used and not resume:
            raise RunError(f"the output folder {path} is already in use: give --resume to go on with it, or another name")
        changed: dict[str, tuple[Any, Any]] = {}
        if used:
            if not (path / "config.yaml").exists():
                raise RunError(f"cannot resume in {path}: it holds no config.yaml, so it is no run of this program")
            changed = load(path / "config.yaml").differences(config)
            other = {key: pair for key, pair in changed.items() if not key.startswith(_FREE_ON_RESUME)}
            if other:
                listed = ", ".join(f"{key} was {was!r}, now {now!r}" for key, (was, now) in other.items())
                raise RunError(f"cannot resume {path} with another configuration: {listed}")
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
        run = cls(path, used, changed)
        run.write_text("config.yaml", config.dump())
        run.write_json("environment.json", _environment(config.seed, devices))
        return run

    @classmethod
    def open(cls, path: str | Path) -> tuple["RunDirectory", RunConfig]:
        """An existing run and its configuration.

        Raises:
          RunError: no run is there.
        """
        path = Path(path)
        if not (path / "config.yaml").exists():
            raise RunError(f"there is no run in {path}: it holds no config.yaml")
        return cls(path, True), load(path / "config.yaml")

    def write_text(self, name: str, text: str) -> None:
        """Writes or replaces a text file. Raises `RunError` where that fails."""
        atomic_write(self.path / name, lambda file: file.write(text.encode()))

    def write_json(self, name: str, content: Any) -> None:
        """Writes or replaces a JSON file. Raises `RunError` where that fails."""
        self.write_text(name, json.dumps(content, indent=2, allow_nan=False) + "\n")


def _environment(seed: int, devices: Sequence[str]) -> dict[str, Any]:
    packages = (tf, tfp, tf_keras, np, scipy, h5py, pe)
    return {
        "lattice_flows": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        **{package.__name__: package.__version__ for package in packages},
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "devices_there": [device.name for device in tf.config.list_logical_devices()],
        "devices_used": list(devices),
        "seed": seed,
        "command": sys.argv,
    }


def _commit() -> str | None:
    """The state of the source, where it is a git checkout; "-dirty" behind it tells of changes."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    return None
