"""The typed form of a configuration file: load, override, check, dump. No TensorFlow.

A file may name another one, or a list of them, under the key ``include`` (paths relative to itself). Its own entries then stand
on top of the included ones, and of these the later on top of the earlier. Mappings are merged key by key, except that a mapping
with a different ``name`` replaces the one below it whole: another network does not inherit the old one's options.

Parts that methods developers add (flows, priors, networks, actions) are `Component`s: a registered name and the keyword
parameters of the registered constructor. `build` checks them against the constructor's own signature, so that a new part needs
no second description here.
"""

import copy
import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt

from lattice_flows.config.errors import ConfigError, explain

__all__ = [
    "ChainConfig",
    "Checked",
    "Component",
    "HMCConfig",
    "MetropolisConfig",
    "Numbers",
    "Probability",
    "RunConfig",
    "Sizes",
    "TrainingConfig",
    "load",
]

Sizes = Annotated[tuple[PositiveInt, ...], Field(strict=False)]  # YAML has lists, a checked configuration has tuples
Numbers = Annotated[tuple[PositiveFloat, ...], Field(strict=False)]
Probability = Annotated[float, Field(gt=0, lt=1)]


class Checked(BaseModel):
    """Unknown keys and values of another type are refused; a checked configuration does not change any more."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Component(BaseModel):
    """A registered name and the parameters of what is registered under it, checked when it is built."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    name: str

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.__pydantic_extra__ or {})


class LatticeConfig(Checked):
    """Periodic hypercubic lattice with spacing 1."""

    shape: Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(strict=False, min_length=1, max_length=4)]


class ScheduleConfig(Checked):
    """Learning rate against training step."""

    name: Literal["constant", "cosine", "steps"] = "cosine"
    boundaries: Sizes = ()
    factor: Annotated[float, Field(gt=0, le=1)] = 0.1


class TrainingConfig(Checked):
    """Optimisation, evaluation and stopping."""

    steps: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    optimizer: Component
    gradient: Literal["path", "reparameterisation"]
    absolute_error_steps: NonNegativeInt
    schedule: ScheduleConfig
    evaluate_every: PositiveInt
    evaluation_samples: Annotated[int, Field(ge=8192)]
    target_acceptance: Probability | None
    max_minutes: PositiveFloat | None
    init_from: str | None


class ChainConfig(Checked):
    """The independence Metropolis chain drawn from the trained flow."""

    length: Annotated[int, Field(ge=1000)]
    batch_size: PositiveInt
    thermalisation: Annotated[int, Field(ge=0)]


class HMCConfig(Checked):
    """Hybrid Monte Carlo for comparison."""

    chains: PositiveInt
    trajectories: Annotated[int, Field(ge=10)]
    thermalisation: Annotated[int, Field(ge=10)]
    leapfrog_steps: PositiveInt
    target_acceptance: Probability
    save_every: PositiveInt
    successive: Annotated[int, Field(ge=10)]

    @pydantic.field_validator("save_every")
    @classmethod
    def _enough_is_saved(cls, save_every: int, info: pydantic.ValidationInfo) -> int:
        trajectories = info.data.get("trajectories", 10 * save_every)
        if 10 * save_every > trajectories:
            raise ValueError(f"of {trajectories} trajectories, fewer than the 10 that errors need would be saved")
        return save_every


class MetropolisConfig(Checked):
    """Local Metropolis for comparison."""

    chains: PositiveInt
    configurations: Annotated[int, Field(ge=10)]
    sweeps_between: PositiveInt
    thermalisation: Annotated[int, Field(ge=10)]
    target_acceptance: Probability
    successive: Annotated[int, Field(ge=10)]


class RunConfig(Checked):
    """One run: a flow trained on one action, used to sample it."""

    seed: Annotated[int, Field(ge=0)]
    lattice: LatticeConfig
    action: Component
    flow: Component
    training: TrainingConfig
    chain: ChainConfig
    hmc: HMCConfig
    metropolis: MetropolisConfig
    stages: Annotated[tuple[dict[str, Any], ...], Field(strict=False)]

    def stage_configs(self) -> "list[RunConfig]":
        """The runs to train before this one: each is this one with the entries of `stages`.

        Raises:
          ConfigError: an entry that cannot be used.
        """
        tree = self.model_dump(mode="json") | {"stages": []}
        return [_checked(_merge(tree, entries), f"stage {index}") for index, entries in enumerate(self.stages, 1)]

    def dump(self) -> str:
        """YAML text that `load` reads back to an equal configuration."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    def differences(self, other: "RunConfig | dict[str, Any]") -> dict[str, tuple[Any, Any]]:
        """Dotted key -> (value here, value there), for every key in which two configurations (or their dumps as JSON) differ."""
        tree = other if isinstance(other, dict) else other.model_dump(mode="json")
        here, there = _flatten(self.model_dump(mode="json")), _flatten(tree)
        keys = sorted(here.keys() | there.keys())
        return {key: (here.get(key), there.get(key)) for key in keys if here.get(key) != there.get(key)}


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads ``1e-3`` as text; everybody who writes it means a number."""


_Loader.yaml_implicit_resolvers = copy.deepcopy(yaml.SafeLoader.yaml_implicit_resolvers)
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789"))


def load(path: str | Path, *overrides: Mapping[str, Any] | Path) -> RunConfig:
    """Reads a configuration file, puts the overrides on top, and checks the result.

    Args:
      path: a YAML file.
      *overrides: nested mappings or further YAML files, the later the stronger.

    Raises:
      ConfigError: a file that cannot be read, an unknown, missing or mistyped key.
    """
    tree = _read(Path(path))
    for override in overrides:
        tree = _merge(tree, _read(override) if isinstance(override, Path) else override)
    config = _checked(tree, str(path))
    config.stage_configs()
    return config


def _checked(tree: Mapping[str, Any], where: str) -> RunConfig:
    try:
        return RunConfig.model_validate(tree)
    except pydantic.ValidationError as error:
        raise ConfigError(f"{where}: {explain(error, RunConfig)}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.load(path.read_text(), Loader=_Loader)
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must hold a mapping of keys to values, not {type(tree).__name__}")
    below = tree.pop("include", [])
    layers = [_read(path.parent / file) for file in ([below] if isinstance(below, str) else below)]
    return functools.reduce(_merge, [*layers, tree])


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    if "name" in above and above["name"] != below.get("name", above["name"]):
        return dict(above)
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {k: v for key, value in tree.items() for k, v in _flatten(value, f"{prefix}.{key}" if prefix else key).items()}
