"""Losses whose minimum is the target density, and estimators of their gradients.

A loss maps `log q(phi) + S(phi)` of samples of the flow to a number for each. An estimator draws samples and gives the sums of losses
and gradients over them.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from lattice_flows.flows import Flow

__all__ = ["ESTIMATORS", "AbsoluteError", "GradientEstimate", "ReverseKL", "fisher", "path", "reparameterisation", "scores"]

Action = Callable[[tf.Tensor], tf.Tensor]
Draw = Callable[[], tf.Tensor]


class ReverseKL(tf.Module):
    """Reverse Kullback-Leibler divergence up to the constant log Z: the mean of `log q + S` (arXiv:1904.12072, eqs. 13-14).

    Its mean is bounded from below by `-log Z`; a lower value means that log q is wrong.
    """

    def __call__(self, log_q_plus_action: tf.Tensor) -> tf.Tensor:
        return log_q_plus_action


class AbsoluteError(tf.Module):
    """The mean of `|log q + S + log Z|` (arXiv:1904.12072, eq. B2), which the paper used before the KL loss at L = 14.

    log Z is trained with the flow, from the value of the first samples.
    """

    def __init__(self, log_z: float):
        super().__init__()
        self.log_z = tf.Variable(log_z, dtype=tf.float32, name="log_z")

    def __call__(self, log_q_plus_action: tf.Tensor) -> tf.Tensor:
        return tf.abs(log_q_plus_action + tf.cast(self.log_z, tf.float64))


class GradientEstimate(NamedTuple):
    """Sums over samples: the loss, and its gradient with respect to a list of variables, flattened and joined `[size]`.

    With them the samples `[n, *shape]`.
    """

    loss: tf.Tensor
    gradient: tf.Tensor
    phi: tf.Tensor


def reparameterisation(flow: Flow, action: Action, loss: tf.Module, variables: Sequence[tf.Variable], draw: Draw) -> GradientEstimate:
    """The gradient of the loss of samples, through the samples and through log q.

    Args:
      flow: the flow.
      action: `phi [batch, *shape] -> [batch]`.
      loss: `ReverseKL` or `AbsoluteError`.
      variables: all that the gradient is with respect to.
      draw: gives prior samples `[n, *shape]`.
    """
    with tf.GradientTape() as tape:
        phi, log_q = flow.push_forward(draw())
        total = tf.reduce_sum(loss(log_q + action(phi)))
    return GradientEstimate(total, _joined(tape, total, variables), phi)


def path(flow: Flow, action: Action, loss: ReverseKL, variables: Sequence[tf.Variable], draw: Draw) -> GradientEstimate:
    """The gradient of the reverse KL divergence through the samples alone (arXiv:2207.08219; 2206.09016).

    The explicit dependence of log q on the weights has a gradient whose mean is zero, and only adds noise; without it the variance
    vanishes where q is the target. Arguments as for `reparameterisation`.
    """
    with tf.GradientTape() as tape:
        phi, log_q = flow.push_forward(draw())
    with tf.GradientTape() as force_tape:
        # tf.identity defeats the bijector's cache, which would give back z instead of inverting the map.
        fixed = tf.identity(phi)
        force_tape.watch(fixed)
        exponent = flow.log_prob(tf.identity(fixed)) + action(fixed)
    force = force_tape.gradient(exponent, fixed)
    return GradientEstimate(tf.reduce_sum(loss(log_q + action(phi))), _joined(tape, phi, variables, force), phi)


ESTIMATORS = {"path": path, "reparameterisation": reparameterisation}


def scores(flow: Flow, variables: Sequence[tf.Variable], phi: tf.Tensor) -> tf.Tensor:
    """The gradient of log q at each configuration `[n, *shape]` with respect to the variables, `[n, size]`."""

    def of_one(configuration):
        with tf.GradientTape() as tape:
            log_q = flow.log_prob(configuration[tf.newaxis])
        return _joined(tape, log_q, variables)

    return tf.vectorized_map(of_one, phi)


def fisher(flow: Flow, variables: Sequence[tf.Variable], phi: tf.Tensor) -> tf.Tensor:
    """Fisher's matrix summed over samples of the flow `[n, *shape]`: the sum of `score score^T`, `[size, size]`."""
    score = scores(flow, variables, tf.identity(phi))
    return tf.matmul(score, score, transpose_a=True)


def _joined(tape: tf.GradientTape, target: tf.Tensor, variables: Sequence[tf.Variable], weights=None) -> tf.Tensor:
    gradients = tape.gradient(target, variables, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], axis=0)
