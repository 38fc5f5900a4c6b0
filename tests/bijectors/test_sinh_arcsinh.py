"""The site map against its formula, its derivative and its tails."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.bijectors import SinhArcsinh

WIDTH, TAIL = np.exp(np.float32(np.log([0.6, 0.7])), dtype=float)  # what is left of them in float32


def bijector():
    return SinhArcsinh(ndims=2, width=0.6, tail=0.7)


def formula(x):
    return WIDTH * np.sinh(TAIL * np.arcsinh(x / WIDTH))


def field(scale=2.0):
    return scale * np.random.default_rng(1).normal(size=(3, 2, 4))


def test_formula():
    np.testing.assert_allclose(bijector().forward(field()), formula(field()), rtol=1e-12)


def test_inverse():
    np.testing.assert_allclose(bijector().inverse(formula(field())), field(), rtol=1e-12)


def test_log_determinant_is_that_of_the_numerical_derivative():
    x, h = field(), 1e-5
    slope = (formula(x + h) - formula(x - h)) / (2 * h)
    log_det = bijector().forward_log_det_jacobian(x, event_ndims=2)
    np.testing.assert_allclose(log_det, np.sum(np.log(slope), axis=(1, 2)), rtol=1e-7)
    np.testing.assert_allclose(bijector().inverse_log_det_jacobian(formula(x), event_ndims=2), -log_det, rtol=1e-10)


def test_the_start_is_the_identity_if_nothing_else_is_said():
    identity = SinhArcsinh(ndims=2)
    np.testing.assert_allclose(identity.forward(field()), field(), rtol=1e-12)
    np.testing.assert_allclose(identity.forward_log_det_jacobian(field(), event_ndims=2), np.zeros(3), atol=1e-12)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("scale", [1e-12, 1e-4, 1e4, 1e12])
def test_fields_of_any_size_in_float32(scale, jit_compile):
    x = field(scale)

    @tf.function(jit_compile=jit_compile)
    def both(x):
        return bijector_.forward(x), bijector_.forward_log_det_jacobian(x, event_ndims=2)

    bijector_ = bijector()
    y, log_det = both(tf.constant(x, tf.float32))
    exact = bijector_.forward_log_det_jacobian(x, event_ndims=2)
    assert y.dtype == tf.float32 and log_det.dtype == tf.float64
    np.testing.assert_allclose(y, formula(x), rtol=2e-5, atol=1e-7)
    np.testing.assert_allclose(log_det, exact, rtol=1e-5)


@pytest.mark.parametrize("key", ["width", "tail"])
@pytest.mark.parametrize("value", [-1.0, 0.0, np.nan, np.inf])
def test_impossible_numbers_at_the_start(key, value):
    with pytest.raises(ValueError, match=rf"{key} must be positive and finite, got {value}"):
        SinhArcsinh(2, **{key: value})
