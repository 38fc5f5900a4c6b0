"""What a flow is made of: what its prior must be, and the numbers that its parts were built with."""

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
    """The classes and the parameters of a part of TFP and of all parts below it, without what its variables hold.

    It is the same in every process.

    ```python
    from lattice_flows.flows.construction import built_with

    print(built_with(lf.bijectors.SinhArcsinh(ndims=2, width=0.5)))
    ```
    """
    if isinstance(part, tf.Variable) or hasattr(part, "pretransformed_input"):
        return f"variable {part.name}"  # of which the weights are known
    if isinstance(part, tf.Tensor | np.ndarray):
        return f"{np.asarray(part).tolist()}"
    if isinstance(part, Mapping):
        return "{" + ", ".join(f"{key}: {built_with(value)}" for key, value in part.items()) + "}"
    if isinstance(part, list | tuple):
        return "[" + ", ".join(map(built_with, part)) + "]"
    if isinstance(getattr(part, "parameters", None), Mapping):
        return f"{type(part).__qualname__} {built_with(part.parameters)}"
    if callable(part) and hasattr(part, "__qualname__"):
        return part.__qualname__
    return type(part).__qualname__ if " at 0x" in (text := repr(part)) else text
