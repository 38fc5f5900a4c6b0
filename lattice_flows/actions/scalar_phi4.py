"""The real scalar field with a quartic self-interaction."""

import math
import numbers
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf

from lattice_flows.actions.action import Action
from lattice_flows.lattice import Lattice

__all__ = ["ScalarPhi4"]

_CLOSED_FORMS = {"site_potential", "force", "time_series", "change_at_each_site"}


class ScalarPhi4(Action):
    """Real scalar field with a quartic self-interaction, in any dimension d.

        S(phi) = sum_x [ (m2 + 2d) phi_x^2 + lam phi_x^4 ] - 2 sum_{x,mu} phi_x phi_{x+mu}      (arXiv:1904.12072, eqs. 20-21)

    There is no factor 1/2 and no 1/4!. Sums over sites are always taken in float64.

    ```python
    action = lf.ScalarPhi4(lf.Lattice((8, 8)), m2=-4.0, lam=6.0)
    print(action(tf.zeros([3, 8, 8])))   # three configurations, each of action 0
    ```

    Args:
      lattice: the lattice.
      m2: bare mass squared, may be negative.
      lam: bare coupling.

    Raises:
      ValueError: a number that is not finite, a negative coupling, or `lam = 0` with `m2 <= 0`: exp(-S) could then not be
        normalised.
    """

    name: ClassVar[str] = "scalar_phi4"

    def __init__(self, lattice: Lattice, *, m2: float, lam: float):
        for key, value in (("m2", m2), ("lam", lam)):
            if not (isinstance(value, numbers.Real) and math.isfinite(value)):
                raise ValueError(f"{key} must be a finite number, got {value!r}")
        if lam < 0:
            raise ValueError(f"lam must not be negative, got {lam}: exp(-S) could not be normalised")
        if lam == 0 and m2 <= 0:
            raise ValueError(f"lam = 0 needs m2 > 0, got m2 = {m2}: the free field's exp(-S) could not be normalised")
        super().__init__(lattice, m2=float(m2), lam=float(lam))

    def __init_subclass__(cls, **arguments: object):
        """A subclass with another action does not inherit what is known of this one in closed form."""
        super().__init_subclass__(**arguments)
        if "__call__" in vars(cls):
            for name in _CLOSED_FORMS - vars(cls).keys():
                setattr(cls, name, getattr(Action, name))

    @property
    def m2(self) -> float:
        """The bare mass squared, of `parameters`: `at` makes an action with another one."""
        return self.parameters["m2"]

    @property
    def lam(self) -> float:
        """The bare coupling, likewise."""
        return self.parameters["lam"]

    @property
    def site_potential(self) -> tuple[float, float]:
        """`m2 + 2d` and lam."""
        return self.m2 + 2 * self.lattice.d, self.lam

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
        m2, lam = (value if isinstance(value, float) else tf.cast(value, phi.dtype) for value in (self.m2, self.lam))
        squared = phi * phi
        density = squared * (m2 + 2 * self.lattice.d + lam * squared) - 2 * phi * forward_neighbours
        return tf.reduce_sum(tf.cast(density, tf.float64), self.lattice.axes)

    def force(self, phi: np.ndarray) -> np.ndarray:
        """The derivative with respect to the field at each site: `2 (m2 + 2d) phi + 4 lam phi^3 - 2 sum of the 2d neighbours`."""
        phi = np.asarray(phi, np.float64)
        neighbours = sum(np.roll(phi, step, axis) for axis in self.lattice.axes for step in (1, -1))
        return phi * (2 * (self.m2 + 2 * self.lattice.d) + 4 * self.lam * phi * phi) - 2 * neighbours

    def time_series(self, phi: np.ndarray, general: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Action density and Schwinger-Dyson average, in closed form from the general series.

            S / V                        =   (m2 + 2d) phi^2 +   lam phi^4 - 2 d phi_x phi_{x+mu}
            (1/V) sum_x phi_x dS/dphi_x  = 2 (m2 + 2d) phi^2 + 4 lam phi^4 - 4 d phi_x phi_{x+mu}

        with averages over sites and directions on the right.
        """
        mass = (self.m2 + 2 * self.lattice.d) * general["phi_2"]
        quartic, hopping = self.lam * general["phi_4"], 2 * self.lattice.d * general["nearest"]
        return {"action_density": mass + quartic - hopping, "schwinger_dyson": 2 * mass + 4 * quartic - 2 * hopping}

    def change_at_each_site(self, phi: tf.Tensor, proposal: tf.Tensor) -> tf.Tensor:
        """How the action changes if the field at one site alone takes its proposed value, for each site.

            (m2 + 2d) (phi'^2 - phi^2) + lam (phi'^4 - phi^4) - 2 (phi' - phi) sum of the 2d neighbours

        Args:
          phi: `[batch, *lattice.shape]`.
          proposal: of the same shape and type.

        Returns:
          the same shape and type.
        """
        neighbours = tf.add_n([tf.roll(phi, step, axis) for axis in self.lattice.axes for step in (1, -1)])
        before, after = phi * phi, proposal * proposal
        on_site = (after - before) * (self.m2 + 2 * self.lattice.d + self.lam * (after + before))
        return on_site - 2 * (proposal - phi) * neighbours
