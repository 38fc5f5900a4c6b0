"""Steps that lead astray are taken back."""

import numpy as np
import pytest
import tensorflow as tf
from small import ADAM, Training, gaussian_flow, settings, weights_of

from lattice_flows.training.evaluation import Evaluation
from lattice_flows.training.guard import Guarded
from lattice_flows.training.optimizers import Adam
from lattice_flows.training.state import TrainingState
from lattice_flows.training.stopping import TrainingDiverged, check_length


class Descent:
    """Subtracts the gradient from the weights."""

    needs_fisher, variables = False, ()

    def __init__(self, weights):
        self.weights = weights

    def apply(self, gradient):
        for weight, part in zip(self.weights, tf.split(gradient, 2), strict=True):
            weight.assign_sub(part)


def guarded():
    weights = [tf.Variable([1.0]), tf.Variable([2.0])]
    return weights, Guarded(Descent(weights), weights)


def step(optimizer, loss, error=0.1, gradient=(1.0, -1.0)):
    return bool(optimizer.apply(*(tf.constant(number, tf.float64) for number in (loss, error)), [tf.constant(gradient)]))


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


def test_a_rise_within_the_noise_is_none():
    """The limit is 1 and 10 standard errors above the loss before."""
    weights, optimizer = guarded()
    assert not step(optimizer, -10.0, error=0.5) and not step(optimizer, -4.1)
    assert step(optimizer, -2.0) and [w.numpy()[0] for w in weights] == [0.0, 3.0]


def test_what_is_forgotten_is_no_reference():
    _, optimizer = guarded()
    step(optimizer, -10.0)
    optimizer.forget()
    assert not step(optimizer, 1e3)


def test_the_first_step_is_never_taken_back():
    assert not step(guarded()[1], np.nan)


def test_a_training_survives_steps_that_are_far_too_long(tmp_path):
    """Adam moves the logarithms of all scales by 3 at once, up to the natural length of the steps."""
    training, flow = Training(tmp_path / "run"), gaussian_flow()
    summary = training(flow, **{**ADAM, "learning_rate": 3.0})
    assert "the last step is taken back" in training.output
    assert ",," in (tmp_path / "run" / "steps.csv").read_text()  # the loss of such a step is not known
    assert summary.ess > 0.1
    assert all(np.isfinite(array).all() for array in weights_of(flow).values())


def test_a_training_that_is_astray_at_any_length_is_refused_with_advice():
    state = TrainingState(step=13, evaluations=[Evaluation(10, *[0.5] * 7)])
    check_length(2**-10, 1e6, settings(), state)
    with pytest.raises(
        TrainingDiverged, match=r"steps of 0.0005 of their length still lead astray, to a loss of 1e\+06 at step 13; .*step 10"
    ):
        check_length(2**-11, 1e6, settings(), state)


def test_the_state_is_that_of_the_optimizer_and_its_own():
    flow = gaussian_flow()
    adam = Adam(flow.trainable_variables, lambda updates: 0.1)
    assert len(Guarded(adam, flow.trainable_variables).variables) == len(adam.variables) + 3
