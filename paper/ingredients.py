"""What tables and figures are made from: the results of flows and of baselines."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lattice_flows.measurement.result import Result
from lattice_flows.paper.cases import RESULTS, Case
from lattice_flows.reading import read_json, reading

__all__ = ["Ingredients", "stored", "stored_flows"]


class Ingredients(NamedTuple):
    """Results by where they come from.

    Attributes:
      flows: run of the reproduction -> its result.
      baselines: ensemble and sampler ("hmc", "metropolis") -> its result.
    """

    flows: Mapping[Case, Result]
    baselines: Mapping[tuple[str, str], Result]

    def samplers(self, table: str) -> dict[str, Result]:
        """Label -> result on an ensemble, of the flow at the end of its training and of both baselines."""
        flow = self.flows[Case(table)]
        return {
            f"{flow.flow} flow": flow,
            "HMC": self.baselines[table, "hmc"],
            "local Metropolis": self.baselines[table, "metropolis"],
        }

    def fully_trained(self) -> list[Result]:
        """The results of flows at the end of their training."""
        return [result for case, result in self.flows.items() if case.stop is None]

    def seeds(self, tables: Sequence[str]) -> str:
        """The seeds of all results on some ensembles, for captions."""
        used: Iterable[tuple[tuple, Result]] = (*self.flows.items(), *self.baselines.items())
        seeds = sorted({result.seed for (table, _), result in used if table in tables})
        return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"


def stored(flow_name: str, case: Case) -> Result:
    """The result in `paper/results` of a flow."""
    path = RESULTS / case.stored_as(flow_name) / f"{case.table}.json"
    with reading(path):
        return Result.from_json(read_json(path))


def stored_flows(table: str) -> list[Result]:
    """The results in `paper/results` of all flows that were trained to the end on an ensemble."""
    flows = sorted(path.parent.name for path in RESULTS.glob(f"*/{table}.json"))
    results = {flow: stored(flow, Case(table)) for flow in flows}
    return [result for flow, result in results.items() if result.flow == flow]  # not those at a fixed acceptance
