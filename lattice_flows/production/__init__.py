"""Production runs: from a flow, or from another sampler, to an ensemble, and from an ensemble to its result."""

from lattice_flows.io.ensembles import ENSEMBLE
from lattice_flows.production.chains import baseline_run, check_moves, check_samples, latent_run
from lattice_flows.production.ensembles import check_continues
from lattice_flows.production.measuring import measure_run
from lattice_flows.production.proposals import check_proposes, flow_proposals, sample_run

__all__ = [
    "ENSEMBLE",
    "baseline_run",
    "check_continues",
    "check_moves",
    "check_proposes",
    "check_samples",
    "flow_proposals",
    "latent_run",
    "measure_run",
    "sample_run",
]
