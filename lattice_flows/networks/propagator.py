"""Simple functions of single sites, summed with the kernels of neighbours and propagators."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from pydantic import PositiveFloat, PositiveInt

from lattice_flows import fourier
from lattice_flows.config import Numbers
from lattice_flows.lattice import Lattice
from lattice_flows.networks.conditioner import Parity
from lattice_flows.networks.sites import Sites

__all__ = ["PropagatorNetwork"]


class PropagatorNetwork(tf.Module):
    """A few functions of single sites, convolved with a few fixed kernels.

        odd outputs:   t_x = sum_k sum_y K_k(x - y) [ a_k0 phi_y + sum_f a_kf tanh(w_f phi_y) ]
        even outputs:  s_x = B tanh[ (c + sum_k sum_y K_k(x - y) sum_f b_kf tanh(w_f phi_y)^2) / B ]

    The kernels K are the sum over nearest neighbours and free propagators of several masses. The first is the local force; the
    others bring in long wavelengths at no cost. A coupling has about ten numbers, so natural gradients are affordable.

    Args:
      lattice: the lattice.
      active: mask of the active sites, bool of the lattice's shape.
      parities: of the outputs.
      rng: draws the initial weights.
      features: number of frequencies w_f. They are trained, and start from `spacing` times 1, 2, ...
      spacing: of the frequencies.
      propagators: bare masses squared of the propagators.
      bound: B, the largest size of even outputs.

    Raises:
      ValueError: a mass squared that is not positive.
    """

    symmetries: frozenset[str] = frozenset({"even translation", "rotation", "reflection", "sign"})

    def __init__(
        self,
        lattice: Lattice,
        active: np.ndarray,
        parities: tuple[Parity, ...],
        rng: np.random.Generator,
        *,
        features: PositiveInt = 2,
        spacing: PositiveFloat = 0.7,
        propagators: Numbers = (1.0, 0.1),
        bound: PositiveFloat = 1.5,
    ):
        super().__init__(name="propagator_network")
        kernels = [fourier.nearest_neighbours(lattice), *(fourier.propagator(lattice, m2) for m2 in propagators)]
        convolutions = _BlockProduct if lattice.volume <= fourier.DENSE else _Spectra
        self._convolve = convolutions(lattice, active, kernels)
        self._active, self._frozen, self._bound = Sites(active), Sites(~active), bound
        self._frequencies = tf.Variable(np.float32(spacing) * np.arange(1, features + 1, dtype=np.float32), name="frequencies")
        self._outputs = []
        for i, parity in enumerate(parities):
            shape = (len(kernels), features + (parity == "odd"))
            # Small, not zero: at zero the frequencies would get no gradient.
            weights = tf.Variable(rng.uniform(-0.01, 0.01, shape).astype(np.float32), name=f"output_{i}/weights")
            constant = tf.Variable(np.float32(0), name=f"output_{i}/constant") if parity == "even" else None
            self._outputs.append((weights, constant))

    def __call__(self, field: tf.Tensor) -> tuple[tf.Tensor, ...]:
        phi = tf.expand_dims(self._frozen.take(tf.cast(field, tf.float32)), 1)
        waves = tf.tanh(tf.expand_dims(self._frequencies, 1) * phi)
        odd, even = tf.concat([phi, waves], axis=1), waves * waves
        sources = []
        for weights, constant in self._outputs:
            features = odd if constant is None else even
            # A sum of products is fused into one loop; a product of so small matrices is not worth a call.
            sources.append(tf.reduce_sum(tf.expand_dims(features, 1) * tf.expand_dims(weights, 2), axis=2))
        return tuple(
            self._active.put(value if constant is None else self._bound * tf.tanh((constant + value) / self._bound))
            for value, (_, constant) in zip(self._convolve(sources), self._outputs, strict=True)
        )


class _BlockProduct:
    """Sums of convolutions, by one matrix product: each `[batch, kernels, frozen sites]` -> `[batch, active sites]`.

    Every kernel is scaled so that it sums to as much as the neighbours do.
    """

    def __init__(self, lattice: Lattice, active: np.ndarray, kernels: Sequence[np.ndarray]):
        blocks = [fourier.convolution_matrix(kernel, lattice)[np.ix_(~active.ravel(), active.ravel())] for kernel in kernels]
        self._matrix = np.concatenate([2 * lattice.d * k / np.max(k.sum(axis=0)) for k in blocks]).astype(np.float32)

    def __call__(self, sources: list[tf.Tensor]) -> list[tf.Tensor]:
        return [tf.reshape(source, [-1, self._matrix.shape[0]]) @ self._matrix for source in sources]


class _Spectra:
    """The same in momentum space, for large lattices."""

    def __init__(self, lattice: Lattice, active: np.ndarray, kernels: Sequence[np.ndarray]):
        self._active, self._frozen, self._transform = Sites(active), Sites(~active), fourier.momentum_transform(lattice)
        spectra = self._transform.eigenvalues(np.stack(kernels))
        frozen = self._transform((~active).astype(float))
        largest = [np.max(self._transform.inverse(frozen * spectrum)[active]) for spectrum in spectra]
        scales = 2 * lattice.d / np.array(largest)
        self._spectra = (scales.reshape(-1, *[1] * lattice.d) * spectra).astype(np.float32)

    def __call__(self, sources: list[tf.Tensor]) -> list[tf.Tensor]:
        number, axes = len(self._spectra), self._transform.axes
        together = tf.concat(sources, axis=1)
        fields = self._frozen.put(tf.reshape(together, [-1, together.shape[-1]]))
        modes = self._transform(tf.reshape(fields, [-1, number, *axes]), tf.einsum)
        values = self._active.take(self._transform.inverse(tf.reduce_sum(modes * self._spectra, axis=1), tf.einsum))
        return tf.unstack(tf.reshape(values, [-1, len(sources), len(self._active)]), axis=1)
