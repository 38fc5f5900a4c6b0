"""Effective sample size, log Z and acceptance from weights whose answers are known."""

import numpy as np
import pytest

from lattice_flows.importance import WeightedSampler, effective_sample_size, expected_acceptance, log_z
from lattice_flows.training.devices import choose_strategy
from lattice_flows.training.trainer import build_model


def test_equal_weights_are_perfect():
    log_weight = np.full(100, -1234.5)
    assert effective_sample_size(log_weight) == pytest.approx(1)
    assert expected_acceptance(log_weight) == pytest.approx(1)
    assert log_z(log_weight) == (pytest.approx(-1234.5), pytest.approx(0, abs=1e-6))


def test_one_dominant_weight_is_one_sample():
    log_weight = np.zeros(100)
    log_weight[7] = 800  # e^800 overflows
    assert effective_sample_size(log_weight) == pytest.approx(0.01)
    assert log_z(log_weight)[0] == pytest.approx(800 - np.log(100))


def test_gaussian_proposals_of_another_width():
    # p = N(0, 1), q = N(0, s): ESS = sqrt(2 s^2 - 1) / s^2 and log Z = log(sqrt(2 pi)), for exp(-x^2 / 2).
    rng, s, n = np.random.default_rng(1), 1.5, 400000
    x = s * rng.normal(size=n)
    log_weight = -(x**2) / 2 + x**2 / (2 * s**2) + np.log(s * np.sqrt(2 * np.pi))
    assert effective_sample_size(log_weight) == pytest.approx(np.sqrt(2 * s**2 - 1) / s**2, rel=0.005)
    value, error = log_z(log_weight)
    assert abs(value - np.log(np.sqrt(2 * np.pi))) < 4 * error
    assert error == pytest.approx(np.sqrt((s**2 / np.sqrt(2 * s**2 - 1) - 1) / n), rel=0.02)


def test_expected_acceptance_is_the_sum_over_pairs():
    log_weight = np.random.default_rng(2).normal(size=50)
    weight = np.exp(log_weight)
    pairs = np.minimum(1, weight[np.newaxis, :] / weight[:, np.newaxis])
    assert expected_acceptance(log_weight) == pytest.approx(np.sum(weight / weight.sum() * pairs.mean(axis=1)), rel=1e-12)


@pytest.mark.parametrize("device", ["cpu:0", "cpu:1"])
def test_the_sampler_draws_the_same_fields_on_any_device(small_config, device):
    with choose_strategy(device).scope():
        flow, action = build_model(small_config())
    sampler = WeightedSampler(flow, action, 16, seed=5)
    phi, log_weight = (np.concatenate(part) for part in zip(*sampler.batches(40, "test"), strict=True))
    assert phi.shape == (40, 4, 4) and log_weight.dtype == np.float64
    np.testing.assert_allclose(log_weight, -action(phi) - flow.log_prob(phi), atol=1e-9)
    again = np.concatenate([fields for fields, _ in sampler.batches(20, "test")])
    np.testing.assert_array_equal(again, phi[:20])
    assert not np.array_equal(next(sampler.batches(16, "other"))[0], phi[:16])
