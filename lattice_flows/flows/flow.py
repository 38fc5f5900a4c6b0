"""From a name in a configuration to a flow: a Gaussian prior and a chain of bijectors."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from pydantic import Field, PositiveFloat, PositiveInt

from lattice_flows.bijectors import AffineCoupling, EquivariantODE, FourierScaling, SinhArcsinh
from lattice_flows.config import Component, Registry
from lattice_flows.lattice import Lattice
from lattice_flows.networks import NETWORKS
from lattice_flows.priors import PRIORS
from lattice_flows.seeds import sub_seed

tfb, tfd = tfp.bijectors, tfp.distributions

Partitions = Annotated[tuple[Literal["checkerboard", "stripes"], ...], Field(strict=False, min_length=1)]

__all__ = ["FLOWS", "Flow", "affine", "continuous"]


class Flow(tf.Module):
    """A trainable distribution of lattice fields with known density.

        phi = f(z),   log q(phi) = log r(z) - log |det dphi/dz|,   z drawn from the prior r      (arXiv:1904.12072, eqs. 7-8)

    Networks compute in float32, the rest in the type of the field. Fields are drawn in float64: the map is then inverted, and its
    density known, to double precision.

    Attributes:
      lattice: the lattice.
      distribution: the `tfd.TransformedDistribution`, for everything TFP can do with one.
      symmetries: maps of the lattice that `log_q` is invariant under, of "translation", "even translation" (the
        sum of the steps is even), "translation by 2" (every step is even), "rotation", "reflection", "sign" (phi -> -phi).
    """

    def __init__(self, lattice: Lattice, prior: tfd.Distribution, bijector: tfb.Bijector, symmetries: frozenset[str] = frozenset()):
        super().__init__(name="flow")
        self.lattice, self.symmetries = lattice, symmetries
        self.distribution = tfd.TransformedDistribution(prior, bijector, name="flow")

    @property
    def prior(self) -> tfd.Distribution:
        """The distribution of z."""
        return self.distribution.distribution

    @property
    def bijector(self) -> tfb.Bijector:
        """The map from z to phi."""
        return self.distribution.bijector

    def push_forward(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Maps prior samples `[batch, *shape]` to fields of that shape and their `log_q [batch]`."""
        phi = self.bijector.forward(z)
        log_det = self.bijector.forward_log_det_jacobian(z, event_ndims=self.lattice.d)
        return phi, self.prior.log_prob(tf.cast(z, tf.float64)) - log_det

    def sample_and_log_prob(self, n: int, seed, dtype: tf.DType = tf.float64) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws n fields `[n, *shape]` with their `log_q [n]`, from a stateless seed (int32 `[2]`), mapped in a type."""
        return self.push_forward(tf.cast(self.prior.sample(n, seed=seed), dtype))

    def log_prob(self, phi: tf.Tensor) -> tf.Tensor:
        """`log_q [batch]` of any fields `[batch, *shape]`, by the inverse map."""
        z = self.bijector.inverse(phi)
        log_det = self.bijector.inverse_log_det_jacobian(phi, event_ndims=self.lattice.d)
        return self.prior.log_prob(tf.cast(z, tf.float64)) + log_det

    @property
    def exact(self) -> bool:
        """Whether the density is known exactly, and not up to the error of an integration."""
        return not isinstance(self.bijector, EquivariantODE)

    def refined(self) -> "Flow | None":
        """The same flow, with the same variables, integrated with half the step; None if it is exact."""
        if self.exact:
            return None
        return Flow(self.lattice, self.prior, self.bijector.refined(), self.symmetries)

    def named_variables(self) -> dict[str, tf.Variable]:
        """All variables by unique name, as checkpoints store them.

        Raises:
          ValueError: two variables share a name; a flow must build its parts under different name scopes.
        """
        named = {variable.name.split(":")[0]: variable for variable in self.variables}
        if len(named) != len(self.variables):
            raise ValueError(f"variable names are not unique: {sorted(variable.name for variable in self.variables)}")
        return named

    def carried_over(self, arrays: Mapping[str, np.ndarray], lattice: Lattice) -> dict[str, np.ndarray]:
        """The weights of the like flow on another lattice as those of this one, by name: something to begin a training with.

        Parts that depend on momenta or displacements say themselves how; the others keep what they have.
        """
        carried = dict(arrays)
        for part in self.submodules:
            if isinstance(part, EquivariantODE | FourierScaling):
                carried |= part.carried_over(arrays, lattice)
        return carried

    def fingerprint(self) -> str:
        """A hash of all weights, to say in an ensemble what made it."""
        digest = hashlib.sha256()
        for name, variable in sorted(self.named_variables().items()):
            digest.update(name.encode() + variable.numpy().tobytes())
        return digest.hexdigest()

    def number_of_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(int(np.prod(variable.shape)) for variable in self.trainable_variables)


def affine(
    lattice: Lattice,
    seed: int,
    *,
    layers: PositiveInt,
    prior: Component,
    network: Component,
    partitions: Partitions = ("checkerboard",),
    fourier_scaling: bool = False,
    site_maps: bool = False,
) -> Flow:
    """Affine couplings, in pairs of which each transforms one half of the lattice given the other (arXiv:1904.12072).

    Args:
      lattice: the lattice, every extent even.
      seed: master seed of the initial weights.
      layers: number of couplings.
      prior: what z is drawn from.
      network: gives log scale and shift from the frozen sites; one for each coupling.
      partitions: the halves of successive pairs, over and over: colours of the checkerboard, or every other hyperplane, along one
        axis after the other. On the checkerboard alone, sites of one colour never see each other.
      fourier_scaling: a trained scaling in momentum space between the pairs.
      site_maps: a trained element-wise map before each pair; the affine map of a Gaussian is too tame for a quartic potential.

    Raises:
      ConfigError: an unknown part or parameter.
      ValueError: an odd extent.
    """
    bijectors = []
    for layer in range(layers):
        pair, half = divmod(layer, 2)
        kind = partitions[pair % len(partitions)]
        colours = lattice.parity() if kind == "checkerboard" else lattice.stripes(pair // len(partitions) % lattice.d)
        with tf.name_scope(f"coupling_{layer}"):
            if half == 0 and fourier_scaling and pair > 0:
                bijectors.append(FourierScaling(lattice))
            if half == 0 and site_maps:
                bijectors.append(SinhArcsinh(lattice.d))
            rng = np.random.default_rng(sub_seed(seed, "initialisation", layer).view(np.uint32))
            conditioner = NETWORKS.build(network, lattice, colours == half, ("even", "odd"), rng)
        bijectors.append(AffineCoupling(conditioner, active=colours == half, name=f"coupling_{layer}"))
    symmetries = conditioner.symmetries
    if "stripes" in partitions:
        left = {"even translation": {"translation by 2"}, "rotation": set()}
        symmetries = frozenset().union(*(left.get(symmetry, {symmetry}) for symmetry in symmetries))
    return Flow(lattice, _build_prior(prior, lattice), tfb.Chain(bijectors[::-1], name="chain"), symmetries)


def continuous(
    lattice: Lattice,
    seed: int,
    *,
    prior: Component,
    features: PositiveInt,
    knots: PositiveInt,
    steps: PositiveInt,
    integrator: Literal["rk4", "tsit5"] = "tsit5",
    spacing: PositiveFloat = 0.7,
    reach: PositiveFloat | None = None,
) -> Flow:
    """A neural differential equation with all symmetries of the lattice (arXiv:2207.00283); see `EquivariantODE`.

    It starts as the identity, so nothing depends on the seed.

    Args:
      lattice: the lattice; extents may be odd.
      seed: not used.
      prior: what z is drawn from.
      features: number of sine functions of a site.
      knots: of the time dependence.
      steps: of the integration in training and at first in sampling.
      integrator: "rk4" or "tsit5".
      spacing: of the sine functions' frequencies at the start.
      reach: length of the longest displacement that sites feel each other over; None for all.

    Raises:
      ConfigError: an unknown prior.
      ValueError: fewer than two knots.
    """
    ode = EquivariantODE(lattice, features=features, knots=knots, steps=steps, integrator=integrator, spacing=spacing, reach=reach)
    return Flow(lattice, _build_prior(prior, lattice), ode, frozenset({"translation", "rotation", "reflection", "sign"}))


def _build_prior(component: Component, lattice: Lattice) -> tfd.Distribution:
    with tf.name_scope("prior"):
        return PRIORS.build(component, lattice)


FLOWS = Registry("flow", {"affine": affine, "continuous": continuous})
