"""From a name in a configuration to a flow: a Gaussian prior and a chain of bijectors."""

import hashlib

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from pydantic import PositiveInt

from lattice_flows.bijectors import AffineCoupling
from lattice_flows.config import Component, build
from lattice_flows.lattice import Lattice
from lattice_flows.networks import build_network
from lattice_flows.priors import build_prior
from lattice_flows.seeds import sub_seed

tfb, tfd = tfp.bijectors, tfp.distributions

__all__ = ["FLOWS", "Flow", "affine", "build_flow"]


class Flow(tf.Module):
    """A trainable distribution of lattice fields with known density.

        phi = f(z),   log q(phi) = log r(z) - log |det dphi/dz|,   z drawn from the prior r      (arXiv:1904.12072, eqs. 7-8)

    Fields are float64, networks compute in float32: the map is then inverted, and its density known, to double precision.

    Attributes:
      lattice: the lattice.
      distribution: the `tfd.TransformedDistribution`, for everything TFP can do with one.
      symmetries: maps of the lattice that `log_q` is invariant under, of "translation", "translation by 2" (by an even distance),
        "rotation", "reflection", "sign" (phi -> -phi).
    """

    def __init__(self, lattice: Lattice, prior: tfd.Distribution, bijector: tfb.Bijector, symmetries: frozenset[str] = frozenset()):
        super().__init__(name="flow")
        self.lattice, self.symmetries = lattice, symmetries
        self.distribution = tfd.TransformedDistribution(prior, bijector)

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
        return phi, self.prior.log_prob(z) - log_det

    def sample_and_log_prob(self, n: int, seed) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws n fields `[n, *shape]` with their `log_q [n]`, from a stateless seed (int32 `[2]`)."""
        return self.push_forward(self.prior.sample(n, seed=seed))

    def log_prob(self, phi: tf.Tensor) -> tf.Tensor:
        """`log_q [batch]` of any fields `[batch, *shape]`, by the inverse map."""
        return self.distribution.log_prob(phi)

    def named_variables(self) -> dict[str, tf.Variable]:
        """All variables by unique name, as checkpoints store them.

        Raises:
          ValueError: two variables share a name; a flow must build its parts under different name scopes.
        """
        named = {variable.name.split(":")[0]: variable for variable in self.variables}
        if len(named) != len(self.variables):
            raise ValueError(f"variable names are not unique: {sorted(variable.name for variable in self.variables)}")
        return named

    def fingerprint(self) -> str:
        """A hash of all weights, to say in an ensemble what made it."""
        digest = hashlib.sha256()
        for name, variable in sorted(self.named_variables().items()):
            digest.update(name.encode() + variable.numpy().tobytes())
        return digest.hexdigest()

    def number_of_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(int(np.prod(variable.shape)) for variable in self.trainable_variables)


def affine(lattice: Lattice, seed: int, *, layers: PositiveInt, prior: Component, network: Component) -> Flow:
    """Checkerboard affine couplings of alternating parity (arXiv:1904.12072).

    Args:
      lattice: the lattice, every extent even.
      seed: master seed of the initial weights.
      layers: number of couplings.
      prior: what z is drawn from.
      network: gives log scale and shift from the frozen sites; one for each coupling.

    Raises:
      ConfigError: an unknown part or parameter.
      ValueError: an odd extent.
    """
    parity = lattice.parity()
    couplings = []
    for layer in range(layers):
        with tf.name_scope(f"coupling_{layer}"):
            rng = np.random.default_rng(sub_seed(seed, "initialisation", layer).view(np.uint32))
            conditioner = build_network(network, lattice, 2, rng)
        couplings.append(AffineCoupling(conditioner, active=parity == layer % 2, name=f"coupling_{layer}"))
    return Flow(lattice, build_prior(prior, lattice), tfb.Chain(couplings[::-1]), conditioner.symmetries)


FLOWS = {"affine": affine}


def build_flow(component: Component, lattice: Lattice, seed: int) -> Flow:
    """The flow that a configuration names, with fresh weights. Raises `ConfigError`."""
    return build("flow", FLOWS, component, lattice, seed)
