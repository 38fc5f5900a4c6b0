"""Agreement of samplers on correlated observables."""

import numpy as np
import pyerrors as pe
import pytest
from exact import autoregressive
from scipy import stats

from lattice_flows.measurement.agreement import Sampled, agreement, correlation
from lattice_flows.measurement.errors import Estimate, analysed, estimate, primary


def test_of_independent_configurations_the_correlation_is_that_of_pyerrors():
    """1000 bins of twenty: within four standard errors, below one over the square root of the number of bins."""
    rng = np.random.default_rng(9)
    x, y, z = (primary(series, "test") for series in rng.normal(size=(3, 5, 4000)) + rng.normal(size=(5, 4000)))
    observables = [x, y * z, x**2 - z]
    expected = pe.covariance([analysed(each) for each in observables], correlation=True)
    found, bins = correlation(observables, 0.5)
    assert bins == 1000 - 5
    np.testing.assert_allclose(found, expected, atol=4 / np.sqrt(bins))


def test_the_correlation_is_that_of_means_and_not_that_at_equal_times():
    """x is slow, y is x with fast noise: correlated by 1/sqrt(2) at equal times, but the means have the noise averaged out."""
    rng, n, a = np.random.default_rng(5), 100_000, 0.9
    slow, fast = autoregressive(rng, n, 1, a), rng.normal(size=(n, 1))
    observables = [primary(series.T, "test") for series in (slow, slow + fast)]
    tau_int = 0.5 + a / (1 - a)
    found, bins = correlation(observables, tau_int)
    exact = np.sqrt(2 * tau_int / (2 * tau_int + 1))
    assert bins == pytest.approx(n / (20 * tau_int), rel=0.01)
    assert abs(np.arctanh(found[0, 1]) - np.arctanh(exact)) < 4 / np.sqrt(bins) and exact > 0.97


@pytest.mark.parametrize(("n", "chains", "bins"), [(100, 1, 32), (10, 50, 50), (3, 2, 4), (200_000, 2, 998)])
def test_numbers_of_bins(n, chains, bins):
    rng = np.random.default_rng(1)
    drawn = pe.Obs([rng.normal(size=max(n, 5)) for _ in range(chains)], [f"test|{i}" for i in range(chains)])
    if n < 5:
        drawn.deltas, drawn.shape = {k: v[:n] for k, v in drawn.deltas.items()}, dict.fromkeys(drawn.shape, n)
    assert abs(correlation([drawn, drawn**2], 0.5)[1] - bins) <= 2


def test_where_autocorrelation_times_are_hardly_known_one_combination_is_left():
    estimates = [Estimate(1.0, 0.1, 2.0, 1.5), Estimate(2.0, 0.2, 3.0, 2.5)]
    found = agreement([Sampled(estimates, np.eye(2)), Sampled(estimates, np.eye(2))])
    assert found.degrees_of_freedom == 1 and found.p == pytest.approx(1)


def test_agreement_has_the_chi_square_distribution_and_sees_a_shift():
    """Three samplers of five observables, two of them the same up to a factor, so that four count; 400 trials.

    Files of earlier versions have correlations of single configurations, as here.
    """
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
        return agreement([Sampled(list(map(Estimate, *sampler)), matrix) for sampler in zip(drawn, errors, taus, strict=True)])

    trials = [trial(0.0) for _ in range(400)]
    assert {found.degrees_of_freedom for found in trials} == {8}
    assert stats.kstest([found.p for found in trials], "uniform").pvalue > 0.01
    assert np.median([trial(5.0).p for _ in range(20)]) < 1e-3


def test_few_bins_widen_the_distribution_as_student_says():
    """One observable: the square of a t variable with as many degrees of freedom as the less exact of the two samplers."""
    exact, few = Estimate(1.0, 1e-6, 0.5, 1e-9), Estimate(1.3, 0.1, 0.5, 1e-9)
    found = agreement([Sampled([exact], np.ones((1, 1)), 10_000), Sampled([few], np.ones((1, 1)), 12)])
    assert found.degrees_of_freedom == 1 and found.p == pytest.approx(2 * stats.t.sf(3, 12), rel=1e-3)


MIX = np.random.default_rng(0).normal(size=(5, 3))


def sampled(rng, n, chains, memories, shift=0.0):
    """Four sums of three autoregressive processes, a function of two of them, and another sum of these, which is redundant."""
    x = np.stack([autoregressive(rng, n, chains, a) for a in memories])
    sums = [primary(series.T + shift, "test") for series in np.einsum("ij,jnc->inc", MIX, x)]
    square = primary((x[0] ** 2).T, "test")
    observables = [*sums[:4], square - sums[0] ** 2, 3 * sums[0] - sums[1] + 0.1 * square]
    estimates = [estimate(each) for each in observables]
    return Sampled(estimates, *correlation(observables, max(number.tau_int for number in estimates)))


SHORT = [(800, 1, (0.5, 0.6, 0.3)), (400, 2, (0.7, 0.3, 0.0)), (300, 1, (0.0, 0.0, 0.0))]
LONG = [(20_000, 1, (0.5, 0.6, 0.3)), (5_000, 4, (0.9, 0.3, 0.0)), (20_000, 1, (0.0, 0.0, 0.0))]


@pytest.mark.parametrize(
    ("samplers", "trials"), [(SHORT, 150), pytest.param(LONG, 400, marks=pytest.mark.slow)], ids=["short", "long"]
)
def test_p_is_uniform_for_samplers_that_agree(samplers, trials):
    """Of samplers with different autocorrelations. Kolmogorov and Smirnov at 1 %, and p below 5 % as often within four sigmas."""
    rng = np.random.default_rng(1)
    p = np.array([agreement([sampled(rng, *one) for one in samplers]).p for _ in range(trials)])
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert abs(np.mean(p < 0.05) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / trials)


def test_a_sampler_that_is_wrong_does_not_agree():
    rng = np.random.default_rng(2)
    error = min(number.error for number in sampled(rng, *SHORT[0]).estimates[:4])
    assert agreement([sampled(rng, *SHORT[0], shift=8 * error), sampled(rng, *SHORT[1]), sampled(rng, *SHORT[2])]).p < 1e-3
