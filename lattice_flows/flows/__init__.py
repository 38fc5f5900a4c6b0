"""Flows: a prior and a chain of bijectors, one kind a file, and their registry."""

from lattice_flows.flows.affine import affine
from lattice_flows.flows.conditioned import conditioned
from lattice_flows.flows.continuous import continuous
from lattice_flows.flows.flow import Flow
from lattice_flows.flows.registry import FLOWS
from lattice_flows.flows.symmetrized import symmetrized
from lattice_flows.flows.weights import assign, load_weights, save_weights, transfer_weights

__all__ = [
    "FLOWS",
    "Flow",
    "affine",
    "assign",
    "conditioned",
    "continuous",
    "load_weights",
    "save_weights",
    "symmetrized",
    "transfer_weights",
]

FLOWS.update({"affine": affine, "conditioned": conditioned, "continuous": continuous, "symmetrized": symmetrized})
