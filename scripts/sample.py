"""Draws a Markov chain with the exact distribution from a trained flow, and prints the observables.

python scripts/sample.py --run runs/my_E1 --chain_length 1000000 --out runs/my_E1_ensemble
"""

from absl import flags
from lattice_flows.paper import table1

from lattice_flows import command_line
from lattice_flows.io.runs import RunDirectory
from lattice_flows.production import ENSEMBLE, estimates, flow_sampler, measure_flow, sample_flow
from lattice_flows.progress import Progress
from lattice_flows.training.devices import choose_strategy
from lattice_flows.training.trainer import load_trained

FLAGS = flags.FLAGS
flags.DEFINE_string("run", None, "folder of a finished training", required=True)
command_line.define("out", "device", "seed", "chain_length")


def main() -> int:
    progress = Progress()
    run, trained = RunDirectory.open(FLAGS.run)
    config = command_line.configuration(run.path / "config.yaml")
    strategy = choose_strategy(FLAGS.device)
    flow, action, _ = load_trained(run, trained, strategy)
    out = RunDirectory.start(FLAGS.out, config, devices=strategy.extended.worker_devices)
    sample_flow(flow_sampler(flow, action, config, progress), config, out.path / ENSEMBLE, progress)
    measurements, _, _, facts = measure_flow(out.path / ENSEMBLE, action)
    observables = {name: number for name, number in estimates(measurements).items() if number is not None}
    out.write_json("result.json", {"chain": facts, "observables": {name: n._asdict() for name, n in observables.items()}})
    for name, value in facts.items():
        progress.info(f"{name}: {value:.6g}" if isinstance(value, int | float) else f"{name}: {value}")
    progress.info(table1.observables_table(observables))
    return 0


if __name__ == "__main__":
    command_line.main(main)
