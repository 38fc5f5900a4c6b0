"""Samples an action with HMC or local Metropolis, as the paper does for comparison, and prints the observables.

python scripts/baseline.py --sampler hmc --config configs/E1.yaml --out runs/hmc/E1
"""

import dataclasses
import sys
from pathlib import Path

from lattice_flows import command_line
from lattice_flows.command_line import Flag, UsageError, exit_codes, shared
from lattice_flows.progress import Progress

FLAGS = (
    Flag("sampler", "what to run", "hmc, metropolis, or another registered sampler", required=True),
    *shared("config", "resume", "lattice_size", "shape", "m2", "lam", "seed", "chains", "updates", "thinning", "trajectories"),
    *shared("configurations", "out"),
    Flag("references", "output", "also write the numbers into this file of references"),
    Flag("name", "output", "of the entry in it", shown_default="the name of the configuration"),
    *shared("device"),
)


def main(flags) -> int:
    if flags.name is not None and flags.references is None:
        raise UsageError("--name is that of an entry in a file of references: give --references too")
    config = command_line.configuration(flags.config, flags)

    progress = Progress()
    with progress.meanwhile("loading TensorFlow"):
        from lattice_flows.actions import ACTIONS
        from lattice_flows.lattice import Lattice
        from lattice_flows.paper import references
        from lattice_flows.pipeline import start_run
        from lattice_flows.production import ENSEMBLE, baseline_run, check_continues, check_samples, measure_run
        from lattice_flows.training.devices import choose_strategy

    strategy = choose_strategy(flags.device)
    action = ACTIONS.build(config.action, Lattice(config.lattice.shape))
    settings = config.sampler(flags.sampler)
    check_samples(flags.sampler, action, settings)  # before anything is written
    if flags.resume:
        check_continues(Path(flags.out) / ENSEMBLE, flags.sampler, settings)
    name = flags.name or Path(flags.config).stem
    if flags.references is not None:
        references.checked(flags.references, name, action.lattice.shape, action.component)
    with start_run(flags.out, config, strategy, resume=flags.resume) as run:
        how = {"seed": config.seed, "device": strategy.extended.worker_devices[0], "progress": progress}
        with baseline_run(flags.sampler, action, settings, path=run.path / ENSEMBLE, **how) as ensemble:
            result = dataclasses.replace(measure_run(ensemble, action, progress), command=command_line.command())
        run.write_json("result.json", result.to_json())
    progress.info(str(result))
    if flags.references is not None:
        try:
            references.record(result, name, Path(flags.references))
        except references.NotTrusted as error:  # the exit code says so too
            progress.info(str(error))
    return exit_codes.of(result.passed)


if __name__ == "__main__":
    sys.exit(command_line.run(main, FLAGS, __doc__))
