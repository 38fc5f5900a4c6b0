"""Euclidean lattice actions, one in each file, and their registry."""

from lattice_flows.actions.action import Action
from lattice_flows.actions.scalar_phi4 import ScalarPhi4
from lattice_flows.config import Registry

__all__ = ["ACTIONS", "Action", "ScalarPhi4"]

ACTIONS = Registry("action", {"scalar_phi4": ScalarPhi4})
