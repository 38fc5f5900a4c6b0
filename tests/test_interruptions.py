"""Runs that are interrupted, killed or started twice lose nothing, and end as undisturbed ones."""

import io
import itertools
import shutil
import subprocess
import sys
import time

import growing
import h5py
import numpy as np
import pytest
from rich.console import Console

from lattice_flows import command_line
from lattice_flows.command_line.interruptions import Interrupted
from lattice_flows.config import SamplerConfig
from lattice_flows.io import segments
from lattice_flows.io.arrays import read_arrays
from lattice_flows.io.ensembles import Ensemble, EnsembleError
from lattice_flows.pipeline import train_run
from lattice_flows.production import baseline_run, measure_run, sample_run
from lattice_flows.progress import Bar, Progress

SETTINGS = {"chains": 8, "updates": 1030, "thinning": 4, "thermalisation": 50, "successive": 600}
TIMINGS = ("samples_per_second", "updates_per_second")
BASELINE = ("baseline", "--sampler=metropolis", "--config=E1", "--lattice_size=4", "--chains=8", "--updates=1500")


@pytest.fixture
def often(monkeypatch):
    """A segment for every chunk."""
    monkeypatch.setattr(segments, "_SHORTEST", 0.0)
    monkeypatch.setattr(segments, "_SHARE", 0.0)


@pytest.fixture
def interrupt(monkeypatch):
    """Interrupts whatever advances a bar, at its n-th advance from now on."""

    def at(n, error=KeyboardInterrupt):
        numbers, advance = itertools.count(1), Bar.advance

        def counted(*arguments, **settings):
            if next(numbers) == n:
                monkeypatch.setattr(Bar, "advance", advance)
                raise error
            advance(*arguments, **settings)

        monkeypatch.setattr(Bar, "advance", counted)

    return at


@pytest.fixture
def progress():
    return Progress(Console(file=io.StringIO(), width=300))


@pytest.fixture(scope="module")
def run(tmp_path_factory, small_config):
    """The folder of a finished training."""
    trained = train_run(small_config({"training": {"steps": 10}}), tmp_path_factory.mktemp("run"))
    trained.run.close()
    return trained.run.path


def content(path):
    """All that is in an ensemble, but for the time that it took."""
    found = growing.content(path)
    found["diagnostics"] = {name: value for name, value in found["diagnostics"].items() if name not in TIMINGS}
    return found


@pytest.fixture(scope="module", params=["independence", "metropolis"])
def drawing(request, tmp_path_factory, small_config, small_model):
    """A function that draws an ensemble, and what it holds where nothing disturbs it."""
    flow, action = small_model
    settings = SamplerConfig(**SETTINGS)

    def draw(path, progress=None):
        if request.param == "independence":
            return sample_run(flow, action, small_config().chain, path=path, progress=progress)
        return baseline_run(request.param, action, settings, path=path, progress=progress)

    path = tmp_path_factory.mktemp("undisturbed") / "e.h5"
    draw(path).close()
    return draw, content(path)


def test_an_interrupted_chain_ends_as_an_undisturbed_one(drawing, tmp_path, often, interrupt, progress):
    draw, undisturbed = drawing
    # The second time, a chain that has doubled its blocks is thermalised, and the first time it is not.
    for n in (1, 9 if undisturbed["sampler"] == "metropolis" else 2):
        interrupt(n)
        with pytest.raises(KeyboardInterrupt):
            draw(tmp_path / "e.h5", progress)
    assert not (tmp_path / "e.h5").exists()
    with draw(tmp_path / "e.h5", progress) as ensemble:
        said = progress.console.file.getvalue()
        assert said.count("going on after") == 2 and said.count("the same run goes on from there") == 2
        if ensemble.attributes["sampler"] != "metropolis":
            assert ensemble.accepted.mean() == ensemble.attributes["diagnostics"]["acceptance"]
    np.testing.assert_equal(content(tmp_path / "e.h5"), undisturbed)
    assert not (tmp_path / "e.h5.segments").exists()


@pytest.mark.parametrize(("begun", "kept"), [(1000, 2), (4000, 3)])
def test_a_chain_that_was_begun_with_another_length_goes_on(
    small_config, small_model, tmp_path, often, interrupt, progress, begun, kept
):
    """Of batches of 512."""
    config, (flow, action) = small_config(), small_model
    interrupt(3 if begun != 1000 else 2)
    with pytest.raises(KeyboardInterrupt):
        sample_run(flow, action, config.chain.model_copy(update={"length": begun}), path=tmp_path / "e.h5")
    settings = config.chain.model_copy(update={"length": 2000})
    sample_run(flow, action, settings, path=tmp_path / "e.h5", progress=progress).close()
    assert f"going on after the {512 * kept} rows" in progress.console.file.getvalue()
    sample_run(flow, action, settings, path=tmp_path / "undisturbed.h5").close()
    np.testing.assert_equal(content(tmp_path / "e.h5"), content(tmp_path / "undisturbed.h5"))


def test_a_damaged_ensemble_is_drawn_again_and_never_measured(small_config, small_model, tmp_path, progress):
    config, path, (flow, action) = small_config(), tmp_path / "e.h5", small_model

    def draw():
        sample_run(flow, action, config.chain, path=path, progress=progress).close()
        return content(path)

    undisturbed = draw()
    with h5py.File(path, "a") as file:
        file["phi"][10:50] = 0
    with pytest.raises(EnsembleError, match=r"cannot read .*e.h5: its data set 'phi' has changed .*; draw the ensemble again"):
        measure_run(path)
    np.testing.assert_equal(draw(), undisturbed)
    assert "drawing the ensemble again: cannot read " in progress.console.file.getvalue()
    draw()
    assert "e.h5 is up to date" in progress.console.file.getvalue()


def test_what_the_training_says_is_kept_with_the_ensemble(small_config, small_model, tmp_path):
    config, (flow, action) = small_config(), small_model
    for training in ({"ess": 0.5, "acceptance": 0.6, "forward_ess": None, "steps": 3}, {"ess": 0.4}):
        with sample_run(flow, action, config.chain, path=tmp_path / "e.h5", training=training) as ensemble:
            known = {name: training[name] for name in ("ess", "acceptance") if name in training}
            assert ensemble.attributes["training"] == known  # also where the file is older
    assert "training" not in sample_run(flow, action, config.chain).attributes


def test_sampling_goes_on_where_it_was_interrupted(run, tmp_path, often, interrupt, capsys):
    command = ["sample", "--run", str(run), "--out", str(tmp_path / "out")]
    interrupt(2, Interrupted)
    assert command_line.main(command) == 3
    assert "the same command with --resume continues where it stopped" in capsys.readouterr().err
    assert command_line.main(command) == 2
    assert "--resume continues that run" in capsys.readouterr().err
    assert command_line.main([*command, "--resume"]) in (0, 1)
    assert "going on after the 1024 rows" in capsys.readouterr().out
    assert command_line.main(["sample", "--run", str(run), "--out", str(tmp_path / "whole")]) in (0, 1)
    np.testing.assert_equal(content(tmp_path / "out" / "ensemble.h5"), content(tmp_path / "whole" / "ensemble.h5"))
    capsys.readouterr()


@pytest.mark.parametrize("command", [["sample"], BASELINE[:4], ["train", "--config=E1"]])
def test_a_second_process_is_refused_and_harms_nothing(run, tmp_path, capsys, command):
    out = tmp_path / "out"
    train = ["sample", "--run", str(run)] if command[0] == "sample" else command
    hold = (
        "import pathlib, sys, time; from lattice_flows.io.locks import lock_folder; "
        "lock_folder(pathlib.Path(sys.argv[1])); print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", hold, str(out)], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            before = {path: path.read_bytes() for path in out.rglob("*")}
            assert command_line.main([*train, "--out", str(out), "--resume"]) == 2
            error = capsys.readouterr().err
            assert error.count("\n") == 1 and f"out is in use by process {holder.pid} on " in error
            assert {path: path.read_bytes() for path in out.rglob("*")} == before
        finally:
            holder.kill()


@pytest.mark.parametrize("references", ["", "{tmp}", "/proc/nowhere/references.yaml", "{tmp}/damaged.yaml"])
def test_references_are_checked_before_anything_is_drawn(tmp_path, capsys, references):
    (tmp_path / "damaged.yaml").write_text("E1: [")
    place = references.format(tmp=tmp_path)
    assert command_line.main([*BASELINE, "--out", str(tmp_path / "out"), "--references", place]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith("error: ") and place in error
    assert not (tmp_path / "out").exists()


def start(*arguments):
    """A command in a process of its own, with a segment every 50 milliseconds."""
    code = (
        "import sys; from lattice_flows.io import segments; segments._SHORTEST, segments._SHARE = 0.05, 0; "
        "from lattice_flows import command_line; sys.exit(command_line.main(sys.argv[1:]))"
    )
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def reached(process, folder, number):
    """Waits until a segment is there, or the process has ended."""
    while not (folder / "ensemble.h5.segments" / f"{number:06d}.h5").exists() and process.poll() is None:
        time.sleep(0.01)


def test_a_baseline_is_terminated_and_goes_on(tmp_path, small_model, capsys):
    """By SIGTERM, in a process of its own; it goes on in this one."""
    out, command = tmp_path / "out", [*BASELINE, "--resume", "--out", str(tmp_path / "out")]
    with start(*command) as process:
        reached(process, out, 1)
        process.terminate()
        said, error = process.communicate()
    assert process.returncode == 3, said + error
    assert "terminated (SIGTERM); the same command with --resume continues where it stopped" in error
    assert command_line.main(command) in (0, 1)
    assert "going on after" in capsys.readouterr().out
    with Ensemble(out / "ensemble.h5") as ensemble:
        ensemble.verify()
        settings = SamplerConfig(**ensemble.attributes["settings"])
    baseline_run("metropolis", small_model[1], settings, path=tmp_path / "e.h5").close()
    np.testing.assert_equal(content(out / "ensemble.h5"), content(tmp_path / "e.h5"))


def killed(command, out, deaths, rng):
    """Kills a command at random moments, each time but the last, and returns how long it takes undisturbed."""
    begin = time.monotonic()
    with start(*command, "--out", str(out.with_name("whole"))) as process:
        said = process.communicate()
    assert process.returncode in (0, 1), said
    seconds = time.monotonic() - begin
    while deaths:
        with start(*command, "--out", str(out), *([] if command[0] == "measure" else ["--resume"])) as process:
            begin = time.monotonic()
            try:
                process.communicate(timeout=rng.uniform(0.4, 1.0) * seconds)
                shutil.rmtree(out) if out.is_dir() else out.unlink()  # too late: begin again, and look sooner
                seconds = min(seconds, time.monotonic() - begin)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                deaths -= 1
    with start(*command, "--out", str(out), *([] if command[0] == "measure" else ["--resume"])) as process:
        said = process.communicate()
    assert process.returncode in (0, 1), said


@pytest.mark.slow
def test_thirty_deaths_of_real_commands(tmp_path):
    """Of training, flow chain, baseline and measuring; each ends as undisturbed."""
    rng = np.random.default_rng(12)
    train = ("train", "--config=E1", "--lattice_size=4", "--flow=affine_dense", "--steps=400", "--evaluate_every=20")
    killed(train, tmp_path / "train" / "out", 10, rng)
    (one, _), (other, _) = (read_arrays(tmp_path / "train" / name / "weights.npz") for name in ("out", "whole"))
    np.testing.assert_equal(one, other)
    sample = ("sample", "--run", str(tmp_path / "train" / "whole"), "--chain_length=200000")
    for command, deaths in ((sample, 8), ((*BASELINE[:4], "--chains=64", "--updates=10000"), 8)):
        killed(command, tmp_path / command[0] / "out", deaths, rng)
        one, other = (tmp_path / command[0] / name / "ensemble.h5" for name in ("out", "whole"))
        np.testing.assert_equal(content(one), content(other))
    measure = ("measure", str(one))
    killed(measure, tmp_path / "out", 4, rng)
    assert (tmp_path / "out").read_text() == (tmp_path / "whole").read_text()
