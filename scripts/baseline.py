"""Samples an action with HMC or local Metropolis, as the paper does for comparison, and prints the observables.

python scripts/baseline.py --sampler hmc --config configs/E1.yaml --out runs/hmc/E1
"""

import sys
from pathlib import Path

from lattice_flows import command_line
from lattice_flows.command_line import Flag, shared

FLAGS = (
    Flag("sampler", "what to run", "hmc, metropolis, or another registered sampler", required=True),
    *shared("config", "lattice_size", "seed", "chains", "updates", "thinning", "trajectories", "configurations", "out"),
    Flag("references", "output", "also write the numbers into this file of references, under the configuration's name"),
    *shared("device"),
)


def main(flags) -> int:
    config = command_line.configuration(flags.config, flags)

    from lattice_flows.paper import references

    from lattice_flows.pipeline import baseline_run
    from lattice_flows.progress import Progress
    from lattice_flows.training.devices import choose_strategy

    progress = Progress()
    result = baseline_run(config, flags.sampler, flags.out, choose_strategy(flags.device), progress)
    if flags.references:
        references.record(result, Path(flags.config).stem, Path(flags.references))
    progress.info(str(result))
    return 0


if __name__ == "__main__":
    sys.exit(command_line.run(main, FLAGS, __doc__))
