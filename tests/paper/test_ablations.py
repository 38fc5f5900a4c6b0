"""Ablations: that every one is a flow, and that they take the time they are given."""

import pytest

from lattice_flows.config import CONFIGS, load
from lattice_flows.flows import FLOWS
from lattice_flows.paper import ablations
from lattice_flows.paper.tables import ablations_table
from lattice_flows.progress import Progress


@pytest.mark.parametrize("name", ablations.changes())
def test_every_ablation_is_a_flow(name):
    config = load(CONFIGS / "E2.yaml", ablations.changes()[name])
    FLOWS.complete(config.flow)
    assert (config == load(CONFIGS / "E2.yaml")) == (name == "the default flow")


def test_an_ablation_takes_the_time_it_is_given(small_config):
    found = ablations.ablation(small_config(), 0.2, Progress(quiet=True))
    assert found.steps == pytest.approx(200 / found.step_ms, rel=0.05, abs=1) and 0 < found.acceptance < 1
    row = ablations_table({"one": {"E1": found}}).splitlines()[-1]
    assert row.startswith(f"| one | {found.parameters} |") and row.endswith(f"| {found.ess:.3f} |")
