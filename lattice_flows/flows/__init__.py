"""Flows: a prior and a chain of bijectors, one kind a file, and their registry."""

from lattice_flows.flows.affine import affine
from lattice_flows.flows.conditioned import conditioned
from lattice_flows.flows.continuous import continuous
from lattice_flows.flows.flow import Flow
from lattice_flows.flows.intermediate import intermediate_fields
from lattice_flows.flows.marginalized import for_action, marginalized, without_even_sites
from lattice_flows.flows.registry import FLOWS
from lattice_flows.flows.symmetrized import symmetrized
from lattice_flows.flows.weights import assign, check_transfer, load_weights, save_weights, transfer_weights

__all__ = [
    "FLOWS",
    "Flow",
    "affine",
    "assign",
    "check_transfer",
    "conditioned",
    "continuous",
    "for_action",
    "intermediate_fields",
    "load_weights",
    "marginalized",
    "save_weights",
    "symmetrized",
    "transfer_weights",
    "without_even_sites",
]

FLOWS.update(
    {
        "affine": affine,
        "conditioned": conditioned,
        "continuous": continuous,
        "marginalized": marginalized,
        "symmetrized": symmetrized,
    }
)
