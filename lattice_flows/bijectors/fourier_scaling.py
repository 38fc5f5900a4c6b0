"""Scaling in momentum space.

    y(p) = exp(s(p)) x(p)
    log |det dy/dx| = sum_p s(p)

With one number s for each orbit of momenta under the hypercubic group, these are the linear maps that commute with all symmetries
of the lattice. Applied to white noise, they give Gaussian fields: the free field has `s = -log(2 (phat^2 + m2)) / 2`.
"""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.bijectors.classes import ClassValues
from lattice_flows.fourier import momentum_transform
from lattice_flows.lattice import Lattice

__all__ = ["FourierScaling"]

# Lattices with more orbits (in two dimensions from L = 68 on) get a function of phat^2 that is piecewise linear between knots, so that
# the number of weights does not grow with the volume. The lowest momenta, where spectra bend most, are knots themselves.
_MOST_CLASSES = 600
_LOWEST, _KNOTS = 40, 40


class FourierScaling(tfp.bijectors.Bijector):
    """Scales modes by trained numbers, one for each of `Lattice.momentum_classes`.

    On lattices with more than 600 classes, s is a trained function of phat^2, piecewise linear between its values at the 40 lowest
    momenta and 40 knots above them, equally spaced in |phat|. Computes in the type of its argument; the log-determinant is always
    float64.

    Example:

    ```python
    smear = lf.bijectors.FourierScaling(lf.Lattice((4, 4)), lambda momentum_squared: -momentum_squared)
    y = smear.forward(tf.ones([3, 4, 4]))
    ```

    Args:
      lattice: the lattice.
      log_scale: s at the start as a function of phat^2, from one array to another; None for zero, the identity.
      trainable: whether s changes in training.
    """

    def __init__(
        self,
        lattice: Lattice,
        log_scale: Callable[[np.ndarray], np.ndarray] | None = None,
        trainable: bool = True,
        name: str = "fourier_scaling",
    ):
        parameters = dict(locals())
        momenta, classes = lattice.momentum_classes()
        self._lattice, self._transform = lattice, momentum_transform(lattice)
        points = _points(lattice, trainable)
        self._interpolation = None
        if len(points) != len(momenta):
            self._interpolation = np.stack([np.interp(momenta, points, row) for row in np.eye(len(points))], axis=1)
        self._of_momenta = ClassValues(classes, len(momenta))
        self._counts = np.bincount(classes).astype(float)
        start = np.zeros(len(points)) if log_scale is None else log_scale(points)
        self._log_scale = tf.Variable(start.astype(np.float32), trainable=trainable, name=f"{name}/log_scale")
        super().__init__(forward_min_event_ndims=lattice.d, name=name, parameters=parameters)

    @property
    def _key(self) -> str:
        return self._log_scale.name.split(":")[0]

    def upgraded(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Translates the weight of an earlier version, which had one number for all orbits with the same phat^2.

        Args:
          arrays: weights by name, for this lattice.

        Returns:
          The weight of this part by name, with one number for each orbit; nothing if there is none of an earlier version.
        """
        distinct, members = np.unique(_points(self._lattice, self._log_scale.trainable), return_inverse=True)
        if self._key not in arrays or not len(arrays[self._key]) == len(distinct) < len(members):
            return {}
        return {self._key: arrays[self._key][members]}

    def transferred(self, arrays: Mapping[str, np.ndarray], lattice: Lattice) -> dict[str, np.ndarray]:
        """Translates the weight of the same part on another lattice, by interpolation in phat^2.

        Orbits with the same phat^2 enter with their mean.

        Args:
          arrays: weights by name.
          lattice: the lattice they belong to.

        Returns:
          The weight of this part by name; nothing if there is none of its name.
        """
        if self._key not in arrays:
            return {}
        array, trainable = arrays[self._key], self._log_scale.trainable
        here, there = (_points(sites, trainable) for sites in (self._lattice, self._lattice.like(lattice)))
        if np.array_equal(here, there) and len(array) == len(here):
            return {self._key: array}
        distinct, members = np.unique(there, return_inverse=True)
        if len(array) == len(there):
            array = np.bincount(members, array) / np.bincount(members)
        return {self._key: np.interp(here, distinct, array).astype(np.float32)}

    def _values(self, dtype: tf.DType) -> tf.Tensor:
        """s of every class of momenta."""
        values = tf.cast(self._log_scale, dtype)
        return values if self._interpolation is None else tf.linalg.matvec(tf.constant(self._interpolation, dtype), values)

    def _scaled(self, x: tf.Tensor, sign: int) -> tf.Tensor:
        axes = self._transform.axes
        scale = tf.exp(sign * tf.reshape(self._of_momenta(self._values(x.dtype)), axes))
        modes = self._transform(tf.reshape(x, [-1, *axes]), tf.einsum) * scale
        return tf.reshape(self._transform.inverse(modes, tf.einsum), tf.shape(x))

    def _forward(self, x: tf.Tensor) -> tf.Tensor:
        return self._scaled(x, 1)

    def _inverse(self, y: tf.Tensor) -> tf.Tensor:
        return self._scaled(y, -1)

    def _forward_log_det_jacobian(self, x: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(self._values(tf.float64) * self._counts)

    def _inverse_log_det_jacobian(self, y: tf.Tensor) -> tf.Tensor:
        return -self._forward_log_det_jacobian(y)


def _points(lattice: Lattice, trainable: bool) -> np.ndarray:
    """The value of phat^2 that each number belongs to."""
    momenta, _ = lattice.momentum_classes()
    if len(momenta) <= _MOST_CLASSES or not trainable:
        return momenta
    lowest, (first, *_) = np.split(np.unique(momenta), [_LOWEST])
    return np.append(lowest, np.linspace(np.sqrt(first), np.sqrt(lattice.largest_momentum_squared), _KNOTS) ** 2)
