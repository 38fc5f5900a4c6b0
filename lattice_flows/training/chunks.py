"""Gradient estimates of large batches in bounded memory."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from lattice_flows.actions import Action
from lattice_flows.flows import Flow
from lattice_flows.resources import SITES_AT_ONCE
from lattice_flows.training import vectors
from lattice_flows.training.objectives import Draw, GradientEstimate

__all__ = ["at_once", "in_chunks"]

Estimator = Callable[..., GradientEstimate]


def in_chunks(estimator: Estimator, batch: int, volume: int) -> Estimator:
    """Returns an estimator that goes through its samples chunk by chunk and adds up the estimates.

    The samples are the same. A loss that is not a mean over samples, like `absolute_error`, is taken over each chunk.

    Chunks are equal if that makes them at least half as large as memory allows. If not, as for a prime batch, the last is smaller
    and compiled for itself.

    Args:
      estimator: an entry of `ESTIMATORS`.
      batch: number of samples.
      volume: sites of the lattice.
    """
    chunk = at_once(batch, volume)
    whole = batch // chunk
    if chunk == batch:
        return estimator

    @functools.wraps(estimator)
    def chunked(flow: Flow, action: Action, draw: Draw, *, with_fisher: bool = False, **settings: Any) -> GradientEstimate:
        # Every chunk draws the whole batch anew, where the estimator sees it: the path of a gradient begins at the prior's weights.
        size = vectors.size(flow.trained)
        zeros = [
            tf.zeros([], tf.float64),
            tf.zeros([], tf.float64),
            tf.zeros([size]),
            *([tf.zeros([size, size])] if with_fisher else []),
        ]

        def added(sums: Sequence[tf.Tensor], start: Any, number: int) -> list[tf.Tensor]:
            found = estimator(flow, action, lambda: _rows(draw(), start, number), with_fisher=with_fisher, **settings)
            return [total + one for total, one in zip(sums, found[: len(sums)], strict=True)]

        def add(index: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return index + 1, *added(sums, index * chunk, chunk)

        sums = tf.while_loop(lambda index, *_: index < whole, add, (0, *zeros), maximum_iterations=whole)[1:]
        if whole * chunk < batch:
            sums = added(sums, whole * chunk, batch - whole * chunk)
        return GradientEstimate(*sums, *([] if with_fisher else [None]))

    return chunked


def _rows(fields: tf.Tensor, start: Any, number: int) -> tf.Tensor:
    return tf.ensure_shape(tf.gather(fields, start + tf.range(number)), [number, *fields.shape[1:]])


def at_once(batch: int, volume: int) -> int:
    """The number of samples in a chunk, of a batch on a lattice of that many sites."""
    return _size(batch, max(SITES_AT_ONCE // volume, 1))


def _size(batch: int, most: int) -> int:
    """The number of samples in a chunk, `most` or fewer."""
    equal = max(size for size in range(1, min(batch, most) + 1) if batch % size == 0)
    return equal if 2 * equal >= min(batch, most) else math.ceil(batch / math.ceil(batch / most))
