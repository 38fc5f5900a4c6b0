"""Measures the observables of a stored ensemble, of a flow or of a baseline.

python scripts/measure.py runs/E1
python scripts/measure.py runs/hmc/E1/ensemble.h5 --out result.json
"""

import sys
import tempfile
from pathlib import Path

from lattice_flows import command_line
from lattice_flows.command_line import Flag, exit_codes
from lattice_flows.io.files import RunError, write_json, writing

FLAGS = (
    Flag("ensemble", "what to run", "ensemble file, or the run folder that holds it", required=True, positional=True),
    Flag("out", "output", "also write the result into this file, as JSON"),
)


def main(flags) -> int:
    if flags.out:
        _check_file(Path(flags.out))

    from lattice_flows.production import measure_run
    from lattice_flows.progress import Progress

    progress = Progress()
    result = measure_run(flags.ensemble, progress=progress)
    progress.info(str(result))  # first: it is there even if the disk is full
    if flags.out:
        write_json(Path(flags.out), result.to_json())
    return exit_codes.of(result.passed)


def _check_file(path: Path) -> None:
    """Raises a `RunError` where no file can be written, before minutes of measuring."""
    with writing(path):
        target = path.resolve()
        if target.exists() and not target.is_file():
            raise RunError(f"cannot write {path}: it is not a regular file; choose another name")
        with tempfile.TemporaryFile(dir=next(folder for folder in target.parents if folder.exists())):
            pass


if __name__ == "__main__":
    sys.exit(command_line.run(main, FLAGS, __doc__))
