"""From a flow, or from HMC, to an ensemble and its measurements."""

import io

import numpy as np
import pytest
import tensorflow as tf
from exact import two_sites_in_every_direction
from lattice_flows.paper.references import details
from rich.console import Console

from lattice_flows.command_line import CONFIGS
from lattice_flows.io.ensembles import Ensemble
from lattice_flows.production import flow_sampler, measure_flow, sample_flow, sample_hmc, sample_metropolis
from lattice_flows.progress import Progress
from lattice_flows.training.devices import choose_strategy
from lattice_flows.training.trainer import build_model


@pytest.fixture
def progress():
    return Progress(Console(file=io.StringIO(), width=300))


def test_a_flow_chain_is_made_once(tmp_path, progress, small_config):
    path, config = tmp_path / "ensemble.h5", small_config()
    flow, action = build_model(config)
    sample_flow(flow_sampler(flow, action, config, progress), config, path, progress)
    first = path.read_bytes()
    measurements, _, accepted, facts = measure_flow(path, action)
    assert facts["length"] == len(accepted) == 2000 and facts["acceptance"] == accepted.mean()
    assert 0 < facts["ess"] <= 1 and facts["samples_per_second"] > 0
    assert facts["integration_error"] == {"mean": 0.0, "largest": 0.0}
    with Ensemble(path) as ensemble:
        phi, log_weight = ensemble["phi"], ensemble["log_weight"]
        assert ensemble.attributes["seed"] == config.seed and ensemble.attributes["lattice_shape"] == [4, 4]
    np.testing.assert_allclose(log_weight, -action(phi) - flow.log_prob(phi), atol=1e-3)  # phi is float32 on disk
    assert measurements.estimate("phi_squared").value == pytest.approx(np.mean(phi.astype(float) ** 2))
    magnetization = phi.mean(axis=(1, 2))
    assert facts["sign_flips"] == np.count_nonzero(magnetization[1:] * magnetization[:-1] < 0)
    sample_flow(flow_sampler(flow, action, config, progress), config, path, progress)
    assert path.read_bytes() == first and "there already" in progress.console.file.getvalue()
    weights = flow.trainable_variables[0]
    weights.assign(weights + 0.01)
    sample_flow(flow_sampler(flow, action, config, progress), config, path, progress)
    assert path.read_bytes() != first


def test_a_continuous_flow_is_integrated_until_its_weights_are_right(tmp_path, progress, small_config):
    small = {"flow": {"integrator": "rk4", "steps": 2, "knots": 2, "features": 1}, "chain": {"length": 1000}}
    path, config = tmp_path / "ensemble.h5", small_config(CONFIGS / "flows" / "continuous.yaml", small)
    flow, action = build_model(config)
    for variable in flow.bijector.trainable_variables:
        variable.assign_add(np.random.default_rng(3).normal(scale=0.1, size=variable.shape))
    sample_flow(flow_sampler(flow, action, config, progress), config, path, progress)
    assert progress.console.file.getvalue().count("halving its step") == 1
    error = measure_flow(path, action)[3]["integration_error"]
    assert 0 < error["mean"] < 1e-3 and error["mean"] < error["largest"]
    with Ensemble(path) as ensemble:
        phi, log_weight = tf.constant(ensemble["phi"], tf.float64), ensemble["log_weight"]
    exact = -action(phi) - flow.refined().refined().refined().log_prob(phi)
    coarse = -action(phi) - flow.log_prob(phi)
    assert 5 * np.mean(np.abs(log_weight - exact)) < np.mean(np.abs(coarse - exact))


def test_what_hmc_keeps_for_figures(tmp_path, progress, small_config):
    settings = {"chains": 16, "trajectories": 400, "thermalisation": 100, "save_every": 2, "leapfrog_steps": 4, "successive": 150}
    config = small_config({"hmc": settings})
    _, action = build_model(config)
    measurements, accepted, facts = sample_hmc(action, config, choose_strategy("cpu:1"), tmp_path / "hmc.h5", progress)
    assert accepted.shape == (400, 16) and abs(facts["thermalisation_pull"]) < 4
    saved = measurements.estimate("phi_squared")
    tau, error = facts["tau_int_of_updates"]["phi_squared"]
    assert 0 < error < tau and tau > 0.9 * saved.tau_int  # in single trajectories, not in pairs
    found = details(measurements, accepted)
    assert found["errors"]["configurations"] == [200 // 8, 200 // 4, 200 // 2, *(200 * 2**k for k in range(5))]
    name = "two_point_susceptibility"
    assert found["errors"][name][-1] == pytest.approx(measurements.estimate(name).error, rel=1e-6)
    assert found["errors"][name][0] > 1.5 * found["errors"][name][-1]
    assert sum(r * count for r, count in enumerate(found["rejection_runs"])) == np.count_nonzero(~accepted)
    matrix = np.array(found["correlation"]["matrix"])
    at = [found["correlation"]["of"].index(name) for name in ("two_point_susceptibility", "absolute_magnetization")]
    assert matrix.shape == (len(found["correlation"]["of"]),) * 2 and matrix[at[0], at[1]] > 0.8


def test_metropolis_measures_and_saves_every_configuration(tmp_path, progress, small_config):
    settings = {"chains": 8, "configurations": 105, "thermalisation": 50, "sweeps_between": 2, "successive": 20}
    config = small_config({"metropolis": settings})
    _, action = build_model(config)
    measurements, accepted, facts = sample_metropolis(
        action, config, choose_strategy("cpu:1"), tmp_path / "metropolis.h5", progress
    )
    assert accepted is None and measurements.series("phi_2").shape == (105, 8) and 0.5 < facts["acceptance"] < 0.9
    with Ensemble(tmp_path / "metropolis.h5") as ensemble:
        saved = ensemble["phi"]
        assert ensemble.attributes["sampler"] == "local Metropolis"
    np.testing.assert_allclose(np.mean(saved.astype(float) ** 2, axis=(2, 3)), measurements.series("phi_2"), rtol=1e-5)
    assert facts["sweeps_between"] == 2 and facts["configurations_per_second"] > 0


def test_reweighted_proposals_of_any_flow_have_the_exact_means(tmp_path, progress, small_config):
    """A Gaussian of about the right width on a 2 x 2 lattice, against quadrature within four standard errors."""
    white = {"prior": {"name": "normal", "width": 0.5}, "steps": 1, "features": 1, "knots": 2}  # and a map that is the identity
    point = {"flow": white, "lattice": {"shape": [2, 2]}, "action": {"lam": 7.0}, "chain": {"length": 40000}}
    config = small_config(CONFIGS / "flows" / "continuous.yaml", point)
    flow, action = build_model(config)
    sample_flow(flow_sampler(flow, action, config, progress), config, tmp_path / "ensemble.h5", progress)
    _, reweighted, _, facts = measure_flow(tmp_path / "ensemble.h5", action)
    exact = two_sites_in_every_direction(2, -4.0, 7.0)
    assert 0.05 < facts["ess"] < 0.95
    assert abs(facts["log_z"] - exact["log_z"]) < 4 * facts["log_z_error"] < 0.1
    assert facts["free_energy_density"] == -facts["log_z"] / 4
    for name in ("phi_squared", "phi_fourth", "two_point_susceptibility", "ising_energy"):
        found = reweighted.estimate(name)
        assert abs(found.value - exact[name]) < 4 * found.error < 0.2 * abs(exact[name]), name


def test_hmc_measures_and_saves_some(tmp_path, progress, small_config):
    settings = {"chains": 8, "trajectories": 105, "thermalisation": 50, "save_every": 7, "leapfrog_steps": 4}
    config = small_config({"hmc": settings})
    _, action = build_model(config)
    measurements, accepted, facts = sample_hmc(action, config, choose_strategy("cpu:1"), tmp_path / "hmc.h5", progress)
    assert measurements.series("phi_2").shape == (15, 8) and facts["acceptance"] == accepted.mean()
    with Ensemble(tmp_path / "hmc.h5") as ensemble:
        saved = ensemble["phi"]
    assert saved.shape == (15, 8, 4, 4)
    np.testing.assert_allclose(np.mean(saved.astype(float) ** 2, axis=(2, 3)), measurements.series("phi_2"), rtol=1e-5)
    assert facts["trajectory_length"] == pytest.approx(4 * facts["step_size"])
    assert abs(facts["exp_minus_dh"] - 1) < 4 * facts["exp_minus_dh_error"]
