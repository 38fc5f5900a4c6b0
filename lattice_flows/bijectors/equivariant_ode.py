"""A neural ordinary differential equation with the symmetries of the lattice, `dphi / dt = v(t, phi)` for t from 0 to 1.

    d log |det dphi(t) / dphi(0)| / dt = sum_x dv_x / dphi_x

The vector field v, and its divergence, are those of `vector_field`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from lattice_flows.bijectors.augmented import AugmentedBijector
from lattice_flows.bijectors.runge_kutta import INTEGRATORS, combined
from lattice_flows.bijectors.vector_field import VectorField
from lattice_flows.lattice import Lattice

__all__ = ["EquivariantODE"]


class EquivariantODE(AugmentedBijector):
    """The flow of the equation above, by a Runge-Kutta method with a fixed step in a compiled loop.

    The map is inverted, and its log-determinant known, up to the error of the integration; the same equation with twice as many
    steps (`with_integration_steps`) tells how large that is. Gradients are those of the discrete map: the loop keeps the field
    before every step and differentiates one step at a time. Computes in the type of its argument; the log-determinant is
    always float64.

    Example:

    ```python
    ode = lf.bijectors.EquivariantODE(lf.Lattice((4, 4)), features=4, knots=5, steps=12)
    z = tf.random.stateless_normal([3, 4, 4], seed=[1, 2])
    phi = ode.forward(z)                                                # [3, 4, 4]
    ```

    Args:
      lattice: the lattice.
      knots: number of knots of the time dependence, from 0 to 1. The method keeps its order if a step ends at every knot.
      steps: number of integration steps.
      integrator: a name in `INTEGRATORS`.
      field: the vector field, if it is that of another equation with the same lattice and knots; the terms then say nothing.
      **terms: `features`, the number of sine functions of a site, and the other terms of the vector field, as for
        `lattice_flows.flows.continuous`.

    Raises:
      ValueError: an unknown integrator, or a vector field that cannot be.
    """

    def __init__(
        self,
        lattice: Lattice,
        *,
        knots: int,
        steps: int,
        integrator: str = "tsit5",
        field: VectorField | None = None,
        name: str = "equivariant_ode",
        **terms: Any,
    ):
        parameters = {
            "lattice": lattice,
            "knots": knots,
            "steps": steps,
            "integrator": integrator,
            "field": field,
            "name": name,
        }
        if integrator not in INTEGRATORS:
            raise ValueError(f"integrator must be one of {', '.join(INTEGRATORS)}, got {integrator!r}")
        self._lattice, self._steps, self._method = lattice, steps, INTEGRATORS[integrator]
        self._field = VectorField(lattice, knots=knots, name=name, **terms) if field is None else field
        self._variables = self._field.variables  # where tf.Module looks for them
        stage_times = (np.arange(steps)[:, np.newaxis] + self._method.times) / steps
        self._basis = np.maximum(0, 1 - np.abs((knots - 1) * stage_times[..., np.newaxis] - np.arange(knots)))
        super().__init__(forward_min_event_ndims=lattice.d, name=name, parameters=parameters | terms)

    def transferred(self, arrays: Mapping[str, np.ndarray], lattice: Lattice) -> dict[str, np.ndarray]:
        """Translates the weights of the same kind of equation on another lattice, as `VectorField` does."""
        return self._field.transferred(arrays, lattice)

    @property
    def integration_steps(self) -> int:
        """The number of steps."""
        return self._steps

    def with_integration_steps(self, steps: int) -> "EquivariantODE":
        """Returns the same differential equation, with the same vector field, integrated in another number of steps."""
        return self.copy(steps=steps, field=self._field)

    def trajectory(self, x: tf.Tensor) -> list[tf.Tensor]:
        """The fields between x and `forward(x)`: x itself, and the field after every step."""
        step, values = self._step(1, x.dtype), self._field.values(x.dtype)
        fields = [self._field.transform.arranged(x)]
        for n in range(self._steps):
            fields.append(step(n, fields[-1], *values)[0])
        return [tf.reshape(self._field.transform.restored(phi), tf.shape(x)) for phi in fields]

    def _step(self, sign: int, dtype: tf.DType) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
        """A step of the integration, from 0 to 1 (sign 1) or back (-1).

        Its arguments are its number, the field and what the variables stand for; it returns the field after it and the change of
        the log-determinant.
        """
        method, h, basis = self._method, sign / self._steps, tf.constant(self._basis, dtype)

        def step(n: Any, phi: tf.Tensor, *values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            velocities: list[tf.Tensor] = []
            divergences: list[tf.Tensor] = []
            for terms, row in zip(self._field.terms(values, basis[n]), method.stages, strict=True):
                velocity, divergence = self._field(phi + h * combined(row, velocities), terms)
                velocities.append(velocity)
                divergences.append(divergence)
            return phi + h * combined(method.weights, velocities), h * combined(method.weights, divergences)

        return step

    def _integrate(self, x: tf.Tensor, sign: int) -> tuple[tf.Tensor, tf.Tensor]:
        """The field at the other end of time and the log-determinant, from 0 to 1 (sign 1) or back (-1)."""
        steps, dtype, step = self._steps, x.dtype, self._step(sign, x.dtype)

        @tf.custom_gradient
        def flow(phi: tf.Tensor, *variables: tf.Tensor) -> Any:
            def forward(n: Any, phi: tf.Tensor, log_det: tf.Tensor, history: tf.Tensor) -> Any:
                # XLA does this in place, and vectorised maps take it, as they do not a TensorArray in a compiled loop.
                history = tf.tensor_scatter_nd_update(history, [[n]], phi[tf.newaxis])
                phi, change = step(n, phi, *variables)
                return n + 1, phi, log_det + change, history

            start = (0, phi, tf.zeros(tf.shape(phi)[:1], tf.float64), tf.zeros(tf.concat([[steps], tf.shape(phi)], 0), dtype))
            _, end, log_det, history = tf.while_loop(lambda n, *_: n < steps, forward, start, maximum_iterations=steps)

            def gradient(of_end: tf.Tensor, of_log_det: tf.Tensor) -> Any:
                def backward(n: Any, of_phi: tf.Tensor, *of_variables: tf.Tensor) -> Any:
                    before = [history[n], *variables]
                    with tf.GradientTape() as tape:
                        tape.watch(before)
                        after = step(n, *before)
                    of_before, *changes = tape.gradient(after, before, [of_phi, of_log_det])
                    return n - 1, of_before, *(total + change for total, change in zip(of_variables, changes, strict=True))

                start = (steps - 1, of_end, *map(tf.zeros_like, variables))
                return tf.while_loop(lambda n, *_: n >= 0, backward, start, maximum_iterations=steps)[1:]

            return (end, log_det), gradient

        arrange = self._field.transform
        end, log_det = flow(arrange.arranged(x), *self._field.values(dtype, sign))
        return tf.reshape(arrange.restored(end), tf.shape(x)), tf.reshape(log_det, tf.shape(x)[: -self._lattice.d])

    def _augmented_forward(self, x: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        y, log_det = self._integrate(x, 1)
        return y, {"fldj": log_det, "ildj": -log_det}

    def _augmented_inverse(self, y: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        x, log_det = self._integrate(y, -1)
        return x, {"fldj": -log_det, "ildj": log_det}
