"""The registry of flows. `flows` fills it; a flow that is made of another one finds it here."""

from lattice_flows.config import Registry

__all__ = ["FLOWS"]

FLOWS = Registry("flow")
