"""Mean fields, and distributions that are made even. Tolerances of statistical tests: four standard deviations."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from lattice_flows.config import Component, ConfigError
from lattice_flows.lattice import Lattice
from lattice_flows.priors import PRIORS, SignSymmetric

LATTICE = Lattice((2, 4))


def around(mean_field, name="normal", **settings):
    return PRIORS.build(Component(name=name, mean_field=mean_field, **settings), LATTICE)


@pytest.mark.parametrize("name", ["normal", "free_field"])
def test_a_mean_field_shifts_every_site(name):
    shifted, centred = around(0.7, name), PRIORS.build(Component(name=name), LATTICE)
    z = np.random.default_rng(1).normal(size=(3, 2, 4))
    np.testing.assert_allclose(shifted.log_prob(z + np.float64(np.float32(0.7))), centred.log_prob(z), rtol=1e-12)
    np.testing.assert_allclose(shifted.sample(5, seed=[1, 2]) - centred.sample(5, seed=[1, 2]), 0.7, atol=1e-6)
    assert "mean_field:0" in [variable.name for variable in shifted.trainable_variables]
    assert "mean_field:0" not in [variable.name for variable in centred.trainable_variables]


def test_the_density_is_the_mean_of_both_signs():
    z = np.random.default_rng(2).normal(size=(6, 2, 4)) + 0.4
    peaks = [scipy.stats.norm(loc=np.float32(sign * 0.4)).pdf(z).prod(axis=(1, 2)) for sign in (1, -1)]
    even = SignSymmetric(around(0.4))
    np.testing.assert_allclose(even.log_prob(z), np.log(np.mean(peaks, axis=0)), rtol=1e-12)
    np.testing.assert_allclose(even.log_prob(z), even.log_prob(-z), rtol=1e-14)


def test_far_from_both_peaks_nothing_underflows():
    even = SignSymmetric(around(30.0, width=0.1))
    np.testing.assert_allclose(even.log_prob(np.full((1, 2, 4), 0.0)), around(30.0, width=0.1).log_prob(np.zeros((1, 2, 4))))


def test_half_of_the_samples_have_the_other_sign():
    prior, n = around(2.0, width=0.2), 4000
    z = SignSymmetric(prior).sample(n, seed=[3, 4]).numpy()
    assert z.shape == (n, 2, 4) and z.dtype == np.float64
    positive = np.mean(z, axis=(1, 2)) > 0
    np.testing.assert_array_equal(positive, np.all(z > 0, axis=(1, 2)))
    assert abs(np.mean(positive) - 0.5) < 4 * 0.5 / np.sqrt(n)
    # The sign is independent of the sample.
    size = np.abs(np.mean(z, axis=(1, 2)))
    assert abs(np.mean(size[positive]) - np.mean(size[~positive])) < 4 * 2 * np.std(size) / np.sqrt(n)


def test_gradients_go_through_samples():
    prior = around(0.5)
    even, (mean_field,) = SignSymmetric(prior), prior.trainable_variables

    @tf.function(jit_compile=True)
    def value_and_gradient():
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(even.sample(8, seed=[5, 6]) ** 2)
        return total, tape.gradient(total, mean_field)

    _, gradient = value_and_gradient()
    values = []
    for shift in (1e-3, -2e-3):
        mean_field.assign_add(shift)
        values.append(value_and_gradient()[0].numpy())
    np.testing.assert_allclose(gradient, (values[0] - values[1]) / 2e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ["normal", "free_field"])
def test_a_bridge_is_a_share_of_fields_without_a_mean_field(name):
    share, n = 0.2, 4000
    mixed, shifted, centred = around(6.0, name, bridge=share), around(6.0, name), PRIORS.build(Component(name=name), LATTICE)
    z = np.random.default_rng(7).normal(size=(6, 2, 4)) + 3
    densities = (1 - share) * np.exp(shifted.log_prob(z)) + share * np.exp(centred.log_prob(z))
    np.testing.assert_allclose(mixed.log_prob(z), np.log(densities), rtol=1e-10)
    between = np.mean(mixed.sample(n, seed=[8, 9]), axis=(1, 2)) < 3
    assert abs(np.mean(between) - share) < 4 * np.sqrt(share * (1 - share) / n)
    even = SignSymmetric(mixed)
    assert even.sample(2, seed=[1, 2]).shape == (2, 2, 4)
    assert {id(variable) for variable in even.trainable_variables} == {id(variable) for variable in mixed.trainable_variables}


def test_a_bridge_without_peaks_is_refused():
    with pytest.raises(ConfigError, match=r"prior 'normal': bridge is .* needs a mean_field, got bridge 0.1 alone"):
        PRIORS.build(Component(name="normal", bridge=0.1), LATTICE)
