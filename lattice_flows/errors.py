"""Errors that a user can correct, those in code of the user's own among them."""

import contextlib
import difflib
import re
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["UserError", "closest", "nearest", "users_code", "users_line"]

_PACKAGE = Path(__file__).parent
# Of the package, which in a clone has two folders beside it, and of Python.
_NOT_THE_USERS = (_PACKAGE, *(_PACKAGE.parent / name for name in ("scripts", "paper")), Path(sysconfig.get_path("stdlib")))
_INSTALLED = {"site-packages", "dist-packages"}
_GENERATED = re.compile(r"<(?!stdin|string|ipython)|.*__autograph_generated_file")
# How TensorFlow's errors name the lines of functions that it compiles.
_COMPILED = re.compile(r'File "(.+)", line (\d+), in .*  \*\n')


class UserError(Exception):
    """An error that a user can correct; the message says what is wrong, what was found and what to do.

    Commands show it in one line, without a traceback, and exit with code 2.
    """


@contextlib.contextmanager
def users_code(what: str, error: type[UserError], passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turns errors in code of the user's own into one line that says where they are; those of the package's code are bugs.

    Args:
      what: calls that code, for the message.
      error: what to raise.
      passing: errors that mean something else, and go on as they are, as `UserError` does.
    """
    try:
        yield
    except Exception as found:
        if isinstance(found, (UserError, *passing)) or not (line := users_line(found)):
            raise
        raise error(f"{what} fails with {type(found).__name__}, {_said(found)} ({line})") from found


def users_line(error: BaseException) -> str | None:
    """The file and the line of the user's own code that an error has come through last; None if it has come through none."""
    lines = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    lines += _COMPILED.findall(str(error))
    own = [f"{file}, line {number}" for file, number in lines if _is_the_users(file)]
    return own[-1] if own else None


def _is_the_users(file: str) -> bool:
    path = Path(file)
    installed = _INSTALLED & set(path.parts) or any(folder in path.parents for folder in _NOT_THE_USERS)
    return not installed and not _GENERATED.match(file)


def _said(error: BaseException) -> str:
    """The message of an error in one line, without the lines of code that TensorFlow puts above it."""
    text = str(error).strip() or repr(error)
    return text.splitlines()[-1].strip() if _COMPILED.search(text) else text.splitlines()[0]


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the nearest known name, or all of them."""
    known = list(known)
    close = closest(name, known)
    return f"did you mean {close!r}?" if close else f"known: {', '.join(sorted(known))}"


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like another one; None if none is."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)
