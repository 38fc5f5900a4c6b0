"""The ladder of exact answers that every registered sampler must climb, in two and three dimensions.

Tolerances: four standard deviations.
"""

import numpy as np
import pytest
import tensorflow as tf
from exact import free_field, single_site, two_sites_in_every_direction

from lattice_flows import flows
from lattice_flows.actions import Action, ScalarPhi4
from lattice_flows.importance import WeightedSampler, log_z
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.errors import Estimate, pull
from lattice_flows.measurement.observables import Measurements
from lattice_flows.samplers import SAMPLERS, run_chain

SIGMAS = 4.0


def small_flow(lattice, prior):
    """Two couplings and an element-wise map that are not the identity, on a prior that roughly fits: no training is needed."""
    flow = flows.affine(lattice, 22, layers=2, prior=prior)
    rng = np.random.default_rng(22)
    for variable in flow.bijector.trainable_variables:
        variable.assign_add(rng.normal(scale=0.03, size=variable.shape))
    return flow


@pytest.fixture(params=SAMPLERS)
def sample(request):
    """Runs a sampler on an action: its measurements, and an estimate of log Z where it has one."""

    def run(action, prior):
        sampler = SAMPLERS[request.param]
        if not sampler.needs_flow:
            chunks = run_chain(sampler(action, chains=128), updates=1200, thinning=3, thermalisation=200, seed=21)
            return Measurements.of(action, np.concatenate([chunk.phi for chunk in chunks])), None
        proposals = WeightedSampler(small_flow(action.lattice, prior), action, 2048, seed=23)
        chunks = list(run_chain(sampler(proposals), updates=30000, thermalisation=1000, seed=23))
        log_weight = np.concatenate([chunk.log_weight for chunk in chunks])
        return Measurements.of(action, np.concatenate([chunk.phi for chunk in chunks])), log_z(log_weight)

    run.needs_flow = SAMPLERS[request.param].needs_flow
    return run


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
    if shape != (6, 6) or sample.needs_flow:
        del exact["pole_mass"]  # too short a lattice, or too few configurations for so heavy a particle
    check(sample(ScalarPhi4(lattice, m2=m2, lam=0.0), {"name": "free_field", "m2": m2}), exact)


class NoHopping(ScalarPhi4):
    """Independent sites."""

    def __call__(self, phi):
        squared = tf.cast(phi, tf.float64) ** 2
        return tf.reduce_sum((self.m2 + 2 * self.lattice.d) * squared + self.lam * squared**2, self.lattice.axes)

    def force(self, phi):
        return Action.force(self, phi)

    def time_series(self, phi, general):
        return Action.time_series(self, phi, general)

    def change_at_each_site(self, phi, proposal):
        before, after = phi**2, proposal**2
        return (after - before) * (self.m2 + 2 * self.lattice.d + self.lam * (after + before))


@pytest.mark.parametrize("shape", [(4, 4), (2, 2, 4)])
def test_no_hopping(sample, shape):
    action = NoHopping(Lattice(shape), m2=-3.0, lam=4.0)
    site = single_site(-3.0 + 2 * len(shape), 4.0)
    exact = site | {"log_z": site["log_z"] * action.lattice.volume, "schwinger_dyson": 1.0}
    check(sample(action, {"name": "normal", "width": 0.4 if len(shape) == 2 else 0.35}), exact)


@pytest.mark.parametrize("d", [2, 3])
def test_two_sites_in_every_direction(sample, d):
    action = ScalarPhi4(Lattice((2,) * d), m2=-4.0, lam=7.0)
    check(sample(action, {"name": "free_field", "m2": 1.0}), two_sites_in_every_direction(d, -4.0, 7.0))


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
