"""Translates a configuration of GomalizingFlow.jl (TOML) into one of this package (YAML).

    python scripts/convert.py cfgs/example2d_E1.toml --out example2d_E1.yaml

Comments at the top of what it writes say what every key has become, and which ones have no counterpart here.
"""

import sys
from pathlib import Path

from lattice_flows import command_line
from lattice_flows.command_line import Flag

FLAGS = (
    Flag("toml", "what to run", "configuration file of GomalizingFlow.jl", required=True, positional=True),
    Flag("out", "output", "file to write, which must not exist yet; it is printed if none is given"),
)


def main(flags) -> int:
    from lattice_flows.convert import convert
    from lattice_flows.io.files import RunError, write_text

    converted = convert(flags.toml)
    if flags.out is None:
        print(converted.text, end="")
    elif Path(flags.out).exists():
        raise RunError(f"{flags.out} exists already: choose another name for --out")
    else:
        write_text(Path(flags.out), converted.text)
        print("\n".join([*converted.notes, "", f"wrote {flags.out}, for lattice-flows train --config {flags.out} --out ..."]))
    return command_line.AGREED


if __name__ == "__main__":
    sys.exit(command_line.run(main, FLAGS, __doc__))
