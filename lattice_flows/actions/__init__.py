"""Euclidean lattice actions, one a file, and their registry."""

from lattice_flows.actions.scalar_phi4 import ScalarPhi4
from lattice_flows.config import Registry

__all__ = ["ACTIONS", "ScalarPhi4"]

ACTIONS = Registry("action", {"scalar_phi4": ScalarPhi4})
