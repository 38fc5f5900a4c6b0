"""Scaling in momentum space.

    y(p) = exp(s(phat^2)) x(p)
    log |det dy/dx| = sum_p s(phat^2)

The linear maps that commute with all symmetries of the lattice. Applied to white noise, it gives a Gaussian of any spectrum: that
of the free field is `s = -log(2 (phat^2 + m2)) / 2`.
"""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.lattice import Lattice

__all__ = ["FourierScaling"]


class FourierScaling(tfp.bijectors.Bijector):
    """One trained number for every class of momenta (`Lattice.momentum_classes`).

    Computes in the type of its argument; the log-determinant is float64 whatever that is. The transform is a matrix product with
    `Lattice.hartley`: up to some thousand sites nothing is faster.

    Example:

    ```python
    lattice = Lattice((4, 4))
    smear = FourierScaling(lattice, log_scale=-lattice.momentum_classes()[0])
    y = smear.forward(x)                                                # x: [batch, 4, 4]
    ```

    Args:
      lattice: the lattice.
      log_scale: s at the start, `[classes]`; zero, the identity, if it is not given.
      trainable: whether s changes in training.

    Raises:
      ValueError: another number of classes.
    """

    def __init__(
        self, lattice: Lattice, log_scale: np.ndarray | None = None, trainable: bool = True, name: str = "fourier_scaling"
    ):
        parameters = dict(locals())
        momenta, self._classes = lattice.momentum_classes()
        log_scale = np.zeros(len(momenta)) if log_scale is None else np.asarray(log_scale)
        if log_scale.shape != momenta.shape:
            raise ValueError(f"log_scale must have the shape {momenta.shape}, one number for each class, got {log_scale.shape}")
        self._lattice, self._transform = lattice, lattice.hartley()
        # How often each class counts: a matrix, whose product XLA differentiates faster than a gather.
        self._members = np.eye(len(momenta))[self._classes].T
        self._log_scale = tf.Variable(log_scale.astype(np.float32), trainable=trainable, name=f"{name}/log_scale")
        super().__init__(forward_min_event_ndims=lattice.d, name=name, parameters=parameters)

    def transferred(self, arrays: Mapping[str, np.ndarray], lattice: Lattice) -> dict[str, np.ndarray]:
        """Its weight by name, from that of the like part on another lattice, if there is one: interpolated in momentum squared."""
        name = self._log_scale.name.split(":")[0]
        if name not in arrays:
            return {}
        here, there = (of.momentum_classes()[0] for of in (self._lattice, lattice))
        return {name: np.interp(here, there, arrays[name]).astype(np.float32)}

    def _scaled(self, x: tf.Tensor, sign: int) -> tf.Tensor:
        transform = tf.constant(self._transform, x.dtype)
        spectrum = tf.linalg.matvec(tf.constant(self._members, x.dtype), tf.cast(self._log_scale, x.dtype), transpose_a=True)
        modes = (tf.reshape(x, [-1, self._lattice.volume]) @ transform) * tf.exp(sign * spectrum)
        return tf.reshape(modes @ transform, tf.shape(x))

    def _forward(self, x: tf.Tensor) -> tf.Tensor:
        return self._scaled(x, 1)

    def _inverse(self, y: tf.Tensor) -> tf.Tensor:
        return self._scaled(y, -1)

    def _forward_log_det_jacobian(self, x: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.cast(self._log_scale, tf.float64) * self._members.sum(axis=1))

    def _inverse_log_det_jacobian(self, y: tf.Tensor) -> tf.Tensor:
        return -self._forward_log_det_jacobian(y)
