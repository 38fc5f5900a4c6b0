"""What must hold for local Metropolis whatever it samples."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.actions import Action, ScalarPhi4
from lattice_flows.lattice import Lattice
from lattice_flows.samplers import LocalMetropolis, run_chain


def sampler(shape=(4, 4), **settings):
    return LocalMetropolis(ScalarPhi4(Lattice(shape), m2=-4.0, lam=7.0), **settings)


@pytest.mark.parametrize("shape", [(4, 4), (2, 2, 4)])
def test_the_acceptance_is_as_asked(shape):
    metropolis = sampler(shape, chains=128, target_acceptance=0.7)
    chunks = list(run_chain(metropolis, updates=100, thermalisation=300, seed=1))
    accepted, chunk = np.concatenate([chunk.info.accepted for chunk in chunks]), chunks[-1]
    assert accepted.shape == (100, 128) and abs(accepted.mean() - 0.7) < 0.01
    assert "accepted" not in chunk.data  # every site has its own
    assert 0.1 < metropolis.diagnostics(chunk.state.sampler)["width"] < 2


def test_a_sweep_visits_every_site():
    metropolis = sampler(chains=64)
    # Narrow, so that nearly every proposal is accepted.
    start = metropolis.init(1)._replace(width=tf.constant(0.1, tf.float64))
    after, info = metropolis.step(start, tf.constant([1, 2]))
    moved = (after.phi != start.phi).numpy()
    np.testing.assert_allclose(moved.mean(axis=(1, 2)), info.accepted)
    assert np.all(moved.mean(axis=0) > 0.8) and np.max(np.abs(after.phi - start.phi)) <= 0.1


def test_an_odd_extent_is_refused():
    wrong = r"every extent even, but the lattice \(3, 4\) has 3: hmc, fourier_hmc and tempering take odd extents$"
    with pytest.raises(ValueError, match=wrong):
        sampler((3, 4))


def test_an_action_whose_change_at_a_site_is_not_known_is_refused():
    class Gaussian(Action):
        name = "gaussian"

    action = Gaussian(Lattice((4, 4)))
    with pytest.raises(ValueError, match="which Gaussian does not have: define change_at_each_site") as refused:
        LocalMetropolis(action)
    with pytest.raises(NotImplementedError) as raised:
        action.change_at_each_site(tf.zeros([1, 4, 4]), tf.zeros([1, 4, 4]))
    assert str(refused.value) == str(raised.value)
