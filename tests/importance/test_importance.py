"""Effective sample size, log Z and acceptance from weights whose answers are known."""

import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from lattice_flows.actions import ScalarPhi4
from lattice_flows.flows import affine, continuous
from lattice_flows.importance import (
    BrokenFlow,
    WeightedSampler,
    effective_sample_size,
    expected_acceptance,
    forward_effective_sample_size,
    integration_error,
    k_hat,
    kl_divergence,
    largest_k_hat,
    log_z,
)
from lattice_flows.lattice import Lattice
from lattice_flows.training.devices import choose_strategy

LATTICE = Lattice((4, 4))
ACTION = ScalarPhi4(LATTICE, m2=-4.0, lam=6.975)


def moved(flow):
    """Away from where training starts, for there an integration is exact."""
    for variable in flow.bijector.trainable_variables:
        variable.assign_add(np.random.default_rng(3).normal(scale=0.1, size=variable.shape))
    return flow


def coarse_flow():
    return moved(continuous(LATTICE, features=1, knots=2, steps=2, integrator="rk4"))


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
    assert effective_sample_size(log_weight) == pytest.approx(np.sqrt(2 * s**2 - 1) / s**2, rel=0.002)  # four sigma
    value, error = log_z(log_weight)
    assert abs(value - np.log(np.sqrt(2 * np.pi))) < 4 * error
    assert error == pytest.approx(np.sqrt((s**2 / np.sqrt(2 * s**2 - 1) - 1) / n), rel=0.02)


def test_expected_acceptance_is_the_sum_over_pairs():
    log_weight = np.random.default_rng(2).normal(size=50)
    weight = np.exp(log_weight)
    pairs = np.minimum(1, weight[np.newaxis, :] / weight[:, np.newaxis])
    assert expected_acceptance(log_weight) == pytest.approx(np.sum(weight / weight.sum() * pairs.mean(axis=1)), rel=1e-12)


def gaussian_log_weights(width, n, seed, samples_of_target=False):
    """Log weights of N(0, 1) against proposals N(0, width), normalised."""
    x = np.random.default_rng(seed).normal(size=n) * (1 if samples_of_target else width)
    return -(x**2) / 2 + x**2 / (2 * width**2) + np.log(width)


def test_forward_and_reverse_effective_sample_size_agree_where_the_flow_covers_the_target():
    width = 1.2
    exact = np.sqrt(2 * width**2 - 1) / width**2
    forward = gaussian_log_weights(width, 100000, 1, samples_of_target=True) + 700  # e^700 squared overflows
    # Four sigma each, which are known from a hundred samples.
    assert forward_effective_sample_size(forward) == pytest.approx(exact, rel=0.0026)
    assert effective_sample_size(gaussian_log_weights(width, 100000, 2)) == pytest.approx(exact, rel=0.0015)


def test_only_the_forward_effective_sample_size_sees_a_peak_that_is_missed():
    """The target is N(-5, 1) and N(5, 1) with equal shares, the flow the first of them."""
    rng = np.random.default_rng(3)

    def log_weight(x):
        return np.logaddexp(-((x - 5) ** 2) / 2, -((x + 5) ** 2) / 2) - np.log(2) + (x + 5) ** 2 / 2

    x = rng.normal(size=20000)
    assert effective_sample_size(log_weight(x - 5)) > 0.999
    flipped = rng.choice([-1, 1], size=len(x))
    assert forward_effective_sample_size(log_weight(flipped * (x - 5))) < 1e-6


@pytest.mark.parametrize("width", [1.05, 1.3, 0.85])
def test_the_divergence_of_gaussians_is_known_within_its_error(width):
    exact = (width**2 - 1) / 2 - np.log(width)
    found = np.array([kl_divergence(gaussian_log_weights(width, 4000, seed) + 3.5) for seed in range(100)])
    values, errors = found.T
    assert np.abs(np.mean(values) - exact) < 4 * np.std(values) / 10
    assert np.std(values) == pytest.approx(np.mean(errors), rel=0.3)  # four sigma, the ratio has an error of 0.07


def test_the_divergence_of_a_good_flow_has_less_noise_than_its_loss():
    log_weight = gaussian_log_weights(1.05, 4000, 1)
    assert 5 * kl_divergence(log_weight)[1] < np.std(log_weight) / np.sqrt(4000)


@pytest.mark.parametrize("outliers", [1, 3])
def test_a_few_dominant_weights_do_not_decide_the_divergence(outliers):
    n = 8192
    log_weight = np.random.default_rng(1).normal(size=n) * 0.3
    before, error_before = kl_divergence(log_weight)
    log_weight[:outliers] = 600
    value, error = kl_divergence(log_weight)
    # Each counts as sqrt(n) weights in log Z, and as one in the mean of w.
    expected = before - np.log(1 - outliers / np.sqrt(n)) - outliers * 600 / n
    assert value == pytest.approx(expected, abs=1e-3) and log_z(log_weight)[0] > 590
    assert before == pytest.approx(0.045, abs=4 * error_before) and error_before < 0.002 < error


def test_the_divergence_of_degenerate_weights():
    assert kl_divergence(np.full(100, -1234.5)) == (pytest.approx(0), pytest.approx(0))
    assert kl_divergence(np.array([0.0, -np.inf])) == (np.inf, np.inf)


@pytest.mark.parametrize("k", [0.3, 0.7, 1.0])
def test_k_hat_is_the_tail_index(k):
    log_weight = [-k * np.log(np.random.default_rng(seed).uniform(size=8192)) - 50 for seed in range(20)]  # Pareto
    found, errors = np.transpose([k_hat(one) for one in log_weight])
    assert abs(np.mean(found) - k) < 4 * np.mean(errors) / np.sqrt(20) and np.std(found) < 2 * np.mean(errors)
    assert np.mean(errors) == pytest.approx((1 + k) / np.sqrt(272), rel=0.1)


@pytest.mark.parametrize("width", [200.0, 400.0, 800.0, 1e4])
def test_weights_whose_ratios_no_float_holds_are_not_good_ones(width):
    """Truncated at sqrt(n) times their mean, Gaussian ones are decided by the sqrt(n)-th largest, at 2.29 widths."""
    log_weight = np.random.default_rng(1).normal(-1000.0, width, size=8192)
    kl, error = kl_divergence(log_weight)
    assert kl == pytest.approx(2.29 * width, rel=0.03) and 0 < error < 0.01 * kl
    k, k_error = k_hat(log_weight)
    assert k > 0.2 * width > largest_k_hat(k_error)


def test_k_hat_of_degenerate_weights():
    assert k_hat(np.full(100, -1234.5))[0] == 0
    assert np.isnan(k_hat(np.zeros(10))).all()
    log_weight = np.random.default_rng(1).normal(size=1000)
    assert k_hat(np.concatenate([log_weight, [-np.inf, np.nan]])) == k_hat(log_weight)
    assert np.isfinite(k_hat(np.concatenate([log_weight, [800.0]]))).all()


@pytest.mark.parametrize("device", [pytest.param("cpu:0", marks=pytest.mark.slow), "cpu:1"])
def test_the_sampler_draws_the_same_fields_on_any_device(device):
    with choose_strategy(device).scope():
        flow = moved(affine(LATTICE, layers=2, network={"name": "dense", "hidden": [4]}))
    sampler = WeightedSampler(flow, ACTION, 16, seed=5)
    phi, log_weight = (np.concatenate(part) for part in zip(*sampler.batches(40, "test"), strict=True))
    assert phi.shape == (40, 4, 4) and log_weight.dtype == np.float64
    np.testing.assert_allclose(log_weight, -ACTION(phi) - flow.log_prob(phi), atol=1e-9)
    again = np.concatenate([fields for fields, _ in sampler.batches(20, "test")])
    np.testing.assert_array_equal(again, phi[:20])
    assert not np.array_equal(next(sampler.batches(16, "other"))[0], phi[:16])


def traces(sampler):
    """How often what this sampler runs has been traced."""
    return sampler._draw.experimental_get_tracing_count()


def test_samplers_of_one_flow_are_compiled_once():
    flow = coarse_flow()
    first = WeightedSampler(flow, ACTION, 16, seed=5)
    before = first.log_weights(20, "test")
    finer = first.refined().log_weights(20, "test")
    flow.set_integration_steps({name: 2 * steps for name, steps in flow.integration_steps.items()})
    second, other = WeightedSampler(flow, ACTION, 16, seed=5), WeightedSampler(flow, ACTION, 8, seed=5)
    assert traces(second) == 1 and traces(other) == 0
    # The sampler from before keeps its step, the one from after has the new one.
    np.testing.assert_array_equal(second.log_weights(20, "test"), finer)
    np.testing.assert_array_equal(first.log_weights(20, "test"), before)
    assert traces(first) == traces(second) == 1 and not np.array_equal(before, finer)
    # Weights may change without a new compilation.
    moved(flow)
    assert not np.allclose(second.log_weights(20, "test"), finer) and traces(second) == 1


def test_compiled_samplers_do_not_outlive_their_flow():
    flow = coarse_flow()
    WeightedSampler(flow, ACTION, 16, seed=5).log_weights(16, "test")
    alive = weakref.ref(flow)
    del flow
    gc.collect()
    assert alive() is None


def test_an_exact_flow_is_not_integrated():
    """`production/test_runs.py` has a flow that is."""
    exact, lines = WeightedSampler(affine(LATTICE, layers=1), ACTION, 16, seed=5), []
    assert exact.integrated(1e-3, 64, lines.append) is exact and not lines


class Rounded:
    """A sampler whose log weights have an error of fifth order, beside one of rounding that no number of steps makes smaller."""

    def __init__(self, steps, error, rounding=0.0):
        self.steps, self.error, self.rounding = steps, error, rounding

    @property
    def flow(self):
        return SimpleNamespace(integration_steps={"part": self.steps})

    def refined(self, slightly=False):
        steps = self.steps + 3 if slightly else 2 * self.steps
        return Rounded(steps, self.error * (self.steps / steps) ** 5, self.rounding)

    def log_weights(self, samples, purpose):
        return self.error + np.random.default_rng(self.steps).normal(scale=self.rounding, size=samples)


@pytest.mark.parametrize(
    ("start", "taken"),
    [
        (Rounded(9, 0.9e-3), []),
        (Rounded(9, 3e-3), [12]),
        (Rounded(9, 0.05), [18, 21]),
        (Rounded(9, 0.5), [18, 36]),
        (Rounded(9, 20.0), [18, 36, 72]),
        (Rounded(3, 3e-3), [6]),  # the next number is twice as many
        (Rounded(9, 3e-3, rounding=1e-5), [12]),
        (Rounded(9, 0.1, rounding=3e-3), [18, 36]),  # nothing helps
        (Rounded(9, 1.0, rounding=3e-3), [18, 36, 72]),
    ],
)
def test_more_steps_are_taken_while_that_helps(start, taken):
    lines = []
    found = WeightedSampler.integrated(start, 1e-3, 1000, lines.append)
    assert found.steps == (taken or [start.steps])[-1]
    assert len([line for line in lines if line.endswith(("halving the step", "a few more steps"))]) == len(taken)
    assert (len(lines) > len(taken)) == (start.rounding > 1e-3) == (found.integration_error["mean"] > 1e-3)


def test_integration_error_leaves_out_proposals_without_a_finite_weight():
    log_weight, finer = np.array([0.0, np.nan, 1.0, 2.0]), np.array([0.1, 0.0, 1.3, np.inf])
    assert integration_error(log_weight, finer) == {"mean": pytest.approx(0.2), "largest": pytest.approx(0.3)}
    with pytest.raises(BrokenFlow, match="none of 4 proposals has a finite weight"):
        integration_error(np.full(4, np.nan), finer)
