"""The report on runs: one page of HTML with all that they have left on disk. No TensorFlow."""

from lattice_flows.report import figures, page
from lattice_flows.report.content import sections, write
from lattice_flows.report.page import Section
from lattice_flows.report.runs import Run, read_run, read_runs, sampler_name

__all__ = ["Run", "Section", "figures", "page", "read_run", "read_runs", "sampler_name", "sections", "write"]
