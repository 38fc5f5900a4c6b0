"""What a flow has not learned: shares for flows and actions where they are known."""

import numpy as np
import pytest

from lattice_flows import command_line
from lattice_flows.config import ConfigError, load
from lattice_flows.explain import DAMPINGS, explain
from lattice_flows.flows import save_weights
from lattice_flows.io.arrays import CheckpointError
from lattice_flows.pipeline import build_model

FLOW = {"name": "continuous", "features": 1, "knots": 2, "kernel_radius": 0.5, "steps": 1, "integrator": "rk4"}


def fresh(folder, **prior):
    """The weights of a flow before any training, for a free field: the identity, so its density is that of another mass."""
    flow = {**FLOW, "prior": {"name": "free_field", "m2": 1.2, **prior}}
    config = load("E1", {"lattice": {"shape": [4, 4]}, "action": {"m2": 1.0, "lam": 0.0}, "flow": flow})
    save_weights(folder / "weights.npz", build_model(config)[0], {"config": config.model_dump(mode="json")})
    return folder / "weights.npz"


@pytest.fixture
def made_up(monkeypatch):
    """Takes the place of scores, which take seconds to compile: noise, and what a name adds to log q."""
    changes = {}

    def scores(flow, phi, name, progress):
        score = np.random.default_rng(1).normal(size=(len(phi), flow.number_of_parameters()))
        return np.full(len(phi), changes.get(name, 0.0)), score

    monkeypatch.setattr("lattice_flows.explain._scores", scores)
    return changes


@pytest.mark.slow
def test_new_terms_explain_what_the_flow_cannot(tmp_path, monkeypatch):
    """Log weights of one free field for another are sums of |phi_k|^2: so are the scores of linear kernels, but not those of single
    sites."""
    monkeypatch.setattr("lattice_flows.explain._SITES", 16 * 384)  # three chunks, the last two of which overlap
    found = explain(fresh(tmp_path, learn_spectrum=False), [{"flow.kernel_radius": None}], samples=1000)
    assert found.samples == 1000 and list(found.rows) == ["as it is", "flow.kernel_radius = null"]
    (own, of_own), (kernels, of_kernels) = found.rows.values()
    assert 0 < own < kernels and len(of_own) == len(of_kernels) == len(DAMPINGS)
    assert max(share.value for share in of_own) < 0.9 and of_own[0].value + of_kernels[0].value > 0.999
    assert of_kernels[0].value > 4 * of_kernels[0].error
    assert str(found).splitlines()[-1].startswith("| flow.kernel_radius = null | ") and "| +0." in str(found)


def test_every_addition_has_a_row_and_all_of_them_one(tmp_path, made_up):
    found = explain(fresh(tmp_path), [{"flow.features": 2}, {"flow.kernel_radius": None}], samples=1000)
    assert list(found.rows) == ["as it is", "flow.features = 2", "flow.kernel_radius = null", "all of these"]
    own, features, kernels, both = (number for number, _ in found.rows.values())
    assert 0 < own < features < both and both - kernels > features - own  # a kernel for each feature
    same_key_twice = explain(fresh(tmp_path), [{"flow.features": 2}, {"flow.features": 3}], samples=1000)
    assert list(same_key_twice.rows) == ["as it is", "flow.features = 2", "flow.features = 3"]


def test_an_addition_that_changes_the_density_is_refused(tmp_path, made_up):
    made_up["flow.features = 2"] = 0.5
    message = r"flow.features = 2 changes log q by up to 0.5 before any training, where log weights have a spread of"
    with pytest.raises(ConfigError, match=message):
        explain(fresh(tmp_path), [{"flow.features": 2}], samples=1000)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"flow.knots": 2}, r"flow.knots = 2 adds no weights to the flow: give a key and a value that do"),
        ({"action.lam": 2.0}, r"action.lam is no key of the flow: give one such as flow.features=9"),
        ({"flow.feature": 2}, r"flow 'continuous': unknown key 'feature': did you mean 'features'"),
    ],
)
def test_what_is_no_new_term_is_refused(tmp_path, keys, message):
    with pytest.raises(ConfigError, match=message):
        explain(fresh(tmp_path), [keys], samples=1000)


def test_weights_that_cannot_be_explained_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"there are no weights .* did you mean 'continuous/E1'"):
        explain("continous/E1")
    with pytest.raises(ConfigError, match="samples must be 1000 or more, for fits of 11 weights, got 999"):
        explain(fresh(tmp_path), samples=999)
    with pytest.raises(ConfigError, match="samples must be 1716 or more, for fits of 858 weights, got 1715"):
        explain("continuous_long_range/E1", samples=1715)


def test_the_command_prints_the_table(tmp_path, capsys):
    """The scores of the spectrum are |phi_k|^2, too, so they explain everything."""
    assert command_line.main(["explain", str(fresh(tmp_path)), "--samples=1000"]) == 0
    shown = capsys.readouterr().out
    assert "by 1000 samples" in shown
    _, name, number, share, *_ = next(line for line in shown.splitlines() if "as it is" in line).split("|")
    assert name.strip() == "as it is" and int(number) > 5 and float(share.split("(")[0]) > 0.999
    assert command_line.main(["explain", str(tmp_path / "weights.npz"), "--add=flow.features"]) == 2
    assert "--add has the value 'flow.features': give a key" in capsys.readouterr().err
