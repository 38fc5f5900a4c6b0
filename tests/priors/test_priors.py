"""Priors against scipy and exact answers. Tolerances of statistical tests: four standard deviations."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp
from exact import free_field

from lattice_flows.actions import ScalarPhi4
from lattice_flows.config import Component
from lattice_flows.flows import Flow
from lattice_flows.fourier import convolution_matrix, nearest_neighbours
from lattice_flows.lattice import Lattice
from lattice_flows.priors import PRIORS, normal
from lattice_flows.priors import free_field as free_field_prior
from lattice_flows.priors.mean_field import WithShare


def test_normal_prior():
    prior = PRIORS.build(Component(name="normal", width=0.7, learn_width=True), Lattice((2, 4)))
    z = prior.sample(5, seed=[1, 2])
    assert z.shape == (5, 2, 4) and z.dtype == tf.float64
    expected = scipy.stats.norm(scale=0.7).logpdf(z).sum(axis=(1, 2))
    np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-6)
    assert [variable.name for variable in prior.trainable_variables] == ["log_width:0"]


def test_a_fixed_width_is_not_trained():
    prior = PRIORS.build(Component(name="normal"), Lattice((4, 4)))
    assert prior.trainable_variables == ()
    z = np.random.default_rng(1).normal(size=(3, 4, 4))
    np.testing.assert_allclose(prior.log_prob(z), scipy.stats.norm.logpdf(z).sum(axis=(1, 2)), rtol=1e-12)


@pytest.mark.parametrize("shape", [(6,), (2, 4), (2, 3, 2)])
def test_free_field_prior_is_a_multivariate_normal(shape):
    lattice, m2 = Lattice(shape), 0.6
    prior = PRIORS.build(Component(name="free_field", m2=m2), lattice)
    phi = prior.sample(5, seed=[1, 2])
    assert phi.shape == (5, *shape) and phi.dtype == tf.float64
    covariance = np.linalg.inv(
        2 * ((2 * lattice.d + m2) * np.eye(lattice.volume) - convolution_matrix(nearest_neighbours(lattice), lattice))
    )
    expected = scipy.stats.multivariate_normal(cov=covariance).logpdf(tf.reshape(phi, [5, -1]))
    np.testing.assert_allclose(prior.log_prob(tf.identity(phi)), expected, atol=1e-5)


def test_samples_of_the_free_field_prior_have_its_spectrum():
    lattice, m2, n = Lattice((4, 6)), 0.6, 4000
    phi = PRIORS.build(Component(name="free_field", m2=m2), lattice).sample(n, seed=[3, 4]).numpy()
    power = np.mean(np.abs(np.fft.fftn(phi, axes=lattice.axes, norm="ortho")) ** 2, axis=0)
    exact = 1 / (2 * (lattice.momentum_squared() + m2))
    # The power of a real mode is chi squared with one degree of freedom: its relative error is sqrt(2 / n), that of others less.
    assert np.all(np.abs(power / exact - 1) < 4 * np.sqrt(2 / n))


def test_the_free_field_prior_alone_samples_the_free_field_with_constant_weights():
    lattice, m2 = Lattice((4, 4)), 0.6
    flow = Flow(lattice, PRIORS.build(Component(name="free_field", m2=m2), lattice), tfp.bijectors.Identity())
    phi, log_q = flow.sample_and_log_prob(6, [5, 6])
    log_weight = -ScalarPhi4(lattice, m2=m2, lam=0.0)(phi) - log_q
    np.testing.assert_allclose(log_weight, np.full(6, free_field(lattice, m2)["log_z"]), rtol=1e-6)


@pytest.mark.parametrize("learn_spectrum", [True, False])
def test_the_spectrum_is_trained_if_it_should_be(learn_spectrum):
    prior = PRIORS.build(Component(name="free_field", learn_spectrum=learn_spectrum), Lattice((4, 4)))
    names = [variable.name for variable in prior.trainable_variables]
    assert names == (["fourier_scaling/log_scale:0"] if learn_spectrum else [])


@pytest.mark.parametrize(
    ("prior", "wrong", "message"),
    [
        (free_field_prior, {"m2": -1.0}, r"m2 must be positive and finite, or the free field cannot be normalised, got -1\.0"),
        (free_field_prior, {"m2": 0.0}, r"m2 must be positive and finite.*got 0\.0"),
        (free_field_prior, {"m2": np.nan}, r"m2 must be positive and finite.*got nan"),
        (free_field_prior, {"m2": np.inf}, r"m2 must be positive and finite.*got inf"),
        (normal, {"width": -1.0}, r"width must be positive and finite, got -1\.0"),
        (normal, {"width": 0.0, "learn_width": True}, r"width must be positive and finite, got 0\.0"),
        (normal, {"width": np.nan}, r"width must be positive and finite, got nan"),
        (normal, {"mean_field": 1.0, "bridge": 1.5}, r"bridge is a share.*it must be 0 or more and below 1, got 1\.5"),
        (normal, {"mean_field": 1.0, "bridge": 1.0}, r"bridge is a share.*got 1\.0"),
        (free_field_prior, {"mean_field": 1.0, "bridge": -0.1}, r"bridge is a share.*got -0\.1"),
        (free_field_prior, {"mean_field": 1.0, "bridge": np.nan}, r"bridge is a share.*got nan"),
        (normal, {"mean_field": np.inf}, r"mean_field must be finite, got inf"),
        (free_field_prior, {"mean_field": np.nan}, r"mean_field must be finite, got nan"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_impossible_arguments(prior, wrong, message):
    """Of direct calls, which no configuration has checked."""
    with pytest.raises(ValueError, match=message):
        prior(Lattice((4, 4)), **wrong)


@pytest.mark.parametrize("share", [-0.5, 0.0, 1.0, np.nan])
def test_impossible_shares(share):
    part = normal(Lattice((4, 4)))
    with pytest.raises(ValueError, match=rf"share must be above 0 and below 1, got {share}"):
        WithShare(part, part, share)
