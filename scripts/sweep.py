"""Trains the flow of a configuration with all combinations of values of some of its keys, and tabulates how good the flows are.

    python scripts/sweep.py --config E1 --over flow.layers=1,2,4,8,16 --over training.batch_size=64,128 --out runs/depth

Values are written as in a configuration file: flow.network.hidden=[8,8],[16,16] has two, which are lists. Every training has a
folder of its own in the output folder; sweep.md, sweep.csv and sweep.png there grow with every one that ends. The exit code is 1
if a training fails, or if the numbers of one cannot be trusted.
"""

import sys

from lattice_flows import command_line
from lattice_flows.command_line import Flag, exit_codes, shared
from lattice_flows.config import load

_OVER = "key and its values, such as flow.layers=1,2,4; all combinations, where it is given for several keys"
FLAGS = (
    *shared("config"),
    Flag("over", "what to run", _OVER, required=True, several=True),
    *shared("resume", "lattice_size", "shape", "m2", "lam", "flow", "seed", "steps", "evaluate_every"),
    *shared("target_acceptance", "max_minutes", "init_from", "forward_samples", "out", "tensorboard", "device"),
)


def main(flags) -> int:
    changes = command_line.overrides(flags, dimensions=len(load(flags.config).lattice.shape))

    from lattice_flows.progress import Progress
    from lattice_flows.sweep import axes, points, sweep
    from lattice_flows.training.devices import choose_strategy

    planned = points(flags.config, changes, axes(flags.over), flags.out)
    how = {"resume": flags.resume, "board": command_line.board(flags)}
    ended = sweep(planned, flags.out, choose_strategy(flags.device), Progress(), **how)
    return exit_codes.of(all(point.good for point in ended))


if __name__ == "__main__":
    sys.exit(command_line.run(main, FLAGS, __doc__))
