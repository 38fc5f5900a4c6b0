"""Diagnostics of chains on series whose answers are known."""

import numpy as np
import pytest

from lattice_flows.actions import ScalarPhi4
from lattice_flows.lattice import Lattice
from lattice_flows.measurement import diagnostics
from lattice_flows.measurement.observables import Measurements

ACTION = ScalarPhi4(Lattice((4, 4)), m2=1.0, lam=0.0)


def noise(n, chains, seed=1):
    return np.random.default_rng(seed).normal(size=(n, chains, 4, 4))


def test_sign_flips_are_counted_along_each_chain():
    phi = np.ones((5, 2, 4, 4))
    phi[[1, 3], 0] = -1
    phi[3:, 1] = -1
    measurements = Measurements.of(ACTION, phi)
    assert measurements.sign_flips == 5 and measurements.chains_of_one_sign == 0
    assert Measurements.of(ACTION, np.abs(phi) * np.resize([1, -1], (2, 1, 1))).chains_of_one_sign == 1


def test_a_start_that_shows_is_seen():
    phi = noise(200, 8)
    assert abs(diagnostics.thermalisation_pull(Measurements.of(ACTION, phi))) < 4
    phi[:20] *= 1.5
    assert diagnostics.thermalisation_pull(Measurements.of(ACTION, phi)) > 5


def test_tau_int_of_updates_is_that_of_every_configuration():
    """Every configuration twice: tau_int = 1, within four standard errors."""
    twice = Measurements.of(ACTION, np.repeat(noise(1000, 4), 2, axis=0))
    found = diagnostics.tau_int_of_updates(twice)
    assert {"two_point_susceptibility", "action_density"} <= found.keys()
    for tau_int, error in found.values():
        assert abs(tau_int - 1) < 4 * error < 0.5


@pytest.mark.parametrize(("n", "chains", "sizes"), [(64, 1, [16, 32, 64]), (20, 4, [20, 40, 80]), (10, 1, [10])])
def test_errors_from_ever_larger_parts(n, chains, sizes):
    measurements = Measurements.of(ACTION, noise(n, chains))
    found = diagnostics.errors_against_number(measurements)
    assert found["configurations"] == sizes
    assert found["ising_energy"][-1] == measurements.estimate("ising_energy").error
    assert found["ising_energy"][0] == measurements.part(0, min(n, sizes[0]), 1).estimate("ising_energy").error


def test_weights_of_a_perfect_flow():
    found = diagnostics.of_proposals(np.full(100, 3.0), np.ones(100, bool), 16)
    assert found["ess"] == pytest.approx(1) and found["tau_int"] == 0.5
    assert (found["log_z"], found["log_z_error"]) == (pytest.approx(3.0), pytest.approx(0, abs=1e-6))
    assert found["free_energy_density"] == pytest.approx(-3 / 16)


def test_the_error_of_log_z_contains_that_of_the_integration():
    log_weight, accepted = np.random.default_rng(1).normal(scale=0.2, size=10000), np.ones(10000, bool)
    exact, integrated = (diagnostics.of_proposals(log_weight, accepted, 16, error) for error in (0.0, 0.003))
    assert integrated["log_z"] == exact["log_z"] and 0.0019 < exact["log_z_error"] < 0.0022
    assert integrated["log_z_error"] == pytest.approx(np.hypot(exact["log_z_error"], 0.003))
    assert integrated["free_energy_density_error"] == pytest.approx(integrated["log_z_error"] / 16)
