"""Trains the flow of a configuration.

python scripts/train.py --config configs/E1.yaml --out runs/my_E1
"""

from pathlib import Path

from absl import flags

from lattice_flows import command_line
from lattice_flows.progress import Progress
from lattice_flows.training.devices import choose_strategy
from lattice_flows.training.trainer import train

FLAGS = flags.FLAGS
flags.DEFINE_string("config", None, "configuration file", required=True)
command_line.define("out", "device", "lattice_size", "flow", "seed", "steps", "evaluate_every", "target_acceptance", "max_minutes")
command_line.define("init_from", "resume")


def main() -> int:
    config = command_line.configuration(Path(FLAGS.config))
    train(config, FLAGS.out, choose_strategy(FLAGS.device), Progress(), resume=FLAGS.resume)
    return 0


if __name__ == "__main__":
    command_line.main(main)
