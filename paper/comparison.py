"""Whether a result agrees with its references and with the paper."""

from lattice_flows.measurement.result import Result
from lattice_flows.paper.references import published, reference

__all__ = ["compared"]


def compared(result: Result) -> Result:
    """A result beside HMC's numbers and the paper's for its lattice and action. Exact references take the place of HMC's."""
    hmc = reference(result.lattice_shape, result.action)
    known = {name: row.estimate for name, row in hmc.observables.items()} if hmc else {}
    return result.compared(known, published(result.lattice_shape, result.action))
