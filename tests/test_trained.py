"""The weights in paper/trained must load and give the stored densities for ever."""

import numpy as np
import pytest
import tensorflow as tf
import yaml
from lattice_flows.paper.references import reference
from lattice_flows.paper.table1 import TABLES, TRAINED

from lattice_flows.command_line import CONFIGS
from lattice_flows.config import ConfigError, load
from lattice_flows.importance import WeightedSampler, expected_acceptance
from lattice_flows.io.arrays import CheckpointError, read_arrays
from lattice_flows.io.runs import RunDirectory
from lattice_flows.measurement.errors import pull
from lattice_flows.measurement.observables import Measurements
from lattice_flows.training.devices import choose_strategy
from lattice_flows.training.trainer import adopt

GOLDEN = yaml.safe_load((CONFIGS.parent / "tests" / "golden_log_q.yaml").read_text())
AFFINE = TRAINED / "affine"
SAMPLES = 8192


def fields(shape):
    return tf.constant(np.random.default_rng(1).normal(scale=0.4, size=(3, *shape)))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("name", GOLDEN)
def test_log_q_and_acceptance_are_the_stored_ones(name, table, tmp_path):
    config = load(CONFIGS / f"{table}.yaml", CONFIGS / "flows" / f"{name}.yaml")
    run, flow, action, summary = adopt(config, tmp_path / "run", TRAINED / name / f"{table}.npz", choose_strategy("cpu"))
    np.testing.assert_allclose(flow.log_prob(fields(config.lattice.shape)), GOLDEN[name][table], rtol=1e-6)
    phi, log_weight = map(np.concatenate, zip(*WeightedSampler(flow, action, 1024, seed=5).batches(SAMPLES, "golden"), strict=True))
    # The acceptance of 8192 samples has an error of about 0.002, so this is four sigma of the difference of two of them.
    assert abs(expected_acceptance(log_weight) - summary.acceptance) < 0.012
    measurements, hmc = Measurements(action, "weighted"), reference(config)["observables"]
    measurements.add(phi[:, np.newaxis], np.exp(log_weight - log_weight.max())[:, np.newaxis])
    for observable in ("two_point_susceptibility", "ising_energy", "phi_squared", "action_density"):
        found = measurements.estimate(observable)
        assert abs(pull(found, hmc[observable])) < 4 and found.error < 0.03 * abs(found.value), observable
    facts = read_arrays(run.path / "weights.npz")[1]
    assert facts["config"]["seed"] == 1 and facts["command"][0].endswith("reproduce.py")


def test_trained_weights_are_small():
    assert sum(path.stat().st_size for path in TRAINED.rglob("*.npz")) < 2**20


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"action": {"lam": 6.0}}, r"E1.npz were trained with action.lam 6.975, not 6.0"),
        ({"lattice": {"shape": [8, 8]}}, r"trained with lattice.shape \[6, 6\], not \[8, 8\]"),
        ({"flow": {"layers": 4}}, r"trained with flow.layers 16, not 4"),
    ],
)
def test_weights_of_another_model_are_refused(tmp_path, override, message):
    config = load(CONFIGS / "E1.yaml", override)
    with pytest.raises(ConfigError, match=message):
        adopt(config, tmp_path / "run", AFFINE / "E1.npz", choose_strategy("cpu"))
    assert not (tmp_path / "run").exists()


def test_weights_that_are_not_there(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot read .*E9.npz"):
        adopt(load(CONFIGS / "E1.yaml"), tmp_path / "run", AFFINE / "E9.npz", choose_strategy("cpu"))


def test_an_adopted_run_is_one_that_can_be_opened(tmp_path):
    config = load(CONFIGS / "E1.yaml")
    adopt(config, tmp_path / "run", AFFINE / "E1.npz", choose_strategy("cpu"))
    assert RunDirectory.open(tmp_path / "run")[1] == config
