"""Couplings.

    y_x = x_x                           on frozen sites
    y_x = f(x_x; theta_x(x_frozen))     on active sites
    log |det dy/dx| = sum over active sites of log |f'(x_x; theta_x)|

The conditioner theta sees the frozen sites alone, so the inverse needs no more than one evaluation of it, like the map itself
(arXiv:1605.08803, sec. 3; arXiv:1904.12072, eqs. 9-11). One coupling serves for every inner map f, as in distrax.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from lattice_flows.bijectors.affine_map import AffineMap
from lattice_flows.bijectors.augmented import AugmentedBijector
from lattice_flows.bijectors.flat import flattened
from lattice_flows.bijectors.inner_map import InnerMap

__all__ = ["MaskedCoupling"]


class MaskedCoupling(AugmentedBijector):
    """An element-wise map of the active sites, conditioned on the frozen ones.

    Computes in the type of its argument; the log-determinant is always float64.

    Example:

    ```python
    lattice = lf.Lattice((4, 4))
    coupling = lf.bijectors.MaskedCoupling(
        lambda frozen: (tf.zeros_like(frozen), tf.roll(frozen, 1, 1)), active=lattice.parity() == 0
    )
    x = tf.constant(np.random.default_rng(1).normal(size=(3, 4, 4)))
    y = coupling.forward(x)
    log_det = coupling.forward_log_det_jacobian(x, event_ndims=2)       # [3], from the same evaluation
    ```

    Args:
      conditioner: maps `[batch, *shape]`, with zeros on active sites, to one tensor of the same shape for each parameter of the
        inner map.
      active: bool array of the lattice's shape, true where the field is transformed.
      inner: the inner map; None for `AffineMap()`.

    Raises:
      ValueError: no site is active, or none is frozen.
    """

    def __init__(
        self,
        conditioner: Callable[[tf.Tensor], Sequence[tf.Tensor]],
        active: np.ndarray,
        inner: InnerMap | None = None,
        name: str = "masked_coupling",
    ):
        parameters = dict(locals())
        active = np.asarray(active, dtype=bool)
        if active.all() or not active.any():
            raise ValueError(f"a coupling needs active and frozen sites, got {active.sum()} active of {active.size}")
        self._conditioner, self._active, self._flat, self._inner = conditioner, active, active.ravel(), inner or AffineMap()
        super().__init__(forward_min_event_ndims=active.ndim, name=name, parameters=parameters)

    @property
    def active(self) -> np.ndarray:
        """The mask of the active sites."""
        return self._active

    def _parameters_of(self, x: tf.Tensor, flat: tf.Tensor) -> list[tf.Tensor]:
        # tf.where, not a product with the mask: a NaN on an active site must not reach the conditioner.
        zero, parities = tf.zeros([], x.dtype), self._inner.parities
        frozen = tf.reshape(tf.where(self._flat, zero, flat), tf.shape(x))
        found = [flattened(tf.cast(parameter, x.dtype), self._active.ndim) for parameter in self._conditioner(frozen)]
        if len(found) != len(parities):
            raise ValueError(
                f"the inner map {type(self._inner).__name__} has {len(parities)} parameters, the conditioner gives {len(found)}"
            )
        # What an unbounded conditioner gives on frozen sites must not overflow in an exponential: its gradient there would be NaN.
        pairs = zip(found, parities, strict=True)
        return [tf.where(self._flat, parameter, zero) if parity == "even" else parameter for parameter, parity in pairs]

    def _mapped(self, x: tf.Tensor, inner: Callable[..., tuple[tf.Tensor, tf.Tensor]]) -> tuple[tf.Tensor, tf.Tensor]:
        """The field after the inner map of the active sites, or its inverse, and the log-determinant of that."""
        flat = flattened(x, self._active.ndim)
        y, log_slope = inner(flat, *self._parameters_of(x, flat))
        on_active = tf.where(self._flat, log_slope, tf.zeros([], log_slope.dtype))
        return tf.reshape(tf.where(self._flat, y, flat), tf.shape(x)), tf.reduce_sum(tf.cast(on_active, tf.float64), axis=-1)

    def _augmented_forward(self, x: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        y, fldj = self._mapped(x, self._inner.forward)
        return y, {"fldj": fldj, "ildj": -fldj}

    def _augmented_inverse(self, y: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        x, ildj = self._mapped(y, self._inner.inverse)
        return x, {"fldj": -ildj, "ildj": ildj}
