"""Whether a result agrees with its references and with the paper."""

from lattice_flows.measurement.result import Result
from lattice_flows.paper.references import published, reference

__all__ = ["compared"]


def compared(result: Result) -> Result:
    """A result beside those of HMC, or clusters, and of the paper for its lattice and action. Exact references stay."""
    found = reference(result.lattice_shape, result.action)
    known = {name: row.estimate for name, row in found.observables.items()} if found else {}
    return result.compared(known, published(result.lattice_shape, result.action), found.sampler if found else "hmc")
