"""The figures of a single run: how it was trained, and what was measured beside its reference."""

import dataclasses
from pathlib import Path

from lattice_flows import plots
from lattice_flows.measurement.result import Result
from lattice_flows.paper.references import reference
from lattice_flows.report import Run, figures, read_run, sampler_name

__all__ = ["save"]

_SAVED = ("training_history", "zero_momentum_green", "effective_mass", "rejection_runs")


def save(run: Path, result: Result) -> None:
    """Writes the figures of a run into its folder `figures`; without a training history if `metrics.csv` is missing.

    Raises:
      RunError: a file cannot be written.
    """
    flow = dataclasses.replace(read_run(run), name="flow", result=result)
    found = reference(result.lattice_shape, result.action)
    beside = [] if found is None else [Run(name=sampler_name(found.sampler), result=found)]
    drawn = figures.of_an_ensemble([flow, *beside], result.table or "")
    for name in _SAVED:
        if name in drawn:
            plots.save(drawn[name].figure, run / "figures", name)
