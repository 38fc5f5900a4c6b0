"""Scaling in momentum space.

    y(p) = exp(s(p)) x(p)
    log |det dy/dx| = sum_p s(p)

With one number s for each orbit of momenta under the hypercubic group, these are the linear maps that commute with all symmetries
of the lattice. Applied to white noise, they give Gaussian fields: the free field has `s = -log(2 (phat^2 + m2)) / 2`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.optimize import minimize_scalar

from lattice_flows.bijectors.classes import ClassValues
from lattice_flows.bijectors.kernels import Kernels
from lattice_flows.fourier import momentum_transform
from lattice_flows.lattice import Lattice

__all__ = ["FourierScaling"]

# Lattices with more orbits (in two dimensions from L = 68 on) get a function of phat^2 that is piecewise linear between knots, so
# that the number of weights does not grow with the volume. The lowest momenta, where spectra bend most, are knots themselves.
_MOST_CLASSES = 600
_LOWEST, _KNOTS = 40, 40
# Of the fit of a spectrum: the fewest values of phat^2, and the bounds of m2, the lower one relative to the lowest phat^2.
_FEWEST_FITTED, _SMALLEST_MASS_SQUARED, _LARGEST_MASS_SQUARED = 6, 1e-2, 1e2


class FourierScaling(tfp.bijectors.Bijector):
    """Scales modes by trained numbers, one for each of `Lattice.momentum_classes`.

    On lattices with more than 600 classes, s is a trained function of phat^2, piecewise linear between its values at the 40 lowest
    momenta and 40 knots above them, equally spaced in |phat|, plus the spectrum of a kernel that is not trained, and zero unless a
    transfer from another lattice brings one. Computes in the type of its argument; the log-determinant is always float64.

    Example:

    ```python
    smear = lf.bijectors.FourierScaling(lf.Lattice((4, 4)), lambda momentum_squared: -momentum_squared)
    y = smear.forward(tf.ones([3, 4, 4]))
    ```

    Args:
      lattice: the lattice.
      log_scale: s at the start as a function of phat^2, from one array to another; None for zero, the identity.
      trainable: whether s changes in training.
    """

    def __init__(
        self,
        lattice: Lattice,
        log_scale: Callable[[np.ndarray], np.ndarray] | None = None,
        trainable: bool = True,
        name: str = "fourier_scaling",
    ):
        parameters = dict(locals())
        momenta, classes = lattice.momentum_classes()
        self._lattice, self._transform = lattice, momentum_transform(lattice)
        points = _points(lattice, trainable)
        self._points, self._kernels = points, None
        if len(points) != len(momenta):
            self._interpolation = np.stack([np.interp(momenta, points, row) for row in np.eye(len(points))], axis=1)
            lengths = np.linalg.norm(lattice.displacement_classes()[0], axis=1)
            self._kernels = Kernels(lattice, radius=lengths[_MOST_CLASSES])
            kernel = np.zeros(self._kernels.number, np.float32)
            self._kernel = tf.Variable(kernel, trainable=False, name=f"{name}/kernel")
        self._of_momenta = ClassValues(classes, len(momenta))
        self._counts = np.bincount(classes).astype(float)
        start = np.zeros(len(points)) if log_scale is None else log_scale(points)
        self._log_scale = tf.Variable(start.astype(np.float32), trainable=trainable, name=f"{name}/log_scale")
        super().__init__(forward_min_event_ndims=lattice.d, name=name, parameters=parameters)

    @property
    def _key(self) -> str:
        return self._log_scale.name.split(":")[0]

    @property
    def _kernel_key(self) -> str:
        return self._key.removesuffix("log_scale") + "kernel"

    def upgraded(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Translates the weight of an earlier version, which had one number for all orbits with the same phat^2.

        Args:
          arrays: weights by name, for this lattice.

        Returns:
          The weight of this part by name, with one number for each orbit; nothing if there is none of an earlier version.
        """
        if self._key not in arrays:
            return {}
        upgraded = _of_every_orbit(arrays[self._key], self._points)
        return {} if upgraded is arrays[self._key] else {self._key: upgraded}

    def transferred(self, arrays: Mapping[str, np.ndarray], lattice: Lattice) -> dict[str, Any]:
        """Translates the weights of the same part on another lattice.

        A smooth function of phat^2 is taken at the momenta of this lattice. The rest of s is the spectrum of a kernel of short
        range, which keeps its value at every displacement, see `Kernels.transferred`: it depends on the direction of p too. That
        is little for one mode, but adds up over all of them.

        Args:
          arrays: weights by name.
          lattice: the lattice they belong to.

        Returns:
          The weights of this part by name, None for one that it does not have; nothing if there is none of its name.
        """
        if self._key not in arrays:
            return {}
        same = lattice.shape == self._lattice.whole.shape
        other = self if same else FourierScaling(self._lattice.like(lattice), trainable=self._log_scale.trainable)
        array, kernel = _of_every_orbit(arrays[self._key], other._points), arrays.get(self._kernel_key)
        if len(array) != len(other._points):
            raise ValueError(f"{self._key} has {len(array)} numbers, a spectrum of {lattice!r} has {len(other._points)}")
        if same:
            return {self._key: array} | ({} if kernel is None else {self._kernel_key: kernel})
        if not self._log_scale.trainable:  # a function of phat^2
            smooth = _smooth(other._points, array, other._counts, lattice.d)
            rest = np.interp(self._points, other._points, array - smooth(other._points))
            return {self._key: (smooth(self._points) + rest).astype(np.float32)}
        smooth, kernel = other._split(array, kernel)
        if self._kernels is not None:
            found = {self._kernel_key: self._kernels.transferred(kernel, lattice)}
            return {self._key: smooth(self._points).astype(np.float32)} | found
        kernels = Kernels(self._lattice)
        rest = kernels.spectrum(tf.constant(kernels.transferred(kernel, lattice), tf.float64)).numpy()
        without = {self._kernel_key: None} if self._kernel_key in arrays else {}
        return {self._key: (smooth(self._points) + rest).astype(np.float32)} | without

    def _split(self, log_scale: np.ndarray, kernel: np.ndarray | None) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]:
        """Weights of this part as a function of phat^2 and the kernel of what else s depends on."""
        if self._kernels is not None:
            return lambda momenta: np.interp(momenta, self._points, log_scale), np.asarray(kernel)
        smooth = _smooth(self._points, log_scale, self._counts, self._lattice.d)
        return smooth, Kernels(self._lattice).of_spectrum(log_scale - smooth(self._points))

    def _values(self, dtype: tf.DType) -> tf.Tensor:
        """s of every class of momenta."""
        values = tf.cast(self._log_scale, dtype)
        if self._kernels is None:
            return values
        smooth = tf.linalg.matvec(tf.constant(self._interpolation, dtype), values)
        return smooth + self._kernels.spectrum(tf.cast(self._kernel, dtype))

    def _scaled(self, x: tf.Tensor, sign: int) -> tf.Tensor:
        axes = self._transform.axes
        scale = tf.exp(sign * tf.reshape(self._of_momenta(self._values(x.dtype)), axes))
        modes = self._transform(tf.reshape(x, [-1, *axes]), tf.einsum) * scale
        return tf.reshape(self._transform.inverse(modes, tf.einsum), tf.shape(x))

    def _forward(self, x: tf.Tensor) -> tf.Tensor:
        return self._scaled(x, 1)

    def _inverse(self, y: tf.Tensor) -> tf.Tensor:
        return self._scaled(y, -1)

    def _forward_log_det_jacobian(self, x: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(self._values(tf.float64) * self._counts)

    def _inverse_log_det_jacobian(self, y: tf.Tensor) -> tf.Tensor:
        return -self._forward_log_det_jacobian(y)


def _of_every_orbit(array: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Numbers of the orbits with these values of phat^2, also where there is one for every value, as in an earlier version."""
    distinct, members = np.unique(points, return_inverse=True)
    return array[members] if len(array) == len(distinct) < len(points) else array


def _smooth(momenta: np.ndarray, values: np.ndarray, counts: np.ndarray, d: int) -> Callable[[np.ndarray], np.ndarray]:
    """The function `c - a log(phat^2 + m2) + b phat^2` nearest to values at some momenta; every octave of |phat| counts alike.

    Of few momenta, the function that is linear between them.
    """
    distinct, members = np.unique(momenta, return_inverse=True)
    if len(distinct) < _FEWEST_FITTED:
        means = np.bincount(members, values) / np.bincount(members)
        return lambda at: np.interp(at, distinct, means)
    root = np.sqrt(counts) / (momenta + distinct[1]) ** (d / 4)

    def terms(at: np.ndarray, log_m2: float) -> np.ndarray:
        return np.stack([np.ones_like(at), -np.log(at + np.exp(log_m2)), at], axis=1)

    def fitted(log_m2: float) -> tuple[float, np.ndarray]:
        matrix = root[:, np.newaxis] * terms(momenta, log_m2)
        found = np.linalg.lstsq(matrix, root * values, rcond=None)[0]
        return float(np.sum((matrix @ found - root * values) ** 2)), found

    bounds = np.log(distinct[1] * _SMALLEST_MASS_SQUARED), np.log(_LARGEST_MASS_SQUARED)
    best = minimize_scalar(lambda log_m2: fitted(log_m2)[0], bounds=bounds, method="bounded").x
    _, coefficients = fitted(best)
    return lambda at: terms(at, best) @ coefficients


def _points(lattice: Lattice, trainable: bool) -> np.ndarray:
    """The value of phat^2 that each number belongs to."""
    momenta, _ = lattice.momentum_classes()
    if len(momenta) <= _MOST_CLASSES or not trainable:
        return momenta
    lowest, (first, *_) = np.split(np.unique(momenta), [_LOWEST])
    return np.append(lowest, np.linspace(np.sqrt(first), np.sqrt(lattice.largest_momentum_squared), _KNOTS) ** 2)
