"""Sweeps: what they train, how they go on after failures and interruptions, and the tables that they leave."""

import csv
import types

import pytest
from conftest import SMALL

from lattice_flows import command_line, sweep
from lattice_flows.config import Component, ConfigError
from lattice_flows.io.files import FolderInUse, RunError
from lattice_flows.reading import UnreadableFile
from lattice_flows.training.state import Summary
from lattice_flows.training.stopping import TrainingDiverged

OVER = {"flow.layers": [2, 4], "flow.network.hidden": [[4], [4, 4]]}


def table(folder):
    return list(csv.DictReader((folder / "sweep.csv").read_text().splitlines()))


@pytest.fixture
def trainings(monkeypatch):
    """Takes the place of trainings: the folders that were trained in, an error for the next one of four layers, and the figure."""
    seen = types.SimpleNamespace(folders=[], error=None, figure=None)

    def train_run(config, folder, strategy, progress, *, resume, board):
        seen.folders.append(folder)
        layers = config.flow.parameters["layers"]
        if layers == 4 and seen.error is not None:
            error, seen.error = seen.error, None
            raise error
        k_hat = 0.9 if layers == 4 else 0.1
        summary = Summary(40, 1.5, 2.5, 100, 0.2 * layers, 0.1 * layers, "", earlier_seconds=2.5, earlier_steps=20)
        summary = summary._replace(kl=0.25, kl_error=0.01, k_hat=k_hat, k_hat_error=0.05)
        return types.SimpleNamespace(summary=summary, run=types.SimpleNamespace(close=lambda: None))

    def save(figure, folder, name):
        seen.figure = figure
        (folder / f"{name}.png").touch()

    monkeypatch.setattr(sweep, "train_run", train_run)
    monkeypatch.setattr(sweep.plots, "save", save)
    return seen


def planned(out, over=OVER):
    return sweep.points("E1", [SMALL], over, out)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("flow.layers=1,2, 4", [1, 2, 4]),
        ("flow.network.hidden=[8,8],[16,16]", [[8, 8], [16, 16]]),
        ("flow.prior={name: normal},{name: quartic, a: 0.0}", [{"name": "normal"}, {"name": "quartic", "a": 0.0}]),
        ("training.learning_rate = 1e-3,0.1", [0.001, 0.1]),
        ("training.loss=reverse_kl", ["reverse_kl"]),
        ("training.max_minutes=null,0.5", [None, 0.5]),
    ],
)
def test_values_are_those_of_a_configuration(text, values):
    assert sweep.axes([text]) == {text.split("=")[0].strip(): values}


@pytest.mark.parametrize(
    ("over", "message"),
    [
        (["flow.layers"], r"--over has the value 'flow.layers': give a key and values between commas, such as flow.layers=1,2,4"),
        (["flow.layers="], r"--over has the value 'flow.layers=': give a key"),
        (["flow layers=1"], r"--over has the value 'flow layers=1': give a key"),
        (["seed=[1"], r"cannot read --over seed=\[1: it is not valid YAML: .*; give a key"),
        (["seed=.nan"], r"it must be a finite number"),
        (["seed=1", "seed=2"], r"--over has seed twice: give all its values at once"),
        (["seed=1,2,1"], r"--over has 1 and 1 for seed, which would have one folder: leave out one"),
    ],
)
def test_what_is_no_axis_is_refused(over, message):
    with pytest.raises(ConfigError, match=message):
        sweep.axes(over)


def test_all_combinations_are_points_with_folders_of_their_own(tmp_path):
    found = planned(tmp_path)
    assert [list(point.values.values()) for point in found] == [[2, [4]], [2, [4, 4]], [4, [4]], [4, [4, 4]]]
    assert found[1].folder == tmp_path / "flow.layers=2" / "flow.network.hidden=4_4"
    assert found[1].config.flow.parameters["layers"] == 2 and found[1].config.flow.parameters["network"]["hidden"] == [4, 4]
    assert found[3].config.lattice.shape == (4, 4) and len({point.folder for point in found}) == 4
    with pytest.raises(ConfigError, match=r"unknown key 'training.step': did you mean 'steps'"):
        planned(tmp_path, {"training.step": [1]})
    with pytest.raises(ConfigError, match="flow 'affine': unknown key 'layer': did you mean 'layers'"):
        planned(tmp_path, {"flow.layer": [1]})


def test_a_training_that_fails_is_a_row_and_the_others_go_on(tmp_path, trainings):
    out, trainings.error = tmp_path / "out", TrainingDiverged("the loss is\nnan | at step 7")
    ended = sweep.sweep(planned(out), out)
    assert [point.good for point in ended] == [True, True, False, False]
    rows = table(out)
    assert [row["judged"] for row in rows] == ["good", "good", "diverged: the loss is nan | at step 7", "not trustworthy"]
    assert rows[1]["flow.network.hidden"] == "[4, 4]" and rows[1]["acceptance"] == "0.4" and rows[2]["acceptance"] == ""
    lines = (out / "sweep.md").read_text().splitlines()
    assert lines[0].endswith("| parameters | steps | seconds | acceptance | ESS | KL | k-hat | judged |")
    assert lines[2] == "| 2 | [4] | 100 | 60 | 4 | 0.4000 | 0.2000 | 0.25 | 0.10 | good |"
    assert len({line.count("|") for line in lines}) == 1
    assert {path.name for path in out.glob("sweep.*")} == {"sweep.md", "sweep.csv", "sweep.png"}
    sweep.sweep(planned(out), out, resume=True)  # the one that failed has its turn again
    assert [row["judged"] for row in table(out)] == ["good", "good", "not trustworthy", "not trustworthy"]


def test_flows_that_cannot_be_trusted_are_open_marks(tmp_path, trainings):
    sweep.sweep(planned(tmp_path / "out", {"flow.layers": [2, 3, 4]}), tmp_path / "out")
    for axes in trainings.figure.axes:
        line, marks, *_ = axes.get_lines()
        assert list(line.get_xdata()) == [2, 3] and list(marks.get_xdata()) == [4]
        assert (marks.get_linestyle(), marks.get_fillstyle(), marks.get_color()) == ("None", "none", line.get_color())
    assert [text.get_text() for text in trainings.figure.axes[1].get_legend().get_texts()] == ["not trustworthy"]
    sweep.sweep(planned(tmp_path / "good", {"flow.layers": [2, 3]}), tmp_path / "good")
    assert trainings.figure.axes[1].get_legend() is None


def test_an_interrupted_sweep_has_the_table_of_what_has_ended(tmp_path, trainings):
    out, trainings.error = tmp_path / "out", KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        sweep.sweep(planned(out), out)
    assert [row["judged"] for row in table(out)] == ["good", "good"]
    with pytest.raises(FolderInUse, match="is already in use: choose another folder"):
        sweep.sweep(planned(out), out)
    assert len(sweep.sweep(planned(out), out, resume=True)) == 4


def test_a_resumed_sweep_keeps_every_row_until_its_point_has_ended_anew(tmp_path, trainings):
    out, trainings.error = tmp_path / "out", TrainingDiverged("the loss is nan")
    sweep.sweep(planned(out), out)
    before = table(out)
    trainings.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        sweep.sweep(planned(out), out, resume=True)
    assert table(out) == before and [row["judged"] for row in before][2] == "diverged: the loss is nan"
    ended = sweep.sweep(planned(out, OVER | {"flow.layers": [3, 4]}), out, resume=True)  # other values join those that are there
    assert len(ended) == 4
    assert [row["flow.layers"] for row in table(out)] == ["3", "3", "4", "4", "2", "2"]
    assert [row["judged"] for row in table(out)] == ["good", "good", "not trustworthy", "not trustworthy", "good", "good"]
    lines = (out / "sweep.md").read_text().splitlines()
    assert len(lines) == 8 and lines[-1] == "| 2 | [4, 4] | 100 | 60 | 4 | 0.4000 | 0.2000 | 0.25 | 0.10 | good |"


def test_another_sweep_is_not_resumed(tmp_path, trainings):
    out = tmp_path / "out"
    sweep.sweep(planned(out), out)
    before, trainings.folders = table(out), []
    for over in ({"seed": [1]}, {"flow.layers": [2]}, dict(reversed(OVER.items()))):
        message = f"it holds a sweep over flow.layers, flow.network.hidden, not over {', '.join(over)}: give the same keys"
        with pytest.raises(RunError, match=message):
            sweep.sweep(planned(out, over), out, resume=True)
    assert table(out) == before and len(before) == 4
    (out / "sweep.csv").write_text("flow.layers,flow.network.hidden,parameters,judged\n2,[4],many,good\n")
    with pytest.raises(UnreadableFile, match=r"cannot read .*sweep.csv: .*; choose another folder"):
        sweep.sweep(planned(out), out, resume=True)
    assert not trainings.folders


def test_a_sweep_of_another_configuration_is_not_resumed(tmp_path, trainings):
    """Of other values too; what the trainings there have in place of the swept parts does not count, nor how they are trained."""
    out, over = tmp_path / "out", {"flow.site_maps": [False], "flow.network.name": ["dense"]}
    points = sweep.points("E1", [SMALL], over, out)
    sweep.sweep(points, out)
    points[0].folder.mkdir(parents=True)
    (points[0].folder / "config.yaml").write_text(points[0].config.dump())
    before, trainings.folders = (out / "sweep.csv").read_text(), []
    message = r"its training flow.site_maps=false/\S+ has action.lam 6.975, not 6.008: leave that as it was"
    for values in (over, {"flow.site_maps": [True], "flow.network.name": ["propagator"]}):
        with pytest.raises(RunError, match=message):
            sweep.sweep(sweep.points("E2", [SMALL], values, out), out, resume=True)
        assert (out / "sweep.csv").read_text() == before and not trainings.folders
        assert len(sweep.sweep(sweep.points("E1", [SMALL, {"training": {"steps": 50}}], values, out), out, resume=True)) == 1
        before, trainings.folders = (out / "sweep.csv").read_text(), []
    assert [row["flow.network.name"] for row in table(out)] == ["propagator", "dense"]


def test_what_is_wrong_with_a_folder_ends_the_sweep(tmp_path, trainings):
    out = tmp_path / "out"
    sweep.sweep(planned(out), out)
    before, trainings.error = table(out), RunError("cannot resume with another configuration")
    with pytest.raises(RunError, match="with another configuration"):
        sweep.sweep(planned(out), out, resume=True)
    assert table(out) == before


def test_the_name_of_a_part_does_not_replace_its_options(tmp_path):
    (point,) = planned(tmp_path, {"training.optimizer.decay": [0.9], "training.optimizer.name": ["natural_gradient"]})
    assert point.config.training.optimizer == Component(name="natural_gradient", decay=0.9)
    over = {"flow.prior.a": [0.5], "flow.prior.name": ["quartic"], "flow.prior.b": [2.0]}
    (point,) = planned(tmp_path, over)
    assert point.config.flow.parameters["prior"] == {"name": "quartic", "a": 0.5, "b": 2.0} and list(point.values) == list(over)


def test_a_folder_of_something_else_is_left_alone(tmp_path, trainings):
    (tmp_path / "notes.txt").write_text("mine")
    for resume, message in ((False, "is already in use"), (True, "holds no sweep.csv, so it is not a sweep")):
        with pytest.raises(RunError, match=message):
            sweep.sweep(planned(tmp_path), tmp_path, resume=resume)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"] and not trainings.folders


def test_the_command_trains_and_keeps_what_has_ended(tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["sweep", "--config=E1", "--flow=affine_dense", "--lattice_size=4", "--steps=10", "--over=flow.network.hidden=[4]"]
    arguments += ["--over=flow.layers=2", "--tensorboard", f"--out={out}"]
    code, said = command_line.main(arguments), capsys.readouterr().out
    (row,) = table(out)
    assert row["steps"] == "10" and float(row["acceptance"]) > 0 and code == (row["judged"] != "good")
    assert (out / "sweep.md").read_text() in said and (out / "sweep.png").exists()
    run = out / "flow.network.hidden=4" / "flow.layers=2"
    metrics, events = (run / "metrics.csv").stat(), list((run / "tensorboard").iterdir())
    assert command_line.main(arguments) == command_line.UNUSABLE
    assert "is already in use: choose another folder; --resume continues that run" in capsys.readouterr().err
    assert command_line.main([*arguments, "--resume"]) == code and table(out) == [row]
    assert (run / "metrics.csv").stat() == metrics and len(events) == 1
    assert command_line.main([*arguments[:-3], "--over=flow.layer", arguments[-1]]) == command_line.UNUSABLE
    assert "error: --over has the value 'flow.layer': give a key" in capsys.readouterr().err
