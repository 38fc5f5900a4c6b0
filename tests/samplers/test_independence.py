"""Independence Metropolis on proposals whose weights are known."""

import numpy as np
import pytest

from lattice_flows.samplers.independence_metropolis import State, init, update


def test_decisions_and_history():
    phi = np.arange(1.0, 6.0)
    log_weight = np.array([0.0, -np.inf, 1.0, np.nan, 0.5])
    uniform = np.array([0.5, 0.1, 0.9, 0.1, 1 - np.exp(-0.6)])
    state, info = update(State(np.float64(0.0), 0.0), phi, log_weight, uniform)
    np.testing.assert_array_equal(info.accepted, [True, False, True, False, True])
    np.testing.assert_array_equal(info.phi, [1, 1, 3, 3, 5])
    np.testing.assert_array_equal(info.log_weight, [0, 0, 1, 1, 0.5])
    np.testing.assert_array_equal(info.proposed_log_weight, log_weight)
    assert state == State(5.0, 0.5)


def test_a_chain_does_not_depend_on_how_it_is_cut():
    rng = np.random.default_rng(1)
    phi, log_weight, uniform = rng.normal(size=(60, 2, 2)), rng.normal(size=60), rng.random(60)
    start = init(phi, log_weight)
    _, whole = update(start, phi, log_weight, uniform)
    state, first = update(start, phi[:25], log_weight[:25], uniform[:25])
    _, second = update(state, phi[25:], log_weight[25:], uniform[25:])
    for name in whole._fields:
        np.testing.assert_array_equal(np.concatenate([getattr(first, name), getattr(second, name)]), getattr(whole, name))


def test_three_states_are_visited_with_the_right_frequencies():
    rng = np.random.default_rng(2)
    target, proposal = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.3, 0.5])
    drawn = rng.choice(3, size=200000, p=proposal)
    _, info = update(State(np.int64(0), 0.0), drawn, np.log(target / proposal)[drawn], rng.random(len(drawn)))
    # The chance of leaving state i, averaged over the target, and the autocorrelation it causes, bound the error.
    for state in range(3):
        error = np.sqrt(2 * 3 * target[state] * (1 - target[state]) / len(drawn))
        assert abs(np.mean(info.phi == state) - target[state]) < 4 * error


def test_the_start_needs_a_finite_weight():
    assert init(np.array([1.0, 2.0, 3.0]), np.array([np.nan, np.inf, -5.0])) == State(3.0, -5.0)
    with pytest.raises(ValueError, match="none of 2 proposals has a finite weight"):
        init(np.zeros(2), np.full(2, np.nan))
