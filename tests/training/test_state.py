"""A checkpoint holds the state of a training whole."""

import dataclasses

import numpy as np
import pytest
from small import coarse_flow, weights_of

from lattice_flows.io.arrays import CheckpointError, Checkpoints
from lattice_flows.training.evaluation import Evaluation
from lattice_flows.training.guard import Guarded
from lattice_flows.training.optimizers import Adam
from lattice_flows.training.state import TrainingState


def evaluation(step, ess, **known):
    return Evaluation(step, -1.5, ess, 0.5, 3.0, 1e-3, 0.1, 2.0, **known)


def some_state():
    flow = coarse_flow(steps=3)
    optimizer = Guarded(Adam(flow.trainable_variables, lambda updates: 0.1), flow.trainable_variables)
    state = TrainingState(step=20, seconds=2.5, compile_seconds=1.5, earlier_seconds=7.0, earlier_steps=9, halvings=1)
    for index, (ess, kl) in enumerate(((0.4, 0.2), (0.6, 0.3)), 1):
        for variable in (*flow.variables, *optimizer.variables):
            variable.assign_add(np.full(variable.shape, index, variable.dtype.as_numpy_dtype))
        state.take(flow, optimizer)
        state.record(evaluation(10 * index, ess, kl=kl, kl_error=0.1))
    state.judgement = evaluation(10, 0.35, kl=0.25, k_hat=0.5, k_hat_error=0.1)
    return state, flow, optimizer


def test_the_best_weights_are_those_of_the_smallest_divergence():
    state, flow, _ = some_state()
    assert state.best.step == 10 and state.best.ess < state.evaluations[1].ess
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
    other_optimizer = Guarded(Adam(other.trainable_variables, lambda updates: 0.1), other.trainable_variables)
    found.give(other, other_optimizer)
    assert other.integration_steps == flow.integration_steps
    for one, two in zip((*flow.variables, *optimizer.variables), (*other.variables, *other_optimizer.variables), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_state_that_does_not_fit_changes_nothing():
    state, *_ = some_state()
    other = coarse_flow()
    before, steps = weights_of(other), other.integration_steps
    some = other.trainable_variables[:1]
    smaller = Guarded(Adam(some, lambda updates: 0.1), some)
    with pytest.raises(CheckpointError, match=r"another optimizer than Adam: continue with the optimizer that it was written with"):
        state.give(other, smaller)
    state.weights.popitem()
    with pytest.raises(CheckpointError, match="the weights belong to another flow"):
        state.give(other, Guarded(Adam(other.trainable_variables, lambda updates: 0.1), other.trainable_variables))
    np.testing.assert_equal(weights_of(other), before)
    assert other.integration_steps == steps != state.integration_steps


def test_there_may_be_no_checkpoint(tmp_path):
    assert TrainingState.latest(tmp_path / "nowhere", print) is None


def test_the_summary_is_that_of_the_judgement():
    state, *_ = some_state()
    summary = state.summary(parameters=4, stopped="all steps done")
    assert (summary.steps, summary.seconds, summary.earlier_seconds) == (20, 2.5, 7.0)
    assert (summary.ess, summary.kl, summary.k_hat, summary.parameters) == (0.35, 0.25, 0.5, 4)
    assert summary.forward_ess is None and summary.log_weight_low is None  # not known
    # It is out of date after another evaluation.
    state.record(evaluation(30, 0.5, kl=0.1))
    assert state.judgement is None and state.best.step == 30


def test_a_checkpoint_from_before_the_divergence_was_known_is_resumed(tmp_path):
    """Its best model is that of the largest ESS, until an evaluation knows the divergence."""
    row = dict(zip(Evaluation._fields, (10, -1.5, 0.6, 0.5, 3.0, 0.0, 0.1, 2.0), strict=False))
    state = {"step": 20, "evaluations": [row, row | {"step": 20, "ess": 0.4}]}
    arrays = {"weights/a": np.ones(2), "best_weights/a": np.zeros(2), "optimizer/0": np.ones(1)}
    Checkpoints(tmp_path).save(20, arrays, {"format": 3, "state": state})
    found = TrainingState.latest(tmp_path, print)
    assert found.best.step == 10 and found.judgement is None
    np.testing.assert_array_equal(found.best_weights["a"], np.zeros(2))
    found.record(evaluation(30, 0.3, kl=0.5))
    assert found.best.step == 30 and found.best_weights is found.weights


@pytest.mark.parametrize("exists", [False, True])
def test_checkpoints_of_another_version_are_refused_with_advice_that_can_be_followed(tmp_path, exists):
    Checkpoints(tmp_path / "checkpoints").save(10, {"weights": np.zeros(3)}, {"step": 10, "halvings": 0, "rows": []})
    if exists:
        (tmp_path / "weights.npz").touch()
    with pytest.raises(CheckpointError, match=r"another version of lattice_flows.*start a run in another folder") as error:
        TrainingState.latest(tmp_path / "checkpoints", print)
    assert ("weights.npz as training.init_from" in str(error.value)) == exists
