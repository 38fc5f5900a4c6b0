"""Steps that lead astray are taken back, and averages that do are begun anew."""

import numpy as np
import pytest
import tensorflow as tf
from small import ACTION, ADAM, LATTICE, Training, gaussian_flow, settings, weights_of

from lattice_flows.actions import ScalarPhi4
from lattice_flows.config import Component
from lattice_flows.flows import conditioned
from lattice_flows.seeds import sub_seed
from lattice_flows.training.devices import choose_strategy
from lattice_flows.training.evaluation import Evaluation
from lattice_flows.training.guard import TAKEN_BACK, Guarded, begin_averages_anew
from lattice_flows.training.state import TrainingState
from lattice_flows.training.step import TrainingStep

SEED = np.array([1, 2], np.int32)


class Descent:
    """Subtracts the gradient from the weights."""

    needs_fisher, averages_gradients, variables = False, False, ()

    def __init__(self, weights):
        self.weights, self.forgotten = weights, 0

    def forget(self):
        self.forgotten += 1

    def apply(self, gradient):
        for weight, part in zip(self.weights, tf.split(gradient, 2), strict=True):
            weight.assign_sub(part)


def guarded():
    weights = [tf.Variable([1.0]), tf.Variable([2.0])]
    return weights, Guarded(Descent(weights), weights)


def step(optimizer, loss, error=0.1, gradient=(1.0, -1.0)):
    """Whether the step before was taken back, or None where none is made."""
    numbers = (tf.constant(number, tf.float64) for number in (loss, error))
    taken_back, left_out = map(bool, optimizer.apply(*numbers, [tf.constant(gradient)]))
    return None if left_out else taken_back


@pytest.mark.parametrize("astray", [-7.9, 1e30, np.inf, np.nan])
def test_a_step_that_leads_astray_is_taken_back_and_the_next_are_shorter(astray):
    weights, optimizer = guarded()
    assert not step(optimizer, -10.0) and [w.numpy()[0] for w in weights] == [0.0, 3.0]
    assert step(optimizer, astray) and [w.numpy()[0] for w in weights] == [1.0, 2.0] and optimizer.length == 0.5
    assert not step(optimizer, -10.0) and [w.numpy()[0] for w in weights] == [0.5, 2.5]
    assert optimizer.length == pytest.approx(0.55)
    for _ in range(10):
        step(optimizer, -10.0)
    assert optimizer.length == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_no_number_never_reaches_the_optimiser(bad):
    """Its averages would keep it: here there is no step before, which could be taken back."""
    weights, optimizer = guarded()
    assert step(optimizer, -10.0, gradient=(bad, 1.0)) is None and optimizer.length == 0.5
    assert optimizer.unguarded([tf.constant([1.0, bad])]) and optimizer.length == 0.25
    assert [w.numpy()[0] for w in weights] == [1.0, 2.0]
    assert not step(optimizer, -10.0) and [w.numpy()[0] for w in weights] == [0.75, 2.25]
    assert not optimizer.unguarded([tf.constant([1.0, -1.0])]) and weights[0].numpy()[0] == pytest.approx(0.75 - 0.275)


def test_a_rise_within_the_noise_is_none():
    """The limit is 1 and 10 standard errors above the loss before."""
    weights, optimizer = guarded()
    assert not step(optimizer, -10.0, error=0.5) and not step(optimizer, -4.1)
    assert step(optimizer, -2.0) and [w.numpy()[0] for w in weights] == [0.0, 3.0]


def test_what_is_forgotten_is_no_reference():
    _, optimizer = guarded()
    step(optimizer, -10.0)
    optimizer.forget()
    assert not step(optimizer, 1e3) and optimizer.optimizer.forgotten == 1


def test_the_first_step_is_never_taken_back():
    assert not step(guarded()[1], np.nan)


def test_the_loss_after_a_step_is_taken_back_is_the_new_reference():
    """The one before was low by chance: the step is not blamed again, and training goes on."""
    weights, optimizer = guarded()
    step(optimizer, -10.0)
    assert step(optimizer, -5.0) and not step(optimizer, -5.0) and not step(optimizer, -5.0)
    assert optimizer.length == pytest.approx(0.605) and weights[0].numpy()[0] == pytest.approx(1 - 0.5 - 0.55)


def test_a_gradient_that_is_no_number_is_taken_back():
    weights, optimizer = guarded()
    step(optimizer, -10.0)
    assert step(optimizer, -10.0, gradient=(np.nan, 1.0)) and [w.numpy()[0] for w in weights] == [1.0, 2.0]


def test_a_step_whose_loss_cannot_be_compared_is_not_judged():
    weights, optimizer = guarded()
    step(optimizer, -10.0)
    optimizer.unguarded([tf.constant([1.0, -1.0])])
    assert not step(optimizer, 1e3) and [w.numpy()[0] for w in weights] == [-2.0, 5.0]


def test_an_evaluation_judges_too():
    weights, optimizer = guarded()
    step(optimizer, -10.0)
    assert not optimizer.judge(-9.0) and optimizer.judge(1e3) and not optimizer.judge(1e3)
    assert [w.numpy()[0] for w in weights] == [1.0, 2.0]


WILD = {**ADAM, "learning_rate": 3.0}  # moves the logarithms of all scales by 3 at once


def test_a_training_survives_steps_that_are_far_too_long_and_goes_on_where_it_was_interrupted(tmp_path):
    straight, interrupted = Training(tmp_path / "straight"), Training(tmp_path / "interrupted")
    summary = straight(flow := gaussian_flow(), **WILD)
    assert "the last step is taken back" in straight.output and summary.ess > 0.1
    interrupted(gaussian_flow(), **WILD, max_minutes=1e-9)
    interrupted(resumed := gaussian_flow(), **WILD)
    assert "resuming at step 10" in interrupted.output
    np.testing.assert_equal(weights_of(resumed), weights_of(flow))
    assert interrupted.metrics == straight.metrics


def test_steps_are_taken_back_on_two_devices():
    strategy = choose_strategy("cpu:0,cpu:1")
    with strategy.scope():
        flow = gaussian_flow()
    made = TrainingStep(flow, ACTION, settings(**WILD), strategy)
    made(SEED)
    before = weights_of(flow)
    assert made(SEED) > 1e2 and made.undone == TAKEN_BACK and made.optimizer.length == 0.5
    assert made.last_rate == pytest.approx(3.0)  # of the one step that was made, at the start of the schedule
    assert all(np.all(array < before[name]) for name, array in weights_of(flow).items())


@pytest.mark.parametrize("changes", [{"loss": "absolute_error"}, {"batch_size": 8}])
def test_other_losses_and_small_batches_are_not_guarded(changes):
    assert not any_taken_back(gaussian_flow(), ACTION, **changes)


@pytest.mark.slow
def test_the_losses_of_different_couplings_are_not_compared():
    flow, action = conditioned(LATTICE, knots=(5.0, 9.0), of={"name": "affine", "layers": 2}), ScalarPhi4(LATTICE, m2=-4.0, lam=6.0)
    at_one_coupling = flow.at(6.0)
    assert not any_taken_back(flow, action) and any_taken_back(at_one_coupling, action)


def any_taken_back(flow, action, **changes):
    made, found = TrainingStep(flow, action, settings(**WILD | changes), choose_strategy("cpu")), []
    for _ in range(3):
        made(SEED)
        found.append(made.undone == TAKEN_BACK)
    return any(found)


@pytest.mark.parametrize(
    ("averages", "kl", "begun_anew"),
    [(True, 0.31, True), (True, 0.29, False), (True, 0.1, False), (False, 9.0, False)],
)
def test_averages_are_begun_anew_where_the_divergence_has_risen_by_five_errors(averages, kl, begun_anew):
    _, optimizer = guarded()
    optimizer.averages_gradients = averages
    flow, state, lines = gaussian_flow(), TrainingState(step=20), []
    for at, divergence in ((10, 0.2), (20, kl)):
        state.take(flow, optimizer)
        row = Evaluation(at, -1.0, 0.5, 0.5, 3.0, 0.0, 0.1, 2.0, kl=divergence, kl_error=0.02 / np.sqrt(2))
        state.record(row)
        for variable in flow.variables:
            variable.assign_add(tf.ones_like(variable))
    begin_averages_anew(flow, optimizer, state, lines.append)
    assert optimizer.optimizer.forgotten == begun_anew == len(lines)
    if begun_anew:
        np.testing.assert_equal(weights_of(flow), state.best_weights)
        np.testing.assert_equal(state.weights, state.best_weights)
        assert (
            lines[0].startswith("at step 20, the divergence has risen from 0.2 to") and "back to the weights of step 10" in lines[0]
        )


def test_a_training_goes_on_from_its_best_model_with_new_averages(tmp_path, monkeypatch):
    """In step 19 something pushes all weights, by less than what a single step is taken back for."""
    made = TrainingStep.__call__

    def pushed(self, seed, loss):
        if np.array_equal(seed, sub_seed(1, "training", 19)):
            for variable in self._variables[:1]:
                variable.assign_add(tf.fill(variable.shape, 0.2))
        return made(self, seed, loss)

    monkeypatch.setattr(TrainingStep, "__call__", pushed)
    optimizer = Component(
        name="natural_gradient", averaged_gradient=True, decay=0.99, damping=1e-5, ridge=1e-3, largest_kl_step=10.0
    )
    changes = {"optimizer": optimizer, "gradient": "path", "learning_rate": 0.5}
    straight, interrupted = Training(tmp_path / "straight"), Training(tmp_path / "interrupted")
    straight(flow := gaussian_flow(), **changes)
    assert "back to the weights of step 10, and to a new average" in straight.output and "taken back" not in straight.output
    first, second, *_, last = (row["kl"] for row in straight.metrics)
    assert second > 1.5 * first and last < first
    interrupted(gaussian_flow(), **changes, max_minutes=1e-9)
    interrupted(gaussian_flow(), **changes, max_minutes=1e-9)
    interrupted(resumed := gaussian_flow(), **changes)
    np.testing.assert_equal(weights_of(resumed), weights_of(flow))
    assert interrupted.metrics == straight.metrics
