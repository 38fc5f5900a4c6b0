"""What a run is doing, and how long that and all of it will take: on a terminal, or in a log file. Imports nothing but rich."""

from lattice_flows.progress.display import Bar, Progress
from lattice_flows.progress.plan import Part

__all__ = ["Bar", "Part", "Progress"]
