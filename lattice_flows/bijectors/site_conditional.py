"""One site of phi^4 theory given its neighbours.

    p(x | h) = exp(-V(x) - F(h)),    V(x) = a x^2 + b x^4 - 2 h x,    F(h) = log int dx exp(-V(x))

with `a = m2 + 2d`, `b = lam` and h the sum of the 2d neighbours. Everything follows from integrals over tails,

    U(x, h) = int_x^oo dy exp(-V(y)),    F(h) = log [ U(x, h) + U(-x, -h) ]

by Gauss-Legendre quadrature from x to where the integrand is below 1e-16 of its largest value. All in float64, to 1e-12 and better.
"""

import math

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

__all__ = ["SiteConditional"]

_DROP = 38.0  # of log p, from its largest value to where an integral ends
_NODES = 32  # enough where V has one minimum
_ACCURACY = 1e-14  # of x, relative to its size and to the width of p
_MOST_ITERATIONS = 100
_NEWTON = 5  # steps for roots of polynomials, from starts within a factor of two


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
        nodes, weights = np.polynomial.legendre.leggauss(_NODES + 16 * math.ceil(math.sqrt(depth)))
        self._nodes, self._log_weights = (nodes + 1) / 2, np.log(weights / 2)

    def log_normalisation(self, h: tf.Tensor) -> tf.Tensor:
        """F(h), of the shape of h."""
        value, mean = self._whole(h)
        return _with_slopes(value, (h, 2 * mean))

    def log_prob(self, x: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        """log p(x | h), of the shape of x and h."""
        return -self._potential(x, h) - self.log_normalisation(h)

    def from_normal(self, z: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        """x with as much probability below it as a unit normal variable has below z."""
        # The tail of less than half of the probability, which is an upper one after reflection.
        sign = _sign(z)
        x = sign * self._upper_quantile(sign * z, sign * h)
        return _with_slopes(x, *self._slopes(x, z, h, forward=True))

    def to_normal(self, x: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        """The inverse of `from_normal`."""
        upper, lower, whole = self._tail(x, h)[0], self._tail(-x, -h)[0], self._whole(h)[0]
        z = tf.where(upper < lower, _normal_quantile(upper - whole), -_normal_quantile(lower - whole))
        return _with_slopes(z, *self._slopes(x, z, h, forward=False))

    def _slopes(self, x: tf.Tensor, z: tf.Tensor, h: tf.Tensor, forward: bool) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """The variables of either map, each with the derivative with respect to it."""
        sign, (whole, mean) = _sign(z), self._whole(h)
        tail, mean_of_tail = self._tail(sign * x, sign * h)
        of_z = tf.exp(_log_normal(z) + self._potential(x, h) + whole)
        # p dx = 2 P(above) (mean above - mean) dh keeps the probability above x.
        of_h = 2 * tf.exp(tail + self._potential(x, h)) * (mean_of_tail - sign * mean)
        return [(z, of_z), (h, of_h)] if forward else [(x, 1 / of_z), (h, -of_h / of_z)]

    def _potential(self, x: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        squared = x * x
        return squared * (self._a + self._b * squared) - 2 * h * x

    def _root(self, h: tf.Tensor) -> tf.Tensor:
        """The largest x with V'(x) = 0, for h that is not negative."""
        a, b = self._a, self._b
        starts = ([self._well + tf.pow(h / (2 * b), 1 / 3)] if b else []) + ([h / a] if a > 0 else [])
        x = tf.reduce_min(tf.stack(starts), axis=0)
        for _ in range(_NEWTON):
            x -= tf.math.divide_no_nan(x * (a + 2 * b * x * x) - h, a + 6 * b * x * x)
        return x

    def _minimum(self, h: tf.Tensor) -> tf.Tensor:
        """Where V is smallest; the right minimum for h = 0 in a double well."""
        return _sign(h) * self._root(tf.abs(h))

    def _right_of_minima(self, h: tf.Tensor) -> tf.Tensor:
        """The minimum, or a point to the right of both minima of a double well, from where V is convex."""
        return self._minimum(h) if self._a >= 0 else self._root(tf.maximum(h, 0))

    def _end(self, x: tf.Tensor, h: tf.Tensor, drop: tf.Tensor | float) -> tf.Tensor:
        """A point beyond which V is above its smallest value on the right of x by the drop, and not much farther than needed."""
        convex = tf.maximum(x, self._right_of_minima(h))
        end = convex + self._extent(convex, h, drop)
        if self._a >= 0:
            return end
        # With V' = 0 at m, V(y) >= V(m) + (a + 2 b m^2) (y - m)^2 for every y. That is nearer if one well is far below the other.
        lowest = self._minimum(h)
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

    def _whole(self, h: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """F(h), and the mean of x. Constants, as below."""
        x = self._minimum(h)
        (upper, above), (lower, below) = self._tail(x, h), self._tail(-x, -h)
        value = tf.math.reduce_logsumexp(tf.stack([upper, lower]), axis=0)
        return value, tf.exp(upper - value) * above - tf.exp(lower - value) * below

    def _tail(self, x: tf.Tensor, h: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """log U(x, h), and the mean of x in the tail. Constants: their derivatives are known where they are needed."""
        x, h = tf.stop_gradient(x), tf.stop_gradient(h)
        length = self._end(x, h, _DROP) - x
        y = x[..., tf.newaxis] + length[..., tf.newaxis] * self._nodes
        terms = self._log_weights - self._potential(y, h[..., tf.newaxis])
        largest = tf.reduce_max(terms, axis=-1, keepdims=True)
        terms = tf.exp(terms - largest)
        total = tf.reduce_sum(terms, axis=-1)
        return tf.math.log(total * length) + largest[..., 0], tf.reduce_sum(terms * y, axis=-1) / total

    def _upper_quantile(self, z: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        """x with U(x, h) exp(-F(h)) equal to the probability that a unit normal variable is above z, which is not negative."""
        z, h = tf.stop_gradient(z), tf.stop_gradient(h)
        wanted = self._whole(h)[0] + _log_normal_tail(z)
        lowest, half = self._minimum(h), z * z / 2
        low, high = -self._end(-lowest, -h, _DROP), self._end(lowest, h, half + _DROP)
        x, width = self._end(lowest, h, half + 1e-12), self._end(lowest, h, 0.5) - lowest

        def unfinished(n, _x, _low, _high, done):
            return (n < _MOST_ITERATIONS) & ~tf.reduce_all(done)

        def improved(n, x, low, high, _done):
            tail, _ = self._tail(x, h)
            missing = tail - wanted
            low, high = tf.where(missing > 0, x, low), tf.where(missing < 0, x, high)
            # Halley's step for log U = wanted; bisection where it leaves what is known to hold x.
            slope = -tf.exp(-self._potential(x, h) - tail)
            force = 2 * x * (self._a + 2 * self._b * x * x) - 2 * h
            newton = missing / slope
            step = newton / (1 + tf.clip_by_value(newton * (slope + force) / 2, -0.5, 0.5))
            after, done = x - step, tf.abs(step) <= _ACCURACY * (width + tf.abs(x))
            after = tf.where(done | ((after > low) & (after < high)), after, (low + high) / 2)
            return n + 1, after, low, high, done

        start = (0, x, low, high, tf.zeros_like(x, tf.bool))
        return tf.while_loop(unfinished, improved, start)[1]


def _with_slopes(value: tf.Tensor, *slopes: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """The value, with the given derivatives with respect to the given variables."""
    value = tf.stop_gradient(value)
    for variable, slope in slopes:
        value += tf.stop_gradient(slope) * (variable - tf.stop_gradient(variable))
    return value


def _sign(z: tf.Tensor) -> tf.Tensor:
    return tf.where(z < 0, -tf.ones_like(z), tf.ones_like(z))


def _log_normal(z: tf.Tensor) -> tf.Tensor:
    return -z * z / 2 - math.log(2 * math.pi) / 2


def _log_normal_tail(z: tf.Tensor) -> tf.Tensor:
    """Logarithm of the probability that a unit normal variable is above z."""
    return tfp.math.logerfc(z / math.sqrt(2)) - math.log(2)


def _normal_quantile(log_tail: tf.Tensor) -> tf.Tensor:
    """z that a unit normal variable exceeds with the probability `exp(log_tail)`, which is at most one half."""
    z = tf.sqrt(tf.maximum(-2 * (log_tail + math.log(2)), 0))  # at least the solution
    for _ in range(_NEWTON):
        tail = _log_normal_tail(z)
        slope = -tf.exp(_log_normal(z) - tail)
        newton = (tail - log_tail) / slope
        z -= newton / (1 + newton * (slope + z) / 2)
    return z
