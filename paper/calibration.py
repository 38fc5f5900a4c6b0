"""How often the checks of a chain call a good one bad: short chains of the flows of `paper/trained`, each with its own seed."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from lattice_flows.config import ChainConfig
from lattice_flows.flows import load_weights
from lattice_flows.measurement.analysis import measure
from lattice_flows.measurement.checks import BAD, DOUBTFUL
from lattice_flows.paper.cases import STOPS, TABLES, Case
from lattice_flows.pipeline import build_model, recorded_config
from lattice_flows.production import sample_run
from lattice_flows.progress import Progress

__all__ = ["Calibrated", "calibrate", "calibrate_all"]

_CASES = [*(("affine", stop) for stop in (*STOPS, None)), ("continuous", None)]
_CHAIN = ChainConfig(length=2000, thermalisation=200)


class Calibrated(NamedTuple):
    """Verdicts on chains of one flow.

    Attributes:
      flow: its name, as in `paper/trained`, such as "affine_50".
      table: the ensemble.
      chains: their number.
      bad: how many chains any check calls bad.
      doubtful: how many others any check calls doubtful.
      checks: (check, verdict) -> how many chains.
    """

    flow: str
    table: str
    chains: int
    bad: int
    doubtful: int
    checks: Counter[tuple[str, str]]


def calibrate_all(chains: int, tables: Sequence[str] = TABLES, progress: Progress | None = None) -> list[Calibrated]:
    """Both flows at the end of their training, and the affine one at 50 % and 70 % acceptance.

    Args:
      chains: of each flow on each ensemble.
      tables: the ensembles.
      progress: where progress is shown; None for silence.
    """
    progress, found = progress or Progress(quiet=True), []
    for table in tables:
        for flow, stop in _CASES:
            with progress.working(f"{chains} chains of {Case(table, stop).stored_as(flow)}/{table}"):
                found.append(calibrate(flow, Case(table, stop), chains))
    return found


def calibrate(flow_name: str, case: Case, chains: int) -> Calibrated:
    """Draws and checks chains of 2000 configurations of one stored flow, with the seeds 1, 2, ...

    Raises:
      ConfigError: there are no such weights.
    """
    weights = case.weights(flow_name)
    flow, action = build_model(recorded_config(weights))
    training = load_weights(weights, flow)["summary"]
    checks, bad, doubtful = Counter(), 0, 0
    for seed in range(1, chains + 1):
        with sample_run(flow, action, _CHAIN, seed=seed, training=training) as ensemble:
            verdicts = [(check.name, check.verdict) for check in measure(ensemble, action).checks]
        wrong = [(name, verdict) for name, verdict in verdicts if verdict in (BAD, DOUBTFUL)]
        checks.update(wrong)
        bad += any(verdict == BAD for _, verdict in wrong)
        doubtful += bool(wrong) and all(verdict == DOUBTFUL for _, verdict in wrong)
    return Calibrated(case.stored_as(flow_name), case.table, chains, bad, doubtful, checks)
