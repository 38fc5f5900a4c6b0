"""The flags that scripts share, what they change in a configuration, and how errors reach the shell."""

import dataclasses
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from absl import app, flags

from lattice_flows.config import CONFIGS, ConfigError, RunConfig, load, nearest
from lattice_flows.io.arrays import CheckpointError
from lattice_flows.io.files import RunError
from lattice_flows.training.devices import DeviceError
from lattice_flows.training.trainer import TrainingDiverged

__all__ = ["CONFIGS", "Change", "configuration", "define", "main"]


@dataclasses.dataclass(frozen=True)
class Change:
    """A flag that sets one key of the configuration."""

    define: Callable[..., Any]
    key: str
    help: str


CHANGES = {
    "seed": Change(flags.DEFINE_integer, "seed", "master seed; everything random follows from it"),
    "target_acceptance": Change(flags.DEFINE_float, "training.target_acceptance", "stop training when it is reached"),
    "max_minutes": Change(flags.DEFINE_float, "training.max_minutes", "stop training after so many minutes"),
    "steps": Change(flags.DEFINE_integer, "training.steps", "training steps at most"),
    "evaluate_every": Change(flags.DEFINE_integer, "training.evaluate_every", "training steps between evaluations"),
    "init_from": Change(flags.DEFINE_string, "training.init_from", "folder of a run, of any extents, to begin with the weights of"),
    "chain_length": Change(flags.DEFINE_integer, "chain.length", "configurations in the Markov chain"),
    "chains": Change(flags.DEFINE_integer, "hmc.chains", "HMC chains in parallel"),
    "configurations": Change(flags.DEFINE_integer, "metropolis.configurations", "configurations of each local Metropolis chain"),
    "trajectories": Change(flags.DEFINE_integer, "hmc.trajectories", "HMC trajectories of each chain"),
}


def define(*names: str) -> None:
    """Defines flags of `CHANGES`, or one of device, lattice_size, flow, out, resume."""
    for name in names:
        if name in CHANGES:
            CHANGES[name].define(name, None, f"{CHANGES[name].help} (default: from the configuration)")
        elif name == "device":
            flags.DEFINE_string("device", "cpu", "cpu, gpu, gpu:1, a list such as gpu:0,gpu:1, or all")
        elif name == "lattice_size":
            flags.DEFINE_integer("lattice_size", None, "extent L in every direction (default: from the configuration)")
        elif name == "flow":
            flags.DEFINE_string("flow", None, f"a flow of {CONFIGS.name}/flows (default: from the configuration)")
        elif name == "resume":
            flags.DEFINE_boolean("resume", False, "go on with what the output folder holds")
        else:
            flags.DEFINE_string(name, None, "output folder", required=True)


def configuration(path: Path, *extra: Mapping[str, Any] | Path) -> RunConfig:
    """A configuration file with `extra` entries, mappings or files, and the flags that were given on top of it.

    Raises:
      ConfigError: a file, an entry or a flag that cannot be used.
    """
    given = flags.FLAGS.flag_values_dict()
    layers: list[Any] = []
    if given.get("flow") is not None:
        presets = {file.stem: file for file in (CONFIGS / "flows").glob("*.yaml")}
        if given["flow"] not in presets:
            raise ConfigError(f"unknown flow {given['flow']!r}: {nearest(given['flow'], presets)}")
        layers.append(presets[given["flow"]])
    layers.extend(extra)
    for name, change in CHANGES.items():
        if given.get(name) is not None:
            tree: Any = given[name]
            for key in reversed(change.key.split(".")):
                tree = {key: tree}
            layers.append(tree)
    if given.get("lattice_size") is not None:
        d = len(load(path, *layers).lattice.shape)
        layers.append({"lattice": {"shape": [given["lattice_size"]] * d}})
    return load(path, *layers)


def main(run: Callable[[], int]) -> None:
    """Parses the flags, calls `run`, and exits with its code; an error that a user can mend is one line, and exit code 2."""

    def guarded(arguments: list[str]) -> int:
        if len(arguments) > 1:
            raise app.UsageError(f"unexpected argument {arguments[1]!r}: every option is a flag")
        try:
            logging.getLogger("fontTools").setLevel(logging.WARNING)  # absl shows everything from INFO on
            return run()
        except (ConfigError, DeviceError, RunError, CheckpointError, TrainingDiverged) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("interrupted; --resume goes on from the last evaluation", file=sys.stderr)
            return 130

    app.run(guarded)
