"""Scaling in momentum space against plane waves."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.bijectors import FourierScaling
from lattice_flows.lattice import Lattice


def scaling(lattice, seed=1):
    classes = len(lattice.momentum_classes()[0])
    return FourierScaling(lattice, np.random.default_rng(seed).normal(size=classes).astype(np.float32))


@pytest.mark.parametrize(("shape", "momentum"), [((6,), (1,)), ((4, 6), (0, 0)), ((4, 6), (3, 2)), ((2, 4, 3), (1, 2, 2))])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_plane_wave_is_scaled_by_the_factor_of_its_class(shape, momentum, dtype):
    lattice = Lattice(shape)
    bijector = scaling(lattice)
    phase = 2 * np.pi * np.einsum("a...,a->...", np.indices(shape), np.array(momentum) / shape)
    wave = np.cos(phase + 0.4).astype(dtype)[np.newaxis]
    index = lattice.momentum_classes()[1].reshape(shape)[momentum]
    factor = np.exp(bijector.trainable_variables[0].numpy().astype(float)[index])
    tolerance = 1e-12 if dtype is np.float64 else 1e-5
    y = bijector.forward(wave)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, factor * wave, atol=tolerance * factor)
    np.testing.assert_allclose(bijector.inverse(wave), wave / factor, atol=tolerance / factor)


def test_the_log_determinant_counts_every_momentum():
    lattice = Lattice((4, 6))
    bijector = scaling(lattice)
    log_scale = bijector.trainable_variables[0].numpy().astype(float)
    x = tf.zeros([2, 4, 6])
    log_det = bijector.forward_log_det_jacobian(x, event_ndims=2)
    assert log_det.dtype == tf.float64
    np.testing.assert_allclose(log_det, np.sum(log_scale[lattice.momentum_classes()[1]]), rtol=1e-12)
    np.testing.assert_allclose(bijector.inverse_log_det_jacobian(x, event_ndims=2), -log_det)


def test_the_start_is_the_identity_if_nothing_else_is_said():
    x = np.random.default_rng(2).normal(size=(3, 4, 4))
    np.testing.assert_allclose(FourierScaling(Lattice((4, 4))).forward(x), x, atol=1e-12)


def test_a_fixed_spectrum_is_not_trained():
    assert FourierScaling(Lattice((4, 4)), trainable=False).trainable_variables == ()


def test_another_number_of_classes_is_refused():
    with pytest.raises(ValueError, match=r"log_scale must have the shape \(5,\), one number for each class, got \(4,\)"):
        FourierScaling(Lattice((4, 4)), np.zeros(4))
