"""What `run_chain` promises for every sampler."""

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.actions import ScalarPhi4
from lattice_flows.lattice import Lattice
from lattice_flows.samplers import HMC, ChainState, LocalMetropolis, Sampler, run_chain

ACTION = ScalarPhi4(Lattice((2, 2)), m2=-4.0, lam=7.0)


class Counting(Sampler):
    """Adds one to every field in an update, and a thousand in thermalisation."""

    name = "counting"

    class State(NamedTuple):
        phi: tf.Tensor

    class Info(NamedTuple):
        accepted: tf.Tensor

    def init(self, seed):
        return self.State(tf.zeros([self.chains, *self.action.lattice.shape], tf.float64))

    def step(self, state, seed):
        return self.State(state.phi + 1), self.Info(tf.fill([self.chains], True))

    def adapt(self, state, info):
        return self.State(state.phi + 1000)


@pytest.fixture(scope="module")
def counting():
    return Counting(ACTION, chains=3)


def test_thermalisation_thinning_and_the_last_state(counting):
    chunks = list(run_chain(counting, updates=1503, thinning=10, thermalisation=7, seed=1))
    kept = np.concatenate([chunk.phi for chunk in chunks])
    assert kept.shape == (150, 3, 2, 2)
    np.testing.assert_array_equal(kept[:, 0, 0, 0], 7 * 1001 + 10 * np.arange(1, 151))
    assert sum(len(chunk.info.accepted) for chunk in chunks) == 1500 and chunks[0].info.accepted.shape[1] == 3
    assert chunks[-1].state.updates == 1507
    np.testing.assert_array_equal(chunks[-1].state.sampler.phi, kept[-1])
    assert chunks[0].data["phi"].dtype == np.float32 and chunks[0].data["accepted"].dtype == bool


def test_thinning_beyond_the_size_of_a_block(counting):
    (chunk,) = run_chain(counting, updates=600, thinning=600, seed=1)
    assert chunk.phi[0, 0, 0, 0] == 600 and len(chunk.info.accepted) == 600


def test_blocks_grow_while_they_are_short(monkeypatch):
    """A block cannot be stopped, and nothing is seen or saved in it: on a large lattice, a single update may take a minute."""
    monkeypatch.setattr("lattice_flows.samplers.chain._BLOCK_SECONDS", 1000.0)
    lengths = [len(chunk.rows) for chunk in run_chain(Counting(ACTION, chains=3), updates=100, seed=1)]
    assert lengths == [1, 2, 4, 8, 16, 32, 37]
    monkeypatch.setattr("lattice_flows.samplers.chain._BLOCK_SECONDS", 1e-6)
    assert [len(chunk.rows) for chunk in run_chain(Counting(ACTION, chains=3), updates=3, seed=1)] == [1, 1, 1]


def test_chunks_of_thermalisation_hold_the_state_alone(counting):
    *thermal, last = counting.run(ChainState(counting.init(1), 0), 7, 1, 1, seed=1)
    assert thermal[-1].state.updates == 7 and thermal[-1].rows.shape == (0, 3, 2, 2) and thermal[-1].info.accepted.shape == (0, 3)
    assert last.state.updates == 8 and len(last.rows) == 1
    assert sum(len(chunk.rows) for chunk in run_chain(counting, updates=1, thermalisation=7, seed=1)) == 1


def test_too_few_updates_to_keep_one(counting):
    with pytest.raises(ValueError, match="of 9 updates, none would be kept with a thinning of 10"):
        next(run_chain(counting, updates=9, thinning=10, seed=1))


@pytest.mark.parametrize(
    ("lengths", "wrong"),
    [
        ({"thinning": 0}, "thinning must be an integer, 1 or more, not 0"),
        ({"thinning": -1}, "thinning must be an integer, 1 or more, not -1"),
        ({"thermalisation": -5}, "thermalisation must be an integer, 0 or more, not -5"),
    ],
)
def test_lengths_that_no_chain_has(counting, lengths, wrong):
    with pytest.raises(ValueError, match=f"^{wrong}$"):
        next(run_chain(counting, updates=9, seed=1, **lengths))


# HMC, which takes longer to compile, is taken up again by `test_drawing.py`, too.
CHAINS = [
    pytest.param(HMC(ACTION, chains=4, leapfrog_steps=2, flip=True), marks=pytest.mark.slow, id="hmc"),
    pytest.param(LocalMetropolis(ACTION, chains=4), id="metropolis"),
]


@pytest.mark.parametrize("sampler", CHAINS)
def test_the_chain_does_not_depend_on_how_it_is_cut(sampler, monkeypatch):
    def whole(seed, **how):
        return np.concatenate([chunk.phi for chunk in run_chain(sampler, updates=60, thermalisation=20, seed=seed, **how)])

    once, thinned, other = whole(4), whole(4, thinning=3), whole(5)
    assert not np.allclose(once[-1], other[-1])
    np.testing.assert_array_equal(once[2::3], thinned)
    monkeypatch.setattr("lattice_flows.samplers.chain._BLOCK_CONFIGURATIONS", 25)
    (*_, half) = run_chain(sampler, updates=30, thermalisation=20, seed=4)
    assert half.state.updates == 50
    rest = list(run_chain(sampler, updates=30, seed=4, state=half.state))
    assert len(rest) > 1 and max(len(chunk.phi) for chunk in rest) <= 25
    np.testing.assert_array_equal(np.concatenate([chunk.phi for chunk in rest]), once[30:])
    state = ChainState(sampler.init(4), 0)
    np.testing.assert_array_equal(next(run_chain(sampler, updates=1, thermalisation=20, seed=4, state=state)).phi[0], once[0])
