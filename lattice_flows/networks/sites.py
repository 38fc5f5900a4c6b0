"""Some sites of a lattice, packed into a vector."""

import numpy as np
import tensorflow as tf

__all__ = ["Sites"]


class Sites:
    """Packs the sites of a mask into a vector, and back.

    Both ways are gathers, and each is the gradient of the other. TensorFlow's own gradient of a gather is a scatter, which XLA runs
    site by site on a CPU.

    Args:
      mask: bool array of the lattice's shape.
    """

    def __init__(self, mask: np.ndarray):
        self._mask, self._inside = mask, np.flatnonzero(mask)
        # Where each site is in the packed vector behind one zero, which stands for all sites outside.
        self._place = np.where(mask.ravel(), np.cumsum(mask.ravel()), 0)

    def __len__(self) -> int:
        return len(self._inside)

    def take(self, field: tf.Tensor) -> tf.Tensor:
        """`[batch, *shape]` -> `[batch, sites]`."""

        @tf.custom_gradient
        def gather(x: tf.Tensor) -> tf.Tensor:
            return tf.gather(tf.reshape(x, [-1, self._mask.size]), self._inside, axis=1), self.put

        return gather(field)

    def put(self, values: tf.Tensor) -> tf.Tensor:
        """`[batch, sites]` -> `[batch, *shape]`, zero elsewhere."""

        @tf.custom_gradient
        def gather(x: tf.Tensor) -> tf.Tensor:
            field = tf.gather(tf.pad(x, [[0, 0], [1, 0]]), self._place, axis=1)
            return tf.reshape(field, [-1, *self._mask.shape]), self.take

        return gather(values)
