"""What an independent configuration costs: that all samplers are timed; the numbers themselves are the machine's."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest

from lattice_flows.actions import ScalarPhi4
from lattice_flows.config import SamplerConfig
from lattice_flows.io.arrays import file_fingerprint
from lattice_flows.lattice import Lattice
from lattice_flows.paper import cost, cost_record, references
from lattice_flows.paper.cases import Case
from lattice_flows.paper.ingredients import stored
from lattice_flows.paper.tables import cost_table
from lattice_flows.progress import Progress


def test_autocorrelation_and_training_are_those_of_today(tmp_path):
    """What is looked up: a number of the record would grow old. tau_int of a sampler without a reference is the record's own."""
    rows = {
        "affine": {"milliseconds_per_update": 0.1, "weights": file_fingerprint(Case("E1").weights("affine"))},
        "continuous": {"milliseconds_per_update": 0.1, "weights": "of-earlier-weights"},
        "hmc": {"milliseconds_per_update": 0.02},
        "cluster": {"milliseconds_per_update": 0.02, "tau_int": 2.0},
    }
    path = cost_record.record({"E1": {"samplers": rows}}, tmp_path / "cost.yaml")
    affine, hmc, cluster = cost_record.costs(path)
    result = stored("affine", Case("E1"))
    reference = references.reference(result.lattice_shape, result.action)
    assert (affine.sampler, affine.tau_int) == ("affine", result.estimate("two_point_susceptibility").tau_int)
    assert affine.training_seconds == result.training["seconds"] > 5
    assert hmc.tau_int == reference.chain["tau_int_of_updates"]["two_point_susceptibility"][0]
    assert cluster == ("E1", "cluster", 0.02, 2.0, 0.0) and cluster.independent == pytest.approx(0.08)
    table = cost_table(path)
    # 2 x 2 x 0.02 ms; for the flow, its training over 10^6 configurations.
    assert "| E1 | cluster | 0.02 | 2.00 | 0.08 | 0.08 |" in table and "continuous" not in table
    with_training = affine.independent + affine.training_seconds / 1e3
    assert f"| E1 | affine | 0.1 | {affine.tau_int:.2f} | {affine.independent:.3g} | {with_training:.3g} |" in table


class CountedProposals:
    """Proposals of equal weight, and the number of batches that were drawn."""

    action, batch_size, drawn = ScalarPhi4(Lattice((2, 2)), m2=1.0, lam=0.5), 48, 0

    def batches(self, n, purpose, start=0):
        for _ in range(-(-n // self.batch_size)):
            self.drawn += 1
            yield np.zeros((self.batch_size, 2, 2)), np.zeros(self.batch_size)


def test_a_turn_of_a_flow_draws_what_it_counts(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(cost.time, "perf_counter", lambda: float(next(clock)))
    proposals = CountedProposals()
    turn = cost._flow_turn(proposals)
    for _ in range(3):
        before = proposals.drawn
        assert turn() == 1 / (4 * proposals.batch_size)
        assert proposals.drawn - before == 4


@pytest.mark.parametrize(("tau_int", "lengths"), [(24.0, [600]), (25.0, [600, 1200]), (59.0, [600, 2400])])
def test_tau_int_is_measured_on_chains_that_are_much_longer(monkeypatch, tau_int, lengths):
    made = []

    def run(name, action, settings, **_):
        made.append((settings.updates, settings.successive, settings.thermalisation))
        return contextlib.nullcontext()

    measured = SimpleNamespace(chain={"tau_int_of_updates": {cost_record.OBSERVABLE: [tau_int, 0.1]}})
    monkeypatch.setattr(cost, "baseline_run", run)
    monkeypatch.setattr(cost, "measure_run", lambda *_: measured)
    assert cost._tau_int("hmc", None, SamplerConfig(), 1, Progress(quiet=True)) == tau_int
    assert made == [(length, length, length // 3) for length in lengths]
