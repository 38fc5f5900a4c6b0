"""The one door through which files are read: a file becomes plain, typed data, or one line that says what is wrong with it.

Files come from users, from other programs and from disks that were full, so anything may be in them. No TensorFlow.
"""

import contextlib
import csv
import errno
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from lattice_flows.errors import UserError
from lattice_flows.strict_yaml import LONGEST_INTEGER, StrictLoader

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "UnreadableFile",
    "check_damaged",
    "file_or_in_folder",
    "parse_yaml",
    "read_csv",
    "read_json",
    "read_text",
    "read_toml",
    "read_yaml",
    "reading",
]

_LARGEST_TEXT = 2**26
_LARGEST_YAML = 2**18
_BYTES_PER_NODE = 4  # of a YAML file; aliases count with all that they stand for
_LONGEST_TEXT = 300  # characters in a message


class UnreadableFile(UserError):
    """A file that is missing, damaged, or something else than what it should be."""


@contextlib.contextmanager
def reading(path: str | Path, advice: str = "", error: type[UserError] = UnreadableFile) -> Iterator[None]:
    """Turns everything that can go wrong while a file is opened and parsed into one error of the user, in one line.

    ```python
    from lattice_flows.reading import UnreadableFile, read_json, reading

    try:
        with reading("result.json", "measure the ensemble again"):
            length = read_json("result.json")["chain"]["length"]
    except UnreadableFile as error:
        print(error)                     # cannot read result.json: No such file or directory; measure the ensemble again
    ```

    Args:
      path: the file.
      advice: what to do; it ends the message.
      error: the class of the error.

    Raises:
      UserError: of that class; one that is raised inside passes unchanged.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as failure:
        raise error(f"cannot read {_cut(str(path))}: {_cut(_reason(failure))}" + (f"; {advice}" if advice else "")) from failure


def check_damaged(error: UserError, path: str | Path) -> None:
    """Asks before a file is replaced whether an error of `reading` was about what is in it.

    Raises:
      UnreadableFile: it may be whole: it could only not be reached, such as one that is locked, or may not be read.
    """
    cause = error.__cause__
    if isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno not in (None, errno.ENOENT)):
        raise UnreadableFile(
            f"cannot read {_cut(str(path))} now: {_cut(_reason(cause))}; it is left as it is: try again when nothing else uses it, "
            "or choose another name"
        ) from error


def file_or_in_folder(path: str | Path, name: str, advice: str = "", error: type[UserError] = UnreadableFile) -> Path:
    """The file that a path names: itself, or the one of that name in a folder, whether it exists or not.

    Args:
      path: of a file or a folder.
      name: of the file in a folder.
      advice, error: as for `reading`.

    Raises:
      UserError: of that class: it is neither, such as a device, or cannot be looked at.
    """
    path = Path(path)
    with reading(path, advice, error):
        path = path / name if path.is_dir() else path
        if path.exists() and not path.is_file():
            raise ValueError("it is not a regular file")
    return path


def read_text(path: str | Path, advice: str = "", error: type[UserError] = UnreadableFile, limit: int = _LARGEST_TEXT) -> str:
    """A text file in UTF-8, with or without a byte order mark.

    Args:
      path: the file.
      advice, error: as for `reading`.
      limit: bytes that it may have.
    """
    with reading(path, advice, error):
        with open(path, "rb") as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise ValueError(f"it is larger than {limit >> 10} KiB, the most that such a file may have")
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise ValueError("it is text in UTF-16: save it in UTF-8")
        if b"\0" in content:
            raise ValueError("it holds NUL bytes, so it is no text file")
        return content.decode("utf-8-sig")


def read_json(path: str | Path, advice: str = "", error: type[UserError] = UnreadableFile) -> dict[str, Any]:
    """A JSON file that holds an object, whose numbers are finite. Arguments as for `reading`."""
    with reading(path, advice, error):
        content = json.loads(read_text(path, advice, error), parse_float=_finite, parse_int=_bounded, parse_constant=_finite)
        if not isinstance(content, dict):
            raise ValueError(f"it must hold an object with keys, not {_kind(content)}")
        return content


def read_csv(
    path: str | Path,
    columns: Sequence[str] = (),
    advice: str = "",
    error: type[UserError] = UnreadableFile,
    *,
    growing: bool = False,
) -> dict[str, list[float]]:
    """A table of numbers under a line of names: name -> column. Empty cells are NaN.

    Args:
      path: the file.
      columns: names that it must have; it may have others.
      advice, error: as for `reading`.
      growing: lines are being added to it, and the last one does not count before its end is written.
    """
    with reading(path, advice, error):
        text = read_text(path, advice, error)
        lines = (text[: text.rfind("\n") + 1] if growing else text).splitlines()
        names, *rows = [row for row in csv.reader(lines, strict=True) if row] or [[]]
        missing = [name for name in columns if name not in names]
        if missing:
            raise ValueError(f"it has no column {missing[0]!r}")
        if len(set(names)) < len(names):
            raise ValueError("two columns have the same name")
        for number, row in enumerate(rows, start=1):
            if len(row) != len(names):
                raise ValueError(f"its row {number} has {len(row)} cells, not {len(names)}")
        cells = {name: [row[place] for row in rows] for place, name in enumerate(names)}
        return {name: [_cell(text, name, number) for number, text in enumerate(column, 1)] for name, column in cells.items()}


def read_yaml(
    path: str | Path, advice: str = "", error: type[UserError] = UnreadableFile, limit: int = _LARGEST_YAML
) -> dict[Any, Any]:
    """A YAML file that holds a mapping of plain values: text, finite numbers, truth values, lists and mappings of them.

    No key may stand twice. Aliases are followed as far as what they stand for stays small. `1e-3` is a number.
    Arguments as for `read_text`.
    """
    with reading(path, advice, error):
        content = parse_yaml(read_text(path, advice, error, limit), limit)
        if content is None:
            return {}
        if not isinstance(content, dict):
            raise ValueError(f"it must hold a mapping of keys to values, not {_kind(content)}")
        return content


def read_toml(
    path: str | Path, advice: str = "", error: type[UserError] = UnreadableFile, limit: int = _LARGEST_YAML
) -> dict[str, Any]:
    """A TOML file of plain values, as a YAML file may hold. Arguments as for `read_text`."""
    with reading(path, advice, error):
        content = tomllib.loads(read_text(path, advice, error, limit))
        _check_plain(content, "")
        return content


def parse_yaml(text: str, limit: int = _LARGEST_YAML) -> Any:
    """Plain values from text in YAML: those that a file may hold, see `read_yaml`. `reading` explains what it raises."""
    loader = StrictLoader(text, limit // _BYTES_PER_NODE)
    try:
        content = loader.get_single_data()
    finally:
        loader.dispose()
    _check_plain(content, "")
    return content


def _check_plain(value: Any, key: str) -> None:
    """Raises a `ValueError` that names the dotted key of what is not plain."""
    if isinstance(value, dict):
        for name, entry in value.items():
            below = f"{key}.{name}" if key else str(name)
            if isinstance(name, bool) or not isinstance(name, str | int | float):
                raise ValueError(f"the key {below!r} is {_kind(name)}: write it in quotes")
            _check_plain(name, below)
            _check_plain(entry, below)
    elif isinstance(value, list):
        for place, entry in enumerate(value):
            _check_plain(entry, f"{key}.{place}")
    elif isinstance(value, str):
        if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ValueError(f"key {key!r} has a value with characters that no text may hold")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"key {key!r} has the value {value}: it must be a finite number")
    elif isinstance(value, int):
        if abs(value) >= 2**63:
            raise ValueError(f"key {key!r} has a value of {len(str(abs(value)))} digits: it must be below 2^63")
    elif value is not None:
        raise ValueError(f"key {key!r} has {_kind(value)} as its value: write it in quotes")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"it holds the number {text[:20]}, which is not finite")
    return value


def _bounded(text: str) -> int:
    if len(text) > LONGEST_INTEGER:
        raise ValueError(f"it holds an integer of {len(text)} digits")
    return int(text)


def _cell(text: str, name: str, row: int) -> float:
    try:
        return float(text) if text.strip() else math.nan
    except ValueError:
        raise ValueError(f"column {name!r} has {text!r} in row {row}, which is not a number") from None


def _kind(value: Any) -> str:
    names = {list: "a list", dict: "a mapping", str: "text", bool: "a truth value", int: "a number", float: "a number"}
    return "nothing" if value is None else names.get(type(value), f"a {type(value).__name__}")


def _reason(error: Exception) -> str:
    """What is wrong, in one line."""
    if isinstance(error, tomllib.TOMLDecodeError):
        return f"it is not valid TOML: {error}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    if isinstance(error, UnicodeDecodeError):
        return f"it is not text in UTF-8 (byte {error.start})"
    if isinstance(error, MemoryError):
        return "what it claims to hold does not fit into memory"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, KeyError):
        return f"it has no entry {error.args[0] if error.args else ''!r}"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        place = f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
        return f"it is not valid YAML: {place}: {error.problem}"
    text = " ".join(str(error).split())
    if isinstance(error, TypeError | AttributeError | IndexError):
        text = f"it does not hold what it should ({text})"
    return text or f"it is damaged ({type(error).__name__})"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + " ..."
