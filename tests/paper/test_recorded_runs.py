"""Finished runs, recorded and summed up; the numbers themselves are the machine's."""

import dataclasses
import json
import shutil

import pytest
import yaml

from lattice_flows.errors import UserError
from lattice_flows.io.arrays import write_arrays
from lattice_flows.io.files import RunError
from lattice_flows.measurement.errors import Estimate
from lattice_flows.measurement.result import ObservableResult
from lattice_flows.paper.cases import Case
from lattice_flows.paper.ingredients import stored
from lattice_flows.paper.recorded_runs import record
from lattice_flows.paper.tables import progress_table, variants_table


def row(sigmas, tau_int):
    return ObservableResult(Estimate(1.0, 0.1, tau_int, 0.01), reference=Estimate(1.0 - 0.1 * sigmas, 0.0))


def evaluated(folder, rows):
    """Writes `metrics.csv` from rows of step, seconds and acceptance, which is the ESS too."""
    lines = [f"{step},{seconds},{acceptance},{acceptance}" for step, seconds, acceptance in rows]
    (folder / "metrics.csv").write_text("\n".join(["step,seconds,acceptance,ess", *lines]) + "\n")


@pytest.fixture
def finished_run(tmp_path, small_config):
    """Writes what a run leaves: `finished_run(name, seed, acceptances, target_acceptance=...)`."""

    def write(name, seed, acceptances, **training):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.yaml").write_text(small_config({"training": training}).dump())
        chain = {"acceptance": acceptances[-1], "ess": 0.5, "tau_int": 0.7, "samples_per_second": 1000.0}
        result = dataclasses.replace(
            stored("affine", Case("E1")),
            seed=seed,
            training={"parameters": 10, "steps": 30, "seconds": 3.0, "compile_seconds": 1.0},
            chain=chain | {"integration_error": {"mean": 0.0}},
            observables={"a": row(-1.5, 0.8), "b": row(0.5, 0.6), "c": ObservableResult(None)},
        )
        (folder / "result.json").write_text(json.dumps(result.to_json()))
        environment = {"command": ["reproduce.py"], "cpu_count": 2, "platform": "Linux", "tensorflow": "2.21.0", "commit": "abc"}
        (folder / "environment.json").write_text(json.dumps(environment))
        evaluated(folder, [(10 * i, 6 * i, a) for i, a in enumerate(acceptances, start=1)])
        return folder

    return write


def test_runs_are_summed_up_by_medians(tmp_path, finished_run):
    path = tmp_path / "runs.yaml"
    for seed, acceptances in [(1, [0.4, 0.55, 0.75]), (2, [0.6, 0.65, 0.72]), (3, [0.3, 0.4, 0.6])]:
        assert record(finished_run(str(seed), seed, acceptances), path) == path
    entry = yaml.safe_load(path.read_text())["affine"]["E1"][1]
    assert entry["seconds_to"] == {0.5: 12.0, 0.7: 18.0, 0.85: None} and entry["largest_pull"] == 1.5
    # Times to 50 %: 12, 6, 18; to 70 %: 18, 18, never; to 85 %: never.
    shown = "| affine | E1 | 3 | 10 | 30 | 3 | 12 | 18 |  | 0.720 | 0.500 | 0.70 | 0.60 to 0.80 | 1.5 | 100 | 1000 |"
    assert shown in variants_table(path)
    # After 15 s, the second evaluations count: 0.55, 0.65 and 0.4.
    assert "| E1 | affine |  | 0.550, 0.550 |  |  | 0.720, 0.720 | 18 | 0.51 |" in progress_table(path)


def test_a_run_recorded_again_replaces_its_predecessor(tmp_path, finished_run):
    path = tmp_path / "runs.yaml"
    record(finished_run("a", 1, [0.4]), path)
    record(finished_run("b", 1, [0.6]), path)
    assert yaml.safe_load(path.read_text())["affine"]["E1"][1]["acceptance"] == 0.6


def test_runs_to_a_mark_are_kept_apart(tmp_path, finished_run):
    path = tmp_path / "runs.yaml"
    record(finished_run("a", 1, [0.6], target_acceptance=0.5), path)
    record(finished_run("b", 1, [0.9]), path)
    found = {flow: runs["E1"][1]["acceptance"] for flow, runs in yaml.safe_load(path.read_text()).items()}
    assert found == {"affine": 0.9, "affine to 50%": 0.6}


@pytest.fixture
def staged_run(finished_run, small_config):
    """A run of two stages, the first of them on another lattice."""
    folder = finished_run("staged", 1, [0.8])
    evaluated(folder, [(0, 0.1, 0.76), (30, 3, 0.8)])
    stages = [{"lattice": {"shape": [8, 8]}}, {"training": {"steps": 20}}]
    (folder / "config.yaml").write_text(small_config({"stages": stages}).dump())
    for number, rows, seconds in ((1, [(20, 9, 0.9)], 10.0), (2, [(0, 0.2, 0.4), (20, 5, 0.75)], 6.0)):
        stage = folder / "stages" / str(number)
        stage.mkdir(parents=True)
        evaluated(stage, rows)
        write_arrays(stage / "weights.npz", {}, {"summary": {"steps": 20, "seconds": seconds, "compile_seconds": 2.0}})
    return folder


def test_stages_count_with_their_steps_and_their_time(tmp_path, staged_run):
    entry = yaml.safe_load(record(staged_run, tmp_path / "runs.yaml").read_text())["affine"]["E1"][1]
    assert (entry["steps"], entry["seconds"], entry["compile_seconds"]) == (70, 19.0, 5.0)
    assert entry["history"] == [[10.2, 0.4, 0.4], [15.0, 0.75, 0.75], [19.0, 0.8, 0.8]]  # the first stage is on another lattice
    assert entry["seconds_to"] == {0.5: 15.0, 0.7: 15.0, 0.85: None}


def test_a_run_that_began_elsewhere_is_refused(tmp_path, finished_run, staged_run):
    folder = finished_run("grown", 1, [0.9], init_from="continuous/E5")
    with pytest.raises(RunError, match=r"grown began with the weights of continuous/E5, whose history is elsewhere"):
        record(folder, tmp_path / "runs.yaml")
    shutil.rmtree(staged_run / "stages" / "2")
    with pytest.raises(RunError, match=r"staged began with the weights of stages that it does not hold"):
        record(staged_run, tmp_path / "runs.yaml")
    assert not (tmp_path / "runs.yaml").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lattice_shape": [8, 8]}, r"has the lattice \(8, 8\), but runs of E1 are recorded with \(6, 6\) alone"),
        ({"action": {"name": "scalar_phi4", "m2": -4.0, "lam": 5.0}}, r"has the action .*'lam': 5.0.* with .*'lam': 6.975"),
        ({"sampler": "annealed"}, r"has the sampler annealed, but runs of E1 are recorded with independence alone"),
        ({"table": None}, r"is of no ensemble: record a run of lattice-flows reproduce"),
    ],
)
def test_other_physics_and_other_samplers_are_refused(tmp_path, finished_run, changes, message):
    folder = finished_run("a", 1, [0.6])
    content = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps(content | changes))
    with pytest.raises(RunError, match=message):
        record(folder, tmp_path / "runs.yaml")
    assert not (tmp_path / "runs.yaml").exists()


def test_a_folder_without_a_finished_run_is_named(tmp_path):
    with pytest.raises(RunError, match=rf"{tmp_path} holds no result.json and no metrics.csv"):
        record(tmp_path, tmp_path / "runs.yaml")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("result.json", "{", r"cannot read \S+result.json: "),
        ("result.json", "[]", r"result.json: it must hold an object with keys, not a list"),
        ("result.json", '{"chain": 1}', r"result.json: it has no entry"),
        ("environment.json", "", r"environment.json: "),
        ("environment.json", '{"command": 3}', r"cannot read \S+"),
        ("metrics.csv", "step\n1\n", r"metrics.csv: it has no column 'seconds'"),
        ("metrics.csv", "step,seconds,acceptance,ess\n10,1,nan,0.5\n", r"metrics.csv has evaluations without numbers"),
        ("config.yaml", "a: [", r"config.yaml: it is not valid YAML"),
    ],
)
def test_a_damaged_file_is_named_and_nothing_is_recorded(tmp_path, finished_run, name, content, message):
    folder = finished_run("a", 1, [0.6])
    (folder / name).write_text(content)
    with pytest.raises(UserError, match=message) as error:
        record(folder, tmp_path / "runs.yaml")
    assert "\n" not in str(error.value) and not (tmp_path / "runs.yaml").exists()


def test_another_file_is_not_overwritten(tmp_path, finished_run):
    for text in ("affine: [1]\n", "- 1\n", "affine: {E1: 3}\n"):
        (tmp_path / "runs.yaml").write_text(text)
        with pytest.raises(UserError, match=r"cannot read \S+runs.yaml: "):
            record(finished_run(f"run{len(text)}", 1, [0.6]), tmp_path / "runs.yaml")
        assert (tmp_path / "runs.yaml").read_text() == text
