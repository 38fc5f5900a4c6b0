"""Euclidean lattice actions. An action maps `phi [batch, *lattice_shape]` to `[batch]`; the target density is `exp(-S) / Z`."""

import tensorflow as tf

from lattice_flows.lattice import Lattice

__all__ = ["ScalarPhi4"]


class ScalarPhi4:
    """Real scalar field with a quartic self-interaction, in any dimension d.

        S(phi) = sum_x [ (m2 + 2d) phi_x^2 + lam phi_x^4 ] - 2 sum_{x,mu} phi_x phi_{x+mu}      (arXiv:1904.12072, eqs. 20-21)

    There is no factor 1/2 and no 1/4!. Sums over sites are taken in float64 whatever the type of phi.

    Args:
      lattice: the lattice.
      m2: bare mass squared, may be negative.
      lam: bare coupling.

    Raises:
      ValueError: a negative coupling, or `lam = 0` with `m2 <= 0`: exp(-S) could then not be normalised.
    """

    def __init__(self, lattice: Lattice, *, m2: float, lam: float):
        if lam < 0:
            raise ValueError(f"lam must not be negative, got {lam}: exp(-S) could not be normalised")
        if lam == 0 and m2 <= 0:
            raise ValueError(f"lam = 0 needs m2 > 0, got m2 = {m2}: the free field's exp(-S) could not be normalised")
        self.lattice, self.m2, self.lam = lattice, float(m2), float(lam)

    def __call__(self, phi: tf.Tensor) -> tf.Tensor:
        """The action of each configuration.

        Args:
          phi: `[batch, *lattice.shape]`, float32 or float64.

        Returns:
          `[batch]`, float64.

        Raises:
          ValueError: phi does not have the lattice's shape.
        """
        if tuple(phi.shape[1:]) != self.lattice.shape:
            raise ValueError(f"phi must have the shape [batch, {self.lattice.shape}], got {tuple(phi.shape)}")
        forward_neighbours = tf.add_n([tf.roll(phi, -1, axis) for axis in self.lattice.axes])
        squared = phi * phi
        density = squared * (self.m2 + 2 * self.lattice.d + self.lam * squared) - 2 * phi * forward_neighbours
        return tf.reduce_sum(tf.cast(density, tf.float64), self.lattice.axes)

    def change_at_each_site(self, phi: tf.Tensor, proposal: tf.Tensor) -> tf.Tensor:
        """How the action changes if the field at one site alone takes its proposed value, for each site.

            (m2 + 2d) (phi'^2 - phi^2) + lam (phi'^4 - phi^4) - 2 (phi' - phi) sum of the 2d neighbours

        Args:
          phi: `[batch, *lattice.shape]`.
          proposal: of the same shape and type.

        Returns:
          the like.
        """
        neighbours = tf.add_n([tf.roll(phi, step, axis) for axis in self.lattice.axes for step in (1, -1)])
        before, after = phi * phi, proposal * proposal
        on_site = (after - before) * (self.m2 + 2 * self.lattice.d + self.lam * (after + before))
        return on_site - 2 * (proposal - phi) * neighbours
