"""Independent Gaussian sites."""

import math

import tensorflow as tf
import tensorflow_probability as tfp
from pydantic import PositiveFloat

from lattice_flows.lattice import Lattice
from lattice_flows.priors.mean_field import Share, around

tfd = tfp.distributions

__all__ = ["normal"]


def normal(
    lattice: Lattice, *, width: PositiveFloat = 1.0, learn_width: bool = False, mean_field: float | None = None, bridge: Share = 0.0
) -> tfd.Distribution:
    """Returns independent normal distributions, the same at every site (arXiv:1904.12072, sec. III).

    Args:
      lattice: the lattice.
      width: standard deviation. The paper's prior has 1.
      learn_width: trains the logarithm of the width with the flow.
      mean_field: mean of the field at the start, which is trained; None for a mean of zero.
      bridge: share of the fields that have a mean of zero nevertheless, as those that tunnel between two peaks do.

    Raises:
      ValueError: a width that is not positive and finite, a mean field that is not finite, a bridge that is not from 0 to below 1,
        or a bridge without a mean field.
    """
    if not 0 < width < math.inf:
        raise ValueError(f"width must be positive and finite, got {width}")
    scale = tf.constant(width, tf.float64)
    if learn_width:
        # float32 like every trained number, so that the optimiser can treat them as one vector.
        log_width = tf.Variable(math.log(width), dtype=tf.float32, name="log_width")
        scale = tfp.util.DeferredTensor(log_width, lambda v: tf.exp(tf.cast(v, tf.float64)), dtype=tf.float64)
    site = tfd.Normal(tf.zeros(lattice.shape, tf.float64), scale)
    return around(mean_field, bridge, tfd.Independent(site, reinterpreted_batch_ndims=lattice.d, name="normal_prior"))
