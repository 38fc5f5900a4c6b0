"""A neural ordinary differential equation with the symmetries of the lattice.

    dphi_x / dt = sum_y [ sum_f W_f(t, x - y) sin(omega_f phi_y) + l(t, x - y) phi_y ],      t from 0 to 1
    d log |det dphi(t) / dphi(0)| / dt = sum_f W_f(t, 0) omega_f sum_x cos(omega_f phi_x) + V l(t, 0)

(arXiv:2207.00283, made smaller). W and l depend on the displacement only through its class under the hypercubic group, and are
piecewise linear in t. The convolutions are products in momentum space; see `fourier`.
"""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from numpy.polynomial import Chebyshev, Polynomial

from lattice_flows.bijectors.augmented import AugmentedBijector
from lattice_flows.bijectors.classes import ClassValues
from lattice_flows.bijectors.runge_kutta import INTEGRATORS, combined
from lattice_flows.fourier import MomentumTransform
from lattice_flows.lattice import Lattice

__all__ = ["EquivariantODE"]


# sin(x) / x and cos(x) as polynomials of x^2 up to pi^2, highest power first, and a turn to so few digits that products with
# whole numbers are exact.
_SINE, _COSINE = (
    [float(c) for c in Chebyshev.interpolate(function, degree, [0, np.pi**2]).convert(kind=Polynomial).coef[::-1]]
    for function, degree in ((lambda u: np.sinc(np.sqrt(u) / np.pi), 6), (lambda u: np.cos(np.sqrt(u)), 7))
)
_TURN = 6.28125


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
      spacing: of the frequencies `omega_f` at the start, `spacing, 2 spacing, ...`.
      kernel_radius: length of the longest displacement over which sites interact; None for all.
      variables: the kernels `[knots, features + 1, classes]` and the logarithms of the frequencies `[features]`, to be shared with
        another equation; None makes them.

    Raises:
      ValueError: an unknown integrator, or fewer than two knots.
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
        variables: tuple[tf.Variable, tf.Variable] | None = None,
        name: str = "equivariant_ode",
    ):
        parameters = dict(locals())
        if integrator not in INTEGRATORS:
            raise ValueError(f"integrator must be one of {', '.join(INTEGRATORS)}, got {integrator!r}")
        if knots < 2:
            raise ValueError(f"knots must be 2 or more, for the start and the end, got {knots}")
        self._lattice, self._steps, self._method = lattice, steps, INTEGRATORS[integrator]
        self._kernel_radius = kernel_radius
        displacements, classes = _classes(lattice, kernel_radius)
        self._transform, self._spectra = MomentumTransform(lattice), _Spectra(lattice, classes, len(displacements))
        stage_times = (np.arange(steps)[:, np.newaxis] + self._method.times) / steps
        self._basis = np.maximum(0, 1 - np.abs((knots - 1) * stage_times[..., np.newaxis] - np.arange(knots)))
        if variables is None:
            weights = tf.Variable(tf.zeros([knots, features + 1, len(displacements)]), name=f"{name}/weights")
            frequencies = spacing * np.arange(1, features + 1)
            variables = weights, tf.Variable(np.log(frequencies).astype(np.float32), name=f"{name}/log_frequencies")
        self._weights, self._log_frequencies = variables
        super().__init__(forward_min_event_ndims=lattice.d, name=name, parameters=parameters)

    def transferred(self, arrays: Mapping[str, np.ndarray], lattice: Lattice) -> dict[str, np.ndarray]:
        """Translates the kernels of the same equation on another lattice; empty if `arrays` holds none.

        A kernel keeps its value at every displacement. A displacement by half an extent is its own mirror image. On a larger
        lattice its class has more members, and the kernel is divided among them. Displacements beyond the radius of the other
        equation get zero.
        """
        name = self._weights.name.split(":")[0]
        if name not in arrays:
            return {}
        (there, classes_there), (here, classes_here) = _classes(lattice, None), _classes(self._lattice, self._kernel_radius)
        kernels = np.zeros([*arrays[name].shape[:-1], len(here)], np.float32)
        # Those within the radius of the other equation come first.
        counterparts = {tuple(displacement): index for index, displacement in enumerate(there[: arrays[name].shape[-1]])}
        for index, displacement in enumerate(here):
            if (other := counterparts.get(tuple(displacement))) is not None:
                share = np.count_nonzero(classes_there == other) / np.count_nonzero(classes_here == index)
                kernels[..., index] = share * arrays[name][..., other]
        return {name: kernels}

    @property
    def integration_steps(self) -> int:
        """The number of steps."""
        return self._steps

    def with_integration_steps(self, steps: int) -> "EquivariantODE":
        """Returns the same differential equation, with the same variables, integrated in another number of steps."""
        return self.copy(steps=steps, variables=(self._weights, self._log_frequencies))

    def _velocity(self, phi: tf.Tensor, kernels: tf.Tensor, frequencies: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The field's velocity `[n, *axes]` and its divergence `[n]`, for kernels `[features + 1, classes]`."""
        d = len(self._transform.axes)
        phases = tf.reshape(frequencies, [-1] + [1] * (d + 1)) * phi
        sines, cosines = _sines_and_cosines(phases)
        modes = self._transform(tf.concat([sines, phi[tf.newaxis]], axis=0), tf.einsum)
        spectra = self._spectra(kernels)
        velocity = self._transform(tf.reduce_sum(modes * spectra[:, tf.newaxis], axis=0), tf.einsum)
        slopes = tf.reduce_sum(cosines, axis=list(range(2, 2 + d)))
        here = kernels[:, 0]
        return velocity, tf.tensordot(here[:-1] * frequencies, slopes, 1) + here[-1] * self._lattice.volume

    def _integrate(self, x: tf.Tensor, sign: int) -> tuple[tf.Tensor, tf.Tensor]:
        """The field at the other end of time and the log-determinant, from 0 to 1 (sign 1) or back (-1)."""
        method, steps, dtype = self._method, self._steps, x.dtype
        h = sign / steps
        basis = tf.constant(self._basis, dtype)

        def step(n, phi, weights, frequencies):
            kernels = tf.tensordot(basis[n], weights, 1)
            velocities, divergences = [], []
            for stage, row in enumerate(method.stages):
                velocity, divergence = self._velocity(phi + h * combined(row, velocities), kernels[stage], frequencies)
                velocities.append(velocity)
                divergences.append(divergence)
            return phi + h * combined(method.weights, velocities), h * combined(method.weights, divergences)

        @tf.custom_gradient
        def flow(phi, weights, frequencies):
            def forward(n, phi, log_det, history):
                # XLA does this in place, and vectorised maps take it, as they do not a TensorArray in a compiled loop.
                history = tf.tensor_scatter_nd_update(history, [[n]], phi[tf.newaxis])
                phi, change = step(n, phi, weights, frequencies)
                return n + 1, phi, log_det + tf.cast(change, tf.float64), history

            start = (0, phi, tf.zeros(tf.shape(phi)[:1], tf.float64), tf.zeros(tf.concat([[steps], tf.shape(phi)], 0), dtype))
            _, end, log_det, history = tf.while_loop(lambda n, *_: n < steps, forward, start, maximum_iterations=steps)

            def gradient(of_end, of_log_det):
                of_log_det = tf.cast(of_log_det, dtype)

                def backward(n, of_phi, of_weights, of_frequencies):
                    before = [history[n], weights, frequencies]
                    with tf.GradientTape() as tape:
                        tape.watch(before)
                        after = step(n, *before)
                    back = tape.gradient(after, before, [of_phi, of_log_det])
                    return n - 1, back[0], of_weights + back[1], of_frequencies + back[2]

                start = (steps - 1, of_end, tf.zeros_like(weights), tf.zeros_like(frequencies))
                return tf.while_loop(lambda n, *_: n >= 0, backward, start, maximum_iterations=steps)[1:]

            return (end, log_det), gradient

        flat = tf.reshape(x, [-1, *self._transform.axes])
        weights = tf.cast(self._weights, dtype)[::sign]  # on the way back, time passes the knots from the last to the first
        end, log_det = flow(flat, weights, tf.exp(tf.cast(self._log_frequencies, dtype)))
        return tf.reshape(end, tf.shape(x)), tf.reshape(log_det, tf.shape(x)[: -self._lattice.d])

    def _augmented_forward(self, x: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        y, log_det = self._integrate(x, 1)
        return y, {"fldj": log_det, "ildj": -log_det}

    def _augmented_inverse(self, y: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        x, log_det = self._integrate(y, -1)
        return x, {"fldj": -log_det, "ildj": log_det}


class _Spectra:
    """Eigenvalues of kernels: `[features + 1, classes]` -> `[features + 1, *axes]`."""

    def __init__(self, lattice: Lattice, classes: np.ndarray, number: int):
        self._transform, self._of_displacements = MomentumTransform(lattice), ClassValues(classes, number)
        self._matrix = None
        if self._of_displacements.matrix is not None:
            self._matrix = self._transform.eigenvalues(self._of_displacements.matrix.reshape(-1, *self._transform.axes))

    def __call__(self, kernels: tf.Tensor) -> tf.Tensor:
        if self._matrix is not None:
            return tf.tensordot(kernels, tf.constant(self._matrix, kernels.dtype), 1)
        of_displacements = tf.reshape(self._of_displacements(kernels), [-1, *self._transform.axes])
        return self._transform.eigenvalues(of_displacements, tf.einsum)


def _classes(lattice: Lattice, kernel_radius: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Displacements within a radius, one of each class, `[classes, d]`, and the class of each displacement `[volume]`, or -1."""
    displacements, classes = lattice.displacement_classes()
    # Classes are in the order of length, so that those within the radius come first.
    near = np.count_nonzero(np.sum(displacements**2, axis=1) <= (np.inf if kernel_radius is None else kernel_radius**2))
    return displacements[:near], np.where(classes < near, classes, -1)


def _sines_and_cosines(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Both, to 6e-7 in float32: XLA calls the C library for each number on a CPU, which takes five times as long."""
    if x.dtype != tf.float32:
        return tf.sin(x), tf.cos(x)

    @tf.custom_gradient
    def both(x):
        turns = tf.round(x / (2 * np.pi))
        angle = (x - turns * _TURN) - turns * (2 * np.pi - _TURN)
        square = angle**2
        sine, cosine = angle * tf.math.polyval(_SINE, square), tf.math.polyval(_COSINE, square)
        return (sine, cosine), lambda of_sine, of_cosine: of_sine * cosine - of_cosine * sine

    return both(x)
