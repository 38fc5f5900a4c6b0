"""Conditioners: networks from the frozen sites of a field to several fields on the active ones, one a file, and their registry."""

from lattice_flows.config import Registry
from lattice_flows.networks.conditioner import Conditioner, Parity
from lattice_flows.networks.convolutional import CombinationalNetwork, ConvolutionalNetwork
from lattice_flows.networks.dense import DenseNetwork
from lattice_flows.networks.propagator import PropagatorNetwork

__all__ = [
    "NETWORKS",
    "CombinationalNetwork",
    "Conditioner",
    "ConvolutionalNetwork",
    "DenseNetwork",
    "Parity",
    "PropagatorNetwork",
]

NETWORKS = Registry(
    "network",
    {
        "combinational": CombinationalNetwork,
        "convolutional": ConvolutionalNetwork,
        "dense": DenseNetwork,
        "propagator": PropagatorNetwork,
    },
)
