"""Autocorrelation from accept decisions against the formula, term by term, and chains whose answer is known."""

import numpy as np
import pytest

from lattice_flows.measurement.autocorrelation import acceptance_autocorrelation, rejection_runs
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
