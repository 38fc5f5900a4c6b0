"""Geometry of the periodic hypercubic lattice. NumPy only."""

import math
import operator
from collections.abc import Sequence

import numpy as np

from lattice_flows.resources import check_memory

__all__ = ["Lattice"]


class Lattice:
    """Periodic hypercubic lattice with spacing 1.

    Attributes:
      shape: the extents, one for each dimension.
      d: number of dimensions, 1 to 4.
      volume: number of sites.

    Raises:
      ValueError: an extent that is not a positive integer, or more than four dimensions.
      NotEnough: a single field exceeds the memory of the machine.
    """

    def __init__(self, shape: Sequence[int]):
        try:
            self.shape = tuple(operator.index(extent) for extent in shape)
        except TypeError:
            raise ValueError(f"the extents of a lattice are integers, such as (8, 8), not {shape!r}") from None
        if not 1 <= len(self.shape) <= 4:
            raise ValueError(f"a lattice has 1 to 4 dimensions, not {len(self.shape)} (shape {self.shape})")
        if min(self.shape) < 2:
            raise ValueError(f"every extent must be 2 or more, not {min(self.shape)} (shape {self.shape})")
        self.d = len(self.shape)
        self.volume = math.prod(self.shape)
        check_memory(8 * self.volume, f"a field on the lattice {self.shape}", "use a smaller lattice")

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
        """Orbits of momenta under the hypercubic group, that is, reflections and permutations of equal extents.

        Linear maps that commute with all symmetries of the lattice scale all momenta of an orbit alike. Several orbits may have the
        same lattice momentum squared by chance, such as (0, pi) and (pi/2, pi/2).

        Returns:
          The momentum squared of each class `[classes]`, never decreasing, and the class of each momentum `[volume]`, in the order
          of `momentum_squared`, flattened.
        """
        momenta = self.momentum_squared().reshape(-1, 1).round(9)
        classes, members = self._orbits(momenta)
        return classes[:, 0], members

    def displacement_classes(self) -> tuple[np.ndarray, np.ndarray]:
        """Orbits of displacements under the hypercubic group, that is, reflections and permutations of equal extents.

        Returns:
          A displacement of each class `[classes, d]`, with increasing length, and the class of each displacement `[volume]`,
          flattened.
        """
        classes, members = self._orbits(np.sum(self._shortest() ** 2, axis=1, keepdims=True))
        return classes[:, 1:].astype(int), members

    def _shortest(self) -> np.ndarray:
        """Coordinates of all sites `[volume, d]`, or of momenta in units of `2 pi / L`, without signs."""
        coordinates = np.indices(self.shape).reshape(self.d, -1).T
        return np.minimum(coordinates, np.array(self.shape) - coordinates)

    def _orbits(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Orbits in the order of a key `[volume, 1]`, then of a representative: `[orbits, 1 + d]`, and the orbit of each site."""
        representatives = self._shortest()
        for extent in set(self.shape):
            axes = np.flatnonzero(np.array(self.shape) == extent)
            representatives[:, axes] = np.sort(representatives[:, axes], axis=1)
        orbits, members = np.unique(np.hstack([keys, representatives]), axis=0, return_inverse=True)
        return orbits, members.reshape(-1)
