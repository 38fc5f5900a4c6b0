"""Maps of the odd sites of a lattice that leave the even ones alone.

Odd sites are kept as `lattice.OddSites` says, `[..., L_1, ..., L_d / 2]`, and even ones likewise.
"""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.bijectors.augmented import AugmentedBijector
from lattice_flows.lattice import Lattice

__all__ = ["OnOddSites", "joined", "split"]


class OnOddSites(AugmentedBijector):
    """A bijector of fields on odd sites as one of the whole lattice, which keeps the field at even sites.

    Example:

    ```python
    lattice = lf.Lattice((4, 4))
    scaling = lf.bijectors.FourierScaling(lf.lattice.OddSites(lattice), lambda momentum_squared: -momentum_squared)
    y = lf.bijectors.OnOddSites(lattice, scaling).forward(tf.ones([3, 4, 4]))
    ```

    Args:
      lattice: the whole lattice.
      bijector: of fields `[batch, *OddSites(lattice).shape]`.
    """

    def __init__(self, lattice: Lattice, bijector: tfp.bijectors.Bijector, name: str = "on_odd_sites"):
        parameters = dict(locals())
        self._d, self._bijector = lattice.d, bijector
        super().__init__(forward_min_event_ndims=lattice.d, name=name, parameters=parameters)

    @property
    def bijector(self) -> tfp.bijectors.Bijector:
        """The map of the odd sites."""
        return self._bijector

    def trajectory(self, x: tf.Tensor) -> list[tf.Tensor]:
        """The fields between x and `forward(x)`, as the bijector of the odd sites tells them."""
        even, odd = split(x, self._d)
        known = hasattr(self._bijector, "trajectory")
        passed = self._bijector.trajectory(odd) if known else [odd, self._bijector.forward(odd)]
        return [joined(even, y, self._d) for y in passed]

    def _augmented_forward(self, x: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        even, odd = split(x, self._d)
        y, fldj = self._bijector.forward(odd), self._bijector.forward_log_det_jacobian(odd, self._d)
        return joined(even, y, self._d), {"fldj": fldj, "ildj": -fldj}

    def _augmented_inverse(self, y: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        even, odd = split(y, self._d)
        x, ildj = self._bijector.inverse(odd), self._bijector.inverse_log_det_jacobian(odd, self._d)
        return joined(even, x, self._d), {"fldj": -ildj, "ildj": ildj}


def split(phi: tf.Tensor, d: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The field `[..., L_1, ..., L_d]` at even and at odd sites, `[..., L_1, ..., L_d / 2]` each."""
    pairs = tf.reshape(phi, tf.concat([tf.shape(phi)[:-1], [phi.shape[-1] // 2, 2]], axis=0))
    first, second = tf.unstack(pairs, axis=-1)
    first, second = (tf.ensure_shape(one, [*phi.shape[:-1], phi.shape[-1] // 2]) for one in (first, second))
    return _exchanged(first, second, d)


def joined(even: tf.Tensor, odd: tf.Tensor, d: int) -> tf.Tensor:
    """The field with these values at even and at odd sites, the inverse of `split`."""
    phi = tf.reshape(tf.stack(_exchanged(even, odd, d), axis=-1), tf.concat([tf.shape(odd)[:-1], [2 * odd.shape[-1]]], axis=0))
    return tf.ensure_shape(phi, [*odd.shape[:-1], 2 * odd.shape[-1]])


def _exchanged(one: tf.Tensor, other: tf.Tensor, d: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Both, exchanged in rows along the last axis that begin with an odd site."""
    begins_odd = np.indices(one.shape[-d:-1]).sum(axis=0)[..., np.newaxis] % 2 == 1 if d > 1 else np.array([False])
    return tf.where(begins_odd, other, one), tf.where(begins_odd, one, other)
