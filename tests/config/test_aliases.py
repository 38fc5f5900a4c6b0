"""Earlier keys mean what they meant."""

import json

import pytest
import yaml

from lattice_flows.config import CONFIGS, ConfigError, load, translated
from lattice_flows.paper.cases import TRAINED
from lattice_flows.pipeline import completed, recorded_config


def test_every_earlier_key_has_its_place():
    earlier = {
        "flow": {"reach": 3.0, "site_maps": True, "layers": 2},
        "training": {"absolute_error_steps": 10, "optimizer": {"memory": 0.9, "trust": 0.1, "ridge": 1.0}},
        "hmc": {"chains": 8, "trajectories": 100, "save_every": 5},
        "metropolis": {"configurations": 20, "sweeps_between": 3, "chains": 4},
    }
    before = json.dumps(earlier)
    assert translated(earlier) == {
        "flow": {"kernel_radius": 3.0, "element_wise_maps": True, "layers": 2},
        "training": {
            "initial_loss": "absolute_error",
            "initial_loss_steps": 10,
            "optimizer": {"decay": 0.9, "largest_kl_step": 0.1, "ridge": 1.0},
        },
        "samplers": {
            "hmc": {"chains": 8, "updates": 100, "thinning": 5},
            "metropolis": {"configurations": 20, "thinning": 3, "chains": 4},
        },
    }
    assert load(CONFIGS / "E1.yaml", {"metropolis": earlier["metropolis"]}).sampler("metropolis").updates == 60
    assert json.dumps(earlier) == before


def test_configurations_count_in_the_thinning_below():
    config = load(CONFIGS / "E1.yaml", {"samplers": {"metropolis": {"thinning": 4}}}, {"metropolis": {"configurations": 20}})
    assert config.sampler("metropolis").updates == 80
    assert load(CONFIGS / "E1.yaml", {"metropolis": {"configurations": 20}}).sampler("metropolis").updates == 200


def test_configurations_count_in_the_thinning_that_holds_in_the_end(tmp_path):
    (tmp_path / "below.yaml").write_text("include: E1.yaml\nmetropolis: {configurations: 3910}")
    (tmp_path / "above.yaml").write_text("include: below.yaml\nmetropolis: {sweeps_between: 5}")
    settings = load(tmp_path / "above.yaml").sampler("metropolis")
    assert (settings.updates, settings.thinning) == (3910 * 5, 5)
    assert load(tmp_path / "below.yaml", {"samplers": {"metropolis": {"updates": 700}}}).sampler("metropolis").updates == 700
    assert load(tmp_path / "above.yaml", {"metropolis": {"configurations": 30}}).sampler("metropolis").updates == 150
    with pytest.raises(ConfigError, match=r"metropolis.configurations' and 'samplers.metropolis.updates' are both given"):
        load(CONFIGS / "E1.yaml", {"metropolis": {"configurations": 20, "updates": 20}})


def test_stages_may_use_earlier_keys(tmp_path):
    (tmp_path / "old.yaml").write_text("include: L64.yaml\nstages: [{flow: {reach: 2.0}, training: {optimizer: {trust: 0.1}}}]")
    (stage,) = load(tmp_path / "old.yaml").stage_configs()
    assert stage.flow.parameters["kernel_radius"] == 2.0 and stage.training.optimizer.parameters["largest_kl_step"] == 0.1


def test_a_key_and_its_earlier_name_cannot_both_be_given():
    with pytest.raises(ConfigError, match=r"'flow.reach' and 'flow.kernel_radius' are both given: .* keep 'flow.kernel_radius'"):
        load(CONFIGS / "L16.yaml", {"flow": {"reach": 2.0, "kernel_radius": 3.0}})
    with pytest.raises(ConfigError, match=r"'hmc' and 'samplers.hmc' are both given"):
        translated({"hmc": {"chains": 1}, "samplers": {"hmc": {"chains": 2}}})


@pytest.mark.parametrize("flow", ["affine", "continuous"])
@pytest.mark.parametrize("table", ["E1", "E5"])
def test_shipped_weights_have_the_present_lattice_action_and_flow(flow, table):
    weights = TRAINED / flow / f"{table}.npz"
    config = completed(load(CONFIGS / f"{table}.yaml", CONFIGS / "flows" / f"{flow}.yaml"))
    different = config.differences(completed(recorded_config(weights)))
    assert not [key for key in different if key.split(".")[0] in ("lattice", "action", "flow")]


def test_earlier_stages_are_loaded_from_a_dump(tmp_path):
    config = load(CONFIGS / "L64.yaml")
    text = config.dump().replace("largest_kl_step", "trust").replace("kernel_radius", "reach")
    (tmp_path / "config.yaml").write_text(text)
    assert load(tmp_path / "config.yaml") == config and "reach" in yaml.safe_load(text)["flow"]
