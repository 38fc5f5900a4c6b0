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


def anisotropic(lattice):
    """A free field times a kernel of short range, at every class of momenta."""
    momenta, members = lattice.momentum_classes()
    cosines = np.cos(2 * np.pi * np.indices(lattice.shape).reshape(2, -1) / np.array(lattice.shape)[:, np.newaxis])
    kernel = 0.2 * np.prod(cosines, axis=0) - 0.1 * np.sum(cosines**2, axis=0)
    return -np.log(2 * (momenta + 0.5)) / 2 + kernel[np.unique(members, return_index=True)[1]]


KEY = "fourier_scaling/log_scale"


@pytest.mark.parametrize("extents", [(8, 12), (8, 13), (12, 8), (16, 20)])
def test_a_spectrum_that_depends_on_direction_survives_transfer(extents):
    before, after = (Lattice((extent, extent)) for extent in extents)
    found = FourierScaling(after).transferred({KEY: anisotropic(before)}, before)
    assert found.keys() == {KEY} and found[KEY].dtype == np.float32
    # An interpolation in phat^2 is off by .05 on average, and the fit of the smooth function by a little, most on small lattices.
    assert np.sqrt(np.mean((found[KEY] - anisotropic(after)) ** 2)) < (0.004 if min(extents) > 8 else 0.03)


def test_a_lattice_of_twice_the_extents_has_the_same_spectrum_at_the_same_momenta():
    small, large = Lattice((6, 6)), Lattice((12, 12))
    values = np.random.default_rng(6).normal(size=len(small.momentum_classes()[0]))
    found = FourierScaling(large).transferred({KEY: values}, small)[KEY]
    at_same = found[large.momentum_classes()[1]].reshape(12, 12)[::2, ::2]
    np.testing.assert_allclose(at_same.ravel(), values[small.momentum_classes()[1]], atol=1e-5)


def test_weights_go_from_classes_to_knots_and_on(monkeypatch):
    """The kernel of what is not smooth goes along, without loss once it is there."""
    small, large, larger = (Lattice((extent, extent)) for extent in (6, 12, 16))
    weights = {KEY: anisotropic(small)}
    expected = FourierScaling(large).transferred(weights, small)[KEY]
    for name, value in {"_MOST_CLASSES": 12, "_LOWEST": 6, "_KNOTS": 20}.items():
        monkeypatch.setattr(fourier_scaling, name, value)
    scaling = FourierScaling(large)
    found = scaling.transferred(weights, small)
    for variable in scaling.variables:
        variable.assign(found[variable.name.split(":")[0]])
    assert scaling.trainable_variables[0].shape == 26
    np.testing.assert_allclose(scaling._values(tf.float64), expected, atol=2e-3)  # knots are a little off between them
    again = scaling.transferred(found, large)
    assert all(np.array_equal(again[name], array) for name, array in found.items()) and again.keys() == found.keys()
    on = FourierScaling(larger).transferred(found, large)
    np.testing.assert_array_equal(on["fourier_scaling/kernel"][:8], found["fourier_scaling/kernel"][:8])
    back = FourierScaling(small).transferred(found, large)[KEY]
    np.testing.assert_allclose(back, weights[KEY], atol=2e-3)
    assert FourierScaling(small).transferred({}, large) == {}
    with pytest.raises(ValueError, match=r"log_scale has 28 numbers, a spectrum of Lattice\(\(12, 12\)\) has 26"):
        FourierScaling(small).transferred({KEY: expected}, large)


@pytest.mark.parametrize(
    "shapes", [((8,), (12,)), ((8, 8), (8, 12)), ((8, 12), (12, 8)), ((6, 6, 6), (6, 6, 8)), ((4, 4, 4, 4), (6, 6, 6, 6))]
)
@pytest.mark.parametrize("trainable", [True, False])
def test_the_free_field_is_the_free_field_on_every_lattice(shapes, trainable):
    before, after = map(Lattice, shapes)

    def free(momenta):
        return -np.log(2 * (momenta + 0.3)) / 2

    scaling = FourierScaling(after, trainable=trainable)
    found = scaling.transferred({KEY: free(before.momentum_classes()[0])}, before)[KEY]
    np.testing.assert_allclose(found, free(after.momentum_classes()[0]), atol=1e-4 if len(shapes[0]) > 1 else 0.1)


def test_the_smallest_lattices_have_a_function_that_is_linear_between_their_momenta():
    before, after = Lattice((2,)), Lattice((4,))
    found = FourierScaling(after).transferred({KEY: np.array([1.0, 3.0])}, before)[KEY]
    np.testing.assert_allclose(found, [1.0, 2.0, 3.0], atol=1e-6)


def test_weights_of_an_earlier_version_give_the_same_map():
    """They had one number for each value of phat^2: 5 on this lattice, which has 6 orbits."""
    lattice, old = Lattice((4, 4)), np.random.default_rng(5).normal(size=5).astype(np.float32)
    bijector = FourierScaling(lattice)
    upgraded = bijector.upgraded({"fourier_scaling/log_scale": old})["fourier_scaling/log_scale"]
    np.testing.assert_array_equal(upgraded, old[[0, 1, 2, 2, 3, 4]])
    assert bijector.upgraded({"fourier_scaling/log_scale": upgraded}) == {} == bijector.upgraded({})


def test_weights_of_an_earlier_version_are_transferred_like_those_of_this_one():
    old, small, large = np.array([0, 1, 6, 8, 9], np.float32), Lattice((4, 4)), FourierScaling(Lattice((8, 8)))
    new = old[[0, 1, 2, 2, 3, 4]]
    found = [large.transferred({KEY: array}, small)[KEY] for array in (old, new)]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_allclose(FourierScaling(small).transferred({KEY: old}, small)[KEY], new, atol=1e-6)
