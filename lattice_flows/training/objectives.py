"""Losses that the target density minimises, and estimators of their gradients.

A loss is a function of `log q(phi) + S(phi)`, `[n]`, at samples of the flow, with one value for each sample. To add one, write the
function and register it; `training.loss` then takes its name:

```python
@lf.training.LOSSES.register("variance")
def variance(log_q_plus_action):
    return (log_q_plus_action - tf.stop_gradient(tf.reduce_mean(log_q_plus_action))) ** 2
```

An estimator draws samples and sums the gradient of any loss over them; that of `forward_kl` takes samples of the target.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from lattice_flows.actions import Action
from lattice_flows.config import Registry
from lattice_flows.flows import Flow
from lattice_flows.training.vectors import joined

__all__ = [
    "ESTIMATORS",
    "LOSSES",
    "GradientEstimate",
    "absolute_error",
    "forward_kl",
    "path",
    "reparameterisation",
    "reverse_kl",
    "scores",
]

Draw = Callable[[], tf.Tensor]
Loss = Callable[[tf.Tensor], tf.Tensor]


def reverse_kl(log_q_plus_action: tf.Tensor) -> tf.Tensor:
    """Reverse Kullback-Leibler divergence up to the constant log Z: `log q + S` (arXiv:1904.12072, eqs. 13-14).

    Its mean is bounded from below by `-log Z`. A lower value means that log q is wrong.
    """
    return log_q_plus_action


def absolute_error(log_q_plus_action: tf.Tensor) -> tf.Tensor:
    """`|log q + S + log Z|` (arXiv:1904.12072, eq. B2), with which the paper begins its training at L = 14.

    log Z is estimated by minus the mean of `log q + S` over the samples themselves; each of several devices uses its own samples.
    """
    return tf.abs(log_q_plus_action - tf.stop_gradient(tf.reduce_mean(log_q_plus_action)))


LOSSES = Registry("loss", {"reverse_kl": reverse_kl, "absolute_error": absolute_error})


class GradientEstimate(NamedTuple):
    """Sums over samples of the flow.

    Attributes:
      log_q_plus_action: `log q + S`, a scalar in float64.
      squares: of that, likewise.
      gradient: of the loss with respect to the flow's variables, flattened and joined, `[size]`.
      fisher: the Fisher matrix `score score^T`, `[size, size]`, if it was asked for.
    """

    log_q_plus_action: tf.Tensor
    squares: tf.Tensor
    gradient: tf.Tensor
    fisher: tf.Tensor | None


def reparameterisation(
    flow: Flow, action: Action, draw: Draw, *, with_fisher: bool = False, loss: Loss = reverse_kl
) -> GradientEstimate:
    """The gradient of a loss through the samples and through log q.

    Args:
      flow: the flow.
      action: `phi [batch, *shape] -> [batch]`.
      draw: returns prior samples `[n, *shape]`.
      with_fisher: whether to compute the Fisher matrix.
      loss: a function like those in `LOSSES`.

    Raises:
      ValueError: the samples do not depend on a weight, as when they are drawn elsewhere.
    """
    with tf.GradientTape(persistent=True) as tape:
        phi, log_q = flow.push_forward(draw())
        exponent = log_q + action(phi)
        total = tf.reduce_sum(loss(exponent))
    _gradient(tape, phi, flow.trained)  # refuses weights without a path, which the explicit ones of log q would hide
    matrix = _fisher(scores(flow, phi)[0]) if with_fisher else None
    return GradientEstimate(*_moments(exponent), _gradient(tape, total, flow.trained), matrix)


def path(flow: Flow, action: Action, draw: Draw, *, with_fisher: bool = False, loss: Loss = reverse_kl) -> GradientEstimate:
    """The gradient of the reverse KL divergence through the samples alone (arXiv:2207.08219; 2206.09016).

    The explicit dependence of log q on the weights contributes a term of mean zero, which only adds noise. Without it the variance
    vanishes where q is the target. For any other loss the mean of this term is not zero, so `reparameterisation` takes over. It has
    the same arguments and errors.
    """
    if loss is not reverse_kl:
        return reparameterisation(flow, action, draw, with_fisher=with_fisher, loss=loss)
    with tf.GradientTape() as tape:
        phi, log_q = flow.push_forward(draw())
    fixed = tf.identity(phi)
    with tf.GradientTape() as force_tape:
        force_tape.watch(fixed)
        exponent = action(fixed)
        if not with_fisher:
            # tf.identity defeats the bijector's cache, which would return z instead of inverting the map.
            exponent += flow.log_prob(tf.identity(fixed))
    force, matrix = force_tape.gradient(exponent, fixed), None
    if with_fisher:
        score, log_q_force = scores(flow, fixed)
        force, matrix = force + log_q_force, _fisher(score)
    moments = _moments(log_q + action(phi))
    return GradientEstimate(*moments, _gradient(tape, phi, flow.trained, force), matrix)


ESTIMATORS = Registry("gradient estimator", {"path": path, "reparameterisation": reparameterisation})


def forward_kl(flow: Flow, action: Action, draw: Draw, *, with_fisher: bool = False, **_settings: Any) -> GradientEstimate:
    """The gradient of the forward Kullback-Leibler divergence, `-log q` at samples of the target, up to a constant.

    It is large where the flow misses a region of the target, which the flow's own samples never see.

    Args:
      flow, action, with_fisher: as for `reparameterisation`.
      draw: returns samples of the target `[n, *shape]`.
    """
    phi = draw()
    if with_fisher:
        score, _ = scores(flow, phi)
        exponent = flow.log_prob(tf.identity(phi)) + action(phi)
        return GradientEstimate(*_moments(exponent), -tf.reduce_sum(score, axis=0), _fisher(score))
    with tf.GradientTape() as tape:
        log_q = flow.log_prob(phi)
        total = -tf.reduce_sum(log_q)
    return GradientEstimate(*_moments(log_q + action(phi)), _gradient(tape, total, flow.trained), None)


def scores(flow: Flow, phi: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The gradients of log q at each configuration `[n, *shape]` with respect to the variables, `[n, size]`, and to phi."""
    variables = flow.trained

    def of_one(configuration: tf.Tensor) -> Any:
        batch = configuration[tf.newaxis]
        with tf.GradientTape() as tape:
            tape.watch(batch)
            log_q = flow.log_prob(tf.identity(batch))
        *of_variables, of_phi = tape.gradient(log_q, [*variables, batch], unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return joined(of_variables), of_phi[0]

    return tf.vectorized_map(of_one, phi)


def _moments(log_q_plus_action: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.reduce_sum(log_q_plus_action), tf.reduce_sum(log_q_plus_action**2)


def _fisher(score: tf.Tensor) -> tf.Tensor:
    return tf.matmul(score, score, transpose_a=True)


def _gradient(tape: tf.GradientTape, target: tf.Tensor, variables: Sequence[tf.Variable], weights: Any = None) -> tf.Tensor:
    gradients = tape.gradient(target, variables, weights)
    lost = [variable.name for variable, gradient in zip(variables, gradients, strict=True) if gradient is None]
    if lost:
        raise ValueError(
            f"there is no gradient with respect to the weights {', '.join(lost)}, which would be trained by noise alone: the map "
            "and the prior do not use them differentiably, or samples of the flow were drawn outside the estimator"
        )
    return joined(gradients)
