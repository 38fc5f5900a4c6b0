"""The run directory holds everything that a run leaves. Files appear by rename, whole or not at all. No TensorFlow."""

import contextlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lattice_flows import __version__
from lattice_flows.config import RunConfig, load
from lattice_flows.io.files import FolderInUse, RunError, is_unfinished, remove_unfinished, write_json, write_text, writing
from lattice_flows.io.histories import CONFIG, ENVIRONMENT, check_run_folder
from lattice_flows.io.locks import LOCK_FILES, Lock, lock_folder
from lattice_flows.reading import UnreadableFile, check_damaged, read_json

__all__ = ["FREE_ON_RESUME", "RunDirectory"]

_PACKAGES = ("tensorflow", "tensorflow_probability", "tf_keras", "numpy", "scipy", "h5py", "pyerrors")
# What a resumed run may change: how it continues, not what it samples or with which flow.
FREE_ON_RESUME = ("training.", "chain.", "samplers.")
# Checkpoints hold the optimiser's state, which another one, or one of other weights, cannot use.
_FIXED_ON_RESUME = ("training.optimizer.name", "training.optimizer.averaged_gradient", "training.only")


class RunDirectory:
    """One folder for one run. A run that was started holds the lock of its folder until it is closed, or its process ends.

    Attributes:
      path: the folder.
      resumed: whether it was there before.
      changed: dotted key -> (value before, value now), settings that differ from the earlier run.
    """

    def __init__(self, path: Path, resumed: bool, changed: Mapping[str, tuple[Any, Any]] | None = None, lock: Lock | None = None):
        self.path, self.resumed, self.changed, self._lock = path, resumed, dict(changed or {}), lock

    def close(self) -> None:
        """Gives back the lock of the folder: nothing more will be written."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    @contextlib.contextmanager
    def closed_after_errors(self) -> Iterator[None]:
        """Closes the folder if the body fails; otherwise its caller goes on to write there."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "RunDirectory":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
          RunError: the folder is in use and `resume` is not set, another process is writing there, the earlier run had another
            seed, lattice, action or flow, or nothing can be written there.
        """
        path = Path(path)
        _holds_run(path, resume)  # before the lock is written beside the files of somebody else
        lock = lock_folder(path)
        try:
            resumed = _holds_run(path, resume)
            run = cls(path, resumed, _changes(path, config, complete) if resumed else {}, lock)
            if resumed and check:
                check(run)
            with writing(path):
                remove_unfinished(path)
            environment = _environment(config.seed, devices, available) | run._earlier()
            run.write_text(CONFIG, config.dump())
            run.write_json(ENVIRONMENT, environment)
        except BaseException:
            lock.release()
            raise
        return run

    @classmethod
    def open(cls, path: str | Path) -> tuple["RunDirectory", RunConfig]:
        """An existing run and its configuration.

        Raises:
          RunError: there is no such folder, or it holds no run.
        """
        path = Path(path)
        check_run_folder(path)
        return cls(path, True), load(path / CONFIG)

    def _earlier(self) -> dict[str, Any]:
        """What `environment.json` keeps of the parts of a run before this one: their environments, and what changed since."""
        if not self.resumed:
            return {}
        try:
            before = read_json(self.path / ENVIRONMENT)
        except UnreadableFile as error:
            check_damaged(error, self.path / ENVIRONMENT)
            before = {}
        earlier = before.pop("earlier", None) or []
        changed = {key: {"before": was, "now": now} for key, (was, now) in self.changed.items()}
        return {"earlier": [*earlier, *([before] if before else [])], "changed": changed}

    def write_text(self, name: str, text: str) -> None:
        """Writes or replaces a text file. Raises `RunError` if that fails."""
        write_text(self.path / name, text)

    def write_json(self, name: str, content: Any) -> None:
        """Writes or replaces a JSON file. Raises `RunError` if that fails."""
        write_json(self.path / name, content)


def _holds_run(path: Path, resume: bool) -> bool:
    """Whether the folder holds a run that can be continued. Raises `RunError` where it must not be written."""
    with writing(path):
        used = path.is_dir() and not all(file.name in LOCK_FILES or is_unfinished(file) for file in path.iterdir())
        is_run = (path / CONFIG).exists()
    if used and not resume:
        kind = FolderInUse if is_run else RunError
        raise kind(f"the output folder {path} is already in use: choose another folder")
    if used and not is_run:
        raise RunError(f"cannot resume in {path}: it holds no config.yaml, so it is not a run of this program")
    return used


def _changes(path: Path, config: RunConfig, complete: Callable[[RunConfig], RunConfig] | None) -> dict[str, tuple[Any, Any]]:
    """What differs from the earlier run in a folder. Raises `RunError` if that is another run."""
    earlier = load(path / CONFIG)
    changed = (complete(earlier) if complete else earlier).differences(config)
    other = {key: pair for key, pair in changed.items() if not key.startswith(FREE_ON_RESUME) or key in _FIXED_ON_RESUME}
    if other:
        listed = ", ".join(f"{key} was {was!r}, now {now!r}" for key, (was, now) in other.items())
        raise RunError(f"cannot resume {path} with another configuration: {listed}; leave that as it was, or choose another folder")
    return changed


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
