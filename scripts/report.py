"""Writes one page of HTML about runs, of flows or of other samplers, with several runs side by side.

    python scripts/report.py runs/E1
    python scripts/report.py runs/E1 runs/hmc/E1 --out compared.html

The page needs no other file. It shows what the runs have left on disk, also of those that have not ended.
"""

import sys
from pathlib import Path

from lattice_flows import command_line
from lattice_flows.command_line import Flag

FLAGS = (
    Flag("run", "what to run", "run folders", required=True, positional=True, several=True),
    Flag("out", "output", "the page", default="report.html"),
)


def main(flags) -> int:
    from lattice_flows import report
    from lattice_flows.progress import Progress

    report.write(Path(flags.out), flags.run)
    Progress().info(f"report in {flags.out}")
    return 0


if __name__ == "__main__":
    sys.exit(command_line.run(main, FLAGS, __doc__))
