"""A prior of the odd sites, and unit normal numbers at the even ones.

r(z) = r_odd(z_odd) prod_even n(z_x)
"""

import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.bijectors.odd_sites import OnOddSites, joined, split
from lattice_flows.lattice import Lattice
from lattice_flows.priors.derived import Derived
from lattice_flows.priors.whitening import whitening

tfb, tfd = tfp.bijectors, tfp.distributions

__all__ = ["NormalEvenSites"]


class NormalEvenSites(Derived):
    """A distribution of fields on odd sites as one of fields on the whole lattice, with independent unit normal even sites.

    Example:

    ```python
    from lattice_flows.priors import NormalEvenSites, free_field

    prior = NormalEvenSites(free_field(lf.lattice.OddSites(lf.Lattice((4, 4)))))
    print(prior.sample(3, seed=[1, 2]).shape)                            # (3, 4, 4)
    ```

    Args:
      odd: over `[batch, *OddSites(lattice).shape]`.
    """

    def __init__(self, odd: tfd.Distribution, name: str = "normal_even_sites"):
        parameters = dict(locals())
        self._odd, self._d = odd, len(odd.event_shape)
        even = tfd.Normal(tf.zeros(odd.event_shape, odd.dtype), 1)
        self._even = tfd.Independent(even, reinterpreted_batch_ndims=self._d)
        super().__init__(odd, parameters, name)

    @property
    def odd(self) -> tfd.Distribution:
        """The distribution of the odd sites."""
        return self._odd

    def whitening(self) -> tfb.Bijector:
        """The map that makes samples of unit normal numbers: that of the odd sites; the even ones are such numbers."""
        return OnOddSites(Lattice(tuple(self.event_shape)), whitening(self._odd))

    def _event_shape(self) -> tf.TensorShape:
        *rows, last = self._odd.event_shape
        return tf.TensorShape([*rows, 2 * last])

    def _sample_n(self, n, seed=None) -> tf.Tensor:
        of_even, of_odd = tfp.random.split_seed(seed, n=2)
        return joined(self._even.sample(n, seed=of_even), self._odd.sample(n, seed=of_odd), self._d)

    def _log_prob(self, z: tf.Tensor) -> tf.Tensor:
        even, odd = split(z, self._d)
        return self._even.log_prob(even) + self._odd.log_prob(odd)
