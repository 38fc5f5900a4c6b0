"""The run directory holds everything that a run leaves. Files appear by rename, whole or not at all. No TensorFlow."""

import contextlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lattice_flows import __version__
from lattice_flows.config import RunConfig, load
from lattice_flows.io.files import FolderInUse, RunError, write_json, write_text, writing

__all__ = ["RunDirectory"]

_PACKAGES = ("tensorflow", "tensorflow_probability", "tf_keras", "numpy", "scipy", "h5py", "pyerrors")
# What a resumed run may change: how it continues, not what it samples or with which flow.
_FREE_ON_RESUME = ("training.", "chain.", "samplers.")
# Checkpoints hold the optimiser's state, which another one cannot use.
_FIXED_ON_RESUME = ("training.optimizer.name",)


class RunDirectory:
    """One folder for one run.

    Attributes:
      path: the folder.
      resumed: whether it was there before.
      changed: dotted key -> (value before, value now), settings that differ from the earlier run.
    """

    def __init__(self, path: Path, resumed: bool, changed: Mapping[str, tuple[Any, Any]] | None = None):
        self.path, self.resumed, self.changed = path, resumed, dict(changed or {})

    @classmethod
    def start(
        cls,
        path: str | Path,
        config: RunConfig,
        *,
        resume: bool = False,
        devices: Sequence[str] = (),
        available: Sequence[str] = (),
        complete: Callable[[RunConfig], RunConfig] | None = None,
        check: Callable[["RunDirectory"], Any] | None = None,
    ) -> "RunDirectory":
        """Makes the folder with `config.yaml` and `environment.json`, or continues an earlier run.

        Args:
          path: the folder.
          config: of the run.
          resume: continue the run that the folder holds; an empty or missing folder is started as usual.
          devices: what the run computes on, for the record.
          available: what it could compute on, for the record.
          complete: writes out every parameter of a configuration. It is applied to that of an earlier run, in which a parameter
            that the earlier version did not know then counts with its default.
          check: called with an earlier run before anything is written; it raises where that run cannot be continued.

        Raises:
          RunError: the folder is in use and `resume` is not set, the earlier run had another seed, lattice, action or flow, or
            nothing can be written there.
        """
        path = Path(path)
        with writing(path):
            used = path.is_dir() and any(path.iterdir())
        if used and not resume:
            kind = FolderInUse if (path / "config.yaml").exists() else RunError
            raise kind(f"the output folder {path} is already in use: choose another folder")
        changed: dict[str, tuple[Any, Any]] = {}
        if used:
            if not (path / "config.yaml").exists():
                raise RunError(f"cannot resume in {path}: it holds no config.yaml, so it is not a run of this program")
            earlier = load(path / "config.yaml")
            changed = (complete(earlier) if complete else earlier).differences(config)
            other = {key: pair for key, pair in changed.items() if not key.startswith(_FREE_ON_RESUME) or key in _FIXED_ON_RESUME}
            if other:
                listed = ", ".join(f"{key} was {was!r}, now {now!r}" for key, (was, now) in other.items())
                raise RunError(f"cannot resume {path} with another configuration: {listed}")
        run = cls(path, used, changed)
        if used and check:
            check(run)
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
        run.write_text("config.yaml", config.dump())
        run.write_json("environment.json", _environment(config.seed, devices, available))
        return run

    @classmethod
    def open(cls, path: str | Path) -> tuple["RunDirectory", RunConfig]:
        """An existing run and its configuration.

        Raises:
          RunError: there is no such folder, or it holds no run.
        """
        path = Path(path)
        if not path.is_dir():
            raise RunError(f"there is no run folder {path}")
        if not (path / "config.yaml").exists():
            raise RunError(f"{path} is not a run folder: it holds no config.yaml")
        return cls(path, True), load(path / "config.yaml")

    def write_text(self, name: str, text: str) -> None:
        """Writes or replaces a text file. Raises `RunError` if that fails."""
        write_text(self.path / name, text)

    def write_json(self, name: str, content: Any) -> None:
        """Writes or replaces a JSON file. Raises `RunError` if that fails."""
        write_json(self.path / name, content)


def _environment(seed: int, devices: Sequence[str], available: Sequence[str]) -> dict[str, Any]:
    return {
        "lattice_flows": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "devices_there": list(available),
        "devices_used": list(devices),
        "seed": seed,
        "command": sys.argv,
    }


def _version(package: str) -> str | None:
    """The version of an installed package, None if it is not installed under its own name."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def _commit() -> str | None:
    """The commit of the source, if it is a git checkout, with "-dirty" behind it if files have changed."""
    source = Path(__file__).resolve().parents[2]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        # An installed package may lie within the repository of something else.
        if Path(_git(source, "rev-parse", "--show-toplevel")).resolve() == source and (source / "setup.cfg").is_file():
            return _git(source, "describe", "--always", "--dirty", "--abbrev=12")
    return None


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=True, text=True).stdout.strip()
