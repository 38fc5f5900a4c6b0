"""What is seen on a terminal, and in a log file."""

import io
import re
import subprocess
import sys
import time

import pytest
from rich.console import Console

from lattice_flows.progress import Progress


def shown(body, **options):
    text = io.StringIO()
    body(Progress(Console(file=text, width=200, **options)))
    return text.getvalue()


def watched(progress):
    with progress.bar("training", total=10, completed=4) as bar:
        bar.advance(3, "loss -1.250")
        time.sleep(0.3)  # bars are drawn ten times a second
    progress.info("done [in brackets]")


def compiling(progress):
    with progress.working("compiling [the step]"):
        time.sleep(1.2)  # the clock shows whole seconds


def test_a_terminal_shows_the_bar_with_the_time_left():
    text = shown(watched, force_terminal=True)
    assert "7/10" in text and "loss -1.250" in text and "left" in text and "in brackets" in text


def test_a_log_file_has_lines_alone():
    assert shown(watched) == "done [in brackets]\n"


def test_a_terminal_shows_what_is_being_compiled_and_for_how_long():
    text = shown(compiling, force_terminal=True)
    assert "compiling [the step]" in text and "0:00:01" in text
    assert re.search(r"compiling \[the step\]: 1\.\d s\n", text) and "..." not in text


def test_a_log_file_has_a_line_at_the_start_and_one_with_the_seconds():
    assert re.fullmatch(r"compiling \[the step\] \.\.\.\ncompiling \[the step\]: 1\.\d s\n", shown(compiling))


def test_an_error_while_working_is_raised_and_no_seconds_are_shown():
    def fails(progress):
        with pytest.raises(ValueError, match="out of memory"), progress.working("compiling"):
            raise ValueError("out of memory")

    assert shown(fails) == "compiling ...\n"


def test_a_quiet_one_shows_nothing(capsys):
    progress = Progress(quiet=True)
    watched(progress)
    with progress.working("compiling"):
        pass
    assert capsys.readouterr() == ("", "")


def test_progress_and_plots_do_not_import_tensorflow():
    code = "import sys, lattice_flows.progress, lattice_flows.plots; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
