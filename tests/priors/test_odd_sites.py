"""A prior of the odd sites beside unit normal even sites."""

import numpy as np
import scipy.stats
import tensorflow as tf

from lattice_flows.bijectors.odd_sites import split
from lattice_flows.lattice import Lattice, OddSites
from lattice_flows.priors import NormalEvenSites, free_field, normal

LATTICE = Lattice((4, 6))


def test_the_density_is_a_product():
    odd = normal(OddSites(LATTICE), width=0.3)
    prior, z = NormalEvenSites(odd), np.random.default_rng(1).normal(size=(3, 4, 6))
    of_even, of_odd = (np.array(part) for part in split(tf.constant(z), 2))
    known = scipy.stats.norm.logpdf(of_even).sum(axis=(1, 2)) + scipy.stats.norm.logpdf(of_odd, scale=0.3).sum(axis=(1, 2))
    np.testing.assert_allclose(prior.log_prob(z), known, rtol=1e-12)
    assert prior.event_shape == (4, 6) and prior.dtype == tf.float64


def test_both_colours_are_drawn_independently():
    """Within four standard deviations: the covariance of the free field on odd sites, and unit numbers without any at even ones."""
    n = 20_000
    prior = NormalEvenSites(free_field(OddSites(LATTICE), m2=0.5, learn_spectrum=False))
    even, odd = (np.reshape(part, (n, -1)) for part in split(prior.sample(n, seed=[1, 2]), 2))
    assert np.all(np.abs(np.mean(even**2, axis=0) - 1) < 4 * np.sqrt(2 / n)) and np.all(np.abs(even.T @ odd) < 4 * np.sqrt(n))
    propagator = np.fft.ifftn(1 / (2 * (LATTICE.momentum_squared() + 0.5))).real
    sites = np.argwhere(LATTICE.parity() == 1)
    covariance = propagator[tuple((sites[:, np.newaxis] - sites).T)]
    error = np.sqrt((covariance**2 + np.outer(np.diag(covariance), np.diag(covariance))) / n)
    assert np.all(np.abs(odd.T @ odd / n - covariance) < 4.5 * error)  # of 144 numbers
