"""A checkpoint holds the state of a training whole."""

import dataclasses

import numpy as np
import pytest
from small import coarse_flow, weights_of

from lattice_flows.io.arrays import CheckpointError, Checkpoints
from lattice_flows.training.evaluation import Evaluation
from lattice_flows.training.optimizers import Adam
from lattice_flows.training.state import TrainingState


def evaluation(step, ess):
    return Evaluation(step, -1.5, ess, 0.5, 3.0, 1e-3, 0.1, 2.0)


def some_state():
    flow = coarse_flow(steps=3)
    optimizer = Adam(flow.trainable_variables, lambda updates: 0.1)
    state = TrainingState(step=20, seconds=2.5, compile_seconds=1.5, earlier_seconds=7.0, halvings=1)
    for index, ess in enumerate((0.6, 0.4), 1):
        for variable in (*flow.variables, *optimizer.variables):
            variable.assign_add(np.full(variable.shape, index, variable.dtype.as_numpy_dtype))
        state.take(flow, optimizer)
        state.record(evaluation(10 * index, ess))
    return state, flow, optimizer


def test_the_best_weights_are_those_of_the_best_evaluation():
    state, flow, _ = some_state()
    assert state.best.step == 10
    for name, array in weights_of(flow).items():
        np.testing.assert_array_equal(state.weights[name], array)
        np.testing.assert_allclose(state.best_weights[name], array - 2, rtol=1e-5, atol=1e-6)


def test_a_checkpoint_gives_back_everything(tmp_path):
    state, flow, optimizer = some_state()
    state.save(Checkpoints(tmp_path))
    found = TrainingState.latest(tmp_path, print)
    for field in dataclasses.fields(TrainingState):
        np.testing.assert_equal(getattr(found, field.name), getattr(state, field.name), err_msg=field.name)
    other = coarse_flow()
    other_optimizer = Adam(other.trainable_variables, lambda updates: 0.1)
    found.give(other, other_optimizer)
    assert other.integration_steps == flow.integration_steps
    for one, two in zip((*flow.variables, *optimizer.variables), (*other.variables, *other_optimizer.variables), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_state_that_does_not_fit_changes_nothing():
    state, *_ = some_state()
    other = coarse_flow()
    before, steps = weights_of(other), other.integration_steps
    smaller = Adam(other.trainable_variables[:1], lambda updates: 0.1)
    with pytest.raises(CheckpointError, match=r"another optimizer than Adam: continue with the optimizer that it was written with"):
        state.give(other, smaller)
    state.weights.popitem()
    with pytest.raises(CheckpointError, match="the weights belong to another flow"):
        state.give(other, Adam(other.trainable_variables, lambda updates: 0.1))
    np.testing.assert_equal(weights_of(other), before)
    assert other.integration_steps == steps != state.integration_steps


def test_there_may_be_no_checkpoint(tmp_path):
    assert TrainingState.latest(tmp_path / "nowhere", print) is None


def test_checkpoints_of_an_earlier_version_are_refused(tmp_path):
    Checkpoints(tmp_path / "checkpoints").save(10, {"weights": np.zeros(3)}, {"step": 10, "halvings": 0, "rows": []})
    with pytest.raises(CheckpointError, match=r"earlier version of lattice_flows.*weights.npz as training.init_from"):
        TrainingState.latest(tmp_path / "checkpoints", print)
