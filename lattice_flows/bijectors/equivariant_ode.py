"""A neural ordinary differential equation with the symmetries of the lattice, `dphi / dt = v(t, phi)` for t from 0 to 1.

    d log |det dphi(t) / dphi(0)| / dt = sum_x dv_x / dphi_x

The vector field v, and its divergence, are those of `vector_field`.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from lattice_flows.bijectors.augmented import AugmentedBijector
from lattice_flows.bijectors.runge_kutta import INTEGRATORS
from lattice_flows.bijectors.vector_field import VectorField
from lattice_flows.lattice import Lattice

__all__ = ["EquivariantODE"]


class EquivariantODE(AugmentedBijector):
    """The flow of the equation above, by a Runge-Kutta method with a fixed step in a compiled loop.

    The map is inverted, and its log-determinant known, up to the error of the integration; the same equation with twice as many
    steps (`with_integration_steps`) tells how large that is. Gradients are those of the discrete map: the loop keeps the argument
    of every evaluation of v and differentiates one evaluation at a time. Computes in the type of its argument; the log-determinant
    is always float64.

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
        times = np.ravel(np.arange(steps)[:, np.newaxis] + self._method.times) / steps  # of all evaluations
        self._basis = np.maximum(0, 1 - np.abs((knots - 1) * times[:, np.newaxis] - np.arange(knots)))
        super().__init__(forward_min_event_ndims=lattice.d, name=name, parameters=parameters | terms)

    def transferred(self, arrays: Mapping[str, np.ndarray], lattice: Lattice) -> dict[str, np.ndarray]:
        """Translates the weights of the same kind of equation on another lattice, as `VectorField` does."""
        return self._field.transferred(arrays, lattice)

    @property
    def integration_steps(self) -> int:
        """The number of steps."""
        return self._steps

    @property
    def next_integration_steps(self) -> int:
        """The next larger number of steps of which one ends at every knot."""
        intervals = self._basis.shape[1] - 1
        return (self._steps // intervals + 1) * intervals

    def with_integration_steps(self, steps: int) -> "EquivariantODE":
        """Returns the same differential equation, with the same vector field, integrated in another number of steps."""
        return self.copy(steps=steps, field=self._field)

    def trajectory(self, x: tf.Tensor) -> list[tf.Tensor]:
        """The fields between x and `forward(x)`: x itself, and the field after every step."""
        arrange = self._field.transform
        end, _, arguments = self._solved(arrange.arranged(x), self._field.values(x.dtype), 1)
        fields = [*tf.unstack(arguments[:: len(self._method.weights)]), end]
        return [tf.reshape(arrange.restored(phi), tf.shape(x)) for phi in fields]

    def _velocity(self, n: Any, phi: tf.Tensor, values: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """The vector field and its divergence at the time of evaluation number n, from the first step on."""
        return self._field(phi, self._field.terms(values, tf.constant(self._basis, phi.dtype)[n]))

    def _solved(self, phi: tf.Tensor, values: Sequence[tf.Tensor], sign: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The field at the other end of time, the log-determinant, and the arguments of all evaluations `[evaluations, n, *axes]`.

        One loop over all evaluations: with all stages of a step in the graph, training takes three times as long to compile.
        """
        stages, h, dtype = len(self._method.weights), sign / self._steps, phi.dtype
        rows, weights = h * self._method.to_next_argument(), h * np.array(self._method.weights)
        evaluations = len(self._basis)

        def evaluate(
            n: Any, phi: tf.Tensor, argument: tf.Tensor, slopes: tf.Tensor, log_det: tf.Tensor, arguments: tf.Tensor
        ) -> Any:
            stage = n % stages
            velocity, divergence = self._velocity(n, argument, values)
            slopes, arguments = _with_row(slopes, stage, velocity), _with_row(arguments, n, argument)
            log_det += tf.constant(weights)[stage] * divergence
            following = phi + _weighted(tf.constant(rows, dtype)[stage], slopes)
            return n + 1, tf.where(stage == stages - 1, following, phi), following, slopes, log_det, arguments

        empty = tf.zeros([stages, *tf.unstack(tf.shape(phi))], dtype)
        arguments = tf.zeros([evaluations, *tf.unstack(tf.shape(phi))], dtype)
        start = (0, phi, phi, empty, tf.zeros(tf.shape(phi)[:1], tf.float64), arguments)
        found = tf.while_loop(lambda n, *_: n < evaluations, evaluate, start, maximum_iterations=evaluations)
        return found[1], found[4], found[5]

    def _gradients(
        self, arguments: tf.Tensor, values: Sequence[tf.Tensor], sign: int, of_end: tf.Tensor, of_log_det: tf.Tensor
    ) -> list[tf.Tensor]:
        """Gradients with respect to the first argument and the values, for those of what `_solved` returns."""
        stages, h, dtype = len(self._method.weights), sign / self._steps, of_end.dtype
        weights = h * np.array(self._method.weights)
        columns = h * self._method.matrix().T  # what later arguments take from a slope

        def evaluate(n: Any, of_phi: tf.Tensor, of_step: tf.Tensor, of_arguments: tf.Tensor, *of_values: tf.Tensor) -> Any:
            stage = n % stages
            of_slope = tf.constant(weights, dtype)[stage] * of_phi + _weighted(tf.constant(columns, dtype)[stage], of_arguments)
            before = [arguments[n], *values]
            with tf.GradientTape() as tape:
                tape.watch(before)
                found = self._velocity(n, before[0], before[1:])
            of_argument, *changes = tape.gradient(found, before, [of_slope, tf.constant(weights)[stage] * of_log_det])
            of_step += of_argument
            first = stage == 0
            return (
                n - 1,
                tf.where(first, of_phi + of_step, of_phi),
                tf.where(first, tf.zeros_like(of_step), of_step),
                _with_row(of_arguments, stage, of_argument),
                *(total + change for total, change in zip(of_values, changes, strict=True)),
            )

        evaluations = len(self._basis)
        empty = tf.zeros([stages, *tf.unstack(tf.shape(of_end))], dtype)
        start = (evaluations - 1, of_end, tf.zeros_like(of_end), empty, *map(tf.zeros_like, values))
        found = tf.while_loop(lambda n, *_: n >= 0, evaluate, start, maximum_iterations=evaluations)
        return [found[1], *found[4:]]

    def _integrate(self, x: tf.Tensor, sign: int) -> tuple[tf.Tensor, tf.Tensor]:
        """The field at the other end of time and the log-determinant, from 0 to 1 (sign 1) or back (-1)."""

        @tf.custom_gradient
        def flow(phi: tf.Tensor, *values: tf.Tensor) -> Any:
            end, log_det, arguments = self._solved(phi, values, sign)
            return (end, log_det), functools.partial(self._gradients, arguments, values, sign)

        arrange = self._field.transform
        end, log_det = flow(arrange.arranged(x), *self._field.values(x.dtype, sign))
        return tf.reshape(arrange.restored(end), tf.shape(x)), tf.reshape(log_det, tf.shape(x)[: -self._lattice.d])

    def _augmented_forward(self, x: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        y, log_det = self._integrate(x, 1)
        return y, {"fldj": log_det, "ildj": -log_det}

    def _augmented_inverse(self, y: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        x, log_det = self._integrate(y, -1)
        return x, {"fldj": -log_det, "ildj": log_det}


def _with_row(rows: tf.Tensor, n: Any, row: tf.Tensor) -> tf.Tensor:
    """Rows with another one in the place n. XLA does this in place, and vectorised maps take it, as they do not a TensorArray."""
    return tf.tensor_scatter_nd_update(rows, [[n]], row[tf.newaxis])


def _weighted(weights: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """The sum of rows, each times its weight."""
    return tf.reduce_sum(tf.reshape(weights, [-1] + [1] * (len(rows.shape) - 1)) * rows, axis=0)
