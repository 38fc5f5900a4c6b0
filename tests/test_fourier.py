"""Real transforms and kernels against their definitions, on lattices with even, odd and unequal extents."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows import fourier
from lattice_flows.fourier import (
    MomentumTransform,
    convolution_matrix,
    hartley,
    momentum_transform,
    nearest_neighbours,
    propagator,
)
from lattice_flows.lattice import Lattice, OddSites

SHAPES = [(4,), (4, 6), (3, 4), (2, 4, 3), (2, 2, 4, 2)]

either_transform = pytest.mark.parametrize("dense", [True, False])


@pytest.fixture
def transform_of(monkeypatch):
    """Makes the transform by one matrix, or by one along each axis."""

    def make(shape, dense):
        monkeypatch.setattr(fourier, "DENSE", 10**6 if dense else 0)
        return MomentumTransform(Lattice(shape))

    return make


@pytest.mark.parametrize("shape", SHAPES)
def test_hartley_is_symmetric_and_orthogonal(shape):
    transform = hartley(shape)
    np.testing.assert_allclose(transform, transform.T, atol=1e-12)
    np.testing.assert_allclose(transform @ transform, np.eye(len(transform)), atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_hartley_is_the_fourier_transforms_real_and_imaginary_part(shape):
    phi = np.random.default_rng(1).normal(size=shape)
    modes = np.fft.fftn(phi, norm="ortho").ravel()
    np.testing.assert_allclose(hartley(shape) @ phi.ravel(), modes.real - modes.imag, atol=1e-12)


def test_the_matrix_is_shared_and_cannot_be_changed():
    assert hartley((4, 4)) is hartley((4, 4))
    with pytest.raises(ValueError, match="read-only"):
        hartley((4, 4))[0, 0] = 1.0


@either_transform
@pytest.mark.parametrize("shape", SHAPES)
def test_the_transform_is_its_own_inverse_and_keeps_the_norm(transform_of, shape, dense):
    transform = transform_of(shape, dense)
    assert transform.axes == ((np.prod(shape),) if dense else shape)
    phi = np.random.default_rng(1).normal(size=(2, 3, *transform.axes))
    modes = transform(phi)
    np.testing.assert_allclose(transform(modes), phi, atol=1e-12)
    np.testing.assert_allclose(np.sum(modes**2), np.sum(phi**2))


@either_transform
@pytest.mark.parametrize("shape", SHAPES)
def test_even_kernels_are_diagonal(transform_of, shape, dense):
    transform = transform_of(shape, dense)
    kernel, phi = propagator(Lattice(shape), 0.3), np.random.default_rng(2).normal(size=shape)
    convolution = np.fft.ifftn(np.fft.fftn(kernel) * np.fft.fftn(phi)).real
    eigenvalues = transform.eigenvalues(kernel.reshape(transform.axes))
    np.testing.assert_allclose(eigenvalues.reshape(shape), np.fft.fftn(kernel).real, atol=1e-12)
    found = transform(eigenvalues * transform(phi.reshape(transform.axes))).reshape(shape)
    np.testing.assert_allclose(found, convolution, atol=1e-12)


@either_transform
@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_tensors_are_transformed_in_their_own_type(transform_of, dense, dtype):
    transform = transform_of((3, 4), dense)
    phi = np.random.default_rng(3).normal(size=(2, *transform.axes))
    modes = transform(tf.constant(phi, dtype), tf.einsum)
    assert modes.dtype == dtype
    np.testing.assert_allclose(modes, transform(phi), atol=1e-6)


@either_transform
@pytest.mark.parametrize("shape", [(4,), (4, 6), (2, 4, 2), (2, 2, 4, 2)])
def test_odd_sites_are_transformed_like_a_field_that_is_zero_at_even_sites(monkeypatch, shape, dense):
    monkeypatch.setattr(fourier, "DENSE", 10**6 if dense else 0)
    lattice, rng = Lattice(shape), np.random.default_rng(4)
    transform, whole = momentum_transform(OddSites(lattice)), momentum_transform(lattice)
    phi = np.zeros(shape)
    odd = lattice.parity() == 1
    phi[odd] = on_odd = rng.normal(size=np.count_nonzero(odd))  # in the order of the odd sites along the last axis
    modes = transform(on_odd.reshape(transform.axes))
    kept = whole(phi.reshape(whole.axes)).reshape(shape)[..., : shape[-1] // 2]
    np.testing.assert_allclose(modes.reshape(kept.shape), np.sqrt(2) * kept, atol=1e-12)
    np.testing.assert_allclose(transform.inverse(modes).ravel(), on_odd, atol=1e-12)
    kernel = np.where(odd, 0, propagator(lattice, 0.3))  # of even displacements
    eigenvalues = transform.eigenvalues(kernel.reshape(transform.kernel_axes))
    convolution = np.fft.ifftn(np.fft.fftn(kernel) * np.fft.fftn(phi)).real
    np.testing.assert_allclose(transform.inverse(eigenvalues * modes).ravel(), convolution[odd], atol=1e-12)


def test_large_lattices_need_no_large_matrix():
    assert MomentumTransform(Lattice((14, 14))).axes == (196,)
    assert MomentumTransform(Lattice((16, 16))).axes == (16, 16)


@pytest.mark.parametrize("shape", SHAPES)
def test_neighbours_sum_the_field_one_step_away(shape):
    phi = np.random.default_rng(2).normal(size=shape)
    expected = sum(np.roll(phi, step, axis) for axis in range(len(shape)) for step in (1, -1))
    found = convolution_matrix(nearest_neighbours(Lattice(shape)), Lattice(shape)) @ phi.ravel()
    np.testing.assert_allclose(found, expected.ravel(), atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_eigenvalues_of_the_neighbours_are_those_of_the_laplacian(shape):
    lattice = Lattice(shape)
    eigenvalues = np.fft.fftn(nearest_neighbours(lattice))
    np.testing.assert_allclose(eigenvalues, 2 * lattice.d - lattice.momentum_squared(), atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_propagator_inverts_the_free_action(shape):
    lattice, m2 = Lattice(shape), 0.3
    matrix = convolution_matrix(propagator(lattice, m2), lattice)
    free_action = (2 * lattice.d + m2) * np.eye(lattice.volume) - convolution_matrix(nearest_neighbours(lattice), lattice)
    np.testing.assert_allclose(matrix @ free_action, np.eye(lattice.volume), atol=1e-12)


@pytest.mark.parametrize("m2", [0.0, -1.0])
def test_a_propagator_needs_a_mass(m2):
    with pytest.raises(ValueError, match=rf"a propagator needs m2 > 0, got {m2}"):
        propagator(Lattice((4, 4)), m2)
