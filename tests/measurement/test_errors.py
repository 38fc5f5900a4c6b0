"""Errors and autocorrelations against processes whose answers are known."""

import numpy as np
import pytest
from scipy import stats

from lattice_flows.measurement.errors import (
    Estimate,
    acceptance_autocorrelation,
    agreement,
    correlation,
    estimate,
    format_estimate,
    power_law,
    primary,
    pull,
    rejection_runs,
)


def autoregressive(rng, chains, n, a):
    """`x' = a x + sqrt(1 - a^2) noise`: unit variance, `tau_int = 1/2 + a / (1 - a)`."""
    noise = rng.normal(size=(n, chains))
    x = np.empty((n, chains))
    x[0] = noise[0]
    for i in range(1, n):
        x[i] = a * x[i - 1] + np.sqrt(1 - a**2) * noise[i]
    return x.T


@pytest.mark.parametrize("a", [0.0, 0.5, 0.8])
def test_gamma_method_on_an_autoregressive_process(a):
    chains, n = 50, 2000
    found = estimate(primary(autoregressive(np.random.default_rng(1), chains, n, a), "test"))
    tau_int = 0.5 + a / (1 - a)
    error = np.sqrt(2 * tau_int / (chains * n))
    assert abs(found.tau_int - tau_int) < 4 * found.tau_int_error
    assert abs(found.error / error - 1) < 0.15
    assert abs(found.value) < 4 * error


def test_errors_propagate_through_formulas():
    rng = np.random.default_rng(2)
    x = primary(2 + autoregressive(rng, 20, 2000, 0.0), "test")
    found = estimate(x**2)
    assert abs(found.error / (4 / np.sqrt(40000)) - 1) < 0.1


def test_rejection_runs():
    accepted = np.array([1, 0, 0, 1, 0, 1, 1, 0, 0, 0], bool)
    np.testing.assert_array_equal(rejection_runs(accepted), [0, 1, 1, 1])
    np.testing.assert_array_equal(rejection_runs(np.ones(5, bool)), [0])
    np.testing.assert_array_equal(rejection_runs(np.zeros(3, bool)), [0, 0, 0, 1])


def slow_tau_int(accepted):
    """Eqs. 15, 16 and 19 of arXiv:1904.12072, term by term."""
    n = len(accepted)
    total = 0.5
    for tau in range(1, n):
        windows = sum(not accepted[j + 1 : j + tau + 1].any() for j in range(-1, n - tau))
        total += windows / (n - tau)
    return total


def test_acceptance_autocorrelation_is_the_papers_formula():
    accepted = np.random.default_rng(3).random(120) < 0.4
    assert acceptance_autocorrelation(accepted, blocks=2).value == pytest.approx(slow_tau_int(accepted), rel=1e-12)


def test_acceptance_autocorrelation_of_independent_decisions():
    # With acceptance a at each step, tau rejections in a row have the chance (1 - a)^tau: tau_int = 1/a - 1/2.
    accepted = np.random.default_rng(4).random(100000) < 0.3
    found = acceptance_autocorrelation(accepted)
    assert abs(pull(found, Estimate(1 / 0.3 - 0.5, 0.0))) < 4
    assert found.error < 0.05


def test_acceptance_autocorrelation_of_a_chain_that_never_moves():
    assert acceptance_autocorrelation(np.zeros(100, bool)).value > 50


def test_too_short_a_chain():
    with pytest.raises(ValueError, match="50 blocks need as many updates, got 10"):
        acceptance_autocorrelation(np.ones(10, bool))


@pytest.mark.parametrize(
    ("number", "text"),
    [(Estimate(1.06218, 0.00461), "1.0622(46)"), (Estimate(-0.2, 0.013), "-0.200(13)"), (Estimate(1.0, 0.0), "1")],
)
def test_format(number, text):
    assert format_estimate(number) == text


def test_rejection_runs_do_not_cross_from_one_chain_to_the_next():
    accepted = np.array([[1, 0, 0, 1, 0], [0, 0, 1, 0, 0]], bool).T
    np.testing.assert_array_equal(rejection_runs(accepted), sum_of_chains(accepted))


def sum_of_chains(accepted):
    each = [rejection_runs(chain) for chain in accepted.T]
    counts = np.zeros(max(map(len, each)), int)
    for chain in each:
        counts[: len(chain)] += chain
    return counts


def test_correlation_of_errors():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(4, 5000))
    y = 0.6 * x + 0.8 * rng.normal(size=x.shape)
    found = correlation([primary(x, "test"), primary(y, "test")])
    assert abs(found[0, 1] - 0.6) < 4 * 0.64 / np.sqrt(x.size) and found[0, 0] == found[1, 1] == 1


def test_agreement_has_the_chi_square_distribution_and_sees_a_shift():
    """Three samplers of five observables, two of them the same up to a factor, so that four count; 400 trials."""
    rng = np.random.default_rng(6)
    mix = rng.normal(size=(5, 4))
    mix[4] = 3 * mix[3]
    deviation = np.sqrt(np.diag(mix @ mix.T))
    matrix = mix @ mix.T / np.outer(deviation, deviation)
    taus = np.array([[0.5] * 5, [1.0] * 5, [0.5, 1.0, 2.0, 3.0, 3.0]])
    errors = np.array([[0.1], [0.2], [0.5]]) * np.sqrt(2 * taus) * deviation

    def trial(shift):
        drawn = [rng.multivariate_normal(np.ones(5), matrix * np.outer(e, e), method="svd") for e in errors]
        drawn[0] = drawn[0] + shift * errors[0]
        return agreement([(list(map(Estimate, *sampler)), matrix) for sampler in zip(drawn, errors, taus, strict=True)])

    trials = [trial(0.0) for _ in range(400)]
    assert {found.degrees_of_freedom for found in trials} == {8}
    assert stats.kstest([found.p for found in trials], "uniform").pvalue > 0.01
    assert np.median([trial(5.0).p for _ in range(20)]) < 1e-3


def test_power_law_with_its_errors():
    """200 fits of noisy points: unbiased within four standard errors, and with pulls of unit width."""
    rng = np.random.default_rng(7)
    x = np.array([6, 8, 10, 12, 14])
    exact = 0.3 * x**1.7
    pulls = []
    for _ in range(200):
        drawn = [Estimate(value * (1 + 0.02 * noise), 0.02 * value) for value, noise in zip(exact, rng.normal(size=5), strict=True)]
        pulls.append(pull(power_law(x, drawn)[1], Estimate(1.7, 0.0)))
    assert abs(np.mean(pulls)) < 4 / np.sqrt(200) and abs(np.std(pulls) - 1) < 4 / np.sqrt(400)
    amplitude, _ = power_law(x, [Estimate(value, 0.01) for value in exact])
    assert amplitude.value == pytest.approx(0.3)
    with pytest.raises(ValueError, match="two points, got 1"):
        power_law([6], [Estimate(1.0, 0.1)])
