"""How a command is interrupted: by Ctrl-C, by SIGTERM, and by a reader of its output that has gone. No TensorFlow."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

__all__ = ["Interrupted", "discard_output", "interruptible"]


class Interrupted(KeyboardInterrupt):
    """SIGTERM: what Ctrl-C ends in order, this ends too."""


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raises `Interrupted` on the first SIGTERM, once; further ones do not disturb the saving. Only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Interrupted("SIGTERM")

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)  # None if it was not set from Python


def discard_output() -> None:
    """Sends what is still printed nowhere, without a complaint when the process ends."""
    with contextlib.suppress(OSError, ValueError):  # it may be no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
