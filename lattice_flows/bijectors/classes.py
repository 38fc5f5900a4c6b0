"""Trained numbers that momenta or displacements of one class share."""

import numpy as np
import tensorflow as tf

__all__ = ["ClassValues"]

# Entries of the largest matrix of classes and members. Its product is faster than a gather, whose gradient is a scatter, which XLA
# runs number by number on a CPU; but matrices of many classes on large lattices do not fit into memory.
_LARGEST_MATRIX = 2**19


class ClassValues:
    """Gives every member the number of its class: `[..., classes]` -> `[..., members]`.

    Example:

    ```python
    from lattice_flows.bijectors.classes import ClassValues

    momenta, classes = lf.Lattice((4, 4)).momentum_classes()
    of_members = ClassValues(classes, len(momenta))
    values = of_members(tf.constant(momenta))                           # [16]
    ```

    Args:
      classes: the class of each member, `[members]`; -1 for members of no class, which get zero.
      number: of the classes.

    Attributes:
      matrix: `[classes, members]`, one where a member belongs to a class; None where that would be too large.
    """

    def __init__(self, classes: np.ndarray, number: int):
        self.matrix = self._places = None
        if number * len(classes) <= _LARGEST_MATRIX:
            self.matrix = (classes == np.arange(number)[:, np.newaxis]).astype(float)
        else:
            self._places = np.where(classes < 0, number, classes)

    def __call__(self, values: tf.Tensor) -> tf.Tensor:
        if self._places is None:
            return tf.tensordot(values, tf.constant(self.matrix, values.dtype), 1)
        padded = tf.pad(values, [[0, 0]] * (len(values.shape) - 1) + [[0, 1]])
        return tf.gather(padded, self._places, axis=-1)
