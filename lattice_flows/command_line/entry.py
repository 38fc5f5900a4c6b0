"""How commands are called, from a clone and from an installed package, and how they end. No TensorFlow."""

import errno
import importlib
import io
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import lattice_flows
from lattice_flows.command_line.exit_codes import BUG, INTERRUPTED, UNUSABLE
from lattice_flows.command_line.flags import Flag, UsageError
from lattice_flows.command_line.interruptions import Interrupted, discard_output, interruptible
from lattice_flows.command_line.parser import parse
from lattice_flows.errors import UserError, nearest, users_line
from lattice_flows.io.files import FolderInUse

__all__ = ["COMMANDS", "command", "main", "run"]

COMMANDS = {
    "reproduce": "regenerate tables and figures of arXiv:1904.12072",
    "train": "train the flow of a configuration",
    "watch": "draw trainings on the terminal while they go on",
    "sweep": "train over combinations of settings, and tabulate the flows",
    "explain": "say what a trained flow can still learn, and which new terms would help",
    "sample": "draw a Markov chain from a trained flow",
    "measure": "measure the observables of a stored ensemble",
    "animate": "draw how a flow makes fields of noise, as an animated GIF",
    "report": "write a page of HTML about one run, or about several side by side",
    "convert": "translate a configuration of GomalizingFlow.jl into one of this package",
    "baseline": "sample with HMC or local Metropolis, for comparison",
    "benchmark": "measure how fast the package is on this machine",
}
# Flags that make a run smaller.
_SIZES = ("chain_length", "chains", "updates", "lattice_size")


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
      the exit code, one of `exit_codes`: that of `main`, or that of the error which ended it.
    """
    resumes = any(flag.name == "resume" for flag in flags)
    program = program or f"python scripts/{Path(sys.argv[0]).name}"
    try:
        _accept_any_output()
        with interruptible():
            code = main(parse(program, description.strip(), flags, sys.argv[1:] if arguments is None else arguments))
            sys.stdout.flush()
            return code
    except UserError as error:
        hint = f" ({program} --help lists all flags)" if isinstance(error, UsageError) else ""
        hint = "; --resume continues that run" if isinstance(error, FolderInUse) and resumes else hint
        return _failed(UNUSABLE, f"error: {error}{hint}")
    except KeyboardInterrupt as error:
        how = "terminated (SIGTERM)" if isinstance(error, Interrupted) else "interrupted"
        return _failed(INTERRUPTED, how + ("; the same command with --resume continues where it stopped" if resumes else ""))
    except BrokenPipeError:  # the reader of what is printed has gone, as in `| head`
        discard_output()
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:  # files say so as a UserError
            discard_output()
            return _failed(UNUSABLE, f"error: {error.filename or 'the output'} cannot be written: no space is left on its device")
        if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's
            return _failed(UNUSABLE, f"error: not enough memory: {_smaller(flags)} ({_first_line(error)})")
        traceback.print_exception(error)
        if line := users_line(error):
            return _failed(
                BUG, f"error: this comes from {line}, which is not of lattice_flows: the lines above say what is wrong there"
            )
        version = lattice_flows.__version__
        return _failed(BUG, f"error: this is a bug in lattice_flows {version}: please report the command and the lines above")


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
        return UNUSABLE
    script = importlib.import_module(f"lattice_flows.scripts.{name}")
    program = f"lattice-flows {name}"
    return run(script.main, script.FLAGS, (script.__doc__ or "").replace(f"python scripts/{name}.py", program), rest, program)


def _accept_any_output() -> None:
    """Replaces characters that a terminal does not know, and writes nowhere if there is no output."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _failed(code: int, line: str) -> int:
    print(line, file=sys.stderr)
    return code


def _smaller(flags: Sequence[Flag]) -> str:
    """What to reduce where memory does not suffice."""
    known = [f"--{flag.name}" for flag in flags if flag.name in _SIZES]
    return f"reduce {', '.join([*known, 'or the batch sizes in the configuration'])}" if known else "close other programs"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def command() -> str:
    """The command line of this process, as a record of what it makes shows it."""
    program = Path(sys.argv[0])
    start = ["lattice-flows"] if program.stem == "lattice-flows" else ["python", sys.argv[0]]
    return shlex.join([*start, *sys.argv[1:]])


def _usage() -> str:
    lines = [f"usage: lattice-flows COMMAND [flags]      (version {lattice_flows.__version__})", ""]
    lines += [f"  {name:10} {what}" for name, what in COMMANDS.items()]
    return "\n".join([*lines, "", "lattice-flows COMMAND --help shows the flags of a command"])
