"""What every flow must satisfy.

A preset in configs/flows and a registered flow, network, prior or inner map are tested without a line here.
"""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from flow_cases import CHAIN, COMPONENTS, PARTS, PRESETS, REPEATED, SHAPES, build, cases, disturbed, fields, make

from lattice_flows.actions import ScalarPhi4
from lattice_flows.config import Component, TrainingConfig
from lattice_flows.flows import FLOWS, load_weights, save_weights
from lattice_flows.lattice import Lattice
from lattice_flows.training.devices import choose_strategy
from lattice_flows.training.objectives import ESTIMATORS, reparameterisation
from lattice_flows.training.step import TrainingStep

every_flow = pytest.mark.parametrize("name", cases([*COMPONENTS, CHAIN]))


@every_flow
def test_an_integrated_flow_says_so(name):
    flow = make(name)
    parts = (flow.bijector, *flow.bijector.submodules, *flow.prior.submodules)
    assert flow.exact == (not any(hasattr(part, "with_integration_steps") for part in parts))
    assert flow.exact == (flow.refined() is None) == (not flow.integration_steps)
    if name in (CHAIN, "continuous"):
        assert not flow.exact


def round_trips(flow, x, tolerance):
    """Both ways, with log-determinants that are those of the inverse; returns the map's log-determinant."""
    bijector, d = flow.bijector, flow.lattice.d
    # tf.identity defeats the bijector's cache, which would return x itself.
    y, z = tf.identity(bijector.forward(x)), tf.identity(bijector.inverse(x))
    np.testing.assert_allclose(bijector.inverse(y), x, atol=tolerance)
    np.testing.assert_allclose(bijector.forward(z), x, atol=tolerance)
    there, back = bijector.forward_log_det_jacobian(x, d), bijector.inverse_log_det_jacobian(y, d)
    np.testing.assert_allclose(there, -back, atol=tolerance)
    return there


def in_float64(flow):
    return 1e-10 if flow.exact else 1e-6


@every_flow
def test_round_trip_both_ways(name):
    """Of even and odd depth; odd depth in float64 is in the next test."""
    even, odd = make(name, depth=2), make(name, depth=3)
    round_trips(even, fields((4, 4)), in_float64(even))
    round_trips(odd, fields((4, 4), dtype=np.float32), 2e-5)


def on_shapes():
    """All presets on all shapes, in the fast tests on one of them each; parts in any dimension have tests of their own."""
    on_all = [name for name in PRESETS if "of" not in COMPONENTS[name].parameters]  # the map of a flow made of another is its map
    for index, name in enumerate([*on_all, *(name for name in (*COMPONENTS, CHAIN) if name not in on_all)]):
        for each, shape in enumerate(SHAPES if name in on_all else SHAPES[:1]):
            slow = name in REPEATED or (name in on_all and each != index % len(SHAPES))
            yield pytest.param(name, shape, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize(("name", "shape"), list(on_shapes()))
def test_log_determinant_is_that_of_the_jacobian(name, shape):
    flow, x = make(name, shape), fields(shape, n=2)
    log_det = round_trips(flow, x, in_float64(flow))
    # Networks compute in float32, too coarse for finite differences; the differential equation computes in float64 throughout.
    jacobian = automatic_jacobian(flow.bijector, x) if flow.exact else numerical_jacobian(flow.bijector, x)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], atol=1e-5)


def automatic_jacobian(bijector, x):
    """In one pass back, over a copy of each field for every component of its image."""
    volume = x[0].shape.num_elements()
    copies = tf.repeat(x, volume, axis=0)
    with tf.GradientTape() as tape:
        tape.watch(copies)
        y = bijector.forward(copies)
    each = np.tile(np.eye(volume), (len(x), 1)).reshape(copies.shape)
    return np.reshape(tape.gradient(y, copies, each), [len(x), volume, volume])


def numerical_jacobian(bijector, x, h=1e-4):
    volume = x[0].shape.num_elements()
    steps = h * np.eye(volume).reshape(volume, 1, *x.shape[1:])
    shifted = np.stack([x + steps, x - steps]).reshape(-1, *x.shape[1:])
    up, down = np.reshape(bijector.forward(shifted), (2, volume, len(x), volume))
    return np.moveaxis((up - down) / (2 * h), 0, 2)


@pytest.mark.parametrize("name", cases(PARTS))
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_parts_in_three_and_four_dimensions(name, shape):
    flow = make(name, shape, 2)
    with tf.GradientTape() as tape:
        phi, log_q = flow.sample_and_log_prob(4, [1, 2], tf.float32)
        total = tf.reduce_sum(log_q) + tf.reduce_sum(tf.cast(phi, tf.float64) ** 2)
    np.testing.assert_allclose(flow.log_prob(tf.identity(phi)), log_q, atol=1e-3)
    assert all(np.all(np.isfinite(gradient)) for gradient in tape.gradient(total, flow.bijector.trainable_variables))


@every_flow
def test_couplings_leave_frozen_sites_and_condition_on_nothing_else(name):
    couplings = [part for part in make(name, depth=4).bijector.submodules if hasattr(part, "active")]
    if not couplings:
        pytest.skip("a flow without couplings")
    assert len(couplings) == 4
    x, other = fields((4, 4)), fields((4, 4), seed=13)
    touched = []
    for coupling in couplings:
        y = coupling.forward(x).numpy()
        active = np.any(y != x, axis=0)
        touched.append(active)
        np.testing.assert_array_equal(active, coupling.active)
        assert np.count_nonzero(active) == 8
        mixed = tf.where(active, other, x)
        np.testing.assert_array_equal(coupling.forward(mixed).numpy()[:, ~active], x.numpy()[:, ~active])
        # What a site becomes depends on itself and on frozen sites alone.
        site = np.zeros_like(active)
        site[tuple(np.argwhere(active)[3])] = True
        alone = tf.where(active & ~site, other, x)
        np.testing.assert_array_equal(coupling.forward(alone).numpy()[:, site], y[:, site])
    for first, second in zip(touched[::2], touched[1::2], strict=True):
        np.testing.assert_array_equal(first, ~second)


@every_flow
def test_density_integrates_to_one(name):
    flow = make(name, (2,), 2)
    axis = np.linspace(-9, 9, 151)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    total = np.sum(np.exp(flow.log_prob(tf.constant(grid)))) * (axis[1] - axis[0]) ** 2
    assert abs(total - 1) < 1e-3


@every_flow
def test_samples_have_the_density_that_comes_with_them(name):
    flow = make(name)
    flow = flow if flow.exact else flow.refined().refined()  # the inverse map is another integration
    phi, log_q = flow.sample_and_log_prob(7, tf.constant([1, 2]))
    assert phi.shape == (7, 4, 4) and phi.dtype == tf.float64 and log_q.dtype == tf.float64
    tolerance = 1e-9 if flow.exact else 1e-6
    np.testing.assert_allclose(flow.log_prob(tf.identity(phi)), log_q, atol=tolerance)
    assert isinstance(flow.distribution, tfp.distributions.Distribution)
    np.testing.assert_allclose(flow.distribution.log_prob(phi), log_q, atol=tolerance)


def reflected(phi, axis):
    """About a site, so that colours and stripes stay what they are."""
    return tf.roll(tf.reverse(phi, [axis]), 1, axis)


@every_flow
def test_claimed_symmetries(name):
    flow = make(name, depth=8 if name in PRESETS else 4)  # eight layers have stripes along both axes
    phi = fields((4, 4), n=3)
    transformed = {
        "even translation": [tf.roll(phi, (1, 1), (1, 2)), tf.roll(phi, (-1, 1), (1, 2)), tf.roll(phi, 2, 1)],
        "translation by 2": [tf.roll(phi, 2, 1), tf.roll(phi, 2, 2)],
        "translation": [tf.roll(phi, 1, 1), tf.roll(phi, 1, 2)],
        "rotation": [reflected(tf.transpose(phi, [0, 2, 1]), 1)],
        "reflection": [reflected(phi, 1), reflected(phi, 2)],
        "sign": [-phi],
    }
    assert flow.symmetries <= transformed.keys()
    others = [(symmetry, other) for symmetry in sorted(flow.symmetries) for other in transformed[symmetry]]
    expected, *found = tf.split(flow.log_prob(tf.concat([phi, *(other for _, other in others)], 0)), 1 + len(others))
    for (symmetry, _), log_q in zip(others, found, strict=True):
        np.testing.assert_allclose(log_q, expected, rtol=1e-6, err_msg=symmetry)


# Networks, inner maps and odd sites have tests of their own in `networks/test_conditioner.py`, `test_inner_maps.py` and
# `test_site_conditional.py`, as have priors; the conditioned flow is a symmetrized affine one, and the differential equation is in
# the chain.
COMPILED = ("conditioned", CHAIN)


@pytest.mark.parametrize("name", cases([*COMPONENTS, CHAIN], {*COMPONENTS} - {*COMPILED}))
def test_eager_and_xla_agree(name):
    flow, z = make(name, depth=1), fields((4, 4))
    for one, other in zip(flow.push_forward(z), tf.function(flow.push_forward, jit_compile=True)(z), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@every_flow
def test_every_variable_is_seen_through_the_chain_and_gets_a_gradient(name):
    flow, deeper = make(name, depth=2), make(name, depth=3)
    assert deeper.number_of_parameters() > flow.number_of_parameters() > 0
    of_condition = 0 if flow.condition is None else len(flow.knots)  # where a conditioned flow stands, which is not trained
    assert flow.number_of_parameters() + of_condition == sum(variable.shape.num_elements() for variable in flow.variables)

    def far_from_zero():  # enough for every segment of a map
        return 2 * flow.prior.sample(64, seed=[3, 4])

    gradient = reparameterisation(flow, ScalarPhi4(flow.lattice, m2=-4.0, lam=7.0), far_from_zero).gradient
    sizes = [variable.shape.num_elements() for variable in flow.trainable_variables]
    for variable, part in zip(flow.trainable_variables, tf.split(gradient, sizes), strict=True):
        assert np.any(part != 0), variable.name


FIRST_OF_EACH_KIND = {PRESETS[name].name: name for name in reversed(PRESETS)}.values()


# The conditioned flow is a symmetrized affine one.
@pytest.mark.parametrize("name", cases(FIRST_OF_EACH_KIND, ("affine", "symmetrized", "continuous", "continuous_marginalized")))
def test_all_gradient_estimators_have_the_same_mean(name):
    """The first preset of each kind of flow, for networks and terms do not change how gradients are estimated.

    Within four standard errors of the mean over 64 batches, for 5 random directions in the space of weights."""
    flow = disturbed(build(name, depth=2, integration_steps=3))
    action = ScalarPhi4(flow.lattice, m2=-4.0, lam=7.0)
    directions = np.random.default_rng(7).normal(size=(5, flow.number_of_parameters())).astype(np.float32)

    @tf.function
    def along_directions(seed):
        def draw():
            return tf.cast(flow.prior.sample(16, seed=seed), tf.float32)

        return [tf.linalg.matvec(directions, estimator(flow, action, draw).gradient) for estimator in ESTIMATORS.values()]

    first, second = np.array([along_directions(tf.constant([8, index])) for index in range(64)]).transpose(1, 0, 2)
    difference, error = np.mean(first - second, axis=0), np.std(first - second, axis=0) / 8
    assert np.all(error > 0) and np.all(np.abs(difference) < 4 * error)


@every_flow
def test_save_and_restore(name, tmp_path):
    flow, other = make(name), build(name, seed=99, integration_steps=2)
    phi = fields((4, 4))
    assert not np.allclose(flow.log_prob(phi), other.log_prob(phi))
    save_weights(tmp_path / "weights.npz", flow)
    load_weights(tmp_path / "weights.npz", other)
    assert other.integration_steps == flow.integration_steps
    np.testing.assert_array_equal(flow.log_prob(phi), other.log_prob(phi))


@pytest.mark.slow
def test_one_step_on_two_devices_is_one_step_on_one():
    """Of a map with gradients of its own; `training/test_trainer.py` has natural gradients on two devices."""
    component = Component(name="continuous", features=1, knots=2, steps=1, integrator="rk4")
    settings = {"optimizer": Component(name="adam"), "gradient": "reparameterisation", "learning_rate": 1e-3}
    results = []
    for device in ("cpu", "cpu:0,cpu:1"):
        strategy = choose_strategy(device)
        with strategy.scope():
            flow = disturbed(FLOWS.build(component, Lattice((4, 4)), 11))
        before = {key: variable.numpy() for key, variable in flow.named_variables().items()}
        step = TrainingStep(flow, ScalarPhi4(flow.lattice, m2=-4.0, lam=7.0), TrainingConfig(**settings), strategy)
        losses = [step(np.array([5, index], np.int32)) for index in range(2)]
        state = [variable.numpy() for variable in step.optimizer.variables]
        results.append((losses, {key: variable.numpy() for key, variable in flow.named_variables().items()}, state))
        assert all(np.any(results[-1][1][key] != before[key]) for key in before)
    (losses, weights, state), (losses_on_two, weights_on_two, state_on_two) = results
    np.testing.assert_allclose(losses, losses_on_two, rtol=1e-5)
    for one, two in zip(state, state_on_two, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-3 * np.max(np.abs(one)))
    for key in weights:
        tolerance = 1e-3 * np.max(np.abs(weights[key] - before[key]))
        np.testing.assert_allclose(weights[key], weights_on_two[key], atol=tolerance, err_msg=key)
