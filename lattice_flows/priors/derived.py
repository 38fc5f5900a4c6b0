"""What distributions that are made of another one have in common with it."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions

__all__ = ["Derived"]


class Derived(tfd.Distribution):
    """A distribution with the type and the shapes of another one, of which it is made.

    A subclass has `_sample_n` and `_log_prob`, and says by members of its own what it is made of: one named `distribution` is
    what samplers find below it.

    Example:

    ```python
    from lattice_flows.priors import normal
    from lattice_flows.priors.derived import Derived

    class Mirrored(Derived):
        def __init__(self, of):
            super().__init__(of, {"of": of}, "mirrored")
            self.of = of

        def _sample_n(self, n, seed=None):
            return -self.of.sample(n, seed=seed)

    print(Mirrored(normal(lf.Lattice((4, 4)))).event_shape)              # (4, 4)
    ```

    Args:
      like: the other one, over `[batch, *shape]`.
      parameters: the arguments of the subclass, from which TFP makes copies.
      name: of the distribution.
    """

    def __init__(self, like: tfd.Distribution, parameters: Mapping[str, Any], name: str):
        self._like = like
        super().__init__(
            dtype=like.dtype,
            reparameterization_type=like.reparameterization_type,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    def _batch_shape(self) -> tf.TensorShape:
        return self._like.batch_shape

    def _event_shape(self) -> tf.TensorShape:
        return self._like.event_shape
