"""What every registered network must satisfy, with the defaults of its settings. A new network is tested without a line here."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.config import Component
from lattice_flows.lattice import Lattice
from lattice_flows.networks import NETWORKS

LATTICE = Lattice((4, 4))
CHECKERBOARD = LATTICE.parity() == 0
PARITIES = ("even", "odd", "odd")

pytestmark = pytest.mark.parametrize("name", NETWORKS)


def build(name, active=CHECKERBOARD, seed=7):
    """A network away from its start, where some outputs are zero."""
    network = NETWORKS.build(Component(name=name), LATTICE, active, PARITIES, np.random.default_rng(seed))
    rng = np.random.default_rng(8)
    for variable in network.trainable_variables:
        variable.assign_add(rng.uniform(-0.1, 0.1, variable.shape))
    return network


def frozen(active=CHECKERBOARD, seed=9):
    return tf.constant(np.where(active, 0, np.random.default_rng(seed).normal(size=(3, 4, 4))))


def test_there_is_one_output_for_each_parity(name):
    outputs = build(name)(frozen())
    assert len(outputs) == len(PARITIES)
    for output in outputs:
        assert output.shape == (3, 4, 4) and output.dtype == tf.float32
        assert np.any(output.numpy()[:, CHECKERBOARD] != 0)


def test_the_same_generator_gives_the_same_weights(name):
    first, second, other = build(name), build(name), build(name, seed=17)
    for one, same in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(one, same)
    assert any(np.any(one != another) for one, another in zip(first.variables, other.variables, strict=True))


def test_every_variable_gets_a_gradient(name):
    network = build(name)
    with tf.GradientTape() as tape:
        total = tf.add_n([tf.reduce_sum(tf.where(CHECKERBOARD, output, 0) ** 2) for output in network(frozen())])
    for variable, gradient in zip(network.variables, tape.gradient(total, network.variables), strict=True):
        assert gradient is not None and np.any(gradient != 0), variable.name


def test_a_network_that_claims_the_sign_has_its_parities(name):
    network = build(name)
    if "sign" not in network.symmetries:
        pytest.skip("a network without this symmetry")
    for parity, output, mirrored in zip(PARITIES, network(frozen()), network(-frozen()), strict=True):
        np.testing.assert_allclose(mirrored, output if parity == "even" else -output, atol=1e-6)


def test_eager_and_xla_agree(name):
    network, field = build(name), frozen()
    for eager, compiled in zip(network(field), tf.function(network.__call__, jit_compile=True)(field), strict=True):
        np.testing.assert_allclose(np.where(CHECKERBOARD, eager, 0), np.where(CHECKERBOARD, compiled, 0), atol=1e-5)


def test_other_symmetries_are_those_of_flows(name):
    known = {"even translation", "rotation", "reflection", "sign"}
    assert NETWORKS.find(name).symmetries <= known
