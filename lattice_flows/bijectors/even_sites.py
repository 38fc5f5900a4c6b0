"""The even sites of phi^4 theory given the odd ones, exactly.

    phi_x = C(z_x; h_x) at even sites,    phi_x = z_x at odd sites,    h_x = sum of the 2d neighbours of x
    log |det dphi/dz| = sum_even [ log n(z_x) - log p(phi_x | h_x) ]

n is the unit normal density, p the conditional one, and C the increasing map from one to the other; see `site_conditional`. Even
sites see odd ones alone, so their joint distribution is a product.
"""

import math

import tensorflow as tf

from lattice_flows.bijectors.augmented import AugmentedBijector
from lattice_flows.bijectors.flat import flattened
from lattice_flows.bijectors.odd_sites import joined, split
from lattice_flows.bijectors.site_conditional import SiteConditional
from lattice_flows.lattice import Lattice

__all__ = ["EvenSites"]


class EvenSites(AugmentedBijector):
    """Makes unit normal numbers at even sites a sample of phi^4 theory given the field at odd sites.

    With a prior that is unit normal there, log q of the even sites given the odd ones is that of the theory, and drops out of the
    importance weights. Computed in float64; the log-determinant is that of the fields as they are returned, rounded to their type.

    Example:

    ```python
    conditional = lf.bijectors.EvenSites(lf.Lattice((4, 4)), a=0.0, b=5.0)
    phi = conditional.forward(tf.random.stateless_normal([3, 4, 4], seed=[1, 2]))
    ```

    Args:
      lattice: the lattice, with even extents.
      a: coefficient of phi_x^2 in the action, `m2 + 2d`.
      b: coefficient of phi_x^4, `lam`.

    Raises:
      ValueError: an odd extent, or coefficients whose distribution cannot be normalised.
    """

    def __init__(self, lattice: Lattice, a: float, b: float, name: str = "even_sites"):
        parameters = dict(locals())
        lattice.parity()  # needs even extents
        self._d, self._site = lattice.d, SiteConditional(a, b)
        super().__init__(forward_min_event_ndims=lattice.d, name=name, parameters=parameters)

    @property
    def site_potential(self) -> tuple[float, float]:
        """The coefficients of phi_x^2 and phi_x^4."""
        return float(self.parameters["a"]), float(self.parameters["b"])

    def integrated_out(self, odd: tf.Tensor) -> tf.Tensor:
        """`sum_even F(h_x)`, the logarithm of the integral over all even sites, `[...]` of fields `[..., *odd sites]`, float64."""
        return tf.reduce_sum(self._site.log_normalisation(self._vectors(self._neighbours(odd))), axis=-1)

    def _neighbours(self, odd: tf.Tensor) -> tf.Tensor:
        """h at even sites, float64."""
        odd = tf.cast(odd, tf.float64)
        phi = joined(tf.zeros_like(odd), odd, self._d)
        # Vectorised maps roll along another axis if it is counted from the end.
        axes = range(len(phi.shape) - self._d, len(phi.shape))
        return split(tf.add_n([tf.roll(phi, step, axis) for axis in axes for step in (1, -1)]), self._d)[0]

    def _vectors(self, values: tf.Tensor) -> tf.Tensor:
        """Values at even sites, `[..., *even sites]`, as vectors, float64.

        XLA would compute them anew, and one by one, in every loop over sites that uses them. It keeps what a matrix product gives.
        """
        return flattened(tf.tensordot(tf.cast(values, tf.float64), tf.eye(values.shape[-1], dtype=tf.float64), 1), self._d)

    def _log_det(self, z: tf.Tensor, phi: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        z, phi = tf.cast(z, tf.float64), tf.cast(phi, tf.float64)
        log_normal = -z * z / 2 - math.log(2 * math.pi) / 2
        return tf.reduce_sum(log_normal - self._site.log_prob(phi, h), axis=-1)

    def _augmented_forward(self, x: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        even, odd = split(x, self._d)
        z, h = self._vectors(even), self._vectors(self._neighbours(odd))
        phi = tf.cast(self._site.from_normal(z, h), x.dtype)
        fldj = self._log_det(z, phi, h)
        return joined(tf.reshape(phi, tf.shape(even)), odd, self._d), {"fldj": fldj, "ildj": -fldj}

    def _augmented_inverse(self, y: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        even, odd = split(y, self._d)
        phi, h = self._vectors(even), self._vectors(self._neighbours(odd))
        z = tf.cast(self._site.to_normal(phi, h), y.dtype)
        fldj = self._log_det(z, phi, h)
        return joined(tf.reshape(z, tf.shape(even)), odd, self._d), {"fldj": fldj, "ildj": -fldj}
