"""Films of runs: how a flow makes fields from noise, and how other samplers walk from one configuration to the next."""

from pathlib import Path

import numpy as np

from lattice_flows.flows import Flow, intermediate_fields
from lattice_flows.io.arrays import file_fingerprint, write_arrays
from lattice_flows.io.ensembles import ENSEMBLE, Ensemble
from lattice_flows.io.files import RunError
from lattice_flows.io.histories import WEIGHTS
from lattice_flows.io.locks import lock_file
from lattice_flows.io.runs import RunDirectory
from lattice_flows.pipeline import open_trained
from lattice_flows.plots import Film
from lattice_flows.progress import Progress
from lattice_flows.report.runs import NOISE_TO_FIELD
from lattice_flows.seeds import sub_seed

__all__ = ["film", "of_a_chain", "of_a_flow"]

_DRAWS = 3  # fields that a flow makes one after the other
_STEPS = 24  # of an integration, at least, so that it moves smoothly
_BEGUN, _HELD = 4, 10  # frames for which noise and a finished field are shown
_UPDATES = 100


def film(folder: Path, seed: int = 1, progress: Progress | None = None) -> Film:
    """The film of a run folder: of its flow, if it holds one, and otherwise of the first chain in it.

    The frames of the first field of a flow are left in the folder, where the report finds them.

    Args:
      folder: of the run.
      seed: of the noise.
      progress: where progress is shown; None for silence.

    Raises:
      RunError: there is no run, or neither a flow nor an ensemble in it, or its folder cannot be written.
      CheckpointError, EnsembleError: its weights or its ensemble are damaged.
    """
    run, _ = RunDirectory.open(folder)
    if (run.path / WEIGHTS).exists():
        with (progress or Progress(quiet=True)).working(f"following noise through the flow of {folder}"):
            weights = file_fingerprint(run.path / WEIGHTS)
            made, first = of_a_flow(open_trained(folder).flow, seed)
        with lock_file(run.path / NOISE_TO_FIELD):
            write_arrays(run.path / NOISE_TO_FIELD, {"fields": first.fields}, {"labels": first.labels, "weights": weights})
        return made
    if (run.path / ENSEMBLE).exists():
        with Ensemble(run.path / ENSEMBLE) as ensemble:
            return of_a_chain(ensemble)
    raise RunError(f"{folder} holds neither a trained flow nor an ensemble: name a run that does")


def of_a_flow(flow: Flow, seed: int = 1) -> tuple[Film, Film]:
    """Some fields that a flow makes of noise, one after the other, and the first of them alone."""
    while (finer := flow.refined()) is not None and min(flow.integration_steps.values()) < _STEPS:
        flow = finer
    fields = intermediate_fields(flow, _DRAWS, sub_seed(seed, "film"))
    steps = np.stack([phi.numpy() for phi in fields.values()], axis=1).astype(np.float32)
    labels = list(fields)
    at = [*[0] * _BEGUN, *range(1, len(labels)), *[len(labels) - 1] * _HELD]
    return Film([labels[k] for k in at] * _DRAWS, np.concatenate(steps[:, at])), Film(labels, steps[0])


def of_a_chain(ensemble: Ensemble) -> Film:
    """The first configurations of the first chain of an ensemble."""
    if ensemble.index is not None:
        held = ensemble.index[:_UPDATES]
        return Film([f"update {n}" for n in range(1, len(held) + 1)], ensemble.rows(0, int(held.max()) + 1)[held])
    fields, thinning = ensemble.rows(0, _UPDATES)[:, 0], ensemble.attributes.get("settings", {}).get("thinning", 1)
    return Film([f"update {n * thinning}" for n in range(1, len(fields) + 1)], fields)
