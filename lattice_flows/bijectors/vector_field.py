"""A vector field with the symmetries of the lattice, and its divergence.

    v_x = sum_y [ sum_f W_f(t, x - y) sin(omega_f phi_y) + l(t, x - y) phi_y ]
        + sum_g cos(nu_g phi_x) sum_y [ sum_f K_gf(t, x - y) sin(omega_f phi_y) + k_g(t, x - y) phi_y ]
        + sum_g sin(nu_g phi_x) sum_y sum_f K'_gf(t, x - y) cos(omega_f phi_y)
        + sum_f c_f(t) sin(omega_f M)
        + sum_jh b_jh(t) sum_y a_j(x - y) sin(mu_jh s_jy),      s_jx = sum_y a_j(x - y) phi_y
        + sum_h [1 - cos(kappa_h m)] sum_y J_h(t, x - y) sin(omega_1 phi_y),      t from 0 to 1

with the mean field `M = sum_x phi_x / V` and `m = V^(1/2 - 1/d) M`, which hardly changes on lines of constant physics.

The first line is that of arXiv:2207.00283, made smaller. In the next two, the pair terms, the force of one site on another depends
on the fields at both; K(t, 0) = k(t, 0) = K'(t, 0) = 0. The fourth, the zero-mode term, moves all sites by a function of their
mean. The fifth, the smooth terms, are the same for averages over the surroundings of a site: `a_j` has the eigenvalues
`exp(-l_j^2 phat^2 / 2)`, a Gaussian of width l_j. They are gradients of sums of functions of s_j, which the waves that are long
against l_j feel without the noise of single sites. In the last, the mean-field terms, fluctuations see the mean field that they
are around, on which their mass depends near a transition.

    sum_x dv_x / dphi_x = sum_f W_f(t, 0) omega_f sum_x cos(omega_f phi_x) + V l(t, 0)
        - sum_g nu_g sum_x sin(nu_g phi_x) (sum_f K_gf sin(omega_f phi) + k_g phi)_x
        + sum_g nu_g sum_x cos(nu_g phi_x) (sum_f K'_gf cos(omega_f phi))_x
        + sum_f c_f(t) omega_f cos(omega_f M)
        + sum_jh b_jh(t) mu_jh sum_y a_j(y)^2 sum_x cos(mu_jh s_jx)
        + sum_h [1 - cos(kappa_h m)] J_h(t, 0) omega_1 sum_x cos(omega_1 phi_x)
        + sum_h kappa_h V^(-1/2 - 1/d) sin(kappa_h m) sum_y J_h(t, y) sum_x sin(omega_1 phi_x)

Kernels depend on the displacement only through its class under the hypercubic group. They, b and c are piecewise linear in t.
Convolutions are products in momentum space; see `fourier`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from lattice_flows.bijectors.block_transform import BlockTransform
from lattice_flows.bijectors.kernels import Kernels
from lattice_flows.bijectors.sines import sines_and_cosines
from lattice_flows.lattice import Lattice

__all__ = ["VectorField"]

_SMOOTH_FREQUENCIES = 3
_LONGEST_ROW = 256  # of sites that are summed in the field's own type, which is exact enough there, and much faster


class VectorField:
    """The vector field above.

    Args:
      lattice: the lattice.
      features: number of the frequencies `omega_f`.
      knots: number of knots of the time dependence, from 0 to 1.
      spacing: of the frequencies `omega_f`, and of `nu_g`, at the start, `spacing, 2 spacing, ...`.
      kernel_radius: length of the longest displacement over which sites interact; None for all.
      pair_frequencies: number of the frequencies `nu_g`; 0 for no pair terms.
      pair_features: number of the frequencies `omega_f` that pair terms use, the first ones.
      pair_radius: length of the longest displacement of pair terms, which must reach another site; None for all.
      zero_mode: whether there is a zero-mode term.
      mean_frequencies: number of the frequencies `kappa_h` of mean-field terms; 0 for none. They start at 2, 4, ..., and their
        kernels reach as far as `kernel_radius`.
      smooth_lengths: the widths `l_j` of smooth terms at the start; none for no such terms. Each has three frequencies `mu_jh`,
        which start at 2, 4, 6.
      name: of the part of the flow to which the variables belong.

    Attributes:
      transform: to momentum space, which says how fields are arranged.
      axes: the shape of a field that it takes, see `BlockTransform`.
      variables: `weights [knots, features + 1, classes]` (W, l), `log_frequencies [features]`; with pair terms
        `pair_weights [knots, pair_frequencies, 2 pair_features + 1, classes of pairs]` (K, k, K') and
        `pair_log_frequencies [pair_frequencies]`; with a zero-mode term `zero_mode [knots, features]` (c); with smooth terms
        `smooth_weights [knots, lengths, 3]` (b), `smooth_log_frequencies [lengths, 3]` and `smooth_log_lengths [lengths]`; with
        mean-field terms `mean_weights [knots, mean_frequencies, classes]` (J) and `mean_log_frequencies [mean_frequencies]`. All
        but frequencies and lengths begin at zero.

    Raises:
      ValueError: fewer than two knots, pair terms that reach no other site or use more features than there are, or a smooth length
        that is not positive.
    """

    def __init__(
        self,
        lattice: Lattice,
        *,
        features: int,
        knots: int,
        spacing: float = 0.7,
        kernel_radius: float | None = None,
        pair_frequencies: int = 0,
        pair_features: int = 3,
        pair_radius: float | None = None,
        zero_mode: bool = False,
        mean_frequencies: int = 0,
        smooth_lengths: Sequence[float] = (),
        name: str = "vector_field",
    ):
        if knots < 2:
            raise ValueError(f"knots must be 2 or more, for the start and the end, got {knots}")
        if pair_frequencies and pair_features > features:
            raise ValueError(f"pair_features must be at most the number of features, {features}, got {pair_features}")
        if any(length <= 0 for length in smooth_lengths):
            raise ValueError(f"smooth_lengths must be positive, got {tuple(smooth_lengths)}")
        self._lattice, self._pair_features, self.transform = lattice, pair_features, BlockTransform(lattice)
        self.axes = self.transform.axes
        self._momentum_squared = self.transform.at_modes(lattice.momentum_squared().ravel())
        self._kernels = {"weights": Kernels(lattice, kernel_radius)}
        self.variables: dict[str, tf.Variable] = {}
        self._at_knots: set[str] = set()

        def at_knots(key: str, *shape: int) -> None:  # numbers that depend on time, zero at the start
            self.variables[key] = tf.Variable(np.zeros([knots, *shape], np.float32), name=f"{name}/{key}")
            self._at_knots.add(key)

        def positive(key: str, start: np.ndarray) -> None:  # numbers that do not, kept as their logarithms
            self.variables[key] = tf.Variable(np.log(start).astype(np.float32), name=f"{name}/{key}")

        at_knots("weights", features + 1, self._kernels["weights"].number)
        positive("log_frequencies", spacing * np.arange(1, features + 1))
        if pair_frequencies:
            _check_pairs(lattice, pair_radius)
            self._kernels["pair_weights"] = Kernels(lattice, pair_radius, shortest=1)
            at_knots("pair_weights", pair_frequencies, 2 * pair_features + 1, self._kernels["pair_weights"].number)
            positive("pair_log_frequencies", spacing * np.arange(1, pair_frequencies + 1))
        if zero_mode:
            at_knots("zero_mode", features)
        if mean_frequencies:
            self._kernels["mean_weights"] = self._kernels["weights"]
            at_knots("mean_weights", mean_frequencies, self._kernels["weights"].number)
            positive("mean_log_frequencies", 2.0 * np.arange(1, mean_frequencies + 1))
        if smooth_lengths:
            at_knots("smooth_weights", len(smooth_lengths), _SMOOTH_FREQUENCIES)
            positive("smooth_log_frequencies", np.tile(2.0 * np.arange(1, _SMOOTH_FREQUENCIES + 1), (len(smooth_lengths), 1)))
            positive("smooth_log_lengths", np.array(smooth_lengths))

    def transferred(self, arrays: Mapping[str, np.ndarray], lattice: Lattice) -> dict[str, np.ndarray]:
        """Translates the weights of another vector field, on another lattice; empty if `arrays` holds none.

        Kernels keep their values at every displacement, see `Kernels`. Terms, frequencies and lengths that the other one does not
        have are those that this one has now. It may also have fewer knots, all of which are knots here.

        Args:
          arrays: weights by name.
          lattice: that of the other one.

        Raises:
          ValueError: the other one has more frequencies or lengths, or knots that are none here.
        """
        own = {key: variable.name.split(":")[0] for key, variable in self.variables.items()}
        if own["weights"] not in arrays:
            return {}
        given = {key: arrays[name] for key, name in own.items() if name in arrays}
        given |= {key: kernels.transferred(given[key], lattice) for key, kernels in self._kernels.items() if key in given}
        present = {key: tf.convert_to_tensor(variable).numpy() for key, variable in self.variables.items()}
        return {own[key]: self._grown(key, given[key], now) if key in given else now for key, now in present.items()}

    def _grown(self, key: str, values: np.ndarray, start: np.ndarray) -> np.ndarray:
        """The values of another vector field, with the knots and frequencies of this one, where new ones are those of `start`."""
        if key in self._at_knots:
            values = _with_knots(values, len(start))
        if key == "weights":
            return np.concatenate([_padded(values[:, :-1], start[:, :-1]), values[:, -1:]], axis=1)
        if key == "pair_weights":
            of_both = ((values, values.shape[2] // 2), (start, self._pair_features))
            there, here = (np.split(array, [pairs, pairs + 1], axis=2) for array, pairs in of_both)  # K, k and K'
            return np.concatenate([_padded(*parts) for parts in zip(there, here, strict=True)], axis=2)
        return _padded(values, start)

    def values(self, dtype: tf.DType, sign: int = 1) -> list[tf.Tensor]:
        """What the variables stand for: numbers at the knots, which time passes from the last to the first if the sign is -1, or
        frequencies and lengths."""
        found = {key: tf.cast(variable, dtype) for key, variable in self.variables.items()}
        return [value[::sign] if key in self._at_knots else tf.exp(value) for key, value in found.items()]

    def terms(self, values: Sequence[tf.Tensor], shares: tf.Tensor) -> dict[str, tf.Tensor]:
        """What a call needs at a time.

        Args:
          values: as `values` returns them.
          shares: of the knots at that time, `[knots]`.
        """
        named = dict(zip(self.variables, values, strict=True))
        found = {key: tf.tensordot(shares, value, 1) if key in self._at_knots else value for key, value in named.items()}
        found["here"] = found["weights"][..., 0]
        if (weights := found.get("mean_weights")) is not None:
            sizes = tf.constant(self._kernels["mean_weights"].sizes, weights.dtype)
            found |= {"mean_here": weights[..., 0], "mean_sums": tf.tensordot(weights, sizes, 1)}
        found |= {key: kernels.spectra(found[key]) for key, kernels in self._kernels.items()}
        if (lengths := found.get("smooth_log_lengths")) is not None:
            exponent = -tf.constant(self._momentum_squared / 2, lengths.dtype)
            found["averages"] = tf.exp(_at_sites(lengths**2, self.axes) * exponent)
        return found

    def __call__(self, phi: tf.Tensor, terms: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """The vector `[n, *axes]` at fields `[n, *axes]`, and its divergence `[n]`, which is float64.

        Args:
          phi: the fields.
          terms: as `terms` returns them.
        """
        omega, nu, here = terms["log_frequencies"], terms.get("pair_log_frequencies"), terms["here"]
        features, pairs = omega.shape[0], self._pair_features
        sines, cosines = sines_and_cosines(_at_sites(omega if nu is None else tf.concat([omega, nu], axis=0), phi.shape) * phi)
        functions = [sines[:features], phi[tf.newaxis]] + ([] if nu is None else [cosines[:pairs]])
        modes = self.transform(tf.concat(functions, axis=0))
        at_sites = _summed(cosines[:features])
        divergence = _dot(here[:-1] * omega, at_sites) + tf.cast(here[-1], tf.float64) * self._lattice.volume
        forces = [_convolved(modes[: features + 1], terms["weights"][tf.newaxis])]
        mean = tf.cast(_summed(phi[tf.newaxis])[0] / self._lattice.volume, phi.dtype)
        if (kappa := terms.get("mean_log_frequencies")) is not None:
            scale = self._lattice.volume ** (1 / 2 - 1 / self._lattice.d)
            of_mean = sines_and_cosines(kappa[:, tf.newaxis] * scale * mean)
            share, slope = 1 - of_mean[1], kappa[:, tf.newaxis] * scale / self._lattice.volume * of_mean[0]
            forces[0] += tf.tensordot(share, terms["mean_weights"], [[0], [0]]) * modes[0]
            divergence += _dot(terms["mean_here"] * omega[0], share) * at_sites[0]
            divergence += _dot(terms["mean_sums"], slope) * _summed(sines[:1])[0]
        if "smooth_weights" in terms:
            force, change = self._smooth(modes[features], terms)
            forces[0] += force
            divergence += change
        if nu is not None:
            of_odd, of_even = tf.split(terms["pair_weights"], [pairs + 1, pairs], axis=1)
            odd = tf.concat([modes[:pairs], modes[features : features + 1]], axis=0)
            forces += [_convolved(odd, of_odd), _convolved(modes[features + 1 :], of_even)]
        forces = self.transform.inverse(tf.concat(forces, axis=0))
        velocity = forces[0]
        if nu is not None:
            odd, even = tf.split(forces[1:], 2)
            sine, cosine = sines[features:], cosines[features:]
            velocity += tf.reduce_sum(cosine * odd + sine * even, axis=0)
            divergence += _dot(nu, _summed(cosine * even - sine * odd))
        if (c := terms.get("zero_mode")) is not None:
            sines, cosines = sines_and_cosines(omega[:, tf.newaxis] * mean)
            velocity += _at_sites(tf.tensordot(c, sines, 1), self.axes)
            divergence += _dot(c * omega, cosines)
        return velocity, divergence

    def _smooth(self, modes: tf.Tensor, terms: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """The modes of the smooth terms `[n, *axes]` for those of the field, and their divergence."""
        averages = terms["averages"]  # eigenvalues of a_j, [lengths, *axes]
        smooth = self.transform.inverse(averages[:, tf.newaxis] * modes)
        b, mu = (_at_sites(terms[f"smooth_{name}"], smooth.shape[1:]) for name in ("weights", "log_frequencies"))
        sines, cosines = sines_and_cosines(mu * smooth[:, tf.newaxis])
        squares = _summed(averages[:, tf.newaxis] ** 2)[:, 0] / self._lattice.volume  # sum_y a_j(y)^2
        forces = self.transform(tf.reduce_sum(b * sines, axis=1))
        change = _dot(squares, _summed(tf.reduce_sum(b * mu * cosines, axis=1)))
        return tf.reduce_sum(averages[:, tf.newaxis] * forces, axis=0), change


def _check_pairs(lattice: Lattice, radius: float | None) -> None:
    """Raises `ValueError` where pair terms reach no other site, although there are some."""
    others = lattice.displacement_classes()[0][1:]
    if radius is not None and len(others) and not radius >= (shortest := np.linalg.norm(others[0])):
        least = np.ceil(100 * shortest) / 100  # rounded down, it would not reach
        raise ValueError(f"pair_radius must be {least:g} or more, or pair terms reach no other site of {lattice}, got {radius}")


def _with_knots(values: np.ndarray, number: int) -> np.ndarray:
    """Values at equally distant knots `[knots, ...]`, at another number of knots which contain them."""
    if (intervals := len(values) - 1) < 1 or (number - 1) % intervals:
        among = ", ".join(str(intervals * n + 1) for n in (1, 2, 3))
        raise ValueError(f"its {len(values)} knots are not all among the {number} here, as they are among {among}, ...")
    times = np.arange(number) * intervals / (number - 1)
    before = np.minimum(times.astype(int), len(values) - 2)
    share = np.reshape(times - before, [-1] + [1] * (values.ndim - 1))
    return ((1 - share) * values[before] + share * values[before + 1]).astype(values.dtype)


def _padded(values: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The start, whose first entries along each axis are the values."""
    there, here = list(values.shape), list(start.shape)
    if len(there) != len(here) or any(np.greater(there, here)):
        raise ValueError(f"it has more frequencies or lengths: weights of the shape {there} do not fit into {here}")
    padded = start.copy()
    padded[tuple(map(slice, values.shape))] = values
    return padded


def _at_sites(numbers: tf.Tensor, shape: Sequence[Any]) -> tf.Tensor:
    """Numbers `[..., k]` for products with fields of this shape, `[..., k, 1, ..., 1]`."""
    return tf.reshape(numbers, [*numbers.shape, *(1 for _ in shape)])


def _convolved(modes: tf.Tensor, spectra: tf.Tensor) -> tf.Tensor:
    """The sums of modes `[inputs, n, *axes]`, each times its eigenvalues `[outputs, inputs, *axes]`: `[outputs, n, *axes]`."""
    return tf.reduce_sum(spectra[:, :, tf.newaxis] * modes, axis=1)


def _summed(functions: tf.Tensor) -> tf.Tensor:
    """Sums over sites, `[functions, n, *axes]` -> `[functions, n]`, in float64, since they grow with the volume."""
    exact_enough = functions if functions.shape[-1] <= _LONGEST_ROW else tf.cast(functions, tf.float64)
    rows = tf.cast(tf.reduce_sum(exact_enough, axis=-1), tf.float64)
    return tf.reduce_sum(rows, axis=list(range(2, len(rows.shape))))


def _dot(weights: tf.Tensor, sums: tf.Tensor) -> tf.Tensor:
    """The sum of sums `[k, n]`, each times its weight `[k]`: `[n]`, float64."""
    return tf.tensordot(tf.cast(weights, tf.float64), tf.cast(sums, tf.float64), 1)
