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
        """Classes of momenta with the same lattice momentum squared.

        All momenta that a symmetry of the lattice exchanges are in one class. The converse does not hold: from L = 6 on, some
        classes hold several orbits of the hypercubic group, which happen to have the same momentum squared.

        Returns:
          The momentum squared of each class `[classes]`, increasing, and the class of each momentum `[volume]`, in the order of
          `momentum_squared`, flattened.
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
