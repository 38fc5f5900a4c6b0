"""Optimisers that treat all weights of a flow as one vector.

A flow has hundreds of small variables, and arithmetic on each of them costs as much as a good part of the gradient; here only the
last subtraction runs over variables. Call `apply` inside a `tf.function`; with several devices, in the cross-replica context, with
gradients summed over replicas. `variables` is the state, which checkpoints save with the weights.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import tensorflow as tf
from pydantic import NonNegativeInt, PositiveFloat

from lattice_flows.config import Probability, Registry
from lattice_flows.resources import check_memory
from lattice_flows.training.vectors import joined, parts, size

__all__ = ["OPTIMIZERS", "Adam", "NaturalGradient", "Optimizer"]

Rate = Callable[[tf.Tensor], tf.Tensor]

_BYTES_OF_A_METRIC = 28  # per entry: averages, those of a batch, and, in float64, the metric and its Cholesky factor


class Optimizer(Protocol):
    """What a training step needs of an optimiser.

    Attributes:
      needs_fisher: whether `apply` takes the Fisher matrix after the gradient.
      warm_up: how many of the first updates change no weights.
      averages_gradients: whether it carries past gradients on to the present weights, which is for reverse KL alone.
      updates: how many have been made, an int64 variable.
      variables: the state.
    """

    needs_fisher: bool
    averages_gradients: bool
    warm_up: int
    updates: tf.Variable
    variables: list[tf.Variable]

    def apply(self, gradient: tf.Tensor, *fisher: tf.Tensor) -> None:
        """Updates the weights."""

    def forget(self) -> None:
        """Gives up what earlier gradients say about the next one, after the weights or the loss have changed by other means."""


class Adam:
    """Adam (arXiv:1412.6980) with clipping of the gradient's norm.

    Args:
      weights: float32 variables.
      rate: the learning rate as a function of the number of updates made.
      beta_1: decay of the first moment.
      beta_2: decay of the second moment.
      gradient_clip: largest norm of the gradient with respect to all weights.
    """

    needs_fisher = False
    averages_gradients = False
    warm_up = 0

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
        self.updates = tf.Variable(0, dtype=tf.int64, name="updates")
        self._moments = tf.Variable(tf.zeros([2, size(weights)]), name="moments")
        self.variables = [self.updates, self._moments]

    def apply(self, gradient: tf.Tensor) -> None:
        """Updates the weights, given the gradient `[size]` with respect to all of them, flattened and joined."""
        extended = tf.distribute.get_strategy().extended
        extended.update(self._moments, self._update, (self.updates, gradient, *self._weights))

    def forget(self) -> None:
        """Keeps the moments, which few steps replace."""

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
    """Steepest descent in the metric of the distributions (Amari, Neural Computation 10 (1998) 251).

        change = rate (F + damping diag F + ridge)^-1 gradient,    F = < d log q / d theta  d log q / d theta^T >_q

    The Fisher matrix F is the second derivative of the loss at its minimum, so near the minimum this is Newton's method. It stores
    a matrix with the square of the number of weights, which limits it to a few thousand weights. F is averaged over past steps.

    The gradient may be averaged, too, over the same steps: with the averages of all gradients, g, and of the weights that they are
    for, theta', the gradient at theta is about `g + F (theta - theta')`. Its noise falls with all samples and not with those of a
    batch, which allows a small damping. Training then reaches the many directions that hardly change log q, too.

    Args:
      weights: float32 variables.
      rate: the learning rate as a function of the number of updates made; 1 is Newton's step.
      decay: of the moving averages, per step. The samples in them should outnumber the weights.
      damping: relative to the diagonal of F, against the noise of F. Far below 1e-5, the rounding of F shows.
      ridge: absolute; bounds the change of a weight by the gradient over this.
      largest_kl_step: largest `rate^2 gradient.change / 2` of a step, about the relative entropy of the flows before and after.
      warm_up: number of updates that only average and change no weights. A flow that is already good would suffer from steps in a
        metric known from few samples.
      averaged_gradient: whether to average the gradient, too. For reverse KL alone, whose second derivative F is.
    """

    needs_fisher = True

    def __init__(
        self,
        weights: Sequence[tf.Variable],
        rate: Rate,
        *,
        decay: Probability = 0.95,
        damping: PositiveFloat = 1e-3,
        ridge: PositiveFloat = 1.0,
        largest_kl_step: PositiveFloat = 0.05,
        warm_up: NonNegativeInt = 0,
        averaged_gradient: bool = False,
    ):
        length = size(weights)
        check_memory(
            _BYTES_OF_A_METRIC * length**2,
            f"the natural gradient of {length} weights",
            "use training.optimizer: adam, or a flow of fewer weights",
        )
        self._weights, self._rate, self._decay = weights, rate, decay
        self._damping, self._ridge, self._largest_kl_step, self.warm_up = damping, ridge, largest_kl_step, warm_up
        self.updates = tf.Variable(0, dtype=tf.int64, name="updates")
        self._fisher = tf.Variable(tf.zeros([length, length]), name="fisher")
        self.averages_gradients = averaged_gradient
        averages = ("mean_gradient", "mean_weights") if averaged_gradient else ()
        self._averages = [tf.Variable(tf.zeros([length]), name=name) for name in averages]
        self.variables = [self.updates, self._fisher, *self._averages]

    def apply(self, gradient: tf.Tensor, fisher: tf.Tensor) -> None:
        """Updates the weights, given the joined gradient with respect to all of them `[size]`, and F `[size, size]`."""
        extended = tf.distribute.get_strategy().extended
        extended.update(self._fisher, self._update, (self.updates, gradient, fisher, self._averages, *self._weights))

    def forget(self) -> None:
        """Begins the average of the gradient anew, as if it were zero at the present weights."""
        if self._averages:
            mean_gradient, mean_weights = self._averages
            mean_gradient.assign(tf.zeros_like(mean_gradient))
            mean_weights.assign(joined(self._weights))

    def _update(
        self,
        mean_fisher: tf.Variable,
        updates: tf.Variable,
        gradient: tf.Tensor,
        fisher: tf.Tensor,
        averages: Sequence[tf.Variable],
        *weights: tf.Variable,
    ) -> None:
        rate = self._rate(updates)
        count = tf.cast(updates.assign_add(1), tf.float32)
        # The first steps take the plain mean of all matrices so far, and of all gradients.
        share = tf.maximum(1 - self._decay, 1 / count)
        mean_fisher.assign_add(share * (fisher - mean_fisher))
        if averages:
            mean_gradient, mean_weights = averages
            here = joined(weights)
            mean_gradient.assign_add(share * (gradient - mean_gradient))
            mean_weights.assign_add(share * (here - mean_weights))
            gradient = mean_gradient + tf.linalg.matvec(mean_fisher, here - mean_weights)
        metric = tf.cast(mean_fisher, tf.float64)
        metric += tf.linalg.diag(self._damping * tf.linalg.diag_part(metric) + self._ridge)
        column = tf.cast(gradient, tf.float64)[:, tf.newaxis]
        change = tf.cast(tf.linalg.cholesky_solve(tf.linalg.cholesky(metric), column)[:, 0], tf.float32)
        rate = tf.minimum(rate, tf.sqrt(2 * self._largest_kl_step / tf.tensordot(gradient, change, 1)))
        _subtract(weights, tf.where(count > self.warm_up, rate, 0.0) * change)


def _subtract(weights: Sequence[tf.Variable], change: tf.Tensor) -> None:
    for weight, part in parts(change, weights):
        weight.assign_sub(part)


OPTIMIZERS = Registry("optimizer", {"adam": Adam, "natural_gradient": NaturalGradient})
