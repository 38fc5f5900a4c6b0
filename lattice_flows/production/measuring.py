"""From an ensemble to its result."""

from pathlib import Path

from lattice_flows.actions import Action
from lattice_flows.io.ensembles import ENSEMBLE, Ensemble, ensemble_file
from lattice_flows.io.files import RunError
from lattice_flows.measurement.analysis import measure
from lattice_flows.measurement.result import Result
from lattice_flows.progress import Progress

__all__ = ["measure_run"]


def measure_run(source: Path | str | Ensemble, action: Action | None = None, progress: Progress | None = None) -> Result:
    """Measures an ensemble.

    Args:
      source: the ensemble, its file, or the run folder that holds it.
      action: what it was drawn with; built from the ensemble's attributes if it is not given.
      progress: where progress is shown; None for silence.

    Raises:
      RunError: there is no ensemble.
      EnsembleError: its file is damaged or foreign, or was written by another version.
    """
    if not isinstance(source, Ensemble):
        path = ensemble_file(source)
        if not path.exists():
            raise RunError(f"there is no ensemble at {path}: give an ensemble file, or a run folder that holds {ENSEMBLE}")
        with Ensemble(path) as opened:
            return measure_run(opened, action, progress)
    source.verify()
    with (progress or Progress(quiet=True)).working("measuring"):
        return measure(source, action)
