"""Regenerates Table I of arXiv:1904.12072: trains a flow, samples exactly with it, compares with HMC and with the paper.

    python scripts/reproduce.py --table E4

The exit code is 0 if every observable agrees with its reference within four standard deviations, 1 if not, 2 for unusable input.
"""

from pathlib import Path

from absl import flags

from lattice_flows import command_line
from lattice_flows.training.strategy import choose_strategy
from lattice_flows.watch import View
from paper.table1 import LARGER, QUICK, TABLES, reproduce

FLAGS = flags.FLAGS
flags.DEFINE_enum("table", None, [*TABLES, *LARGER, "all"], "ensemble; all is E1 to E5", required=True)
flags.DEFINE_boolean("quick", False, "a true but small run of at most two minutes; its numbers are correspondingly coarse")
flags.DEFINE_string("out", "runs", "output folder; every ensemble gets a folder of its name in it")
flags.DEFINE_boolean("pretrained", False, "take the weights in paper/trained instead of training")
command_line.define("device", "lattice_size", "flow", "seed", "steps", "evaluate_every", "target_acceptance", "max_minutes")
command_line.define("chain_length", "init_from", "resume")


def main() -> int:
    view = View()
    strategy = choose_strategy(FLAGS.device)
    tables = TABLES if FLAGS.table == "all" else (FLAGS.table,)
    passed = []
    for table in tables:
        config = command_line.configuration(command_line.CONFIGS / f"{table}.yaml", QUICK if FLAGS.quick else None)
        out = Path(FLAGS.out) / table
        how = {"resume": FLAGS.resume, "pretrained": FLAGS.pretrained}
        result = reproduce(table, config, FLAGS.flow or config.flow.name, out, strategy, view, **how)
        passed.append(result["passed"])
    return 0 if all(passed) else 1


if __name__ == "__main__":
    command_line.main(main)
