"""Optimisers against NumPy: Adam and the formulas of arXiv:1412.6980, natural gradients and those of their docstring."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.actions import ScalarPhi4
from lattice_flows.bijectors import FourierScaling
from lattice_flows.flows import Flow
from lattice_flows.lattice import Lattice
from lattice_flows.priors import normal
from lattice_flows.resources import NotEnough
from lattice_flows.training.objectives import path
from lattice_flows.training.optimizers import Adam, NaturalGradient

SIZE = 11


def some_weights():
    rng = np.random.default_rng(1)
    return [tf.Variable(rng.normal(size=shape).astype(np.float32)) for shape in [(2, 3), (4,), ()]]


def vector(weights):
    return np.concatenate([weight.numpy().ravel() for weight in weights]).astype(float)


def falling_rate(updates):
    return 0.1 / (1 + tf.cast(updates, tf.float32))


def test_updates_of_adam_are_those_of_the_paper():
    rng = np.random.default_rng(2)
    weights = some_weights()
    adam = Adam(weights, falling_rate, beta_1=0.8, beta_2=0.9, gradient_clip=2.0)
    expected = vector(weights)
    first, second = np.zeros(SIZE), np.zeros(SIZE)
    for t in range(1, 4):
        gradient = t * rng.normal(size=SIZE)
        adam.apply(tf.constant(gradient, tf.float32))
        gradient *= min(1, 2 / np.linalg.norm(gradient))
        first, second = 0.8 * first + 0.2 * gradient, 0.9 * second + 0.1 * gradient**2
        expected -= 0.1 / t * first / (1 - 0.8**t) / np.sqrt(second / (1 - 0.9**t))
    np.testing.assert_allclose(vector(weights), expected, atol=1e-5)
    updates, moments = adam.variables
    assert updates == 3
    np.testing.assert_allclose(moments, [first, second], atol=1e-5)


@pytest.mark.parametrize("largest_kl_step", [1e3, 1e-4])
def test_updates_of_natural_gradient_are_those_of_the_formula(largest_kl_step):
    rng = np.random.default_rng(3)
    weights = some_weights()
    optimizer = NaturalGradient(weights, falling_rate, decay=0.6, damping=0.2, ridge=0.5, largest_kl_step=largest_kl_step)
    expected, average, bounded = vector(weights), np.zeros((SIZE, SIZE)), []
    for t in range(1, 6):
        gradient, root = rng.normal(size=SIZE), rng.normal(size=(SIZE, 3))
        fisher = root @ root.T
        optimizer.apply(tf.constant(gradient, tf.float32), tf.constant(fisher, tf.float32))
        # The plain mean of the first two, 1 - decay of what is new from then on.
        average += (1 if t == 1 else 0.5 if t == 2 else 0.4) * (fisher - average)
        change = np.linalg.solve(average + 0.2 * np.diag(np.diag(average)) + 0.5 * np.eye(SIZE), gradient)
        largest = np.sqrt(2 * largest_kl_step / (gradient @ change))
        bounded.append(largest < 0.1 / t)
        expected -= min(0.1 / t, largest) * change
    assert all(bounded) if largest_kl_step < 1 else not any(bounded)
    np.testing.assert_allclose(vector(weights), expected, atol=1e-5)
    updates, stored = optimizer.variables
    assert updates == 5
    np.testing.assert_allclose(stored, average, atol=1e-5)


def test_an_averaged_gradient_is_carried_on_to_the_present_weights():
    rng = np.random.default_rng(6)
    weights = some_weights()
    settings = {"decay": 0.6, "damping": 0.2, "ridge": 0.5, "largest_kl_step": 1e3}
    optimizer = NaturalGradient(weights, falling_rate, **settings, averaged_gradient=True)
    fisher, gradient, there = np.zeros((SIZE, SIZE)), np.zeros(SIZE), np.zeros(SIZE)
    for t in range(1, 6):
        own, root, here = rng.normal(size=SIZE), rng.normal(size=(SIZE, 3)), vector(weights)
        optimizer.apply(tf.constant(own, tf.float32), tf.constant(root @ root.T, tf.float32))
        for mean, new in ((fisher, root @ root.T), (gradient, own), (there, here)):
            mean += (1 if t == 1 else 0.5 if t == 2 else 0.4) * (new - mean)
        metric = fisher + 0.2 * np.diag(np.diag(fisher)) + 0.5 * np.eye(SIZE)
        change = np.linalg.solve(metric, gradient + fisher @ (here - there))
        np.testing.assert_allclose(vector(weights), here - 0.1 / t * change, atol=1e-5)


def test_averaged_gradients_of_a_quadratic_loss_are_that_of_the_present_weights():
    """Without noise, an average over all steps is the gradient itself: Newton's steps of a half come closer by a half each."""
    rng = np.random.default_rng(7)
    weights, minimum, root = some_weights(), rng.normal(size=SIZE), rng.normal(size=(SIZE, 2 * SIZE))
    curvature, distance = root @ root.T, vector(weights) - minimum
    optimizer = NaturalGradient(
        weights, lambda updates: 0.5, decay=1 - 1e-6, damping=1e-9, ridge=1e-9, largest_kl_step=1e6, averaged_gradient=True
    )
    for _ in range(4):
        gradient = curvature @ (vector(weights) - minimum)
        optimizer.apply(tf.constant(gradient, tf.float32), tf.constant(curvature, tf.float32))
    np.testing.assert_allclose(vector(weights) - minimum, distance / 16, atol=1e-4)


def test_averages_that_are_forgotten_begin_with_a_gradient_of_zero_where_the_weights_are():
    weights = some_weights()
    optimizer = NaturalGradient(weights, falling_rate, decay=0.9, averaged_gradient=True)
    for _ in range(3):
        optimizer.apply(tf.ones([SIZE]), tf.eye(SIZE))
    weights[0].assign_add(tf.ones_like(weights[0]))
    optimizer.forget()
    _, _, mean_gradient, mean_weights = optimizer.variables
    assert not np.any(mean_gradient)
    np.testing.assert_array_equal(mean_weights, vector(weights).astype(np.float32))
    NaturalGradient(weights, falling_rate).forget()  # without averages there is nothing to forget


def test_averages_are_less_noisy_than_single_gradients():
    """Unit noise in the natural metric: .2 / 1.8 of it per weight stays with steps of .2, and about 1 / 200 after 200 of them."""
    left = {}
    for averaged in (False, True):
        rng, weights = np.random.default_rng(8), some_weights()
        minimum, curvature = vector(weights), np.diag(10.0 ** np.linspace(-2, 2, SIZE))
        optimizer = NaturalGradient(
            weights, lambda updates: 0.2, decay=1 - 1e-6, damping=1e-9, ridge=1e-9, largest_kl_step=1e6, averaged_gradient=averaged
        )
        found = []
        for _ in range(250):
            distance = vector(weights) - minimum
            found.append(distance @ curvature @ distance / SIZE)
            gradient = curvature @ distance + np.sqrt(np.diag(curvature)) * rng.normal(size=SIZE)
            optimizer.apply(tf.constant(gradient, tf.float32), tf.constant(curvature, tf.float32))
        left[averaged] = np.mean(found[-50:])
    assert left[False] == pytest.approx(0.2 / 1.8, rel=0.3) and left[True] < 0.02


def test_the_warm_up_averages_fishers_matrix_alone():
    rng = np.random.default_rng(4)
    warm, without = some_weights(), some_weights()
    before = vector(warm)
    optimizers = [NaturalGradient(warm, falling_rate, warm_up=2), NaturalGradient(without, falling_rate)]
    for t in range(1, 4):
        gradient, fisher = tf.constant(rng.normal(size=SIZE), tf.float32), tf.eye(SIZE) * rng.uniform()
        reset = vector(without) if t == 3 else None
        for optimizer in optimizers:
            optimizer.apply(gradient, fisher)
        if t < 3:
            np.testing.assert_array_equal(vector(warm), before)
    np.testing.assert_allclose(vector(warm) - before, vector(without) - reset, atol=1e-6)
    np.testing.assert_array_equal(optimizers[0].variables[1], optimizers[1].variables[1])


def test_a_gradient_of_zero_changes_nothing():
    weights = some_weights()
    before = vector(weights)
    NaturalGradient(weights, falling_rate).apply(tf.zeros([SIZE]), tf.zeros([SIZE, SIZE]))
    np.testing.assert_array_equal(vector(weights), before)


def test_numbers_that_are_not_finite_reach_the_weights_where_the_loss_will_tell():
    weights = some_weights()
    NaturalGradient(weights, falling_rate).apply(tf.fill([SIZE], np.nan), tf.fill([SIZE, SIZE], np.inf))
    assert np.all(np.isnan(vector(weights)))


def test_newtons_step_lands_on_the_minimum_of_a_quadratic_loss():
    rng = np.random.default_rng(4)
    weights, minimum, root = some_weights(), rng.normal(size=SIZE), rng.normal(size=(SIZE, 2 * SIZE))
    curvature = root @ root.T
    optimizer = NaturalGradient(weights, lambda updates: 1.0, damping=1e-9, ridge=1e-9, largest_kl_step=1e6)
    gradient = curvature @ (vector(weights) - minimum)
    optimizer.apply(tf.constant(gradient, tf.float32), tf.constant(curvature, tf.float32))
    np.testing.assert_allclose(vector(weights), minimum, atol=1e-4)


def test_a_few_steps_take_a_gaussian_flow_to_the_exact_spectrum():
    lattice, m2 = Lattice((4, 4)), 0.8
    flow = Flow(lattice, normal(lattice), FourierScaling(lattice))
    (log_scale,) = flow.trainable_variables
    exact = -np.log(2 * (lattice.momentum_classes()[0] + m2)) / 2
    optimizer = NaturalGradient([log_scale], lambda updates: 1.0, damping=1e-6, ridge=1e-6, largest_kl_step=10.0)
    distance = [np.abs(log_scale - exact).max()]
    for step in range(8):
        z = flow.prior.sample(500, seed=[5, step])
        found = path(flow, ScalarPhi4(lattice, m2=m2, lam=0.0), lambda z=z: z, with_fisher=True)
        optimizer.apply(found.gradient / 500, found.fisher / 500)
        distance.append(np.abs(log_scale - exact).max())
    # The noise of a path gradient vanishes at the minimum with the gradient, so nothing is left of it.
    assert distance[0] > 1 and distance[-1] < 1e-5


def test_a_metric_that_exceeds_the_memory_is_refused():
    weights = [tf.Variable(tf.zeros([1_000_000]))]
    with pytest.raises(
        NotEnough, match=r"the natural gradient of 1000000 weights needs about 28 TB .*: use training.optimizer: adam"
    ):
        NaturalGradient(weights, falling_rate)
