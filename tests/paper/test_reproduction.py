"""One call of the reproduction: what it checks before it begins, and what it leaves."""

import contextlib
import io
import json

import pytest
from conftest import SMALL
from rich.console import Console

from lattice_flows.config import ConfigError
from lattice_flows.measurement.result import Result
from lattice_flows.paper import references, reproduction
from lattice_flows.paper.cases import Case
from lattice_flows.paper.ingredients import stored_flows
from lattice_flows.pipeline import completed
from lattice_flows.progress import Progress


@pytest.mark.parametrize(
    ("tables", "overrides", "settings", "message"),
    [
        (["E1", "L20"], [], {"pretrained": True}, r"no pretrained weights continuous/L20 available"),
        (["E1"], [{"training": {"steps": 0}}], {}, r"'training.steps' has the value 0"),
        (
            ["E1", "E2"],
            [{"lattice": {"shape": [6, 6]}}],
            {"pretrained": True},
            r"E2.npz were trained with lattice.shape \[8, 8\]",
        ),
    ],
)
def test_nothing_is_begun_that_cannot_be_finished(tmp_path, tables, overrides, settings, message):
    with pytest.raises(ConfigError, match=message):
        reproduction.reproduce(tables, [], overrides, out=tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_figures_name_the_baselines_that_they_lack(tmp_path, monkeypatch):
    known = {table: samplers for table, samplers in references._references().items() if table != "E3"}
    with pytest.raises(ConfigError, match=r"need hmc on E1, which paper/references.yaml does not hold for its lattice and action"):
        reproduction.reproduce([], [5], [{"lattice": {"shape": [8, 8]}}], out=tmp_path / "out")
    monkeypatch.setattr(references, "_references", lambda: known)
    with pytest.raises(ConfigError, match=r"need hmc on E3.*scripts/baseline.py --sampler hmc --config configs/E3.yaml"):
        reproduction.reproduce([], [5], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_call_leaves_its_results(tmp_path, monkeypatch):
    """A small flow on a lattice without references, then the same again, which finds everything done."""
    output, boards = io.StringIO(), []

    def board(run, action):
        boards.append(run)
        return contextlib.nullcontext()

    progress = Progress(Console(file=output, width=300))
    overrides = [SMALL, {"training": {"steps": 10}}]
    passed = reproduction.reproduce(["E1"], [], overrides, out=tmp_path, progress=progress, board=board)
    monkeypatch.setattr(reproduction.run_figures, "save", lambda *_: None)
    assert reproduction.reproduce(["E1"], [], overrides, out=tmp_path, progress=progress, resume=True) == passed
    assert "ensemble.h5 is up to date" in output.getvalue() and boards == [tmp_path / "E1"]
    folder = tmp_path / "E1"
    content = json.loads((folder / "result.json").read_text())
    assert content["compared_with"] is None and content["passed"] is (None if content["trusted"] else False)
    assert passed == content["trusted"]
    table = (folder / "table.md").read_text()
    assert "No reference for this lattice and action: nothing was compared." in table and "chi-square" not in output.getvalue()
    assert "--sampler hmc --config E1 --lattice_size 4 --name E1_4 --out runs/hmc/E1_4 --references paper/references.yaml" in table
    assert (content["m2"], content["lam"], content["seed"]) == (-4.0, 6.975, 1)
    assert (content["table"], content["flow"], content["lattice_shape"]) == ("E1", "affine", [4, 4])
    assert content["training"]["steps"] == 10 and content["chain"]["length"] == 2000
    result = Result.from_json(content)
    assert result.to_json() == content
    assert result.observables["schwinger_dyson"].reference.value == 1.0 and result.observables["phi_squared"].reference is None
    assert (folder / "table.md").read_text().strip() in output.getvalue()
    assert {path.stem for path in (folder / "figures").glob("*.pdf")} >= {"training_history", "rejection_runs"}


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, "--config 3d_L6 --out runs/hmc/3d_L6"),
        ({"lattice": {"shape": [4, 4, 4]}}, "--config 3d_L6 --lattice_size 4 --name 3d_L6_4 --out runs/hmc/3d_L6_4"),
        (
            {"lattice": {"shape": [4, 4]}, "action": {"m2": 1.0}},
            "--config 3d_L6 --shape 4,4 --m2 1.0 --name 3d_L6_4x4_m2_1.0 --out runs/hmc/3d_L6_4x4_m2_1.0",
        ),
    ],
)
def test_a_missing_reference_comes_with_the_command_that_makes_it(changes, flags):
    case = Case("3d_L6")
    said = reproduction._without_reference(case, completed(case.configuration([changes])))
    assert f"scripts/baseline.py --sampler hmc {flags} --references paper/references.yaml" in said


def test_where_clusters_win_the_missing_reference_is_theirs():
    case = Case("L64")
    said = reproduction._without_reference(case, completed(case.configuration()))
    assert "scripts/baseline.py --sampler cluster --config L64 --out runs/cluster/L64 --references paper/references.yaml" in said


def test_stored_results_are_shown():
    output = io.StringIO()
    passed = reproduction.show_stored(["E1", "L64"], "affine", Progress(Console(file=output, width=300)))
    text = output.getvalue()
    assert (
        passed
        and "| E1 | 6 x 6 | -4 | 6.975 |" in text
        and "| E1 | affine, hmc, metropolis |" in text
        and "no result on L64" in text
    )
    assert [result.flow for result in stored_flows("E1")] == [
        "affine",
        "affine_deep",
        "continuous",
        "continuous_long_range",
        "continuous_marginalized",
    ]
    with pytest.raises(ConfigError, match=r"paper/results holds no result of the flow 'afine' on E1: run without --stored"):
        reproduction.show_stored(["E1"], "afine", Progress(quiet=True))
