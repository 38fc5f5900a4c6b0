"""The figures of runs on one ensemble, each with its caption; the report shows them, and a reproduction saves them too."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from lattice_flows import plots
from lattice_flows.report.names import MINUS
from lattice_flows.report.runs import Run

__all__ = ["Captioned", "of_a_run", "of_an_ensemble"]

_FRAMES = 5


class Captioned(NamedTuple):
    """A figure with its caption."""

    figure: Figure
    caption: str


def of_an_ensemble(runs: Sequence[Run], title: str = "") -> dict[str, Captioned]:
    """Name -> figure, of all runs on one lattice and with one action, as far as they have what is drawn.

    Args:
      runs: of flows and of other samplers.
      title: of every figure.
    """
    measured = {run.name: run.result for run in runs if run.result is not None}
    histories = {run.name: run.history for run in runs if run.history}
    weights = {run.name: run.excerpt.log_weight for run in runs if run.excerpt and run.excerpt.log_weight is not None}
    found: dict[str, Captioned] = {}
    if histories:
        stages = " A dotted line ends a stage." if any(len(of) > 1 for of in histories.values()) else ""
        caption = f"Training: distance from the target, acceptance, and effective sample size (ESS), on fresh samples.{stages}"
        found["training_history"] = Captioned(plots.training_history(histories, title), caption)
    green = {name: result.zero_momentum_green for name, result in measured.items()}
    if any(point is not None for curve in green.values() for point in curve):
        caption = "Connected two-point (Green's) function at zero momentum, eq. 23 of arXiv:1904.12072."
        found["zero_momentum_green"] = Captioned(plots.zero_momentum_green(green, title), caption)
    masses = {name: result.effective_mass for name, result in measured.items()}
    if any(point is not None for curve in masses.values() for point in curve):
        poles = {name: result.estimate("pole_mass") for name, result in measured.items()}
        caption = "Effective mass, eq. 28; the bands are the pole masses of the cosh fits."
        found["effective_mass"] = Captioned(plots.effective_mass(masses, poles, title), caption)
    rejections = {
        name: (result.rejection_runs, _updates(result.chain)) for name, result in measured.items() if result.rejection_runs
    }
    if rejections:
        caption = "Rejections in a row. A straight line would be rejections that do not depend on the configuration."
        found["rejection_runs"] = Captioned(plots.rejection_histogram(rejections, title), caption)
    if weights:
        caption = "Log weights of the proposals; those beyond the outermost 0.1 % are counted in the last bin."
        found["log_weights"] = Captioned(plots.log_weight_histogram(weights, title), caption)
    return found


def of_a_run(run: Run) -> dict[str, Captioned]:
    """Name -> figure, of what is not drawn together with other runs."""
    found: dict[str, Captioned] = {}
    if run.film is not None:
        at = np.linspace(0, len(run.film.labels) - 1, _FRAMES).astype(int)
        frames = {run.film.labels[n].replace(": ", "\n"): run.film.fields[n] for n in at}
        caption = "From noise to field: one sample of the flow on its way."
        found["noise_to_field"] = Captioned(plots.configurations(frames, columns=_FRAMES), caption)
    if run.excerpt is None:
        return found
    if run.excerpt.action is not None and run.excerpt.log_q is not None:
        caption = (
            f"Action against {MINUS}log q of {len(run.excerpt.action)} proposals. Those of a perfect flow would lie on the line; "
            "the distance from it, below, is what decides between acceptance and rejection."
        )
        found["action_against_log_q"] = Captioned(plots.action_against_log_q(run.excerpt.action, run.excerpt.log_q), caption)
    caption = "Configurations far apart in the chain."
    found["configurations"] = Captioned(plots.configurations(run.excerpt.fields), caption)
    caption = "The first configurations of the chain, one after the other."
    found["successive"] = Captioned(plots.configurations(run.excerpt.successive, columns=_FRAMES), caption)
    return found


def _updates(chain: Mapping[str, Any]) -> int:
    return chain["length"] if "length" in chain else chain["chains"] * chain["updates"]
