"""Says what a trained flow has not learned, and whether it could.

    python scripts/explain.py continuous/E5
    python scripts/explain.py runs/E5 --add flow.features=9 --add flow.pair_features=5 --samples 16384

A fit of the log weights by the derivatives of log q with respect to the weights tells which share of their variance a small change
of the weights removes; the same with new terms, what these would add. The damping is that of training.optimizer: what shows only
with a small one lies in directions that hardly change log q, which averaged gradients reach down to 1e-5. Nothing is written.
"""

import sys

from lattice_flows import command_line
from lattice_flows.command_line import Flag
from lattice_flows.config.keys import given

_ADD = "key of the flow and its value, such as flow.features=9; the table has what it adds, and what all that are given add"
FLAGS = (
    Flag("weights", "what to run", "run folder, weights file, or name of shipped ones", required=True, positional=True),
    Flag("add", "what to run", _ADD, default=[], several=True),
    Flag("samples", "sampling", "samples of the flow", int, positive=True, shown_default="four for each weight, 8192 at least"),
    Flag("seed", "physics", "of the samples", int, 1),
)


def main(flags) -> int:
    from lattice_flows.explain import explain
    from lattice_flows.progress import Progress

    added = [{key: value} for key, values in given(flags.add, "--add").items() for value in values]
    progress = Progress()
    progress.info(str(explain(flags.weights, added, samples=flags.samples, seed=flags.seed, progress=progress)))
    return 0


if __name__ == "__main__":
    sys.exit(command_line.run(main, FLAGS, __doc__))
