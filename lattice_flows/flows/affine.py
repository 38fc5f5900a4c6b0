"""Coupling flows."""

from typing import Annotated, Literal

import tensorflow as tf
import tensorflow_probability as tfp
from pydantic import Field, PositiveInt

from lattice_flows.bijectors import INNER_MAPS, FourierScaling, MaskedCoupling, SinhArcsinh
from lattice_flows.config import Component
from lattice_flows.flows.components import build_prior, recorded
from lattice_flows.flows.flow import Flow
from lattice_flows.lattice import Lattice
from lattice_flows.networks import NETWORKS
from lattice_flows.priors import PRIORS
from lattice_flows.seeds import generator

__all__ = ["affine"]

Partitions = Annotated[tuple[Literal["checkerboard", "stripes"], ...], Field(strict=False, min_length=1)]

FREE_FIELD = Component(name="free_field")
PROPAGATOR = Component(name="propagator")
AFFINE = Component(name="affine")


@recorded("affine")
def affine(
    lattice: Lattice,
    seed: int = 1,
    *,
    layers: PositiveInt = 16,
    prior: Annotated[Component, PRIORS] = FREE_FIELD,
    network: Annotated[Component, NETWORKS] = PROPAGATOR,
    inner: Annotated[Component, INNER_MAPS] = AFFINE,
    partitions: Partitions = ("checkerboard", "stripes"),
    fourier_scaling: bool = True,
    element_wise_maps: bool = True,
) -> Flow:
    """Builds a flow of couplings in pairs, which transform either half of the lattice given the other (arXiv:1904.12072).

    Args:
      lattice: the lattice; every extent must be even.
      seed: master seed of the initial weights.
      layers: number of couplings.
      prior: the distribution of z.
      network: the conditioner, one for each coupling.
      inner: the map of each active site, whose parameters the conditioner gives.
      partitions: the halves of successive pairs, repeated: the colours of the checkerboard, or every other hyperplane along one
        axis after the other. With the checkerboard alone, sites of one colour are never coupled directly.
      fourier_scaling: puts a trained scaling in momentum space between pairs.
      element_wise_maps: puts a trained element-wise map before each pair. An affine map of a Gaussian has Gaussian tails, and those
        of a quartic potential are shorter.

    Returns:
      The flow.

    Raises:
      ConfigError: an unknown part or parameter.
      ValueError: an odd extent.
    """
    inner_map = INNER_MAPS.build(inner)
    bijectors = []
    for layer in range(layers):
        pair, half = divmod(layer, 2)
        kind = partitions[pair % len(partitions)]
        colours = lattice.parity() if kind == "checkerboard" else lattice.stripes(pair // len(partitions) % lattice.d)
        with tf.name_scope(f"coupling_{layer}"):
            if half == 0 and fourier_scaling and pair > 0:
                bijectors.append(FourierScaling(lattice))
            if half == 0 and element_wise_maps:
                bijectors.append(SinhArcsinh(lattice.d))
            rng = generator(seed, "initialisation", layer)
            conditioner = NETWORKS.build(network, lattice, colours == half, inner_map.parities, rng)
        bijectors.append(MaskedCoupling(conditioner, colours == half, inner_map, name=f"coupling_{layer}"))
    symmetries = conditioner.symmetries if inner_map.keeps_sign else conditioner.symmetries - {"sign"}
    if "stripes" in partitions:
        left = {"even translation": {"translation by 2"}, "rotation": set()}
        symmetries = frozenset().union(*(left.get(symmetry, {symmetry}) for symmetry in symmetries))
    return Flow(lattice, build_prior(prior, lattice), tfp.bijectors.Chain(bijectors[::-1], name="chain"), symmetries)
