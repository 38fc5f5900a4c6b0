"""The command line: flags, what they change in a configuration, and exit codes. No TensorFlow."""

from lattice_flows.command_line.entry import COMMANDS, command, main, run
from lattice_flows.command_line.flags import Flag, UsageError, configuration, overrides, shared
from lattice_flows.command_line.parser import parse

__all__ = ["COMMANDS", "Flag", "UsageError", "command", "configuration", "main", "overrides", "parse", "run", "shared"]
