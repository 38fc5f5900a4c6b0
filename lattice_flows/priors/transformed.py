"""Images of distributions, whose densities are those of the present weights."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.priors.derived import Derived

tfb, tfd = tfp.bijectors, tfp.distributions

__all__ = ["Transformed"]


class Transformed(Derived):
    """A `tfd.TransformedDistribution` of fields, whose density never is one of the past.

    TFP's bijectors remember what they have computed for a tensor, even if their weights change. Here every call of `log_prob` and
    `prob` computes anew.

    Example:

    ```python
    from lattice_flows.priors import normal
    from lattice_flows.priors.transformed import Transformed

    lattice = lf.Lattice((4, 4))
    image = Transformed(normal(lattice), lf.bijectors.SinhArcsinh(ndims=2))
    print(image.log_prob(image.sample(3, seed=[1, 2])).shape)            # (3,)
    ```

    Args:
      distribution: over `[batch, *shape]`, where the shape belongs to one event.
      bijector: the map, which keeps that shape.
    """

    def __init__(self, distribution: tfd.Distribution, bijector: tfb.Bijector, name: str = "transformed"):
        parameters = dict(locals())
        self._distribution, self._bijector = distribution, bijector
        super().__init__(distribution, parameters, name)

    @property
    def distribution(self) -> tfd.Distribution:
        """The distribution of what is mapped."""
        return self._distribution

    @property
    def bijector(self) -> tfb.Bijector:
        """The map."""
        return self._bijector

    def _sample_n(self, n: Any, seed: Any = None) -> tf.Tensor:
        return self.bijector.forward(self.distribution.sample(n, seed=seed))

    def _log_prob(self, y: tf.Tensor) -> tf.Tensor:
        y = tf.identity(y)
        x = self.bijector.inverse(y)
        log_det = self.bijector.inverse_log_det_jacobian(y, event_ndims=len(self.event_shape))
        return self.distribution.log_prob(x) + tf.cast(log_det, self.dtype)
