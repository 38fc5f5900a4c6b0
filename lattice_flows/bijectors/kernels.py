"""Kernels of convolutions with the symmetries of the lattice."""

import functools

import numpy as np
import tensorflow as tf

from lattice_flows.bijectors.block_transform import BlockTransform
from lattice_flows.bijectors.classes import ClassValues
from lattice_flows.lattice import Lattice

__all__ = ["Kernels"]


class Kernels:
    """Kernels that depend on the displacement only through its class under the hypercubic group, `[..., classes]`.

    Args:
      lattice: the lattice, or its odd sites.
      radius: length of the longest displacement; None for all.
      shortest: length of the shortest displacement; 1 leaves out the site itself.

    Attributes:
      number: of the classes.
      sizes: number of displacements of each class, `[classes]`.
    """

    def __init__(self, lattice: Lattice, radius: float | None = None, shortest: int = 0):
        displacements, members = lattice.displacement_classes()
        lengths = np.sum(displacements**2, axis=1)  # classes are in their order
        first = np.count_nonzero(lengths < shortest**2)
        end = np.count_nonzero(lengths <= (np.inf if radius is None else radius**2))
        self._members = np.where((first <= members) & (members < end), members - first, -1)
        self._lattice, self._shortest, self.number = lattice, shortest, end - first
        self.sizes = np.bincount(self._members[self._members >= 0], minlength=self.number)
        self._transform, self._of_displacements = BlockTransform(lattice), ClassValues(self._members, self.number)
        self._matrix = None
        if self._of_displacements.matrix is not None:
            matrix = self._of_displacements.matrix.reshape(-1, *self._transform.kernel_axes)
            self._matrix = self._transform.eigenvalues(tf.constant(matrix)).numpy()

    def spectra(self, kernels: tf.Tensor) -> tf.Tensor:
        """Returns the eigenvalues `[..., *axes]` of kernels `[..., classes]`, with the axes of `BlockTransform`."""
        if self._matrix is not None:
            return tf.tensordot(kernels, tf.constant(self._matrix, kernels.dtype), 1)
        shape = tf.concat([tf.shape(kernels)[:-1], self._transform.kernel_axes], axis=0)
        return self._transform.eigenvalues(tf.reshape(self._of_displacements(kernels), shape))

    def spectrum(self, kernel: tf.Tensor) -> tf.Tensor:
        """Returns the eigenvalues of a kernel `[classes]` at every class of momenta, in the order of `lattice.momentum_classes`."""
        return tf.gather(tf.reshape(self.spectra(kernel), [-1]), self._first_of_momenta)

    def of_spectrum(self, eigenvalues: np.ndarray) -> np.ndarray:
        """Returns the kernel `[classes]` of all displacements that has the eigenvalues given for every class of momenta."""
        spectra = self.spectra(tf.constant(np.eye(self.number))).numpy().reshape(self.number, -1)
        return np.linalg.solve(spectra[:, self._first_of_momenta].T, eigenvalues)

    @functools.cached_property
    def _first_of_momenta(self) -> np.ndarray:
        return np.unique(self._transform.at_modes(self._lattice.momentum_classes()[1]), return_index=True)[1]

    def transferred(self, kernels: np.ndarray, lattice: Lattice) -> np.ndarray:
        """Translates kernels of the same kind on another lattice, of any radius.

        A kernel keeps its value at every displacement, on average over those that belong to one class here but not there, as where
        only one of the lattices has equal extents. Displacements beyond the radius or the extents of the other kernels get zero.
        One by half an extent is its own mirror image: its value is the sum over both where they differ on the other lattice.
        """
        other, number = Kernels(self._lattice.like(lattice), shortest=self._shortest), kernels.shape[-1]
        here, there = (np.array(sites.whole.shape) for sites in (self._lattice, lattice))
        sites = np.indices(self._lattice.whole.shape).reshape(len(here), -1).T
        lengths = np.minimum(sites, here - sites)
        counterparts = other._members.reshape(there)[tuple((np.where(sites <= here / 2, sites, sites - here) % there).T)]
        # Those within the radius of the other kernels come first.
        found = (self._members >= 0) & (counterparts >= 0) & (counterparts < number) & np.all(2 * lengths <= there, axis=1)
        mirrors = np.where(2 * lengths == here, 2.0, 1.0) / np.where(2 * lengths == there, 2.0, 1.0)
        matrix = np.zeros([number, self.number])
        np.add.at(matrix, (counterparts[found], self._members[found]), np.prod(mirrors, axis=1)[found])
        return (kernels @ (matrix / self.sizes)).astype(np.float32)
