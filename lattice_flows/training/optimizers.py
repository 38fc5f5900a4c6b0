"""Optimisers for all weights of a flow as one vector.

A flow has hundreds of small variables, and arithmetic on each by itself costs as much as a good part of the gradient; here only the
last subtraction is done for each. To be called inside a `tf.function`; with several devices in the cross-replica context, where
gradients are those of all replicas. `variables` is the state, to be saved with the weights.
"""

import math
from collections.abc import Callable, Sequence

import tensorflow as tf
from pydantic import NonNegativeInt, PositiveFloat

from lattice_flows.config import Probability, Registry

__all__ = ["OPTIMIZERS", "Adam", "NaturalGradient"]

Rate = Callable[[tf.Tensor], tf.Tensor]


class Adam:
    """Adam (arXiv:1412.6980) with clipping of the gradient's norm.

    Args:
      weights: float32 variables.
      rate: the learning rate against the number of updates made.
      beta_1: decay of the first moment.
      beta_2: decay of the second moment.
      gradient_clip: largest norm of the gradient of all weights together.
    """

    needs_fisher = False

    def __init__(
        self,
        weights: Sequence[tf.Variable],
        rate: Rate,
        *,
        beta_1: Probability = 0.9,
        beta_2: Probability = 0.999,
        gradient_clip: PositiveFloat = 10.0,
    ):
        self._weights, self._rate, self._beta_1, self._beta_2, self._clip = weights, rate, beta_1, beta_2, gradient_clip
        self._updates = tf.Variable(0, dtype=tf.int64, name="updates")
        self._moments = tf.Variable(tf.zeros([2, _size(weights)]), name="moments")
        self.variables = [self._updates, self._moments]

    def apply(self, gradient: tf.Tensor) -> None:
        """Makes an update with the gradient `[size]` with respect to `weights`, flattened and joined."""
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
        _subtract(weights, rate * first / (tf.sqrt(second) + 1e-7))


class NaturalGradient:
    """Steepest descent in the metric of the distributions themselves (Amari, Neural Computation 10 (1998) 251).

        change = rate (F + damping diag F + ridge)^-1 gradient,    F = < d log q / d theta  d log q / d theta^T >_q

    F, Fisher's matrix, is the second derivative of the loss at its minimum: near it this is Newton's method, at the price of a
    matrix with the square of the number of weights, so for flows of some thousand weights at most. F is averaged over past steps.

    Args:
      weights: float32 variables.
      rate: the learning rate against the number of updates made, 1 for Newton's step.
      memory: decay of F's average per step. The samples it remembers should outnumber the weights.
      damping: relative, for what is lost in the noise of F.
      ridge: absolute; weights of order one then change by no more than the gradient over this.
      warm_up: number of updates that average F alone and change no weights: in a start that is good already, steps in a metric
        known from few samples would do harm.
      trust: largest `rate^2 gradient.change / 2` of a step, about the relative entropy between the flows before and after it.
    """

    needs_fisher = True

    def __init__(
        self,
        weights: Sequence[tf.Variable],
        rate: Rate,
        *,
        memory: Probability = 0.95,
        damping: PositiveFloat = 1e-3,
        ridge: PositiveFloat = 1.0,
        trust: PositiveFloat = 0.05,
        warm_up: NonNegativeInt = 0,
    ):
        size = _size(weights)
        self._weights, self._rate, self._memory = weights, rate, memory
        self._damping, self._ridge, self._trust, self._warm_up = damping, ridge, trust, warm_up
        self._updates = tf.Variable(0, dtype=tf.int64, name="updates")
        self._fisher = tf.Variable(tf.zeros([size, size]), name="fisher")
        self.variables = [self._updates, self._fisher]

    def apply(self, gradient: tf.Tensor, fisher: tf.Tensor) -> None:
        """Makes an update with the gradient `[size]` with respect to `weights`, flattened and joined, and F `[size, size]`."""
        extended = tf.distribute.get_strategy().extended
        extended.update(self._fisher, self._update, (self._updates, gradient, fisher, *self._weights))

    def _update(
        self, average: tf.Variable, updates: tf.Variable, gradient: tf.Tensor, fisher: tf.Tensor, *weights: tf.Variable
    ) -> None:
        rate = self._rate(updates)
        count = tf.cast(updates.assign_add(1), tf.float32)
        # The first steps take the plain mean of what there is.
        average.assign_add(tf.maximum(1 - self._memory, 1 / count) * (fisher - average))
        metric = tf.cast(average, tf.float64)
        metric += tf.linalg.diag(self._damping * tf.linalg.diag_part(metric) + self._ridge)
        column = tf.cast(gradient, tf.float64)[:, tf.newaxis]
        change = tf.cast(tf.linalg.cholesky_solve(tf.linalg.cholesky(metric), column)[:, 0], tf.float32)
        rate = tf.minimum(rate, tf.sqrt(2 * self._trust / tf.tensordot(gradient, change, 1)))
        _subtract(weights, tf.where(count > self._warm_up, rate, 0.0) * change)


def _size(weights: Sequence[tf.Variable]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _subtract(weights: Sequence[tf.Variable], change: tf.Tensor) -> None:
    for weight, part in zip(weights, tf.split(change, [math.prod(weight.shape) for weight in weights]), strict=True):
        weight.assign_sub(tf.reshape(part, weight.shape))


OPTIMIZERS = Registry("optimizer", {"adam": Adam, "natural_gradient": NaturalGradient})
