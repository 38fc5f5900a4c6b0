"""The checkerboard affine coupling.

    y_x = x_x                                   on frozen sites
    y_x = x_x exp(s_x(x_frozen)) + t_x(x_frozen)  on active sites
    log |det dy/dx| = sum over active sites of s_x

(arXiv:1904.12072, eqs. 9-11; real NVP, arXiv:1605.08803). The network sees the frozen sites alone, so the inverse
needs no more than one evaluation of it, like the map itself.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from lattice_flows.bijectors.augmented import AugmentedBijector

__all__ = ["AffineCoupling"]


class AffineCoupling(AugmentedBijector):
    """Affine map of the active sites, conditioned on the frozen ones.

    Computes in the type of its argument; the log-determinant is float64 whatever that is.

    Example:

    ```python
    parity = Lattice((4, 4)).parity()
    coupling = AffineCoupling(lambda frozen: (tf.zeros_like(frozen), tf.roll(frozen, 1, 1)), active=parity == 0)
    y = coupling.forward(x)                                             # x: [batch, 4, 4]
    log_det = coupling.forward_log_det_jacobian(x, event_ndims=2)       # [batch], from the same evaluation
    ```

    Args:
      network: maps `[batch, *shape]`, with zeros on active sites, to the pair `(s, t)` of the same shape.
      active: bool array of the lattice's shape, true where the field is transformed.

    Raises:
      ValueError: no site is active, or none is frozen.
    """

    def __init__(
        self, network: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]], active: np.ndarray, name: str = "affine_coupling"
    ):
        parameters = dict(locals())
        active = np.asarray(active, dtype=bool)
        if active.all() or not active.any():
            raise ValueError(f"a coupling needs active and frozen sites, got {active.sum()} active of {active.size}")
        self._network, self._active = network, active
        super().__init__(forward_min_event_ndims=active.ndim, name=name, parameters=parameters)

    def _scale_and_shift(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # tf.where, not a product with the mask: a NaN on an active site must not reach the network.
        s, t = self._network(tf.where(self._active, tf.zeros([], x.dtype), x))
        return tf.where(self._active, tf.cast(s, x.dtype), tf.zeros([], x.dtype)), tf.cast(t, x.dtype)

    def _log_det(self, s: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.cast(s, tf.float64), axis=list(range(-self._active.ndim, 0)))

    def _augmented_forward(self, x: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        s, t = self._scale_and_shift(x)
        fldj = self._log_det(s)
        return tf.where(self._active, x * tf.exp(s) + t, x), {"fldj": fldj, "ildj": -fldj}

    def _augmented_inverse(self, y: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        s, t = self._scale_and_shift(y)
        fldj = self._log_det(s)
        return tf.where(self._active, (y - t) * tf.exp(-s), y), {"fldj": fldj, "ildj": -fldj}
