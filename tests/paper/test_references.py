"""The numbers that results are compared with."""

import pytest
import yaml

from lattice_flows.measurement.errors import Estimate, pull
from lattice_flows.paper import references
from lattice_flows.paper.cases import TABLES, Case
from lattice_flows.paper.records import REFERENCES


def of(config):
    return config.lattice.shape, config.action.model_dump()


@pytest.mark.parametrize("table", TABLES)
def test_every_ensemble_has_precise_references_that_agree_with_the_paper(table):
    point = of(Case(table).configuration())
    hmc = references.reference(*point)
    susceptibility = hmc.estimate("two_point_susceptibility")
    assert susceptibility.error < 0.002 * susceptibility.value
    assert abs(pull(hmc.estimate("schwinger_dyson"), Estimate(1.0, 0.0))) < 3
    assert abs(hmc.chain["exp_minus_dh"] - 1) < 3 * hmc.chain["exp_minus_dh_error"]
    assert f"scripts/baseline.py --sampler hmc --config configs/{table}.yaml" in hmc.command
    mass = references.published(*point)["pole_mass_times_l"]
    assert abs(pull(hmc.estimate("pole_mass_times_l"), mass)) < 3


@pytest.mark.parametrize(
    "override",
    [
        {"lattice": {"shape": [4, 4]}},
        {"lattice": {"shape": [6, 6, 6]}},
        {"action": {"lam": 7.0}},
        {"action": {"name": "another", "m2": -4.0, "lam": 6.975}},
    ],
)
def test_another_lattice_or_action_has_no_reference(override):
    point = of(Case("E1").configuration([override]))
    assert references.reference(*point) is None and references.published(*point) == {}


def test_larger_lattices_are_not_the_papers():
    point = of(Case("L20").configuration())
    assert references.published(*point) == {} and references.reference(*point).chain["acceptance"] > 0.5


def test_references_are_found_by_their_physics():
    """E2 in the guise of E1."""
    point = of(Case("E1").configuration([{"lattice": {"shape": [8, 8]}, "action": {"lam": 6.008}}]))
    assert references.published(*point) == {"pole_mass_times_l": Estimate(3.97, 0.05)}
    assert references.reference(*point) == references.baselines(["E2"])["E2", "hmc"]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("sampler", ["hmc", "metropolis"])
def test_baselines_are_those_of_the_paper(table, sampler):
    found = references.baselines([table])[table, sampler]
    assert abs(found.chain["acceptance"] - 0.7) < 0.01 and abs(found.chain["thermalisation_pull"]) < 4
    assert found.errors["configurations"][-1] >= 10**6
    assert f"scripts/baseline.py --sampler {sampler} --config configs/{table}.yaml" in found.command
    first, last = (found.errors["ising_energy"][at] for at in (0, -1))
    assert abs(first / last / 128**0.5 - 1) < 0.25


def test_an_entry_replaces_its_predecessor_alone(tmp_path):
    path = tmp_path / "references.yaml"
    known = references.baselines(["E1", "E2"])
    hmc, metropolis, other = known["E1", "hmc"], known["E1", "metropolis"], known["E2", "hmc"]
    for result, name in ((hmc, "b"), (metropolis, "b"), (hmc, "a"), (other, "b")):
        assert references.record(result, name, path) == path
    entries = yaml.safe_load(path.read_text())
    assert list(entries) == ["a", "b"] and path.read_text().startswith("# Baselines")
    assert entries == {"a": {"hmc": hmc.to_entry()}, "b": {"hmc": other.to_entry(), "metropolis": metropolis.to_entry()}}


def test_what_is_recorded_is_what_is_read(tmp_path):
    path = tmp_path / "references.yaml"
    for (table, _), result in references.baselines(["E1"]).items():
        references.record(result, table, path)
    before, after = (yaml.safe_load(file.read_text())["E1"] for file in (REFERENCES, path))
    for sampler, entry in before.items():
        same = ("command", "observables", "correlation", "errors", "effective_mass", "seed", "action", "tau_int_of_updates")
        assert {name: after[sampler][name] for name in same} == {name: entry[name] for name in same}
