"""What must hold for local Metropolis whatever it samples."""

import numpy as np
import pytest

from lattice_flows.actions import ScalarPhi4
from lattice_flows.lattice import Lattice
from lattice_flows.samplers.local_metropolis import LocalMetropolis


def sampler(shape=(4, 4), seed=1):
    return LocalMetropolis(ScalarPhi4(Lattice(shape), m2=-4.0, lam=7.0), seed=seed)


@pytest.mark.parametrize("shape", [(4, 4), (2, 2, 4)])
def test_the_acceptance_is_as_asked(shape):
    metropolis = sampler(shape)
    state = metropolis.thermalise(metropolis.init(128), sweeps=300, target_acceptance=0.7)
    acceptance = np.concatenate([info.acceptance for _, info in metropolis.sample(state, 100)])
    assert acceptance.shape == (100,) and abs(acceptance.mean() - 0.7) < 0.01


def test_a_sweep_visits_every_site():
    metropolis = sampler()
    state = metropolis.init(64, width=0.1)  # narrow, so that nearly every proposal is accepted
    phi, info = next(metropolis.sample(state, 1))
    moved = phi[0] != state.phi.numpy()
    assert moved.mean() == pytest.approx(info.acceptance[0]) and np.all(moved.mean(axis=0) > 0.8)
    assert np.max(np.abs(phi[0] - state.phi)) <= 0.1


def test_sweeps_between_configurations_are_made_and_counted():
    metropolis = sampler()
    state = metropolis.init(8, width=0.1)
    far = next(metropolis.sample(state, 1, sweeps_between=5))
    assert np.max(np.abs(far[0][0] - state.phi)) > 0.1 and far[1].acceptance.shape == (1,) and far[1].acceptance[0] < 1


def test_the_same_seed_gives_the_same_chain_and_another_one_another():
    def whole(seed):
        metropolis = sampler((2, 2), seed)
        return [phi for phi, _ in metropolis.sample(metropolis.init(4), 20, piece=10)]

    first, again, other = whole(4), whole(4), whole(5)
    assert [len(phi) for phi in first] == [10, 10]
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(again))
    assert not np.allclose(first[-1], other[-1])


def test_an_odd_extent_is_refused():
    with pytest.raises(ValueError, match=r"every extent even, but the lattice \(3, 4\) has 3"):
        sampler((3, 4))
