"""The run directory: what it holds, and that nothing is lost."""

import json
import os
import resource
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pyerrors
import pytest
import tensorflow as tf
import yaml

from lattice_flows.config import load
from lattice_flows.errors import UserError
from lattice_flows.io import runs
from lattice_flows.io.ensembles import ensemble_file
from lattice_flows.io.files import RunError, temporary, write_text
from lattice_flows.io.runs import RunDirectory
from lattice_flows.paper import recorded_runs
from lattice_flows.pipeline import completed
from lattice_flows.training.stages import weights_file


def test_a_new_run_says_what_it_is(tmp_path, small_config):
    config = small_config()
    run = RunDirectory.start(tmp_path / "deep" / "run", config, devices=["cpu:1"], available=["cpu:0", "cpu:1"])
    assert not run.resumed
    assert load(run.path / "config.yaml") == config
    environment = json.loads((run.path / "environment.json").read_text())
    assert environment["seed"] == config.seed
    packages = {"tensorflow", "tensorflow_probability", "tf_keras", "numpy", "scipy", "h5py", "pyerrors"}
    assert environment.keys() >= packages | {"devices_there", "devices_used", "platform", "command", "commit", "python"}
    assert environment["tensorflow"] == tf.__version__ and environment["pyerrors"] == pyerrors.__version__
    assert environment["devices_used"] == ["cpu:1"] and environment["devices_there"] == ["cpu:0", "cpu:1"]


def test_a_folder_in_use_is_refused(tmp_path, small_config):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match=r"already in use: choose another folder$"):
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


def test_every_part_of_a_run_is_on_record(tmp_path, small_config):
    for steps, device in ((40, "first"), (99, "second"), (99, "third")):
        run = RunDirectory.start(tmp_path, small_config({"training": {"steps": steps}}), resume=True, devices=[device])
        run.close()
    found = json.loads((tmp_path / "environment.json").read_text())
    assert [part["devices_used"] for part in [*found["earlier"], found]] == [["first"], ["second"], ["third"]]
    assert found["changed"] == {} and found["earlier"][1]["changed"] == {"training.steps": {"before": 40, "now": 99}}


def test_a_refused_continuation_changes_nothing(tmp_path, small_config):
    run = RunDirectory.start(tmp_path / "run", small_config())
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}
    other = small_config({"training": {"optimizer": {"name": "natural_gradient"}}})
    with pytest.raises(RunError, match=r"training.optimizer.name was 'adam', now 'natural_gradient'"):
        RunDirectory.start(run.path, other, resume=True)
    with pytest.raises(RunError, match=r"training.only was None, now \['prior'\]"):
        RunDirectory.start(run.path, small_config({"training": {"only": ["prior"]}}), resume=True)

    def refuse(run):
        raise RunError("damaged")

    with pytest.raises(RunError, match="damaged"):
        RunDirectory.start(run.path, small_config({"training": {"steps": 99}}), resume=True, check=refuse)
    assert {path.name: path.read_bytes() for path in run.path.iterdir()} == before


def test_opening_what_is_not_there(tmp_path):
    with pytest.raises(RunError, match=r".* is not a run folder: it holds no config.yaml"):
        RunDirectory.open(tmp_path)
    with pytest.raises(RunError, match=r"there is no run folder .*nope: name one"):
        RunDirectory.open(tmp_path / "nope")
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"file is a file, not a run folder: name the folder"):
        RunDirectory.open(tmp_path / "file")


@pytest.mark.parametrize(("files", "ours"), [(("setup.cfg",), True), ((), False)])
def test_the_commit_is_that_of_our_own_repository(tmp_path, monkeypatch, files, ours):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for name in (*files, "README"):
        (tmp_path / name).write_text("")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *arguments], check=True)
    monkeypatch.setattr(runs, "__file__", str(tmp_path / "lattice_flows" / "io" / "runs.py"))
    assert bool(runs._commit()) == ours
    inner = tmp_path / "lib" / "site-packages"
    inner.mkdir(parents=True)
    (inner / "setup.cfg").write_text("")
    monkeypatch.setattr(runs, "__file__", str(inner / "lattice_flows" / "io" / "runs.py"))
    assert runs._commit() is None


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


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_with_nothing_but_unfinished_files_is_started(tmp_path, small_config, resume):
    (tmp_path / "config.yaml.part").write_text("lattice: ")  # of an earlier version
    temporary(tmp_path / "config.yaml").write_text("lattice: ")
    run = RunDirectory.start(tmp_path, small_config(), resume=resume)
    assert not run.resumed
    run.close()
    assert {path.name for path in tmp_path.iterdir()} == {"config.yaml", "environment.json", ".lock"}


def test_what_a_dead_process_left_unfinished_is_removed(tmp_path, small_config):
    RunDirectory.start(tmp_path, small_config()).close()
    (tmp_path / "checkpoints").mkdir()
    temporary(tmp_path / "checkpoints" / "step_1.npz").write_bytes(b"half")
    (tmp_path / "film.mkv.part").write_text("not ours")
    RunDirectory.start(tmp_path, small_config(), resume=True).close()
    assert not list((tmp_path / "checkpoints").iterdir()) and (tmp_path / "film.mkv.part").exists()


def test_files_that_are_not_ours_are_never_taken_for_unfinished_ones(tmp_path, small_config):
    (tmp_path / "film.mkv.part").write_text("not ours")
    with pytest.raises(RunError, match="already in use"):
        RunDirectory.start(tmp_path, small_config())
    assert [path.name for path in tmp_path.iterdir()] == ["film.mkv.part"]


def test_a_run_is_locked_until_it_is_closed(tmp_path, small_config):
    def start():
        return RunDirectory.start(tmp_path / "run", small_config(), resume=True).close()

    with ThreadPoolExecutor(1) as another, RunDirectory.start(tmp_path / "run", small_config()) as run:
        before = {path: path.read_bytes() for path in run.path.iterdir()}
        with pytest.raises(RunError, match=r"run is in use by process \d+ on .*: wait until it has finished"):
            another.submit(start).result()
        assert {path: path.read_bytes() for path in run.path.iterdir()} == before
        run.close()
        another.submit(start).result()


@pytest.mark.parametrize("place", ["/proc/nowhere/run", "file/run"])
def test_no_permission(tmp_path, small_config, place, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RunError, match=rf"cannot write {place}"):
        RunDirectory.start(place, small_config())
    assert (tmp_path / "file").read_text() == "not a folder"


def test_a_run_folder_of_an_earlier_version_is_resumed(tmp_path, small_config):
    config = small_config()
    tree = yaml.safe_load(config.dump())
    baselines = tree.pop("samplers")
    hmc, metropolis = baselines["hmc"], baselines["metropolis"]
    tree["hmc"] = {"trajectories": hmc.pop("updates"), "save_every": hmc.pop("thinning"), **hmc}
    thinning = metropolis.pop("thinning")
    tree["metropolis"] = {"configurations": metropolis.pop("updates") // thinning, "sweeps_between": thinning, **metropolis}
    tree["flow"]["site_maps"] = tree["flow"].pop("element_wise_maps")
    for new in ("loss", "initial_loss", "initial_loss_steps"):
        del tree["training"][new]
    tree["training"]["absolute_error_steps"] = 0
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tree))
    assert RunDirectory.open(tmp_path)[1] == config
    assert RunDirectory.start(tmp_path, config, resume=True).changed == {}


def test_a_parameter_that_an_earlier_version_did_not_know_counts_with_its_default(tmp_path, small_config):
    earlier, config = small_config(), completed(small_config())
    assert "activation" not in earlier.flow.parameters["network"]
    (tmp_path / "config.yaml").write_text(earlier.dump().replace("element_wise_maps", "site_maps"))
    with pytest.raises(RunError, match=r"flow.network.activation was None"):
        RunDirectory.start(tmp_path, config, resume=True)
    assert RunDirectory.start(tmp_path, config, resume=True, complete=completed).changed == {}


@pytest.mark.parametrize("length", [300, 5000])
def test_a_name_that_is_too_long_is_one_line(tmp_path, length, small_config):
    name = tmp_path / ("x" * length)
    for read in (RunDirectory.open, ensemble_file, weights_file, recorded_runs.record):
        with pytest.raises(UserError, match=r"^cannot read .*: File name too long"):
            read(name)
    with pytest.raises(RunError, match=r"^cannot write .*: File name too long"):
        RunDirectory.start(name, small_config())


@pytest.mark.parametrize(("name", "named"), [("ensemble.h5", ensemble_file), ("weights.npz", weights_file)])
def test_what_is_read_is_a_regular_file(tmp_path, name, named):
    os.mkfifo(tmp_path / name)
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(UserError, match=r"cannot read .*: it is not a regular file"):
            named(path)


def test_a_symbolic_link_is_followed_and_a_device_is_left_alone(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "text")
    for text in ("new", "newer"):
        write_text(tmp_path / "link", text)
        assert (tmp_path / "link").is_symlink() and (tmp_path / "there" / "text").read_text() == text
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(RunError, match=r"cannot write .*fifo: it is not a regular file"):
        write_text(tmp_path / "fifo", "text")
    assert (tmp_path / "fifo").is_fifo()
    assert {path.name for path in tmp_path.rglob("*")} == {"there", "text", "link", "fifo"}
