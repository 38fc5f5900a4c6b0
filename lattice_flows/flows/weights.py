"""The weights of flows in files, together with the integration steps that make their density accurate."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from lattice_flows.config.errors import shown
from lattice_flows.flows.flow import Flow
from lattice_flows.io.arrays import CheckpointError, read_arrays, write_arrays
from lattice_flows.lattice import Lattice
from lattice_flows.reading import reading

__all__ = ["assign", "check_transfer", "load_weights", "save_weights", "transfer_weights"]

_STEPS, _SHAPE, _CONDITION = "integration_steps", "lattice_shape", "conditioned_on"
_ADVICE = "take the weights of another training"
_LISTED = 3  # names in a message


def assign(
    variables: Mapping[str, tf.Variable], arrays: Mapping[str, np.ndarray], foreign: str = "the weights belong to another flow"
) -> None:
    """Sets every variable to the array of its name.

    Args:
      variables: the variables by name.
      arrays: arrays of the same names and shapes.
      foreign: how a message begins where names or shapes differ.

    Raises:
      CheckpointError: names or shapes differ, or a number is not finite. No variable has changed then.
    """
    _check(variables, arrays, foreign)
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _check(variables: Mapping[str, tf.Variable], arrays: Mapping[str, np.ndarray], foreign: str) -> None:
    missing, unknown = variables.keys() - arrays.keys(), arrays.keys() - variables.keys()
    if missing or unknown:
        raise CheckpointError(f"{foreign}: missing {_some(missing)}, unknown {_some(unknown)}")
    for name, variable in variables.items():
        if tuple(variable.shape) != arrays[name].shape:
            raise CheckpointError(f"{foreign}: {name!r} has the shape {tuple(variable.shape)}, the weights {arrays[name].shape}")
        if arrays[name].dtype.kind not in "fiu" or not np.isfinite(arrays[name]).all():
            raise CheckpointError(f"the weights {name!r} are not finite numbers: take those of another training")


def _some(names: Collection[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{sorted(names)[:_LISTED]}{more}"


def _foreign(weights: str, there: Any, flow: Flow) -> str:
    """How a message begins where weights are not those of a flow.

    Args:
      weights: which ones.
      there: the name of the flow that they belong to; None where it is not known.
      flow: the flow that does not take them.
    """
    here = flow.component.name if flow.component else None
    kinds = f", {shown(there)}, and this one is {shown(here)}" if None not in (here, there) and here != there else ""
    return f"{weights} belong to another flow{kinds}"


def save_weights(path: str | Path, flow: Flow, diagnostics: Mapping[str, Any] | None = None) -> None:
    """Writes the weights of a flow, its lattice, its integration steps, and what it is conditioned on.

    Args:
      path: the file, `*.npz`.
      flow: the flow.
      diagnostics: anything that JSON can hold, to be read back with the weights.

    Raises:
      RunError: the file cannot be written.
    """
    condition = {_CONDITION: flow.conditioned_on} if flow.conditioned_on else {}
    own = {_SHAPE: list(flow.lattice.shape), _STEPS: flow.integration_steps} | condition
    write_arrays(Path(path), flow.named_variables(), {**(diagnostics or {}), **own})


def load_weights(path: str | Path, flow: Flow) -> dict[str, Any]:
    """Gives a flow the weights and the integration steps of a file, in place.

    If the file has no integration steps, the flow keeps its own.

    Args:
      path: the file, written by `save_weights`.
      flow: a flow of the same kind, on the same lattice.

    Returns:
      The diagnostics that were saved with the weights.

    Raises:
      CheckpointError: the file is missing or damaged, its weights do not fit, or it says that they belong to another lattice or
        condition. The flow has not changed then.
    """
    arrays, diagnostics = read_arrays(Path(path))
    with reading(path, _ADVICE, CheckpointError):
        _check_same(path, diagnostics, flow)
        _give(flow, path, diagnostics, lambda: flow.upgraded(arrays))
    return diagnostics


def transfer_weights(path: str | Path, flow: Flow) -> dict[str, Any]:
    """Gives a flow the weights of the same kind of flow on a lattice of other extents, and its integration steps, in place.

    Args:
      path: the file, written by `save_weights`.
      flow: the flow, on a lattice of the same number of dimensions.

    Returns:
      The diagnostics that were saved with the weights.

    Raises:
      CheckpointError: the file is missing or damaged, or its weights do not fit. The flow has not changed then.
    """
    arrays, diagnostics = read_arrays(Path(path))
    with reading(path, _ADVICE, CheckpointError):
        lattice = Lattice(_shape(path, diagnostics))
        if lattice.d != flow.lattice.d:
            raise CheckpointError(
                f"the weights in {path} belong to a lattice of {lattice.d} dimensions, the flow has {flow.lattice.d}; "
                "weights can be transferred between lattices of the same number of dimensions"
            )
        _check_condition(path, diagnostics, flow)
        advice = " (training.init_from: null begins with fresh ones)"
        _give(flow, path, diagnostics, lambda: flow.transferred(arrays, lattice), advice)
    return diagnostics


def check_transfer(before: Flow, flow: Flow) -> None:
    """Raises `CheckpointError` if a flow could not take the weights of another one by `transfer_weights`."""
    weights = {name: variable.numpy() for name, variable in before.named_variables().items()}
    with reading("the weights of another flow", "train flows of one kind", CheckpointError):
        foreign = _foreign("the weights", before.component and before.component.name, flow)
        _check(flow.named_variables(), flow.transferred(weights, before.lattice), foreign)


def _shape(path: str | Path, diagnostics: Mapping[str, Any]) -> Any:
    shape = diagnostics.get(_SHAPE, _recorded(diagnostics, "lattice", "shape"))
    if shape is None:
        raise CheckpointError(f"{path} does not say which lattice its weights belong to; save them by `save_weights`")
    return shape


def _recorded(diagnostics: Mapping[str, Any], *keys: str) -> Any:
    """A value of the configuration that the weights were trained with, None where it is not known."""
    found = diagnostics.get("config")
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _check_same(path: str | Path, diagnostics: Mapping[str, Any], flow: Flow) -> None:
    """Shapes of weights tell neither the lattice nor what is no weight."""
    there, here = tuple(diagnostics.get(_SHAPE, flow.lattice.shape)), flow.lattice.shape
    if there != here:
        raise CheckpointError(
            f"the weights in {path} belong to the lattice {there}, and the flow is on {here}: use transfer_weights, or "
            "training.init_from"
        )
    _check_condition(path, diagnostics, flow)


def _check_condition(path: str | Path, diagnostics: Mapping[str, Any], flow: Flow) -> None:
    there, here = diagnostics.get(_CONDITION), flow.conditioned_on
    if there and here and there != here:
        raise CheckpointError(
            f"the weights in {path} are conditioned on {there[0]} at {there[1:]}, the flow on {here[0]} at {here[1:]}: "
            "build it with the same condition and knots"
        )


def _check_steps(diagnostics: Mapping[str, Any], flow: Flow, foreign: str) -> None:
    there, here = diagnostics.get(_STEPS), flow.integration_steps
    if there is not None and there.keys() != here.keys():
        raise CheckpointError(f"{foreign}: they come with integration steps of {sorted(there)}, the flow integrates {sorted(here)}")
    if there is not None and not all(isinstance(steps, int) and 0 < steps < 2**31 for steps in there.values()):
        raise ValueError(f"its integration steps are {there}")


def _give(
    flow: Flow,
    path: str | Path,
    diagnostics: Mapping[str, Any],
    translated: Callable[[], Mapping[str, np.ndarray]],
    advice: str = "",
) -> None:
    """Gives a flow the weights of a file, and what its diagnostics say about them; everything is checked before.

    Args:
      flow, path, diagnostics: the flow, the file, and what is stored there beside the weights.
      translated: gives the weights in the form that the flow has.
      advice: for a message that they are those of another flow.
    """
    foreign = _foreign(f"the weights in {path}", _recorded(diagnostics, "flow", "name"), flow) + advice
    _check_steps(diagnostics, flow, foreign)
    summary = diagnostics.get("summary") or {}
    trained_steps = int(summary.get("steps", 0)) + int(summary.get("earlier_steps", 0))
    assign(flow.named_variables(), translated(), foreign)
    if diagnostics.get(_STEPS) is not None:
        flow.set_integration_steps(diagnostics[_STEPS])
    flow.trained_steps = trained_steps
