"""A flow: a prior, a map from the prior's samples to fields, and the density that follows."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.config import Component, ConfigError, nearest
from lattice_flows.flows.construction import built_with, check_prior
from lattice_flows.flows.integration import integrated_parts, more_steps, with_integration_steps
from lattice_flows.io.arrays import fingerprint
from lattice_flows.lattice import Lattice
from lattice_flows.priors.transformed import Transformed

tfb, tfd = tfp.bijectors, tfp.distributions
_TYPES = (tf.float32, tf.float64)

__all__ = ["Flow"]

# On GPUs since Ampere, matrix products of float32 are rounded to the 11 bits of TensorFloat-32 unless this is told: densities of
# continuous flows would be off by a tenth of the spread of log weights.
tf.config.experimental.enable_tensor_float_32_execution(False)


class Flow(tf.Module):
    """A trainable distribution of lattice fields with known density (arXiv:1904.12072, eqs. 7-8).

        phi = f(z),   log q(phi) = log r(z) - log |det dphi/dz|,   z drawn from the prior r

    Networks compute in float32, everything else in the type of the field. Fields are drawn in float64, so the map is inverted, and
    its density known, to double precision.

    Example:

    ```python
    flow = lf.flows.affine(lf.Lattice((4, 4)), layers=2)
    phi, log_q = flow.sample_and_log_prob(8, seed=[1, 2])               # [8, 4, 4] and [8]
    ```

    Args:
      lattice: the lattice.
      prior: the distribution of z `[batch, *shape]`, float64.
      bijector: the map from z to phi.
      symmetries: of the map: transformations g with `f(g z) = g f(z)`, of "translation", "even translation" (the sum of the steps
        is even), "translation by 2" (every step is even), "rotation", "reflection", "sign" (phi -> -phi).

    Raises:
      ValueError: a prior of another type or shape.

    Attributes:
      lattice: the lattice.
      equivariance: the symmetries of the map, as above.
      component: what the flow was built from, if a registered constructor has built it.
      distribution: of the fields, a TFP distribution; see `priors.transformed`.
      condition: the parameter of the action that the weights depend on, of a `conditioned` flow; None for all others.
      trained_steps: the steps of training that its weights have had, as far as is known; None for fresh weights. A further training
        judges weights that are not fresh before its first step, and draws the batches after those.
    """

    condition: str | None = None

    def __init__(self, lattice: Lattice, prior: tfd.Distribution, bijector: tfb.Bijector, symmetries: frozenset[str] = frozenset()):
        super().__init__(name="flow")
        self.lattice, self.equivariance = lattice, symmetries
        self.component: Component | None = None
        self.trained_steps: int | None = None
        self._only: Sequence[str] | None = None
        check_prior(prior, lattice)
        self.distribution = Transformed(prior, bijector, name="flow")

    def __repr__(self) -> str:
        kind = self.component.name if self.component else self.bijector.name
        return f"Flow({kind}, {self.lattice!r}, {self.number_of_parameters()} parameters)"

    @property
    def prior(self) -> tfd.Distribution:
        """The distribution of z."""
        return self.distribution.distribution

    @property
    def bijector(self) -> tfb.Bijector:
        """The map from z to phi.

        A bijector of TFP remembers what it has computed for a tensor, even if its weights change since: give it `tf.identity(z)`
        after a change, or use `push_forward`, which always computes anew.
        """
        return self.distribution.bijector

    @property
    def symmetries(self) -> frozenset[str]:
        """Transformations that leave `log_q` invariant: those of the map, but "sign" only if the prior has it too.

        Priors have all other symmetries of the lattice.
        """
        z = np.random.default_rng(1).normal(size=(4, *self.lattice.shape))
        even = np.allclose(self.prior.log_prob(z), self.prior.log_prob(-z))
        return self.equivariance if even else self.equivariance - {"sign"}

    @property
    def conditioned_on(self) -> list[Any] | None:
        """The parameter of the action that a `conditioned` flow follows, and its values at the knots; None for all others."""
        return None

    @property
    def is_odd(self) -> bool:
        """Whether the map is odd, `f(-z) = -f(z)`."""
        return "sign" in self.equivariance

    def push_forward(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Maps prior samples `[batch, *shape]` to fields of that shape and their `log_q [batch]`.

        Raises:
          ValueError: another shape, or integers.
        """
        # TFP's bijectors would remember the log-determinant of the tensor even if the weights change.
        z = tf.identity(self._checked(z))
        phi = self.bijector.forward(z)
        log_det = self.bijector.forward_log_det_jacobian(z, event_ndims=self.lattice.d)
        return phi, self.prior.log_prob(tf.cast(z, tf.float64)) - tf.cast(log_det, tf.float64)

    def sample_and_log_prob(self, n: int, seed: Any, dtype: tf.DType = tf.float64) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws fields.

        Args:
          n: number of fields.
          seed: stateless seed, int32 `[2]`.
          dtype: type in which the map is computed.

        Returns:
          `phi [n, *shape]` of that type, and `log_q [n]` in float64.

        Raises:
          ValueError: no stateless seed, without which the fields could not be drawn again.
        """
        if seed is None or not tf.convert_to_tensor(seed).shape.is_compatible_with([2]):
            raise ValueError(f"seed must be stateless, two integers such as [1, 2], got {seed!r}")
        return self.push_forward(tf.cast(self.prior.sample(n, seed=seed), dtype))

    def log_prob(self, phi: tf.Tensor) -> tf.Tensor:
        """Returns `log_q [batch]` of any fields `[batch, *shape]`, by the inverse map.

        Raises:
          ValueError: another shape, or integers.
        """
        phi = tf.identity(self._checked(phi))  # as above, and the samples' own z would be given back instead of inverting the map
        z = self.bijector.inverse(phi)
        log_det = self.bijector.inverse_log_det_jacobian(phi, event_ndims=self.lattice.d)
        return self.prior.log_prob(tf.cast(z, tf.float64)) + tf.cast(log_det, tf.float64)

    def _checked(self, fields: Any) -> tf.Tensor:
        """Fields that have the lattice's shape: TFP would broadcast some others."""
        fields = tf.convert_to_tensor(fields)
        if fields.dtype not in _TYPES or not fields.shape[1:].is_compatible_with(self.lattice.shape):
            raise ValueError(
                f"fields must be float32 or float64 and have the shape [batch, {', '.join(map(str, self.lattice.shape))}], "
                f"got {fields.dtype.name} and {fields.shape}"
            )
        return fields

    @property
    def exact(self) -> bool:
        """Whether the density is known exactly. False if any part of the flow is solved by integration."""
        return not self.integration_steps

    @property
    def density_dtype(self) -> tf.DType:
        """The type that weights are computed in: an integration is less exact than float32, and takes half the time in it."""
        return tf.float64 if self.exact else tf.float32

    @property
    def device(self) -> str | None:
        """The (first) device that holds the flow; None without variables."""
        return next((variable.device for variable in self.variables), None)

    @property
    def integration_steps(self) -> dict[str, int]:
        """The number of integration steps of every part that is solved by integration, by name; empty for an exact flow."""
        return {name: part.integration_steps for name, part in integrated_parts(self.distribution).items()}

    def set_integration_steps(self, steps: Mapping[str, int]) -> None:
        """Changes the number of integration steps in place. Functions that TensorFlow has traced before do not see the change.

        Args:
          steps: the number of steps of every part, with the keys of `integration_steps`.

        Raises:
          ValueError: other keys, a number that is not positive, or a composite that cannot be rebuilt.
        """
        if dict(steps) != self.integration_steps:
            self.distribution = with_integration_steps(self.distribution, steps)

    def refined(self, slightly: bool = False) -> "Flow | None":
        """Returns the same flow, with the same variables, integrated in twice as many steps; None for an exact flow.

        Args:
          slightly: take the next number of steps instead, of parts that have `next_integration_steps`.

        Raises:
          ValueError: a composite that cannot be rebuilt.
        """
        if self.exact:
            return None
        rebuilt = with_integration_steps(self.distribution, more_steps(self.distribution, slightly))
        finer = Flow(self.lattice, rebuilt.distribution, rebuilt.bijector, self.equivariance)
        finer.component = self.component
        return finer

    def named_variables(self) -> dict[str, tf.Variable]:
        """Returns all variables by name, as checkpoints store them.

        Raises:
          ValueError: two variables share a name; build the parts of a flow under different name scopes.
        """
        named = {variable.name.split(":")[0]: variable for variable in self.variables}
        if len(named) != len(self.variables):
            raise ValueError(f"variable names are not unique: {sorted(variable.name for variable in self.variables)}")
        return named

    def upgraded(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Translates weights that an earlier version saved for this flow, without a change of the density.

        Parts whose weights have changed their form translate them by their own method `upgraded`.

        Args:
          arrays: the weights by name.

        Returns:
          Weights of the present form, by name.
        """
        translated = dict(arrays)
        for part in self.submodules:
            if hasattr(part, "upgraded"):
                translated |= part.upgraded(arrays)
        return translated

    def transferred(self, arrays: Mapping[str, np.ndarray], lattice: Lattice) -> dict[str, np.ndarray]:
        """Translates the weights of the same kind of flow on another lattice to this one, as a start for training.

        Parts whose weights depend on momenta or displacements translate them by their own method `transferred`, which gives None
        for weights that they do not have on this lattice; all other weights are the same on every lattice.

        Args:
          arrays: the weights by name.
          lattice: the lattice they belong to.

        Returns:
          Weights for this flow, by name.
        """
        translated = dict(arrays)
        for part in self.submodules:
            if hasattr(part, "transferred"):
                translated |= part.transferred(arrays, lattice)
        return {name: array for name, array in translated.items() if array is not None}

    @property
    def trained(self) -> tuple[tf.Variable, ...]:
        """The variables that training changes: all that are trainable, or those chosen by `training_only`."""
        return tuple(each for each in self.trainable_variables if self._only is None or _is_below(each.name, self._only))

    @contextlib.contextmanager
    def training_only(self, names: Sequence[str] | None) -> Iterator[None]:
        """Chooses the weights that training changes inside a `with` statement.

        Args:
          names: of weights, or of what they belong to, such as "prior"; None for all.

        Raises:
          ConfigError: a name that no trainable weight belongs to.
        """
        weights = [variable.name.split(":")[0] for variable in self.trainable_variables]
        for name in names or ():
            if not any(_is_below(own, [name]) for own in weights):
                near = [own for own in weights if _is_below(own, [name.split("/")[0]])] or {own.split("/")[0] for own in weights}
                raise ConfigError(f"training.only: no weight belongs to {name!r}, perhaps of another flow: {nearest(name, near)}")
        before, self._only = self._only, names
        try:
            yield
        finally:
            self._only = before

    def fingerprint(self) -> str:
        """Returns a hash of all weights, by which an ensemble identifies its flow.

        Of a flow that does not know what it was built from, the numbers that its parts were built with are hashed too.
        """
        return fingerprint(self.named_variables(), built_with(self.distribution) if self.component is None else "")

    def number_of_parameters(self) -> int:
        """Returns the number of trainable parameters."""
        return sum(int(np.prod(variable.shape)) for variable in self.trainable_variables)


def _is_below(variable: str, names: Sequence[str]) -> bool:
    """Whether a variable has one of these names, or belongs to what has one."""
    return any(f"{variable.split(':')[0]}/".startswith(f"{name}/") for name in names)
