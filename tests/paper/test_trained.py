"""The weights in paper/trained must load and give the stored densities for ever."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml

import lattice_flows as lf
from lattice_flows.config import CONFIGS, ConfigError
from lattice_flows.importance import WeightedSampler, expected_acceptance
from lattice_flows.io.arrays import CheckpointError, read_arrays
from lattice_flows.io.runs import RunDirectory
from lattice_flows.measurement.errors import pull
from lattice_flows.measurement.observables import Measurements
from lattice_flows.paper.cases import TABLES, Case
from lattice_flows.paper.references import reference
from lattice_flows.pipeline import completed, start_from_pretrained

GOLDEN = yaml.safe_load((CONFIGS.parent / "tests" / "golden_log_q.yaml").read_text())
SAMPLES = 8192
E1 = Case("E1").weights("affine")


def fields(shape):
    return tf.constant(np.random.default_rng(1).normal(scale=0.4, size=(3, *shape)))


@pytest.fixture
def trained(tmp_path):
    """The run folder that starts from the weights of a flow and an ensemble."""

    def start(name, table):
        case = Case(table)
        config = case.configuration([CONFIGS / "flows" / f"{name}.yaml"])
        return start_from_pretrained(config, tmp_path / "run", case.weights(name))

    return start


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("name", GOLDEN)
def test_log_q_is_the_stored_one(name, table, trained):
    run, flow, _, _ = trained(name, table)
    np.testing.assert_allclose(flow.log_prob(fields(flow.lattice.shape)), GOLDEN[name][table], rtol=1e-6)
    diagnostics = read_arrays(run.path / "weights.npz")[1]
    assert diagnostics["config"]["seed"] == 1 and diagnostics["command"][0].endswith("reproduce.py")


ALL = [(name, table) for name in GOLDEN for table in TABLES]


@pytest.mark.parametrize(("name", "table"), [ALL[0], *(pytest.param(*each, marks=pytest.mark.slow) for each in ALL[1:])])
def test_acceptance_is_the_stored_one(name, table, trained):
    _, flow, action, summary = trained(name, table)
    phi, log_weight = map(np.concatenate, zip(*WeightedSampler(flow, action, 1024, seed=5).batches(SAMPLES, "golden"), strict=True))
    # The acceptance of 8192 samples has an error of about 0.002, so this is four sigma of the difference of two of them.
    assert abs(expected_acceptance(log_weight) - summary.acceptance) < 0.012
    measurements = Measurements.of(action, phi[:, np.newaxis], np.exp(log_weight - log_weight.max())[:, np.newaxis])
    hmc = reference(action.lattice.shape, action.component)
    for observable in ("two_point_susceptibility", "ising_energy", "phi_squared", "action_density"):
        found = measurements.estimate(observable)
        assert abs(pull(found, hmc.estimate(observable))) < 4 and found.error < 0.03 * abs(found.value), observable


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"action": {"lam": 6.0}}, r"E1.npz were trained with action.lam 6.975, not 6.0"),
        ({"lattice": {"shape": [8, 8]}}, r"trained with lattice.shape \[6, 6\], not \[8, 8\]"),
        ({"flow": {"layers": 4}}, r"trained with flow.layers 16, not 4"),
    ],
)
def test_weights_of_another_model_are_refused(tmp_path, override, message):
    with pytest.raises(ConfigError, match=message):
        start_from_pretrained(Case("E1").configuration([override]), tmp_path / "run", E1)
    assert not (tmp_path / "run").exists()


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"there are no weights .*E9.npz: give a weights file"):
        start_from_pretrained(Case("E1").configuration(), tmp_path / "run", E1.with_name("E9.npz"))


def test_a_run_that_started_from_pretrained_weights_can_be_opened(tmp_path):
    config = Case("E1").configuration()
    start_from_pretrained(config, tmp_path / "run", E1)
    assert not RunDirectory.open(tmp_path / "run")[1].differences(completed(config))


def test_weights_of_the_first_version_load_with_their_density():
    """They have earlier keys, and one number for all momenta of equal phat^2."""
    flow, _ = lf.load(Path(__file__).with_name("affine_E4_of_0.1.0.npz"))
    assert flow.number_of_parameters() > 472
    np.testing.assert_allclose(flow.log_prob(fields((12, 12))), [-83.3698156, -112.950745, -79.8369692], rtol=1e-6)
