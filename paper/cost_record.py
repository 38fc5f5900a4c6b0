"""The record of what updates cost, beside what else an independent configuration depends on, which is looked up when it is read."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from lattice_flows.io.arrays import file_fingerprint
from lattice_flows.measurement.result import Result
from lattice_flows.paper.cases import LARGER, TABLES, Case
from lattice_flows.paper.ingredients import stored_flows
from lattice_flows.paper.records import COST, read_record, record_file, write_record
from lattice_flows.paper.references import samplers

__all__ = ["OBSERVABLE", "Cost", "costs", "curves", "record", "tau_int_of_updates"]

# The slowest of the usual observables for local algorithms.
OBSERVABLE = "two_point_susceptibility"
_HEAD = "Cost of an update of each sampler; written by scripts/benchmark.py --cost."


class Cost(NamedTuple):
    """What a sampler costs on an ensemble.

    Attributes:
      table: the ensemble.
      sampler: or flow.
      milliseconds_per_update: median over the rounds.
      tau_int: of `OBSERVABLE`, in updates: that of the stored result of a flow or baseline, where there is one.
      training_seconds: of the flow, earlier trainings included; 0 for baselines.
    """

    table: str
    sampler: str
    milliseconds_per_update: float
    tau_int: float
    training_seconds: float

    @property
    def independent(self) -> float:
        """Milliseconds for an independent configuration, `2 tau_int` updates; training is not counted."""
        return 2 * self.tau_int * self.milliseconds_per_update


def tau_int_of_updates(baseline: Result) -> float:
    """The autocorrelation time of `OBSERVABLE` in updates."""
    value, _ = baseline.chain["tau_int_of_updates"][OBSERVABLE]
    return value


def record(found: Mapping[str, Mapping[str, Any]], path: Path | None = None) -> Path:
    """Adds what `lattice_flows.paper.cost.measure` found on some ensembles to a record, or replaces it there.

    Args:
      found: by ensemble.
      path: the file; None for `paper/cost.yaml` of this clone.

    Returns:
      the file.

    Raises:
      RunError: the file cannot be written.
    """
    path = record_file(COST, path)
    write_record(path, _HEAD, read_record(path) | dict(found), sort_keys=False)
    return path


def costs(path: Path = COST) -> Iterator[Cost]:
    """The costs that a record knows. A flow that was timed with other weights than those of `paper/trained` is left out."""
    for table, entry in read_record(path).items():
        flows = {result.flow: result for result in stored_flows(table)}
        config = Case(table).configuration()
        baselines = samplers(config.lattice.shape, config.action.model_dump())
        for name, row in entry["samplers"].items():
            if "weights" not in row:
                tau_int = tau_int_of_updates(baselines[name]) if name in baselines else row["tau_int"]
                yield Cost(table, name, row["milliseconds_per_update"], tau_int, 0.0)
            elif name in flows and row["weights"] == file_fingerprint(Case(table).weights(name)):
                tau_int = flows[name].estimate(OBSERVABLE).tau_int
                yield Cost(table, name, row["milliseconds_per_update"], tau_int, flows[name].training_seconds)


def curves(path: Path = COST) -> dict[str, dict[int, float]]:
    """Sampler -> L -> milliseconds for an independent value of `OBSERVABLE`, without training, from a record.

    Of the paper's line of constant physics alone.
    """
    found: dict[str, dict[int, float]] = {}
    for table, of_table in groupby(costs(path), lambda cost: cost.table):
        if table in (*TABLES, *LARGER):
            extent = max(Case(table).configuration().lattice.shape)
            for cost in of_table:
                found.setdefault(cost.sampler, {})[extent] = cost.independent
    return found
