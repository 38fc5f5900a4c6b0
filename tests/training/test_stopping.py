"""Reasons to stop, and losses that are not finite."""

import math

import pytest
from small import settings

from lattice_flows.training.evaluation import Evaluation
from lattice_flows.training.state import TrainingState
from lattice_flows.training.stopping import TrainingDiverged, check_loss, reason_to_stop


def state(step, *acceptances, seconds=0.0):
    rows = [Evaluation(step, 0.0, acceptance, acceptance, 0.0, 0.0, 0.1, seconds) for acceptance in acceptances]
    return TrainingState(step=step, seconds=seconds, evaluations=rows)


@pytest.mark.parametrize(
    ("changes", "present", "reason"),
    [
        ({}, state(39, 0.3), None),
        ({}, state(40, 0.3), "all steps done"),
        ({"target_acceptance": 0.7}, state(10, 0.71, 0.6), "acceptance reached 0.7"),  # by the best model, not the last one
        ({"target_acceptance": 0.7}, state(10, 0.69), None),
        ({"target_acceptance": 0.7}, state(10), None),
        ({"max_minutes": 0.5}, state(10, 0.3, seconds=31.0), "time limit of 0.5 minutes reached"),
        ({"max_minutes": 0.5}, state(10, 0.3, seconds=29.0), None),
        ({"max_minutes": 0.5}, state(10, seconds=31.0), None),  # not before there is a model to keep
        ({"max_minutes": 0.5}, state(0, 0.3, seconds=31.0), None),  # nor before a step, by the time for weights to begin with
        ({"target_acceptance": 0.7}, state(0, 0.71), "acceptance reached 0.7"),
    ],
)
def test_reasons_to_stop(changes, present, reason):
    assert reason_to_stop(settings(**changes), present) == reason


def test_a_loss_that_is_not_finite_is_refused_with_advice():
    check_loss(-12.0, settings(), state(3))
    with pytest.raises(TrainingDiverged, match=r"became nan at step 3; no evaluation had been reached, so nothing was kept"):
        check_loss(math.nan, settings(), state(3))
    with pytest.raises(TrainingDiverged, match=r"became inf at step 13; the state of step 13 is kept.*batch_size \(now 16\)"):
        check_loss(math.inf, settings(), state(13, 0.3))


def test_steps_that_are_taken_back_at_any_length_are_refused():
    check_loss(math.nan, settings(), state(13, 0.3), length=2**-10)
    with pytest.raises(
        TrainingDiverged, match=r"became 1e\+06 at step 13, although steps had become ever shorter; .*step 13 is kept"
    ):
        check_loss(1e6, settings(), state(13, 0.3), length=2**-11)
