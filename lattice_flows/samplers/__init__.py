"""Markov chains with the exact distribution: a sampler is `init` and `step`, and one `run_chain` runs them all."""

from lattice_flows.samplers.annealed import Annealed
from lattice_flows.samplers.chain import ChainState, Chunk, Sampler, run_chain
from lattice_flows.samplers.cluster import Cluster
from lattice_flows.samplers.drawing import Drawing, Stretch
from lattice_flows.samplers.flow_hmc import PCN, FlowHMC
from lattice_flows.samplers.fourier_hmc import FourierHMC
from lattice_flows.samplers.hmc import HMC
from lattice_flows.samplers.independence import IndependenceMetropolis
from lattice_flows.samplers.metropolis import LocalMetropolis
from lattice_flows.samplers.registry import SAMPLERS, check_weighted
from lattice_flows.samplers.tempering import Tempering

__all__ = [
    "HMC",
    "PCN",
    "SAMPLERS",
    "Annealed",
    "ChainState",
    "Chunk",
    "Cluster",
    "Drawing",
    "FlowHMC",
    "FourierHMC",
    "IndependenceMetropolis",
    "LocalMetropolis",
    "Sampler",
    "Stretch",
    "Tempering",
    "check_weighted",
    "run_chain",
]
