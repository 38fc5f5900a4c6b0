"""Measures the observables of a stored ensemble, of a flow or of a baseline.

python scripts/measure.py runs/E1
python scripts/measure.py runs/hmc/E1/ensemble.h5 --out result.json
"""

import sys
from pathlib import Path

from lattice_flows import command_line
from lattice_flows.command_line import Flag, exit_codes
from lattice_flows.io.files import check_file, write_json

FLAGS = (
    Flag("ensemble", "what to run", "ensemble file, or the run folder that holds it", required=True, positional=True),
    Flag("out", "output", "also write the result into this file, as JSON"),
)


def main(flags) -> int:
    if flags.out:
        check_file(Path(flags.out))  # before minutes of measuring

    from lattice_flows.production import measure_run
    from lattice_flows.progress import Progress

    progress = Progress()
    result = measure_run(flags.ensemble, progress=progress)
    progress.info(str(result))  # first: it is there even if the disk is full
    if flags.out:
        write_json(Path(flags.out), result.to_json())
    return exit_codes.of(result.passed)


if __name__ == "__main__":
    sys.exit(command_line.run(main, FLAGS, __doc__))
