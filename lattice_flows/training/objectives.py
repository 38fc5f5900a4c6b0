"""Losses whose minimum is the target density, and estimators of their gradients.

A loss is a function of `log q(phi) + S(phi)`, `[n]`, of samples of the flow. An estimator draws samples and sums over them.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from lattice_flows.flows import Flow

__all__ = ["ESTIMATORS", "GradientEstimate", "absolute_error", "path", "reparameterisation", "reverse_kl", "scores"]

Action = Callable[[tf.Tensor], tf.Tensor]
Draw = Callable[[], tf.Tensor]


def reverse_kl(log_q_plus_action: tf.Tensor) -> tf.Tensor:
    """Reverse Kullback-Leibler divergence up to the constant log Z: `log q + S` (arXiv:1904.12072, eqs. 13-14).

    Its mean is bounded from below by `-log Z`; a lower value means that log q is wrong.
    """
    return log_q_plus_action


def absolute_error(log_q_plus_action: tf.Tensor) -> tf.Tensor:
    """`|log q + S + log Z|` (arXiv:1904.12072, eq. B2), which the paper used before the KL loss at L = 14.

    log Z is estimated from the samples themselves, by minus the mean of `log q + S`; with several devices, by each from its own.
    """
    return tf.abs(log_q_plus_action - tf.stop_gradient(tf.reduce_mean(log_q_plus_action)))


class GradientEstimate(NamedTuple):
    """Sums over samples of the flow: `log q + S`; the gradient of the loss with respect to the flow's variables, flattened and
    joined `[size]`; and, if it was asked for, Fisher's matrix `score score^T`, `[size, size]`.
    """

    log_q_plus_action: tf.Tensor
    gradient: tf.Tensor
    fisher: tf.Tensor | None


def reparameterisation(
    flow: Flow, action: Action, draw: Draw, *, with_fisher: bool = False, loss: Callable[[tf.Tensor], tf.Tensor] = reverse_kl
) -> GradientEstimate:
    """The gradient of the loss of samples, through the samples and through log q.

    Args:
      flow: the flow.
      action: `phi [batch, *shape] -> [batch]`.
      draw: gives prior samples `[n, *shape]`.
      with_fisher: whether Fisher's matrix is wanted.
      loss: `reverse_kl` or `absolute_error`.
    """
    with tf.GradientTape() as tape:
        phi, log_q = flow.push_forward(draw())
        exponent = log_q + action(phi)
        total = tf.reduce_sum(loss(exponent))
    matrix = _fisher(scores(flow, phi)[0]) if with_fisher else None
    return GradientEstimate(tf.reduce_sum(exponent), _joined(tape, total, flow.trainable_variables), matrix)


def path(flow: Flow, action: Action, draw: Draw, *, with_fisher: bool = False) -> GradientEstimate:
    """The gradient of the reverse KL divergence through the samples alone (arXiv:2207.08219; 2206.09016).

    The explicit dependence of log q on the weights has a gradient whose mean is zero, and only adds noise; without it the variance
    vanishes where q is the target. Arguments as for `reparameterisation`.
    """
    with tf.GradientTape() as tape:
        phi, log_q = flow.push_forward(draw())
    fixed = tf.identity(phi)
    with tf.GradientTape() as force_tape:
        force_tape.watch(fixed)
        exponent = action(fixed)
        if not with_fisher:
            # tf.identity defeats the bijector's cache, which would give back z instead of inverting the map.
            exponent += flow.log_prob(tf.identity(fixed))
    force, matrix = force_tape.gradient(exponent, fixed), None
    if with_fisher:
        score, log_q_force = scores(flow, fixed)
        force, matrix = force + log_q_force, _fisher(score)
    total = tf.reduce_sum(log_q + action(phi))
    return GradientEstimate(total, _joined(tape, phi, flow.trainable_variables, force), matrix)


ESTIMATORS = {"path": path, "reparameterisation": reparameterisation}


def scores(flow: Flow, phi: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The gradients of log q at each configuration `[n, *shape]` with respect to the variables, `[n, size]`, and to phi."""
    variables = flow.trainable_variables

    def of_one(configuration):
        batch = configuration[tf.newaxis]
        with tf.GradientTape() as tape:
            tape.watch(batch)
            log_q = flow.log_prob(tf.identity(batch))
        *of_variables, of_phi = tape.gradient(log_q, [*variables, batch], unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return _flat(of_variables), of_phi[0]

    return tf.vectorized_map(of_one, phi)


def _fisher(score: tf.Tensor) -> tf.Tensor:
    return tf.matmul(score, score, transpose_a=True)


def _joined(tape: tf.GradientTape, target: tf.Tensor, variables: Sequence[tf.Variable], weights=None) -> tf.Tensor:
    return _flat(tape.gradient(target, variables, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO))


def _flat(gradients: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], axis=0)
