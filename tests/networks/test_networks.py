"""Networks against slow NumPy forms."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.config import Component
from lattice_flows.lattice import Lattice
from lattice_flows.networks import NETWORKS
from lattice_flows.networks.propagator import _Sites, from_blocks, periodic_convolution, to_blocks

PARITIES = ("even", "odd")


def slow_convolution(x, kernel, radius):
    """`y_n = sum_r kernel_r x_{n + r}` on a periodic lattice."""
    d = x.ndim - 2
    y = 0
    for offset in itertools.product(range(-radius, radius + 1), repeat=d):
        shifted = np.roll(x, [-o for o in offset], axis=range(1, d + 1))
        y = y + shifted @ kernel[tuple(o + radius for o in offset)]
    return y


@pytest.mark.parametrize("shape", [(6,), (3,), (4, 6), (2, 2), (5, 4), (4, 2, 6), (2, 4, 3, 2)])
@pytest.mark.parametrize("radius", [0, 1, 2])
def test_periodic_convolution(shape, radius):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, *shape, 3)).astype(np.float32)
    kernel = rng.normal(size=(2 * radius + 1,) * len(shape) + (3, 2)).astype(np.float32)
    y = from_blocks(periodic_convolution(to_blocks(np.moveaxis(x, -1, 0)), kernel))
    np.testing.assert_allclose(np.moveaxis(y, 0, -1), slow_convolution(x, kernel, radius), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("shape", [(8,), (6, 4), (2, 4, 6), (2, 2, 4, 2)])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_convolutional_network_is_a_chain_of_convolutions(shape, kernel_size):
    component = Component(name="convolutional", channels=[4, 3], kernel_size=kernel_size, activation="leaky_relu")
    lattice = Lattice(shape)
    network = NETWORKS.build(component, lattice, lattice.parity() == 0, PARITIES, np.random.default_rng(8))
    field = np.random.default_rng(9).normal(size=(3, *shape))
    variables = {variable.name: variable.numpy() for variable in network.variables}
    x = field[..., np.newaxis]
    for depth in range(3):
        kernel, bias = variables[f"convolution_{depth}/kernel:0"], variables[f"convolution_{depth}/bias:0"]
        x = slow_convolution(x, kernel, kernel_size // 2) + bias
        x = np.where(x > 0, x, 0.01 * x) if depth < 2 else np.tanh(x)
    np.testing.assert_allclose(np.stack(network(tf.constant(field)), axis=-1), x, atol=1e-5)


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


def propagator_network(lattice, active):
    component = Component(name="propagator", features=3, spacing=0.6, propagators=[0.8, 0.2], bound=0.9)
    network = NETWORKS.build(component, lattice, active, ("odd", "even"), np.random.default_rng(10))
    for variable in network.variables:
        variable.assign_add(tf.random.stateless_uniform(variable.shape, [1, 2], -0.5, 0.5))
    return network


@pytest.mark.parametrize("shape", [(6,), (4, 2), (2, 4, 3)])
def test_propagator_network_is_its_formula(shape):
    lattice = Lattice(shape)
    active = lattice.stripes(0) == 1
    network = propagator_network(lattice, active)
    variables = {variable.name: variable.numpy().astype(float) for variable in network.variables}
    field = np.random.default_rng(11).normal(size=shape)
    free_action = 2 * lattice.d * np.eye(lattice.volume) - lattice.neighbours()
    kernels = [lattice.neighbours(), *(np.linalg.inv(free_action + m2 * np.eye(lattice.volume)) for m2 in (0.8, 0.2))]
    t, s = np.zeros(lattice.volume), np.zeros(lattice.volume)
    for x in np.flatnonzero(active):
        s[x] = variables["output_1/constant:0"]
        for k, kernel in enumerate(kernels):
            normalised = 2 * lattice.d * kernel[x] / kernel[x][~active.ravel()].sum()
            for y in np.flatnonzero(~active):
                phi = field.flat[y]
                waves = np.tanh(variables["frequencies:0"] * phi)
                t[x] += normalised[y] * variables["output_0/weights:0"][k] @ [phi, *waves]
                s[x] += normalised[y] * variables["output_1/weights:0"][k] @ waves**2
    odd, even = network(tf.constant(field[np.newaxis]))
    np.testing.assert_allclose(odd, t.reshape(1, *shape), atol=1e-5)
    np.testing.assert_allclose(even, 0.9 * np.tanh(s.reshape(1, *shape) / 0.9), atol=1e-5)


def test_propagator_network_has_the_parities_it_was_asked_for():
    lattice = Lattice((4, 4))
    network = propagator_network(lattice, lattice.parity() == 0)
    field = tf.constant(np.random.default_rng(12).normal(size=(2, 4, 4)))
    (odd, even), (mirrored_odd, mirrored_even) = network(field), network(-field)
    assert np.abs(odd).max() > 0.1 and np.abs(even).max() > 0.1
    np.testing.assert_array_equal(mirrored_odd, -odd)
    np.testing.assert_array_equal(mirrored_even, even)


COMPONENTS = [Component(name="dense", hidden=[5]), Component(name="propagator")]


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_packed_networks_see_frozen_sites_alone_and_say_nothing_about_them(component):
    lattice = Lattice((4, 4))
    active = lattice.stripes(1) == 0
    network = NETWORKS.build(component, lattice, active, PARITIES, np.random.default_rng(13))
    field = np.random.default_rng(14).normal(size=(2, 4, 4))
    blinded = np.where(active, np.nan, field)
    for output, same in zip(network(tf.constant(field)), network(tf.constant(blinded)), strict=True):
        np.testing.assert_array_equal(output, same)
        assert np.all(output.numpy()[:, ~active] == 0) and np.all(output.numpy()[:, active] != 0)


def test_sites_are_taken_and_put_back_and_each_is_the_others_gradient():
    mask = Lattice((2, 4)).stripes(1) == 1
    sites = _Sites(mask)
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


@pytest.mark.parametrize("component", [Component(name="convolutional"), Component(name="dense", hidden=[7])])
def test_initial_weights_are_pytorchs(component):
    lattice = Lattice((4, 4))
    network = NETWORKS.build(component, lattice, lattice.parity() == 0, PARITIES, np.random.default_rng(6))
    kernels = [variable.numpy() for variable in network.variables if "kernel" in variable.name]
    for kernel in kernels:
        bound = 1 / np.sqrt(kernel[..., 0].size)
        assert 0.8 * bound < np.abs(kernel).max() <= bound


@pytest.mark.parametrize("component", [Component(name="convolutional"), *COMPONENTS], ids=lambda component: component.name)
def test_the_same_generator_gives_the_same_weights(component):
    lattice = Lattice((4, 4))
    active = lattice.parity() == 0
    first, second = (NETWORKS.build(component, lattice, active, PARITIES, np.random.default_rng(7)) for _ in range(2))
    for one, other in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(one, other)
