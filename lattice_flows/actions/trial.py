"""Whether an action can be used: it is tried on random fields, before anything is written.

An action of the user's own may be wrong in ways that TensorFlow tells much later, and in words about loops and operations.
"""

from itertools import count
from typing import Any

import numpy as np
import tensorflow as tf

from lattice_flows.actions.action import Action
from lattice_flows.config import ConfigError
from lattice_flows.config.errors import shown
from lattice_flows.errors import users_code

__all__ = ["check_action"]


def check_action(action: Action, compiled_for: tf.DType = tf.float64) -> None:
    """Calls an action on a few configurations, on the first of them alone, and as TensorFlow compiles it.

    Args:
      action: to try.
      compiled_for: the type of compiled fields: float32 where a flow draws them.

    Raises:
      ConfigError: it is no action, fails, does not return one number of float64 for each configuration, or a configuration
        changes the number of another one.
    """
    if not callable(action) or not hasattr(action, "lattice"):
        raise ConfigError(f"the action is {shown(action)}: build one on a lattice, such as lf.Lattice((8, 8))")
    if type(action).__call__ is Action.__call__:
        raise ConfigError(f"action {_name(action)!r} has no value: define __call__(phi) in {type(action).__name__}")
    # No extent of the lattice, so that a sum over the wrong axes shows.
    batch = next(number for number in count(2) if number not in action.lattice.shape)
    shape = [batch, *action.lattice.shape]
    phi = tf.constant(np.random.default_rng(1).normal(size=shape))
    with users_code(f"action {_name(action)!r}", ConfigError), tf.init_scope():
        _check_returned(action, together := action(phi), phi)
        alone = action(phi[:1])
        compiled = tf.function(action).get_concrete_function(tf.TensorSpec(shape, compiled_for))
    _check_returned(action, compiled.structured_outputs, compiled.inputs[0])
    if not np.allclose(together[:1], alone, rtol=1e-6, equal_nan=True):
        raise ConfigError(
            f"action {_name(action)!r} is {float(together[0]):g} for the first of {batch} configurations, and {float(alone[0]):g} "
            "for the same one alone: the axis 0 of phi counts configurations, those of the lattice are `self.lattice.axes`"
        )


def _name(action: Action) -> str:
    return getattr(action, "name", type(action).__name__)


def _check_returned(action: Action, value: Any, phi: tf.Tensor) -> None:
    said = f"for a field of the shape {tuple(phi.shape)} and the type {phi.dtype.name}"
    if not tf.is_tensor(value):
        raise ConfigError(
            f"action {_name(action)!r} returned {type(value).__name__} {said}, expected a tensor: "
            "compute it with TensorFlow instead of NumPy"
        )
    if not value.shape.is_compatible_with(expected := tuple(phi.shape[:1])):
        raise ConfigError(
            f"action {_name(action)!r} returned the shape {tuple(value.shape)} {said}, expected {expected}: "
            "sum over `self.lattice.axes`"
        )
    if value.dtype != tf.float64:
        raise ConfigError(
            f"action {_name(action)!r} returned the type {value.dtype.name} {said}, expected float64: "
            "use tf.cast(phi, tf.float64) before the sum over sites"
        )
