"""What every registered inner map must satisfy, with the defaults of its settings. A new map is tested without a line here."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.bijectors import INNER_MAPS
from lattice_flows.config import Component

SHAPES = [(4, 4), (2, 2, 2, 2)]

pytestmark = pytest.mark.parametrize("name", INNER_MAPS)


def build(name):
    return INNER_MAPS.build(Component(name=name))


def arguments(inner, shape=(4, 4), scale=0.5, dtype=np.float64):
    """A field, wide enough for every segment of a map, and parameters."""
    rng = np.random.default_rng(1)
    return [tf.constant((size * rng.normal(size=(3, *shape))).astype(dtype)) for size in (2.0, *[scale] * len(inner.parities))]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_round_trip(name, shape, dtype):
    inner = build(name)
    x, *parameters = arguments(inner, shape, dtype=dtype)
    y, log_slope = inner.forward(x, *parameters)
    back, log_slope_back = inner.inverse(y, *parameters)
    assert y.dtype == log_slope.dtype == x.dtype and y.shape == log_slope.shape == x.shape
    tolerance = 1e-4 if dtype is np.float32 else 1e-11
    np.testing.assert_allclose(back, x, atol=tolerance)
    np.testing.assert_allclose(log_slope_back, -log_slope, atol=tolerance)


def test_the_slope_is_the_derivative(name):
    inner = build(name)
    x, *parameters = arguments(inner)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y, log_slope = inner.forward(x, *parameters)
    np.testing.assert_allclose(log_slope, np.log(np.abs(tape.gradient(y, x))), atol=1e-10)


def test_parameters_of_zero_make_the_identity(name):
    inner = build(name)
    x, *parameters = arguments(inner, scale=0.0)
    y, log_slope = inner.forward(x, *parameters)
    np.testing.assert_allclose(y, x, atol=1e-12)
    np.testing.assert_allclose(log_slope, 0, atol=1e-12)


def test_a_map_that_keeps_the_sign_is_odd(name):
    inner = build(name)
    if not inner.keeps_sign:
        pytest.skip("a map without this symmetry")
    x, *parameters = arguments(inner)
    flipped = [-value if parity == "odd" else value for value, parity in zip(parameters, inner.parities, strict=True)]
    (y, log_slope), (mirrored, same) = inner.forward(x, *parameters), inner.forward(-x, *flipped)
    np.testing.assert_allclose(mirrored, -y, atol=1e-12)
    np.testing.assert_allclose(same, log_slope, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_xla_takes_it(name, shape):
    inner = build(name)
    values = arguments(inner, shape, dtype=np.float32)
    for eager, compiled in zip(inner.forward(*values), tf.function(inner.forward, jit_compile=True)(*values), strict=True):
        np.testing.assert_allclose(eager, compiled, atol=1e-4)


def test_every_parameter_has_a_finite_gradient(name):
    inner = build(name)
    x, *parameters = arguments(inner)
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        y, log_slope = inner.forward(x, *parameters)
        total = tf.reduce_sum(y**2) + tf.reduce_sum(log_slope)
    for gradient in tape.gradient(total, parameters):
        assert np.all(np.isfinite(gradient)) and np.any(gradient != 0)
