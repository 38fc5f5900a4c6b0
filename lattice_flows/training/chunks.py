"""Gradient estimates of large batches in bounded memory."""

import functools
import math
from collections.abc import Callable

import tensorflow as tf

from lattice_flows.actions import Action
from lattice_flows.flows import Flow
from lattice_flows.training.objectives import Draw, GradientEstimate

__all__ = ["in_chunks"]

Estimator = Callable[..., GradientEstimate]

# Sites of all fields of a chunk. The affine flow of 16 layers keeps half a GiB for the gradient of that many.
_SITES = 2**16


def in_chunks(estimator: Estimator, batch: int, volume: int) -> Estimator:
    """Returns an estimator that goes through its samples chunk by chunk and adds up the estimates.

    The samples are the same. A loss that is not a mean over samples, like `absolute_error`, is taken over each chunk.

    Args:
      estimator: an entry of `ESTIMATORS`.
      batch: number of samples. Chunks are equal, so they may be smaller than memory would allow.
      volume: sites of the lattice.
    """
    chunk = max(size for size in range(1, batch + 1) if batch % size == 0 and size * volume <= max(_SITES, volume))
    if chunk == batch:
        return estimator

    @functools.wraps(estimator)
    def chunked(flow: Flow, action: Action, draw: Draw, *, with_fisher: bool = False, **settings) -> GradientEstimate:
        fields = draw()
        chunks = tf.reshape(fields, [batch // chunk, chunk, *fields.shape[1:]])
        size = sum(math.prod(variable.shape) for variable in flow.trainable_variables)
        zeros = [tf.zeros([], tf.float64), tf.zeros([size]), *([tf.zeros([size, size])] if with_fisher else [])]

        def add(index: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
            found = estimator(flow, action, lambda: chunks[index], with_fisher=with_fisher, **settings)
            return index + 1, *(total + part for total, part in zip(sums, found[: len(sums)], strict=True))

        sums = tf.while_loop(lambda index, *_: index < batch // chunk, add, (0, *zeros), maximum_iterations=batch // chunk)[1:]
        return GradientEstimate(*sums, *([] if with_fisher else [None]))

    return chunked
