"""Trainings on the terminal, while they go on and afterwards."""

import os
import re
import subprocess
import sys
import threading
import time

import pytest

from lattice_flows import command_line, watch
from lattice_flows.io.histories import StepLog
from lattice_flows.io.locks import lock_folder
from lattice_flows.training.evaluation import Evaluation
from lattice_flows.watch import ITEMS, chart


def written(folder, steps=40, weights=True):
    """The folder of a run with a falling loss."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text("{}")
    (folder / "metrics.csv").write_text("step,acceptance,kl\n20,0.7,0.1\n40,0.9,0.001\n")
    with StepLog(folder) as log:
        for step in range(1, steps + 1):
            log.add(step, 100.0 if step < 3 else -step / 10, step)
    if weights:
        (folder / "weights.npz").touch()
    return folder


@pytest.fixture
def run(tmp_path):
    return written(tmp_path / "E1")


@pytest.fixture
def command(capsys):
    def call(*arguments):
        code = command_line.main(["watch", *map(str, arguments)])
        return code, *capsys.readouterr()

    return call


def test_every_column_of_a_history_can_be_drawn():
    assert set(ITEMS) == set(Evaluation._fields) - {"step"}


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_chart_fits_the_terminal_and_shows_the_last_values(run, width):
    lines = chart([run], ["loss", "acceptance"], width, 24, colored=False).splitlines()
    assert len(lines) < 24 and max(map(len, lines)) <= width and "\x1b" not in "".join(lines)
    assert lines[-1].endswith("E1: finished, step 40, loss -4, acceptance 0.9") and ("* …" in lines[-1]) == (width < 140)
    text = "\n".join(lines)
    assert "loss" in lines[0] and re.search(r"\n *-[34]┤", text) and "100┤" not in text  # where it falls steeply is left out
    assert re.search(r"\n *0.8┤", text) and re.search(r"\n +0 +\d+ .* 40 *\n", text)  # ticks are round numbers


def test_a_terminal_may_be_narrow(run):
    assert chart([run], ["loss"], 8, 24)


def test_small_numbers_have_a_logarithmic_axis(run):
    text = chart([run], ["kl"], 80, 24)
    assert "Kullback-Leibler divergence" in text and "0.1┤" in text and "0.01┤" in text


def test_numbers_that_are_not_finite_are_left_out(run):
    (run / "metrics.csv").write_text("step,kl\n10,inf\n20,0.5\n30,nan\n40,0.001\n")
    text = chart([run], ["kl"], 80, 24, colored=False)
    assert "0.1┤" in text and text.endswith("step 40, kl 0.001")
    (run / "metrics.csv").write_text("step,kl\n10,inf\n")
    assert "nothing yet" in chart([run], ["kl"], 80, 24)


def test_runs_are_drawn_over_each_other_with_their_stages_divided_by_lines(run):
    other = written(run.parent / "E2", weights=False)
    written(other / "stages" / "1", 80)
    text = chart([run, other, run.parent / "E3"], ["loss"], 100, 30, colored=False)
    assert "*" in text and "x" in text and "│" in text.splitlines()[3][20:-1]
    assert re.search(r" 120 *\n", text) and "E2: no process is training it, step 120" in text
    assert text.endswith("E3: waiting, there is no such folder yet")
    colored = chart([run, other], ["loss"], 100, 30)
    assert {"4", "3"} <= set(re.findall(r"\x1b\[38;5;(\d)m", colored))


def test_without_a_terminal_one_chart_is_printed(run, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    code, text, error = command(run, "--item=loss")
    assert code == 0 and error == "" and max(map(len, text.splitlines())) == 70 and "acceptance" not in text
    assert command(run, "--once", "--item", "loss,ess")[1].count("nothing yet") == 1


def test_what_cannot_be_drawn_is_said_in_one_line(run, command, tmp_path_factory):
    hmc = tmp_path_factory.mktemp("hmc")
    (hmc / "config.yaml").touch()
    for arguments, said in (
        ([run.parent / "x"], "there is no run folder"),
        ([run.parent], f"{run.parent} is not a run folder: name a run in it, such as {run}"),
        ([run / "metrics.csv"], "metrics.csv is a file, not a run folder"),
        ([run, "--item=forward_ess"], f"nothing to draw of {run}: it has no value of forward_ess, choose others by --item"),
        ([hmc], f"nothing to draw of {hmc}: it holds neither steps.csv nor metrics.csv, name a run that has trained a flow"),
        ([run, "--item=accept"], "unknown value 'accept': did you mean 'acceptance'?"),
        ([], "missing: RUN"),
        ([run, "--once", "--stay"], "--stay and --once contradict each other"),
    ):
        code, text, error = command(*arguments)
        assert code == 2 and text == "" and error.count("\n") == 1 and said in error
    (run / "metrics.csv").write_text("step\nx\n")
    assert "metrics.csv: column 'step' has 'x' in row 1" in command(run)[2]


def test_a_training_is_over_when_its_weights_are_the_last_that_was_written(run):
    assert watch._is_over(run)
    with lock_folder(run):
        assert watch._is_over(run)  # such as in a chain that samples
        os.utime(run / "weights.npz", (1, 1))
        assert not watch._is_over(run) and ": training, step 40" in chart([run], ["loss"], 200, 24)
    assert watch._is_over(run) and not watch._is_over(run.parent / "x")


class Terminal:
    """Standard output that says that it is a terminal."""

    def __init__(self, stream):
        self._stream = stream

    def isatty(self):
        return True

    def __getattr__(self, name):
        return getattr(self._stream, name)


def test_a_terminal_shows_what_is_written_until_the_training_is_over(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(watch, "_PAUSE", 0.01)
    monkeypatch.setattr(sys, "stdout", Terminal(sys.stdout))
    monkeypatch.setenv("TERM", "xterm")
    run, written_to = tmp_path / "E1", []

    def train():
        time.sleep(0.1)
        with lock_folder(run):
            written(run, weights=False)
            time.sleep(0.2)
            written_to.append(run)
        (run / "weights.npz").touch()

    with_training = threading.Thread(target=train)
    with_training.start()
    watch.watch([run], ["loss"])
    with_training.join()
    text = capsys.readouterr().out
    states = ["waiting, there is no such folder yet", "training, step 40", "finished, step 40"]
    places = [text.find(state) for state in states]
    assert written_to and places == sorted(places) and -1 not in places
    assert text.count("\x1b[?1049h") == text.count("\x1b[?1049l") == 1  # the screen of before is back


def test_ctrl_c_leaves_with_the_last_chart(run, capsys, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdout", Terminal(sys.stdout))
    monkeypatch.setattr(watch.time, "sleep", interrupt)
    assert command_line.main(["watch", str(run), "--stay"]) == 0
    text, error = capsys.readouterr()
    assert error == "" and "finished, step 40" in text


def test_it_starts_without_tensorflow(run):
    code = "import sys; from lattice_flows import command_line as c; c.main(sys.argv[1:]); sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, "watch", str(run)], stdout=subprocess.DEVNULL).returncode == 0
