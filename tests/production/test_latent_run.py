"""Parallel chains of a flow's latent variable, from Python and from the command line."""

import numpy as np
import pytest
import tensorflow_probability as tfp

import lattice_flows as lf
from lattice_flows import command_line
from lattice_flows.config import ConfigError, SamplerConfig
from lattice_flows.flows import Flow
from lattice_flows.importance import WeightedSampler
from lattice_flows.io.ensembles import Ensemble
from lattice_flows.priors import quartic
from lattice_flows.production import chains, latent_run, measure_run
from lattice_flows.samplers import PCN, run_chain

SETTINGS = SamplerConfig(chains=8, updates=200, thinning=2, thermalisation=20, successive=100)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory, small_model):
    path, (flow, action) = tmp_path_factory.mktemp("latent") / "ensemble.h5", small_model
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WeightedSampler, "batches", None)  # of an exact flow, no proposals are drawn, or compiled
        latent_run("pcn", flow, action, SETTINGS, seed=3, path=path).close()
    return path


def test_the_chains_are_those_of_the_sampler(drawn, small_model):
    sampler = PCN(WeightedSampler(*small_model, batch_size=512, seed=3), chains=8)
    chunks = list(run_chain(sampler, updates=200, thinning=2, thermalisation=20, seed=3))
    with Ensemble(drawn) as ensemble:
        np.testing.assert_array_equal(ensemble.phi, np.concatenate([chunk.phi for chunk in chunks]).astype(np.float32))
        assert ensemble.attributes["weights"] == small_model[0].fingerprint()
        assert ensemble.attributes["settings"]["chains"] == 8


def test_nothing_is_reported_that_needs_independent_proposals(drawn):
    result = measure_run(drawn)
    assert result.sampler == "pcn" and result.chain["chains"] == 8
    assert not {"ess", "log_z", "free_energy_density", "tau_int"} & result.chain.keys() and result.weight_variance is None
    assert all(observable.reweighted is None for observable in result.observables.values())
    assert 0 < result.chain["angle"] <= np.pi / 2 and result.chain["integration_error"] == {"mean": 0.0, "largest": 0.0}
    assert result.chain["non_finite_ends"] == result.chain["non_finite_ends_error"] == 0
    names = {check.name for check in result.checks}
    assert {"exp_minus_dh", "non_finite_observables", "non_finite_weights", "r_hat"} <= names


def test_it_is_drawn_once(drawn, small_model):
    flow, action = small_model
    before = drawn.stat().st_mtime_ns
    latent_run("pcn", flow, action, SETTINGS, seed=3, path=drawn).close()
    assert drawn.stat().st_mtime_ns == before


def test_the_length_is_that_of_all_chains_together(small_model):
    with lf.sample(*small_model, 1000, sampler="pcn", chains=64, seed=2, progress=False) as ensemble:
        assert ensemble.phi.shape == (16, 64, 4, 4)
        assert ensemble.attributes["settings"]["thermalisation"] == 100


def test_a_flow_that_cannot_be_moved_is_refused_before_anything_is_done(small_model, tmp_path, monkeypatch):
    flow, action = small_model
    of_quartic_sites = Flow(flow.lattice, quartic(flow.lattice), tfp.bijectors.Identity())
    monkeypatch.setattr(chains, "drawn", None)
    message = r"^sampler 'flow_hmc': the prior 'quartic_prior' is not an image .*: use the sampler independence$"
    with pytest.raises(ConfigError, match=message):
        latent_run("flow_hmc", of_quartic_sites, action, SETTINGS, path=tmp_path / "ensemble.h5")
    assert not any(tmp_path.iterdir())


def test_refusals(small_model, capsys):
    flow, action = small_model
    with pytest.raises(ConfigError, match=r"the sampler 'hmc' needs no flow: use lattice-flows baseline or lf.baseline"):
        lf.sample(flow, action, 1000, sampler="hmc")
    with pytest.raises(ConfigError, match="sampler 'pcn': unknown key 'panels'"):
        lf.sample(flow, action, 1000, sampler="pcn", panels=3)
    with pytest.raises(ConfigError, match=r"unknown sampler 'flow-hmc': did you mean 'flow_hmc'"):
        lf.sample(flow, action, 1000, sampler="flow-hmc")
    for flags, message in (
        (["--sampler=pcn", "--chain_length=2000"], "--chain_length is not for --sampler pcn: use --chains, --updates, --thinning"),
        (["--updates=2000"], "--updates is not for --sampler independence: use --chain_length"),
    ):
        assert command_line.main(["sample", "--run=runs/x", "--out=runs/y", *flags]) == 2
        assert message in capsys.readouterr().err
