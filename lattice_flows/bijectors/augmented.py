"""Bijectors whose value and log-determinant come from one evaluation.

This is the only file that uses TFP's private cache of bijectors.
"""

import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow_probability.python.internal import cache_util

__all__ = ["AugmentedBijector"]


class AugmentedBijector(tfp.bijectors.Bijector):
    """Computes value and log-determinant together, whichever is asked for first, and keeps both.

    A subclass defines `_augmented_forward(x)` and `_augmented_inverse(y)`. Each returns the value and a dictionary of the
    log-determinants of both directions, "fldj" and "ildj", `[batch]`.
    """

    _cache = cache_util.BijectorCacheWithGreedyAttrs(forward_name="_augmented_forward", inverse_name="_augmented_inverse")

    def _forward(self, x: tf.Tensor) -> tf.Tensor:
        return self._augmented_forward(x)[0]

    def _inverse(self, y: tf.Tensor) -> tf.Tensor:
        return self._augmented_inverse(y)[0]

    def _forward_log_det_jacobian(self, x: tf.Tensor) -> tf.Tensor:
        attributes = self._cache.forward_attributes(x)
        if "fldj" not in attributes:
            attributes["y"] = self._cache.forward(x)  # the cache itself forgets a value that nobody holds
        return attributes["fldj"]

    def _inverse_log_det_jacobian(self, y: tf.Tensor) -> tf.Tensor:
        attributes = self._cache.inverse_attributes(y)
        if "ildj" not in attributes:
            attributes["x"] = self._cache.inverse(y)
        return attributes["ildj"]
