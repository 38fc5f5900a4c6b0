"""From a flow, or from another sampler, to an ensemble and its result."""

import h5py
import numpy as np
import pytest
import tensorflow as tf
from exact import two_sites_in_every_direction

import lattice_flows as lf
from lattice_flows import command_line, resources
from lattice_flows.config import CONFIGS, ConfigError, SamplerConfig
from lattice_flows.errors import UserError
from lattice_flows.importance import log_z
from lattice_flows.io import segments
from lattice_flows.io.ensembles import Ensemble, EnsembleError
from lattice_flows.io.files import RunError
from lattice_flows.pipeline import build_model
from lattice_flows.production import baseline_run, flow_proposals, measure_run, proposals, sample_run
from lattice_flows.resources import NotEnough
from lattice_flows.samplers import IndependenceMetropolis, run_chain

ENOUGH = {"chains": 16, "updates": 400, "thinning": 2, "thermalisation": 100, "successive": 151}


def test_a_flow_chain_is_made_once(drawn, progress):
    draw, flow, action, path = drawn
    with draw() as ensemble:
        result, phi, index = measure_run(ensemble), ensemble.phi, ensemble.index
        log_weight, rows = ensemble.log_weight, ensemble.rows(0, 3000)
        assert ensemble.attributes["seed"] == 1 and ensemble.attributes["lattice_shape"] == [4, 4]
        assert len(ensemble) == len(index) == 2000 and len(rows) == len(log_weight) == 2100
    first = path.read_bytes()
    chain = result.chain
    assert (result.sampler, result.seed, result.lattice_shape) == ("independence", 1, (4, 4))
    assert chain["length"] == 2000 and 0 < chain["ess"] <= 1 and chain["samples_per_second"] > 0
    assert chain["acceptance"] == pytest.approx(np.mean(np.diff(index) > 0), abs=1e-3)
    assert chain["integration_error"] == {"mean": 0.0, "largest": 0.0}
    np.testing.assert_allclose(log_weight, -action(rows) - flow.log_prob(rows), atol=1e-3)  # phi is float32 on disk
    np.testing.assert_array_equal(phi[:, 0], rows[index])
    assert result.estimate("phi_squared").value == pytest.approx(np.mean(phi.astype(float) ** 2))
    magnetization = phi.mean(axis=(1, 2, 3))
    assert chain["sign_flips"] == np.count_nonzero(magnetization[1:] * magnetization[:-1] < 0)
    draw().close()
    assert path.read_bytes() == first and "up to date" in progress.console.file.getvalue()
    weights = flow.trainable_variables[0]
    weights.assign((before := weights.numpy()) + 0.01)
    draw().close()
    weights.assign(before)
    assert path.read_bytes() != first


def test_what_cannot_be_written_fails_before_anything_is_drawn(tmp_path, small_config, small_model, monkeypatch):
    config, (flow, action) = small_config(), small_model
    with sample_run(flow, action, config.chain, path=tmp_path / "new" / "folder" / "x.h5") as ensemble:
        assert len(ensemble) == 2000
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(proposals, "Drawing", None)
    with pytest.raises(
        RunError, match=r"cannot write .*file/x.h5: there is a file where a folder must be, choose another name; what"
    ):
        sample_run(flow, action, config.chain, path=tmp_path / "file" / "x.h5")
    with pytest.raises(RunError, match=r"cannot write .*new: it is a folder, name a file"):
        sample_run(flow, action, config.chain, path=tmp_path / "new")


def test_measuring_a_file_closes_it(drawn, monkeypatch):
    draw, _, _, path = drawn
    draw().close()
    closed = []
    close = Ensemble.close
    monkeypatch.setattr(Ensemble, "close", lambda self: (closed.append(self), close(self)))
    measure_run(path)
    assert len(closed) == 1


def test_the_chain_is_that_of_the_sampler(small_config, small_model):
    config, (flow, action) = small_config({"chain": {"batch_size": 300}}), small_model
    ensemble = sample_run(flow, action, config.chain, seed=7)
    sampler = IndependenceMetropolis(flow_proposals(flow, action, batch_size=300, seed=7))
    chunks = list(run_chain(sampler, updates=2000, thermalisation=100, seed=7))
    np.testing.assert_array_equal(ensemble.phi, np.concatenate([chunk.phi for chunk in chunks]).astype(np.float32))


def test_a_series_that_a_file_lacks_is_measured_again(drawn):
    draw, _, _, path = drawn
    with draw() as ensemble:
        complete = measure_run(ensemble)
    with h5py.File(path, "a") as file:
        del file["series/nearest"], file.attrs["checksums"]  # as an earlier version would have written it
    again = measure_run(path.parent)
    # The stored fields are rounded to float32.
    assert again.estimate("ising_energy").value == pytest.approx(complete.estimate("ising_energy").value, rel=1e-5)
    assert again.estimate("phi_squared") == pytest.approx(complete.estimate("phi_squared"), rel=1e-12)


def test_a_continuous_flow_is_integrated_until_its_weights_are_right(progress, small_config):
    small = {"flow": {"integrator": "rk4", "steps": 1, "knots": 2, "features": 1}, "chain": {"length": 1000}}
    config = small_config(CONFIGS / "flows" / "continuous.yaml", small)
    flow, action = build_model(config)
    for variable in flow.bijector.trainable_variables:
        variable.assign_add(np.random.default_rng(3).normal(scale=0.1, size=variable.shape))
    ensemble = sample_run(flow, action, config.chain, seed=config.seed, progress=progress)
    assert progress.console.file.getvalue().count("halving the step") == 1
    error = measure_run(ensemble).chain["integration_error"]
    assert 0 < error["mean"] < 1e-3 and error["mean"] < error["largest"]
    statistical = log_z(ensemble.log_weight[ensemble.attributes["thermalisation"] :])[1]
    assert measure_run(ensemble).chain["log_z_error"] == pytest.approx(np.hypot(statistical, error["mean"]))
    assert list(flow.integration_steps.values()) == [1]  # the flow itself stays what it was
    phi, log_weight = tf.constant(ensemble.rows(0, 2000), tf.float64), ensemble.log_weight
    exact = -action(phi) - flow.refined().refined().refined().log_prob(phi)
    coarse = -action(phi) - flow.log_prob(phi)
    assert 5 * np.mean(np.abs(log_weight - exact)) < np.mean(np.abs(coarse - exact))


def test_reweighted_proposals_of_any_flow_have_the_exact_means(small_config):
    """A Gaussian of about the right width on a 2 x 2 lattice, against quadrature within four standard errors."""
    white = {"prior": {"name": "normal", "width": 0.5}, "steps": 1, "features": 1, "knots": 2}  # and a map that is the identity
    point = {"flow": white, "lattice": {"shape": [2, 2]}, "action": {"lam": 7.0}, "chain": {"length": 40000}}
    config = small_config(CONFIGS / "flows" / "continuous.yaml", point)
    result = measure_run(sample_run(*build_model(config), config.chain, seed=config.seed))
    exact, chain = two_sites_in_every_direction(2, -4.0, 7.0), result.chain
    assert 0.05 < chain["ess"] < 0.95
    assert abs(chain["log_z"] - exact["log_z"]) < 4 * chain["log_z_error"] < 0.1
    assert chain["free_energy_density"] == -chain["log_z"] / 4
    for name in ("phi_squared", "phi_fourth", "two_point_susceptibility", "ising_energy"):
        found = result.observables[name].reweighted
        assert abs(found.value - exact[name]) < 4 * found.error < 0.2 * abs(exact[name]), name


@pytest.mark.parametrize("name", ["hmc", "metropolis"])
def test_a_baseline_on_disk_and_its_diagnostics(tmp_path, progress, small_model, name):
    own, (_, action) = {"leapfrog_steps": 4} if name == "hmc" else {}, small_model
    settings, path = SamplerConfig(**ENOUGH, **own), tmp_path / "ensemble.h5"
    with baseline_run(name, action, settings, path=path, device="cpu:1", progress=progress) as ensemble:
        assert ensemble.phi.shape == (200, 16, 4, 4) and ensemble.attributes["sampler"] == name
        phi_2, phi, accepted = ensemble.series["phi_2"], ensemble.phi.astype(float), ensemble.accepted
        result = measure_run(ensemble, progress=progress)
    np.testing.assert_allclose(np.mean(phi**2, axis=(2, 3)), phi_2, rtol=1e-5)
    # 200 configurations of local Metropolis are few: R-hat says so.
    assert result == measure_run(tmp_path) and result.trusted == (name == "hmc")
    assert [check.name for check in result.checks if check.verdict == "bad"] == ([] if name == "hmc" else ["r_hat"])
    chain = result.chain
    assert (chain["chains"], chain["updates"], chain["thinning"]) == (16, 400, 2)
    assert chain["updates_per_second"] > 0 and 0.5 < chain["acceptance"] < 0.9 and abs(chain["thermalisation_pull"]) < 4
    tau, error = chain["tau_int_of_updates"]["phi_squared"]
    assert 0 < error < tau and tau > 0.9 * result.estimate("phi_squared").tau_int  # in single updates, not in pairs
    assert result.errors["configurations"] == [200 // 8, 200 // 4, 200 // 2, *(200 * 2**k for k in range(5))]
    if name == "metropolis":
        assert accepted is None and result.rejection_runs is None and chain["width"] > 0
        return
    assert accepted.shape == (400, 16) and chain["acceptance"] == accepted.mean()
    assert sum(r * count for r, count in enumerate(result.rejection_runs)) == np.count_nonzero(~accepted)
    assert chain["trajectory_length"] == pytest.approx(4 * chain["step_size"])
    assert abs(chain["exp_minus_dh"] - 1) < 4 * chain["exp_minus_dh_error"]


def test_the_configurations_that_are_kept_are_those_of_the_thinned_chain(small_model):
    _, action = small_model
    settings = SamplerConfig(**ENOUGH | {"updates": 105, "thinning": 7, "successive": 50})
    every = SamplerConfig(**ENOUGH | {"updates": 105, "thinning": 1, "successive": 105})
    kept, all_of_them = (baseline_run("metropolis", action, each).phi for each in (settings, every))
    np.testing.assert_array_equal(kept, all_of_them[6::7])


def test_a_thinning_beyond_the_successive_updates(tmp_path, small_model):
    settings = SamplerConfig(**ENOUGH | {"thinning": 20, "successive": 10})
    with baseline_run("metropolis", small_model[1], settings, path=tmp_path / "e.h5") as ensemble:
        assert len(ensemble) == 20 and "tau_int_of_updates" not in ensemble.attributes["diagnostics"]


def test_nothing_is_kept_of_a_chain_that_cannot_move(tmp_path, small_model, monkeypatch):
    """The advice is to use other settings, which are another chain."""

    def check(sampler, info):
        assert len(info.accepted) * 16 >= 20
        raise UserError("it cannot move")

    monkeypatch.setattr(lf.samplers.HMC, "check", check)
    monkeypatch.setattr(segments, "_SHORTEST", 0.0)
    with pytest.raises(UserError, match="it cannot move"):
        baseline_run("hmc", small_model[1], SamplerConfig(**ENOUGH, leapfrog_steps=4), path=tmp_path / "e.h5")
    assert not list(tmp_path.glob("e.h5*"))


def test_an_ensemble_that_would_fill_the_disk_is_refused_before_anything_is_written(drawn, monkeypatch):
    draw, _, action, path = drawn
    monkeypatch.setattr(resources.shutil, "disk_usage", lambda place: type("Disk", (), {"free": 5e5}))
    with pytest.raises(NotEnough, match=r"a chain of 2000 configurations needs about .* kB of disk, 500 kB are free in .*: use a"):
        draw()
    with pytest.raises(NotEnough, match=r"hmc with 256 chains of 39100 updates needs about .* MB of disk, .* larger thinning"):
        baseline_run("hmc", action, SamplerConfig(), path=path)
    assert not list(path.parent.glob("ensemble*"))
    monkeypatch.setattr(resources.psutil, "virtual_memory", lambda: type("Memory", (), {"total": 10e6}))
    with pytest.raises(NotEnough, match=r"hmc with 256 chains of 39100 updates, kept in memory, needs about .* MB of memory"):
        baseline_run("hmc", action, SamplerConfig())


def test_a_baseline_is_refused_a_sampler_that_needs_a_flow(tmp_path, capsys):
    assert command_line.main(["baseline", "--sampler=independence", "--config=E1", f"--out={tmp_path / 'out'}"]) == 2
    assert "the sampler 'independence' needs a trained flow" in capsys.readouterr().err


def test_refusals(tmp_path, small_model):
    _, action = small_model
    with pytest.raises(ConfigError, match="unknown sampler 'hcm': did you mean 'hmc'"):
        baseline_run("hcm", action, SamplerConfig())
    with pytest.raises(ConfigError, match="the sampler 'independence' needs a trained flow"):
        baseline_run("independence", action, SamplerConfig())
    with pytest.raises(ConfigError, match="sampler 'metropolis': unknown key 'leapfrog_steps'"):
        baseline_run("metropolis", action, SamplerConfig(leapfrog_steps=3))
    with pytest.raises(RunError, match=r"there is no ensemble at .*ensemble.h5: give an ensemble file, or a run folder"):
        measure_run(tmp_path)
    (tmp_path / "ensemble.h5").write_text("no HDF5")
    with pytest.raises(EnsembleError, match=r"cannot read .*ensemble.h5: .*; draw the ensemble again"):
        measure_run(tmp_path)
