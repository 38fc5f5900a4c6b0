"""Fast sines and cosines against NumPy's."""

import numpy as np
import tensorflow as tf

from lattice_flows.bijectors.sines import sines_and_cosines


def test_fast_sines_and_cosines():
    x = np.random.default_rng(4).uniform(-100, 100, 10000).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(variable := tf.constant(x))
        sine, cosine = sines_and_cosines(variable)
        total = 2 * sine + cosine
    np.testing.assert_allclose(sine, np.sin(x.astype(float)), atol=1e-6)
    np.testing.assert_allclose(cosine, np.cos(x.astype(float)), atol=1e-6)
    np.testing.assert_allclose(tape.gradient(total, variable), 2 * np.cos(x) - np.sin(x), atol=3e-6)
