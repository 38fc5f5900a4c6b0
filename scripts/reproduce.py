"""Regenerates arXiv:1904.12072: trains flows, samples exactly with them, compares with HMC, local Metropolis and the paper.

    python scripts/reproduce.py --table E4
    python scripts/reproduce.py --table all --figure all --report

The exit code is 0 if all errors can be trusted and every observable agrees with its reference, where there is one, within four
standard deviations, and 1 if not.
"""

import sys

from lattice_flows import command_line
from lattice_flows.command_line import Flag, UsageError, shared
from lattice_flows.paper.cases import FIGURES, LARGER, TABLES

FLAGS = (
    Flag("table", "what to run", "ensemble; all is E1 to E5", choices=(*TABLES, *LARGER, "all")),
    Flag(
        "figure",
        "what to run",
        "figure of the paper, with the flows that it needs",
        choices=(*map(str, FIGURES), "all"),
        excludes=("lattice_size", "target_acceptance"),
        because="figures are of the paper's lattices and trainings",
    ),
    Flag("report", "what to run", "write report.html, one self-contained page", bool, False),
    Flag("quick", "what to run", "a complete but small run of about a minute; its errors are correspondingly large", bool, False),
    Flag(
        "pretrained",
        "what to run",
        "take the weights in paper/trained instead of training",
        bool,
        False,
        excludes=("steps", "evaluate_every", "target_acceptance", "max_minutes", "init_from", "forward_samples"),
        because="nothing is trained then",
    ),
    *shared("resume", "lattice_size", "flow", "seed", "steps", "evaluate_every", "target_acceptance", "max_minutes", "init_from"),
    *shared("forward_samples", "chain_length"),
    Flag("out", "output", "output folder; every ensemble gets a folder of its name in it", default="runs"),
    *shared("device"),
)


def main(flags) -> int:
    if flags.table is None and flags.figure is None:
        raise UsageError("nothing to do: give --table, such as E4, or --figure, such as 5, or all for either")
    tables = TABLES if flags.table == "all" else [flags.table] if flags.table else []
    figures = list(FIGURES) if flags.figure == "all" else [int(flags.figure)] if flags.figure else []
    changes = command_line.overrides(flags)

    from lattice_flows.paper.reproduction import reproduce
    from lattice_flows.progress import Progress
    from lattice_flows.training.devices import choose_strategy

    how = {"quick": flags.quick, "resume": flags.resume, "pretrained": flags.pretrained, "with_report": flags.report}
    strategy = choose_strategy(flags.device)
    passed = reproduce(tables, figures, changes, flags.flow, flags.out, strategy, Progress(), **how)
    return command_line.AGREED if passed else command_line.NOT_TRUSTWORTHY


if __name__ == "__main__":
    sys.exit(command_line.run(main, FLAGS, __doc__))
