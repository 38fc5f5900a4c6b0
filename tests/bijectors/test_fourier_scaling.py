"""Scaling in momentum space against plane waves."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows import fourier
from lattice_flows.bijectors import FourierScaling, classes, fourier_scaling
from lattice_flows.lattice import Lattice


def scaling(lattice, seed=1):
    return FourierScaling(lattice, lambda momenta: np.random.default_rng(seed).normal(size=momenta.shape))


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


@pytest.mark.parametrize("largest_matrix", [0, 10**6])
@pytest.mark.parametrize("dense", [0, 10**6])
def test_large_lattices_are_scaled_like_small_ones(monkeypatch, dense, largest_matrix):
    lattice, x = Lattice((4, 6)), tf.constant(np.random.default_rng(3).normal(size=(3, 4, 6)))
    expected, of_expected = value_and_gradient(scaling(lattice), x)
    monkeypatch.setattr(fourier, "DENSE", dense)
    monkeypatch.setattr(classes, "_LARGEST_MATRIX", largest_matrix)
    found, of_found = value_and_gradient(scaling(lattice), x)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(of_found, of_expected, rtol=1e-5)


def value_and_gradient(bijector, x):
    with tf.GradientTape() as tape:
        y = bijector.forward(x)
        total = tf.reduce_sum(y**3) + bijector.forward_log_det_jacobian(x, 2)
    return y, tape.gradient(total, bijector.trainable_variables[0])


def use_knots(monkeypatch):
    """Lattices of more than 6 classes get knots: the 2 lowest momenta, and 2 above."""
    for name, value in {"_MOST_CLASSES": 6, "_LOWEST": 2, "_KNOTS": 2}.items():
        monkeypatch.setattr(fourier_scaling, name, value)


def test_many_classes_share_the_numbers_of_a_few_knots(monkeypatch):
    use_knots(monkeypatch)
    lattice = Lattice((6, 6))
    bijector = FourierScaling(lattice, lambda momenta: 0.3 * momenta)
    # A linear function is one of those that are piecewise linear.
    exact = FourierScaling(lattice, lambda momenta: 0.3 * momenta, trainable=False)
    assert bijector.trainable_variables[0].shape == (4,) and exact.variables[0].shape == (10,)
    x = tf.constant(np.random.default_rng(4).normal(size=(2, 6, 6)))
    np.testing.assert_allclose(bijector.forward(x), exact.forward(x), atol=1e-5)
    log_det = bijector.forward_log_det_jacobian(x, 2)
    np.testing.assert_allclose(log_det, exact.forward_log_det_jacobian(x, 2), rtol=1e-6)
    np.testing.assert_allclose(bijector.inverse(tf.identity(bijector.forward(x))), x, atol=1e-12)


def test_weights_go_from_knots_to_classes_and_to_other_knots(monkeypatch):
    """The same function of phat^2 is taken at the points of the other lattice."""
    use_knots(monkeypatch)
    small, large, larger = (FourierScaling(Lattice((extent, extent))) for extent in (4, 6, 8))
    name, points, values = "fourier_scaling/log_scale", [0, 1, 2, 8], np.array([1.0, 0.0, 2.0, 5.0])
    of_large = {name: values}
    np.testing.assert_array_equal(large.transferred(of_large, Lattice((6, 6)))[name], values)
    of_small = small.transferred(of_large, Lattice((6, 6)))[name]
    np.testing.assert_allclose(of_small, np.interp([0, 2, 4, 4, 6, 8], points, values), rtol=1e-6)
    of_larger, lowest = larger.transferred(of_large, Lattice((6, 6)))[name], 4 * np.sin(np.pi / 8) ** 2
    np.testing.assert_allclose(of_larger, np.interp([0, lowest, 2 * lowest, 8], points, values), rtol=1e-6)
    assert small.transferred({}, Lattice((6, 6))) == {}


def test_weights_of_an_earlier_version_give_the_same_map():
    """They had one number for each value of phat^2: 5 on this lattice, which has 6 orbits."""
    lattice, old = Lattice((4, 4)), np.random.default_rng(5).normal(size=5).astype(np.float32)
    bijector = FourierScaling(lattice)
    upgraded = bijector.upgraded({"fourier_scaling/log_scale": old})["fourier_scaling/log_scale"]
    np.testing.assert_array_equal(upgraded, old[[0, 1, 2, 2, 3, 4]])
    assert bijector.upgraded({"fourier_scaling/log_scale": upgraded}) == {} == bijector.upgraded({})


def test_transfer_takes_the_mean_of_orbits_with_the_same_momentum_squared():
    small, large, name = FourierScaling(Lattice((4, 4))), FourierScaling(Lattice((8, 8))), "fourier_scaling/log_scale"
    array = np.array([0.0, 1.0, 5.0, 7.0, 8.0, 9.0], np.float32)
    of_large = large.transferred({name: array}, Lattice((4, 4)))[name]
    momenta = Lattice((8, 8)).momentum_classes()[0]
    np.testing.assert_allclose(of_large, np.interp(momenta, [0, 2, 4, 6, 8], [0, 1, 6, 8, 9]), rtol=1e-6)
    # On the same lattice nothing is lost, and what an earlier version wrote is taken as well.
    np.testing.assert_array_equal(small.transferred({name: array}, Lattice((4, 4)))[name], array)
    old = large.transferred({name: np.array([0, 1, 6, 8, 9], np.float32)}, Lattice((4, 4)))[name]
    np.testing.assert_allclose(old, of_large, rtol=1e-6)
