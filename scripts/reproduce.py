"""Regenerates arXiv:1904.12072: trains flows, samples exactly with them, compares with HMC, local Metropolis and the paper.

    python scripts/reproduce.py --table E4
    python scripts/reproduce.py --table all --figure all --report

The exit code is 0 if every observable agrees with its reference within four standard deviations, 1 if not, 2 for unusable input.
"""

from pathlib import Path

from absl import flags
from lattice_flows.paper.figures import FIGURES
from lattice_flows.paper.reproduction import reproduce
from lattice_flows.paper.table1 import LARGER, QUICK, TABLES

from lattice_flows import command_line
from lattice_flows.config import ConfigError
from lattice_flows.progress import Progress
from lattice_flows.training.devices import choose_strategy

FLAGS = flags.FLAGS
flags.DEFINE_enum("table", None, [*TABLES, *LARGER, "all"], "ensemble; all is E1 to E5")
flags.DEFINE_enum("figure", None, [*map(str, FIGURES), "all"], "figure of the paper; flows that it needs are made")
flags.DEFINE_boolean("report", False, "write report.html, a page that needs no network")
flags.DEFINE_boolean("quick", False, "a true but small run of at most two minutes; its numbers are correspondingly coarse")
flags.DEFINE_string("out", "runs", "output folder; every ensemble gets a folder of its name in it")
flags.DEFINE_boolean("pretrained", False, "take the weights in paper/trained instead of training")
command_line.define("device", "lattice_size", "flow", "seed", "steps", "evaluate_every", "target_acceptance", "max_minutes")
command_line.define("chain_length", "init_from", "resume")


def configure(table, *extra):
    return command_line.configuration(command_line.CONFIGS / f"{table}.yaml", *([QUICK] if FLAGS.quick else []), *extra)


def main() -> int:
    if FLAGS.table is None and FLAGS.figure is None:
        raise ConfigError("nothing to do: give --table, such as E4, or --figure, such as 5, or all for either")
    tables = TABLES if FLAGS.table == "all" else [FLAGS.table] if FLAGS.table else []
    figures = list(FIGURES) if FLAGS.figure == "all" else [int(FLAGS.figure)] if FLAGS.figure else []
    how = {"resume": FLAGS.resume, "pretrained": FLAGS.pretrained, "with_report": FLAGS.report}
    flow = FLAGS.flow or configure((*tables, "E5")[0]).flow.name
    passed = reproduce(tables, figures, configure, flow, Path(FLAGS.out), choose_strategy(FLAGS.device), Progress(), **how)
    return 0 if passed else 1


if __name__ == "__main__":
    command_line.main(main)
