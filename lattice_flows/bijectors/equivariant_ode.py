"""A neural ordinary differential equation with the symmetries of the lattice.

    dphi_x / dt = sum_y [ sum_f W_f(t, x - y) sin(omega_f phi_y) + l(t, x - y) phi_y ]
                + sum_g cos(nu_g phi_x) sum_y [ sum_f K_gf(t, x - y) sin(omega_f phi_y) + k_g(t, x - y) phi_y ]
                + sum_g sin(nu_g phi_x) sum_y sum_f K'_gf(t, x - y) cos(omega_f phi_y)
                + sum_f c_f(t) sin(omega_f M)
                + sum_h [1 - cos(kappa_h m)] sum_y J_h(t, x - y) sin(omega_1 phi_y),      t from 0 to 1

with the mean field `M = sum_x phi_x / V` and `m = V^(1/2 - 1/d) M`, which hardly changes on lines of constant physics.

The first line is that of arXiv:2207.00283, made smaller. In the next two, the pair terms, the force of one site on another depends
on the fields at both; K(t, 0) = k(t, 0) = K'(t, 0) = 0. The fourth, the zero-mode term, moves all sites by a function of their
mean. In the last, the mean-field terms, fluctuations see the mean field that they are around, on which their mass depends near a
transition.

    d log |det dphi(t) / dphi(0)| / dt = sum_f W_f(t, 0) omega_f sum_x cos(omega_f phi_x) + V l(t, 0)
                - sum_g nu_g sum_x sin(nu_g phi_x) (sum_f K_gf sin(omega_f phi) + k_g phi)_x
                + sum_g nu_g sum_x cos(nu_g phi_x) (sum_f K'_gf cos(omega_f phi))_x
                + sum_f c_f(t) omega_f cos(omega_f M)
                + sum_h [1 - cos(kappa_h m)] J_h(t, 0) omega_1 sum_x cos(omega_1 phi_x)
                + sum_h kappa_h V^(-1/2 - 1/d) sin(kappa_h m) sum_y J_h(t, y) sum_x sin(omega_1 phi_x)

Kernels depend on the displacement only through its class under the hypercubic group. They and c are piecewise linear in t.
Convolutions are products in momentum space; see `fourier`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from lattice_flows.bijectors.augmented import AugmentedBijector
from lattice_flows.bijectors.kernels import Kernels
from lattice_flows.bijectors.runge_kutta import INTEGRATORS, combined
from lattice_flows.bijectors.sines import sines_and_cosines
from lattice_flows.fourier import momentum_transform
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
      features: number of sine functions.
      knots: number of knots of the time dependence, from 0 to 1. The method keeps its order if a step ends at every knot.
      steps: number of integration steps.
      integrator: a name in `INTEGRATORS`.
      spacing: of the frequencies `omega_f`, and of `nu_g`, at the start, `spacing, 2 spacing, ...`.
      kernel_radius: length of the longest displacement over which sites interact; None for all.
      pair_frequencies: number of the frequencies `nu_g`; 0 for no pair terms.
      pair_features: number of the frequencies `omega_f` that pair terms use, the first ones.
      pair_radius: length of the longest displacement of pair terms, 1 or more; None for all.
      zero_mode: whether there is a zero-mode term.
      mean_frequencies: number of the frequencies `kappa_h` of mean-field terms; 0 for none. They start at 2, 4, ..., and their
        kernels reach as far as `kernel_radius`.
      variables: to be shared with another equation, by name: `weights [knots, features + 1, classes]` (W, l), `log_frequencies
        [features]`; with pair terms `pair_weights [knots, pair_frequencies, 2 pair_features + 1, classes of pairs]` (K, k, K') and
        `pair_log_frequencies [pair_frequencies]`; with a zero-mode term `zero_mode [knots, features]`; with mean-field terms
        `mean_weights [knots, mean_frequencies, classes]` (J) and `mean_log_frequencies [mean_frequencies]`. None makes them; all
        but the frequencies begin at zero.

    Raises:
      ValueError: an unknown integrator, fewer than two knots, or pair terms that reach no other site or use more features than
        there are.
    """

    def __init__(
        self,
        lattice: Lattice,
        *,
        features: int,
        knots: int,
        steps: int,
        integrator: str = "tsit5",
        spacing: float = 0.7,
        kernel_radius: float | None = None,
        pair_frequencies: int = 0,
        pair_features: int = 3,
        pair_radius: float | None = None,
        zero_mode: bool = False,
        mean_frequencies: int = 0,
        variables: Mapping[str, tf.Variable] | None = None,
        name: str = "equivariant_ode",
    ):
        parameters = dict(locals())
        if integrator not in INTEGRATORS:
            raise ValueError(f"integrator must be one of {', '.join(INTEGRATORS)}, got {integrator!r}")
        if knots < 2:
            raise ValueError(f"knots must be 2 or more, for the start and the end, got {knots}")
        if pair_frequencies and pair_features > features:
            raise ValueError(f"pair_features must be at most the number of features, {features}, got {pair_features}")
        if pair_frequencies and pair_radius is not None and pair_radius < 1:
            raise ValueError(f"pair_radius must be 1 or more, or pair terms reach no other site, got {pair_radius}")
        self._lattice, self._steps, self._method = lattice, steps, INTEGRATORS[integrator]
        self._transform = momentum_transform(lattice)
        self._kernels = {"weights": Kernels(lattice, kernel_radius)}
        if pair_frequencies:
            self._kernels["pair_weights"] = Kernels(lattice, pair_radius, shortest=1)
        if mean_frequencies:
            self._kernels["mean_weights"] = self._kernels["weights"]
        stage_times = (np.arange(steps)[:, np.newaxis] + self._method.times) / steps
        self._basis = np.maximum(0, 1 - np.abs((knots - 1) * stage_times[..., np.newaxis] - np.arange(knots)))
        if variables is None:
            starts = {
                "weights": np.zeros([knots, features + 1, self._kernels["weights"].number]),
                "log_frequencies": np.log(spacing * np.arange(1, features + 1)),
            }
            if pair_frequencies:
                pairs = self._kernels["pair_weights"].number
                starts["pair_weights"] = np.zeros([knots, pair_frequencies, 2 * pair_features + 1, pairs])
                starts["pair_log_frequencies"] = np.log(spacing * np.arange(1, pair_frequencies + 1))
            if zero_mode:
                starts["zero_mode"] = np.zeros([knots, features])
            if mean_frequencies:
                starts["mean_weights"] = np.zeros([knots, mean_frequencies, self._kernels["mean_weights"].number])
                starts["mean_log_frequencies"] = np.log(2.0 * np.arange(1, mean_frequencies + 1))
            variables = {key: tf.Variable(start.astype(np.float32), name=f"{name}/{key}") for key, start in starts.items()}
        self._variables, self._pair_features = variables, pair_features
        super().__init__(forward_min_event_ndims=lattice.d, name=name, parameters=parameters)

    def transferred(self, arrays: Mapping[str, np.ndarray], lattice: Lattice) -> dict[str, np.ndarray]:
        """Translates the kernels of the same equation on another lattice, see `Kernels`; empty if `arrays` holds none.

        Terms that the other equation does not have begin as those of a new one.
        """
        own = {key: variable.name.split(":")[0] for key, variable in self._variables.items()}
        if own["weights"] not in arrays:
            return {}
        new = {name: self._variables[key].numpy() for key, name in own.items() if name not in arrays}
        return new | {
            own[key]: kernels.transferred(arrays[own[key]], lattice) for key, kernels in self._kernels.items() if own[key] in arrays
        }

    @property
    def integration_steps(self) -> int:
        """The number of steps."""
        return self._steps

    def with_integration_steps(self, steps: int) -> "EquivariantODE":
        """Returns the same differential equation, with the same variables, integrated in another number of steps."""
        return self.copy(steps=steps, variables=self._variables)

    def _velocity(self, phi: tf.Tensor, terms: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """The field's velocity `[n, *axes]` and its divergence `[n]`, which is float64.

        Args:
          phi: `[n, *axes]`.
          terms: the frequencies; the eigenvalues of the kernels at one time, as "weights", "pair_weights" and "mean_weights";
            W(t, 0) and l(t, 0) `[features + 1]`, as "here"; c(t), as "zero_mode"; J(t, 0) and the sums of J(t, y)
            `[mean_frequencies]`, as "mean_here" and "mean_sums".
        """
        omega, nu, here = terms["log_frequencies"], terms.get("pair_log_frequencies"), terms["here"]
        features, pairs = omega.shape[0], self._pair_features
        frequencies = omega if nu is None else tf.concat([omega, nu], axis=0)
        sines, cosines = sines_and_cosines(tf.reshape(frequencies, [-1] + [1] * len(phi.shape)) * phi)
        functions = [sines[:features], phi[tf.newaxis]] + ([] if nu is None else [cosines[:pairs]])
        modes = self._transform(tf.concat(functions, axis=0), tf.einsum)
        mean = tf.cast(_summed(phi[tf.newaxis])[0] / self._lattice.volume, phi.dtype)
        at_sites = _summed(cosines[:features])
        divergence = _dot(here[:-1] * omega, at_sites) + tf.cast(here[-1], tf.float64) * self._lattice.volume
        forces = [_convolved(modes[: features + 1], terms["weights"][tf.newaxis])]
        if (kappa := terms.get("mean_log_frequencies")) is not None:
            scale = self._lattice.volume ** (1 / 2 - 1 / self._lattice.d)
            of_mean = sines_and_cosines(kappa[:, tf.newaxis] * scale * mean)
            share, slope = 1 - of_mean[1], kappa[:, tf.newaxis] * scale / self._lattice.volume * of_mean[0]
            forces[0] += tf.tensordot(share, terms["mean_weights"], [[0], [0]]) * modes[0]
            divergence += _dot(terms["mean_here"] * omega[0], share) * at_sites[0]
            divergence += _dot(terms["mean_sums"], slope) * _summed(sines[:1])[0]
        if nu is not None:
            of_odd, of_even = tf.split(terms["pair_weights"], [pairs + 1, pairs], axis=1)
            odd = tf.concat([modes[:pairs], modes[features : features + 1]], axis=0)
            forces += [_convolved(odd, of_odd), _convolved(modes[features + 1 :], of_even)]
        forces = self._transform.inverse(tf.concat(forces, axis=0), tf.einsum)
        velocity = forces[0]
        if nu is not None:
            odd, even = tf.split(forces[1:], 2)
            sine, cosine = sines[features:], cosines[features:]
            velocity += tf.reduce_sum(cosine * odd + sine * even, axis=0)
            divergence += _dot(nu, _summed(cosine * even - sine * odd))
        if (c := terms.get("zero_mode")) is not None:
            sines, cosines = sines_and_cosines(omega[:, tf.newaxis] * mean)
            velocity += tf.reshape(tf.tensordot(c, sines, 1), [-1] + [1] * len(self._transform.axes))
            divergence += _dot(c * omega, cosines)
        return velocity, divergence

    def trajectory(self, x: tf.Tensor) -> list[tf.Tensor]:
        """The fields between x and `forward(x)`: x itself, and the field after every step."""
        step, values = self._step(1, x.dtype), [self._value(key, 1, x.dtype) for key in self._variables]
        fields = [tf.reshape(x, [-1, *self._transform.axes])]
        for n in range(self._steps):
            fields.append(step(n, fields[-1], *values)[0])
        return [tf.reshape(phi, tf.shape(x)) for phi in fields]

    def _step(self, sign: int, dtype: tf.DType) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
        """A step of the integration, from 0 to 1 (sign 1) or back (-1).

        Its arguments are its number, the field and the values of the variables; it returns the field after it and the change of
        the log-determinant.
        """
        method, h, basis, keys = self._method, sign / self._steps, tf.constant(self._basis, dtype), list(self._variables)

        def step(n: Any, phi: tf.Tensor, *variables: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            values = dict(zip(keys, variables, strict=True))
            at_stages = {key: tf.tensordot(basis[n], values.pop(key), 1) for key in keys if not key.endswith("frequencies")}
            at_stages["here"] = at_stages["weights"][..., 0]
            if (weights := at_stages.get("mean_weights")) is not None:
                sizes = tf.constant(self._kernels["mean_weights"].sizes, weights.dtype)
                at_stages |= {"mean_here": weights[..., 0], "mean_sums": tf.tensordot(weights, sizes, 1)}
            at_stages |= {key: kernels.spectra(at_stages[key]) for key, kernels in self._kernels.items()}
            velocities: list[tf.Tensor] = []
            divergences: list[tf.Tensor] = []
            for stage, row in enumerate(method.stages):
                terms = values | {key: at_stage[stage] for key, at_stage in at_stages.items()}
                velocity, divergence = self._velocity(phi + h * combined(row, velocities), terms)
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

        flat = tf.reshape(x, [-1, *self._transform.axes])
        end, log_det = flow(flat, *(self._value(key, sign, dtype) for key in self._variables))
        return tf.reshape(end, tf.shape(x)), tf.reshape(log_det, tf.shape(x)[: -self._lattice.d])

    def _value(self, key: str, sign: int, dtype: tf.DType) -> tf.Tensor:
        """Frequencies, or values at the knots, which time passes from the last to the first on the way back."""
        value = tf.cast(self._variables[key], dtype)
        return tf.exp(value) if key.endswith("frequencies") else value[::sign]

    def _augmented_forward(self, x: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        y, log_det = self._integrate(x, 1)
        return y, {"fldj": log_det, "ildj": -log_det}

    def _augmented_inverse(self, y: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        x, log_det = self._integrate(y, -1)
        return x, {"fldj": -log_det, "ildj": log_det}


def _convolved(modes: tf.Tensor, spectra: tf.Tensor) -> tf.Tensor:
    """The sums of modes `[inputs, n, *axes]`, each times its eigenvalues `[outputs, inputs, *axes]`: `[outputs, n, *axes]`."""
    return tf.reduce_sum(spectra[:, :, tf.newaxis] * modes, axis=1)


def _summed(functions: tf.Tensor) -> tf.Tensor:
    """Sums over sites, `[functions, n, *axes]` -> `[functions, n]`, in float64, since they grow with the volume."""
    rows = tf.cast(tf.reduce_sum(functions, axis=-1), tf.float64)  # short sums are exact enough, and much faster
    return tf.reduce_sum(rows, axis=list(range(2, len(rows.shape))))


def _dot(weights: tf.Tensor, sums: tf.Tensor) -> tf.Tensor:
    """The sum of sums `[k, n]`, each times its weight `[k]`: `[n]`, float64."""
    return tf.tensordot(tf.cast(weights, tf.float64), tf.cast(sums, tf.float64), 1)
