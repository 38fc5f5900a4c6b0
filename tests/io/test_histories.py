"""The history of a training, written step by step and read while it grows."""

import math

import pytest

from lattice_flows.io import histories
from lattice_flows.io.histories import StepLog, curves, stage_folders
from lattice_flows.reading import UnreadableFile


@pytest.fixture
def every_step(monkeypatch):
    monkeypatch.setattr(histories, "_SECONDS", 0.0)


def lines(folder):
    return (folder / "steps.csv").read_text().splitlines()


def test_steps_are_written_after_a_while_and_at_the_end(tmp_path, monkeypatch):
    with StepLog(tmp_path) as log:
        log.add(1, -1.5, 0.1)
        assert lines(tmp_path) == ["step,loss,seconds"]
        monkeypatch.setattr(histories, "_SECONDS", 0.0)
        log.add(2, math.nan, 0.2)
        assert lines(tmp_path)[1:] == ["1,-1.5,0.100", "2,,0.200"]
        monkeypatch.undo()
        log.add(3, 0.1 + 0.2, 0.3)
        assert len(lines(tmp_path)) == 3
    assert lines(tmp_path)[3:] == ["3,0.30000000000000004,0.300"]


def test_a_resumed_training_makes_the_steps_after_its_checkpoint_again(tmp_path):
    with StepLog(tmp_path) as log:
        for step in (1, 2, 3):
            log.add(step, -float(step), step)
    with (tmp_path / "steps.csv").open("a") as file:
        file.write("4,-4.")  # what a process that was killed may leave
    with StepLog(tmp_path, 2) as log:
        log.add(3, -30.0, 3)
    assert lines(tmp_path) == ["step,loss,seconds", "1,-1.0,1.000", "2,-2.0,2.000", "3,-30.0,3.000"]
    with StepLog(tmp_path):  # no checkpoint was reached
        assert lines(tmp_path) == ["step,loss,seconds"]


def test_a_damaged_file_is_refused_in_one_line(tmp_path):
    (tmp_path / "steps.csv").write_text("step,loss,seconds\n1,x,2\n")
    with pytest.raises(UnreadableFile, match=r"cannot read .*steps.csv: column 'loss' has 'x' in row 1, .*; take it away"):
        StepLog(tmp_path, 1)


@pytest.fixture
def run(tmp_path):
    """A run after two of its stages, the second of an earlier version."""
    for name, steps in (("stages/1", 3), ("stages/10", None), ("", 2)):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "metrics.csv").write_text("step,loss,ess\n2,-5.0,0.5\n4,-6.0,0.6\n")
        if steps:
            with StepLog(tmp_path / name) as log:
                for step in range(1, steps + 1):
                    log.add(step, math.nan if step == 2 else -step, step)
    return tmp_path


def test_curves_go_through_the_stages_step_by_step_where_steps_are_known(run):
    assert [folder.name for folder in stage_folders(run)] == ["1", "10", run.name]
    loss, ess = curves(run, ["loss", "ess"]).values()
    assert (loss.steps, loss.values) == ([1, 3, 6, 8, 9], [-1, -3, -5, -6, -1])
    assert (ess.steps, ess.values) == ([2, 4, 6, 8, 10, 12], [0.5, 0.6] * 3)
    assert loss.ends == ess.ends == [4, 8]


def test_the_weights_that_a_stage_begins_with_are_those_at_the_end_of_the_one_before(run):
    (run / "metrics.csv").write_text("step,loss,ess\n0,-5.0,0.1\n2,-5.0,0.5\n4,-6.0,0.6\n")
    (ess,) = curves(run, ["ess"]).values()
    assert (ess.steps, ess.values) == ([2, 4, 6, 8, 10, 12], [0.5, 0.6] * 3)


def test_what_is_not_known_yet_has_no_values(run):
    assert curves(run, ["forward_ess"]) == {"forward_ess": ([], [], [4, 8])}
    assert curves(run / "nowhere", ["loss"]) == {"loss": ([], [], [])}
