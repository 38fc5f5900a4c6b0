"""Priors as images of unit normal numbers, for samplers that move these instead of the field."""

import tensorflow_probability as tfp

tfb, tfd = tfp.bijectors, tfp.distributions

__all__ = ["whitening"]


def whitening(prior: tfd.Distribution) -> tfb.Bijector:
    """Returns the map that makes samples of the prior of independent unit normal numbers, one for each site.

    A prior of a class of its own has a method `whitening` for it.

    ```python
    from lattice_flows.priors import free_field
    from lattice_flows.priors.whitening import whitening

    lattice = lf.Lattice((4, 4))
    prior = free_field(lattice, m2=0.5)
    z = whitening(prior).forward(tf.random.stateless_normal([3, 4, 4], seed=[1, 2], dtype=tf.float64))
    ```

    Args:
      prior: over `[batch, *shape]`.

    Raises:
      ValueError: the prior is not made so.
    """
    if hasattr(prior, "whitening"):
        return prior.whitening()
    # By their members: what `tfd.TransformedDistribution` and `tfd.Independent` make is not of these classes.
    inner = getattr(prior, "distribution", None)
    if hasattr(prior, "bijector"):
        return tfb.Chain([prior.bijector, whitening(inner)])
    if isinstance(inner, tfd.Normal):
        return tfb.Chain([tfb.Shift(inner.loc), tfb.Scale(inner.scale)])
    raise ValueError(
        f"the prior {prior.name!r} is not an image of unit normal numbers, which the sampler moves: use the sampler independence"
    )
