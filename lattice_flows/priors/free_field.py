"""The free field."""

import math

import numpy as np
import tensorflow_probability as tfp
from pydantic import PositiveFloat

from lattice_flows.bijectors import FourierScaling
from lattice_flows.lattice import Lattice
from lattice_flows.priors.mean_field import Share, around
from lattice_flows.priors.normal import normal
from lattice_flows.priors.transformed import Transformed

tfd = tfp.distributions

__all__ = ["free_field"]


def free_field(
    lattice: Lattice, *, m2: PositiveFloat = 1.0, learn_spectrum: bool = True, mean_field: float | None = None, bridge: Share = 0.0
) -> tfd.Distribution:
    """Returns the free field, `<|phi_p|^2> = 1 / (2 (phat^2 + m2))`, that is, the action with `lam = 0`.

    Args:
      lattice: the lattice.
      m2: bare mass squared, at the start if the spectrum is trained.
      learn_spectrum: trains the spectrum with the flow; see `FourierScaling`.
      mean_field: mean of the field at the start, which is trained; None for a mean of zero.
      bridge: share of the fields that have a mean of zero nevertheless, as those that tunnel between two peaks do.

    Raises:
      ValueError: an m2 that is not positive and finite, a mean field that is not finite, a bridge that is not from 0 to below 1,
        or a bridge without a mean field.
    """
    if not 0 < m2 < math.inf:
        raise ValueError(f"m2 must be positive and finite, or the free field cannot be normalised, got {m2}")

    def log_width(momentum_squared: np.ndarray) -> np.ndarray:
        return np.log(lattice.mode_variance(lambda squared: 1 / (2 * (squared + m2)), momentum_squared)) / 2

    spectrum = FourierScaling(lattice, log_width, learn_spectrum)
    return around(mean_field, bridge, Transformed(normal(lattice), spectrum, name="free_field_prior"))
