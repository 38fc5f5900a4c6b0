"""Gaussian priors as TFP distributions over `z [batch, *lattice_shape]`, float64."""

import math

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from pydantic import PositiveFloat

from lattice_flows.bijectors import FourierScaling
from lattice_flows.config import Registry
from lattice_flows.lattice import Lattice

tfd = tfp.distributions

__all__ = ["PRIORS", "free_field", "normal"]


def normal(lattice: Lattice, *, width: PositiveFloat = 1.0, learn_width: bool = False) -> tfd.Distribution:
    """Returns independent normal distributions, the same at every site (arXiv:1904.12072, sec. III).

    Args:
      lattice: the lattice.
      width: standard deviation. The paper's prior has 1.
      learn_width: trains the logarithm of the width with the flow.
    """
    scale = tf.constant(width, tf.float64)
    if learn_width:
        # float32 like every trained number, so that the optimiser can treat them as one vector.
        log_width = tf.Variable(math.log(width), dtype=tf.float32, name="log_width")
        scale = tfp.util.DeferredTensor(log_width, lambda v: tf.exp(tf.cast(v, tf.float64)), dtype=tf.float64)
    site = tfd.Normal(tf.zeros(lattice.shape, tf.float64), scale)
    return tfd.Independent(site, reinterpreted_batch_ndims=lattice.d, name="normal_prior")


def free_field(lattice: Lattice, *, m2: PositiveFloat = 1.0, learn_spectrum: bool = True) -> tfd.Distribution:
    """Returns the free field, `<|phi_p|^2> = 1 / (2 (phat^2 + m2))`, that is, the action with `lam = 0`.

    Args:
      lattice: the lattice.
      m2: bare mass squared at the start.
      learn_spectrum: trains the spectrum with the flow; see `FourierScaling`.
    """
    spectrum = FourierScaling(lattice, lambda momentum_squared: -np.log(2 * (momentum_squared + m2)) / 2, learn_spectrum)
    return tfd.TransformedDistribution(normal(lattice), spectrum, name="free_field_prior")


PRIORS = Registry("prior", {"free_field": free_field, "normal": normal})
