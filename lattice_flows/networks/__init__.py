"""Conditioners: networks from the frozen sites of a field to several fields on the active ones, one a file, and their registry."""

from lattice_flows.networks.propagator import (
    NETWORKS,
    ConvolutionalNetwork,
    DenseNetwork,
    Parity,
    PropagatorNetwork,
)

__all__ = ["NETWORKS", "ConvolutionalNetwork", "DenseNetwork", "Parity", "PropagatorNetwork"]
