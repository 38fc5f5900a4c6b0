"""What the constructors of flows share: parts given by name, and the prior."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.config import Component
from lattice_flows.lattice import Lattice
from lattice_flows.priors import PRIORS

__all__ = ["build_prior", "component"]


def component(part: Component | Mapping[str, Any] | str) -> Component:
    """Returns a part that is given as a `Component`, as a mapping with the key `name`, or by its name alone as a `Component`."""
    if isinstance(part, str):
        return Component(name=part)
    return part if isinstance(part, Component) else Component(**part)


def build_prior(part: Component | Mapping[str, Any] | str, lattice: Lattice) -> tfp.distributions.Distribution:
    """Builds a prior whose variables are named `prior/...`."""
    with tf.name_scope("prior"):
        return PRIORS.build(component(part), lattice)
