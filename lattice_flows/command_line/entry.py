"""How commands are called, from a clone and from an installed package, and how errors reach the shell. No TensorFlow."""

import importlib
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import lattice_flows
from lattice_flows.command_line.flags import Flag, UsageError
from lattice_flows.command_line.parser import parse
from lattice_flows.errors import UserError, nearest
from lattice_flows.io.files import FolderInUse

__all__ = ["COMMANDS", "command", "main", "run"]

COMMANDS = {
    "reproduce": "regenerate tables and figures of arXiv:1904.12072",
    "train": "train the flow of a configuration",
    "sample": "draw a Markov chain from a trained flow",
    "measure": "measure the observables of a stored ensemble",
    "baseline": "sample with HMC or local Metropolis, for comparison",
    "benchmark": "measure how fast the package is on this machine",
}
_INTERRUPTED = 130


def run(
    main: Callable[[SimpleNamespace], int],
    flags: Sequence[Flag],
    description: str,
    arguments: Sequence[str] | None = None,
    program: str | None = None,
) -> int:
    """Parses the flags of a command and runs it.

    Args:
      main: what it does with the flags; it returns the exit code.
      flags: of the command.
      description: the text of its help.
      arguments: what the user has written; None for those of the process.
      program: how it is invoked; None for the name of the script.

    Returns:
      the exit code: that of `main`, 2 for an error that the user can correct, reported in one line on standard error.
    """
    resumes = any(flag.name == "resume" for flag in flags)
    program = program or f"python scripts/{Path(sys.argv[0]).name}"
    try:
        return main(parse(program, description.strip(), flags, sys.argv[1:] if arguments is None else arguments))
    except UserError as error:
        hint = f" ({program} --help lists all flags)" if isinstance(error, UsageError) else ""
        hint = "; --resume continues that run" if isinstance(error, FolderInUse) and resumes else hint
        print(f"error: {error}{hint}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted" + ("; --resume continues from the last evaluation" if resumes else ""), file=sys.stderr)
        return _INTERRUPTED


def main(arguments: Sequence[str] | None = None) -> int:
    """The console command `lattice-flows`: the name of a command, then its flags."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(_usage())
        return 0
    name, *rest = arguments
    if name == "--version":
        print(lattice_flows.__version__)
        return 0
    if name not in COMMANDS:
        print(f"error: unknown command {name!r}: {nearest(name, COMMANDS)}", file=sys.stderr)
        return 2
    script = importlib.import_module(f"lattice_flows.scripts.{name}")
    program = f"lattice-flows {name}"
    return run(script.main, script.FLAGS, script.__doc__.replace(f"python scripts/{name}.py", program), rest, program)


def command() -> str:
    """The command line of this process, as a record of what it makes shows it."""
    program = Path(sys.argv[0])
    start = ["lattice-flows"] if program.stem == "lattice-flows" else ["python", sys.argv[0]]
    return shlex.join([*start, *sys.argv[1:]])


def _usage() -> str:
    lines = [f"usage: lattice-flows COMMAND [flags]      (version {lattice_flows.__version__})", ""]
    lines += [f"  {name:10} {what}" for name, what in COMMANDS.items()]
    return "\n".join([*lines, "", "lattice-flows COMMAND --help shows the flags of a command"])
