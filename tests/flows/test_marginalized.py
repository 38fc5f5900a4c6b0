"""Flows of the odd sites; what every flow must satisfy is in test_flow_conformance.py."""

import json

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.actions import ACTIONS, ScalarPhi4
from lattice_flows.actions.action import Action
from lattice_flows.api import measure, sample
from lattice_flows.bijectors.odd_sites import joined, split
from lattice_flows.config import CONFIGS, Component, ConfigError, load
from lattice_flows.flows import (
    FLOWS,
    for_action,
    load_weights,
    marginalized,
    save_weights,
    symmetrized,
    transfer_weights,
    without_even_sites,
)
from lattice_flows.importance import effective_sample_size
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.errors import Estimate, pull
from lattice_flows.measurement.result import Result
from lattice_flows.pipeline import train_run
from lattice_flows.training.objectives import scores

ACTION = ScalarPhi4(Lattice((4, 4)), m2=-4.0, lam=5.0)
SMALL = {"name": "continuous", "features": 2, "knots": 2, "steps": 4, "kernel_radius": 2.0}


def disturbed(flow, seed=1):
    rng = np.random.default_rng(seed)
    for variable in flow.trainable_variables:
        variable.assign_add(rng.normal(scale=0.03, size=variable.shape))
    return flow


def log_weight(flow, action, phi):
    return (-action(phi) - flow.log_prob(phi)).numpy()


def test_weights_depend_on_the_odd_sites_alone():
    flow = disturbed(marginalized(ACTION.lattice, of=SMALL, action=ACTION.component))
    phi = tf.constant(np.random.default_rng(2).normal(size=(5, 4, 4)))
    _, odd = split(phi, 2)
    other = joined(tf.random.stateless_normal(odd.shape, [1, 2], dtype=tf.float64), odd, 2)
    np.testing.assert_allclose(log_weight(flow, ACTION, phi), log_weight(flow, ACTION, other), atol=1e-10)
    assert np.ptp(log_weight(flow, ACTION, phi)) > 1
    drawn, log_q = flow.sample_and_log_prob(6, [3, 4], tf.float32)
    single = -ACTION(tf.cast(drawn, tf.float64)) - log_q
    np.testing.assert_allclose(log_weight(flow, ACTION, tf.cast(drawn, tf.float64)), single, atol=1e-4)


def test_training_leaves_the_even_sites_out():
    flow = disturbed(marginalized(ACTION.lattice, of=SMALL, action=ACTION.component))
    part, action, part_of = without_even_sites(flow, ACTION)
    phi = tf.constant(np.random.default_rng(2).normal(size=(5, 4, 4)))
    assert part.lattice.shape == (4, 2) and part.named_variables() == flow.named_variables()
    np.testing.assert_allclose(log_weight(part, action, part_of(phi)), log_weight(flow, ACTION, phi), atol=1e-10)
    flow.set_integration_steps({"equivariant_ode": 8})
    assert without_even_sites(flow, ACTION)[0].integration_steps == {"equivariant_ode": 8}


@pytest.mark.parametrize(
    ("flow", "action"),
    [
        (marginalized(ACTION.lattice, of=SMALL, action=ACTION.component), ACTION.at(lam=6.0)),  # its even sites do not drop out
        (FLOWS.build(Component(**SMALL), ACTION.lattice, 1), ACTION),
    ],
)
def test_what_cannot_be_left_out_of_training(flow, action):
    assert without_even_sites(flow, action)[:2] == (flow, action)


@pytest.mark.slow
def test_the_force_on_even_sites_vanishes_at_every_field():
    """In the gradients of log q that training takes, too."""
    coarse = SMALL | {"features": 1, "steps": 1, "integrator": "rk4"}
    flow = disturbed(marginalized(ACTION.lattice, of=coarse, action=ACTION.component))
    phi = tf.constant(np.random.default_rng(2).normal(size=(3, 4, 4)))
    of_log_q = scores(flow, phi)[1].numpy() + ACTION.force(phi)
    even = ACTION.lattice.parity() == 0
    np.testing.assert_allclose(of_log_q[:, even], 0, atol=1e-8)
    assert np.all(np.abs(of_log_q[:, ~even]) > 1e-6)


@pytest.mark.parametrize("shape", [(4,), (4, 6), (2, 4, 4), (2, 2, 2, 4)])
def test_the_free_field_is_exact(shape):
    """All weights are Z where the prior is the free field on odd sites and the map of them the identity."""
    action = ScalarPhi4(Lattice(shape), m2=0.6, lam=0.0)
    of = SMALL | {"prior": {"name": "free_field", "m2": 0.6, "learn_spectrum": False}}
    flow = marginalized(action.lattice, of=of, action=action.component)
    phi, log_q = flow.sample_and_log_prob(8, [1, 2])
    log_z = action.lattice.volume * np.log(np.pi) / 2 - np.log(action.lattice.momentum_squared() + 0.6).sum() / 2
    np.testing.assert_allclose(-action(phi) - log_q, log_z, atol=1e-5)  # the spectrum is float32


def test_log_z_of_four_sites():
    """2 x 2 sites, by quadrature over all of them, against any flow at all, within four standard errors."""
    action = ScalarPhi4(Lattice((2, 2)), m2=-3.0, lam=2.0)
    x, step = np.linspace(-2.8, 2.8, 36, retstep=True)
    grid = np.stack(np.meshgrid(x, x, x, x, indexing="ij"), axis=-1).reshape(-1, 2, 2)
    known = np.log(sum(np.exp(-action(part)).sum() for part in np.array_split(grid, 20)) * step**4)
    flow = marginalized(action.lattice, of=SMALL, action=action.component)
    phi, log_q = flow.sample_and_log_prob(5000, [1, 2])
    weight = np.exp(-action(phi) - log_q - known)
    assert abs(weight.mean() - 1) < 4 * weight.std() / np.sqrt(len(weight)) < 0.2
    assert effective_sample_size(np.log(weight)) > 0.1


def test_the_action_of_the_configuration_is_taken():
    config = load(CONFIGS / "E1.yaml", CONFIGS / "flows" / "continuous_marginalized.yaml")
    flow = for_action(config.flow, config.action)
    assert config.flow.parameters["action"] is None and flow.parameters["action"] == config.action
    assert for_action(flow, Component(name="scalar_phi4", m2=1.0, lam=1.0)) == flow
    nested = for_action(Component(name="symmetrized", of=config.flow), config.action)
    assert nested.parameters["of"] == flow
    assert for_action(Component(name="affine"), config.action) == FLOWS.completed("affine")


def test_made_even():
    of = {"name": "marginalized", "action": ACTION.component, "of": SMALL | {"prior": {"name": "free_field", "mean_field": 0.6}}}
    one, even = disturbed(FLOWS.build(of, ACTION.lattice, 1)), disturbed(symmetrized(ACTION.lattice, of=of))
    phi = tf.constant(np.random.default_rng(2).normal(size=(5, 4, 4)))
    mean = np.mean([np.exp(one.log_prob(field)) for field in (phi, -phi)], axis=0)
    np.testing.assert_allclose(even.log_prob(phi), np.log(mean), rtol=1e-6)


def test_weights_go_to_another_lattice_and_back(tmp_path):
    small = disturbed(marginalized(ACTION.lattice, of=SMALL, action=ACTION.component))
    save_weights(tmp_path / "small.npz", small)
    large_action = ScalarPhi4(Lattice((8, 8)), m2=-4.0, lam=5.0)
    large = marginalized(large_action.lattice, of=SMALL, action=large_action.component)
    transfer_weights(tmp_path / "small.npz", large)
    save_weights(tmp_path / "large.npz", large)
    back = marginalized(ACTION.lattice, of=SMALL, action=ACTION.component)
    transfer_weights(tmp_path / "large.npz", back)
    for name, variable in small.named_variables().items():
        if "log_scale" not in name:  # which is interpolated
            np.testing.assert_allclose(back.named_variables()[name], variable, atol=1e-6, err_msg=name)
    again = marginalized(ACTION.lattice, of=SMALL, action=ACTION.component)
    load_weights(tmp_path / "small.npz", again)
    phi = tf.constant(np.random.default_rng(2).normal(size=(5, 4, 4)))
    np.testing.assert_array_equal(again.log_prob(phi), small.log_prob(phi))


@pytest.mark.parametrize(
    ("shape", "parameters", "message"),
    [
        ((4, 4), {}, "action is missing: give the one whose even sites"),
        ((4, 5), {"action": ACTION.component}, "every extent even"),
        ((4, 4), {"action": {"name": "coupled"}}, "the even sites of the action 'coupled' cannot be integrated out"),
    ],
)
def test_what_cannot_be_integrated_out(shape, parameters, message, monkeypatch):
    class Coupled(Action):
        name = "coupled"

        def __call__(self, phi):
            return tf.reduce_sum(tf.cast(phi, tf.float64) ** 2, self.lattice.axes)

    monkeypatch.setitem(ACTIONS, "coupled", Coupled)
    with pytest.raises(ConfigError, match=message):
        FLOWS.build(Component(name="marginalized", of=SMALL, **parameters), Lattice(shape), 1)


def test_couplings_of_the_odd_sites():
    """A round trip, and symmetries that log q has and that it lacks."""
    of = {"name": "affine", "layers": 4}
    flow = disturbed(marginalized(ACTION.lattice, of=of, action=ACTION.component))
    phi, log_q = flow.sample_and_log_prob(4, [1, 2])
    np.testing.assert_allclose(flow.log_prob(tf.identity(phi)), log_q, atol=1e-9)
    assert flow.exact and flow.symmetries == {"translation by 2", "reflection", "sign"}
    for other in (tf.roll(phi, 2, 1), tf.roll(phi, 2, 2), tf.roll(tf.reverse(phi, [2]), 1, 2), -phi):
        np.testing.assert_allclose(flow.log_prob(other), log_q, rtol=1e-6)
    assert np.all(np.abs(flow.log_prob(tf.roll(phi, (1, 1), (1, 2))) - log_q) > 1e-6)


@pytest.mark.slow
def test_trained_on_e1_it_agrees_with_the_flow_of_the_whole_field(tmp_path):
    """log Z within three standard deviations, all observables within four; 10^5 configurations against the stored 10^6."""
    stored = Result.from_json(json.loads((CONFIGS.parent / "paper" / "results" / "continuous" / "E1.json").read_text()))
    trained = train_run(load(CONFIGS / "E1.yaml", CONFIGS / "flows" / "continuous_marginalized.yaml"), tmp_path / "run")
    assert trained.summary.acceptance > 0.95
    result = measure(sample(trained.flow, trained.action, 100_000))
    assert result.trusted
    here, there = (Estimate(one.chain["log_z"], one.chain["log_z_error"]) for one in (result, stored))
    assert abs(pull(here, there)) < 3
    for name, row in stored.observables.items():
        if row.estimate and row.estimate.error:
            assert abs(pull(result.estimate(name), row.estimate)) < 4, name
