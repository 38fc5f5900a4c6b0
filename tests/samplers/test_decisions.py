"""The Metropolis test of whole configurations."""

import numpy as np
import tensorflow as tf

from lattice_flows.samplers.decisions import accepts, chosen

NOTHING = float("nan")


def test_acceptances_are_those_of_the_changes():
    n = 20000
    dh = tf.constant(np.repeat([-1.0, 0.5, 2.0, -np.inf, np.inf, NOTHING], n))
    shares = accepts(dh, tf.constant([1, 2])).numpy().reshape(6, n).mean(axis=1)
    for share, chance in zip(shares, [1, np.exp(-0.5), np.exp(-2.0), 1, 0, 0], strict=True):
        assert abs(share - chance) <= 4 * np.sqrt(chance * (1 - chance) / n)


def test_each_chain_holds_all_of_one_state():
    proposed, present = ((tf.fill([3, 2, 2], value), tf.fill([3], value)) for value in (1.0, 0.0))
    fields, numbers = chosen(tf.constant([True, False, True]), proposed, present)
    np.testing.assert_array_equal(numbers, [1, 0, 1])
    np.testing.assert_array_equal(fields, np.broadcast_to([[[1.0]], [[0.0]], [[1.0]]], [3, 2, 2]))
