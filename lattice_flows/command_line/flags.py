"""The flags of all commands, in groups, and what they change in a configuration. No TensorFlow."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pydantic

from lattice_flows.config import (
    CONFIGS,
    ChainConfig,
    ConfigError,
    LatticeConfig,
    RunConfig,
    SamplerConfig,
    TrainingConfig,
    checked_field,
    load,
)
from lattice_flows.config.keys import tree
from lattice_flows.errors import UserError, nearest

if TYPE_CHECKING:
    from lattice_flows.training.records import OpensBoard

__all__ = ["GROUPS", "Flag", "UsageError", "board", "configuration", "overrides", "shared"]

GROUPS = ("what to run", "physics", "training", "sampling", "output", "device")
_FROM_CONFIGURATION = "from the configuration"
# Flags that set the length of one sampler alone.
_OF_ONE_SAMPLER = {"trajectories": "hmc", "configurations": "metropolis"}
_SECTIONS: dict[str, type[pydantic.BaseModel]] = {
    "": RunConfig,
    "lattice": LatticeConfig,
    "training": TrainingConfig,
    "chain": ChainConfig,
}


class UsageError(UserError):
    """Arguments that a command does not understand."""


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag of a command.

    Attributes:
      name: without the dashes.
      group: one of `GROUPS`.
      help: what it is for.
      type: `str`, `int`, `float`, `bool`, `list` (text between commas) or `tuple` (integers between commas).
      default: its value where it is not given.
      choices: all values that it may have; of a list, all parts.
      several: whether it may be given more than once; its value is then the list of all.
      required: whether it must be given.
      positional: whether it is given without its name; one that may be given more than once comes last.
      key: the dotted key of a configuration that it sets; `{sampler}` in it is the value of `--sampler`. The schema has its limits.
      shown_default: what the help says about the default.
      positive: whether a number must be positive, for flags without a key.
      excludes: names of flags that contradict it.
      because: why they do.
    """

    name: str
    group: str
    help: str
    type: Callable[[str], Any] = str
    default: Any = None
    choices: Sequence[str] = ()
    several: bool = False
    required: bool = False
    positional: bool = False
    key: str | None = None
    shown_default: str | None = None
    positive: bool = False
    excludes: Sequence[str] = ()
    because: str = ""


def _setting(name: str, group: str, key: str, type: Callable[[str], Any], help: str, instead_of: Sequence[str] = ()) -> Flag:
    """A flag that sets one key of the configuration, which other flags may set too."""
    because = "they set the same key of the configuration" if instead_of else ""
    return Flag(name, group, help, type, key=key, shown_default=_FROM_CONFIGURATION, excludes=instead_of, because=because)


_PRESETS = tuple(sorted(file.stem for file in (CONFIGS / "flows").glob("*.yaml")))
_SHARED = (
    Flag("config", "what to run", "configuration file, or the name of one that comes with the package, such as E1", required=True),
    Flag("resume", "what to run", "continue the run in the output folder", bool, False),
    _setting("lattice_size", "physics", "lattice.shape", int, "extent L in every direction"),
    _setting(
        "shape",
        "physics",
        "lattice.shape",
        tuple,
        "extents of the lattice, in any number of dimensions, such as 8,8,16",
        ["lattice_size"],
    ),
    _setting("m2", "physics", "action.m2", float, "bare mass squared"),
    _setting("lam", "physics", "action.lam", float, "bare coupling"),
    Flag("flow", "physics", f"preset of the flow and its training: {', '.join(_PRESETS)}", shown_default=_FROM_CONFIGURATION),
    _setting("seed", "physics", "seed", int, "master seed; everything random follows from it"),
    _setting("steps", "training", "training.steps", int, "training steps at most"),
    _setting("evaluate_every", "training", "training.evaluate_every", int, "training steps between evaluations"),
    _setting(
        "target_acceptance", "training", "training.target_acceptance", float, "stop training, and each stage, at this acceptance"
    ),
    _setting("max_minutes", "training", "training.max_minutes", float, "stop training, and each stage, after so many minutes"),
    _setting(
        "init_from",
        "training",
        "training.init_from",
        str,
        "run folder, or name of shipped weights such as continuous/E5, to start training from; extents may differ",
    ),
    _setting(
        "forward_samples", "training", "training.forward_samples", str, "run of HMC, say, for the ESS by samples of the target"
    ),
    _setting("chain_length", "sampling", "chain.length", int, "configurations in the Markov chain"),
    _setting("chains", "sampling", "samplers.{sampler}.chains", int, "chains in parallel"),
    _setting("updates", "sampling", "samplers.{sampler}.updates", int, "updates of each chain: trajectories or sweeps"),
    _setting("thinning", "sampling", "samplers.{sampler}.thinning", int, "updates from one kept configuration to the next"),
    _setting("trajectories", "sampling", "hmc.trajectories", int, "earlier name of --updates, for HMC", ["updates"]),
    _setting(
        "configurations",
        "sampling",
        "metropolis.configurations",
        int,
        "kept configurations of each local Metropolis chain",
        ["updates", "trajectories"],
    ),
    Flag("out", "output", "output folder", required=True),
    Flag("tensorboard", "output", "also write what TensorBoard shows, into the folder tensorboard of the run", bool, False),
    Flag("device", "device", "cpu, gpu, gpu:1, a list such as gpu:0,gpu:1, or all", default="cpu"),
)


def shared(*names: str) -> tuple[Flag, ...]:
    """The flags of these names, which several commands have."""
    known = {flag.name: flag for flag in _SHARED}
    return tuple(known[name] for name in names)


def overrides(flags: SimpleNamespace, dimensions: int = 2) -> tuple[Mapping[str, Any] | Path, ...]:
    """What the flags that were given put on top of a configuration: the preset of a flow, then a mapping for each setting.

    Args:
      flags: the parsed flags.
      dimensions: of the lattice.

    Raises:
      ConfigError: there is no such flow.
      UsageError: a flag of another sampler than the chosen one, or a value that its key cannot have. The action checks its own.
    """
    chosen = getattr(flags, "sampler", None)
    for name, sampler in _OF_ONE_SAMPLER.items():
        if getattr(flags, name, None) is not None and chosen != sampler:
            raise UsageError(f"--{name} is for --sampler {sampler}, not for {chosen}: use --updates")
    layers: list[Mapping[str, Any] | Path] = []
    flow = getattr(flags, "flow", None)
    if flow is not None:
        if flow not in _PRESETS:
            raise ConfigError(f"unknown flow {flow!r}: {nearest(flow, _PRESETS)}")
        layers.append(CONFIGS / "flows" / f"{flow}.yaml")
    for flag in _SHARED:
        value = getattr(flags, flag.name, None)
        if flag.key is not None and value is not None:
            _check(flag, flag.key, value)
            layers.append(tree(flag.key.format(sampler=chosen), [value] * dimensions if flag.name == "lattice_size" else value))
    return tuple(layers)


def _check(flag: Flag, key: str, value: Any) -> None:
    """Checks the value of a flag against the schema's limits for its key."""
    *sections, name = key.split(".")
    if sections == ["action"]:
        return
    model = _SECTIONS.get(".".join(sections), SamplerConfig)
    field = "updates" if flag.name in _OF_ONE_SAMPLER else name
    try:
        checked_field(model, field, [value] if flag.name == "lattice_size" else value, f"flag --{flag.name}")
    except ConfigError as error:
        raise UsageError(str(error)) from None


def configuration(path: str | Path, flags: SimpleNamespace) -> RunConfig:
    """A configuration file with the flags that were given on top of it.

    Args:
      path: the file.
      flags: the parsed flags.

    Raises:
      ConfigError: a file or a flag that cannot be used.
    """
    return load(path, *overrides(flags, dimensions=len(load(path).lattice.shape)))


def board(flags: SimpleNamespace) -> "OpensBoard | None":
    """What opens the board that `--tensorboard` asks for; None without the flag.

    Raises:
      ConfigError: the package tensorboard is missing.
    """
    if not flags.tensorboard:
        return None
    from lattice_flows import tensorboard

    tensorboard.check()
    return tensorboard.TensorBoard
