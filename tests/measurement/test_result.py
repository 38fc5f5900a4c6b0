"""One type for results of flows and of baselines, and their files."""

import dataclasses
import json
import re

import pytest
import yaml

from lattice_flows.config import CONFIGS
from lattice_flows.measurement.checks import judged
from lattice_flows.measurement.errors import Estimate, format_estimate
from lattice_flows.measurement.result import ObservableResult, Result
from lattice_flows.measurement.weight_variance import GROUPS

PAPER = CONFIGS.parent / "paper"
STORED = sorted(path for path in (PAPER / "results").glob("*/*.json") if path.parent.name != "scan")  # those are curves
ENTRIES = yaml.safe_load((PAPER / "references.yaml").read_text())
EARLIER = {"trajectories": "updates", "save_every": "thinning"}  # names of diagnostics -> today's


def check_that_it_holds(content, stored, where=""):
    """Every key of `stored` stands in `content`, with the same value."""
    for key, value in stored.items():
        assert key in content, where + key
        if isinstance(value, dict):
            check_that_it_holds(content[key], value, f"{where}{key}.")
        else:
            assert content[key] == value, where + key


@pytest.mark.parametrize("path", STORED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_stored_results_keep_every_key(path):
    stored = json.loads(path.read_text())
    result = Result.from_json(stored)
    content = json.loads(json.dumps(result.to_json(), allow_nan=False))
    check_that_it_holds(content, stored)
    assert Result.from_json(content) == result and result.passed == stored["passed"]


@pytest.mark.parametrize(("table", "sampler"), [(table, sampler) for table, found in ENTRIES.items() for sampler in found])
def test_entries_of_references_are_results(table, sampler):
    stored = ENTRIES[table][sampler]
    result = Result.from_entry(sampler, stored)
    entry, content = result.to_entry(), result.to_json()
    assert content.keys().isdisjoint(result.chain) and content["chain"] == result.chain
    check_that_it_holds(entry, {EARLIER.get(name, name): value for name, value in stored.items()})
    assert Result.from_entry(sampler, yaml.safe_load(yaml.safe_dump(entry))) == result
    assert Result.from_json(json.loads(json.dumps(content))).observables == result.observables
    assert result.chain["chains"] * result.chain["updates"] >= 25_000 and result.chain["thinning"] > 0


def test_comparison():
    row = ObservableResult(Estimate(1.0, 0.03, 0.5, 0.01))
    exact = ObservableResult(Estimate(1.1, 0.1), reference=Estimate(1.0, 0.0))
    known = Result.from_json(json.loads(STORED[0].read_text()))
    result = dataclasses.replace(known, observables={"a": row, "b": exact, "c": ObservableResult(None)})
    references = {"a": Estimate(0.8, 0.04), "b": Estimate(5.0, 0.1), "c": Estimate(1.0, 0.1)}
    compared = result.compared(references, {"a": Estimate(0.7, 0.04)})
    assert compared.observables["a"].pull == pytest.approx(4.0) and compared.observables["a"].published_pull == pytest.approx(6.0)
    assert compared.observables["b"].reference == Estimate(1.0, 0.0) and compared.observables["c"].pull is None
    assert compared.passed and compared.compared_with == "hmc" and not result.compared({"a": Estimate(0.79, 0.03)}).passed
    later = compared.compared({"a": Estimate(0.9, 0.04)}, compared_with="cluster")
    assert later.observables["a"].reference == Estimate(0.9, 0.04) and later.observables["b"].reference == Estimate(1.0, 0.0)
    assert later.compared({}).observables["a"].reference == Estimate(0.9, 0.04)
    assert compared.observables["c"].to_json()["value"] is None
    assert compared.estimate("a").value == 1.0 and compared.estimate("c") is compared.estimate("d") is None


def test_it_prints_as_a_table_with_errors():
    stored = Result.from_json(json.loads((PAPER / "results" / "affine" / "E1.json").read_text()))
    text = str(stored)
    assert text.startswith(
        "independence on 6 x 6, scalar_phi4 {'m2': -4.0, 'lam': 6.975}, seed 1\nlength: 1000000, acceptance: 0.95"
    )
    lines = text.splitlines()
    assert (
        f"| two_point_susceptibility         | {format_estimate(stored.estimate('two_point_susceptibility'))} " in text
        and "| 3.960(30)" in text
    )
    assert len({len(line) for line in lines if line.startswith("|")}) == 1
    baseline = str(Result.from_entry("hmc", ENTRIES["E1"]["hmc"]))
    assert "reweighted" not in baseline and re.search(r"exp_minus_dh: (1|0\.99|1\.00)", baseline)


def test_where_the_variance_of_log_weights_sits_is_kept_and_shown():
    share = [0.05, 0.01]
    groups = dict.fromkeys(GROUPS, share)
    found = {"proposals": 65536, "variance": [0.048, 0.001], "alone": groups, "beyond_the_others": groups, "together": share}
    stored = json.loads(STORED[0].read_text()) | {"weight_variance": found | {"tails": 0.1}}
    result = Result.from_json(stored)
    assert result.to_json()["weight_variance"] == stored["weight_variance"]
    assert "Variance of log weights 0.0480(10). Explained by zero mode 5.0(1.0) %, low modes 5.0(1.0) %" in str(result)


def test_a_result_passes_if_it_is_trusted_and_agrees():
    stored = Result.from_json(json.loads(STORED[0].read_text()))
    row = ObservableResult(Estimate(1.0, 0.03, 0.5, 0.01))
    alone = dataclasses.replace(stored, observables={"a": row}, compared_with=None, checks=())
    good = judged("halves", 1.0, 4, 5, "difference of the halves", "Draw more")
    bad = judged("k_hat", float("nan"), 0.5, 0.7, "tail index", "Train longer")
    assert (alone.trusted, alone.agrees, alone.passed) == (None, None, None)
    assert "Nothing was compared: no reference was given." in alone.conclusion
    assert alone.to_json()["passed"] is None and alone.to_json()["compared_with"] is None
    for value, agrees in ((1.1, True), (2.0, False)):
        compared = alone.compared({"a": Estimate(value, 0.01)}, compared_with="a cluster algorithm")
        assert (compared.agrees, compared.passed) == (agrees, agrees) and "(a cluster algorithm" in compared.conclusion
        doubted = dataclasses.replace(compared, checks=(good, bad))
        assert (doubted.trusted, doubted.agrees, doubted.passed) == (False, agrees, False)
        content = json.loads(json.dumps(doubted.to_json(), allow_nan=False))
        assert content["checks"][1]["value"] is None and content["trusted"] is False
        assert Result.from_json(content).checks == (good, bad) and Result.from_json(content).passed is False


def test_an_observable_that_is_not_determined_does_not_agree():
    stored = Result.from_json(json.loads(STORED[0].read_text()))
    rows = dict(stored.observables)
    rows["pole_mass"] = rows["pole_mass"]._replace(estimate=None)
    found = dataclasses.replace(stored, observables=rows)
    assert found.agrees and "observables agree (" in found.conclusion and "Not determined: pole_mass." in found.conclusion
    rows["phi_squared"] = rows["phi_squared"]._replace(estimate=None)
    found = dataclasses.replace(stored, observables=rows)
    assert found.agrees is found.passed is None and "phi_squared" in found.conclusion


def test_numbers_that_are_not_finite_never_reach_a_file():
    stored = Result.from_json(json.loads(STORED[0].read_text()))
    broken = dataclasses.replace(
        stored, chain=stored.chain | {"ess": float("nan")}, observables={"a": ObservableResult(Estimate(1.0, float("inf")))}
    )
    content = json.loads(json.dumps(broken.to_json(), allow_nan=False))
    assert content["chain"]["ess"] is None and content["observables"]["a"]["error"] is None
