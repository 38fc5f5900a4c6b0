"""Losses and gradients where they are known: on a free field, with a flow that is exact. Tolerances: four standard deviations."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from exact import free_field

from lattice_flows.actions import ScalarPhi4
from lattice_flows.bijectors import FourierScaling
from lattice_flows.config import Component
from lattice_flows.flows import FLOWS, Flow, continuous
from lattice_flows.fourier import hartley
from lattice_flows.lattice import Lattice
from lattice_flows.priors import normal
from lattice_flows.training.objectives import ESTIMATORS, absolute_error, forward_kl, path, reparameterisation, reverse_kl, scores

tfb, tfd = tfp.bijectors, tfp.distributions

LATTICE, M2 = Lattice((4, 4)), 0.8
FREE, INTERACTING = ScalarPhi4(LATTICE, m2=M2, lam=0.0), ScalarPhi4(LATTICE, m2=-1.0, lam=0.5)


def exact_flow(lattice, m2):
    """Unit normals times a square root of the covariance, `log q = -S - log Z` for every field."""
    identity = np.eye(lattice.volume).reshape(-1, *lattice.shape)
    spectrum = 2 * (lattice.momentum_squared() + m2)
    inverse = np.fft.ifftn(np.fft.fftn(identity, axes=lattice.axes) / spectrum, axes=lattice.axes).real
    root = np.linalg.cholesky(inverse.reshape(lattice.volume, lattice.volume))
    flatten = tfb.Reshape([lattice.volume], list(lattice.shape))
    return Flow(lattice, normal(lattice), tfb.Chain([tfb.Invert(flatten), tfb.ScaleMatvecTriL(root), flatten]))


def gaussian_flow(m2):
    """The free field of a mass, with a spectrum that is trained."""
    return Flow(LATTICE, normal(LATTICE), FourierScaling(LATTICE, lambda momenta: -np.log(2 * (momenta + m2)) / 2))


def interacting_flow():
    """A small flow with every part of the default one, away from where it starts."""
    network = {"name": "propagator", "features": 1, "propagators": [0.5]}
    parts = {
        "layers": 1,
        "element_wise_maps": True,
        "fourier_scaling": True,
        "network": network,
        "prior": {"name": "free_field", "m2": 2.0},
    }
    flow = FLOWS.build(Component(name="affine", **parts), LATTICE, 1)
    rng = np.random.default_rng(2)
    for variable in flow.trainable_variables:
        variable.assign_add(rng.uniform(-0.1, 0.1, variable.shape))
    return flow


def draws(flow, n, seed=1, part=slice(None)):
    """Always the same prior samples, drawn afresh: their dependence on the prior's weights counts."""
    return lambda: flow.prior.sample(n, seed=[seed, 2])[part]


def loss_of_each(flow, action, n):
    phi, log_q = flow.push_forward(draws(flow, n)())
    return reverse_kl(log_q + action(phi)).numpy()


def test_the_loss_of_the_exact_flow_is_minus_log_z_for_every_sample():
    loss = loss_of_each(exact_flow(LATTICE, M2), FREE, 6)
    np.testing.assert_allclose(loss, np.full(6, -free_field(LATTICE, M2)["log_z"]), rtol=1e-12)


def test_any_other_flow_has_a_larger_loss():
    loss = loss_of_each(exact_flow(LATTICE, 0.9), FREE, 20000)
    error = loss.std() / np.sqrt(len(loss))
    assert loss.mean() > -free_field(LATTICE, M2)["log_z"] + 4 * error


def test_the_absolute_error_is_the_distance_from_the_mean_which_is_held_fixed():
    x = tf.constant([1.0, 2.0, 6.0], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = absolute_error(x)
    np.testing.assert_allclose(loss, [2, 1, 3])
    np.testing.assert_allclose(tape.gradient(loss, x), [-1, -1, 1])


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS.keys())
def test_estimators_sum_over_samples(estimator):
    flow = interacting_flow()
    parts = (slice(None), slice(2), slice(2, None))
    whole, first, rest = (estimator(flow, INTERACTING, draws(flow, 6, part=part)) for part in parts)
    phi, log_q = flow.push_forward(draws(flow, 6)())
    np.testing.assert_allclose(whole.log_q_plus_action, np.sum(log_q + INTERACTING(phi)), rtol=1e-10)
    np.testing.assert_allclose(whole.log_q_plus_action, first.log_q_plus_action + rest.log_q_plus_action, rtol=1e-10)
    np.testing.assert_allclose(whole.gradient, first.gradient + rest.gradient, rtol=1e-3, atol=1e-3)
    assert whole.fisher is None


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS.keys())
def test_fishers_matrix_is_the_sum_of_squares_of_scores_and_changes_nothing_else(estimator):
    flow = interacting_flow()
    without, found = (estimator(flow, INTERACTING, draws(flow, 6), with_fisher=wanted) for wanted in (False, True))
    score = scores(flow, flow.push_forward(draws(flow, 6)())[0])[0].numpy()
    np.testing.assert_allclose(found.fisher, sum(np.outer(one, one) for one in score), rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(found.gradient, without.gradient, rtol=1e-3, atol=1e-3)


def test_reparameterisation_is_the_derivative_of_the_loss():
    # One number, in which the loss of each sample of a Gaussian is known: sum_p (e^{2 s_p} z_p^2 (phat^2 + m2) - s_p) + constant.
    flow = gaussian_flow(1.5)
    found = reparameterisation(flow, FREE, draws(flow, 4))
    classes, variance = LATTICE.momentum_classes()[1], 1 / (2 * (LATTICE.momentum_squared().ravel() + 1.5))
    modes = tf.reshape(draws(flow, 4)(), [4, -1]).numpy() @ hartley(LATTICE.shape)
    of_each = 2 * variance * modes**2 * (LATTICE.momentum_squared().ravel() + M2) - 1
    np.testing.assert_allclose(found.gradient, np.bincount(classes, of_each.sum(axis=0)), rtol=1e-4)


def test_the_gradient_of_the_absolute_error_has_the_sign_of_each_sample():
    flow = interacting_flow()
    phi, log_q = flow.push_forward(draws(flow, 5)())
    exponent = log_q + INTERACTING(phi)
    of_each = [reparameterisation(flow, INTERACTING, draws(flow, 5, part=slice(i, i + 1))).gradient for i in range(5)]
    found = reparameterisation(flow, INTERACTING, draws(flow, 5), loss=absolute_error)
    np.testing.assert_allclose(found.log_q_plus_action, np.sum(exponent), rtol=1e-10)
    expected = np.sum(np.sign(exponent - np.mean(exponent))[:, np.newaxis] * of_each, axis=0)
    np.testing.assert_allclose(found.gradient, expected, rtol=1e-3, atol=1e-3)


def test_the_estimators_differ_by_the_scores():
    flow = interacting_flow()
    draw = draws(flow, 6)
    difference = reparameterisation(flow, INTERACTING, draw).gradient - path(flow, INTERACTING, draw).gradient
    score = scores(flow, flow.push_forward(draw())[0])[0]
    assert np.linalg.norm(difference) > 1
    np.testing.assert_allclose(difference, np.sum(score, axis=0), rtol=1e-3, atol=1e-3)


def test_the_mean_score_is_zero():
    flow = interacting_flow()
    score = tf.function(lambda: scores(flow, flow.sample_and_log_prob(20000, [3, 4])[0])[0])().numpy()
    error = score.std(axis=0) / np.sqrt(len(score))
    assert np.all(error > 0) and np.all(np.abs(score.mean(axis=0)) < 4 * error)


@pytest.mark.parametrize("with_fisher", [True, False])
def test_the_path_gradient_of_the_exact_flow_is_zero_for_every_batch(with_fisher):
    flow = gaussian_flow(M2)
    for seed in range(3):
        draw = draws(flow, 4, seed)
        assert np.max(np.abs(path(flow, FREE, draw, with_fisher=with_fisher).gradient)) < 1e-5
        assert np.min(np.abs(reparameterisation(flow, FREE, draw, with_fisher=with_fisher).gradient)) > 0.01


def test_scores_are_the_gradients_of_log_q_of_each_sample():
    flow = interacting_flow()
    phi = tf.constant(np.random.default_rng(5).normal(size=(4, 4, 4)))
    score, force = scores(flow, phi)
    assert score.shape == (4, flow.number_of_parameters()) and force.shape == phi.shape
    for i in range(4):
        one = phi[i : i + 1]
        with tf.GradientTape() as tape:
            tape.watch(one)
            log_q = flow.log_prob(one)
        *of_variables, of_phi = tape.gradient(log_q, [*flow.trainable_variables, one])
        expected = np.concatenate([gradient.numpy().ravel() for gradient in of_variables])
        np.testing.assert_allclose(score[i], expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(force[i], of_phi[0], rtol=1e-4, atol=1e-4)


def test_scores_of_a_gaussian_are_known():
    flow = gaussian_flow(1.5)
    phi = np.random.default_rng(6).normal(size=(3, 4, 4))
    score, force = scores(flow, tf.constant(phi))
    classes, inverse = LATTICE.momentum_classes()[1], 2 * (LATTICE.momentum_squared().ravel() + 1.5)
    modes = phi.reshape(3, -1) @ hartley(LATTICE.shape)
    for i in range(3):
        np.testing.assert_allclose(score[i], np.bincount(classes, inverse * modes[i] ** 2 - 1), rtol=1e-4)
    np.testing.assert_allclose(force, ((-inverse * modes) @ hartley(LATTICE.shape)).reshape(phi.shape), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_scores_through_an_integration_are_the_gradients_of_each_sample():
    flow = continuous(LATTICE, features=1, knots=2, steps=1, integrator="rk4")
    rng = np.random.default_rng(9)
    for variable in flow.trainable_variables:
        variable.assign_add(rng.uniform(-0.05, 0.05, variable.shape))
    phi = tf.constant(rng.normal(size=(3, 4, 4)))

    @tf.function
    def gradient(one):
        with tf.GradientTape() as tape:
            log_q = flow.log_prob(one)
        return tape.gradient(log_q, flow.trainable_variables)

    expected = [np.concatenate([part.numpy().ravel() for part in gradient(phi[i : i + 1])]) for i in range(3)]
    score, _ = tf.function(scores, jit_compile=True)(flow, phi)
    np.testing.assert_allclose(score, expected, rtol=1e-3, atol=1e-3)


def test_forward_kl_has_the_gradient_of_minus_log_q_at_samples_of_the_target():
    flow, phi = gaussian_flow(M2), tf.constant(np.random.default_rng(3).normal(size=(6, 4, 4)), tf.float32)
    plain, metric = (forward_kl(flow, FREE, lambda: phi, with_fisher=with_fisher) for with_fisher in (False, True))
    score, _ = scores(flow, phi)
    np.testing.assert_allclose(plain.gradient, -tf.reduce_sum(score, axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(metric.gradient, plain.gradient, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(metric.fisher, tf.matmul(score, score, transpose_a=True), rtol=1e-4, atol=1e-3)
    assert float(plain.log_q_plus_action) == pytest.approx(float(metric.log_q_plus_action), rel=1e-6)


@pytest.mark.parametrize("estimator", [path, reparameterisation])
def test_weights_that_the_gradient_cannot_reach_are_refused(estimator):
    flow = FLOWS.build(Component(name="continuous", features=1, knots=2, steps=1, kernel_radius=1.0), LATTICE, 1)
    drawn_outside = tf.cast(flow.prior.sample(4, seed=[1, 2]), tf.float32)
    with pytest.raises(ValueError, match=r"log_scale.*drawn outside"):
        estimator(flow, INTERACTING, lambda: drawn_outside)
