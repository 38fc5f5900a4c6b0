"""Draws a Markov chain with the exact distribution from a trained flow, and prints the observables.

python scripts/sample.py --run runs/my_E1 --chain_length 1000000 --out runs/my_E1_ensemble
"""

import sys

from lattice_flows import command_line
from lattice_flows.command_line import Flag, exit_codes, shared
from lattice_flows.progress import Progress

FLAGS = (
    Flag("run", "what to run", "folder of a finished training", required=True),
    *shared("resume", "seed", "chain_length", "out", "device"),
)


def main(flags) -> int:
    from lattice_flows.io.runs import RunDirectory

    run, _ = RunDirectory.open(flags.run)
    config = command_line.configuration(run.path / "config.yaml", flags)

    progress = Progress()
    with progress.meanwhile("loading TensorFlow"):
        from lattice_flows.pipeline import open_trained, start_run
        from lattice_flows.production import ENSEMBLE, measure_run, sample_run
        from lattice_flows.training.devices import choose_strategy

    strategy = choose_strategy(flags.device)
    _, flow, action, summary = open_trained(flags.run, strategy)
    with start_run(flags.out, config, strategy, resume=flags.resume) as out:
        how = {"seed": config.seed, "path": out.path / ENSEMBLE, "training": summary._asdict(), "progress": progress}
        with sample_run(flow, action, config.chain, **how) as ensemble:
            result = measure_run(ensemble, action, progress)
        out.write_json("result.json", result.to_json())
    progress.info(str(result))
    return exit_codes.of(result.passed)


if __name__ == "__main__":
    sys.exit(command_line.run(main, FLAGS, __doc__))
