"""The typed form of a configuration: every key, its type, its limits and its default. No TensorFlow.

`configs/base.yaml` documents every key. Only `lattice`, `action` and `flow` have no default.

Parts that can be extended (actions, flows, priors, networks, optimizers) are `Component`s: a registered name and the keyword
parameters of the registered constructor. A `Registry` checks them against the constructor's signature, so a new part needs no
second description here.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat
from pydantic_core import PydanticCustomError

from lattice_flows.config.aliases import translated, with_updates
from lattice_flows.config.errors import OUT_OF_RANGE, ConfigError, explain, shown
from lattice_flows.config.merging import on_top

__all__ = [
    "ChainConfig",
    "Checked",
    "Component",
    "LatticeConfig",
    "Numbers",
    "Probability",
    "RunConfig",
    "SamplerConfig",
    "ScheduleConfig",
    "Sizes",
    "TrainingConfig",
    "checked_field",
]

# Larger numbers overflow in TensorFlow and NumPy.
_BELOW = 2**31
PositiveInt = Annotated[int, Field(gt=0, lt=_BELOW)]
NonNegativeInt = Annotated[int, Field(ge=0, lt=_BELOW)]
Sizes = Annotated[tuple[PositiveInt, ...], Field(strict=False)]  # YAML has lists, a checked configuration has tuples
Numbers = Annotated[tuple[PositiveFloat, ...], Field(strict=False)]
Probability = Annotated[float, Field(gt=0, lt=1)]

_FEWEST_CONFIGURATIONS = 10  # of a chain; fewer have no error estimate


class Checked(BaseModel):
    """Refuses unknown keys and values of another type; a checked configuration is immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _numbers(value: Any, key: str = "") -> Iterator[tuple[str, int | float]]:
    """Dotted keys and numbers in nested mappings and lists."""
    if isinstance(value, int | float):
        yield key, value
    elif isinstance(value, Mapping | list | tuple):
        for name, entry in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _numbers(entry, f"{key}.{name}" if key else str(name))


def _check_numbers(parameters: Mapping[str, Any]) -> None:
    for key, number in _numbers(parameters):
        if not (math.isfinite(number) if isinstance(number, float) else abs(number) < _BELOW):
            context = {"key": key, "value": shown(number)}
            raise PydanticCustomError(OUT_OF_RANGE, "it must be a finite number, an integer below 2^31", context)


class Component(BaseModel):
    """A registered name and the parameters of what is registered under it; `Registry.build` checks them.

    A plain string is short for a name without parameters.

    Attributes:
      name: the registered name.
      inherited: parameters that were written for a component of another name; those that this one does not take are dropped.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)
    name: str
    inherited: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @pydantic.model_validator(mode="after")
    def _within_range(self) -> "Component":
        _check_numbers(self.parameters)
        return self

    @pydantic.model_serializer(mode="wrap")
    def _without_empty_mark(self, serialize: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        tree = serialize(self)
        if not self.inherited:
            del tree["inherited"]
        return tree

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.__pydantic_extra__ or {})


class LatticeConfig(Checked):
    """Periodic hypercubic lattice with spacing 1."""

    shape: Annotated[tuple[Annotated[int, Field(ge=2, lt=_BELOW)], ...], Field(strict=False, min_length=1, max_length=4)]


class ScheduleConfig(Checked):
    """Learning rate against training step."""

    name: Literal["constant", "cosine", "steps"] = "cosine"
    boundaries: Sizes = ()
    factor: Annotated[float, Field(gt=0, le=1)] = 0.1


class TrainingConfig(Checked):
    """Optimisation, evaluation and stopping."""

    steps: PositiveInt = 300
    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat = 0.3
    loss: str = "reverse_kl"
    initial_loss: str | None = None
    initial_loss_steps: Annotated[NonNegativeInt, Field(validate_default=True)] = 0
    gradient: str = "path"
    optimizer: Component = Component(name="natural_gradient")
    schedule: ScheduleConfig = ScheduleConfig()
    evaluate_every: PositiveInt = 50
    evaluation_samples: Annotated[int, Field(ge=8192, lt=_BELOW)] = 8192
    target_acceptance: Probability | None = None
    max_minutes: PositiveFloat | None = None
    init_from: str | None = None
    forward_samples: str | None = None
    forward_share: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @pydantic.field_validator("initial_loss_steps")
    @classmethod
    def _both_or_neither(cls, steps: int, info: pydantic.ValidationInfo) -> int:
        loss = info.data.get("initial_loss")
        if "initial_loss" in info.data and (loss is not None) != (steps > 0):
            raise ValueError(f"initial_loss is {loss}: give initial_loss and a positive initial_loss_steps, or neither")
        return steps

    @pydantic.field_validator("forward_share")
    @classmethod
    def _has_samples(cls, share: float, info: pydantic.ValidationInfo) -> float:
        if share and info.data.get("forward_samples") is None:
            raise ValueError(f"forward_share is {share}: steps of forward KL need samples of the target, give forward_samples too")
        return share

    @pydantic.field_validator("optimizer", mode="before")
    @classmethod
    def _default_optimizer(cls, value: Any) -> Any:
        return {"name": "natural_gradient", **value} if isinstance(value, Mapping) else value


class ChainConfig(Checked):
    """The independence Metropolis chain drawn from the trained flow."""

    length: Annotated[int, Field(ge=1000, lt=_BELOW)] = 1_000_000
    batch_size: PositiveInt = 512
    thermalisation: NonNegativeInt = 1000


class SamplerConfig(BaseModel):
    """A sampler that the flow is compared with. Further keys are keyword parameters of the registered sampler.

    An update is a trajectory of HMC or a sweep of local Metropolis.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)
    chains: PositiveInt = 256
    updates: Annotated[int, Field(ge=_FEWEST_CONFIGURATIONS, lt=_BELOW)] = 39_100
    thinning: PositiveInt = 10
    thermalisation: Annotated[int, Field(ge=10, lt=_BELOW)] = 1000
    target_acceptance: Probability = 0.7
    successive: Annotated[int, Field(ge=_FEWEST_CONFIGURATIONS, lt=_BELOW)] = 2000

    @pydantic.field_validator("thinning")
    @classmethod
    def _keeps_enough(cls, thinning: int, info: pydantic.ValidationInfo) -> int:
        updates = info.data.get("updates", _FEWEST_CONFIGURATIONS * thinning)
        if _FEWEST_CONFIGURATIONS * thinning > updates:
            raise ValueError(
                f"a thinning of {thinning} keeps fewer than {_FEWEST_CONFIGURATIONS} configurations of {updates} updates, "
                "too few for error estimates"
            )
        return thinning

    @pydantic.model_validator(mode="after")
    def _within_range(self) -> "SamplerConfig":
        own = self.__pydantic_extra__ or {}
        _check_numbers(own)
        if taken := own.keys() & Component.model_fields.keys():
            raise ValueError(f"a sampler has no parameter {taken.pop()!r}")
        return self

    def component(self, name: str) -> Component:
        """The component that `SAMPLERS` builds: `chains`, `target_acceptance` and the sampler's own parameters."""
        own = {"chains": self.chains, "target_acceptance": self.target_acceptance, **(self.__pydantic_extra__ or {})}
        return Component(name=name, **own)


_SAMPLERS: dict[str, dict[str, int]] = {
    "hmc": {"leapfrog_steps": 10},
    "metropolis": {"thermalisation": 2000, "successive": 4000},
}


class RunConfig(Checked):
    """One run: a flow trained on one action, used to sample it."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    lattice: LatticeConfig
    action: Component
    flow: Component
    training: TrainingConfig = TrainingConfig()
    chain: ChainConfig = ChainConfig()
    samplers: Annotated[dict[str, SamplerConfig], Field(validate_default=True)] = {}
    stages: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = ()

    @pydantic.field_validator("samplers", mode="before")
    @classmethod
    def _default_samplers(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        if "metropolis" in value:
            value = {**value, "metropolis": with_updates(value["metropolis"], SamplerConfig.model_fields["thinning"].default)}
        given = {name: settings for name, settings in value.items() if name not in _SAMPLERS}
        known = {name: _with_defaults(settings, value.get(name, {})) for name, settings in _SAMPLERS.items()}
        return known | given

    @classmethod
    def checked(cls, tree: Mapping[str, Any], where: str) -> "RunConfig":
        """The configuration of a tree of keys. Raises `ConfigError`, whose message begins with `where`."""
        try:
            return cls.model_validate(tree)
        except pydantic.ValidationError as error:
            raise ConfigError(f"{where}: {explain(error, cls)}") from None

    def stage_configs(self) -> "list[RunConfig]":
        """The runs to train before this one: each is this one with the entries of one of its `stages`.

        Raises:
          ConfigError: an entry that cannot be used.
        """
        without = {"training": {"forward_samples": None, "forward_share": 0.0}}  # which are of another target
        tree = on_top(self.model_dump(mode="json") | {"stages": []}, without)
        found = [RunConfig.checked(on_top(tree, entries), f"stage {index}") for index, entries in enumerate(self.stages, 1)]
        for index, stage in enumerate(found, 1):
            if len(stage.lattice.shape) != len(self.lattice.shape):
                there, here = stage.lattice.shape, self.lattice.shape
                raise ConfigError(f"stage {index} has the lattice {there}, of another dimension than {here}: change the stages too")
        return found

    def sampler(self, name: str) -> SamplerConfig:
        """The settings of a sampler, or the defaults where the configuration does not mention it."""
        return self.samplers.get(name, SamplerConfig())

    def dump(self) -> str:
        """YAML text that `load` reads back to an equal configuration."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    def differences(self, other: "RunConfig | Mapping[str, Any]") -> dict[str, tuple[Any, Any]]:
        """Dotted key -> (value here, value there), for every key in which two configurations differ.

        Args:
          other: a configuration, or its dump (also one of an earlier version).
        """
        tree = other.model_dump(mode="json") if isinstance(other, RunConfig) else translated(other)
        here, there = _flatten(self.model_dump(mode="json")), _flatten(tree)
        keys = sorted(here.keys() | there.keys())
        return {key: (here.get(key), there.get(key)) for key in keys if here.get(key) != there.get(key)}


def checked_field(model: type[BaseModel], name: str, value: Any, where: str) -> Any:
    """A value for a key of a model alone. Raises `ConfigError`, whose message begins with `where`."""
    field = model.model_fields[name]
    fields: dict[str, Any] = {"value": (field.annotation, field)}
    one = pydantic.create_model(name, __base__=Checked, **fields)
    try:
        checked: Any = one.model_validate({"value": value})
        return checked.value
    except pydantic.ValidationError as error:
        raise ConfigError(f"{where} has the value {shown(value)}: {error.errors()[0]['msg'].lower()}") from None


def _with_defaults(defaults: Mapping[str, Any], settings: Any) -> Any:
    return {**defaults, **settings} if isinstance(settings, Mapping) else settings


def _flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, Mapping):
        return {prefix: tree}
    return {k: v for key, value in tree.items() for k, v in _flatten(value, f"{prefix}.{key}" if prefix else key).items()}
