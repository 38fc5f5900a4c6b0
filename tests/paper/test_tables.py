"""Tables of the reproduction, and that those of the documents are made of the stored numbers."""

import dataclasses
from collections import Counter

import pytest

from lattice_flows.config import CONFIGS, ConfigError
from lattice_flows.measurement.checks import judged
from lattice_flows.measurement.errors import Estimate
from lattice_flows.measurement.result import ObservableResult
from lattice_flows.paper import tables
from lattice_flows.paper.calibration import Calibrated
from lattice_flows.paper.cases import DIMENSIONS, STOPS, TABLES, Case
from lattice_flows.paper.comparison import compared
from lattice_flows.paper.ingredients import Ingredients, stored, stored_flows
from lattice_flows.paper.references import baselines

README = (CONFIGS.parent / "README.md").read_text()
NOTES = (CONFIGS.parent / "paper" / "README.md").read_text()


@pytest.fixture(scope="module")
def parts():
    cases = [Case(table, stop) for table in TABLES for stop in (None, *STOPS)]
    return Ingredients({case: stored("affine", case) for case in cases}, baselines(TABLES))


def result(sigmas):
    """A result with two observables that are so far from their reference."""
    row = ObservableResult(
        Estimate(1.0, 0.1, 0.5, 0.01), reweighted=Estimate(1.1, 0.1), reference=Estimate(1.0 - 0.1 * sigmas, 0.0)
    )
    rows = {"pole_mass_times_l": row, "two_point_susceptibility": row, "unknown": ObservableResult(None)}
    chain = {"acceptance": 0.5, "ess": 0.4, "tau_int": 1.5, "tau_int_error": 0.1, "log_z": 7.0, "log_z_error": 0.02}
    chain |= {"length": 9, "free_energy_density": -0.2, "free_energy_density_error": 0.001}
    return dataclasses.replace(stored("affine", Case("E1")), observables=rows, chain=chain)


def test_a_case_is_shown_with_errors_and_the_verdict():
    text = tables.case_table(result(-2.0))
    assert "## E1: 6 x 6, flow affine, seed 1" in text
    assert "| pole_mass_times_l | 1.00(10) | 0.50 | 1.10(10) | 1.2 | -2.00 |  |  |" in text
    assert "| unknown |  |  |  |  |  |  |  |" in text
    assert "| 0.5000 | 0.4000 | 1.50(10) | 7.000(20) |" in text
    assert "Free-energy density -log Z / V = -0.2000(10), from 9 weighted proposals." in text
    assert "\n\nEvery observable agrees with its reference (hmc, or exact) within 4 sigma." in text
    assert "DISAGREES" in tables.case_table(result(-4.5))


def test_all_checks_of_a_case_are_shown():
    bad = judged("k_hat", 0.95, 0.55, 0.7, "tail index of the weights", "Train the flow longer")
    text = tables.case_table(dataclasses.replace(result(0.0), checks=(bad,)))
    assert "| k_hat | 0.95 | above 0.55 | above 0.7 | bad | tail index of the weights |" in text
    assert "- bad: k_hat 0.95 (above 0.55 is doubtful, above 0.7 bad): tail index of the weights. Train the flow longer." in text


def test_flows_in_two_to_four_dimensions():
    other = dataclasses.replace(
        stored("affine", Case("E1")),
        table="4d_L4",
        lattice_shape=(4, 4, 4, 4),
        checks=[
            judged("k_hat", 0.6, 0.55, 0.7, "", ""),
            judged("halves", 9.0, 3.0, 4.0, "", ""),
            judged("signs", 0.0, 3.0, 4.0, "", ""),
        ],
    )
    header, _, first, second = tables.dimensions_table([stored("affine", Case("E1")), other]).splitlines()
    assert first.startswith("| E1 | 6 x 6 | -4 | 6.975 | affine | ") and first.endswith(" | good |")
    assert second.startswith("| 4d_L4 | 4 x 4 x 4 x 4 | -4 | 6.975 |") and second.endswith(" | bad: halves |")
    cells = dict(zip(header.split(" | "), first.split(" | "), strict=True))
    assert abs(float(cells["pull"])) < 4 and cells["chi_2"].startswith("1.06") and float(cells["ESS"]) > 0.9


def test_a_chain_whose_checks_are_unknown_is_not_called_good():
    checks = [judged(name, number, 3.0, 4.0, "", "") for name, number in (("halves", None), ("signs", 1.0), ("r_hat", None))]
    (row,) = tables.dimensions_table([dataclasses.replace(stored("affine", Case("E1")), checks=checks)]).splitlines()[2:]
    assert row.endswith(" | unknown: halves, r_hat |")


def test_the_calibration_counts_all_chains():
    found = [
        Calibrated(
            "affine_50", "E1", 200, 1, 4, Counter({("k_hat", "bad"): 1, ("k_hat", "doubtful"): 3, ("halves", "doubtful"): 1})
        ),
        Calibrated("continuous", "E1", 200, 0, 1, Counter({("k_hat", "doubtful"): 1})),
    ]
    assert tables.calibration_table(found).splitlines()[2:] == [
        "| affine_50 | E1 | 200 | 1 | 4 | k_hat 1 | halves 1, k_hat 3 |",
        "| continuous | E1 | 200 | 0 | 1 |  | k_hat 1 |",
        "| all |  | 400 | 1 | 5 |  |  |",
    ]


def test_columns_and_rows_of_all_tables_have_equal_lengths(parts):
    shown = [tables.summary(list(parts.flows.values())), tables.exponents_table(parts)]
    shown += [tables.agreement_table(parts.fully_trained(), parts.baselines), tables.variants_table(), tables.progress_table()]
    for text in shown:
        assert len({line.count("|") for line in text.splitlines()}) == 1 and "|---" in text


def test_ensembles_without_baselines_are_left_out_of_the_agreement(parts):
    only = {key: baseline for key, baseline in parts.baselines.items() if key[0] == "E2"}
    rows = tables.agreement_table(parts.fully_trained(), only).splitlines()[2:]
    assert len(rows) == 1 and rows[0].startswith("| E2 | affine, hmc, metropolis |")


def test_a_flow_is_not_compared_with_a_baseline_of_its_random_numbers(parts):
    flow = stored("continuous", Case("E2"))
    with pytest.raises(ConfigError, match="two results of the sampler independence with the seed 1 share their random numbers"):
        tables.agreement_table(parts.fully_trained(), parts.baselines | {("E2", "independence"): flow})


@pytest.mark.parametrize("flow", ["affine", "continuous"])
def test_the_results_in_the_notes_are_those_of_the_result_files(flow):
    assert tables.summary([stored(flow, Case(table)) for table in TABLES]) in NOTES


def test_the_table_in_two_to_four_dimensions_in_the_notes_is_that_of_the_results():
    results = [compared(result) for table in DIMENSIONS for result in stored_flows(table)]
    assert not results or tables.dimensions_table(results) in NOTES


def test_the_short_table_of_the_readme_is_that_of_the_result_files(parts):
    flows = {flow: [stored(flow, Case(table)) for table in TABLES] for flow in ("affine", "continuous")}
    assert tables.overview(flows, parts.baselines) in README


@pytest.mark.parametrize("flow", ["affine", "continuous"])
def test_the_agreement_in_the_notes_is_that_of_the_results(parts, flow):
    text = tables.agreement_table([stored(flow, Case(table)) for table in TABLES], parts.baselines)
    assert [row.split("|")[1].strip() for row in text.splitlines()[2:]] == [*TABLES, "all"]
    assert text in NOTES and float(text.splitlines()[-1].split("|")[-2]) > 0.01


def test_the_exponents_in_the_notes_are_those_of_the_results(parts):
    assert tables.exponents_table(parts) in NOTES


@pytest.mark.parametrize("made", [tables.variants_table, tables.progress_table, tables.cost_table])
def test_the_tables_of_runs_in_the_notes_are_those_of_the_recorded_runs(made):
    assert made() in NOTES
