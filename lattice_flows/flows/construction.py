"""What a flow is made of: what its prior must be, and the numbers that its parts were built with."""

import functools
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.lattice import Lattice

__all__ = ["built_with", "check_prior"]


def check_prior(prior: tfp.distributions.Distribution, lattice: Lattice) -> None:
    """Raises `ValueError` for a prior that is not one of fields of the lattice, in double precision."""
    if prior.dtype != tf.float64:
        raise ValueError(f"the prior must be float64, got {prior.dtype}: its density is needed in double precision")
    if tuple(prior.batch_shape) or tuple(prior.event_shape) != lattice.shape:
        raise ValueError(
            f"an event of the prior must be a field of the shape {lattice.shape}, got events {tuple(prior.event_shape)} in a batch "
            f"{tuple(prior.batch_shape)}: use tfd.Independent(..., reinterpreted_batch_ndims={lattice.d}) for independent sites"
        )


def built_with(part: Any) -> str:
    """What a part of TFP and all parts below it were built with, without what its variables hold.

    It is the same in every process: no address is in it.

    ```python
    from lattice_flows.flows.construction import built_with

    print(built_with(lf.bijectors.SinhArcsinh(ndims=2, width=0.5)))
    ```
    """
    return _described(part, [])


def _described(part: Any, above: list[Any]) -> str:
    """A part inside of other ones; one that holds itself is named only."""
    if any(part is other for other in above):
        return type(part).__qualname__
    above = [*above, part]

    def named(values: Mapping[Any, Any]) -> str:
        return "{" + ", ".join(f"{key}: {_described(value, above)}" for key, value in values.items()) + "}"

    if isinstance(part, tf.Variable) or hasattr(part, "pretransformed_input"):
        return f"variable {part.name}"  # of which the weights are known
    if isinstance(part, tf.Tensor | np.ndarray):
        return f"{np.asarray(part).tolist()}"
    if isinstance(part, Mapping):
        return named(part)
    if isinstance(part, list | tuple):
        return "[" + ", ".join(_described(value, above) for value in part) + "]"
    if isinstance(part, functools.partial):
        return _described([part.func, part.args, part.keywords], above)
    if isinstance(getattr(part, "parameters", None), Mapping):
        return f"{type(part).__qualname__} {named(part.parameters)}"
    if inspect.isfunction(part):
        inside = [cell.cell_contents for cell in part.__closure__ or ()]
        return f"{part.__qualname__} {_described([part.__defaults__, part.__kwdefaults__, inside], above)}"
    if " at 0x" not in (text := repr(part)):
        return text
    # TensorFlow's own members are about its variables.
    members = getattr(part, "__dict__", {}).items()
    own = {key: value for key, value in members if not key.startswith(("_self_", "_tf_", "_name_scope"))}
    return f"{type(part).__qualname__} {named(own)}"
