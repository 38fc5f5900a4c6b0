"""Errors that a user can correct."""

import difflib
from collections.abc import Iterable

__all__ = ["UserError", "closest", "nearest"]


class UserError(Exception):
    """An error that a user can correct; the message says what is wrong, what was found and what to do.

    Commands show it in one line, without a traceback, and exit with code 2.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the nearest known name, or all of them."""
    known = list(known)
    close = closest(name, known)
    return f"did you mean {close!r}?" if close else f"known: {', '.join(sorted(known))}"


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like another one; None if none is."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)
