"""All weights of a flow as one vector."""

import math
from collections.abc import Iterator, Sequence

import tensorflow as tf

__all__ = ["joined", "parts", "size"]


def size(weights: Sequence[tf.Variable]) -> int:
    """The length of the vector."""
    return sum(math.prod(weight.shape) for weight in weights)


def joined(tensors: Sequence[tf.Tensor | tf.Variable]) -> tf.Tensor:
    """Tensors, flattened and joined."""
    return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)


def parts(vector: tf.Tensor, weights: Sequence[tf.Variable]) -> Iterator[tuple[tf.Variable, tf.Tensor]]:
    """Every weight with its part of a vector, in its shape."""
    for weight, part in zip(weights, tf.split(vector, [math.prod(weight.shape) for weight in weights]), strict=True):
        yield weight, tf.reshape(part, weight.shape)
