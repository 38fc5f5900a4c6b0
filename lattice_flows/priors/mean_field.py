"""A trained mean of the field: fluctuations around one of the peaks of the broken phase."""

import tensorflow as tf
import tensorflow_probability as tfp

tfb, tfd = tfp.bijectors, tfp.distributions

__all__ = ["around"]


def around(mean_field: float | None, prior: tfd.Distribution) -> tfd.Distribution:
    """Returns a prior whose fields are shifted by the same trained number at every site.

    Args:
      mean_field: the number at the start; None for the prior as it is.
      prior: has a mean of zero.
    """
    if mean_field is None:
        return prior
    trained = tf.Variable(mean_field, dtype=tf.float32, name="mean_field")
    shift = tfb.Shift(tfp.util.DeferredTensor(trained, lambda v: tf.cast(v, tf.float64), dtype=tf.float64))
    return tfd.TransformedDistribution(prior, shift, name=f"{prior.name}_around_a_mean_field")
