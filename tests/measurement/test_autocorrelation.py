"""Autocorrelation from accept decisions against the formula, term by term, and chains whose answer is known."""

import numpy as np
import pytest

from lattice_flows.measurement.autocorrelation import acceptance_autocorrelation, autocorrelation_function, rejection_runs
from lattice_flows.measurement.errors import Estimate, pull


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


@pytest.mark.parametrize("n", [1, 2, 3, 30, 200])
def test_acceptance_autocorrelation_of_a_chain_that_never_moves(n):
    found = acceptance_autocorrelation(np.zeros(n, bool))
    assert found.value == pytest.approx(slow_tau_int(np.zeros(n, bool))) and found.error == pytest.approx(found.value - 0.5)


def test_the_error_is_not_smaller_than_what_the_longest_run_contributes():
    accepted = np.ones(10_000, bool)
    accepted[3000:4000] = False
    found = acceptance_autocorrelation(accepted)
    assert found.value == pytest.approx(0.5 + 1000 * 1001 / 2 / 10_000, rel=0.05)
    assert found.error == pytest.approx(found.value - 0.5)


def test_a_short_chain():
    found = acceptance_autocorrelation(np.array([1, 0, 1, 1, 0, 1], bool))
    assert found.value > 0.5 and 0 < found.error < 1
    assert acceptance_autocorrelation(np.ones(10, bool)) == Estimate(0.5, 0.0)
    with pytest.raises(ValueError, match="without updates"):
        acceptance_autocorrelation(np.ones(0, bool))


def test_rejection_runs_do_not_cross_from_one_chain_to_the_next():
    accepted = np.array([[1, 0, 0, 1, 0], [0, 0, 1, 0, 0]], bool).T
    np.testing.assert_array_equal(rejection_runs(accepted), sum_of_chains(accepted))


def sum_of_chains(accepted):
    each = [rejection_runs(chain) for chain in accepted.T]
    counts = np.zeros(max(map(len, each)), int)
    for chain in each:
        counts[: len(chain)] += chain
    return counts


def test_the_autocorrelation_function_of_a_known_process():
    """x_n = a x_{n-1} + noise has rho(t) = a^t; pulls have unit variance, though they are correlated in t."""
    a, n, chains = 0.8, 4000, 40
    noise = np.random.default_rng(5).normal(size=(n, chains))
    x = np.empty_like(noise)
    x[0] = noise[0] / np.sqrt(1 - a * a)
    for i in range(1, n):
        x[i] = a * x[i - 1] + noise[i]
    rho = autocorrelation_function(x, longest=20)
    assert rho[0] == Estimate(1.0, 0.0)
    pulls = np.array([pull(point, Estimate(a**t, 0.0)) for t, point in enumerate(rho) if t])
    assert np.all(np.abs(pulls) < 4)
    assert 0.9 < autocorrelation_function(x[:, 0], 1)[1].error / rho[1].error / np.sqrt(chains) < 1.1
    # Of single chains, which are independent, the pulls at one distance.
    single = np.array([pull(autocorrelation_function(x[:, chain], 5)[5], Estimate(a**5, 0.0)) for chain in range(chains)])
    assert 0.6 < single.std() < 1.5  # four errors of a standard deviation of 40 numbers are 0.45


def test_the_autocorrelation_function_refuses_what_has_none():
    with pytest.raises(ValueError, match="never changes"):
        autocorrelation_function(np.ones(100), 5)
    with pytest.raises(ValueError, match="100 configurations are too few"):
        autocorrelation_function(np.ones(100), 25)
