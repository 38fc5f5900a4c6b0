"""Draws trainings on the terminal while they go on, from another terminal than theirs, and those that have ended.

    python scripts/watch.py runs/E1
    python scripts/watch.py runs/E1 runs/E1_continuous --item acceptance

The chart is drawn again when a run writes. It ends with the trainings, or with Ctrl-C. Several runs are drawn over each other; the
stages of a run stand before it, divided by lines.
"""

import sys
from pathlib import Path

from lattice_flows import command_line
from lattice_flows.command_line import Flag
from lattice_flows.watch import ITEMS, watch

_OVER = {"excludes": ("once",), "because": "one leaves at once and the other never"}
FLAGS = (
    Flag("run", "what to run", "run folders; on a terminal they need not exist yet", required=True, positional=True, several=True),
    Flag(
        "item", "output", f"what to draw: {', '.join(ITEMS)}; or some of these", list, ["loss", "acceptance"], choices=tuple(ITEMS)
    ),
    Flag("once", "output", "print one chart and leave, as always where the output is no terminal", bool, False),
    Flag("stay", "output", "go on when the trainings have ended, for those that will be resumed", bool, False, **_OVER),
)


def main(flags) -> int:
    watch([Path(run) for run in flags.run], flags.item, once=flags.once, stay=flags.stay)
    return command_line.AGREED


if __name__ == "__main__":
    sys.exit(command_line.run(main, FLAGS, __doc__))
