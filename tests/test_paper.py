"""The reproduction: references, comparison, tables."""

import pytest
import yaml
from lattice_flows.paper import references, table1
from lattice_flows.paper.benchmark import progress_table, variants_table
from lattice_flows.paper.cost import cost_table

from lattice_flows.command_line import CONFIGS
from lattice_flows.config import load
from lattice_flows.measurement.errors import Estimate, pull


@pytest.mark.parametrize("table", table1.TABLES)
def test_every_ensemble_has_precise_references_that_agree_with_the_paper(table):
    config = load(CONFIGS / f"{table}.yaml")
    hmc = references.reference(config)
    susceptibility = hmc["observables"]["two_point_susceptibility"]
    assert susceptibility.error < 0.002 * susceptibility.value
    assert abs(pull(hmc["observables"]["schwinger_dyson"], Estimate(1.0, 0.0))) < 3
    assert abs(hmc["exp_minus_dh"] - 1) < 3 * hmc["exp_minus_dh_error"]
    assert f"scripts/baseline.py --sampler hmc --config configs/{table}.yaml" in hmc["command"]
    mass = references.published(table, config)["pole_mass_times_l"]
    assert abs(pull(hmc["observables"]["pole_mass_times_l"], mass)) < 3


def test_other_parameters_have_no_reference():
    config = load(CONFIGS / "E1.yaml", {"lattice": {"shape": [4, 4]}})
    assert references.reference(config) is None and references.published("E1", config) == {}
    assert references.published("L20", load(CONFIGS / "L20.yaml")) == {}


def test_an_entry_replaces_its_predecessor_alone(tmp_path):
    path = tmp_path / "references.yaml"
    references.write(path, "b", "hmc", {"seed": 1})
    references.write(path, "b", "metropolis", {"seed": 4})
    references.write(path, "a", "hmc", {"seed": 2})
    references.write(path, "b", "hmc", {"seed": 3})
    assert yaml.safe_load(path.read_text()) == {"a": {"hmc": {"seed": 2}}, "b": {"hmc": {"seed": 3}, "metropolis": {"seed": 4}}}


def result(pole_mass_pull):
    row = {"value": 1.0, "error": 0.1, "tau_int": 0.5, "reference": 1.2, "reference_error": 0.0, "pull": pole_mass_pull}
    row |= {"published": None, "published_error": None, "published_pull": None, "reweighted": 1.1, "reweighted_error": 0.1}
    return {
        "table": "E1",
        "lattice_shape": [6, 6],
        "m2": -4.0,
        "lam": 6.975,
        "flow": "affine",
        "seed": 1,
        "passed": abs(pole_mass_pull) <= 4,
        "training": {"parameters": 10, "steps": 20, "seconds": 3.0},
        "chain": {
            "acceptance": 0.5,
            "ess": 0.4,
            "tau_int": 1.5,
            "tau_int_error": 0.1,
            "log_z": 7.0,
            "log_z_error": 0.02,
            "length": 9,
            "free_energy_density": -0.2,
            "free_energy_density_error": 0.001,
        },
        "observables": {"pole_mass_times_l": row, "two_point_susceptibility": row},
    }


def test_the_report_shows_numbers_with_errors_and_the_verdict():
    text = table1.report(result(-2.0))
    assert "| pole_mass_times_l | 1.00(10) | 0.50 | 1.10(10) | 1.2 | -2.00 |  |  |" in text
    assert "| 0.5000 | 0.4000 | 1.50(10) | 7.000(20) |" in text
    assert text.endswith("passed: pulls against the reference are to be within 4 sigma.")
    assert "FAILED" in table1.report(result(-4.5))


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (Estimate(1.0, 0.1, 0.5), {"value": 1.0, "pull": pytest.approx(-4.0), "published_pull": None}),
        (None, {"value": None, "pull": None}),
    ],
)
def test_comparison(ours, expected):
    row = table1.compared(ours, Estimate(1.5, 0.075), None)
    assert {name: row[name] for name in expected} == expected
    assert row["reference"] == 1.5 and row["published"] is None


@pytest.mark.parametrize("flow", ["affine", "continuous"])
def test_the_tables_in_the_readme_are_those_of_the_result_files(flow):
    results = [table1.stored(flow, table) for table in table1.TABLES]
    assert table1.summary(results) in (CONFIGS.parent / "README.md").read_text()


@pytest.mark.parametrize("flow", ["affine", "continuous"])
@pytest.mark.parametrize("table", table1.TABLES)
def test_results_are_as_accurate_as_the_paper_is_to_be_reproduced(flow, table):
    observables = table1.stored(flow, table)["observables"]
    for name, share in (("two_point_susceptibility", 0.005), ("ising_energy", 0.002)):
        row = observables[name]
        assert abs(row["value"] / row["reference"] - 1) < share, name


@pytest.mark.parametrize("made", [variants_table, progress_table, cost_table])
def test_the_tables_of_runs_are_those_of_the_recorded_runs(made):
    assert made() in (CONFIGS.parent / "paper" / "README.md").read_text()
