"""The transform in blocks against the plain one, and where it is used."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.bijectors.block_transform import BlockTransform
from lattice_flows.fourier import momentum_transform, propagator
from lattice_flows.lattice import Lattice, OddSites

WHOLE = [Lattice(shape) for shape in [(14, 14), (8, 8), (64,), (7, 12), (16, 16), (10, 5, 4), (6, 6, 6), (4, 4, 4, 4)]]
ODD = [OddSites(Lattice(shape)) for shape in [(14, 14), (16, 12), (10, 14), (8, 4, 6), (6, 6, 6), (4, 4, 4, 4)]]


@pytest.fixture(params=WHOLE + ODD, ids=repr)
def lattice(request):
    return request.param


def random_fields(lattice, number=3):
    return np.random.default_rng(1).normal(size=(number, *lattice.shape))


def test_modes_are_those_of_the_plain_transform(lattice):
    transform, plain, phi = BlockTransform(lattice), momentum_transform(lattice), random_fields(lattice)
    assert len(transform.axes) == 2 and transform.axes[0] > 1 and transform.axes != lattice.shape  # there are blocks
    modes = transform(transform.arranged(tf.constant(phi)))
    expected = plain(phi.reshape(-1, *plain.axes)).reshape(len(phi), -1)
    np.testing.assert_allclose(modes, transform.at_modes(expected), atol=1e-12)


def test_the_inverse_leads_back_to_the_field_in_the_order_of_the_lattice(lattice):
    transform, phi = BlockTransform(lattice), random_fields(lattice)
    arranged = transform.arranged(tf.constant(phi))
    np.testing.assert_array_equal(transform.restored(arranged), phi)
    np.testing.assert_allclose(transform.restored(transform.inverse(transform(arranged))), phi, atol=1e-12)


def test_convolutions_are_diagonal(lattice):
    transform, phi = BlockTransform(lattice), random_fields(lattice)
    kernel = propagator(lattice, 0.3)  # of the whole lattice, zero at displacements to even sites
    whole = np.zeros([len(phi), *lattice.whole.shape])
    whole[:, lattice.mask] = phi.reshape(len(phi), -1)
    axes = range(1, 1 + len(kernel.shape))
    convolution = np.fft.ifftn(np.fft.fftn(kernel) * np.fft.fftn(whole, axes=axes), axes=axes).real[:, lattice.mask]
    eigenvalues = transform.eigenvalues(tf.constant(kernel.reshape(transform.kernel_axes)))
    found = transform.restored(transform.inverse(eigenvalues * transform(transform.arranged(tf.constant(phi)))))
    np.testing.assert_allclose(found.numpy().reshape(len(phi), -1), convolution, atol=1e-12)


def test_derivatives_of_the_order_of_sites_are_exact(lattice):
    transform, weights = BlockTransform(lattice), random_fields(lattice)[:1]
    phi = tf.constant(random_fields(lattice)[1:2])
    with tf.GradientTape() as outer:
        outer.watch(phi)
        with tf.GradientTape() as tape:
            tape.watch(phi)
            total = tf.reduce_sum(transform.arranged(phi) ** 3 * transform.arranged(tf.constant(weights)))
        gradient = tape.gradient(total, phi)
    np.testing.assert_allclose(gradient, 3 * phi**2 * weights, atol=1e-12)
    np.testing.assert_allclose(outer.gradient(gradient, phi), 6 * phi * weights, atol=1e-12)


@pytest.mark.parametrize(
    ("lattice", "axes"),
    [
        (Lattice((14, 14)), (4, 49)),
        (OddSites(Lattice((14, 14))), (2, 49)),
        (Lattice((10, 10)), (2, 50)),  # four blocks would be small
        (Lattice((10, 10, 10)), (8, 125)),
        (Lattice((6, 6)), (36,)),  # small
        (Lattice((13, 13)), (169,)),  # no half of an extent
        (Lattice((32, 32)), (32, 32)),  # too large for a product with all sites of a block
    ],
    ids=repr,
)
def test_blocks_are_neither_small_nor_large(lattice, axes):
    assert BlockTransform(lattice).axes == axes
