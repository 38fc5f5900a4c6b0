"""Geometry of the periodic hypercubic lattice. NumPy only."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lattice_flows.resources import check_memory

__all__ = ["Lattice", "OddSites", "check_lattice"]


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
    def whole(self) -> "Lattice":
        """The lattice that these sites belong to: itself."""
        return self

    @property
    def mask(self) -> np.ndarray:
        """Which sites of the whole lattice these are, a bool array of its shape: all."""
        return np.ones(self.shape, bool)

    def like(self, whole: "Lattice") -> "Lattice":
        """The same sites of another lattice: all of them."""
        return whole

    def mode_variance(self, spectrum: Callable[[np.ndarray], np.ndarray], momentum_squared: np.ndarray) -> np.ndarray:
        """The variance of the modes of these sites, of a Gaussian field on the whole lattice.

        Args:
          spectrum: the variance of the field's modes, as a function of the momentum squared.
          momentum_squared: of the modes.
        """
        return spectrum(momentum_squared)

    @property
    def largest_momentum_squared(self) -> float:
        """Upper bound of the momentum squared of a mode, `4 d`."""
        return 4.0 * self.d

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
            raise ValueError(f"a checkerboard needs every extent even, but the lattice {self.shape} has {odd[0]}")
        return np.indices(self.shape).sum(axis=0) % 2

    def stripes(self, axis: int) -> np.ndarray:
        """Colouring by hyperplanes: the coordinate along an axis (0 to d - 1) modulo 2, an int array of the lattice's shape.

        Raises:
          ValueError: an odd extent along the axis.
        """
        if self.shape[axis] % 2:
            raise ValueError(f"stripes need an even extent, but the lattice {self.shape} has {self.shape[axis]}")
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


def check_lattice(lattice: Any) -> Any:
    """Returns a lattice, or the odd sites of one, as it is.

    Raises:
      TypeError: something else, such as a tuple of extents.
    """
    if hasattr(lattice, "shape") and hasattr(lattice, "volume"):
        return lattice
    if isinstance(lattice, tuple | list):
        raise TypeError(f"lattice is {lattice!r}: give lf.Lattice({tuple(lattice)!r})")
    if isinstance(lattice, int):
        raise TypeError(f"lattice is {lattice!r}: give lf.Lattice(({lattice!r}, {lattice!r})) in two dimensions")
    value = " ".join(repr(lattice).split())  # an array has many lines
    raise TypeError(f"lattice is {value[:60]}{' ...' * (len(value) > 60)}: give one such as lf.Lattice((8, 8))")


class OddSites(Lattice):
    """The sites of one colour of the checkerboard, those whose coordinates have an odd sum, as a lattice of their own.

    Its arrays have the shape of the whole lattice with half of the last extent: `[x_1, ..., x_{d-1}, j]` is the j-th odd site along
    the last axis. Its symmetries are translations by even displacements and the hypercubic group. The modes of a field on odd
    sites at p and p + (pi, ..., pi) differ in the sign alone, and those whose last component is below pi count. Displacements are
    those of the whole lattice, the odd ones in no class.

    ```python
    sites = lf.lattice.OddSites(lf.Lattice((4, 6)))
    print(sites.shape, sites.volume)                                    # (4, 3) 12
    ```

    Args:
      whole: the whole lattice.

    Raises:
      ValueError: an odd extent.
    """

    def __init__(self, whole: Lattice):
        whole.parity()  # needs every extent even
        self._whole, self.d, self.volume = whole, whole.d, whole.volume // 2
        self.shape = (*whole.shape[:-1], whole.shape[-1] // 2)

    def __repr__(self) -> str:
        return f"OddSites({self._whole!r})"

    @property
    def whole(self) -> Lattice:
        """The lattice that these sites belong to."""
        return self._whole

    @property
    def mask(self) -> np.ndarray:
        """Those with an odd sum of coordinates. Flattened, they have the order of these sites."""
        return self._whole.parity() == 1

    def like(self, whole: Lattice) -> "OddSites":
        """The odd sites of another lattice."""
        return OddSites(whole)

    def parity(self) -> np.ndarray:
        """Colouring of the odd sites, the first coordinate modulo 2: in two dimensions, nearest ones have different colours.

        Raises:
          ValueError: one dimension, where they have a single colour.
        """
        return self.stripes(0)

    def stripes(self, axis: int) -> np.ndarray:
        """Colouring by hyperplanes of the whole lattice.

        Raises:
          ValueError: one dimension, where the odd sites have a single colour.
        """
        if self.d == 1:
            raise ValueError(
                f"the odd sites of the lattice {self._whole.shape} have a single colour in one dimension, and couplings need two: "
                "take a flow without couplings, such as 'continuous'"
            )
        return (np.indices(self._whole.shape)[axis][self.mask] % 2).reshape(self.shape)

    def mode_variance(self, spectrum: Callable[[np.ndarray], np.ndarray], momentum_squared: np.ndarray) -> np.ndarray:
        """Half of the sum of those at p and p + (pi, ..., pi), where the momentum squared is `4 d` minus that at p."""
        return (spectrum(momentum_squared) + spectrum(4 * self.d - momentum_squared)) / 2

    @property
    def largest_momentum_squared(self) -> float:
        """Of every pair p and p + (pi, ..., pi), that of the smaller one counts: at most `2 d`."""
        return 2.0 * self.d

    def momentum_squared(self) -> np.ndarray:
        """Of each mode, the smaller momentum squared of the pair p and p + (pi, ..., pi), of the shape of these sites."""
        squared = self._whole.momentum_squared()[..., : self.shape[-1]]
        return np.minimum(squared, 4 * self.d - squared)

    def momentum_classes(self) -> tuple[np.ndarray, np.ndarray]:
        """Orbits of modes under the hypercubic group, as for the whole lattice: pairs p and p + (pi, ..., pi) of its orbits."""
        momenta, members = self._whole.momentum_classes()
        members = members.reshape(self._whole.shape)
        shifted = np.roll(members, [extent // 2 for extent in self._whole.shape], range(self.d))
        classes, members = np.unique(np.minimum(members, shifted)[..., : self.shape[-1]], return_inverse=True)
        return momenta[classes], members.reshape(-1)

    def displacement_classes(self) -> tuple[np.ndarray, np.ndarray]:
        """Those orbits of displacements of the whole lattice that lead from odd sites to odd ones.

        Returns:
          A displacement of each class `[classes, d]`, with increasing length, and the class of each displacement of the whole
          lattice, flattened, -1 for odd ones.
        """
        displacements, members = self._whole.displacement_classes()
        even = displacements.sum(axis=1) % 2 == 0
        return displacements[even], np.where(even, np.cumsum(even) - 1, -1)[members]
