"""Geometry of the periodic hypercubic lattice. NumPy only."""

from collections.abc import Sequence

import numpy as np

__all__ = ["Lattice"]


class Lattice:
    """Periodic hypercubic lattice with spacing 1.

    Attributes:
      shape: the extents, one for each dimension.
      d: number of dimensions, 1 to 4.
      volume: number of sites.

    Raises:
      ValueError: an extent that is not a positive integer, or more than four dimensions.
    """

    def __init__(self, shape: Sequence[int]):
        self.shape = tuple(int(extent) for extent in shape)
        if not 1 <= len(self.shape) <= 4:
            raise ValueError(f"a lattice has 1 to 4 dimensions, not {len(self.shape)} (shape {self.shape})")
        if min(self.shape) < 2:
            raise ValueError(f"every extent must be 2 or more, not {min(self.shape)} (shape {self.shape})")
        self.d = len(self.shape)
        self.volume = int(np.prod(self.shape))

    def __repr__(self) -> str:
        return f"Lattice({self.shape})"

    @property
    def axes(self) -> tuple[int, ...]:
        """The lattice axes of an array `[batch, *shape]`."""
        return tuple(range(1, self.d + 1))

    @property
    def time_axes(self) -> tuple[int, ...]:
        """Those of `axes` that can serve as time: the ones of the largest extent."""
        return tuple(axis for axis in self.axes if self.shape[axis - 1] == max(self.shape))

    def parity(self) -> np.ndarray:
        """Checkerboard colouring: the sum of the coordinates modulo 2, an int array of the lattice's shape.

        Raises:
          ValueError: an odd extent, on which neighbours across the boundary would share a colour.
        """
        odd = [extent for extent in self.shape if extent % 2]
        if odd:
            raise ValueError(f"checkerboard couplings need every extent even, but the lattice {self.shape} has {odd[0]}")
        return np.indices(self.shape).sum(axis=0) % 2

    def stripes(self, axis: int) -> np.ndarray:
        """Colouring by hyperplanes: the coordinate along an axis (0 to d - 1) modulo 2, an int array of the lattice's shape.

        Raises:
          ValueError: an odd extent along the axis.
        """
        if self.shape[axis] % 2:
            raise ValueError(f"striped couplings need every extent even, but the lattice {self.shape} has {self.shape[axis]}")
        return np.indices(self.shape)[axis] % 2

    def momentum_squared(self) -> np.ndarray:
        """Lattice momentum squared, `sum_mu 4 sin^2(p_mu / 2)`, for the momenta of `numpy.fft.fftn`, of the lattice's shape."""
        one_dimensional = [4 * np.sin(np.pi * np.arange(extent) / extent) ** 2 for extent in self.shape]
        return sum(np.meshgrid(*one_dimensional, indexing="ij"))

    def momentum_classes(self) -> tuple[np.ndarray, np.ndarray]:
        """Momenta of equal lattice momentum squared, which covariant linear maps scale alike.

        Returns:
          the momentum squared of each class, increasing, and the class of each momentum, `[volume]`, in the order of `hartley`.
        """
        values, classes = np.unique(self.momentum_squared().round(9), return_inverse=True)
        return values, classes.reshape(-1)

    def displacement_classes(self) -> tuple[np.ndarray, np.ndarray]:
        """Displacements that reflections and permutations of equal extents turn into each other (the hypercubic group).

        Returns:
          a displacement of each class `[classes, d]`, with increasing length, and the class of each displacement `[volume]`,
          flattened.
        """
        extents = np.array(self.shape)
        shortest = np.indices(self.shape).reshape(self.d, -1).T
        shortest = np.minimum(shortest, extents - shortest)
        for extent in set(self.shape):
            axes = np.flatnonzero(extents == extent)
            shortest[:, axes] = np.sort(shortest[:, axes], axis=1)
        lengths = np.sum(shortest**2, axis=1, keepdims=True)
        classes, members = np.unique(np.hstack([lengths, shortest]), axis=0, return_inverse=True)
        return classes[:, 1:], members.reshape(-1)

    def hartley(self) -> np.ndarray:
        """The real Fourier transform with the kernel `cos(p x) + sin(p x)`, a symmetric orthogonal matrix `[volume, volume]`.

        Its rows are momenta in the order of `momentum_squared`, flattened. Translation invariant maps that are even in x are
        diagonal in it.
        """
        sites = np.indices(self.shape).reshape(self.d, -1)
        phase = 2 * np.pi * np.einsum("ax,ap,a->px", sites, sites, 1 / np.array(self.shape))
        return (np.cos(phase) + np.sin(phase)) / np.sqrt(self.volume)

    def neighbours(self) -> np.ndarray:
        """How often two sites are nearest neighbours, `[volume, volume]`; twice along an extent of two."""
        sites = np.arange(self.volume).reshape(self.shape)
        matrix = np.zeros((self.volume, self.volume))
        for axis in range(self.d):
            for step in (1, -1):
                matrix[sites.reshape(-1), np.roll(sites, step, axis).reshape(-1)] += 1
        return matrix

    def propagator(self, m2: float) -> np.ndarray:
        """The free propagator `1 / (phat^2 + m2)` between two sites, `[volume, volume]`.

        Raises:
          ValueError: `m2` that is not positive.
        """
        if m2 <= 0:
            raise ValueError(f"a propagator needs m2 > 0, got {m2}")
        transform = self.hartley()
        return (transform / (self.momentum_squared().reshape(-1) + m2)) @ transform
