"""The command line: flags, what they change in a configuration, and exit codes."""

from lattice_flows.command_line.flags import CHANGES, CONFIGS, Change, configuration, define, main

__all__ = ["CHANGES", "CONFIGS", "Change", "configuration", "define", "main"]
