"""The affine map of real NVP.

    y = x exp(s) + t
    log |dy/dx| = s

(arXiv:1605.08803, eqs. 7-8; arXiv:1904.12072, eqs. 9-11.)
"""

import tensorflow as tf

__all__ = ["AffineMap"]


class AffineMap:
    """Scales and shifts each site: parameters are the log scale s, even, and the shift t, odd.

    Example:

    ```python
    x = tf.ones([3, 4, 4])
    y, log_slope = lf.bijectors.AffineMap().forward(x, 0.5 * x, x)
    ```
    """

    parities = ("even", "odd")
    keeps_sign = True

    def forward(self, x: tf.Tensor, s: tf.Tensor, t: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns y and s."""
        return x * tf.exp(s) + t, s

    def inverse(self, y: tf.Tensor, s: tf.Tensor, t: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns x and -s."""
        return (y - t) * tf.exp(-s), -s
