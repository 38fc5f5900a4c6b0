"""From the arguments of a command to its flags, its help, or one line that says what is wrong. No TensorFlow."""

import math
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from absl import flags as absl_flags

from lattice_flows.command_line.exit_codes import MEANING
from lattice_flows.command_line.flags import GROUPS, Flag, UsageError
from lattice_flows.config.errors import shown
from lattice_flows.errors import nearest

__all__ = ["parse"]

_TRUE, _FALSE = ("true", "t", "1", "yes", "y"), ("false", "f", "0", "no", "n")
_HELP = ("help", "helpfull", "helpshort")
# Flags that absl knows by itself.
_OF_ABSL = ("flagfile", "undefok")
_WIDTH, _COLUMN = 110, 30


def parse(program: str, description: str, flags: Sequence[Flag], arguments: Sequence[str]) -> SimpleNamespace:
    """The values of all flags. Prints the help and exits if asked to.

    The flags are absl's, in a set of their own: those of TensorFlow and of other libraries are not among them.

    Args:
      program: how the command is called.
      description: what it does; the first text of its help.
      flags: of the command.
      arguments: what the user has written, without the program.

    Raises:
      UsageError: an unknown flag, a missing one, two that contradict each other, or a value that one cannot have.
    """
    values = absl_flags.FlagValues()
    for flag in flags:
        if not flag.positional:
            _define(values, flag)
    for name in _HELP:
        absl_flags.DEFINE_boolean(name, False, "show this help", flag_values=values)
    names = [f"--{flag.name}" for flag in flags if not flag.positional] + ["--help"]
    spelled = ["--help" if argument == "-h" else _spelled(argument, names) for argument in arguments]
    for name in _OF_ABSL:
        if any(re.match(rf"--?{name}\b", argument) for argument in spelled):
            raise UsageError(f"unknown flag '--{name}': {nearest(f'--{name}', names)}")
    try:
        _, *free = values([program, *spelled])
    except absl_flags.UnrecognizedFlagError as error:
        raise UsageError(f"unknown flag {shown('--' + error.flagname)}: {nearest(f'--{error.flagname}', names)}") from None
    except absl_flags.Error as error:
        raise UsageError(_explained(str(error))) from None
    found = {name: value for name, value in values.flag_values_dict().items() if name not in _HELP}
    if any(values[name].value for name in _HELP):
        print(_help(program, description, flags), flush=True)
        sys.exit(0)
    for flag in flags:
        if flag.positional and flag.several:
            found[flag.name], free = free or flag.default, []
        elif flag.positional:
            found[flag.name] = free.pop(0) if free else flag.default
    if free:
        raise UsageError(f"unexpected argument {shown(free[0])}: every option is a flag, such as {names[0]}")
    missing = [flag for flag in flags if flag.required and found[flag.name] is None]
    if missing:
        raise UsageError(f"missing: {', '.join(flag.name.upper() if flag.positional else f'--{flag.name}' for flag in missing)}")
    for flag in flags:
        _check(flag, found)
    return SimpleNamespace(**found)


def _check(flag: Flag, found: Mapping[str, Any]) -> None:
    """Raises a `UsageError` for a number out of range, and for flags that contradict each other."""
    value = found[flag.name]
    if flag.positive and value is not None and value <= 0:
        raise UsageError(f"flag --{flag.name} has the value {value}: it must be greater than 0")
    given = {name for name, value in found.items() if value is not None and value is not False}
    both = [name for name in flag.excludes if {flag.name, name} <= given]
    if both:
        others = ", ".join(f"--{name}" for name in both)
        raise UsageError(f"--{flag.name} and {others} contradict each other, {flag.because}: leave out --{flag.name} or {others}")


class _Value(absl_flags.ArgumentParser):
    """Turns text into a value with a function that raises `ValueError`."""

    def __init__(self, convert: Callable[[str], Any]):
        super().__init__()
        self._convert = convert

    def parse(self, argument: Any) -> Any:
        """Called by absl, also for defaults, which are values already."""
        return self._convert(argument) if isinstance(argument, str) else argument


def _define(values: absl_flags.FlagValues, flag: Flag) -> None:
    convert = _CONVERSIONS.get(flag.type, str)
    described = (_Value(_among(flag.choices, convert) if flag.choices else convert), absl_flags.ArgumentSerializer(), flag.name)
    if flag.several:
        defined = absl_flags.MultiFlag(*described, flag.default, flag.help)
    else:  # a boolean flag needs no value: --resume, --noresume, --resume=true
        defined = absl_flags.Flag(*described, flag.default, flag.help, boolean=flag.type is bool)
    absl_flags.DEFINE_flag(defined, values)


def _spelled(argument: str, names: Sequence[str]) -> str:
    """Known flags with one dash, or with dashes inside, in the spelling that the help shows."""
    match = re.fullmatch(r"--?(no)?([A-Za-z][\w-]+)(=.*)?", argument, re.DOTALL)
    if match is None or (name := match[2].replace("-", "_")) not in (known.removeprefix("--") for known in names):
        return argument
    return f"--{match[1] or ''}{name}{match[3] or ''}"


def _explained(message: str) -> str:
    """An error of absl, worded like the other errors."""
    message = re.sub(r"^Missing value for flag (\S+)", r"flag \1: a value is missing", message)
    return re.sub(r"^flag (--\w+)=.*?: ", r"flag \1: ", message, flags=re.DOTALL)


def _integer(text: str) -> int:
    try:
        number = float(text)
        if number == int(number):
            return int(text) if text.lstrip("+-").isdigit() else int(number)  # 1e6 is an integer too
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{shown(text)} is not an integer")


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{shown(text)} is not a finite number")
    return number


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE + _FALSE:
        return text.lower() in _TRUE
    raise ValueError(f"{shown(text)} is neither true nor false")


def _list(text: str) -> list[str]:
    if not (parts := [part.strip() for part in text.split(",") if part.strip()]):
        raise ValueError("a value is missing")
    return parts


def _integers(text: str) -> list[int]:
    try:
        return [_integer(part.strip()) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{shown(text)} is not a list of integers between commas, such as 8,8") from None


_CONVERSIONS: dict[Any, Callable[[str], Any]] = {int: _integer, float: _number, bool: _boolean, list: _list, tuple: _integers}


def _among(choices: Sequence[str], convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """A conversion that refuses values, or parts of a list, that are not among the choices."""

    def checked(text: str) -> Any:
        value = convert(text)
        for part in value if isinstance(value, list) else [value]:
            if part not in choices:
                raise ValueError(f"unknown value {shown(part)}: {nearest(part, choices)}")
        return value

    return checked


def _help(program: str, description: str, flags: Sequence[Flag]) -> str:
    """All flags in groups, with their defaults."""
    positional = [flag.name.upper() for flag in flags if flag.positional]
    positional += [f"[{flag.name.upper()} ...]" for flag in flags if flag.positional and flag.several]
    lines = [" ".join(["usage:", program, *positional, "[flags]"]), "", description]
    for title in GROUPS:
        group = [flag for flag in flags if flag.group == title]
        if group:
            lines += ["", f"{title}:", *(line for flag in group for line in _described(flag))]
    lines += ["", "help:", *_columns("--help", "show this help")]
    lines += ["", "exit codes:", *(line for code, meaning in MEANING.items() for line in _columns(str(code), meaning))]
    return "\n".join(lines)


def _described(flag: Flag) -> list[str]:
    if flag.positional:
        return _columns(flag.name.upper(), flag.help)
    known: dict[Any, str] = {bool: "", int: " N", float: " X", list: " LIST", tuple: " N,N,..."}
    value = known.get(flag.type, f" {flag.name.upper()}")
    choices = "" if flag.type is list else "|".join(flag.choices)
    default = ",".join(flag.default) if flag.type is list and flag.default else flag.default
    shown = flag.shown_default or default or ("no" if flag.type is bool else "none")
    remark = "required" if flag.required else f"default: {shown}"
    remark += "; not with " + ", ".join(f"--{name}" for name in flag.excludes) if flag.excludes else ""
    return _columns(f"--{flag.name}{' ' + choices if choices else value}", f"{flag.help} ({remark})")


def _columns(name: str, text: str) -> list[str]:
    """The name of a flag in the first column, and its text, wrapped, in the second."""
    wrapped = textwrap.wrap(text, _WIDTH - _COLUMN)
    first = [f"  {name}"] if len(name) > _COLUMN - 4 else [f"  {name:{_COLUMN - 2}}{wrapped.pop(0)}"]
    return first + [" " * _COLUMN + line for line in wrapped]
