"""Independent sites in a quartic potential.

    r(z) = prod_x exp(-(a z_x^2 + b z_x^4)) / Z

Sites are drawn exactly, by rejection from the Gaussian of variance s^2 for which most proposals are kept. From

    -(a z^2 + b z^4) = b s^4 - z^2 / (2 s^2) - b (z^2 - s^2)^2    if    4 b s^4 + 2 a s^2 = 1

a proposal z is kept with probability `exp(-b (z^2 - s^2)^2)`. On average, `Z exp(-b s^4) / sqrt(2 pi s^2)` of them are kept: all
for b -> 0, four fifths for a = 0, and about `sqrt(2 b) / |a|` in a deep double well.
"""

import math
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from pydantic import PositiveFloat

from lattice_flows.lattice import Lattice

tfd = tfp.distributions

__all__ = ["Quartic", "quartic"]

# Of the quadrature, whose error decreases exponentially with their number: 18 or more for each standard deviation of a peak.
_NODES = 4001


class Quartic(tfd.Distribution):
    """Real numbers with the density `exp(-(a z^2 + b z^4)) / Z`, float64; Z by quadrature.

    Example:

    ```python
    from lattice_flows.priors.quartic import Quartic

    site = Quartic(-1.0, 2.0)
    print(site.sample(3, seed=[1, 2]), site.log_prob(0.0))
    ```

    Args:
      a: coefficient of the square, of any sign.
      b: coefficient of the fourth power, positive.
      batch_shape: of independent numbers with this density.

    Raises:
      ValueError: an a that is not finite, or a b that is not positive and finite.
    """

    def __init__(self, a: float, b: float, batch_shape: tuple[int, ...] = (), name: str = "quartic"):
        parameters = dict(locals())
        if not math.isfinite(a):
            raise ValueError(f"a must be finite, got {a}")
        if not 0 < b < math.inf:
            raise ValueError(f"b must be positive and finite, or the density cannot be normalised, got {b}")
        self._a, self._b, self._shape = float(a), float(b), tf.TensorShape(batch_shape)
        root = math.sqrt(a * a + 4 * b)
        # The same number twice; each form is exact where the other cancels.
        self._variance = (root - a) / (4 * b) if a < 0 else 1 / (root + a)
        super().__init__(
            dtype=tf.float64,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    @property
    def log_normalisation(self) -> float:
        """log Z, by the trapezoidal rule on an interval outside of which the density is below 1e-300 of its maximum.

        In a deep double well this is an interval around one of the peaks, which are half of Z each.
        """
        # With c = -a / 2b, the exponent is -b (z^2 - c)^2 apart from a constant; its maximum is at z^2 = c, or at zero for c < 0.
        centre = -self._a / (2 * self._b)
        highest = max(centre, 0.0)
        far = math.hypot(math.sqrt(700 / self._b), highest - centre)  # |z^2 - c| at the ends
        # c + far in two forms, of which each is exact where the other cancels.
        largest = math.sqrt(centre + far if centre > 0 else 700 / self._b / (far - centre))
        smallest, peaks = (math.sqrt(centre - far), 2) if centre > far else (-largest, 1)
        z, step = np.linspace(smallest, largest, _NODES, retstep=True)
        below = self._b * (z**2 - highest) * (z**2 - highest + 2 * (highest - centre))
        return float(self._b * highest**2 + math.log(peaks * step * np.sum(np.exp(-below))))

    def _batch_shape(self) -> tf.TensorShape:
        return self._shape

    def _event_shape(self) -> tf.TensorShape:
        return tf.TensorShape([])

    def _sample_n(self, n: Any, seed: Any = None) -> tf.Tensor:
        shape, seed = tf.concat([[n], self._shape], axis=0), tfp.random.sanitize_seed(seed)

        def propose(attempt: Any, z: tf.Tensor, kept: tf.Tensor) -> Any:
            of_proposal, of_decision = tfp.random.split_seed(tf.random.fold_in(seed, attempt), n=2)
            proposal = math.sqrt(self._variance) * tf.random.stateless_normal(shape, of_proposal, dtype=tf.float64)
            uniform = tf.random.stateless_uniform(shape, of_decision, dtype=tf.float64)
            keep = tf.math.log(uniform) < -self._b * (proposal**2 - self._variance) ** 2
            return attempt + 1, tf.where(kept, z, proposal), kept | keep

        start = (0, tf.zeros(shape, tf.float64), tf.zeros(shape, tf.bool))
        return tf.stop_gradient(tf.while_loop(lambda _attempt, _z, kept: ~tf.reduce_all(kept), propose, start)[1])

    def _log_prob(self, z: tf.Tensor) -> tf.Tensor:
        squared = z * z
        return -(squared * (self._a + self._b * squared)) - self.log_normalisation


def quartic(lattice: Lattice, *, a: float = 0.0, b: PositiveFloat = 1.0) -> tfd.Distribution:
    """Returns independent sites with the density `exp(-(a z^2 + b z^4)) / Z`, the same at every site.

    With `a = m2 + 2d` and `b = lam` these are the sites of phi^4 theory without hopping.

    Args:
      lattice: the lattice.
      a: coefficient of the square, of any sign.
      b: coefficient of the fourth power, positive.

    Raises:
      ValueError: an a that is not finite, or a b that is not positive and finite.
    """
    return tfd.Independent(Quartic(a, b, lattice.shape), reinterpreted_batch_ndims=lattice.d, name="quartic_prior")
