"""Configurations of runs, typed and checked. No TensorFlow."""

from lattice_flows.config.errors import ConfigError, nearest
from lattice_flows.config.registry import Registry
from lattice_flows.config.schema import (
    ChainConfig,
    Component,
    HMCConfig,
    MetropolisConfig,
    Numbers,
    Probability,
    RunConfig,
    Sizes,
    TrainingConfig,
    load,
)

__all__ = [
    "ChainConfig",
    "Component",
    "ConfigError",
    "HMCConfig",
    "MetropolisConfig",
    "Numbers",
    "Probability",
    "Registry",
    "RunConfig",
    "Sizes",
    "TrainingConfig",
    "load",
    "nearest",
]
