"""Independence Metropolis on proposals whose weights are known."""

from types import SimpleNamespace

import numpy as np
import pytest

from lattice_flows import flows
from lattice_flows.actions import ScalarPhi4
from lattice_flows.importance import WeightedSampler
from lattice_flows.lattice import Lattice
from lattice_flows.samplers import IndependenceMetropolis, run_chain
from lattice_flows.samplers.independence import State, start_at, update
from lattice_flows.seeds import sub_seed


def test_decisions_and_history():
    phi = np.arange(1.0, 6.0)
    log_weight = np.array([0.0, -np.inf, 1.0, np.nan, 0.5])
    uniform = np.array([0.5, 0.1, 0.9, 0.1, 1 - np.exp(-0.6)])
    state, accepted, index = update(State(np.zeros(1), 0.0, 7), phi, log_weight, uniform, 10)
    np.testing.assert_array_equal(accepted, [True, False, True, False, True])
    np.testing.assert_array_equal(index, [10, 10, 12, 12, 14])
    assert (state.phi.tolist(), state.log_weight, state.row) == ([5.0], 0.5, 14)
    _, accepted, index = update(State(np.zeros(1), 9.0, 7), phi, log_weight, np.full(5, 0.5), 10)
    assert not accepted.any() and set(index) == {7}


def test_three_states_are_visited_with_the_right_frequencies():
    rng = np.random.default_rng(2)
    target, proposal = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.3, 0.5])
    drawn = rng.choice(3, size=200000, p=proposal)
    start = State(np.zeros(1), np.log(target / proposal)[drawn[0]], 0)
    _, _, index = update(start, drawn, np.log(target / proposal)[drawn], rng.random(len(drawn)), 0)
    # The chance of leaving state i, averaged over the target, and the autocorrelation it causes, bound the error.
    for state in range(3):
        error = np.sqrt(2 * 3 * target[state] * (1 - target[state]) / len(drawn))
        assert abs(np.mean(drawn[index] == state) - target[state]) < 4 * error


def test_the_start_needs_a_finite_weight():
    state = start_at(np.array([1.0, 2.0, 3.0]), np.array([np.nan, np.inf, -5.0]))
    assert (state.phi.tolist(), state.log_weight, state.row) == ([3.0], -5.0, 2)
    with pytest.raises(ValueError, match="none of 2 proposals has a finite weight"):
        start_at(np.zeros(2), np.full(2, np.nan))


class Stored:
    """Proposals that are known beforehand, in place of those of an exact flow."""

    flow = SimpleNamespace(integration_steps={})
    batch_size, action, integration_error = 8, ScalarPhi4(Lattice((2, 2)), m2=1.0, lam=0.0), {"mean": 0.0, "largest": 0.0}
    phi = np.random.default_rng(3).normal(size=(80, 2, 2))
    log_weight = np.random.default_rng(4).normal(size=80)

    def batches(self, n, purpose, start=0):
        assert purpose == "chain"
        for first in range(0, n, 8):
            rows = slice(8 * start + first, 8 * start + min(first + 8, n))
            yield self.phi[rows], self.log_weight[rows]


def straightforward(length):
    """The chain of `Stored` as its definition has it; the accept decisions of batch i have the sub-seed i."""
    uniforms = [np.random.default_rng(sub_seed(5, "accept", i).view(np.uint32)).random(8) for i in range(10)]
    held, rows = 0, []
    for row, uniform in enumerate(np.concatenate(uniforms)[:length]):
        if np.log1p(-uniform) <= Stored.log_weight[row] - Stored.log_weight[held]:
            held = row
        rows.append(held)
    return np.array(rows)


def test_a_chain_is_its_definition_however_it_is_cut():
    sampler, expected = IndependenceMetropolis(Stored()), straightforward(70)
    chunks = list(run_chain(sampler, updates=50, thermalisation=20, seed=5))
    index = np.concatenate([chunk.index for chunk in chunks])
    np.testing.assert_array_equal(index, expected[20:])
    np.testing.assert_array_equal(np.concatenate([chunk.rows for chunk in chunks]), Stored.phi[:70])
    np.testing.assert_array_equal(np.concatenate([chunk.phi for chunk in chunks])[:, 0], Stored.phi[index])
    accepted = np.concatenate([chunk.info.accepted for chunk in chunks])
    np.testing.assert_array_equal(accepted, expected[20:] == np.arange(20, 70))
    (*_, first) = run_chain(sampler, updates=21, thermalisation=20, seed=5)
    assert first.state.updates == 41  # in the middle of a batch
    rest = run_chain(sampler, updates=29, thinning=2, seed=5, state=first.state)
    np.testing.assert_array_equal(np.concatenate([chunk.index for chunk in rest]), expected[42:69:2])


def test_integration_steps_are_those_of_the_flow_that_draws():
    """A production run refines a copy of the flow: the flow itself may still have fewer steps."""
    assert IndependenceMetropolis(Stored()).diagnostics(None) == {"integration_error": {"mean": 0.0, "largest": 0.0}}
    proposals = WeightedSampler(flows.continuous(Lattice((2, 2)), features=2, knots=2), Stored.action, 8, seed=1)
    steps = {name: 2 * number for name, number in proposals.flow.integration_steps.items()}
    assert steps and IndependenceMetropolis(proposals.refined()).diagnostics(None)["integration_steps"] == steps
