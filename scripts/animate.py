"""Draws how a flow makes fields from noise, as an animated GIF, and beside it the chains of other samplers.

    python scripts/animate.py runs/E4
    python scripts/animate.py runs/E4 runs/hmc/E4 --out field.gif

Of a continuous flow, the equation is followed in time; of couplings, layer by layer. The frames also stay in the folder of the
flow, as noise_to_field.npz, and the report shows some of them.
"""

import sys
from pathlib import Path

from lattice_flows import command_line
from lattice_flows.command_line import Flag, UsageError

FLAGS = (
    Flag("run", "what to run", "run folders, with a flow or an ensemble", required=True, positional=True, several=True),
    Flag("seed", "physics", "of the noise", int, 1),
    Flag("out", "output", "the animation", default="field.gif"),
)


def main(flags) -> int:
    if Path(flags.out).suffix.lower() != ".gif":
        raise UsageError(f"--out {flags.out}: the animation is a GIF, so choose a name that ends with .gif")

    from lattice_flows import films, plots
    from lattice_flows.progress import Progress
    from lattice_flows.report.runs import unique_names

    progress, names = Progress(), unique_names(flags.run)
    made = {names[Path(run).resolve()]: films.film(Path(run), flags.seed, progress) for run in flags.run}
    with progress.working("drawing"):
        plots.animation(Path(flags.out), made)
    progress.info(f"animation in {flags.out}")
    return 0


if __name__ == "__main__":
    sys.exit(command_line.run(main, FLAGS, __doc__))
