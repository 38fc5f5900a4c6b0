"""Configurations of runs, typed and checked. No TensorFlow."""

from lattice_flows.config.aliases import translated
from lattice_flows.config.components import Component, Numbers, Probability, Sizes
from lattice_flows.config.errors import ConfigError
from lattice_flows.config.loader import CONFIGS, TRAINED, find, load, trained_weights
from lattice_flows.config.merging import on_top
from lattice_flows.config.registry import Registry
from lattice_flows.config.schema import (
    ChainConfig,
    LatticeConfig,
    RunConfig,
    SamplerConfig,
    ScheduleConfig,
    TrainingConfig,
    chain_settings,
    checked_field,
    latent_settings,
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
    "chain_settings",
    "checked_field",
    "find",
    "latent_settings",
    "load",
    "nearest",
    "on_top",
    "trained_weights",
    "translated",
]
