"""Figures, agreement and report, from the stored results and references."""

import re

import numpy as np
import pytest
from lattice_flows.paper import figures, references, report, table1

from lattice_flows import plots
from lattice_flows.command_line import CONFIGS
from lattice_flows.measurement.errors import Estimate

NOTES = CONFIGS.parent / "paper" / "README.md"


@pytest.fixture(scope="module")
def parts():
    flows = {(table, None): table1.stored("affine", table) for table in table1.TABLES}
    flows |= {(table, stop): table1.stored(f"affine_{100 * stop:.0f}", table) for table in table1.TABLES for stop in (0.5, 0.7)}
    return figures.Ingredients(flows, references.baselines(table1.TABLES))


@pytest.mark.parametrize("number", figures.FIGURES)
def test_every_figure_of_the_paper_can_be_drawn(parts, number, tmp_path):
    drawn = figures.FIGURES[number].draw(parts)
    assert drawn.figure.axes and re.search(r"\(seeds? \d", drawn.caption)
    assert set(figures.needed([number])) <= set(parts.flows)


def test_what_figures_need():
    assert figures.needed([3]) == [("E5", None)]
    assert figures.needed([2, 3]) == [("E5", None), ("E5", 0.5), ("E5", 0.7)]


@pytest.mark.parametrize("flow", ["affine", "continuous"])
def test_samplers_agree(parts, flow):
    results = [table1.stored(flow, table) for table in table1.TABLES]
    rows = table1.agreement_table(results, parts.baselines).splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == [*table1.TABLES, "all"]
    for row in rows:
        chi_square, _, p = map(float, row.split("|")[3:-1])
        assert chi_square > 0 and p > 0.01


def test_agreement_sees_a_wrong_observable(parts):
    wrong = table1.stored("affine", "E5")
    row = wrong["observables"]["ising_energy"]
    row["value"] += 6 * row["error"]
    table = table1.agreement_table([wrong], parts.baselines)
    assert float(table.splitlines()[-1].split("|")[-2]) < 1e-4


@pytest.mark.parametrize("table", table1.TABLES)
@pytest.mark.parametrize("sampler", ["hmc", "metropolis"])
def test_baselines_are_those_of_the_paper(parts, table, sampler):
    found = parts.baselines[table, sampler]
    assert abs(found["acceptance"] - 0.7) < 0.01 and abs(found["thermalisation_pull"]) < 4
    assert found["errors"]["configurations"][-1] >= 10**6
    assert f"scripts/baseline.py --sampler {sampler} --config configs/{table}.yaml" in found["command"]
    first, last = (np.array(found["errors"]["ising_energy"])[[at]] for at in (0, -1))
    assert abs(first / last / np.sqrt(128) - 1) < 0.25


def test_the_exponents_in_the_notes_are_those_of_the_results(parts):
    assert figures.exponents_table(parts) in NOTES.read_text()


@pytest.mark.parametrize("flow", ["affine", "continuous"])
def test_the_agreement_in_the_notes_is_that_of_the_results(parts, flow):
    results = [table1.stored(flow, table) for table in table1.TABLES]
    assert table1.agreement_table(results, parts.baselines) in NOTES.read_text()


def test_the_report_stands_alone(parts, tmp_path):
    folder = tmp_path / "E5"
    (folder / "figures").mkdir(parents=True)
    (folder / "environment.json").write_text('{"lattice_flows": "0.1.0", "cpu_count": 2, "command": ["a", "b<c"], "commit": null}')
    alone = figures.Ingredients({("E5", None): parts.flows["E5", None]}, parts.baselines)
    drawn = figures.FIGURES[3].draw(alone)
    plots.save(drawn.figure, tmp_path / "figures", "figure_3")
    report.write(tmp_path / "report.html", tmp_path, alone, {3: drawn})
    page = (tmp_path / "report.html").read_text()
    assert "data:image/png;base64," in page and "b&lt;c" in page and "Every observable agrees" in page
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)


def test_numbers_of_results_and_baselines():
    row = {"value": 1.0, "error": 0.1, "tau_int": 0.5, "tau_int_error": 0.01, "pull": None}
    assert references.as_estimate(row) == references.as_estimate([1.0, 0.1, 0.5, 0.01]) == Estimate(1.0, 0.1, 0.5, 0.01)
