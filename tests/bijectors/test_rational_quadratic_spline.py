"""What is special to splines; what all inner maps have in common is in test_inner_maps.py."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.bijectors import RationalQuadraticSpline


def spline(bins=4, half_width=2.0, n=200, scale=1.0):
    inner = RationalQuadraticSpline(bins=bins, half_width=half_width)
    rng = np.random.default_rng(1)
    return inner, [tf.constant(np.repeat(rng.normal(scale=scale, size=(1, 1)), n, axis=1)) for _ in inner.parities]


def test_outside_of_its_interval_it_is_the_identity():
    inner, parameters = spline(n=6)
    x = tf.constant([[-9.0, -2.5, -2.001, 2.001, 2.5, 9.0]], tf.float64)
    y, log_slope = inner.forward(x, *parameters)
    np.testing.assert_allclose(y, x, rtol=1e-14)
    np.testing.assert_array_equal(log_slope, 0)


def test_it_maps_the_interval_onto_itself_monotonically():
    inner, parameters = spline()
    x = tf.constant(np.linspace(-2, 2, 200)[np.newaxis])
    y = inner.forward(x, *parameters)[0].numpy()
    assert np.all(np.diff(y) > 0) and np.max(np.abs(y - x)) > 0.1
    np.testing.assert_allclose(y[0, [0, -1]], [-2, 2], atol=1e-12)


def test_one_number_for_each_width_height_and_slope():
    for bins in (2, 4, 8):
        assert len(RationalQuadraticSpline(bins=bins).parities) == 3 * bins - 1


def test_an_odd_number_of_bins_has_no_mirror_image():
    with pytest.raises(ValueError, match=r"bins must be even.*got 3"):
        RationalQuadraticSpline(bins=3)
