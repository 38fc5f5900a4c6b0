"""What a part takes over from the one below it: nothing from a part of another name, also where names are left out."""

import inspect

import pytest
import yaml

from lattice_flows.config import CONFIGS, Component, ConfigError, RunConfig, load, on_top
from lattice_flows.config.merging import DEFAULT_NAMES
from lattice_flows.flows import FLOWS
from lattice_flows.networks import NETWORKS
from lattice_flows.pipeline import completed
from lattice_flows.priors import PRIORS
from lattice_flows.samplers import SAMPLERS
from lattice_flows.training.optimizers import OPTIMIZERS

UNNAMED = {
    "lattice": {"shape": [4, 4]},
    "action": {"name": "scalar_phi4", "m2": 1.0, "lam": 0.5},
    "flow": {"name": "affine", "network": {"features": 3}, "prior": {"m2": 2.0}},
    "training": {"optimizer": {"decay": 0.9}, "schedule": {"boundaries": [10]}},
}


@pytest.fixture
def unnamed(tmp_path):
    """A file that leaves the names of its parts to their defaults."""
    (tmp_path / "unnamed.yaml").write_text(yaml.safe_dump(UNNAMED))
    return tmp_path / "unnamed.yaml"


def test_options_without_a_name_do_not_reach_another_part(unnamed):
    adam, constant = {"name": "adam"}, {"name": "constant"}
    training = load(unnamed, {"training": {"optimizer": adam, "schedule": constant}}).training
    assert training.optimizer == Component(**adam) and training.schedule.model_dump() == constant | {
        "boundaries": (),
        "factor": 0.1,
    }
    assert load(unnamed, {"training": {"optimizer": "adam"}}).training.optimizer == Component(**adam)
    network = {"name": "dense", "hidden": [8]}
    flow = load(unnamed, {"flow": {"network": network}}).flow.parameters
    assert flow["network"] == network and flow["prior"] == {"m2": 2.0}


def test_a_preset_goes_on_top_of_options_without_names(unnamed):
    for name in ("affine_conv", "continuous", "symmetrized"):
        preset = CONFIGS / "flows" / f"{name}.yaml"
        config = completed(load(unnamed, preset))
        expected = completed(load("E1", preset))
        assert config.flow == expected.flow and config.training.optimizer == expected.training.optimizer


def test_options_without_a_name_are_those_of_the_default_part(unnamed):
    """Which may be named later, and changed."""
    named = {"training": {"optimizer": {"name": "natural_gradient", "ridge": 0.1}}, "flow": {"network": "propagator"}}
    config = load(unnamed, named, {"flow": {"network": {"spacing": 0.5}}})
    assert config.training.optimizer == Component(name="natural_gradient", decay=0.9, ridge=0.1)
    assert config.flow.parameters["network"] == {"name": "propagator", "features": 3, "spacing": 0.5}
    assert load(unnamed, {"training": {"schedule": {"name": "cosine"}}}).training.schedule.boundaries == (10,)


def test_a_part_that_was_named_keeps_its_options_where_they_are_changed_later(unnamed):
    layers = [{"training": {"optimizer": {"name": "adam", "beta_1": 0.8}}}, {"training": {"optimizer": {"beta_2": 0.9}}}]
    assert load(unnamed, *layers).training.optimizer == Component(name="adam", beta_1=0.8, beta_2=0.9)


def test_stages_are_the_same_before_and_after_defaults_are_written_out(tmp_path):
    stage = {"flow": {"network": {"name": "propagator", "bound": 1.0}, "prior": {"name": "normal"}}}
    (tmp_path / "staged.yaml").write_text(yaml.safe_dump(UNNAMED | {"stages": [stage]}))
    config = load(tmp_path / "staged.yaml")
    (before,), (after,) = config.stage_configs(), completed(config).stage_configs()
    assert completed(before) == completed(after) and completed(before).flow.parameters["network"].parameters["features"] == 3


def test_a_key_name_where_no_part_is_takes_nothing_away():
    assert on_top({"seed": 3}, {"name": "mine"}) == {"seed": 3, "name": "mine"}
    with pytest.raises(ConfigError, match=r"^tree: unknown key 'name': known: .*lattice"):
        RunConfig.checked(on_top({key: UNNAMED[key] for key in ("lattice", "action", "flow")}, {"name": "mine"}), "tree")


def test_the_default_names_are_those_of_the_schema_and_of_all_parts():
    default = RunConfig.checked({key: UNNAMED[key] for key in ("lattice", "action", "flow")}, "tree")
    found = {key: {getattr(default.training, key).name} for key in ("optimizer", "schedule")}
    for part in [part for registry in (FLOWS, NETWORKS, PRIORS, OPTIMIZERS, SAMPLERS) for part in registry.values()]:
        for key, parameter in inspect.signature(part).parameters.items():
            if isinstance(parameter.default, Component):
                found.setdefault(key, set()).add(parameter.default.name)
    assert found.pop("of") == {"affine", "continuous"}  # depends on the flow
    assert found == {key: {name} for key, name in DEFAULT_NAMES.items()}
