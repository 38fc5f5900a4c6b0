"""Rational-quadratic splines (C. Durkan et al., Neural Spline Flows, arXiv:1906.04032, eqs. 4-8).

    y = y_k + (y_{k+1} - y_k) [s_k xi^2 + d_k xi (1 - xi)] / [s_k + (d_{k+1} + d_k - 2 s_k) xi (1 - xi)]

in bin k, with `xi = (x - x_k) / (x_{k+1} - x_k)`, slopes `d_k` at the knots and `s_k = (y_{k+1} - y_k) / (x_{k+1} - x_k)`; the
identity outside the interval.
"""

import itertools
import math

import tensorflow as tf
import tensorflow_probability as tfp
from pydantic import PositiveFloat, PositiveInt

__all__ = ["RationalQuadraticSpline"]

# Of the mean width of a bin, and of a slope: less would make the inverse inaccurate in float32.
_SMALLEST = 1e-2


class RationalQuadraticSpline:
    """A monotonic spline of each site, by `tfp.bijectors.RationalQuadraticSpline`.

    Its `3 bins - 1` parameters are, before softmax and softplus, the widths and heights of the bins and the slopes between them.
    Those of opposite bins are the sum and the difference of an even and an odd parameter, so that the map of -phi mirrors that of
    phi.

    Example:

    ```python
    spline = lf.bijectors.RationalQuadraticSpline(bins=4)
    x = tf.constant(np.random.default_rng(1).normal(size=(3, 4, 4)))
    y, log_slope = spline.forward(x, *[0.1 * x] * len(spline.parities))
    ```

    Args:
      bins: number of bins, even.
      half_width: the spline acts on the interval from `-half_width` to `half_width`; outside, the map is the identity.

    Raises:
      ValueError: an odd number of bins.
    """

    keeps_sign = True

    def __init__(self, *, bins: PositiveInt = 8, half_width: PositiveFloat = 3.0):
        if bins % 2:
            raise ValueError(f"bins must be even, for the map of -phi to mirror that of phi, got {bins}")
        self._bins, self._half_width = bins, half_width
        half = bins // 2
        # Widths, heights, slopes: in each, those that are even and those that are odd; the slope in the middle is even.
        self._numbers = (half, half, half, half, half, half - 1)
        self.parities = tuple(
            parity for number, parity in zip(self._numbers, itertools.cycle(("even", "odd")), strict=False) for _ in range(number)
        )

    def forward(self, x: tf.Tensor, *parameters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns y and `log dy/dx`."""
        # Flat, because TensorFlow's softmax takes no more than five axes in float32 in XLA.
        spline, flat = self._spline(parameters), tf.reshape(x, [-1])
        return tuple(tf.reshape(value, tf.shape(x)) for value in (spline.forward(flat), spline.forward_log_det_jacobian(flat, 0)))

    def inverse(self, y: tf.Tensor, *parameters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns x and `log dx/dy`."""
        spline, flat = self._spline(parameters), tf.reshape(y, [-1])
        return tuple(tf.reshape(value, tf.shape(y)) for value in (spline.inverse(flat), spline.inverse_log_det_jacobian(flat, 0)))

    def _spline(self, parameters: tuple[tf.Tensor, ...]) -> tfp.bijectors.Bijector:
        numbers = tf.split(tf.stack([tf.reshape(parameter, [-1]) for parameter in parameters], axis=1), self._numbers, axis=1)
        widths, heights = (self._sizes(_mirrored(*numbers[i : i + 2])) for i in (0, 2))
        middle, even = tf.split(numbers[4], [1, self._bins // 2 - 1], axis=1)
        raw = _mirrored(even, numbers[5], middle)
        # softplus(log(e - 1)) = 1: zero stands for the slope of the identity.
        slopes = _SMALLEST + (1 - _SMALLEST) * tf.math.softplus(raw + math.log(math.e - 1))
        return tfp.bijectors.RationalQuadraticSpline(widths, heights, slopes, range_min=-self._half_width)

    def _sizes(self, raw: tf.Tensor) -> tf.Tensor:
        share = _SMALLEST / self._bins + (1 - _SMALLEST) * tf.nn.softmax(raw, axis=1)
        return 2 * self._half_width * share


def _mirrored(even: tf.Tensor, odd: tf.Tensor, *middle: tf.Tensor) -> tf.Tensor:
    """Numbers from left to right: a change of sign of `odd` reverses them."""
    return tf.concat([tf.reverse(even - odd, [1]), *middle, even + odd], axis=1)
