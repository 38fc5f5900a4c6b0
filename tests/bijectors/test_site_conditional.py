"""One site given its neighbours: against fine quadrature, the Kolmogorov-Smirnov test, and its own derivatives."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from lattice_flows.bijectors.site_conditional import SiteConditional

# Quartic wells, one of E5 and a flat one; a nearly and an entirely Gaussian one; double wells, the last of them deep: between its
# two peaks, x changes by 10^9 times as much as z. Those between others are for the slow tests.
WELLS = [
    (0.0, 5.113),
    *(pytest.param(a, b, marks=pytest.mark.slow) for a, b in [(0.0, 1e-3), (4.0, 0.5), (100.0, 1e-8)]),
    (4.0, 0.0),
    (-4.0, 2.0),
    (-12.0, 1.5),
]
FIELDS = np.array([0.0, 1e-9, 0.1, -0.5, 1.3, -3.0, 7.0, 20.0, -60.0])
not_deep = pytest.mark.parametrize(("a", "b"), WELLS[:-1])
every_well = pytest.mark.parametrize(("a", "b"), WELLS)


def fine(a, b, h, points=200_001):
    """Points and the normalised density at them, by the trapezoidal rule over all where it is not below e^-80; F."""

    def exponent(x):
        return 2 * h * x - a * x**2 - b * x**4

    wide = np.linspace(-80, 80, points)
    largest = exponent(wide).max()
    inside = wide[exponent(wide) > largest - 80]
    x, step = np.linspace(inside[0], inside[-1], points, retstep=True)
    density = np.exp(exponent(x) - exponent(x).max())
    total = density.sum() * step
    return x, density / total, exponent(x).max() + np.log(total), step


@every_well
def test_normalisation_and_its_derivative(a, b):
    site, h = SiteConditional(a, b), tf.constant(FIELDS)
    with tf.GradientTape() as tape:
        tape.watch(h)
        found = site.log_normalisation(h)
    slope = tape.gradient(found, h)
    for field, value, derivative in zip(FIELDS, found.numpy(), slope.numpy(), strict=True):
        x, density, known, step = fine(a, b, field)
        assert value == pytest.approx(known, rel=1e-12, abs=1e-12)
        assert derivative == pytest.approx(2 * np.sum(x * density) * step, rel=1e-11, abs=1e-11)


@every_well
def test_round_trips_from_tail_to_tail(a, b):
    site, z = SiteConditional(a, b), np.linspace(-9, 9, 37)[:, np.newaxis] + 0 * FIELDS
    h = FIELDS + 0 * z
    x = site.from_normal(tf.constant(z), tf.constant(h))
    assert np.all(np.diff(x, axis=0) > 0)
    np.testing.assert_allclose(site.to_normal(x, tf.constant(h)), z, atol=1e-11)


@not_deep
def test_round_trips_from_anywhere(a, b):
    site, h = SiteConditional(a, b), tf.constant(np.tile(FIELDS, (50, 1)))
    far = np.random.default_rng(1).normal(scale=3, size=(50, len(FIELDS)))  # at some of them, log p is below -10^4
    np.testing.assert_allclose(site.from_normal(site.to_normal(tf.constant(far), h), h), far, atol=1e-10)


@every_well
def test_as_much_probability_below_x_as_below_z(a, b):
    site = SiteConditional(a, b)
    for field in (0.0, 1.3, -3.0):
        x, density, _, step = fine(a, b, field)
        below = ((np.cumsum(density) - density / 2) * step)[::5000]
        z = site.to_normal(tf.constant(x[::5000]), tf.constant(np.full(len(below), field)))
        np.testing.assert_allclose(scipy.stats.norm.cdf(z), below, atol=1e-8)  # the error of the sum


@pytest.mark.parametrize(("a", "b"), [WELLS[0], WELLS[5]])
def test_samples_have_the_conditional_distribution(a, b):
    """Kolmogorov-Smirnov, p > 0.001, with a fixed seed."""
    z = tf.random.stateless_normal([20_000], [3, 4], dtype=tf.float64)
    x, density, _, step = fine(a, b, 0.4, 20_001)
    samples = SiteConditional(a, b).from_normal(z, 0.4 + 0 * z).numpy()
    assert scipy.stats.kstest(samples, lambda at: np.interp(at, x, np.cumsum(density) * step)).pvalue > 1e-3


@not_deep
def test_derivatives_of_both_maps(a, b):
    """Against central differences."""
    site, step = SiteConditional(a, b), 1e-5
    z, h = tf.constant([-2.5, -1.0, 0.0, 0.3, 3.0], tf.float64), tf.constant([0.3, -1.0, 0.0, 2.0, 0.5], tf.float64)
    for function, first in ((site.from_normal, z), (site.to_normal, site.from_normal(z, h))):
        with tf.GradientTape() as tape:
            tape.watch([first, h])
            value = function(first, h)
        of_first, of_h = tape.gradient(value, [first, h])
        np.testing.assert_allclose(of_first, (function(first + step, h) - function(first - step, h)) / (2 * step), rtol=1e-5)
        np.testing.assert_allclose(of_h, (function(first, h + step) - function(first, h - step)) / (2 * step), rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_eager_and_xla_agree():
    """Of the map by which fields are drawn."""
    site, z, h = SiteConditional(-4.0, 2.0), tf.constant(np.linspace(-3, 3, 5)), tf.constant(FIELDS[1:6])
    np.testing.assert_allclose(site.from_normal(z, h), tf.function(site.from_normal, jit_compile=True)(z, h), atol=1e-10)


def test_a_gaussian_site_is_shifted_and_scaled():
    z, h = tf.constant([-3.0, 0.0, 2.0], tf.float64), tf.constant([1.0, -2.0, 0.5], tf.float64)
    np.testing.assert_allclose(SiteConditional(4.0, 0.0).from_normal(z, h), z / np.sqrt(8) + h / 4, atol=1e-13)


@pytest.mark.parametrize(("a", "b"), [(0.0, 0.0), (-1.0, 0.0), (1.0, -1.0)])
def test_what_cannot_be_normalised(a, b):
    with pytest.raises(ValueError, match="cannot be normalised"):
        SiteConditional(a, b)
