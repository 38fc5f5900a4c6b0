"""What must hold for HMC whatever it samples."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability.python.mcmc.internal.leapfrog_integrator import SimpleLeapfrogIntegrator

from lattice_flows.actions import ScalarPhi4
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.errors import estimate, primary
from lattice_flows.samplers import HMC, run_chain
from lattice_flows.samplers.hmc import Info

SHAPES = [(4, 4), (2, 2, 4)]


def action(shape):
    return ScalarPhi4(Lattice(shape), m2=-4.0, lam=7.0)


@pytest.mark.parametrize("shape", SHAPES)
def test_exp_minus_dh_averages_to_one_and_the_acceptance_is_as_asked(shape):
    hmc = HMC(action(shape), chains=128, target_acceptance=0.7, leapfrog_steps=6)
    chunks = list(run_chain(hmc, updates=600, thermalisation=300, seed=1))
    dh = np.concatenate([chunk.info.dh for chunk in chunks])
    mean = estimate(primary(np.exp(-dh).T, "hmc"))
    assert abs(mean.value - 1) < 4 * mean.error and mean.error < 0.01
    assert abs(np.mean(np.concatenate([chunk.info.accepted for chunk in chunks])) - 0.7) < 0.02
    series = hmc.series(chunks[0].info)["exp_minus_dh"]
    assert hmc.exact == {"exp_minus_dh": 1.0} and series.shape == chunks[0].info.dh.shape
    diagnostics = hmc.diagnostics(chunks[-1].state.sampler)
    assert diagnostics["trajectory_length"] == 6 * diagnostics["step_size"] > 0


def test_unstable_trajectories_count_as_one():
    series = HMC(action((4, 4))).series(Info(None, np.array([[0.5, -800.0, np.inf, np.nan]])))
    np.testing.assert_array_equal(series["exp_minus_dh"], [[np.exp(-0.5), 1, 1, 1]])


@pytest.mark.parametrize("shape", SHAPES)
def test_energy_violation_falls_with_the_square_of_the_step(shape):
    hmc = HMC(action(shape), chains=64, target_acceptance=0.8, leapfrog_steps=6)
    state = next(run_chain(hmc, updates=1, thermalisation=100, seed=2)).state.sampler
    violations = []
    for refinement in (4, 8):
        finer = HMC(action(shape), chains=64, leapfrog_steps=6 * refinement)
        _, info = finer.step(finer.start(state.phi, state.step_size / refinement), tf.constant([3, 4]))
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
