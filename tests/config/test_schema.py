"""Configuration files: what is accepted, and what the refusals say."""

import pytest
import yaml

from lattice_flows.config import CONFIGS, Component, ConfigError, Registry, RunConfig, load
from lattice_flows.flows import FLOWS
from lattice_flows.pipeline import completed
from lattice_flows.training.optimizers import OPTIMIZERS

WHOLE = sorted(path.stem for path in CONFIGS.glob("*.yaml") if path.stem != "base")


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
    (tmp_path / "rate.yaml").write_text(f"include: {CONFIGS / 'E1.yaml'}\ntraining: {{steps: 2e3, learning_rate: 1e-3}}")
    training = load(tmp_path / "rate.yaml").training
    assert training.steps == 2000 and training.learning_rate == 1e-3


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
        ({"lattice": {"shape": [4, 4, 4, 4, 4]}}, r"'lattice.shape' has the value \[4, 4, 4, 4, 4\]: .* 4 entries or fewer"),
        ({"lattice": {"shape": [1, 4]}}, r"'lattice.shape.0' has the value 1: .* greater than or equal to 2"),
        ({"training": {"gradient": 1}}, r"'training.gradient' has the value 1: input should be a valid string"),
        ({"training": {"initial_loss_steps": 5}}, r"'training.initial_loss_steps' has the value 5: .*initial_loss is None"),
        ({"training": {"initial_loss": "absolute_error"}}, r"initial_loss_steps' has the value 0: .*or neither"),
        ({"training": {"forward_share": 0.5}}, r"'training.forward_share' has the value 0.5: steps .*give forward_samples too"),
        ({"training": {"init_from": ""}}, r"'training.init_from' has the value '': it should not be empty"),
        ({"training": {"forward_samples": ""}}, r"'training.forward_samples' has the value '': it should not be empty"),
        ({"training": {"initial_loss_steps": -1}}, r"'training.initial_loss_steps' has the value -1: .* equal to 0"),
        ({"samplers": {"hmc": {"chains": 0}}}, r"'samplers.hmc.chains' has the value 0: input should be greater than 0"),
        (
            {"samplers": {"hmc": {"thinning": 5000}}},
            r"'samplers.hmc.thinning' has the value 5000: .* fewer than 10 configurations of .* too few for error estimates",
        ),
        ({"samplers": {"hmc": 3}}, r"key 'samplers.hmc' has the value 3: input should be a mapping of keys to values"),
        ({"samplers": []}, r"key 'samplers' has the value \[\]: input should be a mapping of keys to values"),
        ({"hmc": 3}, r"key 'samplers.hmc' has the value 3: input should be a mapping of keys to values"),
        ({"training": {"optimizer": {"name": 3}}}, r"'training.optimizer.name' has the value 3: input should be a valid string"),
        ({"training": {"beta_1": 0.9}}, r"unknown key 'training.beta_1'"),
        ({"lattice": {"shape": [4, True]}}, r"'lattice.shape.1' has the value True: .* integer"),
    ],
)
def test_refusals_name_key_value_and_what_would_be_right(override, message):
    with pytest.raises(ConfigError, match=message):
        load(CONFIGS / "E1.yaml", override)


FIVE_LINES = """
lattice:
  shape: [8, 8]
action: {name: scalar_phi4, m2: -4.0, lam: 8.0}
flow: {name: affine}
"""


@pytest.fixture
def short(tmp_path):
    (tmp_path / "short.yaml").write_text(FIVE_LINES)
    return tmp_path / "short.yaml"


def test_lattice_action_and_flow_are_enough(short):
    config = load(short)
    assert config.training.steps == 300 and config.chain.length == 1_000_000
    assert config.sampler("hmc").component("hmc").parameters == {"chains": 256, "target_acceptance": 0.7, "leapfrog_steps": 10}
    assert config.sampler("metropolis").successive == 4000 and config.sampler("of one's own").thinning == 10


def test_base_documents_every_key_with_its_default(short):
    """Keys and values of the file itself, without what it includes."""
    documented = yaml.safe_load((CONFIGS / "base.yaml").read_text().replace("1e-3", "0.001"))
    default = load(short).model_dump(mode="json")
    default["training"]["optimizer"] = OPTIMIZERS.completed(default["training"]["optimizer"]).model_dump(mode="json")
    assert documented.pop("include") == "flows/affine.yaml" and documented.pop("action") == {"name": "scalar_phi4", "m2": -4.0}
    given = {key: default.pop(key) for key in ("lattice", "action", "flow")}
    assert given.keys() | documented.keys() == RunConfig.model_fields.keys()
    assert documented == default


@pytest.mark.parametrize("name", ["affine", "continuous"])
def test_the_preset_of_a_flow_documents_every_key_with_its_default(name):
    preset = yaml.safe_load((CONFIGS / "flows" / f"{name}.yaml").read_text())["flow"]
    default = FLOWS.completed(name)
    assert preset.keys() == default.model_dump(mode="json").keys()
    assert FLOWS.completed(preset) == default


@pytest.mark.parametrize("before", ["flows/affine_conv.yaml", "flows/continuous.yaml", "training/averaged_gradients.yaml"])
def test_the_preset_of_the_affine_flow_restores_its_training(before):
    back = load(CONFIGS / "E1.yaml", CONFIGS / before, CONFIGS / "flows" / "affine.yaml").training
    default = load(CONFIGS / "E1.yaml").training
    assert OPTIMIZERS.completed(back.optimizer) == OPTIMIZERS.completed(default.optimizer)
    assert back.model_copy(update={"optimizer": default.optimizer}) == default


@pytest.mark.parametrize("name", WHOLE)
def test_the_preset_of_the_affine_flow_fits_every_configuration(name):
    config = completed(load(name, CONFIGS / "flows" / "affine.yaml"))
    assert config.flow == FLOWS.completed("affine") and config.stage_configs() == []


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONFIGS / "flows").glob("*.yaml")))
def test_every_preset_fits_every_configuration_with_stages(name):
    staged = [whole for whole in WHOLE if load(whole).stages]
    assert len(staged) > 8
    for whole in staged:
        completed(load(whole, CONFIGS / "flows" / f"{name}.yaml"))


def test_a_component_may_be_given_by_its_name_alone(tmp_path):
    (tmp_path / "short.yaml").write_text("{lattice: {shape: [4, 4]}, action: scalar_phi4, flow: affine}")
    config = load(
        tmp_path / "short.yaml", {"action": {"m2": 1.0}, "flow": {"layers": 2}, "training": {"optimizer": {"ridge": 0.1}}}
    )
    assert config.action == Component(name="scalar_phi4", m2=1.0) and config.flow == Component(name="affine", layers=2)
    assert config.training.optimizer == Component(name="natural_gradient", ridge=0.1)
    assert load(tmp_path / "short.yaml", {"flow": "continuous"}).flow == Component(name="continuous")


def test_another_action_keeps_the_parameters_that_it_takes():
    actions = Registry("action", {"other": lambda lattice, *, m2: m2, "third": lambda lattice, *, m2, lam, g=0.5: (m2, lam, g)})
    other = load(CONFIGS / "E1.yaml", {"action": {"name": "other"}})
    assert actions.build(other.action, None) == -4.0
    assert actions.completed(other.action) == Component(name="other", m2=-4.0)
    third = load(CONFIGS / "E1.yaml", {"action": {"name": "other"}}, {"action": {"name": "third", "m2": 1.0}})
    assert actions.build(third.action, None) == (1.0, 6.975, 0.5)
    wrong = load(CONFIGS / "E1.yaml", {"action": {"name": "other", "lam": 1.0}})  # written for this one
    with pytest.raises(ConfigError, match=r"action 'other': unknown key 'lam'"):
        actions.build(wrong.action, None)
    assert RunConfig.checked(yaml.safe_load(other.dump()), "dump") == other


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
    config = load(CONFIGS / "E1.yaml", {"stages": stages, "training": {"forward_samples": "hmc", "only": ["prior"]}})
    first, second = config.stage_configs()
    assert first.training.forward_samples is second.training.forward_samples is None  # they are of another lattice
    assert config.training.only == ("prior",) and first.training.only is second.training.only is None
    assert first.differences(config).keys() >= {"lattice.shape", "training.steps", "stages"}
    assert (first.lattice.shape, first.training.steps, first.stages) == ((4, 4), 5, ())
    assert (second.lattice.shape, second.flow.parameters["layers"]) == ((6, 6), 2)
    assert second.flow.parameters["network"] == config.flow.parameters["network"]
    with pytest.raises(ConfigError, match=r"stage 2: unknown key 'training.stepps': did you mean 'steps'"):
        load(CONFIGS / "E1.yaml", {"stages": [{}, {"training": {"stepps": 5}}]})
    with pytest.raises(ConfigError, match=r"stage 1 has the lattice \(6, 6, 6\), of another dimension than \(8, 8\)"):
        load(CONFIGS / "3d_L8.yaml", {"lattice": {"shape": [8, 8]}})


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("L*.yaml")), ids=lambda path: path.stem)
def test_lattices_on_the_line_of_constant_physics_grow_from_smaller_ones(path):
    config = load(path)
    extents = [max(run.lattice.shape) for run in [*config.stage_configs(), config]]
    assert config.flow.name == "continuous" and max(extents) == extents[-1] and f"L{extents[-1]}" == path.stem
    published = yaml.safe_load((CONFIGS.parent / "paper" / "published.yaml").read_text())["line_of_constant_physics"]
    couplings = published | {128: 4.317}  # ours, by clusters
    # A stage has the coupling of its own lattice, or that of the last one already; 4.313 is where 128 x 128 was tried first.
    allowed = [{couplings[extent], couplings[extents[-1]], *([4.313] if extents[-1] == 128 else [])} for extent in extents]
    found = [run.action.parameters["lam"] for run in [*config.stage_configs(), config]]
    assert all(map(set.__contains__, allowed, found)) and found[-1] == couplings[extents[-1]]


@pytest.mark.parametrize("name", WHOLE)
def test_a_training_of_fresh_weights_learns_from_its_first_step(name):
    """Steps that only average keep what was learned before, and nothing was."""
    config = load(name)
    first = next(iter(config.stage_configs()), config)
    assert first.training.init_from is not None or first.training.optimizer.parameters["warm_up"] == 0


def test_another_optimizer_does_not_inherit_the_options_of_the_default_one():
    config = load(CONFIGS / "E1.yaml", {"training": {"optimizer": {"name": "adam"}}})
    assert config.training.optimizer.parameters == {}


@pytest.mark.parametrize(
    ("samplers", "message"),
    [
        ({"hcm": {}}, r"unknown sampler 'hcm': did you mean 'hmc'\?"),
        ({"hmc": {"leapfrog_step": 3}}, r"sampler 'hmc': unknown key 'leapfrog_step': did you mean 'leapfrog_steps'\?"),
        ({"hmc": {"leapfrog_steps": 0}}, r"sampler 'hmc': key 'leapfrog_steps' has the value 0: .* greater than 0"),
    ],
)
def test_samplers_are_checked_before_a_run_begins(samplers, message):
    with pytest.raises(ConfigError, match=message):
        completed(load(CONFIGS / "E1.yaml", {"samplers": samplers}))
