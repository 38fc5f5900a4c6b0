"""What masses for every momentum change in HMC, and what they must not."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.actions import ScalarPhi4
from lattice_flows.fourier import hartley
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.errors import estimate, primary
from lattice_flows.samplers import FourierHMC, run_chain
from lattice_flows.samplers.fourier_hmc import State

M2 = 0.1


@pytest.fixture(scope="module")
def free():
    """A chain of the free field with a correlation length of three sites, and the sampler."""
    hmc = FourierHMC(ScalarPhi4(Lattice((6, 4)), m2=M2, lam=0.0), chains=64, leapfrog_steps=4)
    return hmc, list(run_chain(hmc, updates=300, thermalisation=200, seed=1))


def test_the_masses_are_those_of_the_free_field(free):
    hmc, chunks = free
    diagnostics = hmc.diagnostics(chunks[-1].state.sampler)
    # The mass follows from |phi_p|^2 of at most 64 x 200 configurations.
    assert abs(diagnostics["momentum_m2"] / M2 - 1) < 0.15
    assert diagnostics["trajectory_length"] == pytest.approx(np.pi / 2)
    masses = hmc._masses(chunks[-1].state.sampler.spectrum)
    np.testing.assert_allclose(masses, 2 * (hmc.action.lattice.momentum_squared()[:, :3] + M2), rtol=0.15)


def test_a_trajectory_forgets_the_slowest_mode(free):
    """Which takes one of many lengths with equal masses: its frequency is 1/8 of the fastest one's here."""
    _, chunks = free
    magnetization = np.concatenate([chunk.phi for chunk in chunks]).sum(axis=(2, 3))
    squared = estimate(primary((magnetization**2).T, "chains"))
    assert squared.tau_int < 0.7
    assert abs(squared.value - 24 / (2 * M2)) < 4 * squared.error < 0.1 * squared.value


def test_exp_minus_dh_averages_to_one(free):
    hmc, chunks = free
    series = np.concatenate([hmc.series(chunk.info)["exp_minus_dh"] for chunk in chunks])
    mean = estimate(primary(series.T, "chains"))
    assert hmc.exact == {"exp_minus_dh": 1.0} and abs(mean.value - 1) < 4 * mean.error < 0.01
    assert np.std(series) > 0.01


@pytest.mark.parametrize("shape", [(5,), (4, 4), (2, 2, 4), (2, 4, 2, 3)])
def test_trajectories_turn_back_and_keep_the_energy(shape):
    lattice = Lattice(shape)
    hmc = FourierHMC(ScalarPhi4(lattice, m2=-4.0, lam=7.0), chains=5, leapfrog_steps=20)
    rng = np.random.default_rng(3)
    phi, momenta = (tf.constant(scale * rng.normal(size=(5, *shape))) for scale in (0.4, 2.0))
    start = hmc.init(1)._replace(spectrum=tf.constant([0.5, 0.2, 4.0], tf.float64), step_size=tf.constant(0.01, tf.float64))
    start = State(phi, *hmc._action_and_force(phi), *start[3:])
    masses, (_, m2) = hmc._masses(start.spectrum), hmc._propagator(start.spectrum)
    transform = hartley(shape)
    size = masses[(0,) * len(shape)] / m2
    inverse = transform / (size * (lattice.momentum_squared().ravel() + m2)).numpy() @ transform

    def energy(action, momenta):
        return action + np.einsum("nx,xy,ny->n", np.reshape(momenta, [5, -1]), inverse, np.reshape(momenta, [5, -1])) / 2

    (there, action, force), after = hmc._trajectory(start, momenta, masses)
    back, _ = hmc._trajectory(State(there, action, force, *start[3:]), -after, masses)
    np.testing.assert_allclose(back[0], phi, atol=1e-12)
    assert np.max(np.abs(there - phi)) > 0.05
    np.testing.assert_allclose(energy(action, after), energy(start.action, momenta), atol=0.03)
    # dphi/dt is K^-1 pi, which is diagonal in momentum space.
    tiny = start._replace(step_size=tf.constant(1e-7, tf.float64))
    moved = (hmc._trajectory(tiny, momenta, masses)[0][0] - phi).numpy().reshape(5, -1) / (20 * 1e-7)
    np.testing.assert_allclose(moved, np.reshape(momenta, [5, -1]) @ inverse, atol=1e-4)
    white = hmc._filtered(hmc._filtered(momenta, tf.sqrt(masses)), 1 / tf.sqrt(masses))
    np.testing.assert_allclose(white, momenta, atol=1e-12)


def test_the_mass_is_between_that_of_the_propagator_and_the_bare_curvature():
    action = ScalarPhi4(Lattice((8, 8)), m2=-4.0, lam=7.0)
    smallest, state = 4 * np.sin(np.pi / 8) ** 2, FourierHMC(action).init(1)

    def m2(spectrum, **settings):
        given = state._replace(spectrum=tf.constant(spectrum, tf.float64))
        return FourierHMC(action, **settings).diagnostics(given)["momentum_m2"]

    # <|phi_p|^2> = 0.4 / (phat^2 + 0.2), and the curvature of a free field with that propagator, or 25 times as much.
    free = [0.4 / 0.2, 0.4 / (smallest + 0.2), 0.2 / 0.4]
    assert m2(free) == pytest.approx(0.2) and m2([*free[:2], 25 * free[2]]) == pytest.approx(1.0)
    assert m2(free, mass_squared=0.7) == pytest.approx(0.7)
    # No propagation: nearly equal masses.
    assert m2([0.3, 0.3, 30.0]) == 8
    # In the broken phase, M^2 of two peaks is replaced by a tenth of the smallest phat^2.
    assert m2([60.0, 0.3, 2.0]) == pytest.approx(np.sqrt(0.1 * smallest * 2.0 * 0.3 * 1.1 * smallest))
