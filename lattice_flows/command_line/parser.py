"""From the arguments of a command to its flags, its help, or one line that says what is wrong. No TensorFlow."""

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from lattice_flows.command_line.flags import GROUPS, Flag
from lattice_flows.errors import UserError, nearest

__all__ = ["UsageError", "parse"]

_TRUE, _FALSE = ("true", "t", "1", "yes", "y"), ("false", "f", "0", "no", "n")


class UsageError(UserError):
    """Arguments that a command does not understand."""


def parse(program: str, description: str, flags: Sequence[Flag], arguments: Sequence[str]) -> argparse.Namespace:
    """The values of all flags. Prints the help and exits if that is asked for.

    Args:
      program: how the command is called.
      description: what it does; the first text of its help.
      flags: what it understands.
      arguments: what the user has written, without the program.

    Raises:
      UsageError: an unknown flag, a missing one, or a value that it cannot have.
    """
    parser = _Parser(program, description, flags)
    values, unknown = parser.parse_known_args([_spelled(argument) for argument in arguments])
    for argument in unknown:
        if argument.startswith("-"):
            name = argument.split("=")[0]
            raise UsageError(f"unknown flag {name!r}: {nearest(name, parser.names)}")
        raise UsageError(f"unexpected argument {argument!r}: every option is a flag, such as {parser.names[0]}")
    missing = [flag for flag in flags if flag.required and getattr(values, flag.name) is None]
    if missing:
        raise UsageError(f"missing: {', '.join(flag.name.upper() if flag.positional else f'--{flag.name}' for flag in missing)}")
    return values


class _Parser(argparse.ArgumentParser):
    """Flags in groups with their defaults, and errors in one line."""

    def __init__(self, program: str, description: str, flags: Sequence[Flag]):
        super().__init__(program, "%(prog)s [flags]", description, formatter_class=_Formatter, allow_abbrev=False, add_help=False)
        self.names = [f"--{flag.name}" for flag in flags if not flag.positional] + ["--help"]
        positional = [flag.name.upper() for flag in flags if flag.positional]
        self.usage = " ".join(["%(prog)s", *positional, "[flags]"])
        for title in GROUPS:
            group = self.add_argument_group(title)
            for flag in flags:
                if flag.group == title:
                    _add(group, flag)
        self.add_argument_group("help").add_argument(
            "--help", "--helpfull", "--helpshort", "-h", action="help", help="show this help"
        )

    def error(self, message: str) -> NoReturn:
        """Called by argparse."""
        raise UsageError(re.sub(r"^argument (\S+):", r"flag \1:", message))


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=30, width=110)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """Without the other spellings of `--help`."""
        if not action.option_strings:
            return super()._format_action_invocation(action)
        value = "" if action.nargs in (0, "?") else f" {self._format_args(action, self._get_default_metavar_for_optional(action))}"
        return action.option_strings[0] + value


def _add(group: Any, flag: Flag) -> None:
    shown = flag.shown_default if flag.shown_default is not None else _shown(flag.default)
    remark = "required" if flag.required else f"default: {shown}"
    if flag.positional:
        group.add_argument(flag.name, nargs="?", metavar=flag.name.upper(), help=flag.help)
        return
    options: dict[str, Any] = {"dest": flag.name, "default": flag.default, "help": f"{flag.help} ({remark})".replace("%", "%%")}
    if flag.type is bool:
        group.add_argument(f"--{flag.name}", nargs="?", const=True, type=_boolean, **options)
        hidden = {"dest": flag.name, "default": flag.default, "help": argparse.SUPPRESS}
        group.add_argument(f"--no{flag.name}", action="store_const", const=False, **hidden)
        return
    kinds = {int: ("N", _integer), float: ("X", _number), list: ("LIST", _list)}
    metavar, convert = kinds.get(flag.type, (flag.name.upper(), str))
    if flag.choices:
        metavar, convert = "|".join(flag.choices), _one_of(flag.choices)
    group.add_argument(f"--{flag.name}", metavar=metavar, type=convert, **options)


def _shown(default: Any) -> str:
    if default is None or default == []:
        return "none"
    return "no" if default is False else str(default)


def _spelled(argument: str) -> str:
    """Flags with one dash, or with dashes inside, in the spelling that the help shows."""
    match = re.fullmatch(r"--?([A-Za-z][\w-]+)(=.*)?", argument, re.DOTALL)
    return f"--{match[1].replace('-', '_')}{match[2] or ''}" if match else argument


def _integer(text: str) -> int:
    try:
        number = float(text)
        if number == int(number):
            return int(text) if text.lstrip("+-").isdigit() else int(number)  # 1e6 is an integer too
    except (ValueError, OverflowError):
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not an integer")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE + _FALSE:
        return text.lower() in _TRUE
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _one_of(choices: Sequence[str]):
    def convert(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"unknown value {text!r}: {nearest(text, choices)}")
        return text

    return convert
