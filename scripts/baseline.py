"""Samples an action with HMC or local Metropolis, as the paper does for comparison, and prints the observables.

python scripts/baseline.py --sampler hmc --config configs/E1.yaml --out runs/hmc/E1
"""

import shlex
import sys
from pathlib import Path

from absl import flags
from lattice_flows.paper import references, table1

from lattice_flows import command_line
from lattice_flows.actions import ACTIONS
from lattice_flows.io.runs import RunDirectory
from lattice_flows.lattice import Lattice
from lattice_flows.production import BASELINES, ENSEMBLE
from lattice_flows.progress import Progress
from lattice_flows.training.devices import choose_strategy

FLAGS = flags.FLAGS
flags.DEFINE_enum("sampler", None, list(BASELINES), "how to sample", required=True)
flags.DEFINE_string("config", None, "configuration file", required=True)
flags.DEFINE_string("references", None, "also write the numbers into this file of references, under the configuration's name")
command_line.define("out", "device", "lattice_size", "seed", "chains", "trajectories", "configurations")


def main() -> int:
    progress = Progress()
    config = command_line.configuration(Path(FLAGS.config))
    action = ACTIONS.build(config.action, Lattice(config.lattice.shape))
    strategy = choose_strategy(FLAGS.device)
    run = RunDirectory.start(FLAGS.out, config, devices=strategy.extended.worker_devices)
    measurements, accepted, facts = BASELINES[FLAGS.sampler](action, config, strategy, run.path / ENSEMBLE, progress)
    entry = references.entry(config, measurements, accepted, facts, shlex.join(["python", *sys.argv]))
    run.write_json("result.json", entry | {name: value for name, value in facts.items() if name.endswith("_per_second")})
    if FLAGS.references:
        references.write(Path(FLAGS.references), Path(FLAGS.config).stem, FLAGS.sampler, entry)
    for name, value in facts.items():
        progress.info(f"{name}: {value:.6g}" if isinstance(value, float) else f"{name}: {value}")
    progress.info(table1.observables_table(entry["observables"]))
    if abs(facts.get("exp_minus_dh", 1.0) - 1) > 4 * facts.get("exp_minus_dh_error", 1.0):
        progress.info("FAILED: the mean of exp(-dH) is not 1 within 4 sigma; try a longer thermalisation or a higher acceptance")
        return 1
    return 0


if __name__ == "__main__":
    command_line.main(main)
