"""Couplings with a conditioner that is known; what all flows have in common is in test_flow_conformance.py."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.bijectors import MaskedCoupling, RationalQuadraticSpline
from lattice_flows.lattice import Lattice

PARITY = Lattice((2, 4)).parity()


class CountingNetwork:
    """`s = tanh` and `t = 2` of the frozen field next to a site; counts its evaluations."""

    def __init__(self):
        self.evaluations = 0

    def __call__(self, frozen):
        self.evaluations += 1
        return tf.tanh(tf.roll(frozen, 1, 2)), 2 * tf.roll(frozen, 1, 1)


def field(seed=1):
    return tf.constant(np.random.default_rng(seed).normal(size=(3, 2, 4)))


def test_formula():
    x = field().numpy()
    y = MaskedCoupling(CountingNetwork(), PARITY == 1).forward(x).numpy()
    frozen = np.where(PARITY == 0, x, 0)
    expected = x * np.exp(np.tanh(np.roll(frozen, 1, 2))) + 2 * np.roll(frozen, 1, 1)
    np.testing.assert_allclose(y[:, PARITY == 1], expected[:, PARITY == 1], rtol=1e-14)
    np.testing.assert_array_equal(y[:, PARITY == 0], x[:, PARITY == 0])


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_one_network_evaluation_gives_value_and_log_determinant(direction):
    network = CountingNetwork()
    coupling = MaskedCoupling(network, PARITY == 0)
    x = field()
    getattr(coupling, direction)(x)
    getattr(coupling, f"{direction}_log_det_jacobian")(x, event_ndims=2)
    assert network.evaluations == 1


def test_a_nan_on_an_active_site_stays_there():
    active = PARITY == 0
    x = np.where(active, np.nan, field())
    y = MaskedCoupling(CountingNetwork(), active).forward(x).numpy()
    assert np.all(np.isfinite(y[:, ~active])) and np.all(np.isnan(y[:, active]))


def test_the_log_determinant_of_a_float32_field_is_float64():
    coupling = MaskedCoupling(CountingNetwork(), PARITY == 0)
    x = tf.cast(field(), tf.float32)
    assert coupling.forward(x).dtype == tf.float32
    assert coupling.forward_log_det_jacobian(x, event_ndims=2).dtype == tf.float64


@pytest.mark.parametrize("active", [np.zeros((2, 2)), np.ones((2, 2))])
def test_a_coupling_needs_both_kinds_of_sites(active):
    with pytest.raises(ValueError, match=rf"active and frozen sites, got {int(active.sum())}\.?0? active of 4"):
        MaskedCoupling(CountingNetwork(), active)


class Unbounded:
    """A conditioner whose outputs are large on frozen sites, where they do not count."""

    def __call__(self, frozen):
        return (tf.where(PARITY == 0, tf.roll(frozen, 1, 2), 1e4),) * 2


def test_what_the_conditioner_gives_on_frozen_sites_reaches_no_gradient():
    x, coupling = field(), MaskedCoupling(Unbounded(), PARITY == 0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(coupling.forward(x)) + tf.reduce_sum(coupling.forward_log_det_jacobian(x, 2))
    assert np.all(np.isfinite(tape.gradient(total, x)))


def test_a_conditioner_must_give_every_parameter():
    with pytest.raises(ValueError, match="the inner map RationalQuadraticSpline has 11 parameters, the conditioner gives 2"):
        MaskedCoupling(CountingNetwork(), PARITY == 0, RationalQuadraticSpline(bins=4)).forward(field())
