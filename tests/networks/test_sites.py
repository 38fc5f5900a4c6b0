"""Sites of a mask, packed and put back."""

import numpy as np
import tensorflow as tf

from lattice_flows.lattice import Lattice
from lattice_flows.networks.sites import Sites


def test_sites_are_taken_and_put_back_and_each_is_the_others_gradient():
    mask = Lattice((2, 4)).stripes(1) == 1
    sites = Sites(mask)
    field = tf.constant(np.random.default_rng(15).normal(size=(3, 2, 4)))
    values = tf.constant(np.random.default_rng(16).normal(size=(3, 4)))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([field, values])
        taken, put = sites.take(field), sites.put(values)
    np.testing.assert_array_equal(taken, field.numpy()[:, mask])
    np.testing.assert_array_equal(put.numpy()[:, mask], values)
    assert len(sites) == 4 and np.all(put.numpy()[:, ~mask] == 0)
    np.testing.assert_array_equal(tape.gradient(taken, field, values), put)
    np.testing.assert_array_equal(tape.gradient(put, values, field), taken)
