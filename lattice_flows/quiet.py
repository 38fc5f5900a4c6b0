"""TensorFlow's own log lines, kept off the screen.

TensorFlow's C++ libraries print a dozen lines, one of them an error on every machine without a GPU. `TF_CPP_MIN_LOG_LEVEL=3`
silences those after the import. Those of the import itself ignore every setting, so standard error is held back then.
A user who sets another `TF_CPP_MIN_LOG_LEVEL` gets that level; 0 shows everything. Exceptions and Python's warnings always show.
"""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import re
import sys
import tempfile
import types
from collections.abc import Iterator
from typing import Any

__all__ = ["quiet_tensorflow"]

_LEVEL, _QUIET = "TF_CPP_MIN_LOG_LEVEL", "3"
_STDERR = 2
# As absl writes them: "I0000 00:00:1795667641.383447 10784 port.cc:153] ..."
_LOG_LINE = re.compile(
    rb"[IWE]\d{4} \d\d:|WARNING: All log messages before absl::InitializeLog|To enable the following instructions: "
)


def quiet_tensorflow() -> None:
    """Makes TensorFlow's import, here or later, a quiet one. Does nothing if the user has set `TF_CPP_MIN_LOG_LEVEL` to another
    level than 3, which is also what commands find that a notebook calls."""
    if os.environ.setdefault(_LEVEL, _QUIET) == _QUIET and "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow once, as Python would, and wraps its execution."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def quietly(module: types.ModuleType) -> None:
                with _log_lines_held_back():
                    execute(module)

            spec.loader.exec_module = quietly  # type: ignore[method-assign]
        return spec


@contextlib.contextmanager
def _log_lines_held_back() -> Iterator[None]:
    """Standard error, also of C++, without log lines; with them if an exception is raised."""
    failed = True
    with contextlib.ExitStack() as stack:
        try:
            screen, held = os.dup(_STDERR), stack.enter_context(tempfile.TemporaryFile())
        except OSError:  # there is no standard error, or no space for what it says
            yield
            return
        stack.callback(os.close, screen)
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
            failed = False
        finally:
            with contextlib.suppress(AttributeError, OSError, ValueError):
                sys.stderr.flush()
            os.dup2(screen, _STDERR)
            held.seek(0)
            for line in held:
                if failed or not _LOG_LINE.match(line):
                    os.write(_STDERR, line)
