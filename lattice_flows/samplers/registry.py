"""The registry of samplers."""

from lattice_flows.config import ConfigError, Registry
from lattice_flows.samplers.annealed import Annealed
from lattice_flows.samplers.cluster import Cluster
from lattice_flows.samplers.flow_hmc import PCN, FlowHMC
from lattice_flows.samplers.fourier_hmc import FourierHMC
from lattice_flows.samplers.hmc import HMC
from lattice_flows.samplers.independence import IndependenceMetropolis
from lattice_flows.samplers.metropolis import LocalMetropolis
from lattice_flows.samplers.tempering import Tempering

__all__ = ["SAMPLERS", "check_weighted"]

SAMPLERS = Registry(
    "sampler",
    {
        "hmc": HMC,
        "fourier_hmc": FourierHMC,
        "metropolis": LocalMetropolis,
        "cluster": Cluster,
        "independence": IndependenceMetropolis,
        "annealed": Annealed,
        "flow_hmc": FlowHMC,
        "pcn": PCN,
        "tempering": Tempering,
    },
)


def check_weighted(name: str) -> None:
    """Refuses a sampler that cannot be `chain.sampler`, the one of a trained flow's chain.

    Raises:
      ConfigError: it is unknown, or draws no independent proposals.
    """
    sampler = SAMPLERS.find(name)
    if not sampler.weighted:
        instead = f"sample --sampler {name}" if sampler.needs_flow else f"baseline --sampler {name}"
        raise ConfigError(
            f"chain.sampler is {name!r}, which draws no independent proposals: use one that does, such as independence; "
            f"chains of {name} are drawn by {instead}"
        )
