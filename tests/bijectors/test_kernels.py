"""Kernels by classes of displacements."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.bijectors.block_transform import BlockTransform
from lattice_flows.bijectors.kernels import Kernels
from lattice_flows.lattice import Lattice, OddSites


def spectrum_of(kernels, values, shape):
    """Eigenvalues in the order of `numpy.fft.fftn`, of the lattice's shape."""
    found, lattice = np.empty(shape), Lattice(shape)
    found.flat[BlockTransform(lattice).at_modes(np.arange(lattice.volume))] = kernels.spectra(tf.constant(values, tf.float64))
    return found


@pytest.mark.parametrize("shape", [(4, 6), (6, 6, 6)])
@pytest.mark.parametrize("shortest", [0, 1])
def test_spectra_are_fourier_transforms(shape, shortest):
    kernels = Kernels(Lattice(shape), radius=2.0, shortest=shortest)
    displacements, members = Lattice(shape).displacement_classes()
    lengths = np.sum(displacements**2, axis=1)
    inside = np.flatnonzero((lengths >= shortest) & (lengths <= 4))
    assert kernels.number == len(inside)
    values = np.random.default_rng(1).normal(size=kernels.number)
    of_classes = np.zeros(len(displacements))
    of_classes[inside] = values
    of_displacements = of_classes[members].reshape(shape)
    assert (of_displacements.flat[0] == 0) == bool(shortest)
    found = spectrum_of(kernels, values, shape)
    np.testing.assert_allclose(found, np.fft.fftn(of_displacements).real, atol=1e-12)


@pytest.mark.parametrize("lattice", [Lattice((4, 6)), Lattice((5, 5)), Lattice((4, 4, 4)), OddSites(Lattice((16, 16)))], ids=str)
def test_every_spectrum_with_the_symmetries_of_the_lattice_has_a_kernel(lattice):
    kernels, momenta = Kernels(lattice), lattice.momentum_classes()[0]
    eigenvalues = np.random.default_rng(2).normal(size=len(momenta))
    np.testing.assert_allclose(kernels.spectrum(tf.constant(kernels.of_spectrum(eigenvalues))), eigenvalues, atol=1e-12)


SHAPES = [(6, 6), (6, 8), (8, 6), (9, 7), (4, 4, 4), (4, 4, 6), (6, 5, 4)]


@pytest.mark.parametrize(("before", "after"), [pair for pair in itertools.permutations(SHAPES, 2) if len({*map(len, pair)}) == 1])
def test_a_kernel_of_short_range_is_the_same_on_every_lattice(before, after):
    """Also where one of the lattices has more symmetries than the other."""

    def values(shape):
        lengths = np.sum(Lattice(shape).displacement_classes()[0] ** 2, axis=1)
        return np.select([lengths == 0, lengths == 1, lengths == 2], [1.0, 0.5, -0.3])

    found = Kernels(Lattice(after)).transferred(values(before), Lattice(before))
    np.testing.assert_allclose(found, values(after), atol=1e-6)


@pytest.mark.parametrize(("before", "after"), [((4, 4), (8, 8)), ((4, 4), (4, 8)), ((4, 6), (8, 6)), ((4, 4, 2), (8, 8, 2))])
def test_twice_an_extent_keeps_the_eigenvalues_at_the_same_momenta(before, after):
    kernel = np.random.default_rng(3).normal(size=Kernels(Lattice(before)).number)
    kernels = Kernels(Lattice(after))
    spectra = spectrum_of(kernels, kernels.transferred(kernel, Lattice(before)), after)
    expected = spectrum_of(Kernels(Lattice(before)), kernel, before)
    found = spectra[tuple(slice(None, None, new // old) for old, new in zip(before, after, strict=True))]
    np.testing.assert_allclose(found, expected, atol=1e-6)
