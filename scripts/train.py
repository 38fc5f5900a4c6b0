"""Trains the flow of a configuration.

    python scripts/train.py --config configs/E1.yaml --out runs/my_E1

The exit code is 1 if the weights of the trained flow have such heavy tails, or miss so much of the target, that its acceptance
cannot be trusted.
"""

import sys

from lattice_flows import command_line
from lattice_flows.command_line import shared
from lattice_flows.progress import Progress

FLAGS = (
    *shared("config", "resume", "lattice_size", "shape", "m2", "lam", "flow", "seed", "steps", "evaluate_every"),
    *shared("target_acceptance", "max_minutes", "init_from", "forward_samples", "out", "tensorboard", "device"),
)


def main(flags) -> int:
    config = command_line.configuration(flags.config, flags)

    progress = Progress()
    with progress.meanwhile("loading TensorFlow"):
        from lattice_flows.pipeline import train_run
        from lattice_flows.training.devices import choose_strategy
        from lattice_flows.training.judgement import doubts

    board = command_line.board(flags)
    trained = train_run(config, flags.out, choose_strategy(flags.device), progress, resume=flags.resume, board=board)
    trained.run.close()
    return command_line.NOT_TRUSTWORTHY if doubts(trained.summary) else command_line.AGREED


if __name__ == "__main__":
    sys.exit(command_line.run(main, FLAGS, __doc__))
