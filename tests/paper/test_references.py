"""The numbers that results are compared with."""

import dataclasses

import pytest
import yaml

from lattice_flows.errors import UserError
from lattice_flows.io.files import RunError
from lattice_flows.measurement.checks import judged
from lattice_flows.measurement.errors import Estimate, pull
from lattice_flows.paper import references
from lattice_flows.paper.cases import DIMENSIONS, TABLES, Case
from lattice_flows.paper.comparison import compared
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


@pytest.mark.parametrize("table", DIMENSIONS)
def test_every_case_in_two_to_four_dimensions_has_a_reference(table):
    hmc = references.reference(*of(Case(table).configuration()))
    susceptibility = hmc.estimate("two_point_susceptibility")
    assert susceptibility.error < 0.007 * susceptibility.value
    for number in (hmc.estimate("schwinger_dyson"), Estimate(hmc.chain["exp_minus_dh"], hmc.chain["exp_minus_dh_error"])):
        assert abs(pull(number, Estimate(1.0, 0.0))) < 3
    assert abs(hmc.chain["thermalisation_pull"]) < 4
    assert f"scripts/baseline.py --sampler hmc --config configs/{table}.yaml" in hmc.command
    if "_" not in table[3:]:  # on a line of constant physics
        last, extent = hmc.effective_mass[-1], max(hmc.lattice_shape)
        mass = Estimate(extent * last.value, extent * last.error) if extent < 6 else hmc.estimate("pole_mass_times_l")
        assert abs(mass.value - 4) < 0.08 and mass.error < 0.05
    elif table.endswith("broken"):
        assert abs(pull(hmc.estimate("magnetization"), Estimate(0.0, 0.0))) < 3 and hmc.estimate("binder_cumulant").value > 0.6


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
    assert references.reference(*point) is None and references.published(*point) == references.samplers(*point) == {}


def test_larger_lattices_are_not_the_papers():
    point = of(Case("L20").configuration())
    assert references.published(*point) == {} and references.reference(*point).chain["acceptance"] > 0.5


@pytest.mark.parametrize(("table", "precision"), [("L64", 0.0052), ("L128", 0.005)])
def test_the_largest_lattices_have_clusters_as_their_reference(table, precision):
    clusters = references.reference(*of(Case(table).configuration()))
    susceptibility, mass = clusters.estimate("two_point_susceptibility"), clusters.estimate("pole_mass_times_l")
    assert (
        clusters.sampler == "cluster" and f"scripts/baseline.py --sampler cluster --config configs/{table}.yaml" in clusters.command
    )
    assert susceptibility.error < precision * susceptibility.value and abs(mass.value - 4) < 0.08
    assert abs(pull(clusters.estimate("schwinger_dyson"), Estimate(1.0, 0.0))) < 3


def test_clusters_are_the_reference_where_there_is_no_hmc(tmp_path, monkeypatch):
    hmc = references.baselines(["E1"])["E1", "hmc"]
    clusters = dataclasses.replace(hmc, sampler="cluster")
    path = references.record(clusters, "E1", tmp_path / "references.yaml")
    monkeypatch.setattr(references, "REFERENCES", path)
    references._references.cache_clear()
    found = references.reference(hmc.lattice_shape, hmc.action), compared(dataclasses.replace(hmc, compared_with=None))
    references.record(hmc, "E1", path)
    both = references.reference(hmc.lattice_shape, hmc.action)
    monkeypatch.undo()
    references._references.cache_clear()
    assert found[0].sampler == found[1].compared_with == "cluster" and both.sampler == "hmc"


def test_a_short_baseline_of_the_same_physics_does_not_replace_the_reference(tmp_path, monkeypatch):
    hmc, path = references.baselines(["E1"])["E1", "hmc"], tmp_path / "references.yaml"
    short = dataclasses.replace(hmc, seed=2, errors={name: values[:1] for name, values in hmc.errors.items()})
    for name, result in (("A_short", short), ("E1", hmc), ("Z_short", short)):
        references.record(result, name, path)
    monkeypatch.setattr(references, "_references", lambda: yaml.safe_load(path.read_text()))
    assert references.reference(hmc.lattice_shape, hmc.action).seed == hmc.seed != short.seed


def test_a_baseline_that_cannot_be_trusted_is_no_reference(tmp_path):
    hmc = references.baselines(["E1"])["E1", "hmc"]
    good, bad = (judged(name, number, 1, 2, "", "") for name, number in (("halves", 0.5), ("r_hat", 3.0)))
    with pytest.raises(references.NotTrusted, match="its errors cannot be trusted: r_hat bad"):
        references.record(dataclasses.replace(hmc, checks=(good, bad)), "E1", tmp_path / "references.yaml")
    assert not list(tmp_path.iterdir())
    assert references.record(dataclasses.replace(hmc, checks=(good,)), "E1", tmp_path / "references.yaml").exists()


def test_references_are_found_by_their_physics():
    """E2 in the guise of E1."""
    point = of(Case("E1").configuration([{"lattice": {"shape": [8, 8]}, "action": {"lam": 6.008}}]))
    assert references.published(*point) == {"pole_mass_times_l": Estimate(3.97, 0.05)}
    assert references.reference(*point) == references.baselines(["E2"])["E2", "hmc"]
    assert references.samplers(*point) == {sampler: result for (_, sampler), result in references.baselines(["E2"]).items()}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("sampler", ["hmc", "metropolis"])
def test_baselines_are_those_of_the_paper(table, sampler):
    found = references.baselines([table])[table, sampler]
    # That of HMC fluctuates with the lengths of the trajectories while it is adapted.
    assert abs(found.chain["acceptance"] - 0.7) < {"hmc": 0.03, "metropolis": 0.01}[sampler]
    assert abs(found.chain["thermalisation_pull"]) < 4
    assert found.errors["configurations"][-1] >= 10**6
    assert f"scripts/baseline.py --sampler {sampler} --config configs/{table}.yaml" in found.command
    first, last = (found.errors["ising_energy"][at] for at in (0, -1))
    assert abs(first / last / 128**0.5 - 1) < 0.25


def test_an_entry_replaces_its_predecessor_alone(tmp_path):
    path = tmp_path / "references.yaml"
    known = references.baselines(["E1", "E2"])
    hmc, metropolis, other = known["E1", "hmc"], known["E1", "metropolis"], known["E2", "hmc"]
    again = dataclasses.replace(hmc, seed=2)
    for result, name in ((hmc, "b"), (metropolis, "b"), (other, "a"), (again, "b")):
        assert references.record(result, name, path) == path
    entries = yaml.safe_load(path.read_text())
    assert list(entries) == ["a", "b"] and path.read_text().startswith("# Baselines")
    assert entries == {"a": {"hmc": other.to_entry()}, "b": {"hmc": again.to_entry(), "metropolis": metropolis.to_entry()}}


def test_other_physics_does_not_come_under_the_name_of_an_entry(tmp_path):
    path = tmp_path / "references.yaml"
    known = references.baselines(["E1", "E2"])
    references.record(known["E1", "hmc"], "E1", path)
    before, other = path.read_text(), known["E2", "metropolis"]
    message = r"has hmc under 'E1' on the lattice \(6, 6\) with .*, not on \(8, 8\) with .*: give this one a name of its own"
    with pytest.raises(RunError, match=message):
        references.record(other, "E1", path)
    with pytest.raises(RunError, match=message):
        references.checked(path, "E1", other.lattice_shape, other.action)
    assert path.read_text() == before
    assert references.checked(path, "E1_8", other.lattice_shape, other.action) == path
    references.record(other, "E1_8", path)
    assert list(yaml.safe_load(path.read_text())) == ["E1", "E1_8"]


@pytest.mark.parametrize("text", ["- 1", "E1: [1]", "E1: {hmc: 3}", "E1: {hmc: {action: {}}}", "E1: {hmc: {}}\nE1: {}"])
def test_a_file_of_something_else_is_not_overwritten(tmp_path, text):
    path, result = tmp_path / "references.yaml", references.baselines(["E1"])["E1", "hmc"]
    path.write_text(text)
    with pytest.raises(UserError, match=r"cannot read \S+references.yaml: ") as error:
        references.record(result, "E1", path)
    assert path.read_text() == text and "\n" not in str(error.value)


def test_what_is_recorded_is_what_is_read(tmp_path):
    path = tmp_path / "references.yaml"
    for (table, _), result in references.baselines(["E1"]).items():
        references.record(result, table, path)
    before, after = (yaml.safe_load(file.read_text())["E1"] for file in (REFERENCES, path))
    for sampler, entry in before.items():
        same = ("command", "observables", "correlation", "errors", "effective_mass", "seed", "action", "tau_int_of_updates")
        assert {name: after[sampler][name] for name in same} == {name: entry[name] for name in same}
