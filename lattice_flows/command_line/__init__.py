"""The command line: flags, what they change in a configuration, and exit codes. No TensorFlow."""

from lattice_flows.command_line.entry import COMMANDS, command, main, run
from lattice_flows.command_line.exit_codes import AGREED, BUG, INTERRUPTED, NOT_TRUSTWORTHY, UNUSABLE
from lattice_flows.command_line.flags import Flag, UsageError, board, configuration, overrides, shared
from lattice_flows.command_line.interruptions import Interrupted
from lattice_flows.command_line.parser import parse

__all__ = [
    "AGREED",
    "BUG",
    "COMMANDS",
    "INTERRUPTED",
    "NOT_TRUSTWORTHY",
    "UNUSABLE",
    "Flag",
    "Interrupted",
    "UsageError",
    "board",
    "command",
    "configuration",
    "main",
    "overrides",
    "parse",
    "run",
    "shared",
]
