"""The run directory: what it holds, and that nothing is lost."""

import json
import resource

import pytest

from lattice_flows.config import load
from lattice_flows.io.files import RunError
from lattice_flows.io.runs import RunDirectory


def test_a_new_run_says_what_it_is(tmp_path, small_config):
    config = small_config()
    run = RunDirectory.start(tmp_path / "deep" / "run", config)
    assert not run.resumed
    assert load(run.path / "config.yaml") == config
    environment = json.loads((run.path / "environment.json").read_text())
    assert environment["seed"] == config.seed
    assert environment.keys() >= {"tensorflow", "tensorflow_probability", "numpy", "devices_used", "platform", "command"}


def test_a_folder_in_use_is_refused(tmp_path, small_config):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match=r"already in use: give --resume to go on with it, or another name"):
        RunDirectory.start(tmp_path, small_config())
    with pytest.raises(RunError, match=r"it holds no config.yaml"):
        RunDirectory.start(tmp_path, small_config(), resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_resuming(tmp_path, small_config):
    RunDirectory.start(tmp_path / "run", small_config())
    resumed = RunDirectory.start(tmp_path / "run", small_config({"training": {"steps": 99}}), resume=True)
    assert resumed.resumed and resumed.changed == {"training.steps": (40, 99)}
    with pytest.raises(RunError, match=r"another configuration: flow.layers was 2, now 4"):
        RunDirectory.start(tmp_path / "run", small_config({"flow": {"layers": 4}}), resume=True)
    assert load(tmp_path / "run" / "config.yaml").training.steps == 99
    assert not RunDirectory.start(tmp_path / "new", small_config(), resume=True).resumed


def test_opening_what_is_not_there(tmp_path):
    with pytest.raises(RunError, match=r"there is no run in .*: it holds no config.yaml"):
        RunDirectory.open(tmp_path)


def test_no_space(tmp_path, small_config):
    run = RunDirectory.start(tmp_path / "run", small_config())
    run.write_text("metrics.csv", "earlier\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(RunError, match=r"cannot write .*metrics.csv: .*; what was there before is untouched"):
            run.write_text("metrics.csv", "x" * 100000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (run.path / "metrics.csv").read_text() == "earlier\n"
    assert not list(run.path.glob("*.part"))


@pytest.mark.parametrize("place", ["/proc/nowhere/run", "file/run"])
def test_no_permission(tmp_path, small_config, place, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RunError, match=rf"cannot write {place}"):
        RunDirectory.start(place, small_config())
    assert (tmp_path / "file").read_text() == "not a folder"
