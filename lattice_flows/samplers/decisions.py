"""The Metropolis test of whole configurations, chain by chain."""

from typing import Any

import tensorflow as tf

__all__ = ["accepts", "chosen"]


def accepts(dh: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Whether each chain accepts its proposal, with probability `min(1, exp(-dH))`; never if dH is not a number.

    Args:
      dh: the change of H, or of what stands in its place, `[chains]`, float64.
      seed: stateless, `[2]`.
    """
    return tf.math.log(tf.random.stateless_uniform(dh.shape, seed, dtype=dh.dtype)) < -dh


def chosen(accepted: tf.Tensor, proposed: Any, present: Any) -> Any:
    """What each chain holds after the test: of two structures of tensors `[chains, ...]`, the first where it is accepted."""

    def of_chains(new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
        return tf.where(tf.reshape(accepted, [-1, *(1,) * (len(new.shape) - 1)]), new, old)

    return tf.nest.map_structure(of_chains, proposed, present)
