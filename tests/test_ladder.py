"""The ladder of exact answers that every sampler must climb, in two and three dimensions. Tolerances: four standard deviations."""

import numpy as np
import pytest
import tensorflow as tf
from exact import free_field, single_site, two_sites_in_every_direction

from lattice_flows.actions import ScalarPhi4
from lattice_flows.command_line import CONFIGS
from lattice_flows.config import load
from lattice_flows.flows import FLOWS
from lattice_flows.importance import WeightedSampler, log_z
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.errors import Estimate, pull
from lattice_flows.measurement.observables import Measurements
from lattice_flows.samplers.hmc import HMC
from lattice_flows.samplers.independence_metropolis import chain
from lattice_flows.samplers.local_metropolis import LocalMetropolis
from lattice_flows.seeds import sub_seed
from lattice_flows.training.devices import choose_strategy
from lattice_flows.training.trainer import TrainingStep

SIGMAS = 4.0


def by_hmc(action):
    hmc = HMC(action, leapfrog_steps=8, seed=21)
    state = hmc.thermalise(hmc.init(128), trajectories=200, target_acceptance=0.8)
    measurements = Measurements(action, "hmc")
    for phi, _ in hmc.sample(state, trajectories=400):
        measurements.add(phi)
    return measurements, None


def by_local_metropolis(action):
    metropolis = LocalMetropolis(action, seed=24)
    state = metropolis.thermalise(metropolis.init(128), sweeps=200, target_acceptance=0.7)
    measurements = Measurements(action, "metropolis")
    for phi, _ in metropolis.sample(state, configurations=400, sweeps_between=3):
        measurements.add(phi)
    return measurements, None


def by_flow(action):
    """Independence Metropolis from a flow after some training."""
    lattice = list(action.lattice.shape)
    config = load(CONFIGS / "E1.yaml", {"lattice": {"shape": lattice}, "flow": {"layers": 1}, "training": {"steps": 60}})
    strategy = choose_strategy("cpu")
    with strategy.scope():
        flow = FLOWS.build(config.flow, action.lattice, 22)
    step = TrainingStep(flow, action, config.training, strategy)
    for index in range(config.training.steps):
        step(sub_seed(22, "training", index))
    sampler = WeightedSampler(flow, action, 2048, seed=23)
    measurements, proposed = Measurements(action, "flow"), []
    for info in chain(sampler, length=30000, thermalisation=1000, seed=23):
        measurements.add(info.phi[:, np.newaxis])
        proposed.append(info.proposed_log_weight)
    return measurements, log_z(np.concatenate(proposed))


@pytest.fixture(params=[by_hmc, by_local_metropolis, by_flow], ids=["hmc", "local_metropolis", "independence_metropolis"])
def sample(request):
    return request.param


def check(sampled, exact):
    measurements, estimated_log_z = sampled
    exact = dict(exact)
    if estimated_log_z is not None:
        assert abs(pull(Estimate(*estimated_log_z), Estimate(exact["log_z"], 0.0))) < SIGMAS
    del exact["log_z"]
    for name, value in exact.items():
        estimated = measurements.estimate(name)
        # A statistical test says something only if its error is small.
        assert 0 < estimated.error < 0.06 * abs(value), (name, estimated)
        assert abs(pull(estimated, Estimate(value, 0.0))) < SIGMAS, (name, estimated, value)


@pytest.mark.parametrize("shape", [(6, 6), (2, 2, 4)])
def test_free_field(sample, shape):
    lattice, m2 = Lattice(shape), 2.5
    exact = free_field(lattice, m2)
    if shape != (6, 6) or sample is by_flow:
        del exact["pole_mass"]  # too short a lattice, or too few configurations for so heavy a particle
    check(sample(ScalarPhi4(lattice, m2=m2, lam=0.0)), exact)


class NoHopping(ScalarPhi4):
    """Independent sites."""

    def __call__(self, phi):
        squared = tf.cast(phi, tf.float64) ** 2
        return tf.reduce_sum((self.m2 + 2 * self.lattice.d) * squared + self.lam * squared**2, self.lattice.axes)

    def change_at_each_site(self, phi, proposal):
        before, after = phi**2, proposal**2
        return (after - before) * (self.m2 + 2 * self.lattice.d + self.lam * (after + before))


@pytest.mark.parametrize("shape", [(4, 4), (2, 2, 4)])
def test_no_hopping(sample, shape):
    action = NoHopping(Lattice(shape), m2=-3.0, lam=4.0)
    site = single_site(-3.0 + 2 * len(shape), 4.0)
    exact = site | {"log_z": site["log_z"] * action.lattice.volume}
    check(sample(action), exact)


@pytest.mark.parametrize("d", [2, 3])
def test_two_sites_in_every_direction(sample, d):
    action = ScalarPhi4(Lattice((2,) * d), m2=-4.0, lam=7.0)
    check(sample(action), two_sites_in_every_direction(d, -4.0, 7.0))


def test_the_exact_answers_agree_with_each_other():
    free = free_field(Lattice((2, 2)), 1.7)
    quadrature = two_sites_in_every_direction(2, 1.7, 0.0)
    for name in quadrature.keys() & free.keys():
        np.testing.assert_allclose(quadrature[name], free[name], rtol=1e-6, err_msg=name)
    # Schwinger-Dyson, exact at any coupling, ties the moments of the quadrature together.
    for d in (2, 3):
        q = two_sites_in_every_direction(d, -4.0, 7.0)
        value = 2 * (-4.0 + 2 * d) * q["phi_squared"] + 28 * q["phi_fourth"] - 4 * d * q["ising_energy"]
        np.testing.assert_allclose(value, 1, rtol=1e-5)
