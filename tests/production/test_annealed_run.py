"""Chains of annealed proposals, from Python and from the command line."""

import json

import numpy as np
import pytest

import lattice_flows as lf
from lattice_flows import command_line
from lattice_flows.config import ChainConfig, Component, ConfigError
from lattice_flows.importance import WeightedSampler
from lattice_flows.io.ensembles import Ensemble
from lattice_flows.production import measure_run, sample_run
from lattice_flows.samplers import Annealed, run_chain

OWN = {"temperatures": 2, "panels": 0}
SETTINGS = ChainConfig(length=2000, thermalisation=100, batch_size=256, sampler=Component(name="annealed", **OWN))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory, small_model):
    path, (flow, action) = tmp_path_factory.mktemp("annealed") / "ensemble.h5", small_model
    sample_run(flow, action, SETTINGS, seed=3, path=path, training={"ess": 0.9}).close()
    return path


def test_the_chain_is_that_of_the_sampler(drawn, small_model):
    sampler = Annealed(WeightedSampler(*small_model, batch_size=256, seed=3), **OWN)
    chunks = list(run_chain(sampler, updates=2000, thermalisation=100, seed=3))
    with Ensemble(drawn) as ensemble:
        np.testing.assert_array_equal(ensemble.log_weight, np.concatenate([chunk.log_weight for chunk in chunks]))
        np.testing.assert_array_equal(ensemble.index, np.concatenate([chunk.index for chunk in chunks]))
        assert ensemble.attributes["sampler"] == "annealed"
        settings = {"length": 2000, "thermalisation": 100, "batch_size": 256, "kick_steps": None}
        assert ensemble.attributes["settings"] == settings | OWN


def test_the_result_has_what_follows_from_weights(drawn):
    result = measure_run(drawn)
    assert result.sampler == "annealed" and {"ess", "log_z", "free_energy_density", "tau_int"} < result.chain.keys()
    assert 0 < result.chain["trajectory_acceptance"] <= 1 and result.chain["integration_error"] == {"mean": 0.0, "largest": 0.0}
    assert result.weight_variance is not None
    verdicts = {check.name: check.verdict for check in result.checks}
    assert {"k_hat", "log_z_halves", "ess_of_training"} <= verdicts.keys()
    # The weights of a flow that is hardly trained.
    assert verdicts["effective_proposals"] == "bad" and result.observables["phi_squared"].reweighted is None
    assert "trajectory_acceptance" not in result.to_json().keys() - {"chain"}


def test_it_is_drawn_once(drawn, small_model):
    flow, action = small_model
    before = drawn.stat().st_mtime_ns
    sample_run(flow, action, SETTINGS, seed=3, path=drawn).close()
    assert drawn.stat().st_mtime_ns == before


def test_from_python(drawn, small_model):
    how = {"thermalisation": 100, "batch_size": 256, "seed": 3, "progress": False}
    with lf.sample(*small_model, 2000, sampler="annealed", **OWN, **how) as ensemble, Ensemble(drawn) as earlier:
        np.testing.assert_array_equal(ensemble.index, earlier.index)
    for sampler, keys, message in (
        ("annealed", {"temperature": 3}, r"sampler 'annealed': unknown key 'temperature': did you mean 'temperatures'"),
        ("annealed", {"temperatures": 0}, r"sampler 'annealed': key 'temperatures' has the value 0"),
        ("annealed", {"batch_sizes": 64}, r"unknown key 'batch_sizes': did you mean 'batch_size'"),
        ("independence", {"panels": 3}, r"sampler 'independence': unknown key 'panels'"),
    ):
        with pytest.raises(ConfigError, match=message):
            lf.sample(*small_model, 2000, sampler=sampler, **keys)
    with pytest.raises(ConfigError, match=r"chain.sampler is 'pcn', which draws no independent proposals"):
        sample_run(*small_model, ChainConfig(sampler=Component(name="pcn")))


def test_from_the_command_line(tmp_path, small_config, monkeypatch, capsys):
    """The sampler is that of the configuration, unless a flag names another one."""
    from lattice_flows.pipeline import train_run

    config = small_config({"chain": {"sampler": {"name": "annealed"} | OWN}, "training": {"steps": 1, "evaluate_every": 1}})
    train_run(config, tmp_path / "run")
    command = ["sample", f"--run={tmp_path / 'run'}", "--chain_length=1000"]
    for flags, expected in ((["--sampler=independence"], "independence"), ([], "annealed")):
        assert command_line.main([*command, f"--out={tmp_path / expected}", *flags]) in (0, 1)
        with Ensemble(tmp_path / expected / "ensemble.h5") as ensemble:
            assert ensemble.attributes["sampler"] == expected
            assert ensemble.attributes["settings"].get("temperatures") == (2 if expected == "annealed" else None)
        result = json.loads((tmp_path / expected / "result.json").read_text())
        assert result["flow"] == "affine" and result["training"]["steps"] == 1 and result["command"]
    assert command_line.main([*command, "--sampler=annealed", "--chains=3", f"--out={tmp_path / 'x'}"]) == 2
    assert "--chains is not for --sampler annealed: use --chain_length" in capsys.readouterr().err
