"""Fields as vectors."""

import math

import tensorflow as tf

__all__ = ["flattened"]


def flattened(field: tf.Tensor, ndims: int) -> tf.Tensor:
    """`[..., *shape]` -> `[..., V]`, for element-wise maps: XLA vectorises loops over the last axis, which is short on a lattice.

    Args:
      field: the field.
      ndims: number of lattice dimensions.
    """
    return tf.reshape(field, tf.concat([tf.shape(field)[:-ndims], [math.prod(field.shape[-ndims:])]], axis=0))
