"""Trainings of configurations in run folders, and trained flows from there."""

import io
import json
import shutil

import numpy as np
import pytest
from rich.console import Console

from lattice_flows.config import CONFIGS, ConfigError
from lattice_flows.flows import FLOWS, save_weights
from lattice_flows.io.arrays import CheckpointError, read_arrays
from lattice_flows.io.files import RunError
from lattice_flows.io.runs import RunDirectory
from lattice_flows.pipeline import build_model, completed, open_trained, start_from_pretrained, train_run
from lattice_flows.progress import Progress
from lattice_flows.resources import NotEnough
from lattice_flows.training.devices import choose_strategy

# Parts that know what to do on a lattice of other extents.
TRANSFERABLE = {
    "flow": {
        "layers": 1,
        "element_wise_maps": True,
        "prior": {"name": "free_field", "m2": 1.0},
        "network": {"name": "propagator", "features": 1, "propagators": [1.0]},
    },
    "training": {"steps": 20, "evaluate_every": 10, "learning_rate": 0.03},
}


def weights_of(flow):
    return {name: variable.numpy() for name, variable in flow.named_variables().items()}


@pytest.fixture(scope="module")
def staged(tmp_path_factory, small_config):
    """A run with two stages on smaller lattices: configuration, what was returned, and what progress showed."""
    stages = [{"lattice": {"shape": [2, 2]}, "training": {"steps": 10}}, {"lattice": {"shape": [4, 4]}}]
    config = small_config(TRANSFERABLE, {"lattice": {"shape": [6, 6]}, "stages": stages})
    text = io.StringIO()
    trained = train_run(config, tmp_path_factory.mktemp("staged") / "run", progress=Progress(Console(file=text, width=400)))
    return config, trained, text.getvalue()


def test_stages_are_trained_one_from_the_other(staged):
    _, (run, _, _, summary), output = staged
    assert "stage 1 of 2: lattice (2, 2)" in output and "stage 2 of 2: lattice (4, 4)" in output
    seconds = []
    for index, shape, steps in [(1, (2, 2), 10), (2, (4, 4), 20)]:
        folder = run.path / "stages" / str(index)
        stage = RunDirectory.open(folder)[1]
        assert stage.lattice.shape == shape and stage.training.steps == steps and stage.stages == ()
        seconds.append(open_trained(folder).summary.seconds)
    assert stage.training.init_from == str(run.path / "stages" / "1")
    # All but the first judge the weights that they begin with.
    folders = [run.path / "stages" / "1", run.path / "stages" / "2", run.path]
    assert [(folder / "metrics.csv").read_text().splitlines()[1].startswith("0,") for folder in folders] == [False, True, True]
    assert summary.earlier_seconds == pytest.approx(sum(seconds)) and summary.earlier_steps == 30


def test_a_finished_run_is_taken_up_with_its_stages(staged):
    config, (run, flow, _, summary), _ = staged
    text = io.StringIO()
    resumed = train_run(config, run.path, progress=Progress(Console(file=text, width=400)), resume=True)
    assert resumed.summary.earlier_seconds == summary.earlier_seconds and "stage" not in text.getvalue()
    np.testing.assert_equal(weights_of(resumed.flow), weights_of(flow))


def test_a_run_goes_on_without_the_weights_that_it_began_with(small_config, tmp_path):
    short = {"training": {"steps": 10}}
    (tmp_path / "first").mkdir()
    save_weights(tmp_path / "first" / "weights.npz", build_model(small_config({"seed": 7}))[0])
    config = small_config(short, {"training": {"init_from": str(tmp_path / "first")}, "stages": [{}]})
    whole = train_run(config, tmp_path / "second")
    whole.run.close()
    shutil.rmtree(tmp_path / "first")
    with pytest.raises(CheckpointError, match="there are no weights"):
        train_run(config, tmp_path / "third", resume=True)  # whose training has not begun
    without = small_config(short, {"stages": [{}]})
    for resumed_with, begun in ((without, True), (config, False)):
        resumed = train_run(resumed_with, tmp_path / "second", resume=True)
        resumed.run.close()
        assert RunDirectory.open(tmp_path / "second")[1].training.init_from == str(tmp_path / "first")
        np.testing.assert_equal(weights_of(resumed.flow), weights_of(whole.flow))
        if begun:  # the next time, as if it had been killed at the end of its stage
            shutil.rmtree(tmp_path / "second" / "checkpoints")
            with pytest.raises(
                RunError, match=r"it holds trained weights, but no checkpoints .* in another folder, with init_from \S+z$"
            ):
                train_run(resumed_with, tmp_path / "second", resume=True)
            (tmp_path / "second" / "weights.npz").unlink()


def test_a_run_goes_on_with_the_weights_that_it_began_with(staged):
    config, (run, *_), _ = staged
    other = config.model_copy(update={"training": config.training.model_copy(update={"init_from": str(run.path / "stages/2")})})
    before = (run.path / "config.yaml").read_text()
    with pytest.raises(RunError, match=r"with init_from \S+2: its training began with fresh weights; leave it out"):
        train_run(other, run.path, resume=True)
    assert (run.path / "config.yaml").read_text() == before


def test_a_refused_continuation_leaves_the_run_as_it_was(tmp_path, small_config):
    run = train_run(small_config({"training": {"steps": 10}}), tmp_path / "run").run
    for checkpoint in (run.path / "checkpoints").iterdir():
        checkpoint.write_bytes(b"damaged")
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match=r"training.optimizer.name was 'adam', now 'natural_gradient'"):
        train_run(small_config({"training": {"optimizer": {"name": "natural_gradient"}}}), run.path, resume=True)
    with pytest.raises(CheckpointError):
        train_run(small_config({"training": {"steps": 20}}), run.path, resume=True)
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_a_run_is_opened_with_its_best_model(staged):
    _, (run, flow, action, summary), _ = staged
    opened = open_trained(run.path, choose_strategy("cpu:1"))
    assert opened.summary == summary._replace(seconds=opened.summary.seconds) and opened.action.parameters == action.parameters
    assert {variable.device[-5:] for variable in opened.flow.variables} == {"CPU:1"}
    np.testing.assert_equal(weights_of(opened.flow), weights_of(flow))


def test_a_run_says_everything_about_how_it_came_about(staged):
    config, (run, *_), _ = staged
    recorded = RunDirectory.open(run.path)[1]
    assert recorded.dump() == completed(config).dump()
    # Defaults are written out, for a later version may have others.
    assert recorded.flow.parameters["network"]["bound"] == 1.5 and recorded.training.optimizer.parameters["beta_1"] == 0.9
    assert len(json.loads((run.path / "environment.json").read_text())["devices_used"]) == 1


def test_a_run_without_weights(small_config, tmp_path):
    RunDirectory.start(tmp_path / "run", small_config())
    with pytest.raises(CheckpointError, match=r"there are no weights .*weights.npz: give .* of a run whose training has ended"):
        open_trained(tmp_path / "run")
    with pytest.raises(RunError, match="nowhere"):
        open_trained(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ({"lattice": {"shape": [5, 5]}}, ConfigError, r"flow 'affine': a checkerboard needs every extent even, .* has 5"),
        ({"action": {"lam": -1.0}}, ConfigError, r"lam must not be negative, got -1.0"),
        ({"action": {"lam": 0.0}}, ConfigError, r"lam = 0 needs m2 > 0, got m2 = -4.0"),
        ({"flow": {"layrs": 2}}, ConfigError, r"unknown key 'layrs': did you mean 'layers'"),
        ({"training": {"optimizer": {"name": "adm"}}}, ConfigError, r"unknown optimizer 'adm': did you mean 'adam'\?"),
        ({"training": {"optimizer": {"decy": 0.5}}}, ConfigError, r"optimizer 'adam': unknown key 'decy'"),
        ({"training": {"loss": "reverse"}}, ConfigError, r"unknown loss 'reverse': did you mean 'reverse_kl'\?"),
        ({"training": {"schedule": {"name": "steps"}}}, ConfigError, r"training.schedule.boundaries is empty"),
        (
            {"stages": [{"training": {"init_from": "affine/E3"}}]},
            ConfigError,
            r"stage 1 of 1 has init_from 'affine/E3', but a stage begins .* give it outside of the stages",
        ),
        ({"stages": [{}, {"flow": {"layrs": 2}}]}, ConfigError, r"stage 2 of 2: flow 'affine': unknown key 'layrs'"),
        ({"training": {"init_from": "nowhere"}}, CheckpointError, r"there are no weights nowhere: give a weights file"),
        (
            {"lattice": {"shape": [10**6, 10**6]}},
            NotEnough,
            r"a field on the lattice .* needs about 8 TB .*: use a smaller lattice",
        ),
        (
            {"lattice": {"shape": [64, 64]}, "training": {"batch_size": 2**30}},
            NotEnough,
            r"on the lattice \(64, 64\) with a batch_size of 1073741824 needs about 35.2 TB",
        ),
    ],
)
def test_nothing_is_written_before_the_configuration_has_proved_usable(small_config, tmp_path, override, error, message):
    with pytest.raises(error, match=message):
        train_run(small_config(override), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_starts_from_pretrained_weights(staged, tmp_path):
    config, (trained, flow, _, summary), _ = staged
    started = start_from_pretrained(config, tmp_path / "run", trained.path)
    assert started.summary == summary._replace(seconds=started.summary.seconds)
    np.testing.assert_equal(weights_of(started.flow), weights_of(flow))
    # And can be opened like any other run.
    np.testing.assert_equal(weights_of(open_trained(tmp_path / "run").flow), weights_of(flow))


def test_pretrained_weights_do_not_replace_others(staged, tmp_path):
    config, (trained, flow, _, _), _ = staged
    start_from_pretrained(config, tmp_path / "run", trained.path).run.close()
    start_from_pretrained(config, tmp_path / "run", trained.path, resume=True).run.close()
    other, diagnostics = build_model(config)[0], read_arrays(trained.path / "weights.npz")[1]
    save_weights(tmp_path / "other.npz", other, diagnostics)
    with pytest.raises(RunError, match=r"holds other weights than other.npz, which would be lost: choose another folder"):
        start_from_pretrained(config, tmp_path / "run", tmp_path / "other.npz", resume=True)
    np.testing.assert_equal(weights_of(open_trained(tmp_path / "run").flow), weights_of(flow))


def test_pretrained_weights_bring_their_integration_steps(small_config, tmp_path):
    config = small_config(CONFIGS / "flows" / "continuous.yaml", {"flow": {"steps": 2, "features": 1, "knots": 2}})
    flow, _ = build_model(config)
    flow.set_integration_steps({name: 8 for name in flow.integration_steps})
    summary = {
        "steps": 1,
        "seconds": 1.0,
        "compile_seconds": 1.0,
        "parameters": 1,
        "acceptance": 0.5,
        "ess": 0.5,
        "stopped": "done",
    }
    save_weights(tmp_path / "weights.npz", flow, {"summary": summary, "config": config.model_dump(mode="json")})
    started = start_from_pretrained(config, tmp_path / "run", tmp_path / "weights.npz")
    opened = open_trained(tmp_path / "run")
    assert started.flow.integration_steps == opened.flow.integration_steps == flow.integration_steps


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"action": {"lam": 6.0}}, r"weights.npz were trained with action.lam 6.975, not 6.0"),
        ({"lattice": {"shape": [8, 8]}}, r"trained with lattice.shape \[6, 6\], not \[8, 8\]"),
        ({"flow": {"layers": 4}}, r"trained with flow.layers 1, not 4"),
        ({"flow": {"network": {"bound": 1.0}}}, r"trained with flow.network.bound 1.5, not 1.0"),
    ],
)
def test_pretrained_weights_of_another_model_are_refused(staged, small_config, tmp_path, override, message):
    config = small_config(TRANSFERABLE, {"lattice": {"shape": [6, 6]}}, override)
    with pytest.raises(ConfigError, match=message):
        start_from_pretrained(config, tmp_path / "run", staged[1].run.path)
    assert not (tmp_path / "run").exists()


def test_weights_that_do_not_say_whose_they_are_are_refused(small_config, tmp_path):
    config = small_config()
    save_weights(tmp_path / "weights.npz", build_model(config)[0])
    with pytest.raises(ConfigError, match=r"does not say which flow its weights belong to: build the flow yourself"):
        start_from_pretrained(config, tmp_path / "run", tmp_path / "weights.npz")


def test_names_that_are_close_or_belong_elsewhere(small_config):
    with pytest.raises(ConfigError, match=r"sampler 'hmc': unknown key 'thining': did you mean 'thinning'\?"):
        completed(small_config({"samplers": {"hmc": {"thining": 4}}}))
    config = small_config({"flow": {"name": "affine_conv"}})
    for call in (completed, build_model):
        with pytest.raises(ConfigError, match=r"'affine_conv': that is a preset for --flow, .* stands for the flow 'affine' with"):
            call(config)


@pytest.mark.parametrize("preset", sorted({file.stem for file in (CONFIGS / "flows").glob("*.yaml")} - FLOWS.keys()))
def test_a_preset_in_the_place_of_a_flow_is_explained_at_any_depth(small_config, preset):
    for flow in ({"name": preset}, {"name": "symmetrized", "of": preset}, {"name": "conditioned", "of": {"name": preset}}):
        with pytest.raises(
            ConfigError, match=f"unknown flow '{preset}': that is a preset for --flow, or for include: flows/{preset}"
        ):
            completed(small_config({"flow": flow}))


@pytest.mark.parametrize("of", [{"nme": "affine"}, [1], {"name": 3}, 3])
def test_what_is_no_flow_in_another_one_is_an_error_of_the_user(small_config, of):
    with pytest.raises(ConfigError, match="flow"):
        completed(small_config({"flow": {"name": "symmetrized", "of": of}}))


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"training": {"loss": "revers_kl"}}, r"stage 2 of 2: unknown loss 'revers_kl': did you mean 'reverse_kl'"),
        ({"training": {"gradient": "paths"}}, r"stage 2 of 2: unknown gradient estimator 'paths': did you mean 'path'"),
        ({"lattice": {"shape": [5, 5]}}, r"stage 2 of 2: flow 'affine': a checkerboard needs every extent even"),
        ({"flow": {"layers": 4}}, r"stage 2 of 2: the weights belong to another flow"),
        ({"flow": {"name": "continuous"}}, r"stage 2 of 2: the weights belong to another flow"),
    ],
)
def test_a_later_stage_that_cannot_be_trained_is_refused_before_the_first_one(small_config, tmp_path, stage, message):
    config = small_config(TRANSFERABLE, {"stages": [{}, stage]})
    with pytest.raises(ConfigError, match=message):
        train_run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_last_stage_that_trains_another_flow_is_refused(small_config, tmp_path):
    config = small_config(TRANSFERABLE, {"stages": [{"flow": {"layers": 4}}]})
    with pytest.raises(ConfigError, match=r"the last stage trains another flow than the configuration: the weights belong to"):
        train_run(config, tmp_path / "run")


def test_a_sampler_that_draws_no_proposals_is_refused_before_the_training(small_config, tmp_path):
    for name, command in (("hmc", "baseline --sampler hmc"), ("pcn", "sample --sampler pcn")):
        with pytest.raises(ConfigError, match=f"chain.sampler is '{name}', which draws no independent proposals: .* by {command}"):
            train_run(small_config({"chain": {"sampler": name}}), tmp_path / "run")
    assert not (tmp_path / "run").exists()
