"""Flows of one peak that are made even; what every flow must satisfy is in test_flow_conformance.py."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.actions import ScalarPhi4
from lattice_flows.config import Component, ConfigError, load
from lattice_flows.flows import FLOWS, Flow, load_weights, save_weights, symmetrized, transfer_weights
from lattice_flows.lattice import Lattice
from lattice_flows.priors import SignSymmetric
from lattice_flows.training.objectives import path, reparameterisation, scores

LATTICE = Lattice((4, 4))
ODD = {"name": "affine", "layers": 2, "prior": {"name": "free_field", "mean_field": 0.6, "bridge": 0.05}}
DENSE = {
    "name": "affine",
    "layers": 2,
    "prior": {"name": "normal", "mean_field": 0.6},
    "network": {"name": "dense", "hidden": [4]},
}


def disturbed(flow, seed=1):
    rng = np.random.default_rng(seed)
    for variable in flow.variables:
        variable.assign_add(rng.normal(scale=0.05, size=variable.shape))
    return flow


def both(of, lattice=LATTICE):
    """The flow of one peak, and the one that is made even, with the same weights."""
    return disturbed(FLOWS.build(of, lattice, 1)), disturbed(symmetrized(lattice, of=of))


def fields(n=5, seed=2):
    return tf.constant(np.random.default_rng(seed).normal(size=(n, 4, 4)))


@pytest.mark.parametrize("of", [ODD, DENSE], ids=["odd", "dense"])
def test_the_density_is_the_mean_of_both_signs(of):
    one, even = both(of)
    phi = fields()
    densities = [np.exp(one.log_prob(field)) for field in (phi, -phi)]
    np.testing.assert_allclose(even.log_prob(phi), np.log(np.mean(densities, axis=0)), rtol=1e-10)
    assert np.all(np.abs(np.log(densities[0] / densities[1])) > 0.01)
    assert "sign" in even.symmetries and "sign" not in one.symmetries
    assert even.named_variables().keys() == one.named_variables().keys()


def test_an_odd_map_is_evaluated_once_and_gives_what_the_general_form_gives():
    one, even = both(ODD)
    general = Flow(LATTICE, SignSymmetric(one.distribution), tfp.bijectors.Identity())
    phi = fields()
    np.testing.assert_allclose(even.log_prob(phi), general.log_prob(phi), rtol=1e-10)
    assert even.bijector.name == one.bijector.name
    for made in (even, general):
        samples, log_q = made.sample_and_log_prob(200, [3, 4])
        np.testing.assert_allclose(made.log_prob(tf.identity(samples)), log_q, atol=1e-8)
        assert abs(np.mean(np.mean(samples, axis=(1, 2)) > 0) - 0.5) < 4 * 0.5 / np.sqrt(200)  # four sigma


def test_both_gradient_estimators_have_the_same_mean():
    """Within four standard errors of the mean over 64 batches, along three directions; those of an odd map are a preset's."""
    _, flow = both(DENSE | {"layers": 1})
    action = ScalarPhi4(LATTICE, m2=-1.0, lam=0.5)
    directions = np.random.default_rng(7).normal(size=(3, flow.number_of_parameters())).astype(np.float32)

    @tf.function
    def along_directions(seed):
        def draw():
            return tf.cast(flow.prior.sample(16, seed=seed), tf.float32)

        return [tf.linalg.matvec(directions, estimator(flow, action, draw).gradient) for estimator in (path, reparameterisation)]

    first, second = np.array([along_directions(tf.constant([8, index])) for index in range(64)]).transpose(1, 0, 2)
    difference, error = np.mean(first - second, axis=0), np.std(first - second, axis=0) / 8
    assert np.all(error > 0) and np.all(np.abs(difference) < 4 * error)


def test_scores_are_weighted_by_the_share_of_each_sign():
    """`d log q_sym = p d log q(phi) + (1 - p) d log q(-phi)`, p the share of `q(phi)` in the sum."""
    one, even = both(DENSE | {"layers": 1})
    phi = tf.cast(fields(3), tf.float32)
    found, force = scores(even, phi)
    (of_phi, force_of_phi), (of_mirror, force_of_mirror) = (scores(one, field) for field in (phi, -phi))
    share = 1 / (1 + np.exp(one.log_prob(-phi) - one.log_prob(phi)))
    expected = share[:, np.newaxis] * of_phi + (1 - share)[:, np.newaxis] * of_mirror
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-3)
    share = share[:, np.newaxis, np.newaxis]
    np.testing.assert_allclose(force, share * force_of_phi - (1 - share) * force_of_mirror, rtol=2e-3, atol=1e-3)


def test_weights_are_those_of_the_flow_of_one_peak(tmp_path):
    one, even = both(ODD)
    save_weights(tmp_path / "weights.npz", one)
    other = symmetrized(LATTICE, 9, of=ODD)
    load_weights(tmp_path / "weights.npz", other)
    phi = fields()
    np.testing.assert_array_equal(other.log_prob(phi), even.log_prob(phi))
    larger = symmetrized(Lattice((6, 6)), 9, of=ODD)
    transfer_weights(tmp_path / "weights.npz", larger)
    assert larger.named_variables()["prior/mean_field"] == one.named_variables()["prior/mean_field"]


def test_an_integrated_flow_keeps_its_steps():
    ode = {"name": "continuous", "features": 1, "knots": 2, "steps": 2, "prior": {"name": "normal", "mean_field": 0.5}}
    even = disturbed(symmetrized(LATTICE, of=ode))
    assert even.integration_steps == {"equivariant_ode": 2} and even.refined().integration_steps == {"equivariant_ode": 4}
    coarse, fine = (flow.log_prob(fields()).numpy() for flow in (even, even.refined()))
    assert 1e-9 < np.max(np.abs(fine - coarse)) < 1e-6
    assert even.component == Component(name="symmetrized", of=ode)


def test_the_other_flow_is_checked():
    with pytest.raises(ConfigError, match=r"flow 'affine': unknown key 'layer': did you mean 'layers'"):
        symmetrized(LATTICE, of={"name": "affine", "layer": 2})
    assert symmetrized(LATTICE, of={"layers": 1}).component.parameters["of"] == {"layers": 1}


@pytest.mark.parametrize(("name", "mean_field"), [("2d_L6_broken", 0.8), ("3d_L4_broken", 0.6)])
def test_configurations_of_the_broken_phase(name, mean_field):
    config = load(name)
    flow = FLOWS.build(config.flow, Lattice(config.lattice.shape), config.seed)
    assert flow.named_variables()["prior/mean_field"].numpy() == np.float32(mean_field) and flow.is_odd
