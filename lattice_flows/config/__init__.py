"""Configurations of runs, typed and checked. No TensorFlow."""

from lattice_flows.config.aliases import translated
from lattice_flows.config.errors import ConfigError
from lattice_flows.config.loader import CONFIGS, TRAINED, find, load
from lattice_flows.config.registry import Registry
from lattice_flows.config.schema import (
    ChainConfig,
    Component,
    LatticeConfig,
    Numbers,
    Probability,
    RunConfig,
    SamplerConfig,
    ScheduleConfig,
    Sizes,
    TrainingConfig,
    checked_field,
)
from lattice_flows.errors import nearest

__all__ = [
    "CONFIGS",
    "TRAINED",
    "ChainConfig",
    "Component",
    "ConfigError",
    "LatticeConfig",
    "Numbers",
    "Probability",
    "Registry",
    "RunConfig",
    "SamplerConfig",
    "ScheduleConfig",
    "Sizes",
    "TrainingConfig",
    "checked_field",
    "find",
    "load",
    "nearest",
    "translated",
]
