"""Losses whose minimum is the target density."""

from collections.abc import Callable

import tensorflow as tf

from lattice_flows.flows import Flow

__all__ = ["reverse_kl"]


def reverse_kl(flow: Flow, action: Callable[[tf.Tensor], tf.Tensor], z: tf.Tensor) -> tf.Tensor:
    """Reverse Kullback-Leibler divergence up to the constant log Z: `log q(phi) + S(phi)` (arXiv:1904.12072, eqs. 13-14).

    Its mean is bounded from below by `-log Z`; a lower value means that log q is wrong. Differentiating through phi gives the
    reparameterisation estimator of the gradient.

    Args:
      flow: the flow.
      action: `phi [batch, *shape] -> [batch]`.
      z: prior samples `[batch, *shape]`.

    Returns:
      the loss of each sample, `[batch]`, float64.
    """
    phi, log_q = flow.push_forward(z)
    return log_q + action(phi)
