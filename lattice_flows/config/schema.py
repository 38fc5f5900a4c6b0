"""The typed form of a configuration: every key, its type, its limits and its default. No TensorFlow.

`configs/base.yaml` documents every key. Only `lattice`, `action` and `flow` have no default.

Parts that can be extended (actions, flows, priors, networks, optimizers) are `Component`s: a registered name and the keyword
parameters of the registered constructor. A `Registry` checks them against the constructor's signature, so a new part needs no
second description here.
"""

import functools
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from lattice_flows.config.aliases import translated, with_updates
from lattice_flows.config.components import (
    BELOW,
    Checked,
    Component,
    NonEmptyStr,
    NonNegativeInt,
    PositiveInt,
    Probability,
    Sizes,
    check_numbers,
)
from lattice_flows.config.errors import ConfigError, explain, shown, worded
from lattice_flows.config.merging import on_top

__all__ = [
    "ChainConfig",
    "LatticeConfig",
    "RunConfig",
    "SamplerConfig",
    "ScheduleConfig",
    "TrainingConfig",
    "chain_settings",
    "checked_field",
    "latent_settings",
]

_FEWEST_CONFIGURATIONS = 10  # of a chain; fewer have no error estimate


class LatticeConfig(Checked):
    """Periodic hypercubic lattice with spacing 1."""

    shape: Annotated[tuple[Annotated[int, Field(ge=2, lt=BELOW)], ...], Field(strict=False, min_length=1, max_length=4)]


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
    evaluation_samples: Annotated[int, Field(ge=8192, lt=BELOW)] = 8192
    target_acceptance: Probability | None = None
    max_minutes: PositiveFloat | None = None
    init_from: NonEmptyStr | None = None
    only: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = None
    forward_samples: NonEmptyStr | None = None
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
            raise ValueError("steps of forward KL need samples of the target, give forward_samples too")
        return share

    @pydantic.field_validator("optimizer", mode="before")
    @classmethod
    def _default_optimizer(cls, value: Any) -> Any:
        return {"name": "natural_gradient", **value} if isinstance(value, Mapping) else value


class ChainConfig(Checked):
    """The chain of independent proposals that is drawn from the trained flow, and the sampler that makes them."""

    length: Annotated[int, Field(ge=1000, lt=BELOW)] = 1_000_000
    batch_size: PositiveInt = 512
    thermalisation: NonNegativeInt = 1000
    sampler: Component = Component(name="independence")


class SamplerConfig(BaseModel):
    """A sampler that the flow is compared with. Further keys are keyword parameters of the registered sampler.

    An update is a trajectory of HMC or a sweep of local Metropolis.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)
    chains: PositiveInt = 256
    updates: Annotated[int, Field(ge=_FEWEST_CONFIGURATIONS, lt=BELOW)] = 39_100
    thinning: PositiveInt = 10
    thermalisation: Annotated[int, Field(ge=10, lt=BELOW)] = 1000
    target_acceptance: Probability = 0.7
    successive: Annotated[int, Field(ge=_FEWEST_CONFIGURATIONS, lt=BELOW)] = 2000

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
        check_numbers(own)
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
# Of samplers that move the latent variable of a flow: an update costs more, and forgets more.
_OF_A_FLOW = {"updates": 4000, "thinning": 1, "thermalisation": 100}
_OTHERS: dict[str, dict[str, Any]] = {"flow_hmc": _OF_A_FLOW, "pcn": _OF_A_FLOW | {"target_acceptance": 0.4}}


class RunConfig(Checked):
    """One run: a flow trained on one action, used to sample it."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    lattice: LatticeConfig
    action: Component
    flow: Component
    training: TrainingConfig = TrainingConfig()
    chain: ChainConfig = ChainConfig()
    samplers: Annotated[dict[str, SamplerConfig], Field(default={}, validate_default=True)]
    stages: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = ()

    @pydantic.field_validator("samplers", mode="before")
    @classmethod
    def _default_samplers(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        if "metropolis" in value:
            value = {**value, "metropolis": with_updates(value["metropolis"], SamplerConfig.model_fields["thinning"].default)}
        others = {name: settings for name, settings in value.items() if name not in _SAMPLERS}
        given = {name: _with_defaults(_OTHERS.get(name, {}), settings) for name, settings in others.items()}
        known = {name: _with_defaults(settings, value.get(name, {})) for name, settings in _SAMPLERS.items()}
        return known | given

    @classmethod
    def checked(cls, tree: Mapping[str, Any], where: str) -> "RunConfig":
        """The configuration of a tree of keys. Raises `ConfigError`, whose message begins with `where`."""
        try:
            return cls.model_validate(tree)
        except pydantic.ValidationError as error:
            raise ConfigError(f"{where}: {explain(error, cls)}") from None

    def changed(self, where: str, *trees: Mapping[str, Any]) -> "RunConfig":
        """This configuration with trees of keys on top of it. Raises `ConfigError`, whose message begins with `where`."""
        return RunConfig.checked(functools.reduce(on_top, trees, self.model_dump(mode="json")), where)

    def stage_configs(self) -> "list[RunConfig]":
        """The runs to train before this one: each is this one with the entries of one of its `stages`.

        Raises:
          ConfigError: an entry that cannot be used.
        """
        without = {"training": {"forward_samples": None, "forward_share": 0.0, "only": None}}  # which are of this training alone
        found = [self.changed(f"stage {index}", {"stages": []}, without, entries) for index, entries in enumerate(self.stages, 1)]
        for index, stage in enumerate(found, 1):
            if len(stage.lattice.shape) != len(self.lattice.shape):
                there, here = stage.lattice.shape, self.lattice.shape
                raise ConfigError(f"stage {index} has the lattice {there}, of another dimension than {here}: change the stages too")
        return found

    def sampler(self, name: str) -> SamplerConfig:
        """The settings of a sampler, or the defaults where the configuration does not mention it."""
        return self.samplers.get(name, SamplerConfig(**_OTHERS.get(name, {})))

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
        raise ConfigError(f"{where} has the value {shown(value)}: {worded(error.errors()[0]['msg'])}") from None


def chain_settings(sampler: str, length: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of the `ChainConfig` of a sampler that draws independent proposals.

    Args:
      sampler: its name.
      length: of the chain.
      settings: keys of `ChainConfig`, and those of the sampler itself.
    """
    of_chain = {key: value for key, value in settings.items() if key in ChainConfig.model_fields}
    own = {key: value for key, value in settings.items() if key not in of_chain}
    return {"length": length, **of_chain, "sampler": {"name": sampler, **own}}


def latent_settings(sampler: str, length: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of the `SamplerConfig` of a sampler that moves the latent variable of a flow, with defaults of its own.

    Args:
      sampler: its name.
      length: number of configurations of all chains together, at least; it counts where the settings have no updates.
      settings: that were given.

    Raises:
      ConfigError: a length that no chain can have.
    """
    length = checked_field(ChainConfig, "length", length, "sample: length")
    keys = _OTHERS.get(sampler, {}) | dict(settings)
    chains, thinning = (keys.get(name, SamplerConfig.model_fields[name].default) for name in ("chains", "thinning"))
    if "updates" not in settings and all(isinstance(number, int) and number > 0 for number in (chains, thinning)):
        keys["updates"] = max(-(-length // chains), _FEWEST_CONFIGURATIONS) * thinning
    return keys


def _with_defaults(defaults: Mapping[str, Any], settings: Any) -> Any:
    return {**defaults, **settings} if isinstance(settings, Mapping) else settings


def _flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, Mapping):
        return {prefix: tree}
    return {k: v for key, value in tree.items() for k, v in _flatten(value, f"{prefix}.{key}" if prefix else key).items()}
