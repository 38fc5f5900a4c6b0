"""The transform to momentum space for flows that spend their time in it: several small matrix products in place of a large one.

Translations t by half an extent, along one axis or several, turn every mode p into itself or into minus itself. Sums over sites
that they lead to, with the signs of a mode,

    f(p) = sum_r M(p, r) sum_t chi_p(t) phi(r + t),      chi_p(t) = exp(i p t) = +-1,

leave one square matrix for each of the characters chi, whose side is the number of sites divided by that of translations. With
2^d of them, a transform costs a 2^d-th of the products, and some additions.
"""

import itertools
from typing import Any

import numpy as np
import tensorflow as tf

from lattice_flows.fourier import momentum_transform
from lattice_flows.lattice import Lattice

__all__ = ["BlockTransform"]

# Sites of a block. Smaller ones cost more additions than they save products; above, one product along each axis is faster, or one
# with all sites. Measured on CPUs, in two to four dimensions.
_SMALLEST, _LARGEST = 32, 128


class BlockTransform:
    """The transform of `fourier.momentum_transform`, with sites and modes in an order of its own on lattices of some size.

    Example:

    ```python
    from lattice_flows.bijectors.block_transform import BlockTransform

    transform = BlockTransform(lf.Lattice((14, 14)))
    phi = transform.arranged(tf.ones([3, 14, 14]))                      # [3, 4, 49]
    modes = transform(phi)                                              # of the same shape
    also = transform.restored(transform.inverse(modes))                 # [3, 14, 14]
    ```

    Args:
      lattice: the lattice, or its odd sites.

    Attributes:
      axes: the shape of a field or of its modes: `[characters, modes of each]`, or as for `fourier.momentum_transform` where blocks
        do not pay.
      kernel_axes: the shape of a kernel, see there.
    """

    def __init__(self, lattice: Lattice):
        self._shape, self._plain = lattice.shape, momentum_transform(lattice)
        self.axes, self.kernel_axes = self._plain.axes, self._plain.kernel_axes
        self._modes = np.arange(lattice.volume).reshape(self.axes)
        self._blocks = None
        translated = _translated(lattice)
        if len(translated) > 1 and translated.shape[1] <= _LARGEST:
            self.axes, self._sites = translated.shape, translated
            matrix = self._matrix(translated[0])  # [sites of a block, modes]
            characters = np.zeros(lattice.volume, int)
            for bit in 1 << np.arange(len(translated).bit_length() - 1):
                overlaps = np.sum(matrix * self._matrix(translated[bit]), axis=0)  # have the sign that the translation gives a mode
                characters += bit * (overlaps < 0)
            self._modes = np.stack([np.flatnonzero(characters == each) for each in range(len(translated))])
            self._blocks = matrix[:, self._modes].transpose(1, 0, 2)  # [characters, sites, modes]

    def _matrix(self, sites: np.ndarray) -> np.ndarray:
        """The modes of fields that are one at a single one of these sites, `[sites, modes]`."""
        fields = np.zeros([len(sites), np.prod(self._shape)])
        fields[np.arange(len(sites)), sites] = 1
        return self._plain(fields.reshape(-1, *self._plain.axes)).reshape(fields.shape)

    def arranged(self, field: tf.Tensor) -> tf.Tensor:
        """Brings fields `[..., *shape]` into the order of the transform, `[n, *axes]`."""
        if self._blocks is None:
            return tf.reshape(field, [-1, *self.axes])
        return tf.reshape(_permuted(tf.reshape(field, [-1, self._sites.size]), self._sites.ravel()), [-1, *self.axes])

    def restored(self, field: tf.Tensor) -> tf.Tensor:
        """Brings fields `[n, *axes]` back into the order of the lattice, `[n, *shape]`."""
        if self._blocks is not None:
            field = _permuted(tf.reshape(field, [-1, self._sites.size]), np.argsort(self._sites.ravel()))
        return tf.reshape(field, [-1, *self._shape])

    def at_modes(self, values: np.ndarray) -> np.ndarray:
        """Arrays `[..., modes]`, of all modes in the order of `fourier.momentum_transform`, as `[..., *axes]`."""
        return values[..., self._modes]

    def __call__(self, field: tf.Tensor) -> tf.Tensor:
        """Transforms `[..., *axes]`."""
        if self._blocks is None:
            return self._plain(field, tf.einsum)
        blocks = tf.constant(self._blocks, field.dtype)
        return tf.einsum("...gr,grs->...gs", _with_signs(field), blocks)

    def inverse(self, modes: tf.Tensor) -> tf.Tensor:
        """Transforms modes `[..., *axes]` back."""
        if self._blocks is None:
            return self._plain.inverse(modes, tf.einsum)
        blocks = tf.constant(self._blocks.transpose(0, 2, 1), modes.dtype)
        return _with_signs(tf.einsum("...gr,grs->...gs", modes, blocks))

    def eigenvalues(self, kernel: tf.Tensor) -> tf.Tensor:
        """Returns the eigenvalues `[..., *axes]` of convolutions with kernels `[..., *kernel_axes]`, even along every axis."""
        found = self._plain.eigenvalues(kernel, tf.einsum)
        if self._blocks is None:
            return found
        flat = tf.reshape(found, [*found.shape[: -len(self._plain.axes)], self._modes.size])
        return tf.gather(flat, self._modes, axis=-1)


def _translated(lattice: Lattice) -> np.ndarray:
    """Sites by translations that are their own inverse, `[translations, sites / translations]`, as flat numbers.

    Row 0 has one site of each orbit, row t what the translation t makes of it. One after another, the translations t and u are that
    of the number t ^ u.
    """
    extents, sites = np.array(lattice.whole.shape), np.argwhere(lattice.mask)
    group = [np.zeros_like(extents)]
    for choice in itertools.product((0, 1), repeat=len(extents)):
        twice = np.array(choice) * extents
        step = twice // 2
        closed = not np.any(twice % 2) and np.array_equal(np.roll(lattice.mask, step, range(len(step))), lattice.mask)
        new = not any(np.array_equal(step, other) for other in group)
        if closed and new and lattice.volume // (2 * len(group)) >= _SMALLEST:
            group += [(step + other) % extents for other in group]
    number = np.full(extents, -1)
    number[lattice.mask] = np.arange(len(sites))
    places = np.stack([number[tuple(((sites + step) % extents).T)] for step in group])
    return places[:, np.min(places, axis=0) == np.arange(len(sites))]


def _with_signs(field: tf.Tensor) -> tf.Tensor:
    """Sums over translations with the signs of every character, `[..., translations, r]` -> `[..., characters, r]`, and back."""
    parts, step = tf.unstack(field, axis=-2), 1
    while step < len(parts):
        parts = [parts[i - step] - part if i & step else part + parts[i + step] for i, part in enumerate(parts)]
        step *= 2
    return tf.stack(parts, axis=-2)


def _permuted(x: tf.Tensor, order: np.ndarray) -> tf.Tensor:
    """`x[:, order]`. TensorFlow's own gradient of a gather is a scatter, which XLA runs number by number on a CPU."""

    @tf.custom_gradient
    def gather(x: tf.Tensor) -> Any:
        return tf.gather(x, order, axis=1), lambda gradient: _permuted(gradient, np.argsort(order))

    return gather(x)
