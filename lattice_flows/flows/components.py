"""What the constructors of flows share: the prior, and a record of what was built."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.config import Component, Registry
from lattice_flows.flows.flow import Flow
from lattice_flows.lattice import Lattice, check_lattice
from lattice_flows.priors import PRIORS

__all__ = ["build_prior", "check_unconditioned", "recorded"]


def build_prior(part: Component | Mapping[str, Any] | str, lattice: Lattice) -> tfp.distributions.Distribution:
    """Builds a prior whose variables are named `prior/...`."""
    with tf.name_scope("prior"):
        return PRIORS.build(part, lattice)


def check_unconditioned(flow: Flow, outside: str) -> None:
    """Raises `ValueError` if a flow for many couplings is to be a part of another one, which would not follow its coupling."""
    if flow.condition is not None:
        raise ValueError(f"a conditioned flow is no part of another one: use conditioned with of: {{name: {outside}, of: ...}}")


def recorded(name: str) -> Callable[[Callable[..., Flow]], Callable[..., Flow]]:
    """A decorator for the constructor of a flow that is registered under a name.

    Parameters are checked as those of a configuration are, and the flow then knows what it was built from, as `flow.component`, so
    that a run folder can say how to build it again.
    """

    def decorate(build: Callable[..., Flow]) -> Callable[..., Flow]:
        registry = Registry("flow", {name: build})

        @functools.wraps(build)
        def recording(lattice: Lattice, seed: int = 1, **parameters: Any) -> Flow:
            check_lattice(lattice)
            component = Component(name=name, **parameters)
            flow = build(lattice, seed, **registry.complete(component))
            flow.component = component
            return flow

        return recording

    return decorate
