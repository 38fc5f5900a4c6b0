"""How a sampler adapts the scale of its proposals during thermalisation."""

import tensorflow as tf

__all__ = ["gain", "mean_acceptance", "scaled"]

_DECAY = 0.6


def scaled(scale: tf.Tensor, acceptance: tf.Tensor, target: float, adaptations: tf.Tensor) -> tf.Tensor:
    """A scale (step size, width) that is larger if too many proposals are accepted, smaller if too few.

    The iteration of H. Robbins and S. Monro, Ann. Math. Stat. 22 (1951) 400, for the logarithm, with a gain that falls as `n^-0.6`:
    slowly enough to forget the start, fast enough to converge (B. T. Polyak, A. B. Juditsky, SIAM J. Control Optim. 30 (1992) 838).

    Args:
      scale: positive, one or several.
      acceptance: of the last update, of the shape of `scale`.
      target: the wanted acceptance.
      adaptations: number of earlier adaptations, a scalar.
    """
    return scale * tf.exp(gain(adaptations, scale.dtype) * (tf.cast(acceptance, scale.dtype) - target))


def gain(adaptations: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """The weight `(1 + n)^-0.6` of the next value, after n earlier adaptations."""
    return (1.0 + tf.cast(adaptations, dtype)) ** -_DECAY


def mean_acceptance(dh: tf.Tensor) -> tf.Tensor:
    """The mean of `min(1, exp(-dH))` over the chains, `[..., chains]` -> `[...]`; trajectories that diverge count as rejected."""
    chance = tf.exp(tf.minimum(-dh, 0.0))
    return tf.reduce_mean(tf.where(tf.math.is_finite(chance), chance, 0.0), -1)
