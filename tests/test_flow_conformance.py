"""What every flow must satisfy. A new file in configs/flows is tested without a line here."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.actions import ACTIONS
from lattice_flows.bijectors import MaskedCoupling
from lattice_flows.config import CONFIGS, load
from lattice_flows.flows import FLOWS
from lattice_flows.io.arrays import assign, read_arrays, write_arrays
from lattice_flows.lattice import Lattice
from lattice_flows.training.devices import choose_strategy
from lattice_flows.training.objectives import ESTIMATORS, reparameterisation
from lattice_flows.training.trainer import TrainingStep, build_model

PRESETS = sorted(path.stem for path in (CONFIGS / "flows").glob("*.yaml"))
SHAPES = [(4, 4), (2, 2, 4), (2, 2, 2, 2)]

pytestmark = pytest.mark.parametrize("name", PRESETS)


def configuration(name, shape=(4, 4), layers=3, **flow):
    small = {"lattice": {"shape": list(shape)}, "training": {"batch_size": 64}}
    config = load(CONFIGS / "E1.yaml", CONFIGS / "flows" / f"{name}.yaml", small)
    # A differential equation has knots in time for layers; its steps are to end at them.
    depth = {"layers": layers} if "layers" in config.flow.parameters else {"knots": layers + 1, **flow}
    return load(CONFIGS / "E1.yaml", CONFIGS / "flows" / f"{name}.yaml", small, {"flow": depth})


def make(name, shape=(4, 4), layers=3, seed=11):
    """A flow away from where training starts, for there some parts are the identity; one that is integrated, finely."""
    flow = FLOWS.build(configuration(name, shape, layers, steps=12).flow, Lattice(shape), seed)
    rng = np.random.default_rng(seed)
    for variable in flow.trainable_variables:
        size = (0.2 if flow.exact else 0.12) / np.sqrt(variable.shape[:-1].num_elements() or 1)
        variable.assign_add(rng.uniform(-size, size, variable.shape))
    return flow


def fields(shape, n=5, dtype=np.float64, seed=12):
    return tf.constant(np.random.default_rng(seed).normal(size=(n, *shape)).astype(dtype))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_round_trip_both_ways(name, shape, layers, dtype):
    flow = make(name, shape, layers)
    bijector, x = flow.bijector, fields(shape, dtype=dtype)
    exact = 1e-10 if flow.exact else 1e-6
    tolerance = exact if dtype is np.float64 else 2e-5
    # tf.identity defeats the bijector's cache, which would hand back x itself.
    np.testing.assert_allclose(bijector.inverse(tf.identity(bijector.forward(x))), x, atol=tolerance)
    np.testing.assert_allclose(bijector.forward(tf.identity(bijector.inverse(x))), x, atol=tolerance)
    y = tf.identity(bijector.forward(x))
    d = len(shape)
    there, back = bijector.forward_log_det_jacobian(x, d), bijector.inverse_log_det_jacobian(y, d)
    np.testing.assert_allclose(there, -back, atol=tolerance)


@pytest.mark.parametrize("shape", SHAPES)
def test_log_determinant_is_that_of_the_jacobian(name, shape):
    flow = make(name, shape)
    bijector, x, volume = flow.bijector, fields(shape, n=2), int(np.prod(shape))

    def jacobian_of_map():
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = bijector.forward(x)
        return tf.reshape(tape.batch_jacobian(y, x, experimental_use_pfor=False), [2, volume, volume])

    # An integration takes long outside a graph; inside one, TensorFlow cannot cut the ten axes of a convolution in four dimensions.
    jacobian = jacobian_of_map() if flow.exact else tf.function(jacobian_of_map)()
    log_det = bijector.forward_log_det_jacobian(x, len(shape))
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], atol=1e-5)


def test_couplings_leave_frozen_sites_and_condition_on_nothing_else(name):
    bijector = make(name, layers=4).bijector
    couplings = [part for part in getattr(bijector, "bijectors", []) if isinstance(part, MaskedCoupling)]
    if not couplings:
        pytest.skip("a flow without couplings")
    assert len(couplings) == 4
    x, other = fields((4, 4)), fields((4, 4), seed=13)
    touched = []
    for coupling in couplings:
        y = coupling.forward(x).numpy()
        active = np.any(y != x, axis=0)
        touched.append(active)
        assert np.count_nonzero(active) == 8
        mixed = tf.where(active, other, x)
        np.testing.assert_array_equal(coupling.forward(mixed).numpy()[:, ~active], x.numpy()[:, ~active])
        log_det, same = (coupling.forward_log_det_jacobian(field, 2) for field in (x, mixed))
        np.testing.assert_array_equal(log_det, same)
    for first, second in zip(touched[::2], touched[1::2], strict=True):
        np.testing.assert_array_equal(first, ~second)


def test_density_integrates_to_one(name):
    flow = make(name, shape=(2,), layers=2)
    axis = np.linspace(-9, 9, 301)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    total = np.sum(np.exp(flow.log_prob(tf.constant(grid)))) * (axis[1] - axis[0]) ** 2
    assert abs(total - 1) < 1e-3


def test_samples_have_the_density_that_comes_with_them(name):
    flow = make(name)
    phi, log_q = flow.sample_and_log_prob(7, tf.constant([1, 2]))
    assert phi.shape == (7, 4, 4) and phi.dtype == tf.float64 and log_q.dtype == tf.float64
    tolerance = 1e-9 if flow.exact else 1e-6
    np.testing.assert_allclose(flow.log_prob(tf.identity(phi)), log_q, atol=tolerance)
    assert isinstance(flow.distribution, tfp.distributions.Distribution)
    np.testing.assert_allclose(flow.distribution.log_prob(phi), log_q, atol=tolerance)


def reflected(phi, axis):
    """About a site, so that colours and stripes stay what they are."""
    return tf.roll(tf.reverse(phi, [axis]), 1, axis)


def test_claimed_symmetries(name):
    flow = make(name, layers=8)  # stripes along both axes
    phi = fields((4, 4))
    transformed = {
        "even translation": [tf.roll(phi, (1, 1), (1, 2)), tf.roll(phi, (-1, 1), (1, 2)), tf.roll(phi, 2, 1)],
        "translation by 2": [tf.roll(phi, 2, 1), tf.roll(phi, 2, 2)],
        "translation": [tf.roll(phi, 1, 1), tf.roll(phi, 1, 2)],
        "rotation": [reflected(tf.transpose(phi, [0, 2, 1]), 1)],
        "reflection": [reflected(phi, 1), reflected(phi, 2)],
        "sign": [-phi],
    }
    assert flow.symmetries <= transformed.keys()
    for symmetry in flow.symmetries:
        for other in transformed[symmetry]:
            np.testing.assert_allclose(flow.log_prob(other), flow.log_prob(phi), rtol=1e-6, err_msg=symmetry)


def test_eager_graph_and_xla_agree(name):
    flow = make(name)
    z = fields((4, 4))
    eager = flow.push_forward(z)
    for compiled in (tf.function(flow.push_forward), tf.function(flow.push_forward, jit_compile=True)):
        for one, other in zip(eager, compiled(z), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_variable_is_seen_through_the_chain_and_gets_a_gradient(name, shape):
    flow, deeper = make(name, shape, layers=2), make(name, shape, layers=3)
    assert deeper.number_of_parameters() > flow.number_of_parameters() > 0
    assert flow.number_of_parameters() == sum(variable.shape.num_elements() for variable in flow.variables)
    action = ACTIONS.build(configuration(name).action, Lattice(shape))
    gradient = reparameterisation(flow, action, lambda: flow.prior.sample(16, seed=[3, 4])).gradient
    sizes = [variable.shape.num_elements() for variable in flow.trainable_variables]
    for variable, part in zip(flow.trainable_variables, tf.split(gradient, sizes), strict=True):
        assert np.any(part != 0), variable.name


def test_all_gradient_estimators_have_the_same_mean(name):
    """Within four standard errors of the mean over 64 batches, for 5 random directions in the space of weights."""
    flow, action = make(name, layers=2), ACTIONS.build(configuration(name).action, Lattice((4, 4)))
    directions = np.random.default_rng(7).normal(size=(5, flow.number_of_parameters())).astype(np.float32)

    @tf.function
    def along_directions(seed):
        def draw():
            return tf.cast(flow.prior.sample(16, seed=seed), tf.float32)

        return [tf.linalg.matvec(directions, estimator(flow, action, draw).gradient) for estimator in ESTIMATORS.values()]

    first, second = np.array([along_directions(tf.constant([8, index])) for index in range(64)]).transpose(1, 0, 2)
    difference, error = np.mean(first - second, axis=0), np.std(first - second, axis=0) / 8
    assert np.all(error > 0) and np.all(np.abs(difference) < 4 * error)


def test_save_and_restore(name, tmp_path):
    flow, other = make(name), make(name, seed=99)
    phi = fields((4, 4))
    assert not np.allclose(flow.log_prob(phi), other.log_prob(phi))
    write_arrays(tmp_path / "weights.npz", flow.named_variables())
    assign(other.named_variables(), read_arrays(tmp_path / "weights.npz")[0])
    np.testing.assert_array_equal(flow.log_prob(phi), other.log_prob(phi))


def test_one_step_on_two_devices_is_one_step_on_one(name):
    results = []
    for device in ("cpu", "cpu:0,cpu:1"):
        config = configuration(name, layers=1, integrator="rk4", steps=2)
        strategy = choose_strategy(device)
        with strategy.scope():
            flow, action = build_model(config)
        before = {key: variable.numpy() for key, variable in flow.named_variables().items()}
        step = TrainingStep(flow, action, config.training, strategy)
        losses = [step(np.array([5, index], np.int32)) for index in range(2)]
        state = [variable.numpy() for variable in step.optimizer.variables]
        results.append((losses, {key: variable.numpy() for key, variable in flow.named_variables().items()}, state))
        assert all(np.any(results[-1][1][key] != before[key]) for key in before)
    (losses, weights, state), (losses_on_two, weights_on_two, state_on_two) = results
    exact = flow.exact
    np.testing.assert_allclose(losses, losses_on_two, rtol=1e-6 if exact else 1e-5)
    # Sums over the batch: Adam's step does not tell their scale.
    for one, two in zip(state, state_on_two, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-3 * np.max(np.abs(one)))
    for key in weights:
        tolerance = 1e-5 if exact else 1e-3 * np.max(np.abs(weights[key] - before[key]))
        np.testing.assert_allclose(weights[key], weights_on_two[key], atol=tolerance, err_msg=key)
