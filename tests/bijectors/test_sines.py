"""Fast sines and cosines against NumPy's."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.bijectors.sines import sines_and_cosines


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 2e-14)])
def test_fast_sines_and_cosines(dtype, tolerance):
    x = np.random.default_rng(4).uniform(-100, 100, 10000).astype(dtype)
    with tf.GradientTape() as tape:
        tape.watch(variable := tf.constant(x))
        sine, cosine = sines_and_cosines(variable)
        total = 2 * sine + cosine
    np.testing.assert_allclose(sine, np.sin(x.astype(float)), rtol=0, atol=tolerance)
    np.testing.assert_allclose(cosine, np.cos(x.astype(float)), rtol=0, atol=tolerance)
    np.testing.assert_allclose(tape.gradient(total, variable), 2 * np.cos(x) - np.sin(x), rtol=0, atol=3 * tolerance)
