"""What must hold for HMC whatever it samples."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability.python.mcmc.internal.leapfrog_integrator import SimpleLeapfrogIntegrator

from lattice_flows.actions import ScalarPhi4
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.errors import estimate, primary
from lattice_flows.samplers.hmc import HMC, State

SHAPES = [(4, 4), (2, 2, 4)]


def action(shape):
    return ScalarPhi4(Lattice(shape), m2=-4.0, lam=7.0)


@pytest.mark.parametrize("shape", SHAPES)
def test_exp_minus_dh_averages_to_one_and_the_acceptance_is_as_asked(shape):
    hmc = HMC(action(shape), leapfrog_steps=6, seed=1)
    state = hmc.thermalise(hmc.init(128), trajectories=300, target_acceptance=0.7)
    infos = [info for _, info in hmc.sample(state, 300)]
    mean = estimate(primary(np.exp(-np.concatenate([info.dh for info in infos])).T, "hmc"))
    assert abs(mean.value - 1) < 4 * mean.error and mean.error < 0.01
    assert abs(np.mean([info.accepted.mean() for info in infos]) - 0.7) < 0.05


@pytest.mark.parametrize("shape", SHAPES)
def test_energy_violation_falls_with_the_square_of_the_step(shape):
    hmc = HMC(action(shape), leapfrog_steps=6, seed=2)
    state = hmc.thermalise(hmc.init(64), trajectories=100, target_acceptance=0.8)
    violations = []
    for refinement in (4, 8):
        finer = HMC(action(shape), leapfrog_steps=6 * refinement, seed=2)
        _, info = next(finer.sample(State(state.phi, state.step_size / refinement), 1))
        violations.append(info.dh)
    # The same seed draws the same momenta, so the violations shrink chain by chain.
    ratio = np.linalg.norm(violations[0]) / np.linalg.norm(violations[1])
    assert abs(ratio - 4) < 0.2


@pytest.mark.parametrize("shape", SHAPES)
def test_a_reversed_trajectory_returns(shape):
    s = action(shape)
    rng = np.random.default_rng(3)
    phi, momentum = (tf.constant(scale * rng.normal(size=(5, *shape))) for scale in (0.4, 1.0))
    leapfrog = SimpleLeapfrogIntegrator(lambda x: -s(x), [tf.constant(0.05, tf.float64)], 20)
    there = leapfrog([momentum], [phi])
    back = leapfrog([-there[0][0]], there[1])
    np.testing.assert_allclose(back[1][0], phi, atol=1e-12)
    assert np.max(np.abs(there[1][0] - phi)) > 0.1


def test_the_same_seed_gives_the_same_chain_and_another_one_another():
    def last(seed):
        hmc = HMC(action((2, 2)), leapfrog_steps=2, seed=seed)
        return [phi for phi, _ in hmc.sample(hmc.init(4), trajectories=20, piece=10)]

    first, again, other = last(4), last(4), last(5)
    assert [len(phi) for phi in first] == [10, 10]
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(again))
    assert not np.allclose(first[-1], other[-1])
