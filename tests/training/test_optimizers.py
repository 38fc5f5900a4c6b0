"""The optimiser against the formulas of arXiv:1412.6980."""

import numpy as np
import tensorflow as tf

from lattice_flows.training.adam import Adam


def test_updates_are_those_of_the_paper():
    rng = np.random.default_rng(1)
    weights = [tf.Variable(rng.normal(size=shape).astype(np.float32)) for shape in [(2, 3), (4,), ()]]
    adam = Adam(weights, lambda updates: 0.1 / (1 + tf.cast(updates, tf.float32)), beta_1=0.8, beta_2=0.9, clip=2.0)
    expected = np.concatenate([weight.numpy().ravel() for weight in weights]).astype(float)
    first, second = np.zeros(11), np.zeros(11)
    for t in range(1, 4):
        gradient = t * rng.normal(size=11)
        adam.apply(tf.constant(gradient, tf.float32))
        gradient *= min(1, 2 / np.linalg.norm(gradient))
        first, second = 0.8 * first + 0.2 * gradient, 0.9 * second + 0.1 * gradient**2
        expected -= 0.1 / t * first / (1 - 0.8**t) / np.sqrt(second / (1 - 0.9**t))
    np.testing.assert_allclose(np.concatenate([weight.numpy().ravel() for weight in weights]), expected, atol=1e-5)
    updates, moments = adam.variables
    assert updates == 3
    np.testing.assert_allclose(moments, [first, second], atol=1e-5)
