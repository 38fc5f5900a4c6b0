"""The figures of a single run: how it was trained, and what was measured beside HMC."""

import dataclasses
from pathlib import Path

from lattice_flows import plots
from lattice_flows.measurement.result import Result
from lattice_flows.paper.references import reference
from lattice_flows.report import Run, figures, read_run

__all__ = ["save"]

_SAVED = ("training_history", "zero_momentum_green", "effective_mass", "rejection_runs")


def save(run: Path, result: Result) -> None:
    """Writes the figures of a run into its folder `figures`; without a training history if `metrics.csv` is missing.

    Raises:
      RunError: a file cannot be written.
    """
    flow = dataclasses.replace(read_run(run), name="flow", result=result)
    hmc = reference(result.lattice_shape, result.action)
    drawn = figures.of_an_ensemble([flow] if hmc is None else [flow, Run(name="HMC", result=hmc)], result.table or "")
    for name in _SAVED:
        if name in drawn:
            plots.save(drawn[name].figure, run / "figures", name)
