"""The quartic prior against quadrature. Tolerances of statistical tests: four standard deviations, or a p-value of 1e-4."""

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import tensorflow as tf

from lattice_flows.config import Component, ConfigError
from lattice_flows.lattice import Lattice
from lattice_flows.priors import PRIORS, quartic
from lattice_flows.priors.quartic import Quartic

N = 40_000
# Single well, no square, the sites of phi^4 theory in three dimensions without hopping, double wells, nearly Gaussian.
COUPLINGS = [(1.0, 0.5), (0.0, 1.0), (2.0, 5.113), (-2.0, 1.0), (-12.0, 3.0), (3.0, 1e-6)]

couplings = pytest.mark.parametrize(("a", "b"), COUPLINGS)


def density(a, b):
    """The density up to its normalisation, and its normalisation, by adaptive quadrature."""
    peak = np.sqrt(max(-a / (2 * b), 0))
    highest = a * peak**2 + b * peak**4

    def unnormalised(z):
        return np.exp(-(a * z**2 + b * z**4) + highest)

    half, _ = scipy.integrate.quad(
        unnormalised, 0, peak + 12, points=[peak] if peak else None, epsabs=1e-13, epsrel=1e-12, limit=200
    )
    return lambda z: unnormalised(z) / (2 * half), np.log(2 * half) - highest


@couplings
def test_normalisation(a, b):
    np.testing.assert_allclose(Quartic(a, b).log_normalisation, density(a, b)[1], atol=1e-10)


def test_normalisation_in_closed_form():
    np.testing.assert_allclose(Quartic(0.0, 1.0).log_normalisation, np.log(2 * scipy.special.gamma(1.25)), atol=1e-13)
    for b in (1e-14, 1e-20, 1e-200):
        np.testing.assert_allclose(Quartic(2.0, b).log_normalisation, np.log(np.pi / 2) / 2, atol=1e-12)


# Wells whose peaks are narrower than a four thousandth of what is between them; some that are hardly apart; nearly Gaussian.
@pytest.mark.parametrize(("a", "b"), [(-1000.0, 0.1), (-40.0, 1e-4), (-60.0, 1e-6), (-52.0, 1.0), (-54.0, 1.0)])
def test_the_normalisation_of_deep_wells_is_that_of_their_saddle_points(a, b):
    """2 sqrt(2 pi / S'') exp(-S) with the first correction, for peaks of the curvature S'' = -4 a; the second is (b / a^2)^2."""
    saddle = a**2 / (4 * b) + np.log(2) + np.log(2 * np.pi / (-4 * a)) / 2 + 3 * b / (4 * a**2)
    np.testing.assert_allclose(Quartic(a, b).log_normalisation, saddle, rtol=1e-15, atol=1e-6)


@couplings
def test_samples_have_the_density(a, b):
    check_samples(Quartic(a, b).sample(N, seed=[1, 2]).numpy(), a, b)


def check_samples(z, a, b):
    exact, _ = density(a, b)
    grid = np.linspace(-12, 12, 200_001)
    cumulative = scipy.integrate.cumulative_simpson(exact(grid), x=grid, initial=0)
    assert scipy.stats.kstest(z, lambda x: np.interp(x, grid, cumulative)).pvalue > 1e-4
    for power in (1, 2, 4):
        mean, square = (scipy.integrate.simpson(exact(grid) * grid ** (n * power), x=grid) for n in (1, 2))
        assert abs(np.mean(z**power) - mean) < 4 * np.sqrt((square - mean**2) / N)


def test_samples_are_independent_in_all_directions():
    z = Quartic(0.0, 1.0, (4, 6)).sample(500, seed=[3, 4]).numpy()
    assert z.shape == (500, 4, 6) and z.dtype == np.float64
    for axis in range(3):
        assert abs(scipy.stats.pearsonr(z.ravel(), np.roll(z, 1, axis).ravel()).statistic) < 4 / np.sqrt(z.size)


def test_xla_samples_have_the_density_too():
    site = Quartic(-2.0, 1.0)
    draw = tf.function(lambda seed: site.sample(N, seed=seed), jit_compile=True)
    first, again, other = (draw(tf.constant(seed)).numpy() for seed in ([5, 6], [5, 6], [5, 7]))
    np.testing.assert_array_equal(first, again)
    assert np.all(first != other)
    check_samples(first, -2.0, 1.0)


def test_the_density_of_a_field_is_the_product_over_sites():
    prior = PRIORS.build(Component(name="quartic", a=2.0, b=5.113), Lattice((2, 3, 2)))
    z = np.random.default_rng(7).normal(size=(3, 2, 3, 2))
    exact, _ = density(2.0, 5.113)
    np.testing.assert_allclose(prior.log_prob(z), np.log(exact(z)).sum(axis=(1, 2, 3)), rtol=1e-10)


def test_a_potential_without_a_quartic_term_is_refused():
    with pytest.raises(ConfigError, match=r"prior 'quartic': key 'b' has the value 0"):
        PRIORS.build(Component(name="quartic", b=0.0), Lattice((4, 4)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"b": -1.0}, r"b must be positive and finite, or the density cannot be normalised, got -1\.0"),
        ({"b": 0.0}, r"b must be positive and finite.*got 0\.0"),
        ({"b": np.nan}, r"b must be positive and finite.*got nan"),
        ({"b": np.inf}, r"b must be positive and finite.*got inf"),
        ({"a": np.nan}, r"a must be finite, got nan"),
        ({"a": -np.inf}, r"a must be finite, got -inf"),
    ],
    ids=str,
)
def test_impossible_couplings(wrong, message):
    with pytest.raises(ValueError, match=message):
        quartic(Lattice((4, 4)), **wrong)
