"""The tables of the page, as cells."""

import dataclasses
import re

import pytest

from lattice_flows.measurement.checks import judged
from lattice_flows.measurement.errors import Estimate
from lattice_flows.measurement.tables import text_table
from lattice_flows.paper.cases import Case
from lattice_flows.paper.ingredients import stored
from lattice_flows.paper.references import baselines
from lattice_flows.report import Run, tables
from lattice_flows.report.names import label


@pytest.fixture(scope="module")
def flow():
    return Run(name="flow", result=stored("affine", Case("E1")))


@pytest.fixture(scope="module")
def hmc():
    return Run(name="hmc", result=baselines(["E1"])["E1", "hmc"])


def test_columns_that_nobody_fills_are_left_out(flow, hmc):
    assert "published" in tables.observables(flow.result).header
    assert "published" not in tables.observables(hmc.result).header and "reweighted" not in tables.observables(hmc.result).header


def test_names_are_in_words_with_their_symbol_and_never_mixed(flow):
    rows = tables.observables(flow.result).rows
    assert all("_" not in row[0].striptags() for row in rows)
    assert label("two_point_susceptibility") == 'two-point susceptibility <span class="symbol">χ<sub>2</sub></span>'
    assert label("my_observable") == "my observable"
    table = tables.from_text(text_table(["sampler", "chi_2", "tau_int, L = 6"], [["ising_energy", "", "6 x 6"]], compact=True))
    assert list(map(str, table.header)) == ["sampler", "χ<sub>2</sub>", "τ<sub>int</sub>, L = 6"]
    assert table.rows == [[label("ising_energy"), "", "6 \N{MULTIPLICATION SIGN} 6"]]


def test_runs_are_compared_with_the_first(flow, hmc):
    found = tables.compared([flow, hmc])
    assert found.header == ["observable", "flow", "hmc", "pull"]
    ours, theirs = (run.result.estimate("ising_energy") for run in (flow, hmc))
    (row,) = [row for row in found.rows if "Ising" in row[0]]
    assert float(row[3].replace("\N{MINUS SIGN}", "-")) == pytest.approx(
        (theirs.value - ours.value) / (theirs.error**2 + ours.error**2) ** 0.5, abs=0.01
    )
    assert "degrees of freedom, p = " in tables.agreement([flow, hmc]) and not tables.agreement([flow])


def test_flows_of_one_seed_share_their_noise_and_are_not_compared(flow, hmc):
    other = Run(name="other", result=stored("continuous", Case("E1")))
    assert (other.result.seed, other.result.sampler) == (flow.result.seed, flow.result.sampler)
    assert tables.compared([flow, other, hmc]).header == ["observable", "flow", "other", "hmc", "pull"]
    assert {len(row) for row in tables.compared([flow, other, hmc]).rows} == {5}
    assert "share their random numbers: flow, other. So there are no pulls" in tables.agreement([flow, hmc, other])
    apart = dataclasses.replace(other, result=dataclasses.replace(other.result, seed=2))
    assert tables.compared([flow, apart]).header[-1] == "pull" and "p = " in tables.agreement([flow, apart])


def test_far_pulls_are_marked(flow):
    row = flow.result.observables["ising_energy"]
    far = row._replace(estimate=Estimate(2 * row.estimate.value, row.estimate.error))
    wrong = dataclasses.replace(flow.result, observables={"ising_energy": far})
    assert [cell for cell in tables.observables(wrong).rows[0] if 'class="bad"' in str(cell)]
    assert not [cell for row in tables.observables(flow.result).rows for cell in row if 'class="bad"' in str(cell)]


def test_the_worst_checks_come_first_with_their_advice():
    found = [judged("fine", 0.1, 1, 2, "a number", "nothing"), judged("k_hat", 3.0, 1, 2, "the <tail>", "train longer")]
    worst, good = tables.checks(found).rows
    assert (
        worst[0] == "k-hat" and worst[3:5] == ["above 1", "above 2"] and "train longer" in worst[5] and "&lt;tail&gt;" in worst[5]
    )
    assert good[5] == "a number"


@pytest.mark.parametrize(
    ("numbers", "verdict"), [([0.1], "good"), ([0.1, None], "unknown"), ([None, 1.5], "doubtful"), ([], "not checked")]
)
def test_the_summary_says_the_worst_verdict(flow, numbers, verdict):
    found = [judged("k_hat", number, 1, 2, "tail", "train longer") for number in numbers]
    run = dataclasses.replace(flow, result=dataclasses.replace(flow.result, checks=found))
    assert re.sub("<.*?>", "", tables.summary([run]).rows[0][-1]) == verdict


def test_only_settings_that_differ_are_listed(make, tmp_path):
    from lattice_flows.report import read_run

    one, other = (read_run(make.begun(tmp_path / name)) for name in ("one", "other"))
    assert tables.different_settings([one, other]) is None
    other = dataclasses.replace(other, config=other.config.model_copy(update={"seed": 7}))
    assert tables.different_settings([one, other]).rows == [["seed", "1", "7"]]
