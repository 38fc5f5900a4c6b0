"""Maps of one colour of the checkerboard."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.actions import ScalarPhi4
from lattice_flows.bijectors import EvenSites, OnOddSites, SinhArcsinh
from lattice_flows.bijectors.odd_sites import joined, split
from lattice_flows.lattice import Lattice, OddSites

SHAPES = [(4,), (4, 6), (2, 4, 2), (2, 2, 2, 4)]


def fields(shape, n=5, seed=1):
    return tf.constant(np.random.default_rng(seed).normal(size=(n, *shape)))


@pytest.mark.parametrize("shape", SHAPES)
def test_colours_are_split_and_joined(shape):
    lattice, phi = Lattice(shape), fields(shape)
    even, odd = split(phi, lattice.d)
    for colour, part in enumerate((even, odd)):
        assert part.shape == (5, *OddSites(lattice).shape)
        np.testing.assert_array_equal(np.reshape(part, (5, -1)), phi.numpy()[:, lattice.parity() == colour])
    np.testing.assert_array_equal(joined(even, odd, lattice.d), phi)


@pytest.mark.parametrize("shape", SHAPES)
def test_even_sites_are_kept(shape):
    lattice, phi, inner = Lattice(shape), fields(shape), SinhArcsinh(len(shape), width=0.6, tail=0.7)
    found = OnOddSites(lattice, inner).forward(phi).numpy()
    even = lattice.parity() == 0
    np.testing.assert_array_equal(found[:, even], phi.numpy()[:, even])
    np.testing.assert_allclose(found[:, ~even], inner.forward(phi).numpy()[:, ~even])


@pytest.mark.parametrize("shape", SHAPES)
def test_log_det_is_that_of_the_conditional_distribution(shape):
    """log n(z) - log det changes like minus the action if even sites alone change, and not at all with the odd ones' z."""
    action = ScalarPhi4(Lattice(shape), m2=-2.0, lam=1.5)
    bijector, d = EvenSites(action.lattice, *action.site_potential), action.lattice.d
    _, odd = split(fields(shape), d)
    z, other = (joined(split(fields(shape, seed=seed), d)[0], odd, d) for seed in (2, 3))
    of_even = []
    for noise in (z, other):
        phi = tf.identity(bijector.forward(noise))
        np.testing.assert_array_equal(split(phi, d)[1], odd)
        normal = -tf.reduce_sum(split(noise, d)[0] ** 2, action.lattice.axes) / 2
        of_even.append(normal - bijector.forward_log_det_jacobian(noise, d) + action(phi))
    np.testing.assert_allclose(*of_even, atol=1e-10)


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_the_density_of_rounded_fields_is_exact(dtype):
    action = ScalarPhi4(Lattice((4, 4)), m2=-2.0, lam=1.5)
    bijector = EvenSites(action.lattice, *action.site_potential)
    z = tf.cast(fields((4, 4)), dtype)
    phi = bijector.forward(z)
    assert phi.dtype == dtype
    again = tf.identity(phi)  # or the cache would give z back
    log_q = [-tf.reduce_sum(tf.cast(split(noise, 2)[0], tf.float64) ** 2, (1, 2)) / 2 for noise in (z, bijector.inverse(again))]
    there = log_q[0] - bijector.forward_log_det_jacobian(z, 2)
    np.testing.assert_allclose(there, log_q[1] + bijector.inverse_log_det_jacobian(again, 2), atol=1e-11)
