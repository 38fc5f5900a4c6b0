"""Fully connected layers against their formula."""

import numpy as np
import tensorflow as tf

from lattice_flows.config import Component
from lattice_flows.lattice import Lattice
from lattice_flows.networks import NETWORKS

PARITIES = ("even", "odd")


def test_dense_network_is_a_chain_of_matrix_products():
    lattice = Lattice((2, 4))
    active = lattice.parity() == 1
    component = Component(name="dense", hidden=[5], activation="tanh", final_activation="linear")
    network = NETWORKS.build(component, lattice, active, PARITIES, np.random.default_rng(4))
    field = np.random.default_rng(5).normal(size=(3, 2, 4))
    variables = {variable.name: variable.numpy() for variable in network.variables}
    hidden = np.tanh(field[:, ~active] @ variables["dense_0/kernel:0"] + variables["dense_0/bias:0"])
    expected = np.zeros((3, 2, 2, 4))
    expected[:, :, active] = (hidden @ variables["dense_1/kernel:0"] + variables["dense_1/bias:0"]).reshape(3, 2, 4)
    np.testing.assert_allclose(np.stack(network(tf.constant(field)), axis=1), expected, atol=1e-5)


def test_it_sees_frozen_sites_alone_and_gives_nothing_on_them():
    lattice = Lattice((4, 4))
    active = lattice.stripes(1) == 0
    network = NETWORKS.build(Component(name="dense", hidden=[5]), lattice, active, ("even", "odd"), np.random.default_rng(13))
    field = np.random.default_rng(14).normal(size=(2, 4, 4))
    blinded = np.where(active, np.nan, field)
    for output, same in zip(network(tf.constant(field)), network(tf.constant(blinded)), strict=True):
        np.testing.assert_array_equal(output, same)
        assert np.all(output.numpy()[:, ~active] == 0) and np.all(output.numpy()[:, active] != 0)
