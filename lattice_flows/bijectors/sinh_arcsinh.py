"""The sinh-arcsinh map of single sites.

    y_x = b sinh(tau asinh(x_x / b))
    log |det dy/dx| = sum_x log [ tau cosh(tau asinh(x_x / b)) / sqrt(1 + (x_x / b)^2) ]

(M. C. Jones and A. Pewsey, Biometrika 96 (2009) 761). It is linear near zero and grows like |x|^tau far away. With tau < 1 it gives
a Gaussian shorter tails, like those of `exp(-phi^4)`, which no affine map can do. It is odd, and tau -> 1 / tau inverts it.
"""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.bijectors.flat import flattened

__all__ = ["SinhArcsinh"]


class SinhArcsinh(tfp.bijectors.Bijector):
    """The same odd element-wise map at every site, with two trained numbers.

    Computes in the type of its argument; the log-determinant is always float64.

    Example:

    ```python
    element_wise = lf.bijectors.SinhArcsinh(ndims=2)
    y = element_wise.forward(tf.ones([3, 4, 4]))                        # [3, 4, 4]
    ```

    Args:
      ndims: number of lattice dimensions.
      width: b at the start; fields larger than b are in the tails.
      tail: tau at the start; 1 is the identity.

    Raises:
      ValueError: a width or a tail that is not positive and finite.
    """

    def __init__(self, ndims: int, width: float = 0.75, tail: float = 1.0, name: str = "sinh_arcsinh"):
        parameters = dict(locals())
        for key, value in (("width", width), ("tail", tail)):
            if not 0 < value < np.inf:
                raise ValueError(f"{key} must be positive and finite, got {value}")
        self._ndims = ndims
        self._log_width = tf.Variable(np.float32(np.log(width)), name=f"{name}/log_width")
        self._log_tail = tf.Variable(np.float32(np.log(tail)), name=f"{name}/log_tail")
        super().__init__(forward_min_event_ndims=ndims, name=name, parameters=parameters)

    def _map(self, x: tf.Tensor, sign: int) -> tuple[tf.Tensor, tf.Tensor]:
        """The map (sign 1) or its inverse (-1), and its log-determinant."""
        width, tail = tf.exp(tf.cast(self._log_width, x.dtype)), tf.exp(sign * tf.cast(self._log_tail, x.dtype))
        flat = flattened(x, self._ndims)
        # asinh, sinh and cosh from one logarithm and one exponential; of |x|, since far below zero u + root would cancel. Near zero
        # the logarithm and growth - decay lose digits to 1: an error of y that is small against the width, which does no harm.
        u = tf.abs(flat) / width
        root = tf.sqrt(1 + u * u)
        growth = tf.exp(tail * tf.math.log(u + root))
        decay = 1 / growth
        log_slope = tf.math.log(tail * (growth + decay) / (2 * root))
        y = tf.sign(flat) * width * (growth - decay) / 2
        return tf.reshape(y, tf.shape(x)), tf.reduce_sum(tf.cast(log_slope, tf.float64), axis=-1)

    def _forward(self, x: tf.Tensor) -> tf.Tensor:
        return self._map(x, 1)[0]

    def _inverse(self, y: tf.Tensor) -> tf.Tensor:
        return self._map(y, -1)[0]

    def _forward_log_det_jacobian(self, x: tf.Tensor) -> tf.Tensor:
        return self._map(x, 1)[1]

    def _inverse_log_det_jacobian(self, y: tf.Tensor) -> tf.Tensor:
        return self._map(y, -1)[1]
