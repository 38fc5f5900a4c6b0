"""The training loop: reproducible, resumable, and safe when something goes wrong."""

import shutil

import numpy as np
import pytest
from small import ACTION, ADAM, LATTICE, Training, coarse_flow, gaussian_flow, restarted, settings, weights_of

from lattice_flows.actions import ScalarPhi4
from lattice_flows.config import Component
from lattice_flows.flows import load_weights, save_weights
from lattice_flows.importance import WeightedSampler, expected_acceptance
from lattice_flows.io.segments import EnsembleWriter
from lattice_flows.training import refinement, stopping
from lattice_flows.training.devices import choose_strategy
from lattice_flows.training.stages import begin_with
from lattice_flows.training.step import TrainingStep
from lattice_flows.training.stopping import TrainingDiverged
from lattice_flows.training.trainer import Trainer, train

GAUSSIAN, COARSE = gaussian_flow(), coarse_flow()
START, COARSE_START, COARSE_STEPS = weights_of(GAUSSIAN), weights_of(COARSE), COARSE.integration_steps
DOUBLE_WELL = ScalarPhi4(LATTICE, m2=-4.0, lam=6.975)
GOOD = {**ADAM, "steps": 60, "evaluate_every": 60}
EXPLOITING = {**ADAM, "steps": 200, "evaluate_every": 50, "batch_size": 64, "learning_rate": 0.03, "schedule": {"name": "constant"}}


def gaussian():
    return restarted(GAUSSIAN, START)


def coarse():
    return restarted(COARSE, COARSE_START, COARSE_STEPS)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A training from start to end: the training, the weights at its end and its summary."""
    training, flow = Training(tmp_path_factory.mktemp("straight")), gaussian()
    summary = training(flow, record={"config": "some"})
    return training, weights_of(flow), summary


@pytest.fixture(scope="module")
def exploited(tmp_path_factory):
    """A training that exploits the integrator, is interrupted, and goes on: the training, its weights, steps and summary.

    Its parts are tested in `test_refinement.py` and `test_stages.py`, and below that the training calls them.
    """
    training, flow = Training(tmp_path_factory.mktemp("exploited")), coarse()
    training(flow, DOUBLE_WELL, **{**EXPLOITING, "steps": 100})
    summary = training(flow := coarse(), DOUBLE_WELL, **EXPLOITING)
    return training, weights_of(flow), flow.integration_steps, summary


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A training without an evaluation on the way, which others take up where it has ended."""
    training = Training(tmp_path_factory.mktemp("good"))
    training(gaussian(), **GOOD)
    return training


def test_a_training_improves_the_flow_and_tells(straight):
    training, _, summary = straight
    assert summary.steps == 40 and summary.stopped == "all steps done" and len(training.metrics) == 4
    assert training.metrics[-1]["loss"] < training.metrics[0]["loss"]
    assert "compiling the training step" in training.output and "compiling the sampler" in training.output
    assert f"acceptance {summary.acceptance:.3f}" in training.output


def test_every_step_is_written_and_the_mean_loss_of_the_evaluations_is_theirs(straight):
    training, _, _ = straight
    assert [row["step"] for row in training.steps] == list(range(1, 41))
    means = np.mean([row["loss"] for row in training.steps], where=[row["step"] > 30 for row in training.steps])
    assert means == pytest.approx(training.metrics[-1]["loss"], rel=1e-12)


def test_the_best_model_is_kept_in_the_flow_and_in_the_file(straight):
    training, weights, summary = straight
    best = min(training.metrics, key=lambda row: row["kl"])
    # Judged by other samples than those that it was chosen by: four sigma.
    assert 0 < abs(summary.kl - best["kl"]) < 4 * np.hypot(summary.kl_error, best["kl_error"])
    assert summary.kl_error < best["kl_error"] and 0 < summary.ess < 1
    fresh = WeightedSampler(restarted(GAUSSIAN, weights), ACTION, 512, seed=1).log_weights(4 * 8192, "judgement")
    assert summary.acceptance == expected_acceptance(fresh)
    assert summary.parameters == GAUSSIAN.number_of_parameters()
    flow = gaussian()
    diagnostics = load_weights(training.folder / "weights.npz", flow)
    np.testing.assert_equal(weights_of(flow), weights)
    assert diagnostics["summary"] == summary._asdict() and diagnostics["config"] == "some"


def test_weights_to_begin_with_are_kept_where_no_later_ones_are_better(good, tmp_path):
    good(flow := gaussian(), **GOOD)
    weights = weights_of(flow)
    training, flow = Training(tmp_path / "worse"), gaussian()
    # Steps that are far too long for weights that are good already, and too short to be taken back.
    summary = training(flow, init_from=str(good.folder), steps=2, evaluate_every=1, learning_rate=0.2, **ADAM)
    np.testing.assert_equal(weights_of(flow), weights)
    assert [row["step"] for row in training.metrics] == [0, 1, 2] and training.metrics[0]["learning_rate"] == pytest.approx(0.2)
    best, *later = (row["kl"] for row in training.metrics)
    assert min(later) > 2 * best and "best model at step 0" in training.output
    assert best == pytest.approx(summary.kl, abs=4 * summary.kl_error)


def test_a_flow_that_is_trained_already_is_not_made_worse(good):
    first = good(flow := gaussian(), **GOOD)  # takes up the finished run
    weights = weights_of(flow)
    assert flow.trained_steps == 60
    second = train(flow, ACTION, settings(steps=2, evaluate_every=1, learning_rate=0.2, **ADAM))
    np.testing.assert_equal(weights_of(flow), weights)
    assert second.kl == pytest.approx(first.kl, abs=4 * np.hypot(first.kl_error, second.kl_error))


def test_weights_to_begin_with_that_cannot_be_judged_may_be_mended(tmp_path, monkeypatch):
    save_weights(tmp_path / "weights.npz", gaussian())
    draw = WeightedSampler.log_weights
    broken = iter([True])
    monkeypatch.setattr(WeightedSampler, "log_weights", lambda *args: draw(*args) + (np.inf if next(broken, False) else 0.0))
    training = Training(tmp_path / "mended")
    training(gaussian(), init_from=str(tmp_path), steps=10)
    assert [row["step"] for row in training.metrics] == [10]
    assert "the weights to begin with cannot be judged: they have no finite loss here" in training.output


def test_training_needs_no_folder_and_no_progress(straight, capsys):
    summary = train(flow := gaussian(), ACTION, settings())
    assert capsys.readouterr().out == "" and summary.ess == straight[2].ess
    np.testing.assert_equal(weights_of(flow), straight[1])


def test_training_goes_on_where_it_was_interrupted(straight, tmp_path, monkeypatch):
    """By its time limit at step 10, and by force after the evaluation at step 20."""
    interrupted = Training(tmp_path / "run")
    # The first evaluation after no time at all stops the training.
    stopped = interrupted(gaussian(), max_minutes=1e-9)
    assert stopped.steps == 10 and "time limit of" in stopped.stopped

    def dies(loss, settings, state, length):
        if state.step == 27:
            raise KeyboardInterrupt

    monkeypatch.setattr(stopping, "check_loss", dies)
    with pytest.raises(KeyboardInterrupt):
        interrupted(gaussian(), changed={"training.max_minutes": (1e-9, None)})
    assert "resuming at step 10, training.max_minutes None instead of 1e-09" in interrupted.output
    assert [row["step"] for row in interrupted.steps] == list(range(1, 28))  # those after the checkpoint are made again
    monkeypatch.undo()
    resumed = interrupted(flow := gaussian())
    assert resumed.steps == 40 and "resuming at step 20" in interrupted.output
    assert (interrupted.metrics, interrupted.steps) == (straight[0].metrics, straight[0].steps)
    np.testing.assert_equal(weights_of(flow), straight[1])


def test_a_finished_training_is_not_compiled_again(straight):
    training, weights, summary = straight
    compilations = training.output.count("compiling")
    again = training(flow := gaussian())
    assert again._replace(seconds=summary.seconds) == summary and training.output.count("compiling") == compilations
    np.testing.assert_equal(weights_of(flow), weights)


def test_samples_of_the_target_may_judge_a_finished_training(straight, tmp_path):
    training, _, summary = straight
    copy = Training(shutil.copytree(training.folder, tmp_path / "run"))
    with EnsembleWriter(tmp_path / "hmc.h5", {"lattice_shape": LATTICE.shape, "action": ACTION.component}) as writer:
        writer.append({"phi": 0.4 * np.random.default_rng(1).normal(size=(2, 300, *LATTICE.shape)).astype(np.float32)})
    samples = str(tmp_path / "hmc.h5")
    again = copy(gaussian(), forward_samples=samples, changed={"training.forward_samples": (None, samples)})
    assert 0 < again.forward_ess < 1 and again._replace(forward_ess=None) == summary
    assert f"forward ESS {again.forward_ess:.3f}" in copy.output and "the forward ESS" not in training.output


def test_a_damaged_checkpoint_falls_back_to_the_one_before(straight, tmp_path):
    training = Training(tmp_path / "run")
    (training.folder / "checkpoints").mkdir(parents=True)
    for path in (straight[0].folder / "checkpoints").iterdir():
        content = path.read_bytes()
        (training.folder / "checkpoints" / path.name).write_bytes(content[:1000] if "040" in path.name else content)
    training(gaussian())
    assert "step_000000040.npz" in training.output and "resuming at step 30" in training.output
    assert training.metrics == straight[0].metrics


def test_a_training_that_only_goes_astray_stops_and_keeps_the_last_good_state(tmp_path):
    """At steps 20 and 30 it is where it was at step 10: all steps were taken back."""
    training = Training(tmp_path / "run")
    adam = {**ADAM, "optimizer": {"name": "adam", "gradient_clip": 1e9}}
    training(gaussian(), **adam, max_minutes=1e-9)
    advice = r"step 30 is kept. Restart, or resume a run folder, with a smaller training.learning_rate \(now 1e\+06\)"
    with pytest.raises(TrainingDiverged, match=advice):
        training(gaussian(), **adam, learning_rate=1e6)
    first, *later = training.metrics
    assert [row["step"] for row in later] == [20, 30]
    assert all(abs(row["kl"] - first["kl"]) < 4 * np.hypot(row["kl_error"], first["kl_error"]) for row in later)
    training(gaussian(), **adam)
    assert training.metrics[-1]["step"] == 40 and training.metrics[-1]["kl"] < first["kl"]


@pytest.mark.slow
def test_training_that_exploits_the_integrator_goes_on_with_half_the_step(exploited):
    training, _, _, summary = exploited
    assert "is below its bound -log Z" in training.output
    # The resumed run remembers the half.
    assert training.output.count("halving the step and returning to the best model") == 1
    rows = training.metrics
    assert min(row["loss"] for row in rows) < -4 and rows[-1]["loss"] > -3.3  # log Z is 3.2
    assert summary.acceptance > 0.5 and rows[-1]["integration_error"] < 0.1


@pytest.mark.slow
def test_the_accepted_integration_steps_stay_with_the_flow_its_file_and_the_next_stage(exploited):
    training, weights, accepted, _ = exploited
    (steps,) = accepted.values()
    assert steps in (2, 4, 8, 16) and COARSE_STEPS == {"equivariant_ode": 1}
    loaded, following = coarse_flow(), coarse_flow()
    load_weights(training.folder / "weights.npz", loaded)
    begin_with(following, training.folder)
    phi = np.random.default_rng(1).normal(scale=0.5, size=(4, *LATTICE.shape))
    expected = restarted(coarse_flow(steps=steps), weights).log_prob(phi)
    for flow in (loaded, following):
        assert flow.integration_steps == accepted
        np.testing.assert_allclose(flow.log_prob(phi), expected, rtol=1e-12)
    coarser = restarted(coarse_flow(), weights).log_prob(phi)
    assert np.max(np.abs(coarser - expected)) > 1e-3


@pytest.mark.slow
def test_an_integrator_that_is_exploited_for_ever_stops_the_training(monkeypatch):
    monkeypatch.setattr(refinement, "_MOST_HALVINGS", 0)
    advice = r"is below its bound -log Z = .*; 0 halvings were not enough: try training.gradient: path, or more flow.steps"
    with pytest.raises(TrainingDiverged, match=advice):
        train(coarse(), DOUBLE_WELL, settings(**EXPLOITING))


def test_averages_of_the_gradient_go_on_where_a_training_was_interrupted(tmp_path):
    averaged = {"optimizer": Component(name="natural_gradient", averaged_gradient=True, warm_up=4), "steps": 20}
    straight, interrupted = Training(tmp_path / "straight"), Training(tmp_path / "interrupted")
    straight(flow := gaussian(), **averaged)
    interrupted(gaussian(), **averaged, max_minutes=1e-9)
    interrupted(resumed := gaussian(), **averaged)
    assert "resuming at step 10" in interrupted.output
    np.testing.assert_equal(weights_of(resumed), weights_of(flow))
    assert interrupted.metrics == straight.metrics


def test_training_on_two_devices(straight):
    strategy = choose_strategy("cpu:0,cpu:1")
    with strategy.scope():
        flow = gaussian_flow()
    # Without a strategy, it is the one in whose scope the flow was built.
    summary = train(flow, ACTION, settings())
    assert (summary.ess, summary.acceptance) == pytest.approx((straight[2].ess, straight[2].acceptance), rel=1e-3)
    for name, array in weights_of(flow).items():
        np.testing.assert_allclose(array, straight[1][name], atol=1e-4)


def test_a_continuation_draws_batches_of_its_own(tmp_path, monkeypatch):
    """What is learned from the noise of a batch is not confirmed by the same batch in the next training."""
    seeds, step = [], TrainingStep.__call__
    monkeypatch.setattr(TrainingStep, "__call__", lambda self, seed, loss: seeds.append(tuple(seed)) or step(self, seed, loss))
    steps = {"first": 4, "second": 6, "third": 2}
    for before, name in zip([None, *steps], steps, strict=False):
        Training(tmp_path / name)(gaussian(), init_from=before and str(tmp_path / before), steps=steps[name], evaluate_every=2)
    compilation = max(set(seeds), key=seeds.count)  # of a step that changes nothing, in every training
    assert len(seeds) == 12 + 3 and len(set(seeds) - {compilation}) == 12


def test_a_second_training_of_a_flow_draws_batches_of_its_own(monkeypatch, straight):
    seeds, step = [], TrainingStep.__call__
    monkeypatch.setattr(TrainingStep, "__call__", lambda self, seed, loss: seeds.append(tuple(seed)) or step(self, seed, loss))
    flow = gaussian()
    for _ in range(2):
        train(flow, ACTION, settings(steps=4, evaluate_every=2))
    assert flow.trained_steps == 8 and len(set(seeds)) == 9  # that of the compilation stands twice
    straight[0](taken_up := gaussian())  # a finished run
    assert taken_up.trained_steps == 40


def test_a_training_that_fails_leaves_the_best_weights(good):
    good(flow := gaussian(), **GOOD)
    weights = weights_of(flow)
    adam = {**ADAM, "optimizer": {"name": "adam", "gradient_clip": 1e9}, "batch_size": 8}
    with pytest.raises(TrainingDiverged):
        train(flow, ACTION, settings(**adam, learning_rate=1e30))
    np.testing.assert_equal(weights_of(flow), weights)


def test_training_may_begin_with_another_loss(monkeypatch):
    losses, step = [], TrainingStep.__call__
    monkeypatch.setattr(TrainingStep, "__call__", lambda self, seed, loss: losses.append(loss) or step(self, seed, loss))
    changes = {"steps": 20, "initial_loss": "absolute_error", "initial_loss_steps": 7, "gradient": "path"}
    trainer = Trainer(gaussian(), ACTION, settings(**changes))
    trainer.run()
    assert losses[-20:] == ["absolute_error"] * 7 + ["reverse_kl"] * 13
    # Both were compiled before the clock started, and traced once.
    assert sorted(losses[:-20]) == ["absolute_error", "reverse_kl"]
    assert trainer._train_step._step.experimental_get_tracing_count() == 2
