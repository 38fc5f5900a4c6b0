"""Chains that are put down and taken up again."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from samplers.test_independence import Stored

from lattice_flows.actions import ScalarPhi4
from lattice_flows.lattice import Lattice
from lattice_flows.samplers import HMC, Drawing, IndependenceMetropolis, LocalMetropolis, Stretch

ACTION = ScalarPhi4(Lattice((2, 2)), m2=-4.0, lam=7.0)
STRETCHES = [Stretch(14), Stretch(51, 3)]


def drawn(sampler, stretches, saved=None, **how):
    drawing = Drawing(sampler, stretches, thermalisation=5, seed=5, saved=saved, **how)
    start = drawing.updates
    drawing.begin()
    chunks = [(chunk, arrays(drawing.saved)) for chunk in drawing.chunks()]
    return drawing, chunks, start


def arrays(saved):
    return {name: np.asarray(value) for name, value in saved.items()}


@pytest.mark.parametrize(
    "sampler",
    [HMC(ACTION, chains=4, leapfrog_steps=2), LocalMetropolis(ACTION, chains=4), IndependenceMetropolis(Stored())],
    ids=lambda sampler: sampler.name,
)
def test_a_chain_that_goes_on_from_any_chunk_is_the_same(sampler, monkeypatch):
    monkeypatch.setattr("lattice_flows.samplers.chain._BLOCK_CONFIGURATIONS", 6)
    stretches = [Stretch(65)] if sampler.needs_flow else STRETCHES
    whole, chunks, _ = drawn(sampler, stretches)
    assert whole.made == 65 and len(chunks) > 4 and whole.updates_per_second > 0
    for number in (0, len(chunks) - 2, len(chunks) - 1):  # the first one is of thermalisation, for parallel chains
        chunk, saved = chunks[number]
        rest, others, start = drawn(sampler, stretches, saved)
        assert start == chunk.state.updates
        if others:
            np.testing.assert_equal(joined(others), joined(chunks[number + 1 :]))
        np.testing.assert_equal(arrays(rest.saved) | {"timed": None}, chunks[-1][1] | {"timed": None})
        assert rest.acceptance == whole.acceptance and rest.diagnostics == whole.diagnostics


def test_the_rate_is_that_of_the_whole_chain(monkeypatch):
    """Of 70 updates in batches of 8, each of which takes a second here. The first one after a beginning includes compilation."""
    monkeypatch.setattr("lattice_flows.samplers.drawing.time", SimpleNamespace(perf_counter=itertools.count().__next__))

    sampler = IndependenceMetropolis(Stored())
    whole, chunks, _ = drawn(sampler, [Stretch(65)])
    assert len(chunks) == 9 and whole.updates_per_second == (70 - 8) / 8
    for number, expected in ((3, (70 - 2 * 8) / 7), (8, (70 - 8) / 8)):  # in the end, all was drawn before
        rest, _, _ = drawn(sampler, [Stretch(65)], chunks[number][1])
        assert rest.updates_per_second == expected
    alone, _, _ = drawn(sampler, [Stretch(3)])
    assert alone.updates_per_second == 8


def joined(chunks):
    """All data and infos of chunks, which may be cut elsewhere."""
    data = [{**chunk.data, **chunk.info._asdict()} for chunk, _ in chunks]
    return {name: np.concatenate([each[name] for each in data]) for name in data[0]}


def test_the_acceptance_is_that_of_all_decisions():
    drawing, chunks, _ = drawn(HMC(ACTION, chains=4, leapfrog_steps=2), STRETCHES, device="cpu:1")
    accepted = np.concatenate([chunk.info.accepted for chunk, _ in chunks])
    assert drawing.acceptance == accepted.mean() and accepted.shape == (65, 4)
    assert sum(len(chunk.rows) for chunk, _ in chunks) == 14 + 17
