"""Kernels by classes of displacements."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.bijectors.kernels import Kernels
from lattice_flows.lattice import Lattice, OddSites


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
    found = np.reshape(kernels.spectra(tf.constant(values)), shape)
    np.testing.assert_allclose(found, np.fft.fftn(of_displacements).real, atol=1e-12)


@pytest.mark.parametrize("lattice", [Lattice((4, 6)), Lattice((5, 5)), Lattice((4, 4, 4)), OddSites(Lattice((16, 16)))], ids=str)
def test_every_spectrum_with_the_symmetries_of_the_lattice_has_a_kernel(lattice):
    kernels, momenta = Kernels(lattice), lattice.momentum_classes()[0]
    eigenvalues = np.random.default_rng(2).normal(size=len(momenta))
    np.testing.assert_allclose(kernels.spectrum(tf.constant(kernels.of_spectrum(eigenvalues))), eigenvalues, atol=1e-12)
