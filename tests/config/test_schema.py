"""Configuration files: what is accepted, and what the refusals say."""

import pytest
import yaml
from lattice_flows.paper.references import PUBLISHED

from lattice_flows.command_line import CONFIGS
from lattice_flows.config import Component, ConfigError, Registry, load
from lattice_flows.flows import FLOWS
from lattice_flows.lattice import Lattice
from lattice_flows.training.optimizers import OPTIMIZERS


def test_every_ensemble_loads_with_the_papers_parameters():
    expected = {"E1": (6, 6.975), "E2": (8, 6.008), "E3": (10, 5.550), "E4": (12, 5.276), "E5": (14, 5.113)}
    for name, (extent, lam) in expected.items():
        config = load(CONFIGS / f"{name}.yaml")
        assert config.lattice.shape == (extent, extent)
        assert config.action.parameters == {"m2": -4.0, "lam": lam}


def test_dump_is_read_back_to_an_equal_configuration(tmp_path, small_config):
    config = small_config()
    (tmp_path / "dumped.yaml").write_text(config.dump())
    assert load(tmp_path / "dumped.yaml") == config
    assert config.differences(config) == {}


def test_differences_name_the_key():
    config = load(CONFIGS / "E1.yaml")
    other = load(CONFIGS / "E1.yaml", {"flow": {"layers": 8}})
    assert config.differences(other) == {"flow.layers": (16, 8)}


def test_a_component_with_another_name_inherits_nothing(tmp_path):
    (tmp_path / "above.yaml").write_text("flow: {network: {name: dense, hidden: [10]}}")
    config = load(CONFIGS / "E1.yaml", tmp_path / "above.yaml")
    assert config.flow.parameters["network"] == {"name": "dense", "hidden": [10]}
    assert config.flow.parameters["layers"] == 16


def test_numbers_in_the_notation_of_physicists(tmp_path):
    (tmp_path / "rate.yaml").write_text(f"include: {CONFIGS / 'E1.yaml'}\ntraining: {{learning_rate: 1e-3}}")
    assert load(tmp_path / "rate.yaml").training.learning_rate == 1e-3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"trainig": {}}, r"unknown key 'trainig': did you mean 'training'\?"),
        ({"training": {"learning_rat": 0.1}}, r"unknown key 'training.learning_rat': did you mean 'learning_rate'\?"),
        ({"training": {"schedule": {"nam": "cosine"}}}, r"unknown key 'training.schedule.nam': did you mean 'name'\?"),
        ({"training": {"steps": "many"}}, r"'training.steps' has the value 'many': input should be a valid integer"),
        ({"training": {"steps": 1.5}}, r"'training.steps' has the value 1.5: input should be a valid integer"),
        ({"training": {"steps": 0}}, r"'training.steps' has the value 0: input should be greater than 0"),
        ({"training": {"evaluation_samples": 64}}, r"'training.evaluation_samples' has the value 64: .* equal to 8192"),
        ({"training": {"target_acceptance": 1.2}}, r"'training.target_acceptance' has the value 1.2: .* less than 1"),
        ({"lattice": {"shape": [4, 4, 4, 4, 4]}}, r"'lattice.shape' has the value \[4, 4, 4, 4, 4\]: .* at most 4"),
        ({"lattice": {"shape": [1, 4]}}, r"'lattice.shape.0' has the value 1: .* greater than or equal to 2"),
        (
            {"training": {"gradient": "pathwise"}},
            r"'training.gradient' has the value 'pathwise': .* 'path' or 'reparameterisation'",
        ),
        ({"training": {"absolute_error_steps": -1}}, r"'training.absolute_error_steps' has the value -1: .* equal to 0"),
        ({"training": {"optimizer": {"name": 3}}}, r"'training.optimizer.name' has the value 3: input should be a valid string"),
        ({"training": {"beta_1": 0.9}}, r"unknown key 'training.beta_1'"),
        ({"lattice": {"shape": [4, True]}}, r"'lattice.shape.1' has the value True: .* integer"),
    ],
)
def test_refusals_name_key_value_and_what_would_be_right(override, message):
    with pytest.raises(ConfigError, match=message):
        load(CONFIGS / "E1.yaml", override)


def test_a_missing_key_is_named(tmp_path):
    (tmp_path / "short.yaml").write_text("include: " + str(CONFIGS / "base.yaml"))
    with pytest.raises(ConfigError, match=r"short.yaml: missing key 'lattice'"):
        load(tmp_path / "short.yaml")


def test_a_file_may_include_several_the_later_the_stronger(tmp_path):
    for name, rate in [("one", 0.1), ("two", 0.2)]:
        (tmp_path / f"{name}.yaml").write_text(f"training: {{learning_rate: {rate}, steps: {int(rate * 10)}}}")
    (tmp_path / "whole.yaml").write_text(f"include: [{CONFIGS / 'E1.yaml'}, one.yaml, two.yaml]\ntraining: {{steps: 7}}")
    training = load(tmp_path / "whole.yaml").training
    assert (training.learning_rate, training.steps) == (0.2, 7)


def test_stages_are_the_run_with_their_entries():
    stages = [{"lattice": {"shape": [4, 4]}, "training": {"steps": 5}}, {"flow": {"layers": 2}}]
    config = load(CONFIGS / "E1.yaml", {"stages": stages})
    first, second = config.stage_configs()
    assert first.differences(config).keys() >= {"lattice.shape", "training.steps", "stages"}
    assert (first.lattice.shape, first.training.steps, first.stages) == ((4, 4), 5, ())
    assert (second.lattice.shape, second.flow.parameters["layers"]) == ((6, 6), 2)
    assert second.flow.parameters["network"] == config.flow.parameters["network"]
    with pytest.raises(ConfigError, match=r"stage 2: unknown key 'training.stepps': did you mean 'steps'"):
        load(CONFIGS / "E1.yaml", {"stages": [{}, {"training": {"stepps": 5}}]})


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("L*.yaml")), ids=lambda path: path.stem)
def test_lattices_on_the_line_of_constant_physics_grow_from_smaller_ones(path):
    config = load(path)
    extents = [max(run.lattice.shape) for run in [*config.stage_configs(), config]]
    assert config.flow.name == "continuous" and extents == sorted(extents) and f"L{extents[-1]}" == path.stem
    couplings = yaml.safe_load(PUBLISHED.read_text())["line_of_constant_physics"]
    assert all(run.action.parameters["lam"] == couplings[max(run.lattice.shape)] for run in [*config.stage_configs(), config])


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*nowhere.yaml: No such file"):
        load(tmp_path / "nowhere.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1, 2")
    with pytest.raises(ConfigError, match=r"broken.yaml is not valid YAML"):
        load(tmp_path / "broken.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(ConfigError, match=r"list.yaml must hold a mapping of keys to values, not list"):
        load(tmp_path / "list.yaml")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"name": "afine"}, r"unknown flow 'afine': did you mean 'affine'\?"),
        ({"layrs": 4}, r"flow 'affine': unknown key 'layrs': did you mean 'layers'\?"),
        ({"layers": "four"}, r"flow 'affine': key 'layers' has the value 'four': .* integer"),
        ({"network": {"name": "convolutional", "kernel_size": 4}}, r"network 'convolutional': kernel_size must be odd .* got 4"),
        ({"network": {"name": "dense"}}, r"network 'dense': missing key 'hidden'"),
        ({"network": {"name": "dense", "hidden": [8], "activation": "relu6"}}, r"'activation' has the value 'relu6': .* 'tanh'"),
        ({"prior": {"name": "normal", "width": -1.0}}, r"prior 'normal': key 'width' has the value -1.0: .* greater than 0"),
        ({"prior": {"name": "gauss"}}, r"unknown prior 'gauss': known: free_field, normal"),
        ({"prior": {"name": "free_field", "m2": -4.0}}, r"prior 'free_field': key 'm2' has the value -4.0: .* greater than 0"),
        ({"prior": {"name": "free_field", "width": 1.0}}, r"prior 'free_field': unknown key 'width': known: learn_spectrum, m2"),
        ({"partitions": ["chequerboard"]}, r"'partitions.0' has the value 'chequerboard': .* 'checkerboard' or 'stripes'"),
        ({"partitions": []}, r"flow 'affine': key 'partitions' has the value \[\]: .* at least 1 item"),
        ({"site_maps": "yes"}, r"flow 'affine': key 'site_maps' has the value 'yes': .* boolean"),
        ({"fourier_scalin": True}, r"flow 'affine': unknown key 'fourier_scalin': did you mean 'fourier_scaling'\?"),
        ({"network": {"name": "propagater"}}, r"unknown network 'propagater': did you mean 'propagator'\?"),
        (
            {"network": {"name": "propagator", "propagators": [1.0, -0.1]}},
            r"key 'propagators.1' has the value -0.1: .* greater than 0",
        ),
        ({"network": {"name": "propagator", "features": 0}}, r"network 'propagator': key 'features' has the value 0: .* than 0"),
        ({"network": {"name": "propagator", "hidden": [8]}}, r"network 'propagator': unknown key 'hidden'"),
    ],
)
def test_components_are_checked_against_what_they_build(parameters, message):
    whole = {"name": "affine", "layers": 2, "prior": {"name": "normal"}, "network": {"name": "convolutional"}}
    with pytest.raises(ConfigError, match=message):
        FLOWS.build(Component(**(whole | parameters)), Lattice((4, 4)), 1)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"name": "adm"}, r"unknown optimizer 'adm': did you mean 'adam'\?"),
        ({"name": "adam", "beta_1": 1.5}, r"optimizer 'adam': key 'beta_1' has the value 1.5: .* less than 1"),
        ({"name": "adam", "ridge": 1.0}, r"optimizer 'adam': unknown key 'ridge': known: beta_1, beta_2, gradient_clip"),
        ({"name": "natural_gradient", "memry": 0.9}, r"optimizer 'natural_gradient': unknown key 'memry': did you mean 'memory'\?"),
        ({"name": "natural_gradient", "trust": 0.0}, r"optimizer 'natural_gradient': key 'trust' has the value 0.0: .* than 0"),
    ],
)
def test_optimizers_are_checked_against_what_they_build(parameters, message):
    with pytest.raises(ConfigError, match=message):
        OPTIMIZERS.build(Component(**parameters), [], lambda updates: 1.0)


def test_another_optimizer_does_not_inherit_the_options_of_the_default_one():
    config = load(CONFIGS / "E1.yaml", {"training": {"optimizer": {"name": "adam"}}})
    assert config.training.optimizer.parameters == {}


def test_build_passes_checked_parameters_with_their_defaults():
    def constructor(positional, *, size: int, scale: float = 2.0):
        return positional, size, scale

    assert Registry("thing", {"it": constructor}).build(Component(name="it", size=3), "first") == ("first", 3, 2.0)
