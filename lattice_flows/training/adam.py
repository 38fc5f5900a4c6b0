"""The Adam optimiser (arXiv:1412.6980) for all weights as one vector."""

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

__all__ = ["Adam"]


class Adam:
    """Adam with clipping of the gradient's norm.

    A flow has hundreds of small variables, and arithmetic on each by itself costs as much as a good part of the gradient; here only
    the last subtraction is done for each. To be called inside a `tf.function`; XLA would take seconds to compile so many outputs.

    Args:
      weights: float32 variables.
      rate: the learning rate against the number of updates made.
      beta_1: decay of the first moment.
      beta_2: decay of the second moment.
      clip: largest norm of the gradient of all weights together.

    Attributes:
      variables: the state, to be saved with the weights: how many updates were made, and both moments.
    """

    def __init__(
        self, weights: Sequence[tf.Variable], rate: Callable[[tf.Tensor], tf.Tensor], *, beta_1: float, beta_2: float, clip: float
    ):
        size = sum(math.prod(weight.shape) for weight in weights)
        self._weights, self._rate, self._beta_1, self._beta_2, self._clip = weights, rate, beta_1, beta_2, clip
        self._updates = tf.Variable(0, dtype=tf.int64, name="updates")
        self._moments = tf.Variable(tf.zeros([2, size]), name="moments")
        self.variables = [self._updates, self._moments]

    def apply(self, gradient: tf.Tensor) -> None:
        """Makes an update with the gradient `[size]` with respect to `weights`, flattened and joined.

        With several devices, in the cross-replica context: the gradient is that of all replicas.
        """
        extended = tf.distribute.get_strategy().extended
        extended.update(self._moments, self._update, (self._updates, gradient, *self._weights))

    def _update(self, moments: tf.Variable, updates: tf.Variable, gradient: tf.Tensor, *weights: tf.Variable) -> None:
        gradient = tf.clip_by_norm(gradient, self._clip)
        rate = self._rate(updates)
        count = tf.cast(updates.assign_add(1), tf.float32)
        first = self._beta_1 * moments[0] + (1 - self._beta_1) * gradient
        second = self._beta_2 * moments[1] + (1 - self._beta_2) * gradient**2
        moments.assign(tf.stack([first, second]))
        rate *= tf.sqrt(1 - self._beta_2**count) / (1 - self._beta_1**count)
        change = rate * first / (tf.sqrt(second) + 1e-7)
        for weight, part in zip(weights, tf.split(change, [math.prod(weight.shape) for weight in weights]), strict=True):
            weight.assign_sub(tf.reshape(part, weight.shape))
