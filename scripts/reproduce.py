"""Regenerates arXiv:1904.12072: trains flows, samples exactly with them, compares with HMC, local Metropolis and the paper.

    python scripts/reproduce.py --table E4
    python scripts/reproduce.py --table all --figure all --report
    python scripts/reproduce.py --table 3d_L8,4d_L4

The exit code is 0 if all errors can be trusted and every observable agrees with its reference, where there is one, within four
standard deviations, and 1 if not.
"""

import sys

from lattice_flows import command_line
from lattice_flows.command_line import Flag, UsageError, exit_codes, shared
from lattice_flows.paper.cases import DIMENSIONS, FIGURES, GROUPS, LARGER, TABLES, common_dimension, expanded
from lattice_flows.progress import Progress

_RUN = shared("resume", "lattice_size", "shape", "m2", "lam", "seed", "steps", "evaluate_every", "target_acceptance", "max_minutes")
_RUN += shared("init_from", "forward_samples", "chain_length", "tensorboard")
_WHAT = f"ensembles: all, which is E1 to E5; {', '.join(LARGER)}; dimensions, which is {', '.join(DIMENSIONS)}; or some of these"
_FIGURE = "of the paper, with the flows that it needs; scan: curves through the transition; volume: how far the stored flows reach"
_OF_ENSEMBLES = {
    "excludes": ("lattice_size", "shape", "m2", "lam", "target_acceptance"),
    "because": "figures are of the paper's lattices and trainings",
}
_OF_TRAINING = {
    "excludes": ("steps", "evaluate_every", "target_acceptance", "max_minutes", "init_from", "forward_samples", "tensorboard"),
    "because": "nothing is trained then",
}
_GROWN = ("flow", "init_from", "forward_samples", "report", "chain_length")
_BEYOND = {  # figures beyond the paper: flags that they go without, and why
    "scan": (_GROWN, "every flow there grows from the last"),
    "volume": ((*_GROWN, "quick", "pretrained", "resume", "seed", *_OF_TRAINING["excludes"]), "it shows stored results"),
}
_NOTHING = {"excludes": ("report", "quick", "pretrained", *(flag.name for flag in _RUN)), "because": "nothing is run then"}
FLAGS = (
    Flag("table", "what to run", _WHAT, list, [], choices=(*TABLES, *LARGER, *DIMENSIONS, *GROUPS)),
    Flag("figure", "what to run", _FIGURE, choices=(*map(str, FIGURES), "all", *_BEYOND), **_OF_ENSEMBLES),
    Flag("report", "what to run", "write report.html, one self-contained page", bool, False),
    Flag("quick", "what to run", "a complete but small run, of about a minute on small lattices; errors are larger", bool, False),
    Flag("pretrained", "what to run", "take the weights in paper/trained instead of training", bool, False, **_OF_TRAINING),
    Flag("stored", "what to run", "show the results in paper/results instead of making any", bool, False, **_NOTHING),
    *_RUN,
    *shared("flow"),
    Flag("out", "output", "output folder; every ensemble gets a folder of its name in it", default="runs"),
    *shared("device"),
)


def main(flags) -> int:
    if not flags.table and flags.figure is None:
        raise UsageError("nothing to do: give --table, such as E4, or --figure, such as 5, or all for either")
    tables, progress = expanded(flags.table), Progress()
    without, why = _BEYOND.get(flags.figure, ((), ""))
    if flags.figure and (flags.table if without else flags.stored):
        raise UsageError(f"--figure {flags.figure} goes without {'--table' if without else '--stored'}: leave one of them out")
    if given := [name for name in without if getattr(flags, name)]:
        raise UsageError(f"--figure {flags.figure} goes without --{given[0]}: {why}")
    figures = list(FIGURES) if flags.figure == "all" else [int(flags.figure)] if flags.figure in map(str, FIGURES) else []
    changes = command_line.overrides(flags, common_dimension(tables) if flags.lattice_size else 2)
    with progress.meanwhile("loading TensorFlow"):
        from lattice_flows.paper import scan, volume
        from lattice_flows.paper.reproduction import reproduce, show_stored
        from lattice_flows.training.devices import choose_strategy

    if flags.figure == "volume":
        return exit_codes.of(volume.reproduce(flags.out, progress))
    strategy = choose_strategy(flags.device)
    how = {"quick": flags.quick, "resume": flags.resume, "pretrained": flags.pretrained, "board": command_line.board(flags)}
    if flags.figure == "scan":
        return exit_codes.of(scan.reproduce(changes, flags.out, strategy, progress, from_stored=flags.stored, **how))
    if flags.stored:
        return exit_codes.of(show_stored(tables, flags.flow, progress))
    how["with_report"] = flags.report
    return exit_codes.of(reproduce(tables, figures, changes, flags.flow, flags.out, strategy, progress, **how))


if __name__ == "__main__":
    sys.exit(command_line.run(main, FLAGS, __doc__))
