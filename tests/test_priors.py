"""Priors against scipy."""

import numpy as np
import scipy.stats
import tensorflow as tf

from lattice_flows.config import Component
from lattice_flows.lattice import Lattice
from lattice_flows.priors import build_prior


def test_normal_prior():
    prior = build_prior(Component(name="normal", width=0.7, learn_width=True), Lattice((2, 4)))
    z = prior.sample(5, seed=[1, 2])
    assert z.shape == (5, 2, 4) and z.dtype == tf.float64
    expected = scipy.stats.norm(scale=0.7).logpdf(z).sum(axis=(1, 2))
    np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-6)
    assert [variable.name for variable in prior.trainable_variables] == ["prior/log_width:0"]


def test_a_fixed_width_is_not_trained():
    prior = build_prior(Component(name="normal"), Lattice((4, 4)))
    assert prior.trainable_variables == ()
    z = np.random.default_rng(1).normal(size=(3, 4, 4))
    np.testing.assert_allclose(prior.log_prob(z), scipy.stats.norm.logpdf(z).sum(axis=(1, 2)), rtol=1e-12)
