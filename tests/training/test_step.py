"""One optimisation step."""

import numpy as np
import pytest
import tensorflow as tf
from small import ACTION, ADAM, LATTICE, coarse_flow, gaussian_flow, settings, weights_of

from lattice_flows.bijectors import SinhArcsinh
from lattice_flows.config import Component, ConfigError
from lattice_flows.flows import Flow
from lattice_flows.priors import free_field
from lattice_flows.training.devices import choose_strategy
from lattice_flows.training.objectives import LOSSES
from lattice_flows.training.step import FORWARD_KL, TrainingStep, loss_at, losses_from

SEED = np.array([1, 2], np.int32)


def step_of(flow, **changes):
    return TrainingStep(flow, ACTION, settings(**{**ADAM, **changes}), choose_strategy("cpu"))


def test_losses_report_the_same_mean_and_make_different_steps():
    results = []
    for loss in ("reverse_kl", "absolute_error"):
        flow = gaussian_flow()
        results.append((step_of(flow, loss=loss)(SEED), flow.fingerprint()))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-6)
    assert results[0][1] != results[1][1]


def test_a_new_loss_is_a_function_and_a_line(monkeypatch):
    monkeypatch.setitem(LOSSES, "twice", lambda log_q_plus_action: 2 * log_q_plus_action)
    sgd_like = {"optimizer": {"name": "adam", "gradient_clip": 1e9}, "learning_rate": 0.1}
    one, other = gaussian_flow(), gaussian_flow()
    steps = [step_of(one, **sgd_like), step_of(other, loss="twice", **sgd_like)]
    assert steps[0](SEED) == steps[1](SEED)
    moments = [step.optimizer.variables[1][0] for step in steps]
    np.testing.assert_allclose(2 * moments[0], moments[1], rtol=1e-5)


def test_the_initial_loss_ends_after_its_steps():
    changed = settings(initial_loss="absolute_error", initial_loss_steps=3)
    assert [loss_at(changed, step) for step in (0, 2, 3, 4)] == ["absolute_error"] * 2 + ["reverse_kl"] * 2
    assert loss_at(settings(), 0) == "reverse_kl"


def test_steps_of_forward_kl_are_spread_evenly():
    changed = settings(forward_samples="runs/hmc", forward_share=0.4, initial_loss="absolute_error", initial_loss_steps=5)
    names = [loss_at(changed, step) for step in range(10)]
    assert [step for step, name in enumerate(names) if name == FORWARD_KL] == [2, 4, 7, 9]
    assert losses_from(changed, 0) == ["absolute_error", "reverse_kl", FORWARD_KL]
    assert losses_from(settings(), 0) == ["reverse_kl"]


@pytest.mark.parametrize("optimizer", ["adam", "natural_gradient"])
def test_only_the_weights_that_were_chosen_change(optimizer):
    flow = Flow(LATTICE, free_field(LATTICE, m2=1.0, learn_spectrum=True), SinhArcsinh(2))
    chosen = "sinh_arcsinh/log_tail"
    before = weights_of(flow)
    step = step_of(flow, optimizer=Component(name=optimizer), only=[chosen])
    assert step.optimizer.variables[-3].shape == [before[chosen].size]
    step(SEED)
    changed = {name for name, array in weights_of(flow).items() if np.any(array != before[name])}
    assert changed == {chosen}
    assert len(flow.trained) == len(flow.trainable_variables)  # the choice is that of a training
    step_of(flow, **ADAM)(SEED)
    assert all(np.any(array != before[name]) for name, array in weights_of(flow).items())


def test_a_chosen_weight_that_does_not_exist_is_refused():
    for name, advice in (
        ("coupling_0", "known: equivariant_ode, prior$"),
        ("prior/no_such_thing", r"known: prior/\S+$"),
        ("equivariant", "did you mean 'equivariant_ode'"),
        ("equivariant_ode/weight", "did you mean 'equivariant_ode/weights'"),
    ):
        with pytest.raises(ConfigError, match=f"only: no weight belongs to '{name}', perhaps of another flow: {advice}"):
            step_of(coarse_flow(), only=["prior", name])


def test_a_step_of_forward_kl_takes_samples_of_the_target():
    """The first step of Adam goes along the sign of the gradient: it widens a flow that is too narrow."""
    flow = gaussian_flow()
    before = weights_of(flow)
    fields = np.random.default_rng(1).normal(size=(32, 4, 4)).astype(np.float32)
    changed = settings(**ADAM, forward_samples="runs/hmc", forward_share=0.4)
    step = TrainingStep(flow, ACTION, changed, choose_strategy("cpu"), target=fields)
    found = step(SEED, FORWARD_KL)
    assert all(np.all(array > before[name]) for name, array in weights_of(flow).items())
    assignable = gaussian_flow()
    assert found == pytest.approx(np.mean(assignable.log_prob(fields) + ACTION(fields)), rel=0.2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "reverse_KL"}, r"unknown loss 'reverse_KL': did you mean 'reverse_kl'\?"),
        ({"initial_loss": "absolute", "initial_loss_steps": 5}, r"unknown loss 'absolute': did you mean 'absolute_error'\?"),
        ({"gradient": "pth"}, r"unknown gradient estimator 'pth': did you mean 'path'\?"),
        ({"optimizer": {"name": "adm"}}, r"unknown optimizer 'adm': did you mean 'adam'\?"),
        ({"optimizer": {"name": "adam", "decy": 0.5}}, r"optimizer 'adam': unknown key 'decy'"),
    ],
)
def test_unknown_parts_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        step_of(gaussian_flow(), **changes)


def test_an_averaged_gradient_is_that_of_reverse_kl_alone():
    averaged = Component(name="natural_gradient", averaged_gradient=True)
    with pytest.raises(ConfigError, match=r"averaged_gradient is for the loss reverse_kl alone, got absolute_error"):
        step_of(gaussian_flow(), optimizer=averaged, initial_loss="absolute_error", initial_loss_steps=5)
    with pytest.raises(ConfigError, match=r"for the loss reverse_kl alone, got forward_kl"):
        step_of(gaussian_flow(), optimizer=averaged, forward_samples="samples.h5", forward_share=0.5)


def test_an_absolute_error_of_single_samples_is_refused(monkeypatch):
    """It is the distance of each from their mean, and has no slope."""
    monkeypatch.setattr("lattice_flows.training.chunks.SITES_AT_ONCE", LATTICE.volume)
    step_of(gaussian_flow())
    with pytest.raises(ConfigError, match="absolute_error compares samples of a batch, which are computed one by one"):
        step_of(gaussian_flow(), initial_loss="absolute_error", initial_loss_steps=10)


def test_a_warm_up_of_all_steps_is_refused():
    optimizer = Component(name="natural_gradient", warm_up=40)
    with pytest.raises(ConfigError, match=r"training.optimizer.warm_up 40 leaves none of the 40 steps to change weights"):
        TrainingStep(gaussian_flow(), ACTION, settings(steps=40, optimizer=optimizer), choose_strategy("cpu"))
    TrainingStep(gaussian_flow(), ACTION, settings(steps=41, optimizer=optimizer), choose_strategy("cpu"))


def test_the_batch_is_split_evenly():
    strategy = choose_strategy("cpu:0,cpu:1")
    with strategy.scope():
        flow = gaussian_flow()
    with pytest.raises(ConfigError, match=r"batch_size must be a multiple of the 2 devices, got 15"):
        TrainingStep(flow, ACTION, settings(batch_size=15), strategy)


def test_a_step_goes_on_with_the_optimizer_of_another():
    flow = gaussian_flow()
    first = step_of(flow)
    first(SEED)
    second = TrainingStep(flow, ACTION, settings(**ADAM), choose_strategy("cpu"), optimizer=first.optimizer)
    second(SEED)
    assert second.optimizer.variables[0] == tf.constant(2, tf.int64)


def test_averages_of_the_gradient_are_those_of_all_devices():
    """Averages are states of their own, which every device must update: two devices make the steps of one."""
    found, averaged = [], Component(name="natural_gradient", averaged_gradient=True, damping=1e-5, ridge=1e-3, warm_up=2)
    for device in ("cpu", "cpu:0,cpu:1"):
        strategy = choose_strategy(device)
        with strategy.scope():
            flow = gaussian_flow()
        before, step = weights_of(flow), TrainingStep(flow, ACTION, settings(optimizer=averaged), strategy)
        for number in range(4):
            step(np.array([number, 2], np.int32))
        found.append(weights_of(flow))
        assert all(np.any(array != before[name]) for name, array in found[-1].items())
    for name, array in found[0].items():
        np.testing.assert_allclose(found[1][name], array, atol=1e-4)
