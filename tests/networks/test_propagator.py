"""The propagator network against its formula, by both ways of convolving."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows import fourier
from lattice_flows.config import Component
from lattice_flows.fourier import convolution_matrix, nearest_neighbours
from lattice_flows.lattice import Lattice, OddSites
from lattice_flows.networks import NETWORKS

ON_ODD_SITES = {f"odd {shape}": OddSites(Lattice(shape)) for shape in ((4, 6), (2, 4, 2))}


def propagator_network(lattice, active):
    component = Component(name="propagator", features=3, spacing=0.6, propagators=[0.8, 0.2], bound=0.9)
    network = NETWORKS.build(component, lattice, active, ("odd", "even"), np.random.default_rng(10))
    for variable in network.variables:
        variable.assign_add(tf.random.stateless_uniform(variable.shape, [1, 2], -0.5, 0.5))
    return network


@pytest.mark.parametrize("shape", [(6,), (4, 2), (2, 4, 3), "odd (4, 6)", "odd (2, 4, 2)"], ids=str)
@pytest.mark.parametrize("dense", [True, False])
def test_propagator_network_is_its_formula(monkeypatch, shape, dense):
    monkeypatch.setattr(fourier, "DENSE", 10**6 if dense else 0)
    lattice = ON_ODD_SITES[shape] if isinstance(shape, str) else Lattice(shape)
    shape, active = lattice.shape, lattice.stripes(0) == 1
    network = propagator_network(lattice, active)
    variables = {variable.name: variable.numpy().astype(float) for variable in network.variables}
    field = np.random.default_rng(11).normal(size=shape)
    whole = lattice.whole
    neighbours = convolution_matrix(nearest_neighbours(whole), whole)
    free_action = 2 * whole.d * np.eye(whole.volume) - neighbours
    kernels = [neighbours, *(np.linalg.inv(free_action + m2 * np.eye(whole.volume)) for m2 in (0.8, 0.2))]
    if lattice is not whole:
        kernels[0] = neighbours @ neighbours * (1 - np.eye(whole.volume))  # the sites between
        kernels = [kernel[lattice.mask.ravel()][:, lattice.mask.ravel()] for kernel in kernels]
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


def test_large_lattices_make_no_large_matrix_and_have_the_same_gradient(monkeypatch):
    lattice = Lattice((4, 6))
    field = tf.constant(np.random.default_rng(12).normal(size=(2, 4, 6)), tf.float32)
    gradients = []
    for largest in (10**6, 0):
        monkeypatch.setattr(fourier, "DENSE", largest)
        network = propagator_network(lattice, lattice.parity() == 0)
        with tf.GradientTape() as tape:
            tape.watch(field)
            odd, even = network(field)
            total = tf.reduce_sum(odd**2) + tf.reduce_sum(even)
        gradients.append([*tape.gradient(total, [field, *network.trainable_variables]), odd, even])
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_propagator_network_has_the_parities_it_was_asked_for():
    lattice = Lattice((4, 4))
    network = propagator_network(lattice, lattice.parity() == 0)
    field = tf.constant(np.random.default_rng(12).normal(size=(2, 4, 4)))
    (odd, even), (mirrored_odd, mirrored_even) = network(field), network(-field)
    assert np.abs(odd).max() > 0.1 and np.abs(even).max() > 0.1
    np.testing.assert_array_equal(mirrored_odd, -odd)
    np.testing.assert_array_equal(mirrored_even, even)


def test_it_sees_frozen_sites_alone_and_gives_nothing_on_them():
    lattice = Lattice((4, 4))
    active = lattice.stripes(1) == 0
    network = NETWORKS.build(Component(name="propagator"), lattice, active, ("even", "odd"), np.random.default_rng(13))
    field = np.random.default_rng(14).normal(size=(2, 4, 4))
    blinded = np.where(active, np.nan, field)
    for output, same in zip(network(tf.constant(field)), network(tf.constant(blinded)), strict=True):
        np.testing.assert_array_equal(output, same)
        assert np.all(output.numpy()[:, ~active] == 0) and np.all(output.numpy()[:, active] != 0)
