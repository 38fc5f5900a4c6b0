"""A distribution and its mirror image, with equal weights.

    q_sym(x) = [q(x) + q(-x)] / 2

A distribution that knows one peak of the broken phase becomes one that knows both.
"""

import math
from typing import Any, ClassVar

import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.priors.derived import Derived

tfd = tfp.distributions

__all__ = ["SignSymmetric"]


class SignSymmetric(Derived):
    """Samples of a distribution with random signs, one for each sample.

    Gradients go through samples if they do in the given distribution. The sum of the two densities is taken in logarithms.

    Example:

    ```python
    from lattice_flows.priors import SignSymmetric, normal

    two_peaks = SignSymmetric(normal(lf.Lattice((4, 4)), width=0.3, mean_field=1.0))
    print(two_peaks.sample(3, seed=[1, 2]).shape)                        # (3, 4, 4)
    ```

    Args:
      distribution: over `[batch, *shape]`, where the shape belongs to one event.

    Attributes:
      both_signs: True; samplers that move the numbers below a prior ask for it, and draw the sign themselves.
    """

    both_signs: ClassVar[bool] = True

    def __init__(self, distribution: tfd.Distribution, name: str = "sign_symmetric"):
        parameters = dict(locals())
        self._distribution = distribution
        super().__init__(distribution, parameters, name)

    @property
    def distribution(self) -> tfd.Distribution:
        """The distribution that knows one sign."""
        return self._distribution

    def _sample_n(self, n: Any, seed: Any = None) -> tf.Tensor:
        of_sample, of_sign = tfp.random.split_seed(seed, n=2)
        x = self.distribution.sample(n, seed=of_sample)
        sign = tf.random.stateless_uniform(tf.concat([[n], tf.ones_like(tf.shape(x)[1:])], axis=0), of_sign) < 0.5
        return tf.where(sign, x, -x)

    def _log_prob(self, x: tf.Tensor) -> tf.Tensor:
        return tf.math.reduce_logsumexp([self.distribution.log_prob(x), self.distribution.log_prob(-x)], axis=0) - math.log(2)
