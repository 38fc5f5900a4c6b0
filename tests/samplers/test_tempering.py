"""Replica exchange where HMC alone does not cross a barrier, and how its ladder is told."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.actions import Action, ScalarPhi4
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.errors import Estimate, pull
from lattice_flows.measurement.observables import Measurements
from lattice_flows.samplers import HMC, Tempering, run_chain

HEIGHT, TILT = 12.0, 0.3


class TiltedWells(Action):
    """Independent sites in two wells of different depth, `S = sum_x [ 12 (phi_x^2 - 1)^2 + 0.3 phi_x ]`: no flip is exact."""

    name = "tilted_wells"

    def __call__(self, phi):
        return tf.reduce_sum(HEIGHT * (phi**2 - 1) ** 2 + TILT * phi, self.lattice.axes)


def exact(power):
    x = np.linspace(-2.5, 2.5, 2001)
    density = np.exp(-HEIGHT * (x**2 - 1) ** 2 - TILT * x)
    return np.sum(density * x**power) / np.sum(density)


def measured(sampler):
    chunks = list(run_chain(sampler, updates=800, thinning=2, thermalisation=300, seed=3))
    return Measurements.of(sampler.action, np.concatenate([chunk.phi for chunk in chunks])), chunks[-1].state.sampler


@pytest.mark.slow
def test_replicas_cross_a_barrier_that_hmc_alone_does_not():
    """The well in which HMC starts decides: both are equally frequent there."""
    action = TiltedWells(Lattice((2, 2)))
    stuck, _ = measured(HMC(action, chains=64, leapfrog_steps=5))
    assert abs(pull(stuck.estimate("magnetization"), Estimate(exact(1), 0.0))) > 3
    sampler = Tempering(action, chains=64, leapfrog_steps=5, replicas=5, smallest_beta=0.1)
    found, state = measured(sampler)
    for name, power in (("magnetization", 1), ("phi_squared", 2), ("phi_fourth", 4)):
        estimated = found.estimate(name)
        assert estimated.error < 0.1 * abs(exact(power))
        assert abs(pull(estimated, Estimate(exact(power), 0.0))) < 4, (name, estimated, exact(power))
    assert found.estimate("magnetization").tau_int < 40
    diagnostics = sampler.diagnostics(state)
    assert len(diagnostics["exchange_acceptances"]) == 4
    assert 0.2 < diagnostics["smallest_exchange_acceptance"] < 1
    # Shallow wells allow longer steps.
    assert np.all(np.diff(state.step_sizes) > 0)


def test_an_exchange_swaps_whole_configurations_of_one_chain():
    sampler = Tempering(ScalarPhi4(Lattice((2, 2)), m2=-4.0, lam=7.0), chains=6, leapfrog_steps=1, replicas=3)
    # With steps of no length, nothing but exchanges moves a configuration.
    start = sampler.init(1)
    fields = tf.constant(np.random.default_rng(2).normal(size=(3, 6, 2, 2)))
    start = start._replace(phi=fields[0], others=fields[1:], step_sizes=tf.zeros_like(start.step_sizes))
    seen = set()
    for seed in range(8):
        after, info = sampler.step(start, tf.constant([seed, 5]))
        replicas, swaps = np.concatenate([after.phi[np.newaxis], after.others]), []
        for chain in range(6):
            order = [int(np.flatnonzero((fields[:, chain] == replica).numpy().all((1, 2)))[0]) for replica in replicas[:, chain]]
            assert sorted(order) == [0, 1, 2]
            seen.add(tuple(order))
            swaps.append([order[0] == 1, order[2] == 1])
        # All chains propose the exchange of one of both pairs, and what was accepted is what has happened.
        assert sorted(after.proposed.numpy()) == [0, 6]
        np.testing.assert_array_equal(after.exchanged, np.sum(swaps, axis=0))
        assert np.all(after.exchanged <= after.proposed)
        np.testing.assert_array_equal(info.acceptances, 1)
    assert seen == {(0, 1, 2), (1, 0, 2), (0, 2, 1)}


def test_refusals():
    action = ScalarPhi4(Lattice((2, 2)), m2=1.0, lam=1.0)
    with pytest.raises(ValueError, match="tempering needs 2 replicas or more, not 1"):
        Tempering(action, replicas=1)
    with pytest.raises(ValueError, match=r"smallest_beta must lie between 0 and 1, not 1\.5"):
        Tempering(action, smallest_beta=1.5)
