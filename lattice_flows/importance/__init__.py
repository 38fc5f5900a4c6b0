"""Importance weights of flow samples, `log_weight = -S(phi) - log q(phi)`, and what follows from them. All in float64."""

from lattice_flows.importance.estimators import (
    BrokenFlow,
    effective_sample_size,
    expected_acceptance,
    forward_effective_sample_size,
    integration_error,
    k_hat,
    kl_divergence,
    largest_k_hat,
    log_z,
)
from lattice_flows.importance.sampler import INTEGRATION_TOLERANCE, WeightedSampler

__all__ = [
    "INTEGRATION_TOLERANCE",
    "BrokenFlow",
    "WeightedSampler",
    "effective_sample_size",
    "expected_acceptance",
    "forward_effective_sample_size",
    "integration_error",
    "k_hat",
    "kl_divergence",
    "largest_k_hat",
    "log_z",
]
