"""The training loop: reproducible, resumable, and safe when something goes wrong."""

import csv
import io
import json

import numpy as np
import pytest
from rich.console import Console

from lattice_flows.command_line import CONFIGS
from lattice_flows.config import ConfigError
from lattice_flows.io.arrays import CheckpointError
from lattice_flows.io.runs import RunDirectory
from lattice_flows.progress import Progress
from lattice_flows.training import trainer
from lattice_flows.training.devices import choose_strategy
from lattice_flows.training.trainer import TrainingDiverged, TrainingStep, build_model, learning_rate_schedule, load_trained, train

NATURAL = {"training": {"learning_rate": 0.3, "optimizer": {"name": "natural_gradient"}, "gradient": "path"}}

# A differential equation in a single step, whose error the gradient of the loss finds soon.
CONTINUOUS = CONFIGS / "flows" / "continuous.yaml"
EXPLOITED = {
    "flow": {"integrator": "rk4", "steps": 1, "features": 2, "knots": 2},
    "training": {
        "steps": 200,
        "evaluate_every": 50,
        "batch_size": 64,
        "gradient": "reparameterisation",
        "learning_rate": 0.03,
        "schedule": {"name": "constant"},
        "optimizer": {"name": "adam"},
    },
}
QUICK = {
    "flow": {"steps": 2, "features": 1, "knots": 2},
    "training": {**EXPLOITED["training"], "steps": 40, "evaluate_every": 20, "batch_size": 32},
}
# Parts that know what to do on a lattice of other extents, and are compiled sooner than an integration.
CARRIED_OVER = {
    "flow": {
        "site_maps": True,
        "prior": {"name": "free_field", "m2": 1.0, "learn_spectrum": True},
        "network": {"name": "propagator", "features": 1, "spacing": 0.7, "propagators": [1.0], "bound": 1.5},
    },
    "training": {"steps": 200, "evaluate_every": 100, "learning_rate": 0.03},
}


class Training:
    """Trains in a folder, keeping what is said."""

    def __init__(self, folder):
        self.folder, self.text = folder, io.StringIO()

    def __call__(self, config, device="cpu", resume=False):
        progress = Progress(Console(file=self.text, width=400))
        return train(config, self.folder, choose_strategy(device), progress, resume=resume)

    @property
    def metrics(self):
        rows = csv.DictReader((self.folder / "metrics.csv").read_text().splitlines())
        return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.fixture
def training(tmp_path):
    return lambda name: Training(tmp_path / name)


def test_training_reproduces_itself_and_goes_on_where_it_was_interrupted(training, small_config):
    straight, again, interrupted = training("straight"), training("again"), training("interrupted")
    config = small_config(NATURAL)
    _, flow, _, summary = straight(config)
    assert summary.steps == 40 and summary.stopped == "all steps done" and len(straight.metrics) == 4
    assert float(straight.metrics[-1]["loss"]) < float(straight.metrics[0]["loss"])
    assert "compiling" in straight.text.getvalue() and "acceptance" in straight.text.getvalue()
    again(config)
    assert again.metrics == straight.metrics
    # The first evaluation after no time at all stops the training.
    stopped = interrupted(small_config(NATURAL, {"training": {"max_minutes": 1e-9}}))[3]
    assert stopped.steps == 10 and "minutes are over" in stopped.stopped
    _, resumed_flow, _, resumed = interrupted(config, resume=True)
    assert resumed.steps == 40 and interrupted.metrics == straight.metrics
    assert "resuming at step 10" in interrupted.text.getvalue()
    for name, variable in flow.named_variables().items():
        np.testing.assert_array_equal(variable, resumed_flow.named_variables()[name])


def test_the_best_model_is_kept_and_loaded(training, small_config):
    run_training = training("run")
    _, flow, _, summary = run_training(small_config())
    best = max(run_training.metrics, key=lambda row: float(row["ess"]))
    assert summary.ess == float(best["ess"]) and summary.acceptance == float(best["acceptance"])
    loaded, _, read = load_trained(*RunDirectory.open(run_training.folder), choose_strategy("cpu:1"))
    assert read == summary
    for name, variable in flow.named_variables().items():
        np.testing.assert_array_equal(variable, loaded.named_variables()[name])


def test_the_target_acceptance_stops_the_training(training, small_config):
    config = small_config({"training": {"target_acceptance": 0.001}})
    summary = training("run")(config)[3]
    assert summary.steps < 40 and summary.stopped == "acceptance reached 0.001"


def test_a_damaged_checkpoint_falls_back_to_the_one_before(training, small_config):
    run_training = training("run")
    run_training(small_config())
    straight = run_training.metrics
    newest = run_training.folder / "checkpoints" / "step_000000040.npz"
    newest.write_bytes(newest.read_bytes()[:1000])
    run_training(small_config(), resume=True)
    assert "step_000000040.npz" in run_training.text.getvalue() and "resuming at step 30" in run_training.text.getvalue()
    assert run_training.metrics == straight


def test_weights_that_are_missing(small_config, tmp_path):
    run = RunDirectory.start(tmp_path / "run", small_config())
    with pytest.raises(CheckpointError, match=r"cannot read .*weights.npz: .*No such file"):
        load_trained(run, small_config(), choose_strategy("cpu"))


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_state(training, small_config):
    run_training = training("run")
    adam = {"optimizer": {"gradient_clip": 1e9}}
    run_training(small_config({"training": {**adam, "max_minutes": 1e-9}}))
    good = (run_training.folder / "checkpoints" / "step_000000010.npz").read_bytes()
    before = (run_training.folder / "metrics.csv").read_bytes()
    wild = small_config({"training": {**adam, "learning_rate": 1e6}})
    with pytest.raises(
        TrainingDiverged,
        match=r"step 10 is kept. Go on from there, or start again, with a smaller training.learning_rate \(now 1e\+06\)",
    ):
        run_training(wild, resume=True)
    assert (run_training.folder / "checkpoints" / "step_000000010.npz").read_bytes() == good
    assert (run_training.folder / "metrics.csv").read_bytes() == before
    assert "training.learning_rate 1000000.0 instead of 0.01" in run_training.text.getvalue()
    run_training(small_config({"training": {**adam, "steps": 20}}), resume=True)
    assert [row["step"] for row in run_training.metrics] == ["10", "20"]


def test_training_that_exploits_the_integrator_goes_on_with_half_the_step(training, small_config):
    run_training = training("run")
    run_training(small_config(CONTINUOUS, EXPLOITED, {"training": {"steps": 100}}))
    said = run_training.text.getvalue()
    assert "is below its bound -log Z" in said and "going on with half of it, from the best model before" in said
    # A resumed run remembers the half.
    summary = run_training(small_config(CONTINUOUS, EXPLOITED), resume=True)[3]
    assert run_training.text.getvalue().count("from the best model before") == 1
    rows = [{name: float(value) for name, value in row.items()} for row in run_training.metrics]
    assert min(row["loss"] for row in rows) < -4 and rows[-1]["loss"] > -3.3  # log Z is 3.2
    assert summary.ess > 0.5 and rows[-1]["integration_error"] < 0.1


def test_an_integrator_that_is_exploited_for_ever_stops_the_training(training, small_config, monkeypatch):
    monkeypatch.setattr(trainer, "_MOST_HALVINGS", 0)
    with pytest.raises(
        TrainingDiverged, match=r"is below its bound -log Z = .*; 0 halvings were not enough. Try training.gradient: path"
    ):
        training("run")(small_config(CONTINUOUS, EXPLOITED))


def test_training_may_begin_with_the_weights_of_another_lattice(training, small_config):
    small, large, fresh = training("small"), training("large"), training("fresh")
    first = small(small_config(CONTINUOUS, QUICK))[3]
    six = {"lattice": {"shape": [6, 6]}, "training": {"steps": 1, "evaluate_every": 1, "init_from": str(small.folder)}}
    summary = large(small_config(CONTINUOUS, QUICK, six))[3]
    assert summary.earlier_seconds == first.seconds > 0
    without = fresh(small_config(CONTINUOUS, QUICK, six, {"training": {"init_from": None}}))[3]
    assert without.earlier_seconds == 0 and summary.ess > 2 * without.ess
    for override, error, message in [
        ({"training": {"init_from": "nowhere"}}, CheckpointError, "cannot read nowhere"),
        ({"lattice": {"shape": [4, 4, 4]}}, ConfigError, "weights of the same number of dimensions: here 3, in .*small 2"),
        ({"flow": {"features": 2}}, CheckpointError, r"'equivariant_ode/log_frequencies' has the shape \(2,\), the weights \(1,\)"),
    ]:
        with pytest.raises(error, match=message):
            training("never")(small_config(CONTINUOUS, QUICK, six, override))
    with pytest.raises(ConfigError, match=r"weights of the same flow: here 'affine', in .*small 'continuous'"):
        training("never")(small_config({"training": {"init_from": str(small.folder)}}))
    assert not training("never").folder.exists()


def test_stages_are_trained_one_from_the_other(training, small_config):
    run_training = training("run")
    stages = [{"lattice": {"shape": [2, 2]}, "training": {"steps": 20}}, {"lattice": {"shape": [4, 4]}}]
    config = small_config(CARRIED_OVER, {"lattice": {"shape": [6, 6]}, "stages": stages})
    summary = run_training(config)[3]
    said = run_training.text.getvalue()
    assert "stage 1 of 2: lattice (2, 2)" in said and "stage 2 of 2: lattice (4, 4)" in said
    seconds = []
    for index, shape, steps in [(1, (2, 2), 20), (2, (4, 4), 200)]:
        run, stage = RunDirectory.open(run_training.folder / "stages" / str(index))
        assert stage.lattice.shape == shape and stage.training.steps == steps and stage.stages == ()
        seconds.append(load_trained(run, stage, choose_strategy("cpu"))[2].seconds)
    assert stage.training.init_from == str(run_training.folder / "stages" / "1")
    assert summary.earlier_seconds == pytest.approx(sum(seconds))
    resumed = run_training(config, resume=True)[3]
    assert resumed.earlier_seconds == summary.earlier_seconds and run_training.text.getvalue().count("stage 1 of 2") == 1


def test_training_on_two_devices(training, small_config):
    one, two = training("one"), training("two")
    config = small_config({"training": {"steps": 10}})
    one(config)
    two(config, device="cpu:0,cpu:1")
    for name in ("loss", "ess", "acceptance"):
        assert float(two.metrics[0][name]) == pytest.approx(float(one.metrics[0][name]), rel=1e-3)
    assert len(json.loads((two.folder / "environment.json").read_text())["devices_used"]) == 2


def test_nothing_is_written_before_the_configuration_has_proved_usable(training, small_config):
    run_training = training("run")
    for override, message in [
        ({"lattice": {"shape": [5, 5]}}, r"flow 'affine': checkerboard couplings need every extent even, .* has 5"),
        ({"action": {"lam": -1.0}}, r"lam must not be negative, got -1.0"),
        ({"action": {"lam": 0.0}}, r"lam = 0 needs m2 > 0, got m2 = -4.0"),
        ({"flow": {"layrs": 2}}, r"unknown key 'layrs': did you mean 'layers'"),
        ({"training": {"optimizer": {"name": "adm"}}}, r"unknown optimizer 'adm': did you mean 'adam'\?"),
        ({"training": {"optimizer": {"memry": 0.5}}}, r"optimizer 'adam': unknown key 'memry'"),
        ({"training": {"schedule": {"name": "steps"}}}, r"training.schedule.boundaries must list"),
    ]:
        with pytest.raises(ConfigError, match=message):
            run_training(small_config(override))
    with pytest.raises(ConfigError, match=r"batch_size must be a multiple of the 2 devices, got 15"):
        run_training(small_config({"training": {"batch_size": 15}}), device="cpu:0,cpu:1")
    assert not run_training.folder.exists()


def test_the_two_objectives_tell_the_same_loss_and_make_different_steps(small_config):
    results = []
    for objective in ("reverse KL", "absolute error"):
        config, strategy = small_config(), choose_strategy("cpu")
        flow, action = build_model(config)
        loss = TrainingStep(flow, action, config.training, strategy)(np.array([1, 2], np.int32), objective)
        results.append((loss, flow.fingerprint()))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-6)
    assert results[0][1] != results[1][1]


def test_training_may_begin_with_the_absolute_error(training, small_config, monkeypatch):
    objectives, step = [], TrainingStep.__call__
    monkeypatch.setattr(TrainingStep, "__call__", lambda self, seed, name: objectives.append(name) or step(self, seed, name))
    training("run")(small_config({"training": {"steps": 20, "absolute_error_steps": 7}}))
    assert objectives[-20:] == ["absolute error"] * 7 + ["reverse KL"] * 13
    # Both were compiled before the clock started.
    assert set(objectives[:-20]) == {"absolute error", "reverse KL"}


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"name": "constant"}, [0.2, 0.2, 0.2]),
        ({"name": "cosine"}, [0.2, 0.1, 0.0]),
        ({"name": "steps", "boundaries": [10, 30], "factor": 0.5}, [0.2, 0.1, 0.05]),
    ],
)
def test_learning_rate_schedules(small_config, schedule, expected):
    config = small_config({"training": {"learning_rate": 0.2, "steps": 40, "schedule": schedule}}).training
    rates = [float(learning_rate_schedule(config)(step)) for step in (0, 20, 40)]
    np.testing.assert_allclose(rates, expected, atol=1e-7)
