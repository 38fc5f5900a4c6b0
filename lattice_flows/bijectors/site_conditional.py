"""One site of phi^4 theory given its neighbours.

    p(x | h) = exp(-V(x) - F(h)),    V(x) = a x^2 + b x^4 - 2 h x,    F(h) = log int dx exp(-V(x))

with `a = m2 + 2d`, `b = lam` and h the sum of the 2d neighbours. Everything follows from integrals over tails,

    U(x, h) = int_x^oo dy exp(-V(y)),    F(h) = log [ U(x, h) + U(-x, -h) ]

by Gauss-Legendre quadrature from x to where the integrand is below 1e-16 of its largest value. All in float64, to 1e-12 and better.
"""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

__all__ = ["SiteConditional"]

_DROP = 38.0  # of log p, from its largest value to where an integral ends
_NODES = 24  # of an integral over a tail, where V has one minimum; twice as many over all x
_LAST_STEP = 1e-5  # in units of the scale on which U changes: the error after a step is of the order of its third power
_FIRST_STEP = 1e-2  # the same in float32
_MOST_STEPS = 100
_LOG_ROOT = math.log(2 * math.pi) / 2
_NEWTON = 5  # steps for roots of polynomials, from starts within a factor of two


class _Field(NamedTuple):
    """h at a site, and the largest x with V'(x) = 0 for |h|, from which the minima of V for h and -h follow."""

    h: tf.Tensor
    root: tf.Tensor

    def times(self, sign: tf.Tensor | float) -> "_Field":
        """Of the reflected site for the sign -1."""
        return _Field(sign * self.h, self.root)


class SiteConditional:
    """The distribution above as an increasing map of a unit normal variable, and back, for every h.

    Gradients with respect to x, z and h are those of the exact functions.

    Example:

    ```python
    from lattice_flows.bijectors.site_conditional import SiteConditional

    site = SiteConditional(a=0.0, b=5.0)
    z, h = tf.constant([-1.0, 0.0, 1.0], tf.float64), tf.constant([0.3, 0.3, 0.3], tf.float64)
    x = site.from_normal(z, h)                                          # increasing
    print(site.log_prob(x, h), site.to_normal(x, h))
    ```

    Args:
      a: coefficient of the square, of any sign.
      b: coefficient of the fourth power; zero if a is positive.

    Raises:
      ValueError: a distribution that cannot be normalised.
    """

    def __init__(self, a: float, b: float):
        if b < 0 or (b == 0 and a <= 0):
            raise ValueError(f"exp(-(a x^2 + b x^4)) with a = {a:g} and b = {b:g} cannot be normalised: b must be positive, or a")
        self._a, self._b = float(a), float(b)
        # Of a double well: its minima for h = 0 are at +-well, and so deep.
        self._well = math.sqrt(-a / (2 * b)) if a < 0 else 0.0
        depth = a * a / (4 * b) if a < 0 else 0.0
        self._nodes = _NODES + 16 * math.ceil(math.sqrt(depth))

    def log_normalisation(self, h: tf.Tensor) -> tf.Tensor:
        """F(h), of the shape of h."""

        @tf.custom_gradient
        def function(h):
            value, mean = self._whole(self._field(h))
            return value, lambda to_value: 2 * mean * to_value

        return function(h)

    def log_prob(self, x: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        """log p(x | h), of the shape of x and h."""
        return -self._potential(x, h) - self.log_normalisation(h)

    def from_normal(self, z: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        """x with as much probability below it as a unit normal variable has below z."""

        @tf.custom_gradient
        def function(z, h):
            # The tail of less than half of the probability, which is an upper one after reflection.
            sign, field = _sign(z), self._field(h)
            x = sign * self._upper_quantile(sign * z, field.times(sign))

            def gradient(to_x):
                of_z, of_h = self._slopes(x, z, field)
                return to_x * of_z, to_x * of_h

            return x, gradient

        return function(z, h)

    def to_normal(self, x: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        """The inverse of `from_normal`."""

        @tf.custom_gradient
        def function(x, h):
            field = self._field(h)
            upper, lower, whole = self._tail(x, field)[0], self._tail(-x, field.times(-1))[0], self._whole(field)[0]
            z = _sign(lower - upper) * _normal_quantile(tf.minimum(upper, lower) - whole)

            def gradient(to_z):
                of_z, of_h = self._slopes(x, z, field)
                return to_z / of_z, -to_z * of_h / of_z

            return z, gradient

        return function(x, h)

    def _slopes(self, x: tf.Tensor, z: tf.Tensor, field: _Field) -> tuple[tf.Tensor, tf.Tensor]:
        """The derivatives of x with respect to z and to h."""
        sign, potential, (whole, mean) = _sign(z), self._potential(x, field.h), self._whole(field)
        tail, mean_of_tail = self._tail(sign * x, field.times(sign))
        # p dx = 2 P(above) (mean above - mean) dh keeps the probability above x.
        of_h = 2 * tf.exp(tail + potential) * (mean_of_tail - sign * mean)
        return tf.exp(-z * z / 2 - _LOG_ROOT + potential + whole), of_h

    def _potential(self, x: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        squared = x * x
        return squared * (self._a + self._b * squared) - 2 * h * x

    def _field(self, h: tf.Tensor) -> _Field:
        a, b, size = self._a, self._b, tf.abs(h)
        starts = ([self._well + tf.pow(size / (2 * b), 1 / 3)] if b else []) + ([size / a] if a > 0 else [])
        x = tf.reduce_min(tf.stack(starts), axis=0)
        for _ in range(_NEWTON):
            x -= tf.math.divide_no_nan(x * (a + 2 * b * x * x) - size, a + 6 * b * x * x)
        return _Field(h, x)

    def _right_of_minima(self, field: _Field) -> tf.Tensor:
        """The minimum, or a point to the right of both minima of a double well, from where V is convex."""
        left = -field.root if self._a >= 0 else self._well + tf.zeros_like(field.root)
        return tf.where(field.h < 0, left, field.root)

    def _end(self, x: tf.Tensor, field: _Field, drop: tf.Tensor | float) -> tf.Tensor:
        """A point beyond which V is above its smallest value on the right of x by the drop, and not much farther than needed."""
        h, convex = field.h, tf.maximum(x, self._right_of_minima(field))
        end = convex + self._extent(convex, h, drop)
        if self._a >= 0:
            return end
        # With V' = 0 at m, V(y) >= V(m) + (a + 2 b m^2) (y - m)^2 for every y. That is nearer if one well is far below the other.
        lowest = _sign(h) * field.root
        rise = self._potential(x, h) - self._potential(lowest, h) + drop
        nearer = lowest + tf.sqrt(rise / tf.maximum(self._a + 2 * self._b * lowest * lowest, 1e-300))
        return tf.where(x < convex, tf.minimum(end, nearer), end)

    def _extent(self, x: tf.Tensor, h: tf.Tensor, drop: tf.Tensor | float) -> tf.Tensor:
        """t with V(x + t) = V(x) + drop or a little more, for x to the right of all minima, where V is convex."""
        a, b = self._a, self._b
        first = tf.maximum(2 * x * (a + 2 * b * x * x) - 2 * h, 0)
        second, third = a + 6 * b * x * x, 4 * b * x
        # V(x + t) - V(x) is at least each of these: first t, (...) t^2 and b t^4 / 3.
        starts = [drop / (first + 1e-300), tf.sqrt(drop / (second if a < 0 else a + 2 * b * x * x + 1e-300))]
        starts += [tf.sqrt(tf.sqrt(3 / b * drop * tf.ones_like(x)))] if b else []
        t = tf.reduce_min(tf.stack(starts), axis=0)
        for _ in range(_NEWTON):
            t -= (t * (first + t * (second + t * (third + t * b))) - drop) / (
                first + t * (2 * second + t * (3 * third + t * 4 * b))
            )
        return t

    def _whole(self, field: _Field) -> tuple[tf.Tensor, tf.Tensor]:
        """F(h), and the mean of x."""
        lowest = _sign(field.h) * field.root
        start, end = -self._end(-lowest, field.times(-1), _DROP), self._end(lowest, field, _DROP)
        return self._integrated(start, end, field.h, lowest, 2 * self._nodes)

    def _tail(self, x: tf.Tensor, field: _Field) -> tuple[tf.Tensor, tf.Tensor]:
        """log U(x, h), and the mean of x in the tail."""
        lowest = tf.maximum(x, self._right_of_minima(field))
        # In float32, a start for a calculation in float64.
        nodes = self._nodes if x.dtype == tf.float64 else self._nodes // 2
        return self._integrated(x, self._end(x, field, _DROP), field.h, lowest, nodes)

    def _integrated(
        self, start: tf.Tensor, end: tf.Tensor, h: tf.Tensor, lowest: tf.Tensor, nodes: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The logarithm of the integral of exp(-V) from start to end, and the mean of x there.

        V is nowhere much smaller than at one of start and `lowest`, so that nothing overflows.
        """
        half = (end - start) / 2
        smallest = tf.minimum(self._potential(start, h), self._potential(lowest, h))
        total, first = tf.zeros_like(h), tf.zeros_like(h)
        # Node by node: XLA makes one loop over the sites of that, and vectorises it, as it does not a sum over an axis of nodes.
        for point, weight in zip(*map(np.ndarray.tolist, np.polynomial.legendre.leggauss(nodes)), strict=True):
            x = start + half * (1 + point)
            term = weight * tf.exp(smallest - self._potential(x, h))
            total, first = total + term, first + term * x
        return tf.math.log(total * half) - smallest, first / total

    def _upper_quantile(self, z: tf.Tensor, field: _Field) -> tf.Tensor:
        """x with U(x, h) exp(-F(h)) equal to the probability that a unit normal variable is above z, which is not negative."""
        wanted, lowest, half = self._whole(field)[0] + _log_normal_tail(z), _sign(field.h) * field.root, z * z / 2
        low, high = -self._end(-lowest, field.times(-1), _DROP), self._end(lowest, field, half + _DROP)
        start, width = self._end(lowest, field, half + 1e-12), self._end(lowest, field, 0.5) - lowest
        single = tf.nest.map_structure(lambda given: tf.cast(given, tf.float32), (start, low, high, wanted, field, width))
        rough = self._solved(*single, _FIRST_STEP, 8)
        rough = tf.cast(rough, tf.float64)
        start = tf.where((rough > low) & (rough < high), rough, start)  # where float32 has not failed
        return self._solved(start, low, high, wanted, field, width, _LAST_STEP, _MOST_STEPS)

    def _solved(self, x, low, high, wanted, field, width, last_step: float, most_steps: int) -> tf.Tensor:
        """x between low and high with `log U(x, h)` as wanted, by Halley's method, and bisection where that leaves the interval."""

        def unfinished(n, _x, _low, _high, done):
            return (n < most_steps) & ~tf.reduce_all(done)

        def improved(n, x, low, high, _done):
            tail, potential = self._tail(x, field)[0], self._potential(x, field.h)
            missing = tail - wanted
            low, high = tf.where(missing > 0, x, low), tf.where(missing < 0, x, high)
            slope, force = -tf.exp(-potential - tail), 2 * x * (self._a + 2 * self._b * x * x) - 2 * field.h
            newton = missing / slope
            step = newton / (1 + tf.clip_by_value(newton * (slope + force) / 2, -0.5, 0.5))
            after, done = x - step, tf.abs(step) <= last_step * tf.minimum(width, -1 / slope)
            after = tf.where(done | ((after > low) & (after < high)), after, (low + high) / 2)
            return n + 1, after, low, high, done

        start = (0, x, low, high, tf.zeros_like(x, tf.bool))
        return tf.while_loop(unfinished, improved, start, maximum_iterations=most_steps)[1]


def _sign(z: tf.Tensor) -> tf.Tensor:
    return tf.where(z < 0, -tf.ones_like(z), tf.ones_like(z))


def _log_normal_tail(z: tf.Tensor) -> tf.Tensor:
    """Logarithm of the probability that a unit normal variable is above z."""
    return tfp.math.logerfc(z / math.sqrt(2)) - math.log(2)


def _normal_quantile(log_tail: tf.Tensor) -> tf.Tensor:
    """z that a unit normal variable exceeds with the probability `exp(log_tail)`, which is at most one half."""
    z = tf.sqrt(tf.maximum(-2 * (log_tail + math.log(2)), 0))  # at least the solution
    for _ in range(_NEWTON):
        tail = _log_normal_tail(z)
        slope = -tf.exp(-z * z / 2 - _LOG_ROOT - tail)
        newton = (tail - log_tail) / slope
        z -= newton / (1 + newton * (slope + z) / 2)
    return z
