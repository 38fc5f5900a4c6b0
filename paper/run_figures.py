"""The figures of a single run: how it was trained, and what was measured beside HMC."""

from pathlib import Path

from lattice_flows import plots
from lattice_flows.measurement.result import Result
from lattice_flows.paper.references import reference
from lattice_flows.reading import read_csv

__all__ = ["save"]

_DRAWN = ("step", "loss", "log_z", "acceptance", "ess")


def save(run: Path, result: Result) -> None:
    """Writes the figures of a run into its folder `figures`; without a training history if `metrics.csv` is missing.

    Raises:
      UnreadableFile: `metrics.csv` is damaged.
      RunError: a file cannot be written.
    """
    folder, table = run / "figures", result.table
    history = run / "metrics.csv"
    if history.exists():
        metrics = read_csv(history, _DRAWN, "take it away, and continue with --resume")
        if metrics["step"]:
            plots.save(plots.training_history({table: [metrics]}, f"{table}: training"), folder, "training_history")
    samplers = {"flow": result}
    hmc = reference(result.lattice_shape, result.action)
    if hmc is not None:
        samplers["HMC"] = hmc
    green = {label: of.zero_momentum_green for label, of in samplers.items()}
    mass = {label: of.effective_mass for label, of in samplers.items()}
    rejections = {"flow": (result.rejection_runs, result.chain["length"])}
    plots.save(plots.zero_momentum_green(green, table), folder, "zero_momentum_green")
    plots.save(plots.effective_mass(mass, {"flow": result.estimate("pole_mass")}, table), folder, "effective_mass")
    plots.save(plots.rejection_histogram(rejections, table), folder, "rejection_runs")
