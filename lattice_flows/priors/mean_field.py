"""A trained mean of the field: fluctuations around one of the peaks of the broken phase.

    (1 - w) r(z - v) + w r(z)

Fluctuations around the mean field v alone are rare between the peaks, rarer than tunnelling fields are in the target: importance
weights there have a heavy tail. A small share w of fields without a mean field bounds them.
"""

import math
from typing import Annotated, Any

import tensorflow as tf
import tensorflow_probability as tfp
from pydantic import Field

from lattice_flows.priors.derived import Derived
from lattice_flows.priors.transformed import Transformed

tfb, tfd = tfp.bijectors, tfp.distributions

__all__ = ["Share", "WithShare", "around"]

Share = Annotated[float, Field(ge=0, lt=1)]


def around(mean_field: float | None, bridge: float, prior: tfd.Distribution) -> tfd.Distribution:
    """Returns a prior whose fields are shifted by the same trained number at every site.

    Args:
      mean_field: the number at the start; None for the prior as it is.
      bridge: the share of fields that are not shifted.
      prior: has a mean of zero.

    Raises:
      ValueError: a mean field that is not finite, a bridge that is not from 0 to below 1, or a bridge without a mean field.
    """
    if not 0 <= bridge < 1:
        raise ValueError(f"bridge is a share of the fields, so it must be 0 or more and below 1, got {bridge}")
    if mean_field is None:
        if bridge:
            raise ValueError(
                f"bridge is a share of fields without a mean field, so it needs a mean_field, got bridge {bridge} alone"
            )
        return prior
    if not math.isfinite(mean_field):
        raise ValueError(f"mean_field must be finite, got {mean_field}")
    trained = tf.Variable(mean_field, dtype=tf.float32, name="mean_field")
    shift = tfb.Shift(tfp.util.DeferredTensor(trained, lambda v: tf.cast(v, tf.float64), dtype=tf.float64))
    shifted = Transformed(prior, shift, name=f"{prior.name}_around_a_mean_field")
    return WithShare(shifted, prior, bridge) if bridge else shifted


class WithShare(Derived):
    """A mixture of two distributions, `(1 - w) first + w second`.

    Unlike those of `tfd.Mixture`, its samples have gradients.

    Example:

    ```python
    from lattice_flows.priors import normal
    from lattice_flows.priors.mean_field import WithShare

    lattice = lf.Lattice((4, 4))
    with_tails = WithShare(normal(lattice), normal(lattice, width=2.0), 0.1)
    print(with_tails.sample(3, seed=[1, 2]).shape)                       # (3, 4, 4)
    ```

    Args:
      first: over `[batch, *shape]`.
      second: over the same fields.
      share: w.

    Raises:
      ValueError: a share that is not above 0 and below 1.
    """

    def __init__(self, first: tfd.Distribution, second: tfd.Distribution, share: float, name: str = "with_share"):
        parameters = dict(locals())
        if not 0 < share < 1:
            raise ValueError(f"share must be above 0 and below 1, got {share}")
        self._first, self._second, self._share = first, second, share
        super().__init__(first, parameters, name)

    def _sample_n(self, n: Any, seed: Any = None) -> tf.Tensor:
        of_sample, of_choice = tfp.random.split_seed(seed, n=2)
        first, second = (part.sample(n, seed=of_sample) for part in (self._first, self._second))
        shape = tf.concat([[n], tf.ones_like(tf.shape(first)[1:])], axis=0)
        return tf.where(tf.random.stateless_uniform(shape, of_choice) < self._share, second, first)

    def _log_prob(self, x: tf.Tensor) -> tf.Tensor:
        weights = tf.math.log(tf.constant([1 - self._share, self._share], self.dtype))
        terms = [weight + part.log_prob(x) for weight, part in zip(tf.unstack(weights), (self._first, self._second), strict=True)]
        return tf.math.reduce_logsumexp(terms, axis=0)
