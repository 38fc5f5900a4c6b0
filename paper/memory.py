"""How much memory and disk a chain of a flow takes, by its length: each is drawn and measured in a process of its own."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lattice_flows.config import CONFIGS
from lattice_flows.flows import load_weights
from lattice_flows.io.files import RunError
from lattice_flows.measurement.tables import text_table
from lattice_flows.paper.cases import Case
from lattice_flows.pipeline import build_model
from lattice_flows.production import ENSEMBLE, measure_run, sample_run
from lattice_flows.progress import Progress

__all__ = ["draw", "measure", "table"]

_FLOW = "affine"


def measure(table: str, lengths: Sequence[int], progress: Progress) -> list[dict[str, float]]:
    """Draws and measures chains of some lengths with the pretrained flow of an ensemble, in a temporary folder.

    Args:
      table: the ensemble.
      lengths: configurations after thermalisation.
      progress: where progress is shown.

    Returns:
      for each length: length, peak (resident memory, in MB), after_sampling (the peak before measuring), disk (in MB),
      sampling_seconds and measuring_seconds.

    Raises:
      RunError: a process failed.
    """
    found = []
    for length in lengths:
        with tempfile.TemporaryDirectory() as folder, progress.working(f"{table}: {length:.0e} configurations"):
            # In a process of its own, so that nothing is left of the lengths before.
            command = [sys.executable, "-m", "lattice_flows.paper.memory", table, str(length), folder]
            done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise RunError(f"the chain of {length} configurations could not be drawn and measured: {last}")
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return found


def table(found: Sequence[Mapping[str, float]]) -> str:
    """What `measure` found, in Markdown."""
    columns = ["configurations", "peak memory [MB]", "before measuring [MB]", "disk [MB]", "sampling [s]", "measuring [s]"]
    return text_table(columns, ([f"{row['length']:.0e}", *list(row.values())[1:]] for row in found))


def draw(table: str, length: int, folder: Path) -> dict[str, float]:
    """Draws and measures one chain in this process. See `measure`, of which this is one entry."""
    case = Case(table)
    config = case.configuration([CONFIGS / "flows" / f"{_FLOW}.yaml", {"chain": {"length": length}}])
    flow, action = build_model(config)
    load_weights(case.weights(_FLOW), flow)
    start = time.perf_counter()
    sample_run(flow, action, config.chain, seed=config.seed, path=folder / ENSEMBLE).close()
    drawn, after_sampling = time.perf_counter(), _peak()
    measure_run(folder / ENSEMBLE)
    return {
        "length": length,
        "peak": _peak(),
        "after_sampling": after_sampling,
        "disk": round((folder / ENSEMBLE).stat().st_size / 1e6),
        "sampling_seconds": round(drawn - start, 1),
        "measuring_seconds": round(time.perf_counter() - drawn, 1),
    }


def _peak() -> int:
    """The largest resident memory of this process so far, in MB; macOS counts bytes, other systems kilobytes."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3))


if __name__ == "__main__":
    print(json.dumps(draw(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))))
