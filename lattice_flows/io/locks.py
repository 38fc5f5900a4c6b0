"""Locks of run folders and of single files: one process writes, the others are told who."""

import contextlib
import os
import platform
import re
import shlex
import sys
import threading
import time
from pathlib import Path

import filelock
import psutil

from lattice_flows.io.files import RunError, writing

__all__ = ["LOCK_FILES", "Lock", "is_locked", "lock_file", "lock_folder"]

_NAME, _HOLDER = ".lock", ".holder"
LOCK_FILES = (_NAME, _NAME + _HOLDER)
_PROCESS = re.compile(r"process (\d+) on (\S*) ")  # as `_this_process` begins


def lock_folder(path: Path) -> "Lock":
    """Takes the lock of a folder, which is made if there is none.

    Raises:
      RunError: another process or thread holds it, or the lock file cannot be written.
    """
    return _lock(path, path.resolve() / _NAME)


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of a folder, found without touching the lock.

    One that was killed, on another machine than this, is taken for alive.
    """
    note = path.resolve() / LOCK_FILES[1]
    if not note.exists():
        return False
    match = _PROCESS.match(_holder(note))
    return match is None or match[2] != platform.node() or psutil.pid_exists(int(match[1]))


def lock_file(path: Path, wait: float = 0.0) -> "Lock":
    """Takes the lock of a file that will be written: that of its run folder, if it lies in one, otherwise its own.

    Args:
      path: the file.
      wait: seconds to wait for it, at most.

    Raises:
      RunError: another process or thread holds it, or the lock file cannot be written.
    """
    of_folder = path.resolve().parent / _NAME
    return _lock(path, of_folder if of_folder.exists() else of_folder.with_name(f".{path.name}{_NAME}"), wait)


class Lock:
    """A lock that this thread holds until it is released, or until the process dies: the kernel frees it then.

    It is released as often as it was taken, or by the end of a `with` block. The lock file stays: a process that has just opened it
    would otherwise not exclude one that makes a new file.
    """

    def __init__(self, key: tuple[Path, int, int], lock: filelock.BaseFileLock, note: Path):
        self._key, self._lock, self._note, self._count = key, lock, note, 0

    def release(self) -> None:
        """Gives the lock back, once."""
        self._count -= 1
        if self._count == 0:
            del _held[self._key]
            with contextlib.suppress(OSError):
                self._note.unlink(missing_ok=True)
            self._lock.release()

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


_held: dict[tuple[Path, int, int], Lock] = {}


def _lock(path: Path, file: Path, wait: float = 0.0) -> Lock:
    key, note = (file, os.getpid(), threading.get_ident()), file.with_name(file.name + _HOLDER)
    if key not in _held:
        with writing(path):
            file.parent.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(file, timeout=wait, thread_local=False)
            try:
                lock.acquire()
            except filelock.Timeout:
                raise RunError(f"{path} is in use by {_holder(note)}: wait until it has finished, or choose another name") from None
            note.write_text(_this_process())
        _held[key] = Lock(key, lock, note)
    _held[key]._count += 1
    return _held[key]


def _holder(note: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if text := " ".join(note.read_text()[:500].split()):
            return text
    return "another process"


def _this_process() -> str:
    return f"process {os.getpid()} on {platform.node()} (since {time.strftime('%Y-%m-%d %H:%M')}: {shlex.join(sys.argv)[:200]})"
