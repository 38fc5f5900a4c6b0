"""A flow for one peak of the broken phase, made even.

    q_sym(phi) = [q(phi) + q(-phi)] / 2

A flow that is odd must tear a Gaussian into two peaks, and one that sits in one peak misses the other without any sign of it in the
weights. q_sym covers both peaks with equal weights, exactly.
"""

from typing import Annotated

import tensorflow_probability as tfp

from lattice_flows.config import Component
from lattice_flows.flows.components import check_unconditioned, recorded
from lattice_flows.flows.flow import Flow
from lattice_flows.flows.registry import FLOWS
from lattice_flows.lattice import Lattice
from lattice_flows.priors import SignSymmetric

__all__ = ["symmetrized"]

IN_ONE_PEAK = Component(name="affine", prior={"name": "free_field", "mean_field": 1.0})


@recorded("symmetrized")
def symmetrized(lattice: Lattice, seed: int = 1, *, of: Annotated[Component, FLOWS] = IN_ONE_PEAK) -> Flow:
    """Builds the flow whose samples are those of another one with random signs.

    If the other flow is an odd map f of its prior r, as with the default network, this one is the same map of the prior
    `[r(z) + r(-z)] / 2`, and costs no more:

        [r(f^-1(phi)) + r(f^-1(-phi))] / 2 |det df^-1/dphi| = [q(phi) + q(-phi)] / 2

    Other flows are inverted at phi and at -phi, in float64.

    Weights have the names that they have in the other flow.

    Args:
      lattice: the lattice.
      seed: master seed of the initial weights.
      of: the flow, which should know one sign: give its prior a `mean_field`.

    Returns:
      The flow.

    Raises:
      ConfigError: an unknown part or parameter.
      ValueError: the lattice does not suit the other flow, or that is a `conditioned` one.
    """
    flow = FLOWS.build(of, lattice, seed)
    check_unconditioned(flow, "symmetrized")
    if flow.is_odd:
        return Flow(lattice, SignSymmetric(flow.prior), flow.bijector, flow.equivariance)
    return Flow(lattice, SignSymmetric(flow.distribution), tfp.bijectors.Identity(), flow.equivariance | {"sign"})
