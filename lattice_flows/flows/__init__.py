"""Flows: a prior and a chain of bijectors, one kind a file, and their registry."""

from lattice_flows.flows.flow import FLOWS, Flow, affine, continuous

__all__ = ["FLOWS", "Flow", "affine", "continuous"]
