"""Euclidean lattice actions, one in each file, and their registry."""

from collections.abc import Mapping
from typing import Any

from lattice_flows.actions.action import Action
from lattice_flows.actions.scalar_phi4 import ScalarPhi4
from lattice_flows.actions.trial import check_action
from lattice_flows.config import Component, Registry

__all__ = ["ACTIONS", "Action", "ScalarPhi4", "check_action"]


class _Actions(Registry):
    """The registry of actions, which tries what it builds: a mistake in an action shows before anything is written."""

    def build(self, component: Component | Mapping[str, Any] | str, *arguments: Any) -> Any:
        action = super().build(component, *arguments)
        check_action(action)
        return action


ACTIONS = _Actions("action", {"scalar_phi4": ScalarPhi4})
"""What an action is: `S(phi)` of the target density `exp(-S) / Z`, and its other properties."""
